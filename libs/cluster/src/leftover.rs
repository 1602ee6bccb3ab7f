//! Stops what a killed process left running on the same data, and clears what it left lying.

use crate::Error;
use crate::home::Home;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// A fast shutdown writes a checkpoint, which may take its time.
const FAST: Duration = Duration::from_secs(30);
const KILLED: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);

/// The name that every process of the cluster carries in its command line: how a process is
/// recognised where its working directory may not be read.
pub(crate) fn cluster_name(data: &Path) -> String {
    let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, data.as_os_str().as_encoded_bytes());
    format!("tombolo-{}", id.simple())
}

/// Afterwards no process uses the data, and nothing keeps a new one from starting.
pub(crate) async fn clear(home: &Home) -> Result<(), Error> {
    let data = home.data();
    let record = Record::read(&data);
    let running = processes(&data);
    if !running.is_empty() {
        tracing::warn!(data = %data.display(), ?running, "stopping a PostgreSQL that lost its owner");
        stop(home, record.as_ref().and_then(|record| record.pid), &running).await?;
    }
    if let Some(record) = record {
        record.clear(&data)?;
    }
    remove_sockets(&home.path().join("socket"));
    Ok(())
}

async fn stop(home: &Home, recorded: Option<Pid>, running: &[Pid]) -> Result<(), Error> {
    let data = home.data();
    match recorded.filter(|pid| running.contains(pid)) {
        Some(postmaster) => signal(&[postmaster], Signal::INT),
        // Without their postmaster the others have nothing to finish.
        None => signal(running, Signal::QUIT),
    }
    if gone(&data, FAST).await {
        return Ok(());
    }
    signal(&processes(&data), Signal::KILL);
    if gone(&data, KILLED).await {
        return Ok(());
    }
    Err(Error::Deadline {
        what: "stopping a PostgreSQL that lost its owner",
        after: FAST + KILLED,
        log: home.log(),
        tail: String::new(),
    })
}

fn signal(processes: &[Pid], signal: Signal) {
    for pid in processes {
        // One that ended by itself meanwhile is as good as stopped.
        if let Err(error) = kill_process(*pid, signal) {
            tracing::debug!(?pid, ?signal, %error, "not signalled");
        }
    }
}

async fn gone(data: &Path, deadline: Duration) -> bool {
    let end = Instant::now() + deadline;
    // They are not our children, so there is no event to await.
    while !processes(data).is_empty() {
        if Instant::now() >= end {
            return false;
        }
        tokio::time::sleep(PAUSE).await;
    }
    true
}

/// The server processes of this data. Where there is no `/proc`, none is found, and PostgreSQL's own
/// lock file keeps a second server out.
fn processes(data: &Path) -> Vec<Pid> {
    let Ok(here) = fs::metadata(data) else { return Vec::new() };
    let name = cluster_name(data);
    let is_ours = |process: &Path| {
        let is_server = fs::read_to_string(process.join("comm"))
            .is_ok_and(|program| program.contains("postgres"));
        is_server
            && match fs::metadata(process.join("cwd")) {
                Ok(cwd) => (cwd.dev(), cwd.ino()) == (here.dev(), here.ino()),
                Err(_) => fs::read(process.join("cmdline"))
                    .is_ok_and(|line| String::from_utf8_lossy(&line).contains(&name)),
            }
    };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok().and_then(Pid::from_raw)?;
            is_ours(&entry.path()).then_some(pid)
        })
        .collect()
}

/// What `postmaster.pid` says: the process on line 1, the directory of its socket on line 5.
struct Record {
    path: PathBuf,
    pid: Option<Pid>,
    sockets: Option<PathBuf>,
}

impl Record {
    fn read(data: &Path) -> Option<Self> {
        let path = data.join("postmaster.pid");
        let text = fs::read_to_string(&path).ok()?;
        let mut lines = text.lines();
        let pid = lines.next().and_then(|line| line.trim().parse().ok()).and_then(Pid::from_raw);
        let sockets = lines.nth(3).filter(|line| !line.is_empty()).map(PathBuf::from);
        Some(Self { path, pid, sockets })
    }

    /// Only called when none of the data's processes lives.
    fn clear(self, data: &Path) -> Result<(), Error> {
        // The number now belongs to a stranger, whom PostgreSQL would take for its predecessor. Of a
        // dead process it takes the file over by itself, with checks of its own.
        let recycled = self
            .pid
            .is_some_and(|pid| Path::new("/proc").join(pid.as_raw_nonzero().to_string()).exists());
        let unreadable = self.pid.is_none();
        if (recycled || unreadable) && processes(data).is_empty() && self.path.exists() {
            fs::remove_file(&self.path).map_err(Error::io("cannot remove", &self.path))?;
        }
        if let Some(directory) = self.sockets
            && directory.parent() == Some(Path::new("/tmp"))
            && directory.file_name().is_some_and(|n| n.to_string_lossy().starts_with("tombolo-"))
        {
            remove_sockets(&directory);
            // Fails if anything else is in it, which then is not ours to remove.
            if let Err(error) = fs::remove_dir(&directory) {
                tracing::debug!(directory = %directory.display(), %error, "not removed");
            }
        }
        Ok(())
    }
}

/// Best effort: a socket that stays is only untidy, because the next one has another port.
fn remove_sockets(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(".s.PGSQL.")
            && let Err(error) = fs::remove_file(entry.path())
        {
            tracing::debug!(path = %entry.path().display(), %error, "not removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_is_read_and_a_recycled_number_is_cleared() {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join("postmaster.pid");
        let own = std::process::id();
        fs::write(&path, format!("{own}\n/d\n1\n5432\n/tmp/elsewhere\n127.0.0.1\n")).unwrap();
        let record = Record::read(data.path()).unwrap();
        assert_eq!(record.pid.map(|pid| pid.as_raw_nonzero().get()), i32::try_from(own).ok());
        assert_eq!(record.sockets.as_deref(), Some(Path::new("/tmp/elsewhere")));
        record.clear(data.path()).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_half_written_record_is_cleared() {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join("postmaster.pid");
        fs::write(&path, "").unwrap();
        Record::read(data.path()).unwrap().clear(data.path()).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_visitor_in_the_data_directory_is_no_server() {
        let data = tempfile::tempdir().unwrap();
        let mut visitor =
            std::process::Command::new("sleep").arg("60").current_dir(data.path()).spawn().unwrap();
        let found = processes(data.path());
        visitor.kill().unwrap();
        visitor.wait().unwrap();
        assert!(found.is_empty(), "{found:?}");
    }
}
