//! Whether changes of an entity can be tracked (spec virtual-entities §6.2): those of the platform's
//! conditions that a model can break. An entity has no ranges and no groups, its optional joins find one
//! row at most, and its other joins find one too, or its record id would not identify a row.

use model::Entity;

use crate::error::Error;

/// # Errors
///
/// In the platform's words, with the first source that stands in the way.
pub(crate) fn check(entity: &Entity) -> Result<(), Error> {
    let Some(view) = entity.sources.iter().find(|it| it.is_view) else { return Ok(()) };
    Err(Error::NotTrackable(format!(
        "Change tracking can't be enabled since the data source '{}' in the finance and operations entity \
         '{}' isn't a table.",
        view.alias, entity.name
    )))
}
