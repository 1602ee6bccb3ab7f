//! What one side has changed, in the words of the other.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use prost::Message as _;
use proto::dual_write::v1::Side;
use proto::query::v1::{ApplyKind, ApplyRow, SharedRow};

use crate::config::Config;
use crate::core::Core;
use crate::error::Error;
use crate::map::depend::in_order;
use crate::map::{CompiledMap, Owner, TranslateContext, TranslateError};
use crate::maps::ActiveMap;
use crate::peers::other;

/// What a side has changed, as it comes. Of more than is allowed only the size is kept.
#[derive(Debug)]
pub(crate) struct Changes {
    kept: Vec<SharedRow>,
    rows: usize,
    bytes: usize,
    most_rows: usize,
    most_bytes: usize,
}

/// For the side that was not written, in order: parents before children, and what is gone last, children first
/// (spec DW-16).
///
/// # Errors
///
/// [`Error::Limit`] for too much, [`Error::WriteConflict`] when a map is not what it was when its
/// rows were shared, [`Error::Untranslatable`] for a row that the other side cannot have.
pub(crate) fn translate(
    core: &Core,
    source: Side,
    changes: Changes,
) -> Result<Vec<ApplyRow>, Error> {
    let rows = changes.rows()?;
    let mut maps: HashMap<&str, Shared> = HashMap::new();
    for row in &rows {
        if !maps.contains_key(row.map.as_str()) {
            maps.insert(&row.map, Shared::of(core, source, &row.map)?);
        }
    }
    let mut translated = Vec::with_capacity(rows.len());
    for row in &rows {
        let Some(map) = maps.get(row.map.as_str()) else { continue };
        translated.extend(map.translate(source, row)?);
    }
    let translated = ordered(translated, &ranks(core, &maps));
    for (map, count) in counts(&translated) {
        core.maps.count(map, other(source), count);
    }
    Ok(translated)
}

/// A map that shares rows.
struct Shared {
    map: Arc<ActiveMap>,
    compiled: Arc<CompiledMap>,
    context: TranslateContext,
}

impl Shared {
    fn of(core: &Core, source: Side, name: &str) -> Result<Self, Error> {
        let changed = || Error::WriteConflict { entity: name.to_owned() };
        let map = core.maps.get(name).ok_or_else(changed)?;
        let Some(compiled) = map.compiled.clone() else {
            let message = map.problem.clone().unwrap_or_else(|| {
                format!("the map `{}` does not fit the present tables", map.display_name)
            });
            return Err(Error::Untranslatable {
                map: map.name.clone(),
                field: String::new(),
                message,
            });
        };
        let context = TranslateContext {
            primary_side: map.table_map.primary_side(),
            owning_team: Owner::parse(&map.table_map.owning_team),
            // What a save on the platform leaves alone goes along (spec DW-11).
            only_changes: source == Side::FinanceAndOperations,
            ..TranslateContext::default()
        };
        Ok(Self { map, compiled, context })
    }

    fn translate(&self, source: Side, row: &SharedRow) -> Result<Option<ApplyRow>, Error> {
        if row.epoch != self.map.epoch {
            return Err(Error::WriteConflict { entity: row.map.clone() });
        }
        self.compiled.translate(source, row, &self.context).map_err(|error| self.refused(&error))
    }

    /// The value itself may be of a column that the user must not see.
    fn refused(&self, error: &TranslateError) -> Error {
        let message = match error {
            TranslateError::Value { source_field, field, misfit, .. } => format!(
                "the value of the field `{source_field}` cannot be written to the field \
                 `{field}`: {misfit}"
            ),
            TranslateError::NoKey(_) | TranslateError::NoCompany | TranslateError::Shape => {
                error.to_string()
            }
        };
        let field = error.field().to_owned();
        Error::Untranslatable { map: self.map.name.clone(), field, message }
    }
}

// === impl Changes ===

impl Changes {
    pub(crate) fn new(config: &Config) -> Self {
        let (most_rows, most_bytes) = (config.transaction_rows, config.transaction_bytes);
        Self { kept: Vec::new(), rows: 0, bytes: 0, most_rows, most_bytes }
    }

    pub(crate) fn add(&mut self, rows: Vec<SharedRow>) {
        self.rows = self.rows.saturating_add(rows.len());
        let bytes: usize = rows.iter().map(prost::Message::encoded_len).sum();
        self.bytes = self.bytes.saturating_add(bytes);
        match self.rows > self.most_rows || self.bytes > self.most_bytes {
            true => self.kept.clear(),
            false => self.kept.extend(rows),
        }
    }

    /// Unless they are too many.
    fn rows(self) -> Result<Vec<SharedRow>, Error> {
        let of = |limit, allowed: usize, actual: usize, what: &str| {
            let message = format!(
                "the transaction changes {actual} {what} that are kept on both sides, and {allowed} \
                 is the most; split the transaction"
            );
            Err(Error::Limit { limit, allowed, actual, message })
        };
        if self.rows > self.most_rows {
            return of("rows", self.most_rows, self.rows, "records");
        }
        if self.bytes > self.most_bytes {
            return of("bytes", self.most_bytes, self.bytes, "bytes");
        }
        Ok(self.kept)
    }
}

/// Where each map comes in the order of all.
fn ranks(core: &Core, shared: &HashMap<&str, Shared>) -> HashMap<String, usize> {
    if shared.len() < 2 {
        return HashMap::new();
    }
    let all: Vec<_> = core.maps.all().into_iter().filter_map(|it| it.compiled.clone()).collect();
    let order = in_order(all.iter().map(|it| &**it));
    order.into_iter().enumerate().map(|(rank, name)| (name.to_owned(), rank)).collect()
}

fn ordered(rows: Vec<ApplyRow>, ranks: &HashMap<String, usize>) -> Vec<ApplyRow> {
    let rank = |it: &ApplyRow| ranks.get(&it.map).copied().unwrap_or_default();
    let (mut gone, mut rows): (Vec<_>, Vec<_>) =
        rows.into_iter().partition(|it| it.kind() == ApplyKind::Delete);
    rows.sort_by_key(rank);
    // Another row has its key by now, and the other side's row becomes that one.
    let keys: HashSet<_> = rows.iter().map(key).collect();
    gone.retain(|it| !keys.contains(&key(it)));
    gone.sort_by_key(|it| std::cmp::Reverse(rank(it)));
    rows.append(&mut gone);
    rows
}

fn key(row: &ApplyRow) -> (String, Vec<Vec<u8>>) {
    let mut values: Vec<_> = row
        .key
        .iter()
        .map(|it| {
            let it = proto::query::v1::ApplyValue { changed: false, ..it.clone() };
            it.encode_to_vec()
        })
        .collect();
    values.sort_unstable();
    (row.entity_name.clone(), values)
}

fn counts(rows: &[ApplyRow]) -> HashMap<&str, u64> {
    let mut counts = HashMap::new();
    for row in rows {
        *counts.entry(row.map.as_str()).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use proto::query::v1::apply_value::Content;
    use proto::query::v1::value::Kind;
    use proto::query::v1::{ApplyValue, Image, Value};

    use super::*;

    fn row(map: &str, key: &str, kind: ApplyKind) -> ApplyRow {
        let value = Value { kind: Some(Kind::StringValue(key.to_owned())) };
        let content = Some(Content::Value(value));
        let key =
            vec![ApplyValue { column: "number".to_owned(), content, changed: true, filled: false }];
        let entity_name = map.to_owned();
        ApplyRow { map: map.to_owned(), entity_name, key, kind: kind.into(), ..ApplyRow::default() }
    }

    fn told(rows: Vec<ApplyRow>, order: &[&str]) -> Vec<String> {
        let ranks = order.iter().enumerate().map(|(rank, it)| ((*it).to_owned(), rank)).collect();
        let rows = ordered(rows, &ranks);
        let key = |it: &ApplyRow| match &it.key[0].content {
            Some(Content::Value(Value { kind: Some(Kind::StringValue(it)) })) => it.clone(),
            _ => String::new(),
        };
        rows.iter().map(|it| format!("{:?} {} {}", it.kind(), it.map, key(it))).collect()
    }

    #[test]
    fn parents_come_first_and_go_last() {
        use ApplyKind::{Delete, Upsert};
        let rows = vec![
            row("child", "1", Upsert),
            row("parent", "2", Delete),
            row("parent", "1", Upsert),
            row("child", "2", Delete),
        ];
        let expected = ["Upsert parent 1", "Upsert child 1", "Delete child 2", "Delete parent 2"];
        assert_eq!(told(rows, &["parent", "child"]), expected);
    }

    #[test]
    fn a_key_that_another_row_took_over_is_not_deleted() {
        use ApplyKind::{Delete, Upsert};
        let rows = vec![row("m", "1", Delete), row("m", "1", Upsert), row("m", "2", Delete)];
        assert_eq!(told(rows, &[]), ["Upsert m 1", "Delete m 2"]);
    }

    #[test]
    fn too_much_is_refused_by_what_it_is_too_much_of() {
        let image = Some(Image { company: "x".repeat(100), ..Image::default() });
        let row = SharedRow { image, ..SharedRow::default() };
        let limit = |transaction_rows, transaction_bytes| {
            let config =
                Config { transaction_rows, transaction_bytes, ..Config::new(String::new()) };
            let mut changes = Changes::new(&config);
            for rows in [1, 2, 1] {
                changes.add(vec![row.clone(); rows]);
            }
            match changes.rows() {
                Ok(rows) => ("", rows.len()),
                Err(Error::Limit { limit, actual, .. }) => (limit, actual),
                Err(other) => panic!("{other}"),
            }
        };
        let bytes = 4 * row.encoded_len();
        assert_eq!(limit(4, bytes), ("", 4));
        assert_eq!(limit(3, bytes), ("rows", 4));
        assert_eq!(limit(4, bytes - 1), ("bytes", bytes));
    }
}
