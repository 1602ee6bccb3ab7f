//! Who is calling: bearer tokens become sessions.
//!
//! User-context is asked once about the same credentials, and answers with an assertion for each service.
//! The one for this gateway is verified for every request, against what the gateway is told of
//! revocations and roles as they change; so what is kept of an answer is never believed longer than that.

mod credentials;
mod session;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use ::http::HeaderMap;
use moka::Expiry;
use moka::future::Cache;
use proto::user_context::v1::user_context_service_client::UserContextServiceClient;
use rpc::audit::{self, Decision, Entry};
use rpc::{AssertionVerifier, Caller, Channel, ErrorReason, TrustKeeper};
use tonic::{Request, Status};

pub(crate) use self::credentials::ACTS_AS;
use self::credentials::{Credentials, Digest};
use self::session::Assertions;
pub(crate) use self::session::{Service, Session};
use crate::error::GatewayError;
use crate::providers::within;

/// Who presents assertions, and whom the gateway's own are for.
const SELF: &str = "gateway";
/// Assertions are asked for again after this long: a contact's mapping may have changed.
const LONGEST_LIFE: Duration = Duration::from_secs(30);
/// Of a request that goes on, so often.
const RENEWED_EVERY: Duration = Duration::from_secs(20);
const MAX_SESSIONS: u64 = 20_000;
/// A refused token is not asked about again for this long.
const REFUSED_FOR: Duration = Duration::from_secs(5);
/// And what somebody may be given meanwhile, for this long.
const NOT_PERMITTED_FOR: Duration = Duration::from_secs(1);
const MAX_REFUSED: u64 = 10_000;

/// Recognises callers by their tokens. Only digests of tokens are kept.
#[derive(Debug)]
pub(crate) struct Callers {
    client: UserContextServiceClient<Channel>,
    verifier: Arc<AssertionVerifier>,
    /// Tells the verifier what is news.
    _trust: TrustKeeper,
    known: Cache<Digest, Arc<Assertions>>,
    refused: Cache<Digest, Refusal>,
}

/// Why a token is not accepted.
#[derive(Clone, Debug)]
enum Refusal {
    Invalid,
    UnknownUser,
    MayNotImpersonate,
    /// In user-context's words.
    PortalUser(String),
}

struct UntilExpiry;

struct BySort;

impl Callers {
    /// Must be called within a Tokio runtime.
    pub(crate) fn new(user_context: Channel) -> Self {
        let verifier = Arc::new(AssertionVerifier::new(SELF));
        Self {
            client: UserContextServiceClient::new(user_context.clone()),
            _trust: rpc::keep_trust(Arc::clone(&verifier), user_context),
            verifier,
            known: Cache::builder().max_capacity(MAX_SESSIONS).expire_after(UntilExpiry).build(),
            refused: Cache::builder().max_capacity(MAX_REFUSED).expire_after(BySort).build(),
        }
    }

    /// The session of a request's bearer token, or of whom its sender wants to act as. Calls with the
    /// same credentials wait for one question.
    pub(crate) async fn resolve(
        &self,
        headers: &HeaderMap,
        deadline: Instant,
    ) -> Result<Arc<Session>, GatewayError> {
        let credentials = match Credentials::of(headers) {
            Ok(credentials) => credentials,
            Err(error) => {
                audit_refusal("authenticate", "", &error);
                return Err(error);
            }
        };
        match self.recognise(&credentials, deadline).await {
            Ok((assertions, caller)) => {
                if credentials.acts_as_another() {
                    audit::record(&Entry {
                        caller: Some(&caller),
                        operation: credentials.operation(),
                        entity: "systemuser",
                        record: &credentials.subject(),
                        decision: Decision::Allowed,
                        reason: "",
                    });
                }
                Ok(Arc::new(Session::new(assertions, Some(credentials), caller)))
            }
            Err(error) => {
                audit_refusal(credentials.operation(), &credentials.subject(), &error);
                Err(error)
            }
        }
    }

    /// Keeps the assertions of a session from expiring, for as long as the work takes and the user may.
    pub(crate) async fn renewing<T>(&self, session: &Session, work: impl Future<Output = T>) -> T {
        tokio::select! {
            result = work => result,
            never = self.renew(session) => match never {},
        }
    }

    async fn renew(&self, session: &Session) -> Infallible {
        let mut ticks = tokio::time::interval(RENEWED_EVERY);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            let Some(credentials) = &session.credentials else { continue };
            match self.recognise(credentials, Instant::now() + RENEWED_EVERY).await {
                Ok((assertions, _)) => session.renew(assertions),
                Err(error) => tracing::warn!(%error, "a session was not renewed"),
            }
        }
    }

    async fn recognise(
        &self,
        credentials: &Credentials,
        deadline: Instant,
    ) -> Result<(Arc<Assertions>, Arc<Caller>), GatewayError> {
        let digest = credentials.digest();
        let assertions = self.known_or_asked(digest, credentials, deadline).await?;
        let believed = self.verifier.verify_with_news(assertions.to(SELF), SELF);
        if let Ok(Ok(caller)) = tokio::time::timeout_at(deadline.into(), believed).await {
            return Ok((assertions, caller));
        }
        // Revoked, or the keys changed: the user is asked about once more.
        self.known.invalidate(&digest).await;
        let assertions = self.known_or_asked(digest, credentials, deadline).await?;
        match self.verified(&assertions, deadline).await {
            Ok(caller) => Ok((assertions, caller)),
            Err(error) => {
                self.known.invalidate(&digest).await;
                Err(error)
            }
        }
    }

    async fn verified(
        &self,
        assertions: &Assertions,
        deadline: Instant,
    ) -> Result<Arc<Caller>, GatewayError> {
        let verified = self.verifier.verify_with_news(assertions.to(SELF), SELF);
        match tokio::time::timeout_at(deadline.into(), verified).await {
            Ok(Ok(caller)) => Ok(caller),
            // Who is not to be let in is not given an assertion. One that was just made and is not believed
            // is from a replica that has not heard what this gateway has, or the other way round.
            Ok(Err(error)) => {
                tracing::warn!(%error, "an assertion of user-context is not believed");
                let message = "Users cannot be recognised at the moment; try again later.";
                Err(GatewayError::Unavailable(message.to_owned()))
            }
            Err(_) => Err(GatewayError::Timeout),
        }
    }

    async fn known_or_asked(
        &self,
        digest: Digest,
        credentials: &Credentials,
        deadline: Instant,
    ) -> Result<Arc<Assertions>, GatewayError> {
        if let Some(assertions) = self.known.get(&digest).await {
            return Ok(assertions);
        }
        if let Some(refusal) = self.refused.get(&digest).await {
            return Err(refusal.into());
        }
        let asked = self.known.try_get_with(digest, self.ask(credentials, deadline)).await;
        let status = match asked {
            Ok(assertions) => return Ok(assertions),
            Err(status) => status,
        };
        let refusal = match rpc::reason(&status) {
            Some(ErrorReason::InvalidAssertion) => Refusal::Invalid,
            Some(ErrorReason::NoErpUser) => Refusal::UnknownUser,
            Some(ErrorReason::PrivilegeDenied) => Refusal::MayNotImpersonate,
            Some(ErrorReason::PortalUserRefused) => {
                Refusal::PortalUser(status.message().to_owned())
            }
            Some(ErrorReason::RecordNotFound) => return Err(credentials.no_such_user()),
            _ => return Err(GatewayError::of_service(&status)),
        };
        self.refused.insert(digest, refusal.clone()).await;
        Err(refusal.into())
    }

    async fn ask(
        &self,
        credentials: &Credentials,
        deadline: Instant,
    ) -> Result<Arc<Assertions>, Status> {
        let others = Service::ALL.into_iter().map(Service::name);
        let audiences: Vec<&str> = others.chain([SELF]).collect();
        let mut request = Request::new(credentials.to_message(&audiences));
        request.set_timeout(deadline.saturating_duration_since(Instant::now()));
        let mut client = self.client.clone();
        let answer = within(deadline, client.resolve_caller(request)).await?.into_inner();
        let expires = answer.expire_time.and_then(|it| SystemTime::try_from(it).ok());
        let expires = expires.unwrap_or_else(SystemTime::now);
        Ok(Arc::new(Assertions::new(answer.assertions, expires)))
    }
}

fn audit_refusal(operation: &str, subject: &str, error: &GatewayError) {
    let Some(reason) = error.audited() else { return };
    audit::record(&Entry {
        caller: None,
        operation,
        entity: "systemuser",
        record: subject,
        decision: Decision::Denied,
        reason,
    });
}

impl Expiry<Digest, Arc<Assertions>> for UntilExpiry {
    fn expire_after_create(
        &self,
        _digest: &Digest,
        assertions: &Arc<Assertions>,
        _created_at: Instant,
    ) -> Option<Duration> {
        Some(assertions.hold_for().min(LONGEST_LIFE))
    }
}

impl Expiry<Digest, Refusal> for BySort {
    fn expire_after_create(
        &self,
        _digest: &Digest,
        refusal: &Refusal,
        _created_at: Instant,
    ) -> Option<Duration> {
        Some(match refusal {
            Refusal::Invalid => REFUSED_FOR,
            Refusal::UnknownUser | Refusal::MayNotImpersonate | Refusal::PortalUser(_) => {
                NOT_PERMITTED_FOR
            }
        })
    }
}

impl From<Refusal> for GatewayError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Invalid => Self::Unauthenticated,
            Refusal::UnknownUser => Self::UnknownUser,
            Refusal::MayNotImpersonate => Self::PrivilegeDenied(
                "Principal user is missing prvActOnBehalfOfAnotherUser privilege.".to_owned(),
            ),
            Refusal::PortalUser(message) => Self::PortalUserRefused(message),
        }
    }
}
