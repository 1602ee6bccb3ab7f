//! Requests that are answered before they are done (API-36).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request as HttpRequest, StatusCode};
use axum::routing::post;
use proto::organization::v1 as pb;
use proto::organization::v1::BackgroundOperationState as Told;
use proto::organization::v1::background_operation_service_server::BackgroundOperationService;
use rpc::ErrorReason;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tonic::{Code, Request, Response, Status};

use crate::fakes::{Answer, Provider, World, refusal};
use crate::fixture::CUSTOMERS;
use crate::ledger::{Event, Ledger};

const PATIENCE: Duration = Duration::from_secs(20);
const BODY: &str = "{\"mserp_account\":\"C1\"}";

/// What the organization would remember, and whether anything may begin.
pub(crate) struct Operations {
    known: watch::Sender<BTreeMap<String, pb::BackgroundOperation>>,
    open: watch::Sender<bool>,
    away: Mutex<bool>,
}

#[derive(Clone)]
pub(crate) struct Remembered(pub(crate) Arc<Operations>);

impl Default for Operations {
    fn default() -> Self {
        let known = watch::Sender::default();
        Self { known, open: watch::Sender::new(true), away: Mutex::new(false) }
    }
}

impl Operations {
    fn get(&self, id: &str) -> Option<pb::BackgroundOperation> {
        self.known.borrow().get(id).cloned()
    }

    async fn reached(&self, id: &str, state: Told) -> pb::BackgroundOperation {
        let mut known = self.known.subscribe();
        let reached = known.wait_for(|it| it.get(id).is_some_and(|it| it.state() == state));
        let known = tokio::time::timeout(PATIENCE, reached).await.unwrap().unwrap();
        known[id].clone()
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut pb::BackgroundOperation)) {
        self.known.send_modify(|it| change(it.get_mut(id).unwrap()));
    }
}

#[tonic::async_trait]
impl BackgroundOperationService for Remembered {
    async fn record_background_operation(
        &self,
        request: Request<pb::RecordBackgroundOperationRequest>,
    ) -> Result<Response<pb::RecordBackgroundOperationResponse>, Status> {
        rpc::CallContext::of(&request)?;
        if *self.0.away.lock().unwrap() {
            return Err(refusal(Code::Unavailable, ErrorReason::StoreUnavailable));
        }
        let it = request.into_inner();
        let operation = pb::BackgroundOperation {
            operation_id: it.operation_id.clone(),
            state: Told::Waiting.into(),
            display_name: it.display_name,
            client_request_id: it.client_request_id,
            ..Default::default()
        };
        self.0.known.send_modify(|known| drop(known.insert(it.operation_id, operation)));
        Ok(Response::new(pb::RecordBackgroundOperationResponse {}))
    }

    async fn start_background_operation(
        &self,
        request: Request<pb::StartBackgroundOperationRequest>,
    ) -> Result<Response<pb::StartBackgroundOperationResponse>, Status> {
        self.0.open.subscribe().wait_for(|it| *it).await.unwrap();
        let id = &request.get_ref().operation_id;
        if self.0.get(id).unwrap().state() != Told::Waiting {
            return Err(refusal(Code::FailedPrecondition, ErrorReason::InvalidState));
        }
        self.0.change(id, |it| it.set_state(Told::Running));
        Ok(Response::new(pb::StartBackgroundOperationResponse {}))
    }

    async fn renew_background_operations(
        &self,
        _: Request<pb::RenewBackgroundOperationsRequest>,
    ) -> Result<Response<pb::RenewBackgroundOperationsResponse>, Status> {
        Ok(Response::new(pb::RenewBackgroundOperationsResponse {}))
    }

    async fn finish_background_operation(
        &self,
        request: Request<pb::FinishBackgroundOperationRequest>,
    ) -> Result<Response<pb::FinishBackgroundOperationResponse>, Status> {
        let it = request.into_inner();
        let outcome = it.outcome.unwrap();
        self.0.change(&it.operation_id, |known| {
            known.state = outcome.state;
            known.outcome = Some(outcome);
        });
        Ok(Response::new(pb::FinishBackgroundOperationResponse {}))
    }

    async fn get_background_operation(
        &self,
        request: Request<pb::GetBackgroundOperationRequest>,
    ) -> Result<Response<pb::GetBackgroundOperationResponse>, Status> {
        rpc::CallContext::of(&request)?;
        let operation = self.0.get(&request.get_ref().operation_id);
        let none = || refusal(Code::NotFound, ErrorReason::ResourceNotFound);
        let operation = Some(operation.ok_or_else(none)?);
        Ok(Response::new(pb::GetBackgroundOperationResponse { operation }))
    }

    async fn cancel_background_operation(
        &self,
        request: Request<pb::CancelBackgroundOperationRequest>,
    ) -> Result<Response<pb::CancelBackgroundOperationResponse>, Status> {
        rpc::CallContext::of(&request)?;
        let id = &request.get_ref().operation_id;
        match self.0.get(id).map(|it| it.state()) {
            None => Err(refusal(Code::NotFound, ErrorReason::ResourceNotFound)),
            Some(Told::Waiting) => {
                self.0.change(id, |it| it.set_state(Told::Cancelled));
                let operation = self.0.get(id);
                Ok(Response::new(pb::CancelBackgroundOperationResponse { operation }))
            }
            Some(_) => Err(refusal(Code::FailedPrecondition, ErrorReason::InvalidState)),
        }
    }
}

const ASYNC: (&str, &str) = ("prefer", "respond-async");

async fn later(world: &World, headers: &[(&str, &str)]) -> Answer {
    world.send("POST", CUSTOMERS, headers, BODY).await
}

/// The id of the operation that the answer promises.
fn promised(answer: &Answer) -> String {
    assert_eq!((answer.status, answer.body.as_str()), (202, ""), "{}", answer.body);
    assert_eq!(answer.header("preference-applied"), "respond-async");
    let id = answer.header("x-ms-dyn-backgroundoperationid").to_owned();
    let location = format!("http://org.test:8080/api/backgroundoperation/{id}");
    assert_eq!(answer.header("location"), location);
    id
}

async fn ask(world: &World, method: &str, id: &str) -> Answer {
    let request = HttpRequest::builder()
        .method(method)
        .uri(format!("/api/backgroundoperation/{id}"))
        .header("host", "org.test:8080")
        .header("authorization", "Bearer good");
    world.raw(request.body(Body::empty()).unwrap()).await
}

fn codes(told: &Value) -> (i64, i64) {
    let code = |it: &str| told[it].as_i64().unwrap();
    (code("backgroundOperationStateCode"), code("backgroundOperationStatusCode"))
}

#[tokio::test]
async fn api_36_a_write_is_promised_and_then_done() {
    let world = World::new(Provider::empty()).await;
    world.operations.open.send_replace(false);
    let answer = later(&world, &[ASYNC, ("x-ms-client-request-id", "mine")]).await;
    let id = promised(&answer);
    assert_eq!(answer.header("x-ms-client-request-id"), "mine");
    let waiting = ask(&world, "GET", &id).await;
    assert_eq!((waiting.status, codes(&waiting.json())), (200, (0, 0)), "{}", waiting.body);
    assert!(world.query.ledger.events().is_empty());
    world.operations.open.send_replace(true);
    let done = world.operations.reached(&id, Told::Succeeded).await;
    assert_eq!(done.client_request_id, "mine");
    assert_eq!(done.display_name, format!("POST /api/data/v9.2/{CUSTOMERS}"));
    assert_eq!(world.query.ledger.operations().len(), 1);
    let told = ask(&world, "GET", &id).await.json();
    assert_eq!(codes(&told), (3, 30));
    assert_eq!(told["backgroundOperationId"], id.as_str());
    let url = told["entityUrl"].as_str().unwrap();
    assert!(url.starts_with(&format!("http://org.test:8080/api/data/v9.2/{CUSTOMERS}(")), "{url}");
}

#[tokio::test]
async fn api_36_the_same_request_again_is_the_same_to_the_store() {
    let world = World::new(Provider::empty()).await;
    let id = ("x-ms-client-request-id", "mine");
    let operation = promised(&later(&world, &[ASYNC, id]).await);
    world.operations.reached(&operation, Told::Succeeded).await;
    later(&world, &[id]).await;
    let key = |it| match it {
        Event::Alone(_, key) => key,
        it => panic!("{it:?}"),
    };
    let keys: Vec<_> = world.query.ledger.events().into_iter().map(key).collect();
    assert!(keys.len() == 2 && keys[0] == keys[1] && !keys[0].is_empty(), "{keys:?}");
}

#[tokio::test]
async fn api_36_a_refusal_is_told_by_its_code_and_its_words() {
    let refused = Ledger::answering(|_| {
        Some(Err(refusal(Code::FailedPrecondition, ErrorReason::BusinessRule)))
    });
    let world = World::new(Provider::empty().with(refused)).await;
    let id = promised(&later(&world, &[ASYNC]).await);
    world.operations.reached(&id, Told::Failed).await;
    let told = ask(&world, "GET", &id).await.json();
    assert_eq!(codes(&told), (3, 31));
    assert_eq!(told["backgroundOperationErrorMessage"], "a reason for people");
    let code = u32::from_str_radix("80048d0b", 16).unwrap().cast_signed();
    assert_eq!(told["backgroundOperationErrorCode"], code);
}

#[tokio::test]
async fn api_36_only_what_has_not_begun_can_be_cancelled() {
    let world = World::new(Provider::empty()).await;
    world.operations.open.send_replace(false);
    let id = promised(&later(&world, &[ASYNC]).await);
    let cancelled = ask(&world, "DELETE", &id).await;
    assert_eq!((cancelled.status, codes(&cancelled.json())), (200, (3, 32)));
    let second = promised(&later(&world, &[ASYNC]).await);
    world.operations.open.send_replace(true);
    world.operations.reached(&second, Told::Succeeded).await;
    assert_eq!(ask(&world, "DELETE", &second).await.error().0, 409);
    assert_eq!(world.query.ledger.operations().len(), 1, "the first was done");
    let unknown = uuid::Uuid::from_u128(9).to_string();
    for method in ["GET", "DELETE"] {
        let (status, code, _) = ask(&world, method, &unknown).await.error();
        assert_eq!((status, code.as_str()), (404, "0x80040217"));
        assert_eq!(ask(&world, method, "nothing").await.error().0, 400);
    }
    let answer = ask(&world, "POST", &second).await;
    assert_eq!((answer.error().0, answer.header("allow")), (405, "GET, DELETE"));
}

#[tokio::test]
async fn api_36_reads_and_batches_are_waited_for() {
    let world = World::new(Provider::empty()).await;
    let read = world.get_with(CUSTOMERS, &[ASYNC]).await;
    assert_eq!((read.status, read.header("preference-applied")), (200, ""), "{}", read.body);
    let batch = format!(
        "--b\r\nContent-Type: application/http\r\n\r\nPOST {CUSTOMERS} HTTP/1.1\r\n\
         Content-Type: application/json\r\nPrefer: respond-async\r\n\r\n{BODY}\r\n--b--\r\n"
    );
    for name in ["$batch", "%24batch"] {
        let headers = [ASYNC, ("content-type", "multipart/mixed; boundary=b")];
        let answer = world.send("POST", name, &headers, &batch).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(answer.body.contains("HTTP/1.1 204"), "{}", answer.body);
    }
    assert!(world.operations.known.borrow().is_empty());
}

#[tokio::test]
async fn api_36_what_cannot_be_remembered_is_not_begun() {
    let world = World::new(Provider::empty()).await;
    *world.operations.away.lock().unwrap() = true;
    let answer = later(&world, &[ASYNC]).await;
    assert_eq!((answer.error().0, answer.header("retry-after")), (503, "2"));
    let request = HttpRequest::post(format!("/api/data/v9.2/{CUSTOMERS}")).header(ASYNC.0, ASYNC.1);
    let nobody = world.raw(request.body(Body::from(BODY)).unwrap()).await;
    assert_eq!(nobody.error().0, 401);
    assert!(world.query.ledger.events().is_empty());
}

#[tokio::test]
async fn api_36_a_user_has_so_many_and_no_more() {
    let world = World::new(Provider::empty()).await;
    world.operations.open.send_replace(false);
    let mut ids = Vec::new();
    for _ in 0..8 {
        ids.push(promised(&later(&world, &[ASYNC]).await));
    }
    let answer = later(&world, &[ASYNC]).await;
    assert_eq!((answer.error().0, answer.header("retry-after")), (429, "2"));
    world.operations.open.send_replace(true);
    for id in ids {
        world.operations.reached(&id, Told::Succeeded).await;
    }
    assert_eq!(world.query.ledger.operations().len(), 8);
}

type Calls = (mpsc::UnboundedSender<String>, Arc<AtomicUsize>);

/// A host that is busy at first.
async fn hook() -> (String, mpsc::UnboundedReceiver<String>) {
    async fn called(State((calls, count)): State<Calls>, body: String) -> StatusCode {
        calls.send(body).unwrap();
        match count.fetch_add(1, Ordering::SeqCst) {
            0 => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::OK,
        }
    }
    let (calls, received) = mpsc::unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let router = Router::new().route("/done", post(called)).with_state((calls, Arc::default()));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (host, received)
}

#[tokio::test]
async fn api_36_a_url_is_told_when_it_is_done() {
    let (host, mut calls) = hook().await;
    let allowed = host.clone();
    let configure = move |config: &mut gateway::Config| config.callback_hosts = vec![allowed];
    let world = World::between(Provider::empty(), Provider::companies(), configure).await;
    let prefer = format!("respond-async, odata.callback;url=\"http://{host}/done?secret=1\"");
    let id = promised(&later(&world, &[("prefer", prefer.as_str())]).await);
    for _ in 0..2 {
        let body = tokio::time::timeout(PATIENCE, calls.recv()).await.unwrap().unwrap();
        let told: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(codes(&told), (3, 30));
        assert_eq!(told["backgroundOperationId"], id.as_str());
        assert!(told["location"].as_str().unwrap().ends_with(&id), "{told}");
    }
}

#[tokio::test]
async fn api_36_a_host_that_nobody_allowed_is_not_called() {
    let (host, mut calls) = hook().await;
    let world = World::new(Provider::empty()).await;
    let prefer = format!("respond-async,odata.callback;url=\"http://{host}/done\"");
    let (status, code, message) = later(&world, &[("prefer", prefer.as_str())]).await.error();
    assert_eq!((status, code.as_str()), (400, "0x80040203"));
    assert!(message.contains("`callback_hosts`"), "{message}");
    assert!(world.operations.known.borrow().is_empty());
    assert!(calls.try_recv().is_err());
}
