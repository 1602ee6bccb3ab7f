//! The calling side. A service is given a [`Channel`] and cannot tell whether the other end is in
//! the same process or across the network.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::Endpoint;
use tonic::{Status, TimeoutExpired};
use tower::Service;
use tracing::Instrument as _;

use crate::gate::timeout;
use crate::service_token::{Proof, ServiceIdentity, TokenSource};
use crate::tls::TlsError;
use crate::trace;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type BoxFuture = Pin<Box<dyn Future<Output = Result<Response<Body>, BoxError>> + Send>>;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// A way to one service, for any of its generated clients. Cheap to clone. A request's timeout bounds the answer's
/// beginning (DEADLINE_EXCEEDED), in this process as across the network.
#[derive(Clone, Debug)]
pub struct Channel {
    transport: Transport,
    tokens: Option<Arc<TokenSource>>,
}

#[derive(Clone, Debug)]
enum Transport {
    Local(Routes),
    Tcp(tonic::transport::Channel),
}

/// An address that cannot be one.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// It is malformed.
    #[error("`{address}` is not a service address; expected http(s)://HOST:PORT")]
    Malformed {
        /// The address.
        address: String,
        /// Why not.
        source: tonic::transport::Error,
    },
    /// What it is to be trusted by cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// It says `http` where services show certificates, or `https` where they have none.
    #[error("`{address}` must begin with {expected}, as services here prove themselves")]
    Scheme {
        /// The address.
        address: String,
        /// How it has to begin.
        expected: &'static str,
    },
}

impl Channel {
    /// To a service in this process, by its name: a function call with the network's manners.
    #[must_use]
    pub fn local(routes: Routes, callee: &str, identity: &ServiceIdentity) -> Self {
        let tokens = identity.tokens(callee).map(Arc::new);
        Self { transport: Transport::Local(routes.prepare()), tokens }
    }

    /// To the service of this name at `http://HOST:PORT`, or `https://HOST:PORT` where services show
    /// certificates. Connects when first used and again whenever the connection is lost.
    ///
    /// # Errors
    ///
    /// When the address is malformed, or of the wrong kind.
    pub fn tcp(
        address: &str,
        callee: &str,
        identity: &ServiceIdentity,
    ) -> Result<Self, ConnectError> {
        let require = |expected: &'static str| match address.starts_with(expected) {
            true => Ok(()),
            false => Err(ConnectError::Scheme { address: address.to_owned(), expected }),
        };
        let channel = match identity.proof() {
            Proof::Key(_) => {
                require("http://")?;
                endpoint(address)?.connect_lazy()
            }
            Proof::Certificate(tls) => {
                require("https://")?;
                let tls = tls.clone();
                connect_lazy(address, move || tls.client_config())?
            }
        };
        let tokens = identity.tokens(callee).map(Arc::new);
        Ok(Self { transport: Transport::Tcp(channel), tokens })
    }
}

/// Gives an answer up as the network's transport does.
async fn within<E>(
    timeout: Option<Duration>,
    response: impl Future<Output = Result<Response<Body>, E>>,
) -> Result<Response<Body>, E> {
    let Some(timeout) = timeout else { return response.await };
    let answered = tokio::time::timeout(timeout, response).await;
    answered.unwrap_or_else(|_| Ok(too_late()))
}

fn is_timeout(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |it| it.source());
    causes.any(|it| it.is::<TimeoutExpired>())
}

/// What gRPC says of an answer that does not come within the time that the caller gave.
fn too_late() -> Response<Body> {
    Status::deadline_exceeded("no answer in time").into_http()
}

fn endpoint(address: &str) -> Result<Endpoint, ConnectError> {
    let endpoint = Endpoint::from_shared(address.to_owned())
        .map_err(|source| ConnectError::Malformed { address: address.to_owned(), source })?;
    Ok(endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_while_idle(true))
}

/// Under TLS, each connection with the configuration of its moment.
pub(crate) fn connect_lazy(
    address: &str,
    config: impl Fn() -> Arc<ClientConfig> + Send + 'static,
) -> Result<tonic::transport::Channel, ConnectError> {
    let connect = move |uri: Uri| connect(TlsConnector::from(config()), uri);
    Ok(endpoint(address)?.connect_with_connector_lazy(tower::service_fn(connect)))
}

async fn connect(tls: TlsConnector, uri: Uri) -> io::Result<TokioIo<TlsStream<TcpStream>>> {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let stream = TcpStream::connect((host.as_str(), uri.port_u16().unwrap_or(443))).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from(host).map_err(io::Error::other)?;
    Ok(TokioIo::new(tls.connect(name, stream).await?))
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
        if let Some(tokens) = &self.tokens {
            headers.insert(AUTHORIZATION, tokens.authorization());
        }
        trace::inject(&span, headers);
        match &mut self.transport {
            Transport::Local(routes) => {
                let timeout = timeout(request.headers());
                let response = routes.clone().call(request);
                Box::pin(async move { Ok(within(timeout, response).await?) }.instrument(span))
            }
            Transport::Tcp(channel) => {
                let response = channel.call(request);
                let answered = async move {
                    match response.await {
                        Err(error) if is_timeout(&error) => Ok(too_late()),
                        answered => Ok(answered?),
                    }
                };
                Box::pin(answered.instrument(span))
            }
        }
    }
}
