//! A system over an ERP that was made up.

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use super::native;
use super::schema::Schema;
use crate::random::Random;
use crate::{Erp, Start, System, Web, run_tombolo, temporary_directory};

/// A system that serves the tables of a schema.
#[derive(Debug)]
pub struct World {
    /// Tables and rows.
    pub schema: Schema,
    /// Entity sets in the order of the tables.
    pub sets: Vec<String>,
    /// As the administrator.
    pub web: Web,
    system: System,
    erp: Erp,
    _data: TempDir,
}

impl World {
    /// Makes the ERP, has its model imported, and serves it.
    pub async fn start(random: &mut Random) -> Result<Self> {
        let mut schema = Schema::random(random);
        let erp = Erp::empty("differential").await?;
        erp.execute(&schema.sql()).await?;
        let data = temporary_directory()?;
        let model = data.path().join("model");
        let (url, out) = (erp.url().await?, model.display().to_string());
        let import = ["model", "import", "--database-url", &url, "--schema", "public"];
        let import = run_tombolo(&[&import[..], &["--out", &out]].concat()).await?;
        ensure!(import.status.success(), "{import:?}");
        if schema.rules.exact {
            let file = model.join("model.toml");
            let text = std::fs::read_to_string(&file)?;
            std::fs::write(&file, format!("compare = \"exact\"\n{text}"))?;
        }
        let system =
            System::start(&Start::dev(data.path()).over(&url, &model).arg("--sample-data")).await?;
        let web = system.web("admin").await?;
        let mut sets = Vec::new();
        for table in &schema.tables {
            sets.push(set_of(&web, &table.logical()).await?);
        }
        // Native tables never compare exactly, and which rule holds between the two is not said.
        if !schema.rules.exact {
            let (accounts, set) = native::accounts(&web, sets.len()).await?;
            schema.tables.push(accounts);
            sets.push(set);
        }
        for (table, set) in schema.tables.iter().zip(&sets) {
            let tag = table.columns[table.tag()].logical();
            let (rows, _) = web.pages(&format!("{set}?$select={tag}"), 5_000).await?;
            ensure!(rows.len() == table.rows.len(), "{} rows of {}", rows.len(), table.name);
            let mut ids = vec![String::new(); rows.len()];
            for row in &rows {
                let id = row[table.primary_id()].as_str().context("no id")?;
                ids[table.tag_of(row)?] = id.to_owned();
            }
            schema.ids.push(ids);
        }
        schema.rules.year = year_of(std::time::SystemTime::now())?;
        Ok(Self { schema, sets, web, system, erp, _data: data })
    }

    /// What the system wrote to its log.
    #[must_use]
    pub fn log(&self) -> String {
        self.system.log()
    }

    /// Stops everything.
    pub async fn stop(self) -> Result<()> {
        self.system.stop().await?;
        self.erp.stop().await
    }
}

/// The entity set of a table: the plural that the service document has.
pub(crate) async fn set_of(web: &Web, logical: &str) -> Result<String> {
    let document = web.json("").await?;
    let sets = document["value"].as_array().context("no sets")?;
    let mut names = sets.iter().filter_map(|it| it["name"].as_str());
    let stem = logical.strip_suffix('y').unwrap_or(logical);
    let found = names.find(|it| it.starts_with(stem) && it.len() <= logical.len() + 3);
    Ok(found.with_context(|| format!("no set of {logical}"))?.to_owned())
}

fn year_of(now: std::time::SystemTime) -> Result<i32> {
    let seconds = now.duration_since(std::time::UNIX_EPOCH)?.as_secs();
    let mut days = seconds / 86_400;
    let mut year = 1970;
    loop {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let length = if leap { 366 } else { 365 };
        if days < length {
            return Ok(year);
        }
        days -= length;
        year += 1;
    }
}
