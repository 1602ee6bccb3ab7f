//! Whose tokens become whom. Which tokens are believed is tested beside the code.

use jsonwebtoken::{Algorithm, EncodingKey};
use rpc::ErrorReason::{InvalidAssertion, NoErpUser};
use serde_json::json;
use tonic::Code::{PermissionDenied, Unauthenticated};
use user_context::dev_issuer::{self, DEFAULT_LIFETIME, TENANT};
use user_context::{Config, IssuerConfig};

use crate::support::{
    CLERK_OBJECT_ID, Environment, IssuerKey, ORGANIZATION, claims, jwks, now, reason, with,
};

const ISSUER: &str = "https://login.example/contoso/v2.0";
const APPLICATION_ID: &str = "5f0f0a44-4c14-4f3a-9c0a-6e8a33f6a1b0";
const APPLICATION_OBJECT_ID: &str = "0b6f2d3e-6e59-4a3b-8f0e-9c1b7a5d4e21";

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

#[tokio::test]
async fn a_good_token_names_its_user() {
    let key = IssuerKey::rsa("rsa", Algorithm::RS256);
    let environment = Environment::start(vec![inline(ISSUER, &[&key])], 5).await;
    let resolved = environment.resolve(&key.sign(&claims(ISSUER))).await.unwrap();
    let user = resolved.user.unwrap();
    assert_eq!((user.name.as_str(), user.erp_user.as_str()), ("users/usmf-clerk", "clerk"));
    assert_eq!(user.companies, ["USMF"]);
    let left = resolved.expire_time.unwrap().seconds - i64::try_from(now()).unwrap();
    assert!((55..=60).contains(&left), "{left}");
}

#[tokio::test]
async fn bad_tokens_are_refused_and_never_quoted() {
    let key = IssuerKey::rsa("rsa", Algorithm::RS256);
    let other = IssuerKey::rsa("rsa", Algorithm::RS256);
    let unknown = IssuerKey::rsa("unknown", Algorithm::RS256);
    let tenant = Some("0d1b5e53-6f2e-4c3e-9c6c-0a5d6a1f7b11".into());
    let issuer = IssuerConfig { tenant, ..inline(ISSUER, &[&key]) };
    let environment = Environment::start(vec![issuer], 5).await;
    let good = claims(ISSUER);
    for (name, token) in [
        ("expired", key.sign(&with(good.clone(), json!({"exp": now() - 61})))),
        ("other audience", key.sign(&with(good.clone(), json!({"aud": "https://o.example"})))),
        ("other issuer", key.sign(&with(good.clone(), json!({"iss": "https://o.example"})))),
        ("no tenant", key.sign(&good)),
        ("other key", other.sign(&good)),
        ("unknown key", unknown.sign(&good)),
        ("garbage", "garbage".into()),
        ("empty", String::new()),
        ("long", "a".repeat(100_000)),
    ] {
        let status = environment.resolve(&token).await.expect_err(name);
        assert_eq!(reason(&status), (Unauthenticated, Some(InvalidAssertion)), "{name}");
        for secret in ["contoso", "7f2c1a80", "login.example", "0d1b5e53"] {
            assert!(!status.message().contains(secret), "{name}: {}", status.message());
        }
    }
}

#[tokio::test]
async fn a_person_never_becomes_an_application_nor_the_other_way_round() {
    let key = IssuerKey::ec("ec");
    let files = tempfile::tempdir().unwrap();
    let users_file = files.path().join("users.toml");
    let users = format!(
        "[[users]]\nname = \"clerk\"\nobject_id = \"{CLERK_OBJECT_ID}\"\n\
         [[users]]\nname = \"importer\"\nobject_id = \"{APPLICATION_OBJECT_ID}\"\n\
         application_id = \"{APPLICATION_ID}\"\n"
    );
    std::fs::write(&users_file, users).unwrap();
    let settings =
        |it| Config { users_file: Some(users_file), issuers: vec![inline(ISSUER, &[&key])], ..it };
    let environment = Environment::start_with(settings).await;
    let application = |object: &str, id: &str| {
        json!({"oid": object, "sub": object, "azp": id.to_uppercase(), "scp": null, "idtyp": "app",
               "preferred_username": null})
    };
    let person = |object: &str, id: &str| json!({"oid": object, "azp": id, "scp": "any"});
    let nobody = "11111111-1111-1111-1111-111111111111";
    for (changes, expected) in [
        (application(APPLICATION_OBJECT_ID, APPLICATION_ID), Some("users/importer")),
        (person(CLERK_OBJECT_ID, APPLICATION_ID), Some("users/clerk")),
        (application(CLERK_OBJECT_ID, nobody), None),
        (person(APPLICATION_OBJECT_ID, APPLICATION_ID), None),
        (person(nobody, APPLICATION_ID), None),
    ] {
        let resolved = environment.resolve(&key.sign(&with(claims(ISSUER), changes.clone()))).await;
        match (resolved, expected) {
            (Ok(resolved), Some(name)) => {
                assert_eq!(resolved.user.unwrap().name, name, "{changes}");
            }
            (Err(status), None) => {
                let refused = (PermissionDenied, Some(NoErpUser));
                assert_eq!(reason(&status), refused, "{changes}");
            }
            (resolved, _) => panic!("{changes}: {resolved:?}"),
        }
    }
}

#[tokio::test]
async fn a_valid_token_of_a_stranger_is_no_user() {
    let key = IssuerKey::rsa("rsa", Algorithm::RS256);
    let environment = Environment::start(vec![inline(ISSUER, &[&key])], 5).await;
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
    let environment = Environment::start(vec![inline(ISSUER, &[&key])], 5).await;
    let end = now() + 60;
    let token = key.sign(&with(claims(ISSUER), json!({"exp": end})));
    let resolved = environment.resolve(&token).await.unwrap();
    assert_eq!(resolved.expire_time.unwrap().seconds, i64::try_from(end).unwrap());
}

#[tokio::test]
async fn a_minted_token_stays_good_when_the_port_changes() {
    let environment = Environment::start(vec![], 5).await;
    let mint =
        |user: &str| dev_issuer::mint(environment.dir.path(), user, DEFAULT_LIFETIME).unwrap();
    let user = environment.resolve(&mint("usmf-clerk")).await.unwrap().user.unwrap();
    assert_eq!(user.name, "users/usmf-clerk");
    let before = mint("ADMIN");
    // The same directory, another port: what runs first must accept what is minted now, and what
    // was minted before must still be good.
    let moved = environment.again_at("http://127.0.0.1:9090").await;
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
    let environment = Environment::start(vec![], 5).await;
    let elsewhere = Environment::start(vec![], 5).await;
    let token = dev_issuer::mint(elsewhere.dir.path(), "admin", DEFAULT_LIFETIME).unwrap();
    let status = environment.resolve(&token).await.expect_err("of another directory");
    assert_eq!(reason(&status), (Unauthenticated, Some(InvalidAssertion)));

    let pem = std::fs::read(environment.dir.path().join("issuer/key.pem")).unwrap();
    let private = EncodingKey::from_rsa_pem(&pem).unwrap();
    let minted = dev_issuer::mint(environment.dir.path(), "admin", DEFAULT_LIFETIME).unwrap();
    let id = jsonwebtoken::decode_header(&minted).unwrap().kid.unwrap();
    let key = IssuerKey { private, id, algorithm: Algorithm::RS256 };
    let issuer = format!("{ORGANIZATION}/{TENANT}/v2.0");
    let own = with(claims(&issuer), json!({ "tid": TENANT }));
    let by_name = json!({"oid": null, "preferred_username": "usmf-clerk"});
    let token = key.sign(&with(own.clone(), by_name));
    let user = environment.resolve(&token).await.unwrap().user.unwrap();
    assert_eq!(user.name, "users/usmf-clerk");
    for changes in [
        json!({"aud": "https://other.example"}),
        json!({"aud": [ORGANIZATION]}),
        json!({"iss": format!("https://other.example/{TENANT}/v2.0")}),
        json!({"tid": null}),
        json!({"exp": now() - 61}),
    ] {
        let status = environment.resolve(&key.sign(&with(own.clone(), changes.clone()))).await;
        let status = status.expect_err("not for this organization");
        assert_eq!(reason(&status), (Unauthenticated, Some(InvalidAssertion)), "{changes}");
    }
}

#[tokio::test]
async fn without_an_issuer_of_its_own_clients_are_sent_to_the_first() {
    let key = IssuerKey::ec("ec");
    let issuers = vec![inline(ISSUER, &[&key])];
    let settings = |it| Config { issuers, dev_issuer: None, ..it };
    let environment = Environment::start_with(settings).await;
    let expected = Some("https://login.example/contoso/oauth2/authorize");
    assert_eq!(environment.context.authorization_uri(), expected);
}
