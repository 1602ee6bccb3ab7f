//! Another database takes the place of the one that is served: a copy, a backup, an empty one.

use proto::lifecycle::v1 as lc;
use proto::lifecycle::v1::provisioning_service_client::ProvisioningServiceClient;
use proto::user_context::v1 as pb;
use rpc::{AssertionVerifier, Channel, InvalidAssertion, role};
use sqlx::{Connection as _, PgConnection};
use tonic::Code::NotFound;

use crate::directory::{put, user};
use crate::support::{Client, Environment, SERVICES, channel, reason, routes, soon};

const NEW: &str = "new_a";
const MALLORY: &str = "mallory";

/// With a new directory in a database beside, and a longer history in the one that is served.
async fn environment() -> Environment {
    let environment = Environment::start(vec![], 5).await;
    environment.scratch.database(NEW).await.unwrap();
    let identity = SERVICES.identity("lifecycle").unwrap();
    let channel = Channel::local(routes(&environment.context), "user-context", &identity);
    let database = lc::EnvironmentDatabase { database: NEW.into(), ..Default::default() };
    let request = lc::ProvisionDatabaseRequest { database: Some(database), ..Default::default() };
    ProvisioningServiceClient::new(channel).provision_database(request).await.unwrap();
    let mallory = user(MALLORY, &[role::GLOBAL_ADMINISTRATOR]);
    put(&environment, "admin", mallory, &[]).await.unwrap();
    environment
}

async fn watch(environment: &Environment) -> tonic::Streaming<pb::WatchTrustResponse> {
    let mut client = Client::new(channel(&environment.context));
    client.watch_trust(pb::WatchTrustRequest {}).await.unwrap().into_inner()
}

#[tokio::test]
async fn the_directory_of_a_database_that_takes_the_place_is_served_and_nobody_of_before_believed()
{
    let environment = environment().await;
    let clerk = |disabled| pb::User { disabled, ..user("usmf-clerk", &[]) };
    let resolved = environment.resolve(&environment.mint(MALLORY)).await.unwrap();
    let mallorys = &resolved.assertions["query"];
    let resolved = environment.resolve(&environment.mint("usmf-clerk")).await.unwrap();
    let clerks = &resolved.assertions["query"];
    put(&environment, "admin", clerk(true), &["disabled"]).await.unwrap();
    let mut trust = watch(&environment).await;
    let verifier = AssertionVerifier::new("query");
    verifier.apply(&soon(trust.message()).await.unwrap().unwrap()).unwrap();
    assert!(verifier.verify(mallorys, "gateway").is_ok());
    assert_eq!(verifier.verify(clerks, "gateway"), Err(InvalidAssertion::Revoked));

    let mut directories = environment.context.changes();
    environment.scratch.swap("platform", NEW, "old_a").await.unwrap();
    soon(directories.wait_for(|it| it.user(MALLORY).is_none())).await.unwrap();
    while verifier.verify(mallorys, "gateway").is_ok() {
        verifier.apply(&soon(trust.message()).await.unwrap().unwrap()).unwrap();
    }
    assert_eq!(verifier.verify(mallorys, "gateway"), Err(InvalidAssertion::Revoked));
    // Who is enabled there was not, and is not by what was signed before.
    assert!(!environment.context.directory().user("usmf-clerk").unwrap().disabled);
    assert_eq!(verifier.verify(clerks, "gateway"), Err(InvalidAssertion::Revoked));
    let resolved = environment.resolve(&environment.mint("usmf-clerk")).await.unwrap();
    assert!(verifier.verify(&resolved.assertions["query"], "gateway").is_ok());

    // What is granted and taken from now on is so at once.
    put(&environment, "admin", user("eve", &[]), &[]).await.unwrap();
    assert!(environment.context.directory().user("eve").is_some());
    let delete = pb::DeleteUserRequest { name: "users/eve".into(), allow_missing: false };
    let delete = environment.by("admin", delete).await;
    environment.directory().delete_user(delete).await.unwrap();
    assert!(environment.context.directory().user("eve").is_none());
    let delete = pb::DeleteUserRequest { name: format!("users/{MALLORY}"), allow_missing: false };
    let delete = environment.by("admin", delete).await;
    let missing = environment.directory().delete_user(delete).await.unwrap_err();
    assert_eq!(reason(&missing).0, NotFound);
}

/// Nobody has looked yet.
#[tokio::test]
async fn the_first_change_in_the_new_database_takes_it_over() {
    let environment = environment().await;
    let resolved = environment.resolve(&environment.mint(MALLORY)).await.unwrap();
    let mallorys = &resolved.assertions["user-context"];
    let request = pb::UpdateUserRequest {
        user: Some(user("eve", &[])),
        update_mask: None,
        allow_missing: true,
    };
    let request = environment.by("admin", request).await;
    environment.scratch.swap("platform", NEW, "old_a").await.unwrap();
    environment.directory().update_user(request).await.unwrap();
    let directory = environment.context.directory();
    assert!(directory.user("eve").is_some());
    assert!(directory.user(MALLORY).is_none());
    let believed = environment.context.verifier().verify(mallorys, "gateway");
    assert_eq!(believed, Err(InvalidAssertion::Revoked));
}

/// As by a file system's snapshot: the database is the same one.
#[tokio::test]
async fn a_database_that_is_put_back_is_followed() {
    let environment = environment().await;
    let options = environment.scratch.cluster().connect_options("platform");
    let mut store = PgConnection::connect_with(&options).await.unwrap();
    let mut directories = environment.context.changes();
    let back = "DELETE FROM user_context.directory_user WHERE key = 'mallory';
        UPDATE user_context.revision SET number = 2";
    sqlx::raw_sql(back).execute(&mut store).await.unwrap();
    soon(directories.wait_for(|it| it.user(MALLORY).is_none())).await.unwrap();
    put(&environment, "admin", user("eve", &[]), &[]).await.unwrap();
    assert!(environment.context.directory().user("eve").is_some());
}
