//! Every setting of the adapter.

use serde::Deserialize;

/// Settings of the adapter.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE` of the ERP. The user needs SELECT on the
    /// tables that the model names.
    pub erp_url: String,
    /// Most connections to the ERP at once.
    #[serde(default = "Config::default_erp_connections")]
    pub erp_connections: usize,
}

impl Config {
    /// Settings for an ERP at this URL.
    #[must_use]
    pub fn new(erp_url: String) -> Self {
        Self { erp_url, erp_connections: Self::default_erp_connections() }
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
            .finish_non_exhaustive()
    }
}
