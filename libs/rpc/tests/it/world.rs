//! A service that says who called it, and ways to reach it.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::Stream;
use futures::stream;
use proto::user_context::v1 as pb;
use proto::user_context::v1::user_context_service_client::UserContextServiceClient;
use proto::user_context::v1::user_context_service_server::{
    UserContextService, UserContextServiceServer,
};
use rpc::{AssertionVerifier, CallContext, CallingService, Channel, ErrorReason, Listener, Server};
use tokio::task::JoinHandle;
use tonic::{Code, Request, Response, Status};

pub(crate) type Client = UserContextServiceClient<Channel>;

/// Remembers who called.
#[derive(Clone, Default)]
pub(crate) struct Calls(Arc<Mutex<Vec<String>>>);

pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) calls: Calls,
    task: JoinHandle<()>,
}

impl Calls {
    pub(crate) fn taken(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    fn note<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let name = CallingService::of(request)?.name().to_owned();
        self.0.lock().unwrap().push(name);
        Ok(())
    }
}

#[tonic::async_trait]
impl UserContextService for Calls {
    type WatchTrustStream =
        Pin<Box<dyn Stream<Item = Result<pb::WatchTrustResponse, Status>> + Send>>;

    async fn resolve_caller(
        &self,
        request: Request<pb::ResolveCallerRequest>,
    ) -> Result<Response<pb::ResolveCallerResponse>, Status> {
        self.note(&request)?;
        Ok(Response::new(pb::ResolveCallerResponse::default()))
    }

    async fn watch_trust(
        &self,
        request: Request<pb::WatchTrustRequest>,
    ) -> Result<Response<Self::WatchTrustStream>, Status> {
        self.note(&request)?;
        Ok(Response::new(Box::pin(stream::pending())))
    }

    async fn get_caller(
        &self,
        request: Request<pb::GetCallerRequest>,
    ) -> Result<Response<pb::GetCallerResponse>, Status> {
        self.note(&request)?;
        CallContext::of(&request)?;
        Ok(Response::new(pb::GetCallerResponse::default()))
    }

    async fn check_portal_user(
        &self,
        request: Request<pb::CheckPortalUserRequest>,
    ) -> Result<Response<pb::CheckPortalUserResponse>, Status> {
        self.note(&request)?;
        Ok(Response::new(pb::CheckPortalUserResponse::default()))
    }

    async fn lookup_user(
        &self,
        request: Request<pb::LookupUserRequest>,
    ) -> Result<Response<pb::LookupUserResponse>, Status> {
        self.note(&request)?;
        // This one never answers.
        std::future::pending().await
    }
}

impl Served {
    /// At a port of its own.
    pub(crate) async fn start(calls: Calls, server: Server, listener: Listener) -> Self {
        let address = listener.local_addr().unwrap();
        let server = server.with(UserContextServiceServer::new(calls.clone()));
        let (routes, readiness) = server.build().unwrap();
        readiness.set(true).await;
        let task = tokio::spawn(async move {
            Server::serve(routes, listener, std::future::pending()).await.unwrap();
        });
        Self { address, calls, task }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) fn verifier() -> Arc<AssertionVerifier> {
    Arc::new(AssertionVerifier::new("user-context"))
}

pub(crate) fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

pub(crate) async fn resolve(client: &mut Client) -> Result<(), Status> {
    let call = client.resolve_caller(pb::ResolveCallerRequest::default());
    soon(call).await.map(drop)
}

pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), work).await.expect("soon")
}

#[track_caller]
pub(crate) fn refused<T>(outcome: Result<T, Status>, code: Code, reason: ErrorReason) -> Status {
    let Err(status) = outcome else { panic!("let through") };
    assert_eq!((status.code(), rpc::reason(&status)), (code, Some(reason)), "{status:?}");
    status
}
