//! Issuers whose keys are fetched. What is believed of them is tested beside the code.

use axum::routing::get;
use axum::{Json, Router};
use rpc::ErrorReason::NotReady;
use serde_json::json;
use tokio::net::TcpListener;
use tonic::Code::Unavailable;
use user_context::dev_issuer::{self, DevIssuerConfig};
use user_context::{Config, IssuerConfig};

use crate::support::{Environment, IssuerKey, ORGANIZATION, claims, jwks, reason, soon};

fn discovered(issuer: &str) -> IssuerConfig {
    IssuerConfig {
        issuer: issuer.into(),
        audiences: vec![ORGANIZATION.into()],
        tenant: None,
        jwks: None,
        jwks_url: None,
        authorization_uri: None,
    }
}

#[tokio::test]
async fn while_the_issuer_is_down_nobody_is_called_a_forger() {
    let key = IssuerKey::ec("key");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let url = format!("http://{address}");
    drop(listener);
    let environment = Environment::start(vec![discovered(&url)], 0).await;
    let token = key.sign(&claims(&url));
    let status = soon(environment.resolve(&token)).await.expect_err("down");
    assert_eq!(reason(&status), (Unavailable, Some(NotReady)));
    let listener = TcpListener::bind(address).await.unwrap();
    let discovery = json!({"issuer": url, "jwks_uri": format!("{url}/keys")});
    let keys = jwks(&[&key]);
    let router = Router::new()
        .route("/.well-known/openid-configuration", get(async move || Json(discovery)))
        .route("/keys", get(async move || keys));
    let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let user = environment.resolve(&token).await.unwrap().user.unwrap();
    assert_eq!(user.name, "users/usmf-clerk");
    server.abort();
}

#[tokio::test]
async fn the_development_issuer_is_one_that_others_can_discover() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let organization = format!("http://{}", listener.local_addr().unwrap());
    let at = |it: DevIssuerConfig| DevIssuerConfig { organization_url: organization.clone(), ..it };
    let settings = |it: Config| Config { dev_issuer: it.dev_issuer.map(at), ..it };
    let emulator = Environment::start_with(settings).await;
    let issuer = emulator.context.dev_issuer().unwrap();
    let router = dev_issuer::router(issuer);
    let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let config = IssuerConfig { audiences: vec![organization], ..discovered(&issuer.issuer()) };
    let other = Environment::start(vec![config], 0).await;
    let user = other.resolve(&emulator.mint("usmf-clerk")).await.unwrap().user.unwrap();
    assert_eq!(user.name, "users/usmf-clerk");
    server.abort();
}
