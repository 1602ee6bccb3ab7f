//! Conditions and values as OData and as FetchXML write them, and values as answers hold them.

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::filter::{Filter, Join, On, Op, Path, Quantifier, Semi};
use super::schema::{Column, Kind, Schema};
use crate::oracle::digits;
use crate::tables::{Cell, decimal};

/// What follows `Microsoft.Dynamics.CRM.`, and the FetchXML operator.
fn names(op: Op) -> (&'static str, &'static str) {
    match op {
        Op::Eq => ("eq", "eq"),
        Op::Ne => ("ne", "ne"),
        Op::Gt => ("gt", "gt"),
        Op::Ge => ("ge", "ge"),
        Op::Lt => ("lt", "lt"),
        Op::Le => ("le", "le"),
        Op::Null => ("eq", "null"),
        Op::NotNull => ("ne", "not-null"),
        Op::In => ("In", "in"),
        Op::NotIn => ("NotIn", "not-in"),
        Op::Contains | Op::Like => ("contains", "like"),
        Op::NotContains | Op::NotLike => ("", "not-like"),
        Op::Begins => ("startswith", "begins-with"),
        Op::NotBegins => ("", "not-begin-with"),
        Op::Ends => ("endswith", "ends-with"),
        Op::NotEnds => ("", "not-end-with"),
        Op::Between => ("Between", "between"),
        Op::NotBetween => ("NotBetween", "not-between"),
        Op::On => ("On", "on"),
        Op::OnOrAfter => ("OnOrAfter", "on-or-after"),
        Op::OnOrBefore => ("OnOrBefore", "on-or-before"),
        Op::InFiscalYear => ("InFiscalYear", "in-fiscal-year"),
        Op::ThisYear => ("ThisYear", "this-year"),
        Op::LastYear => ("LastYear", "last-year"),
        Op::NextYear => ("NextYear", "next-year"),
    }
}

/// `&`, `<`, `>` and quotes as XML has them.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::new();
    for it in text.chars() {
        match it {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // Readers make blanks of these where they stand in attributes as they are.
            '\t' => out.push_str("&#9;"),
            '\n' => out.push_str("&#10;"),
            _ => out.push(it),
        }
    }
    out
}

/// A value as plain text.
#[must_use]
pub fn plain(kind: Kind, cell: &Cell) -> String {
    match (kind, cell) {
        (_, Cell::Null) => String::new(),
        (_, Cell::Text(text)) => text.clone(),
        (_, Cell::Int(number)) => number.to_string(),
        (_, Cell::Decimal(units)) => digits(*units),
        (Kind::Moment, Cell::Time(text)) if text.len() > 10 => format!("{text}Z"),
        (_, Cell::Time(text)) => text.clone(),
        (_, Cell::Guid(id)) => id.to_string(),
    }
}

fn literal(kind: Kind, cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => format!("'{}'", text.replace('\'', "''")),
        Cell::Null => "null".to_owned(),
        _ => plain(kind, cell),
    }
}

/// The column at a path, its table by position in the scope.
pub fn column_at<'a>(schema: &'a Schema, tables: &[usize], path: &Path) -> &'a Column {
    let table = path
        .through
        .iter()
        .fold(tables[path.base], |table, at| schema.tables[table].foreign_keys[*at].target);
    &schema.tables[table].columns[path.column]
}

/// `o1/mserp_FK_Owner0_id/`, and the table it leads to; variables are named by their position.
fn odata_prefix(
    schema: &Schema,
    tables: &[usize],
    base: usize,
    through: &[usize],
) -> (String, usize) {
    let mut text = if base == 0 { String::new() } else { format!("o{base}/") };
    let mut table = tables[base];
    for at in through {
        let foreign_key = &schema.tables[table].foreign_keys[*at];
        text += &foreign_key.navigation;
        text.push('/');
        table = foreign_key.target;
    }
    (text, table)
}

fn odata_path(schema: &Schema, tables: &[usize], path: &Path) -> String {
    let (text, table) = odata_prefix(schema, tables, path.base, &path.through);
    text + &schema.tables[table].columns[path.column].logical()
}

/// The table that foreign keys lead to.
fn table_behind(schema: &Schema, start: usize, through: &[usize]) -> usize {
    through.iter().fold(start, |table, at| schema.tables[table].foreign_keys[*at].target)
}

/// `$filter`, not yet encoded.
#[must_use]
pub fn odata_filter(schema: &Schema, tables: &[usize], filter: &Filter) -> String {
    let join = |parts: &[Filter], word: &str| {
        let parts = parts.iter().map(|it| odata_filter(schema, tables, it)).collect::<Vec<_>>();
        format!("({})", parts.join(word))
    };
    match filter {
        Filter::Compare(path, op, values) => {
            let kind = column_at(schema, tables, path).kind;
            odata_compare(&odata_path(schema, tables, path), kind, *op, values)
        }
        Filter::Columns(left, op, right) => format!(
            "{} {} {}",
            odata_path(schema, tables, left),
            names(*op).0,
            odata_path(schema, tables, right)
        ),
        Filter::Row { base, through, op, row } => {
            let target = table_behind(schema, tables[*base], through);
            let value = match op {
                Op::Null | Op::NotNull => "null",
                _ => &schema.ids[target][*row],
            };
            let (last, before) = match through.split_last() {
                Some((last, before)) => (Some(*last), before),
                None => (None, &[][..]),
            };
            let (prefix, table) = odata_prefix(schema, tables, *base, before);
            let table = &schema.tables[table];
            let name = last.map_or_else(
                || table.primary_id(),
                |it| format!("_{}_value", table.foreign_keys[it].lookup),
            );
            format!("{prefix}{name} {} {value}", names(*op).0)
        }
        Filter::And(parts) => join(parts, " and "),
        Filter::Or(parts) => join(parts, " or "),
        Filter::Not(part) => format!("not ({})", odata_filter(schema, tables, part)),
        Filter::Related { base, table, foreign_key, quantifier, filter } => {
            let prefix = if *base == 0 { String::new() } else { format!("o{base}/") };
            let source = &schema.tables[*table];
            let navigation = &source.foreign_keys[*foreign_key].collection;
            let word = if *quantifier == Quantifier::Any { "any" } else { "all" };
            let mut inner = tables.to_vec();
            inner.push(*table);
            let filter = filter.as_ref().map_or_else(String::new, |it| {
                format!("o{}:{}", tables.len(), odata_filter(schema, &inner, it))
            });
            format!("{prefix}{navigation}/{word}({filter})")
        }
        Filter::Semi(..) => String::new(),
    }
}

fn odata_compare(path: &str, kind: Kind, op: Op, values: &[Cell]) -> String {
    let literals = || values.iter().map(|it| literal(kind, it)).collect::<Vec<_>>();
    let quoted = |cell: &Cell| Value::from(plain(kind, cell)).to_string();
    let name = names(op).0;
    match op {
        Op::Null | Op::NotNull => format!("{path} {name} null"),
        Op::In => format!("{path} in ({})", literals().join(",")),
        Op::Contains | Op::Begins | Op::Ends => format!("{name}({path},{})", literals().join("")),
        Op::ThisYear | Op::LastYear | Op::NextYear => {
            format!("Microsoft.Dynamics.CRM.{name}(PropertyName='{path}')")
        }
        Op::NotIn | Op::Between | Op::NotBetween => {
            let values = values.iter().map(quoted).collect::<Vec<_>>().join(",");
            format!(
                "Microsoft.Dynamics.CRM.{name}(PropertyName='{path}',PropertyValues=[{values}])"
            )
        }
        Op::On | Op::OnOrAfter | Op::OnOrBefore => {
            let value = values.first().map(|it| plain(Kind::Date, it)).unwrap_or_default();
            format!("Microsoft.Dynamics.CRM.{name}(PropertyName='{path}',PropertyValue='{value}')")
        }
        Op::InFiscalYear => {
            let value = values.first().map(|it| plain(Kind::Int, it)).unwrap_or_default();
            format!("Microsoft.Dynamics.CRM.{name}(PropertyName='{path}',PropertyValue={value})")
        }
        _ => format!("{path} {name} {}", literals().join("")),
    }
}

/// A `<filter>` whose columns are those of the table at `here`; others are named with their alias.
#[must_use]
pub fn fetch_filter(schema: &Schema, tables: &[usize], here: usize, filter: &Filter) -> String {
    let join = |parts: &[Filter], kind: &str| {
        let parts = parts.iter().map(|it| fetch_filter(schema, tables, here, it));
        format!("<filter type=\"{kind}\">{}</filter>", parts.collect::<String>())
    };
    match filter {
        Filter::Compare(path, op, values) => {
            let column = column_at(schema, tables, path);
            let kind = if matches!(op, Op::InFiscalYear) { Kind::Int } else { column.kind };
            fetch_condition(&entity_name(path.base, here), &column.logical(), *op, kind, values)
        }
        Filter::Columns(left, op, right) => {
            let name = |path: &Path| column_at(schema, tables, path).logical();
            let other = match right.base {
                base if base == left.base => name(right),
                base => format!("a{base}.{}", name(right)),
            };
            format!(
                "<condition{} attribute=\"{}\" operator=\"{}\" valueof=\"{other}\"/>",
                entity_name(left.base, here),
                name(left),
                names(*op).1
            )
        }
        Filter::Row { base, through, op, row } => {
            let table = &schema.tables[tables[*base]];
            let target = table_behind(schema, tables[*base], through);
            let name = through
                .first()
                .map_or_else(|| table.primary_id(), |it| table.foreign_keys[*it].lookup.clone());
            let (name_of_link, operator) = (entity_name(*base, here), names(*op).1);
            let value = match op {
                Op::Null | Op::NotNull => String::new(),
                _ => format!(" value=\"{}\"", schema.ids[target][*row]),
            };
            format!(
                "<condition{name_of_link} attribute=\"{name}\" operator=\"{operator}\"{value}/>"
            )
        }
        Filter::And(parts) => join(parts, "and"),
        Filter::Or(parts) => join(parts, "or"),
        Filter::Not(_) | Filter::Related { .. } => String::new(),
        Filter::Semi(kind, joined, filter) => {
            let kind = match kind {
                Semi::Any => "any",
                Semi::NotAny => "not any",
                Semi::All => "all",
                Semi::NotAll => "not all",
            };
            let inner = filter.as_ref().map_or_else(String::new, |it| {
                wrapped(&fetch_filter(schema, &[joined.table], 0, it))
            });
            let open = fetch_link(schema, *joined, tables[0]);
            format!("<{open} link-type=\"{kind}\">{inner}</link-entity>")
        }
    }
}

/// What a link-entity's tag begins with.
#[must_use]
pub fn fetch_link(schema: &Schema, join: Join, parent: usize) -> String {
    let (target, parent) = (&schema.tables[join.table], &schema.tables[parent]);
    let (from, to) = match join.on {
        On::Columns(from, to) => (target.columns[from].logical(), parent.columns[to].logical()),
        On::Id(at) => (target.primary_id(), parent.foreign_keys[at].lookup.clone()),
        On::Lookup(at) => (target.foreign_keys[at].lookup.clone(), parent.primary_id()),
    };
    format!("link-entity name=\"{}\" from=\"{from}\" to=\"{to}\"", target.logical())
}

/// In a filter of its own, which conditions must stand in.
#[must_use]
pub fn wrapped(filter: &str) -> String {
    if filter.starts_with("<filter") {
        filter.to_owned()
    } else {
        format!("<filter>{filter}</filter>")
    }
}

fn entity_name(base: usize, here: usize) -> String {
    if base == here { String::new() } else { format!(" entityname=\"a{base}\"") }
}

fn fetch_condition(entity: &str, column: &str, op: Op, kind: Kind, values: &[Cell]) -> String {
    let open = format!("<condition{entity} attribute=\"{column}\" operator=\"{}\"", names(op).1);
    match (op, values) {
        (_, []) => format!("{open}/>"),
        (Op::In | Op::NotIn | Op::Between | Op::NotBetween, _) => {
            let values =
                values.iter().map(|it| format!("<value>{}</value>", escape(&plain(kind, it))));
            format!("{open}>{}</condition>", values.collect::<String>())
        }
        (_, [value, ..]) => format!("{open} value=\"{}\"/>", escape(&plain(kind, value))),
    }
}

/// A value of an answer.
pub fn answered(kind: Kind, value: &Value) -> Result<Cell> {
    Ok(match (kind, value) {
        (_, Value::Null) => Cell::Null,
        (Kind::Text | Kind::Memo, Value::String(text)) => Cell::Text(text.clone()),
        (Kind::Int | Kind::Bool | Kind::Choice, Value::Number(number)) => {
            Cell::Int(number.as_i64().context("not an integer")?)
        }
        (Kind::Decimal | Kind::Long, Value::Number(number)) => {
            Cell::Decimal(decimal(&number.to_string())?)
        }
        (Kind::Date, Value::String(text)) => {
            Cell::Time(text.strip_suffix("T00:00:00Z").unwrap_or(text).to_owned())
        }
        (Kind::Moment, Value::String(text)) => {
            let moment = text.strip_suffix('Z').context("not UTC")?;
            let (seconds, fraction) = moment.split_once('.').unwrap_or((moment, ""));
            Cell::Time(format!("{seconds}.{fraction:0<6}"))
        }
        (Kind::Guid, Value::String(text)) => Cell::Guid(text.parse()?),
        (kind, value) => bail!("{value} is not a {kind:?}"),
    })
}
