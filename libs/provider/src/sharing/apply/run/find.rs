//! Which rows are there, and what they hold.

use std::collections::{BTreeSet, HashMap, HashSet};

use proto::query::v1 as pb;
use uuid::Uuid;

use super::Run;
use crate::error::Error;
use crate::plan::Which;
use crate::sharing::apply::refer::Resolved;
use crate::sharing::apply::{Applying, values};
use crate::sharing::images::{self, Locked, Seen};
use crate::sharing::map::Map;
use crate::sharing::rights::Unrestricted;
use crate::write::Session;

/// A row that is changed faster than it is read is left to whoever tries again.
const MOST_READS: usize = 8;

impl Run {
    /// Looks for everything at once.
    pub(super) async fn prepare(
        session: &mut Session<'_>,
        applying: &mut Applying,
        rows: &[pb::ApplyRow],
    ) -> Result<Self, Error> {
        let first = rows.first().ok_or(Error::Missing("rows"))?;
        if first.key.is_empty() {
            return Err(Error::Missing("key"));
        }
        let rights = Unrestricted(session.authority);
        let columns: BTreeSet<&str> = values(first).map(|it| it.column.as_str()).collect();
        let columns: Vec<&str> = columns.into_iter().collect();
        let key: Vec<&str> = first.key.iter().map(|it| it.column.as_str()).collect();
        let map = Map::of_columns(&rights, &first.entity_name, &columns, &key)?;
        let keys = rows.iter().flat_map(|it| it.key.iter().chain(&it.previous_key));
        applying.referred.prepare(session, &keys.collect::<Vec<_>>()).await?;
        let made = applying.referred.made(&first.entity_name);
        let rules = map.binding.rules.iter().filter(|it| it.on_update);
        let judged = map.with(&rights, rules.flat_map(|it| it.check.fields()))?;
        let (found, seen, beyond, gone, keys_made) = Default::default();
        let (written, applied, corrected) = Default::default();
        let is_correction = applying.is_correction;
        let mut run = Self {
            map,
            found,
            seen,
            judged,
            beyond,
            gone,
            is_correction,
            pending: None,
            made,
            keys_made,
            keys_moved: false,
            written,
            applied,
            corrected,
        };
        let locked = run.find_all(session, applying, rows).await?;
        run.find_former(session, applying, rows).await?;
        applying.referred.prepare(session, &run.given(rows)).await?;
        let ids: Vec<Uuid> = run.found.iter().flatten().copied().collect();
        run.pending = applying.waiting.of(session, &first.map, &ids).await?;
        // Nothing was committed since: what was read with the lock is what there is.
        let now = applying.waiting.seen(&first.map);
        for (mut seen, _) in locked.into_iter().filter(|it| now.is_some_and(|now| it.1 == now)) {
            let own = run.map.side.columns.len().min(seen.image.values.len());
            run.beyond.insert(seen.id, seen.image.values.split_off(own));
            run.seen.insert(seen.id, seen);
        }
        let rest: Vec<Uuid> = ids.into_iter().filter(|it| !run.seen.contains_key(it)).collect();
        run.read_again(session, applying, (&first.map, rest)).await?;
        Ok(run)
    }

    /// Reads rows as they are now, and what waits of them. Nothing is seen that is newer than what is known to wait: it
    /// would be written over as if the other side had long had it. Whoever changes what a row is joined with waits for
    /// no lock of the row's.
    async fn read_again(
        &mut self,
        session: &mut Session<'_>,
        applying: &mut Applying,
        (map, mut ids): (&str, Vec<Uuid>),
    ) -> Result<(), Error> {
        for _ in 0..MOST_READS {
            if ids.is_empty() {
                return Ok(());
            }
            let rights = Unrestricted(session.authority);
            let now = images::now(session.connection, &rights, &self.map, &ids).await?;
            for id in &ids {
                self.seen.remove(id);
                self.beyond.remove(id);
            }
            self.seen.extend(now);
            applying.waiting.look(session, map).await?;
            let waiting = applying.waiting.of(session, map, &ids).await?;
            let (Some(mut waiting), Some(pending)) = (waiting, &mut self.pending) else {
                return Ok(());
            };
            ids.retain(|it| waiting.get(it) != pending.get(it));
            for id in &ids {
                match waiting.remove(id) {
                    Some(change) => drop(pending.insert(*id, change)),
                    None => drop(pending.remove(id)),
                }
            }
        }
        Err(Error::Conflict)
    }

    /// What is written of the rows.
    fn given<'r>(&self, rows: &'r [pb::ApplyRow]) -> Vec<&'r pb::ApplyValue> {
        let mut given = Vec::new();
        for (row, found) in rows.iter().zip(&self.found) {
            given.extend(&row.values);
            if found.is_none() || row.created {
                given.extend(&row.create_values);
            }
        }
        given
    }

    async fn find_all(
        &mut self,
        session: &mut Session<'_>,
        applying: &mut Applying,
        rows: &[pb::ApplyRow],
    ) -> Result<Locked, Error> {
        self.found = vec![None; rows.len()];
        let Some(first) = rows.first() else { return Ok(Vec::new()) };
        let mut is_looked = false;
        let mut seen = Vec::with_capacity(rows.len());
        for previous in [false, true] {
            let (mut places, mut keys) = (Vec::new(), Vec::new());
            for (at, row) in rows.iter().enumerate() {
                let key = if previous { &row.previous_key } else { &row.key };
                if self.found.get(at).copied().flatten().is_some() || key.is_empty() {
                    continue;
                }
                // One that refers to nothing yet is looked for when it is its turn.
                if let Ok(values) = self.key(session, applying, key).await {
                    places.push(at);
                    keys.push(values);
                }
            }
            is_looked |= !keys.is_empty();
            for (place, held) in self.lock(session, applying, (&first.map, &keys)).await? {
                if let Some(found) = places.get(place).and_then(|it| self.found.get_mut(*it)) {
                    *found = Some(held.0.id);
                }
                seen.push(held);
            }
        }
        if !is_looked {
            applying.waiting.look(session, &first.map).await?;
        }
        Ok(seen)
    }

    /// Rows by keys that they had until this side, of which the other has not heard, gave them others, or deleted
    /// them.
    async fn find_former(
        &mut self,
        session: &mut Session<'_>,
        applying: &mut Applying,
        rows: &[pb::ApplyRow],
    ) -> Result<(), Error> {
        let Some(first) = rows.first().filter(|_| self.found.contains(&None)) else {
            return Ok(());
        };
        let mut keys = Vec::with_capacity(rows.len());
        for (row, found) in rows.iter().zip(&self.found) {
            let own = if row.previous_key.is_empty() { &row.key } else { &row.previous_key };
            keys.push(match found {
                None => self.key(session, applying, own).await.ok(),
                Some(_) => None,
            });
        }
        let asked = (first.map.as_str(), &self.map);
        let former = applying.waiting.formerly(session, asked, &keys).await?;
        let ids: Vec<Uuid> = former.iter().flatten().copied().collect();
        if ids.is_empty() {
            return Ok(());
        }
        let rights = Unrestricted(session.authority);
        let which = Which {
            ids: Some(&ids),
            unfiltered: true,
            unlinked: true,
            patience: Some(session.patience),
            ..Which::default()
        };
        let locked = images::lock(session.connection, &rights, &self.map, &which).await?;
        applying.waiting.look(session, &first.map).await?;
        let there: HashSet<Uuid> = locked.into_iter().map(|it| it.0).collect();
        for (at, (id, found)) in former.into_iter().zip(&mut self.found).enumerate() {
            match id {
                Some(id) if there.contains(&id) => *found = Some(id),
                Some(id) => drop(self.gone.insert(at, id)),
                None => {}
            }
        }
        Ok(())
    }

    /// The values of a key, in the order of the map's.
    async fn key(
        &self,
        session: &mut Session<'_>,
        applying: &mut Applying,
        key: &[pb::ApplyValue],
    ) -> Result<pb::ImageKey, Error> {
        let mut values = Vec::with_capacity(key.len());
        for column in self.map.key_names() {
            let part = key.iter().find(|it| it.column == column).ok_or(Error::Missing("key"))?;
            let resolved = applying.referred.resolve(session, &self.map.binding, part).await?;
            values.push(match resolved {
                Resolved::Value(value) => value,
                Resolved::Nothing => return Err(Error::Missing("key")),
            });
        }
        Ok(pb::ImageKey { company: String::new(), values })
    }

    /// Of each key that a row has: its place, and what the row holds as of a snapshot. Behind the locks it looks at what
    /// waits: a row that is waited for may be changed by whoever held it.
    async fn lock(
        &self,
        session: &mut Session<'_>,
        applying: &mut Applying,
        (map_name, keys): (&str, &[pb::ImageKey]),
    ) -> Result<Vec<(usize, (Seen, String))>, Error> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let rights = Unrestricted(session.authority);
        let patience = Some(session.patience);
        let which = Which { keys: Some(keys), patience, ..Which::default() };
        let map = self.judged.as_ref().unwrap_or(&self.map);
        let look = applying.waiting.question(session, map_name).await?;
        let is_looked = look.is_some();
        let asked = (&which, look);
        let (locked, looked) =
            images::lock_and_read(session.connection, &rights, map, asked).await?;
        if is_looked {
            applying.waiting.learn(session, map_name, looked).await?;
        }
        let mut found = Vec::with_capacity(locked.len());
        let mut ids: HashMap<usize, Uuid> = HashMap::with_capacity(locked.len());
        for (seen, snapshot) in locked {
            let (Some(place), id) = (seen.place, seen.id) else { continue };
            match ids.insert(place, id) {
                None => found.push((place, (seen, snapshot))),
                Some(other) if other == id => {}
                Some(_) => return Err(self.map.not_unique()),
            }
        }
        Ok(found)
    }

    /// The row, as it is now.
    pub(super) async fn find(
        &mut self,
        session: &mut Session<'_>,
        applying: &mut Applying,
        row: &pb::ApplyRow,
        at: usize,
    ) -> Result<Option<Uuid>, Error> {
        let mut id = self.found.get(at).copied().flatten();
        let is_made = id.is_none() && applying.referred.made(&row.entity_name) != self.made;
        // Whoever had its key then may have another one by now.
        if is_made || self.keys_moved {
            let before = id.take().filter(|it| !self.written.contains(it));
            for key in [&row.key, &row.previous_key].into_iter().filter(|it| !it.is_empty()) {
                let key = self.key(session, applying, key).await?;
                let found = self.lock(session, applying, (&row.map, &[key])).await?;
                id = found.first().map(|(_, held)| held.0.id);
                if id.is_some() {
                    break;
                }
            }
            id = id.or(before);
            if let (Some(id), Some(pending)) = (id, &mut self.pending) {
                let more = applying.waiting.of(session, &row.map, &[id]).await?;
                pending.extend(more.unwrap_or_default());
            }
        }
        if let Some(known) = id
            && (self.written.contains(&known) || !self.seen.contains_key(&known))
        {
            self.read_again(session, applying, (&row.map, vec![known])).await?;
            id = self.seen.contains_key(&known).then_some(known);
        }
        Ok(id)
    }
}
