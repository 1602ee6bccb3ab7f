//! Calls to those who hold rows, on behalf of a caller and within a deadline.

use std::time::Instant;

use proto::query::v1 as pb;
use proto::query::v1::change_tracking_service_client::ChangeTrackingServiceClient;
use proto::query::v1::data_provider_service_client::DataProviderServiceClient;
use proto::query::v1::transaction_service_client::TransactionServiceClient;
use rpc::Channel;
use tonic::{Request, Status, Streaming};

use crate::Clients;
use crate::callers::{Service, Session};
use crate::metadata::Source;

/// A batch of rows may be larger than gRPC's default limit.
const MAX_MESSAGE: usize = 64 << 20;

type Client = DataProviderServiceClient<Channel>;

#[derive(Clone, Debug)]
pub(crate) struct Providers {
    catalog: Client,
    organization: Client,
    query: Client,
    organization_transactions: TransactionServiceClient<Channel>,
    erp_transactions: TransactionServiceClient<Channel>,
    organization_changes: ChangeTrackingServiceClient<Channel>,
    erp_changes: ChangeTrackingServiceClient<Channel>,
}

/// A store that rows can be written to in transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    Organization,
    Erp,
}

/// On whose behalf, and until when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) session: &'a Session,
    pub(crate) deadline: Instant,
}

/// Batches of rows as they come. There is always a first one.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) first: pb::RetrieveMultipleResponse,
    /// Absent where the first batch is all there is.
    pub(crate) rest: Option<Streaming<pb::RetrieveMultipleResponse>>,
    pub(crate) deadline: Instant,
}

impl Call<'_> {
    /// To a service, with what it believes of the caller.
    pub(crate) fn request<T>(
        &self,
        to: impl Into<Service>,
        message: T,
    ) -> Result<Request<T>, Status> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        self.session.with_assertion(to.into(), |it| rpc::request(message, it, left))
    }
}

impl Providers {
    pub(crate) fn new(clients: &Clients) -> Self {
        let client =
            |channel: &Channel| Client::new(channel.clone()).max_decoding_message_size(MAX_MESSAGE);
        let transactions = |channel: &Channel| {
            TransactionServiceClient::new(channel.clone())
                .max_decoding_message_size(rpc::LARGEST_MESSAGE_BYTES)
        };
        Self {
            organization_transactions: transactions(&clients.organization),
            erp_transactions: transactions(&clients.query),
            organization_changes: ChangeTrackingServiceClient::new(clients.organization.clone()),
            erp_changes: ChangeTrackingServiceClient::new(clients.query.clone()),
            catalog: client(&clients.catalog),
            organization: client(&clients.organization),
            query: client(&clients.query),
        }
    }

    pub(crate) async fn retrieve(
        &self,
        call: Call<'_>,
        source: Source,
        request: pb::RetrieveRequest,
    ) -> Result<pb::RowBatch, Status> {
        let request = call.request(source, request)?;
        let mut client = self.client(source);
        let answer = within(call.deadline, client.retrieve(request)).await?.into_inner();
        answer.batch.ok_or_else(|| Status::internal("a row was promised and did not come"))
    }

    /// Returns when the first batch is there, so that a refusal comes before anything is written.
    pub(crate) async fn retrieve_multiple(
        &self,
        call: Call<'_>,
        source: Source,
        request: pb::RetrieveMultipleRequest,
    ) -> Result<Rows, Status> {
        let deadline = call.deadline;
        let request = call.request(source, request)?;
        let mut client = self.client(source);
        let mut rest = within(deadline, client.retrieve_multiple(request)).await?.into_inner();
        let first = within(deadline, rest.message()).await?;
        let first = first.ok_or_else(cut_off)?;
        Ok(Rows { first, rest: Some(rest), deadline })
    }

    pub(crate) async fn explain(
        &self,
        call: Call<'_>,
        source: Source,
        request: pb::ExplainRequest,
    ) -> Result<pb::ExplainResponse, Status> {
        let request = call.request(source, request)?;
        Ok(within(call.deadline, self.client(source).explain(request)).await?.into_inner())
    }

    pub(crate) async fn create(
        &self,
        call: Call<'_>,
        source: Source,
        request: pb::CreateRequest,
    ) -> Result<pb::CreateResponse, Status> {
        let request = call.request(source, request)?;
        Ok(within(call.deadline, self.client(source).create(request)).await?.into_inner())
    }

    pub(crate) async fn update(
        &self,
        call: Call<'_>,
        source: Source,
        request: pb::UpdateRequest,
    ) -> Result<pb::UpdateResponse, Status> {
        let request = call.request(source, request)?;
        Ok(within(call.deadline, self.client(source).update(request)).await?.into_inner())
    }

    pub(crate) async fn upsert(
        &self,
        call: Call<'_>,
        source: Source,
        request: pb::UpsertRequest,
    ) -> Result<pb::UpsertResponse, Status> {
        let request = call.request(source, request)?;
        Ok(within(call.deadline, self.client(source).upsert(request)).await?.into_inner())
    }

    pub(crate) async fn delete(
        &self,
        call: Call<'_>,
        source: Source,
        request: pb::DeleteRequest,
    ) -> Result<pb::DeleteResponse, Status> {
        let request = call.request(source, request)?;
        Ok(within(call.deadline, self.client(source).delete(request)).await?.into_inner())
    }

    pub(crate) async fn perform_action(
        &self,
        call: Call<'_>,
        source: Source,
        request: pb::PerformActionRequest,
    ) -> Result<pb::PerformActionResponse, Status> {
        let request = call.request(source, request)?;
        Ok(within(call.deadline, self.client(source).perform_action(request)).await?.into_inner())
    }

    /// For transactions of the two stores that have them.
    pub(crate) fn transactions(&self, store: Store) -> TransactionServiceClient<Channel> {
        match store {
            Store::Organization => self.organization_transactions.clone(),
            Store::Erp => self.erp_transactions.clone(),
        }
    }

    /// Where the changes of rows that are to come will be listed behind.
    pub(crate) async fn change_position(
        &self,
        call: Call<'_>,
        store: Store,
        request: pb::GetChangePositionRequest,
    ) -> Result<pb::GetChangePositionResponse, Status> {
        let request = call.request(store, request)?;
        let mut client = self.changes(store);
        Ok(within(call.deadline, client.get_change_position(request)).await?.into_inner())
    }

    pub(crate) async fn entity_changes(
        &self,
        call: Call<'_>,
        store: Store,
        request: pb::ListEntityChangesRequest,
    ) -> Result<pb::ListEntityChangesResponse, Status> {
        let request = call.request(store, request)?;
        let mut client = self.changes(store);
        Ok(within(call.deadline, client.list_entity_changes(request)).await?.into_inner())
    }

    fn changes(&self, store: Store) -> ChangeTrackingServiceClient<Channel> {
        match store {
            Store::Organization => self.organization_changes.clone(),
            Store::Erp => self.erp_changes.clone(),
        }
    }

    fn client(&self, source: Source) -> Client {
        match source {
            Source::Catalog => self.catalog.clone(),
            Source::Organization => self.organization.clone(),
            Source::Erp => self.query.clone(),
        }
    }
}

impl From<Store> for Service {
    fn from(store: Store) -> Self {
        match store {
            Store::Organization => Self::Organization,
            Store::Erp => Self::Query,
        }
    }
}

impl Store {
    /// `None` for what is held elsewhere and has no transactions.
    pub(crate) fn of(source: Source) -> Option<Self> {
        match source {
            Source::Organization => Some(Self::Organization),
            Source::Erp => Some(Self::Erp),
            Source::Catalog => None,
        }
    }

    pub(crate) fn other(self) -> Self {
        match self {
            Self::Organization => Self::Erp,
            Self::Erp => Self::Organization,
        }
    }
}

impl Rows {
    /// The batch behind the first, or behind the one before.
    pub(crate) async fn next(&mut self) -> Result<pb::RetrieveMultipleResponse, Status> {
        let rest = self.rest.as_mut().ok_or_else(cut_off)?;
        within(self.deadline, rest.message()).await?.ok_or_else(cut_off)
    }
}

/// A provider's last message says where the page ended; without it the page is not whole.
fn cut_off() -> Status {
    Status::internal("the rows ended before the page did")
}

pub(crate) async fn within<T>(
    deadline: Instant,
    work: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    match tokio::time::timeout_at(deadline.into(), work).await {
        Ok(result) => result,
        Err(_) => Err(Status::deadline_exceeded("the request's deadline passed")),
    }
}
