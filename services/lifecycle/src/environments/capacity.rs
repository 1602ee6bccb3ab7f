//! Capacity that an operation holds while it makes an environment larger (spec CAP-05).

use proto::capacity::v1::reservation_service_client::ReservationServiceClient;
use proto::capacity::v1::{
    CapacityOperation, CheckReservationRequest, CommitReservationRequest, CreateReservationRequest,
    ExtendReservationRequest, Pool, PoolAmount, ReleaseReservationRequest, Reservation,
};
use proto::lifecycle::v1::FailureKind;
use rpc::{Channel, ErrorReason};
use tonic::Status;

use super::stages::{fail, peer};
use crate::clients::asked;
use crate::engine::{StageContext, StageError};
use crate::error::Error;

/// As long as the capacity service lets anybody hold something at once.
const KEPT_SECONDS: i64 = 24 * 60 * 60;
const HELP: &str = "Free or buy database capacity and resume, or cancel.";

/// What an operation needs.
#[derive(Clone, Debug)]
pub(crate) struct Need {
    pub(crate) operation: CapacityOperation,
    /// `platformEnvironments/…`.
    pub(crate) environment: String,
    /// Of database, besides what the operation needs by itself.
    pub(crate) size_bytes: i64,
}

impl Need {
    pub(crate) fn new(operation: CapacityOperation, environment: String) -> Self {
        Self { operation, environment, size_bytes: 0 }
    }

    /// More of database.
    pub(crate) fn with_size(self, size_bytes: i64) -> Self {
        Self { size_bytes: size_bytes.max(0), ..self }
    }

    fn amounts(&self) -> Vec<PoolAmount> {
        let amount = PoolAmount { pool: Pool::Database.into(), size_bytes: self.size_bytes };
        if self.size_bytes > 0 { vec![amount] } else { Vec::new() }
    }
}

/// Refuses what could not be held now.
pub(crate) async fn check(capacity: &Channel, need: &Need) -> Result<(), Error> {
    let request =
        CheckReservationRequest { operation: need.operation.into(), amounts: need.amounts() };
    let answer = client(capacity).check_reservation(asked(request)).await?.into_inner();
    match (answer.allowed, answer.in_overage) {
        (true, _) => Ok(()),
        (false, true) => Err(Error::CapacityOverage(answer.message)),
        (false, false) => Err(Error::CapacityInsufficient(answer.message)),
    }
}

/// Holds it for the operation; what it holds already stays held.
pub(crate) async fn reserve(
    capacity: &Channel,
    context: &StageContext,
    need: &Need,
) -> Result<(), StageError> {
    required(capacity, context, need).await.map(drop)
}

/// The same for an operation that takes long: what it holds is held for another day.
pub(crate) async fn keep(
    capacity: &Channel,
    context: &StageContext,
    need: &Need,
) -> Result<(), StageError> {
    let name = required(capacity, context, need).await?;
    let lifetime = Some(prost_types::Duration { seconds: KEPT_SECONDS, nanos: 0 });
    let request = ExtendReservationRequest { name, lifetime, ..Default::default() };
    client(capacity).extend_reservation(asked(request)).await.map(drop).map_err(away)
}

/// From now on it counts as what is measured.
pub(crate) async fn commit(
    capacity: &Channel,
    context: &StageContext,
    need: &Need,
) -> Result<(), StageError> {
    // What expired meanwhile is held anew. What there is no room for any more is there all the same, and is
    // going to be measured.
    let Some(name) = unless_refused(capacity, context, need).await? else { return Ok(()) };
    let request = CommitReservationRequest { name, ..Default::default() };
    client(capacity).commit_reservation(asked(request)).await.map(drop).map_err(away)
}

/// Gives up what the operation holds, if it holds something.
pub(crate) async fn release(
    capacity: &Channel,
    context: &StageContext,
    need: &Need,
) -> Result<(), StageError> {
    // A holder that asks again gets what it has; one that is refused has nothing.
    let Some(name) = unless_refused(capacity, context, need).await? else { return Ok(()) };
    let request = ReleaseReservationRequest { name, ..Default::default() };
    match client(capacity).release_reservation(asked(request)).await {
        Err(status) if rpc::reason(&status) != Some(ErrorReason::InvalidState) => Err(away(status)),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Name of what the operation holds, without which it cannot go on.
async fn required(
    capacity: &Channel,
    context: &StageContext,
    need: &Need,
) -> Result<String, StageError> {
    held(capacity, context, need).await.map_err(|status| match is_refusal(&status) {
        true => {
            let reason = rpc::reason(&status).unwrap_or(ErrorReason::CapacityInsufficient);
            fail(FailureKind::Capacity, reason, status.message(), HELP)
        }
        false => away(status),
    })
}

/// Name of what the operation holds, if there is room for it.
async fn unless_refused(
    capacity: &Channel,
    context: &StageContext,
    need: &Need,
) -> Result<Option<String>, StageError> {
    match held(capacity, context, need).await {
        Ok(name) => Ok(Some(name)),
        Err(status) if is_refusal(&status) => Ok(None),
        Err(status) => Err(away(status)),
    }
}

/// Name of what the operation holds.
async fn held(capacity: &Channel, context: &StageContext, need: &Need) -> Result<String, Status> {
    let reservation = Reservation {
        amounts: need.amounts(),
        operation: need.operation.into(),
        holder: context.name(),
        environment: need.environment.clone(),
        ..Default::default()
    };
    let request = CreateReservationRequest { reservation: Some(reservation), ..Default::default() };
    let answer = client(capacity).create_reservation(asked(request)).await?.into_inner();
    Ok(answer.reservation.unwrap_or_default().name)
}

fn away(status: Status) -> StageError {
    peer("the capacity service", &status)
}

fn is_refusal(status: &Status) -> bool {
    let refusals = [ErrorReason::CapacityInsufficient, ErrorReason::CapacityOverage];
    rpc::reason(status).is_some_and(|it| refusals.contains(&it))
}

fn client(capacity: &Channel) -> ReservationServiceClient<Channel> {
    ReservationServiceClient::new(capacity.clone())
}
