//! Kills, orphans, half-written files and other people's directories.

use anyhow::{Context as _, Result, ensure};
use cluster::{Cluster, Error, Options, Scratch};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::{Connection as _, PgConnection};
use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(30);

/// A temporary directory that the user who runs PostgreSQL can enter.
pub(crate) fn open_root() -> Result<TempDir> {
    let root = tempfile::tempdir()?;
    fs::set_permissions(root.path(), Permissions::from_mode(0o711))?;
    Ok(root)
}

fn signal(pid: u32, signal: Signal) -> Result<()> {
    let pid = Pid::from_raw(i32::try_from(pid)?).context("pid")?;
    Ok(kill_process(pid, signal)?)
}

fn runs(pid: u32) -> bool {
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // A zombie has ended; its parent only has not asked yet.
    state.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}

/// The kernel says so: a file descriptor of the process becomes readable.
#[cfg(target_os = "linux")]
async fn until_gone(pid: u32) -> Result<()> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::process::{PidfdFlags, pidfd_open};
    let number = Pid::from_raw(i32::try_from(pid)?).context("pid")?;
    let process = match pidfd_open(number, PidfdFlags::empty()) {
        Ok(process) => process,
        Err(rustix::io::Errno::SRCH) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let wait = move || {
        let patience = Timespec::try_from(DEADLINE)?;
        anyhow::Ok(poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&patience))?)
    };
    ensure!(tokio::task::spawn_blocking(wait).await?? == 1, "{pid} still runs");
    Ok(())
}

/// Elsewhere nothing ties the server to its owner.
#[cfg(not(target_os = "linux"))]
async fn until_gone(_: u32) -> Result<()> {
    Ok(())
}

async fn write_row(cluster: &Cluster) -> Result<()> {
    let mut connection = PgConnection::connect(&cluster.url("postgres")).await?;
    sqlx::raw_sql("CREATE TABLE t (n int); INSERT INTO t VALUES (42)")
        .execute(&mut connection)
        .await?;
    Ok(())
}

async fn row_is_there(cluster: &Cluster) -> Result<()> {
    let mut connection = PgConnection::connect(&cluster.url("postgres")).await?;
    let n: i32 = sqlx::query_scalar("SELECT n FROM t").fetch_one(&mut connection).await?;
    ensure!(n == 42);
    Ok(())
}

#[tokio::test]
async fn a_killed_postmaster_is_noticed_and_the_next_start_recovers() -> Result<()> {
    let root = open_root()?;
    let options = Options::new(root.path().join("c"));
    let first = Cluster::start(&options).await?;
    write_row(&first).await?;
    signal(first.pid(), Signal::KILL)?;
    let how = tokio::time::timeout(DEADLINE, first.ended()).await?;
    assert!(how.contains("signal: 9"), "{how}");
    drop(first);

    let second = Cluster::start(&options).await?;
    row_is_there(&second).await?;
    second.stop().await?;
    Ok(())
}

#[tokio::test]
async fn an_orphan_is_stopped_before_a_new_server_starts() -> Result<()> {
    let root = open_root()?;
    let options = Options::new(root.path().join("c"));
    let first = Cluster::start(&options).await?;
    write_row(&first).await?;
    let (data, program) =
        (first.home().join("data"), first.binaries().directory().join("postgres"));
    let socket = first.home().join("socket");
    first.stop().await?;

    // The same server, but nobody's: as if its owner had been killed.
    let owner = fs::metadata(&data)?;
    let mut command = Command::new(program);
    command.arg("-D").arg(&data).args(["-c", "listen_addresses=", "-c"]);
    command.arg(format!("unix_socket_directories={}", socket.display()));
    command.current_dir("/").stderr(Stdio::piped());
    // Setting even its own uid is refused to anybody but root.
    if owner.uid() != fs::metadata(root.path())?.uid() {
        command.uid(owner.uid()).gid(owner.gid());
    }
    let mut orphan = command.spawn()?;
    let log = BufReader::new(orphan.stderr.take().context("stderr")?);
    let ready = log.lines().map_while(Result::ok).any(|line| line.contains("ready to accept"));
    ensure!(ready, "the orphan did not start");

    let second = Cluster::start(&options).await?;
    let status = orphan.try_wait()?.context("the orphan still runs")?;
    assert!(status.success(), "it was stopped by a fast shutdown: {status}");
    row_is_there(&second).await?;
    second.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_second_process_is_refused_and_told_why() -> Result<()> {
    let root = open_root()?;
    let options = Options::new(root.path().join("c"));
    let first = Cluster::start(&options).await?;
    let error = Cluster::start(&options).await.unwrap_err();
    assert!(matches!(error, Error::InUse { .. }), "{error}");
    assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
    first.stop().await?;
    Cluster::start(&options).await?.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_killed_initialisation_heals() -> Result<()> {
    let root = open_root()?;
    let directory = root.path().join("c");
    let options = Options::new(&directory);
    Cluster::start(&options).await?.stop().await?;
    // What a kill between the steps leaves: a password, a half-built copy, no data.
    fs::remove_dir_all(directory.join("data"))?;
    fs::create_dir_all(directory.join("initializing-x/data/base"))?;
    Cluster::start(&options).await?.stop().await?;
    assert!(!directory.join("initializing-x").exists());
    Ok(())
}

#[tokio::test]
async fn incomplete_data_is_set_aside_and_not_deleted() -> Result<()> {
    let root = open_root()?;
    let directory = root.path().join("c");
    let options = Options::new(&directory);
    Cluster::start(&options).await?.stop().await?;
    fs::remove_file(directory.join("data/global/pg_control"))?;
    Cluster::start(&options).await?.stop().await?;
    let kept = fs::read_dir(&directory)?
        .flatten()
        .find(|entry| entry.file_name().to_string_lossy().starts_with("data.incomplete-"))
        .context("nothing was kept")?;
    assert!(kept.path().join("base").is_dir());
    Ok(())
}

#[tokio::test]
async fn a_recycled_process_number_does_not_keep_the_server_out() -> Result<()> {
    let root = open_root()?;
    let directory = root.path().join("c");
    let options = Options::new(&directory);
    Cluster::start(&options).await?.stop().await?;
    // PostgreSQL would take a living process of its own user for its predecessor.
    let owner = fs::metadata(directory.join("data"))?;
    let mut stranger = Command::new("sleep");
    if owner.uid() != fs::metadata(root.path())?.uid() {
        stranger.uid(owner.uid()).gid(owner.gid());
    }
    let mut stranger = stranger.arg("60").spawn()?;
    let record = directory.join("data/postmaster.pid");
    fs::write(&record, format!("{}\n{}\n0\n1\n\n\n", stranger.id(), directory.display()))?;
    let started = Cluster::start(&options).await;
    let unharmed = stranger.try_wait()?.is_none();
    stranger.kill()?;
    stranger.wait()?;
    assert!(unharmed);
    started?.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_foreign_directory_is_refused() -> Result<()> {
    let root = open_root()?;
    fs::write(root.path().join("PG_VERSION"), "15\n")?;
    let error = Cluster::start(&Options::new(root.path())).await.unwrap_err();
    assert!(matches!(error, Error::Foreign { .. }), "{error}");
    assert_eq!(fs::read_dir(root.path())?.count(), 1);
    Ok(())
}

#[tokio::test]
async fn a_server_that_cannot_start_shows_its_log() -> Result<()> {
    let root = open_root()?;
    let options = Options::new(root.path().join("c")).setting("shared_buffers", "nonsense");
    let text = Cluster::start(&options).await.unwrap_err().to_string();
    assert!(text.contains("shared_buffers") && text.contains("nonsense"), "{text}");
    Ok(())
}

#[tokio::test]
async fn a_long_directory_still_gets_a_socket() -> Result<()> {
    let root = open_root()?;
    let cluster = Cluster::start(&Options::new(root.path().join("x".repeat(150)))).await?;
    PgConnection::connect(&cluster.url("postgres")).await?.close().await?;
    cluster.stop().await?;
    Ok(())
}

/// For root only: other users run PostgreSQL as themselves.
#[tokio::test]
async fn a_directory_that_postgres_cannot_enter_is_served_from_elsewhere() -> Result<()> {
    let root = tempfile::tempdir()?;
    fs::set_permissions(root.path(), Permissions::from_mode(0o700))?;
    let directory = root.path().join("c");
    let first = Cluster::start(&Options::new(&directory)).await?;
    let is_root = fs::metadata(root.path())?.uid() == 0;
    assert_eq!(first.home().starts_with(root.path()), !is_root);
    write_row(&first).await?;
    let home = first.home().to_owned();
    let _cleanup = is_root.then(|| Removed(home.clone()));
    first.stop().await?;

    let second = Cluster::start(&Options::new(&directory)).await?;
    assert_eq!(second.home(), home);
    row_is_there(&second).await?;
    second.stop().await?;
    Ok(())
}

struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("{}: {error}", self.0.display());
        }
    }
}

/// Runs in a process of its own, which the next test kills: says where the server is, then waits.
#[tokio::test]
#[ignore = "the body of another test's child process"]
async fn owner_to_be_killed() -> Result<()> {
    let directory = std::env::var_os("CLUSTER_TEST_DIRECTORY").context("a directory")?;
    let cluster = Cluster::start(&Options::new(directory)).await?;
    write_row(&cluster).await?;
    eprintln!("server {}", cluster.pid());
    cluster.ended().await;
    Ok(())
}

async fn start_and_kill_owner(directory: &Path) -> Result<u32> {
    let mut owner = Command::new(std::env::current_exe()?)
        .args(["--exact", "misfortune::owner_to_be_killed", "--ignored", "--nocapture"])
        .env("CLUSTER_TEST_DIRECTORY", directory)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let output = BufReader::new(owner.stderr.take().context("stderr")?);
    let server = output
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("server ")?.parse().ok());
    owner.kill()?;
    owner.wait()?;
    server.context("the child did not start a server")
}

#[tokio::test]
async fn the_server_ends_with_a_killed_owner_and_the_data_is_whole() -> Result<()> {
    let root = open_root()?;
    let directory = root.path().join("c");
    let server = start_and_kill_owner(&directory).await?;
    // With util-linux it ends by itself; otherwise the next start ends it.
    let tied = Command::new("setpriv")
        .args(["--pdeathsig", "INT", "true"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if tied {
        until_gone(server).await?;
    }
    let next = Cluster::start(&Options::new(&directory)).await?;
    assert!(!runs(server));
    row_is_there(&next).await?;
    next.stop().await?;
    Ok(())
}

#[tokio::test]
async fn scratch_clusters_do_not_meet() -> Result<()> {
    let (one, two) = tokio::try_join!(Scratch::start(), Scratch::start())?;
    write_row(one.cluster()).await?;
    assert!(row_is_there(two.cluster()).await.is_err());
    Ok(())
}
