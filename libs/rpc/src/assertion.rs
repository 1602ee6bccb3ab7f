//! The signed assertion that carries the invoking user from service to service. `user-context` issues
//! assertions; every other service verifies them.
//!
//! An assertion says who calls, as whom, which service may present it (`azp`) and to which (`aud`). What
//! its user may do is not in it: the verifier knows what roles mean ([`AssertionVerifier::apply`]).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use proto::user_context::v1::WatchTrustResponse;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::caller::{Caller, Identity, Principal};
use crate::keys::{KeyError, SigningKey};
use crate::rights::RoleDefinitions;

/// Metadata key of the assertion.
pub const CALLER_HEADER: &str = "x-tombolo-caller";

const ISSUER: &str = "tombolo-user-context";
/// Verified assertions kept, so that a signature is checked once and not per call.
const CACHED_ASSERTIONS: u64 = 10_000;
/// How long an assertion with an unknown key, or of a revision that has not arrived, may wait for it.
const NEWS_WAIT: Duration = Duration::from_secs(2);

/// Signs assertions.
#[derive(Debug)]
pub struct AssertionIssuer {
    key: SigningKey,
    lifetime: Duration,
}

/// To whom an assertion speaks, and by whom it may be presented.
#[derive(Clone, Copy, Debug)]
pub struct Route<'a> {
    /// The service that is to believe it.
    pub audience: &'a str,
    /// The service that sends it.
    pub presenter: &'a str,
}

/// Verifies the assertions that are meant for one service, remembering those it has seen.
#[derive(Debug)]
pub struct AssertionVerifier {
    audience: &'static str,
    trust: ArcSwap<Trust>,
    seen: moka::sync::Cache<[u8; 32], Arc<Verified>>,
    /// Newer trust has been applied.
    changed: Notify,
    /// Somebody applies newer trust when there is any.
    kept: AtomicBool,
}

/// An assertion that must not be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAssertion {
    /// Signed with a key that the verifier does not hold, or made when the directory was newer than the
    /// verifier knows (yet).
    #[error("the caller's assertion is signed with an unknown key")]
    Unknown,
    /// Its user's rights have changed since.
    #[error("the caller's assertion was revoked")]
    Revoked,
    /// Expired, malformed, or not for this service from that one.
    #[error("the caller's assertion is not valid")]
    Refused,
}

/// What user-context says of assertions.
#[derive(Debug, Default)]
struct Trust {
    /// Tells one from another.
    generation: u64,
    revision: i64,
    keys: Vec<(String, DecodingKey)>,
    roles: RoleDefinitions,
    /// The least revision of assertions that are believed, of users whose rights changed.
    revoked: HashMap<Uuid, i64>,
}

/// What has expired is forgotten, or it would fill the memory.
struct WithItsClaims;

#[derive(Debug)]
struct Verified {
    claims: Claims,
    caller: Arc<Caller>,
    /// Of the trust by which it was understood.
    generation: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    azp: String,
    iat: u64,
    exp: u64,
    /// Of the directory.
    rev: i64,
    #[serde(flatten)]
    identity: Identity,
}

// === impl AssertionIssuer ===

impl AssertionIssuer {
    /// Issues assertions that live for `lifetime`.
    #[must_use]
    pub fn new(key: SigningKey, lifetime: Duration) -> Self {
        Self { key, lifetime }
    }

    /// Signs an assertion as of a revision of the directory, that ends at `limit` if its lifetime has
    /// not by then; returns it with the moment it expires.
    ///
    /// # Errors
    ///
    /// When the identity cannot be written as JSON.
    pub fn issue(
        &self,
        identity: Identity,
        route: Route<'_>,
        revision: i64,
        limit: SystemTime,
    ) -> Result<(String, SystemTime), KeyError> {
        let now = SystemTime::now();
        let exp = seconds(limit.min(now + self.lifetime));
        let claims = Claims {
            iss: ISSUER.into(),
            aud: route.audience.into(),
            azp: route.presenter.into(),
            iat: seconds(now),
            exp,
            rev: revision,
            identity,
        };
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
    /// For the service of this name. Verifies nothing until it has been told what to trust.
    #[must_use]
    pub fn new(audience: &'static str) -> Self {
        Self {
            audience,
            trust: ArcSwap::default(),
            seen: moka::sync::Cache::builder()
                .max_capacity(CACHED_ASSERTIONS)
                .expire_after(WithItsClaims)
                .build(),
            changed: Notify::new(),
            kept: AtomicBool::new(false),
        }
    }

    /// Trusts exactly this from now on. A replica of user-context that lags behind another one, whose
    /// word is known already, is not listened to. Calls must not overlap.
    ///
    /// # Errors
    ///
    /// When the keys are no key set, or one of them cannot be used.
    pub fn apply(&self, news: &WatchTrustResponse) -> Result<(), jsonwebtoken::errors::Error> {
        let set: JwkSet = serde_json::from_str(&news.jwks)?;
        let keys = set.keys.iter().map(decoding_key).collect::<Result<Vec<_>, _>>()?;
        let known = self.trust.load();
        let same_keys = keys.iter().map(|it| &it.0).eq(known.keys.iter().map(|it| &it.0));
        if same_keys && news.revision < known.revision {
            return Ok(());
        }
        let revoked = news.revocations.iter();
        let revoked = revoked.filter_map(|it| Some((it.system_user_id.parse().ok()?, it.revision)));
        self.trust.store(Arc::new(Trust {
            generation: known.generation + 1,
            revision: news.revision,
            keys,
            roles: RoleDefinitions::new(&news.roles),
            revoked: revoked.collect(),
        }));
        self.changed.notify_waiters();
        Ok(())
    }

    /// Whether it has been told what to trust.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.trust.load().keys.is_empty()
    }

    /// The caller that this assertion vouches for, when the service `presenter` sends it.
    ///
    /// # Errors
    ///
    /// When the assertion must not be believed.
    pub fn verify(
        &self,
        assertion: &str,
        presenter: &str,
    ) -> Result<Arc<Caller>, InvalidAssertion> {
        let digest: [u8; 32] = Sha256::digest(assertion.as_bytes()).into();
        let trust = self.trust.load();
        let seen = self.seen.get(&digest);
        let claims = match &seen {
            Some(it) if it.generation == trust.generation => {
                it.claims.check(presenter)?;
                return Ok(Arc::clone(&it.caller));
            }
            // What was understood by older trust is understood anew, its signature with it: the key
            // may be one of those that are not trusted any more.
            Some(_) | None => self.decode(assertion, &trust)?,
        };
        claims.check(presenter)?;
        trust.check(&claims)?;
        let caller = Arc::new(claims.identity.clone().into_caller(&trust.roles));
        let generation = trust.generation;
        let verified = Verified { claims, caller: Arc::clone(&caller), generation };
        self.seen.insert(digest, Arc::new(verified));
        Ok(caller)
    }

    /// Like [`Self::verify`], but what is newer than what is known may arrive first, if somebody keeps
    /// it ([`crate::keep_trust`]): so the first call after a change waits a moment instead of failing.
    ///
    /// # Errors
    ///
    /// When the assertion must not be believed.
    pub async fn verify_with_news(
        &self,
        assertion: &str,
        presenter: &str,
    ) -> Result<Arc<Caller>, InvalidAssertion> {
        let verified = self.verify(assertion, presenter);
        if verified != Err(InvalidAssertion::Unknown) || !self.kept.load(Ordering::Relaxed) {
            return verified;
        }
        let after_changes = async {
            loop {
                // Listen before looking, or a change in between would be missed.
                let mut changed = std::pin::pin!(self.changed.notified());
                changed.as_mut().enable();
                match self.verify(assertion, presenter) {
                    Err(InvalidAssertion::Unknown) => changed.await,
                    decided => return decided,
                }
            }
        };
        let waited = tokio::time::timeout(NEWS_WAIT, after_changes).await;
        waited.unwrap_or(Err(InvalidAssertion::Unknown))
    }

    /// Says whether somebody applies news.
    pub(crate) fn set_kept(&self, kept: bool) {
        self.kept.store(kept, Ordering::Relaxed);
    }

    fn decode(&self, assertion: &str, trust: &Trust) -> Result<Claims, InvalidAssertion> {
        let header =
            jsonwebtoken::decode_header(assertion).map_err(|_| InvalidAssertion::Refused)?;
        let key_id = header.kid.ok_or(InvalidAssertion::Refused)?;
        let key = trust.keys.iter().find(|(id, _)| *id == key_id);
        let (_, key) = key.ok_or(InvalidAssertion::Unknown)?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&[self.audience]);
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "aud", "iss"]);
        validation.leeway = 0;
        jsonwebtoken::decode::<Claims>(assertion, key, &validation)
            .map(|data| data.claims)
            .map_err(|_| InvalidAssertion::Refused)
    }
}

impl moka::Expiry<[u8; 32], Arc<Verified>> for WithItsClaims {
    fn expire_after_create(
        &self,
        _digest: &[u8; 32],
        verified: &Arc<Verified>,
        _created_at: Instant,
    ) -> Option<Duration> {
        let left = verified.claims.exp.saturating_sub(seconds(SystemTime::now()));
        Some(Duration::from_secs(left))
    }
}

// === impl Claims ===

impl Claims {
    fn check(&self, presenter: &str) -> Result<(), InvalidAssertion> {
        if self.azp != presenter || self.exp <= seconds(SystemTime::now()) {
            return Err(InvalidAssertion::Refused);
        }
        Ok(())
    }
}

// === impl Trust ===

impl Trust {
    fn check(&self, claims: &Claims) -> Result<(), InvalidAssertion> {
        if claims.rev > self.revision {
            return Err(InvalidAssertion::Unknown);
        }
        let identity = &claims.identity;
        let mut principals = std::iter::once(&identity.user).chain(&identity.sender);
        let is_revoked = |it: &Principal| {
            self.revoked.get(&it.system_user_id).is_some_and(|least| claims.rev < *least)
        };
        if principals.any(is_revoked) { Err(InvalidAssertion::Revoked) } else { Ok(()) }
    }
}

fn decoding_key(jwk: &Jwk) -> Result<(String, DecodingKey), jsonwebtoken::errors::Error> {
    Ok((jwk.common.key_id.clone().unwrap_or_default(), DecodingKey::from_jwk(jwk)?))
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |it| it.as_secs())
}

#[cfg(test)]
mod tests {
    use moka::Expiry as _;

    use super::*;
    use crate::rights::{Companies, Privileges};
    use proto::user_context::v1 as pb;

    const ROUTE: Route<'static> = Route { audience: "query", presenter: "gateway" };
    const MINUTE: Duration = Duration::from_secs(60);

    fn clerk() -> Identity {
        Identity::of(Principal {
            system_user_id: Uuid::from_u128(1),
            name: "usmf-clerk".into(),
            erp_user: "clerk".into(),
            roles: vec!["Clerk".into()],
            companies: Companies::Only(vec!["USMF".into()]),
            contact: None,
        })
    }

    fn issuer(lifetime: Duration) -> AssertionIssuer {
        AssertionIssuer::new(SigningKey::generate().unwrap().0, lifetime)
    }

    fn issue(issuer: &AssertionIssuer, revision: i64) -> String {
        issuer.issue(clerk(), ROUTE, revision, SystemTime::now() + MINUTE).unwrap().0
    }

    fn trust(issuer: &AssertionIssuer, revision: i64) -> WatchTrustResponse {
        let grant = pb::EntityGrant {
            entities: vec!["A".into()],
            operations: vec![pb::Operation::Read.into()],
            ..Default::default()
        };
        WatchTrustResponse {
            revision,
            jwks: issuer.jwks().unwrap(),
            roles: vec![pb::RoleGrants { role: "Clerk".into(), grants: vec![grant] }],
            revocations: Vec::new(),
        }
    }

    #[test]
    fn an_assertion_is_believed_by_who_trusts_its_key_and_is_meant() {
        let issuer = issuer(MINUTE);
        let assertion = issue(&issuer, 1);
        let verifier = AssertionVerifier::new("query");
        assert_eq!(verifier.verify(&assertion, "gateway"), Err(InvalidAssertion::Unknown));
        verifier.apply(&trust(&issuer, 1)).unwrap();
        for _ in 0..2 {
            let caller = verifier.verify(&assertion, "gateway").unwrap();
            assert_eq!(caller.user, clerk().user);
            assert_eq!(caller.rights.entity("A").privileges, Privileges::READ);
            // Whoever else got hold of it cannot use it, whether it has been seen before or not.
            assert_eq!(verifier.verify(&assertion, "events"), Err(InvalidAssertion::Refused));
        }
        let other = AssertionVerifier::new("organization");
        other.apply(&trust(&issuer, 1)).unwrap();
        assert_eq!(other.verify(&assertion, "gateway"), Err(InvalidAssertion::Refused));
    }

    #[test]
    fn an_expired_or_altered_assertion_is_refused() {
        let issuer = issuer(Duration::ZERO);
        let assertion = issue(&issuer, 1);
        let verifier = AssertionVerifier::new("query");
        verifier.apply(&trust(&issuer, 1)).unwrap();
        for bad in [assertion.as_str(), "", "a.b.c", &assertion[1..]] {
            assert_eq!(verifier.verify(bad, "gateway"), Err(InvalidAssertion::Refused), "{bad}");
        }
    }

    #[test]
    fn an_assertion_is_remembered_for_as_long_as_it_lives() {
        let issuer = issuer(Duration::from_secs(2));
        let verifier = AssertionVerifier::new("query");
        verifier.apply(&trust(&issuer, 1)).unwrap();
        verifier.verify(&issue(&issuer, 1), "gateway").unwrap();
        let (_, seen) = verifier.seen.iter().next().expect("remembered");
        let until = |it| WithItsClaims.expire_after_create(&[0; 32], it, Instant::now());
        assert!(until(&seen).is_some_and(|it| it <= Duration::from_secs(2)));
        let claims = Claims { exp: 1, ..seen.claims.clone() };
        let caller = Arc::clone(&seen.caller);
        let gone = Arc::new(Verified { claims, caller, generation: 0 });
        assert_eq!(until(&gone), Some(Duration::ZERO));
    }

    #[test]
    fn what_is_revoked_is_not_believed_from_that_moment() {
        let issuer = issuer(MINUTE);
        let (old, new) = (issue(&issuer, 4), issue(&issuer, 5));
        let verifier = AssertionVerifier::new("query");
        verifier.apply(&trust(&issuer, 4)).unwrap();
        assert!(verifier.verify(&old, "gateway").is_ok());
        // Made when the directory was newer than is known here.
        assert_eq!(verifier.verify(&new, "gateway"), Err(InvalidAssertion::Unknown));
        let user = Uuid::from_u128(1).to_string();
        let revocations = vec![pb::Revocation { system_user_id: user, revision: 5 }];
        verifier.apply(&WatchTrustResponse { revocations, ..trust(&issuer, 5) }).unwrap();
        assert_eq!(verifier.verify(&old, "gateway"), Err(InvalidAssertion::Revoked));
        assert!(verifier.verify(&new, "gateway").is_ok());
    }

    #[test]
    fn a_role_that_changed_counts_as_it_is_now() {
        let issuer = issuer(MINUTE);
        let assertion = issue(&issuer, 1);
        let verifier = AssertionVerifier::new("query");
        verifier.apply(&trust(&issuer, 1)).unwrap();
        let before = verifier.verify(&assertion, "gateway").unwrap();
        assert_eq!(before.rights.entity("A").privileges, Privileges::READ);
        verifier.apply(&WatchTrustResponse { roles: Vec::new(), ..trust(&issuer, 2) }).unwrap();
        let after = verifier.verify(&assertion, "gateway").unwrap();
        assert_eq!(after.rights.entity("A").privileges, Privileges::NONE);
    }

    #[test]
    fn who_acts_as_another_may_do_what_both_may() {
        let sender = Principal { roles: Vec::new(), ..clerk().user };
        let roles = RoleDefinitions::new(&trust(&issuer(MINUTE), 1).roles);
        let caller = Identity { sender: Some(sender), ..clerk() }.into_caller(&roles);
        assert_eq!(caller.rights.entity("A").privileges, Privileges::NONE);
        assert_eq!(caller.principals().count(), 2);
    }

    #[tokio::test]
    async fn an_assertion_waits_for_what_it_was_made_by() {
        let issuer = issuer(MINUTE);
        let assertion = issue(&issuer, 2);
        let verifier = Arc::new(AssertionVerifier::new("query"));
        verifier.set_kept(true);
        verifier.apply(&trust(&issuer, 1)).unwrap();
        let waiting = tokio::spawn({
            let verifier = Arc::clone(&verifier);
            async move { verifier.verify_with_news(&assertion, "gateway").await }
        });
        tokio::task::yield_now().await;
        verifier.apply(&trust(&issuer, 2)).unwrap();
        assert!(waiting.await.unwrap().is_ok());
    }
}
