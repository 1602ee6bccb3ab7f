//! What keeps an add-in from being installed in an environment (spec ADD-04): all of it, not only the first.

use rpc::ErrorReason;
use tonic::Code;

use super::catalogue::AddIn;
use super::version::Version;
use crate::store::add_in::{Environment, Erp};

/// One thing that is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet {
    /// How the refusal is told apart by machines.
    pub reason: ErrorReason,
    /// A sentence for people.
    pub sentence: String,
}

/// What is known besides the environment itself.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    /// Why there is no capacity; absent: there is.
    pub(crate) capacity: Option<Unmet>,
    /// Somebody serves the add-in.
    pub(crate) runtime: bool,
    /// Names of add-ins that are installed there.
    pub(crate) installed: Vec<String>,
}

/// Types of finance-and-operations environments that have add-ins (spec §1.9, PPI-24).
const SUITABLE_TYPES: [&str; 4] =
    ["production", "sandbox", "unified_production", "unified_sandbox"];
const DEPLOYED: &str = "deployed";

impl Unmet {
    /// The code that goes with the reason.
    pub(crate) fn code(&self) -> Code {
        match self.reason {
            ErrorReason::CapacityInsufficient => Code::ResourceExhausted,
            _ => Code::FailedPrecondition,
        }
    }
}

/// Everything that is missing, what matters most first.
pub(crate) fn unmet(
    add_in: &AddIn,
    environment: &Environment,
    surroundings: &Surroundings,
) -> Vec<Unmet> {
    let mut unmet = Vec::new();
    let mut require = |holds: bool, reason: ErrorReason, sentence: String| {
        if !holds {
            unmet.push(Unmet { reason, sentence });
        }
    };
    let (file, name) = (&add_in.file, &environment.display_name);
    require(
        environment.erp.is_some(),
        ErrorReason::NotLinked,
        format!(
            "The environment {name} is not linked with a finance and operations environment; set up \
             Power Platform integration first."
        ),
    );
    require(
        environment.database.is_some(),
        ErrorReason::RequirementUnmet,
        format!("The environment {name} has no Dataverse database."),
    );
    if let Some(erp) = &environment.erp {
        of_erp(add_in, erp, &mut require);
    }
    require(
        !file.requires_dual_write || environment.dual_write_linked,
        ErrorReason::RequirementUnmet,
        format!("{} needs dual-write, which is not linked.", file.display_name),
    );
    for required in &file.required_add_ins {
        require(
            surroundings.installed.contains(required),
            ErrorReason::RequirementUnmet,
            format!("{} needs the add-in {required}, which is not installed.", file.display_name),
        );
    }
    require(
        surroundings.runtime,
        ErrorReason::RequirementUnmet,
        format!(
            "The service of {} is not running here: name its address among the lifecycle service's peers.",
            file.display_name
        ),
    );
    unmet.extend(surroundings.capacity.clone());
    unmet
}

fn of_erp(add_in: &AddIn, erp: &Erp, require: &mut impl FnMut(bool, ErrorReason, String)) {
    let (file, name) = (&add_in.file, &erp.display_name);
    require(
        SUITABLE_TYPES.contains(&erp.kind.as_str()),
        ErrorReason::RequirementUnmet,
        format!(
            "Add-ins can be installed in sandbox and production environments only, and {name} is of the \
             type {}.",
            erp.kind.replace('_', "-")
        ),
    );
    require(
        erp.state == DEPLOYED,
        ErrorReason::InvalidState,
        format!("The environment {name} is not running, it is {}.", erp.state),
    );
    if let Some(minimum) = &add_in.minimum_version {
        require(
            Version::parse(&erp.version).is_some_and(|it| it >= *minimum),
            ErrorReason::RequirementUnmet,
            format!(
                "{} needs version {} of finance and operations, and {name} has {}.",
                file.display_name, file.minimum_version, erp.version
            ),
        );
    }
    require(
        file.regions.is_empty()
            || file.regions.iter().any(|it| it.eq_ignore_ascii_case(&erp.region)),
        ErrorReason::RegionUnsuitable,
        format!(
            "{} does not support the geography of {name}, {}; it runs in {}.",
            file.display_name,
            erp.region,
            file.regions.join(", ")
        ),
    );
}
