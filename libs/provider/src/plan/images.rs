//! Images: the values that a map of dual-write names, of rows that are found by their ids, by their keys, or
//! in the order of their keys; as they are now, or as they were (`past`).

use std::time::Duration;

use proto::query::v1 as pb;
use proto::query::v1::value::Kind as Value;
use uuid::Uuid;

use super::bind::{Bound, bind};
use super::column::{Column, Named};
use super::condition::{comparable, comparand, parameter_type};
use super::listed::{is_null, list, one};
use super::past::Past;
use super::scope::{Place, ROOT};
use super::select::{Shape, reader};
use super::{Arguments, Planner, and_all};
use crate::error::Error;
use crate::grant::Grants;
use crate::row::Reader;

/// Where the keys that are looked for stand.
const KEYS: &str = "\"the keys\"";

/// What is asked of an entity's rows.
#[derive(Debug)]
pub(crate) struct ImageQuery<'q> {
    pub(crate) links: &'q [pb::LinkEntity],
    pub(crate) columns: &'q [pb::ColumnRef],
    /// What tells rows apart, beside the company.
    pub(crate) key: &'q [pb::ColumnRef],
    pub(crate) company: Option<&'q pb::ColumnRef>,
    /// Only rows of these take part.
    pub(crate) companies: &'q [pb::Value],
    pub(crate) filter: Option<&'q pb::FilterExpression>,
}

/// Which of the rows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Which<'q> {
    /// Of this company; empty: of all.
    pub(crate) company: &'q str,
    pub(crate) ids: Option<&'q [Uuid]>,
    pub(crate) keys: Option<&'q [pb::ImageKey]>,
    /// Whatever the filter says.
    pub(crate) unfiltered: bool,
    /// Also of companies that take no part.
    pub(crate) unlinked: bool,
    pub(crate) after: Option<&'q pb::ImageKey>,
    pub(crate) until: Option<&'q pb::ImageKey>,
    /// At least so many, if there are, in the order of company and key; rows of one key stay together.
    pub(crate) limit: Option<i64>,
    /// No lock is waited for longer than this, in the statement and the transaction.
    pub(crate) patience: Option<Duration>,
}

/// A statement that answers images, and how to read them.
#[derive(Debug)]
pub(crate) struct ImageStatement {
    pub(crate) sql: String,
    pub(crate) arguments: Arguments,
    pub(crate) id: Reader,
    pub(crate) company: Option<Reader>,
    pub(crate) columns: Vec<Reader>,
    /// Whether the row is of a company that takes part; behind it, whether it meets the filter; behind that,
    /// the place of its key among the keys that were looked for, from 1.
    pub(crate) flags: usize,
}

/// Images of rows, as they are now or were.
pub(crate) fn images<'q>(
    grants: &'q Grants<'q>,
    query: &ImageQuery<'q>,
    which: &Which<'q>,
    past: Option<Past>,
) -> Result<ImageStatement, Error> {
    statement(grants, query, which, past, "")
}

pub(super) fn statement<'q>(
    grants: &'q Grants<'q>,
    query: &ImageQuery<'q>,
    which: &Which<'q>,
    past: Option<Past>,
    more: &str,
) -> Result<ImageStatement, Error> {
    let mut images = Images::new(grants, query, past)?;
    let mut shape = Shape::default();
    let id = images.planner.record_guid(ROOT, Place::within(ROOT))?;
    let id = reader(&mut shape, &Named::RecordId(id));
    let company = images.company.clone().map(|it| reader(&mut shape, &Named::Field(it)));
    let at = Place::within(ROOT);
    let mut columns = Vec::with_capacity(query.columns.len());
    for column in query.columns {
        let named = images.planner.named(Some(column), at)?;
        let named = images.planner.valued(named, at)?;
        columns.push(reader(&mut shape, &named));
    }
    let flags = shape.columns.len();
    let (linked, matches) = (images.linked(query)?, images.matches(query)?);
    let filter = images.select(query, which, (&linked, &matches))?;
    let order = images.order(which)?;
    let place =
        if which.keys.is_some() { format!("{KEYS}.ord") } else { "NULL::bigint".to_owned() };
    let list = shape.list(false);
    let (with, from) = (images.with(), images.from());
    let sql = format!(
        "{with}SELECT {list}, {linked}, {matches}, {place}{more} FROM {from}{filter}{order}"
    );
    Ok(ImageStatement { sql, arguments: images.planner.arguments, id, company, columns, flags })
}

/// How many rows there are.
pub(crate) fn count_images<'q>(
    grants: &'q Grants<'q>,
    query: &ImageQuery<'q>,
    which: &Which<'q>,
) -> Result<(String, Arguments), Error> {
    let mut images = Images::new(grants, query, None)?;
    let (linked, matches) = (images.linked(query)?, images.matches(query)?);
    let filter = images.select(query, which, (&linked, &matches))?;
    let from = images.from();
    Ok((format!("SELECT count(*) FROM {from}{filter}"), images.planner.arguments))
}

struct Images<'q> {
    planner: Planner<'q>,
    company: Option<Column>,
    key: Vec<Column>,
    keys: Option<String>,
    past: Option<Past>,
}

// === impl Images ===

impl<'q> Images<'q> {
    fn new(
        grants: &'q Grants<'q>,
        query: &ImageQuery<'q>,
        mut past: Option<Past>,
    ) -> Result<Self, Error> {
        let mut planner = Planner { is_internal: true, ..Planner::new(grants, None) };
        if let Some(past) = &mut past {
            planner.arguments = std::mem::take(&mut past.arguments);
        }
        planner.join_all(query.links, ROOT)?;
        let column = |planner: &mut Planner<'q>, it: &pb::ColumnRef| match planner
            .named(Some(it), Place::within(ROOT))?
        {
            Named::Field(column) | Named::Company(column) => Ok(column),
            _ => Err(Error::InvalidQuery("a key is made of declared columns".to_owned())),
        };
        let company = query.company.map(|it| column(&mut planner, it)).transpose()?;
        let key = query.key.iter().map(|it| column(&mut planner, it));
        let key = key.collect::<Result<_, _>>()?;
        Ok(Self { planner, company, key, keys: None, past })
    }

    /// Whether the row is of a linked company, as SQL that is never null.
    fn linked(&mut self, query: &ImageQuery<'q>) -> Result<String, Error> {
        let Some(company) = query.company else { return Ok("true".to_owned()) };
        let condition = pb::ConditionExpression {
            column: Some(company.clone()),
            operator: pb::ConditionOperator::In.into(),
            values: query.companies.to_vec(),
            ..Default::default()
        };
        let linked = self.planner.condition(&condition, Place::within(ROOT))?;
        Ok(format!("(({linked}) IS TRUE)"))
    }

    fn matches(&mut self, query: &ImageQuery<'q>) -> Result<String, Error> {
        let filter = query.filter.map(|it| self.planner.filter(it, Place::within(ROOT)));
        let filter = filter.transpose()?.flatten();
        Ok(filter.map_or_else(|| "true".to_owned(), |it| format!("(({it}) IS TRUE)")))
    }

    /// The WHERE clause.
    fn select(
        &mut self,
        query: &ImageQuery<'q>,
        which: &Which<'q>,
        (linked, matches): (&String, &String),
    ) -> Result<String, Error> {
        let mut parts = Vec::new();
        if let Some(patience) = which.patience {
            let milliseconds = patience.as_millis().max(1);
            parts.push(format!(
                "(SELECT set_config('lock_timeout', '{milliseconds}', true)) IS NOT NULL"
            ));
        }
        if let (false, Some(company)) = (which.company.is_empty(), query.company) {
            parts.push(self.company_is(query, company, which.company)?);
        }
        if which.ids.is_none() && which.keys.is_none() {
            let nullable = self.key.iter().filter(|it| it.nullable);
            parts.extend(nullable.map(|it| format!("{} IS NOT NULL", comparable(it))));
        }
        if let Some(ids) = which.ids {
            let guid = self.planner.record_guid(ROOT, Place::within(ROOT))?;
            let among = self.planner.record_ids(&guid, ids);
            match &mut self.past {
                Some(past) => past.among = among,
                None => parts.push(among),
            }
        }
        if let Some(keys) = which.keys {
            self.look_for(keys)?;
        }
        for (key, is_after) in [(which.after, true), (which.until, false)] {
            if let Some(key) = key {
                parts.push(self.beside(which, key, is_after)?);
            }
        }
        for (condition, is_left_out) in [(linked, which.unlinked), (matches, which.unfiltered)] {
            if !is_left_out && condition != "true" {
                parts.push(condition.clone());
            }
        }
        Ok(and_all(&parts).map(|it| format!(" WHERE {it}")).unwrap_or_default())
    }

    fn with(&self) -> String {
        self.past.as_ref().map(|it| it.with.clone()).unwrap_or_default()
    }

    fn from(&mut self) -> String {
        self.planner.past = self.past.take();
        let from = self.planner.from(ROOT);
        match &self.keys {
            Some(keys) => format!("{from} JOIN {keys}"),
            None => from,
        }
    }

    /// Joins the keys that are looked for.
    fn look_for(&mut self, keys: &[pb::ImageKey]) -> Result<(), Error> {
        let company =
            |it: &pb::ImageKey| pb::Value { kind: Some(Value::StringValue(it.company.clone())) };
        let mut columns: Vec<(Column, Vec<pb::Value>)> = Vec::new();
        if let Some(column) = &self.company {
            columns.push((column.clone(), keys.iter().map(company).collect()));
        }
        for (at, column) in self.key.iter().enumerate() {
            let value = |it: &pb::ImageKey| it.values.get(at).cloned().unwrap_or_default();
            columns.push((column.clone(), keys.iter().map(value).collect()));
        }
        if columns.is_empty() {
            return Err(Error::Missing("key"));
        }
        let (mut lists, mut names, mut on) = (Vec::new(), Vec::new(), Vec::new());
        for (at, (column, values)) in columns.iter().enumerate() {
            let arguments = &mut self.planner.arguments;
            let (value, has_null) = match values.as_slice() {
                [value] => one(arguments, column, value)?,
                values => list(arguments, column, values)?,
            };
            lists.push(value);
            names.push(format!("k{at}"));
            let right = comparand(column, &format!("{KEYS}.k{at}"), parameter_type(&column.kind));
            let equal = if has_null { "IS NOT DISTINCT FROM" } else { "=" };
            on.push(format!("{} {equal} {right}", comparable(column)));
        }
        let (lists, names, on) = (lists.join(", "), names.join(", "), on.join(" AND "));
        // Of one key the database knows that it is one, and needs no plan of its own for each.
        let keys = match keys.len() {
            1 => format!("(VALUES ({lists}, 1::bigint))"),
            _ => format!("unnest({lists}) WITH ORDINALITY"),
        };
        self.keys = Some(format!("{keys} AS {KEYS}({names}, ord) ON {on}"));
        Ok(())
    }

    /// The rows of one company. Where its code is that of a row which a lookup leads to, that row is looked
    /// for once: an index over the lookup and the key then serves both the condition and the order.
    fn company_is(
        &mut self,
        query: &ImageQuery<'q>,
        company: &pb::ColumnRef,
        code: &str,
    ) -> Result<String, Error> {
        let code = pb::Value { kind: Some(Value::StringValue(code.to_owned())) };
        let condition = pb::ConditionExpression {
            column: Some(company.clone()),
            operator: pb::ConditionOperator::Equal.into(),
            values: vec![code.clone()],
            ..Default::default()
        };
        let is_it = self.planner.condition(&condition, Place::within(ROOT))?;
        let link = query.links.iter().find(|it| it.alias == company.link);
        let at = link.map(|it| self.planner.led_to(it, company, &code)).transpose()?.flatten();
        Ok(match at {
            Some(at) => format!("{at} AND {is_it}"),
            None => is_it,
        })
    }

    /// What the order is by: the company, unless it is one, and the key.
    fn sorted(&self, which: &Which<'q>) -> Vec<Column> {
        let company = self.company.iter().filter(|_| which.company.is_empty());
        company.chain(&self.key).cloned().collect()
    }

    fn order(&self, which: &Which<'q>) -> Result<String, Error> {
        let Some(limit) = which.limit else { return Ok(String::new()) };
        let columns: Vec<String> = self.sorted(which).iter().map(comparable).collect();
        if columns.is_empty() {
            return Err(Error::Missing("key"));
        }
        let columns = columns.join(", ");
        Ok(format!(" ORDER BY {columns} FETCH FIRST {limit} ROWS WITH TIES"))
    }

    /// Rows behind a key, or those up to it: as one comparison, which an index over all of it serves.
    fn beside(
        &mut self,
        which: &Which<'q>,
        key: &pb::ImageKey,
        is_after: bool,
    ) -> Result<String, Error> {
        let company = pb::Value { kind: Some(Value::StringValue(key.company.clone())) };
        let company = self.company.iter().filter(|_| which.company.is_empty()).map(|_| &company);
        let values: Vec<&pb::Value> = company.chain(&key.values).collect();
        let columns = self.sorted(which);
        let is_whole = columns.len() == values.len() && !values.iter().any(|it| is_null(it));
        if !is_whole {
            return Err(Error::InvalidQuery(
                "a key has a value for each of its columns".to_owned(),
            ));
        }
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for (column, value) in columns.iter().zip(values) {
            left.push(comparable(column));
            right.push(self.parameter(column, value)?);
        }
        let operator = if is_after { ">" } else { "<=" };
        Ok(format!("({}) {operator} ({})", left.join(", "), right.join(", ")))
    }

    fn parameter(&mut self, column: &Column, value: &pb::Value) -> Result<String, Error> {
        let Bound::Value(argument) = bind(column, value)? else {
            return Err(super::bind::invalid(column, "a value that rows can have"));
        };
        let parameter = self.planner.arguments.push(argument);
        Ok(comparand(column, &parameter, parameter_type(&column.kind)))
    }
}
