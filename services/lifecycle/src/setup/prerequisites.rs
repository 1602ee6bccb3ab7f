//! P1 to P9 (spec lifecycle-and-web-api §1.2): from facts to what holds and what does not, and nothing else.

use proto::lifecycle::v1::{
    FailureKind, FinanceAndOperationsEnvironmentState as ErpState, Prerequisite, PrerequisiteCheck,
};
use rpc::{ErrorReason, role};

use crate::engine::Failure;
use crate::words::Word as _;

/// Seen by users of the original; the capacity service says the same in its own place.
const CAPACITY: &str = "This environment can't be created because your org (tenant) needs at least 1 GB of \
                        database capacity.";

/// All that prerequisites are judged by.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// Who runs the setup, as people type it.
    pub(crate) user: String,
    pub(crate) capacity: Capacity,
    /// Only administrators create environments.
    pub(crate) creation_restricted: bool,
    /// The user's roles in the tenant.
    pub(crate) roles: Vec<String>,
    /// One of the user's licences permits a setup.
    pub(crate) licensed: bool,
    pub(crate) erp: Erp,
    /// Absent: a new database in the initial environment.
    pub(crate) existing: Option<Existing>,
}

/// What the capacity service says.
#[derive(Clone, Debug)]
pub(crate) struct Capacity {
    pub(crate) allowed: bool,
    pub(crate) in_overage: bool,
    pub(crate) message: String,
}

/// The finance-and-operations environment.
#[derive(Clone, Debug)]
pub(crate) struct Erp {
    pub(crate) name: String,
    pub(crate) state: ErpState,
    /// It is this operation that services it.
    pub(crate) serviced_by_us: bool,
    pub(crate) region: String,
    /// Display name of the geography that the region is in; absent for a region that nobody knows.
    pub(crate) geography: Option<String>,
}

/// The platform environment that exists.
#[derive(Clone, Debug)]
pub(crate) struct Existing {
    pub(crate) display_name: String,
    /// It, the ERP and the user are of one tenant.
    pub(crate) same_tenant: bool,
    /// The user is an administrator there.
    pub(crate) administered: bool,
    pub(crate) has_database: bool,
    pub(crate) d365_apps_enabled: bool,
    /// Display name of its geography.
    pub(crate) geography: String,
}

/// P1 to P9, each once, in order.
pub(crate) fn check(facts: &Facts) -> [PrerequisiteCheck; 9] {
    [
        capacity(facts),
        governance(facts),
        licence(facts),
        for_existing(facts, Prerequisite::ProjectRole, project_role),
        for_existing(facts, Prerequisite::SameTenant, same_tenant),
        for_existing(facts, Prerequisite::SystemAdministrator, system_administrator),
        for_existing(facts, Prerequisite::D365AppsEnabled, d365_apps),
        for_existing(facts, Prerequisite::SameGeography, same_geography),
        deployed(facts),
    ]
}

/// Those that fail.
pub(crate) fn failing(
    checks: impl IntoIterator<Item = PrerequisiteCheck>,
) -> Vec<PrerequisiteCheck> {
    checks.into_iter().filter(|it| !it.passed && !it.skipped).collect()
}

/// Whether it refuses a request at once, instead of failing its operation.
pub(crate) fn refuses_at_once(prerequisite: Prerequisite) -> bool {
    match prerequisite {
        Prerequisite::ProjectRole
        | Prerequisite::SameTenant
        | Prerequisite::SystemAdministrator
        | Prerequisite::D365AppsEnabled
        | Prerequisite::SameGeography => true,
        Prerequisite::Unspecified
        | Prerequisite::DatabaseCapacity
        | Prerequisite::Governance
        | Prerequisite::Licence
        | Prerequisite::Deployed => false,
    }
}

/// What to say of an operation whose prerequisites fail: the first in order says who can mend it.
pub(crate) fn failure(checks: Vec<PrerequisiteCheck>, in_overage: bool) -> Option<Failure> {
    let first = checks.first()?;
    let reason = match first.prerequisite() {
        Prerequisite::DatabaseCapacity if in_overage => ErrorReason::CapacityOverage,
        Prerequisite::DatabaseCapacity => ErrorReason::CapacityInsufficient,
        Prerequisite::Governance => ErrorReason::GovernanceDenied,
        Prerequisite::Licence => ErrorReason::LicenceMissing,
        Prerequisite::Deployed => ErrorReason::InvalidState,
        Prerequisite::SameGeography => ErrorReason::RegionUnsuitable,
        Prerequisite::Unspecified
        | Prerequisite::ProjectRole
        | Prerequisite::SameTenant
        | Prerequisite::SystemAdministrator
        | Prerequisite::D365AppsEnabled => ErrorReason::RequirementUnmet,
    };
    let help: Vec<&str> = checks.iter().map(|it| it.help.as_str()).collect();
    Some(Failure {
        kind: first.failure_kind(),
        reason,
        message: first.message.clone(),
        help: help.join(" "),
        prerequisites: checks,
    })
}

fn kind(prerequisite: Prerequisite) -> FailureKind {
    match prerequisite {
        Prerequisite::Unspecified => FailureKind::Unspecified,
        Prerequisite::DatabaseCapacity => FailureKind::Capacity,
        Prerequisite::Governance => FailureKind::Governance,
        Prerequisite::Licence => FailureKind::Licence,
        Prerequisite::ProjectRole
        | Prerequisite::SameTenant
        | Prerequisite::SystemAdministrator => FailureKind::Permission,
        Prerequisite::D365AppsEnabled | Prerequisite::SameGeography => FailureKind::Validation,
        Prerequisite::Deployed => FailureKind::State,
    }
}

/// What fails: its text, and what to do about it.
type Mend = (String, String);

fn judged(
    prerequisite: Prerequisite,
    holds: bool,
    says: &str,
    mend: impl FnOnce() -> Mend,
) -> PrerequisiteCheck {
    let (message, help) = if holds { (says.to_owned(), String::new()) } else { mend() };
    PrerequisiteCheck {
        prerequisite: prerequisite.into(),
        passed: holds,
        skipped: false,
        failure_kind: if holds { FailureKind::Unspecified } else { kind(prerequisite) }.into(),
        message,
        help,
    }
}

fn for_existing(
    facts: &Facts,
    prerequisite: Prerequisite,
    judge: fn(&Facts, &Existing) -> PrerequisiteCheck,
) -> PrerequisiteCheck {
    match &facts.existing {
        Some(existing) => judge(facts, existing),
        None => PrerequisiteCheck {
            prerequisite: prerequisite.into(),
            skipped: true,
            message: "Applies to an existing environment only.".to_owned(),
            ..Default::default()
        },
    }
}

fn holds_any(facts: &Facts, roles: &[&str]) -> bool {
    roles.iter().any(|role| facts.roles.iter().any(|it| it.eq_ignore_ascii_case(role)))
}

fn capacity(facts: &Facts) -> PrerequisiteCheck {
    let says = "At least 1 GB of database capacity is free.";
    judged(Prerequisite::DatabaseCapacity, facts.capacity.allowed, says, || {
        let message = match facts.capacity.message.as_str() {
            "" => CAPACITY.to_owned(),
            message => message.to_owned(),
        };
        let help = "Free or buy database capacity: `tombolo capacity show` says what is used, \
                    `tombolo capacity licences create` records a purchase.";
        (message, help.to_owned())
    })
}

fn governance(facts: &Facts) -> PrerequisiteCheck {
    let holds = !facts.creation_restricted || holds_any(facts, &role::TENANT_ADMINISTRATORS);
    judged(Prerequisite::Governance, holds, "The user may create environments.", || {
        let user = &facts.user;
        let message = format!(
            "Only specific admins may create environments in this tenant, and `{user}` is none of them."
        );
        let help = format!(
            "Let everyone create environments (`tombolo env settings --restrict-creation false`), or give the \
             user the role `{}` or `{}` (`tombolo user set {user} --role …`, which replaces the roles that it has).",
            role::POWER_PLATFORM_ADMINISTRATOR,
            role::DYNAMICS_365_ADMINISTRATOR,
        );
        (message, help)
    })
}

fn licence(facts: &Facts) -> PrerequisiteCheck {
    let says = "The user holds a licence that permits a setup.";
    judged(Prerequisite::Licence, facts.licensed, says, || {
        let user = &facts.user;
        let message = format!(
            "`{user}` holds none of the licences that permit a setup: Dynamics 365 Unified Operations Plan, \
             AX Enterprise, or an app licence (Finance, Supply Chain Management, Commerce, Project \
             Operations, Human Resources)."
        );
        let help = format!(
            "Assign one: `tombolo capacity licences list` shows what was bought, \
             `tombolo capacity assign LICENCE {user}` assigns it."
        );
        (message, help)
    })
}

fn project_role(facts: &Facts, _: &Existing) -> PrerequisiteCheck {
    let (manager, owner) = (role::ENVIRONMENT_MANAGER, role::PROJECT_OWNER);
    let says = "The user is of the project that owns the environment.";
    judged(Prerequisite::ProjectRole, holds_any(facts, &[manager, owner]), says, || {
        let user = &facts.user;
        let message = format!(
            "To link an existing environment, `{user}` needs the role {manager} or {owner}."
        );
        let help = format!(
            "Give the user one of them: `tombolo user set {user} --role \"{manager}\"`, with \
                     the roles that it has."
        );
        (message, help)
    })
}

fn same_tenant(facts: &Facts, existing: &Existing) -> PrerequisiteCheck {
    let says = "The user and both environments are of one tenant.";
    judged(Prerequisite::SameTenant, existing.same_tenant, says, || {
        let (user, erp, platform) = (&facts.user, &facts.erp.name, &existing.display_name);
        let message = format!("`{user}`, `{erp}` and `{platform}` are not of one tenant.");
        let help = "Sign in with an account of the tenant that owns both, and choose environments of it \
                    (`tombolo env list`).";
        (message, help.to_owned())
    })
}

fn system_administrator(facts: &Facts, existing: &Existing) -> PrerequisiteCheck {
    let says = "The user administers the platform environment.";
    judged(Prerequisite::SystemAdministrator, existing.administered, says, || {
        let (user, platform) = (&facts.user, &existing.display_name);
        let role = role::SYSTEM_ADMINISTRATOR;
        let message = format!("`{user}` is no {role} of `{platform}`.");
        let help = format!(
            "Give the user that role there: `tombolo user set {user} --role \"{role}\"`, in that \
             environment."
        );
        (message, help)
    })
}

fn d365_apps(_: &Facts, existing: &Existing) -> PrerequisiteCheck {
    let says = "The platform environment was made for Dynamics 365 apps.";
    let holds = existing.has_database && existing.d365_apps_enabled;
    judged(Prerequisite::D365AppsEnabled, holds, says, || {
        let platform = &existing.display_name;
        let message = match existing.has_database {
            true => format!(
                "`{platform}` was created without \"Enable D365 apps\", which is fixed at creation."
            ),
            false => format!("`{platform}` has no Dataverse database."),
        };
        let help = "Choose another environment, or make one with `tombolo env create-platform` with a \
                    database and Dynamics 365 apps.";
        (message, help.to_owned())
    })
}

fn same_geography(facts: &Facts, existing: &Existing) -> PrerequisiteCheck {
    let says = "Both environments are in one geography.";
    let erp = &facts.erp;
    let holds = erp.geography.as_ref() == Some(&existing.geography);
    judged(Prerequisite::SameGeography, holds, says, || {
        let (platform, there) = (&existing.display_name, &existing.geography);
        let here = erp.geography.as_deref().unwrap_or("an unknown geography");
        let message = format!(
            "`{}` is in {} ({here}) and `{platform}` in {there}: both have to be in one geography.",
            erp.name, erp.region
        );
        let help = format!("Choose a platform environment in {here} (`tombolo env list`).");
        (message, help)
    })
}

fn deployed(facts: &Facts) -> PrerequisiteCheck {
    let erp = &facts.erp;
    let holds = match erp.state {
        ErpState::Deployed => true,
        ErpState::Servicing => erp.serviced_by_us,
        ErpState::Unspecified | ErpState::Deploying | ErpState::Failed | ErpState::Deleting => {
            false
        }
    };
    judged(Prerequisite::Deployed, holds, "The environment is deployed.", || {
        let message = format!("`{}` is not deployed: it is {}.", erp.name, erp.state.word());
        let help = format!("Wait until it is (`tombolo env show {}`), then resume.", erp.name);
        (message, help)
    })
}

#[cfg(test)]
mod tests;
