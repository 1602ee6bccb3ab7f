//! Bearer tokens: which issuer one claims to be from, whether that is true, and which user it names.
//!
//! Nothing of a token's content is ever logged or told to the caller.

mod key_set;
mod remote_keys;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::Validation;
use jsonwebtoken::errors::ErrorKind;
use serde::Deserialize;
use uuid::Uuid;

use crate::config::{Config, IssuerConfig};
use crate::dev_issuer;
use crate::error::{Error, Refusal};
use crate::users::{User, Users};
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
    object_id: Option<Uuid>,
    /// Sign-in names, where the issuer may be asked for users by name.
    names: Vec<String>,
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

/// Of tokens of version 1 (`upn`, `unique_name`) and of version 2 (`preferred_username`). The
/// calling application (`appid`, `azp`) is not read: it has no rights of its own.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    exp: f64,
    oid: Option<String>,
    preferred_username: Option<String>,
    upn: Option<String>,
    unique_name: Option<String>,
}

/// The one audience of a token of the development issuer.
#[derive(Deserialize)]
struct DevClaims {
    aud: String,
    #[serde(flatten)]
    claims: Claims,
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
        Ok(Self { name: name.clone(), audiences: audiences.collect(), keys })
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
        Ok(Verified { names: Vec::new(), ..Verified::new(claims)? })
    }
}

/// The development issuer's tokens are tied to this data directory by its key and the tenant, not by
/// host and port: those may differ between two runs of `tombolo dev`, and a token minted before must
/// stay good. So the audience is held against the issuer's own host, where the organization was.
fn verify_dev(keys: &KeySet, token: &str, key_id: &str) -> Result<Verified, Refusal> {
    let key = keys.find(key_id).ok_or(Refusal::UnknownKey)?;
    let mut validation = validation(&key);
    validation.validate_aud = false;
    let token: DevClaims = decode(token, &key, &validation)?;
    if dev_issuer::issuer_at(token.aud.trim_end_matches('/')) != token.claims.iss {
        return Err(Refusal::Audience);
    }
    Verified::new(token.claims)
}

fn validation(key: &VerifyingKey) -> Validation {
    let mut validation = Validation::new(key.algorithm());
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

// === impl Verified ===

impl Verified {
    /// An assertion never outlives its token, so a token that has just expired is of no use: the
    /// skew is for tokens that begin, not for those that end.
    fn new(claims: Claims) -> Result<Self, Refusal> {
        let expires = Duration::try_from_secs_f64(claims.exp)
            .ok()
            .and_then(|it| UNIX_EPOCH.checked_add(it))
            .ok_or(Refusal::Malformed)?;
        if expires <= SystemTime::now() {
            return Err(Refusal::Expired);
        }
        let names = [claims.preferred_username, claims.upn, claims.unique_name];
        Ok(Self {
            expires,
            object_id: claims.oid.and_then(|it| it.parse().ok()),
            names: names.into_iter().flatten().collect(),
        })
    }

    /// The user behind the token.
    pub(crate) fn user<'a>(&self, users: &'a Users) -> Option<&'a Arc<User>> {
        let by_id = self.object_id.and_then(|it| users.by_object_id(it));
        by_id.or_else(|| self.names.iter().find_map(|it| users.by_name(it)))
    }
}
