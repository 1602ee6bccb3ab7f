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
    /// Most rows of one live transaction (1,000; spec DW-15).
    #[serde(default = "Config::default_transaction_rows")]
    pub transaction_rows: usize,
    /// Most bytes of one (116.85 MB). Above 256 MiB the gateway refuses by itself.
    #[serde(default = "Config::default_transaction_bytes")]
    pub transaction_bytes: usize,
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
            transaction_rows: Self::default_transaction_rows(),
            transaction_bytes: Self::default_transaction_bytes(),
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

    fn default_transaction_rows() -> usize {
        1_000
    }

    fn default_transaction_bytes() -> usize {
        116_850_000
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
