//! Bearer tokens: which issuer one claims to be from, whether that is true, and which user or
//! application it names.
//!
//! Nothing of a token's content is ever logged or told to the caller.

mod claims;
mod key_set;
mod remote_keys;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation};
use serde::Deserialize;
use uuid::Uuid;

use crate::config::{Config, IssuerConfig};
use crate::dev_issuer;
use crate::error::{Error, Refusal};
use claims::{Claims, DevClaims};
pub(crate) use key_set::{KeySet, VerifyingKey};
use remote_keys::{Location, RemoteKeys};

/// Real tokens are a few kilobytes; longer ones are not worth parsing.
const LONGEST_TOKEN: usize = 16 * 1024;
/// How far an issuer's clock may be ahead of ours.
const SKEW: Duration = Duration::from_secs(60);

/// The trusted issuers.
#[derive(Debug)]
pub(crate) struct TokenVerifier {
    issuers: Vec<Issuer>,
    dev: Option<KeySet>,
}

/// What a verified token says.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(crate) expires: SystemTime,
    pub(crate) subject: Subject,
}

/// Whose token it is. A person's token never stands for the application that got it, nor the other
/// way round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Person {
        object_id: Option<Uuid>,
        /// Sign-in names, where the issuer may be asked for users by name: the development issuer
        /// alone. Elsewhere names are the issuer's to give away.
        names: Vec<String>,
    },
    /// An application that acts for itself (client credentials).
    Application {
        /// Its client id, in lower case.
        application_id: String,
        /// Of its service principal.
        object_id: Option<Uuid>,
    },
}

/// A configured issuer cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("issuer `{issuer}`: {reason}")]
pub struct IssuerError {
    issuer: String,
    reason: String,
}

#[derive(Debug)]
struct Issuer {
    name: String,
    audiences: Vec<String>,
    tenant: Option<String>,
    keys: Keys,
}

#[derive(Debug)]
enum Keys {
    Inline(KeySet),
    Remote(Arc<RemoteKeys>),
}

/// Read before anything is verified, only to know whose key to verify with.
#[derive(Deserialize)]
struct Unverified {
    iss: String,
}

// === impl TokenVerifier ===

impl TokenVerifier {
    /// For the configured issuers, and the development issuer if its key is given.
    pub(crate) fn new(config: &Config, dev: Option<KeySet>) -> Result<Self, IssuerError> {
        let refetch = Duration::from_secs(config.key_refetch_seconds);
        let issuers = config.issuers.iter().map(|it| Issuer::new(it, refetch));
        Ok(Self { issuers: issuers.collect::<Result<_, _>>()?, dev })
    }

    pub(crate) async fn verify(&self, token: &str) -> Result<Verified, Error> {
        if token.is_empty() {
            return Err(Refusal::Empty.into());
        }
        if token.len() > LONGEST_TOKEN {
            return Err(Refusal::TooLong.into());
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| Refusal::Malformed)?;
        // Refused before anything is fetched for its sake.
        if !matches!(header.alg, Algorithm::RS256 | Algorithm::PS256 | Algorithm::ES256) {
            return Err(Refusal::Algorithm.into());
        }
        // What must be understood is not (RFC 7515, 4.1.11).
        if header.crit.is_some() {
            return Err(Refusal::Malformed.into());
        }
        let key_id = header.kid.ok_or(Refusal::Malformed)?;
        let unverified: Unverified = jsonwebtoken::dangerous::insecure_decode_claims(token)
            .map_err(|_| Refusal::Malformed)?;
        if let Some(issuer) = self.issuers.iter().find(|it| it.name == unverified.iss) {
            return issuer.verify(token, &key_id).await;
        }
        match &self.dev {
            Some(keys) if dev_issuer::is_issuer(&unverified.iss) => {
                Ok(verify_dev(keys, token, &key_id)?)
            }
            Some(_) | None => Err(Refusal::UnknownIssuer.into()),
        }
    }
}

// === impl Issuer ===

impl Issuer {
    fn new(config: &IssuerConfig, refetch: Duration) -> Result<Self, IssuerError> {
        let name = &config.issuer;
        let wrong = |reason: String| IssuerError { issuer: name.clone(), reason };
        if config.audiences.is_empty() {
            return Err(wrong("`audiences` is empty, so no token could be accepted".into()));
        }
        let remote = |location| {
            RemoteKeys::new(location, refetch)
                .map(|it| Keys::Remote(Arc::new(it)))
                .map_err(|error| wrong(error.to_string()))
        };
        let keys = match (&config.jwks, &config.jwks_url) {
            (Some(_), Some(_)) => {
                return Err(wrong("give `jwks` or `jwks_url`, not both".into()));
            }
            (Some(jwks), None) => {
                Keys::Inline(KeySet::parse(jwks).map_err(|error| wrong(error.to_string()))?)
            }
            (None, Some(url)) => remote(Location::Keys(url.clone()))?,
            (None, None) => remote(Location::Discovery(name.clone()))?,
        };
        // Clients ask for the organization's URL with and without its last slash.
        let audiences = config.audiences.iter().flat_map(|it| {
            let bare = it.trim_end_matches('/');
            [bare.to_owned(), format!("{bare}/")]
        });
        Ok(Self {
            name: name.clone(),
            audiences: audiences.collect(),
            tenant: config.tenant.clone().or_else(|| tenant_of(name)),
            keys,
        })
    }

    async fn verify(&self, token: &str, key_id: &str) -> Result<Verified, Error> {
        let key = match &self.keys {
            Keys::Inline(keys) => keys.find(key_id).ok_or(Refusal::UnknownKey)?,
            Keys::Remote(keys) => keys.find(key_id).await?,
        };
        let mut validation = validation(&key);
        validation.set_audience(&self.audiences);
        validation.set_issuer(&[&self.name]);
        let claims: Claims = decode(token, &key, &validation)?;
        if self.tenant.as_deref().is_some_and(|it| !claims.is_of_tenant(it)) {
            return Err(Refusal::Tenant.into());
        }
        Ok(Verified { expires: claims.expires()?, subject: claims.subject(false)? })
    }
}

/// The GUID among the segments of an issuer's URL.
fn tenant_of(issuer: &str) -> Option<String> {
    let guid = issuer.split('/').find(|it| Uuid::try_parse(it).is_ok());
    guid.map(str::to_owned)
}

/// The development issuer's tokens are tied to this data directory by its key and the tenant, not by
/// host and port: those may differ between two runs of `tombolo dev`, and a token minted before must
/// stay good. So the audience is held against the issuer's own host, where the organization was.
fn verify_dev(keys: &KeySet, token: &str, key_id: &str) -> Result<Verified, Refusal> {
    let key = keys.find(key_id).ok_or(Refusal::UnknownKey)?;
    let mut validation = validation(&key);
    validation.validate_aud = false;
    let DevClaims { aud, claims } = decode(token, &key, &validation)?;
    if !dev_issuer::issues_for(&claims.iss, aud.trim_end_matches('/')) {
        return Err(Refusal::Audience);
    }
    if !claims.is_of_tenant(&dev_issuer::TENANT.to_string()) {
        return Err(Refusal::Tenant);
    }
    Ok(Verified { expires: claims.expires()?, subject: claims.subject(true)? })
}

fn validation(key: &VerifyingKey) -> Validation {
    let mut validation = Validation::default();
    validation.algorithms.clear();
    validation.algorithms.extend(key.algorithms());
    validation.set_required_spec_claims(&["exp", "aud", "iss"]);
    validation.validate_nbf = true;
    validation.leeway = SKEW.as_secs();
    validation
}

fn decode<T: serde::de::DeserializeOwned>(
    token: &str,
    key: &VerifyingKey,
    validation: &Validation,
) -> Result<T, Refusal> {
    jsonwebtoken::decode(token, key.decoding_key(), validation).map(|it| it.claims).map_err(
        |error| match error.kind() {
            ErrorKind::InvalidSignature => Refusal::Signature,
            ErrorKind::InvalidAlgorithm => Refusal::Algorithm,
            ErrorKind::ExpiredSignature => Refusal::Expired,
            ErrorKind::ImmatureSignature => Refusal::NotYet,
            ErrorKind::InvalidAudience => Refusal::Audience,
            ErrorKind::InvalidIssuer => Refusal::UnknownIssuer,
            _ => Refusal::Malformed,
        },
    )
}

#[cfg(test)]
mod tests;
