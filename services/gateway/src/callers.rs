//! Who is calling: bearer tokens become sessions, which are kept for a short while.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use ::http::HeaderMap;
use chrono_tz::Tz;
use moka::Expiry;
use moka::future::Cache;
use proto::user_context::v1 as pb;
use proto::user_context::v1::user_context_service_client::UserContextServiceClient;
use rpc::{Caller, Channel, DEFAULT_LANGUAGE, ErrorReason, Rights};
use sha2::{Digest as _, Sha256};
use tonic::{Request, Status};
use uuid::Uuid;

use crate::error::GatewayError;
use crate::http;
use crate::metadata::{Source, Table};
use crate::providers::within;

/// A session is asked for again after this long, so that a revoked right is soon gone.
const LONGEST_LIFE: Duration = Duration::from_secs(30);
/// An assertion is not used in its last moments: it could expire on its way.
const SAFETY: Duration = Duration::from_secs(5);
const MAX_SESSIONS: u64 = 20_000;
/// A refused token is not asked about again for this long.
const REFUSED_FOR: Duration = Duration::from_secs(5);
const MAX_REFUSED: u64 = 10_000;

type Digest = [u8; 32];

/// A caller that has been recognised.
pub(crate) struct Session {
    pub(crate) assertion: String,
    pub(crate) system_user_id: String,
    /// A hint for refusing early; who holds the rows decides.
    pub(crate) administrator: bool,
    /// Where the user's days begin.
    pub(crate) time_zone: Tz,
    /// LCID of the user's language.
    pub(crate) language: i32,
    /// As `administrator`, a hint.
    rights: Option<Rights>,
    expires: SystemTime,
}

/// Recognises callers by their tokens. Only digests of tokens are kept.
#[derive(Debug)]
pub(crate) struct Callers {
    client: UserContextServiceClient<Channel>,
    sessions: Cache<Digest, Arc<Session>>,
    refused: Cache<Digest, Refusal>,
}

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    Invalid,
    UnknownUser,
    MayNotImpersonate,
}

/// What a request says about who is calling.
struct Credentials<'h> {
    token: &'h str,
    other: Option<OtherUser>,
}

/// A user as whom the sender wants to act (spec API-32).
#[derive(Clone, Copy)]
enum OtherUser {
    ObjectId(Uuid),
    SystemUserId(Uuid),
}

struct UntilExpiry;

impl Callers {
    pub(crate) fn new(user_context: Channel) -> Self {
        Self {
            client: UserContextServiceClient::new(user_context),
            sessions: Cache::builder().max_capacity(MAX_SESSIONS).expire_after(UntilExpiry).build(),
            refused: Cache::builder().max_capacity(MAX_REFUSED).time_to_live(REFUSED_FOR).build(),
        }
    }

    /// The session of a request's bearer token, or of the user as whom its sender wants to act. Calls
    /// with the same credentials wait for one question.
    pub(crate) async fn resolve(
        &self,
        headers: &HeaderMap,
        deadline: Instant,
    ) -> Result<Arc<Session>, GatewayError> {
        let credentials = Credentials::of(headers)?;
        let digest = credentials.digest();
        if let Some(session) = self.sessions.get(&digest).await {
            return Ok(session);
        }
        if let Some(refusal) = self.refused.get(&digest).await {
            return Err(refusal.into());
        }
        match self.sessions.try_get_with(digest, self.ask(&credentials, deadline)).await {
            Ok(session) => Ok(session),
            Err(status) => {
                let refusal = match rpc::reason(&status) {
                    Some(ErrorReason::InvalidAssertion) => Refusal::Invalid,
                    Some(ErrorReason::NoErpUser) => Refusal::UnknownUser,
                    Some(ErrorReason::PrivilegeDenied) => Refusal::MayNotImpersonate,
                    Some(ErrorReason::RecordNotFound) => return Err(credentials.no_such_user()),
                    _ => return Err(GatewayError::of_service(&status)),
                };
                self.refused.insert(digest, refusal).await;
                Err(refusal.into())
            }
        }
    }

    async fn ask(
        &self,
        credentials: &Credentials<'_>,
        deadline: Instant,
    ) -> Result<Arc<Session>, Status> {
        let mut request = Request::new(credentials.to_message());
        request.set_timeout(deadline.saturating_duration_since(Instant::now()));
        let mut client = self.client.clone();
        let answer = within(deadline, client.resolve_caller(request)).await?.into_inner();
        let expires = answer.expire_time.and_then(|it| SystemTime::try_from(it).ok());
        let claimed = Caller::claimed_by(&answer.assertion);
        let claimed = claimed.as_ref();
        Ok(Arc::new(Session {
            administrator: claimed.is_some_and(|it| it.rights.administrator),
            // A zone that this gateway's tables do not have yet is told as UTC.
            time_zone: claimed.and_then(|it| it.time_zone.parse().ok()).unwrap_or(Tz::UTC),
            language: claimed.map_or(DEFAULT_LANGUAGE, |it| it.language),
            rights: claimed.map(|it| it.rights.clone()),
            assertion: answer.assertion,
            system_user_id: answer.user.map(|it| it.system_user_id).unwrap_or_default(),
            expires: expires.unwrap_or_else(SystemTime::now),
        }))
    }
}

impl<'h> Credentials<'h> {
    fn of(headers: &'h HeaderMap) -> Result<Self, GatewayError> {
        let token = http::token(headers)?;
        let id = |name: &str| -> Result<Option<Uuid>, GatewayError> {
            let mut values = headers.get_all(name).iter();
            let Some(value) = values.next() else { return Ok(None) };
            let id = value.to_str().ok().and_then(|it| it.trim().parse::<Uuid>().ok());
            // Of two headers neither is believed.
            id.filter(|it| !it.is_nil() && values.next().is_none()).map(Some).ok_or_else(|| {
                GatewayError::InvalidValue(format!("The header '{name}' takes the GUID of a user."))
            })
        };
        let other = match (id("CallerObjectId")?, id("MSCRMCallerID")?) {
            (Some(_), Some(_)) => {
                let message = "'CallerObjectId' and 'MSCRMCallerID' cannot be given together.";
                return Err(GatewayError::InvalidValue(message.to_owned()));
            }
            (Some(id), None) => Some(OtherUser::ObjectId(id)),
            (None, Some(id)) => Some(OtherUser::SystemUserId(id)),
            (None, None) => None,
        };
        Ok(Self { token, other })
    }

    fn digest(&self) -> Digest {
        let mut digest = Sha256::new_with_prefix(self.token.as_bytes());
        // No token holds a NUL, so no token looks like another's credentials.
        match self.other {
            None => {}
            Some(OtherUser::ObjectId(id)) => {
                digest.update([b"\0o", id.as_bytes().as_slice()].concat())
            }
            Some(OtherUser::SystemUserId(id)) => {
                digest.update([b"\0s", id.as_bytes().as_slice()].concat());
            }
        }
        digest.finalize().into()
    }

    fn to_message(&self) -> pb::ResolveCallerRequest {
        use pb::resolve_caller_request::ImpersonatedUser as Named;
        let impersonated_user = self.other.map(|it| match it {
            OtherUser::ObjectId(id) => Named::ImpersonatedObjectId(id.to_string()),
            OtherUser::SystemUserId(id) => Named::ImpersonatedSystemUserId(id.to_string()),
        });
        pb::ResolveCallerRequest { bearer_token: self.token.to_owned(), impersonated_user }
    }

    fn no_such_user(&self) -> GatewayError {
        match self.other {
            Some(OtherUser::ObjectId(id) | OtherUser::SystemUserId(id)) => {
                GatewayError::RecordNotFound { table: "systemuser".to_owned(), id }
            }
            None => GatewayError::UnknownUser,
        }
    }
}

impl Session {
    /// How long calls can be made on the caller's behalf.
    pub(crate) fn holds_for(&self) -> Duration {
        let left = self.expires.duration_since(SystemTime::now()).unwrap_or_default();
        left.saturating_sub(SAFETY)
    }

    /// Whether rows of the table are worth asking for where nobody named it. Whoever holds the rows
    /// decides.
    pub(crate) fn may_read(&self, table: &Table) -> bool {
        match table.source {
            Source::Erp => {
                self.rights.as_ref().is_some_and(|it| it.access(&table.external_name).is_some())
            }
            Source::Organization | Source::Catalog => true,
        }
    }
}

/// The assertion is a credential and stays out of logs.
#[cfg(test)]
impl Session {
    /// For what does not depend on who it is.
    pub(crate) fn of_nobody() -> Self {
        Self {
            assertion: String::new(),
            system_user_id: Uuid::nil().to_string(),
            administrator: false,
            time_zone: Tz::UTC,
            language: 1033,
            rights: None,
            expires: SystemTime::UNIX_EPOCH,
        }
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("system_user_id", &self.system_user_id)
            .finish_non_exhaustive()
    }
}

impl Expiry<Digest, Arc<Session>> for UntilExpiry {
    fn expire_after_create(
        &self,
        _token: &Digest,
        session: &Arc<Session>,
        _created_at: Instant,
    ) -> Option<Duration> {
        Some(session.holds_for().min(LONGEST_LIFE))
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
        }
    }
}
