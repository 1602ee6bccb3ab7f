//! A row that whoever changes it has locked and read.

use std::collections::HashMap;

use proto::query::v1 as pb;
use sqlx::postgres::PgRow;

use crate::binding::{Binding, Field};
use crate::error::Error;
use crate::plan::declared;
use crate::row::{self, Reader};

/// What is known of a row beside the change: then the statement that makes it needs none before it, and none behind
/// it to see what became of the row.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// What fields hold, by their names.
    held: HashMap<String, pb::Value>,
    /// What the statements that wrote to their tables say that they hold since.
    told: HashMap<String, pb::Value>,
}

// === impl Known ===

impl Known {
    pub(crate) fn new(held: HashMap<String, pb::Value>) -> Self {
        Self { held, told: HashMap::new() }
    }

    /// What a field holds, as far as that is known.
    pub(crate) fn held(&self, field: &str) -> Option<&pb::Value> {
        self.told.get(field).or_else(|| self.held.get(field))
    }

    /// A statement has said what the field holds since it was written.
    pub(crate) fn is_told(&self, field: &str) -> bool {
        self.told.contains_key(field)
    }

    /// The fields that a statement which writes to the source is to tell.
    pub(super) fn asked<'b>(&self, binding: &'b Binding, source: usize) -> Vec<&'b Field> {
        let is_kept = |it: &&Field| it.column.as_ref().is_some_and(|it| it.source == source);
        let asked = binding.fields.iter().filter(is_kept);
        asked.filter(|it| self.held.contains_key(&it.name)).collect()
    }

    /// The row, whose last columns are what was asked.
    pub(super) fn tell(
        &mut self,
        binding: &Binding,
        asked: &[&Field],
        row: &PgRow,
    ) -> Result<(), Error> {
        let first = sqlx::Row::len(row).saturating_sub(asked.len());
        for (at, field) in asked.iter().enumerate() {
            let column = declared(field, binding);
            let reader = Reader::of(first + at, &column.kind, column.null_date);
            let value = row::value(&reader, row).map_err(Error::Row)?;
            self.told.insert(field.name.clone(), value);
        }
        Ok(())
    }
}
