//! Tokens that must not open the door: forged, expired, meant for others, or of an algorithm that proves
//! nothing; and what a flood of them costs.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::StreamExt as _;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tests::tables::CUSTOMERS;
use tests::{Answer, Web, assert_error};

use crate::world::{Case, World};

pub(crate) const CASES: &[Case] = tests::cases![World:
    forged_signatures_are_refused,
    a_key_is_used_for_its_own_algorithm_only,
    claims_that_are_not_for_us_are_refused,
    another_tenants_tokens_are_refused,
    a_flood_of_unknown_keys_costs_little,
    what_services_tell_each_other_opens_nothing,
];

/// A thousand tokens with unknown keys, beside which others are served.
const FLOOD: usize = 1_000;
const FLOOD_WITHIN: Duration = Duration::from_secs(20);
const BESIDE_IT: Duration = Duration::from_secs(5);
/// That many at once.
const AT_ONCE: usize = 100;

async fn opens(world: &World, token: &str) -> Result<Answer> {
    Web::new(&world.system.http, Some(token.to_owned()))
        .get(&format!("{}?$top=1", CUSTOMERS.set))
        .await
}

async fn refused(world: &World, token: &str, what: &str) -> Result<()> {
    let answer = opens(world, token).await?;
    assert_error(&answer, 401, "0x8005F101", "requires authentication")
        .with_context(|| what.to_owned())?;
    ensure!(
        answer.header("www-authenticate").starts_with("Bearer authorization_uri="),
        "{answer:?}"
    );
    // No part of a token is told, nor why it was refused.
    ensure!(token.len() < 20 || !answer.body.contains(&token[..20]), "{answer:?}");
    Ok(())
}

fn parts(token: &str) -> Result<[String; 3]> {
    let parts: Vec<_> = token.split('.').map(str::to_owned).collect();
    parts.try_into().map_err(|_| anyhow::anyhow!("not a token"))
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn key(world: &World) -> Result<Vec<u8>> {
    Ok(std::fs::read(world.data().join("issuer/key.pem"))?)
}

async fn forged_signatures_are_refused(world: &World) -> Result<()> {
    let [header, claims, signature] = parts(world.admin.token())?;
    ensure!(opens(world, world.admin.token()).await?.status == 200);
    let kid = jsonwebtoken::decode_header(world.admin.token())?.kid;
    for algorithm in ["none", "None", "NONE", "nOnE", ""] {
        let unsigned = part(&json!({ "alg": algorithm, "typ": "JWT", "kid": kid }));
        for signature in ["", signature.as_str()] {
            refused(world, &format!("{unsigned}.{claims}.{signature}"), algorithm).await?;
        }
    }
    let mut altered = tests::issuer::claims(world.clerk.token())?;
    altered["oid"] = tests::issuer::claims(world.admin.token())?["oid"].clone();
    let [clerk_header, _, clerk_signature] = parts(world.clerk.token())?;
    let altered = part(&altered);
    refused(world, &format!("{clerk_header}.{altered}.{clerk_signature}"), "altered").await?;
    refused(world, &format!("{header}.{claims}.{clerk_signature}"), "another's signature").await?;
    refused(world, &format!("{header}.{claims}"), "two parts").await?;
    refused(world, &format!("{header}.{claims}.{signature}.x"), "four parts").await?;
    refused(world, &format!("{header}.{claims}.{}", &signature[..signature.len() - 4]), "cut").await
}

/// The public key is known to everybody: it must not be taken for a shared secret.
async fn a_key_is_used_for_its_own_algorithm_only(world: &World) -> Result<()> {
    let claims = tests::issuer::claims(world.admin.token())?;
    let header = jsonwebtoken::decode_header(world.admin.token())?;
    let private = String::from_utf8(key(world)?)?;
    let jwks = published_keys(world).await?;
    let mut secrets = vec![private, jwks.clone(), String::new()];
    let jwks: Value = serde_json::from_str(&jwks).unwrap_or_default();
    for jwk in jwks["keys"].as_array().into_iter().flatten() {
        secrets.push(jwk.to_string());
        secrets.extend(
            ["n", "e", "x", "kid"].iter().filter_map(|it| jwk[*it].as_str().map(str::to_owned)),
        );
    }
    for secret in secrets {
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            let header = Header { alg: algorithm, kid: header.kid.clone(), ..Header::default() };
            let key = EncodingKey::from_secret(secret.as_bytes());
            let token = jsonwebtoken::encode(&header, &claims, &key)?;
            refused(world, &token, "a shared secret").await?;
        }
    }
    // A key that comes with the token proves nothing.
    let own = EncodingKey::from_secret(b"own");
    for (name, value) in [
        ("jku", json!("http://127.0.0.1:1/keys")),
        ("x5u", json!("http://127.0.0.1:1/keys")),
        ("jwk", json!({ "kty": "oct", "k": "b3du" })),
        ("kid", json!("../../../../dev/null")),
        ("kid", json!("x' UNION SELECT 'own")),
    ] {
        let mut header = json!({ "alg": "HS256", "typ": "JWT" });
        header[name] = value;
        let message = format!("{}.{}", part(&header), part(&claims));
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &own, Algorithm::HS256)?;
        refused(world, &format!("{message}.{signature}"), name).await?;
    }
    Ok(())
}

/// Where the development issuer publishes its keys, if it does so over HTTP.
async fn published_keys(world: &World) -> Result<String> {
    let issuer =
        tests::issuer::claims(world.admin.token())?["iss"].as_str().unwrap_or_default().to_owned();
    let discovery = format!("{issuer}/.well-known/openid-configuration");
    let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).build()?;
    let Ok(document) = client.get(&discovery).send().await else { return Ok(String::new()) };
    let document: Value = serde_json::from_str(&document.text().await?).unwrap_or_default();
    let _ = world;
    match document["jwks_uri"].as_str() {
        Some(address) => Ok(client.get(address).send().await?.text().await?),
        None => Ok(String::new()),
    }
}

async fn claims_that_are_not_for_us_are_refused(world: &World) -> Result<()> {
    let key = key(world)?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
    let changes: [(&str, Value); 13] = [
        ("exp", json!(now - 1)),
        ("exp", json!(0)),
        ("exp", json!(-1)),
        ("exp", json!("9999999999")),
        ("exp", Value::Null),
        ("nbf", json!(now + 3_600)),
        ("iat", json!(now + 3_600)),
        ("aud", json!("https://elsewhere.example")),
        ("aud", json!([])),
        ("aud", Value::Null),
        ("iss", json!("https://elsewhere.example/v2.0")),
        ("iss", json!("")),
        ("iss", Value::Null),
    ];
    for (claim, value) in changes {
        let token = tests::issuer::remint(world.admin.token(), &key, &|claims| {
            claims[claim] = value.clone();
        })?;
        refused(world, &token, &format!("{claim} = {value}")).await?;
    }
    Ok(())
}

async fn another_tenants_tokens_are_refused(world: &World) -> Result<()> {
    let key = key(world)?;
    let other = json!("11111111-2222-3333-4444-555555555555");
    let token = tests::issuer::remint(world.admin.token(), &key, &|claims| {
        claims["tid"] = other.clone();
    })?;
    refused(world, &token, "tid").await
}

async fn a_flood_of_unknown_keys_costs_little(world: &World) -> Result<()> {
    let [_, claims, signature] = parts(world.admin.token())?;
    let tokens = (0..FLOOD).map(|number| {
        let header =
            part(&json!({ "alg": "RS256", "typ": "JWT", "kid": format!("unknown-{number}") }));
        format!("{header}.{claims}.{signature}")
    });
    let started = Instant::now();
    // One client: making a thousand would cost more than the flood.
    let client = &Web::new(&world.system.http, None);
    let path = &format!("{}?$top=1", CUSTOMERS.set);
    let flood = futures::stream::iter(tokens.map(|token| async move {
        let bearer = format!("Bearer {token}");
        let headers = [("Authorization", bearer.as_str())];
        client.send(reqwest::Method::GET, path, &headers, None).await
    }));
    let flood = flood.buffer_unordered(AT_ONCE).collect::<Vec<_>>();
    let beside = async {
        let mut slowest = Duration::ZERO;
        for _ in 0..20 {
            let asked = Instant::now();
            let answer = world.clerk.get(path).await?;
            ensure!(answer.status == 200, "beside the flood: {answer:?}");
            slowest = slowest.max(asked.elapsed());
        }
        Ok(slowest)
    };
    let (answers, slowest) = futures::join!(flood, beside);
    let slowest = slowest?;
    for answer in answers {
        let status = answer?.status.as_u16();
        ensure!(status == 401 || status == 429 || status == 503, "{status}");
    }
    ensure!(started.elapsed() < FLOOD_WITHIN, "the flood took {:?}", started.elapsed());
    ensure!(slowest < BESIDE_IT, "beside the flood a call took {slowest:?}");
    Ok(())
}

/// Neither a user's assertion nor anything like it is taken where tokens are.
async fn what_services_tell_each_other_opens_nothing(world: &World) -> Result<()> {
    let key = key(world)?;
    let [_, claims, _] = parts(world.admin.token())?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims)?)?;
    // Signed by the issuer's own key, and in the assertions' words.
    let assertion = json!({
        "iss": "tombolo-user-context", "aud": "query", "azp": "gateway", "rev": 1,
        "iat": claims["iat"], "exp": claims["exp"],
        "user": { "system_user_id": claims["oid"], "name": "admin", "erp_user": "admin",
            "roles": ["System administrator"], "companies": "all" },
        "time_zone": "UTC", "language": 1033,
    });
    let signed = jsonwebtoken::encode(
        &Header::new(Algorithm::RS256),
        &assertion,
        &EncodingKey::from_rsa_pem(&key)?,
    )?;
    refused(world, &signed, "an assertion").await?;
    let path = format!("{}?$top=1", CUSTOMERS.set);
    for name in
        ["x-tombolo-caller", "x-tombolo-service", "x-forwarded-user", "x-ms-token-aad-access-token"]
    {
        let headers = [(name, signed.as_str())];
        let answer = Web::new(&world.system.http, None)
            .send(reqwest::Method::GET, &path, &headers, None)
            .await?;
        assert_error(&answer, 401, "0x8005F101", "").context(name)?;
        // Beside a token it changes nothing.
        let answer = world.clerk.send(reqwest::Method::GET, &path, &headers, None).await?.ok()?;
        ensure!(answer["value"][0]["mserp_dataareaid"] == "USMF", "{answer}");
    }
    Ok(())
}
