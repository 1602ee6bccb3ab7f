//! Service protection limits, as clients meet them.

use gateway::{Config, Limits};
use proto::gateway::v1 as pb;
use proto::gateway::v1::gateway_service_client::GatewayServiceClient;
use tonic::{Code, Request};
use tonic_types::StatusExt as _;

use crate::fakes::{Provider, World};
use crate::fixture::CUSTOMERS;

async fn limited(limits: Limits) -> World {
    let configure = |config: &mut Config| config.limits = Some(limits);
    World::between(Provider::empty(), Provider::companies(), configure).await
}

#[tokio::test]
async fn what_is_left_is_said_and_then_to_wait() {
    let world = limited(Limits { requests: 2, ..Limits::default() }).await;
    for left in ["1", "0"] {
        let answer = world.get(CUSTOMERS).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("x-ms-ratelimit-burst-remaining-xrm-requests"), left);
        let seconds = answer.header("x-ms-ratelimit-time-remaining-xrm-requests");
        assert!(seconds.parse::<f64>().unwrap() <= 1_200.0, "{seconds}");
    }
    let mut waits = Vec::new();
    for _ in 0..3 {
        let answer = world.get(CUSTOMERS).await;
        let text = "Number of requests exceeded the limit of 2 over time window of 300 seconds.";
        assert_eq!(answer.error(), (429, "0x80072322".to_owned(), text.to_owned()));
        waits.push(answer.header("retry-after").parse::<u64>().unwrap());
    }
    assert!(waits.is_sorted() && waits.iter().all(|it| (1..=300).contains(it)), "{waits:?}");
    let (routes, _) = world.gateway.register(rpc::Server::public()).build().unwrap();
    let mut request = Request::new(pb::WhoAmIRequest {});
    request.metadata_mut().insert("authorization", "Bearer good".parse().unwrap());
    let status = GatewayServiceClient::new(routes).who_am_i(request).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.get_details_retry_info().unwrap().retry_delay.is_some());
}

#[tokio::test]
async fn a_batch_is_one_request() {
    let world = limited(Limits { requests: 1, ..Limits::default() }).await;
    let part = format!(
        "--b\r\nContent-Type: application/http\r\n\r\nGET {CUSTOMERS} HTTP/1.1\r\n\r\n\r\n"
    );
    let body = format!("{part}{part}{part}--b--\r\n");
    let headers = [("content-type", "multipart/mixed; boundary=b")];
    let answer = world.send("POST", "$batch", &headers, &body).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body.matches("HTTP/1.1 200 OK").count(), 3, "{}", answer.body);
    assert_eq!(world.get(CUSTOMERS).await.status, 429);
}

#[tokio::test]
async fn a_request_goes_on_until_its_answer_is_read() {
    use tower::ServiceExt as _;
    let world = limited(Limits { concurrent: 1, ..Limits::default() }).await;
    let request = axum::http::Request::builder()
        .uri(format!("/api/data/v9.2/{CUSTOMERS}"))
        .header("authorization", "Bearer good");
    let request = request.body(axum::body::Body::empty()).unwrap();
    let unread = world.gateway.http_router().oneshot(request).await.unwrap();
    let refused = world.get(CUSTOMERS).await;
    let text = "Number of concurrent requests exceeded the limit of 1.";
    assert_eq!(refused.error(), (429, "0x80072326".to_owned(), text.to_owned()));
    drop(unread);
    assert_eq!(world.get(CUSTOMERS).await.status, 200);
}

#[tokio::test]
async fn time_of_execution_is_limited_too() {
    let world = limited(Limits { execution_seconds: 0, ..Limits::default() }).await;
    let text = "Combined execution time of incoming requests exceeded limit of 0 milliseconds over \
                time window of 300 seconds. Decrease number of concurrent requests or reduce the \
                duration of requests and try again later.";
    let refused = world.get(CUSTOMERS).await;
    assert_eq!(refused.error(), (429, "0x80072321".to_owned(), text.to_owned()));
}
