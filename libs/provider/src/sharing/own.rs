//! A transaction's own entries, where they are few and of the entity's first table: which rows they touch they say
//! themselves, and nobody needs to be asked.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::entries::{CORRECTION, Touched};
use crate::binding::{Binding, Identity};
use crate::changes::record_id;

/// Of more entries the database says what they touch.
pub(super) const MOST: i64 = 16;

/// One of them, as JSON has it.
#[derive(Debug, Deserialize)]
struct Entry<'e> {
    seq: i64,
    relation: String,
    #[serde(borrow)]
    old: Option<Image<'e>>,
    #[serde(borrow)]
    new: Option<Image<'e>>,
    at: DateTime<Utc>,
    actor: Option<String>,
}

/// Values by their columns, as they are written.
type Image<'e> = HashMap<String, &'e RawValue>;

/// Of a column: before the first change, and behind the last.
type Values<'e> = (Option<&'e str>, Option<&'e str>);

/// The rows that they touch, in the order of their first entries; `None` where that has to be asked.
pub(super) fn touched(binding: &Binding, entries: &[String]) -> Option<Vec<Touched>> {
    if i64::try_from(entries.len()).ok()? > MOST {
        return None;
    }
    let column = match (&binding.identity, binding.identity_columns.as_slice()) {
        (Identity::Integer { .. } | Identity::Uuid { .. }, [column]) => column,
        _ => return None,
    };
    let root = binding.sources.first()?;
    if binding.sources.iter().filter(|it| it.table == root.table).count() != 1 {
        return None;
    }
    let mut rows: BTreeMap<i64, Vec<Entry<'_>>> = BTreeMap::new();
    let mut first: HashMap<Uuid, i64> = HashMap::new();
    for entry in entries {
        let entry: Entry<'_> = serde_json::from_str(entry).ok()?;
        if entry.relation != root.table {
            return None;
        }
        let images = entry.old.iter().chain(&entry.new);
        let ids =
            images.map(|it| id(binding, it.get(column)?)).collect::<Option<HashSet<Uuid>>>()?;
        // A row that gets another id is two rows.
        let id = *ids.iter().next().filter(|_| ids.len() == 1)?;
        let place = *first.entry(id).or_insert(entry.seq);
        rows.entry(place).or_default().push(entry);
    }
    let id_of: HashMap<i64, Uuid> = first.into_iter().map(|(id, place)| (place, id)).collect();
    rows.into_iter().map(|(place, entries)| row(*id_of.get(&place)?, &entries)).collect()
}

fn id(binding: &Binding, value: &RawValue) -> Option<Uuid> {
    record_id(binding, value.get().trim_matches('"'))
}

fn row(id: Uuid, entries: &[Entry<'_>]) -> Option<Touched> {
    let (first, last) = (entries.first()?, entries.last()?);
    let actor = |it: &Entry<'_>| it.actor.clone().filter(|it| it != CORRECTION);
    Some(Touched {
        id,
        first: first.seq,
        last: last.seq,
        transactions: 1,
        at: first.at,
        is_correction: entries.iter().all(|it| it.actor.as_deref() == Some(CORRECTION)),
        is_made: entries.iter().any(|it| it.old.is_none()),
        is_new: first.old.is_none(),
        columns: columns(entries),
        actor: actor(first),
    })
}

/// Columns that hold something else than before. Nobody wrote the empty columns of a row that is made.
fn columns(entries: &[Entry<'_>]) -> HashSet<(String, String)> {
    let mut changes: HashMap<(&str, &str), Values<'_>> = HashMap::new();
    for entry in entries {
        let names = entry.old.iter().chain(&entry.new).flat_map(HashMap::keys);
        for name in names {
            let (old, new) = (held(entry.old.as_ref(), name), held(entry.new.as_ref(), name));
            if old != new {
                let change = changes.entry((&entry.relation, name)).or_insert((old, new));
                change.1 = new;
            }
        }
    }
    let changed = changes.into_iter().filter(|(_, (first, last))| first != last);
    changed.map(|((table, name), _)| (table.to_owned(), name.to_owned())).collect()
}

fn held<'e>(image: Option<&Image<'e>>, column: &str) -> Option<&'e str> {
    image?.get(column).map(|it| it.get()).filter(|it| *it != "null")
}
