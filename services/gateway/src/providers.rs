//! Calls to those who hold rows, on behalf of a caller and within a deadline.

use std::time::Instant;

use proto::query::v1 as pb;
use proto::query::v1::data_provider_service_client::DataProviderServiceClient;
use rpc::Channel;
use tonic::{Request, Status, Streaming};

use crate::Clients;
use crate::callers::Session;
use crate::metadata::Source;

/// A batch of rows may be larger than gRPC's default limit.
const MAX_MESSAGE: usize = 64 << 20;

type Client = DataProviderServiceClient<Channel>;

#[derive(Debug)]
pub(crate) struct Providers {
    catalog: Client,
    organization: Client,
    query: Client,
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
    pub(crate) fn request<T>(&self, message: T) -> Result<Request<T>, Status> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        rpc::request(message, &self.session.assertion, left)
    }
}

impl Providers {
    pub(crate) fn new(clients: &Clients) -> Self {
        let client =
            |channel: &Channel| Client::new(channel.clone()).max_decoding_message_size(MAX_MESSAGE);
        Self {
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
        let request = call.request(request)?;
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
        let request = call.request(request)?;
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
        let request = call.request(request)?;
        Ok(within(call.deadline, self.client(source).explain(request)).await?.into_inner())
    }

    pub(crate) async fn update(
        &self,
        call: Call<'_>,
        source: Source,
        request: pb::UpdateRequest,
    ) -> Result<(), Status> {
        let request = call.request(request)?;
        within(call.deadline, self.client(source).update(request)).await?;
        Ok(())
    }

    fn client(&self, source: Source) -> Client {
        match source {
            Source::Catalog => self.catalog.clone(),
            Source::Organization => self.organization.clone(),
            Source::Erp => self.query.clone(),
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
