//! The server process: a child of ours, from its start to its end.

use crate::account::Account;
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsStr;
use std::io;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{oneshot, watch};

const FAST: Duration = Duration::from_secs(60);
const IMMEDIATE: Duration = Duration::from_secs(10);

/// How PostgreSQL calls the ways to stop it, each with its signal.
const FAST_SHUTDOWN: Signal = Signal::INT;
const IMMEDIATE_SHUTDOWN: Signal = Signal::QUIT;

/// A running postmaster. It is stopped when this is dropped.
#[derive(Debug)]
pub(crate) struct Postmaster {
    pid: Pid,
    /// How it ended, once it has.
    ended: watch::Receiver<Option<String>>,
    /// Disconnected when it has ended: the same news for those who cannot await.
    reaped: Mutex<Receiver<()>>,
    /// Whether a drop may leave the data as after a crash.
    discarded: bool,
}

/// A command for the server that also ends when this process is killed, where the system can do
/// that (`setpriv` of util-linux). Where it cannot, the next start stops what was left.
pub(crate) fn command(account: Account, program: &OsStr) -> Command {
    let guard = ["--pdeathsig", "INT"];
    let works = account
        .command("setpriv")
        .args(guard)
        .arg("true")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !works {
        return account.command(program);
    }
    let mut command = account.command("setpriv");
    command.args(guard).arg(program);
    command
}

impl Postmaster {
    /// Starts the command. The system ties the child to the thread that started it, so that thread
    /// stays until the child has ended.
    pub(crate) async fn spawn(mut command: Command) -> io::Result<Self> {
        let (started, start) = oneshot::channel();
        let (end, ended) = watch::channel(None);
        let (alive, reaped) = channel();
        std::thread::Builder::new().name("postmaster".to_owned()).spawn(move || {
            match command.spawn() {
                Err(error) => drop(started.send(Err(error))),
                Ok(mut child) => {
                    drop(started.send(Ok(child.id())));
                    end.send_replace(Some(wait(&mut child)));
                }
            }
            drop(alive);
        })?;
        let pid = start.await.map_err(io::Error::other)??;
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("the system gave no process number"))?;
        Ok(Self { pid, ended, reaped: Mutex::new(reaped), discarded: false })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Waits until the process has ended and says how.
    pub(crate) async fn ended(&self) -> String {
        let mut ended = self.ended.clone();
        let status = ended.wait_for(Option::is_some).await.ok().and_then(|status| status.clone());
        status.unwrap_or_else(|| "unknown status".to_owned())
    }

    /// Fast shutdown: open transactions are rolled back and everything is written.
    pub(crate) async fn stop(self) {
        self.signal(FAST_SHUTDOWN);
        if tokio::time::timeout(FAST, self.ended()).await.is_err() {
            tracing::warn!(
                "PostgreSQL did not stop in {FAST:?}; it will recover at its next start"
            );
            self.force();
        }
    }

    /// From now on a drop ends the server at once: nobody needs the data again.
    pub(crate) fn discard_on_drop(&mut self) {
        self.discarded = true;
    }

    fn force(&self) {
        self.signal(IMMEDIATE_SHUTDOWN);
        if !self.reaped_within(IMMEDIATE) {
            self.signal(Signal::KILL);
            self.reaped_within(IMMEDIATE);
        }
    }

    fn signal(&self, signal: Signal) {
        // After its end the number may belong to a stranger.
        if self.ended.borrow().is_some() {
            return;
        }
        if let Err(error) = kill_process(self.pid, signal) {
            tracing::warn!(pid = ?self.pid, ?signal, %error, "cannot signal PostgreSQL");
        }
    }

    fn reaped_within(&self, deadline: Duration) -> bool {
        let reaped = self.reaped.lock().unwrap_or_else(PoisonError::into_inner);
        !matches!(reaped.recv_timeout(deadline), Err(RecvTimeoutError::Timeout))
    }
}

impl Drop for Postmaster {
    fn drop(&mut self) {
        if self.ended.borrow().is_some() {
            return;
        }
        if !self.discarded {
            self.signal(FAST_SHUTDOWN);
            if self.reaped_within(FAST) {
                return;
            }
        }
        self.force();
    }
}

fn wait(child: &mut Child) -> String {
    match child.wait() {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    }
}
