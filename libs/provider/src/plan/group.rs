//! Queries whose rows are not those of the tables: distinct ones, groups, and so many of each
//! partition. Each becomes a table `r`, over which paging and counting go as over any other.

use proto::query::v1 as pb;
use proto::query::v1::{Aggregate, DateGrouping};

use super::column::{Column, Named};
use super::order::{Sort, SortKey, add};
use super::scope::{Place, ROOT};
use super::select::{Shape, output, reader};
use super::{Planner, Rowset};
use crate::binding::{Casing, Kind};
use crate::error::Error;
use crate::row::Reader;

/// Most rows that an aggregate is made of, unless the query says otherwise (spec FX-06).
const AGGREGATE_LIMIT: i64 = 50_000;
/// Most rows that a query may say.
const MAX_AGGREGATE_LIMIT: i64 = 1_000_000;
/// Most rows of a partition.
const MAX_PARTITION: i32 = 100_000;

/// Groups being planned.
#[derive(Default)]
struct Groups {
    /// What is read from the source rows.
    source: Shape,
    /// The columns of `r`.
    selected: Vec<String>,
    /// What source rows are grouped by.
    by: Vec<String>,
    /// What is written from `r`.
    shape: Shape,
    /// For each output, what it is sorted by.
    sortable: Vec<Vec<Column>>,
    /// What tells groups apart, as columns of `r`.
    identity: Vec<Column>,
}

/// Whether a query returns groups instead of rows.
pub(super) fn is_aggregate(query: &pb::QueryExpression) -> bool {
    query.columns.iter().any(is_computed)
}

/// Whether a column is of groups instead of rows.
pub(super) fn is_computed(column: &pb::OutputColumn) -> bool {
    column.group_by || column.aggregate() != Aggregate::Unspecified
}

impl Planner<'_> {
    /// Rows that differ, text without regard to case.
    pub(super) fn distinct(
        &mut self,
        query: &pb::QueryExpression,
        filter: Option<&str>,
    ) -> Result<Rowset, Error> {
        let mut shape = self.select(&query.columns, &[])?;
        let from = self.from(ROOT);
        let filter = filter.map(|it| format!(" WHERE {it}")).unwrap_or_default();
        let list = shape.list(true);
        shape.lift("s");
        let plain = shape.columns.iter().all(|it| it.folded() == it.sql);
        let sql = if plain {
            format!("(SELECT DISTINCT {list} FROM {from}{filter}) AS r")
        } else {
            let folded: Vec<String> = shape.columns.iter().map(Column::folded).collect();
            let all: Vec<&str> = shape.columns.iter().map(|it| it.sql.as_str()).collect();
            let (folded, all) = (folded.join(", "), all.join(", "));
            format!(
                "(SELECT DISTINCT ON ({folded}) {all} FROM (SELECT {list} FROM {from}{filter}) \
                 AS s ORDER BY {folded}, {all}) AS r"
            )
        };
        shape.lift("r");
        let mut sorts = Vec::new();
        for order in &query.orders {
            if order.column.is_some() {
                self.named(order.column.as_ref(), Place::within(ROOT))?;
            }
            for &index in shape.parts.get(sorted_output(query, order)?).into_iter().flatten() {
                add(&mut sorts, &shape.columns[index], order);
            }
        }
        for column in &shape.columns {
            add(&mut sorts, column, &pb::OrderExpression::default());
        }
        Ok(Rowset::over(sql, shape, sorts))
    }

    /// The first rows of each partition.
    pub(super) fn partitions(
        &mut self,
        query: &pb::QueryExpression,
        partition: &pb::PartitionLimit,
        keys: &[pb::ColumnRef],
        filter: Option<&str>,
    ) -> Result<Rowset, Error> {
        if !(1..=MAX_PARTITION).contains(&partition.limit) || partition.by.is_empty() {
            return Err(Error::InvalidQuery("a partition has a column and a limit".to_owned()));
        }
        let mut shape = self.select(&query.columns, keys)?;
        let mut sorts = self.sorts(&query.orders)?;
        let mut by = Vec::new();
        for column in &partition.by {
            let at = Place::within(ROOT);
            let named = self.named(Some(column), at)?;
            by.extend(self.valued(named, at)?.columns().iter().map(Column::folded));
        }
        let order = order_by(&self.keys(&sorts, &mut Shape::default()));
        let places: Vec<usize> = sorts.iter().map(|it| shape.put(&it.column)).collect();
        for (sort, place) in sorts.iter_mut().zip(places) {
            sort.column.sql = format!("r.c{place}");
        }
        let (list, from, by) = (shape.list(true), self.from(ROOT), by.join(", "));
        let filter = filter.map(|it| format!(" WHERE {it}")).unwrap_or_default();
        let sql = format!(
            "(SELECT {list}, row_number() OVER (PARTITION BY {by}{order}) AS rank FROM \
             {from}{filter}) AS r"
        );
        shape.lift("r");
        let limit = self.arguments.int(partition.limit.into());
        let filter = Some(format!("r.rank <= {limit}"));
        Ok(Rowset { filter, ..Rowset::over(sql, shape, sorts) })
    }

    /// Groups of rows, and what is computed of each.
    pub(super) fn groups(
        &mut self,
        query: &pb::QueryExpression,
        filter: Option<&str>,
    ) -> Result<Rowset, Error> {
        let limit = match i64::from(query.aggregate_limit) {
            0 => AGGREGATE_LIMIT,
            it if (1..=MAX_AGGREGATE_LIMIT).contains(&it) => it,
            _ => return Err(Error::InvalidQuery("there is no such aggregate limit".to_owned())),
        };
        let mut groups = Groups::default();
        for column in &query.columns {
            self.grouped(&mut groups, column)?;
        }
        if groups.source.columns.is_empty() {
            groups.source.put(&Column::raw("true".to_owned(), Kind::Boolean, false));
        }
        let filter = filter.map(|it| format!(" WHERE {it}")).unwrap_or_default();
        let (list, from) = (groups.source.list(true), self.from(ROOT));
        let most = self.arguments.int(limit + 1);
        let with = format!(
            "WITH source AS MATERIALIZED (SELECT {list} FROM {from}{filter} LIMIT {most}) "
        );
        let selected = groups.selected.iter().enumerate();
        let selected: Vec<String> = selected.map(|(at, sql)| format!("{sql} AS c{at}")).collect();
        let by = match groups.by.join(", ") {
            by if by.is_empty() => by,
            by => format!(" GROUP BY {by}"),
        };
        let table = format!("(SELECT {} FROM source AS s{by}) AS r", selected.join(", "));
        let mut sorts = Vec::new();
        for order in &query.orders {
            for column in groups.sortable.get(sorted_output(query, order)?).into_iter().flatten() {
                add(&mut sorts, column, order);
            }
        }
        for column in &groups.identity {
            add(&mut sorts, column, &pb::OrderExpression::default());
        }
        let rows = Rowset::over(table, groups.shape, sorts);
        Ok(Rowset { with, source_limit: Some(limit), ..rows })
    }

    fn grouped(&mut self, groups: &mut Groups, column: &pb::OutputColumn) -> Result<(), Error> {
        let at = Place::within(ROOT);
        if !column.members.is_empty() {
            return Err(Error::InvalidQuery("groups have no nested members".to_owned()));
        }
        let function = column.aggregate();
        if function == Aggregate::Count {
            let count = Column::raw("count(*)".to_owned(), Kind::Integer, false);
            groups.compute(column, count);
            return Ok(());
        }
        let named = self.named(column.column.as_ref(), at)?;
        let named = self.valued(named, at)?;
        match (function, column.date_grouping()) {
            (Aggregate::Unspecified, _) if !column.group_by => {
                let message = "a column of an aggregate query is a group or a function";
                Err(Error::InvalidQuery(message.to_owned()))
            }
            (Aggregate::Unspecified, DateGrouping::Unspecified) => {
                groups.group(column, named);
                Ok(())
            }
            (Aggregate::Unspecified, part) => {
                let Named::Field(date) = &named else {
                    return Err(Error::InvalidQuery("only dates have parts".to_owned()));
                };
                let group = self.date_group(date, part, &column.time_zone)?;
                let group = groups.by(&group);
                let label = self.group_label(part, &group)?;
                groups.write(column, label.as_ref().unwrap_or(&group), &group);
                Ok(())
            }
            (function, _) => {
                let [value] = named.columns().try_into().map_err(|_| {
                    Error::InvalidQuery("functions take columns of one value".to_owned())
                })?;
                let value = groups.read(&value);
                let computed = self.aggregate(function, &named, &value)?;
                groups.compute(column, computed);
                if function == Aggregate::Sum && matches!(value.kind, Kind::Integer) {
                    groups.last_is_whole();
                }
                Ok(())
            }
        }
    }

    fn aggregate(
        &mut self,
        function: Aggregate,
        named: &Named,
        value: &Column,
    ) -> Result<Column, Error> {
        let sql = &value.sql;
        let number = |sql: String, kind| Column {
            kind,
            casing: Casing::Any,
            nullable: true,
            ..value.at(sql)
        };
        let refused = || Error::InvalidQuery(format!("`{}` is no number or date", value.name));
        let is_field = matches!(named, Named::Field(_));
        Ok(match (function, &value.kind) {
            (Aggregate::CountColumn, _) => number(format!("count({sql})"), Kind::Integer),
            (Aggregate::CountDistinct, _) => {
                number(format!("count(DISTINCT {})", value.folded()), Kind::Integer)
            }
            (_, _) if !is_field => return Err(refused()),
            // A sum of integers may be more than an integer holds.
            (Aggregate::Sum, Kind::Integer | Kind::Decimal) => {
                number(format!("sum({sql})::numeric"), Kind::Decimal)
            }
            (Aggregate::Average, Kind::Integer | Kind::Decimal) => {
                number(format!("avg({sql})"), Kind::Decimal)
            }
            (Aggregate::Min | Aggregate::Max, kind) => {
                let least = function == Aggregate::Min;
                match kind {
                    Kind::Integer | Kind::Decimal | Kind::Date | Kind::DateTime { .. } => {
                        let name = if least { "min" } else { "max" };
                        Column { nullable: true, ..value.at(format!("{name}({sql})")) }
                    }
                    Kind::Guid => return Err(refused()),
                    Kind::Text | Kind::Enum(_) | Kind::Boolean => {
                        let (by, _) = self.sorted(value, false);
                        let way = if least { "" } else { " DESC" };
                        let first = format!(
                            "(array_agg({sql} ORDER BY {by}{way}, {sql}{way}) FILTER \
                             (WHERE {sql} IS NOT NULL))[1]"
                        );
                        Column { nullable: true, ..value.at(first) }
                    }
                }
            }
            _ => return Err(refused()),
        })
    }
}

impl Groups {
    /// Reads a column from the source rows.
    fn read(&mut self, column: &Column) -> Column {
        let column = column.or_null();
        let index = self.source.put(&column);
        Column { rows: None, ..column.at(format!("s.c{index}")) }
    }

    /// Selects a value of each group.
    fn select(&mut self, value: &Column) -> Column {
        self.selected.push(value.sql.clone());
        value.at(format!("r.c{}", self.selected.len() - 1))
    }

    /// Groups by a column. Of texts that differ in letter case alone, one stands for all.
    fn by(&mut self, column: &Column) -> Column {
        let value = self.read(column);
        self.by.push(value.folded());
        let shown = match value.is_caseless() {
            true => value.at(format!("min({})", value.sql)),
            false => value,
        };
        let group = self.select(&shown);
        self.identity.push(group.clone());
        group
    }

    fn group(&mut self, column: &pb::OutputColumn, named: Named) {
        let mut columns = Vec::new();
        let named = named.map(|it| {
            let group = self.by(it);
            columns.push(group.clone());
            group
        });
        let reader = reader(&mut self.shape, &named);
        self.shape.outputs.push(output(reader, column));
        self.sortable.push(columns);
    }

    fn compute(&mut self, column: &pb::OutputColumn, value: Column) {
        let value = self.select(&value);
        self.write(column, &value, &value);
    }

    /// The last output is a number without a fraction, however large.
    fn last_is_whole(&mut self) {
        if let Some(output) = self.shape.outputs.last_mut()
            && let Reader::Decimal { column } = output.reader
        {
            output.reader = Reader::Whole { column };
        }
    }

    fn write(&mut self, column: &pb::OutputColumn, value: &Column, sorted: &Column) {
        let index = self.shape.put(value);
        let reader = match (&value.kind, column.date_grouping()) {
            (_, DateGrouping::Unspecified) | (Kind::Text, _) => {
                Reader::of(index, &value.kind, value.null_date)
            }
            _ => Reader::Part { column: index },
        };
        self.shape.outputs.push(output(reader, column));
        self.sortable.push(vec![sorted.clone()]);
    }
}

/// Which output an order names: by its key, or by its column.
fn sorted_output(query: &pb::QueryExpression, order: &pb::OrderExpression) -> Result<usize, Error> {
    let is_it = |it: &pb::OutputColumn| match order.output.as_str() {
        "" => {
            it.column == order.column
                && it.aggregate() == Aggregate::Unspecified
                && it.date_grouping() == DateGrouping::Unspecified
        }
        key => it.key == key,
    };
    query.columns.iter().position(is_it).ok_or_else(|| {
        let message = "distinct rows and groups are sorted by what they return only";
        Error::InvalidQuery(message.to_owned())
    })
}

/// ` ORDER BY` and the keys, if there are any.
pub(super) fn order_by(keys: &[SortKey]) -> String {
    if keys.is_empty() {
        return String::new();
    }
    let keys: Vec<String> = keys.iter().map(SortKey::order_by).collect();
    format!(" ORDER BY {}", keys.join(", "))
}

impl Rowset {
    fn over(table: String, shape: Shape, sorts: Vec<Sort>) -> Self {
        Self {
            with: String::new(),
            counted: None,
            from: table,
            filter: None,
            shape,
            sorts,
            source_limit: None,
        }
    }
}
