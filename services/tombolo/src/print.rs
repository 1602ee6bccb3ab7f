//! How answers reach standard output: tables for people, JSON for programs.

mod chain;
mod message;
mod table;
mod units;

use std::io::{IsTerminal as _, Write as _};

use anyhow::Result;
use serde_json::Value;

pub(crate) use chain::chain;
pub(crate) use message::Shown;
pub(crate) use table::{Table, bar, properties};
pub(crate) use units::{Word, day, parse_size, phrase, plain, size, span, timestamp, when, word};

/// How answers are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) json: bool,
}

impl Output {
    /// Every entry, as an array or as rows of a table.
    pub(crate) fn list<T: Shown>(self, entries: &[T], table: impl FnOnce() -> Table) -> Result<()> {
        if self.json {
            return json(&entries.iter().map(Shown::json).collect());
        }
        text(&table().to_string())
    }

    /// One message, or what it says to people.
    pub(crate) fn one<T: Shown>(
        self,
        entry: &T,
        for_people: impl FnOnce() -> String,
    ) -> Result<()> {
        self.value(|| entry.json(), for_people)
    }

    /// As [`Self::one`], where the answer is no message by itself.
    pub(crate) fn value(
        self,
        for_programs: impl FnOnce() -> Value,
        for_people: impl FnOnce() -> String,
    ) -> Result<()> {
        if self.json { json(&for_programs()) } else { text(&for_people()) }
    }

    /// Something is gone.
    pub(crate) fn deleted(self, name: &str) -> Result<()> {
        self.value(|| serde_json::json!({ "deleted": name }), || format!("{name} is deleted\n"))
    }
}

/// Whether somebody looks at standard output.
pub(crate) fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

fn text(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        writeln!(out)?;
    }
    Ok(())
}

fn json(value: &Value) -> Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)?;
    Ok(())
}

/// A line on standard error, about what goes on. Nobody may be reading it.
pub(crate) fn note(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
