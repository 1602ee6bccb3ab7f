//! The client's side of a transaction.

use std::time::Duration;

use futures::channel::mpsc::{UnboundedSender, unbounded};
use proto::query::v1 as pb;
use proto::query::v1::operation::Operation as Kind;
use proto::query::v1::transact_request::Step;
use proto::query::v1::transact_response::Answer;
use proto::query::v1::transaction_service_client::TransactionServiceClient;
use rpc::Channel;
use tonic::{Status, Streaming};

/// An open stream.
pub(crate) struct Transact {
    requests: UnboundedSender<pb::TransactRequest>,
    answers: Streaming<pb::TransactResponse>,
}

impl Transact {
    pub(crate) async fn begin(channel: &Channel, assertion: &str) -> Result<Self, Status> {
        let (requests, stream) = unbounded();
        let request = rpc::request(stream, assertion, Duration::from_secs(30)).unwrap();
        let mut client = TransactionServiceClient::new(channel.clone());
        let answers = client.transact(request).await?.into_inner();
        let mut transact = Self { requests, answers };
        transact.ask(Step::Begin(pb::Begin::default())).await?;
        Ok(transact)
    }

    pub(crate) async fn ask(&mut self, step: Step) -> Result<Answer, Status> {
        self.requests.unbounded_send(pb::TransactRequest { step: Some(step) }).unwrap();
        Ok(self.answers.message().await?.unwrap().answer.unwrap())
    }

    /// Creates a customer.
    pub(crate) async fn create(&mut self, account: &str, company: &str) -> Result<Answer, Status> {
        let value = |field: &str, text: &str| {
            let kind = pb::value::Kind::StringValue(text.to_owned());
            pb::FieldValue { field: field.to_owned(), value: Some(pb::Value { kind: Some(kind) }) }
        };
        let create = pb::CreateRequest {
            entity_name: "Customers".to_owned(),
            values: vec![value("ACCOUNT", account), value("COMPANY", company)],
            ..pb::CreateRequest::default()
        };
        let operations = vec![pb::Operation { operation: Some(Kind::Create(create)) }];
        self.ask(Step::Operations(pb::Operations { operations })).await
    }

    pub(crate) async fn commit(&mut self, transaction_id: String) -> Result<Answer, Status> {
        self.ask(Step::Commit(pb::Commit { transaction_id, ..Default::default() })).await
    }
}
