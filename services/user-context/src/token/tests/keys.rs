//! Keys to sign tokens with, and what a good token says.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::jwk::{Jwk, KeyAlgorithm};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

pub(super) const ORGANIZATION: &str = "https://org.example";
pub(super) const OBJECT_ID: &str = "7f2c1a80-53d9-4f4e-8f57-3a8d1f3f0c11";
pub(super) const APPLICATION_ID: &str = "5f0f0a44-4c14-4f3a-9c0a-6e8a33f6a1b0";

/// A key of an issuer.
pub(super) struct IssuerKey {
    pub(super) private: EncodingKey,
    pub(super) id: String,
    pub(super) algorithm: Algorithm,
    /// What its JWK says that it is for.
    pub(super) published: Option<KeyAlgorithm>,
}

impl IssuerKey {
    pub(super) fn rsa(id: &str) -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let body = STANDARD.encode(der.as_ref());
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
        let private = EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap();
        Self { private, id: id.into(), algorithm: Algorithm::RS256, published: None }
    }

    pub(super) fn ec(id: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let der = pair.to_pkcs8v1().unwrap();
        let private = EncodingKey::from_ec_der(der.as_ref());
        Self { private, id: id.into(), algorithm: Algorithm::ES256, published: None }
    }

    pub(super) fn published_for(self, algorithm: KeyAlgorithm) -> Self {
        Self { published: Some(algorithm), ..self }
    }

    pub(super) fn jwk(&self) -> Jwk {
        let mut jwk = Jwk::from_encoding_key(&self.private, self.algorithm).unwrap();
        jwk.common.key_id = Some(self.id.clone());
        jwk.common.key_algorithm = self.published;
        jwk
    }

    pub(super) fn sign(&self, claims: &Value) -> String {
        self.sign_as(self.algorithm, claims)
    }

    pub(super) fn sign_as(&self, algorithm: Algorithm, claims: &Value) -> String {
        let mut header = Header::new(algorithm);
        header.kid = Some(self.id.clone());
        jsonwebtoken::encode(&header, claims, &self.private).unwrap()
    }
}

pub(super) fn jwks(keys: &[&IssuerKey]) -> String {
    let keys: Vec<_> = keys.iter().map(|it| it.jwk()).collect();
    json!({ "keys": keys }).to_string()
}

pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// What a good token of version 2 says.
pub(super) fn claims(issuer: &str) -> Value {
    json!({
        "iss": issuer, "aud": ORGANIZATION, "iat": now(), "nbf": now(), "exp": now() + 3600,
        "oid": OBJECT_ID, "azp": APPLICATION_ID, "scp": "user_impersonation", "ver": "2.0",
        "preferred_username": "clerk@contoso.example",
    })
}

/// `claims` with some of them replaced, or removed by a null.
pub(super) fn with(mut claims: Value, changes: Value) -> Value {
    let (Value::Object(all), Value::Object(changes)) = (&mut claims, changes) else {
        panic!("claims are objects")
    };
    for (name, value) in changes {
        if value.is_null() {
            all.remove(&name)
        } else {
            all.insert(name, value)
        };
    }
    claims
}
