//! The invoking user: who it is, and what it may do.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::rights::{Companies, Rights, RoleDefinitions};
use crate::role;

/// Somebody with roles: a user, or an application that calls as itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// Row id of the platform user.
    pub system_user_id: Uuid,
    /// Sign-in name.
    pub name: String,
    /// The ERP's own user id.
    pub erp_user: String,
    /// Names of the roles that it holds.
    pub roles: Vec<String>,
    /// Legal entities that it belongs to.
    pub companies: Companies,
    /// The portal contact that the user stands for, if it does; zeros for a visitor who did not sign in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<Uuid>,
}

/// Who calls, and as whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The user whose rights count.
    pub user: Principal,
    /// Who really calls, where that is somebody else: then only what both may do is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<Principal>,
    /// IANA name of the time zone in which the user's days begin and times are shown.
    pub time_zone: String,
    /// LCID of the user's language.
    pub language: i32,
}

/// The user on whose behalf a call is made. Holding one means that its assertion was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user whose rights count.
    pub user: Principal,
    /// Who really calls, where that is somebody else.
    pub sender: Option<Principal>,
    /// What the call may do: what the user may, and the sender too.
    pub rights: Rights,
    /// IANA name of the user's time zone.
    pub time_zone: String,
    /// LCID of the user's language.
    pub language: i32,
}

/// The time zone of who has chosen none.
pub const DEFAULT_TIME_ZONE: &str = "UTC";
/// The language of who has chosen none: English (United States).
pub const DEFAULT_LANGUAGE: i32 = 1033;

// === impl Principal ===

impl Principal {
    /// Whether it holds the role of this name.
    #[must_use]
    pub fn holds(&self, role: &str) -> bool {
        self.roles.iter().any(|it| it.eq_ignore_ascii_case(role))
    }

    /// Whether it is a System administrator.
    #[must_use]
    pub fn is_administrator(&self) -> bool {
        self.holds(role::SYSTEM_ADMINISTRATOR)
    }

    /// Whether it administers the tenant: environments, capacity, add-ins. System administrators do.
    #[must_use]
    pub fn is_tenant_administrator(&self) -> bool {
        self.is_administrator() || role::TENANT_ADMINISTRATORS.iter().any(|it| self.holds(it))
    }

    /// Whether it is a Security administrator.
    #[must_use]
    pub fn is_security_administrator(&self) -> bool {
        self.holds(role::SECURITY_ADMINISTRATOR)
    }
}

// === impl Identity ===

impl Identity {
    /// A user that calls as itself.
    #[must_use]
    pub fn of(user: Principal) -> Self {
        let (time_zone, language) = (DEFAULT_TIME_ZONE.to_owned(), DEFAULT_LANGUAGE);
        Self { user, sender: None, time_zone, language }
    }

    /// With what the principals' roles grant.
    #[must_use]
    pub fn into_caller(self, roles: &RoleDefinitions) -> Caller {
        let own = Rights::of(&self.user, roles);
        let rights = match &self.sender {
            Some(sender) => own.intersect(&Rights::of(sender, roles)),
            None => own,
        };
        let Self { user, sender, time_zone, language } = self;
        Caller { user, sender, rights, time_zone, language }
    }
}

// === impl Caller ===

impl Caller {
    /// The user, and who acts as it: what restricts one of them restricts the call.
    pub fn principals(&self) -> impl Iterator<Item = &Principal> {
        std::iter::once(&self.user).chain(&self.sender)
    }
}
