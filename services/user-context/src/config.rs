//! Every setting of user-context.

use std::path::PathBuf;

use serde::Deserialize;

use crate::dev_issuer::{DevIssuer, DevIssuerConfig};

/// Settings of user-context.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The platform's database; the service keeps to the schema `user_context` in it.
    pub database_url: String,
    /// Users of the environment, beside `admin` who always exists (docs/model-format.md).
    #[serde(default)]
    pub users_file: Option<PathBuf>,
    /// The folder of the ERP's model, whose `security.toml` says what roles grant.
    #[serde(default)]
    pub model_dir: Option<PathBuf>,
    /// `redis://HOST:PORT`, where replicas tell each other of changes. Absent: there is one replica,
    /// or the others hear of changes seconds later.
    #[serde(default)]
    pub redis_url: Option<String>,
    /// Keeps environments apart that share a Redis (`default`).
    #[serde(default = "Config::default_environment")]
    pub environment: String,
    /// The ERP user of a portal's visitors who did not sign in. Absent: those are refused.
    #[serde(default)]
    pub anonymous_portal_user: Option<String>,
    /// Ed25519 key in PKCS#8 that signs assertions. Absent: a new one at each start.
    #[serde(default)]
    pub assertion_key_file: Option<PathBuf>,
    /// Whose tokens are believed.
    #[serde(default)]
    pub issuers: Vec<IssuerConfig>,
    /// An issuer's keys are fetched at most once in this many seconds, however many tokens come
    /// with unknown ones (5).
    #[serde(default = "Config::default_key_refetch_seconds")]
    pub key_refetch_seconds: u64,
    /// The local emulator's own issuer; set by `tombolo dev` only.
    #[serde(skip)]
    pub dev_issuer: Option<DevIssuerConfig>,
    /// The emulator's issuer of another environment, whose tokens are believed here, too; set by
    /// `tombolo dev` only.
    #[serde(skip)]
    pub dev_tokens_of: Option<DevIssuer>,
}

/// An issuer of tokens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerConfig {
    /// Exactly as in the tokens' `iss`: `https://login.microsoftonline.com/TENANT/v2.0` for tokens
    /// of version 2, `https://sts.windows.net/TENANT/` for those of version 1.
    pub issuer: String,
    /// Accepted `aud` values: the organization's URL, the application's id.
    pub audiences: Vec<String>,
    /// The one tenant whose tokens are believed (`tid`). Default: the GUID in the issuer's URL;
    /// where there is none, tokens need not say one.
    #[serde(default)]
    pub tenant: Option<String>,
    /// The issuer's keys, as a JSON Web Key Set.
    #[serde(default)]
    pub jwks: Option<String>,
    /// Where the key set is. With neither, it is found by the issuer's discovery document.
    #[serde(default)]
    pub jwks_url: Option<String>,
    /// Where clients are sent to authorize. Default: derived from the issuer's URL.
    #[serde(default)]
    pub authorization_uri: Option<String>,
}

impl Config {
    /// A directory that is stored in this database, where nobody but `admin` exists yet.
    #[must_use]
    pub fn new(database_url: String) -> Self {
        Self {
            database_url,
            users_file: None,
            model_dir: None,
            redis_url: None,
            environment: Self::default_environment(),
            anonymous_portal_user: None,
            assertion_key_file: None,
            issuers: Vec::new(),
            key_refetch_seconds: Self::default_key_refetch_seconds(),
            dev_issuer: None,
            dev_tokens_of: None,
        }
    }

    fn default_environment() -> String {
        "default".to_owned()
    }

    fn default_key_refetch_seconds() -> u64 {
        5
    }
}

impl std::fmt::Debug for Config {
    /// Without the URLs, which hold passwords.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("users_file", &self.users_file)
            .field("model_dir", &self.model_dir)
            .field("environment", &self.environment)
            .field("issuers", &self.issuers)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_has_its_default() {
        let text = "database_url = \"postgres://a:secret@b/c\"\n[[issuers]]\nissuer = \"https://login.example\"\naudiences = [\"x\"]";
        let config: Config = toml::from_str(text).unwrap();
        assert_eq!((config.key_refetch_seconds, config.issuers.len()), (5, 1));
        assert_eq!(config.environment, "default");
        assert!(!format!("{config:?}").contains("secret"));
        assert!(toml::from_str::<Config>("key_refetch_seconds = 1").is_err());
        assert!(toml::from_str::<Config>("database_url = \"x\"\nissuer = 1").is_err());
    }
}
