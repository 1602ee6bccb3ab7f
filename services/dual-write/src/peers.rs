//! The ways to both sides, and transactions on them.

use std::time::{Duration, Instant};

use proto::dual_write::v1::Side;
use proto::query::v1 as pb;
use proto::query::v1::sharing_service_client::SharingServiceClient;
use proto::query::v1::transact_request::Step;
use proto::query::v1::transact_response::Answer;
use proto::query::v1::transaction_service_client::TransactionServiceClient;
use rpc::Channel;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status, Streaming};

/// Images of some thousands of rows.
const MAX_MESSAGE_BYTES: usize = 64 << 20;
/// For a question that is no transaction.
const ANSWER: Duration = Duration::from_secs(30);

/// Ways to the services that dual-write calls.
#[derive(Clone, Debug)]
pub struct Clients {
    /// Rows of the ERP.
    pub query: Channel,
    /// Rows of the platform, and what its tables look like.
    pub organization: Channel,
    /// What the ERP's entities look like.
    pub catalog: Channel,
    /// Who there is.
    pub user_context: Channel,
}

/// Both sides.
#[derive(Clone, Debug)]
pub(crate) struct Sides {
    finance_and_operations: SideClient,
    platform: SideClient,
}

/// One of them.
#[derive(Clone, Debug)]
pub(crate) struct SideClient {
    sharing: SharingServiceClient<Channel>,
    transactions: TransactionServiceClient<Channel>,
}

/// A transaction of one side, on behalf of nobody but dual-write. Dropped, it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct SideTransaction {
    requests: mpsc::Sender<pb::TransactRequest>,
    answers: Streaming<pb::TransactResponse>,
    deadline: Instant,
}

/// The side that is not this one.
pub(crate) fn other(side: Side) -> Side {
    match side {
        Side::FinanceAndOperations => Side::Platform,
        Side::Platform | Side::Unspecified => Side::FinanceAndOperations,
    }
}

// === impl Sides ===

impl Sides {
    pub(crate) fn new(clients: &Clients) -> Self {
        Self {
            finance_and_operations: SideClient::new(&clients.query),
            platform: SideClient::new(&clients.organization),
        }
    }

    pub(crate) fn of(&self, side: Side) -> &SideClient {
        match side {
            Side::FinanceAndOperations => &self.finance_and_operations,
            Side::Platform | Side::Unspecified => &self.platform,
        }
    }
}

// === impl SideClient ===

impl SideClient {
    fn new(channel: &Channel) -> Self {
        let sharing = SharingServiceClient::new(channel.clone());
        let transactions = TransactionServiceClient::new(channel.clone());
        Self {
            sharing: sharing.max_decoding_message_size(MAX_MESSAGE_BYTES),
            transactions: transactions.max_decoding_message_size(rpc::LARGEST_MESSAGE_BYTES),
        }
    }

    /// For questions. Messages go through [`asked`].
    pub(crate) fn sharing(&self) -> SharingServiceClient<Channel> {
        self.sharing.clone()
    }

    /// Opens a transaction that is given up at `deadline`.
    pub(crate) async fn begin(&self, deadline: Instant) -> Result<SideTransaction, Status> {
        let (requests, received) = mpsc::channel(1);
        let step = Some(Step::Begin(pb::Begin::default()));
        // The receiver is right here.
        let _ = requests.try_send(pb::TransactRequest { step });
        let mut request = Request::new(ReceiverStream::new(received));
        request.set_timeout(deadline.saturating_duration_since(Instant::now()));
        let mut client = self.transactions.clone();
        let answers = within(deadline, client.transact(request)).await?.into_inner();
        let mut transaction = SideTransaction { requests, answers, deadline };
        match transaction.answer().await? {
            Answer::Begun(_) => Ok(transaction),
            _ => Err(unexpected()),
        }
    }
}

/// A question that is given up after a while.
pub(crate) fn asked<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(ANSWER);
    request
}

// === impl SideTransaction ===

impl SideTransaction {
    /// Locks rows until the end; their images as they are.
    pub(crate) async fn hold(
        &mut self,
        selection: pb::ImageSelection,
    ) -> Result<Vec<pb::Image>, Status> {
        match self.ask(Step::Hold(pb::Hold { selection: Some(selection) })).await? {
            Answer::Held(it) => Ok(it.images),
            _ => Err(unexpected()),
        }
    }

    /// Writes rows, in as many messages as they need; one answer for each.
    pub(crate) async fn apply(
        &mut self,
        rows: Vec<pb::ApplyRow>,
        origin: &str,
    ) -> Result<Vec<pb::AppliedRow>, Status> {
        let mut applied = Vec::with_capacity(rows.len());
        for rows in rpc::parts(rows) {
            let sent = rows.len();
            let apply = pb::Apply { rows, origin: origin.to_owned(), ..Default::default() };
            let answer = self.ask(Step::Apply(apply)).await;
            match answer.map_err(|it| rpc::counted_from(applied.len(), it))? {
                Answer::Applied(it) if it.rows.len() == sent => applied.extend(it.rows),
                _ => return Err(unexpected()),
            }
        }
        Ok(applied)
    }

    /// Makes what was applied durable and seen.
    pub(crate) async fn commit(mut self) -> Result<(), Status> {
        match self.ask(Step::Commit(pb::Commit::default())).await? {
            Answer::Committed(_) => Ok(()),
            _ => Err(unexpected()),
        }
    }

    async fn ask(&mut self, step: Step) -> Result<Answer, Status> {
        // Where the other end is gone already, its answer says why.
        let _ = self.requests.send(pb::TransactRequest { step: Some(step) }).await;
        self.answer().await
    }

    async fn answer(&mut self) -> Result<Answer, Status> {
        let message = within(self.deadline, self.answers.message()).await?;
        message.and_then(|it| it.answer).ok_or_else(unexpected)
    }
}

async fn within<T>(
    deadline: Instant,
    call: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    let answered = tokio::time::timeout_at(deadline.into(), call).await;
    answered.unwrap_or_else(|_| Err(Status::deadline_exceeded("a side did not answer in time")))
}

fn unexpected() -> Status {
    Status::internal("a transaction was answered with something else than was asked")
}
