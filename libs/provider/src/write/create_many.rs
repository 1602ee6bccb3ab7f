//! Rows of one table that are made by as few statements as there are sets of columns among them.

use std::collections::BTreeMap;

use proto::query::v1 as pb;
use uuid::Uuid;

use super::create::{checked, dropped};
use super::entity::Entity;
use super::given::Cell;
use super::references::veiled;
use super::{Session, statement};
use crate::authority::Privilege;
use crate::error::Error;
use crate::plan::row_parts;

/// Makes the rows, and tells their ids, in their order; `None` where each takes statements of its own. After
/// an error the database has some of them, until the caller takes them back.
pub(crate) async fn create_many(
    session: &mut Session<'_>,
    entity: &str,
    rows: &[Vec<pb::FieldValue>],
) -> Result<Option<Vec<Uuid>>, Error> {
    let entity = session.entity(entity, Privilege::Create).await?;
    if !entity.is_one_table() || entity.is_judged_later() {
        return Ok(None);
    }
    let mut alike: BTreeMap<Vec<String>, Vec<(usize, Vec<Cell>)>> = BTreeMap::new();
    for (at, values) in rows.iter().enumerate() {
        let (mut cells, _) = checked(session, &entity, None, values)?;
        cells.sort_by(|one, other| one.column.name.cmp(&other.column.name));
        let columns: Vec<String> = cells.iter().map(|it| it.column.name.clone()).collect();
        if !alike.contains_key(&columns) && !veiled(session, &entity, values).is_empty() {
            return Ok(None);
        }
        alike.entry(columns).or_default().push((at, cells));
    }
    let mut ids = vec![Uuid::nil(); rows.len()];
    for rows in alike.values() {
        let made = insert(session, &entity, rows).await?;
        for ((at, _), id) in rows.iter().zip(made) {
            if let Some(known) = ids.get_mut(*at) {
                *known = id;
            }
        }
    }
    Ok(Some(ids))
}

/// Rows with values for the same columns. Each is made, or there is an error.
async fn insert(
    session: &mut Session<'_>,
    entity: &Entity,
    rows: &[(usize, Vec<Cell>)],
) -> Result<Vec<Uuid>, Error> {
    let mut parts = row_parts(&entity.grant, None)?;
    let arguments = std::mem::take(&mut parts.arguments);
    let outcome = statement::outcome(&parts);
    let cells: Vec<&[Cell]> = rows.iter().map(|it| it.1.as_slice()).collect();
    let made = statement::insert_many(session, entity, &cells, (arguments, &outcome)).await?;
    if made.len() != rows.len() {
        return Err(dropped(entity));
    }
    let id = |row| Ok(statement::written(session, entity, row, 0)?.record_id);
    made.iter().map(id).collect()
}
