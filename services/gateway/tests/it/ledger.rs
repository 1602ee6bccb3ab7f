//! A faked store that takes writes, alone and in transactions, and remembers all that it was told.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use proto::query::v1 as pb;
use proto::query::v1::operation::Operation;
use proto::query::v1::operation_result::Result as Answer;
use proto::query::v1::transact_request::Step;
use proto::query::v1::transact_response;
use proto::query::v1::transaction_service_server::TransactionService;
use rpc::ErrorReason;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status, Streaming};
use uuid::Uuid;

use crate::fakes::refusal;

/// What a store was told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    /// Outside of transactions, with its idempotency key.
    Alone(Operation, String),
    Begin(String),
    Together(Vec<Operation>),
    Share(String),
    Apply(pb::Apply),
    Prepare(String),
    /// With the transaction's id, if it has one.
    Commit(String),
    RolledBack,
    Settle(String, pb::Decision),
    Resolve(String),
}

type Answers = dyn Fn(&Operation) -> Option<Result<Answer, Status>> + Send + Sync;

pub(crate) struct Ledger {
    /// Where the usual answer will not do.
    pub(crate) answer: Box<Answers>,
    /// Refusals of the next beginnings.
    pub(crate) refused_begins: Mutex<VecDeque<Status>>,
    /// Refusals of the next commits.
    pub(crate) refused_commits: Mutex<VecDeque<Status>>,
    /// Refusals of the next settlements.
    pub(crate) refused_settlements: Mutex<VecDeque<Status>>,
    /// What the next shares answer; nothing is shared after that.
    pub(crate) shares: Mutex<VecDeque<Vec<pb::SharedRow>>>,
    /// What the next applies answer; all is updated after that.
    pub(crate) applies: Mutex<VecDeque<Result<Vec<pb::AppliedRow>, Status>>>,
    /// Refusals of the next preparations.
    pub(crate) refused_preparations: Mutex<VecDeque<Status>>,
    /// What is applied is never answered.
    pub(crate) is_stuck: AtomicBool,
    /// How long it takes to apply something.
    pub(crate) applies_in: Duration,
    pub(crate) prepared: Mutex<Vec<pb::PreparedTransaction>>,
    pub(crate) events: watch::Sender<Vec<Event>>,
    pub(crate) recorded: Mutex<BTreeMap<String, Vec<pb::OperationResult>>>,
    pub(crate) decisions: Mutex<BTreeMap<String, pb::Decision>>,
}

/// A transaction that is open.
#[derive(Default)]
struct Open {
    key: String,
    results: Vec<pb::OperationResult>,
    ended: bool,
    /// Nobody listens any more.
    cut: bool,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            answer: Box::new(|_| None),
            refused_begins: Mutex::default(),
            refused_commits: Mutex::default(),
            refused_settlements: Mutex::default(),
            shares: Mutex::default(),
            applies: Mutex::default(),
            refused_preparations: Mutex::default(),
            is_stuck: AtomicBool::new(false),
            applies_in: Duration::ZERO,
            prepared: Mutex::default(),
            events: watch::Sender::default(),
            recorded: Mutex::default(),
            decisions: Mutex::default(),
        }
    }
}

impl Ledger {
    pub(crate) fn answering(
        answer: impl Fn(&Operation) -> Option<Result<Answer, Status>> + Send + Sync + 'static,
    ) -> Self {
        Self { answer: Box::new(answer), ..Self::default() }
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.events.borrow().clone()
    }

    /// All that was sent in transactions, in order.
    pub(crate) fn operations(&self) -> Vec<Operation> {
        let together = |it| match it {
            Event::Together(them) => them,
            Event::Alone(it, _) => vec![it],
            _ => Vec::new(),
        };
        self.events().into_iter().flat_map(together).collect()
    }

    /// Waits until the store was told such a thing.
    pub(crate) async fn told(&self, wanted: impl Fn(&Event) -> bool) {
        let mut events = self.events.subscribe();
        let heard = events.wait_for(|it| it.iter().any(&wanted));
        tokio::time::timeout(Duration::from_secs(20), heard).await.unwrap().unwrap();
    }

    fn record(&self, key: &str, results: Vec<pb::OperationResult>) {
        self.recorded.lock().unwrap().insert(key.to_owned(), results);
    }

    /// Does one thing outside of transactions.
    pub(crate) fn alone(&self, operation: Operation, key: &str) -> Result<Answer, Status> {
        let answer = self.answer_of(&operation);
        self.note(Event::Alone(operation, key.to_owned()));
        answer
    }

    fn note(&self, event: Event) {
        self.events.send_modify(|it| it.push(event));
    }

    fn answer_of(&self, operation: &Operation) -> Result<Answer, Status> {
        (self.answer)(operation).unwrap_or_else(|| usual(operation))
    }

    fn take(&self, open: &mut Open, step: Step) -> Result<transact_response::Answer, Status> {
        use transact_response::Answer as To;
        Ok(match step {
            Step::Begin(it) => {
                self.note(Event::Begin(it.idempotency_key.clone()));
                if let Some(status) = self.refused_begins.lock().unwrap().pop_front() {
                    return Err(status);
                }
                let recorded = self.recorded.lock().unwrap().get(&it.idempotency_key).cloned();
                open.ended = recorded.is_some();
                open.key = it.idempotency_key;
                let recorded = recorded.map(|results| pb::OperationResults { results });
                To::Begun(pb::Begun { recorded })
            }
            Step::Operations(it) => {
                let operations: Vec<_> =
                    it.operations.into_iter().map(|it| it.operation.unwrap()).collect();
                self.note(Event::Together(operations.clone()));
                let mut results = Vec::new();
                for (at, operation) in operations.iter().enumerate() {
                    let result = Some(self.answer_of(operation).map_err(|it| numbered(&it, at))?);
                    results.push(pb::OperationResult { result });
                }
                open.results.extend(results.clone());
                To::Results(pb::OperationResults { results })
            }
            Step::Share(it) => {
                self.note(Event::Share(it.link));
                let rows = self.shares.lock().unwrap().pop_front().unwrap_or_default();
                To::Shared(pb::Shared { rows, more: false })
            }
            Step::Apply(it) => {
                self.note(Event::Apply(it.clone()));
                let updated = |_: &pb::ApplyRow| pb::AppliedRow {
                    kind: pb::AppliedKind::Updated.into(),
                    ..Default::default()
                };
                let usual = || Ok(it.rows.iter().map(updated).collect());
                let rows = self.applies.lock().unwrap().pop_front().unwrap_or_else(usual)?;
                To::Applied(pb::Applied { rows })
            }
            Step::Hold(_) => return Err(Status::unimplemented("not for the gateway")),
            Step::Prepare(it) => {
                self.note(Event::Prepare(it.transaction_id));
                self.nothing_left(&it.nothing_left_of_link)?;
                if let Some(status) = self.refused_preparations.lock().unwrap().pop_front() {
                    return Err(status);
                }
                self.end(open);
                To::Prepared(pb::Prepared {})
            }
            Step::Commit(it) => {
                self.note(Event::Commit(it.transaction_id.clone()));
                self.nothing_left(&it.nothing_left_of_link)?;
                if let Some(status) = self.refused_commits.lock().unwrap().pop_front() {
                    return Err(status);
                }
                if !it.transaction_id.is_empty() {
                    let mut decisions = self.decisions.lock().unwrap();
                    decisions.insert(it.transaction_id, pb::Decision::Commit);
                }
                self.end(open);
                To::Committed(pb::Committed {})
            }
        })
    }

    /// Refuses where something is left to share.
    fn nothing_left(&self, link: &str) -> Result<(), Status> {
        let left = self.shares.lock().unwrap().front().is_some_and(|it| !it.is_empty());
        if link.is_empty() || !left {
            return Ok(());
        }
        let reason = rpc::ErrorReason::UnsharedChanges;
        Err(rpc::status(tonic::Code::Aborted, "query", reason, "there is more", []))
    }

    fn end(&self, open: &mut Open) {
        open.ended = true;
        if !open.key.is_empty() {
            self.record(&open.key, std::mem::take(&mut open.results));
        }
    }
}

/// As stores answer that have every row that they are asked for.
fn usual(operation: &Operation) -> Result<Answer, Status> {
    let id = |it: &bytes::Bytes| match it.is_empty() {
        true => bytes::Bytes::copy_from_slice(Uuid::from_u128(0xC0).as_bytes()),
        false => it.clone(),
    };
    let of = |key: &Option<pb::RecordKey>| match key.as_ref().and_then(|it| it.key.as_ref()) {
        Some(pb::record_key::Key::RecordId(it)) => it.clone(),
        _ => id(&bytes::Bytes::new()),
    };
    let etag = "W/\"1\"".to_owned();
    Ok(match operation {
        Operation::Create(it) => {
            Answer::Create(pb::CreateResponse { record_id: id(&it.record_id), etag })
        }
        Operation::Update(it) => {
            Answer::Update(pb::UpdateResponse { record_id: of(&it.key), etag })
        }
        Operation::Upsert(it) => {
            let record_id = of(&it.key);
            Answer::Upsert(pb::UpsertResponse { record_id, etag, created: true })
        }
        Operation::Delete(_) => Answer::Delete(pb::DeleteResponse {}),
        Operation::PerformAction(_) => {
            Answer::PerformAction(pb::PerformActionResponse { result: None })
        }
        Operation::Retrieve(_) => {
            return Err(refusal(Code::NotFound, ErrorReason::RecordNotFound));
        }
    })
}

/// With the number of the operation, as services say it.
fn numbered(status: &Status, at: usize) -> Status {
    use tonic_types::StatusExt as _;
    let mut details = status.get_error_details();
    let info = details.error_info().unwrap().clone();
    let mut metadata = info.metadata;
    metadata.insert("operation".into(), at.to_string());
    details.set_error_info(info.reason, info.domain, metadata);
    Status::with_error_details(status.code(), status.message(), details)
}

/// What is shared comes in as many messages as it needs.
fn in_parts(
    answer: Result<transact_response::Answer, Status>,
) -> Vec<Result<transact_response::Answer, Status>> {
    use transact_response::Answer as To;
    match answer {
        Ok(To::Shared(shared)) if !shared.rows.is_empty() => {
            let parts: Vec<_> = rpc::parts(shared.rows).collect();
            let last = parts.len() - 1;
            let part = |(at, rows)| Ok(To::Shared(pb::Shared { rows, more: at < last }));
            parts.into_iter().enumerate().map(part).collect()
        }
        answer => vec![answer],
    }
}

/// Serves a ledger's transactions.
pub(crate) struct Transactions(pub(crate) Arc<Ledger>);

#[tonic::async_trait]
impl TransactionService for Transactions {
    type TransactStream = BoxStream<'static, Result<pb::TransactResponse, Status>>;

    async fn transact(
        &self,
        request: Request<Streaming<pb::TransactRequest>>,
    ) -> Result<Response<Self::TransactStream>, Status> {
        rpc::CallContext::of(&request)?;
        let (ledger, mut requests) = (Arc::clone(&self.0), request.into_inner());
        let (answers, received) = mpsc::channel(1);
        tokio::spawn(async move {
            let mut open = Open::default();
            while let Ok(Some(pb::TransactRequest { step: Some(step) })) = requests.message().await
            {
                let applies = matches!(step, Step::Apply(_));
                let answer = ledger.take(&mut open, step);
                if applies && ledger.is_stuck.load(Ordering::Relaxed) {
                    answers.closed().await;
                    break;
                }
                if applies {
                    tokio::time::sleep(ledger.applies_in).await;
                }
                let failed = answer.is_err();
                for answer in in_parts(answer) {
                    let answer = answer.map(|it| pb::TransactResponse { answer: Some(it) });
                    if answers.send(answer).await.is_err() {
                        open.cut = true;
                    }
                }
                if failed || open.cut {
                    break;
                }
            }
            if !open.ended {
                ledger.note(Event::RolledBack);
            }
        });
        Ok(Response::new(ReceiverStream::new(received).boxed()))
    }

    async fn settle_transaction(
        &self,
        request: Request<pb::SettleTransactionRequest>,
    ) -> Result<Response<pb::SettleTransactionResponse>, Status> {
        let request = request.into_inner();
        let decision = request.decision();
        if let Some(status) = self.0.refused_settlements.lock().unwrap().pop_front() {
            return Err(status);
        }
        let id = &request.transaction_id;
        self.0.prepared.lock().unwrap().retain(|it| it.transaction_id != *id);
        self.0.note(Event::Settle(request.transaction_id, decision));
        Ok(Response::new(pb::SettleTransactionResponse {}))
    }

    async fn resolve_decision(
        &self,
        request: Request<pb::ResolveDecisionRequest>,
    ) -> Result<Response<pb::ResolveDecisionResponse>, Status> {
        let id = request.into_inner().transaction_id;
        self.0.note(Event::Resolve(id.clone()));
        let mut decisions = self.0.decisions.lock().unwrap();
        let decision = *decisions.entry(id).or_insert(pb::Decision::Abort);
        Ok(Response::new(pb::ResolveDecisionResponse { decision: decision.into() }))
    }

    async fn list_prepared_transactions(
        &self,
        _: Request<pb::ListPreparedTransactionsRequest>,
    ) -> Result<Response<pb::ListPreparedTransactionsResponse>, Status> {
        let transactions = self.0.prepared.lock().unwrap().clone();
        Ok(Response::new(pb::ListPreparedTransactionsResponse {
            transactions,
            ..Default::default()
        }))
    }
}
