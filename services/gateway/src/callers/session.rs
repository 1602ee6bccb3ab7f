//! A caller that has been recognised, for one request.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use chrono_tz::Tz;
use proto::query::v1 as pb;
use proto::query::v1::column_ref::Column as Named;
use rpc::audit::{self, Decision, Entry};
use rpc::{Caller, Privileges};
use uuid::Uuid;

use super::credentials::Credentials;
use crate::error::GatewayError;
use crate::metadata::{Source, Table};

/// Assertions are not used in their last moments: one could expire on its way.
const SAFETY: Duration = Duration::from_secs(5);

/// A service that is called on behalf of users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Query,
    Organization,
    Catalog,
    UserContext,
    Lifecycle,
    Capacity,
    DualWrite,
}

/// What user-context said of a user, by the service that believes it.
#[derive(Debug)]
pub(super) struct Assertions {
    by_audience: HashMap<String, String>,
    expires: SystemTime,
}

/// A recognised caller. What it may do is as it was when the request came.
pub(crate) struct Session {
    /// Renewed for requests that take longer than assertions are believed.
    assertions: ArcSwap<Assertions>,
    pub(super) credentials: Option<Credentials>,
    pub(crate) caller: Arc<Caller>,
    pub(crate) system_user_id: String,
    /// Where the user's days begin.
    pub(crate) time_zone: Tz,
}

// === impl Service ===

impl Service {
    pub(super) const ALL: [Self; 7] = [
        Self::Query,
        Self::Organization,
        Self::Catalog,
        Self::UserContext,
        Self::Lifecycle,
        Self::Capacity,
        Self::DualWrite,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Organization => "organization",
            Self::Catalog => "catalog",
            Self::UserContext => "user-context",
            Self::Lifecycle => "lifecycle",
            Self::Capacity => "capacity",
            Self::DualWrite => "dual-write",
        }
    }
}

impl From<Source> for Service {
    fn from(source: Source) -> Self {
        match source {
            Source::Erp => Self::Query,
            Source::Organization => Self::Organization,
            Source::Catalog => Self::Catalog,
        }
    }
}

// === impl Assertions ===

impl Assertions {
    pub(super) fn new(by_audience: HashMap<String, String>, expires: SystemTime) -> Self {
        Self { by_audience, expires }
    }

    /// How long calls can be made with them.
    pub(super) fn hold_for(&self) -> Duration {
        self.expires.duration_since(SystemTime::now()).unwrap_or_default().saturating_sub(SAFETY)
    }

    /// None is sent where none was given, and refused.
    pub(super) fn to(&self, audience: &str) -> &str {
        self.by_audience.get(audience).map_or("", String::as_str)
    }
}

// === impl Session ===

impl Session {
    pub(super) fn new(
        assertions: Arc<Assertions>,
        credentials: Option<Credentials>,
        caller: Arc<Caller>,
    ) -> Self {
        Self {
            assertions: ArcSwap::new(assertions),
            credentials,
            system_user_id: caller.user.system_user_id.to_string(),
            // A zone that this gateway's tables do not have yet is told as UTC.
            time_zone: caller.time_zone.parse().unwrap_or(Tz::UTC),
            caller,
        }
    }

    pub(super) fn renew(&self, assertions: Arc<Assertions>) {
        self.assertions.store(assertions);
    }

    /// What the service believes.
    pub(crate) fn with_assertion<T>(&self, service: Service, then: impl FnOnce(&str) -> T) -> T {
        then(self.assertions.load().to(service.name()))
    }

    /// LCID of the user's language.
    pub(crate) fn language(&self) -> i32 {
        self.caller.language
    }

    /// A hint for refusing early; who holds the rows decides.
    pub(crate) fn is_administrator(&self) -> bool {
        self.caller.rights.administrator
    }

    /// The token's user, whoever it acts as.
    pub(crate) fn sender(&self) -> Uuid {
        self.caller.sender.as_ref().unwrap_or(&self.caller.user).system_user_id
    }

    /// Whose limits the call counts against: a portal's contacts each have their own.
    pub(crate) fn counted(&self) -> Uuid {
        let contact = self.caller.user.contact.filter(|it| !it.is_nil());
        contact.unwrap_or_else(|| self.sender())
    }

    /// Tells callers apart that may see different rows.
    pub(crate) fn who(&self) -> [Uuid; 3] {
        let user = &self.caller.user;
        [user.system_user_id, self.sender(), user.contact.unwrap_or_default()]
    }

    /// Writes down that something was not allowed, and why.
    pub(crate) fn audit_denied(&self, operation: &str, entity: &str, error: &GatewayError) {
        if let Some(reason) = error.audited() {
            audit::record(&Entry {
                caller: Some(&self.caller),
                operation,
                entity,
                record: "",
                decision: Decision::Denied,
                reason,
            });
        }
    }

    /// Whether these columns of the table's rows are worth asking for where nobody named them. Whoever
    /// holds the rows decides.
    pub(crate) fn may_read(&self, table: &Table, columns: &[&pb::ColumnRef]) -> bool {
        let rights = match table.source {
            Source::Erp => self.caller.rights.entity(&table.external_name),
            Source::Organization => self.caller.rights.table(&table.logical_name),
            Source::Catalog => return true,
        };
        let is_hidden = |it: &&pb::ColumnRef| match &it.column {
            Some(Named::Field(name)) => rights.hidden.contains(name),
            Some(Named::System(_) | Named::Relation(_)) | None => false,
        };
        rights.privileges.contains(Privileges::READ) && !columns.iter().any(is_hidden)
    }
}

#[cfg(test)]
impl Session {
    /// For what does not depend on who it is.
    pub(crate) fn of_nobody() -> Self {
        Self::of_contact(None)
    }

    /// Of a portal's visitor.
    pub(crate) fn of_contact(contact: Option<Uuid>) -> Self {
        let nobody = rpc::Principal {
            system_user_id: Uuid::nil(),
            name: String::new(),
            erp_user: String::new(),
            roles: Vec::new(),
            companies: rpc::Companies::default(),
            contact,
        };
        let caller = rpc::Identity::of(nobody).into_caller(&rpc::RoleDefinitions::default());
        let none = Assertions::new(HashMap::new(), SystemTime::UNIX_EPOCH);
        Self::new(Arc::new(none), None, Arc::new(caller))
    }
}

/// Assertions are credentials and stay out of logs.
impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("system_user_id", &self.system_user_id)
            .finish_non_exhaustive()
    }
}
