//! The calling side. A service is given a [`Channel`] and cannot tell whether the other end is in
//! the same process or across the network.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{Request, Response};
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::Endpoint;
use tower::Service;
use tracing::Instrument as _;

use crate::service_token::ServiceIdentity;
use crate::trace;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type BoxFuture = Pin<Box<dyn Future<Output = Result<Response<Body>, BoxError>> + Send>>;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// A way to one service, for any of its generated clients. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Channel {
    transport: Transport,
    identity: ServiceIdentity,
}

#[derive(Clone, Debug)]
enum Transport {
    Local(Routes),
    Tcp(tonic::transport::Channel),
}

/// An address that cannot be one.
#[derive(Debug, thiserror::Error)]
#[error("`{address}` is not a service address; expected http://HOST:PORT")]
pub struct ConnectError {
    address: String,
    source: tonic::transport::Error,
}

impl Channel {
    /// To a service in this process: a function call with the network's manners.
    #[must_use]
    pub fn local(routes: Routes, identity: ServiceIdentity) -> Self {
        Self { transport: Transport::Local(routes.prepare()), identity }
    }

    /// To `http://HOST:PORT`. Connects when first used and again whenever the connection is lost.
    ///
    /// # Errors
    ///
    /// When the address is malformed.
    pub fn tcp(address: &str, identity: ServiceIdentity) -> Result<Self, ConnectError> {
        let endpoint = Endpoint::from_shared(address.to_owned())
            .map_err(|source| ConnectError { address: address.to_owned(), source })?
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_while_idle(true);
        Ok(Self { transport: Transport::Tcp(endpoint.connect_lazy()), identity })
    }
}

impl Service<Request<Body>> for Channel {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = BoxFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match &mut self.transport {
            Transport::Local(_) => Poll::Ready(Ok(())),
            Transport::Tcp(channel) => channel.poll_ready(cx).map_err(Into::into),
        }
    }

    fn call(&mut self, mut request: Request<Body>) -> BoxFuture {
        let path = request.uri().path().trim_start_matches('/');
        let span = tracing::info_span!(
            "rpc.client",
            otel.name = path,
            otel.kind = "client",
            rpc.system = "grpc",
            rpc.method = path,
        );
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, self.identity.authorization());
        trace::inject(&span, headers);
        match &mut self.transport {
            Transport::Local(routes) => {
                let response = routes.clone().call(request);
                Box::pin(async move { Ok(response.await?) }.instrument(span))
            }
            Transport::Tcp(channel) => {
                let response = channel.call(request);
                Box::pin(async move { Ok(response.await?) }.instrument(span))
            }
        }
    }
}
