//! Calls that never end by themselves: those whose method is a `Watch…`, health's among them. A
//! server that stops must end them, or it would wait for as long as anybody watches.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use futures::StreamExt as _;
use http::HeaderMap;
use http_body_util::{BodyExt as _, BodyStream, StreamBody};
use tokio::sync::watch;
use tonic::Status;

pub(crate) async fn end_when_stopping(
    State(mut stopping): State<watch::Receiver<bool>>,
    request: Request,
    next: Next,
) -> Response {
    let method = request.uri().path().rsplit('/').next().unwrap_or_default();
    let watches = method.starts_with("Watch");
    let response = next.run(request).await;
    if !watches {
        return response;
    }
    let stopped = stopping.clone();
    let stop = async move {
        // A server that was dropped has stopped as well.
        let _ = stopping.wait_for(|it| *it).await;
    };
    let trailers = async move {
        let status = Status::unavailable("the service is stopping; connect again");
        let mut trailers = HeaderMap::new();
        let written = status.add_header(&mut trailers).is_ok();
        (written && *stopped.borrow()).then_some(Ok(trailers))
    };
    response.map(|body| {
        let until_then = StreamBody::new(BodyStream::new(body).take_until(Box::pin(stop)));
        Body::new(until_then.with_trailers(trailers))
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpListener;
    use tokio::sync::oneshot;
    use tonic::Code;
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;

    use crate::Server;

    #[tokio::test]
    async fn a_server_stops_while_it_is_watched() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (routes, _readiness) = Server::public().build().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async { stopped.await.unwrap() };
        let serving = tokio::spawn(Server::serve(routes, listener, shutdown));
        let channel = tonic::transport::Endpoint::from_shared(address).unwrap().connect_lazy();
        let mut client = HealthClient::new(channel);
        let watch = client.watch(HealthCheckRequest::default()).await;
        let mut watch = watch.unwrap().into_inner();
        watch.message().await.unwrap().unwrap();
        stop.send(()).unwrap();
        assert_eq!(watch.message().await.unwrap_err().code(), Code::Unavailable);
        let ended = tokio::time::timeout(Duration::from_secs(10), serving).await;
        ended.unwrap().unwrap().unwrap();
    }
}
