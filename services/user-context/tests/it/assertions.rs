//! What ResolveCaller gives out is believed by other servers, as long as they should.

use std::sync::Arc;
use std::time::Duration;

use proto::user_context::v1::{
    GetAssertionKeysRequest, GetCallerRequest, ListUsersRequest, ResolveCallerRequest,
};
use rpc::ErrorReason::{InvalidAssertion, NoCaller, NoServiceToken};
use rpc::{AssertionVerifier, Channel, ErrorReason, ServiceIdentity, ServiceKey, keep_keys};
use tonic::Code::Unauthenticated;
use user_context::UserContext;
use user_context::dev_issuer::{DEFAULT_LIFETIME, mint};

use crate::support::{
    Client, Environment, ORGANIZATION, context_in, identity, reason, routes, serve, service_key,
    soon,
};

const TIMEOUT: Duration = Duration::from_secs(10);

async fn assertion(environment: &Environment, user: &str) -> String {
    let token = mint(environment.dir.path(), user, DEFAULT_LIFETIME).unwrap();
    environment.resolve(&token).await.unwrap().assertion
}

/// A server of its own whose keys come from elsewhere.
fn other_server(context: &UserContext, verifier: &Arc<AssertionVerifier>) -> Client {
    let server = rpc::Server::new(service_key(), Arc::clone(verifier));
    let routes = context.register(server).unwrap().build().unwrap().0;
    Client::new(Channel::local(routes, identity()))
}

async fn caller(client: &mut Client, assertion: &str) -> Result<String, tonic::Status> {
    let request = rpc::request(GetCallerRequest {}, assertion, TIMEOUT)?;
    let user = soon(client.get_caller(request)).await?.into_inner().user.unwrap();
    Ok(user.name)
}

#[tokio::test]
async fn only_services_of_the_environment_may_call() {
    let environment = Environment::start(vec![], 5);
    let (address, _stop) = serve(routes(&environment.context)).await;
    let stranger = ServiceIdentity::new("stranger", ServiceKey::new(b"another secret"));
    for channel in [
        Channel::tcp(&address, stranger.clone()).unwrap(),
        Channel::local(routes(&environment.context), stranger),
    ] {
        let mut client = Client::new(channel);
        let token = mint(environment.dir.path(), "admin", DEFAULT_LIFETIME).unwrap();
        let refused = [
            client
                .resolve_caller(ResolveCallerRequest { bearer_token: token, ..Default::default() })
                .await
                .err(),
            client.get_assertion_keys(GetAssertionKeysRequest {}).await.err(),
            client.get_caller(GetCallerRequest {}).await.err(),
            client.list_users(ListUsersRequest::default()).await.err(),
        ];
        for status in refused {
            let status = status.expect("refused");
            assert_eq!(reason(&status), (Unauthenticated, Some(NoServiceToken)));
        }
    }
    let mut client = Client::new(Channel::tcp(&address, identity()).unwrap());
    client.get_assertion_keys(GetAssertionKeysRequest {}).await.unwrap();
}

#[tokio::test]
async fn another_server_believes_the_assertion_over_tcp_and_locally() {
    let environment = Environment::start(vec![], 5);
    let assertion = assertion(&environment, "usmf-clerk").await;
    let (address, _stop) = serve(routes(&environment.context)).await;
    for channel in [
        Channel::tcp(&address, identity()).unwrap(),
        Channel::local(routes(&environment.context), identity()),
    ] {
        let verifier = Arc::new(AssertionVerifier::new());
        let mut other = other_server(&environment.context, &verifier);
        let status = caller(&mut other, &assertion).await.expect_err("no keys yet");
        assert_eq!(reason(&status), (Unauthenticated, Some(InvalidAssertion)));
        let _keeper = keep_keys(Arc::clone(&verifier), channel);
        // The first call waits for the keys.
        assert_eq!(caller(&mut other, &assertion).await.unwrap(), "users/usmf-clerk");
    }
}

#[tokio::test]
async fn the_keys_of_a_restarted_user_context_are_fetched_when_they_are_met() {
    let environment = Environment::start(vec![], 5);
    let verifier = Arc::new(AssertionVerifier::new());
    let mut other = other_server(&environment.context, &verifier);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // Keys are looked for before there is anybody to give them.
    drop(listener);
    let channel = Channel::tcp(&format!("http://{address}"), identity()).unwrap();
    let _keeper = keep_keys(Arc::clone(&verifier), channel);
    let before = assertion(&environment, "admin").await;
    let serve_on = async |context: &UserContext| {
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let routes = routes(context);
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let shutdown = async move { stopped.await.unwrap_or_default() };
        (stop, tokio::spawn(rpc::Server::serve(routes, listener, shutdown)))
    };
    let (stop, server) = serve_on(&environment.context).await;
    assert_eq!(caller(&mut other, &before).await.unwrap(), "users/admin");
    drop(stop);
    soon(server).await.unwrap().unwrap();

    let restarted = context_in(&environment.dir, ORGANIZATION, vec![], 5);
    let (_stop, _server) = serve_on(&restarted).await;
    let mut client = Client::new(Channel::local(routes(&restarted), identity()));
    let token = mint(environment.dir.path(), "admin", DEFAULT_LIFETIME).unwrap();
    let request = ResolveCallerRequest { bearer_token: token, ..Default::default() };
    let after = client.resolve_caller(request).await.unwrap().into_inner().assertion;
    assert_eq!(caller(&mut other, &after).await.unwrap(), "users/admin");
    let status = caller(&mut other, &before).await.expect_err("signed before the restart");
    assert_eq!(reason(&status), (Unauthenticated, Some(InvalidAssertion)));
}

#[tokio::test]
async fn an_assertion_is_never_made_up() {
    let environment = Environment::start(vec![], 5);
    let mut client = environment.client.clone();
    let refusal = async |client: &mut Client, text: &str| -> Option<ErrorReason> {
        reason(&caller(client, text).await.expect_err("refused")).1
    };
    let good = assertion(&environment, "usmf-clerk").await;
    let (head, _) = good.rsplit_once('.').unwrap();
    for bad in ["", "x", "a.b.c", head, &format!("{head}.AAAA")] {
        assert_eq!(refusal(&mut client, bad).await, Some(InvalidAssertion), "{bad}");
    }
    let status = client.get_caller(GetCallerRequest {}).await.expect_err("nobody");
    assert_eq!(reason(&status), (Unauthenticated, Some(NoCaller)));
}
