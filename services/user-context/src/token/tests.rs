//! Which tokens are believed, and whose they are.

mod keys;
mod remote;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::KeyAlgorithm;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

use super::*;
use keys::{APPLICATION_ID, IssuerKey, OBJECT_ID, ORGANIZATION, claims, jwks, now, with};

const ISSUER: &str = "https://login.example/contoso/v2.0";
const GUID: &str = "0d1b5e53-6f2e-4c3e-9c6c-0a5d6a1f7b11";

fn inline(issuer: &str, keys: &[&IssuerKey]) -> IssuerConfig {
    IssuerConfig {
        issuer: issuer.into(),
        audiences: vec![ORGANIZATION.into()],
        tenant: None,
        jwks: Some(jwks(keys)),
        jwks_url: None,
        authorization_uri: None,
    }
}

fn verifier(issuers: Vec<IssuerConfig>, key_refetch_seconds: u64) -> TokenVerifier {
    let config = Config { issuers, key_refetch_seconds, ..Config::new(String::new()) };
    TokenVerifier::new(&config, None).unwrap()
}

async fn refusal(verifier: &TokenVerifier, token: &str) -> Option<Refusal> {
    match verifier.verify(token).await {
        Err(Error::Token(refusal)) => Some(refusal),
        Err(other) => panic!("{other}"),
        Ok(_) => None,
    }
}

fn clerk() -> Subject {
    Subject::Person { object_id: Some(OBJECT_ID.parse().unwrap()), names: Vec::new() }
}

#[tokio::test]
async fn good_tokens_name_their_user() {
    let rsa = IssuerKey::rsa("rsa");
    let pss = IssuerKey::rsa("pss").published_for(KeyAlgorithm::PS256);
    let ec = IssuerKey::ec("ec");
    let verifier = verifier(vec![inline(ISSUER, &[&rsa, &pss, &ec])], 5);
    let version_1 = json!({
        "azp": null, "preferred_username": null, "ver": "1.0", "appid": APPLICATION_ID,
        "upn": "clerk@contoso.example", "unique_name": "clerk@contoso.example",
    });
    let good = claims(ISSUER);
    for (name, token) in [
        ("RS256", rsa.sign(&good)),
        ("PS256 with a key for any", rsa.sign_as(Algorithm::PS256, &good)),
        ("PS256", pss.sign_as(Algorithm::PS256, &good)),
        ("ES256", ec.sign(&good)),
        ("version 1", rsa.sign(&with(good.clone(), version_1))),
        ("no nbf", rsa.sign(&with(good.clone(), json!({"nbf": null, "iat": null})))),
        (
            "clock ahead",
            rsa.sign(&with(good.clone(), json!({"nbf": now() + 30, "iat": now() + 30}))),
        ),
        ("slash", rsa.sign(&with(good.clone(), json!({"aud": format!("{ORGANIZATION}/")})))),
        ("two audiences", rsa.sign(&with(good.clone(), json!({"aud": ["x", ORGANIZATION]})))),
    ] {
        let verified = verifier.verify(&token).await.unwrap_or_else(|it| panic!("{name}: {it}"));
        // Names are the issuer's to give away; only the development issuer's are ours.
        assert_eq!(verified.subject, clerk(), "{name}");
        let left = verified.expires.duration_since(SystemTime::now()).unwrap().as_secs();
        assert!((3_590..=3_600).contains(&left), "{name}: {left}");
    }
}

#[tokio::test]
async fn bad_tokens_are_refused_for_what_is_wrong_with_them() {
    let key = IssuerKey::rsa("rsa");
    let fixed = IssuerKey::rsa("fixed").published_for(KeyAlgorithm::RS256);
    let ec = IssuerKey::ec("ec");
    let (other, unknown) = (IssuerKey::rsa("rsa"), IssuerKey::rsa("unknown"));
    let verifier = verifier(vec![inline(ISSUER, &[&key, &fixed, &ec])], 5);
    let good = claims(ISSUER);
    let changed = |changes: Value| key.sign(&with(good.clone(), changes));
    let as_ec = IssuerKey { id: "ec".into(), ..IssuerKey::rsa("") };
    let bad = [
        ("expired", changed(json!({"exp": now() - 61})), Refusal::Expired),
        ("just expired", changed(json!({"exp": now()})), Refusal::Expired),
        ("no exp", changed(json!({"exp": null})), Refusal::Malformed),
        ("endless", changed(json!({"exp": 1e300})), Refusal::Malformed),
        ("nbf in the future", changed(json!({"nbf": now() + 120})), Refusal::NotYet),
        ("iat in the future", changed(json!({"iat": now() + 120})), Refusal::NotYet),
        ("other audience", changed(json!({"aud": "https://o.example"})), Refusal::Audience),
        ("longer", changed(json!({"aud": "https://org.example.o.example"})), Refusal::Audience),
        ("no audience", changed(json!({"aud": null})), Refusal::Malformed),
        ("other issuer", changed(json!({"iss": "https://o.example"})), Refusal::UnknownIssuer),
        ("case", changed(json!({"iss": ISSUER.to_uppercase()})), Refusal::UnknownIssuer),
        ("two issuers", changed(json!({"iss": [ISSUER, "x"]})), Refusal::Malformed),
        ("no issuer", changed(json!({"iss": null})), Refusal::Malformed),
        ("other key", other.sign(&good), Refusal::Signature),
        ("another's id", as_ec.sign(&good), Refusal::Algorithm),
        ("unknown key", unknown.sign(&good), Refusal::UnknownKey),
        ("RS512", key.sign_as(Algorithm::RS512, &good), Refusal::Algorithm),
        ("PS256, RS256 key", fixed.sign_as(Algorithm::PS256, &good), Refusal::Algorithm),
        ("HS256, JWKS", hs256(jwks(&[&key]).as_bytes(), &good), Refusal::Algorithm),
        ("HS256, PEM", hs256(public_pem(&key).as_bytes(), &good), Refusal::Algorithm),
        ("HS256, modulus", hs256(&component(&key, "n"), &good), Refusal::Algorithm),
        ("no key id", without_key_id(&key, &good), Refusal::Malformed),
        ("crit", critical(&key, &good), Refusal::Malformed),
        ("alg none", unsigned("none", &good), Refusal::Malformed),
        ("alg None", unsigned("None", &good), Refusal::Malformed),
        ("stripped", stripped(&key.sign(&good)), Refusal::Signature),
        ("garbage", "garbage".into(), Refusal::Malformed),
        ("dots", "..".into(), Refusal::Malformed),
        ("four parts", "a.b.c.d".into(), Refusal::Malformed),
        ("empty", String::new(), Refusal::Empty),
        ("100 kB", "a".repeat(100_000), Refusal::TooLong),
        ("groups", changed(json!({"groups": "x".repeat(75_000)})), Refusal::TooLong),
        ("app and user", changed(json!({"idtyp": "app"})), Refusal::Subject),
    ];
    for (name, token, expected) in bad {
        assert_eq!(refusal(&verifier, &token).await, Some(expected), "{name}");
    }
    assert_eq!(refusal(&verifier, &key.sign(&good)).await, None);
}

#[tokio::test]
async fn tokens_of_both_versions_are_of_the_one_tenant() {
    let key = IssuerKey::rsa("rsa");
    let issuers = [
        format!("https://login.microsoftonline.com/{GUID}/v2.0"),
        format!("https://sts.windows.net/{GUID}/"),
    ];
    let by_url = issuers.iter().map(|it| inline(it, &[&key]));
    let explicit = IssuerConfig { tenant: Some(GUID.into()), ..inline(ISSUER, &[&key]) };
    let verifier = verifier(by_url.chain([explicit]).collect(), 5);
    for issuer in issuers.iter().map(String::as_str).chain([ISSUER]) {
        let of = |tenant: Value| key.sign(&with(claims(issuer), json!({ "tid": tenant })));
        assert_eq!(refusal(&verifier, &of(json!(GUID))).await, None, "{issuer}");
        assert_eq!(refusal(&verifier, &of(json!(GUID.to_uppercase()))).await, None, "{issuer}");
        for other in [json!(OBJECT_ID), Value::Null, json!("")] {
            let refused = refusal(&verifier, &of(other.clone())).await;
            assert_eq!(refused, Some(Refusal::Tenant), "{issuer} {other}");
        }
    }
}

#[tokio::test]
async fn an_application_that_acts_for_itself_is_no_person() {
    let key = IssuerKey::ec("ec");
    let verifier = verifier(vec![inline(ISSUER, &[&key])], 5);
    let own = json!({
        "scp": null, "preferred_username": null, "sub": OBJECT_ID, "azp": null,
        "appid": APPLICATION_ID.to_uppercase(), "roles": ["Any"],
    });
    let verified = verifier.verify(&key.sign(&with(claims(ISSUER), own))).await.unwrap();
    let expected = Subject::Application {
        application_id: APPLICATION_ID.into(),
        object_id: Some(OBJECT_ID.parse().unwrap()),
    };
    assert_eq!(verified.subject, expected);
}

#[test]
fn an_issuer_that_could_accept_nothing_is_refused_at_start() {
    let key = IssuerKey::ec("ec");
    let good = inline(ISSUER, &[&key]);
    let refused = |issuer: IssuerConfig, word: &str| {
        let error = TokenVerifier::new(
            &Config { issuers: vec![issuer], ..Config::new(String::new()) },
            None,
        );
        let error = error.expect_err(word).to_string();
        assert!(error.contains(ISSUER) && error.contains(word), "{error}");
    };
    refused(IssuerConfig { audiences: vec![], ..good.clone() }, "audiences");
    refused(IssuerConfig { jwks: Some("{}".into()), ..good.clone() }, "Key Set");
    refused(IssuerConfig { jwks_url: Some("http://x".into()), ..good }, "not both");
}

#[test]
fn a_tenant_is_found_in_the_urls_of_both_versions() {
    let of = |issuer: String| tenant_of(&issuer);
    assert_eq!(of(format!("https://login.example/{GUID}/v2.0")).as_deref(), Some(GUID));
    assert_eq!(of(format!("https://sts.windows.net/{GUID}/")).as_deref(), Some(GUID));
    assert_eq!(of(ISSUER.into()), None);
}

fn without_key_id(key: &IssuerKey, claims: &Value) -> String {
    jsonwebtoken::encode(&Header::new(key.algorithm), claims, &key.private).unwrap()
}

fn critical(key: &IssuerKey, claims: &Value) -> String {
    let mut header = Header::new(key.algorithm);
    header.kid = Some(key.id.clone());
    header.crit = Some(vec!["exp".into()]);
    jsonwebtoken::encode(&header, claims, &key.private).unwrap()
}

fn hs256(secret: &[u8], claims: &Value) -> String {
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("rsa".into());
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(secret)).unwrap()
}

fn component(key: &IssuerKey, name: &str) -> Vec<u8> {
    let jwk = serde_json::to_value(key.jwk()).unwrap();
    URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap()
}

/// The public key as a PEM file has it, which is what forgers take for a shared secret.
fn public_pem(key: &IssuerKey) -> String {
    use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
    use aws_lc_rs::rsa::PublicKeyComponents;
    let components = PublicKeyComponents { n: component(key, "n"), e: component(key, "e") };
    let public: aws_lc_rs::rsa::PublicEncryptingKey = components.try_into().unwrap();
    let der: PublicKeyX509Der<'_> = public.as_der().unwrap();
    let body = STANDARD.encode(der.as_ref());
    format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n")
}

fn unsigned(algorithm: &str, claims: &Value) -> String {
    let header = json!({"alg": algorithm, "typ": "JWT", "kid": "rsa"}).to_string();
    let [header, claims] = [header, claims.to_string()].map(|it| URL_SAFE_NO_PAD.encode(it));
    format!("{header}.{claims}.")
}

/// Without its signature.
fn stripped(token: &str) -> String {
    let signed = token.rsplit_once('.').unwrap().0;
    format!("{signed}.")
}
