//! Every setting of the organization.

use serde::Deserialize;

/// Settings of the organization.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The platform's database; the service keeps to the schema `organization` in it.
    pub database_url: String,
}

impl Config {
    /// An organization that is stored in this database.
    #[must_use]
    pub fn new(database_url: String) -> Self {
        Self { database_url }
    }
}

impl std::fmt::Debug for Config {
    /// Without the URL, which holds a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config").finish_non_exhaustive()
    }
}
