//! Ed25519 keys that sign what services tell each other.

use aws_lc_rs::signature::Ed25519KeyPair;
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use serde::Serialize;

/// A private Ed25519 key with its key id.
#[derive(Clone)]
pub struct SigningKey {
    encoding: EncodingKey,
    jwk: Jwk,
    key_id: String,
}

/// A key could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The random source failed.
    #[error("could not generate a key")]
    Generate,
    /// The bytes are not an Ed25519 key in PKCS#8.
    #[error("not an Ed25519 key in PKCS#8: {0}")]
    Malformed(#[from] jsonwebtoken::errors::Error),
}

impl SigningKey {
    /// Makes a new key; returns it with its PKCS#8 bytes, to be kept secret.
    ///
    /// # Errors
    ///
    /// When the system's random source fails.
    pub fn generate() -> Result<(Self, Vec<u8>), KeyError> {
        let pair = Ed25519KeyPair::generate().map_err(|_| KeyError::Generate)?;
        let document = pair.to_pkcs8v1().map_err(|_| KeyError::Generate)?;
        let bytes = document.as_ref().to_vec();
        Ok((Self::from_pkcs8(&bytes)?, bytes))
    }

    /// Reads what [`Self::generate`] returned.
    ///
    /// # Errors
    ///
    /// When the bytes are something else.
    pub fn from_pkcs8(bytes: &[u8]) -> Result<Self, KeyError> {
        let encoding = EncodingKey::from_ed_der(bytes);
        let mut jwk = Jwk::from_encoding_key(&encoding, Algorithm::EdDSA)?;
        let key_id = jwk.thumbprint(ThumbprintHash::SHA256)?;
        jwk.common.key_id = Some(key_id.clone());
        Ok(Self { encoding, jwk, key_id })
    }

    /// What tokens name the key by: the SHA-256 thumbprint of its public half (RFC 7638).
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The public half.
    #[must_use]
    pub fn jwk(&self) -> &Jwk {
        &self.jwk
    }

    /// The public half, to verify with.
    ///
    /// # Errors
    ///
    /// Never for a key that [`Self::from_pkcs8`] accepted.
    pub fn decoding_key(&self) -> Result<DecodingKey, KeyError> {
        Ok(DecodingKey::from_jwk(&self.jwk)?)
    }

    /// Signs claims as a JSON Web Token that names this key.
    ///
    /// # Errors
    ///
    /// When the claims cannot be written as JSON.
    pub fn sign(&self, claims: &impl Serialize) -> Result<String, KeyError> {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(self.key_id.clone());
        Ok(jsonwebtoken::encode(&header, claims, &self.encoding)?)
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}
