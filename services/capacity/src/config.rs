//! Every setting of capacity.

use std::time::Duration;

use serde::Deserialize;

/// Settings of capacity.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The tenant's database; the service keeps to the schema `capacity` in it.
    pub database_url: String,
    /// Usage is measured once in this many seconds (60).
    #[serde(default = "Config::default_sampling_period_seconds")]
    pub sampling_period_seconds: u64,
    /// How long the measurement of one environment may take (15).
    #[serde(default = "Config::default_measure_timeout_seconds")]
    pub measure_timeout_seconds: u64,
}

impl Config {
    /// Stored in this database, with the defaults of everything else.
    #[must_use]
    pub fn new(database_url: String) -> Self {
        Self {
            database_url,
            sampling_period_seconds: Self::default_sampling_period_seconds(),
            measure_timeout_seconds: Self::default_measure_timeout_seconds(),
        }
    }

    /// At least a second.
    pub(crate) fn sampling_period(&self) -> Duration {
        Duration::from_secs(self.sampling_period_seconds.max(1))
    }

    /// At least a second.
    pub(crate) fn measure_timeout(&self) -> Duration {
        Duration::from_secs(self.measure_timeout_seconds.max(1))
    }

    fn default_sampling_period_seconds() -> u64 {
        60
    }

    fn default_measure_timeout_seconds() -> u64 {
        15
    }
}

impl std::fmt::Debug for Config {
    /// Without the URL, which holds a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("sampling_period_seconds", &self.sampling_period_seconds)
            .field("measure_timeout_seconds", &self.measure_timeout_seconds)
            .finish_non_exhaustive()
    }
}
