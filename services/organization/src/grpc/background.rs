//! What is done behind users' backs, as gateways tell it and users ask for it.

use proto::organization::v1 as pb;
use proto::organization::v1::BackgroundOperationState as Wire;
use proto::organization::v1::background_operation_service_server::BackgroundOperationService;
use rpc::{CallContext, Caller, ErrorReason, status};
use tonic::{Code, Request, Response, Status};
use uuid::Uuid;

use crate::error::{DOMAIN, Error};
use crate::store::{NewOperation, Operation, Outcome, Reader, State, Store};

/// Of texts for people and of names of requests.
const LONGEST_TEXT: usize = 8_192;

/// Serves `BackgroundOperationService`.
#[derive(Debug)]
pub(crate) struct Background {
    store: Store,
}

impl Background {
    pub(crate) fn new(store: Store) -> Self {
        Self { store }
    }

    async fn told(&self, id: Uuid, reader: Reader) -> Result<Operation, Status> {
        let found = self.store.operation(id, reader).await.map_err(Error::from)?;
        found.ok_or_else(|| {
            let message = format!("there is no background operation {id} of the caller's");
            status(Code::NotFound, DOMAIN, ErrorReason::ResourceNotFound, message, [])
        })
    }
}

#[tonic::async_trait]
impl BackgroundOperationService for Background {
    async fn record_background_operation(
        &self,
        request: Request<pb::RecordBackgroundOperationRequest>,
    ) -> Result<Response<pb::RecordBackgroundOperationResponse>, Status> {
        let owner = reader(&request)?.user;
        let it = request.into_inner();
        let operation = NewOperation {
            id: guid("operation_id", &it.operation_id)?,
            owner,
            holder: guid("holder_id", &it.holder_id)?,
            display_name: text(it.display_name),
            client_request_id: text(it.client_request_id),
        };
        self.store.create_operation(&operation).await.map_err(Error::from)?;
        Ok(Response::new(pb::RecordBackgroundOperationResponse {}))
    }

    async fn start_background_operation(
        &self,
        request: Request<pb::StartBackgroundOperationRequest>,
    ) -> Result<Response<pb::StartBackgroundOperationResponse>, Status> {
        let it = request.get_ref();
        let id = guid("operation_id", &it.operation_id)?;
        let holder = guid("holder_id", &it.holder_id)?;
        match self.store.start_operation(id, holder).await.map_err(Error::from)? {
            true => Ok(Response::new(pb::StartBackgroundOperationResponse {})),
            false => Err(invalid_state(&format!("background operation {id} must not begin"))),
        }
    }

    async fn renew_background_operations(
        &self,
        request: Request<pb::RenewBackgroundOperationsRequest>,
    ) -> Result<Response<pb::RenewBackgroundOperationsResponse>, Status> {
        let it = request.get_ref();
        let holder = guid("holder_id", &it.holder_id)?;
        let ids = it.operation_ids.iter().map(|id| guid("operation_ids", id));
        let ids = ids.collect::<Result<Vec<_>, _>>()?;
        self.store.renew_operations(&ids, holder).await.map_err(Error::from)?;
        Ok(Response::new(pb::RenewBackgroundOperationsResponse {}))
    }

    async fn finish_background_operation(
        &self,
        request: Request<pb::FinishBackgroundOperationRequest>,
    ) -> Result<Response<pb::FinishBackgroundOperationResponse>, Status> {
        let it = request.into_inner();
        let id = guid("operation_id", &it.operation_id)?;
        let holder = guid("holder_id", &it.holder_id)?;
        let outcome = outcome(it.outcome.unwrap_or_default())?;
        self.store.finish_operation(id, holder, &outcome).await.map_err(Error::from)?;
        Ok(Response::new(pb::FinishBackgroundOperationResponse {}))
    }

    async fn get_background_operation(
        &self,
        request: Request<pb::GetBackgroundOperationRequest>,
    ) -> Result<Response<pb::GetBackgroundOperationResponse>, Status> {
        let reader = reader(&request)?;
        let id = guid("operation_id", &request.get_ref().operation_id)?;
        let operation = self.told(id, reader).await?;
        let operation = Some(message(operation));
        Ok(Response::new(pb::GetBackgroundOperationResponse { operation }))
    }

    async fn cancel_background_operation(
        &self,
        request: Request<pb::CancelBackgroundOperationRequest>,
    ) -> Result<Response<pb::CancelBackgroundOperationResponse>, Status> {
        let reader = reader(&request)?;
        let id = guid("operation_id", &request.get_ref().operation_id)?;
        self.store.cancel_operation(id, reader).await.map_err(Error::from)?;
        let operation = self.told(id, reader).await?;
        match operation.state {
            State::Cancelled => {
                let operation = Some(message(operation));
                Ok(Response::new(pb::CancelBackgroundOperationResponse { operation }))
            }
            State::Waiting | State::Running => Err(invalid_state(
                "The background operation has begun and cannot be cancelled any more.",
            )),
            _ => {
                Err(invalid_state("The background operation has ended; nothing is left to cancel."))
            }
        }
    }
}

fn reader<T>(request: &Request<T>) -> Result<Reader, Status> {
    let caller = CallContext::of(request)?.caller;
    Ok(Reader { user: owner(&caller), administrator: caller.rights.administrator })
}

/// Whose an operation is. What somebody was answered who acts as a user is not for others who do, and of
/// what a portal's visitor was answered, other visitors with the same user are told nothing: each has an
/// id of its own, made of all that tells them apart.
fn owner(caller: &Caller) -> Uuid {
    let user = caller.user.system_user_id;
    let sender = caller.sender.as_ref().map(|it| it.system_user_id);
    if sender.is_none() && caller.user.contact.is_none() {
        return user;
    }
    let parts = [sender, caller.user.contact].map(Option::unwrap_or_default);
    let name = parts.map(Uuid::into_bytes).concat();
    Uuid::new_v5(&user, &name)
}

fn guid(field: &'static str, text: &str) -> Result<Uuid, Error> {
    Uuid::parse_str(text).map_err(|_| Error::InvalidValue { field, reason: "is no GUID" })
}

fn invalid_state(message: &str) -> Status {
    status(Code::FailedPrecondition, DOMAIN, ErrorReason::InvalidState, message, [])
}

/// What the column takes: some of it rather than nothing.
fn text(text: String) -> String {
    text.replace('\0', "\u{fffd}").chars().take(LONGEST_TEXT).collect()
}

fn outcome(it: pb::BackgroundOperationOutcome) -> Result<Outcome, Error> {
    let succeeded = match it.state() {
        Wire::Succeeded => true,
        Wire::Failed => false,
        _ => return Err(Error::InvalidValue { field: "outcome.state", reason: "is no end" }),
    };
    Ok(Outcome {
        succeeded,
        error_code: text(it.error_code),
        error_message: text(it.error_message),
        outputs: it.outputs.to_vec(),
        entity_url: text(it.entity_url),
    })
}

fn message(it: Operation) -> pb::BackgroundOperation {
    let state = match it.state {
        State::Waiting => Wire::Waiting,
        State::Running => Wire::Running,
        State::Succeeded => Wire::Succeeded,
        State::Failed => Wire::Failed,
        State::Cancelled => Wire::Cancelled,
        State::Interrupted => Wire::Interrupted,
        State::Abandoned => Wire::Abandoned,
    };
    let outcome = it.ended.map(|_| pb::BackgroundOperationOutcome {
        state: state.into(),
        error_code: it.error_code,
        error_message: it.error_message,
        outputs: it.outputs.into(),
        entity_url: it.entity_url,
    });
    pb::BackgroundOperation {
        operation_id: it.id.to_string(),
        state: state.into(),
        display_name: it.display_name,
        client_request_id: it.client_request_id,
        outcome,
        create_time: Some(it.created.into()),
        start_time: it.started.map(Into::into),
        end_time: it.ended.map(Into::into),
    }
}
