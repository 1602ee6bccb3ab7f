//! Every setting of the catalog.

use std::path::PathBuf;

use serde::Deserialize;

/// Settings of the catalog.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The platform's database; the catalog keeps to the schema `catalog` in it.
    pub database_url: String,
    /// The folder of the ERP's model.
    pub model_dir: PathBuf,
}

impl Config {
    /// A catalog of this model, stored in this database.
    #[must_use]
    pub fn new(database_url: String, model_dir: PathBuf) -> Self {
        Self { database_url, model_dir }
    }
}

impl std::fmt::Debug for Config {
    /// Without the URL, which holds a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config").field("model_dir", &self.model_dir).finish_non_exhaustive()
    }
}
