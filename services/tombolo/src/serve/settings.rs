//! The settings file of a service. One format for all; each service reads its own section.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use rpc::ServiceKey;
use serde::Deserialize;

/// Shorter secrets can be guessed.
const MIN_SECRET: usize = 32;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// Where gRPC listens.
    pub(super) listen: SocketAddr,
    /// A file of 32 or more random bytes, the same for every service of the environment.
    service_key_file: PathBuf,
    /// `http://HOST:PORT` by service.
    #[serde(default)]
    pub(super) peers: BTreeMap<String, String>,
    pub(super) gateway: Option<GatewaySettings>,
    pub(super) organization: Option<organization::Config>,
    pub(super) catalog: Option<catalog::Config>,
    pub(super) query: Option<query::Config>,
    pub(super) user_context: Option<user_context::Config>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GatewaySettings {
    /// Where the Web API listens.
    pub(super) http_listen: SocketAddr,
    /// The Web API's address as clients see it; what they ask tokens for.
    public_url: String,
    /// Where clients get tokens.
    authorization_uri: String,
    /// A file of 32 or more random bytes, the same for every replica.
    page_token_key_file: PathBuf,
    /// Rows that a join across the line passes from one side to the other at most.
    join_rows: Option<usize>,
    /// Their bytes at most.
    join_bytes: Option<usize>,
    /// Bytes of one level of rows that have expanded rows of their own statements.
    expand_bytes: Option<usize>,
    /// `HOST` or `HOST:PORT` that may be told when background operations have ended.
    #[serde(default)]
    callback_hosts: Vec<String>,
}

impl Settings {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("{} is wrong", path.display()))
    }

    pub(super) fn service_key(&self) -> Result<ServiceKey> {
        Ok(ServiceKey::new(&secret(&self.service_key_file)?))
    }
}

impl GatewaySettings {
    pub(super) fn config(&self) -> Result<gateway::Config> {
        let secret = secret(&self.page_token_key_file)?;
        let config =
            gateway::Config::new(self.authorization_uri.clone(), self.public_url.clone(), secret);
        Ok(gateway::Config {
            join_rows: self.join_rows.unwrap_or(config.join_rows),
            join_bytes: self.join_bytes.unwrap_or(config.join_bytes),
            expand_bytes: self.expand_bytes.unwrap_or(config.expand_bytes),
            callback_hosts: self.callback_hosts.clone(),
            ..config
        })
    }
}

fn secret(path: &Path) -> Result<Vec<u8>> {
    let secret = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let long_enough = secret.len() >= MIN_SECRET;
    ensure!(long_enough, "{} holds less than {MIN_SECRET} bytes", path.display());
    Ok(secret)
}
