//! Tokens that nobody but a test would sign.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

const KEY_ID: &str = "test";
const LIFETIME: Duration = Duration::from_secs(3_600);

/// An issuer that a deployment may be told to believe.
pub struct Issuer {
    /// As in `iss`.
    pub name: &'static str,
    key: EncodingKey,
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Issuer {
    /// With a new key.
    pub fn new(name: &'static str) -> Result<Self> {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)?;
        Ok(Self { name, key: EncodingKey::from_ec_der(key.as_ref()) })
    }

    /// Its keys as a JSON Web Key Set.
    pub fn jwks(&self) -> Result<String> {
        let mut key = Jwk::from_encoding_key(&self.key, Algorithm::ES256)?;
        key.common.key_id = Some(KEY_ID.to_owned());
        Ok(json!({ "keys": [key] }).to_string())
    }

    /// A token of a user, by directory object id.
    pub fn token(&self, audience: &str, object_id: &str) -> Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let claims = json!({
            "ver": "2.0", "iss": self.name, "aud": audience, "iat": now, "nbf": now,
            "exp": now + LIFETIME.as_secs(), "oid": object_id,
        });
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(KEY_ID.to_owned());
        Ok(jsonwebtoken::encode(&header, &claims, &self.key)?)
    }
}

/// What a token says.
pub fn claims(token: &str) -> Result<Value> {
    let claims = token.split('.').nth(1).context("not a token")?;
    Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims)?)?)
}

/// The same token with other claims, signed with this key (RSA, PEM).
pub fn remint(token: &str, key: &[u8], change: &dyn Fn(&mut Value)) -> Result<String> {
    let header = jsonwebtoken::decode_header(token)?;
    let mut claims = claims(token)?;
    change(&mut claims);
    Ok(jsonwebtoken::encode(&header, &claims, &EncodingKey::from_rsa_pem(key)?)?)
}
