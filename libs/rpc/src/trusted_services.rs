//! The services of an environment by their public keys, and whether a token is one of theirs.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::keys::SigningKey;
use crate::service_token::{Claims, LIFETIME, now};

/// Verified tokens kept, so that a signature is checked once and not per call.
const CACHED_TOKENS: u64 = 1_000;
/// Ours have some 350 bytes; what is longer is not worth reading.
const MAX_TOKEN_BYTES: usize = 1_024;
/// Seconds by which the clocks of two services may differ.
const LEEWAY: u64 = 5;

/// The public keys of an environment's services. A service may have several, so that one can follow
/// another.
#[derive(Debug)]
pub struct TrustedServices {
    keys: ArcSwap<HashMap<String, TrustedKey>>,
    seen: moka::sync::Cache<[u8; 32], Seen>,
}

#[derive(Clone)]
struct TrustedKey {
    service: Arc<str>,
    key: DecodingKey,
}

/// A token whose signature was checked.
#[derive(Clone, Debug)]
struct Seen {
    key_id: Arc<str>,
    service: Arc<str>,
    audience: Arc<str>,
    expires: u64,
}

/// The file of an environment's services: a JSON Web Key Set (RFC 7517) whose keys also say whose they
/// are, in the member `tombolo_service`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct ServiceKeySet {
    keys: Vec<ServiceKey>,
}

#[derive(Debug, Serialize, Deserialize)]
struct ServiceKey {
    tombolo_service: String,
    #[serde(flatten)]
    jwk: Jwk,
}

/// A file of services that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ServiceKeyError {
    /// Not a key set whose keys name their services.
    #[error("not a JSON Web Key Set whose keys have a `tombolo_service`: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A key of another kind, or damaged.
    #[error("the key of `{0}` is not an Ed25519 key")]
    Unusable(String),
    /// One key, and two services that could sign with it.
    #[error("`{0}` and `{1}` have the same key; each needs its own")]
    Shared(String, String),
}

// === impl ServiceKeySet ===

impl ServiceKeySet {
    /// Adds the public half of a service's key.
    pub fn add(&mut self, service: &str, key: &SigningKey) {
        let tombolo_service = service.to_owned();
        self.keys.push(ServiceKey { tombolo_service, jwk: key.jwk().clone() });
    }

    /// Reads what [`Self::to_json`] wrote.
    ///
    /// # Errors
    ///
    /// When the text is something else.
    pub fn from_json(text: &str) -> Result<Self, ServiceKeyError> {
        Ok(serde_json::from_str(text)?)
    }

    /// The file's text.
    ///
    /// # Errors
    ///
    /// Never for keys that were added.
    pub fn to_json(&self) -> Result<String, ServiceKeyError> {
        Ok(serde_json::to_string_pretty(self)?)
    }
}

// === impl TrustedServices ===

impl TrustedServices {
    /// Trusts nobody's token: for servers whose callers show certificates.
    #[must_use]
    pub fn none() -> Self {
        let seen = moka::sync::Cache::builder().max_capacity(CACHED_TOKENS).build();
        Self { keys: ArcSwap::default(), seen }
    }

    /// Trusts these keys.
    ///
    /// # Errors
    ///
    /// When one of them cannot be used.
    pub fn of(set: &ServiceKeySet) -> Result<Self, ServiceKeyError> {
        let trusted = Self::none();
        trusted.replace(set)?;
        Ok(trusted)
    }

    /// Trusts exactly these keys from now on; tokens of others are refused at once.
    ///
    /// # Errors
    ///
    /// When one of them cannot be used; nothing has changed then.
    pub fn replace(&self, set: &ServiceKeySet) -> Result<(), ServiceKeyError> {
        let mut keys = HashMap::<String, TrustedKey>::new();
        for ServiceKey { tombolo_service: service, jwk } in &set.keys {
            let (id, key) =
                usable(jwk).ok_or_else(|| ServiceKeyError::Unusable(service.clone()))?;
            let trusted = TrustedKey { service: service.as_str().into(), key };
            if let Some(other) = keys.insert(id, trusted)
                && *other.service != **service
            {
                return Err(ServiceKeyError::Shared(other.service.to_string(), service.clone()));
            }
        }
        self.keys.store(Arc::new(keys));
        Ok(())
    }

    /// Whether this is a key of that service.
    #[must_use]
    pub fn knows(&self, service: &str, key: &SigningKey) -> bool {
        self.keys.load().get(key.key_id()).is_some_and(|it| *it.service == *service)
    }

    /// The service that made this token for `callee`, if the token is to be believed.
    ///
    /// An unknown key costs a hash and a look-up; nothing is remembered of tokens that are refused.
    #[must_use]
    pub fn verify(&self, token: &str, callee: &str) -> Option<Arc<str>> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let seen = match self.seen.get(&digest) {
            Some(seen) => seen,
            None => {
                let seen = self.decode(token, callee)?;
                self.seen.insert(digest, seen.clone());
                seen
            }
        };
        // Its key may have gone since, even while its signature was checked.
        let keys = self.keys.load();
        let trusted = keys.get(&*seen.key_id).is_some_and(|it| it.service == seen.service);
        (trusted && *seen.audience == *callee && seen.expires > now()).then_some(seen.service)
    }

    fn decode(&self, token: &str, callee: &str) -> Option<Seen> {
        let key_id = jsonwebtoken::decode_header(token).ok()?.kid?;
        let keys = self.keys.load();
        let trusted = keys.get(&key_id)?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&[callee]);
        validation.set_issuer(&[&*trusted.service]);
        validation.set_required_spec_claims(&["exp", "aud", "iss"]);
        validation.leeway = 0;
        let claims = jsonwebtoken::decode::<Claims>(token, &trusted.key, &validation).ok()?.claims;
        let (lives, now) = (claims.exp.checked_sub(claims.iat)?, now());
        let in_time = claims.iat <= now.saturating_add(LEEWAY) && claims.exp > now;
        let made_well = in_time && lives <= LIFETIME.as_secs();
        made_well.then(|| Seen {
            key_id: key_id.into(),
            service: Arc::clone(&trusted.service),
            audience: claims.aud.into(),
            expires: claims.exp,
        })
    }

    #[cfg(test)]
    pub(crate) fn remembered(&self) -> u64 {
        self.seen.run_pending_tasks();
        self.seen.entry_count()
    }
}

impl std::fmt::Debug for TrustedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrustedKey").field("service", &self.service).finish_non_exhaustive()
    }
}

/// The key with its id, which is computed and not believed: it decides whose name may be used.
fn usable(jwk: &Jwk) -> Option<(String, DecodingKey)> {
    let AlgorithmParameters::OctetKeyPair(parameters) = &jwk.algorithm else { return None };
    if parameters.curve != EllipticCurve::Ed25519 {
        return None;
    }
    Some((jwk.thumbprint(ThumbprintHash::SHA256).ok()?, DecodingKey::from_jwk(jwk).ok()?))
}

#[cfg(test)]
mod tests;
