//! Issuers whose keys are fetched.

use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use axum::extract::State;
use axum::http::{HeaderName, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use futures::future::join_all;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::*;

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

    fn publish(&self, document: String) {
        self.state.keys.store(Arc::new(document));
    }

    fn fetches(&self) -> usize {
        self.state.fetches.load(Ordering::SeqCst)
    }

    async fn stop(mut self) -> String {
        self.server.abort();
        // Only when it has ended is its port free.
        let _ = (&mut self.server).await;
        self.url.clone()
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A connection that is kept would go on after the server's end.
const CLOSE: [(HeaderName, &str); 1] = [(header::CONNECTION, "close")];

async fn discovery(State(state): State<Arc<Published>>) -> impl IntoResponse {
    let keys = state.url.replace("/contoso", "/keys");
    (CLOSE, Json(json!({"issuer": state.url, "jwks_uri": keys})))
}

async fn published_keys(State(state): State<Arc<Published>>) -> impl IntoResponse {
    state.fetches.fetch_add(1, Ordering::SeqCst);
    (CLOSE, state.keys.load().as_ref().clone())
}

fn discovered(issuer: &str) -> IssuerConfig {
    IssuerConfig { jwks: None, ..inline(issuer, &[]) }
}

/// Bounds what is awaited, so that a test that would hang fails.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what).await.expect("in time")
}

async fn is_unavailable(verifier: &TokenVerifier, token: &str) -> bool {
    matches!(soon(verifier.verify(token)).await, Err(Error::IssuerUnavailable))
}

#[tokio::test]
async fn a_new_key_of_the_issuer_is_found_and_a_withdrawn_one_forgotten() {
    let [old, new] = ["old", "new"].map(IssuerKey::ec);
    let issuer = Issuer::start(&[&old]).await;
    let verifier = verifier(vec![discovered(&issuer.url)], 0);
    let claims = claims(&issuer.url);
    for _ in 0..3 {
        assert_eq!(refusal(&verifier, &old.sign(&claims)).await, None);
    }
    assert_eq!(issuer.fetches(), 1, "keys are kept");
    issuer.publish(jwks(&[&new]));
    assert_eq!(refusal(&verifier, &new.sign(&claims)).await, None);
    assert_eq!(refusal(&verifier, &old.sign(&claims)).await, Some(Refusal::UnknownKey));
}

#[tokio::test]
async fn many_tokens_with_unknown_keys_cause_one_fetch() {
    let good = IssuerKey::ec("good");
    let issuer = Issuer::start(&[&good]).await;
    let verifier = verifier(vec![discovered(&issuer.url)], 60);
    let forger = IssuerKey::ec("");
    let forged = (0..200).map(|it| {
        let forger = IssuerKey { private: forger.private.clone(), ..IssuerKey::ec("") };
        IssuerKey { id: format!("forged-{it}"), ..forger }.sign(&claims(&issuer.url))
    });
    let forged: Vec<_> = forged.collect();
    for _ in 0..2 {
        let answers = join_all(forged.iter().map(|it| refusal(&verifier, it)));
        for answer in soon(answers).await {
            assert_eq!(answer, Some(Refusal::UnknownKey));
        }
    }
    assert_eq!(issuer.fetches(), 1);
    assert_eq!(refusal(&verifier, &good.sign(&claims(&issuer.url))).await, None);
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test]
async fn an_unknown_key_is_asked_for_once_however_much_time_has_passed() {
    let good = IssuerKey::ec("good");
    let issuer = Issuer::start(&[&good]).await;
    let location = Location::Discovery(issuer.url.clone());
    let keys = Arc::new(RemoteKeys::new(location, Duration::from_secs(3_600)).unwrap());
    for (id, fetches) in [("forged", 1), ("forged", 1), ("other", 2), ("forged", 2)] {
        keys.forget_attempts().await;
        assert!(keys.find(id).await.is_err());
        assert_eq!(issuer.fetches(), fetches, "{id}");
    }
    keys.forget_attempts().await;
    assert!(keys.find(&"long".repeat(1_000)).await.is_err());
    assert_eq!(issuer.fetches(), 2, "what no issuer has is not asked for");
}

#[tokio::test]
async fn a_key_that_was_wanted_a_moment_too_early_is_found_with_the_next_fetch() {
    let [old, new] = ["old", "new"].map(IssuerKey::ec);
    let issuer = Issuer::start(&[&old]).await;
    let location = Location::Discovery(issuer.url.clone());
    let keys = Arc::new(RemoteKeys::new(location, Duration::from_secs(3_600)).unwrap());
    assert!(keys.find("old").await.is_ok());
    issuer.publish(jwks(&[&new]));
    assert!(keys.find("new").await.is_err(), "not fetched again so soon");
    assert_eq!(issuer.fetches(), 1);
    keys.forget_attempts().await;
    assert!(keys.find("new").await.is_ok());
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test]
async fn those_who_wait_for_keys_wait_for_one_fetch() {
    let key = IssuerKey::ec("key");
    let issuer = Issuer::start(&[&key]).await;
    // Nothing but waiting for the same fetch keeps them from fetching.
    let verifier = verifier(vec![discovered(&issuer.url)], 0);
    let token = key.sign(&claims(&issuer.url));
    let answers = soon(join_all((0..50).map(|_| refusal(&verifier, &token)))).await;
    assert!(answers.iter().all(Option::is_none), "{answers:?}");
    assert_eq!(issuer.fetches(), 1);
    let forged = IssuerKey::ec("forged").sign(&claims(&issuer.url));
    let answers = soon(join_all((0..50).map(|_| refusal(&verifier, &forged)))).await;
    assert!(answers.iter().all(|it| *it == Some(Refusal::UnknownKey)), "{answers:?}");
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test]
async fn while_the_issuer_is_down_nobody_is_called_a_forger() {
    let [key, new] = ["key", "new"].map(IssuerKey::ec);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let url = format!("http://{address}/contoso");
    drop(listener);
    let verifier = verifier(vec![discovered(&url)], 0);
    let token = key.sign(&claims(&url));
    assert!(is_unavailable(&verifier, &token).await);
    let issuer = Issuer::on(TcpListener::bind(address).await.unwrap(), &[&key]);
    assert_eq!(refusal(&verifier, &token).await, None);
    // Down again: what was fetched stays good, and of what was not nobody knows.
    let url = issuer.stop().await;
    assert!(is_unavailable(&verifier, &new.sign(&claims(&url))).await);
    assert_eq!(refusal(&verifier, &token).await, None);
    // An issuer that answers with nonsense is as good as away.
    let issuer = Issuer::on(TcpListener::bind(address).await.unwrap(), &[]);
    assert!(is_unavailable(&verifier, &new.sign(&claims(&url))).await);
    assert_eq!(refusal(&verifier, &token).await, None);
    issuer.publish(jwks(&[&new]));
    assert_eq!(refusal(&verifier, &new.sign(&claims(&url))).await, None);
    assert_eq!(refusal(&verifier, &token).await, Some(Refusal::UnknownKey));
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
        let verifier = verifier(vec![discovered(&url)], 0);
        assert!(is_unavailable(&verifier, &key.sign(&claims(&url))).await, "{name}");
        server.abort();
    };
    check(|_| "<html>".into(), "not json").await;
    check(|_| format!(r#"{{"issuer":"{}""#, "x".repeat(600_000)), "too large").await;
    check(|url| format!(r#"{{"issuer":"{url}/other","jwks_uri":"{url}"}}"#), "another").await;
}
