//! Schemas of a real PostgreSQL.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use cluster::Scratch;
use schema::{OpenError, Place, Schema, database_of};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool};

const SCHEMA: Schema = Schema {
    name: "things",
    migrations: &[(1, "things", "CREATE TABLE thing (id integer PRIMARY KEY)")],
    statement_timeout: Duration::from_secs(10),
    lock_timeout: Some(Duration::from_secs(5)),
};
const OTHER: Schema = Schema { name: "others", ..SCHEMA };
const BROKEN: Schema = Schema { migrations: &[(1, "broken", "CREATE TABLE")], ..SCHEMA };

struct World {
    scratch: Scratch,
    url: String,
}

impl World {
    async fn new() -> Self {
        let scratch = Scratch::start().await.unwrap();
        let url = scratch.database("platform").await.unwrap();
        Self { scratch, url }
    }

    /// As the lifecycle of environments makes them.
    async fn with_environment(name: &str) -> Self {
        let world = Self::new().await;
        world.run(&format!("CREATE ROLE {name} NOLOGIN")).await;
        world.run(&format!("CREATE DATABASE {name} OWNER {name}")).await;
        world
    }

    async fn run(&self, sql: &str) {
        let options = self.scratch.cluster().connect_options("postgres");
        let mut outside = PgConnection::connect_with(&options).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut outside).await.unwrap();
    }
}

async fn text(pool: &PgPool, sql: &'static str) -> String {
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn another_database_is_used_as_its_owner_and_left_alone_afterwards() {
    let world = World::with_environment("env_a").await;
    let place = Place::new("env_a", "env_a").unwrap();
    for _ in 0..2 {
        let pool = SCHEMA.open_in(&world.url, &place).await.unwrap();
        assert_eq!(text(&pool, "SELECT current_database()::text").await, "env_a");
        assert_eq!(text(&pool, "SELECT current_user::text").await, "env_a");
        let owner = "SELECT tableowner::text FROM pg_tables WHERE tablename = 'thing'";
        assert_eq!(text(&pool, owner).await, "env_a");
        pool.close().await;
    }
    // Neither waits nor fails, as it would for a connection that is open.
    world.run("ALTER DATABASE env_a RENAME TO env_b").await;
    world.run("DROP DATABASE env_b").await;
}

#[tokio::test]
async fn who_was_granted_the_owner_works_as_it() {
    let world = World::with_environment("env_a").await;
    world.run("CREATE ROLE service LOGIN PASSWORD 'secret'; GRANT env_a TO service").await;
    let url = world.scratch.cluster().tcp_url("platform");
    let (_, rest) = url.split_once('@').unwrap();
    let url = format!("postgres://service:secret@{rest}");
    let place = Place::new("env_a", "env_a").unwrap();
    let many = tokio::join!(
        SCHEMA.open_in(&url, &place),
        OTHER.open_in(&url, &place),
        SCHEMA.open_in(&url, &place),
        OTHER.open_in(&url, &place),
    );
    for pool in [many.0, many.1, many.2, many.3] {
        let pool = pool.unwrap();
        assert_eq!(
            text(&pool, "SELECT session_user || ' ' || current_user").await,
            "service env_a"
        );
        pool.close().await;
    }
    let as_itself = SCHEMA.open_in(&url, &Place::new("postgres", "").unwrap()).await.unwrap_err();
    assert!(!as_itself.is_missing(), "{as_itself}");
}

#[tokio::test]
async fn a_visitor_changes_nothing() {
    let world = World::with_environment("env_a").await;
    let pool = SCHEMA.visit(&world.url, &Place::new("env_a", "").unwrap()).await.unwrap();
    let count = "SELECT count(*)::text FROM pg_namespace WHERE nspname = 'things'";
    assert_eq!(text(&pool, count).await, "0");
    pool.close().await;
}

#[tokio::test]
async fn what_is_not_there_is_told_from_what_does_not_work() {
    let world = World::with_environment("env_a").await;
    let open = async |schema: Schema, database: &str, role: &str| -> OpenError {
        let place = Place::new(database, role).unwrap();
        schema.open_in(&world.url, &place).await.unwrap_err()
    };
    assert!(open(SCHEMA, "nothing", "").await.is_missing());
    assert!(open(SCHEMA, "nothing", "env_a").await.is_missing());
    assert!(open(SCHEMA, "env_a", "nobody").await.is_missing());
    let broken = open(BROKEN, "env_a", "env_a").await;
    assert!(!broken.is_missing(), "{broken}");
    let code = broken.into_cause();
    let code = code.as_database_error().and_then(|it| it.code()).map(|it| it.into_owned());
    assert_eq!(code.as_deref(), Some("42601"));
    // The failed attempt holds nothing open either.
    world.run("DROP DATABASE env_a").await;
}

#[tokio::test]
async fn a_url_says_its_database() {
    assert_eq!(database_of("postgres://user:secret@host/platform").unwrap(), "platform");
    assert!(database_of("nonsense").is_err());
    let world = World::new().await;
    assert_eq!(database_of(&world.url).unwrap(), "platform");
}
