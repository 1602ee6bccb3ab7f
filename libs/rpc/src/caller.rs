//! The invoking user: what is known of it, and the signed assertion that carries it from service to
//! service. `user-context` issues assertions; every other service verifies them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::keys::{KeyError, SigningKey};

/// Metadata key of the assertion.
pub const CALLER_HEADER: &str = "x-tombolo-caller";

const AUDIENCE: &str = "tombolo";
const ISSUER: &str = "tombolo-user-context";
/// Verified assertions kept, so that a signature is checked once and not per call.
const CACHED_ASSERTIONS: u64 = 10_000;
/// How long an assertion with an unknown key may wait for newer keys.
const KEY_WAIT: Duration = Duration::from_secs(2);

/// The user on whose behalf a call is made. Holding one means that its assertion was verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// Row id of the platform user.
    pub system_user_id: Uuid,
    /// Sign-in name.
    pub name: String,
    /// The ERP's own user id.
    pub erp_user: String,
    /// What the user may do in the ERP.
    pub rights: Rights,
    /// IANA name of the time zone in which the user's days begin and times are shown.
    #[serde(default = "default_time_zone")]
    pub time_zone: String,
    /// LCID of the user's language.
    #[serde(default = "default_language")]
    pub language: i32,
}

/// The time zone of who has chosen none.
pub const DEFAULT_TIME_ZONE: &str = "UTC";
/// The language of who has chosen none: English (United States).
pub const DEFAULT_LANGUAGE: i32 = 1033;

/// What a user may see and do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rights {
    /// System administrator: every entity, every company.
    pub administrator: bool,
    /// Legal entities whose rows the user may touch.
    pub companies: Companies,
    /// Access by entity name; `*` is every entity.
    pub entities: BTreeMap<String, Access>,
}

/// A set of legal entities.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Companies {
    /// Every one.
    All,
    /// These codes.
    Only(Vec<String>),
}

/// Access to one entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Rows may be read.
    Read,
    /// Rows may be read, created, updated and deleted.
    Write,
}

/// Signs assertions.
#[derive(Debug)]
pub struct AssertionIssuer {
    key: SigningKey,
    lifetime: Duration,
}

/// Verifies assertions, remembering those it has seen.
#[derive(Debug)]
pub struct AssertionVerifier {
    keys: ArcSwap<Vec<(String, DecodingKey)>>,
    seen: moka::sync::Cache<[u8; 32], Arc<Verified>>,
    /// An assertion came with a key that is not held.
    wanted: Notify,
    /// Keys have been set.
    changed: Notify,
    /// Somebody fetches keys when they are wanted.
    kept: AtomicBool,
}

/// An assertion that must not be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAssertion {
    /// Signed with a key that the verifier does not hold (yet).
    #[error("the caller's assertion is signed with an unknown key")]
    UnknownKey,
    /// Expired, malformed, or meant for somebody else.
    #[error("the caller's assertion is not valid")]
    Refused,
}

#[derive(Debug)]
struct Verified {
    caller: Arc<Caller>,
    expires: u64,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    iat: u64,
    exp: u64,
    #[serde(flatten)]
    caller: Caller,
}

// === impl Caller ===

impl Caller {
    /// What an assertion says, without a look at its signature: for those who have it from
    /// user-context itself, and decide nothing by it that others do not decide again.
    #[must_use]
    pub fn claimed_by(assertion: &str) -> Option<Self> {
        let claimed = jsonwebtoken::dangerous::insecure_decode::<Self>(assertion).ok()?;
        Some(claimed.claims)
    }
}

// === impl Rights ===

impl Rights {
    /// What the user may do with an entity, if anything.
    #[must_use]
    pub fn access(&self, entity: &str) -> Option<Access> {
        if self.administrator {
            return Some(Access::Write);
        }
        let named = self.entities.get(entity).copied();
        let every = self.entities.get("*").copied();
        named.max(every)
    }

    /// What both may see and do: the rights of a user who acts as another (spec API-32).
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        let names = self.entities.keys().chain(other.entities.keys());
        let common = names.filter_map(|name| {
            let access = self.access(name)?.min(other.access(name)?);
            Some((name.clone(), access))
        });
        Self {
            administrator: self.administrator && other.administrator,
            companies: self.everywhere().intersect(other.everywhere()),
            entities: common.collect(),
        }
    }

    /// Administrators are bound to no company, whatever is said of them.
    fn everywhere(&self) -> &Companies {
        if self.administrator { &Companies::All } else { &self.companies }
    }
}

// === impl Companies ===

impl Companies {
    fn intersect(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::All, it) | (it, Self::All) => it.clone(),
            (Self::Only(ours), Self::Only(theirs)) => {
                let both = |it: &&String| theirs.iter().any(|their| their.eq_ignore_ascii_case(it));
                Self::Only(ours.iter().filter(both).cloned().collect())
            }
        }
    }
}

// === impl AssertionIssuer ===

impl AssertionIssuer {
    /// Issues assertions that live for `lifetime`.
    #[must_use]
    pub fn new(key: SigningKey, lifetime: Duration) -> Self {
        Self { key, lifetime }
    }

    /// Signs an assertion of this caller; returns it with the moment it expires.
    ///
    /// # Errors
    ///
    /// When the caller cannot be written as JSON.
    pub fn issue(&self, caller: Caller) -> Result<(String, SystemTime), KeyError> {
        self.issue_until(caller, SystemTime::now() + self.lifetime)
    }

    /// Like [`Self::issue`], for an assertion that ends at `limit` if its lifetime has not by then.
    ///
    /// # Errors
    ///
    /// When the caller cannot be written as JSON.
    pub fn issue_until(
        &self,
        caller: Caller,
        limit: SystemTime,
    ) -> Result<(String, SystemTime), KeyError> {
        let now = SystemTime::now();
        let exp = seconds(limit.min(now + self.lifetime));
        let claims =
            Claims { iss: ISSUER.into(), aud: AUDIENCE.into(), iat: seconds(now), exp, caller };
        Ok((self.key.sign(&claims)?, UNIX_EPOCH + Duration::from_secs(exp)))
    }

    /// The public key as a JSON Web Key Set.
    ///
    /// # Errors
    ///
    /// When the key cannot be written as JSON.
    pub fn jwks(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(&JwkSet { keys: vec![self.key.jwk().clone()] })
    }
}

// === impl AssertionVerifier ===

impl AssertionVerifier {
    /// Verifies nothing until it has been given keys.
    #[must_use]
    pub fn new() -> Self {
        Self {
            keys: ArcSwap::default(),
            seen: moka::sync::Cache::builder().max_capacity(CACHED_ASSERTIONS).build(),
            wanted: Notify::new(),
            changed: Notify::new(),
            kept: AtomicBool::new(false),
        }
    }

    /// Trusts exactly the keys of this JSON Web Key Set from now on.
    ///
    /// # Errors
    ///
    /// When the text is not a key set, or holds a key that cannot be used.
    pub fn set_keys(&self, jwks: &str) -> Result<(), jsonwebtoken::errors::Error> {
        let set: JwkSet = serde_json::from_str(jwks)?;
        let keys = set.keys.iter().map(decoding_key).collect::<Result<Vec<_>, _>>()?;
        self.keys.store(Arc::new(keys));
        self.seen.invalidate_all();
        self.changed.notify_waiters();
        Ok(())
    }

    /// Whether it has been given keys.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.keys.load().is_empty()
    }

    /// The caller that this assertion vouches for.
    ///
    /// # Errors
    ///
    /// When the assertion must not be believed.
    pub fn verify(&self, assertion: &str) -> Result<Arc<Caller>, InvalidAssertion> {
        let digest: [u8; 32] = Sha256::digest(assertion.as_bytes()).into();
        if let Some(verified) = self.seen.get(&digest) {
            if verified.expires > seconds(SystemTime::now()) {
                return Ok(Arc::clone(&verified.caller));
            }
            return Err(InvalidAssertion::Refused);
        }
        let claims = self.decode(assertion).inspect_err(|error| match error {
            InvalidAssertion::UnknownKey => self.wanted.notify_one(),
            InvalidAssertion::Refused => {}
        })?;
        if claims.exp <= seconds(SystemTime::now()) {
            return Err(InvalidAssertion::Refused);
        }
        let caller = Arc::new(claims.caller);
        let verified = Verified { caller: Arc::clone(&caller), expires: claims.exp };
        self.seen.insert(digest, Arc::new(verified));
        Ok(caller)
    }

    /// Like [`Self::verify`], but an unknown key may be fetched first, by [`crate::keep_keys`]: so
    /// the first call after user-context restarted waits a moment instead of failing.
    pub(crate) async fn verify_with_newest_keys(
        &self,
        assertion: &str,
    ) -> Result<Arc<Caller>, InvalidAssertion> {
        let verified = self.verify(assertion);
        if verified != Err(InvalidAssertion::UnknownKey) || !self.kept.load(Ordering::Relaxed) {
            return verified;
        }
        let after_changes = async {
            loop {
                // Listen before looking, or a change in between would be missed.
                let mut changed = std::pin::pin!(self.changed.notified());
                changed.as_mut().enable();
                match self.verify(assertion) {
                    Err(InvalidAssertion::UnknownKey) => changed.await,
                    decided => return decided,
                }
            }
        };
        tokio::time::timeout(KEY_WAIT, after_changes)
            .await
            .unwrap_or(Err(InvalidAssertion::UnknownKey))
    }

    /// Says whether somebody fetches keys when [`Self::wanted`] says so.
    pub(crate) fn set_kept(&self, kept: bool) {
        self.kept.store(kept, Ordering::Relaxed);
    }

    /// Returns when an assertion came with an unknown key since this was last asked.
    pub(crate) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    fn decode(&self, assertion: &str) -> Result<Claims, InvalidAssertion> {
        let header =
            jsonwebtoken::decode_header(assertion).map_err(|_| InvalidAssertion::Refused)?;
        let key_id = header.kid.ok_or(InvalidAssertion::Refused)?;
        let keys = self.keys.load();
        let (_, key) =
            keys.iter().find(|(id, _)| *id == key_id).ok_or(InvalidAssertion::UnknownKey)?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "aud", "iss"]);
        validation.leeway = 0;
        jsonwebtoken::decode::<Claims>(assertion, key, &validation)
            .map(|data| data.claims)
            .map_err(|_| InvalidAssertion::Refused)
    }
}

impl Default for AssertionVerifier {
    fn default() -> Self {
        Self::new()
    }
}

fn decoding_key(jwk: &Jwk) -> Result<(String, DecodingKey), jsonwebtoken::errors::Error> {
    Ok((jwk.common.key_id.clone().unwrap_or_default(), DecodingKey::from_jwk(jwk)?))
}

fn default_time_zone() -> String {
    DEFAULT_TIME_ZONE.to_owned()
}

fn default_language() -> i32 {
    DEFAULT_LANGUAGE
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |it| it.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller() -> Caller {
        Caller {
            system_user_id: Uuid::from_u128(1),
            name: "usmf-clerk".into(),
            erp_user: "clerk".into(),
            rights: Rights {
                administrator: false,
                companies: Companies::Only(vec!["USMF".into()]),
                entities: BTreeMap::from([("*".into(), Access::Read), ("A".into(), Access::Write)]),
            },
            time_zone: "Europe/Berlin".into(),
            language: 1031,
        }
    }

    #[test]
    fn who_acts_as_another_may_do_what_both_may() {
        let rights = |administrator, companies: &[&str], entities: &[(&str, Access)]| Rights {
            administrator,
            companies: match companies {
                ["*"] => Companies::All,
                codes => Companies::Only(codes.iter().map(|it| (*it).into()).collect()),
            },
            entities: entities.iter().map(|(name, access)| ((*name).into(), *access)).collect(),
        };
        let (read, write) = (Access::Read, Access::Write);
        let all = [
            rights(true, &[], &[]),
            rights(true, &["*"], &[("A", read)]),
            rights(false, &["*"], &[("*", read)]),
            rights(false, &["*"], &[("*", write)]),
            rights(false, &["USMF"], &[("*", read), ("A", write)]),
            rights(false, &["usmf", "DEMF"], &[("A", read), ("B", write)]),
            rights(false, &[], &[("B", write)]),
            rights(false, &["DEMF"], &[]),
        ];
        for (one, other) in all.iter().flat_map(|one| all.iter().map(move |other| (one, other))) {
            let both = one.intersect(other);
            for entity in ["A", "B", "C"] {
                let expected = one.access(entity).min(other.access(entity));
                assert_eq!(both.access(entity), expected, "{entity} of {one:?} and {other:?}");
            }
            let covers = |it: &Rights, company: &str| match it.everywhere() {
                Companies::All => true,
                Companies::Only(codes) => codes.iter().any(|it| it.eq_ignore_ascii_case(company)),
            };
            for company in ["USMF", "DEMF", "FRRT"] {
                let expected = covers(one, company) && covers(other, company);
                assert_eq!(covers(&both, company), expected, "{company} of {one:?} and {other:?}");
            }
        }
    }

    fn issuer(lifetime: Duration) -> AssertionIssuer {
        AssertionIssuer::new(SigningKey::generate().unwrap().0, lifetime)
    }

    #[test]
    fn an_assertion_is_believed_by_who_trusts_its_key() {
        let issuer = issuer(Duration::from_secs(60));
        let (assertion, _) = issuer.issue(caller()).unwrap();
        let verifier = AssertionVerifier::new();
        assert_eq!(verifier.verify(&assertion), Err(InvalidAssertion::UnknownKey));
        verifier.set_keys(&issuer.jwks().unwrap()).unwrap();
        assert_eq!(*verifier.verify(&assertion).unwrap(), caller());
        assert_eq!(*verifier.verify(&assertion).unwrap(), caller());
    }

    #[test]
    fn assertions_of_older_issuers_have_the_default_time_zone_and_language() {
        let mut old = serde_json::to_value(caller()).unwrap();
        old.as_object_mut().unwrap().retain(|key, _| key != "time_zone" && key != "language");
        let caller: Caller = serde_json::from_value(old).unwrap();
        assert_eq!((caller.time_zone.as_str(), caller.language), ("UTC", 1033));
    }

    #[test]
    fn an_expired_or_altered_assertion_is_refused() {
        let issuer = issuer(Duration::ZERO);
        let (assertion, _) = issuer.issue(caller()).unwrap();
        let verifier = AssertionVerifier::new();
        verifier.set_keys(&issuer.jwks().unwrap()).unwrap();
        for bad in [assertion.as_str(), "", "a.b.c", &assertion[1..]] {
            assert_eq!(verifier.verify(bad), Err(InvalidAssertion::Refused), "{bad}");
        }
    }

    #[test]
    fn the_wider_of_two_grants_counts() {
        let rights = caller().rights;
        assert_eq!(rights.access("A"), Some(Access::Write));
        assert_eq!(rights.access("B"), Some(Access::Read));
    }
}
