//! A system over an ERP that outlives it, and databases for environments.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use sqlx::PgConnection;
use tempfile::TempDir;

use crate::system::Process;
use crate::tenant::{Person, Tenant};
use crate::{Erp, Platform, Start, System, temporary_directory};

/// Who runs the setups.
pub(super) const USER: &str = "setup-runner";
const ROLES: [&str; 3] = ["Global Administrator", "Environment Manager", "System administrator"];
/// More than all rounds need.
const SANDBOXES: i64 = 2_000;
const STORAGE_UNITS: i64 = 2_000;
const LICENCES: i64 = 50;
const PRISTINE: &str = "pristine";
/// A step that is to kill is reached by then.
const KILLED_WITHIN: Duration = Duration::from_secs(60);
const SIGKILL: i32 = 9;

pub(super) struct World {
    pub(super) platform: Platform,
    erp: Erp,
    start: Start,
    token: String,
    data: TempDir,
}

impl World {
    /// With a tenant that has bought enough for everything.
    pub(super) async fn new() -> Result<Self> {
        let erp = Erp::demo(20).await?;
        erp.execute_in("postgres", &format!("CREATE DATABASE {PRISTINE} TEMPLATE erp")).await?;
        let data = temporary_directory()?;
        let start = Start::dev(data.path()).over(&erp.url().await?, &erp.model());
        let system = System::start(&start).await?;
        let admin = Tenant::of(&system, "admin").await?;
        admin.buy("finance", LICENCES).await?;
        admin.buy("operations-sandbox", SANDBOXES).await?;
        admin.buy("database-capacity", STORAGE_UNITS).await?;
        admin.make(Person { name: USER, roles: &ROLES }).await?;
        admin.assign("finance", USER).await?;
        let token = system.token(USER).await?;
        system.stop().await?;
        let platform = Platform::of(data.path());
        Ok(Self { platform, erp, start, token, data })
    }

    pub(super) async fn stop(self) -> Result<()> {
        self.erp.stop().await?;
        Ok(self.data.close()?)
    }

    /// A database for another ERP, with tables and rows.
    pub(super) async fn make_erp_database(&self, name: &str) -> Result<()> {
        let sql = format!("CREATE DATABASE {name} TEMPLATE {PRISTINE}");
        self.erp.execute_in("postgres", &sql).await
    }

    /// A system that is ready, to kill itself at this step.
    pub(super) async fn start(&self, crash_at: Option<&str>) -> Result<System> {
        System::start(&self.start_to(crash_at)).await
    }

    /// A system that has just begun to start.
    pub(super) fn begin(&self, crash_at: Option<&str>) -> Result<Process> {
        self.start_to(crash_at).begin()
    }

    fn start_to(&self, crash_at: Option<&str>) -> Start {
        match crash_at {
            Some(step) => self.start.clone().env("TOMBOLO_CRASH_AT", step),
            None => self.start.clone(),
        }
    }

    /// The tenant as the one who runs setups.
    pub(super) async fn tenant(&self, system: &System) -> Result<Tenant> {
        Tenant::connect(&system.grpc, USER, &self.token).await
    }

    /// The control plane's database. Only while the system runs.
    pub(super) async fn control_plane(&self) -> Result<PgConnection> {
        self.platform.connect_to("tenant").await
    }
}

/// Waits until the system has killed itself.
pub(super) async fn killed(process: &mut Process, step: &str) -> Result<()> {
    use std::os::unix::process::ExitStatusExt as _;
    let ended = tokio::time::timeout(KILLED_WITHIN, process.ended()).await;
    let ended = ended.with_context(|| format!("{step} is never reached: {}", process.log()))??;
    let log = process.log();
    ensure!(ended.signal() == Some(SIGKILL), "ended with {ended} before {step}: {log}");
    ensure!(!log.contains("panicked"), "{log}");
    Ok(())
}
