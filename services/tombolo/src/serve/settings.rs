//! The settings file of a service. One format for all; each service reads its own section.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rpc::tls::{MutualTls, MutualTlsFiles, ServerTls, ServerTlsFiles};
use rpc::{ServiceIdentity, ServiceKeySet, SigningKey, TrustedServices};
use serde::Deserialize;

/// Shorter secrets can be guessed.
const MIN_SECRET: usize = 32;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// Where gRPC listens. Other than loopback addresses need `[tls]`, the gateway's `[gateway.tls]`.
    pub(super) listen: SocketAddr,
    /// This service's own key: Ed25519 in PKCS#8. Not with `[tls]`.
    service_key_file: Option<PathBuf>,
    /// The public keys of the environment's services, as `tombolo keys` writes them. Not with `[tls]`.
    services_file: Option<PathBuf>,
    /// Certificates instead of keys: every connection between services shows two of them.
    tls: Option<MutualTlsFiles>,
    /// `http://HOST:PORT` by service; `https://HOST:PORT` with `[tls]`.
    #[serde(default)]
    pub(super) peers: BTreeMap<String, String>,
    pub(super) gateway: Option<GatewaySettings>,
    pub(super) organization: Option<organization::Config>,
    pub(super) catalog: Option<catalog::Config>,
    pub(super) query: Option<query::Config>,
    pub(super) user_context: Option<user_context::Config>,
    pub(super) capacity: Option<capacity::Config>,
    pub(super) lifecycle: Option<lifecycle::Config>,
    pub(super) data_export: Option<data_export::Config>,
    pub(super) dual_write: Option<dual_write::Config>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GatewaySettings {
    /// Where the Web API listens. Other than loopback addresses need `tls`.
    pub(super) http_listen: SocketAddr,
    /// The certificate of the Web API and of gRPC for clients.
    tls: Option<ServerTlsFiles>,
    /// The Web API's address as clients see it; what they ask tokens for.
    public_url: String,
    /// Where clients get tokens.
    authorization_uri: String,
    /// A file of 32 or more random bytes, the same for every replica.
    page_token_key_file: PathBuf,
    /// The longest that a request may take (30), beside what dual-write lets a save wait for its other side.
    request_timeout_seconds: Option<u64>,
    /// Rows that a join across the line passes from one side to the other at most.
    join_rows: Option<usize>,
    /// Their bytes at most.
    join_bytes: Option<usize>,
    /// Bytes of one level of rows that have expanded rows of their own statements.
    expand_bytes: Option<usize>,
    /// `HOST` or `HOST:PORT` that may be told when background operations have ended.
    #[serde(default)]
    callback_hosts: Vec<String>,
    /// What one user may do within a window (spec lifecycle-and-web-api §2.13).
    #[serde(default)]
    limits: gateway::Limits,
    /// `redis://HOST:PORT`, where replicas count that together. Absent: each counts for itself.
    redis_url: Option<gateway::RedisUrl>,
    /// Keeps environments apart that share a Redis (`default`).
    environment: Option<String>,
}

/// Who a service is among services.
pub(super) struct Credentials {
    pub(super) identity: ServiceIdentity,
    pub(super) trusted: Arc<TrustedServices>,
    /// For the listener, where connections show certificates.
    pub(super) listen: Option<ServerTls>,
}

impl Settings {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("{} is wrong", path.display()))
    }

    /// What proves this service to others, and others to it.
    pub(super) fn credentials(&self, name: &str) -> Result<Credentials> {
        match (&self.tls, &self.service_key_file, &self.services_file) {
            (Some(files), None, None) => {
                let tls = MutualTls::open(files).context("[tls]")?;
                let listen = Some(tls.server());
                let identity = ServiceIdentity::certified(name, tls);
                Ok(Credentials { identity, trusted: Arc::new(TrustedServices::none()), listen })
            }
            (None, Some(key), Some(services)) => {
                let key = SigningKey::from_pkcs8(&read(key)?)
                    .with_context(|| format!("{} is no key", key.display()))?;
                let text = fs::read_to_string(services)
                    .with_context(|| format!("cannot read {}", services.display()))?;
                let trusted = ServiceKeySet::from_json(&text)
                    .and_then(|it| TrustedServices::of(&it))
                    .with_context(|| format!("{} is wrong", services.display()))?;
                ensure!(
                    trusted.knows(name, &key),
                    "{} does not hold the public half of this key as {name}'s",
                    services.display()
                );
                let identity = ServiceIdentity::new(name, key);
                Ok(Credentials { identity, trusted: Arc::new(trusted), listen: None })
            }
            _ => bail!("the settings need either [tls], or service_key_file and services_file"),
        }
    }
}

impl GatewaySettings {
    /// What clients from outside meet.
    pub(super) fn tls(&self) -> Result<Option<ServerTls>> {
        self.tls.clone().map(ServerTls::open).transpose().context("[gateway.tls]")
    }

    pub(super) fn config(&self) -> Result<gateway::Config> {
        let secret = secret(&self.page_token_key_file)?;
        let config =
            gateway::Config::new(self.authorization_uri.clone(), self.public_url.clone(), secret);
        let timeout = self.request_timeout_seconds;
        // What a store's stream lasts at most leaves no more beside the longest wait for the other side.
        let fits = timeout.is_none_or(|it| (1..=60).contains(&it));
        ensure!(fits, "[gateway] request_timeout_seconds is 1 to 60");
        let timeout = timeout.map(Duration::from_secs);
        Ok(gateway::Config {
            request_timeout: timeout.unwrap_or(config.request_timeout),
            join_rows: self.join_rows.unwrap_or(config.join_rows),
            join_bytes: self.join_bytes.unwrap_or(config.join_bytes),
            expand_bytes: self.expand_bytes.unwrap_or(config.expand_bytes),
            callback_hosts: self.callback_hosts.clone(),
            limits: Some(self.limits),
            redis_url: self.redis_url.clone(),
            environment: self.environment.clone().unwrap_or(config.environment),
            ..config
        })
    }
}

fn secret(path: &Path) -> Result<Vec<u8>> {
    let secret = read(path)?;
    let long_enough = secret.len() >= MIN_SECRET;
    ensure!(long_enough, "{} holds less than {MIN_SECRET} bytes", path.display());
    Ok(secret)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
