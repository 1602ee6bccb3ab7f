//! Directories of other environments, and users looked up in any of them.

use cluster::Scratch;
use proto::lifecycle::v1 as lc;
use proto::lifecycle::v1::provisioning_service_client::ProvisioningServiceClient;
use proto::user_context::v1 as pb;
use rpc::{Channel, ErrorReason, role};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tonic::{Code, Status};
use user_context::UserContext;

use crate::directory::{put, user};
use crate::support::{Client, Environment, SERVICES, reason, resolve, routes, soon};

const CLIENT: &str = "61a0518c-121a-421a-9ad6-f0955a88be43";

fn place(database: &str, role: &str) -> Option<lc::EnvironmentDatabase> {
    Some(lc::EnvironmentDatabase { database: database.into(), role: role.into() })
}

fn channel(context: &UserContext) -> Channel {
    Channel::local(routes(context), "user-context", &SERVICES.identity("lifecycle").unwrap())
}

async fn provision(
    environment: &Environment,
    database: Option<lc::EnvironmentDatabase>,
    administrator: &str,
) -> Result<(), Status> {
    let request = lc::ProvisionDatabaseRequest {
        database,
        administrator: administrator.into(),
        ..Default::default()
    };
    let mut client = ProvisioningServiceClient::new(channel(&environment.context));
    client.provision_database(request).await.map(drop)
}

async fn register(
    environment: &Environment,
    database: Option<lc::EnvironmentDatabase>,
    erp_user: &str,
) -> Result<(), Status> {
    let application = lc::Application {
        client_id: CLIENT.to_uppercase(),
        display_name: "PowerPlatformApplication".into(),
        erp_user: erp_user.into(),
    };
    let request = lc::RegisterApplicationsRequest { database, applications: vec![application] };
    let mut client = ProvisioningServiceClient::new(channel(&environment.context));
    client.register_applications(request).await.map(drop)
}

async fn look_up(
    environment: &Environment,
    user: &str,
    database: &str,
    role: &str,
) -> Result<pb::LookupUserResponse, Status> {
    let request = pb::LookupUserRequest {
        user: user.into(),
        database: database.into(),
        database_role: role.into(),
    };
    let answer = Client::new(channel(&environment.context)).lookup_user(request).await?;
    Ok(answer.into_inner())
}

async fn connect(scratch: &Scratch, database: &str) -> PgConnection {
    PgConnection::connect_with(&scratch.cluster().connect_options(database)).await.unwrap()
}

async fn run(scratch: &Scratch, sql: &str) {
    let mut outside = connect(scratch, "postgres").await;
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut outside).await.unwrap();
}

/// With a database of another environment.
async fn with_environment() -> Environment {
    let environment = Environment::start(vec![], 5).await;
    run(&environment.scratch, "CREATE ROLE env_a NOLOGIN").await;
    run(&environment.scratch, "CREATE DATABASE env_a OWNER env_a").await;
    environment
}

#[tokio::test]
async fn a_new_directory_has_its_administrator_and_twice_is_as_once() {
    let environment = with_environment().await;
    let before = environment.context.directory().users().count();
    let revision = "SELECT number FROM user_context.revision";
    let mut numbers: Vec<i64> = Vec::new();
    for _ in 0..2 {
        provision(&environment, place("env_a", "env_a"), "users/usmf-clerk").await.unwrap();
        register(&environment, place("env_a", "env_a"), "PowerPlatformApp").await.unwrap();
        let mut store = connect(&environment.scratch, "env_a").await;
        numbers.push(sqlx::query_scalar(revision).fetch_one(&mut store).await.unwrap());
    }
    assert_eq!(numbers[0], numbers[1]);

    let here = look_up(&environment, "users/usmf-clerk", "", "").await.unwrap();
    let there = look_up(&environment, "users/usmf-clerk", "env_a", "env_a").await.unwrap();
    assert!(!here.roles.contains(&role::SYSTEM_ADMINISTRATOR.to_owned()), "{here:?}");
    assert_eq!(there.roles, [role::SYSTEM_ADMINISTRATOR, role::BASIC_USER]);
    assert_eq!(
        (&there.name, &there.display_name, &there.system_user_id),
        (&here.name, &here.display_name, &here.system_user_id)
    );
    let application = look_up(&environment, CLIENT, "env_a", "env_a").await.unwrap();
    assert!(application.application);
    assert_eq!(application.roles, [role::VIRTUAL_ENTITY_APPLICATION]);
    assert_eq!(application.display_name, "PowerPlatformApplication");
    // The directory that runs here knows nothing of it, and nothing is held open.
    assert_eq!(environment.context.directory().users().count(), before);
    run(&environment.scratch, "DROP DATABASE env_a").await;
}

#[tokio::test]
async fn what_is_set_up_here_is_known_here_at_once() {
    let environment = with_environment().await;
    let mut changes = environment.context.changes();
    let token = environment.mint("usmf-clerk");
    resolve(&environment.context, &token, None).await.unwrap();
    provision(&environment, place("platform", ""), "users/usmf-clerk").await.unwrap();
    soon(changes.changed()).await.unwrap();
    let resolved = resolve(&environment.context, &token, None).await.unwrap();
    let roles = resolved.user.unwrap().roles;
    assert!(roles.contains(&role::SYSTEM_ADMINISTRATOR.to_owned()), "{roles:?}");
    register(&environment, place("platform", ""), "PowerPlatformApp").await.unwrap();
    let directory = environment.context.directory();
    let application = directory.user(CLIENT).unwrap();
    assert_eq!(application.erp_user, "PowerPlatformApp");
    assert_eq!(application.application_id.as_deref(), Some(CLIENT));
    assert_eq!(application.system_user_id, rpc::system_user_id(CLIENT));
}

#[tokio::test]
async fn users_are_looked_up_by_name_and_by_row_wherever_they_are() {
    let environment = with_environment().await;
    provision(&environment, place("env_a", "env_a"), "").await.unwrap();
    put(&environment, "admin", user("alice", &[role::PROJECT_OWNER]), &[]).await.unwrap();
    let alice = look_up(&environment, "users/Alice", "", "").await.unwrap();
    assert_eq!(alice.name, "users/alice");
    assert_eq!(alice.roles, [role::PROJECT_OWNER, role::BASIC_USER]);
    assert!(!alice.application && !alice.disabled);
    for (named, database) in
        [("alice", ""), (&alice.system_user_id, ""), ("users/alice", "platform")]
    {
        assert_eq!(look_up(&environment, named, database, "").await.unwrap(), alice, "{named}");
    }
    let not_found = (Code::NotFound, Some(ErrorReason::ResourceNotFound));
    for (named, database, owner) in [
        ("users/alice", "env_a", "env_a"),
        ("", "", ""),
        ("users/bob", "", ""),
        ("users/admin", "nothing", ""),
        ("users/admin", "postgres", "nobody"),
        // A database without a directory gets none.
        ("users/admin", "postgres", ""),
    ] {
        let missing = look_up(&environment, named, database, owner).await.unwrap_err();
        assert_eq!(reason(&missing), not_found, "{named} {database}: {missing:?}");
    }
    let mut store = connect(&environment.scratch, "postgres").await;
    let schemas: i64 =
        sqlx::query_scalar("SELECT count(*) FROM pg_namespace WHERE nspname = 'user_context'")
            .fetch_one(&mut store)
            .await
            .unwrap();
    assert_eq!(schemas, 0);
    let admin = look_up(&environment, "users/admin", "env_a", "env_a").await.unwrap();
    assert!(admin.roles.contains(&role::SYSTEM_ADMINISTRATOR.to_owned()));
}

#[tokio::test]
async fn what_is_no_name_is_refused() {
    let environment = with_environment().await;
    let invalid = (Code::InvalidArgument, Some(ErrorReason::InvalidValue));
    for (database, owner) in [
        ("", "env_a"),
        ("env_a'; DROP TABLE role", ""),
        ("env a", ""),
        ("ENV_A", ""),
        ("env_a", "env_a -c search_path=public"),
        ("env_a", "\""),
    ] {
        let refused = look_up(&environment, "users/admin", database, owner).await.unwrap_err();
        assert_eq!(reason(&refused), invalid, "{database} {owner}");
        let refused = provision(&environment, place(database, owner), "").await.unwrap_err();
        assert_eq!(reason(&refused), invalid, "{database} {owner}");
    }
    let refused = register(&environment, place("env_a", "env_a"), " ").await.unwrap_err();
    assert_eq!(reason(&refused), invalid);
    let nobody = provision(&environment, place("env_a", "env_a"), "users/nobody").await;
    let not_found = (Code::NotFound, Some(ErrorReason::ResourceNotFound));
    assert_eq!(reason(&nobody.unwrap_err()), not_found);
}

#[tokio::test]
async fn a_directory_of_before_gets_the_roles_that_are_new() {
    let environment = Environment::start(vec![], 5).await;
    let mut store = connect(&environment.scratch, "platform").await;
    let before = "DELETE FROM user_context.user_role WHERE role_key IN
            ('project owner', 'power platform administrator');
        DELETE FROM user_context.role WHERE key IN
            ('project owner', 'environment manager', 'power platform administrator')";
    sqlx::raw_sql(before).execute(&mut store).await.unwrap();
    let again = environment.again(|it| it).await;
    let directory = again.directory();
    let admin = directory.user("admin").unwrap();
    assert!(admin.holds(role::PROJECT_OWNER) && admin.holds(role::POWER_PLATFORM_ADMINISTRATOR));
    // What was taken from it since then stays taken.
    let taken = "DELETE FROM user_context.user_role WHERE role_key = 'project owner'";
    sqlx::raw_sql(taken).execute(&mut store).await.unwrap();
    let again = environment.again(|it| it).await;
    assert!(!again.directory().user("admin").unwrap().holds(role::PROJECT_OWNER));
}
