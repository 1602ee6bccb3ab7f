//! Applications that call as themselves, and the people who are not those applications.

use jsonwebtoken::Algorithm;
use proto::user_context::v1 as pb;
use rpc::ErrorReason::NoErpUser;
use rpc::role;
use serde_json::json;
use tonic::Code::PermissionDenied;
use user_context::IssuerConfig;

use crate::directory::{put, user};
use crate::support::{Environment, IssuerKey, ORGANIZATION, claims, jwks, reason, with};

const ISSUER: &str = "https://login.example/contoso/v2.0";
const APPLICATION: &str = "8a0c5c0e-9a55-4a07-8f6a-1f0c1d6f3a10";
const SERVICE_PRINCIPAL: &str = "3b1f0b52-2c5b-4d0e-9b6e-52f6b1f7a001";

#[tokio::test]
async fn a_persons_token_is_no_applications_nor_the_other_way_round() {
    let key = IssuerKey::rsa("rsa", Algorithm::RS256);
    let issuer = IssuerConfig {
        issuer: ISSUER.into(),
        audiences: vec![ORGANIZATION.into()],
        tenant: None,
        jwks: Some(jwks(&[&key])),
        jwks_url: None,
        authorization_uri: None,
    };
    let environment = Environment::start(vec![issuer], 5).await;
    let robot = pb::User {
        application_id: APPLICATION.to_uppercase(),
        object_id: SERVICE_PRINCIPAL.into(),
        ..user("robot", &[role::VIRTUAL_ENTITY_APPLICATION])
    };
    put(&environment, "admin", robot, &[]).await.unwrap();
    let refused = (PermissionDenied, Some(NoErpUser));

    // Somebody signed in through the application: a person, whatever its object is.
    let person =
        json!({ "oid": SERVICE_PRINCIPAL, "azp": APPLICATION, "scp": "user_impersonation" });
    let token = key.sign(&with(claims(ISSUER), person));
    let status = environment.resolve(&token).await.expect_err("no person of that object");
    assert_eq!(reason(&status), refused);

    // The application for itself: found by its client id alone.
    let application = json!({
        "azp": APPLICATION, "oid": SERVICE_PRINCIPAL, "sub": SERVICE_PRINCIPAL, "idtyp": "app",
        "preferred_username": null,
    });
    let token = key.sign(&with(claims(ISSUER), application.clone()));
    let answer = environment.resolve(&token).await.unwrap();
    assert_eq!(answer.user.as_ref().unwrap().name, "users/robot");
    let verifier = environment.context.verifier();
    let caller = verifier.verify(&answer.assertions["user-context"], "gateway").unwrap();
    assert_eq!(caller.user.roles, [role::VIRTUAL_ENTITY_APPLICATION]);
    assert!(caller.rights.table("account").privileges.is_empty());

    // Another application is not a person whose object id it has.
    let clerk = json!({ "azp": ORGANIZATION, "oid": crate::support::CLERK_OBJECT_ID,
        "sub": crate::support::CLERK_OBJECT_ID });
    let token = key.sign(&with(with(claims(ISSUER), application), clerk));
    let status = environment.resolve(&token).await.expect_err("no such application");
    assert_eq!(reason(&status), refused);
}
