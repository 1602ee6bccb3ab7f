//! What is part of a table's export.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::ExportError;
use super::column::{Column, Kind};
use crate::files;

const NAME: &str = "_manifest.json";
const SUFFIX: &str = ".parquet";
/// Of the manifest's format.
pub(super) const VERSION: u32 = 1;

/// The list of a table's files. A file that is not in it is not part of the export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(super) version: u32,
    /// The entity set's name.
    pub(super) table: String,
    pub(super) logical_name: String,
    /// The column that tells rows apart.
    pub(super) primary_id: String,
    pub(super) kind: ExportKind,
    /// Rises when the files before are replaced by all rows anew.
    pub(super) generation: u64,
    /// In the order in which they are to be applied.
    pub(super) files: Vec<Entry>,
    pub(super) columns: Vec<Column>,
    /// Those that are not of the table's own type, because some value did not fit it.
    #[serde(default)]
    pub(super) widened_columns: BTreeMap<String, Kind>,
    /// Where the next run begins.
    pub(super) delta_link: Option<String>,
    pub(super) update_time: DateTime<Utc>,
}

/// How later runs go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ExportKind {
    /// With what changed.
    Incremental,
    /// With all rows: changes of the table are not tracked.
    Snapshot,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) contents: Contents,
    pub(super) rows: u64,
    pub(super) size_bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Contents {
    All,
    Changes,
}

/// The manifest of a folder, which is made if need be. What is left of runs that were stopped, and of
/// earlier generations, is removed: readers had the time since the last run to notice.
pub(super) fn open(dir: &Path) -> Result<Option<Manifest>, ExportError> {
    fs::create_dir_all(dir)?;
    let manifest = read(dir)?;
    let named: BTreeSet<&str> =
        manifest.iter().flat_map(|it| &it.files).map(|it| it.name.as_str()).collect();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let Some(name) = name.to_str() else { continue };
        let ours = name.ends_with(SUFFIX) || name.starts_with(files::UNFINISHED);
        if ours && !named.contains(name) {
            files::remove(dir, name)?;
        }
    }
    Ok(manifest)
}

pub(super) fn read(dir: &Path) -> Result<Option<Manifest>, ExportError> {
    let path = dir.join(NAME);
    let Some(bytes) = files::read(&path)? else { return Ok(None) };
    let manifest: Manifest = serde_json::from_slice(&bytes)
        .map_err(|source| ExportError::Manifest { path: path.clone(), source })?;
    if manifest.version != VERSION {
        let source =
            serde::de::Error::custom(format!("the version {} is not known", manifest.version));
        return Err(ExportError::Manifest { path, source });
    }
    Ok(Some(manifest))
}

impl Manifest {
    pub(super) fn write(&self, dir: &Path) -> io::Result<()> {
        files::replace(dir, NAME, self)
    }
}
