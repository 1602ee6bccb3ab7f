//! Reads the database of a URL and writes its model to a folder: `import URL FOLDER [SCHEMA]...`.
//! For scripts; people use `tombolo model import`.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use importer::Options;
use sqlx::{Connection as _, PgConnection};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().context("a database URL is needed")?;
    let out = PathBuf::from(arguments.next().context("a folder is needed")?);
    let name = out.file_name().context("the folder has no name")?.to_string_lossy().into_owned();
    let options = Options { name, schemas: arguments.collect() };
    let mut connection = PgConnection::connect(&url).await?;
    let import = importer::import(&mut connection, &options).await?;
    model::save(&import.model, &out)?;
    for it in &import.skipped {
        writeln!(std::io::stdout(), "{}: {}", it.what, it.reason)?;
    }
    Ok(())
}
