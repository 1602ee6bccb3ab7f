//! Changes of this side that the other has not heard of, where both have changed a row.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use prost::Message as _;
use proto::query::v1 as pb;
use uuid::Uuid;

use super::key;
use crate::error::Error;
use crate::plan::{Argument, Arguments, Look};
use crate::sharing::entries::{Columns, Entries, Moment, Touched};
use crate::sharing::images::{self, Looked};
use crate::sharing::map::Map;
use crate::sharing::maps;
use crate::sharing::rights::Unrestricted;
use crate::write::Session;

/// What entries wait of a map, for its follower: neither applied nor shared before their commit, and behind what
/// was acknowledged, or what was looked at before. `$1` is the map, `$2` its relations, `$3` the snapshot.
const WAITING: &str = "
    relation = ANY($2::text[]) AND origin IS NULL
    AND xid >= pg_snapshot_xmin($3::text::pg_snapshot)
    AND NOT pg_visible_in_snapshot(xid, $3::text::pg_snapshot)
    AND NOT EXISTS (
        SELECT FROM tombolo.dual_write_shared AS shared
        WHERE shared.xid = change_log.xid AND shared.map = $1 AND seq <= up_to
    )";

/// What this side did to a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    /// Changed columns, by their tables.
    pub(super) columns: HashSet<(String, String)>,
    /// It made the row, perhaps again: then all of it is new, whatever it held before.
    pub(super) is_made: bool,
    /// This side's rules did it, to what was applied.
    pub(super) is_correction: bool,
}

/// Changes of rows.
pub(super) type Pending = HashMap<Uuid, Change>;

/// What one conflict is about.
#[derive(Debug, Default)]
pub(super) struct Conflict {
    pub(super) winner: Vec<pb::FieldValue>,
    pub(super) loser: Vec<pb::FieldValue>,
}

/// What waits, by map. All of it is looked for once in a step, and then only what came since: a row that is
/// locked later may have been changed in between.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    maps: HashMap<String, Option<Known>>,
}

#[derive(Debug)]
struct Known {
    map: Map,
    /// What is visible in it the other side has heard of. `None` where nobody follows yet.
    acknowledged: Option<String>,
    /// What is visible in it is known.
    seen: Option<String>,
    pending: Pending,
    former: Option<Former>,
}

/// Keys that rows had before what waits, where they have others now, or are gone.
#[derive(Debug)]
struct Former {
    /// What the keys are made of.
    columns: Vec<String>,
    rows: HashMap<Vec<u8>, Uuid>,
}

// === impl Waiting ===

impl Waiting {
    /// What to ask to learn what has come by now. `None` where there are no maps at all.
    pub(super) async fn question(
        &self,
        session: &mut Session<'_>,
        map: &str,
    ) -> Result<Option<Look>, Error> {
        if !maps::are_there(session.connection, session.provider).await.map_err(Error::database)? {
            return Ok(None);
        }
        let known = self.seen(map).map(str::to_owned);
        let left = session.deadline.saturating_duration_since(Instant::now());
        Ok(Some(Look { map: map.to_owned(), known, patience: left.as_millis().max(1) }))
    }

    /// What the answer says has come.
    pub(super) async fn learn(
        &mut self,
        session: &mut Session<'_>,
        map: &str,
        looked: Option<Looked>,
    ) -> Result<(), Error> {
        let known = self.maps.remove(map).flatten();
        let known = match looked {
            Some(looked) => Some(Known::learn(session, known, looked).await?),
            None => None,
        };
        self.maps.insert(map.to_owned(), known);
        Ok(())
    }

    /// Looks at what has come by now.
    pub(super) async fn look(&mut self, session: &mut Session<'_>, map: &str) -> Result<(), Error> {
        let Some(look) = self.question(session, map).await? else { return Ok(()) };
        let looked = images::look(session.connection, look).await?;
        self.learn(session, map, looked).await
    }

    /// What waits of these rows, as of the last look. `None` where the map is not configured here.
    pub(super) async fn of(
        &mut self,
        session: &mut Session<'_>,
        map: &str,
        ids: &[Uuid],
    ) -> Result<Option<Pending>, Error> {
        let Some(known) = self.known(map) else { return Ok(None) };
        let pending = ids.iter().filter_map(|it| Some((*it, known.pending.get(it)?.clone())));
        known.without_heard(session, pending.collect()).await.map(Some)
    }

    /// The rows that had these keys before what waits, each in place of its key. `shape` says what a key is made
    /// of.
    pub(super) async fn formerly(
        &mut self,
        session: &mut Session<'_>,
        (map, shape): (&str, &Map),
        keys: &[Option<pb::ImageKey>],
    ) -> Result<Vec<Option<Uuid>>, Error> {
        let none = vec![None; keys.len()];
        let Some(known) = self.known(map).filter(|it| !it.pending.is_empty()) else {
            return Ok(none);
        };
        let former = known.formerly(session, shape).await?;
        let row = |it: &Option<pb::ImageKey>| former.rows.get(&key::bytes(it.as_ref()?)).copied();
        Ok(keys.iter().map(row).collect())
    }

    /// What the row holds in the columns of the map that somebody changed here, where that is in the way of its end.
    /// What rules made of it is not.
    pub(super) async fn in_the_way(
        &self,
        session: &mut Session<'_>,
        map: &str,
        (id, change): (Uuid, &Change),
    ) -> Result<Vec<pb::FieldValue>, Error> {
        let known = self.maps.get(map).and_then(Option::as_ref);
        let Some(known) = known.filter(|_| !change.is_correction) else { return Ok(Vec::new()) };
        let changed = match change.is_made {
            true => known.map.all(),
            false => known.map.changed(&change.columns),
        };
        if changed.is_empty() {
            return Ok(Vec::new());
        }
        let rights = Unrestricted(session.authority);
        let now = images::now(session.connection, &rights, &known.map, &[id]).await?;
        let values = now.get(&id).map(|it| it.image.values.as_slice()).unwrap_or_default();
        let value = |at: &i32| values.get(usize::try_from(*at).ok()?).cloned();
        let held = changed.iter().filter_map(|at| {
            let [field] = known.map.names(&[*at]).try_into().ok()?;
            Some(pb::FieldValue { field, value: value(at) })
        });
        Ok(held.collect())
    }

    /// As of which snapshot it was looked at last.
    pub(super) fn seen(&self, map: &str) -> Option<&str> {
        self.maps.get(map)?.as_ref()?.seen.as_deref()
    }

    fn known(&mut self, map: &str) -> Option<&mut Known> {
        self.maps.get_mut(map).and_then(Option::as_mut)
    }
}

// === impl Known ===

impl Known {
    /// What is known now, with what was known before.
    async fn learn(
        session: &mut Session<'_>,
        known: Option<Self>,
        looked: Looked,
    ) -> Result<Self, Error> {
        let mut known = match known {
            Some(known) => known,
            None => Self::compile(session, &looked)?,
        };
        let Some(since) = looked.since else { return Ok(known) };
        known.acknowledged.get_or_insert_with(|| since.clone());
        known.seen = Some(looked.present);
        if looked.waits {
            for (id, change) in known.changes(session, &since).await? {
                known.add(id, change);
            }
        }
        Ok(known)
    }

    fn compile(session: &Session<'_>, looked: &Looked) -> Result<Self, Error> {
        let side = pb::MapSide::decode(looked.definition.as_slice());
        let side = side.map_err(|it| Error::Row(sqlx::Error::Decode(it.into())))?;
        let map = Map::compile(&Unrestricted(session.authority), side)?;
        let (acknowledged, seen, pending, former) = Default::default();
        Ok(Self { map, acknowledged, seen, pending, former })
    }

    fn add(&mut self, id: Uuid, change: Change) {
        self.former = None;
        let nothing = || Change { is_correction: true, ..Change::default() };
        let known = self.pending.entry(id).or_insert_with(nothing);
        known.columns.extend(change.columns);
        known.is_made |= change.is_made;
        known.is_correction &= change.is_correction;
    }

    /// What waits behind a snapshot.
    async fn changes(
        &self,
        session: &mut Session<'_>,
        behind: &str,
    ) -> Result<Vec<(Uuid, Change)>, Error> {
        let entries = self.entries(behind);
        let columns = Columns::of(session.connection, &self.map).await?;
        let touched = entries.touched(session.connection, &self.map, &columns, None).await?;
        let change = |it: Touched| {
            let Touched { id, columns, is_made, is_correction, .. } = it;
            (id, Change { columns, is_made, is_correction })
        };
        Ok(touched.into_iter().map(change).collect())
    }

    fn entries(&self, behind: &str) -> Entries {
        let mut arguments = Arguments::default();
        arguments.push(Argument::Text(self.map.side.map.clone()));
        arguments.push(Argument::Texts(self.map.relations()));
        arguments.push(Argument::Text(behind.to_owned()));
        Entries { condition: WAITING.to_owned(), arguments }
    }

    /// Of rows that were brought to the other side by themselves, only what came since.
    async fn without_heard(
        &self,
        session: &mut Session<'_>,
        mut pending: Pending,
    ) -> Result<Pending, Error> {
        if pending.is_empty() {
            return Ok(pending);
        }
        let ids: Vec<Uuid> = pending.keys().copied().collect();
        let heard = maps::heard(session.connection, &self.map.side.map, &ids).await;
        for (snapshot, ids) in heard.map_err(Error::database)? {
            let since: Pending = self.changes(session, &snapshot).await?.into_iter().collect();
            for id in ids {
                match since.get(&id) {
                    Some(change) => drop(pending.insert(id, change.clone())),
                    None => drop(pending.remove(&id)),
                }
            }
        }
        Ok(pending)
    }

    async fn formerly(&mut self, session: &mut Session<'_>, shape: &Map) -> Result<&Former, Error> {
        let columns = shape.key_names();
        let former = match self.former.take().filter(|it| it.columns == columns) {
            Some(known) => known,
            None => self.former_keys(session, columns).await?,
        };
        Ok(self.former.insert(former))
    }

    async fn former_keys(
        &self,
        session: &mut Session<'_>,
        columns: Vec<String>,
    ) -> Result<Former, Error> {
        let mut former = Former { columns, rows: HashMap::new() };
        let Some(acknowledged) = &self.acknowledged else { return Ok(former) };
        let rights = Unrestricted(session.authority);
        let names: Vec<&str> = former.columns.iter().map(String::as_str).collect();
        let keys = Map::of_columns(&rights, self.map.binding.name(), &names, &names)?;
        let has_other_key = |it: &&Uuid| {
            self.pending.get(*it).is_some_and(|it| !keys.changed(&it.columns).is_empty())
        };
        let ids: Vec<Uuid> = self.pending.keys().filter(has_other_key).copied().collect();
        let tables = Columns::of(session.connection, &keys).await?;
        let past = self.entries(acknowledged).past(&keys, &tables, Moment::Before);
        let before = images::then(session.connection, &rights, &keys, &ids, past).await?;
        let now = images::now(session.connection, &rights, &keys, &ids).await?;
        for (id, seen) in before {
            let key = keys.key_of(&seen.image);
            if now.get(&id).is_none_or(|it| keys.key_of(&it.image) != key) {
                former.rows.insert(key::bytes(&key), id);
            }
        }
        Ok(former)
    }
}

/// Keeps what lost, for somebody to look at.
pub(super) async fn keep(
    session: &mut Session<'_>,
    map: &str,
    id: Uuid,
    conflict: Conflict,
    incoming_won: bool,
) -> Result<(), Error> {
    const KEEP: &str = "
        INSERT INTO tombolo.dual_write_conflict (map, record_id, winner, loser, incoming_won)
        VALUES ($1, $2, $3, $4, $5)";
    let bytes = |values| pb::AlternateKeyValues { values }.encode_to_vec();
    let (winner, loser) = (bytes(conflict.winner), bytes(conflict.loser));
    let query = sqlx::query(KEEP).bind(map).bind(id).bind(winner).bind(loser).bind(incoming_won);
    query.execute(&mut *session.connection).await.map_err(Error::database)?;
    Ok(())
}
