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

/// Where another row has the key of one that is gone, it has taken its place: to the other side, which knows
/// keys only, it is that row, changed or made again. If it had a key before, that is free, or another's in turn.
async fn replaced(
    connection: &mut PgConnection,
    rights: &Unrestricted<'_>,
    map: &Map,
    changed: Vec<Changed>,
) -> Result<Vec<Changed>, Error> {
    if map.side.key_columns.is_empty() {
        return Ok(changed);
    }
    let mut places = Places::default();
    for (at, it) in changed.iter().enumerate() {
        if let (pb::SharedKind::Deleted, Some(image)) = (it.row.kind(), &it.row.image) {
            places.leave(map.key_of(image), at);
        }
    }
    while let Some(keys) = places.unknown() {
        let which = Which { keys: Some(&keys), ..Which::default() };
        for seen in images::read(&mut *connection, rights, map, &which).await? {
            let Some(key) = seen.place.and_then(|it| keys.get(it)) else { continue };
            let own = changed.iter().enumerate().find(|it| it.1.touched.id == seen.id);
            if let Some((at, former)) = own.and_then(|it| Some((it.0, former(&it.1.row)?))) {
                places.leave(former, at);
            }
            let is_made = own.is_some_and(|it| it.1.row.kind() == pb::SharedKind::Created);
            places.take(key, seen, is_made);
        }
    }
    Ok(places.told(map, changed))
}

/// The key that a row had before, if it was another.
fn former(row: &pb::SharedRow) -> Option<pb::ImageKey> {
    let company = row.image.as_ref()?.company.clone();
    let values = row.previous_key.clone();
    (!values.is_empty()).then_some(pb::ImageKey { company, values })
}

/// Keys that rows have left, by their bytes.
#[derive(Default)]
struct Places {
    left: BTreeMap<Vec<u8>, Place>,
    /// Changes that left a key which another one has left before.
    again: HashSet<usize>,
}

struct Place {
    key: pb::ImageKey,
    /// Which change left it.
    by: usize,
    is_known: bool,
    /// Who has it now, and whether that one is new.
    successor: Option<(Seen, bool)>,
}

// === impl Places ===

impl Places {
    fn leave(&mut self, key: pb::ImageKey, by: usize) {
        let place = || Place { key: key.clone(), by, is_known: false, successor: None };
        let first = self.left.entry(key.encode_to_vec()).or_insert_with(place).by;
        if first != by {
            self.again.insert(by);
        }
    }

    /// Those of which nobody knows yet who has them.
    fn unknown(&mut self) -> Option<Vec<pb::ImageKey>> {
        let unknown = self.left.values_mut().filter(|it| !it.is_known);
        let keys: Vec<pb::ImageKey> = unknown
            .map(|it| {
                it.is_known = true;
                it.key.clone()
            })
            .collect();
        (!keys.is_empty()).then_some(keys)
    }

    fn take(&mut self, key: &pb::ImageKey, seen: Seen, is_made: bool) {
        if let Some(place) = self.left.get_mut(&key.encode_to_vec()) {
            place.successor = Some((seen, is_made));
        }
    }

    /// For each place what became of it, where it was left; and all else.
    fn told(self, map: &Map, changed: Vec<Changed>) -> Vec<Changed> {
        let successors = self.left.values().filter_map(|it| it.successor.as_ref());
        let moved: HashSet<Uuid> = successors.map(|it| it.0.id).collect();
        let again = self.again;
        let mut places: BTreeMap<usize, Place> =
            self.left.into_values().map(|it| (it.by, it)).collect();
        let mut told = Vec::with_capacity(changed.len());
        for (at, mut it) in changed.into_iter().enumerate() {
            match places.remove(&at) {
                Some(Place { successor: Some((seen, is_made)), .. }) => {
                    it.touched.id = seen.id;
                    it.row.set_kind(match is_made {
                        true => pb::SharedKind::Created,
                        false => pb::SharedKind::Changed,
                    });
                    it.row.image = Some(seen.image);
                    it.row.previous_key.clear();
                    it.row.changed_columns = map.all();
                }
                Some(Place { key, .. }) if it.row.kind() != pb::SharedKind::Deleted => {
                    end_former(map, &mut it.row, key);
                }
                Some(_) => {}
                // It is told where it is now, or has left what another one left before.
                None if moved.contains(&it.touched.id) || again.contains(&at) => continue,
                None => {}
            }
            told.push(it);
        }
        told
    }
}

/// There is none any more under the key that the row had.
fn end_former(map: &Map, row: &mut pb::SharedRow, key: pb::ImageKey) {
    row.previous_key.clear();
    let columns = map.side.key_columns.iter().filter_map(|it| usize::try_from(*it).ok());
    for (column, value) in columns.zip(key.values) {
        let image = row.image.as_mut();
        if let Some(place) = image.and_then(|it| it.values.get_mut(column)) {
            *place = value;
        }
    }
    row.set_kind(pb::SharedKind::Deleted);
    row.changed_columns.clear();
}
