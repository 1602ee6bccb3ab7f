//! Who may do what with native rows.
//!
//! Roles say so, table by table. Whatever they say, the tables that tell who users are, what teams hold, and what
//! the organization and its companies are, what is installed and how it is configured, and the views that everybody
//! has, are written by System administrators only; views of one's own are their owners'; the mappings of portal users belong to
//! System and Security administrators; rows of tables that dual-write has maps of are made by its users only;
//! and who stands for a portal contact has no native table at all.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use proto::query::v1 as query;
use proto::query::v1::operation::Operation as Kind;
use proto::query::v1::value::Kind as Value;
use proto::user_context::v1::CheckPortalUserRequest;
use proto::user_context::v1::user_context_service_client::UserContextServiceClient;
use provider::{Authority, Denied, Grant, Privilege, Refused};
use rpc::{Caller, Channel, ErrorReason, role, unavailable};
use tonic::{Request, Status};

use crate::error::DOMAIN;
use crate::mapped::Mapped;
use crate::native::NativeTables;

/// Written by System administrators only.
const SYSTEM_TABLES: [&str; 13] = [
    "organization",
    "businessunit",
    "team",
    "tombolo_teamrole",
    "tombolo_teamgap",
    "systemuser",
    "cdm_company",
    "savedquery",
    "solution",
    "msdyn_financeandoperationsvirtualentity",
    "tombolo_addin",
    "msdyn_dualwriteruntimeconfig",
    "msdyn_dualwriteentitymap",
];
/// Its rows are their owners' only.
const OWNED_TABLE: &str = "userquery";
/// Of System and Security administrators.
const PORTAL_TABLE: &str = "msdyn_externalportalusermapping";
/// Its column of the ERP user.
const PORTAL_ERP_USER: &str = "msdyn_financeandoperationsuser";
/// A write waits no longer for what user-context says of a portal user.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// The platform's own rights.
#[derive(Debug)]
pub(crate) struct PlatformRights {
    tables: Arc<NativeTables>,
    mapped: Mapped,
    user_context: Channel,
}

impl PlatformRights {
    pub(crate) fn new(tables: Arc<NativeTables>, mapped: Mapped, user_context: Channel) -> Self {
        Self { tables, mapped, user_context }
    }

    /// The refusal of an ERP user who may not serve a portal contact.
    async fn check_portal_user(&self, erp_user: String) -> Result<(), Status> {
        let mut client = UserContextServiceClient::new(self.user_context.clone());
        let mut request = Request::new(CheckPortalUserRequest { erp_user });
        request.set_timeout(CHECK_TIMEOUT);
        match client.check_portal_user(request).await {
            Ok(_) => Ok(()),
            Err(refusal) if rpc::reason(&refusal) == Some(ErrorReason::PortalUserRefused) => {
                Err(refusal)
            }
            Err(error) => {
                let (code, message) = (error.code(), error.message());
                tracing::warn!(?code, message, "a portal user could not be checked");
                let message = "portal users cannot be checked now; try again later";
                Err(unavailable(DOMAIN, ErrorReason::StoreUnavailable, message))
            }
        }
    }
}

impl Authority for PlatformRights {
    fn grant(&self, caller: &Caller, entity: &str, privilege: Privilege) -> Result<Grant, Refused> {
        let binding = self.tables.binding(entity).ok_or(Refused::Unknown)?;
        let is_shared = privilege == Privilege::Create && self.mapped.contains(entity);
        if !may_touch(caller, entity, privilege) || is_shared && !may_share(caller) {
            return Err(Refused::Denied(Denied::new(caller, entity, privilege)));
        }
        if caller.rights.administrator || entity == PORTAL_TABLE {
            return Ok(Grant::unrestricted(binding));
        }
        let grant = if entity == OWNED_TABLE {
            let owner = vec![caller.user.system_user_id.to_string()];
            Grant::restricted(binding, "ownerid", owner)?
        } else {
            Grant::unrestricted(binding)
        };
        let rights = caller.rights.table(entity);
        grant.limited_to(caller, &rights, privilege).map_err(Refused::Denied)
    }

    fn lookup(&self, entity: &str, column: &str) -> Option<String> {
        self.tables.lookup(entity, column)
    }

    fn review<'a>(
        &'a self,
        caller: &'a Caller,
        operation: &'a query::Operation,
    ) -> Option<BoxFuture<'a, Result<(), Status>>> {
        let erp_user = mapped_user(operation)?;
        // Others are refused without being told anything of the user.
        may_touch(caller, PORTAL_TABLE, Privilege::Update)
            .then(|| self.check_portal_user(erp_user.to_owned()).boxed())
    }
}

/// Whether the caller may make rows that dual-write takes to the ERP.
fn may_share(caller: &Caller) -> bool {
    const ROLES: [&str; 3] =
        [role::DUAL_WRITE_RUNTIME_USER, role::SYSTEM_ADMINISTRATOR, role::SYSTEM_CUSTOMIZER];
    caller.principals().all(|it| ROLES.iter().any(|role| it.holds(role)))
}

/// What holds whatever roles grant.
fn may_touch(caller: &Caller, table: &str, privilege: Privilege) -> bool {
    let rights = &caller.rights;
    if rights.administrator {
        return true;
    }
    if caller.principals().any(|it| it.contact.is_some()) {
        return false;
    }
    if table == PORTAL_TABLE {
        return rights.security_administrator;
    }
    privilege == Privilege::Read || !SYSTEM_TABLES.contains(&table)
}

/// The ERP user that a write gives to a portal contact.
fn mapped_user(operation: &query::Operation) -> Option<&str> {
    let (table, values) = match operation.operation.as_ref()? {
        Kind::Create(it) => (&it.entity_name, &it.values),
        Kind::Update(it) => (&it.entity_name, &it.values),
        Kind::Upsert(it) => (&it.entity_name, &it.values),
        Kind::Delete(_) | Kind::PerformAction(_) | Kind::Retrieve(_) => return None,
    };
    if table != PORTAL_TABLE {
        return None;
    }
    let given = values.iter().rev().find(|it| it.field == PORTAL_ERP_USER)?;
    match given.value.as_ref()?.kind.as_ref()? {
        Value::StringValue(erp_user) => Some(erp_user),
        // Anything else is no text, and refused as that.
        _ => None,
    }
}
