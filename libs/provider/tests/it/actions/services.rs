//! Actions that a service does, over a real connection: what it is told, what it may ask for, and what
//! becomes of its refusals.

use futures::StreamExt as _;
use futures::future::BoxFuture;
use proto::business_logic::v1 as logic;
use proto::business_logic::v1::business_logic_service_server::{
    BusinessLogicService, BusinessLogicServiceServer,
};
use proto::business_logic::v1::perform_action_request::Step as Asked;
use proto::business_logic::v1::perform_action_response::Step as Answer;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Code, Request, Response, Status, Streaming};

use super::*;

type Body = dyn Fn(Talk) -> BoxFuture<'static, Result<Option<pb::Value>, Status>> + Send + Sync;

/// A service that does what a test says.
#[derive(Clone)]
struct Service(Arc<Body>);

/// One run of an action, as a service sees it.
struct Talk {
    run: logic::RunAction,
    asked: Streaming<logic::PerformActionRequest>,
    answers: mpsc::Sender<Result<logic::PerformActionResponse, Status>>,
}

impl Talk {
    async fn operate(&mut self, operations: Vec<Operation>) -> Result<Vec<Outcome>, Status> {
        let operations =
            operations.into_iter().map(|it| pb::Operation { operation: Some(it) }).collect();
        let step = Some(Answer::Operations(pb::Operations { operations }));
        self.answers.send(Ok(logic::PerformActionResponse { step })).await.unwrap();
        match self.asked.message().await?.and_then(|it| it.step) {
            Some(Asked::Results(it)) => {
                Ok(it.results.into_iter().map(|it| it.result.unwrap()).collect())
            }
            other => Err(Status::internal(format!("{other:?}"))),
        }
    }

    fn amount(&self) -> &str {
        match self.run.parameters.first().and_then(|it| it.value.as_ref()?.kind.as_ref()) {
            Some(Kind::DecimalValue(it)) => it,
            other => panic!("{other:?}"),
        }
    }
}

#[tonic::async_trait]
impl BusinessLogicService for Service {
    type PerformActionStream = ReceiverStream<Result<logic::PerformActionResponse, Status>>;

    async fn perform_action(
        &self,
        request: Request<Streaming<logic::PerformActionRequest>>,
    ) -> Result<Response<Self::PerformActionStream>, Status> {
        let mut asked = request.into_inner();
        let Some(Asked::Run(run)) = asked.message().await?.and_then(|it| it.step) else {
            return Err(Status::internal("it begins with what is to be run"));
        };
        let (answers, stream) = mpsc::channel(4);
        let body = Arc::clone(&self.0);
        tokio::spawn(async move {
            let done = body(Talk { run, asked, answers: answers.clone() }).await;
            let answer = done.map(|result| {
                let step = Some(Answer::Return(logic::Return { result }));
                logic::PerformActionResponse { step }
            });
            let _ = answers.send(answer).await;
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

/// A world with the service, which ends with the handle.
async fn world(
    body: impl Fn(Talk) -> BoxFuture<'static, Result<Option<pb::Value>, Status>> + Send + Sync + 'static,
) -> (World, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let service = BusinessLogicServiceServer::new(Service(Arc::new(body)));
    let serving = tokio::spawn(async move {
        let incoming = TcpListenerStream::new(listener).boxed();
        let server = tonic::transport::Server::builder().add_service(service);
        server.serve_with_incoming(incoming).await.unwrap();
    });
    let world = World::with(&BTreeMap::from([("credit".to_owned(), address)])).await;
    (world, serving)
}

fn decimal(digits: &str) -> Option<pb::Value> {
    Some(pb::Value { kind: Some(Kind::DecimalValue(digits.into())) })
}

fn set_credit(number: i64, digits: &str) -> Operation {
    Operation::Update(pb::UpdateRequest {
        entity_name: "Customers".into(),
        key: id(number),
        values: vec![given("CREDIT", Kind::DecimalValue(digits.into()))],
        ..Default::default()
    })
}

fn read(number: i64, entity: &str) -> Operation {
    let column = pb::column_ref::Column::Field("CREDIT".into());
    let column = Some(pb::ColumnRef { column: Some(column), link: String::new() });
    Operation::Retrieve(pb::RetrieveRequest {
        entity_name: entity.into(),
        key: id(number),
        columns: vec![pb::OutputColumn { column, key: "credit".into(), ..Default::default() }],
        format: pb::RowFormat::Json.into(),
        ..Default::default()
    })
}

async fn grant(world: &World) -> Result<Option<pb::Value>, Error> {
    world.run("Grant", id(1), amount("250.75")).await
}

#[tokio::test]
async fn a_service_is_told_the_row_and_writes_in_the_transaction() {
    let (mut world, serving) = world(|mut talk| {
        Box::pin(async move {
            let run = &talk.run;
            assert_eq!(
                (&*run.entity_name, &*run.action, &*run.erp_user),
                ("Customers", "Grant", "clk1")
            );
            let guid = provider::record_guid(2_001, 1);
            assert_eq!(run.record_id, guid.as_bytes().as_slice());
            let row = [
                given("COMPANY", Kind::StringValue("A1".into())),
                given("CODE", Kind::StringValue("C1".into())),
                given("CREDIT", Kind::DecimalValue("100.5".into())),
                given("HELD", Kind::BoolValue(false)),
                given("CHANGED_BY", Kind::NullValue(pb::NullMarker {})),
            ];
            assert_eq!(run.row, row);
            let digits = talk.amount().to_owned();
            let results = talk.operate(vec![set_credit(1, &digits), read(1, "Customers")]).await?;
            let [Outcome::Update(_), Outcome::Retrieve(read)] = &results[..] else {
                panic!("{results:?}")
            };
            let Some(pb::row_batch::Rows::Json(json)) = read.batch.clone().unwrap().rows else {
                panic!("no JSON")
            };
            assert_eq!(json, "{\"credit\":250.75}", "it sees what it wrote");
            Ok(decimal(&digits))
        })
    })
    .await;
    let result = grant(&world).await.unwrap();
    assert_eq!(result, decimal("250.75"));
    assert_eq!(world.customer(1).await.0, "250.75");
    serving.abort();
}

#[tokio::test]
async fn a_refusal_is_told_as_it_is_and_undoes_everything() {
    let (mut world, serving) = world(|mut talk| {
        Box::pin(async move {
            talk.operate(vec![set_credit(1, "1")]).await?;
            Err(Status::failed_precondition("The customer has open orders of 300."))
        })
    })
    .await;
    let refused = grant(&world).await.unwrap_err();
    assert!(matches!(refused, Error::Action(Refusal::Rule(_))), "{refused:?}");
    assert_eq!(refused.to_string(), "The customer has open orders of 300.");
    assert_eq!(world.customer(1).await.0, "100.50");
    serving.abort();
}

#[tokio::test]
async fn a_service_may_do_what_its_user_may_and_no_more() {
    let other_company = || set_credit(2, "1");
    let other_entity = || read(1, "Vendors");
    let another = || {
        Operation::PerformAction(pb::PerformActionRequest {
            entity_name: "Customers".into(),
            action: "hold".into(),
            key: id(1),
            ..Default::default()
        })
    };
    for what in [other_company(), other_entity(), another()] {
        let expected = matches!(what, Operation::PerformAction(_));
        let (mut world, serving) = world(move |mut talk| {
            let what = what.clone();
            Box::pin(async move {
                talk.operate(vec![set_credit(1, "1"), what]).await?;
                Ok(decimal("1"))
            })
        })
        .await;
        let refused = grant(&world).await.unwrap_err();
        let is_expected = match &refused {
            Error::Action(Refusal::ServiceFailed(_)) => expected,
            Error::RecordNotFound | Error::EntityNotFound(_) => !expected,
            _ => false,
        };
        assert!(is_expected, "{refused:?}");
        let unchanged = ("100.50".to_owned(), false, None);
        assert_eq!(world.customer(1).await, unchanged);
        assert_eq!(world.customer(2).await.0, "7");
        serving.abort();
    }
}

#[tokio::test]
async fn operations_have_a_bound() {
    let (mut world, serving) = world(|mut talk| {
        Box::pin(async move {
            loop {
                talk.operate(vec![read(1, "Customers"); 100]).await?;
            }
        })
    })
    .await;
    let refused = grant(&world).await.unwrap_err();
    assert!(matches!(refused, Error::Action(Refusal::ServiceFailed(_))), "{refused:?}");
    assert_eq!(world.customer(1).await.0, "100.50");
    serving.abort();
}

#[tokio::test]
async fn what_is_not_returned_as_the_model_says_is_a_failure() {
    for returned in [None, Some(pb::Value { kind: Some(Kind::DoubleValue(1.0)) })] {
        let (world, serving) = world(move |_| {
            let returned = returned.clone();
            Box::pin(async move { Ok(returned) })
        })
        .await;
        let refused = grant(&world).await.unwrap_err();
        assert!(matches!(refused, Error::Action(Refusal::ServiceFailed(_))), "{refused:?}");
        serving.abort();
    }
}

#[tokio::test]
async fn a_service_that_is_silent_is_waited_for_until_the_deadline() {
    let (mut world, serving) = world(|_| Box::pin(std::future::pending())).await;
    world.context.deadline = Instant::now() + Duration::from_millis(300);
    let refused = grant(&world).await.unwrap_err();
    assert!(matches!(refused, Error::DeadlineExceeded), "{refused:?}");
    assert_eq!(world.customer(1).await.0, "100.50");
    serving.abort();
}

#[tokio::test]
async fn a_service_that_is_not_there_is_named() {
    let (world, serving) =
        world(|_| Box::pin(async { Err(Status::new(Code::Internal, "secret")) })).await;
    let refused = grant(&world).await.unwrap_err();
    assert_eq!(refused.to_string(), "the business-logic service `credit` failed");
    serving.abort();

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let world = World::with(&BTreeMap::from([("credit".to_owned(), address)])).await;
    let refused = grant(&world).await.unwrap_err();
    let text = "the business-logic service `credit` does not answer; try again later";
    assert_eq!(refused.to_string(), text);
    let text = "the business-logic service `nowhere` is not configured; see docs/configuration.md";
    assert_eq!(world.refused("lost", None, Vec::new()).await, text);
    let addresses = BTreeMap::from([("x".to_owned(), "no address".to_owned())]);
    let malformed = BusinessLogic::new(&addresses, &super::adapter());
    assert!(malformed.unwrap_err().to_string().contains("`no address`"));
}
