//! What ResolveCaller gives out is believed by the services it is for, from the service it is for, as
//! long as they should.

use std::sync::Arc;

use proto::user_context::v1::{GetCallerRequest, ListUsersRequest, WatchTrustRequest};
use rpc::ErrorReason::{InvalidAssertion, InvalidValue, NoCaller, NoServiceToken};
use rpc::{AssertionVerifier, Channel, ErrorReason, InvalidAssertion as Invalid, keep_trust};
use tonic::Code::{InvalidArgument, Unauthenticated};
use user_context::{Config, UserContext};

use crate::support::{
    Client, DirectoryClient, Environment, SERVICES, channel, identity, reason, request, resolve,
    routes, serve, soon,
};

/// A server of its own whose keys come from elsewhere.
fn other_server(context: &UserContext, verifier: &Arc<AssertionVerifier>) -> Client {
    let server = SERVICES.server("user-context", Arc::clone(verifier));
    let routes = context.register(server).build().unwrap().0;
    Client::new(Channel::local(routes, "user-context", &identity()))
}

async fn assertion(environment: &Environment, user: &str) -> String {
    let answer = environment.resolve(&environment.mint(user)).await.unwrap();
    answer.assertions["user-context"].clone()
}

async fn caller(client: &mut Client, assertion: &str) -> Result<String, tonic::Status> {
    let request = request(GetCallerRequest {}, assertion);
    let user = soon(client.get_caller(request)).await?.into_inner().user.unwrap();
    Ok(user.name)
}

#[tokio::test]
async fn only_services_of_the_environment_may_call() {
    let environment = Environment::start(vec![], 5).await;
    let (address, _stop) = serve(routes(&environment.context)).await;
    let stranger = rpc::Environment::generate().identity("gateway").unwrap();
    for channel in [
        Channel::tcp(&address, "user-context", &stranger).unwrap(),
        Channel::local(routes(&environment.context), "user-context", &stranger),
    ] {
        let mut client = Client::new(channel.clone());
        let token = environment.mint("admin");
        let refused = [
            client.resolve_caller(crate::support::question(&token, None)).await.err(),
            client.watch_trust(WatchTrustRequest {}).await.err(),
            client.get_caller(GetCallerRequest {}).await.err(),
            DirectoryClient::new(channel).list_users(ListUsersRequest::default()).await.err(),
        ];
        for status in refused {
            let status = status.expect("refused");
            assert_eq!(reason(&status), (Unauthenticated, Some(NoServiceToken)));
        }
    }
    let mut client = Client::new(Channel::tcp(&address, "user-context", &identity()).unwrap());
    client.watch_trust(WatchTrustRequest {}).await.unwrap();
}

#[tokio::test]
async fn another_server_believes_the_assertion_over_tcp_and_locally() {
    let environment = Environment::start(vec![], 5).await;
    let assertion = assertion(&environment, "usmf-clerk").await;
    let (address, _stop) = serve(routes(&environment.context)).await;
    for channel in [
        Channel::tcp(&address, "user-context", &identity()).unwrap(),
        Channel::local(routes(&environment.context), "user-context", &identity()),
    ] {
        let verifier = Arc::new(AssertionVerifier::new("user-context"));
        let mut other = other_server(&environment.context, &verifier);
        let status = caller(&mut other, &assertion).await.expect_err("no keys yet");
        assert_eq!(reason(&status), (Unauthenticated, Some(InvalidAssertion)));
        let _keeper = keep_trust(Arc::clone(&verifier), channel);
        // The first call waits for the keys.
        assert_eq!(caller(&mut other, &assertion).await.unwrap(), "users/usmf-clerk");
    }
}

#[tokio::test]
async fn an_assertion_is_for_one_service_from_one_service() {
    let environment = Environment::start(vec![], 5).await;
    let mut trust = Client::new(channel(&environment.context));
    let mut trust = trust.watch_trust(WatchTrustRequest {}).await.unwrap().into_inner();
    let trust = soon(trust.message()).await.unwrap().unwrap();
    let answer = environment.resolve(&environment.mint("usmf-clerk")).await.unwrap();
    for audience in ["query", "user-context", "organization"] {
        let verifier = AssertionVerifier::new(audience);
        verifier.apply(&trust).unwrap();
        for (meant_for, assertion) in &answer.assertions {
            let believed = verifier.verify(assertion, "gateway").is_ok();
            assert_eq!(believed, meant_for == audience, "{meant_for} at {audience}");
            assert_eq!(verifier.verify(assertion, "catalog"), Err(Invalid::Refused));
        }
    }
    for wrong in ["", "Query", "a b", &"x".repeat(65)] {
        let mut question = crate::support::question(&environment.mint("admin"), None);
        question.audiences = vec![wrong.to_owned()];
        let status = environment.client.clone().resolve_caller(question).await.expect_err(wrong);
        assert_eq!(reason(&status), (InvalidArgument, Some(InvalidValue)));
    }
}

#[tokio::test]
async fn a_restarted_user_context_is_trusted_when_it_is_met() {
    let environment = Environment::start(vec![], 5).await;
    let verifier = Arc::new(AssertionVerifier::new("user-context"));
    let mut other = other_server(&environment.context, &verifier);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // It is looked for before there is anybody.
    drop(listener);
    let url = format!("http://{address}");
    let channel = Channel::tcp(&url, "user-context", &identity()).unwrap();
    let _keeper = keep_trust(Arc::clone(&verifier), channel);
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

    let restarted = environment.again(|it: Config| it).await;
    let (_stop, _server) = serve_on(&restarted).await;
    let after = resolve(&restarted, &environment.mint("admin"), None).await.unwrap();
    let after = &after.assertions["user-context"];
    assert_eq!(caller(&mut other, after).await.unwrap(), "users/admin");
    let status = caller(&mut other, &before).await.expect_err("signed before the restart");
    assert_eq!(reason(&status), (Unauthenticated, Some(InvalidAssertion)));
}

#[tokio::test]
async fn an_assertion_is_never_made_up() {
    let environment = Environment::start(vec![], 5).await;
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
