//! Every setting of the adapter.

use std::collections::BTreeMap;
use std::time::Duration;

use provider::Retention;
use serde::Deserialize;

/// Settings of the adapter.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE` of the ERP. The user needs SELECT on the
    /// tables that the model names, INSERT, UPDATE and DELETE on those that are written, and, for
    /// writes that may be repeated or concern the platform as well, a schema `tombolo` of its own.
    pub erp_url: String,
    /// Most connections to the ERP at once.
    #[serde(default = "Config::default_erp_connections")]
    pub erp_connections: usize,
    /// How many days the changes of tracked entities are kept in the ERP's database, and delta tokens
    /// last.
    #[serde(default = "Config::default_change_retention_days")]
    pub change_retention_days: u16,
    /// `http://HOST:PORT` of services that run actions, by the name that the model calls them.
    #[serde(default)]
    pub business_logic: BTreeMap<String, String>,
}

impl Config {
    /// Settings for an ERP at this URL.
    #[must_use]
    pub fn new(erp_url: String) -> Self {
        Self {
            erp_url,
            erp_connections: Self::default_erp_connections(),
            change_retention_days: Self::default_change_retention_days(),
            business_logic: BTreeMap::new(),
        }
    }

    pub(crate) fn change_retention(&self) -> Retention {
        Retention(Duration::from_secs(u64::from(self.change_retention_days) * 86_400))
    }

    fn default_change_retention_days() -> u16 {
        10
    }

    fn default_erp_connections() -> usize {
        16
    }
}

impl std::fmt::Debug for Config {
    /// Without the URL, which holds a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("erp_connections", &self.erp_connections)
            .field("change_retention_days", &self.change_retention_days)
            .field("business_logic", &self.business_logic)
            .finish_non_exhaustive()
    }
}
