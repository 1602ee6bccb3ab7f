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
    pub(crate) async fn open(channel: &Channel, assertion: &str) -> Self {
        let (requests, stream) = unbounded();
        let request = rpc::request(stream, assertion, Duration::from_secs(30)).unwrap();
        let mut client = TransactionServiceClient::new(channel.clone());
        let answers = client.transact(request).await.unwrap().into_inner();
        Self { requests, answers }
    }

    /// One that is begun.
    pub(crate) async fn begun(channel: &Channel, assertion: &str) -> Self {
        let mut transact = Self::open(channel, assertion).await;
        let answer = transact.ask(Some(Step::Begin(pb::Begin::default()))).await;
        assert_eq!(answer.unwrap(), Answer::Begun(pb::Begun::default()));
        transact
    }

    pub(crate) async fn ask(&mut self, step: Option<Step>) -> Result<Answer, Status> {
        self.requests.unbounded_send(pb::TransactRequest { step }).unwrap();
        self.answer().await
    }

    pub(crate) async fn answer(&mut self) -> Result<Answer, Status> {
        Ok(self.answers.message().await?.unwrap().answer.unwrap())
    }

    pub(crate) async fn run(
        &mut self,
        kinds: Vec<Kind>,
    ) -> Result<Vec<pb::OperationResult>, Status> {
        let operations = kinds.into_iter().map(|it| pb::Operation { operation: Some(it) });
        let operations = pb::Operations { operations: operations.collect() };
        match self.ask(Some(Step::Operations(operations))).await? {
            Answer::Results(results) => Ok(results.results),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn commit(&mut self, transaction_id: String) -> Result<Answer, Status> {
        self.ask(Some(Step::Commit(pb::Commit { transaction_id, ..Default::default() }))).await
    }

    pub(crate) async fn prepare(&mut self, transaction_id: String) -> Result<Answer, Status> {
        self.ask(Some(Step::Prepare(pb::Prepare { transaction_id, ..Default::default() }))).await
    }

    /// Nothing comes any more.
    pub(crate) async fn ended(&mut self) -> bool {
        self.answers.message().await.unwrap().is_none()
    }
}

pub(crate) fn text(field: &str, value: &str) -> pb::FieldValue {
    let kind = pb::value::Kind::StringValue(value.to_owned());
    pb::FieldValue { field: field.to_owned(), value: Some(pb::Value { kind: Some(kind) }) }
}

pub(crate) fn account(name: &str) -> pb::CreateRequest {
    pb::CreateRequest {
        entity_name: "account".to_owned(),
        values: vec![text("name", name)],
        ..pb::CreateRequest::default()
    }
}

pub(crate) fn create(name: &str) -> Kind {
    Kind::Create(account(name))
}
