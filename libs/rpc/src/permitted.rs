//! Which service may call what of which other. What is not listed is refused, whoever the user is.
//!
//! Towards the adapter and the catalog this is the application role `CDSVirtualEntityApplication`: the
//! gateway, as an application, may call the adapter's services and read the catalog, and nothing else
//! is open to it there. It is no right to data: a call about rows that names no user stays
//! UNAUTHENTICATED (NO_CALLER), and with a user it is the user's rights that count.

use http::uri::PathAndQuery;
use tonic::{Code, Status};

use crate::status::{ErrorReason, status};

/// What one service may call of another.
#[derive(Debug)]
struct Permission {
    caller: &'static str,
    callee: &'static str,
    /// Of whole packages (`….`), whole services (`…/`), or single methods.
    calls: &'static [&'static str],
}

const WATCH_TRUST: &str = "tombolo.user_context.v1.UserContextService/WatchTrust";
const PROVISIONING: &str = "tombolo.lifecycle.v1.ProvisioningService/";
const ROWS: &str = "tombolo.query.v1.DataProviderService/";
const TRANSACTIONS: &str = "tombolo.query.v1.TransactionService/";
const CHANGES: &str = "tombolo.query.v1.ChangeTrackingService/";
const METADATA: &str = "tombolo.query.v1.MetadataProviderService/";
const SHARING: &str = "tombolo.query.v1.SharingService/";

#[rustfmt::skip]
const PERMITTED: &[Permission] = &[
    // The front door: on behalf of users, and what it needs to know to serve them.
    Permission { caller: "gateway", callee: "query", calls: &[ROWS, TRANSACTIONS, CHANGES, METADATA] },
    Permission { caller: "gateway", callee: "catalog", calls: &[ROWS, CHANGES, METADATA, "tombolo.catalog.v1."] },
    Permission { caller: "gateway", callee: "organization", calls: &[ROWS, TRANSACTIONS, CHANGES, METADATA, "tombolo.organization.v1.OrganizationService/GetOrganization", "tombolo.organization.v1.BackgroundOperationService/"] },
    Permission { caller: "gateway", callee: "user-context", calls: &[WATCH_TRUST, "tombolo.user_context.v1.UserContextService/ResolveCaller", "tombolo.user_context.v1.UserContextService/GetCaller", "tombolo.user_context.v1.DirectoryService/"] },
    // The adapter follows the definitions it serves.
    Permission { caller: "query", callee: "catalog", calls: &["tombolo.catalog.v1.CatalogService/WatchDataEntities"] },
    Permission { caller: "query", callee: "user-context", calls: &[WATCH_TRUST] },
    Permission { caller: "catalog", callee: "user-context", calls: &[WATCH_TRUST] },
    Permission { caller: "organization", callee: "user-context", calls: &[WATCH_TRUST, "tombolo.user_context.v1.UserContextService/CheckPortalUser"] },
    Permission { caller: "user-context", callee: "organization", calls: &["tombolo.organization.v1.PortalService/", "tombolo.organization.v1.OrganizationService/ImportUsers"] },
    // Environments and capacity: each decides by itself what users may; what they ask of each other has none.
    Permission { caller: "gateway", callee: "lifecycle", calls: &["tombolo.lifecycle.v1.OperationService/", "tombolo.lifecycle.v1.SetupService/", "tombolo.lifecycle.v1.PlatformEnvironmentService/", "tombolo.lifecycle.v1.FinanceAndOperationsEnvironmentService/", "tombolo.lifecycle.v1.AddInService/"] },
    Permission { caller: "gateway", callee: "capacity", calls: &["tombolo.capacity.v1.CapacityService/", "tombolo.capacity.v1.LicenceService/"] },
    Permission { caller: "lifecycle", callee: "capacity", calls: &["tombolo.capacity.v1.ReservationService/", "tombolo.capacity.v1.UserLicenceService/"] },
    Permission { caller: "capacity", callee: "lifecycle", calls: &["tombolo.capacity.v1.MeterService/"] },
    Permission { caller: "lifecycle", callee: "organization", calls: &[PROVISIONING] },
    Permission { caller: "lifecycle", callee: "catalog", calls: &[PROVISIONING] },
    Permission { caller: "lifecycle", callee: "user-context", calls: &[WATCH_TRUST, PROVISIONING, "tombolo.user_context.v1.UserContextService/LookupUser"] },
    Permission { caller: "capacity", callee: "user-context", calls: &[WATCH_TRUST, "tombolo.user_context.v1.UserContextService/LookupUser"] },
    Permission { caller: "lifecycle", callee: "data-export", calls: &["tombolo.add_in.v1."] },
    // Dual-write keeps both stores the same: it sees and writes mapped rows, as itself and for no user.
    Permission { caller: "gateway", callee: "dual-write", calls: &["tombolo.dual_write.v1."] },
    Permission { caller: "dual-write", callee: "query", calls: &[SHARING, TRANSACTIONS] },
    Permission { caller: "dual-write", callee: "organization", calls: &[SHARING, TRANSACTIONS, METADATA, "tombolo.organization.v1.OrganizationService/GetOrganization"] },
    Permission { caller: "dual-write", callee: "catalog", calls: &["tombolo.catalog.v1.CatalogService/WatchDataEntities"] },
    Permission { caller: "dual-write", callee: "user-context", calls: &[WATCH_TRUST, "tombolo.user_context.v1.UserContextService/LookupUser"] },
    // The command that sets an environment up.
    Permission { caller: "tombolo", callee: "query", calls: &["tombolo.query.v1.DataProviderService/"] },
    Permission { caller: "tombolo", callee: "catalog", calls: &["tombolo.catalog.v1."] },
    Permission { caller: "tombolo", callee: "organization", calls: &["tombolo.organization.v1.OrganizationService/"] },
    Permission { caller: "tombolo", callee: "user-context", calls: &["tombolo.user_context.v1."] },
    Permission { caller: "tombolo", callee: "lifecycle", calls: &["tombolo.lifecycle.v1."] },
    Permission { caller: "tombolo", callee: "capacity", calls: &["tombolo.capacity.v1."] },
    Permission { caller: "tombolo", callee: "dual-write", calls: &["tombolo.dual_write.v1."] },
];

/// Whether `caller` may call the method of `path` (`/package.Service/Method`) of `callee`.
pub(crate) fn check(caller: &str, callee: &str, path: &PathAndQuery) -> Result<(), Status> {
    if may_call(caller, callee, path.path().trim_start_matches('/')) {
        return Ok(());
    }
    let message = format!("the service `{caller}` may not call this method of `{callee}`");
    let reason = ErrorReason::ServiceDenied;
    Err(status(Code::PermissionDenied, "rpc", reason, message, [("caller", caller)]))
}

/// Whether a service of this name calls anybody at all.
pub(crate) fn is_known(service: &str) -> bool {
    PERMITTED.iter().any(|it| it.caller == service)
}

fn may_call(caller: &str, callee: &str, method: &str) -> bool {
    let both = |it: &&Permission| it.caller == caller && it.callee == callee;
    let matches = |call: &&str| match call.ends_with(['.', '/']) {
        true => method.starts_with(*call),
        false => method == *call,
    };
    PERMITTED.iter().filter(both).any(|it| it.calls.iter().any(matches))
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    fn methods() -> Vec<String> {
        let set = FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
        let mut methods = Vec::new();
        for file in &set.file {
            for service in &file.service {
                let name = format!("{}.{}", file.package(), service.name());
                methods.extend(service.method.iter().map(|it| format!("{name}/{}", it.name())));
            }
        }
        methods
    }

    #[test]
    fn every_permission_is_of_something_that_exists() {
        let methods = methods();
        for Permission { caller, callee, calls } in PERMITTED {
            for call in *calls {
                let some = methods.iter().any(|it| match call.ends_with(['.', '/']) {
                    true => it.starts_with(call),
                    false => it == call,
                });
                assert!(some, "{caller} -> {callee}: {call}");
            }
        }
    }

    #[test]
    fn what_is_not_listed_is_refused() {
        let check = |caller: &str, callee: &str, method: &str, expected: bool| {
            assert_eq!(may_call(caller, callee, method), expected, "{caller} {callee} {method}");
        };
        check("gateway", "query", "tombolo.query.v1.DataProviderService/Retrieve", true);
        check("gateway", "query", "tombolo.query.v11.Another/Method", false);
        check("gateway", "organization", "tombolo.organization.v1.PortalService/X", false);
        // Neither takes a user, and the gateway needs neither.
        let import = "tombolo.organization.v1.OrganizationService/ImportUsers";
        check("gateway", "organization", import, false);
        let portal_user = "tombolo.user_context.v1.UserContextService/CheckPortalUser";
        check("gateway", "user-context", portal_user, false);
        check("query", "user-context", WATCH_TRUST, true);
        check(
            "query",
            "user-context",
            "tombolo.user_context.v1.UserContextService/WatchTrustX",
            false,
        );
        check(
            "query",
            "user-context",
            "tombolo.user_context.v1.UserContextService/ResolveCaller",
            false,
        );
        check("query", "organization", "tombolo.query.v1.DataProviderService/Retrieve", false);
        check("catalog", "query", "tombolo.query.v1.DataProviderService/Retrieve", false);
        check("nobody", "query", "tombolo.query.v1.DataProviderService/Retrieve", false);
        check("", "", "", false);
    }

    #[test]
    fn dual_write_reaches_no_row_but_by_sharing() {
        for method in methods().iter().filter(|it| it.starts_with(ROWS) || it.starts_with(CHANGES))
        {
            for callee in ["query", "catalog", "organization"] {
                assert!(!may_call("dual-write", callee, method), "{callee} {method}");
            }
        }
        let share = "tombolo.query.v1.SharingService/ReadImages";
        assert!(may_call("dual-write", "query", share) && !may_call("gateway", "query", share));
    }

    #[test]
    fn only_the_gateway_and_the_command_reach_rows() {
        for method in methods().iter().filter(|it| it.starts_with("tombolo.query.v1.")) {
            for caller in
                ["query", "catalog", "organization", "user-context", "capacity", "lifecycle"]
            {
                for callee in ["query", "catalog", "organization"] {
                    assert!(!may_call(caller, callee, method), "{caller} {callee} {method}");
                }
            }
        }
    }
}
