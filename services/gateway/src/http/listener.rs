//! Connections of HTTP clients: so many at a time, and none that is kept open without a request.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use rpc::{Handshake, Listener};
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore};
use tower::ServiceExt as _;
use tower::util::MapRequest;

#[derive(Clone, Copy, Debug)]
struct Limits {
    /// More clients wait in the system's queue until one of these leaves.
    connections: usize,
    /// How long the head of a request may take, from the connection's beginning or from the end of
    /// the request before.
    head: Duration,
    /// Silent HTTP/2 connections are asked whether they are still there.
    keep_alive: Duration,
}

const LIMITS: Limits = Limits {
    connections: 4_096,
    head: Duration::from_secs(30),
    keep_alive: Duration::from_secs(30),
};

/// Serves HTTP/1.1 and HTTP/2 until `shutdown`, then lets requests in flight finish.
pub async fn serve_http(
    listener: impl Into<Listener>,
    router: Router,
    shutdown: impl Future<Output = ()> + Send,
) {
    serve_within(LIMITS, listener.into(), router, shutdown).await;
}

async fn serve_within(
    limits: Limits,
    listener: Listener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send,
) {
    let connections = GracefulShutdown::new();
    let free = Arc::new(Semaphore::new(limits.connections));
    let mut shutdown = pin!(shutdown);
    loop {
        let next = async {
            let place = Arc::clone(&free).acquire_owned().await;
            (place, listener.accept().await)
        };
        tokio::select! {
            (place, stream) = next => {
                // The semaphore is never closed.
                let Ok(place) = place else { break };
                let watcher = connections.watcher();
                let handshake = listener.handshake();
                let serving = connection(limits, stream, handshake, router.clone(), watcher);
                tokio::spawn(async move {
                    serving.await;
                    drop(place);
                });
            }
            () = &mut shutdown => break,
        }
    }
    drop(listener);
    connections.shutdown().await;
}

async fn connection(
    limits: Limits,
    stream: TcpStream,
    handshake: Handshake,
    router: Router,
    watcher: Watcher,
) {
    let stream = match handshake.complete(stream).await {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!(%error, "a client was not let in");
            return;
        }
    };
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.head);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(limits.keep_alive);
    let begun = Arc::new(Notify::new());
    let service = TowerToHyperService::new(telling(router, Arc::clone(&begun)));
    let serving = builder.serve_connection(TokioIo::new(stream), service).into_owned();
    // The timeout above begins when the version is known; this one, with the connection.
    let silent = async {
        if tokio::time::timeout(limits.head, begun.notified()).await.is_ok() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        outcome = watcher.watch(serving) => {
            if let Err(error) = outcome {
                tracing::debug!(error, "a connection ended badly");
            }
        }
        () = silent => {}
    }
}

/// Tells of every request.
fn telling<B>(
    router: Router,
    begun: Arc<Notify>,
) -> MapRequest<Router, impl FnMut(Request<B>) -> Request<B> + Clone>
where
    Router: tower::Service<Request<B>>,
{
    router.map_request(move |request: Request<B>| {
        begun.notify_one();
        request
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::sync::oneshot;
    use tokio::task::JoinHandle;

    const HEAD: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    struct Served {
        address: std::net::SocketAddr,
        stop: oneshot::Sender<()>,
        serving: JoinHandle<()>,
        /// Lets the answer to `/slow` be given.
        release: Arc<Notify>,
    }

    async fn serve(connections: usize, head: Duration) -> Served {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let release = Arc::new(Notify::new());
        let gate = Arc::clone(&release);
        let slow = get(async move || {
            gate.notified().await;
            "late"
        });
        let router = Router::new().route("/", get(async || "hello")).route("/slow", slow);
        let limits = Limits { connections, head, ..LIMITS };
        let shutdown = async { stopped.await.unwrap() };
        let serving = tokio::spawn(serve_within(limits, listener.into(), router, shutdown));
        Served { address, stop, serving, release }
    }

    async fn rest(mut stream: TcpStream) -> String {
        let mut text = String::new();
        // A reset is an end as well.
        let _ = stream.read_to_string(&mut text).await;
        text
    }

    async fn within<T>(work: impl Future<Output = T>) -> T {
        tokio::time::timeout(Duration::from_secs(20), work).await.unwrap()
    }

    #[tokio::test]
    async fn a_head_that_does_not_come_ends_the_connection() {
        let served = serve(10, Duration::from_millis(200)).await;
        for begin in ["", "P", "GET / HTTP/1.1\r\nHost: ", "PRI * HTTP/2.0\r\n"] {
            let mut stream = TcpStream::connect(served.address).await.unwrap();
            stream.write_all(begin.as_bytes()).await.unwrap();
            assert_eq!(within(rest(stream)).await, "", "{begin:?}");
        }
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(HEAD).await.unwrap();
        assert!(within(rest(stream)).await.ends_with("hello"), "ends when no other request comes");
    }

    #[tokio::test]
    async fn a_connection_too_many_waits_for_another_to_leave() {
        let served = serve(1, Duration::from_secs(60)).await;
        let mut first = TcpStream::connect(served.address).await.unwrap();
        first.write_all(HEAD).await.unwrap();
        first.read_u8().await.unwrap();
        let mut second = TcpStream::connect(served.address).await.unwrap();
        second.write_all(HEAD).await.unwrap();
        let early = tokio::time::timeout(Duration::from_millis(200), second.read_u8()).await;
        assert!(early.is_err(), "there is a place for one only");
        drop(first);
        assert_eq!(within(second.read_u8()).await.unwrap(), b'H');
    }

    #[tokio::test]
    async fn requests_in_flight_finish_when_the_server_stops() {
        let served = serve(10, Duration::from_secs(60)).await;
        let mut idle = TcpStream::connect(served.address).await.unwrap();
        idle.write_all(HEAD).await.unwrap();
        idle.read_u8().await.unwrap();
        let mut busy = TcpStream::connect(served.address).await.unwrap();
        busy.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let silent = TcpStream::connect(served.address).await.unwrap();
        // The idle connection answers again only after the busy one was accepted before it.
        idle.write_all(HEAD).await.unwrap();
        idle.read_u8().await.unwrap();
        served.stop.send(()).unwrap();
        within(rest(idle)).await;
        within(rest(silent)).await;
        assert!(!served.serving.is_finished());
        served.release.notify_one();
        assert!(within(rest(busy)).await.ends_with("late"));
        within(served.serving).await.unwrap();
    }
}
