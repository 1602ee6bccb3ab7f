//! A `tombolo dev` over a demo ERP of its own, for cases that write. It can be restarted.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::snapshot::Snapshot;
use tests::{Erp, Platform, Start, System, Web};
use tokio::sync::RwLock;

const CUSTOMERS: u64 = 200;

pub(crate) const CUSTOMER_SET: &str = "mserp_custcustomerv3entities";
pub(crate) const CUSTOMER_ID: &str = "mserp_custcustomerv3entityid";
pub(crate) const GROUP_SET: &str = "mserp_custcustomergroupentities";
pub(crate) const GROUP_ID: &str = "mserp_custcustomergroupentityid";
pub(crate) const ORDER_SET: &str = "mserp_salesorderheaderv2entities";
pub(crate) const LINE_SET: &str = "mserp_salesorderlinev2entities";
/// From an order to its lines and back.
pub(crate) const LINES: &str = "mserp_FK_SalesOrderLineV2Entity_SalesOrderHeader";
pub(crate) const ORDER: &str = "mserp_FK_SalesOrderHeader_id";

pub(crate) type Case = tests::runner::Case<World>;

pub(crate) struct World {
    pub(crate) erp: Erp,
    pub(crate) platform: Platform,
    start: Start,
    live: RwLock<Option<Live>>,
    data: TempDir,
}

struct Live {
    system: System,
    admin: Web,
    clerk: Web,
    reader: Web,
}

/// What both databases hold.
pub(crate) struct Both {
    erp: Snapshot,
    platform: Snapshot,
}

impl World {
    pub(crate) async fn start() -> Result<Self> {
        let erp = Erp::demo(CUSTOMERS).await?;
        let data = tests::temporary_directory()?;
        let start =
            Start::dev(data.path()).over(&erp.url().await?, &erp.model()).arg("--sample-data");
        let live = Live::start(&start).await?;
        let platform = Platform::of(data.path());
        Ok(Self { erp, platform, start, live: RwLock::new(Some(live)), data })
    }

    pub(crate) async fn stop(self) -> Result<()> {
        let live = self.live.into_inner().context("not running")?;
        let log = live.system.log();
        live.system.stop().await?;
        self.erp.stop().await?;
        self.data.close()?;
        ensure!(!log.contains("panicked"), "{log}");
        Ok(())
    }

    /// Ctrl-C, and again.
    pub(crate) async fn restart(&self) -> Result<()> {
        let mut live = self.live.write().await;
        live.take().context("not running")?.system.stop().await?;
        *live = Some(Live::start(&self.start).await?);
        Ok(())
    }

    pub(crate) async fn admin(&self) -> Result<Web> {
        Ok(self.live.read().await.as_ref().context("not running")?.admin.clone())
    }

    /// Where gRPC listens.
    pub(crate) async fn grpc(&self) -> Result<String> {
        Ok(self.live.read().await.as_ref().context("not running")?.system.grpc.clone())
    }

    /// Writes customers and orders of USMF.
    pub(crate) async fn clerk(&self) -> Result<Web> {
        Ok(self.live.read().await.as_ref().context("not running")?.clerk.clone())
    }

    /// Writes nothing.
    pub(crate) async fn reader(&self) -> Result<Web> {
        Ok(self.live.read().await.as_ref().context("not running")?.reader.clone())
    }

    pub(crate) async fn both(&self) -> Result<Both> {
        let erp = Snapshot::take(&mut self.erp.connect().await?, &["erp"]).await?;
        let mut platform = self.platform.connect().await?;
        let platform = Snapshot::take(&mut platform, &["organization"]).await?;
        Ok(Both { erp, platform })
    }

    /// Fails when a database holds anything else than then.
    pub(crate) async fn unchanged(&self, before: &Both) -> Result<()> {
        let now = self.both().await?;
        let mut differing = before.erp.differences(&now.erp);
        differing.extend(before.platform.differences(&now.platform));
        ensure!(differing.is_empty(), "something was written: {differing:#?}");
        Ok(())
    }

    /// An item of USMF that may be sold.
    pub(crate) async fn item(&self) -> Result<String> {
        self.text(
            "SELECT i.itemid FROM erp.inventtable i
             JOIN erp.inventtablemodule m ON m.dataareaid = i.dataareaid AND m.itemid = i.itemid
                AND m.moduletype = 2 AND m.price > 0
             WHERE i.dataareaid = 'USMF' AND i.stoppedforsales = 0 ORDER BY i.itemid LIMIT 1",
        )
        .await
    }

    /// One text of the ERP.
    pub(crate) async fn text(&self, sql: &str) -> Result<String> {
        let mut connection = self.erp.connect().await?;
        let sql = sqlx::AssertSqlSafe(sql.to_owned());
        Ok(sqlx::query_scalar(sql).fetch_one(&mut connection).await?)
    }
}

impl Live {
    async fn start(start: &Start) -> Result<Self> {
        let system = System::start(start).await?;
        Ok(Self {
            admin: system.web("admin").await?,
            clerk: system.web("usmf-clerk").await?,
            reader: system.web("demf-reader").await?,
            system,
        })
    }
}

/// What a new customer of USMF needs.
pub(crate) fn customer(account: &str, name: &str) -> Value {
    json!({
        "mserp_dataareaid": "USMF",
        "mserp_customeraccount": account,
        "mserp_organizationname": name,
        "mserp_customergroupid": "10",
    })
}

/// A customer of USMF by its alternate key.
pub(crate) fn customer_key(account: &str) -> String {
    format!("{CUSTOMER_SET}(mserp_dataareaid='USMF',mserp_customeraccount='{account}')")
}

/// `set(id)`.
pub(crate) fn row(set: &str, id: &str) -> String {
    format!("{set}({id})")
}

/// The members that are given have these values.
pub(crate) fn matches(row: &Value, expected: &Value) -> Result<()> {
    for (name, value) in expected.as_object().context("no object")? {
        let same = match (row[name].as_f64(), value.as_f64()) {
            (Some(left), Some(right)) => (left - right).abs() < 1e-9,
            _ => row[name] == *value,
        };
        ensure!(same, "{name} is {}, not {value}: {row}", row[name]);
    }
    Ok(())
}
