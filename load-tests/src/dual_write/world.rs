//! A `tombolo dev` over a demo ERP of its own, both with durable databases.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use proto::dual_write::v1 as pb;
use sqlx::PgConnection;
use tempfile::TempDir;
use tests::dual_write::maps::{Maps, timed};
use tests::{Erp, Platform, Start, System, Web};

/// Customers of the ERP and accounts of the platform.
pub const MAP: &str = "maps/customers-v3-accounts";
const STOPPED_WITHIN: Duration = Duration::from_secs(60);

/// The databases, with or without a system over them.
#[derive(Debug)]
pub struct World {
    /// Its database survives what happens to the system.
    pub erp: Erp,
    /// Runs while the system does.
    pub platform: Platform,
    start: Start,
    data: TempDir,
}

/// A system, and who asks it.
#[derive(Debug)]
pub struct Live {
    /// What runs.
    pub system: System,
    /// The administrator.
    pub web: Web,
    /// The administrator's maps.
    pub maps: Maps,
}

impl World {
    /// An ERP with so many customers, all of them organizations: the map takes no others.
    pub async fn new(customers: u64, progress: impl FnMut(&str, u64, u64) + Send) -> Result<Self> {
        let erp = Erp::empty_with("erp", &[("fsync", "on"), ("max_connections", "200")]).await?;
        let mut connection = erp.connect().await?;
        demo_erp::create(&mut connection, customers, progress).await?;
        let sql = "SET session_replication_role = replica;
            UPDATE erp.dirpartytable SET partytype = 'Organization' WHERE partytype = 'Person'
                AND recid IN (SELECT party FROM erp.custtable)";
        sqlx::raw_sql(sql).execute(&mut connection).await?;
        sqlx::raw_sql("VACUUM ANALYZE erp.dirpartytable").execute(&mut connection).await?;
        let data = tests::temporary_directory()?;
        let start = Start::dev(data.path()).over(&erp.direct_url().await?, &erp.model());
        Ok(Self { platform: Platform::of(data.path()), erp, start, data })
    }

    /// Traces go there.
    #[must_use]
    pub fn traced(mut self, endpoint: &str) -> Self {
        self.start = self.start.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
        self
    }

    /// Starts the system, or starts it again.
    pub async fn run(&self) -> Result<Live> {
        let system = System::start(&self.start).await?;
        let (web, maps) = (system.web("admin").await?, Maps::of(&system).await?);
        Ok(Live { system, web, maps })
    }

    /// Resident memory of the system's process, its PostgreSQL left out, in bytes.
    pub fn memory(&self) -> Result<u64> {
        let processes = tests::processes_using(self.data.path());
        let own = processes.iter().find(|it| it.contains(" dev --listen "));
        let id = own.and_then(|it| it.split(' ').next()).context("tombolo is not running")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let resident = status.lines().find_map(|it| it.strip_prefix("VmRSS:"));
        let kilobytes = resident.and_then(|it| it.trim().strip_suffix(" kB"));
        Ok(kilobytes.context("no resident memory")?.parse::<u64>()? * 1024)
    }

    /// The end.
    pub async fn stop(self) -> Result<()> {
        self.erp.stop().await?;
        self.data.close().context("remove what was made")
    }
}

impl Live {
    /// Stops all maps: no save is live any more, rows stay.
    pub async fn stop_maps(&self) -> Result<()> {
        let request = pb::ListMapsRequest { page_size: 1_000, ..Default::default() };
        let all = self.maps.service().list_maps(timed(request)).await?.into_inner().maps;
        let running = all.into_iter().filter(|it| it.state() == pb::MapState::Running);
        let names: Vec<String> = running.map(|it| it.name).collect();
        let request =
            pb::StopMapsRequest { names: names.clone(), acknowledged: true, ..Default::default() };
        self.maps.service().stop_maps(timed(request)).await?;
        for name in names {
            let stopped = pb::MapState::NotRunning;
            self.maps.reaches(&name, stopped, STOPPED_WITHIN).await?;
        }
        Ok(())
    }
}

/// How a server commits. Fails where a commit does not wait for the disk.
pub async fn durability(connection: &mut PgConnection) -> Result<String> {
    let sql = "SELECT current_setting('fsync'), current_setting('synchronous_commit')";
    let (fsync, commit): (String, String) = sqlx::query_as(sql).fetch_one(connection).await?;
    ensure!(fsync == "on" && commit == "on", "fsync {fsync}, synchronous_commit {commit}");
    Ok(format!("fsync {fsync}, synchronous_commit {commit}"))
}
