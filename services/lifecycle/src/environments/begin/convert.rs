//! Platform environments of another type, and brought back.

use std::sync::Arc;

use chrono::Utc;
use proto::capacity::v1::CapacityOperation;
use proto::lifecycle::v1 as pb;
use proto::lifecycle::v1::{
    OperationKind, PlatformEnvironmentState as State, PlatformEnvironmentType as Type,
};
use sqlx::PgConnection;

use super::platform::counts;
use super::{Begin, Desk, deletable_platform, invalid, once, platform as named};
use crate::Deps;
use crate::caller::Actor;
use crate::environments::capacity::{self, Need};
use crate::environments::order::Order;
use crate::environments::rules;
use crate::environments::sweeper::RECOVERABLE;
use crate::error::Error;
use crate::store::platform::Platform;
use crate::words::Word as _;

/// To another type.
pub(crate) async fn convert(
    deps: &Arc<Deps>,
    actor: &Actor,
    request: &pb::ConvertPlatformEnvironmentRequest,
) -> Result<pb::Operation, Error> {
    actor.may_administer()?;
    let desk = Desk { deps, actor };
    once!(desk, "ConvertPlatformEnvironment", request, |transaction| {
        begin_convert(&desk, &mut transaction, request)
    })
}

async fn begin_convert(
    desk: &Desk<'_>,
    transaction: &mut PgConnection,
    request: &pb::ConvertPlatformEnvironmentRequest,
) -> Result<pb::Operation, Error> {
    let to = request.target_type();
    if to == Type::Unspecified {
        return Err(invalid("target_type", "it is required"));
    }
    let found = named(transaction, &request.name).await?;
    rules::check_ready(&found)?;
    let takes_capacity = rules::check_conversion(&found, to)?;
    if takes_capacity {
        let need = Need::new(CapacityOperation::ConvertTrial, found.name());
        capacity::check(&desk.deps.clients.capacity, &need).await?;
    }
    let warning = "The finance and operations half keeps its type: two halves of different types are not \
                   recommended.";
    let begin = Begin {
        kind: OperationKind::ConvertEnvironment,
        order: &Order::Convert { id: found.id, target_type: to.word(), takes_capacity },
        targets: vec![found.name()],
        warnings: found.link.iter().map(|_| warning).collect(),
    };
    let operation = desk.begin(transaction, begin).await?;
    rules::check_conversion(&named(transaction, &request.name).await?, to)?;
    Ok(operation)
}

/// Brings a deleted one back.
pub(crate) async fn recover(
    deps: &Arc<Deps>,
    actor: &Actor,
    request: &pb::RecoverPlatformEnvironmentRequest,
) -> Result<pb::Operation, Error> {
    actor.may_administer()?;
    let desk = Desk { deps, actor };
    once!(desk, "RecoverPlatformEnvironment", request, |transaction| {
        begin_recover(&desk, &mut transaction, request)
    })
}

async fn begin_recover(
    desk: &Desk<'_>,
    transaction: &mut PgConnection,
    request: &pb::RecoverPlatformEnvironmentRequest,
) -> Result<pb::Operation, Error> {
    let found = deletable_platform(transaction, &request.name).await?;
    check_recoverable(&found)?;
    let takes_capacity = counts(found.kind);
    if takes_capacity {
        let need = Need::new(CapacityOperation::Recover, found.name());
        capacity::check(&desk.deps.clients.capacity, &need).await?;
    }
    let begin = Begin {
        kind: OperationKind::RecoverEnvironment,
        order: &Order::Recover { id: found.id, takes_capacity },
        targets: vec![found.name()],
        warnings: Vec::new(),
    };
    let operation = desk.begin(transaction, begin).await?;
    check_recoverable(&deletable_platform(transaction, &request.name).await?)?;
    Ok(operation)
}

fn check_recoverable(environment: &Platform) -> Result<(), Error> {
    let Some(deleted) = environment.delete_time.filter(|_| environment.state == State::Deleted)
    else {
        let (resource, state) = (environment.name(), environment.state.word());
        let message = format!("`{resource}` is {state}; only a deleted environment is recovered");
        return Err(Error::InvalidState { resource, state, message });
    };
    let age = (Utc::now() - deleted).to_std().unwrap_or_default();
    match age < RECOVERABLE {
        true => Ok(()),
        false => Err(Error::Expired(format!(
            "`{}` was deleted more than 7 days ago and can no longer be recovered",
            environment.name()
        ))),
    }
}
