//! The local emulator's issuer of tokens: a key in the data directory, the two documents that
//! describe it over HTTP, and [`mint`], which needs no running server.
//!
//! Whoever can read the data directory can be any user; that is what `tombolo dev` is for, and why
//! the key is readable by its owner only.

mod store;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::routing::get;
use axum::{Json, Router};
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::users::Users;
pub use store::StoreError;

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
#[derive(Clone, Debug)]
pub struct DevIssuer {
    config: DevIssuerConfig,
    jwks: JwkSet,
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

/// `issuer.json`: what [`mint`] needs to know of the emulator that ran last.
#[derive(Serialize, Deserialize)]
struct Description {
    issuer: String,
    tenant: Uuid,
    audience: String,
    users: Vec<Subject>,
}

#[derive(Serialize, Deserialize)]
struct Subject {
    name: String,
    display_name: String,
    object_id: Uuid,
}

#[derive(Serialize)]
struct Claims<'a> {
    ver: &'static str,
    iss: &'a str,
    aud: &'a str,
    iat: u64,
    nbf: u64,
    exp: u64,
    tid: Uuid,
    oid: Uuid,
    sub: Uuid,
    name: &'a str,
    preferred_username: &'a str,
}

// === impl DevIssuer ===

impl DevIssuer {
    /// Reads the issuer's key, or makes it the first time, and describes the issuer for [`mint`].
    ///
    /// # Errors
    ///
    /// When the files cannot be read or written.
    pub fn open(config: DevIssuerConfig, users: &Users) -> Result<Self, StoreError> {
        let key = store::open_key(&config.data_dir)?;
        let jwk = public_key(&key).map_err(|error| store::bad_key(&config.data_dir, &error))?;
        let issuer = Self { config, jwks: JwkSet { keys: vec![jwk] } };
        issuer.describe(users)?;
        Ok(issuer)
    }

    /// Writes down who may be asked for.
    pub(crate) fn describe(&self, users: &Users) -> Result<(), StoreError> {
        let subject = |name: &str, display_name: &str, object_id| Subject {
            name: name.to_owned(),
            display_name: display_name.to_owned(),
            object_id,
        };
        let description = Description {
            issuer: self.issuer(),
            tenant: TENANT,
            audience: self.organization_url().to_owned(),
            users: users
                .iter()
                .map(|it| subject(&it.name, &it.display_name, it.object_id))
                .collect(),
        };
        store::write_description(&self.config.data_dir, &description)
    }

    /// As in the tokens' `iss`.
    #[must_use]
    pub fn issuer(&self) -> String {
        issuer_at(self.organization_url())
    }

    /// Where clients are told to authorize; they read the tenant out of it.
    #[must_use]
    pub fn authorization_uri(&self) -> String {
        format!("{}/{TENANT}/oauth2/authorize", self.organization_url())
    }

    pub(crate) fn jwks(&self) -> &JwkSet {
        &self.jwks
    }

    fn organization_url(&self) -> &str {
        self.config.organization_url.trim_end_matches('/')
    }
}

/// The issuer's documents, to be merged into the organization's HTTP server.
pub fn router(issuer: &DevIssuer) -> Router {
    let keys_path = format!("/{TENANT}/discovery/v2.0/keys");
    let discovery = json!({
        "issuer": issuer.issuer(),
        "jwks_uri": format!("{}{keys_path}", issuer.organization_url()),
        "id_token_signing_alg_values_supported": ["RS256"],
        "subject_types_supported": ["pairwise"],
    });
    let jwks = issuer.jwks.clone();
    Router::new()
        .route(
            &format!("/{TENANT}/v2.0/.well-known/openid-configuration"),
            get(async move || Json(discovery.clone())),
        )
        .route(&keys_path, get(async move || Json(jwks.clone())))
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
    let Some(subject) = description.users.iter().find(|it| it.name.eq_ignore_ascii_case(user))
    else {
        let known = description.users.into_iter().map(|it| it.name).collect();
        return Err(MintError::UnknownUser { user: user.into(), known });
    };
    let Some(key) = store::read_key(data_dir)? else {
        return Err(MintError::NeverStarted(data_dir.into()));
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let claims = Claims {
        ver: "2.0",
        iss: &description.issuer,
        aud: &description.audience,
        iat: now,
        nbf: now,
        exp: now.saturating_add(lifetime.as_secs()),
        tid: description.tenant,
        oid: subject.object_id,
        sub: subject.object_id,
        name: &subject.display_name,
        preferred_username: &subject.name,
    };
    let mut header = Header::new(Algorithm::RS256);
    header.kid = public_key(&key)?.common.key_id;
    Ok(jsonwebtoken::encode(&header, &claims, &key)?)
}

/// The issuer of an organization at this URL.
pub(crate) fn issuer_at(organization_url: &str) -> String {
    format!("{organization_url}/{TENANT}/v2.0")
}

/// Whether this can be the name of a development issuer, at whatever host and port.
pub(crate) fn is_issuer(name: &str) -> bool {
    name.ends_with(&issuer_at(""))
}

fn public_key(key: &EncodingKey) -> Result<Jwk, jsonwebtoken::errors::Error> {
    let mut jwk = Jwk::from_encoding_key(key, Algorithm::RS256)?;
    jwk.common.key_id = Some(jwk.thumbprint(ThumbprintHash::SHA256)?);
    jwk.common.public_key_use = Some(PublicKeyUse::Signature);
    Ok(jwk)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(dir: &Path, url: &str) -> DevIssuer {
        let config = DevIssuerConfig { data_dir: dir.into(), organization_url: url.into() };
        DevIssuer::open(config, &Users::load(None).unwrap()).unwrap()
    }

    #[test]
    fn the_key_is_made_once_and_is_the_owners_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let first = open(dir.path(), "http://localhost:1/");
        let second = open(dir.path(), "http://localhost:2");
        assert_eq!(first.jwks(), second.jwks());
        assert_eq!(first.issuer(), format!("http://localhost:1/{TENANT}/v2.0"));
        let mode = |path: &str| {
            std::fs::metadata(dir.path().join(path)).unwrap().permissions().mode() & 0o777
        };
        assert_eq!((mode("issuer"), mode("issuer/key.pem")), (0o700, 0o600));
    }

    #[test]
    fn minting_says_what_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let error = mint(dir.path(), "admin", DEFAULT_LIFETIME).unwrap_err();
        assert!(error.to_string().contains("run `tombolo dev` first"), "{error}");
        open(dir.path(), "http://localhost:1");
        let error = mint(dir.path(), "nobody", DEFAULT_LIFETIME).unwrap_err();
        assert_eq!(error.to_string(), "there is no user `nobody`; there are: admin");
        std::fs::write(dir.path().join("issuer/key.pem"), "junk").unwrap();
        let error = mint(dir.path(), "admin", DEFAULT_LIFETIME).unwrap_err();
        assert!(error.to_string().contains("key.pem"), "{error}");
    }
}
