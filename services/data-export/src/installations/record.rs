//! What is written down about an installation.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::StartError;
use crate::error::Error;
use crate::files;
use crate::history::History;
use crate::parameters::Parameters;

const COLLECTION: &str = "platformEnvironments/";
const LONGEST_ID: usize = 100;
const SUFFIX: &str = ".json";

/// `platformEnvironments/…`, of which the last part can be a file's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EnvironmentId(String);

/// An installation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) web_api_url: String,
    pub(super) parameters: Parameters,
    /// All that it ever wrote to.
    pub(super) folders: BTreeSet<String>,
}

/// What the files say about one.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) id: EnvironmentId,
    pub(super) record: Record,
    pub(super) history: History,
}

/// The files.
#[derive(Clone, Debug)]
pub(super) struct Records {
    records: PathBuf,
    histories: PathBuf,
}

// === impl EnvironmentId ===

impl EnvironmentId {
    pub(crate) fn parse(name: &str) -> Result<Self, Error> {
        let id = name.strip_prefix(COLLECTION).ok_or(Error::EnvironmentName)?;
        Self::of(id).ok_or(Error::EnvironmentName)
    }

    fn of(id: &str) -> Option<Self> {
        let fits = |it: char| it.is_ascii_alphanumeric() || matches!(it, '-' | '_');
        let is_id = !id.is_empty() && id.len() <= LONGEST_ID && id.chars().all(fits);
        is_id.then(|| Self(id.to_owned()))
    }

    pub(super) fn file_name(&self) -> String {
        format!("{}{SUFFIX}", self.0)
    }
}

impl fmt::Display for EnvironmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{COLLECTION}{}", self.0)
    }
}

// === impl Records ===

impl Records {
    /// The files of a folder, and what is in them.
    pub(super) fn open(dir: &Path) -> Result<(Self, Vec<Kept>), StartError> {
        let this = Self { records: dir.join("installations"), histories: dir.join("history") };
        for dir in [&this.records, &this.histories] {
            files::make_private(dir).map_err(folder_error(dir))?;
        }
        let mut kept = Vec::new();
        for entry in fs::read_dir(&this.records).map_err(folder_error(&this.records))? {
            let path = entry.map_err(folder_error(&this.records))?.path();
            let name = path.file_name().and_then(|it| it.to_str()).unwrap_or_default();
            // Others are what is left of writing one.
            let id = name.strip_suffix(SUFFIX).and_then(EnvironmentId::of);
            let Some((id, record)) = id.zip(read(&path)?) else { continue };
            // It only says when the last run was.
            let history = read(&this.histories.join(id.file_name())).unwrap_or_default();
            kept.push(Kept { id, record, history: history.unwrap_or_default() });
        }
        Ok((this, kept))
    }

    /// Writes one down that starts anew.
    pub(super) fn put(&self, id: &EnvironmentId, record: &Record) -> io::Result<()> {
        files::remove(&self.histories, &id.file_name())?;
        files::replace(&self.records, &id.file_name(), record)
    }

    pub(super) fn remove(&self, id: &EnvironmentId) -> io::Result<()> {
        files::remove(&self.histories, &id.file_name())?;
        files::remove(&self.records, &id.file_name())
    }

    pub(super) fn histories(&self) -> PathBuf {
        self.histories.clone()
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StartError> {
    let Some(bytes) = files::read(path).map_err(folder_error(path))? else { return Ok(None) };
    let value = serde_json::from_slice(&bytes);
    value.map(Some).map_err(|source| StartError::Record { path: path.to_owned(), source })
}

fn folder_error(path: &Path) -> impl FnOnce(io::Error) -> StartError {
    let path = path.to_owned();
    move |source| StartError::Folder { path, source }
}
