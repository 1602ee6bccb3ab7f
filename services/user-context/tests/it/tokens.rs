//! Which tokens are believed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rpc::ErrorReason::{InvalidAssertion, NoErpUser};
use serde_json::{Value, json};
use tonic::Code::{PermissionDenied, Unauthenticated};
use user_context::dev_issuer::{self, DEFAULT_LIFETIME, TENANT};
use user_context::{Config, IssuerConfig, UserContext};

use crate::support::{
    Environment, IssuerKey, ORGANIZATION, claims, context_in, jwks, now, reason, with,
};

const ISSUER: &str = "https://login.example/contoso/v2.0";

fn inline(issuer: &str, keys: &[&IssuerKey]) -> IssuerConfig {
    IssuerConfig {
        issuer: issuer.into(),
        audiences: vec![ORGANIZATION.into()],
        jwks: Some(jwks(keys)),
        jwks_url: None,
        authorization_uri: None,
    }
}

#[tokio::test]
async fn good_tokens_name_their_user() {
    let rsa = IssuerKey::rsa("rsa", Algorithm::RS256);
    let pss = IssuerKey::rsa("pss", Algorithm::PS256);
    let ec = IssuerKey::ec("ec");
    let environment = Environment::start(vec![inline(ISSUER, &[&rsa, &pss, &ec])], 5);
    let version_1 = json!({
        "azp": null, "preferred_username": null, "ver": "1.0",
        "appid": "5f0f0a44-4c14-4f3a-9c0a-6e8a33f6a1b0", "upn": "clerk@contoso.example",
        "unique_name": "clerk@contoso.example",
    });
    let good = claims(ISSUER);
    for (name, token) in [
        ("RS256", rsa.sign(&good)),
        ("PS256", pss.sign(&good)),
        ("ES256", ec.sign(&good)),
        ("version 1", rsa.sign(&with(good.clone(), version_1))),
        ("no nbf", rsa.sign(&with(good.clone(), json!({"nbf": null})))),
        ("issuer's clock ahead", rsa.sign(&with(good.clone(), json!({"nbf": now() + 30})))),
        ("slash", rsa.sign(&with(good.clone(), json!({"aud": format!("{ORGANIZATION}/")})))),
        ("two audiences", rsa.sign(&with(good.clone(), json!({"aud": ["x", ORGANIZATION]})))),
    ] {
        let resolved =
            environment.resolve(&token).await.unwrap_or_else(|it| panic!("{name}: {it}"));
        let user = resolved.user.unwrap();
        assert_eq!((user.name.as_str(), user.erp_user.as_str()), ("users/usmf-clerk", "clerk"));
        assert_eq!(user.companies, ["USMF"], "{name}");
        let left = resolved.expire_time.unwrap().seconds - i64::try_from(now()).unwrap();
        assert!((295..=300).contains(&left), "{name}: {left}");
    }
}

#[tokio::test]
async fn bad_tokens_are_refused_and_never_quoted() {
    let key = IssuerKey::rsa("rsa", Algorithm::RS256);
    let other = IssuerKey::rsa("rsa", Algorithm::RS256);
    let unknown = IssuerKey::rsa("unknown", Algorithm::RS256);
    let environment = Environment::start(vec![inline(ISSUER, &[&key])], 5);
    let good = claims(ISSUER);
    let changed = |changes: Value| key.sign(&with(good.clone(), changes));
    let bad = [
        ("expired", changed(json!({"exp": now() - 61}))),
        ("just expired", changed(json!({"exp": now()}))),
        ("no exp", changed(json!({"exp": null}))),
        ("endless", changed(json!({"exp": 1e300}))),
        ("nbf in the future", changed(json!({"nbf": now() + 120}))),
        ("other audience", changed(json!({"aud": "https://other.example"}))),
        ("no audience", changed(json!({"aud": null}))),
        ("other issuer", changed(json!({"iss": "https://other.example/v2.0"}))),
        ("two issuers", changed(json!({"iss": [ISSUER, "https://other.example"]}))),
        ("no issuer", changed(json!({"iss": null}))),
        ("other key", other.sign(&good)),
        ("unknown key", unknown.sign(&good)),
        ("RS512", signed_as(&key, Algorithm::RS512, &good)),
        ("PS256 with an RS256 key", signed_as(&key, Algorithm::PS256, &good)),
        ("no key id", without_key_id(&key, &good)),
        ("HS256 with the public key", hs256(jwks(&[&key]).as_bytes(), &good)),
        ("HS256 with the modulus", hs256(&modulus(&key), &good)),
        ("alg none", unsigned("none", &good)),
        ("alg None", unsigned("None", &good)),
        ("garbage", "garbage".into()),
        ("dots", "..".into()),
        ("four parts", "a.b.c.d".into()),
        ("empty", String::new()),
        ("100 kB", "a".repeat(100_000)),
        ("100 kB of claims", changed(json!({"groups": "x".repeat(75_000)}))),
    ];
    for (name, token) in bad {
        let status = environment.resolve(&token).await.expect_err(name);
        assert_eq!(reason(&status), (Unauthenticated, Some(InvalidAssertion)), "{name}");
        for secret in ["contoso", "7f2c1a80", "login.example"] {
            assert!(!status.message().contains(secret), "{name}: {}", status.message());
        }
    }
}

#[tokio::test]
async fn a_valid_token_of_a_stranger_is_no_user() {
    let key = IssuerKey::rsa("rsa", Algorithm::RS256);
    let environment = Environment::start(vec![inline(ISSUER, &[&key])], 5);
    for changes in [
        json!({"oid": "00000000-0000-0000-0000-000000000001"}),
        json!({"oid": "not an id"}),
        json!({"oid": null}),
        // Names are the issuer's to give away; only the development issuer's are ours.
        json!({"oid": null, "preferred_username": "usmf-clerk", "upn": "admin"}),
    ] {
        let token = key.sign(&with(claims(ISSUER), changes.clone()));
        let status = environment.resolve(&token).await.expect_err("a stranger");
        assert_eq!(reason(&status), (PermissionDenied, Some(NoErpUser)), "{changes}");
    }
}

#[tokio::test]
async fn an_assertion_ends_with_its_token() {
    let key = IssuerKey::rsa("rsa", Algorithm::RS256);
    let environment = Environment::start(vec![inline(ISSUER, &[&key])], 5);
    let end = now() + 60;
    let token = key.sign(&with(claims(ISSUER), json!({"exp": end})));
    let resolved = environment.resolve(&token).await.unwrap();
    assert_eq!(resolved.expire_time.unwrap().seconds, i64::try_from(end).unwrap());
}

#[tokio::test]
async fn a_minted_token_stays_good_when_the_port_changes() {
    let environment = Environment::start(vec![], 5);
    let mint =
        |user: &str| dev_issuer::mint(environment.dir.path(), user, DEFAULT_LIFETIME).unwrap();
    let user = environment.resolve(&mint("usmf-clerk")).await.unwrap().user.unwrap();
    assert_eq!(user.name, "users/usmf-clerk");
    let before = mint("ADMIN");
    // The same directory, another port: what runs first must accept what is minted now, and what
    // was minted before must still be good.
    let moved = context_in(&environment.dir, "http://127.0.0.1:9090", vec![], 5);
    assert_eq!(
        moved.authorization_uri(),
        Some(format!("http://127.0.0.1:9090/{TENANT}/oauth2/authorize").as_str())
    );
    let after = mint("admin");
    for token in [before, after] {
        let user = environment.resolve(&token).await.unwrap().user.unwrap();
        assert_eq!(user.name, "users/admin");
    }
}

#[tokio::test]
async fn a_minted_token_is_good_for_its_own_organization_and_directory_only() {
    let environment = Environment::start(vec![], 5);
    let elsewhere = Environment::start(vec![], 5);
    let token = dev_issuer::mint(elsewhere.dir.path(), "admin", DEFAULT_LIFETIME).unwrap();
    let status = environment.resolve(&token).await.expect_err("of another directory");
    assert_eq!(reason(&status), (Unauthenticated, Some(InvalidAssertion)));

    let pem = std::fs::read(environment.dir.path().join("issuer/key.pem")).unwrap();
    let private = EncodingKey::from_rsa_pem(&pem).unwrap();
    let minted = dev_issuer::mint(environment.dir.path(), "admin", DEFAULT_LIFETIME).unwrap();
    let id = jsonwebtoken::decode_header(&minted).unwrap().kid.unwrap();
    let key = IssuerKey { private, id, algorithm: Algorithm::RS256 };
    let issuer = format!("{ORGANIZATION}/{TENANT}/v2.0");
    let by_name = json!({"oid": null, "preferred_username": "usmf-clerk"});
    let token = key.sign(&with(claims(&issuer), by_name));
    let user = environment.resolve(&token).await.unwrap().user.unwrap();
    assert_eq!(user.name, "users/usmf-clerk");
    for changes in [
        json!({"aud": "https://other.example"}),
        json!({"aud": [ORGANIZATION]}),
        json!({"iss": format!("https://other.example/{TENANT}/v2.0")}),
        json!({"exp": now() - 61}),
    ] {
        let status = environment.resolve(&key.sign(&with(claims(&issuer), changes.clone()))).await;
        let status = status.expect_err("not for this organization");
        assert_eq!(reason(&status), (Unauthenticated, Some(InvalidAssertion)), "{changes}");
    }
}

#[test]
fn an_issuer_that_could_accept_nothing_is_refused_at_start() {
    let key = IssuerKey::ec("ec");
    let refused = |issuer: IssuerConfig, word: &str| {
        let error = UserContext::new(Config { issuers: vec![issuer], ..Config::default() });
        let error = error.expect_err(word).to_string();
        assert!(error.contains(ISSUER) && error.contains(word), "{error}");
    };
    let good = inline(ISSUER, &[&key]);
    refused(IssuerConfig { audiences: vec![], ..good.clone() }, "audiences");
    refused(IssuerConfig { jwks: Some("{}".into()), ..good.clone() }, "Key Set");
    refused(IssuerConfig { jwks_url: Some("http://x".into()), ..good.clone() }, "not both");
    let context = UserContext::new(Config { issuers: vec![good], ..Config::default() }).unwrap();
    assert_eq!(context.authorization_uri(), Some("https://login.example/contoso/oauth2/authorize"));
}

fn signed_as(key: &IssuerKey, algorithm: Algorithm, claims: &Value) -> String {
    let key = IssuerKey { private: key.private.clone(), id: key.id.clone(), algorithm };
    key.sign(claims)
}

fn without_key_id(key: &IssuerKey, claims: &Value) -> String {
    jsonwebtoken::encode(&Header::new(key.algorithm), claims, &key.private).unwrap()
}

fn hs256(secret: &[u8], claims: &Value) -> String {
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("rsa".into());
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(secret)).unwrap()
}

fn modulus(key: &IssuerKey) -> Vec<u8> {
    let jwk = serde_json::to_value(key.jwk()).unwrap();
    URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap()
}

fn unsigned(algorithm: &str, claims: &Value) -> String {
    let header = json!({"alg": algorithm, "typ": "JWT", "kid": "rsa"}).to_string();
    let [header, claims] = [header, claims.to_string()].map(|it| URL_SAFE_NO_PAD.encode(it));
    format!("{header}.{claims}.")
}
