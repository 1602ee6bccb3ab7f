//! Which PostgreSQL is run.

mod shelf;

use crate::Error;
use crate::account::Account;
use crate::home::PRIVATE_ROOT;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// The oldest major version that has everything the services use.
const MINIMUM: u32 = 14;

/// Where Debian and its relatives put each major version: `<here>/15/bin`.
const DEBIAN: &str = "/usr/lib/postgresql";

/// Where to look for PostgreSQL, in this order: the explicit directory (then nowhere else), `PATH`,
/// the system's versioned directories (highest first), folders filled from a package registry.
#[derive(Debug, Clone)]
pub struct Search {
    /// A directory with `postgres` and `initdb`, named by the user.
    pub explicit: Option<PathBuf>,
    /// The value of `PATH`.
    pub path: Option<OsString>,
    /// Folders that `scripts/postgres.sh` fills: each has a `bin` (a directory or a link to one).
    pub fetched: Vec<PathBuf>,
}

impl Search {
    /// What the environment says: `TOMBOLO_PG_BIN`, `PATH`, and the folders
    /// `$TOMBOLO_CACHE/postgres` and `.cache/postgres`.
    pub fn from_env() -> Self {
        let cache = std::env::var_os("TOMBOLO_CACHE").map(PathBuf::from);
        Self {
            explicit: std::env::var_os("TOMBOLO_PG_BIN").map(PathBuf::from),
            path: std::env::var_os("PATH"),
            fetched: cache
                .into_iter()
                .chain([PathBuf::from(".cache")])
                .map(|directory| directory.join("postgres"))
                .collect(),
        }
    }

    /// Looks in `directory` only, when there is one.
    #[must_use]
    pub fn with_explicit(self, directory: Option<PathBuf>) -> Self {
        Self { explicit: directory.or(self.explicit), ..self }
    }

    /// A client program, such as `pg_dump`: the one beside a server's programs where there is one, which is
    /// of a known version, and what `PATH` has otherwise.
    pub fn program(&self, name: &str) -> Option<PathBuf> {
        let existing = |directory: PathBuf| Some(directory.join(name)).filter(|it| it.is_file());
        if let Some(directory) = &self.explicit {
            return existing(directory.clone());
        }
        let beside_servers = self.candidates().into_iter().map(|candidate| candidate.bin);
        let path = self.path.iter().flat_map(std::env::split_paths);
        beside_servers.chain(path).find_map(existing)
    }

    fn candidates(&self) -> Vec<Candidate> {
        let mut seen = BTreeSet::new();
        let path = self.path.iter().flat_map(std::env::split_paths).filter_map(|d| on_path(&d));
        let fetched = self.fetched.iter().filter_map(|root| {
            let root = root.canonicalize().ok()?;
            let bin = root.join("bin").canonicalize().ok()?;
            Some(Candidate { bin, copied_from: Some(root) })
        });
        path.chain(installed(Path::new(DEBIAN)))
            .map(|bin| Candidate { bin, copied_from: None })
            .chain(fetched)
            .filter(|candidate| seen.insert(candidate.bin.clone()))
            .collect()
    }
}

struct Candidate {
    bin: PathBuf,
    /// The whole tree, where it may be copied to a place that the account can reach.
    copied_from: Option<PathBuf>,
}

/// The programs of one PostgreSQL version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    directory: PathBuf,
    major: u32,
}

impl Binaries {
    /// The directory of the programs; `psql` is there too if the installation has it.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The major version, such as 15.
    pub fn major(&self) -> u32 {
        self.major
    }

    /// The first usable installation; for data that exists already, the first of its version.
    pub(crate) fn find(
        search: &Search,
        account: Account,
        needed: Option<Needed<'_>>,
    ) -> Result<Self, Error> {
        if let Some(path) = &search.explicit {
            let found = path
                .canonicalize()
                .map_err(|error| error.to_string())
                .and_then(|bin| probe(&bin, account))
                .map_err(|reason| Error::BadBinaries { path: path.clone(), reason })?;
            return match needed {
                Some(needed) if needed.major != found.major => Err(needed.mismatch(&[found])),
                _ => Ok(found),
            };
        }
        let mut others = Vec::new();
        let mut looked = vec!["PATH".to_owned(), DEBIAN.to_owned()];
        looked.extend(search.fetched.iter().map(|root| root.display().to_string()));
        for candidate in search.candidates() {
            match candidate.probe(account) {
                Ok(found) if needed.is_none_or(|needed| needed.major == found.major) => {
                    return Ok(found);
                }
                Ok(found) => others.push(found),
                Err(reason) => looked.push(format!("{} ({reason})", candidate.bin.display())),
            }
        }
        match needed {
            Some(needed) if !others.is_empty() => Err(needed.mismatch(&others)),
            _ => Err(Error::NoBinaries { minimum: MINIMUM, looked: looked.join(", ") }),
        }
    }

    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

/// The version that existing data asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Needed<'a> {
    pub(crate) major: u32,
    pub(crate) directory: &'a Path,
}

impl Needed<'_> {
    fn mismatch(&self, found: &[Binaries]) -> Error {
        let found: Vec<_> = found
            .iter()
            .map(|one| format!("{} in {}", one.major, one.directory.display()))
            .collect();
        Error::VersionMismatch {
            directory: self.directory.to_owned(),
            needed: self.major,
            found: found.join(", "),
        }
    }
}

impl Candidate {
    /// Runs the programs as the account; a fetched tree that it cannot read is copied first.
    fn probe(&self, account: Account) -> Result<Binaries, String> {
        let reason = match probe(&self.bin, account) {
            Ok(found) => return Ok(found),
            Err(reason) => reason,
        };
        match &self.copied_from {
            Some(root) if account.is_dropped() && probe(&self.bin, Account::Own).is_ok() => {
                let bin = shelf::copy(Path::new(PRIVATE_ROOT), root, &self.bin)
                    .map_err(|error| error.to_string())?;
                probe(&bin, account)
            }
            _ => Err(reason),
        }
    }
}

/// The real directory behind a directory of `PATH`: a link to one of the programs often stands
/// alone there, while `initdb` must be run where its shared files are found.
fn on_path(directory: &Path) -> Option<PathBuf> {
    ["postgres", "initdb", "pg_ctl"].into_iter().find_map(|name| {
        let program = directory.join(name).canonicalize().ok()?;
        let bin = program.parent()?;
        is_complete(bin).then(|| bin.to_owned())
    })
}

fn is_complete(bin: &Path) -> bool {
    ["postgres", "initdb"].into_iter().all(|name| bin.join(name).is_file())
}

/// `<root>/<version>/bin`, highest version first.
fn installed(root: &Path) -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir(root)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let major = entry.file_name().to_str()?.parse().ok()?;
            let bin = entry.path().join("bin").canonicalize().ok()?;
            is_complete(&bin).then_some((major, bin))
        })
        .collect();
    found.sort_by_key(|(major, _)| std::cmp::Reverse(*major));
    found.into_iter().map(|(_, bin)| bin).collect()
}

fn probe(bin: &Path, account: Account) -> Result<Binaries, String> {
    let mut major = 0;
    for name in ["initdb", "postgres"] {
        let output = account
            .command(bin.join(name))
            .arg("--version")
            .output()
            .map_err(|error| format!("cannot run {name}: {error}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        major = major_version(&text)
            .filter(|_| output.status.success())
            .ok_or_else(|| format!("{name} --version failed ({})", output.status))?;
    }
    if major < MINIMUM {
        return Err(format!("version {major} is older than {MINIMUM}"));
    }
    Ok(Binaries { directory: bin.to_owned(), major })
}

/// The 15 of `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`, and of `18beta1`.
fn major_version(text: &str) -> Option<u32> {
    let version = text.split(" (PostgreSQL) ").nth(1)?;
    let end = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    version.get(..end)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn search(path: Option<OsString>, fetched: Vec<PathBuf>) -> Search {
        Search { explicit: None, path, fetched }
    }

    fn fake_installation(bin: &Path) {
        fs::create_dir_all(bin).unwrap();
        for name in ["postgres", "initdb"] {
            fs::write(bin.join(name), "").unwrap();
        }
    }

    #[test]
    fn versions_are_read_from_releases_and_betas() {
        assert_eq!(major_version("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)"), Some(15));
        assert_eq!(major_version("initdb (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major_version("postgres (PostgreSQL) 9.6.24\n"), Some(9));
        assert_eq!(major_version("something else 15"), None);
    }

    #[test]
    fn a_lone_link_on_path_leads_to_the_directory_it_came_from() {
        let root = tempfile::tempdir().unwrap();
        let real = root.path().canonicalize().unwrap().join("real/bin");
        fake_installation(&real);
        let on_path_dir = root.path().join("usr-local-bin");
        fs::create_dir(&on_path_dir).unwrap();
        symlink(real.join("postgres"), on_path_dir.join("postgres")).unwrap();
        assert_eq!(on_path(&on_path_dir), Some(real));
        assert_eq!(on_path(root.path()), None);
    }

    #[test]
    fn the_highest_installed_version_comes_first() {
        let root = tempfile::tempdir().unwrap();
        for version in ["9", "15", "13"] {
            fake_installation(&root.path().join(version).join("bin"));
        }
        fs::create_dir(root.path().join("16")).unwrap();
        let order: Vec<_> = installed(root.path())
            .iter()
            .map(|bin| bin.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned())
            .collect();
        assert_eq!(order, ["15", "13", "9"]);
    }

    #[test]
    fn the_fetched_folder_comes_last_and_its_link_is_followed() {
        let root = tempfile::tempdir().unwrap();
        let real = root.path().join("package/bin");
        fake_installation(&real);
        symlink("package/bin", root.path().join("bin")).unwrap();
        let candidates = search(None, vec![root.path().to_owned()]).candidates();
        let last = candidates.last().unwrap();
        assert_eq!(last.bin, real.canonicalize().unwrap());
        assert!(last.copied_from.is_some());
    }

    #[test]
    fn an_explicit_directory_is_used_or_refused_but_never_passed_over() {
        let empty = tempfile::tempdir().unwrap();
        let search = Search::from_env().with_explicit(Some(empty.path().to_owned()));
        let error = Binaries::find(&search, Account::Own, None).unwrap_err();
        assert!(matches!(error, Error::BadBinaries { .. }), "{error}");
    }

    #[test]
    fn a_client_program_is_taken_from_the_directory_that_was_named_and_from_path_otherwise() {
        let root = tempfile::tempdir().unwrap();
        let program = root.path().join("pg_dump_of_a_test");
        fs::write(&program, "").unwrap();
        let name = "pg_dump_of_a_test";
        let path = std::env::join_paths([root.path()]).unwrap();
        assert_eq!(search(Some(path.clone()), Vec::new()).program(name), Some(program));
        let empty = tempfile::tempdir().unwrap();
        let elsewhere = search(Some(path), Vec::new()).with_explicit(Some(empty.path().to_owned()));
        assert_eq!(elsewhere.program(name), None);
        assert_eq!(search(None, Vec::new()).program(name), None);
    }

    #[test]
    fn data_of_another_version_is_an_error_that_names_both() {
        let account = Account::of_this_process().unwrap();
        let needed = Needed { major: 3, directory: Path::new("/some/data") };
        let error = Binaries::find(&Search::from_env(), account, Some(needed)).unwrap_err();
        assert!(matches!(error, Error::VersionMismatch { needed: 3, .. }), "{error}");
    }
}
