//! Every setting of dual-write.

use std::time::Duration;

use serde::Deserialize;

/// Settings of dual-write.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The environment's database; the service keeps to the schema `dual_write` in it.
    pub database_url: String,
    /// Root of the platform's Web API, for links in errors (`https://contoso.example/api/data/v9.2`).
    #[serde(default)]
    pub web_api_url: String,
    /// Each side's log is looked at once in this many milliseconds (200).
    #[serde(default = "Config::default_poll_milliseconds")]
    pub poll_milliseconds: u64,
    /// Most companies of a link (250; spec DW-03).
    #[serde(default = "Config::default_link_companies")]
    pub link_companies: usize,
    /// Most rows of one live transaction (1,000; spec DW-15).
    #[serde(default = "Config::default_transaction_rows")]
    pub transaction_rows: usize,
    /// Most bytes of one (116.85 MB). Above 256 MiB the gateway refuses by itself.
    #[serde(default = "Config::default_transaction_bytes")]
    pub transaction_bytes: usize,
    /// Failed changes that got through are kept for so many days (30; the original keeps them for 1, spec A17); 0: until
    /// the next hourly round.
    #[serde(default = "Config::default_completed_error_days")]
    pub completed_error_days: u16,
    /// How alerts are mailed; absent: they are not.
    #[serde(default)]
    pub mail: Option<Mail>,
    /// `HOST` or `HOST:PORT` that alerts may be posted to although it is within the network, or over plain
    /// http.
    #[serde(default)]
    pub webhook_hosts: Vec<String>,
}

/// The mail server.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// `smtps://user:password@mail.contoso.example`, or `smtp://mail.contoso.example:587?tls=required`.
    pub smtp_url: String,
    /// Who it is from: `Tombolo <dual-write@contoso.example>`.
    pub from: String,
}

impl Config {
    /// Stored in this database, with the defaults of everything else.
    #[must_use]
    pub fn new(database_url: String) -> Self {
        Self {
            database_url,
            web_api_url: String::new(),
            poll_milliseconds: Self::default_poll_milliseconds(),
            link_companies: Self::default_link_companies(),
            transaction_rows: Self::default_transaction_rows(),
            transaction_bytes: Self::default_transaction_bytes(),
            completed_error_days: Self::default_completed_error_days(),
            mail: None,
            webhook_hosts: Vec::new(),
        }
    }

    /// At least 20 ms.
    pub(crate) fn poll(&self) -> Duration {
        Duration::from_millis(self.poll_milliseconds.max(20))
    }

    fn default_poll_milliseconds() -> u64 {
        200
    }

    fn default_link_companies() -> usize {
        250
    }

    fn default_transaction_rows() -> usize {
        1_000
    }

    fn default_transaction_bytes() -> usize {
        116_850_000
    }

    fn default_completed_error_days() -> u16 {
        30
    }
}

impl std::fmt::Debug for Config {
    /// Without the URL, which holds a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("poll_milliseconds", &self.poll_milliseconds)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Mail {
    /// Without the URL, which holds a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mail").field("from", &self.from).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn days(line: &str) -> Result<u16, toml::de::Error> {
        let text = format!("database_url = 'postgres://localhost/platform'\n{line}");
        toml::from_str::<Config>(&text).map(|it| it.completed_error_days)
    }

    #[test]
    fn completed_errors_are_kept_for_whole_days() {
        assert_eq!(days("").unwrap(), Config::new(String::new()).completed_error_days);
        for (given, expected) in [("0", 0), ("1", 1), ("365", 365)] {
            assert_eq!(days(&format!("completed_error_days = {given}")).unwrap(), expected);
        }
        for bad in ["-1", "0.5", "70000", "'1'"] {
            assert!(days(&format!("completed_error_days = {bad}")).is_err(), "{bad}");
        }
    }
}
