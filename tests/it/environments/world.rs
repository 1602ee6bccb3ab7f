//! A tenant that buys and deploys what cases ask for.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result, bail, ensure};
use proto::capacity::v1::Pool;
use tempfile::TempDir;
use tests::tenant::{GB, Person, Setup, Tenant, pool};
use tests::{Output, Platform, Start, System, run_tombolo};
use tokio::sync::OnceCell;

pub(super) type Case = tests::runner::Case<World>;

const CUSTOMERS: &str = "300";
/// Enough for all cases.
const SANDBOXES: i64 = 200;
/// Gigabytes of database that are added to what licences for users give.
const STORAGE: &str = "database-capacity";
const STORAGE_UNITS: i64 = 100;

/// Of the project, and no administrator of anything else.
pub(super) const MANAGER: &str = "manager";
pub(super) const MANAGER_ROLES: [&str; 1] = ["Environment Manager"];
/// Administers the tenant, and is not of the project.
pub(super) const OUTSIDER: &str = "outsider";
const OUTSIDER_ROLES: [&str; 2] = ["Global Administrator", "System administrator"];

pub(super) struct World {
    pub(super) system: System,
    pub(super) platform: Platform,
    pub(super) admin: Tenant,
    pub(super) manager: Tenant,
    pub(super) outsider: Tenant,
    pub(super) data: TempDir,
    counter: AtomicUsize,
    pairs: OnceCell<[Pair; 2]>,
}

/// Two halves that are linked.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    /// Last part of the name.
    pub(super) erp: String,
    /// `platformEnvironments/…`.
    pub(super) platform: String,
}

impl World {
    pub(super) async fn start() -> Result<Self> {
        let data = tests::temporary_directory()?;
        let start = Start::dev(data.path()).arg("--customers").arg(CUSTOMERS).arg("--no-link");
        let system = System::start(&start).await?;
        let admin = Tenant::of(&system, "admin").await?;
        admin.buy("operations-sandbox", SANDBOXES).await?;
        admin.buy(STORAGE, STORAGE_UNITS).await?;
        without_database(&admin, "finance").await?;
        for (name, roles) in [(MANAGER, &MANAGER_ROLES[..]), (OUTSIDER, &OUTSIDER_ROLES[..])] {
            admin.make(Person { name, roles }).await?;
            admin.assign("finance", name).await?;
        }
        let manager = Tenant::of(&system, MANAGER).await?;
        let outsider = Tenant::of(&system, OUTSIDER).await?;
        let platform = Platform::of(data.path());
        let counter = AtomicUsize::new(1);
        let pairs = OnceCell::new();
        Ok(Self { system, platform, admin, manager, outsider, data, counter, pairs })
    }

    pub(super) async fn stop(self) -> Result<()> {
        let log = self.system.log();
        self.system.stop().await?;
        self.data.close()?;
        ensure!(!log.contains("panicked"), "{log}");
        Ok(())
    }

    /// A name that no environment has.
    pub(super) fn fresh(&self, stem: &str) -> String {
        format!("{stem}-{}", self.counter.fetch_add(1, Ordering::Relaxed))
    }

    /// A new environment of the ERP, deployed, with its initial platform environment. Returns its name's
    /// last part.
    pub(super) async fn deploy(&self, stem: &str) -> Result<String> {
        let id = self.fresh(stem);
        self.admin.deployed(&id, "").await.with_context(|| format!("deploy {id}"))?;
        Ok(id)
    }

    /// Two pairs that cases do something to, one after the other.
    pub(super) async fn pairs(&self) -> Result<&[Pair; 2]> {
        let make = async || -> Result<[Pair; 2]> {
            let (first, second) = futures::join!(self.pair(), self.pair());
            Ok([first?, second?])
        };
        self.pairs.get_or_try_init(make).await
    }

    /// A new pair.
    pub(super) async fn pair(&self) -> Result<Pair> {
        let erp = self.deploy("pair").await?;
        let operation = self.admin.start(&Setup::of(&erp)).await?;
        self.admin.succeeded(&operation.name).await?;
        let platform = self.admin.erp(&erp).await?.initial_platform_environment;
        Ok(Pair { erp, platform })
    }

    /// Runs SQL of the test's own in the control plane's database: for what no service does.
    pub(super) async fn control_plane(&self, sql: &str) -> Result<()> {
        let mut connection = self.platform.connect_to("tenant").await?;
        let sql = sqlx::AssertSqlSafe(sql.to_owned());
        let changed = sqlx::query(sql).execute(&mut connection).await?;
        ensure!(changed.rows_affected() == 1, "{changed:?}");
        Ok(())
    }

    /// Buys so much storage, or gives so much back, that at least `free` gigabytes of database are free, and
    /// less than one more.
    pub(super) async fn leave_free(&self, free: i64) -> Result<()> {
        let database = pool(&self.admin.measured().await?, Pool::Database);
        ensure!(database.reserved_bytes == 0, "{database:?}");
        let surplus = database.entitled_bytes - database.used_bytes - free * GB;
        let units = self.units().await? - surplus.div_euclid(GB);
        self.admin.buy(STORAGE, units).await?;
        let database = pool(&self.admin.pools().await?, Pool::Database);
        ensure!((free * GB..(free + 1) * GB).contains(&database.free_bytes), "{database:?}");
        Ok(())
    }

    /// Buys all storage back that cases may need.
    pub(super) async fn leave_enough(&self) -> Result<()> {
        self.admin.buy(STORAGE, STORAGE_UNITS).await
    }

    /// Takes so much back that more is used than there is.
    pub(super) async fn leave_too_little(&self) -> Result<()> {
        self.leave_free(0).await?;
        let units = self.units().await? - 1;
        self.admin.buy(STORAGE, units).await
    }

    async fn units(&self) -> Result<i64> {
        let name = format!("licences/{STORAGE}");
        let request = proto::capacity::v1::GetLicenceRequest { name };
        let answer = self.admin.licences().get_licence(request).await?.into_inner();
        Ok(answer.licence.context("no licence")?.quantity)
    }

    /// A verb of the command line, as `admin`.
    pub(super) async fn tombolo(&self, arguments: &[&str]) -> Result<Output> {
        let data = self.data.path().display().to_string();
        let server = ["--server", &self.system.grpc, "--data", &data];
        run_tombolo(&[arguments, &server[..]].concat()).await
    }

    /// One that must end well; what it says on standard output.
    pub(super) async fn done(&self, arguments: &[&str]) -> Result<String> {
        let output = self.tombolo(arguments).await?;
        if !output.status.success() {
            bail!("tombolo {arguments:?}: {output:?}");
        }
        Ok(output.stdout)
    }
}

/// Corrects what licences of a product give, so that all database comes from what is bought as such.
async fn without_database(admin: &Tenant, product: &str) -> Result<()> {
    let name = format!("accruals/{product}");
    let request = proto::capacity::v1::GetAccrualRequest { name };
    let answer = admin.licences().get_accrual(request).await?.into_inner();
    let mut accrual = answer.accrual.context("no accrual")?;
    for amounts in [&mut accrual.tenant_amounts, &mut accrual.unit_amounts] {
        amounts.retain(|it| it.pool() != Pool::Database);
    }
    accrual.source = "A test's own.".to_owned();
    let paths = ["tenant_amounts", "unit_amounts", "source"].map(str::to_owned).to_vec();
    let request = proto::capacity::v1::UpdateAccrualRequest {
        accrual: Some(accrual),
        update_mask: Some(prost_types::FieldMask { paths }),
        ..Default::default()
    };
    admin.licences().update_accrual(request).await.context("correct an accrual")?;
    Ok(())
}
