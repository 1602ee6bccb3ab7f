//! Issuers whose keys are fetched.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use futures::future::join_all;
use jsonwebtoken::Algorithm;
use rpc::ErrorReason::{InvalidAssertion, NotReady};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::Code::{Unauthenticated, Unavailable};
use user_context::IssuerConfig;
use user_context::dev_issuer::{self, DEFAULT_LIFETIME};

use crate::support::{Environment, IssuerKey, ORGANIZATION, claims, jwks, reason, soon};

/// An issuer on a port of its own, which counts how often its keys are fetched.
struct Issuer {
    url: String,
    state: Arc<Published>,
    server: JoinHandle<()>,
}

struct Published {
    url: String,
    keys: ArcSwap<String>,
    fetches: AtomicUsize,
}

impl Issuer {
    async fn start(keys: &[&IssuerKey]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, keys)
    }

    fn on(listener: TcpListener, keys: &[&IssuerKey]) -> Self {
        let url = format!("http://{}/contoso", listener.local_addr().unwrap());
        let state = Arc::new(Published {
            url: url.clone(),
            keys: ArcSwap::from_pointee(jwks(keys)),
            fetches: AtomicUsize::new(0),
        });
        let router = Router::new()
            .route("/contoso/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(published_keys))
            .with_state(Arc::clone(&state));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, state, server }
    }

    fn publish(&self, keys: &[&IssuerKey]) {
        self.state.keys.store(Arc::new(jwks(keys)));
    }

    fn fetches(&self) -> usize {
        self.state.fetches.load(Ordering::SeqCst)
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn discovery(State(state): State<Arc<Published>>) -> Json<Value> {
    let keys = state.url.replace("/contoso", "/keys");
    Json(json!({"issuer": state.url, "jwks_uri": keys}))
}

async fn published_keys(State(state): State<Arc<Published>>) -> String {
    state.fetches.fetch_add(1, Ordering::SeqCst);
    state.keys.load().as_ref().clone()
}

fn discovered(issuer: &str) -> IssuerConfig {
    IssuerConfig {
        issuer: issuer.into(),
        audiences: vec![ORGANIZATION.into()],
        jwks: None,
        jwks_url: None,
        authorization_uri: None,
    }
}

#[tokio::test]
async fn a_new_key_of_the_issuer_is_found() {
    let [old, new] = ["old", "new"].map(|it| IssuerKey::rsa(it, Algorithm::RS256));
    let issuer = Issuer::start(&[&old]).await;
    let environment = Environment::start(vec![discovered(&issuer.url)], 0);
    let claims = claims(&issuer.url);
    for _ in 0..3 {
        environment.resolve(&old.sign(&claims)).await.unwrap();
    }
    assert_eq!(issuer.fetches(), 1, "keys are kept");
    issuer.publish(&[&new]);
    environment.resolve(&new.sign(&claims)).await.unwrap();
    let status = environment.resolve(&old.sign(&claims)).await.expect_err("withdrawn");
    assert_eq!(reason(&status), (Unauthenticated, Some(InvalidAssertion)));
}

#[tokio::test]
async fn many_tokens_with_unknown_keys_cause_one_fetch() {
    let good = IssuerKey::ec("good");
    let issuer = Issuer::start(&[&good]).await;
    let environment = Environment::start(vec![discovered(&issuer.url)], 60);
    let forged =
        (0..50).map(|it| IssuerKey::ec(&format!("forged-{it}")).sign(&claims(&issuer.url)));
    let forged: Vec<_> = forged.collect();
    for _ in 0..2 {
        for answer in soon(join_all(forged.iter().map(|it| environment.resolve(it)))).await {
            let status = answer.expect_err("forged");
            assert_eq!(reason(&status), (Unauthenticated, Some(InvalidAssertion)));
        }
    }
    assert_eq!(issuer.fetches(), 1);
    environment.resolve(&good.sign(&claims(&issuer.url))).await.unwrap();
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test]
async fn while_the_issuer_is_down_nobody_is_called_a_forger() {
    let key = IssuerKey::ec("key");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let url = format!("http://{address}/contoso");
    drop(listener);
    let environment = Environment::start(vec![discovered(&url)], 0);
    let token = key.sign(&claims(&url));
    let status = soon(environment.resolve(&token)).await.expect_err("down");
    assert_eq!(reason(&status), (Unavailable, Some(NotReady)));
    let issuer = Issuer::on(TcpListener::bind(address).await.unwrap(), &[&key]);
    environment.resolve(&token).await.unwrap();
    // Down again: what was fetched stays good.
    drop(issuer);
    environment.resolve(&token).await.unwrap();
}

#[tokio::test]
async fn what_an_issuer_should_not_send_is_not_believed() {
    let key = IssuerKey::ec("key");
    let check = async |body: fn(&str) -> String, name: &str| {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let document = body(&url);
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(async move || document.clone()));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let environment = Environment::start(vec![discovered(&url)], 0);
        let status = soon(environment.resolve(&key.sign(&claims(&url)))).await.expect_err(name);
        assert_eq!(reason(&status), (Unavailable, Some(NotReady)), "{name}");
        server.abort();
    };
    check(|_| "<html>".into(), "not json").await;
    check(|_| format!(r#"{{"issuer":"{}""#, "x".repeat(600_000)), "too large").await;
    check(|url| format!(r#"{{"issuer":"{url}/other","jwks_uri":"{url}"}}"#), "another").await;
}

#[tokio::test]
async fn the_development_issuer_is_one_that_others_can_discover() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let organization = format!("http://{}", listener.local_addr().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let emulator = crate::support::context_in(&dir, &organization, vec![], 5);
    let issuer = emulator.dev_issuer().unwrap();
    let router = dev_issuer::router(issuer);
    let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let config = IssuerConfig { audiences: vec![organization], ..discovered(&issuer.issuer()) };
    let other = Environment::start(vec![config], 0);
    let token = dev_issuer::mint(dir.path(), "usmf-clerk", DEFAULT_LIFETIME).unwrap();
    let user = other.resolve(&token).await.unwrap().user.unwrap();
    assert_eq!(user.name, "users/usmf-clerk");
    server.abort();
}
