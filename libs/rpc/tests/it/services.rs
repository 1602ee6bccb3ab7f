//! Services that prove themselves with tokens.

use std::sync::Arc;
use std::time::Duration;

use proto::user_context::v1 as pb;
use proto::user_context::v1::user_context_service_server::UserContextServiceServer;
use rpc::{
    CALLER_HEADER, Channel, Environment, ErrorReason, Listener, ServiceIdentity, ServiceKeySet,
    SigningKey, TrustedServices,
};
use tonic::{Code, Request};
use tonic_types::StatusExt as _;

use crate::world::{Calls, Client, Served, loopback, refused, resolve, soon, verifier};

async fn served(services: &Environment) -> Served {
    let listener = Listener::bind(loopback(), None).await.unwrap();
    Served::start(Calls::default(), services.server("user-context", verifier()), listener).await
}

fn client(served: &Served, callee: &str, identity: &ServiceIdentity) -> Client {
    let address = format!("http://{}", served.address);
    Client::new(Channel::tcp(&address, callee, identity).unwrap())
}

#[tokio::test]
async fn a_service_is_known_by_its_own_key_and_for_its_callee() {
    let services = Environment::generate();
    let served = served(&services).await;
    let gateway = services.identity("gateway").unwrap();
    resolve(&mut client(&served, "user-context", &gateway)).await.unwrap();
    assert_eq!(served.calls.taken(), ["gateway"]);

    let stranger = Environment::generate().identity("gateway").unwrap();
    let impostor = ServiceIdentity::new("gateway", SigningKey::generate().unwrap().0);
    for (callee, identity) in
        [("catalog", &gateway), ("user-context", &stranger), ("user-context", &impostor)]
    {
        let outcome = resolve(&mut client(&served, callee, identity)).await;
        refused(outcome, Code::Unauthenticated, ErrorReason::NoServiceToken);
    }
    assert!(served.calls.taken().is_empty());
}

#[tokio::test]
async fn a_service_cannot_speak_in_anothers_name() {
    let (gateway, _) = SigningKey::generate().unwrap();
    let (query, document) = SigningKey::generate().unwrap();
    let mut keys = ServiceKeySet::default();
    keys.add("gateway", &gateway);
    keys.add("query", &query);
    let trusted = Arc::new(TrustedServices::of(&keys).unwrap());
    let listener = Listener::bind(loopback(), None).await.unwrap();
    let server = rpc::Server::new("user-context", trusted, verifier());
    let served = Served::start(Calls::default(), server, listener).await;
    // The adapter has its own key, and says that it is the gateway.
    let forger = ServiceIdentity::new("gateway", SigningKey::from_pkcs8(&document).unwrap());
    let outcome = resolve(&mut client(&served, "user-context", &forger)).await;
    refused(outcome, Code::Unauthenticated, ErrorReason::NoServiceToken);
    let honest = ServiceIdentity::new("gateway", gateway);
    resolve(&mut client(&served, "user-context", &honest)).await.unwrap();
}

#[tokio::test]
async fn a_service_calls_only_what_it_may() {
    let services = Environment::generate();
    let served = served(&services).await;
    let mut query = client(&served, "user-context", &services.identity("query").unwrap());
    let status =
        refused(resolve(&mut query).await, Code::PermissionDenied, ErrorReason::ServiceDenied);
    assert_eq!(status.get_details_error_info().unwrap().metadata["caller"], "query");
    let outcome = soon(query.check_portal_user(pb::CheckPortalUserRequest::default())).await;
    refused(outcome, Code::PermissionDenied, ErrorReason::ServiceDenied);
    soon(query.watch_trust(pb::WatchTrustRequest::default())).await.unwrap();
    let mut nobody = client(&served, "user-context", &services.identity("nobody").unwrap());
    refused(resolve(&mut nobody).await, Code::PermissionDenied, ErrorReason::ServiceDenied);
    assert_eq!(served.calls.taken(), ["query"]);
}

#[tokio::test]
async fn an_application_alone_has_no_user() {
    let services = Environment::generate();
    let served = served(&services).await;
    let mut gateway = client(&served, "user-context", &services.identity("gateway").unwrap());
    let outcome = soon(gateway.get_caller(pb::GetCallerRequest::default())).await;
    refused(outcome, Code::Unauthenticated, ErrorReason::NoCaller);
    let mut request = Request::new(pb::GetCallerRequest::default());
    request.metadata_mut().insert(CALLER_HEADER, "a.b.c".parse().unwrap());
    let outcome = soon(gateway.get_caller(request)).await;
    refused(outcome, Code::Unauthenticated, ErrorReason::InvalidAssertion);
}

#[tokio::test]
async fn a_channel_is_of_the_kind_that_its_identity_needs() {
    let services = Environment::generate();
    let gateway = services.identity("gateway").unwrap();
    let error = Channel::tcp("https://127.0.0.1:1", "query", &gateway).unwrap_err().to_string();
    assert!(error.contains("must begin with http://"), "{error}");
    assert!(Channel::tcp("not an address", "query", &gateway).is_err());
}

#[tokio::test]
async fn health_is_for_everybody() {
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;
    let services = Environment::generate();
    let served = served(&services).await;
    let stranger = Environment::generate().identity("anybody").unwrap();
    let address = format!("http://{}", served.address);
    let channel = Channel::tcp(&address, "user-context", &stranger).unwrap();
    soon(HealthClient::new(channel).check(HealthCheckRequest::default())).await.unwrap();
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_given_up_in_time_everywhere() {
    let services = Environment::generate();
    let served = served(&services).await;
    let capacity = services.identity("capacity").unwrap();
    let server = services.server("user-context", verifier());
    let server = server.with(UserContextServiceServer::new(Calls::default()));
    let (routes, _readiness) = server.build().unwrap();
    let local = Client::new(Channel::local(routes, "user-context", &capacity));
    for mut client in [client(&served, "user-context", &capacity), local] {
        let mut request = Request::new(pb::LookupUserRequest::default());
        request.set_timeout(Duration::from_millis(20));
        let outcome = soon(client.lookup_user(request)).await;
        assert_eq!(outcome.unwrap_err().code(), Code::DeadlineExceeded);
    }
}
