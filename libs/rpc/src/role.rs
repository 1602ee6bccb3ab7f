//! Roles that always exist, by the platform's and the ERP's own names for them. Names of roles are told
//! apart without regard to the case of ASCII letters.

/// May do everything; companies, row policies and field rights do not bind its holders.
pub const SYSTEM_ADMINISTRATOR: &str = "System administrator";
/// Manages users, roles and portal mappings; sees no rows by that.
pub const SECURITY_ADMINISTRATOR: &str = "Security administrator";
/// Works with the platform's own tables; every person has it (spec virtual-entities §5.2).
pub const BASIC_USER: &str = "Finance and Operations Basic User";
/// The service-to-service application's: the adapter and the catalog, and no row (spec
/// virtual-entities §1.4).
pub const VIRTUAL_ENTITY_APPLICATION: &str = "CDSVirtualEntityApplication";
/// What an ERP user must hold to serve a portal contact (spec virtual-entities §5.3). Grants nothing.
pub const PORTAL_USER: &str = "CDSVirtualEntityAuthorizedPortalUser";
/// [`PORTAL_USER`] by its other documented name.
pub const PORTAL_USER_ALIAS: &str = "CDSVirtualEntityAuthenticatedPortalUser";

/// All of them.
pub const BUILT_IN: [&str; 6] = [
    SYSTEM_ADMINISTRATOR,
    SECURITY_ADMINISTRATOR,
    BASIC_USER,
    VIRTUAL_ENTITY_APPLICATION,
    PORTAL_USER,
    PORTAL_USER_ALIAS,
];
