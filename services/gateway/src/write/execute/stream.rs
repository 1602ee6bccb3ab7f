//! One transaction of one store: as long as the stream, and gone with it.

use std::time::{Duration, Instant};

use prost::Message as _;
use proto::query::v1 as pb;
use proto::query::v1::transact_request::Step;
use proto::query::v1::transact_response::Answer;
use rpc::ErrorReason;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use super::super::change_set::Once;
use crate::providers::{Call, Providers, Store, within};

/// Messages that travel without waiting for the answers of those before: the beginning, rows, what they share, and the
/// end. Within a process nobody takes them before an answer is waited for, so that no more may be sent.
const MOST_ON_THE_WAY: usize = 4;

const WORD_EVERY: Duration = Duration::from_secs(5);

/// What a transaction changed is kept up to this size, far above what dual-write takes.
const MOST_SHARED: usize = 256 << 20;

/// An open transaction. Dropped, it leaves nothing behind.
#[derive(Debug)]
pub(super) struct Transaction {
    requests: mpsc::Sender<pb::TransactRequest>,
    answers: Streaming<pb::TransactResponse>,
    deadline: Instant,
    /// Nobody has heard yet that it was begun.
    beginning: bool,
}

/// What a transaction is a part of.
#[derive(Clone, Debug, Default)]
pub(super) struct Part {
    /// Empty: of nothing.
    pub(super) transaction_id: String,
    /// It ends only if its store's rules made nothing of it that is still to be shared; empty: it ends.
    pub(super) nothing_left_of_link: String,
}

/// What opening one came to.
#[derive(Debug)]
pub(super) enum Opened {
    Fresh(Box<Transaction>),
    /// All of it was done before, with these results.
    Recorded(Vec<pb::OperationResult>),
}

impl Transaction {
    /// What is asked of it is to be done by the call's deadline; the store keeps it open until `latest`, for
    /// [`Self::wait_until`]. What is asked travels behind the beginning, which is not waited for.
    pub(super) async fn begin(
        providers: &Providers,
        time: (Call<'_>, Instant),
        store: Store,
    ) -> Result<Box<Self>, Status> {
        Self::start(providers, time, store, pb::Begin::default()).await
    }

    /// [`Self::begin`], unless all of it was done before.
    pub(super) async fn once(
        providers: &Providers,
        time: (Call<'_>, Instant),
        store: Store,
        once: &Once,
    ) -> Result<Opened, Status> {
        let (key, digest) = (once.key.clone(), once.digest.to_vec().into());
        let begin = pb::Begin { idempotency_key: key, request_digest: digest };
        let mut transaction = Self::start(providers, time, store, begin).await?;
        match transaction.next_answer().await? {
            Answer::Begun(pb::Begun { recorded: Some(it) }) => Ok(Opened::Recorded(it.results)),
            Answer::Begun(pb::Begun { recorded: None }) => {
                transaction.beginning = false;
                Ok(Opened::Fresh(transaction))
            }
            _ => Err(unexpected()),
        }
    }

    async fn start(
        providers: &Providers,
        (call, latest): (Call<'_>, Instant),
        store: Store,
        begin: pb::Begin,
    ) -> Result<Box<Self>, Status> {
        let (requests, received) = mpsc::channel(MOST_ON_THE_WAY);
        let step = Some(Step::Begin(begin));
        // The receiver is right here.
        let _ = requests.try_send(pb::TransactRequest { step });
        let longest = Call { deadline: latest, ..call };
        let request = longest.request(store, ReceiverStream::new(received))?;
        let mut client = providers.transactions(store);
        let answers = within(call.deadline, client.transact(request)).await?.into_inner();
        let (deadline, beginning) = (call.deadline, true);
        Ok(Box::new(Self { requests, answers, deadline, beginning }))
    }

    /// Its store has opened it.
    pub(super) async fn begun(&mut self) -> Result<(), Status> {
        if self.beginning {
            match self.next_answer().await? {
                Answer::Begun(pb::Begun { recorded: None }) => self.beginning = false,
                _ => return Err(unexpected()),
            }
        }
        Ok(())
    }

    /// From here on, what is asked is to be done by then.
    pub(super) fn wait_until(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    /// It was refused as such, and not what was asked in it.
    pub(super) fn never_began(&self) -> bool {
        self.beginning
    }

    pub(super) async fn operate(
        &mut self,
        operations: Vec<pb::Operation>,
    ) -> Result<Vec<pb::OperationResult>, Status> {
        let sent = operations.len();
        match self.ask(Step::Operations(pb::Operations { operations })).await? {
            Answer::Results(it) if it.results.len() == sent => Ok(it.results),
            _ => Err(unexpected()),
        }
    }

    /// [`Self::operate`] with [`Self::share`] right behind it.
    pub(super) async fn operate_and_share(
        &mut self,
        operations: Vec<pb::Operation>,
        link: &str,
    ) -> Result<(Vec<pb::OperationResult>, Result<Vec<pb::SharedRow>, Status>), Status> {
        let sent = operations.len();
        self.send(Step::Operations(pb::Operations { operations })).await;
        self.send(Step::Share(pb::Share { link: link.to_owned() })).await;
        let results = match self.answer().await? {
            Answer::Results(it) if it.results.len() == sent => it.results,
            _ => return Err(unexpected()),
        };
        Ok((results, self.shared().await))
    }

    /// What it changed of shared rows since it was last asked.
    pub(super) async fn share(&mut self, link: &str) -> Result<Vec<pb::SharedRow>, Status> {
        self.send(Step::Share(pb::Share { link: link.to_owned() })).await;
        self.shared().await
    }

    /// Writes what the other side has, in as many messages as it needs; one answer for each row. With a link, also
    /// what the store's own rules made of it. `how` is the step without its rows.
    pub(super) async fn apply(
        &mut self,
        rows: &[pb::ApplyRow],
        how: pb::Apply,
        link: Option<&str>,
    ) -> Result<(Vec<pb::AppliedRow>, Vec<pb::SharedRow>), Status> {
        self.apply_before(rows, how, (link, None)).await
    }

    /// [`Self::apply`], with a step right behind it whose answer is not waited for.
    async fn apply_before(
        &mut self,
        mut rows: &[pb::ApplyRow],
        how: pb::Apply,
        (link, mut behind): (Option<&str>, Option<Step>),
    ) -> Result<(Vec<pb::AppliedRow>, Vec<pb::SharedRow>), Status> {
        let mut applied = Vec::with_capacity(rows.len());
        while !rows.is_empty() {
            let (part, rest) = rows.split_at(rpc::first_part(rows));
            self.send(Step::Apply(pb::Apply { rows: part.to_vec(), ..how.clone() })).await;
            if let Some(link) = link.filter(|_| rest.is_empty()) {
                self.send(Step::Share(pb::Share { link: link.to_owned() })).await;
            }
            if let Some(behind) = behind.take_if(|_| rest.is_empty()) {
                self.send(behind).await;
            }
            let answer = self.answer().await;
            match answer.map_err(|it| rpc::counted_from(applied.len(), it))? {
                Answer::Applied(it) if it.rows.len() == part.len() => applied.extend(it.rows),
                _ => return Err(unexpected()),
            }
            rows = rest;
        }
        let shared = match link {
            Some(_) => self.shared().await?,
            None => Vec::new(),
        };
        Ok((applied, shared))
    }

    /// Does the work while this transaction waits, which its store lets none do for long without a word.
    pub(super) async fn meanwhile<T>(
        &mut self,
        work: impl Future<Output = T>,
    ) -> Result<T, Status> {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Ok(done),
                () = tokio::time::sleep(WORD_EVERY) => self.operate(Vec::new()).await.map(drop)?,
            }
        }
    }

    /// [`Self::apply`] with [`Self::prepare`] right behind it, which refuses where the store's rules made more of the rows.
    pub(super) async fn apply_and_prepare(
        mut self,
        rows: &[pb::ApplyRow],
        how: pb::Apply,
        part: Part,
    ) -> Result<(), Status> {
        self.apply_before(rows, how, (None, Some(part.prepare()))).await?;
        match self.answer().await? {
            Answer::Prepared(_) => Ok(()),
            _ => Err(unexpected()),
        }
    }

    pub(super) async fn prepare(mut self, part: Part) -> Result<(), Status> {
        match self.ask(part.prepare()).await? {
            Answer::Prepared(_) => Ok(()),
            _ => Err(unexpected()),
        }
    }

    /// With the decision record of this part; by itself where it is none.
    pub(super) async fn commit(mut self, part: Part) -> Result<(), Status> {
        let Part { transaction_id, nothing_left_of_link } = part;
        match self.ask(Step::Commit(pb::Commit { transaction_id, nothing_left_of_link })).await? {
            Answer::Committed(_) => Ok(()),
            _ => Err(unexpected()),
        }
    }

    /// Undoes it. Its store is left to end it in peace, and keeps the connection.
    pub(super) fn leave(self) {
        let Self { requests, mut answers, .. } = self;
        drop(requests);
        tokio::spawn(tokio::time::timeout(WORD_EVERY, async move { answers.message().await }));
    }

    async fn shared(&mut self) -> Result<Vec<pb::SharedRow>, Status> {
        let (mut shared, mut bytes) = (Vec::new(), 0_usize);
        loop {
            let Answer::Shared(pb::Shared { rows, more }) = self.answer().await? else {
                return Err(unexpected());
            };
            bytes = bytes.saturating_add(rows.iter().map(pb::SharedRow::encoded_len).sum());
            match bytes > MOST_SHARED {
                true => shared.clear(),
                false => shared.extend(rows),
            }
            if !more {
                return if bytes > MOST_SHARED { Err(too_large(bytes)) } else { Ok(shared) };
            }
        }
    }

    async fn ask(&mut self, step: Step) -> Result<Answer, Status> {
        self.send(step).await;
        self.answer().await
    }

    async fn send(&mut self, step: Step) {
        // Where the other end is gone already, its answer says why.
        let _ = self.requests.send(pb::TransactRequest { step: Some(step) }).await;
    }

    async fn answer(&mut self) -> Result<Answer, Status> {
        self.begun().await?;
        self.next_answer().await
    }

    async fn next_answer(&mut self) -> Result<Answer, Status> {
        let message = within(self.deadline, self.answers.message()).await?;
        message.and_then(|it| it.answer).ok_or_else(unexpected)
    }
}

impl Part {
    /// Of this transaction, whatever is left to share.
    pub(super) fn of(transaction_id: &str) -> Self {
        Self { transaction_id: transaction_id.to_owned(), ..Self::default() }
    }

    fn prepare(self) -> Step {
        let Self { transaction_id, nothing_left_of_link } = self;
        Step::Prepare(pb::Prepare { transaction_id, nothing_left_of_link })
    }
}

fn too_large(bytes: usize) -> Status {
    let actual = bytes.to_string();
    let metadata = [("limit", "bytes"), ("actual", actual.as_str())];
    let (reason, message) = (ErrorReason::LimitExceeded, "the transaction changes too much");
    rpc::status(Code::ResourceExhausted, "gateway", reason, message, metadata)
}

fn unexpected() -> Status {
    Status::internal("a transaction was answered with something else than was asked")
}
