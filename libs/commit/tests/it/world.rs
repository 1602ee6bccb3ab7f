//! Two databases of one cluster: an ERP and a platform, each with a table of its own.

use cluster::Scratch;
use commit::{Schema, TransactionId};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection as _};

pub(crate) struct World {
    pub(crate) scratch: Scratch,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(&[]).await
    }

    /// With settings of the server.
    pub(crate) async fn with(settings: &[(&str, &str)]) -> Self {
        let world = Self { scratch: Scratch::start_with(settings).await.unwrap() };
        for database in ["erp", "platform"] {
            world.scratch.database(database).await.unwrap();
            let mut connection = world.connect(database).await;
            Schema::new().ensure(&mut connection).await.unwrap();
            run(&mut connection, "CREATE TABLE things (name text)").await;
        }
        world
    }

    pub(crate) async fn erp(&self) -> PgConnection {
        self.connect("erp").await
    }

    pub(crate) async fn platform(&self) -> PgConnection {
        self.connect("platform").await
    }

    pub(crate) fn options(&self, database: &str) -> PgConnectOptions {
        self.scratch.cluster().connect_options(database).options([("lock_timeout", "200")])
    }

    async fn connect(&self, database: &str) -> PgConnection {
        PgConnection::connect_with(&self.options(database)).await.unwrap()
    }

    /// Rows that others see.
    pub(crate) async fn things(&self, database: &str) -> i64 {
        let mut connection = self.connect(database).await;
        let count = sqlx::query_scalar("SELECT count(*) FROM things");
        count.fetch_one(&mut connection).await.unwrap()
    }

    /// An open transaction with a row.
    pub(crate) async fn working(&self, database: &str) -> PgConnection {
        let mut connection = self.connect(database).await;
        run(&mut connection, "BEGIN; INSERT INTO things VALUES ('new')").await;
        connection
    }

    /// A prepared transaction with a row.
    pub(crate) async fn prepared(&self, id: TransactionId) {
        let mut connection = self.working("platform").await;
        commit::participant::prepare(&mut connection, id, "").await.unwrap();
    }
}

/// What a transaction over both writes before it ends, by somebody who does not end yet.
pub(crate) async fn write(connection: &mut PgConnection, table: &str, id: TransactionId) {
    let sql =
        format!("INSERT INTO tombolo.{table} (transaction_id, decision) VALUES ($1, 'commit')");
    let write = sqlx::query(AssertSqlSafe(sql)).bind(id.as_uuid());
    write.execute(connection).await.unwrap();
}

pub(crate) async fn run(connection: &mut PgConnection, sql: &'static str) {
    sqlx::raw_sql(sql).execute(connection).await.unwrap();
}
