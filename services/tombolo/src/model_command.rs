//! `tombolo model`: models from databases, and checks of models.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use sqlx::{Connection as _, PgConnection};

use crate::cli::{ImportArgs, ModelCommand};

pub(crate) async fn run(command: ModelCommand) -> Result<()> {
    match command {
        ModelCommand::Import(args) => import(args).await,
        ModelCommand::Check { dir } => check(&dir),
    }
}

async fn import(args: ImportArgs) -> Result<()> {
    if args.out.join("model.toml").exists() && !args.force {
        bail!("{} holds a model already; add --force to replace it", args.out.display());
    }
    let mut connection = PgConnection::connect(&args.database_url)
        .await
        .context("the database of --database-url does not answer")?;
    let name = args.out.file_name().map_or("erp".into(), |it| it.to_string_lossy().into_owned());
    let options = importer::Options { name, schemas: args.schema };
    let import = importer::import(&mut connection, &options).await?;
    if args.force && args.out.join("entities").exists() {
        std::fs::remove_dir_all(args.out.join("entities"))?;
    }
    model::save(&import.model, &args.out)
        .with_context(|| format!("write the model to {}", args.out.display()))?;
    let mut out = std::io::stdout().lock();
    let entities = import.model.entities.len();
    writeln!(out, "{entities} data entities written to {}", args.out.display())?;
    if !import.skipped.is_empty() {
        writeln!(out, "\nLeft out:")?;
    }
    for it in &import.skipped {
        writeln!(out, "  {}: {}", it.what, it.reason)?;
    }
    let out_dir = args.out.display();
    writeln!(out, "\nServe it: tombolo dev --erp-url URL --model {out_dir}")?;
    Ok(())
}

fn check(dir: &Path) -> Result<()> {
    let model = model::load(dir)?;
    model::Security::load(dir, &model)?;
    let count = model.entities.len();
    writeln!(std::io::stdout(), "{}: {count} data entities, nothing wrong", model.name)?;
    Ok(())
}
