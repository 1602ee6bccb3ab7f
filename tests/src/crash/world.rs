//! A system over an ERP that outlives it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use sqlx::{AssertSqlSafe, PgConnection};
use tempfile::TempDir;

use crate::{Erp, Platform, Start, System, temporary_directory};

/// What is prepared must be settled by then.
const RECOVERED_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);

pub(super) struct World {
    erp: Erp,
    platform: Platform,
    data: TempDir,
}

/// Words by account number.
type Words = BTreeMap<String, String>;

impl World {
    pub(super) async fn new() -> Result<Self> {
        let erp = Erp::demo(20).await?;
        let data = temporary_directory()?;
        let platform = Platform::of(data.path());
        Ok(Self { erp, platform, data })
    }

    /// Starts the system, to kill itself at this step.
    pub(super) async fn start(&self, crash_at: Option<&str>) -> Result<System> {
        let start = Start::dev(self.data.path()).over(&self.erp.url().await?, &self.erp.model());
        System::start(&match crash_at {
            Some(step) => start.env("TOMBOLO_CRASH_AT", step),
            None => start,
        })
        .await
    }

    pub(super) async fn stop(self) -> Result<()> {
        self.erp.stop().await
    }

    /// Waits until no transaction is left in between.
    pub(super) async fn recovered(&self) -> Result<()> {
        let mut connection = self.platform.connect().await?;
        let sql = "SELECT gid FROM pg_prepared_xacts ORDER BY gid";
        let mut left: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut connection).await?;
        let started = Instant::now();
        while !left.is_empty() {
            ensure!(started.elapsed() < RECOVERED_WITHIN, "still prepared: {left:?}");
            tokio::time::sleep(LOOK_EVERY).await;
            left = sqlx::query_scalar(sql).fetch_all(&mut connection).await?;
        }
        Ok(())
    }

    /// What both databases say, which must be the same.
    pub(super) async fn agreed(&self) -> Result<Words> {
        let mut erp = self.erp.connect().await?;
        let customers = "SELECT accountnum, memo FROM erp.custtable WHERE accountnum LIKE 'K-%'";
        let customers = words(&mut erp, customers).await?;
        let mut platform = self.platform.connect().await?;
        let accounts = "SELECT accountnumber, description FROM organization.account
            WHERE accountnumber LIKE 'K-%'";
        let accounts = words(&mut platform, accounts).await?;
        let differing = customers.keys().chain(accounts.keys());
        let differing: Vec<_> = differing
            .filter(|it| customers.get(*it) != accounts.get(*it))
            .map(|it| format!("{it}: ERP {:?}, platform {:?}", customers.get(it), accounts.get(it)))
            .collect();
        ensure!(differing.is_empty(), "the databases differ: {differing:#?}");
        // A customer is two rows of the ERP, both or none of which are there.
        let parties = "SELECT count(*) FROM erp.dirpartytable WHERE name = 'Crash'";
        let parties: i64 = sqlx::query_scalar(parties).fetch_one(&mut erp).await?;
        ensure!(
            parties == customers.len() as i64,
            "{parties} parties, {} customers",
            customers.len()
        );
        Ok(customers)
    }
}

async fn words(connection: &mut PgConnection, sql: &str) -> Result<Words> {
    let sql = AssertSqlSafe(sql.to_owned());
    let rows: Vec<(String, String)> = sqlx::query_as(sql).fetch_all(connection).await?;
    Ok(rows.into_iter().collect())
}
