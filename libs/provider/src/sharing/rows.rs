//! What entries made of an entity's rows, as a map shares it.

use std::collections::{HashMap, HashSet};

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
    (entries, columns): (&Entries, &Columns),
    touched: Vec<Touched>,
) -> Result<Vec<Changed>, Error> {
    let ids: Vec<Uuid> = touched.iter().map(|it| it.id).collect();
    let now = images::now(&mut *connection, rights, map, &ids).await?;
    let past = entries.past(map, columns, Moment::Before);
    let before = images::then(&mut *connection, rights, map, &ids, past).await?;
    let mut changed = Vec::with_capacity(touched.len());
    for touched in touched {
        let (before, now) = (before.get(&touched.id), now.get(&touched.id));
        let row = shared(map, &touched.columns, before, now);
        let correction = touched.is_correction;
        changed.extend(row.map(|row| {
            let row = pb::SharedRow { correction, ..row };
            Changed { touched, row }
        }));
    }
    replaced(connection, rights, map, changed).await
}

/// What became of one row, if that is anybody's business.
pub(crate) fn shared(
    map: &Map,
    columns: &HashSet<(String, String)>,
    before: Option<&Seen>,
    now: Option<&Seen>,
) -> Option<pb::SharedRow> {
    use pb::SharedKind::{Changed, Created, Deleted, Left};
    let took_part = before.is_some_and(Seen::takes_part);
    let takes_part = now.is_some_and(Seen::takes_part);
    let kind = match (before, now) {
        (None, Some(_)) if takes_part => Created,
        (Some(_), None) if took_part => Deleted,
        (Some(_), Some(_)) if takes_part => Changed,
        (Some(_), Some(_)) if took_part => Left,
        _ => return None,
    };
    let image = now.or(before)?.image.clone();
    let changed = match kind {
        Created => (0..map.side.columns.len()).filter_map(|it| i32::try_from(it).ok()).collect(),
        Deleted => Vec::new(),
        _ => map.changed(columns),
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
/// knows keys only, it is one row that was changed.
async fn replaced(
    connection: &mut PgConnection,
    rights: &Unrestricted<'_>,
    map: &Map,
    mut changed: Vec<Changed>,
) -> Result<Vec<Changed>, Error> {
    let is_gone = |it: &&Changed| it.row.kind() == pb::SharedKind::Deleted;
    let gone: Vec<(Uuid, pb::ImageKey)> = changed
        .iter()
        .filter(is_gone)
        .filter_map(|it| Some((it.touched.id, map.key_of(it.row.image.as_ref()?))))
        .collect();
    if gone.is_empty() || map.side.key_columns.is_empty() {
        return Ok(changed);
    }
    let keys: Vec<pb::ImageKey> = gone.iter().map(|it| it.1.clone()).collect();
    let which = Which { keys: Some(&keys), ..Which::default() };
    let successors: HashMap<Uuid, Seen> = images::read(connection, rights, map, &which)
        .await?
        .into_iter()
        .filter_map(|it| Some((gone.get(it.place?)?.0, it)))
        .collect();
    for it in &mut changed {
        let Some(successor) = successors.get(&it.touched.id) else { continue };
        it.touched.id = successor.id;
        it.row.kind = pb::SharedKind::Changed.into();
        it.row.image = Some(successor.image.clone());
        let all = 0..map.side.columns.len();
        it.row.changed_columns = all.filter_map(|it| i32::try_from(it).ok()).collect();
    }
    let mut told = HashSet::new();
    changed.retain(|it| told.insert(it.touched.id));
    Ok(changed)
}
