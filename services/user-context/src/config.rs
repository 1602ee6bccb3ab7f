//! Every setting of user-context.

use std::path::PathBuf;

use serde::Deserialize;

use crate::dev_issuer::DevIssuerConfig;

/// Settings of user-context.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The users of the environment, beside `admin` who always exists (docs/model-format.md).
    pub users_file: Option<PathBuf>,
    /// Ed25519 key in PKCS#8 that signs assertions. Absent: a new one at each start.
    pub assertion_key_file: Option<PathBuf>,
    /// Whose tokens are believed.
    pub issuers: Vec<IssuerConfig>,
    /// An issuer's keys are fetched at most once in this many seconds, however many tokens come
    /// with unknown ones (5).
    pub key_refetch_seconds: u64,
    /// The local emulator's own issuer; set by `tombolo dev` only.
    #[serde(skip)]
    pub dev_issuer: Option<DevIssuerConfig>,
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

impl Default for Config {
    fn default() -> Self {
        Self {
            users_file: None,
            assertion_key_file: None,
            issuers: Vec::new(),
            key_refetch_seconds: 5,
            dev_issuer: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_has_its_default() {
        let text = "[[issuers]]\nissuer = \"https://login.example\"\naudiences = [\"x\"]";
        let config: Config = toml::from_str(text).unwrap();
        assert_eq!((config.key_refetch_seconds, config.issuers.len()), (5, 1));
        assert!(toml::from_str::<Config>("issuer = 1").is_err());
    }
}
