//! Against a server that says what a test wants it to say.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use pb::operation_service_server::{OperationService, OperationServiceServer};
use proto::lifecycle::v1 as pb;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Server};
use tonic::{Request, Response};

use super::*;
use crate::client;

type Answer = Result<pb::WatchOperationResponse, Status>;
type Said = Vec<Answer>;

/// One answer for each time that it is asked to watch, the last for all further ones.
struct Script(Arc<Mutex<VecDeque<Result<Said, Status>>>>);

#[tonic::async_trait]
impl OperationService for Script {
    type WatchOperationStream = tokio_stream::Iter<std::vec::IntoIter<Answer>>;

    async fn watch_operation(
        &self,
        _: Request<pb::WatchOperationRequest>,
    ) -> Result<Response<Self::WatchOperationStream>, Status> {
        let next = self.0.lock().unwrap().pop_front();
        let said = next.unwrap_or_else(|| Err(Status::internal("asked too often")))?;
        Ok(Response::new(tokio_stream::iter(said)))
    }

    async fn list_operations(
        &self,
        _: Request<pb::ListOperationsRequest>,
    ) -> Result<Response<pb::ListOperationsResponse>, Status> {
        Err(Status::unimplemented("not asked here"))
    }

    async fn get_operation(
        &self,
        _: Request<pb::GetOperationRequest>,
    ) -> Result<Response<pb::GetOperationResponse>, Status> {
        Err(Status::unimplemented("not asked here"))
    }

    async fn resume_operation(
        &self,
        _: Request<pb::ResumeOperationRequest>,
    ) -> Result<Response<pb::ResumeOperationResponse>, Status> {
        Err(Status::unimplemented("not asked here"))
    }

    async fn cancel_operation(
        &self,
        _: Request<pb::CancelOperationRequest>,
    ) -> Result<Response<pb::CancelOperationResponse>, Status> {
        Err(Status::unimplemented("not asked here"))
    }
}

fn in_state(state: OperationState) -> Operation {
    Operation { name: "operations/7".into(), state: state.into(), ..Operation::default() }
}

fn failed(resumable: bool) -> Operation {
    let failure = pb::OperationFailure { message: "no licence".into(), ..Default::default() };
    Operation { failure: Some(failure), resumable, ..in_state(OperationState::Failed) }
}

fn says(operation: Operation) -> Answer {
    Ok(pb::WatchOperationResponse { operation: Some(operation) })
}

/// How following a running operation ends, and how often the server was asked.
async fn followed(script: Vec<Result<Said, Status>>) -> (Result<()>, usize) {
    let count = script.len();
    let left = Arc::new(Mutex::new(VecDeque::from(script)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let server = Server::builder().add_service(OperationServiceServer::new(Script(left.clone())));
    let server = tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    let channel = Channel::from_shared(address).unwrap().connect().await.unwrap();
    let system = System::new(client::as_bearer(channel, "token").unwrap());
    let ended = match follow(&system, in_state(OperationState::Running)).await {
        Ok(operation) => ended(&operation, true),
        Err(error) => Err(error),
    };
    server.abort();
    let asked = count - left.lock().unwrap().len();
    (ended, asked)
}

fn exit(ended: Result<()>) -> Option<Exit> {
    ended.err().map(|it| it.downcast_ref::<Failure>().unwrap().exit)
}

#[tokio::test]
async fn what_succeeds_is_done() {
    let stages = |first: OperationState, second: OperationState| {
        let stage = |stage: pb::OperationStage, state: OperationState| pb::StageProgress {
            stage: stage.into(),
            state: state.into(),
            status_text: "DualWriteCoreAnchor".into(),
            progress_percent: 50,
            ..Default::default()
        };
        vec![
            stage(pb::OperationStage::InstallingPackages, first),
            stage(pb::OperationStage::LinkingRuntime, second),
        ]
    };
    let operation = |state, progress_percent, stages| {
        says(Operation { stages, progress_percent, ..in_state(state) })
    };
    let (running, done) = (OperationState::Running, OperationState::Succeeded);
    let said = vec![
        operation(running, 25, stages(running, OperationState::Pending)),
        operation(running, 75, stages(done, running)),
        operation(done, 100, stages(done, done)),
    ];
    let (ended, asked) = followed(vec![Ok(said)]).await;
    assert_eq!((exit(ended), asked), (None, 1));
}

#[tokio::test]
async fn what_fails_says_whether_it_can_be_resumed() {
    let (ended, _) = followed(vec![Ok(vec![says(failed(true))])]).await;
    assert!(ended.as_ref().unwrap_err().to_string().ends_with("no licence"));
    assert_eq!(exit(ended), Some(Exit::Resumable));
    let (ended, _) = followed(vec![Ok(vec![says(failed(false))])]).await;
    assert_eq!(exit(ended), Some(Exit::Failed));
}

#[tokio::test]
async fn a_system_that_goes_away_is_asked_again() {
    let (ended, asked) = followed(vec![
        Ok(vec![says(in_state(OperationState::Running)), Err(Status::unavailable("killed"))]),
        Err(Status::unavailable("not yet")),
        Ok(vec![says(in_state(OperationState::Running))]),
        Ok(vec![says(in_state(OperationState::Succeeded))]),
    ])
    .await;
    assert_eq!((exit(ended), asked), (None, 4));
}

#[tokio::test]
async fn a_refusal_is_not_asked_again() {
    let (ended, asked) = followed(vec![Err(Status::not_found("no such operation"))]).await;
    assert_eq!((exit(ended), asked), (Some(Exit::NotFound), 1));
}

#[tokio::test]
async fn what_somebody_else_cancels_is_not_done() {
    let said = vec![says(in_state(OperationState::Cancelled))];
    let (ended, _) = followed(vec![Ok(said)]).await;
    assert_eq!(exit(ended), Some(Exit::Failed));
    assert_eq!(exit(super::ended(&in_state(OperationState::Cancelled), false)), None);
}

#[tokio::test]
async fn an_installation_that_waits_for_somebody_is_not_followed_for_ever() {
    let waiting = Operation { state: OperationState::Running.into(), ..failed(true) };
    let (ended, asked) = followed(vec![Ok(vec![says(waiting)])]).await;
    assert_eq!((exit(ended), asked), (Some(Exit::Resumable), 1));
}
