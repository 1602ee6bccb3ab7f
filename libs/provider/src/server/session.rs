//! One transaction, as long as its stream. Whatever ends the stream before its last step drops the
//! transaction, which then was never there: an error, a deadline, a client that went away.

use std::collections::VecDeque;
use std::time::Duration;

use commit::idempotency;
use futures::stream::{self, BoxStream, StreamExt as _};
use proto::query::v1 as pb;
use proto::query::v1::transact_request::Step;
use proto::query::v1::transact_response::Answer;
use rpc::{CallContext, ErrorReason, status};
use tonic::{Code, Status, Streaming};

use super::Server;
use super::once::Recorded;
use super::status::of_operation;
use crate::transaction::Transaction;

/// A client that says nothing for so long holds locks for nothing.
const IDLE: Duration = Duration::from_secs(15);
/// Most operations of one transaction.
const MAX_OPERATIONS: usize = 5_000;

pub(super) type Answers = BoxStream<'static, Result<pb::TransactResponse, Status>>;

/// Who is at the other end of the stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    pub(super) is_dual_write: bool,
    /// A user stands behind it.
    pub(super) is_user: bool,
}

struct Session {
    server: Server,
    context: CallContext,
    peer: Peer,
    requests: Streaming<pb::TransactRequest>,
    state: State,
    /// Of what was shared, in the parts in which it is told.
    untold: VecDeque<Vec<pb::SharedRow>>,
}

enum State {
    New,
    Open(Box<Open>),
    /// It was done before: nothing follows.
    Recorded,
    Ended,
}

struct Open {
    transaction: Transaction,
    operations: usize,
    /// The request, and its answer as far as it got.
    once: Option<(idempotency::Request, Recorded)>,
}

/// Answers each message, as the contract says. The stream is the one that works: dropping it drops the transaction.
pub(super) fn answers(
    server: Server,
    context: CallContext,
    peer: Peer,
    requests: Streaming<pb::TransactRequest>,
) -> Answers {
    let (state, untold) = (State::New, VecDeque::new());
    let session = Session { server, context, peer, requests, state, untold };
    stream::try_unfold(session, Session::next).boxed()
}

// === impl Session ===

impl Session {
    async fn next(mut self) -> Result<Option<(pb::TransactResponse, Self)>, Status> {
        if matches!(self.state, State::Ended) {
            return Ok(None);
        }
        if !self.untold.is_empty() {
            let answer = Some(Answer::Shared(self.next_part()));
            return Ok(Some((pb::TransactResponse { answer }, self)));
        }
        let Some(request) = self.receive().await? else {
            if let State::Open(open) = self.state {
                // Left in peace: the connection is as good as before.
                open.transaction.rollback().await;
            }
            return Ok(None);
        };
        let (server, context) = (self.server.clone(), self.context.clone());
        let answer = server.within(&context, Box::pin(self.answer(request.step))).await?;
        Ok(Some((pb::TransactResponse { answer: Some(answer) }, self)))
    }

    async fn receive(&mut self) -> Result<Option<pb::TransactRequest>, Status> {
        let patience = self.context.remaining().min(IDLE);
        match tokio::time::timeout(patience, self.requests.message()).await {
            Ok(received) => received,
            Err(_) => Err(self.server.too_late("the transaction was left open for too long")),
        }
    }

    async fn answer(&mut self, step: Option<Step>) -> Result<Answer, Status> {
        let server = self.server.clone();
        let state = std::mem::replace(&mut self.state, State::Ended);
        match (state, step) {
            (State::New, Some(Step::Begin(begin))) => self.begin(begin).await.map(Answer::Begun),
            (State::New, _) => {
                Err(server.invalid_state("a transaction starts with `begin`", "new"))
            }
            (State::Open(_), Some(Step::Operations(_))) if !self.peer.is_user => Err(no_user()),
            (State::Open(_), Some(Step::Hold(_))) if !self.peer.is_dual_write => {
                Err(server.not_supported("hold rows for this service"))
            }
            (State::Open(open), Some(step @ (Step::Share(_) | Step::Hold(_) | Step::Apply(_)))) => {
                self.share(open, step).await
            }
            (State::Open(mut open), Some(Step::Operations(operations))) => {
                match open.run(&server, operations).await {
                    Ok(results) => {
                        self.state = State::Open(open);
                        Ok(Answer::Results(results))
                    }
                    Err(refused) => {
                        open.transaction.rollback().await;
                        Err(refused)
                    }
                }
            }
            (State::Open(open), Some(Step::Prepare(prepare))) => {
                let id = server.transaction_id(&prepare.transaction_id)?;
                let transaction = open.close(&server).await?;
                let part = (id, prepare.nothing_left_of_link.as_str());
                server.prepare_transaction(transaction, part).await?;
                Ok(Answer::Prepared(pb::Prepared {}))
            }
            (State::Open(open), Some(Step::Commit(commit))) => {
                let id = match commit.transaction_id.as_str() {
                    "" => None,
                    text => Some(server.transaction_id(text)?),
                };
                let transaction = open.close(&server).await?;
                match id {
                    Some(id) => {
                        let part = (id, commit.nothing_left_of_link.as_str());
                        server.commit_deciding(transaction, part).await?;
                    }
                    None => server.commit_transaction(transaction).await?,
                }
                Ok(Answer::Committed(pb::Committed {}))
            }
            (State::Open(_), Some(Step::Begin(_))) => {
                Err(server.invalid_state("the transaction was begun before", "open"))
            }
            (State::Open(_), None) => Err(server.invalid_state("the message has no step", "open")),
            (State::Recorded, _) => {
                Err(server.invalid_state("the transaction was done before", "recorded"))
            }
            (State::Ended, _) => Err(server.invalid_state("the transaction has ended", "ended")),
        }
    }

    /// A step of dual-write.
    async fn share(&mut self, mut open: Box<Open>, step: Step) -> Result<Answer, Status> {
        let authority = self.server.authority.as_ref();
        let transaction = &mut open.transaction;
        let taken = match step {
            Step::Share(it) => transaction.share(authority, it).await.map(Answer::Shared),
            Step::Hold(it) => transaction.hold(authority, it).await.map(Answer::Held),
            Step::Apply(it) => transaction.apply(authority, it).await.map(Answer::Applied),
            _ => Err(self.server.invalid_state("this is no step of dual-write", "open")),
        };
        match taken {
            Ok(answer) => {
                self.state = State::Open(open);
                let Answer::Shared(shared) = answer else { return Ok(answer) };
                self.untold = rpc::parts(shared.rows).collect();
                Ok(Answer::Shared(self.next_part()))
            }
            Err(refused) => {
                open.transaction.rollback().await;
                Err(refused)
            }
        }
    }

    fn next_part(&mut self) -> pb::Shared {
        let rows = self.untold.pop_front().unwrap_or_default();
        pb::Shared { rows, more: !self.untold.is_empty() }
    }

    async fn begin(&mut self, begin: pb::Begin) -> Result<pb::Begun, Status> {
        let server = &self.server;
        server.check_ready()?;
        if begin.idempotency_key.is_empty() {
            let transaction = server.begin(&self.context).await?;
            self.state = State::Open(Box::new(Open::new(transaction, None)));
            return Ok(pb::Begun { recorded: None });
        }
        let digest = begin.request_digest.to_vec();
        let request = server.once(&self.context, begin.idempotency_key, digest)?;
        server.ensure_schema().await?;
        let mut transaction = server.begin(&self.context).await?;
        let recorded = server.recorded(&self.context, &mut transaction, &request).await?;
        self.state = match recorded {
            Some(_) => {
                transaction.rollback().await;
                State::Recorded
            }
            None => {
                let once = Some((request, Recorded::default()));
                State::Open(Box::new(Open::new(transaction, once)))
            }
        };
        Ok(pb::Begun { recorded })
    }
}

// === impl Open ===

impl Open {
    fn new(transaction: Transaction, once: Option<(idempotency::Request, Recorded)>) -> Self {
        Self { transaction, operations: 0, once }
    }

    async fn run(
        &mut self,
        server: &Server,
        operations: pb::Operations,
    ) -> Result<pb::OperationResults, Status> {
        self.operations = self.operations.saturating_add(operations.operations.len());
        if self.operations > MAX_OPERATIONS {
            return Err(too_many(server, self.operations));
        }
        let mut results = Vec::with_capacity(operations.operations.len());
        for (index, operation) in operations.operations.into_iter().enumerate() {
            if let Some((_, recorded)) = &mut self.once {
                recorded.add_operation(&operation);
            }
            let done = server.execute(&mut self.transaction, operation).await;
            results.push(done.map_err(|refused| of_operation(refused, index))?);
        }
        if let Some((_, answer)) = &mut self.once {
            answer.results.extend_from_slice(&results);
        }
        Ok(pb::OperationResults { results })
    }

    /// The last thing in the transaction, before what it is a part of, is what it answered.
    async fn close(mut self, server: &Server) -> Result<Transaction, Status> {
        if let Some((request, answer)) = &self.once {
            server.record(&mut self.transaction, request, answer).await?;
        }
        Ok(self.transaction)
    }
}

fn no_user() -> Status {
    let message = "operations are done on behalf of a user; send the caller's assertion";
    status(Code::Unauthenticated, "rpc", ErrorReason::NoCaller, message, [])
}

fn too_many(server: &Server, actual: usize) -> Status {
    let (allowed, actual) = (MAX_OPERATIONS.to_string(), actual.to_string());
    let metadata =
        [("limit", "operations"), ("allowed", allowed.as_str()), ("actual", actual.as_str())];
    let message = format!("a transaction has at most {allowed} operations");
    let reason = ErrorReason::LimitExceeded;
    status(Code::FailedPrecondition, server.domain(), reason, message, metadata)
}
