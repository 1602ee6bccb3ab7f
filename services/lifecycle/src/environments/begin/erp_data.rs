//! Data of finance-and-operations environments: refreshed, exported, restored.

use std::sync::Arc;

use proto::lifecycle::v1 as pb;
use proto::lifecycle::v1::OperationKind;
use sqlx::PgConnection;

use super::data::{at, used_backup};
use super::{Begin, Desk, erp as named, invalid, new_id, once, required};
use crate::Deps;
use crate::caller::Actor;
use crate::environments::order::{Half, Order, Origin};
use crate::environments::rules;
use crate::error::Error;
use crate::store::finance_and_operations::FinanceAndOperations;

/// Replaces the target's data by the source's.
pub(crate) async fn refresh_database(
    deps: &Arc<Deps>,
    actor: &Actor,
    request: &pb::RefreshDatabaseRequest,
) -> Result<pb::Operation, Error> {
    actor.may_administer()?;
    let desk = Desk { deps, actor };
    once!(desk, "RefreshDatabase", request, |transaction| refresh(&desk, &mut transaction, request))
}

async fn refresh(
    desk: &Desk<'_>,
    transaction: &mut PgConnection,
    request: &pb::RefreshDatabaseRequest,
) -> Result<pb::Operation, Error> {
    let source = named(transaction, &request.source).await?;
    let target = named(transaction, &request.target).await?;
    check_refresh(&source, &target)?;
    rules::check_confirmation(&request.confirmation, &target.display_name)?;
    let mut warnings = vec![rules::CODE_STAYS];
    if target.link.is_some() {
        warnings.push(rules::BOTH_HALVES);
    }
    let begin = Begin {
        kind: OperationKind::CopyEnvironment,
        order: &Order::Replace {
            half: Half::Erp,
            target: target.environment_id,
            origin: Origin::Environment { id: source.environment_id, minimal: false },
            takes_capacity: false,
        },
        targets: vec![target.name(), source.name()],
        warnings,
    };
    let operation = desk.begin(transaction, begin).await?;
    let source = named(transaction, &request.source).await?;
    check_refresh(&source, &named(transaction, &request.target).await?)?;
    Ok(operation)
}

fn check_refresh(
    source: &FinanceAndOperations,
    target: &FinanceAndOperations,
) -> Result<(), Error> {
    if source.environment_id == target.environment_id {
        return Err(invalid("target", "it is the source"));
    }
    rules::check_deployed(source)?;
    rules::check_deployed(target)?;
    let (from, to) = (source.name(), target.name());
    rules::check_both_linked((&from, source.link.is_some()), (&to, target.link.is_some()))?;
    rules::check_own_database(target)
}

/// Backs one up.
pub(crate) async fn export_database(
    deps: &Arc<Deps>,
    actor: &Actor,
    request: &pb::ExportDatabaseRequest,
) -> Result<pb::Operation, Error> {
    actor.may_administer()?;
    let desk = Desk { deps, actor };
    once!(desk, "ExportDatabase", request, |transaction| export(&desk, &mut transaction, request))
}

async fn export(
    desk: &Desk<'_>,
    transaction: &mut PgConnection,
    request: &pb::ExportDatabaseRequest,
) -> Result<pb::Operation, Error> {
    let found = named(transaction, &request.name).await?;
    rules::check_deployed(&found)?;
    let order = Order::BackUp {
        half: Half::Erp,
        environment: found.environment_id,
        backup: new_id(),
        label: "Export".to_owned(),
    };
    let begin = Begin {
        kind: OperationKind::BackUpEnvironment,
        order: &order,
        targets: vec![found.name()],
        warnings: found.link.iter().map(|_| rules::BOTH_HALVES).collect(),
    };
    let operation = desk.begin(transaction, begin).await?;
    rules::check_deployed(&named(transaction, &request.name).await?)?;
    Ok(operation)
}

/// Brings one back to a moment.
pub(crate) async fn restore_database(
    deps: &Arc<Deps>,
    actor: &Actor,
    request: &pb::RestoreDatabaseRequest,
) -> Result<pb::Operation, Error> {
    actor.may_administer()?;
    let desk = Desk { deps, actor };
    once!(desk, "RestoreDatabase", request, |transaction| restore(&desk, &mut transaction, request))
}

async fn restore(
    desk: &Desk<'_>,
    transaction: &mut PgConnection,
    request: &pb::RestoreDatabaseRequest,
) -> Result<pb::Operation, Error> {
    let found = named(transaction, &request.name).await?;
    rules::check_deployed(&found)?;
    rules::check_own_database(&found)?;
    rules::check_confirmation(&request.confirmation, &found.display_name)?;
    let moment = required("restore_time", request.restore_time.as_ref())?;
    let backup = at(transaction, found.environment_id, moment).await?;
    let used = used_backup(&backup);
    let mut warnings = vec![used.as_str()];
    if found.link.is_some() {
        warnings.extend([rules::BOTH_HALVES, rules::REPAIR]);
    }
    let begin = Begin {
        kind: OperationKind::RestoreEnvironment,
        order: &Order::Replace {
            half: Half::Erp,
            target: found.environment_id,
            origin: Origin::Backup { id: backup.id },
            takes_capacity: false,
        },
        targets: vec![found.name()],
        warnings,
    };
    let operation = desk.begin(transaction, begin).await?;
    rules::check_deployed(&named(transaction, &request.name).await?)?;
    Ok(operation)
}
