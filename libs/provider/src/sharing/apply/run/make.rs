//! New rows: many at once where it makes no difference, otherwise one by one.

use std::collections::HashSet;

use proto::query::v1 as pb;
use proto::query::v1::apply_value::Content;
use proto::query::v1::operation::Operation as Kind;
use proto::query::v1::operation_result::Result as Outcome;
use uuid::Uuid;

use super::{Run, told, unrestricted, unsaid, write};
use crate::error::Error;
use crate::sharing::apply::Applying;
use crate::sharing::apply::key::given_bytes;
use crate::sharing::apply::refer::Resolved;
use crate::sharing::rights::{Unrestricted, is_null};
use crate::sharing::value::fitting;
use crate::write::{Session, create_many, run as run_sql};

/// A row that is to be made.
struct New {
    values: Vec<pb::FieldValue>,
    /// What it is to hold: without what only new rows are given, but with what they are not.
    applied: Vec<pb::FieldValue>,
    unresolved: Vec<String>,
}

/// What became of rows that were to be made at once.
pub(super) enum Made {
    All(Vec<pb::AppliedRow>),
    /// Nothing was done: they are to be made one by one.
    None,
}

// === impl Run ===

impl Run {
    /// How many of the rows, from the first on, are new and have nothing to do with each other.
    pub(super) fn new_together(&self, rows: &[pb::ApplyRow], at: usize) -> usize {
        let mut keys = HashSet::new();
        let is_new = |(place, row): &(usize, &pb::ApplyRow)| {
            use pb::ApplyKind::{CreateOnly, Upsert};
            let is_missing = self.found.get(at + place) == Some(&None);
            let key = given_bytes(row);
            matches!(row.kind(), Upsert | CreateOnly)
                && is_missing
                && !self.gone.contains_key(&(at + place))
                && !self.is_correction
                && !self.keys_moved
                && !refers_to(row, &row.entity_name)
                && !self.keys_made.contains(&key)
                && keys.insert(key)
        };
        rows.iter().enumerate().take_while(is_new).count()
    }

    /// Makes the rows at once, or leaves everything as it was.
    pub(super) async fn create_all(
        &mut self,
        session: &mut Session<'_>,
        applying: &mut Applying,
        rows: &[pb::ApplyRow],
    ) -> Result<Made, Error> {
        let Some(first) = rows.first() else { return Ok(Made::None) };
        let mut new = Vec::with_capacity(rows.len());
        for row in rows {
            match self.new_row(session, applying, row).await {
                Ok(row) => new.push(row),
                // Told of the row at fault.
                Err(Error::ReferenceNotFound { .. }) => return Ok(Made::None),
                Err(error) => return Err(error),
            }
        }
        let values: Vec<Vec<pb::FieldValue>> = new.iter().map(|it| it.values.clone()).collect();
        run_sql(session, "SAVEPOINT together").await?;
        let rights = Unrestricted(session.authority);
        let mut unrestricted = unrestricted(session, &rights);
        let made = create_many(&mut unrestricted, &first.entity_name, &values).await;
        let ids = match made {
            Ok(Some(ids)) => ids,
            Err(
                error @ (Error::Busy(_)
                | Error::Conflict
                | Error::Unavailable(_)
                | Error::DeadlineExceeded),
            ) => return Err(error),
            Ok(None) | Err(_) => {
                let undo = "ROLLBACK TO SAVEPOINT together; RELEASE SAVEPOINT together";
                run_sql(session, undo).await?;
                return Ok(Made::None);
            }
        };
        run_sql(session, "RELEASE SAVEPOINT together").await?;
        applying.referred.forget(&first.entity_name);
        let mut applied = Vec::with_capacity(new.len());
        for ((row, new), id) in rows.iter().zip(new).zip(ids) {
            self.keys_made.insert(given_bytes(row));
            self.note(id, new.applied);
            let done = told(pb::AppliedKind::Created, Some(id));
            applied.push(pb::AppliedRow { unresolved_columns: new.unresolved, ..done });
        }
        Ok(Made::All(applied))
    }

    /// Makes one.
    pub(super) async fn create(
        &mut self,
        session: &mut Session<'_>,
        applying: &mut Applying,
        row: &pb::ApplyRow,
    ) -> Result<pb::AppliedRow, Error> {
        let New { values, applied, unresolved } = self.new_row(session, applying, row).await?;
        let entity_name = row.entity_name.clone();
        let request = pb::CreateRequest { entity_name, values, ..Default::default() };
        let id = match write(session, Kind::Create(request), None).await?.0 {
            Outcome::Create(it) => Uuid::from_slice(&it.record_id).unwrap_or_default(),
            _ => return Err(Error::RecordNotFound),
        };
        applying.referred.forget(&row.entity_name);
        self.keys_made.insert(given_bytes(row));
        self.note(id, applied);
        let done = told(pb::AppliedKind::Created, Some(id));
        Ok(pb::AppliedRow { unresolved_columns: unresolved, ..done })
    }

    async fn new_row(
        &self,
        session: &mut Session<'_>,
        applying: &mut Applying,
        row: &pb::ApplyRow,
    ) -> Result<New, Error> {
        let wanted = self.wanted(session, applying, row).await?;
        let mut unresolved = wanted.unresolved;
        let mut values = wanted.key;
        let mut applied: Vec<pb::FieldValue> = wanted.filled.iter().map(|it| unsaid(it)).collect();
        let others: Vec<pb::FieldValue> = wanted.values.into_iter().map(|it| it.0).collect();
        add(&mut values, others.iter().cloned());
        add(&mut applied, others);
        for value in &row.create_values {
            match applying.referred.resolve(session, &self.map.binding, value).await? {
                // Left to this side, and told back where it fills something in.
                Resolved::Value(resolved) if is_null(&resolved) => {
                    let field = value.column.clone();
                    add(&mut applied, [pb::FieldValue { field, value: Some(resolved) }]);
                }
                Resolved::Value(resolved) => {
                    let given = fitting(self.map.field(&value.column)?, resolved);
                    let field = value.column.clone();
                    add(&mut values, [pb::FieldValue { field, value: Some(given) }]);
                }
                Resolved::Nothing => unresolved.push(value.column.clone()),
            }
        }
        // Where nothing is given the model's defaults count.
        values.retain(|it| it.value.as_ref().is_some_and(|it| !is_null(it)));
        Ok(New { values, applied, unresolved })
    }
}

/// Adds values of fields that have none yet.
pub(super) fn add(
    values: &mut Vec<pb::FieldValue>,
    others: impl IntoIterator<Item = pb::FieldValue>,
) {
    for other in others {
        if !values.iter().any(|it| it.field == other.field) {
            values.push(other);
        }
    }
}

/// Whether anything of the row names a row of the entity.
fn refers_to(row: &pb::ApplyRow, entity: &str) -> bool {
    fn names(value: &pb::ApplyValue, entity: &str) -> bool {
        match &value.content {
            Some(Content::Reference(it)) => {
                it.entity_name == entity || it.key.iter().any(|it| names(it, entity))
            }
            _ => false,
        }
    }
    let values = row.key.iter().chain(&row.values).chain(&row.create_values);
    values.into_iter().any(|it| names(it, entity))
}
