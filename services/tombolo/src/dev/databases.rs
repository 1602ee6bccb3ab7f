//! The databases of the local system: a private cluster, and the ERP in it or elsewhere.

use anyhow::{Context as _, Result};
use cluster::Cluster;
use sqlx::{Connection as _, PgConnection};

use super::progress::Progress;
use crate::cli::DevArgs;
use crate::home::Home;

const PLATFORM: &str = "platform";
const ERP: &str = "erp";
/// Customers of a demo ERP that nobody gave a number for.
const CUSTOMERS: u64 = 10_000;

/// A running cluster, and where the ERP is.
#[derive(Debug)]
pub(super) struct Databases {
    cluster: Cluster,
    erp_url: String,
    wants_sample_data: bool,
}

impl Databases {
    /// Starts the private cluster; makes the demo ERP unless there is one or another is given.
    pub(super) async fn open(args: &DevArgs, home: &Home) -> Result<Self> {
        let mut options = cluster::Options::new(home.dir().join("postgres"));
        options.search = options.search.with_explicit(args.pg_bin.clone());
        let cluster = Cluster::start(&options).await?;
        cluster.ensure_database(PLATFORM).await?;
        let erp_url = match &args.erp_url {
            Some(url) => url.clone(),
            None => {
                cluster.ensure_database(ERP).await?;
                let url = cluster.url(ERP);
                make_demo(&url, args.customers).await.context("make the demo ERP")?;
                url
            }
        };
        Ok(Self { cluster, erp_url, wants_sample_data: args.erp_url.is_none() || args.sample_data })
    }

    pub(super) fn platform_url(&self) -> String {
        self.cluster.url(PLATFORM)
    }

    pub(super) fn erp_url(&self) -> &str {
        &self.erp_url
    }

    /// Whether the platform shall have rows to try things with, as it has beside the demo ERP.
    pub(super) fn wants_sample_data(&self) -> bool {
        self.wants_sample_data
    }

    /// Returns when the private cluster has ended, which it does not do by itself; says how.
    pub(super) async fn ended(&self) -> String {
        self.cluster.ended().await
    }

    pub(super) async fn close(self) -> Result<()> {
        Ok(self.cluster.stop().await?)
    }
}

async fn make_demo(url: &str, customers: Option<u64>) -> Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    let installed = demo_erp::installed(&mut connection).await?;
    let wanted = customers.or(installed).unwrap_or(CUSTOMERS);
    if installed != Some(wanted) {
        let mut progress = Progress::new("Making the demo ERP");
        demo_erp::create(&mut connection, wanted, |step, done, total| {
            progress.show(step, done, total);
        })
        .await?;
        progress.finish();
    } else {
        demo_erp::update(&mut connection).await?;
    }
    connection.close().await?;
    Ok(())
}
