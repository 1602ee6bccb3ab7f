//! LINKING_RUNTIME: the one transaction that makes the link.
//!
//! The reservation is committed after it. Before, an operation that is then cancelled would have committed
//! capacity for a database that it drops. After, a crash between the two leaves a held reservation and a link
//! that names this operation: the stage is done again, finds its link, and commits. If nobody came in time,
//! the reservation expires by itself, and the database counts by measurement. So it is never left held, and
//! at no time do both count for good.

use proto::lifecycle::v1::{
    DualWriteStatus, FailureKind, FinanceAndOperationsEnvironmentState as ErpState,
};
use rpc::ErrorReason;
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use super::workflow::{Halves, Setup, failed};
use crate::engine::{StageContext, StageError};
use crate::environments::capacity;
use crate::store::finance_and_operations;
use crate::store::link;
use crate::words::Word as _;

/// Links, once, and counts what the database takes.
pub(super) async fn link(setup: &Setup, context: &StageContext) -> Result<(), StageError> {
    let halves = setup.halves(context).await?;
    if !is_ours(context, &halves).await? {
        setup.reserve(context).await?;
        let (erp, servicing) = (halves.erp.environment_id, ErpState::Servicing);
        finance_and_operations::set_state(&mut *context.connection().await, erp, servicing).await?;
        context.say(30, "Linking the runtime").await?;
        context.step("servicing").await?;
        if let Err(error) = make(setup, context, &halves).await {
            // Up again, whatever becomes of the operation.
            unlink(setup, context).await?;
            return Err(error);
        }
        context.step("linked").await?;
    }
    let (capacity_service, need) = (&setup.deps.clients.capacity, setup.need());
    // The database of an existing environment counts already: its reservation only kept others out.
    match setup.order.existing {
        true => capacity::release(capacity_service, context, &need).await?,
        false => capacity::commit(capacity_service, context, &need).await?,
    }
    context.step("reservation-settled").await
}

/// The runtime is up again. A link is never undone: there is none when this is called.
pub(super) async fn unlink(setup: &Setup, context: &StageContext) -> Result<(), StageError> {
    let erp = setup.order.finance_and_operations;
    let deployed = ErpState::Deployed;
    finance_and_operations::set_state(&mut *context.connection().await, erp, deployed).await?;
    Ok(())
}

/// Whether this operation made the link, in a run before.
async fn is_ours(context: &StageContext, halves: &Halves) -> Result<bool, StageError> {
    let sql = "SELECT operation = $2 AND platform_environment = $3 FROM link
               WHERE finance_and_operations_environment = $1";
    let found: Option<Option<bool>> = sqlx::query_scalar(sql)
        .bind(halves.erp.environment_id)
        .bind(context.operation)
        .bind(halves.platform.id)
        .fetch_optional(&mut *context.connection().await)
        .await?;
    match found {
        None => Ok(false),
        Some(Some(true)) => Ok(true),
        Some(_) => Err(already_linked(&halves.erp.id)),
    }
}

async fn make(setup: &Setup, context: &StageContext, halves: &Halves) -> Result<(), StageError> {
    let mut connection = context.connection().await;
    let mut transaction = connection.begin().await?;
    context.pass_point_of_no_return(&mut transaction).await?;
    if link::of_environment(&mut transaction, halves.platform.id).await?.is_some() {
        return Err(already_linked(&halves.platform.display_name));
    }
    insert(setup, context, halves, &mut transaction).await?;
    // Another environment was made with this ERP: it is nobody's initial one any more (spec PPI-02).
    let disconnect = "UPDATE platform_environment SET initial_of = NULL, revision = revision + 1
                      WHERE initial_of = $1 AND id <> $2";
    let erp = halves.erp.environment_id;
    sqlx::query(disconnect).bind(erp).bind(halves.platform.id).execute(&mut *transaction).await?;
    let touch = "UPDATE platform_environment SET revision = revision + 1 WHERE id = $1";
    sqlx::query(touch).bind(halves.platform.id).execute(&mut *transaction).await?;
    finance_and_operations::set_state(&mut *transaction, erp, ErpState::Deployed).await?;
    transaction.commit().await?;
    Ok(())
}

async fn insert(
    setup: &Setup,
    context: &StageContext,
    halves: &Halves,
    transaction: &mut PgConnection,
) -> Result<(), StageError> {
    let linked = setup.template.dual_write_linked;
    let status = match linked {
        true => DualWriteStatus::Linked,
        false => DualWriteStatus::NotConfigured,
    };
    let insert =
        "INSERT INTO link (id, finance_and_operations_environment, platform_environment, template,
                      dual_write_status, dual_write_platform_environment, operation)
                  VALUES ($1, $2, $3, $4, $5, $6, $7)";
    sqlx::query(insert)
        .bind(&halves.erp.id)
        .bind(halves.erp.environment_id)
        .bind(halves.platform.id)
        .bind(&setup.template.id)
        .bind(status.word())
        .bind(linked.then_some(halves.platform.id))
        .bind(context.operation)
        .execute(transaction)
        .await?;
    Ok(())
}

fn already_linked(name: &str) -> StageError {
    let message = format!("`{name}` is linked already, and a link is for good.");
    let help = "Cancel, and choose another environment.";
    failed(FailureKind::State, ErrorReason::AlreadyLinked, message, help)
}
