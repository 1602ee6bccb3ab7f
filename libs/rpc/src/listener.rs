//! Where connections come in: plain ones on loopback addresses only, those that leave the machine
//! under TLS.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use futures::stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use crate::tls::{Peers, ServerTls, service_of};

/// After an error that is not one connection's own, such as too many open files.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a client may take to agree on keys.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Clients that agree on keys at a time; more wait in the system's queue.
const MAX_HANDSHAKES: usize = 256;

/// Takes connections at one address.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    tls: Option<ServerTls>,
}

/// An address that cannot be listened at.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// What is said would be readable on its way.
    #[error("{0} can be reached from other machines and has no TLS")]
    Exposed(SocketAddr),
    /// It is taken, or not ours.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
}

/// A client's connection.
#[derive(Debug)]
pub enum Connection {
    /// On this machine.
    Plain(TcpStream),
    /// Under TLS.
    Tls(Box<TlsStream<TcpStream>>, Peer),
}

/// Who is at the other end of a connection, as far as the connection says.
#[derive(Clone, Debug)]
pub enum Peer {
    /// It says nothing.
    Anonymous,
    /// The holder of a certificate of the environment's authority: this service, or none.
    Certified(Option<Arc<str>>),
}

// === impl Listener ===

impl Listener {
    /// Listens at `address`, which must be a loopback address when there is no TLS.
    ///
    /// # Errors
    ///
    /// When the address may not or cannot be listened at.
    pub async fn bind(address: SocketAddr, tls: Option<ServerTls>) -> Result<Self, ListenError> {
        Self::check(address, tls.as_ref())?;
        let bound = TcpListener::bind(address).await;
        let tcp = bound.map_err(|source| ListenError::Bind { address, source })?;
        Ok(Self { tcp, tls })
    }

    /// Whether [`Self::bind`] would agree to listen there.
    ///
    /// # Errors
    ///
    /// When the address can be reached from other machines and there is no TLS.
    pub fn check(address: SocketAddr, tls: Option<&ServerTls>) -> Result<(), ListenError> {
        if tls.is_none() && !address.ip().to_canonical().is_loopback() {
            return Err(ListenError::Exposed(address));
        }
        Ok(())
    }

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// When the system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// The next client, whatever befalls others.
    pub async fn accept(&self) -> TcpStream {
        use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
        loop {
            match self.tcp.accept().await {
                Ok((stream, _)) => {
                    // Refused only by a connection that is gone already.
                    let _ = stream.set_nodelay(true);
                    return stream;
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        ConnectionAborted | ConnectionRefused | ConnectionReset
                    ) => {}
                Err(error) => {
                    tracing::error!(%error, "cannot accept connections for the moment");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// What agrees on keys with clients, if they have to.
    #[must_use]
    pub fn handshake(&self) -> Handshake {
        Handshake { tls: self.tls.clone() }
    }

    /// Clients that have agreed on keys, in that order.
    pub(crate) fn incoming(self) -> impl Stream<Item = io::Result<Connection>> {
        let handshake = self.handshake();
        stream::unfold((self, JoinSet::new()), move |(listener, mut begun)| {
            let handshake = handshake.clone();
            async move {
                loop {
                    tokio::select! {
                        stream = listener.accept(), if begun.len() < MAX_HANDSHAKES => {
                            let handshake = handshake.clone();
                            begun.spawn(async move { handshake.complete(stream).await });
                        }
                        Some(done) = begun.join_next() => match done {
                            Ok(Ok(connection)) => return Some((Ok(connection), (listener, begun))),
                            Ok(Err(error)) => tracing::debug!(%error, "a client was not let in"),
                            Err(error) => tracing::error!(%error, "a handshake failed"),
                        },
                    }
                }
            }
        })
    }
}

/// For loopback addresses, which need no TLS.
impl From<TcpListener> for Listener {
    fn from(tcp: TcpListener) -> Self {
        Self { tcp, tls: None }
    }
}

/// Agrees on keys with clients of one listener.
#[derive(Clone, Debug)]
pub struct Handshake {
    tls: Option<ServerTls>,
}

impl Handshake {
    /// The connection, when the client has agreed.
    ///
    /// # Errors
    ///
    /// When it has not, or not in time, or shows no certificate where one is asked for.
    pub async fn complete(&self, stream: TcpStream) -> io::Result<Connection> {
        let Some(tls) = &self.tls else { return Ok(Connection::Plain(stream)) };
        let accepting = TlsAcceptor::from(tls.config()).accept(stream);
        let stream = tokio::time::timeout(HANDSHAKE_TIMEOUT, accepting).await??;
        let peer = match tls.peers() {
            Peers::Anonymous => Peer::Anonymous,
            Peers::Certified => {
                let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
                Peer::Certified(shown.and_then(service_of))
            }
        };
        Ok(Connection::Tls(Box::new(stream), peer))
    }
}

// === impl Connection ===

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        match self {
            Self::Plain(_) => Peer::Anonymous,
            Self::Tls(_, peer) => peer.clone(),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(it) => Pin::new(it).poll_read(cx, buffer),
            Self::Tls(it, _) => Pin::new(it).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(it) => Pin::new(it).poll_write(cx, bytes),
            Self::Tls(it, _) => Pin::new(it).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(it) => Pin::new(it).poll_flush(cx),
            Self::Tls(it, _) => Pin::new(it).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(it) => Pin::new(it).poll_shutdown(cx),
            Self::Tls(it, _) => Pin::new(it).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(it) => Pin::new(it).poll_write_vectored(cx, slices),
            Self::Tls(it, _) => Pin::new(it).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(it) => it.is_write_vectored(),
            Self::Tls(it, _) => it.is_write_vectored(),
        }
    }
}
