//! What clients were told, and what therefore must be there in the end.

use std::collections::{BTreeMap, BTreeSet};

use super::compare::{Diverged, Row};

/// Of one client's column, or of a row that comes and goes.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    cells: BTreeMap<(String, &'static str), Cell>,
    rows: BTreeMap<String, Presence>,
    /// Writes that were acknowledged, and refused.
    pub(super) acknowledged: usize,
    pub(super) refused: usize,
    pub(super) unknown: usize,
}

/// Numbers that one client wrote, one after the other, into one column of one row.
#[derive(Clone, Debug, Default)]
struct Cell {
    /// The last one that was acknowledged.
    acknowledged: u64,
    sent: u64,
    refused: BTreeSet<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Presence {
    #[default]
    Absent,
    Present,
    Unknown,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answered {
    Done,
    Refused,
    /// Nobody said anything, or that it cannot be said.
    Unknown,
}

impl Ledger {
    /// How many writes ended in which way.
    pub(super) fn counts(&self) -> String {
        let Self { acknowledged, refused, unknown, .. } = self;
        format!("{acknowledged} acknowledged, {refused} refused, {unknown} without an answer")
    }

    /// The next number to be written.
    pub(super) fn next(&mut self, key: &str, column: &'static str) -> u64 {
        let cell = self.cells.entry((key.to_owned(), column)).or_default();
        cell.sent += 1;
        cell.sent
    }

    /// What became of it.
    pub(super) fn told(&mut self, key: &str, column: &'static str, number: u64, it: Answered) {
        self.count(it);
        let cell = self.cells.entry((key.to_owned(), column)).or_default();
        match it {
            Answered::Done => cell.acknowledged = cell.acknowledged.max(number),
            Answered::Refused => drop(cell.refused.insert(number)),
            Answered::Unknown => {}
        }
    }

    /// Whether a row that comes and goes is there; absent where nobody knows.
    pub(super) fn is_there(&self, key: &str) -> Option<bool> {
        match self.rows.get(key).copied().unwrap_or_default() {
            Presence::Absent => Some(false),
            Presence::Present => Some(true),
            Presence::Unknown => None,
        }
    }

    /// It came or went, if it was done.
    pub(super) fn moved(&mut self, key: &str, there: bool, it: Answered) {
        self.count(it);
        let presence = match (it, there) {
            (Answered::Refused, _) => return,
            (Answered::Unknown, _) => Presence::Unknown,
            (Answered::Done, true) => Presence::Present,
            (Answered::Done, false) => Presence::Absent,
        };
        self.rows.insert(key.to_owned(), presence);
    }

    fn count(&mut self, it: Answered) {
        match it {
            Answered::Done => self.acknowledged += 1,
            Answered::Refused => self.refused += 1,
            Answered::Unknown => self.unknown += 1,
        }
    }

    /// Holds the rows, which are the same on both sides, against what was told. What nobody knew is
    /// known then.
    pub(super) fn settle(&mut self, rows: &BTreeMap<String, Row>) -> Result<(), Diverged> {
        for ((key, column), cell) in &self.cells {
            let row = rows.get(key).ok_or_else(|| Diverged(format!("{key} is gone")))?;
            let found = row.number(column);
            let wrong = found < cell.acknowledged
                || found > cell.sent
                || (cell.refused.contains(&found) && found != cell.acknowledged);
            if wrong {
                return Err(Diverged(format!("{key}.{column} holds {found}, told was {cell:?}")));
            }
        }
        for (key, presence) in &mut self.rows {
            let found = rows.contains_key(key);
            match presence {
                Presence::Present if !found => {
                    return Err(Diverged(format!("{key} was made, and is not there")));
                }
                Presence::Absent if found => {
                    return Err(Diverged(format!("{key} is there, and was deleted or never made")));
                }
                _ => *presence = if found { Presence::Present } else { Presence::Absent },
            }
        }
        Ok(())
    }
}
