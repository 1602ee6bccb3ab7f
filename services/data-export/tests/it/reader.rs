//! A reader of an export, who believes the manifest and nothing else.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::Field;
use serde_json::Value;
use uuid::Uuid;

/// A table's folder.
pub(crate) struct Reader(pub(crate) PathBuf);

/// What a row of a file says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    pub(crate) id: u128,
    /// None for a deletion.
    pub(crate) version: Option<i64>,
    pub(crate) fields: BTreeMap<String, Field>,
}

impl Reader {
    pub(crate) fn manifest(&self) -> Option<Value> {
        let bytes = fs::read(self.0.join("_manifest.json")).ok()?;
        Some(serde_json::from_slice(&bytes).unwrap())
    }

    pub(crate) fn generation(&self) -> u64 {
        self.manifest().map_or(0, |it| it["generation"].as_u64().unwrap())
    }

    /// What each file says, in order.
    pub(crate) fn files(&self) -> Vec<Vec<Change>> {
        let Some(manifest) = self.manifest() else { return Vec::new() };
        let files = manifest["files"].as_array().unwrap();
        let read = |file: &Value| {
            let changes = changes(&self.0.join(file["name"].as_str().unwrap()));
            assert_eq!(file["rows"].as_u64().unwrap(), changes.len() as u64);
            changes
        };
        files.iter().map(read).collect()
    }

    /// The versions of the rows that are there once everything is applied, by id.
    pub(crate) fn versions(&self) -> BTreeMap<u128, i64> {
        let mut versions = BTreeMap::new();
        for change in self.files().concat() {
            match change.version {
                Some(version) => versions.insert(change.id, version),
                None => versions.remove(&change.id),
            };
        }
        versions
    }

    /// Names of files that are there.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect()
    }
}

fn changes(path: &Path) -> Vec<Change> {
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    let rows = reader.get_row_iter(None).unwrap();
    rows.map(|row| {
        let fields: BTreeMap<String, Field> = row.unwrap().into_columns().into_iter().collect();
        let id = fields.iter().find(|it| it.0.ends_with("id") && !it.0.starts_with('_')).unwrap();
        let Field::Bytes(id) = id.1 else { panic!("{fields:?}") };
        let id = Uuid::from_slice(id.data()).unwrap().as_u128();
        let deleted = fields["_change"] == Field::Str("delete".to_owned());
        let version = match &fields["version"] {
            Field::Long(version) if !deleted => Some(*version),
            Field::Null if deleted => None,
            other => panic!("{other:?}"),
        };
        Change { id, version, fields }
    })
    .collect()
}
