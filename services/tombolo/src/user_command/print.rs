//! Tables for people, JSON for programs.

use std::io::Write as _;

use anyhow::Result;
use proto::user_context::v1::ImportDirectoryResponse;
use serde_json::{Value, json};

use super::entry::Entry;

/// How answers are printed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    pub(super) json: bool,
}

impl Output {
    pub(super) fn list<T: Entry>(self, entries: &[T]) -> Result<()> {
        if self.json {
            return json(&entries.iter().map(Entry::json).collect());
        }
        let head = T::HEAD.iter().map(|it| (*it).to_owned()).collect();
        let rows: Vec<Vec<String>> =
            std::iter::once(head).chain(entries.iter().map(Entry::cells)).collect();
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|it| it.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..T::HEAD.len()).map(width).collect();
        let mut out = std::io::stdout().lock();
        for row in &rows {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }

    pub(super) fn one<T: Entry>(self, entry: &T) -> Result<()> {
        if self.json {
            return json(&entry.json());
        }
        let mut out = std::io::stdout().lock();
        for (name, cell) in T::HEAD.iter().zip(entry.cells()).filter(|it| !it.1.is_empty()) {
            writeln!(out, "{name:<12} {cell}")?;
        }
        Ok(())
    }

    pub(super) fn deleted(self, name: &str) -> Result<()> {
        if self.json {
            return json(&json!({ "deleted": name }));
        }
        writeln!(std::io::stdout(), "{name} is deleted")?;
        Ok(())
    }

    /// `left_out` grants were of tables that no entity of the model is of.
    pub(super) fn imported(self, counts: &ImportDirectoryResponse, left_out: usize) -> Result<()> {
        let ImportDirectoryResponse { created_count, updated_count, deleted_count } = counts;
        if self.json {
            return json(&json!({
                "created": created_count,
                "updated": updated_count,
                "deleted": deleted_count,
                "grants_left_out": left_out,
            }));
        }
        let mut out = std::io::stdout().lock();
        writeln!(out, "{created_count} made, {updated_count} changed, {deleted_count} forgotten")?;
        if left_out > 0 {
            writeln!(out, "{left_out} grants are of tables without a data entity, and left out")?;
        }
        Ok(())
    }
}

fn json(value: &Value) -> Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)?;
    Ok(())
}
