//! Tables for people, JSON for programs.

use anyhow::Result;
use proto::user_context::v1::ImportDirectoryResponse;
use serde_json::json;

use super::entry::Entry;
use crate::print::{self, Table, properties};

/// How answers are printed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output(pub(super) print::Output);

impl Output {
    pub(super) fn list<T: Entry>(self, entries: &[T]) -> Result<()> {
        let table = || Table::new(T::HEAD).rows(entries.iter().map(Entry::cells));
        self.0.value(|| entries.iter().map(Entry::json).collect(), || table().to_string())
    }

    pub(super) fn one<T: Entry>(self, entry: &T) -> Result<()> {
        let cells = || T::HEAD.iter().copied().zip(entry.cells()).collect::<Vec<_>>();
        self.0.value(|| entry.json(), || properties(&cells()))
    }

    pub(super) fn deleted(self, name: &str) -> Result<()> {
        self.0.deleted(name)
    }

    /// `left_out` grants were of tables that no entity of the model is of.
    pub(super) fn imported(self, counts: &ImportDirectoryResponse, left_out: usize) -> Result<()> {
        let ImportDirectoryResponse { created_count, updated_count, deleted_count } = counts;
        let for_programs = json!({
            "created": created_count,
            "updated": updated_count,
            "deleted": deleted_count,
            "grants_left_out": left_out,
        });
        let mut text =
            format!("{created_count} made, {updated_count} changed, {deleted_count} forgotten\n");
        if left_out > 0 {
            text +=
                &format!("{left_out} grants are of tables without a data entity, and left out\n");
        }
        self.0.value(|| for_programs, || text)
    }
}
