//! An issuer's public keys. What a key is for is decided by the key, never by a token.

use std::collections::HashMap;
use std::sync::Arc;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;

/// Keys by their ids.
#[derive(Debug)]
pub(crate) struct KeySet(HashMap<String, Arc<VerifyingKey>>);

/// A public key and what it may have signed with.
#[derive(Debug)]
pub(crate) struct VerifyingKey {
    algorithms: &'static [Algorithm],
    key: DecodingKey,
}

/// A key set that is none, or of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeySetError {
    #[error("not a JSON Web Key Set: {0}")]
    Malformed(#[from] serde_json::Error),
    #[error("the key set has no signature key for RS256, PS256 or ES256")]
    Empty,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

impl KeySet {
    /// Reads a JSON Web Key Set. Keys for other uses and algorithms are passed over: issuers publish
    /// such keys beside the ones that matter here.
    pub(crate) fn parse(jwks: &str) -> Result<Self, KeySetError> {
        let document: Document = serde_json::from_str(jwks)?;
        let keys = document.keys.into_iter().filter_map(|it| {
            let jwk: Jwk = serde_json::from_value(it).ok()?;
            let id = jwk.common.key_id.clone()?;
            Some((id, Arc::new(VerifyingKey::new(&jwk)?)))
        });
        let keys: HashMap<_, _> = keys.collect();
        if keys.is_empty() { Err(KeySetError::Empty) } else { Ok(Self(keys)) }
    }

    pub(crate) fn find(&self, id: &str) -> Option<Arc<VerifyingKey>> {
        self.0.get(id).cloned()
    }
}

impl VerifyingKey {
    fn new(jwk: &Jwk) -> Option<Self> {
        if matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption)) {
            return None;
        }
        let algorithms: &[Algorithm] = match (&jwk.algorithm, jwk.common.key_algorithm) {
            // Many issuers leave the algorithm out; then both that an RSA key can be used with count.
            (AlgorithmParameters::RSA(_), None) => &[Algorithm::RS256, Algorithm::PS256],
            (AlgorithmParameters::RSA(_), Some(KeyAlgorithm::RS256)) => &[Algorithm::RS256],
            (AlgorithmParameters::RSA(_), Some(KeyAlgorithm::PS256)) => &[Algorithm::PS256],
            (AlgorithmParameters::EllipticCurve(curve), None | Some(KeyAlgorithm::ES256))
                if curve.curve == EllipticCurve::P256 =>
            {
                &[Algorithm::ES256]
            }
            _ => return None,
        };
        Some(Self { algorithms, key: DecodingKey::from_jwk(jwk).ok()? })
    }

    pub(crate) fn algorithms(&self) -> &'static [Algorithm] {
        self.algorithms
    }

    pub(crate) fn decoding_key(&self) -> &DecodingKey {
        &self.key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_signature_keys_for_the_three_algorithms_count() {
        let check = |fields: &str, expected: &[Algorithm]| {
            let jwks = format!(r#"{{"keys":[{{"kid":"k",{fields}}}]}}"#);
            let found = KeySet::parse(&jwks).ok().and_then(|it| it.find("k"));
            assert_eq!(found.map_or(&[][..], |it| it.algorithms()), expected, "{fields}");
        };
        let rsa = r#""kty":"RSA","n":"AQAB","e":"AQAB""#;
        check(rsa, &[Algorithm::RS256, Algorithm::PS256]);
        check(&format!(r#"{rsa},"use":"sig""#), &[Algorithm::RS256, Algorithm::PS256]);
        check(&format!(r#"{rsa},"alg":"RS256""#), &[Algorithm::RS256]);
        check(&format!(r#"{rsa},"alg":"PS256""#), &[Algorithm::PS256]);
        check(&format!(r#"{rsa},"alg":"RS512""#), &[]);
        check(&format!(r#"{rsa},"alg":"HS256""#), &[]);
        check(&format!(r#"{rsa},"use":"enc""#), &[]);
        check(r#""kty":"EC","crv":"P-256","x":"AQAB","y":"AQAB""#, &[Algorithm::ES256]);
        check(r#""kty":"EC","crv":"P-256","x":"AQAB","y":"AQAB","alg":"ES384""#, &[]);
        check(r#""kty":"EC","crv":"P-384","x":"AQAB","y":"AQAB""#, &[]);
        check(r#""kty":"oct","k":"AQAB""#, &[]);
        check(r#""kty":"oct","k":"AQAB","alg":"HS256""#, &[]);
        check(r#""kty":"new""#, &[]);
    }

    #[test]
    fn junk_is_not_a_key_set() {
        for junk in ["", "[]", "{}", r#"{"keys":5}"#, r#"{"keys":[]}"#, r#"{"keys":[5]}"#] {
            assert!(KeySet::parse(junk).is_err(), "{junk}");
        }
    }
}
