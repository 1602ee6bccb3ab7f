//! Measures what a call costs over the same SQL sent directly.

#![allow(clippy::print_stdout)]

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser;
use load_tests::cases::Case;
use load_tests::measure::{Measurement, Sides};
use load_tests::report::{self, Line};
use sqlx::postgres::PgConnectOptions;
use tempfile::TempDir;
use tests::{Erp, Start, System, Web};

/// Measures what a call costs over the same SQL sent directly. Without --url it starts a demo ERP
/// and a `tombolo dev` of its own (TOMBOLO_BIN says which).
#[derive(Debug, Parser)]
struct Arguments {
    /// Where a Tombolo listens that serves the demo ERP, as http://127.0.0.1:8080.
    #[arg(long, requires_all = ["token", "erp_url"])]
    url: Option<String>,
    /// A bearer token for it.
    #[arg(long, env = "TOMBOLO_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// The ERP's PostgreSQL.
    #[arg(long, env = "TOMBOLO_ERP_URL", hide_env_values = true)]
    erp_url: Option<String>,
    /// How many customers an ERP of our own has; 5000 at least.
    #[arg(long, default_value_t = 20_000)]
    customers: u64,
    /// How long each case runs.
    #[arg(long, default_value_t = 10)]
    seconds_per_case: u64,
    /// Where the figures go as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// What we started ourselves.
struct Own {
    erp: Erp,
    system: System,
    _data: TempDir,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let duration = Duration::from_secs(arguments.seconds_per_case);
    let lines = match (&arguments.url, &arguments.erp_url) {
        (Some(url), Some(erp_url)) => {
            let web = Web::new(url, arguments.token.clone());
            run(&web, erp_url.parse()?, duration).await?
        }
        _ => {
            let own = Own::start(arguments.customers).await?;
            let web = own.system.web("admin").await?;
            let lines = run(&web, own.erp.direct_url().await?.parse()?, duration).await;
            own.system.stop().await?;
            own.erp.stop().await?;
            lines?
        }
    };
    println!("{}", report::table(&lines));
    if let Some(path) = arguments.json {
        std::fs::write(&path, serde_json::to_vec_pretty(&lines)?)
            .with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

impl Own {
    async fn start(customers: u64) -> Result<Self> {
        let erp = Erp::demo(customers).await?;
        let data = tests::temporary_directory()?;
        let start = Start::dev(data.path()).over(&erp.direct_url().await?, &erp.model());
        let system = System::start(&start).await?;
        Ok(Self { erp, system, _data: data })
    }
}

async fn run(web: &Web, erp: PgConnectOptions, duration: Duration) -> Result<Vec<Line>> {
    let sides = Sides::new(web, erp)?;
    let mut lines = Vec::new();
    for case in Case::all(web).await? {
        let measured: Measurement = sides.measure(&case, duration).await?;
        lines.push(Line::new(&case, &measured));
    }
    Ok(lines)
}
