//! The local emulator's issuer of tokens: the OAuth 2.0 endpoints of [`router`], at which clients sign
//! in as they would elsewhere, and [`mint`], which needs no running server.
//!
//! Whoever can read the data directory can be any user, and on an emulator that listens to its own
//! machine alone so can whoever reaches it: that is what `tombolo dev` is for. The files of the data
//! directory are readable by their owner only; see `store` for what is in them.
//!
//! Start with `http`, which lists the endpoints; `token_endpoint` has the grants, `authorize` and
//! `device` the pages on which a user is chosen, `tokens` what a token says.

mod accounts;
mod authorize;
mod codes;
mod device;
mod http;
mod oauth_error;
mod page;
mod parameters;
mod scope;
mod store;
mod token_endpoint;
mod tokens;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jsonwebtoken::EncodingKey;
use jsonwebtoken::jwk::JwkSet;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use accounts::Secrets;
use codes::{Codes, Lifetimes};
use device::Devices;
pub use http::router;
pub use store::StoreError;
use token_endpoint::Refreshable;
use tokens::{Signer, Version};

/// The emulator's tenant; always the same, so that clients' settings stay good.
pub const TENANT: Uuid = Uuid::from_u128(0x8f1f_3c52_6d0e_4b7a_9c35_2e64_d1a7_b9f0);

/// How long a token lives unless asked otherwise.
pub const DEFAULT_LIFETIME: Duration = Duration::from_secs(3600);

/// Settings of the development issuer.
#[derive(Clone, Debug)]
pub struct DevIssuerConfig {
    /// The emulator's data directory; the issuer keeps to `issuer/` in it.
    pub data_dir: PathBuf,
    /// `http://HOST:PORT` of the organization: the audience of tokens, and where the issuer's
    /// documents are.
    pub organization_url: String,
}

/// The development issuer. Cheap to clone.
#[derive(Clone)]
pub struct DevIssuer(Arc<State>);

struct State {
    config: DevIssuerConfig,
    signer: Signer,
    jwks: JwkSet,
    secrets: Secrets,
    accounts: ArcSwap<Vec<Account>>,
    /// What is asked for on a page that a user has open.
    pages: Codes<authorize::Request>,
    codes: Codes<authorize::Code>,
    devices: Devices,
    refreshables: Codes<Refreshable>,
}

/// A user that may get tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Account {
    /// Sign-in name.
    pub(crate) name: String,
    /// For people.
    pub(crate) display_name: String,
    /// Becomes `oid`.
    pub(crate) object_id: Uuid,
    /// The client id of an application user. Such a one signs in with its secret, and nobody else
    /// as it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) application_id: Option<String>,
}

/// A token could not be minted.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// There is no issuer in the data directory.
    #[error("no emulator has been started in {}; run `tombolo dev` first", .0.display())]
    NeverStarted(PathBuf),
    /// Nobody of this name is known.
    #[error("there is no user `{user}`; there are: {}", known.join(", "))]
    UnknownUser {
        /// Who was asked for.
        user: String,
        /// Everybody there is.
        known: Vec<String>,
    },
    /// The issuer's files cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The token could not be signed.
    #[error("could not sign the token: {0}")]
    Sign(#[from] jsonwebtoken::errors::Error),
}

/// `issuer.json`: what [`mint`] needs to know of the emulator that ran last, and what a developer
/// needs to sign applications in.
#[derive(Serialize, Deserialize)]
struct Description {
    issuer: String,
    tenant: Uuid,
    audience: String,
    users: Vec<Described>,
}

#[derive(Serialize, Deserialize)]
struct Described {
    #[serde(flatten)]
    account: Account,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
}

// === impl DevIssuer ===

impl std::fmt::Debug for DevIssuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("DevIssuer").field(&self.0.config).finish()
    }
}

impl DevIssuer {
    /// Reads the issuer's key and secrets, or makes them the first time, and describes the issuer
    /// for [`mint`].
    ///
    /// # Errors
    ///
    /// When the files cannot be read or written.
    pub(crate) fn open(config: DevIssuerConfig, accounts: &[Account]) -> Result<Self, StoreError> {
        Self::open_with(config, accounts, Lifetimes::default())
    }

    fn open_with(
        config: DevIssuerConfig,
        accounts: &[Account],
        lifetimes: Lifetimes,
    ) -> Result<Self, StoreError> {
        let signer = signer(&config.data_dir, store::open_key(&config.data_dir)?)?;
        let issuer = Self(Arc::new(State {
            jwks: JwkSet { keys: vec![signer.public_key().clone()] },
            signer,
            secrets: Secrets::open(&config.data_dir)?,
            accounts: ArcSwap::default(),
            pages: Codes::new(lifetimes.code),
            codes: Codes::new(lifetimes.code),
            devices: Devices::new(lifetimes.device),
            refreshables: Codes::new(lifetimes.refresh),
            config,
        }));
        issuer.describe(accounts)?;
        Ok(issuer)
    }

    /// From now on these are the users, and written down as those who may be asked for.
    pub(crate) fn describe(&self, accounts: &[Account]) -> Result<(), StoreError> {
        self.0.accounts.store(Arc::new(accounts.to_vec()));
        let described = |account: &Account| Described {
            client_secret: account.application_id.as_deref().map(|it| self.0.secrets.of(it)),
            account: account.clone(),
        };
        let description = Description {
            issuer: self.issuer(),
            tenant: TENANT,
            audience: self.organization_url().to_owned(),
            users: accounts.iter().map(described).collect(),
        };
        store::write_description(&self.0.config.data_dir, &description)
    }

    /// As in the tokens' `iss`.
    #[must_use]
    pub fn issuer(&self) -> String {
        Version::V2.issuer_at(self.organization_url())
    }

    /// Where clients are told to authorize; they read the tenant out of it.
    #[must_use]
    pub fn authorization_uri(&self) -> String {
        format!("{}/{TENANT}/oauth2/authorize", self.organization_url())
    }

    pub(crate) fn jwks(&self) -> &JwkSet {
        &self.0.jwks
    }

    fn organization_url(&self) -> &str {
        self.0.config.organization_url.trim_end_matches('/')
    }
}

/// A token of this user for the emulator of this data directory.
///
/// # Errors
///
/// When no emulator has been started there, or it has no such user.
pub fn mint(data_dir: &Path, user: &str, lifetime: Duration) -> Result<String, MintError> {
    let Some(description) = store::read_description(data_dir)? else {
        return Err(MintError::NeverStarted(data_dir.into()));
    };
    let named = |it: &&Described| it.account.name.eq_ignore_ascii_case(user);
    let Some(Described { account, .. }) = description.users.iter().find(named) else {
        let known = description.users.into_iter().map(|it| it.account.name).collect();
        return Err(MintError::UnknownUser { user: user.into(), known });
    };
    let Some(key) = store::read_key(data_dir)? else {
        return Err(MintError::NeverStarted(data_dir.into()));
    };
    let access = tokens::Access {
        version: Version::V2,
        resource: &description.audience,
        account,
        client_id: account.application_id.as_deref(),
        with_secret: account.application_id.is_some(),
        lifetime,
    };
    Ok(signer(data_dir, key)?.access_token(&access)?)
}

/// Whether this can be the name of a development issuer, at whatever host and port.
pub(crate) fn is_issuer(name: &str) -> bool {
    Version::ALL.into_iter().any(|it| name.ends_with(&it.issuer_at("")))
}

/// Whether the issuer of this name is the one of the organization at this URL.
pub(crate) fn issues_for(issuer: &str, organization_url: &str) -> bool {
    Version::ALL.into_iter().any(|it| it.issuer_at(organization_url) == issuer)
}

fn signer(data_dir: &Path, key: EncodingKey) -> Result<Signer, StoreError> {
    Signer::new(key).map_err(|error| store::bad_key(data_dir, &error))
}

#[cfg(test)]
mod endpoint_tests;

#[cfg(test)]
mod tests {
    use super::*;

    fn open(dir: &Path, url: &str) -> DevIssuer {
        let config = DevIssuerConfig { data_dir: dir.into(), organization_url: url.into() };
        let admin = Account {
            name: "admin".into(),
            display_name: "Administrator".into(),
            object_id: Uuid::from_u128(1),
            application_id: None,
        };
        let application = Account {
            name: "importer".into(),
            object_id: Uuid::from_u128(2),
            application_id: Some(Uuid::from_u128(3).to_string()),
            ..admin.clone()
        };
        DevIssuer::open(config, &[admin, application]).unwrap()
    }

    #[test]
    fn keys_and_secrets_are_made_once_and_are_the_owners_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let first = open(dir.path(), "http://localhost:1/");
        let described = std::fs::read_to_string(dir.path().join("issuer/issuer.json")).unwrap();
        let second = open(dir.path(), "http://localhost:2");
        assert_eq!(first.jwks(), second.jwks());
        assert_eq!(first.issuer(), format!("http://localhost:1/{TENANT}/v2.0"));
        let secret = first.0.secrets.of("some-application");
        assert_eq!(second.0.secrets.of("some-application"), secret);
        assert_ne!(second.0.secrets.of("other-application"), secret);
        assert!(described.contains(&first.0.secrets.of(&Uuid::from_u128(3).to_string())));
        assert!(!format!("{first:?}").contains("secret"), "{first:?}");
        let mode = |path: &str| {
            std::fs::metadata(dir.path().join(path)).unwrap().permissions().mode() & 0o777
        };
        assert_eq!(mode("issuer"), 0o700);
        for file in ["key.pem", "issuer.json", "password", "client-secret.key"] {
            assert_eq!(mode(&format!("issuer/{file}")), 0o600, "{file}");
        }
    }

    #[test]
    fn minting_says_what_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let error = mint(dir.path(), "admin", DEFAULT_LIFETIME).unwrap_err();
        assert!(error.to_string().contains("run `tombolo dev` first"), "{error}");
        open(dir.path(), "http://localhost:1");
        let error = mint(dir.path(), "nobody", DEFAULT_LIFETIME).unwrap_err();
        assert_eq!(error.to_string(), "there is no user `nobody`; there are: admin, importer");
        std::fs::write(dir.path().join("issuer/key.pem"), "junk").unwrap();
        let error = mint(dir.path(), "admin", DEFAULT_LIFETIME).unwrap_err();
        assert!(error.to_string().contains("key.pem"), "{error}");
    }

    #[test]
    fn an_empty_password_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let issuer = open(dir.path(), "http://localhost:1");
        let config = issuer.0.config.clone();
        std::fs::write(dir.path().join("issuer/password"), "\n").unwrap();
        let error = DevIssuer::open(config, &[]).unwrap_err();
        assert!(error.to_string().contains("password is damaged (it is empty)"), "{error}");
    }
}
