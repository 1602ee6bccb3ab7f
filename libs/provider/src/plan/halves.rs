//! Orders that an ordinary index can serve: null sorts first ascending and last descending here, and
//! the other way around in PostgreSQL's indexes. Where there is such an index, the rows with null and
//! those without are read apart, each in an order that it has, and put one after the other.

use std::sync::Arc;

use proto::query::v1 as pb;
use proto::query::v1::value::Kind as Value;

use super::condition::{is_not_null, is_null};
use super::group::order_by;
use super::order::{Sort, SortKey};
use super::{Planner, Rowset, and};
use crate::binding::{Kind, Source};
use crate::error::Error;
use crate::indexes::{Indexes, Key, column_name};

/// Finds the indexes of a table, by schema and name, if they are known.
pub(crate) type KnownIndexes<'a> = dyn Fn(&str, &str) -> Option<Arc<Indexes>> + Send + Sync + 'a;

/// Rows with null in the first sort key, or those without.
struct Half {
    filter: String,
    order: String,
}

impl Planner<'_> {
    /// Splits a page's rows where that lets an index serve their order; returns the order, and the
    /// sort keys as the rows now have them.
    pub(super) fn halved(
        &mut self,
        rows: &mut Rowset,
        page: &pb::Page,
        known: &KnownIndexes<'_>,
    ) -> Result<Option<(Vec<SortKey>, String)>, Error> {
        let Some(first) = rows.sorts.first().cloned() else { return Ok(None) };
        let plain = rows.counted.is_some() && page.skip == 0 && page.size > 0;
        if !plain || !first.column.nullable || !self.is_split_by_index(&first, known) {
            return Ok(None);
        }
        let keys = self.keys(&rows.sorts, &mut rows.shape);
        if page.after.len() != keys.len() && !page.after.is_empty() {
            return Err(Error::InvalidQuery("the position is not one of this order".to_owned()));
        }
        let halves = self.halves(&first, &keys, &page.after)?;
        if let [half] = halves.as_slice() {
            rows.filter = Some(and(rows.filter.take(), half.filter.clone()));
            return Ok(Some((keys, half.order.clone())));
        }
        self.unite(rows, &halves, page.size);
        let keys = self.keys(&rows.sorts, &mut rows.shape);
        let order = order_by(&keys).replacen(" ORDER BY ", " ORDER BY h.half, ", 1);
        Ok(Some((keys, order)))
    }

    /// Makes a table `h` of the halves, and of the rows those of it.
    fn unite(&mut self, rows: &mut Rowset, halves: &[Half], size: i32) {
        let places: Vec<usize> = rows.sorts.iter().map(|it| rows.shape.put(&it.column)).collect();
        let (list, from) = (rows.shape.list(true), &rows.from);
        let limit = self.arguments.int(i64::from(size) + 1);
        let selects: Vec<String> = halves
            .iter()
            .enumerate()
            .map(|(number, half)| {
                let filter = and(rows.filter.clone(), half.filter.clone());
                let order = &half.order;
                format!(
                    "(SELECT {list}, {number} AS half FROM {from} WHERE {filter}{order} LIMIT \
                     {limit})"
                )
            })
            .collect();
        rows.from = format!("({}) AS h", selects.join(" UNION ALL "));
        rows.filter = None;
        rows.shape.lift("h");
        for (sort, place) in rows.sorts.iter_mut().zip(places) {
            sort.column.sql = format!("h.c{place}");
        }
    }

    /// The halves that have rows behind a position, in the order of the result.
    fn halves(
        &mut self,
        sort: &Sort,
        keys: &[SortKey],
        after: &[pb::Value],
    ) -> Result<Vec<Half>, Error> {
        let Some((first, rest)) = keys.split_first() else { return Ok(Vec::new()) };
        let (expression, _) = self.sorted(&sort.column, sort.by_label);
        let present = SortKey { nullable: false, expression, ..first.clone() };
        let all: Vec<SortKey> = std::iter::once(&present).chain(rest).cloned().collect();
        let none = sort.column.no_date();
        let null = sort.column.at(present.expression);
        let mut nulls = Half { filter: is_null(&null), order: order_by(rest) };
        let mut values = Half { filter: is_not_null(&null), order: order_by(&all) };
        let Some((value, behind)) = after.split_first() else {
            let halves = if first.descending { [values, nulls] } else { [nulls, values] };
            return Ok(halves.into());
        };
        if matches!(value.kind, Some(Value::NullValue(_))) {
            if let Some(seek) = self.seek(rest, behind)? {
                nulls.filter = format!("{} AND {seek}", nulls.filter);
            }
            return Ok(if first.descending { vec![nulls] } else { vec![nulls, values] });
        }
        if let Some(seek) = self.seek(&all, after)? {
            values.filter = match none {
                Some(_) => format!("{seek} AND {}", values.filter),
                None => seek,
            };
        }
        Ok(if first.descending { vec![values, nulls] } else { vec![values] })
    }

    /// Whether an index of the root's table has the sort key first, with null at the other end.
    fn is_split_by_index(&self, sort: &Sort, known: &KnownIndexes<'_>) -> bool {
        let binding = self.root();
        let Some(Source { schema, name, alias, .. }) = binding.sources.first() else {
            return false;
        };
        if matches!(sort.column.kind, Kind::Enum(_)) {
            return false;
        }
        let column = sort.column.sql.strip_prefix(alias.as_str());
        let Some(column) = column.and_then(|it| it.strip_prefix('.')).and_then(column_name) else {
            return false;
        };
        // The root's own column, and not an expression that begins with one.
        if !binding.fields.iter().any(|it| it.sql == sort.column.sql) {
            return false;
        }
        let written = match sort.column.is_caseless() {
            true => vec![format!("lower({column})"), format!("lower(({column})::text)")],
            false => vec![column],
        };
        let Some(indexes) = known(schema, name) else { return false };
        let Some(table) = indexes.of(schema, name) else { return false };
        let serves = |nulls_first: bool| {
            written.iter().any(|expression| {
                let (expression, descending) = (expression.clone(), sort.descending);
                table.sorts(&[Key { expression, descending, nulls_first }])
            })
        };
        // Ascending the platform has nulls first, descending last.
        !serves(!sort.descending) && serves(sort.descending)
    }
}
