//! What entries made of an entity's rows, as a map shares it.

use std::collections::{BTreeMap, HashMap, HashSet};

use prost::Message as _;
use proto::query::v1 as pb;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::entries::{Columns, Entries, Moment, Touched};
use super::images::{self, Seen};
use super::map::Map;
use super::rights::Unrestricted;
use crate::error::Error;
use crate::plan::Which;

/// A row that takes part, and what was said of it.
#[derive(Debug)]
pub(crate) struct Changed {
    pub(crate) touched: Touched,
    pub(crate) row: pb::SharedRow,
}

/// Of touched rows, those that take part or did: as they are now, compared with what they were before.
pub(crate) async fn changed(
    connection: &mut PgConnection,
    rights: &Unrestricted<'_>,
    map: &Map,
    (entries, columns): (&Entries, Option<&Columns>),
    touched: Vec<Touched>,
) -> Result<Vec<Changed>, Error> {
    let ids: Vec<Uuid> = touched.iter().map(|it| it.id).collect();
    let now = images::now(&mut *connection, rights, map, &ids).await?;
    // Whatever else was changed, it was the same row, and took part as it does.
    let is_as_now =
        |it: &Touched| !it.is_made && now.contains_key(&it.id) && !map.is_decided_by(&it.columns);
    let others = touched.iter().filter(|it| !it.is_new && !is_as_now(it));
    let others: Vec<Uuid> = others.map(|it| it.id).collect();
    let then = before(&mut *connection, rights, map, (entries, columns), &others).await?;
    let mut changed = Vec::with_capacity(touched.len());
    for touched in touched {
        let now = now.get(&touched.id);
        let before = if is_as_now(&touched) { now } else { then.get(&touched.id) };
        let row = shared(map, &touched, before, now);
        let correction = touched.is_correction;
        changed.extend(row.map(|row| {
            let row = pb::SharedRow { correction, ..row };
            Changed { touched, row }
        }));
    }
    replaced(connection, rights, map, changed).await
}

/// Rows as they were before the entries.
async fn before(
    connection: &mut PgConnection,
    rights: &Unrestricted<'_>,
    map: &Map,
    (entries, columns): (&Entries, Option<&Columns>),
    ids: &[Uuid],
) -> Result<HashMap<Uuid, Seen>, Error> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let past = match columns {
        Some(columns) => entries.past(map, columns, Moment::Before),
        None => entries.past(map, &Columns::of(connection, map).await?, Moment::Before),
    };
    images::then(connection, rights, map, ids, past).await
}

/// What became of one row, if that is anybody's business. Of one that begins to take part everything has changed.
pub(crate) fn shared(
    map: &Map,
    touched: &Touched,
    before: Option<&Seen>,
    now: Option<&Seen>,
) -> Option<pb::SharedRow> {
    use pb::SharedKind::{Changed, Created, Deleted, Left};
    let took_part = before.is_some_and(Seen::takes_part);
    let takes_part = now.is_some_and(Seen::takes_part);
    let kind = match (before, now) {
        (None, Some(_)) if takes_part => Created,
        (Some(_), None) if took_part => Deleted,
        (Some(_), Some(_)) if takes_part && touched.is_made => Created,
        (Some(_), Some(_)) if takes_part => Changed,
        (Some(_), Some(_)) if took_part => Left,
        _ => return None,
    };
    let image = now.or(before)?.image.clone();
    let changed = match kind {
        Deleted => Vec::new(),
        Created => map.all(),
        Changed if !took_part => map.all(),
        _ => map.changed(&touched.columns),
    };
    let own_key = map.key_of(&image).values;
    let key = before.map(|it| map.key_of(&it.image).values).filter(|it| *it != own_key);
    if kind == Changed && took_part && key.is_none() && !map.tracks(&changed) {
        return None;
    }
    Some(pb::SharedRow {
        map: map.side.map.clone(),
        epoch: map.side.epoch,
        kind: kind.into(),
        image: Some(image),
        previous_key: key.unwrap_or_default(),
        changed_columns: changed,
        correction: false,
    })
}

/// Where another row has the key of one that is gone, it has taken its place: on the other side, which
/// knows keys only, that one was made again. If it had a key before, it is that row which is gone.
async fn replaced(
    connection: &mut PgConnection,
    rights: &Unrestricted<'_>,
    map: &Map,
    changed: Vec<Changed>,
) -> Result<Vec<Changed>, Error> {
    let is_gone = |it: &&Changed| it.row.kind() == pb::SharedKind::Deleted;
    let gone: BTreeMap<Vec<u8>, pb::ImageKey> = changed
        .iter()
        .filter(is_gone)
        .filter_map(|it| it.row.image.as_ref())
        .map(|it| (key_bytes(map, it), map.key_of(it)))
        .collect();
    if gone.is_empty() || map.side.key_columns.is_empty() {
        return Ok(changed);
    }
    let keys: Vec<pb::ImageKey> = gone.into_values().collect();
    let which = Which { keys: Some(&keys), ..Which::default() };
    let found = images::read(connection, rights, map, &which).await?;
    let successors: HashMap<Vec<u8>, Seen> = found
        .into_iter()
        .filter_map(|it| Some((keys.get(it.place?)?.encode_to_vec(), it)))
        .collect();
    let succeeds: HashSet<Uuid> = successors.values().map(|it| it.id).collect();
    let mut made = HashSet::new();
    let mut told = Vec::with_capacity(changed.len());
    for mut it in changed {
        let image = it.row.image.as_ref().filter(|_| it.row.kind() == pb::SharedKind::Deleted);
        if let Some(successor) = image.and_then(|image| successors.get(&key_bytes(map, image))) {
            if !made.insert(successor.id) {
                continue;
            }
            it.touched.id = successor.id;
            it.row.kind = pb::SharedKind::Created.into();
            it.row.image = Some(successor.image.clone());
            it.row.changed_columns = map.all();
        } else if succeeds.contains(&it.touched.id) {
            if it.row.previous_key.is_empty() {
                continue;
            }
            end_former(map, &mut it.row);
        }
        told.push(it);
    }
    Ok(told)
}

/// Of a row that took another's place: under its former key there is none any more.
fn end_former(map: &Map, row: &mut pb::SharedRow) {
    let key = std::mem::take(&mut row.previous_key);
    let columns = map.side.key_columns.iter().filter_map(|it| usize::try_from(*it).ok());
    for (column, value) in columns.zip(key) {
        let image = row.image.as_mut();
        if let Some(place) = image.and_then(|it| it.values.get_mut(column)) {
            *place = value;
        }
    }
    row.kind = pb::SharedKind::Deleted.into();
    row.changed_columns.clear();
}

fn key_bytes(map: &Map, image: &pb::Image) -> Vec<u8> {
    map.key_of(image).encode_to_vec()
}
