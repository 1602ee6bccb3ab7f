//! Services prove to each other who they are: each has an Ed25519 key of its own and signs short
//! tokens for one callee at a time. Callees know the public key of every service of the environment,
//! so none can speak in another's name, and a token is of no use to whoever it was not made for.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use http::HeaderValue;
use serde::{Deserialize, Serialize};

use crate::keys::SigningKey;
use crate::tls::MutualTls;

pub(crate) const LIFETIME: Duration = Duration::from_secs(300);
/// A token is replaced this long before it expires, so that none expires on its way.
const RENEW_BEFORE: Duration = Duration::from_secs(120);

/// A service that calls others: its name, and what proves it.
#[derive(Clone, Debug)]
pub struct ServiceIdentity {
    name: Arc<str>,
    proof: Proof,
}

#[derive(Clone, Debug)]
pub(crate) enum Proof {
    /// Signs a token for every callee.
    Key(Arc<SigningKey>),
    /// The connection itself says who calls.
    Certificate(MutualTls),
}

/// The `authorization` header for one callee, renewed before it expires.
#[derive(Debug)]
pub(crate) struct TokenSource {
    name: Arc<str>,
    callee: String,
    key: Arc<SigningKey>,
    current: ArcSwap<Token>,
}

#[derive(Debug)]
struct Token {
    header: HeaderValue,
    renew_at: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Claims {
    pub(crate) iss: String,
    pub(crate) aud: String,
    pub(crate) iat: u64,
    pub(crate) exp: u64,
}

// === impl ServiceIdentity ===

impl ServiceIdentity {
    /// The named service, which signs tokens with its own key.
    #[must_use]
    pub fn new(name: &str, key: SigningKey) -> Self {
        Self { name: name.into(), proof: Proof::Key(Arc::new(key)) }
    }

    /// The named service, whose certificate says who it is: its connections carry no token.
    #[must_use]
    pub fn certified(name: &str, tls: MutualTls) -> Self {
        Self { name: name.into(), proof: Proof::Certificate(tls) }
    }

    /// The service's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn proof(&self) -> &Proof {
        &self.proof
    }

    /// Tokens for `callee`, unless the connection makes them needless.
    pub(crate) fn tokens(&self, callee: &str) -> Option<TokenSource> {
        match &self.proof {
            Proof::Key(key) => {
                Some(TokenSource::new(Arc::clone(&self.name), callee, Arc::clone(key)))
            }
            Proof::Certificate(_) => None,
        }
    }
}

// === impl TokenSource ===

impl TokenSource {
    fn new(name: Arc<str>, callee: &str, key: Arc<SigningKey>) -> Self {
        let current = ArcSwap::from_pointee(issue(&name, callee, &key, now()));
        Self { name, callee: callee.to_owned(), key, current }
    }

    /// The `authorization` header to call with.
    pub(crate) fn authorization(&self) -> HeaderValue {
        let now = now();
        let current = self.current.load();
        if current.renew_at > now {
            return current.header.clone();
        }
        let token = issue(&self.name, &self.callee, &self.key, now);
        let header = token.header.clone();
        self.current.store(Arc::new(token));
        header
    }
}

fn issue(name: &str, callee: &str, key: &SigningKey, now: u64) -> Token {
    let exp = now + LIFETIME.as_secs();
    let claims = Claims { iss: name.into(), aud: callee.into(), iat: now, exp };
    let header =
        key.sign(&claims).ok().and_then(|it| HeaderValue::try_from(format!("Bearer {it}")).ok());
    // Without a token the callee refuses the call, which is the truth of the matter.
    let mut header = header.unwrap_or_else(|| HeaderValue::from_static("Bearer"));
    header.set_sensitive(true);
    Token { header, renew_at: now + (LIFETIME - RENEW_BEFORE).as_secs() }
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> TokenSource {
        let (key, _) = SigningKey::generate().unwrap();
        ServiceIdentity::new("gateway", key).tokens("query").unwrap()
    }

    #[test]
    fn a_token_is_signed_once_and_again_before_it_expires() {
        let tokens = source();
        let first = tokens.authorization();
        assert_eq!(tokens.authorization(), first);
        let due = Token { header: HeaderValue::from_static("Bearer old"), renew_at: now() };
        tokens.current.store(Arc::new(due));
        let renewed = tokens.authorization();
        assert_ne!(renewed, "Bearer old");
        assert_eq!(tokens.authorization(), renewed);
    }

    #[test]
    fn a_token_is_not_printed() {
        let tokens = source();
        let text = format!("{tokens:?}");
        let token = tokens.authorization();
        assert!(!text.contains(token.to_str().unwrap()), "{text}");
    }
}
