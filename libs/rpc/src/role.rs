//! Roles that always exist, by the platform's and the ERP's own names for them. Names of roles are told
//! apart without regard to the case of ASCII letters.

/// May do everything; companies, row policies and field rights do not bind its holders.
pub const SYSTEM_ADMINISTRATOR: &str = "System administrator";
/// Manages users, roles and portal mappings; sees no rows by that.
pub const SECURITY_ADMINISTRATOR: &str = "Security administrator";
/// Works with the platform's own tables; every person has it (spec virtual-entities §5.2).
pub const BASIC_USER: &str = "Finance and Operations Basic User";
/// Changes what the platform is made of, maps of dual-write among it.
pub const SYSTEM_CUSTOMIZER: &str = "System customizer";
/// Without it nobody makes rows of a table that dual-write has a running map of (spec
/// dual-write-and-events A22); teams that own such rows have it too.
pub const DUAL_WRITE_RUNTIME_USER: &str = "Dual-write runtime user";
/// Reads companies and currencies, as every user of dual-write has to (spec dual-write-and-events A22).
pub const DUAL_WRITE_APP_USER: &str = "Dual-write app user";
/// The service-to-service application's: the adapter and the catalog, and no row (spec
/// virtual-entities §1.4).
pub const VIRTUAL_ENTITY_APPLICATION: &str = "CDSVirtualEntityApplication";
/// What an ERP user must hold to serve a portal contact (spec virtual-entities §5.3). Grants nothing.
pub const PORTAL_USER: &str = "CDSVirtualEntityAuthorizedPortalUser";
/// [`PORTAL_USER`] by its other documented name.
pub const PORTAL_USER_ALIAS: &str = "CDSVirtualEntityAuthenticatedPortalUser";

/// Of the tenant: environments, capacity and add-ins (spec lifecycle-and-web-api §1.2, P2).
pub const POWER_PLATFORM_ADMINISTRATOR: &str = "Power Platform Administrator";
/// Of the tenant, as [`POWER_PLATFORM_ADMINISTRATOR`].
pub const DYNAMICS_365_ADMINISTRATOR: &str = "Dynamics 365 Administrator";
/// Of the tenant, as [`POWER_PLATFORM_ADMINISTRATOR`].
pub const GLOBAL_ADMINISTRATOR: &str = "Global Administrator";
/// Of the ERP's project: may link an existing platform environment (spec lifecycle-and-web-api §1.2, P4).
pub const ENVIRONMENT_MANAGER: &str = "Environment Manager";
/// Of the ERP's project, as [`ENVIRONMENT_MANAGER`].
pub const PROJECT_OWNER: &str = "Project Owner";

/// Any of these lets somebody create environments where not everybody may (spec PPI-06).
pub const TENANT_ADMINISTRATORS: [&str; 3] =
    [POWER_PLATFORM_ADMINISTRATOR, DYNAMICS_365_ADMINISTRATOR, GLOBAL_ADMINISTRATOR];

/// All of them.
pub const BUILT_IN: [&str; 14] = [
    SYSTEM_ADMINISTRATOR,
    SECURITY_ADMINISTRATOR,
    BASIC_USER,
    SYSTEM_CUSTOMIZER,
    DUAL_WRITE_RUNTIME_USER,
    DUAL_WRITE_APP_USER,
    VIRTUAL_ENTITY_APPLICATION,
    PORTAL_USER,
    PORTAL_USER_ALIAS,
    POWER_PLATFORM_ADMINISTRATOR,
    DYNAMICS_365_ADMINISTRATOR,
    GLOBAL_ADMINISTRATOR,
    ENVIRONMENT_MANAGER,
    PROJECT_OWNER,
];
