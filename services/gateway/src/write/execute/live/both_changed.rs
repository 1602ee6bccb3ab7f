//! A change set that writes one row on both sides.

use std::collections::HashSet;

use proto::dual_write::v1::Capture;
use proto::query::v1 as pb;
use proto::query::v1::apply_value::Content;

use super::Shared;
use crate::dual_write::Captures;
use crate::error::GatewayError;
use crate::providers::Store;

/// Where the other side was written as well, what the writer left alone is for new rows only: it would
/// take the other's change back.
pub(super) fn keep_to_what_was_changed(rows: &mut [pb::ApplyRow], written: &[pb::SharedRow]) {
    let maps: HashSet<&str> = written.iter().map(|it| it.map.as_str()).collect();
    for row in rows.iter_mut().filter(|it| maps.contains(it.map.as_str())) {
        let values = std::mem::take(&mut row.values);
        let (changed, left_alone) = values.into_iter().partition(|it| it.changed);
        row.values = changed;
        row.create_values.extend::<Vec<_>>(left_alone);
    }
}

/// Refuses a column of one row that is to be two things. The first turn tells all of it, but for rows
/// that the organization deleted, which are made again by then.
pub(super) fn check<'a>(
    captures: &Captures,
    mixed: &Shared,
    (source, turn): (Store, usize),
    written: impl Iterator<Item = (&'a pb::ApplyRow, &'a pb::AppliedRow)>,
) -> Result<(), GatewayError> {
    let target = source.other();
    for (row, applied) in written {
        let same = |it: &&pb::SharedRow| {
            let id = it.image.as_ref().map(|it| &it.record_id);
            it.map == row.map && id == Some(&applied.record_id)
        };
        let Some(own) = mixed.rows(target).iter().find(same) else { continue };
        let capture = captures.get(target, &row.map);
        let deletes = row.kind() == pb::ApplyKind::Delete;
        if deletes && own.kind() != pb::SharedKind::Deleted {
            return Err(twice(captures, row, "The record"));
        }
        if let Some(column) = column(row, own, capture).filter(|_| turn == 1 && !deletes) {
            return Err(twice(captures, row, &format!("Column '{column}' of the record")));
        }
    }
    Ok(())
}

/// The first one that is given another value on each side.
fn column<'a>(
    row: &'a pb::ApplyRow,
    own: &pb::SharedRow,
    capture: Option<&Capture>,
) -> Option<&'a str> {
    let (capture, image) = (capture?, own.image.as_ref()?);
    let changed: Vec<(&str, &pb::Value)> = own
        .changed_columns
        .iter()
        .filter_map(|at| usize::try_from(*at).ok())
        .filter_map(|at| Some((capture.columns.get(at)?.as_str(), image.values.get(at)?)))
        .collect();
    let mut given = row.values.iter().filter(|it| it.changed);
    let differs = |it: &&pb::ApplyValue| match &it.content {
        Some(Content::Value(value)) => {
            changed.iter().any(|(name, own)| *name == it.column && *own != value)
        }
        Some(Content::Reference(reference)) => {
            let leads = |name: &str| {
                let path = name.strip_prefix(it.column.as_str())?.strip_prefix('.')?;
                let key = reference.key.iter().find(|it| it.column == path)?;
                match &key.content {
                    Some(Content::Value(value)) => Some(value),
                    _ => None,
                }
            };
            changed.iter().any(|(name, own)| leads(name).is_some_and(|it| it != *own))
        }
        None => false,
    };
    given.find(differs).map(|it| it.column.as_str())
}

fn twice(captures: &Captures, row: &pb::ApplyRow, what: &str) -> GatewayError {
    let map = captures.display_name(&row.map);
    GatewayError::InvalidQuery(format!(
        "{what} is changed on both sides of the map '{map}' by one change set, which cannot be \
         both. Divide it into several."
    ))
}
