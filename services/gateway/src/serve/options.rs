//! Options that are known and come later: refused, so that no answer leaves them out.

use odata::{QueryOptions, SystemOption};

use crate::error::GatewayError;

const LATER: [SystemOption; 3] =
    [SystemOption::Expand, SystemOption::Apply, SystemOption::DeltaToken];
const LATER_CUSTOM: [&str; 4] = ["fetchXml", "savedQuery", "userQuery", "sql"];
const OF_COLLECTIONS: [SystemOption; 5] = [
    SystemOption::Filter,
    SystemOption::OrderBy,
    SystemOption::Top,
    SystemOption::Count,
    SystemOption::SkipToken,
];

pub(super) fn refuse_later(options: &QueryOptions) -> Result<(), GatewayError> {
    for option in LATER {
        if options.get(option).is_some() {
            return Err(GatewayError::NotOffered(format!("The query option '{}'", option.name())));
        }
    }
    for name in LATER_CUSTOM {
        if options.custom(name).is_some() {
            return Err(GatewayError::NotOffered(format!("The query option '{name}'")));
        }
    }
    Ok(())
}

/// One record has no order and no number.
pub(super) fn refuse_of_collections(options: &QueryOptions) -> Result<(), GatewayError> {
    let given = OF_COLLECTIONS.into_iter().find(|it| options.get(*it).is_some());
    given.map_or(Ok(()), |it| {
        let name = it.name();
        let message = format!("The query parameter '{name}' is not supported for a single record.");
        Err(GatewayError::InvalidQuery(message))
    })
}
