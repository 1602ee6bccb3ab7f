//! The catalog's part of another environment's database.

use proto::lifecycle::v1 as pb;
use proto::lifecycle::v1::provisioning_service_client::ProvisioningServiceClient;
use rpc::ErrorReason;
use sqlx::AssertSqlSafe;
use tonic::{Code, Status};

use crate::world::World;

type Client = ProvisioningServiceClient<rpc::Channel>;

async fn provision(client: &Client, database: &str, role: &str) -> Result<(), Status> {
    let database = pb::EnvironmentDatabase { database: database.into(), role: role.into() };
    let request = pb::ProvisionDatabaseRequest { database: Some(database), ..Default::default() };
    client.clone().provision_database(request).await.map(drop)
}

#[tokio::test]
async fn a_new_database_gets_the_catalogs_schema_under_its_owner() {
    let world = World::new().await;
    let running = world.start().await;
    let client = running.provisioning();
    for sql in ["CREATE ROLE env_a NOLOGIN", "CREATE DATABASE env_a OWNER env_a"] {
        let mut outside = world.connect("postgres").await;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut outside).await.unwrap();
    }
    for _ in 0..2 {
        provision(&client, "env_a", "env_a").await.unwrap();
    }
    let owner: String = sqlx::query_scalar(
        "SELECT tableowner::text FROM pg_tables WHERE schemaname = 'catalog' AND tablename = 'revision'",
    )
    .fetch_one(&mut world.connect("env_a").await)
    .await
    .unwrap();
    assert_eq!(owner, "env_a");
    // The catalog's own is as it should be.
    provision(&client, "platform", "").await.unwrap();
    let mut outside = world.connect("postgres").await;
    sqlx::raw_sql("DROP DATABASE env_a").execute(&mut outside).await.unwrap();
}

#[tokio::test]
async fn names_are_names_of_databases_that_there_are() {
    let world = World::new().await;
    let running = world.start().await;
    let client = running.provisioning();
    let missing = provision(&client, "nothing", "").await.unwrap_err();
    assert_eq!(missing.code(), Code::NotFound, "{missing:?}");
    assert_eq!(rpc::reason(&missing), Some(ErrorReason::ResourceNotFound));
    let missing = provision(&client, "postgres", "nobody").await.unwrap_err();
    assert_eq!(missing.code(), Code::NotFound, "{missing:?}");
    for (database, role) in [("", ""), ("a b", ""), ("a'; DROP", ""), ("postgres", "x\" -c y=z")] {
        let refused = provision(&client, database, role).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
        assert_eq!(rpc::reason(&refused), Some(ErrorReason::InvalidValue));
    }
}
