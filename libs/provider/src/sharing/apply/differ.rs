//! What is to be written into a row that is there, beside what it holds and what this side has changed.

use proto::query::v1 as pb;

use super::pending::Conflict;
use crate::error::Error;
use crate::sharing::map::Map;
use crate::sharing::value::is_same;

/// A row to apply, with values in place of references.
pub(super) struct Wanted {
    pub(super) key: Vec<pb::FieldValue>,
    /// Whoever wrote it gave it another key.
    pub(super) moves: bool,
    /// With whether whoever wrote it changed it.
    pub(super) values: Vec<(pb::FieldValue, bool)>,
    /// Of these values, those that whoever wrote the row left empty.
    pub(super) filled: Vec<String>,
    pub(super) unresolved: Vec<String>,
}

/// What is to be written into a row that is there.
#[derive(Default)]
pub(super) struct Difference {
    pub(super) values: Vec<pb::FieldValue>,
    pub(super) conflict: Conflict,
}

/// What differs. `pending` are columns that this side has changed, and the other has not heard of.
pub(super) fn difference(
    map: &Map,
    image: &pb::Image,
    pending: &[String],
    wanted: &Wanted,
    wins: bool,
) -> Result<Difference, Error> {
    let mut difference = Difference::default();
    let is_given =
        |it: &pb::FieldValue| wanted.values.iter().any(|(given, _)| given.field == it.field);
    let keys = wanted.key.iter().filter(|it| !is_given(it)).map(|it| (it, wanted.moves));
    for (given, is_changed) in keys.chain(wanted.values.iter().map(|it| (&it.0, it.1))) {
        let at = map.side.columns.iter().position(|it| *it == given.field);
        let held = at.and_then(|it| image.values.get(it));
        let (Some(held), Some(value)) = (held, &given.value) else { continue };
        let field = map.field(&given.field)?;
        if is_same(field, held, value) || is_same_key(wanted, given, held, value) {
            continue;
        }
        let own = pb::FieldValue { field: given.field.clone(), value: Some(held.clone()) };
        match (pending.contains(&given.field), is_changed, wins) {
            (false, ..) => difference.values.push(given.clone()),
            (true, false, _) => {}
            (true, true, true) => {
                difference.conflict.winner.push(given.clone());
                difference.conflict.loser.push(own);
                difference.values.push(given.clone());
            }
            (true, true, false) => {
                difference.conflict.winner.push(own);
                difference.conflict.loser.push(given.clone());
            }
        }
    }
    Ok(difference)
}

/// A key finds its row in any letter case, and leaves it.
fn is_same_key(
    wanted: &Wanted,
    given: &pb::FieldValue,
    held: &pb::Value,
    value: &pb::Value,
) -> bool {
    use pb::value::Kind::StringValue;
    let is_key = wanted.key.iter().any(|it| it.field == given.field);
    match (&held.kind, &value.kind) {
        (Some(StringValue(one)), Some(StringValue(other))) => {
            is_key && one.to_lowercase() == other.to_lowercase()
        }
        _ => false,
    }
}
