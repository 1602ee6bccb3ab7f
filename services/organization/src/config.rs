//! Every setting of the organization.

use std::time::Duration;

use provider::Retention;
use serde::Deserialize;

/// Settings of the organization.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The platform's database; the service keeps to the schema `organization` in it.
    pub database_url: String,
    /// How many days the changes of tracked tables are kept, and delta tokens last.
    #[serde(default = "Config::default_change_retention_days")]
    pub change_retention_days: u16,
}

impl Config {
    /// An organization that is stored in this database.
    #[must_use]
    pub fn new(database_url: String) -> Self {
        Self { database_url, change_retention_days: Self::default_change_retention_days() }
    }

    pub(crate) fn change_retention(&self) -> Retention {
        Retention(Duration::from_secs(u64::from(self.change_retention_days) * 86_400))
    }

    fn default_change_retention_days() -> u16 {
        7
    }
}

impl std::fmt::Debug for Config {
    /// Without the URL, which holds a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config").finish_non_exhaustive()
    }
}
