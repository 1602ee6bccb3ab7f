//! Services prove to each other that they belong to one environment, by a token signed with the
//! secret that the environment's services share.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use http::HeaderValue;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

const AUDIENCE: &str = "tombolo-services";
const LIFETIME: Duration = Duration::from_secs(300);
/// A token is replaced this long before it expires, so that none expires on its way.
const RENEW_BEFORE: Duration = Duration::from_secs(120);

/// The secret that an environment's services share.
#[derive(Clone)]
pub struct ServiceKey {
    encoding: EncodingKey,
    decoding: DecodingKey,
}

/// A service that calls others: its name and a fresh token.
#[derive(Clone, Debug)]
pub struct ServiceIdentity {
    name: &'static str,
    key: ServiceKey,
    current: Arc<ArcSwap<Token>>,
}

#[derive(Debug)]
struct Token {
    header: HeaderValue,
    renew_at: u64,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    exp: u64,
}

// === impl ServiceKey ===

impl ServiceKey {
    /// From the shared secret; 32 random bytes are enough.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        Self {
            encoding: EncodingKey::from_secret(secret),
            decoding: DecodingKey::from_secret(secret),
        }
    }

    /// The name of the service that sent this token, if it is one of ours and still valid.
    #[must_use]
    pub fn verify(&self, token: &str) -> Option<String> {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "aud", "iss"]);
        let data = jsonwebtoken::decode::<Claims>(token, &self.decoding, &validation).ok()?;
        Some(data.claims.iss)
    }

    fn issue(&self, name: &str, now: u64) -> Token {
        let claims =
            Claims { iss: name.into(), aud: AUDIENCE.into(), exp: now + LIFETIME.as_secs() };
        let header = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.encoding)
            .ok()
            .and_then(|it| HeaderValue::try_from(format!("Bearer {it}")).ok());
        // Without a token the callee refuses the call, which is the truth of the matter.
        let header = header.unwrap_or_else(|| HeaderValue::from_static("Bearer"));
        Token { header, renew_at: now + (LIFETIME - RENEW_BEFORE).as_secs() }
    }
}

impl std::fmt::Debug for ServiceKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServiceKey(..)")
    }
}

// === impl ServiceIdentity ===

impl ServiceIdentity {
    /// The named service, as one that holds `key`.
    #[must_use]
    pub fn new(name: &'static str, key: ServiceKey) -> Self {
        let token = key.issue(name, now());
        Self { name, key, current: Arc::new(ArcSwap::from_pointee(token)) }
    }

    /// The service's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The `authorization` header to call others with.
    pub(crate) fn authorization(&self) -> HeaderValue {
        let now = now();
        let current = self.current.load();
        if current.renew_at > now {
            return current.header.clone();
        }
        let token = Arc::new(self.key.issue(self.name, now));
        self.current.store(Arc::clone(&token));
        token.header.clone()
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_service_to_holders_of_the_same_secret_only() {
        let key = ServiceKey::new(b"secret");
        let identity = ServiceIdentity::new("gateway", key.clone());
        let header = identity.authorization();
        let token = header.to_str().unwrap().strip_prefix("Bearer ").unwrap();
        assert_eq!(key.verify(token).as_deref(), Some("gateway"));
        assert_eq!(ServiceKey::new(b"other").verify(token), None);
        assert_eq!(key.verify(""), None);
    }
}
