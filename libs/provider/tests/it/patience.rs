//! What one reader or one lock may keep from others: connections, and for how long.

use std::time::Duration;

use cluster::Scratch;
use futures::TryStreamExt as _;
use proto::query::v1 as pb;
use provider::{Grant, Pool, PoolOptions, Provider, Rows};
use sqlx::{Connection as _, PgConnection};
use tonic::{Code, Status};

use crate::world::{context, pairs, select};

struct Busy {
    scratch: Scratch,
    provider: Provider,
    connection: PgConnection,
}

impl Busy {
    /// Rows whose notes are as long as said, read through one connection.
    async fn new(bytes: i32, options: PoolOptions) -> Self {
        let scratch = Scratch::start().await.unwrap();
        let url = scratch.database("test").await.unwrap();
        let mut connection = PgConnection::connect(&url).await.unwrap();
        let table = "CREATE TABLE pairs (a text NOT NULL, b integer NOT NULL, note text,
                     PRIMARY KEY (a, b))";
        sqlx::raw_sql(table).execute(&mut connection).await.unwrap();
        let fill = "INSERT INTO pairs SELECT 'a', n, repeat('x', $1)
                    FROM generate_series(1, 4000) AS n";
        sqlx::query(fill).bind(bytes).execute(&mut connection).await.unwrap();
        let pool = Pool::new(&url, &PoolOptions { max_size: 1, ..options }).unwrap();
        Self { scratch, provider: Provider::new(pool, "test"), connection }
    }

    async fn read(&self, size: i32) -> Result<Rows, Status> {
        let page = Some(pb::Page { size, ..Default::default() });
        let query = pb::QueryExpression { page, ..select(&["b", "note"]) };
        let request = pb::RetrieveMultipleRequest {
            query: Some(query),
            format: pb::RowFormat::Json.into(),
            ..Default::default()
        };
        self.provider
            .retrieve_multiple(&context(), &Grant::unrestricted(pairs()).into(), request)
            .await
    }

    async fn locked(&mut self) -> sqlx::Transaction<'_, sqlx::Postgres> {
        let mut transaction = self.connection.begin().await.unwrap();
        sqlx::raw_sql("LOCK TABLE pairs IN ACCESS EXCLUSIVE MODE")
            .execute(&mut *transaction)
            .await
            .unwrap();
        transaction
    }
}

async fn count(rows: Rows) -> Result<i64, Status> {
    let rows = rows.map_ok(|it| it.batch.map_or(0, |it| it.row_count));
    rows.try_fold(0, |sum, it| async move { Ok(sum + it) }).await
}

#[tokio::test]
async fn a_page_that_nobody_reads_yet_holds_no_connection() {
    let busy = Busy::new(1_000, PoolOptions::default()).await;
    let (first, unread) = begun(busy.read(4_000).await.unwrap()).await;
    assert_eq!(count(busy.read(1).await.unwrap()).await.unwrap(), 1);
    assert_eq!(count(unread).await.unwrap(), 4_000 - first);
}

#[tokio::test]
async fn a_reader_that_never_reads_loses_its_connection() {
    let patient =
        PoolOptions { connect_timeout: Duration::from_secs(20), ..PoolOptions::default() };
    let busy = Busy::new(4_000, patient).await;
    let (_, unread) = begun(busy.read(4_000).await.unwrap()).await;
    assert_eq!(count(busy.read(1).await.unwrap()).await.unwrap(), 1);
    let status = count(unread).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert!(status.message().contains("not taken in time"), "{status}");
    assert_eq!(count(busy.read(4_000).await.unwrap()).await.unwrap(), 4_000, "one that reads");
}

#[tokio::test]
async fn a_locked_table_is_busy_and_gives_its_connection_back() {
    let options =
        PoolOptions { lock_timeout: Duration::from_millis(200), ..PoolOptions::default() };
    let mut busy = Busy::new(1, options).await;
    let provider = busy.provider.clone();
    let lock = busy.locked().await;
    let request = |size| {
        let page = Some(pb::Page { size, ..Default::default() });
        let query = pb::QueryExpression { page, ..select(&["b"]) };
        pb::RetrieveMultipleRequest {
            query: Some(query),
            format: pb::RowFormat::Json.into(),
            ..Default::default()
        }
    };
    let grant = provider::Grants::from(Grant::unrestricted(pairs()));
    for _ in 0..2 {
        let refused = provider.retrieve_multiple(&context(), &grant, request(1)).await;
        let status = refused.err().unwrap();
        assert_eq!((status.code(), rpc::is_busy(&status)), (Code::Unavailable, true));
        assert!(status.message().contains("busy"), "{status}");
    }
    lock.rollback().await.unwrap();
    assert_eq!(count(busy.read(1).await.unwrap()).await.unwrap(), 1);
}

#[tokio::test]
async fn without_a_free_connection_the_database_is_busy_not_away() {
    let options =
        PoolOptions { connect_timeout: Duration::from_millis(500), ..PoolOptions::default() };
    let busy = Busy::new(4_000, options).await;
    let (_, unread) = begun(busy.read(4_000).await.unwrap()).await;
    let status = busy.read(1).await.err().unwrap();
    assert_eq!((status.code(), rpc::is_busy(&status)), (Code::Unavailable, true));
    drop(unread);
}

/// Takes the first rows, so that the page has its connection.
async fn begun(mut rows: Rows) -> (i64, Rows) {
    let message = rows.try_next().await.unwrap().unwrap();
    (message.batch.unwrap().row_count, rows)
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_ended_and_said_to_be() {
    let options =
        PoolOptions { statement_timeout: Duration::from_millis(300), ..PoolOptions::default() };
    let mut busy = Busy::new(1, options).await;
    let slow = "ALTER TABLE pairs RENAME TO kept;
                CREATE VIEW pairs AS SELECT a, b, note, xmin FROM kept
                WHERE pg_sleep(0.1) IS NOT NULL;";
    sqlx::raw_sql(slow).execute(&mut busy.connection).await.unwrap();
    let error = match busy.read(10).await {
        Ok(rows) => count(rows).await.unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(error.code(), Code::DeadlineExceeded);
    assert_eq!(rpc::reason(&error), Some(rpc::ErrorReason::DeadlineExceeded));
    let back = "DROP VIEW pairs; ALTER TABLE kept RENAME TO pairs";
    sqlx::raw_sql(back).execute(&mut busy.connection).await.unwrap();
    assert_eq!(count(busy.read(10).await.unwrap()).await.unwrap(), 10, "its connection is free");
}

/// As it is for a moment while another database takes its place.
#[tokio::test]
async fn a_database_that_takes_no_connections_is_unavailable() {
    let busy = Busy::new(1, PoolOptions::default()).await;
    let mut elsewhere =
        PgConnection::connect(&busy.scratch.cluster().url("postgres")).await.unwrap();
    sqlx::raw_sql("ALTER DATABASE test WITH ALLOW_CONNECTIONS false")
        .execute(&mut elsewhere)
        .await
        .unwrap();
    let status = busy.read(10).await.map(drop).unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
}
