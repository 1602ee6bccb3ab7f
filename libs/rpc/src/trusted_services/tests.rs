use super::*;
use crate::service_token::{LIFETIME, ServiceIdentity};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;

struct World {
    gateway: SigningKey,
    query: SigningKey,
    trusted: TrustedServices,
}

impl World {
    fn new() -> Self {
        let key = || SigningKey::generate().unwrap().0;
        let (gateway, query) = (key(), key());
        let mut set = ServiceKeySet::default();
        set.add("gateway", &gateway);
        set.add("query", &query);
        // As it comes from the file.
        let set = ServiceKeySet::from_json(&set.to_json().unwrap()).unwrap();
        Self { gateway, query, trusted: TrustedServices::of(&set).unwrap() }
    }

    fn verify(&self, token: &str) -> Option<String> {
        self.trusted.verify(token, "catalog").map(|it| it.to_string())
    }

    /// Not believed, at the first look and the next.
    fn refuse(&self, token: &str, why: &str) {
        for _ in 0..2 {
            assert_eq!(self.verify(token), None, "{why}");
        }
        assert_eq!(self.trusted.remembered(), 0, "{why}");
    }
}

fn claims() -> Claims {
    let now = now();
    let (iss, aud) = ("gateway".into(), "catalog".into());
    Claims { iss, aud, iat: now, exp: now + LIFETIME.as_secs() }
}

#[test]
fn a_token_names_its_service_to_its_callee_only() {
    let world = World::new();
    let identity = ServiceIdentity::new("gateway", world.gateway.clone());
    let header = identity.tokens("catalog").unwrap().authorization();
    let token = header.to_str().unwrap().strip_prefix("Bearer ").unwrap();
    assert_eq!(world.trusted.verify(token, "organization"), None, "made for another");
    assert_eq!(world.trusted.remembered(), 0);
    for _ in 0..3 {
        assert_eq!(world.verify(token).as_deref(), Some("gateway"));
        assert_eq!(world.trusted.verify(token, "organization"), None, "remembered for another");
    }
    assert_eq!(world.trusted.remembered(), 1);
}

#[test]
fn forged_tokens_are_refused() {
    let world = World::new();
    let stranger = SigningKey::generate().unwrap().0;
    let good = world.gateway.sign(&claims()).unwrap();
    assert_eq!(world.verify(&good).as_deref(), Some("gateway"));
    world.trusted.seen.invalidate_all();

    world.refuse(&world.query.sign(&claims()).unwrap(), "another service's key, my name");
    world.refuse(&stranger.sign(&claims()).unwrap(), "nobody's key");
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = Some(world.gateway.key_id().to_owned());
    let body = |header: &Header| {
        let part = |text: String| URL_SAFE_NO_PAD.encode(text);
        let header = part(serde_json::to_string(header).unwrap());
        format!("{header}.{}", part(serde_json::to_string(&claims()).unwrap()))
    };
    let signature = world.query.sign(&claims()).unwrap().rsplit_once('.').unwrap().1.to_owned();
    world
        .refuse(&format!("{}.{signature}", body(&header)), "another's signature under my key's id");

    let now = now();
    let check = |change: fn(&mut Claims, u64), why| {
        let mut claims = claims();
        change(&mut claims, now);
        world.refuse(&world.gateway.sign(&claims).unwrap(), why);
    };
    check(|it, _| it.iss = "query".into(), "another's name");
    check(|it, _| it.iss = String::new(), "no name");
    check(|it, _| it.aud = "query".into(), "made for another");
    check(|it, now| (it.iat, it.exp) = (now - 300, now), "expired this second");
    check(|it, now| (it.iat, it.exp) = (now - 900, now - 600), "expired long ago");
    check(|it, now| it.exp = now + 3_600, "lives longer than tokens do");
    check(|it, now| (it.iat, it.exp) = (now + 60, now + 120), "made in the future");
    let missing = json!({ "iss": "gateway", "aud": "catalog", "iat": now });
    world.refuse(&world.gateway.sign(&missing).unwrap(), "no end");
    let both = json!({ "iss": "gateway", "aud": ["query"], "iat": now, "exp": now + 300 });
    world.refuse(&world.gateway.sign(&both).unwrap(), "a list of others");
    for bad in ["", ".", "..", "a.b.c", &good[1..], &good[..good.len() - 1]] {
        world.refuse(bad, bad);
    }
}

#[test]
fn the_algorithm_is_not_the_callers_to_choose() {
    let world = World::new();
    let id = world.gateway.key_id().to_owned();
    let AlgorithmParameters::OctetKeyPair(public) = &world.gateway.jwk().algorithm else {
        panic!("an Ed25519 key")
    };
    let raw = URL_SAFE_NO_PAD.decode(&public.x).unwrap();
    let jwk = serde_json::to_vec(world.gateway.jwk()).unwrap();
    for secret in [raw.as_slice(), public.x.as_bytes(), &jwk, b""] {
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            let mut header = Header::new(algorithm);
            header.kid = Some(id.clone());
            let key = EncodingKey::from_secret(secret);
            let token = jsonwebtoken::encode(&header, &claims(), &key).unwrap();
            world.refuse(&token, "the public key as a secret");
        }
    }
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let body = part(serde_json::to_value(claims()).unwrap());
    for algorithm in ["none", "None", "NONE", "", "HS256", "RS256", "ES256", "EdDSA"] {
        let header = part(json!({ "alg": algorithm, "typ": "JWT", "kid": id }));
        world.refuse(&format!("{header}.{body}."), algorithm);
        world.refuse(&format!("{header}.{body}"), algorithm);
    }
    // The key that a token brings along is nobody's.
    let stranger = SigningKey::generate().unwrap().0;
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = Some(stranger.key_id().to_owned());
    header.jwk = Some(stranger.jwk().clone());
    let signed = stranger.sign(&claims()).unwrap();
    let signature = signed.rsplit_once('.').unwrap().1;
    let header = part(serde_json::to_value(header).unwrap());
    world.refuse(&format!("{header}.{body}.{signature}"), "its own key");
}

#[test]
fn a_flood_of_unknown_keys_leaves_nothing_behind() {
    let world = World::new();
    let good = world.gateway.sign(&claims()).unwrap();
    assert!(world.verify(&good).is_some());
    let (_, rest) = good.split_once('.').unwrap();
    for number in 0..20_000 {
        let header = json!({ "alg": "EdDSA", "typ": "JWT", "kid": format!("key-{number}") });
        let token = format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string()));
        assert_eq!(world.verify(&token), None);
    }
    assert_eq!(world.trusted.remembered(), 1, "and what was known is still known");
    let long = format!("{good}{}", "A".repeat(MAX_TOKEN_BYTES));
    assert_eq!(world.verify(&long), None);
}

#[test]
fn a_key_that_is_taken_away_counts_no_more() {
    let world = World::new();
    let token = world.gateway.sign(&claims()).unwrap();
    assert!(world.verify(&token).is_some());
    let successor = SigningKey::generate().unwrap().0;
    let mut set = ServiceKeySet::default();
    set.add("gateway", &world.gateway);
    set.add("gateway", &successor);
    world.trusted.replace(&set).unwrap();
    assert!(world.verify(&token).is_some(), "old and new side by side");
    assert!(world.verify(&successor.sign(&claims()).unwrap()).is_some());
    let mut set = ServiceKeySet::default();
    set.add("gateway", &successor);
    world.trusted.replace(&set).unwrap();
    assert_eq!(world.verify(&token), None);
}

#[test]
fn a_file_of_services_says_what_is_wrong_with_it() {
    let check = |text: &str, expected: &str| {
        let error = ServiceKeySet::from_json(text)
            .and_then(|it| TrustedServices::of(&it))
            .err()
            .map(|it| it.to_string())
            .unwrap_or_default();
        assert!(error.contains(expected), "{text}: {error}");
    };
    let key = SigningKey::generate().unwrap().0;
    check("", "not a JSON Web Key Set");
    check(&json!({ "keys": [key.jwk()] }).to_string(), "tombolo_service");
    let secret = json!({ "tombolo_service": "gateway", "kty": "oct", "k": "AAAA" });
    check(&json!({ "keys": [secret] }).to_string(), "the key of `gateway`");
    let point = json!({ "tombolo_service": "gateway", "kty": "OKP", "crv": "Ed25519", "x": "!" });
    check(&json!({ "keys": [point] }).to_string(), "the key of `gateway`");
    let mut set = ServiceKeySet::default();
    set.add("gateway", &key);
    set.add("query", &key);
    check(&set.to_json().unwrap(), "`gateway` and `query` have the same key");
}
