//! Tombolo's own tables beside the rows that they make promises about.

use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::postgres::PgConnection;

use crate::error::{Error, code};

const PRESENT: &str = "
    SELECT to_regclass('tombolo.decision') IS NOT NULL
       AND to_regclass('tombolo.settled') IS NOT NULL
       AND to_regclass('tombolo.idempotency') IS NOT NULL";

/// One simple query, so one transaction. Whoever adds something in the schema takes the same lock.
const CREATE: &str = "
    SELECT pg_advisory_xact_lock(hashtext('tombolo'), hashtext('schema'));
    DO $$ BEGIN
        -- IF NOT EXISTS would ask for the right to create schemas all the same.
        IF to_regnamespace('tombolo') IS NULL THEN CREATE SCHEMA tombolo; END IF;
    END $$;
    CREATE TABLE IF NOT EXISTS tombolo.decision (
        transaction_id uuid PRIMARY KEY,
        decision text NOT NULL CHECK (decision IN ('commit', 'abort')),
        recorded_at timestamptz NOT NULL DEFAULT now()
    );
    COMMENT ON TABLE tombolo.decision IS
        'How transactions over this database and the platform ended. Do not change.';
    CREATE INDEX IF NOT EXISTS decision_recorded_at
        ON tombolo.decision USING brin (recorded_at);
    CREATE TABLE IF NOT EXISTS tombolo.settled (
        transaction_id uuid PRIMARY KEY,
        decision text NOT NULL CHECK (decision IN ('commit', 'abort')),
        recorded_at timestamptz NOT NULL DEFAULT now()
    );
    COMMENT ON TABLE tombolo.settled IS
        'How transactions that were prepared in this database ended. Do not change.';
    CREATE INDEX IF NOT EXISTS settled_recorded_at ON tombolo.settled USING brin (recorded_at);
    CREATE TABLE IF NOT EXISTS tombolo.idempotency (
        caller text NOT NULL,
        key text NOT NULL,
        digest bytea NOT NULL,
        answer bytea NOT NULL DEFAULT '',
        created_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (caller, key)
    );
    COMMENT ON TABLE tombolo.idempotency IS 'Answers of writes that may be repeated.';
    CREATE INDEX IF NOT EXISTS idempotency_created_at
        ON tombolo.idempotency USING brin (created_at)";

/// Whether one database has the tables. Each process asks each database once.
#[derive(Debug, Default)]
pub struct Schema {
    ready: AtomicBool,
}

// === impl Schema ===

impl Schema {
    /// Of a database that was not asked yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { ready: AtomicBool::new(false) }
    }

    /// Creates what is not there. On a connection without an open transaction.
    ///
    /// # Errors
    ///
    /// [`Error::NotGranted`] when the database user may not, or the database's own.
    pub async fn ensure(&self, connection: &mut PgConnection) -> Result<(), Error> {
        if self.ready.load(Ordering::Acquire) {
            return Ok(());
        }
        match sqlx::query_scalar(PRESENT).fetch_one(&mut *connection).await {
            Ok(true) => {}
            Ok(false) => create(connection).await?,
            Err(error) => return Err(refused(connection, error).await),
        }
        self.ready.store(true, Ordering::Release);
        Ok(())
    }

    /// Whether the tables are there.
    ///
    /// # Errors
    ///
    /// The database's own.
    pub async fn exists(connection: &mut PgConnection) -> Result<bool, Error> {
        sqlx::query_scalar(PRESENT).fetch_one(connection).await.map_err(Error::of)
    }

    /// The tables turned out to be gone: a restored database. The next call looks again.
    pub fn doubt(&self) {
        self.ready.store(false, Ordering::Release);
    }
}

async fn create(connection: &mut PgConnection) -> Result<(), Error> {
    // Somebody who does not take the lock may create the schema at the same moment, once.
    const TAKEN: [&str; 3] = ["23505", "42P06", "42P07"];
    let mut created = sqlx::raw_sql(CREATE).execute(&mut *connection).await;
    if created.as_ref().is_err_and(|it| TAKEN.contains(&code(it).as_str())) {
        created = sqlx::raw_sql(CREATE).execute(&mut *connection).await;
    }
    match created {
        Ok(_) => Ok(()),
        Err(error) => Err(refused(connection, error).await),
    }
}

/// Who may not is told as whom it came.
async fn refused(connection: &mut PgConnection, error: sqlx::Error) -> Error {
    const DENIED: &str = "42501";
    if code(&error) != DENIED {
        return Error::of(error);
    }
    let user = sqlx::query_scalar("SELECT quote_ident(current_user)").fetch_one(connection);
    match user.await {
        Ok(user) => Error::NotGranted { user },
        Err(error) => Error::of(error),
    }
}
