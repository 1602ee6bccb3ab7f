//! What may be done with which environment: the rules of spec §1.5 and §1.6, and their fixed texts.

use proto::lifecycle::v1::{
    FinanceAndOperationsEnvironmentState as ErpState, PlatformEnvironmentState as State,
    PlatformEnvironmentType as Type,
};

use crate::error::Error;
use crate::store::finance_and_operations::FinanceAndOperations;
use crate::store::platform::{Dataverse, Platform};
use crate::text;
use crate::words::Word as _;

pub(crate) const DELETE_LINKED: &str = "Delete cannot be performed on Power Platform environments that are linked to Finance and Operations environments. Please use Lifecycle Services to perform this operation.";
pub(crate) const HOST_LINKED: &str =
    "The finance and operations environment does not support domain name changes.";
pub(crate) const BOTH_HALVES: &str = "Do the same to the other half of the link at the same time: only both together stay consistent.";
pub(crate) const CODE_TRAVELS: &str = "The copy takes code and data, a refresh of the other half takes data only: bring the code of the other half to the source's version.";
pub(crate) const CODE_STAYS: &str =
    "Data was copied and code was not: bring the target's code to the source's version.";
pub(crate) const REPAIR: &str = "Dual-write, virtual entities and events may need repair.";
const LONGEST_ID: usize = 20;
const LONGEST_HOST: usize = 63;
const LONGEST_DISPLAY_NAME: usize = 100;

/// Last part of a finance-and-operations environment's name.
pub(crate) fn check_id(field: &str, id: &str) -> Result<(), Error> {
    check_label(field, id, LONGEST_ID)
}

/// First label of a host.
pub(crate) fn check_host(field: &str, host: &str) -> Result<(), Error> {
    check_label(field, host, LONGEST_HOST)
}

fn check_label(field: &str, label: &str, longest: usize) -> Result<(), Error> {
    let allowed = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-';
    let starts = label.bytes().next().is_some_and(|it| it.is_ascii_lowercase());
    match starts && !label.ends_with('-') && label.len() <= longest && label.bytes().all(allowed) {
        true => Ok(()),
        false => {
            let message = format!(
                "it takes a lower case letter, then lower case letters, digits and hyphens, {longest} at most"
            );
            Err(Error::InvalidValue { field: field.to_owned(), message })
        }
    }
}

/// What people call an environment.
pub(crate) fn check_display_name(field: &str, name: &str) -> Result<(), Error> {
    match text::is_plain(name, LONGEST_DISPLAY_NAME) && name.trim() == name {
        true => Ok(()),
        false => {
            let message = format!(
                "it takes 1 to {LONGEST_DISPLAY_NAME} characters, none of them a control character, and no space around them"
            );
            Err(Error::InvalidValue { field: field.to_owned(), message })
        }
    }
}

/// The environment's name has to be typed before something is done to it that cannot be undone.
pub(crate) fn check_confirmation(typed: &str, display_name: &str) -> Result<(), Error> {
    match typed == display_name {
        true => Ok(()),
        false => {
            let message =
                format!("type the environment's display name, `{display_name}`, to confirm");
            Err(Error::Confirmation { field: "confirmation", message })
        }
    }
}

/// The row was not changed since the caller read it.
pub(crate) fn check_etag(etag: &str, revision: i64, name: &str) -> Result<(), Error> {
    match etag.is_empty() || etag == revision.to_string() {
        true => Ok(()),
        false => Err(Error::VersionMismatch(name.to_owned())),
    }
}

/// The environment is not deleted and nothing is at work on it.
pub(crate) fn check_ready(environment: &Platform) -> Result<(), Error> {
    match environment.state {
        State::Ready => Ok(()),
        state => Err(wrong_state(environment.name(), state.word())),
    }
}

/// The ERP's half is there and up.
pub(crate) fn check_deployed(environment: &FinanceAndOperations) -> Result<(), Error> {
    match environment.state {
        ErpState::Deployed => Ok(()),
        state => Err(wrong_state(environment.name(), state.word())),
    }
}

/// The environment has a database.
pub(crate) fn dataverse(environment: &Platform) -> Result<&Dataverse, Error> {
    environment.dataverse.as_ref().ok_or_else(|| Error::InvalidState {
        resource: environment.name(),
        state: "no_database".to_owned(),
        message: format!(
            "`{}` has no database; add one first, or set up Power Platform integration",
            environment.name()
        ),
    })
}

fn wrong_state(resource: String, state: String) -> Error {
    let message = format!("`{resource}` is {}", state.replace('_', " "));
    Error::InvalidState { resource, state, message }
}

fn blocked(environment: &Platform, operation: &'static str, message: String) -> Error {
    Error::Blocked { environment: environment.name(), operation, message }
}

/// Deleting (spec PPI-02, PPI-19).
pub(crate) fn may_delete(environment: &Platform) -> Result<(), Error> {
    if environment.link.is_some() {
        return Err(blocked(environment, "delete", DELETE_LINKED.to_owned()));
    }
    if environment.initial_of.is_some() {
        let message = "The initial environment of a finance and operations environment cannot be deleted \
                       until that one is linked with another environment or deleted.";
        return Err(blocked(environment, "delete", message.to_owned()));
    }
    if environment.kind == Type::Default {
        return Err(blocked(
            environment,
            "delete",
            "The default environment cannot be deleted.".to_owned(),
        ));
    }
    Ok(())
}

/// Another host (spec PPI-20).
pub(crate) fn may_change_host(environment: &Platform) -> Result<(), Error> {
    match environment.link {
        Some(_) => Err(blocked(environment, "update_host", HOST_LINKED.to_owned())),
        None => Ok(()),
    }
}

/// Taking everything away (spec PPI-02, PPI-21).
pub(crate) fn may_reset(environment: &Platform) -> Result<(), Error> {
    let text = if environment.link.is_some() {
        "Reset cannot be performed on environments that are linked to finance and operations environments."
    } else if environment.initial {
        "Reset cannot be performed on the initial environment of a finance and operations environment."
    } else {
        return Ok(());
    };
    Err(blocked(environment, "reset", text.to_owned()))
}

/// Adding a database by hand (spec PPI-02).
pub(crate) fn may_add_database(environment: &Platform) -> Result<(), Error> {
    if environment.initial {
        let message = "The initial environment of a finance and operations environment gets a database by the \
                       setup of Power Platform integration only.";
        return Err(blocked(environment, "add_database", message.to_owned()));
    }
    match &environment.dataverse {
        None => Ok(()),
        Some(_) => Err(Error::Exists {
            resource: environment.name(),
            message: format!("`{}` has a database", environment.name()),
        }),
    }
}

/// Both are linked, or both are not (spec PPI-22).
pub(crate) fn check_both_linked(source: (&str, bool), target: (&str, bool)) -> Result<(), Error> {
    if source.1 == target.1 {
        return Ok(());
    }
    let (linked, other) = if source.1 { (source.0, target.0) } else { (target.0, source.0) };
    let message = format!(
        "`{linked}` is linked and `{other}` is not: data goes from a linked environment to a linked one, or \
         from one that is not to another"
    );
    Err(Error::Requirement { environment: other.to_owned(), message })
}

/// Into a unified environment only from its own region (spec §1.10).
pub(crate) fn check_region(source: &Platform, target: &Platform) -> Result<(), Error> {
    let same = source.location == target.location && source.region == target.region;
    match same || !target.unified {
        true => Ok(()),
        false => Err(Error::Region {
            region: if source.region.is_empty() { &source.location } else { &source.region }
                .clone(),
            message: "A unified environment is overwritten only from its own region.".to_owned(),
        }),
    }
}

/// To another type; answers whether that takes capacity.
pub(crate) fn check_conversion(environment: &Platform, target: Type) -> Result<bool, Error> {
    match (environment.kind, target) {
        (Type::Sandbox, Type::Production) => Ok(false),
        (Type::Trial, Type::Production | Type::Sandbox) => Ok(true),
        (from, to) => {
            let (from, to) = (from.word(), to.word());
            Err(Error::Requirement {
                environment: environment.name(),
                message: format!("An environment of type {from} cannot become one of type {to}."),
            })
        }
    }
}

/// A database that is somebody else's is not overwritten.
pub(crate) fn check_own_database(environment: &FinanceAndOperations) -> Result<(), Error> {
    match environment.adopted {
        false => Ok(()),
        true => Err(Error::Requirement {
            environment: environment.name(),
            message: format!(
                "The database of `{}` was there before the environment and belongs to another system; it can \
                 be exported, and is never overwritten.",
                environment.name()
            ),
        }),
    }
}
