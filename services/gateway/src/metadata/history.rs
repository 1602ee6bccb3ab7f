//! What changed from one snapshot to the next, for clients that keep a copy of the metadata. It is
//! held in memory: of the last [`KEPT`] changes, since this process began.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::Arc;

use uuid::Uuid;

use super::{Snapshot, Table};

/// How many changes are remembered.
const KEPT: usize = 1_000;

/// Every change up to one snapshot.
#[derive(Clone, Debug)]
pub(crate) struct History {
    /// Numbers mean something within one process only.
    epoch: Uuid,
    number: u64,
    steps: VecDeque<Arc<Step>>,
}

/// From one snapshot to the next.
#[derive(Debug, Default)]
struct Step {
    /// Logical names of tables that are new, or not as they were.
    changed: BTreeSet<String>,
    deleted: Vec<Deleted>,
}

/// Something that is not there any more, by its names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Deleted {
    Table(String),
    Column { table: String, column: String },
    Relationship(String),
    OptionSet(String),
}

/// What happened after a moment.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) changed: BTreeSet<String>,
    pub(crate) deleted: BTreeSet<Deleted>,
}

impl Default for History {
    fn default() -> Self {
        Self { epoch: Uuid::new_v4(), number: 0, steps: VecDeque::new() }
    }
}

impl History {
    /// Names this moment.
    pub(crate) fn stamp(&self) -> String {
        format!("{}!{}", self.epoch.simple(), self.number)
    }

    /// What changed since a stamp was given out; `None` if that is not remembered.
    pub(crate) fn since(&self, stamp: &str) -> Option<Changes> {
        let (epoch, number) = stamp.split_once('!')?;
        let number: u64 = number.parse().ok()?;
        let missed = usize::try_from(self.number.checked_sub(number)?).ok()?;
        if epoch != self.epoch.simple().to_string() || missed > self.steps.len() {
            return None;
        }
        let mut changes = Changes::default();
        for step in self.steps.iter().skip(self.steps.len() - missed) {
            changes.changed.extend(step.changed.iter().cloned());
            changes.deleted.extend(step.deleted.iter().cloned());
        }
        Some(changes)
    }

    /// The history up to `new`, which follows `old`.
    pub(super) fn followed(&self, old: &Snapshot, new: &Snapshot) -> Self {
        let step = Step { changed: changed(old, new), deleted: deleted(old, new) };
        let mut history = self.clone();
        if step.changed.is_empty() && step.deleted.is_empty() {
            return history;
        }
        history.number += 1;
        history.steps.push_back(Arc::new(step));
        if history.steps.len() > KEPT {
            history.steps.pop_front();
        }
        history
    }
}

fn changed(old: &Snapshot, new: &Snapshot) -> BTreeSet<String> {
    let sets = new.option_sets.iter().filter(|it| !old.option_sets.contains(it));
    let sets: HashSet<&str> = sets.map(|it| it.name.as_str()).collect();
    let uses_changed_set = |table: &Table| {
        table.definition.columns.iter().any(|it| sets.contains(it.option_set.as_str()))
    };
    let same = |table: &Table| {
        old.by_name(&table.logical_name).is_some_and(|before| {
            before.definition == table.definition && relationships(before).eq(relationships(table))
        })
    };
    let changed = new.tables.iter().filter(|it| !same(it) || uses_changed_set(it));
    changed.map(|it| it.logical_name.clone()).collect()
}

fn relationships(table: &Table) -> impl Iterator<Item = &str> {
    table.navigations().map(|it| it.schema_name.as_str())
}

fn deleted(old: &Snapshot, new: &Snapshot) -> Vec<Deleted> {
    let kept: HashSet<&str> = new.tables.iter().flat_map(|it| relationships(it)).collect();
    let sets: HashSet<&str> = new.option_sets.iter().map(|it| it.name.as_str()).collect();
    let mut deleted = BTreeSet::new();
    for before in &old.tables {
        let gone = relationships(before).filter(|it| !kept.contains(it));
        deleted.extend(gone.map(|it| Deleted::Relationship(it.to_owned())));
        let table = before.logical_name.clone();
        match new.by_name(&table) {
            None => {
                deleted.insert(Deleted::Table(table));
            }
            Some(after) => {
                let names = before.columns.iter().map(|it| it.logical_name.clone());
                let gone = names.filter(|it| after.by_name(it).is_none());
                deleted.extend(gone.map(|column| Deleted::Column { table: table.clone(), column }));
            }
        }
    }
    let gone = old.option_sets.iter().filter(|it| !sets.contains(it.name.as_str()));
    deleted.extend(gone.map(|it| Deleted::OptionSet(it.name.clone())));
    deleted.into_iter().collect()
}
