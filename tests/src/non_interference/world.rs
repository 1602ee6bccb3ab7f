//! Two systems, one over each database, that are alike in everything else: the second's data directory
//! is a copy of the first's, and the two databases have seen the same transactions.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use sqlx::AssertSqlSafe;
use tempfile::TempDir;
use tokio::process::Command;

use super::model;
use super::twins::Twins;
use super::viewer::{VIEWERS, Viewer};
use crate::differential::Schema;
use crate::differential::world::set_of;
use crate::random::Random;
use crate::{Erp, Start, System, Web, issuer, run_tombolo, temporary_directory};

/// Both systems.
#[derive(Debug)]
pub struct World {
    /// The databases.
    pub twins: Twins,
    /// The systems over them.
    pub sides: [Side; 2],
    /// Entity sets in the order of the tables.
    pub sets: Vec<String>,
    /// Directory object ids of the viewers' users, by name.
    pub object_ids: BTreeMap<&'static str, String>,
    _data: [TempDir; 3],
}

/// One of the two systems.
#[derive(Debug)]
pub struct Side {
    /// What its database holds, with the rows' GUIDs.
    pub schema: Schema,
    /// As the administrator.
    pub admin: Web,
    /// By user.
    pub webs: BTreeMap<&'static str, Web>,
    /// Its database.
    pub erp: Erp,
    /// It.
    pub system: System,
}

impl World {
    /// Makes both.
    pub async fn start(random: &mut Random) -> Result<Self> {
        let twins = Twins::random(random)?;
        let erps = [still().await?, still().await?];
        for (erp, schema) in erps.iter().zip(&twins.sides) {
            // All rows in one transaction, so that all have the same version on both sides.
            erp.execute(&schema.sql()).await?;
        }
        let data = [temporary_directory()?, temporary_directory()?, temporary_directory()?];
        let model = data[2].path().join("model");
        let (url, out) = (erps[0].url().await?, model.display().to_string());
        let import = ["model", "import", "--database-url", &url, "--schema", "public"];
        let import = run_tombolo(&[&import[..], &["--out", &out]].concat()).await?;
        ensure!(import.status.success(), "{import:?}");
        model::protect(&model, &twins)?;
        let start = async |data: &TempDir, erp: &Erp| -> Result<System> {
            let start = Start::dev(data.path()).over(&erp.url().await?, &model);
            System::start(&start.arg("--sample-data")).await
        };
        // What a start does to the ERP's database is done to both before they are compared, by one
        // system, whose keys, ids and accounts both then have.
        for erp in &erps {
            start(&data[0], erp).await?.stop().await?;
        }
        let (from, to) = (format!("{}/.", data[0].path().display()), data[1].path());
        let copied = Command::new("cp").args(["-a", &from]).arg(to).status().await?;
        ensure!(copied.success(), "cp -a {from}: {copied}");
        let [one, other] = erps;
        let [first, second] = twins.sides.clone();
        let one_system = start(&data[0], &one).await?;
        let other_system = start(&data[1], &other).await?;
        let mut sides = [
            Side::new(first, one, one_system).await?,
            Side::new(second, other, other_system).await?,
        ];
        let mut sets = Vec::new();
        for table in &twins.sides[0].tables {
            sets.push(set_of(&sides[0].admin, &table.logical()).await?);
        }
        for side in &mut sides {
            side.read_ids(&sets).await?;
        }
        let mut object_ids = BTreeMap::new();
        for (name, web) in &sides[0].webs {
            let id = issuer::claims(web.token())?["oid"].as_str().context("no oid")?.to_owned();
            object_ids.insert(*name, id);
        }
        let world = Self { twins, sides, sets, object_ids, _data: data };
        world.check_versions().await?;
        Ok(world)
    }

    /// Headers that make a request the viewer's.
    #[must_use]
    pub fn headers(&self, viewer: &Viewer) -> Vec<(String, String)> {
        let id = viewer.acts_as.and_then(|it| self.object_ids.get(it.name));
        id.map(|it| ("CallerObjectId".to_owned(), it.clone())).into_iter().collect()
    }

    /// What both wrote to their logs.
    #[must_use]
    pub fn log(&self) -> String {
        self.sides.iter().map(|it| it.system.log()).collect::<Vec<_>>().join("\n")
    }

    /// Stops everything.
    pub async fn stop(self) -> Result<()> {
        for side in self.sides {
            side.system.stop().await?;
            side.erp.stop().await?;
        }
        Ok(())
    }

    /// Rows have the same versions on both sides, or answers would differ for no reason of interest.
    async fn check_versions(&self) -> Result<()> {
        for table in &self.twins.sides[0].tables {
            let sql = format!("SELECT DISTINCT xmin::text FROM {}", table.name);
            let mut versions = Vec::new();
            for side in &self.sides {
                let mut connection = side.erp.connect().await?;
                let rows = sqlx::query_scalar::<_, String>(AssertSqlSafe(sql.clone()));
                versions.push(rows.fetch_all(&mut connection).await?);
            }
            ensure!(versions[0] == versions[1], "versions of {} differ: {versions:?}", table.name);
        }
        Ok(())
    }
}

impl Side {
    async fn new(schema: Schema, erp: Erp, system: System) -> Result<Self> {
        let mut webs = BTreeMap::new();
        for viewer in VIEWERS.iter().filter(|it| it.acts_as.is_none()) {
            webs.insert(viewer.sender.name, system.web(viewer.sender.name).await?);
        }
        Ok(Self { schema, admin: system.web("admin").await?, webs, erp, system })
    }

    async fn read_ids(&mut self, sets: &[String]) -> Result<()> {
        for (table, set) in self.schema.tables.iter().zip(sets) {
            let tag = table.columns[table.tag()].logical();
            let (rows, _) = self.admin.pages(&format!("{set}?$select={tag}"), 5_000).await?;
            ensure!(rows.len() == table.rows.len(), "{} rows of {}", rows.len(), table.name);
            let mut ids = vec![String::new(); rows.len()];
            for row in &rows {
                let id = row[table.primary_id()].as_str().context("no id")?;
                ids[table.tag_of(row)?] = id.to_owned();
            }
            self.schema.ids.push(ids);
        }
        Ok(())
    }
}

/// A server on which nothing happens by itself.
async fn still() -> Result<Erp> {
    Erp::empty_with("twin", &[("autovacuum", "off")]).await
}
