//! The databases of the local system: a private cluster, and the ERP in it or elsewhere.

use std::path::Path;

use anyhow::{Context as _, Result};
use cluster::Cluster;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};

use super::progress::Progress;
use crate::cli::DevArgs;
use crate::home::Home;

pub(super) const PLATFORM: &str = "platform";
const ERP: &str = "erp";
/// The control plane's.
const TENANT: &str = "tenant";
/// What ERPs of new environments are copies of.
const ERP_TEMPLATE: &str = "erp_template";
/// Its customers: it is to be copied in a moment.
const TEMPLATE_CUSTOMERS: u64 = 100;
/// Of the private cluster.
const MAX_CONNECTIONS: &str = "400";
/// Customers of a demo ERP that nobody gave a number for.
const CUSTOMERS: u64 = 10_000;

/// A running cluster, and where the ERP is.
#[derive(Debug)]
pub(super) struct Databases {
    cluster: Cluster,
    erp_url: String,
    /// There is no other ERP.
    is_demo: bool,
    wants_sample_data: bool,
}

impl Databases {
    /// Starts the private cluster; makes the demo ERP unless there is one or another is given.
    pub(super) async fn open(args: &DevArgs, home: &Home) -> Result<Self> {
        let mut options = cluster::Options::new(home.dir().join("postgres"));
        options.search = options.search.with_explicit(args.pg_bin.clone());
        // Several environments may be served at once, each by services of its own.
        options = options.setting("max_connections", MAX_CONNECTIONS);
        let cluster = Cluster::start(&options).await?;
        tokio::try_join!(cluster.ensure_database(PLATFORM), cluster.ensure_database(TENANT))?;
        let erp_url = match &args.erp_url {
            Some(url) => url.clone(),
            None => {
                cluster.ensure_database(ERP).await?;
                let url = cluster.url(ERP);
                make_demo(&url, args.customers).await.context("make the demo ERP")?;
                url
            }
        };
        let is_demo = args.erp_url.is_none();
        Ok(Self { cluster, erp_url, is_demo, wants_sample_data: is_demo || args.sample_data })
    }

    pub(super) fn platform_url(&self) -> String {
        self.cluster.url(PLATFORM)
    }

    pub(super) fn tenant_url(&self) -> String {
        self.cluster.url(TENANT)
    }

    /// Where PostgreSQL's programs are.
    pub(super) fn pg_bin(&self) -> &Path {
        self.cluster.binaries().directory()
    }

    /// What new ERPs are copies of. Another ERP than the demo has none: nobody here can say what an
    /// empty one looks like.
    pub(super) fn erp_template(&self) -> Option<&'static str> {
        self.is_demo.then_some(ERP_TEMPLATE)
    }

    /// Name of the ERP's database on its server.
    pub(super) fn erp_database(&self) -> Result<String> {
        let options: PgConnectOptions = self.erp_url.parse().context("the ERP's URL")?;
        let name = options.get_database().unwrap_or_else(|| options.get_username());
        Ok(name.to_owned())
    }

    /// Makes the template unless it is there. It exists whole or not at all under its name.
    pub(super) async fn make_erp_template(&self) -> Result<()> {
        if !self.is_demo {
            return Ok(());
        }
        let draft = format!("{ERP_TEMPLATE}_draft");
        let mut server = PgConnection::connect(&self.cluster.url("postgres")).await?;
        let exists: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
                .bind(ERP_TEMPLATE)
                .fetch_one(&mut server)
                .await?;
        if !exists {
            self.cluster.ensure_database(&draft).await?;
            let mut connection = PgConnection::connect(&self.cluster.url(&draft)).await?;
            demo_erp::create(&mut connection, TEMPLATE_CUSTOMERS, |_, _, _| {}).await?;
            connection.close().await?;
            sqlx::query("ALTER DATABASE erp_template_draft RENAME TO erp_template")
                .execute(&mut server)
                .await?;
        }
        server.close().await?;
        Ok(())
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
