//! What is served under an environment's own host, as it is linked, overwritten and unlinked, without a
//! restart.

use anyhow::{Context as _, Result, ensure};
use proto::lifecycle::v1 as pb;
use reqwest::Method;
use serde_json::{Value, json};
use tests::tenant::{Setup, erp_name, timed};
use tests::{Answer, Web, assert_error};

use super::world::{Case, World};

pub(crate) const CASES: &[Case] = tests::cases![World:
    without_a_link_there_are_native_tables_only,
    virtual_tables_come_and_go_with_the_link,
    rows_are_those_of_the_database_that_was_put_there,
];

const DETAILS: &str = "RetrieveFinanceAndOperationsIntegrationDetails";
const UNLINKED: &str = "Dataverse instance isn't integrated with finance and operations.";
const CUSTOMERS: &str = "mserp_custcustomerv3entities";

/// An environment's Web API, as `admin`.
struct Served {
    name: String,
    host: String,
    web: Web,
}

impl Served {
    /// A new environment that is not linked.
    async fn create(world: &World, stem: &str) -> Result<Self> {
        let label = world.fresh(stem);
        let name = world.admin.platform_created(&label, true).await?;
        let web = world.system.web("admin").await?;
        Ok(Self { name, host: format!("{label}.localhost"), web })
    }

    async fn get(&self, path: &str) -> Result<Answer> {
        self.web.send(Method::GET, path, &[("Host", &self.host)], None).await
    }

    async fn add_account(&self, name: &str) -> Result<()> {
        let headers = [("Host", self.host.as_str())];
        let body = json!({ "name": name });
        self.web.send(Method::POST, "accounts", &headers, Some(body)).await?.expect(204)?;
        Ok(())
    }

    async fn accounts(&self) -> Result<Vec<String>> {
        let rows = self.get("accounts?$select=name&$orderby=name").await?.ok()?;
        let rows = rows["value"].as_array().context("no rows")?.clone();
        Ok(rows.iter().filter_map(|it| it["name"].as_str().map(str::to_owned)).collect())
    }

    async fn assert_accounts(&self, expected: &[&str]) -> Result<()> {
        let accounts = self.accounts().await?;
        ensure!(accounts == expected, "{}: {accounts:?}, not {expected:?}", self.host);
        Ok(())
    }

    async fn organization(&self) -> Result<Value> {
        Ok(self.get("WhoAmI").await?.ok()?["OrganizationId"].clone())
    }

    /// As long as there is no link.
    async fn assert_unlinked(&self) -> Result<()> {
        assert_error(&self.get(DETAILS).await?, 400, "0x80048d0b", UNLINKED)?;
        let there = self.get(CUSTOMERS).await?;
        assert_error(&there, 404, "0x8006088a", CUSTOMERS)?;
        let metadata = self.get("$metadata").await?.expect(200)?.body;
        ensure!(metadata.contains("Name=\"account\""), "no accounts");
        ensure!(!metadata.contains("mserp_cust"), "virtual tables of no ERP");
        Ok(())
    }

    /// The environment's display name is its host's label.
    fn label(&self) -> &str {
        self.host.trim_end_matches(".localhost")
    }
}

async fn without_a_link_there_are_native_tables_only(world: &World) -> Result<()> {
    let alone = Served::create(world, "lonely").await?;
    let platform = world.admin.platform(&alone.name).await?;
    let database = platform.database.context("no database")?;
    ensure!(alone.organization().await? == database.organization_id.as_str());
    alone.assert_unlinked().await?;
    alone.add_account("By itself").await?;
    alone.assert_accounts(&["By itself"]).await?;
    // Nobody's ERP is asked for changes, and nobody's tracking of rows is touched.
    let headers = [("Host", alone.host.as_str()), ("Prefer", "odata.track-changes")];
    let rows = alone.web.send(Method::GET, "accounts?$select=name", &headers, None);
    let delta = rows.await?.ok()?;
    let delta = delta["@odata.deltaLink"].as_str().context("no delta link")?.to_owned();
    alone.add_account("Later").await?;
    let path = delta.split_once("/v9.2/").context("no address")?.1;
    let changes = alone.get(path).await?.ok()?;
    ensure!(changes["value"][0]["name"] == "Later", "{changes}");
    Ok(())
}

async fn virtual_tables_come_and_go_with_the_link(world: &World) -> Result<()> {
    let served = Served::create(world, "joined").await?;
    served.assert_unlinked().await?;
    served.add_account("From before").await?;
    let erp = world.deploy("joins").await?;
    let operation = world.admin.start(&Setup::of(&erp).with(&served.name)).await?;
    world.admin.succeeded(&operation.name).await?;
    let details = served.get(DETAILS).await?.ok()?;
    ensure!(details["Id"] == world.admin.erp(&erp).await?.environment_id.as_str(), "{details}");
    let customers = served.get(&format!("{CUSTOMERS}?$top=1&$count=true")).await?.ok()?;
    ensure!(customers["@odata.count"].as_i64().is_some_and(|it| it > 0), "{customers}");
    served.assert_accounts(&["From before"]).await?;

    let request = pb::DeleteFinanceAndOperationsEnvironmentRequest {
        name: erp_name(&erp),
        confirmation: world.admin.erp(&erp).await?.display_name,
        ..Default::default()
    };
    let begun =
        world.admin.erps().delete_finance_and_operations_environment(timed(request)).await?;
    let begun = begun.into_inner().operation.context("no operation")?;
    world.admin.succeeded(&begun.name).await?;
    served.assert_unlinked().await?;
    served.assert_accounts(&["From before"]).await
}

async fn rows_are_those_of_the_database_that_was_put_there(world: &World) -> Result<()> {
    let source = Served::create(world, "source").await?;
    let target = Served::create(world, "target").await?;
    source.add_account("Of the source").await?;
    target.add_account("Of the target").await?;
    let (of_source, of_target) = (source.organization().await?, target.organization().await?);
    let confirm = ["--confirm", target.label()];

    world.done(&["env", "backup", &target.name, "--label", "Before"]).await?;
    world.done(&[&["env", "copy", &source.name, &target.name], &confirm[..]].concat()).await?;
    target.assert_accounts(&["Of the source"]).await?;
    ensure!(target.organization().await? == of_target, "it is another organization");
    target.add_account("Of the target, again").await?;
    source.assert_accounts(&["Of the source"]).await?;

    let backups = world.done(&["env", "backups", &target.name, "--output", "json"]).await?;
    let backups: Vec<Value> = serde_json::from_str(&backups)?;
    let backup = backups.iter().find(|it| it["label"] == "Before").context("no backup")?;
    let backup = backup["name"].as_str().context("no name")?;
    let restore = ["env", "restore", &target.name, "--backup", backup];
    world.done(&[&restore, &confirm[..]].concat()).await?;
    target.assert_accounts(&["Of the target"]).await?;

    world.done(&[&["env", "reset", &target.name], &confirm[..]].concat()).await?;
    target.assert_accounts(&[]).await?;
    target.add_account("After the reset").await?;
    target.assert_accounts(&["After the reset"]).await?;
    ensure!(source.organization().await? == of_source);
    Ok(())
}
