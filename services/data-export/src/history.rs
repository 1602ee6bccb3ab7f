//! How an installation is doing, in memory and, so that a restart knows when it last ran, in a file.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

const LONGEST_TEXT: usize = 1_000;
const MOST_NAMES: usize = 5;

/// What became of the last run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct History {
    /// When it ended; none before the first.
    pub(crate) last_run: Option<DateTime<Utc>>,
    /// Rows that it wrote.
    pub(crate) rows: u64,
    /// Tables of which every run writes all rows.
    pub(crate) snapshots: BTreeSet<String>,
    /// Tables that could not be exported, and why.
    pub(crate) problems: BTreeMap<String, String>,
    #[serde(skip)]
    pub(crate) next_run: Option<DateTime<Utc>>,
    #[serde(skip)]
    pub(crate) running: bool,
}

impl History {
    /// One line for people.
    pub(crate) fn text(&self) -> String {
        let mut text = match (self.last_run, self.running) {
            (None, true) => "The first run is under way".to_owned(),
            (None, false) => "The first run has not begun".to_owned(),
            (Some(at), _) => format!("Last run {}: {} rows", moment(at), commas(self.rows)),
        };
        for (table, problem) in self.problems.iter().take(MOST_NAMES) {
            let _ = write!(text, "; {table} failed: {problem}");
        }
        if self.problems.len() > MOST_NAMES {
            let _ = write!(text, "; and {} more failed", self.problems.len() - MOST_NAMES);
        }
        if !self.snapshots.is_empty() {
            let names: Vec<&str> =
                self.snapshots.iter().take(MOST_NAMES).map(String::as_str).collect();
            let more = if self.snapshots.len() > MOST_NAMES { ", …" } else { "" };
            let _ = write!(
                text,
                "; all rows each time of {}{more}: enable change tracking of the table to have only \
                 what changed",
                names.join(", ")
            );
        }
        match (self.running, self.next_run) {
            (true, _) if self.last_run.is_some() => text.push_str("; running now"),
            (false, Some(next)) if self.problems.is_empty() => {
                let _ = write!(text, "; next run {}", moment(next));
            }
            (false, Some(next)) => {
                let _ = write!(text, "; next attempt {}", moment(next));
            }
            _ => {}
        }
        text.chars().take(LONGEST_TEXT).collect()
    }
}

fn moment(at: DateTime<Utc>) -> impl std::fmt::Display {
    at.format("%Y-%m-%d %H:%M:%S UTC")
}

/// `1,204`
fn commas(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|it| std::str::from_utf8(it).unwrap_or_default())
        .collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_how_it_is() {
        let at = |text: &str| Some(text.parse().unwrap());
        let mut history = History::default();
        assert_eq!(history.text(), "The first run has not begun");
        history.last_run = at("2026-03-01T12:00:00Z");
        history.next_run = at("2026-03-01T12:15:00Z");
        history.rows = 1_204_000;
        let fine =
            "Last run 2026-03-01 12:00:00 UTC: 1,204,000 rows; next run 2026-03-01 12:15:00 UTC";
        assert_eq!(history.text(), fine);
        history.problems.insert("accounts".to_owned(), "no connection".to_owned());
        history.snapshots.insert("orders".to_owned());
        let text = history.text();
        assert!(text.contains("; accounts failed: no connection;"), "{text}");
        assert!(text.contains("; all rows each time of orders: enable"), "{text}");
        assert!(text.ends_with("; next attempt 2026-03-01 12:15:00 UTC"), "{text}");
    }
}
