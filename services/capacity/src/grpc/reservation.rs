//! Reservations, for other services.

use chrono::{DateTime, Utc};
use proto::capacity::v1 as pb;
use proto::capacity::v1::reservation_service_server::ReservationService;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{Service, Write, convert};
use crate::error::Error;
use crate::names::{self, RESERVATIONS};
use crate::operations::{Decision, Refusal, decide};
use crate::page_token::Page;
use crate::reservations::{self, LIFETIME, LONGEST_LIFETIME, Wanted};
use crate::store::{book, reservations as table};

/// Of the lifecycle service, for which capacity is held.
const OPERATIONS: &str = "operations";

#[tonic::async_trait]
impl ReservationService for Service {
    async fn list_reservations(
        &self,
        request: Request<pb::ListReservationsRequest>,
    ) -> Result<Response<pb::ListReservationsResponse>, Status> {
        let request = request.get_ref();
        let state = convert::read_state(request.state)?;
        let page = Page::<(DateTime<Utc>, Uuid)>::read(
            RESERVATIONS,
            request.page_size,
            &request.page_token,
        )?;
        let mut read = self.state.store.read().await?;
        let found = table::list(&mut read, state, page.after.as_ref(), page.limit()).await?;
        let (found, next_page_token) = page.cut(found, |it| (it.create_time, it.id));
        let reservations = found.into_iter().map(convert::reservation).collect();
        Ok(Response::new(pb::ListReservationsResponse { reservations, next_page_token }))
    }

    async fn get_reservation(
        &self,
        request: Request<pb::GetReservationRequest>,
    ) -> Result<Response<pb::GetReservationResponse>, Status> {
        let name = &request.get_ref().name;
        let id = id_in(name)?;
        let found = table::get(&mut *self.state.store.read().await?, id).await?;
        let found = found.ok_or_else(|| Error::NotFound(name.clone()))?;
        let reservation = Some(convert::reservation(found));
        Ok(Response::new(pb::GetReservationResponse { reservation }))
    }

    async fn create_reservation(
        &self,
        request: Request<pb::CreateReservationRequest>,
    ) -> Result<Response<pb::CreateReservationResponse>, Status> {
        let key = &request.get_ref().idempotency_key;
        let write = Write::by_service(&request, "CreateReservation", RESERVATIONS, key)?;
        self.write(write, async move |mut change| {
            let wanted = wanted(request.into_inner())?;
            let made = reservations::create(&mut change, wanted).await?;
            let reservation = Some(convert::reservation(made));
            Ok((change, pb::CreateReservationResponse { reservation }))
        })
        .await
    }

    async fn check_reservation(
        &self,
        request: Request<pb::CheckReservationRequest>,
    ) -> Result<Response<pb::CheckReservationResponse>, Status> {
        let request = request.into_inner();
        let decision = self.decision(request.operation, &request.amounts).await?;
        Ok(Response::new(pb::CheckReservationResponse {
            allowed: decision.refusal().is_none(),
            missing: convert::amounts(&decision.missing),
            in_overage: !decision.overage.is_empty(),
            message: message(&decision),
        }))
    }

    async fn extend_reservation(
        &self,
        request: Request<pb::ExtendReservationRequest>,
    ) -> Result<Response<pb::ExtendReservationResponse>, Status> {
        let pb::ExtendReservationRequest { name, lifetime, idempotency_key } = request.get_ref();
        let (id, lifetime) = (id_in(name), *lifetime);
        let write = Write::by_service(&request, "ExtendReservation", name, idempotency_key)?;
        self.write(write, async move |mut change| {
            let lifetime = convert::read_span("lifetime", lifetime, LONGEST_LIFETIME)?;
            let lifetime = lifetime.unwrap_or(LIFETIME);
            let extended = reservations::extend(&mut change, id?, lifetime).await?;
            let reservation = Some(convert::reservation(extended));
            Ok((change, pb::ExtendReservationResponse { reservation }))
        })
        .await
    }

    async fn commit_reservation(
        &self,
        request: Request<pb::CommitReservationRequest>,
    ) -> Result<Response<pb::CommitReservationResponse>, Status> {
        let pb::CommitReservationRequest { name, idempotency_key } = request.get_ref();
        let id = id_in(name);
        let write = Write::by_service(&request, "CommitReservation", name, idempotency_key)?;
        let written = self.write(write, async move |mut change| {
            let committed = reservations::commit(&mut change, id?).await?;
            let reservation = Some(convert::reservation(committed));
            Ok((change, pb::CommitReservationResponse { reservation }))
        });
        let answer = written.await?;
        self.state.sampler.wake();
        Ok(answer)
    }

    async fn release_reservation(
        &self,
        request: Request<pb::ReleaseReservationRequest>,
    ) -> Result<Response<pb::ReleaseReservationResponse>, Status> {
        let pb::ReleaseReservationRequest { name, idempotency_key } = request.get_ref();
        let id = id_in(name);
        let write = Write::by_service(&request, "ReleaseReservation", name, idempotency_key)?;
        self.write(write, async move |mut change| {
            let released = reservations::release(&mut change, id?).await?;
            let reservation = Some(convert::reservation(released));
            Ok((change, pb::ReleaseReservationResponse { reservation }))
        })
        .await
    }
}

impl Service {
    /// What would be decided now.
    pub(super) async fn decision(
        &self,
        operation: i32,
        amounts: &[pb::PoolAmount],
    ) -> Result<Decision, Error> {
        let operation = convert::read_operation(operation)?;
        let more = convert::read_amounts("amounts", amounts)?;
        let book = book::read(&mut *self.state.store.read().await?).await?;
        Ok(decide(&book.standing(), operation, &more))
    }
}

/// The original's text; empty when it may go on.
pub(super) fn message(decision: &Decision) -> String {
    decision.refusal().as_ref().map(Refusal::message).unwrap_or_default().to_owned()
}

fn wanted(request: pb::CreateReservationRequest) -> Result<Wanted, Error> {
    let lifetime = convert::read_span("lifetime", request.lifetime, LONGEST_LIFETIME)?;
    let given = request.reservation.unwrap_or_default();
    let more = convert::read_amounts("amounts", &given.amounts)?;
    if !names::is_in(OPERATIONS, &given.holder) {
        return Err(Error::invalid("holder", "must be the name of an operation"));
    }
    if !names::is_environment(&given.environment) {
        return Err(Error::invalid("environment", "must be the name of an environment"));
    }
    Ok(Wanted {
        operation: convert::read_operation(given.operation)?,
        more,
        holder: given.holder,
        environment: given.environment,
        lifetime: lifetime.unwrap_or(LIFETIME),
    })
}

fn id_in(name: &str) -> Result<Uuid, Error> {
    let id = name.strip_prefix(RESERVATIONS).and_then(|it| it.strip_prefix('/'));
    id.and_then(|it| it.parse().ok()).ok_or_else(|| Error::NotFound(names::shown(name)))
}
