//! A cluster from its start to its stop.

use crate::Error;
use crate::account::Account;
use crate::binaries::{Binaries, Needed, Search};
use crate::home::Home;
use crate::initialize::{self, SUPERUSER};
use crate::leftover;
use crate::postmaster::{self, Postmaster};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use std::ffi::OsString;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::{Instant, timeout_at};

/// Between two attempts to connect to a server that is not ready.
const PAUSE: Duration = Duration::from_millis(20);

/// For one statement of ours.
const STATEMENT: Duration = Duration::from_secs(60);

/// Another process may take the port between our choice and PostgreSQL's `bind`.
const PORT_ATTEMPTS: usize = 5;

/// How much of the log an error shows.
const TAIL_LINES: usize = 20;

/// What a cluster is to be.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it lives. Created if needed; otherwise empty, or used for this before.
    pub directory: PathBuf,
    /// Where to look for PostgreSQL.
    pub search: Search,
    /// PostgreSQL settings, in addition to and overriding those that every cluster gets.
    pub settings: Vec<(String, String)>,
    /// How long PostgreSQL may take until it answers; recovery after a crash is part of that.
    pub start_deadline: Duration,
}

impl Options {
    /// A cluster in `directory`, with PostgreSQL found as the environment says.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            search: Search::from_env(),
            settings: Vec::new(),
            start_deadline: Duration::from_secs(60),
        }
    }

    /// Adds a setting, as in `postgresql.conf`.
    #[must_use]
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// The server waits for its disk.
    fn is_durable(&self) -> bool {
        self.settings.iter().rfind(|it| it.0 == "fsync").is_none_or(|it| it.1 != "off")
    }
}

/// A running PostgreSQL that belongs to this process.
///
/// Dropping it stops the server too, but blocks the thread meanwhile; [`Cluster::stop`] awaits. The
/// server also stops when this process is killed, or, where the system cannot do that, before the
/// next [`Cluster::start`] in the same directory.
pub struct Cluster {
    // Dropped in this order: the server, then its socket's directory, then the lock.
    postmaster: Postmaster,
    socket: Socket,
    home: Home,
    binaries: Binaries,
    password: String,
    port: u16,
}

#[derive(Debug)]
struct Socket {
    directory: PathBuf,
    _guard: Option<TempDir>,
}

impl std::fmt::Debug for Cluster {
    /// Without the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster")
            .field("home", &self.home.path())
            .field("pid", &self.postmaster.pid())
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

impl Cluster {
    /// Starts the cluster of a directory and waits until it answers; creates it the first time.
    ///
    /// A server that a killed process left behind is stopped first. The directory stays locked for
    /// other processes until the cluster is stopped or dropped.
    pub async fn start(options: &Options) -> Result<Self, Error> {
        let account = Account::of_this_process()?;
        let home = Home::open(&options.directory, account)?;
        let data = home.data();
        let version = home.data_version();
        let needed = version.map(|major| Needed { major, directory: &data });
        let binaries = Binaries::find(&options.search, account, needed)?;
        leftover::clear(&home).await?;
        if version.is_none() {
            tracing::info!(home = %home.path().display(), "creating a PostgreSQL cluster");
            initialize::run(&home, &binaries, options.is_durable()).await?;
        }
        let password = home.password()?;
        let (directory, guard) = home.socket_directory()?;
        let socket = Socket { directory, _guard: guard };
        let launch = Launch { options, home: &home, binaries: &binaries, socket: &socket };
        let (postmaster, port) = launch.run(&password).await?;
        tracing::info!(
            home = %home.path().display(), port, version = binaries.major(), "PostgreSQL is ready"
        );
        Ok(Self { postmaster, socket, home, binaries, password, port })
    }

    /// Where to connect, through the Unix socket: the faster way, for this user only.
    pub fn url(&self, database: &str) -> String {
        let host = encode(&self.socket.directory.to_string_lossy());
        format!(
            "postgres://{SUPERUSER}:{}@localhost:{}/{}?host={host}&sslmode=disable",
            self.password,
            self.port,
            encode(database)
        )
    }

    /// Where to connect, through the loopback port: for programs that know no Unix sockets.
    pub fn tcp_url(&self, database: &str) -> String {
        format!(
            "postgres://{SUPERUSER}:{}@127.0.0.1:{}/{}?sslmode=disable",
            self.password,
            self.port,
            encode(database)
        )
    }

    /// Creates a database unless it exists; answers whether it was created.
    pub async fn ensure_database(&self, name: &str) -> Result<bool, Error> {
        if name.is_empty() || name.len() > 63 || name.contains('\0') {
            return Err(Error::DatabaseName { name: name.to_owned() });
        }
        let work = async {
            let mut connection = self.connect_options("postgres").connect().await?;
            let created = create_database(&mut connection, name).await?;
            connection.close().await?;
            Ok(created)
        };
        match tokio::time::timeout(STATEMENT, work).await {
            Ok(created) => created,
            Err(_) => Err(Error::Deadline {
                what: "creating a database",
                after: STATEMENT,
                log: self.home.log(),
                tail: tail(&self.home.log(), 0),
            }),
        }
    }

    /// How to connect, for those who do not want to parse a URL.
    pub fn connect_options(&self, database: &str) -> PgConnectOptions {
        connect_options(&self.socket.directory, self.port, &self.password).database(database)
    }

    /// Waits until the server has ended, which it does not do by itself, and says how it ended.
    pub async fn ended(&self) -> String {
        self.postmaster.ended().await
    }

    /// Stops the server (fast shutdown), waits for its end, and lets go of the directory.
    pub async fn stop(self) -> Result<(), Error> {
        self.postmaster.stop().await;
        tracing::info!(home = %self.home.path().display(), "PostgreSQL has stopped");
        Ok(())
    }

    /// Makes the drop quick and careless, for clusters whose data is deleted next.
    pub(crate) fn discard_on_drop(&mut self) {
        self.postmaster.discard_on_drop();
    }

    /// The process number of the server.
    pub fn pid(&self) -> u32 {
        self.postmaster.pid()
    }

    /// The directory that holds data, log and password: the one asked for, unless the user that
    /// runs PostgreSQL cannot enter it.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Which PostgreSQL runs; its directory also has `psql` and `pgbench`, if installed.
    pub fn binaries(&self) -> &Binaries {
        &self.binaries
    }
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn connect_options(socket: &Path, port: u16, password: &str) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .socket(socket)
        .port(port)
        .username(SUPERUSER)
        .password(password)
        .database("postgres")
        .ssl_mode(PgSslMode::Disable)
}

async fn create_database(connection: &mut sqlx::PgConnection, name: &str) -> Result<bool, Error> {
    let exists: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
            .bind(name)
            .fetch_one(&mut *connection)
            .await?;
    if exists {
        return Ok(false);
    }
    // A name cannot be bound, so PostgreSQL itself quotes it.
    let statement: String =
        sqlx::query_scalar("SELECT format('CREATE DATABASE %I TEMPLATE template0', $1)")
            .bind(name)
            .fetch_one(&mut *connection)
            .await?;
    match sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await {
        Ok(_) => Ok(true),
        // Somebody else was faster: it existed (42P04), or was being created (23505).
        Err(sqlx::Error::Database(error))
            if matches!(error.code().as_deref(), Some("42P04" | "23505")) =>
        {
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

/// One start of the server.
struct Launch<'a> {
    options: &'a Options,
    home: &'a Home,
    binaries: &'a Binaries,
    socket: &'a Socket,
}

impl Launch<'_> {
    async fn run(&self, password: &str) -> Result<(Postmaster, u16), Error> {
        let mut attempt = 1;
        loop {
            let port = free_port()?;
            match self.attempt(port, password).await {
                Err(Error::Exited { tail, .. })
                    if attempt < PORT_ATTEMPTS && tail.contains("could not bind") =>
                {
                    tracing::debug!(port, "the port was taken meanwhile");
                    attempt += 1;
                }
                other => return other.map(|postmaster| (postmaster, port)),
            }
        }
    }

    async fn attempt(&self, port: u16, password: &str) -> Result<Postmaster, Error> {
        let mut log = self.home.open_log()?;
        let start =
            log.seek(SeekFrom::End(0)).map_err(Error::io("cannot read", &self.home.log()))?;
        let program = self.binaries.program("postgres");
        let mut command = postmaster::command(self.home.account(), program.as_os_str());
        command.arg("-D").arg(self.home.data());
        for (name, value) in self.settings(port) {
            let mut setting = OsString::from(name);
            setting.push("=");
            setting.push(value);
            command.arg("-c").arg(setting);
        }
        let errors = log.try_clone().map_err(Error::io("cannot open", &self.home.log()))?;
        command.stdout(log).stderr(errors);
        let postmaster =
            Postmaster::spawn(command).await.map_err(Error::io("cannot run", &program))?;
        self.ready(&postmaster, port, password, start).await?;
        Ok(postmaster)
    }

    /// On the command line and not in a file, so that there is no file to be found half-written.
    fn settings(&self, port: u16) -> Vec<(&str, OsString)> {
        // PostgreSQL reads a list here; the quotes keep a comma in the path from parting it.
        let mut sockets = OsString::from("\"");
        sockets.push(self.socket.directory.to_string_lossy().replace('"', "\"\""));
        sockets.push("\"");
        let ours = [
            ("listen_addresses", "127.0.0.1".into()),
            ("port", port.to_string().into()),
            ("unix_socket_directories", sockets),
            ("unix_socket_permissions", "0700".into()),
            ("password_encryption", "scram-sha-256".into()),
            ("cluster_name", leftover::cluster_name(&self.home.data()).into()),
            ("logging_collector", "off".into()),
            ("log_destination", "stderr".into()),
            ("lc_messages", "C".into()),
            ("log_timezone", "UTC".into()),
            ("timezone", "UTC".into()),
            ("shared_buffers", "128MB".into()),
            ("wal_level", "logical".into()),
            ("max_prepared_transactions", "64".into()),
        ];
        let theirs =
            self.options.settings.iter().map(|(name, value)| (name.as_str(), value.into()));
        ours.into_iter().chain(theirs).collect()
    }

    async fn ready(
        &self,
        postmaster: &Postmaster,
        port: u16,
        password: &str,
        log_start: u64,
    ) -> Result<(), Error> {
        let log = self.home.log();
        let deadline = Instant::now() + self.options.start_deadline;
        let options = connect_options(&self.socket.directory, port, password);
        let answers = timeout_at(deadline, connect_patiently(&options));
        tokio::select! {
            status = postmaster.ended() => {
                Err(Error::Exited { status, tail: tail(&log, log_start), log })
            }
            answered = answers => match answered {
                Ok(connected) => connected,
                Err(_) => Err(Error::Deadline {
                    what: "starting PostgreSQL",
                    after: self.options.start_deadline,
                    tail: tail(&log, log_start),
                    log,
                }),
            },
        }
    }
}

/// Connects as soon as the server lets us. Another refusal than "not yet" is final.
async fn connect_patiently(options: &PgConnectOptions) -> Result<(), Error> {
    loop {
        match options.connect().await {
            Ok(connection) => return Ok(connection.close().await?),
            Err(sqlx::Error::Io(_)) => {}
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("57P03") => {}
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn free_port() -> Result<u16, Error> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(Error::io("cannot find a free port on", Path::new("127.0.0.1")))
}

/// The last lines that the log got since `start`.
fn tail(log: &Path, start: u64) -> String {
    let read = || {
        let mut file = File::open(log)?;
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        std::io::Result::Ok(bytes)
    };
    match read() {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let lines: Vec<_> = text.lines().collect();
            lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
        }
        Err(error) => format!("(the log cannot be read: {error})"),
    }
}
