//! Reads over gRPC.

use anyhow::Result;
use proto::gateway::v1 as pb;
use proto::gateway::v1::gateway_service_client::GatewayServiceClient;
use proto::query::v1 as query;
use proto::query::v1::value::Kind;
use tonic::metadata::{MetadataKey, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use super::transcript::Transcript;
use super::world::World;
use crate::System;
use crate::differential::fetch;
use crate::differential::write::plain;
use crate::random::Random;

/// Pages that are followed.
const MOST_PAGES: usize = 40;

/// A call.
#[derive(Clone, Debug)]
pub enum Call {
    /// One row.
    Retrieve(pb::RetrieveRequest),
    /// The query that a FetchXML document says, page by page.
    RetrieveMultiple {
        /// The document.
        fetch_xml: String,
        /// Rows of a page.
        page_size: i32,
        /// How it would be executed instead, which is told to administrators.
        explain: bool,
    },
}

impl Call {
    /// About rows that a side has.
    #[must_use]
    pub fn random(random: &mut Random, world: &World, side: usize) -> Self {
        let schema = &world.sides[side].schema;
        if random.one_in(3) {
            let at = random.below(schema.tables.len());
            let table = &schema.tables[at];
            let row = random.below(table.rows.len());
            let key = if random.one_in(2) {
                pb::retrieve_request::Key::Id(schema.ids[at][row].clone())
            } else {
                let values = table.columns[..table.key].iter().zip(&table.rows[row]);
                let values = values.map(|(column, cell)| pb::ColumnValue {
                    row_of_operation: 0,
                    column: column.logical(),
                    value: Some(query::Value {
                        kind: Some(Kind::StringValue(plain(column.kind, cell))),
                    }),
                });
                let values = values.collect();
                pb::retrieve_request::Key::AlternateKey(pb::ColumnValueSet { values })
            };
            let columns = (0..random.below(4)).map(|_| random.pick(&table.columns).logical());
            let columns = columns.collect();
            return Self::Retrieve(pb::RetrieveRequest {
                table: table.logical(),
                key: Some(key),
                columns,
            });
        }
        Self::RetrieveMultiple {
            fetch_xml: fetch::Query::random(random, schema).xml(schema, None),
            page_size: 1 + random.below(20) as i32,
            explain: random.one_in(6),
        }
    }

    /// Asks a system.
    pub async fn ask(
        &self,
        system: &System,
        token: &str,
        headers: Vec<(String, String)>,
        transcript: Transcript,
    ) -> Result<Transcript> {
        let channel = Endpoint::from_shared(system.grpc.clone())?.connect().await?;
        let client = GatewayServiceClient::new(channel);
        let mut asking = Asking { client, token, headers, transcript };
        match self {
            Self::Retrieve(request) => {
                let request = asking.request(request.clone())?;
                let answer = asking.client.retrieve(request).await;
                asking.keep(answer.map(|it| format!("{:?}", it.into_inner())));
            }
            Self::RetrieveMultiple { fetch_xml, page_size, explain } => {
                asking.multiple(fetch_xml, *page_size, *explain).await?;
            }
        }
        Ok(asking.transcript)
    }
}

struct Asking<'t> {
    client: GatewayServiceClient<Channel>,
    token: &'t str,
    headers: Vec<(String, String)>,
    transcript: Transcript,
}

impl Asking<'_> {
    fn request<T>(&self, message: T) -> Result<Request<T>> {
        let mut request = Request::new(message);
        let metadata = request.metadata_mut();
        metadata.insert("authorization", format!("Bearer {}", self.token).parse()?);
        for (name, value) in &self.headers {
            let name: MetadataKey<_> = name.to_ascii_lowercase().parse()?;
            metadata.insert(name, MetadataValue::try_from(value)?);
        }
        Ok(request)
    }

    fn keep(&mut self, answer: Result<String, Status>) {
        match answer {
            Ok(text) => self.transcript.text(&text),
            Err(status) => {
                // The members of the details' map come in no order.
                let mut details = status.details().to_vec();
                details.sort_unstable();
                let (code, message) = (status.code(), status.message());
                self.transcript.text(&format!("{code:?} {message} {details:?}"));
            }
        }
    }

    async fn multiple(&mut self, fetch_xml: &str, page_size: i32, explain: bool) -> Result<()> {
        let request = pb::FetchXmlToQueryExpressionRequest { fetch_xml: fetch_xml.to_owned() };
        let request = self.request(request)?;
        let mut query = match self.client.fetch_xml_to_query_expression(request).await {
            Ok(answer) => answer.into_inner().query,
            Err(status) => {
                self.keep(Err(status));
                return Ok(());
            }
        };
        if explain {
            let request = self.request(pb::ExplainRequest { query })?;
            let answer = self.client.explain(request).await;
            self.keep(answer.map(|it| format!("{:?}", it.into_inner())));
            return Ok(());
        }
        if let Some(query) = query.as_mut().filter(|it| it.top_count == 0) {
            let page = query.page.get_or_insert_default();
            page.size = page_size;
        }
        let mut page_token = String::new();
        for _ in 0..MOST_PAGES {
            let request = pb::RetrieveMultipleRequest { query: query.clone(), page_token };
            let request = self.request(request)?;
            page_token = match self.client.retrieve_multiple(request).await {
                Ok(answer) => self.batches(answer.into_inner()).await,
                Err(status) => {
                    self.keep(Err(status));
                    String::new()
                }
            };
            if page_token.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// All of one page. Returns where the next one begins.
    async fn batches(
        &mut self,
        mut stream: tonic::Streaming<pb::RetrieveMultipleResponse>,
    ) -> String {
        let mut next = String::new();
        loop {
            match stream.message().await {
                Ok(Some(batch)) => {
                    next.clone_from(&batch.next_page_token);
                    self.keep(Ok(format!("{batch:?}")));
                }
                Ok(None) => return next,
                Err(status) => {
                    self.keep(Err(status));
                    return String::new();
                }
            }
        }
    }
}
