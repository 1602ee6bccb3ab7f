//! Rows of one map and one shape.

mod became;
mod find;
mod make;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use proto::query::v1 as pb;
use proto::query::v1::operation::Operation as Kind;
use proto::query::v1::operation_result::Result as Outcome;
use uuid::Uuid;

use super::Applying;
use super::differ::{Difference, Wanted, difference};
use super::pending::{Conflict, Pending, keep};
use super::refer::Resolved;
use crate::error::Error;
use crate::sharing::Refused;
use crate::sharing::images::Seen;
use crate::sharing::map::Map;
use crate::sharing::rights::Unrestricted;
use crate::sharing::value::fitting;
use crate::write::{self, Known, Session};
use make::{Made, add};

/// A run, and what is known of its rows.
struct Run {
    map: Map,
    /// Of each row, the row that its key found.
    found: Vec<Option<Uuid>>,
    seen: HashMap<Uuid, Seen>,
    /// The map, and what else the entity's rules name of a row: where that is something.
    judged: Option<Map>,
    /// What else: of rows that nobody has written to since they were locked.
    beyond: HashMap<Uuid, Vec<pb::Value>>,
    /// Of rows that this side has deleted, and the other has not heard of it: which they were.
    gone: HashMap<usize, Uuid>,
    /// What is applied is what rules made of a row that is there: it never makes one.
    is_correction: bool,
    /// Absent where the map is not configured here: then nobody follows, and nothing waits.
    pending: Option<Pending>,
    /// How many rows of the entity had been made when they were looked for.
    made: u64,
    /// The keys of those that this run made.
    keys_made: HashSet<Vec<u8>>,
    /// A row has another key than when they were looked for.
    keys_moved: bool,
    /// Rows that were written since.
    written: HashSet<Uuid>,
    /// What they were to hold, of those that were not looked at since.
    applied: Vec<Expected>,
    /// What they were to hold and do not.
    corrected: Vec<Expected>,
}

/// A row, and what columns were to hold.
type Expected = (Uuid, Vec<(String, pb::Value)>);

/// Applies the rows, and tells what became of each.
pub(super) async fn apply(
    session: &mut Session<'_>,
    applying: &mut Applying,
    rows: &[pb::ApplyRow],
    applied: &mut Vec<pb::AppliedRow>,
) -> Result<(), Refused> {
    let Some(first) = rows.first() else { return Ok(()) };
    let start = applied.len();
    let of = |error| Refused::of(error, &first.entity_name, start);
    let mut run = Run::prepare(session, applying, rows).await.map_err(of)?;
    let mut at = 0;
    while let Some(rest) = rows.get(at..).filter(|it| !it.is_empty()) {
        let together = run.new_together(rest, at);
        let (new, _) = rest.split_at(together);
        if together > 1
            && let Made::All(made) = run.create_all(session, applying, new).await.map_err(of)?
        {
            applied.extend(made);
            at += together;
            continue;
        }
        for row in rest.iter().take(together.max(1)) {
            let done = run.row(session, applying, row, at).await;
            let done = done.map_err(|error| Refused::of(error, &row.entity_name, start + at))?;
            applied.push(done);
            at += 1;
        }
    }
    if run.pending.is_some() && !run.is_correction {
        run.correct(session).await.map_err(of)?;
    }
    Ok(())
}

// === impl Run ===

impl Run {
    async fn row(
        &mut self,
        session: &mut Session<'_>,
        applying: &mut Applying,
        row: &pb::ApplyRow,
        at: usize,
    ) -> Result<pb::AppliedRow, Error> {
        use pb::ApplyKind::{CreateOnly, Delete, Unspecified, UpdateOnly, Upsert};
        let found = self.find(session, applying, row, at).await?;
        match (row.kind(), found) {
            (Unspecified, _) => Err(Error::Missing("kind")),
            (Delete, Some(id)) => self.delete(session, applying, row, id).await,
            (Delete | UpdateOnly, None) => Ok(told(pb::AppliedKind::Unchanged, None)),
            (CreateOnly, Some(id)) => Ok(told(pb::AppliedKind::Unchanged, Some(id))),
            (Upsert | UpdateOnly, Some(id)) => self.update(session, applying, row, id).await,
            (Upsert | CreateOnly, None) if self.is_correction => {
                Ok(told(pb::AppliedKind::Unchanged, None))
            }
            (Upsert | CreateOnly, None) => match self.gone.get(&at).copied() {
                Some(id) => self.create_again(session, applying, row, id).await,
                None => self.create(session, applying, row).await,
            },
        }
    }

    async fn wanted(
        &self,
        session: &mut Session<'_>,
        applying: &mut Applying,
        row: &pb::ApplyRow,
    ) -> Result<Wanted, Error> {
        let mut wanted = Wanted {
            key: Vec::new(),
            moves: !row.previous_key.is_empty(),
            values: Vec::new(),
            filled: Vec::new(),
            unresolved: Vec::new(),
        };
        let parts = row.key.iter().map(|it| (it, true));
        for (value, is_key) in parts.chain(row.values.iter().map(|it| (it, false))) {
            let resolved = applying.referred.resolve(session, &self.map.binding, value).await?;
            let Resolved::Value(resolved) = resolved else {
                wanted.unresolved.push(value.column.clone());
                continue;
            };
            let given = pb::FieldValue {
                field: value.column.clone(),
                value: Some(fitting(self.map.field(&value.column)?, resolved)),
            };
            if value.filled {
                wanted.filled.push(value.column.clone());
            }
            match is_key {
                true => wanted.key.push(given),
                false => wanted.values.push((given, value.changed)),
            }
        }
        Ok(wanted)
    }

    async fn update(
        &mut self,
        session: &mut Session<'_>,
        applying: &mut Applying,
        row: &pb::ApplyRow,
        id: Uuid,
    ) -> Result<pb::AppliedRow, Error> {
        let wanted = self.wanted(session, applying, row).await?;
        let is_key = |it: &pb::FieldValue| row.key.iter().any(|key| key.column == it.field);
        let Difference { values, conflict } = self.difference(&wanted, id, row.wins)?;
        let conflicting: Vec<String> = conflict.loser.iter().map(|it| it.field.clone()).collect();
        if !conflicting.is_empty() {
            if self.is_correction && !self.is_corrected(id) {
                // What somebody wrote here goes over first.
                return Err(Error::Conflict);
            }
            keep(session, &row.map, id, conflict, row.wins).await?;
        }
        let kind = match values.is_empty() {
            true => pb::AppliedKind::Unchanged,
            false => pb::AppliedKind::Updated,
        };
        let mut known = self.known(id);
        if !values.is_empty() {
            let moves = values.iter().any(is_key);
            let request = pb::UpdateRequest {
                entity_name: row.entity_name.clone(),
                key: Some(by_id(id)),
                values: values.clone(),
                ..Default::default()
            };
            known = write(session, Kind::Update(request), Some(known)).await?.1.unwrap_or_default();
            if moves {
                self.keys_moved = true;
                applying.referred.forget(&row.entity_name);
            }
        }
        let is_written = |it: &pb::FieldValue| values.iter().any(|value| value.field == it.field);
        let filled = wanted.values.iter().filter(|it| it.1 || is_written(&it.0));
        let filled = filled.filter(|it| wanted.filled.contains(&it.0.field));
        let mut unsaid: Vec<pb::FieldValue> = filled.map(|it| unsaid(&it.0.field)).collect();
        if row.created {
            unsaid.extend(self.only_new(session, applying, row).await?);
        }
        if !values.is_empty() || !unsaid.is_empty() {
            let own = self.pending_columns(id);
            let is_others = |it: &pb::FieldValue| !own.contains(&it.field);
            let mut expected: Vec<_> = unsaid.into_iter().filter(is_others).collect();
            add(&mut expected, values.iter().cloned());
            // Rules change what nobody wrote, too.
            add(&mut expected, self.held(id).filter(is_others));
            self.changed(id, &values, expected, &known)?;
        }
        Ok(pb::AppliedRow {
            conflicting_columns: conflicting,
            unresolved_columns: wanted.unresolved,
            ..told(kind, Some(id))
        })
    }

    /// A row that this side has deleted.
    async fn create_again(
        &mut self,
        session: &mut Session<'_>,
        applying: &mut Applying,
        row: &pb::ApplyRow,
        id: Uuid,
    ) -> Result<pb::AppliedRow, Error> {
        let wins = row.wins || row.created;
        let given = self.wanted(session, applying, row).await?.values.into_iter().map(|it| it.0);
        let given: Vec<pb::FieldValue> = given.collect();
        let conflicting_columns = given.iter().map(|it| it.field.clone()).collect();
        let conflict = match wins {
            true => Conflict { winner: given, loser: Vec::new() },
            false => Conflict { winner: Vec::new(), loser: given },
        };
        keep(session, &row.map, id, conflict, wins).await?;
        let done = match wins {
            true => self.create(session, applying, row).await?,
            false => told(pb::AppliedKind::Unchanged, None),
        };
        Ok(pb::AppliedRow { conflicting_columns, ..done })
    }

    /// What differs from what the row holds, and may be written.
    fn difference(&self, wanted: &Wanted, id: Uuid, wins: bool) -> Result<Difference, Error> {
        let Some(seen) = self.seen.get(&id) else { return Ok(Difference::default()) };
        difference(&self.map, &seen.image, &self.pending_columns(id), wanted, wins)
    }

    /// Columns that this side has changed itself, of which the other has not heard.
    fn pending_columns(&self, id: Uuid) -> Vec<String> {
        let changed = self.pending.as_ref().and_then(|it| it.get(&id));
        changed.map(|it| self.map.names(&self.map.changed(&it.columns))).unwrap_or_default()
    }

    /// Nothing waits of the row but what this side's rules made of it.
    fn is_corrected(&self, id: Uuid) -> bool {
        self.pending.as_ref().and_then(|it| it.get(&id)).is_some_and(|it| it.is_correction)
    }

    async fn delete(
        &mut self,
        session: &mut Session<'_>,
        applying: &mut Applying,
        row: &pb::ApplyRow,
        id: Uuid,
    ) -> Result<pb::AppliedRow, Error> {
        let request = pb::DeleteRequest {
            entity_name: row.entity_name.clone(),
            key: Some(by_id(id)),
            ..Default::default()
        };
        let mut conflicting = Vec::new();
        if let Some(change) = self.pending.as_ref().and_then(|it| it.get(&id)) {
            let held = applying.waiting.in_the_way(session, &row.map, (id, change)).await?;
            if self.is_correction && !held.is_empty() {
                // What somebody wrote here goes over first.
                return Err(Error::Conflict);
            }
            conflicting = held.iter().map(|it| it.field.clone()).collect();
            if !held.is_empty() {
                // Of a row that is deleted all values lose; of one that stays, nothing was given that could.
                let conflict = match row.wins {
                    true => Conflict { winner: Vec::new(), loser: held },
                    false => Conflict { winner: held, loser: Vec::new() },
                };
                keep(session, &row.map, id, conflict, row.wins).await?;
                if !row.wins {
                    let done = told(pb::AppliedKind::Unchanged, Some(id));
                    return Ok(pb::AppliedRow { conflicting_columns: conflicting, ..done });
                }
            }
        }
        write(session, Kind::Delete(request), None).await?;
        applying.referred.forget(&row.entity_name);
        self.written.insert(id);
        let done = told(pb::AppliedKind::Deleted, Some(id));
        Ok(pb::AppliedRow { conflicting_columns: conflicting, ..done })
    }

    /// What the row held when it was looked for.
    fn held(&self, id: Uuid) -> impl Iterator<Item = pb::FieldValue> {
        let values = self.seen.get(&id).map(|it| it.image.values.as_slice()).unwrap_or_default();
        let value = |(field, value): (&String, &pb::Value)| pb::FieldValue {
            field: field.clone(),
            value: Some(value.clone()),
        };
        self.map.side.columns.iter().zip(values).map(value)
    }

    /// Of a row that its writer made, and that is there already: what only a new one is given.
    async fn only_new(
        &self,
        session: &mut Session<'_>,
        applying: &mut Applying,
        row: &pb::ApplyRow,
    ) -> Result<Vec<pb::FieldValue>, Error> {
        let mut given = Vec::with_capacity(row.create_values.len());
        for value in &row.create_values {
            let resolved = applying.referred.resolve(session, &self.map.binding, value).await?;
            if let Resolved::Value(resolved) = resolved {
                let resolved = fitting(self.map.field(&value.column)?, resolved);
                given.push(pb::FieldValue { field: value.column.clone(), value: Some(resolved) });
            }
        }
        Ok(given)
    }
}

/// Does one operation, with leave to do it. Of a row that is known, what is known then.
async fn write(
    session: &mut Session<'_>,
    kind: Kind,
    known: Option<Known>,
) -> Result<(Outcome, Option<Known>), Error> {
    let rights = Unrestricted(session.authority);
    let mut unrestricted = Session { known, ..unrestricted(session, &rights) };
    let operation = pb::Operation { operation: Some(kind) };
    let done = Box::pin(write::execute(&mut unrestricted, operation)).await?;
    Ok((done.result.ok_or(Error::Missing("operation"))?, unrestricted.known))
}

fn unrestricted<'s>(session: &'s mut Session<'_>, rights: &'s Unrestricted<'_>) -> Session<'s> {
    Session {
        connection: &mut *session.connection,
        provider: session.provider,
        authority: rights,
        caller: session.caller,
        deadline: session.deadline,
        patience: session.patience,
        origin: Arc::clone(&session.origin),
        known: None,
    }
}

/// Whoever wrote the row said nothing of the column.
fn unsaid(column: &str) -> pb::FieldValue {
    let null = pb::value::Kind::NullValue(pb::NullMarker {});
    pb::FieldValue { field: column.to_owned(), value: Some(pb::Value { kind: Some(null) }) }
}

fn told(kind: pb::AppliedKind, id: Option<Uuid>) -> pb::AppliedRow {
    let record_id = id.map(|it| it.into_bytes().to_vec().into()).unwrap_or_default();
    pb::AppliedRow { kind: kind.into(), record_id, ..Default::default() }
}

fn by_id(id: Uuid) -> pb::RecordKey {
    pb::RecordKey { key: Some(pb::record_key::Key::RecordId(id.into_bytes().to_vec().into())) }
}
