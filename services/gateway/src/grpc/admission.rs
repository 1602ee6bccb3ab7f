//! The door of gRPC: who is calling, whether the user has room for one more call, and through which
//! entry it comes.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures::future::BoxFuture;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::{Code, Status};
use tower::Service;

use crate::Core;
use crate::callers::Session;
use crate::entry_point::EntryPoint;
use crate::error::GatewayError;
use crate::limits::Held;

/// A service behind the door. Its handlers find the [`Session`] among the request's extensions.
#[derive(Clone, Debug)]
pub(crate) struct Admitted<S> {
    core: Arc<Core>,
    service: S,
}

impl<S> Admitted<S> {
    pub(crate) fn new(core: &Arc<Core>, service: S) -> Self {
        Self { core: Arc::clone(core), service }
    }
}

impl<S: NamedService> NamedService for Admitted<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<Body>> for Admitted<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        // The one that is ready is the one to be called.
        let next = self.service.clone();
        let mut service = std::mem::replace(&mut self.service, next);
        let core = Arc::clone(&self.core);
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            if EntryPoint::of_grpc(parts.uri.path()).is_none() {
                let message = "the method is not offered";
                return Ok(Status::new(Code::Unimplemented, message).into_http());
            }
            let deadline = Instant::now() + core.config.request_timeout;
            let admitted = async {
                let session = core.callers.resolve(&parts.headers, deadline).await?;
                let turn = core.limiter.begin(&session).await?;
                Ok::<_, GatewayError>((session, turn))
            };
            let (session, turn) = match admitted.await {
                Ok(admitted) => admitted,
                Err(error) => return Ok(Status::from(error).into_http()),
            };
            parts.extensions.insert::<Arc<Session>>(session);
            let response = service.call(http::Request::from_parts(parts, body)).await?;
            Ok(response.map(|body| Body::new(Held::new(body, turn))))
        })
    }
}
