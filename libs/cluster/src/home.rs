//! The cluster's directory: what is in it, who may use it, and which process holds it.
//!
//! ```text
//! <directory>/cluster.lock   marks the directory as ours; locked while a process runs the cluster
//! <directory>/location       only if the rest had to go elsewhere: where
//! <home>/password            the superuser's password, mode 0600
//! <home>/data/               what PostgreSQL calls PGDATA
//! <home>/socket/             mode 0700
//! <home>/postgres.log
//! ```
//! The home is the directory itself, unless root started us and the account that PostgreSQL runs as
//! cannot enter it (a checkout under `/root`).

use crate::Error;
use crate::account::Account;
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use uuid::Uuid;

/// Where root keeps clusters and programs that must not be below a closed directory.
pub(crate) const PRIVATE_ROOT: &str = "/var/lib/tombolo";

const LOCK: &str = "cluster.lock";
const LOCATION: &str = "location";

/// A socket address holds 107 bytes; the file name takes up to 21 (`/.s.PGSQL.65535.lock`).
const LONGEST_SOCKET_DIRECTORY: usize = 86;

/// The log is kept across starts, but not for ever.
const LOG_LIMIT: u64 = 16 * 1024 * 1024;

/// A directory that this process holds. Letting go of it unlocks it.
#[derive(Debug)]
pub(crate) struct Home {
    path: PathBuf,
    account: Account,
    _locks: Vec<File>,
}

impl Home {
    /// Takes the directory for this process; creates it if it is not there.
    pub(crate) fn open(directory: &Path, account: Account) -> Result<Self, Error> {
        create_directory(directory, account)?;
        let directory = directory.canonicalize().map_err(Error::io("cannot find", directory))?;
        let mut locks = vec![lock(&directory)?];
        let path = locate(&directory, account)?;
        if path != directory {
            create_directory(&path, account)?;
            // A copied directory points at the same home: the second of them must not get in.
            locks.push(lock(&path)?);
        }
        Ok(Self { path, account, _locks: locks })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn account(&self) -> Account {
        self.account
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path.join("postgres.log")
    }

    pub(crate) fn password_file(&self) -> PathBuf {
        self.path.join("password")
    }

    /// The major version of the data, if there is a whole cluster. It was renamed into place when
    /// it was finished, so these two files are enough to tell.
    pub(crate) fn data_version(&self) -> Option<u32> {
        let data = self.data();
        if !data.join("global/pg_control").is_file() {
            return None;
        }
        fs::read_to_string(data.join("PG_VERSION")).ok()?.trim().parse().ok()
    }

    pub(crate) fn password(&self) -> Result<String, Error> {
        let path = self.password_file();
        match fs::read_to_string(&path) {
            Ok(text) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
            Ok(_) => Err(Error::NoPassword { path }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(Error::NoPassword { path })
            }
            Err(error) => Err(Error::io("cannot read", &path)(error)),
        }
    }

    /// The log, opened for appending; an overgrown one is set aside first.
    pub(crate) fn open_log(&self) -> Result<File, Error> {
        let path = self.log();
        if fs::metadata(&path).is_ok_and(|metadata| metadata.len() > LOG_LIMIT) {
            let old = self.path.join("postgres.log.old");
            fs::rename(&path, &old).map_err(Error::io("cannot rename", &path))?;
        }
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .map_err(Error::io("cannot open", &path))
    }

    /// The directory for the socket, and its guard if it is a temporary one.
    pub(crate) fn socket_directory(&self) -> Result<(PathBuf, Option<TempDir>), Error> {
        let path = self.path.join("socket");
        if fits_a_socket(&path) {
            if !path.is_dir() {
                let mut builder = fs::DirBuilder::new();
                builder.mode(0o700).create(&path).map_err(Error::io("cannot create", &path))?;
            }
            self.account.give(&path)?;
            return Ok((path, None));
        }
        let place = Path::new("/tmp");
        let short = tempfile::Builder::new()
            .prefix("tombolo-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(place)
            .map_err(Error::io("cannot create a directory in", place))?;
        self.account.give(short.path())?;
        Ok((short.path().to_owned(), Some(short)))
    }
}

fn fits_a_socket(path: &Path) -> bool {
    path.to_str().is_some_and(|text| text.len() <= LONGEST_SOCKET_DIRECTORY)
}

fn create_directory(path: &Path, account: Account) -> Result<(), Error> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(Error::io("cannot create", parent))?;
    }
    // The account must pass through; what it must not read has a mode of its own.
    let mode = if account.is_dropped() { 0o711 } else { 0o700 };
    match fs::create_dir(path) {
        Ok(()) => fs::set_permissions(path, Permissions::from_mode(mode))
            .map_err(Error::io("cannot set the mode of", path)),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(Error::io("cannot create", path)(error)),
    }
}

/// Locks a directory, which must be ours or empty.
fn lock(directory: &Path) -> Result<File, Error> {
    let path = directory.join(LOCK);
    if !path.exists() {
        let mut entries = fs::read_dir(directory).map_err(Error::io("cannot list", directory))?;
        // The lock of a process that was faster is not foreign.
        if entries.next().is_some() && !path.exists() {
            return Err(Error::Foreign { directory: directory.to_owned() });
        }
    }
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(Error::io("cannot open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let holder = file.read_to_string(&mut holder).ok().and(holder.trim().parse().ok());
            return Err(Error::InUse { directory: directory.to_owned(), holder });
        }
        Err(TryLockError::Error(error)) => return Err(Error::io("cannot lock", &path)(error)),
    }
    write_holder(&mut file).map_err(Error::io("cannot write", &path))?;
    Ok(file)
}

fn write_holder(file: &mut File) -> std::io::Result<()> {
    file.rewind()?;
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())
}

/// The home of a directory: remembered, or decided now.
fn locate(directory: &Path, account: Account) -> Result<PathBuf, Error> {
    let memory = directory.join(LOCATION);
    match fs::read(&memory) {
        Ok(bytes) => return Ok(PathBuf::from(std::ffi::OsString::from_vec(bytes))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(Error::io("cannot read", &memory)(error)),
    }
    // Data that is here already is never passed over, even if its directory was closed since.
    if !account.is_dropped() || directory.join("data").exists() || account.reaches(directory) {
        return Ok(directory.to_owned());
    }
    // Not derived from the directory's name: whoever deletes the directory and starts again expects
    // an empty database, and whoever moved it away expects the old one to stay.
    let home = Path::new(PRIVATE_ROOT).join(format!("cluster-{}", Uuid::new_v4()));
    tracing::info!(
        directory = %directory.display(), home = %home.display(),
        "the account that runs PostgreSQL cannot enter the directory; the cluster is kept elsewhere"
    );
    write_whole(&memory, home.as_os_str().as_bytes())?;
    Ok(home)
}

/// Writes a small private file so that it exists whole or not at all.
pub(crate) fn write_whole(path: &Path, content: &[u8]) -> Result<(), Error> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let mut file = tempfile::NamedTempFile::new_in(directory)
        .map_err(Error::io("cannot create a file in", directory))?;
    file.write_all(content)
        .and_then(|()| file.as_file().sync_all())
        .map_err(Error::io("cannot write", path))?;
    file.persist(path).map_err(|error| Error::io("cannot write", path)(error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_with_files_of_others_is_refused_and_left_alone() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("thesis.txt"), "x").unwrap();
        let error = Home::open(root.path(), Account::Own).unwrap_err();
        assert!(matches!(error, Error::Foreign { .. }), "{error}");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_second_holder_is_told_who_the_first_is_and_gets_in_afterwards() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("a/b");
        let first = Home::open(&directory, Account::Own).unwrap();
        match Home::open(&directory, Account::Own).unwrap_err() {
            Error::InUse { holder, .. } => assert_eq!(holder, Some(std::process::id())),
            other => panic!("{other}"),
        }
        drop(first);
        Home::open(&directory, Account::Own).unwrap();
    }

    #[test]
    fn a_remembered_location_is_used_and_guarded_against_copies() {
        let root = tempfile::tempdir().unwrap();
        let (one, two, home) =
            (root.path().join("one"), root.path().join("two"), root.path().join("home"));
        for directory in [&one, &two] {
            drop(Home::open(directory, Account::Own).unwrap());
            write_whole(&directory.join(LOCATION), home.as_os_str().as_bytes()).unwrap();
        }
        let first = Home::open(&one, Account::Own).unwrap();
        assert_eq!(first.path(), home);
        assert!(matches!(Home::open(&two, Account::Own), Err(Error::InUse { .. })));
    }

    #[test]
    fn a_long_path_gets_a_short_private_socket_directory() {
        let root = tempfile::tempdir().unwrap();
        let long = Home::open(&root.path().join("x".repeat(120)), Account::Own).unwrap();
        let (path, guard) = long.socket_directory().unwrap();
        assert!(fits_a_socket(&path), "{}", path.display());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        drop(guard);
        assert!(!path.exists());
    }

    #[test]
    fn a_cluster_without_its_control_file_is_no_cluster() {
        let root = tempfile::tempdir().unwrap();
        let home = Home::open(&root.path().join("c"), Account::Own).unwrap();
        fs::create_dir_all(home.data().join("global")).unwrap();
        fs::write(home.data().join("PG_VERSION"), "15\n").unwrap();
        assert_eq!(home.data_version(), None);
        fs::write(home.data().join("global/pg_control"), "").unwrap();
        assert_eq!(home.data_version(), Some(15));
    }
}
