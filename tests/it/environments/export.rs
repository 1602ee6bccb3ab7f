//! The add-in `data-export`, from its installation to rows in Parquet files.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::Field;
use serde_json::{Value, json};
use tests::tenant::erp_name;

use super::world::{Case, World};

pub(crate) const CASES: &[Case] = tests::cases![World: rows_that_are_written_appear_in_files];

const APPLICATION: &str = "exporter";
const APPLICATION_ID: &str = "4f5d3c1e-0a2b-4c6d-8e7f-9a1b2c3d4e5f";
const ACCOUNTS: &str = "accounts";
/// Its changes are tracked, as its model says.
const GROUPS: &str = "mserp_custcustomergroupentities";
const SECRET: &str = "exporter.secret";
const FOLDER: &str = "end-to-end";
/// A run each second, on a machine that is busy.
const WITHIN: Duration = Duration::from_secs(45);
const LOOK_EVERY: Duration = Duration::from_millis(100);

async fn rows_that_are_written_appear_in_files(world: &World) -> Result<()> {
    let roles = ["--role", "System administrator", "--company", "*"];
    let user = ["user", "set", APPLICATION, "--application-id", APPLICATION_ID];
    world.done(&[&user[..], &roles[..]].concat()).await?;
    let secrets = world.data.path().join("secrets");
    std::fs::create_dir_all(&secrets)?;
    std::fs::write(secrets.join(SECRET), secret(world).await?)?;
    let web = world.system.web("admin").await?;
    web.create(ACCOUNTS, json!({ "name": "Exported first" })).await?;

    let parameters = json!({ "tables": [ACCOUNTS, GROUPS], "folder": FOLDER,
        "schedule": "* * * * * *", "client_id": APPLICATION_ID, "client_secret": SECRET });
    let parameters = parameters.to_string();
    let install = ["addin", "install", "data-export", "--environment", "dev"];
    let refused = world.tombolo(&[&install[..], &["--agree"]].concat()).await?;
    ensure!(refused.status.code() == Some(2), "without parameters: {refused:?}");
    world.done(&[&install[..], &["--agree", "--parameters", &parameters]].concat()).await?;
    let again =
        world.tombolo(&[&install[..], &["--agree", "--parameters", &parameters]].concat()).await?;
    ensure!(again.status.code() == Some(4), "installed twice: {again:?}");

    let accounts = Export(world.data.path().join("exports").join(FOLDER).join(ACCOUNTS));
    let groups = Export(world.data.path().join("exports").join(FOLDER).join(GROUPS));
    accounts.eventually(|it| it.values().any(|name| name == "Exported first")).await?;
    let id = web.create(ACCOUNTS, json!({ "name": "Exported later" })).await?;
    accounts.eventually(|it| it.values().any(|name| name == "Exported later")).await?;
    let path = format!("{ACCOUNTS}({id})");
    web.patch(&path, &[], json!({ "name": "Exported last" })).await?.expect(204)?;
    accounts.eventually(|it| it.values().any(|name| name == "Exported last")).await?;
    web.delete(&path).await?.expect(204)?;
    let gone = |it: &BTreeMap<String, String>| !it.values().any(|name| name == "Exported last");
    accounts.eventually(gone).await?;
    ensure!(accounts.manifest()?["kind"] == "incremental", "{}", accounts.manifest()?);

    let body = json!({ "mserp_dataareaid": "USMF", "mserp_customergroupid": "EXP",
        "mserp_description": "Exported group" });
    web.post(GROUPS, body).await?.expect(204)?;
    groups.eventually(|it| it.values().any(|name| name == "Exported group")).await?;
    ensure!(groups.manifest()?["kind"] == "incremental", "{}", groups.manifest()?);
    // What is exported is what there is.
    let list = web.json(&format!("{GROUPS}?$count=true&$top=1")).await?;
    let count = list["@odata.count"].as_u64().context("no count")?;
    ensure!(groups.rows()?.len() as u64 == count, "{count} groups, {:?}", groups.rows()?);

    // It is told in the platform's table, and by the command line.
    let installed = world.done(&["addin", "installed", "dev", "--output", "json"]).await?;
    let installed: Value = serde_json::from_str(&installed)?;
    ensure!(installed.to_string().contains("addIns/data-export"), "{installed}");
    world.done(&["addin", "uninstall", "data-export", "--environment", "dev"]).await?;
    ensure!(accounts.manifest().is_ok(), "what it stored stays");
    let link = world.admin.link(&erp_name("dev")).await?;
    ensure!(!link.name.is_empty(), "{link:?}");
    Ok(())
}

/// The application's secret, once the issuer has written it down.
async fn secret(world: &World) -> Result<String> {
    let started = Instant::now();
    loop {
        let text = std::fs::read_to_string(world.data.path().join("issuer/issuer.json"))?;
        let description: Value = serde_json::from_str(&text)?;
        let users = description["users"].as_array().context("no users")?;
        let found = users.iter().find(|it| it["name"] == APPLICATION);
        if let Some(secret) = found.and_then(|it| it["client_secret"].as_str()) {
            return Ok(secret.to_owned());
        }
        ensure!(started.elapsed() < WITHIN, "the issuer is not told: {description}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// A table's folder, read as its manifest says and no other way.
struct Export(PathBuf);

impl Export {
    fn manifest(&self) -> Result<Value> {
        Ok(serde_json::from_slice(&std::fs::read(self.0.join("_manifest.json"))?)?)
    }

    /// Names of the rows that are there once everything is applied, by id.
    fn rows(&self) -> Result<BTreeMap<String, String>> {
        let manifest = self.manifest()?;
        let id = manifest["primary_id"].as_str().context("no id")?.to_owned();
        let mut rows = BTreeMap::new();
        for file in manifest["files"].as_array().context("no files")? {
            let name = file["name"].as_str().context("no name")?;
            let reader = SerializedFileReader::new(File::open(self.0.join(name))?)?;
            for row in reader.get_row_iter(None)? {
                let fields: BTreeMap<String, Field> = row?.into_columns().into_iter().collect();
                let key = format!("{:?}", fields.get(&id).context("no id")?);
                let name = ["name", "mserp_description"].iter().find_map(|it| fields.get(*it));
                match fields.get("_change") {
                    Some(Field::Str(change)) if change == "delete" => drop(rows.remove(&key)),
                    _ => drop(rows.insert(key, text(name))),
                }
            }
        }
        Ok(rows)
    }

    async fn eventually(
        &self,
        satisfies: impl Fn(&BTreeMap<String, String>) -> bool,
    ) -> Result<()> {
        let started = Instant::now();
        loop {
            // A file that the manifest no longer names may be gone between the two.
            let rows = self.rows();
            if rows.as_ref().is_ok_and(&satisfies) {
                return Ok(());
            }
            ensure!(started.elapsed() < WITHIN, "{}: still {rows:?}", self.0.display());
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

fn text(field: Option<&Field>) -> String {
    match field {
        Some(Field::Str(text)) => text.clone(),
        other => format!("{other:?}"),
    }
}
