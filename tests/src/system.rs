//! A running `tombolo`.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::process;
use crate::web::Web;
use crate::workspace;

const READY_WITHIN: Duration = Duration::from_secs(120);
const STOPPED_WITHIN: Duration = Duration::from_secs(30);
const COMMAND_WITHIN: Duration = Duration::from_secs(60);
/// How often the ready file is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How to start `tombolo dev`, or what else says that it is ready in the same way.
#[derive(Clone, Debug)]
pub struct Start {
    data: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

/// A running `tombolo dev` with its addresses.
#[derive(Debug)]
pub struct System {
    process: Process,
    data: PathBuf,
    /// `http://127.0.0.1:PORT` of the Web API.
    pub http: String,
    /// The same of gRPC.
    pub grpc: String,
    /// How long it took until it was ready.
    pub ready_after: Duration,
}

/// A running `tombolo` of any kind.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: Arc<watch::Sender<String>>,
    readers: Vec<JoinHandle<()>>,
}

/// What a command that ended had to say.
#[derive(Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// On standard output.
    pub stdout: String,
    /// On standard error.
    pub stderr: String,
}

// === impl Start ===

impl Start {
    /// `tombolo dev` on free ports, its data in this directory.
    #[must_use]
    pub fn dev(data: &Path) -> Self {
        let words = ["dev", "--listen", "127.0.0.1:0", "--grpc-listen", "127.0.0.1:0"];
        let arguments = words.map(str::to_owned).to_vec();
        Self { data: data.to_owned(), arguments, environment: Vec::new() }
    }

    /// Another argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Over this ERP and model.
    #[must_use]
    pub fn over(self, erp_url: &str, model: &Path) -> Self {
        self.arg("--erp-url").arg(erp_url).arg("--model").arg(model.display().to_string())
    }

    /// Another environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts it without waiting until it is ready.
    pub fn begin(&self) -> Result<Process> {
        Process::spawn(&mut self.command(&self.data.join("never-read.json"))?)
    }

    fn command(&self, ready_file: &Path) -> Result<Command> {
        let mut command = tombolo()?;
        command.args(&self.arguments).arg("--data").arg(&self.data);
        command.arg("--ready-file").arg(ready_file);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }
}

// === impl System ===

impl System {
    /// Starts it and waits until it says that it is ready.
    pub async fn start(start: &Start) -> Result<Self> {
        let folder = temporary_directory()?;
        let ready_file = folder.path().join("ready.json");
        let mut command = start.command(&ready_file)?;
        let started = Instant::now();
        let mut process = Process::spawn(&mut command)?;
        let addresses = match ready(&mut process.child, &ready_file).await {
            Ok(addresses) => addresses,
            Err(error) => {
                // What is left of the log comes with the end.
                let _ = process.child.kill().await;
                return Err(error.context(process.whole_log().await));
            }
        };
        let address = |name: &str| -> Result<String> {
            let address = addresses[name].as_str();
            Ok(address.with_context(|| format!("no `{name}` in {addresses}"))?.to_owned())
        };
        Ok(Self {
            http: address("http")?,
            grpc: address("grpc")?,
            data: start.data.clone(),
            ready_after: started.elapsed(),
            process,
        })
    }

    /// Everything it wrote to standard output and error.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// A bearer token of the development issuer.
    pub async fn token(&self, user: &str) -> Result<String> {
        let data = self.data.display().to_string();
        let output = run_tombolo(&["token", "--data", &data, "--user", user]).await?;
        ensure!(output.status.success(), "no token for {user}: {output:?}");
        Ok(output.stdout.trim().to_owned())
    }

    /// The Web API as this user.
    pub async fn web(&self, user: &str) -> Result<Web> {
        Ok(Web::new(&self.http, Some(self.token(user).await?)))
    }

    /// Ctrl-C. It must end well, in time, and leave nothing running.
    pub async fn stop(self) -> Result<()> {
        self.process.stop().await?;
        let left = process::using(&self.data);
        ensure!(left.is_empty(), "left running: {left:#?}");
        Ok(())
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        self.process.ended().await
    }

    /// The process behind it.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// The power fails: nobody gets to say goodbye.
    pub async fn kill(self) -> Result<()> {
        self.process.kill().await
    }
}

// === impl Process ===

impl Process {
    /// `tombolo serve SERVICE --config FILE`.
    pub fn serve(service: &str, config: &Path) -> Result<Self> {
        Self::spawn(tombolo()?.arg("serve").arg(service).arg("--config").arg(config))
    }

    fn spawn(command: &mut Command) -> Result<Self> {
        let mut child = command.spawn().with_context(|| format!("start {command:?}"))?;
        let log = Arc::new(watch::Sender::default());
        let readers = [
            child.stdout.take().map(|it| collect(it, Arc::clone(&log))),
            child.stderr.take().map(|it| collect(it, Arc::clone(&log))),
        ];
        Ok(Self { child, log, readers: readers.into_iter().flatten().collect() })
    }

    /// Everything it wrote to standard output and error.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.borrow().clone()
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        self.child.wait().await.context("wait")
    }

    /// Waits until it has written this.
    pub async fn said(&self, text: &str, within: Duration) -> Result<()> {
        let mut lines = self.log.subscribe();
        let said = timeout(within, lines.wait_for(|it| it.contains(text))).await;
        said.with_context(|| format!("{text:?} is not in {}", self.log()))??;
        Ok(())
    }

    /// Once both streams have ended and been read.
    async fn whole_log(&mut self) -> String {
        let ended = futures::future::join_all(&mut self.readers);
        // Somebody else may hold them open for ever; then it is what there is.
        let _ = timeout(STOPPED_WITHIN, ended).await;
        self.log()
    }

    /// Ctrl-C. It must end well and in time.
    pub async fn stop(mut self) -> Result<()> {
        let id = self.child.id().with_context(|| format!("ended by itself: {}", self.log()))?;
        let killed = Command::new("kill").arg("-INT").arg(id.to_string()).status().await?;
        ensure!(killed.success(), "kill -INT {id}: {killed}");
        let status = timeout(STOPPED_WITHIN, self.child.wait()).await;
        let status = status.with_context(|| format!("still running: {}", self.log()))??;
        ensure!(status.success(), "ended with {status}: {}", self.whole_log().await);
        Ok(())
    }

    /// SIGKILL.
    pub async fn kill(mut self) -> Result<()> {
        self.child.kill().await.context("kill")
    }
}

/// Runs the binary to its end.
pub async fn run_tombolo(arguments: &[&str]) -> Result<Output> {
    finish(tombolo()?, arguments).await
}

/// [`run_tombolo`] with a bearer token, which says who calls.
pub async fn run_tombolo_as(token: &str, arguments: &[&str]) -> Result<Output> {
    let mut command = tombolo()?;
    command.env("TOMBOLO_TOKEN", token);
    finish(command, arguments).await
}

async fn finish(mut command: Command, arguments: &[&str]) -> Result<Output> {
    let output = timeout(COMMAND_WITHIN, command.args(arguments).output()).await;
    let output = output.with_context(|| format!("tombolo {arguments:?} does not end"))??;
    Ok(Output {
        status: output.status,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// A directory that PostgreSQL's own user can reach.
pub fn temporary_directory() -> Result<TempDir> {
    use std::os::unix::fs::PermissionsExt as _;
    let readable = std::fs::Permissions::from_mode(0o755);
    let directory =
        tempfile::Builder::new().prefix("tombolo-test-").permissions(readable).tempdir()?;
    Ok(directory)
}

fn tombolo() -> Result<Command> {
    let built = workspace().join("target/debug/tombolo");
    let binary = std::env::var_os("TOMBOLO_BIN").map_or(built, PathBuf::from);
    ensure!(binary.exists(), "{} is not there: cargo build -p tombolo", binary.display());
    let mut command = Command::new(binary);
    for name in [
        "TOMBOLO_DATA",
        "TOMBOLO_ERP_URL",
        "TOMBOLO_TOKEN",
        "TOMBOLO_AUTHORITY",
        "TOMBOLO_AUDIT_FILE",
        "DATABASE_URL",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
    ] {
        command.env_remove(name);
    }
    command.current_dir(workspace()).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    Ok(command)
}

/// Waits for the ready file, for the child's death, or for too long.
async fn ready(child: &mut Child, file: &Path) -> Result<serde_json::Value> {
    let give_up = Instant::now() + READY_WITHIN;
    let mut look = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            status = child.wait() => bail!("ended with {} before it was ready", status?),
            _ = look.tick() => {}
        }
        // Until it is whole, it is not JSON.
        if let Some(addresses) =
            std::fs::read(file).ok().and_then(|it| serde_json::from_slice(&it).ok())
        {
            return Ok(addresses);
        }
        ensure!(Instant::now() < give_up, "not ready within {READY_WITHIN:?}");
    }
}

fn collect(
    stream: impl AsyncRead + Unpin + Send + 'static,
    log: Arc<watch::Sender<String>>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut lines = BufReader::new(stream).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            log.send_modify(|log| {
                log.push_str(&line);
                log.push('\n');
            });
        }
    })
}
