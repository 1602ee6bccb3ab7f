//! A system over an ERP that outlives it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use sqlx::AssertSqlSafe;
use tempfile::TempDir;

use super::Variant;
use super::compare::{self, Rows};
use super::maps::Maps;
use super::network::Network;
use crate::{Erp, Platform, Start, System, temporary_directory};

/// The map that is checked.
pub(super) const MAP: &str = "maps/customers-v3-accounts";
/// Both sides must be the same by then, when nobody writes any more.
const EQUAL_WITHIN: Duration = Duration::from_secs(60);
/// Of the broken variant, for which nobody mends what this long stayed as it was.
const UNHEALED: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(super) struct World {
    pub(super) erp: Erp,
    pub(super) platform: Platform,
    data: TempDir,
    pub(super) network: Network,
    variant: Variant,
}

impl World {
    pub(super) async fn new(variant: Variant) -> Result<Self> {
        let network = Network::new().await?;
        println!("        {network}");
        let erp = Erp::demo_at(network.place_of_erp(), 40).await?;
        let data = temporary_directory()?;
        let platform = Platform::of(data.path());
        Ok(Self { erp, platform, data, network, variant })
    }

    /// Starts the system, to kill itself at this step.
    pub(super) async fn start(&self, crash_at: Option<&str>) -> Result<System> {
        let mut start =
            Start::dev(self.data.path()).over(&self.erp.url().await?, &self.erp.model());
        if let Some(step) = crash_at {
            start = start.env("TOMBOLO_CRASH_AT", step);
        }
        if self.variant == Variant::Broken {
            start = start.env("TOMBOLO_LEAVE_OUT", "decision-record");
        }
        System::start(&start).await
    }

    /// Waits until both sides are the same and nothing is left in between. Fails with the last difference.
    pub(super) async fn equal(&self, maps: &Maps) -> Result<Rows> {
        let started = Instant::now();
        let (mut same, mut same_since) = (String::new(), started);
        loop {
            let mut platform = self.platform.connect().await?;
            let sql = "SELECT count(*) FROM pg_prepared_xacts";
            let prepared: i64 = sqlx::query_scalar(sql).fetch_one(&mut platform).await?;
            let mut erp = self.erp.connect().await?;
            let found = compare::agreed(&mut erp, &mut platform).await?;
            let last = match found {
                Ok(rows) if prepared == 0 => return Ok(rows),
                Ok(_) => super::Diverged(format!("{prepared} transactions are still prepared")),
                Err(diverged) => diverged,
            };
            if last.0 != same {
                (same, same_since) = (last.0.clone(), Instant::now());
            }
            let stays = self.variant == Variant::Broken && same_since.elapsed() > UNHEALED;
            if stays || started.elapsed() > EQUAL_WITHIN {
                return Err(self.with_evidence(last, maps).await);
            }
            // What failed while everything broke may be tried again now.
            let _ = maps.retry_all(MAP).await;
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    pub(super) async fn with_evidence(
        &self,
        diverged: super::Diverged,
        maps: &Maps,
    ) -> anyhow::Error {
        let told = self.evidence(&diverged, maps).await.unwrap_or_else(|it| format!("{it:#}"));
        anyhow::Error::from(diverged).context(told)
    }

    /// What both logs and the map have to say of the rows that differ.
    async fn evidence(&self, diverged: &super::Diverged, maps: &Maps) -> Result<String> {
        let map = maps.get(MAP).await?;
        let mut told = format!("{map:?}\n");
        for error in maps.errors_of(MAP).await.context("list what failed")? {
            told.push_str(&format!("{error:?}\n"));
        }
        let numbers: Vec<String> = diverged.numbers();
        // A customer is a row of two tables.
        let erp =
            "coalesce(l.new, l.old) ->> 'accountnum' = ANY($1) OR l.relation LIKE '%dirpartytable%'
            AND coalesce(l.new, l.old) -> 'recid' IN (
                SELECT coalesce(c.new, c.old) -> 'party' FROM tombolo.change_log c
                WHERE coalesce(c.new, c.old) ->> 'accountnum' = ANY($1))";
        let platform = "coalesce(l.new, l.old) ->> 'accountnumber' = ANY($1)";
        for (side, of_rows) in [("ERP", erp), ("platform", platform)] {
            let mut connection = match side {
                "ERP" => self.erp.connect().await?,
                _ => self.platform.connect().await?,
            };
            let sql = format!(
                "SELECT format('%s %s %s of %s at %s origin %s, shared %s: %s -> %s', l.seq, l.xid, l.operation,
                     l.relation, l.at, l.origin, s.map, l.old, l.new)
                 FROM tombolo.change_log l LEFT JOIN tombolo.dual_write_shared s USING (xid)
                 WHERE {of_rows} ORDER BY l.seq"
            );
            let entries: Vec<String> = sqlx::query_scalar(AssertSqlSafe(sql))
                .bind(&numbers)
                .fetch_all(&mut connection)
                .await?;
            told.push_str(&format!("{side}'s log:\n{}\n", entries.join("\n")));
        }
        Ok(told)
    }

    /// What the sessions of both databases do, and whom they wait for.
    pub(super) async fn sessions(&self) -> String {
        let sql = "SELECT format('%s %s, blocked by %s, %s %s since %s, in a transaction since %s: %s', pid,
                client_port, pg_blocking_pids(pid), state, wait_event, clock_timestamp() - state_change,
                clock_timestamp() - xact_start, left(regexp_replace(query, '\\s+', ' ', 'g'), 200))
            FROM pg_stat_activity
            WHERE pid <> pg_backend_pid() AND state IS DISTINCT FROM 'idle' AND datname IS NOT NULL
            ORDER BY xact_start";
        let mut told = String::new();
        for (side, connection) in
            [("ERP", self.erp.connect().await), ("platform", self.platform.connect().await)]
        {
            let sessions = match connection {
                Ok(mut it) => sqlx::query_scalar::<_, String>(sql).fetch_all(&mut it).await,
                Err(error) => Ok(vec![format!("{error:#}")]),
            };
            let sessions = sessions.unwrap_or_else(|it| vec![it.to_string()]).join("\n");
            told.push_str(&format!("sessions of the {side}:\n{sessions}\n"));
        }
        told
    }

    pub(super) async fn stop(self) -> Result<()> {
        ensure!(self.data.path().exists(), "the data is gone");
        self.erp.stop().await
    }
}
