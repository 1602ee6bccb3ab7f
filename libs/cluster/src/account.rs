//! As which user PostgreSQL runs.

use crate::Error;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Variables that a dynamic loader or a shell wrapper around the binaries may need. Nothing else is
/// handed on: `PGPORT`, `PGDATA` and their like would change what the server does.
const KEPT_VARIABLES: [&str; 4] = ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LOCPATH"];

/// The user that owns the cluster's files and runs its processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Account {
    /// The user that runs this process.
    Own,
    /// This process is root, and drops to this user and group.
    Dropped { uid: u32, gid: u32 },
}

impl Account {
    /// The account for this process: itself, or for root `postgres` and else `nobody`.
    pub(crate) fn of_this_process() -> Result<Self, Error> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self::Own);
        }
        let path = Path::new("/etc/passwd");
        let users = fs::read_to_string(path).map_err(Error::io("cannot read", path))?;
        ["postgres", "nobody"]
            .into_iter()
            .find_map(|name| find_user(&users, name))
            .ok_or(Error::NoAccount)
    }

    /// Whether files must be handed to another user.
    pub(crate) fn is_dropped(self) -> bool {
        matches!(self, Self::Dropped { .. })
    }

    /// A command that will run as this account, in a process group of its own so that Ctrl-C in
    /// the terminal reaches only us, and with nothing from our environment that PostgreSQL reads.
    pub(crate) fn command(self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("LC_ALL", "C").current_dir("/").process_group(0);
        for name in KEPT_VARIABLES {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        if let Self::Dropped { uid, gid } = self {
            command.uid(uid).gid(gid);
        }
        command.stdin(Stdio::null());
        command
    }

    /// Makes the account the owner of a file.
    pub(crate) fn give(self, path: &Path) -> Result<(), Error> {
        match self {
            Self::Own => Ok(()),
            Self::Dropped { uid, gid } => {
                chown(path, Some(uid), Some(gid)).map_err(Error::io("cannot give away", path))
            }
        }
    }

    /// Whether the account can enter a directory. Asked by doing it, because mode bits alone do
    /// not tell (parents, access lists, mounts).
    pub(crate) fn reaches(self, directory: &Path) -> bool {
        self.command("true")
            .current_dir(directory)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }
}

fn find_user(users: &str, name: &str) -> Option<Account> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next() != Some(name) {
            return None;
        }
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        (uid != 0).then_some(Account::Dropped { uid, gid })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name_and_never_root() {
        let users = "root:x:0:0::/root:/bin/sh\npostgresql:x:7:8::/:/x\npostgres:x:101:104:P,,,:/v:/b\nnobody:x:0:0::/:/x\n";
        assert_eq!(find_user(users, "postgres"), Some(Account::Dropped { uid: 101, gid: 104 }));
        assert_eq!(find_user(users, "nobody"), None);
        assert_eq!(find_user(users, "absent"), None);
    }
}
