//! Actions that are services which the ERP's owner writes (docs/how-to-write-business-logic.md).
//!
//! Such a service is told by whom it is called, as every service is, and gets no user's assertion: what it
//! reads and writes, it asks of Tombolo, which does it in the action's transaction, as the user who runs
//! the action.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use proto::business_logic::v1 as logic;
use proto::business_logic::v1::business_logic_service_client::BusinessLogicServiceClient;
use proto::business_logic::v1::perform_action_request::Step as Asked;
use proto::business_logic::v1::perform_action_response::Step as Answer;
use proto::query::v1 as pb;
use proto::query::v1::operation::Operation;
use proto::query::v1::value::Kind;
use rpc::{Channel, ConnectError, ServiceIdentity};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Status, Streaming};

use super::{Refusal, Run, parameters};
use crate::authority::Authority;
use crate::error::Error;
use crate::transaction::Transaction;

/// Operations that one run of an action asks for at most; a message without any counts as one.
const MAX_OPERATIONS: usize = 1_000;
const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;

/// The business-logic services that there are, by the name that models call them. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct BusinessLogic {
    services: Arc<HashMap<String, Channel>>,
}

/// An address that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("business-logic service `{name}`: {source}")]
pub struct InvalidAddress {
    name: String,
    source: ConnectError,
}

/// One run of an action by a service.
struct Conversation<'a> {
    /// Its name.
    service: &'a str,
    to: mpsc::Sender<logic::PerformActionRequest>,
    from: Streaming<logic::PerformActionResponse>,
    operations: usize,
}

impl BusinessLogic {
    /// Services by name, each at `http://HOST:PORT`, or `https://HOST:PORT` where services show
    /// certificates; `identity` is whom they are called by. Connects when first needed, and again whenever
    /// a connection is lost.
    ///
    /// # Errors
    ///
    /// When an address cannot be used.
    pub fn new(
        addresses: &BTreeMap<String, String>,
        identity: &ServiceIdentity,
    ) -> Result<Self, InvalidAddress> {
        let channel = |(name, address): (&String, &String)| {
            let channel = Channel::tcp(address, name, identity);
            let channel =
                channel.map_err(|source| InvalidAddress { name: name.clone(), source })?;
            Ok((name.clone(), channel))
        };
        let services = addresses.iter().map(channel).collect::<Result<_, _>>()?;
        Ok(Self { services: Arc::new(services) })
    }
}

/// Has the service run the action, and does what it asks for in the transaction.
pub(super) async fn call(
    transaction: &mut Transaction,
    run: Run<'_>,
    service: &str,
) -> Result<Option<pb::Value>, Error> {
    let deadline = transaction.deadline();
    let talk = async {
        let authority = run.authority;
        let result = run.action.result;
        let mut conversation = Conversation::open(transaction, run, service).await?;
        let returned = conversation.run(transaction, authority).await?;
        let fits = match (&returned, result) {
            (None, None) => true,
            (Some(pb::Value { kind: Some(Kind::NullValue(_)) }), Some(_)) => true,
            (Some(value), Some(expected)) => parameters::argument(expected, value).is_some(),
            (None, Some(_)) | (Some(_), None) => false,
        };
        match fits {
            true => Ok(returned),
            false => Err(failed(service, "it did not return what the model says")),
        }
    };
    let answer = tokio::time::timeout_at(deadline.into(), talk).await;
    answer.unwrap_or(Err(Error::DeadlineExceeded))
}

impl<'a> Conversation<'a> {
    async fn open(
        transaction: &Transaction,
        run: Run<'_>,
        service: &'a str,
    ) -> Result<Self, Error> {
        let channel = transaction.business_logic().services.get(service).cloned();
        let channel = channel.ok_or_else(|| Refusal::ServiceUnknown(service.to_owned()))?;
        let (to, queue) = mpsc::channel(1);
        let first = begin(transaction, run);
        // The queue is empty, and its other end is in our hands.
        to.try_send(first).map_err(|_| failed(service, "the first message could not be sent"))?;
        let mut request = Request::new(ReceiverStream::new(queue));
        request.set_timeout(transaction.deadline().saturating_duration_since(Instant::now()));
        let mut client =
            BusinessLogicServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
        let from = client.perform_action(request).await;
        let from = from.map_err(|status| refused(service, &status))?.into_inner();
        Ok(Self { service, to, from, operations: 0 })
    }

    /// Until the service returns.
    async fn run(
        &mut self,
        transaction: &mut Transaction,
        authority: &dyn Authority,
    ) -> Result<Option<pb::Value>, Error> {
        loop {
            let message = self.from.message().await;
            let message = message.map_err(|status| refused(self.service, &status))?;
            let ended = || failed(self.service, "it ended without a return");
            match message.ok_or_else(ended)?.step {
                Some(Answer::Return(it)) => return Ok(it.result),
                Some(Answer::Operations(asked)) => {
                    let results = self.execute(transaction, authority, asked).await?;
                    let step = Some(Asked::Results(pb::OperationResults { results }));
                    let sent = self.to.send(logic::PerformActionRequest { step }).await;
                    // It does not listen any more; what it has to say comes next.
                    let _ = sent;
                }
                None => return Err(failed(self.service, "it sent a message without a step")),
            }
        }
    }

    async fn execute(
        &mut self,
        transaction: &mut Transaction,
        authority: &dyn Authority,
        asked: pb::Operations,
    ) -> Result<Vec<pb::OperationResult>, Error> {
        self.operations += asked.operations.len().max(1);
        if self.operations > MAX_OPERATIONS {
            return Err(failed(self.service, "it asked for too many operations"));
        }
        let mut results = Vec::with_capacity(asked.operations.len());
        for operation in asked.operations {
            if let Some(Operation::PerformAction(_)) = operation.operation {
                return Err(failed(self.service, "an action cannot run another action"));
            }
            // Boxed, because executing an operation is what leads here.
            results.push(Box::pin(transaction.execute(authority, operation)).await?);
        }
        Ok(results)
    }
}

fn begin(transaction: &Transaction, run: Run<'_>) -> logic::PerformActionRequest {
    let Run { grants, action, parameters, row, .. } = run;
    let parameters = action.parameters.iter().zip(parameters).filter_map(|(parameter, value)| {
        Some(pb::FieldValue { field: parameter.name.clone(), value: Some(value?) })
    });
    let parameters = parameters.collect();
    let (record_id, row) = match row {
        Some(row) => (row.id.as_bytes().to_vec().into(), row.values),
        None => Default::default(),
    };
    let step = Some(Asked::Run(logic::RunAction {
        entity_name: grants.root().binding().name().to_owned(),
        action: action.name.clone(),
        record_id,
        row,
        parameters,
        erp_user: transaction.caller().user.erp_user.clone(),
    }));
    logic::PerformActionRequest { step }
}

/// What the service's status means to the caller.
fn refused(service: &str, status: &Status) -> Error {
    match status.code() {
        Code::FailedPrecondition | Code::InvalidArgument => {
            Refusal::Rule(status.message().to_owned()).into()
        }
        Code::DeadlineExceeded | Code::Cancelled => Error::DeadlineExceeded,
        // A connection that broke says so by its cause, not by its code.
        code if code == Code::Unavailable || std::error::Error::source(status).is_some() => {
            tracing::warn!(service, %status, "a business-logic service does not answer");
            Refusal::ServiceUnavailable(service.to_owned()).into()
        }
        _ => failed(service, &status.to_string()),
    }
}

/// `why` is for its author, who reads the log.
fn failed(service: &str, why: &str) -> Error {
    tracing::error!(service, why, "a business-logic service failed");
    Refusal::ServiceFailed(service.to_owned()).into()
}
