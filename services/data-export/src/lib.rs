//! The add-in `data-export`: writes the tables of an environment, native or virtual, to Parquet files on a
//! schedule, and after the first time only what changed.
//!
//! [`DataExport`] is the add-in as the lifecycle service sees it (docs/how-to-write-an-add-in.md). It reads
//! the public Web API as an application user, as anybody else's add-in could. Start reading with
//! `installations` (what is installed where), then `worker` (when an installation runs), `table` (what
//! a run leaves on disk, and why each change is in it once) and `web_api` (how rows are read).

mod error;
mod files;
mod grpc;
mod history;
mod installations;
mod parameters;
mod secrets;
mod table;
mod web_api;
mod worker;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use proto::add_in::v1::add_in_runtime_service_server::AddInRuntimeServiceServer;
use serde::{Deserialize, Serialize};

use installations::Installations;

/// As which the catalogue of add-ins, certificates and errors name it.
const NAME: &str = "data-export";

/// What an operator decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where it remembers what is installed.
    pub data_dir: PathBuf,
    /// Below it, and nowhere else, installations write.
    pub output_root: PathBuf,
    /// Files whose names installations may give for their secrets.
    pub secrets_dir: PathBuf,
    /// Hosts that `token_url` may name, beside the Web API's own: secrets are sent to no other.
    #[serde(default = "default_token_hosts")]
    pub token_hosts: Vec<String>,
}

/// The add-in. Cheap to clone; exports until the last clone is dropped, and the last server that it is
/// registered with.
#[derive(Clone, Debug)]
pub struct DataExport {
    installations: Arc<Installations>,
}

/// The add-in cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A folder cannot be made or read.
    #[error("`{}` cannot be used", path.display())]
    Folder {
        /// The folder, or a file in it.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that says what is installed cannot be understood.
    #[error("`{}` cannot be understood", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A setting cannot be.
    #[error("data-export's `{setting}`: {message}")]
    Setting {
        /// Which.
        setting: &'static str,
        /// What it takes.
        message: String,
    },
    /// No connection can be made to anybody.
    #[error("no HTTP client can be made")]
    Http(#[from] reqwest::Error),
}

fn default_token_hosts() -> Vec<String> {
    vec!["login.microsoftonline.com".to_owned()]
}

/// Whether a URL with this host says it just so.
fn is_host(text: &str) -> bool {
    let url = reqwest::Url::parse(&format!("https://{text}/"));
    url.is_ok_and(|it| it.host_str().is_some_and(|host| host.eq_ignore_ascii_case(text)))
}

// === impl Config ===

impl Config {
    /// With these folders, and defaults for the rest.
    #[must_use]
    pub fn new(data_dir: PathBuf, output_root: PathBuf, secrets_dir: PathBuf) -> Self {
        Self { data_dir, output_root, secrets_dir, token_hosts: default_token_hosts() }
    }

    /// What no URL's host could ever match is a mistake.
    fn check(&self) -> Result<(), StartError> {
        match self.token_hosts.iter().find(|it| !is_host(it)) {
            None => Ok(()),
            Some(bad) => Err(StartError::Setting {
                setting: "token_hosts",
                message: format!("`{bad}` is no host; write it without scheme, port and path"),
            }),
        }
    }
}

// === impl DataExport ===

impl DataExport {
    /// Goes on with what is installed.
    ///
    /// # Errors
    ///
    /// When its folders cannot be used, or what is in them cannot be understood.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        config.check()?;
        Ok(Self { installations: Arc::new(Installations::open(config)?) })
    }

    /// Adds the service to a server.
    #[must_use]
    pub fn register(&self, server: rpc::Server) -> rpc::Server {
        let runtime = grpc::Runtime::new(Arc::clone(&self.installations));
        server.with(AddInRuntimeServiceServer::new(runtime))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_host_is_a_host_and_no_more() {
        let check = |host: &str| {
            let config = Config::new("data".into(), "out".into(), "secrets".into());
            Config { token_hosts: vec![host.to_owned()], ..config }.check()
        };
        for good in ["login.microsoftonline.com", "LOGIN.test", "localhost", "127.0.0.1", "[::1]"] {
            check(good).unwrap();
        }
        for bad in ["https://x/y", "x/y", "x:443", "x?y", "a@x", "", " x", "a b"] {
            let text = check(bad).unwrap_err().to_string();
            assert!(text.contains("token_hosts"), "{bad}: {text}");
        }
    }
}
