//! An ERP of the test's own: the demo ERP in a PostgreSQL that can be looked into and stopped.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex as StdMutex};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use cluster::{Cluster, Options};
use sqlx::{AssertSqlSafe, ConnectOptions as _, PgConnection};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

use crate::system::temporary_directory;
use crate::workspace;

/// A PostgreSQL with one database, reached at an address that stays when the server is restarted.
#[derive(Debug)]
pub struct Erp {
    cluster: Mutex<Option<Cluster>>,
    options: Options,
    database: String,
    place: Place,
    relay: Relay,
    _directory: TempDir,
}

/// Where the server runs, and where others reach it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) address: IpAddr,
    /// Its threads are there.
    pub(crate) runtime: Handle,
}

/// Hands connections on to wherever the server listens now.
#[derive(Debug)]
struct Relay {
    address: SocketAddr,
    target: Arc<StdMutex<Option<String>>>,
    weather: Arc<Weather>,
    server: JoinHandle<()>,
}

/// What the network between does to connections.
#[derive(Debug, Default)]
struct Weather {
    /// Microseconds that everything is late by.
    delay: AtomicU64,
    /// How often all connections were cut.
    cuts: watch::Sender<u64>,
}

// === impl Erp ===

impl Erp {
    /// An empty database. `pg_stat_statements` counts its statements.
    pub async fn empty(database: &str) -> Result<Self> {
        Self::empty_with(database, &[]).await
    }

    /// The same, with other settings of the server.
    pub async fn empty_with(database: &str, settings: &[(&str, &str)]) -> Result<Self> {
        Self::empty_at(Place::here(), database, settings).await
    }

    async fn empty_at(place: Place, database: &str, settings: &[(&str, &str)]) -> Result<Self> {
        let directory = temporary_directory()?;
        let options = Options::new(directory.path().join("erp"))
            .setting("shared_preload_libraries", "pg_stat_statements")
            .setting("pg_stat_statements.track", "top")
            .setting("fsync", "off");
        let options = settings.iter().fold(options, |it, (name, value)| it.setting(*name, *value));
        let erp = Self {
            cluster: Mutex::new(None),
            options,
            database: database.to_owned(),
            relay: Relay::start(&place).await?,
            place,
            _directory: directory,
        };
        erp.start().await?;
        erp.url().await?;
        erp.execute(
            "CREATE SCHEMA monitoring; CREATE EXTENSION pg_stat_statements SCHEMA monitoring",
        )
        .await?;
        Ok(erp)
    }

    /// The demo ERP at this scale.
    pub async fn demo(customers: u64) -> Result<Self> {
        Self::demo_at(Place::here(), customers).await
    }

    /// The same somewhere else.
    pub(crate) async fn demo_at(place: Place, customers: u64) -> Result<Self> {
        let erp = Self::empty_at(place, "erp", &[]).await?;
        let mut connection = erp.connect().await?;
        demo_erp::create(&mut connection, customers, |_, _, _| ()).await?;
        Ok(erp)
    }

    /// For `--erp-url`.
    pub async fn url(&self) -> Result<String> {
        self.database_url(&self.database).await
    }

    /// Of another database of the same server, which is made if need be.
    pub async fn database_url(&self, database: &str) -> Result<String> {
        let cluster = self.cluster.lock().await;
        let cluster = cluster.as_ref().context("not running")?;
        cluster.ensure_database(database).await?;
        let direct = cluster.tcp_url(database);
        let (before, rest) = direct.split_once("@127.0.0.1:").context("an unexpected URL")?;
        let (_, after) = rest.split_once('/').context("an unexpected URL")?;
        Ok(format!("{before}@{}/{after}", self.relay.address))
    }

    /// The server's own address, by its socket, until it is restarted.
    pub async fn direct_url(&self) -> Result<String> {
        let cluster = self.cluster.lock().await;
        Ok(cluster.as_ref().context("not running")?.url(&self.database))
    }

    /// The model of the demo ERP.
    #[must_use]
    pub fn model(&self) -> PathBuf {
        workspace().join("models/demo")
    }

    /// A connection past the relay.
    pub async fn connect(&self) -> Result<PgConnection> {
        let cluster = self.cluster.lock().await;
        let cluster = cluster.as_ref().context("the ERP is not running")?;
        Ok(cluster.connect_options(&self.database).connect().await?)
    }

    /// Runs SQL of the test's own.
    pub async fn execute(&self, sql: &str) -> Result<()> {
        let mut connection = self.connect().await?;
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await?;
        Ok(())
    }

    /// The same in another database of the server.
    pub async fn execute_in(&self, database: &str, sql: &str) -> Result<()> {
        let cluster = self.cluster.lock().await;
        let cluster = cluster.as_ref().context("the ERP is not running")?;
        let mut connection = cluster.connect_options(database).connect().await?;
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await?;
        Ok(())
    }

    /// One number.
    pub async fn count(&self, sql: &str) -> Result<i64> {
        let mut connection = self.connect().await?;
        let sql = AssertSqlSafe(sql.to_owned());
        Ok(sqlx::query_scalar(sql).fetch_one(&mut connection).await?)
    }

    /// Statements that clients sent since the last [`Self::forget_statements`], with their calls.
    pub async fn statements(&self) -> Result<Vec<(String, i64)>> {
        let mut connection = self.connect().await?;
        let sql = "SELECT query, calls FROM monitoring.pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
            WHERE d.datname = current_database() AND query NOT LIKE '%pg_stat_statements%' ORDER BY query";
        Ok(sqlx::query_as(sql).fetch_all(&mut connection).await?)
    }

    /// Blocks that clients' statements touched since the last [`Self::forget_statements`].
    pub async fn blocks(&self) -> Result<i64> {
        let mut connection = self.connect().await?;
        let sql = "SELECT coalesce(sum(shared_blks_hit + shared_blks_read), 0)::bigint
            FROM monitoring.pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
            WHERE d.datname = current_database() AND query NOT LIKE '%pg_stat_statements%'";
        Ok(sqlx::query_scalar(sql).fetch_one(&mut connection).await?)
    }

    /// Counts statements from now on.
    pub async fn forget_statements(&self) -> Result<()> {
        self.execute("SELECT monitoring.pg_stat_statements_reset()").await
    }

    /// Starts the server again, at another port of its own.
    pub async fn start(&self) -> Result<()> {
        let mut cluster = self.cluster.lock().await;
        ensure!(cluster.is_none(), "already running");
        let options = self.options.clone();
        let started = self.place.run(async move { Ok(Cluster::start(&options).await?) }).await?;
        let url = started.tcp_url("postgres");
        let address = url.split_once('@').and_then(|(_, rest)| rest.split_once('/'));
        let (address, _) = address.context("an unexpected URL")?;
        self.relay.set_target(Some(address.to_owned()))?;
        *cluster = Some(started);
        Ok(())
    }

    /// Cuts every connection through the relay, without a word.
    pub fn cut(&self) {
        self.relay.weather.cuts.send_modify(|it| *it += 1);
    }

    /// From now on, everything through the relay is late by so much.
    pub fn delay(&self, delay: Duration) {
        let micros = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        self.relay.weather.delay.store(micros, Ordering::Relaxed);
    }

    /// Stops the server.
    pub async fn stop(&self) -> Result<()> {
        self.relay.set_target(None)?;
        match self.cluster.lock().await.take() {
            Some(cluster) => Ok(cluster.stop().await?),
            None => Ok(()),
        }
    }
}

// === impl Place ===

impl Place {
    /// Beside the test.
    pub(crate) fn here() -> Self {
        Self { address: IpAddr::V4(Ipv4Addr::LOCALHOST), runtime: Handle::current() }
    }

    /// Does this there.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.runtime.spawn(work).await?
    }
}

// === impl Relay ===

impl Relay {
    async fn start(place: &Place) -> Result<Self> {
        let address = place.address;
        let bound = place.run(async move { Ok(TcpListener::bind((address, 0)).await?) });
        let listener = bound.await?;
        let address = listener.local_addr()?;
        let target: Arc<StdMutex<Option<String>>> = Arc::default();
        let shared = Arc::clone(&target);
        let weather = Arc::<Weather>::default();
        let outside = Arc::clone(&weather);
        let server = place.runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let target = shared.lock().ok().and_then(|it| it.clone());
                // Without a target the connection is dropped, as by a server that has gone.
                if let Some(target) = target {
                    tokio::spawn(relay(client, target, Arc::clone(&outside)));
                }
            }
        });
        Ok(Self { address, target, weather, server })
    }

    fn set_target(&self, target: Option<String>) -> Result<()> {
        *self.target.lock().map_err(|_| anyhow::anyhow!("poisoned"))? = target;
        Ok(())
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn relay(client: TcpStream, target: String, weather: Arc<Weather>) {
    let mut cuts = weather.cuts.subscribe();
    let Ok(server) = TcpStream::connect(target).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        _ = pump(from_client, to_server, &weather) => {}
        _ = pump(from_server, to_client, &weather) => {}
        _ = cuts.changed() => {}
    }
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    weather: &Weather,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = from.read(&mut buffer).await?;
        let delay = weather.delay.load(Ordering::Relaxed);
        if delay > 0 {
            tokio::time::sleep(Duration::from_micros(delay)).await;
        }
        match read {
            0 => return to.shutdown().await,
            read => to.write_all(&buffer[..read]).await?,
        }
    }
}
