//! A `tombolo dev` over a demo ERP of its own, with the map of customers and accounts running.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use proto::dual_write::v1 as pb;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::dual_write::maps::{Maps, timed};
use tests::snapshot::Snapshot;
use tests::{Erp, Output, Platform, Start, System, Web, run_tombolo};
use tonic::Status;

use crate::write_world::{CUSTOMER_SET, customer, customer_key};

pub(super) const MAP: &str = "maps/customers-v3-accounts";
/// What is not waited for by a save is there by then, on a machine that does other things too.
pub(super) const SOON: Duration = Duration::from_secs(20);
/// Between two looks at something that tells nobody.
const LOOK: Duration = Duration::from_millis(20);
const CUSTOMERS: u64 = 60;

pub(super) type Case = tests::runner::Case<World>;

pub(super) struct World {
    pub(super) erp: Erp,
    pub(super) platform: Platform,
    pub(super) system: System,
    pub(super) web: Web,
    pub(super) maps: Maps,
    /// GUID of USMF's customer group 10.
    group: String,
    data: TempDir,
}

/// What both databases hold.
pub(super) struct Both([Snapshot; 2]);

impl World {
    pub(super) async fn start() -> Result<Self> {
        let erp = Erp::demo(CUSTOMERS).await?;
        let data = tests::temporary_directory()?;
        let start = Start::dev(data.path()).over(&erp.url().await?, &erp.model());
        let system = System::start(&start).await?;
        let (web, maps) = (system.web("admin").await?, Maps::of(&system).await?);
        maps.start(MAP, false).await.with_context(|| system.log())?;
        let groups = "msdyn_customergroups?$select=msdyn_customergroupid\
            &$filter=msdyn_groupid eq '10' and msdyn_company/cdm_companycode eq 'USMF'";
        let found = web.json(groups).await?;
        let group = found["value"][0]["msdyn_customergroupid"].as_str();
        let group = group.with_context(|| format!("no group: {found}"))?.to_owned();
        Ok(Self { erp, platform: Platform::of(data.path()), system, web, maps, group, data })
    }

    pub(super) async fn stop(self) -> Result<()> {
        let log = self.system.log();
        self.system.stop().await?;
        self.erp.stop().await?;
        self.data.close()?;
        ensure!(!log.contains("panicked"), "{log}");
        Ok(())
    }

    /// Makes a customer of USMF as a virtual row. Returns the GUID of the account that came of it.
    pub(super) async fn customer(&self, number: &str) -> Result<String> {
        self.web.create(CUSTOMER_SET, customer(number, "New")).await?;
        self.account_id(number).await?.with_context(|| format!("no account {number}"))
    }

    /// What a new account of USMF needs.
    pub(super) fn new_account(&self, number: &str) -> Value {
        let company = "cdm_companies(cdm_companycode='USMF')";
        json!({
            "name": "New",
            "accountnumber": number,
            "customertypecode": 3,
            "msdyn_company@odata.bind": company,
            "msdyn_customergroupid@odata.bind": format!("msdyn_customergroups({})", self.group),
        })
    }

    pub(super) async fn account_id(&self, number: &str) -> Result<Option<String>> {
        let path = format!("accounts?$select=accountid&$filter=accountnumber eq '{number}'");
        let found = self.web.json(&path).await?;
        Ok(found["value"][0]["accountid"].as_str().map(str::to_owned))
    }

    /// A change of an account that must be taken.
    pub(super) async fn save(&self, account: &str, body: Value) -> Result<()> {
        let path = format!("accounts({account})");
        self.web.patch(&path, &[("If-Match", "*")], body).await?.expect(204).map(drop)
    }

    /// A change of a customer, as a virtual row, that must be taken.
    pub(super) async fn save_customer(&self, number: &str, body: Value) -> Result<()> {
        let path = customer_key(number);
        self.web.patch(&path, &[("If-Match", "*")], body).await?.expect(204).map(drop)
    }

    /// One column of an account, past everything; nothing for null and for no row.
    pub(super) async fn on_platform(&self, number: &str, column: &str) -> Result<String> {
        let sql =
            format!("SELECT ({column})::text FROM organization.account WHERE accountnumber = $1");
        let mut connection = self.platform.connect().await?;
        let found: Option<Option<String>> = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .bind(number)
            .fetch_optional(&mut connection)
            .await?;
        Ok(found.flatten().unwrap_or_default())
    }

    /// One column of a customer of USMF (`c`), its party (`p`) or address (`a`).
    pub(super) async fn in_erp(&self, number: &str, column: &str) -> Result<String> {
        let sql = format!(
            "SELECT ({column})::text FROM erp.custtable c JOIN erp.dirpartytable p ON p.recid = c.party
             LEFT JOIN erp.logisticspostaladdress a ON a.recid = p.primarypostaladdress
             WHERE c.dataareaid = 'USMF' AND c.accountnum = $1"
        );
        let mut connection = self.erp.connect().await?;
        let found: Option<Option<String>> = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .bind(number)
            .fetch_optional(&mut connection)
            .await?;
        Ok(found.flatten().unwrap_or_default())
    }

    /// As the ERP's own screens do.
    pub(super) async fn screen(&self, number: &str, change: &str) -> Result<()> {
        let sql = format!(
            "UPDATE erp.custtable SET {change} WHERE dataareaid = 'USMF' AND accountnum = '{number}'"
        );
        self.erp.execute(&sql).await
    }

    pub(super) async fn both(&self) -> Result<Both> {
        let erp = Snapshot::take(&mut self.erp.connect().await?, &["erp"]).await?;
        let mut platform = self.platform.connect().await?;
        Ok(Both([erp, Snapshot::take(&mut platform, &["organization"]).await?]))
    }

    /// Fails when a database holds anything else than then.
    pub(super) async fn unchanged(&self, before: &Both) -> Result<()> {
        let now = self.both().await?;
        let pairs = before.0.iter().zip(&now.0);
        let differing: Vec<_> = pairs.flat_map(|(old, new)| old.differences(new)).collect();
        ensure!(differing.is_empty(), "something was written: {differing:#?}");
        Ok(())
    }

    pub(super) async fn pause(&self) -> Result<()> {
        self.maps.pause(MAP).await?;
        self.maps.reaches(MAP, pb::MapState::Paused, SOON).await
    }

    pub(super) async fn resume(&self, mode: pb::ResumeMode) -> Result<()> {
        let request = pb::ResumeMapsRequest {
            names: vec![MAP.to_owned()],
            mode: mode.into(),
            acknowledged: true,
            ..Default::default()
        };
        self.maps.service().resume_maps(timed(request)).await?;
        self.maps.reaches(MAP, pb::MapState::Running, SOON).await
    }

    /// Waits until gateways have heard that saves are shared. Until then they come out of the log.
    pub(super) async fn saves_are_shared(&self) -> Result<()> {
        let attempts = std::cell::Cell::new(0);
        let shared = until(SOON, async || {
            let number = format!("DW-SHARED-{}", attempts.replace(attempts.get() + 1));
            self.web.create(CUSTOMER_SET, customer(&number, "New")).await?;
            Ok((self.account_id(&number).await?.is_some(), "the log's reader is first".to_owned()))
        });
        shared.await.map(drop)
    }

    pub(super) async fn set_mode(&self, sync_mode: pb::SyncMode) -> Result<()> {
        let map = pb::TableMap { sync_mode: sync_mode.into(), ..Default::default() };
        self.update(map, "sync_mode").await
    }

    /// How many seconds a save waits for the other side; without a number, as many as without a word.
    pub(super) async fn set_patience(&self, seconds: Option<i64>) -> Result<()> {
        let peer_timeout = seconds.map(|seconds| prost_types::Duration { seconds, nanos: 0 });
        self.update(pb::TableMap { peer_timeout, ..Default::default() }, "peer_timeout").await
    }

    async fn update(&self, map: pb::TableMap, path: &str) -> Result<()> {
        let map = pb::TableMap { name: MAP.to_owned(), ..map };
        let paths = vec![path.to_owned()];
        let request = pb::UpdateMapRequest {
            map: Some(map),
            update_mask: Some(prost_types::FieldMask { paths }),
            ..Default::default()
        };
        self.maps.service().update_map(timed(request)).await?;
        Ok(())
    }

    /// What waits.
    pub(super) async fn queue(&self) -> Result<pb::ListQueuedRecordsResponse, Status> {
        let request = pb::ListQueuedRecordsRequest { parent: MAP.to_owned(), ..Default::default() };
        Ok(self.maps.errors().list_queued_records(timed(request)).await?.into_inner())
    }

    /// What failed, of the row with this number.
    pub(super) async fn failed(&self, number: &str) -> Result<Vec<pb::FailedChange>> {
        let request = pb::ListSyncErrorsRequest {
            parent: MAP.to_owned(),
            page_size: 1_000,
            ..Default::default()
        };
        let errors = self.maps.errors().list_sync_errors(timed(request)).await?.into_inner().errors;
        let account = self.account_id(number).await?.context("no account")?;
        let account: uuid::Uuid = account.parse()?;
        let names = |it: &pb::FailedChange| {
            let record = it.change.as_ref().and_then(|it| it.record.as_ref());
            record.is_some_and(|it| {
                it.record_id.as_ref() == account.as_bytes().as_slice()
                    || it.key.iter().any(|it| text(it.value.as_ref()) == number)
            })
        };
        Ok(errors.into_iter().filter(names).collect())
    }

    /// Messages of the map's log, newest first, of this kind.
    pub(super) async fn activities(&self, kind: &str) -> Result<Vec<pb::Activity>> {
        let request = pb::ListActivitiesRequest {
            parent: MAP.to_owned(),
            page_size: 1_000,
            ..Default::default()
        };
        let found = self.maps.errors().list_activities(timed(request)).await?.into_inner();
        Ok(found.activities.into_iter().filter(|it| it.kind == kind).collect())
    }

    /// `tombolo dual-write …`, as the administrator.
    pub(super) async fn cli(&self, arguments: &[&str]) -> Result<Output> {
        let data = self.data.path().display().to_string();
        let server = ["--server", &self.system.grpc, "--data", &data];
        run_tombolo(&[&["dual-write"], arguments, &server].concat()).await
    }

    /// Waits until both sides have this value. Fails with what they have instead.
    pub(super) async fn both_have(
        &self,
        number: &str,
        (on_platform, in_erp): (&str, &str),
        value: &str,
    ) -> Result<()> {
        until(SOON, async || {
            let found =
                (self.on_platform(number, on_platform).await?, self.in_erp(number, in_erp).await?);
            let right = found.0 == value && found.1 == value;
            Ok((right, format!("{number}: platform and ERP have {found:?}, not {value:?}")))
        })
        .await
        .map(drop)
    }
}

/// Looks again and again. Returns how long it took, or fails with what was found last.
pub(super) async fn until(
    within: Duration,
    look: impl AsyncFn() -> Result<(bool, String)>,
) -> Result<Duration> {
    let started = Instant::now();
    loop {
        let (done, found) = look().await?;
        if done {
            return Ok(started.elapsed());
        }
        ensure!(started.elapsed() < within, "after {within:?} still: {found}");
        tokio::time::sleep(LOOK).await;
    }
}

/// Text of a value that is text.
pub(super) fn text(value: Option<&proto::query::v1::Value>) -> &str {
    match value.and_then(|it| it.kind.as_ref()) {
        Some(proto::query::v1::value::Kind::StringValue(it)) => it,
        _ => "",
    }
}
