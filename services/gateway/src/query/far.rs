//! Joins across the line: rows of another provider are read, on behalf of the same caller, and passed
//! on by value to the provider that has the root, which then evaluates the whole query.
//!
//! The side to start from is the far one, if it is bounded; otherwise the near side's join values are
//! read first, and the far side is asked for the rows that have them, in batches.

use proto::query::v1 as pb;
use proto::query::v1::column_ref::Column as Named;
use proto::query::v1::link_entity::Target;
use proto::query::v1::{FilterOperator, JoinOperator};

use super::batch;
use super::execute::Executor;
use super::lower::{Far, Lowered, label_key};
use crate::error::GatewayError;

/// Join values that one statement is asked about.
const KEYS_AT_ONCE: usize = 5_000;
const KEYS: &str = "keys";

/// Rows that were read, or that there are too many.
enum Read {
    All(pb::ColumnBatch),
    TooMany,
}

impl Executor<'_> {
    /// Gives the far links of a query their rows.
    pub(super) async fn ship(&self, lowered: &mut Lowered) -> Result<(), GatewayError> {
        let mut query = std::mem::take(&mut lowered.query);
        let shipped = self.ship_into(lowered, &mut query).await;
        lowered.query = query;
        shipped
    }

    /// As [`Self::ship`], into a copy of the query.
    pub(super) async fn ship_into(
        &self,
        lowered: &Lowered,
        query: &mut pb::QueryExpression,
    ) -> Result<(), GatewayError> {
        for far in &lowered.fars {
            let mut columns = Box::pin(self.far_rows(lowered, query, far)).await?;
            let row_count = columns.columns.first().map_or(0, batch::rows_of);
            batch::spread_labels(&mut columns, label_key);
            let rows = pb::InlineRows {
                row_count: i64::try_from(row_count).unwrap_or(i64::MAX),
                columns: Some(columns),
            };
            if let Some(link) = find(query, &far.alias) {
                link.target = Some(Target::Rows(rows));
            }
        }
        Ok(())
    }

    async fn far_rows(
        &self,
        lowered: &Lowered,
        near: &pb::QueryExpression,
        far: &Far,
    ) -> Result<pb::ColumnBatch, GatewayError> {
        let mut query = far.query.query.clone();
        self.ship_into(&far.query, &mut query).await?;
        let purpose = format!("join {}", far.query.table.logical_name);
        if let Read::All(rows) = self.bounded(&purpose, &far.query, query.clone()).await? {
            return Ok(rows);
        }
        let Read::All(keys) = self.near_keys(lowered, near, far).await? else {
            return Err(self.unbounded(lowered, far));
        };
        self.matching(&purpose, far, query, &keys).await.and_then(|rows| match rows {
            Read::All(rows) => Ok(rows),
            Read::TooMany => Err(self.unbounded(lowered, far)),
        })
    }

    /// The join values of the near side's rows, each once.
    async fn near_keys(
        &self,
        lowered: &Lowered,
        near: &pb::QueryExpression,
        far: &Far,
    ) -> Result<Read, GatewayError> {
        let fars: Vec<&str> = lowered.fars.iter().map(|it| it.alias.as_str()).collect();
        let rows = near_rows(near, &far.parent, &fars);
        let columns = far.pairs.iter().enumerate().map(|(number, pair)| {
            let mut column = pair.near.clone();
            if column.link.is_empty() {
                rows.alias.clone_into(&mut column.link);
            }
            let (column, key) = (Some(column), format!("k{number}"));
            pb::OutputColumn { column, key, ..Default::default() }
        });
        let query = pb::QueryExpression {
            columns: columns.collect(),
            distinct: true,
            fiscal_calendar: near.fiscal_calendar,
            ..rows.query
        };
        let purpose = format!("join values of {}", lowered.table.logical_name);
        self.bounded(&purpose, lowered, query).await
    }

    /// The far rows that have one of the near side's join values.
    async fn matching(
        &self,
        purpose: &str,
        far: &Far,
        query: pb::QueryExpression,
        keys: &pb::ColumnBatch,
    ) -> Result<Read, GatewayError> {
        let count = keys.columns.first().map_or(0, batch::rows_of);
        let mut all = pb::ColumnBatch::default();
        let mut start = 0;
        loop {
            let piece = batch::slice(keys, start, KEYS_AT_ONCE);
            let mut query = query.clone();
            query.criteria = Some(with_keys(query.criteria.take(), far, piece));
            match self.bounded(purpose, &far.query, query).await? {
                Read::All(rows) => batch::append(&mut all, rows),
                Read::TooMany => return Ok(Read::TooMany),
            }
            if all.columns.first().map_or(0, batch::rows_of) > self.core.config.join_rows {
                return Ok(Read::TooMany);
            }
            start += KEYS_AT_ONCE;
            if start >= count {
                return Ok(Read::All(all));
            }
        }
    }

    /// All rows of a query by column, unless they are more than may be passed on.
    async fn bounded(
        &self,
        purpose: &str,
        lowered: &Lowered,
        mut query: pb::QueryExpression,
    ) -> Result<Read, GatewayError> {
        let size = i32::try_from(self.core.config.join_rows).unwrap_or(i32::MAX);
        query.page = Some(pb::Page { size, ..Default::default() });
        self.note(purpose, lowered.table.source, &query).await?;
        let mut rows = self.send(lowered, query, pb::RowFormat::Columns, Vec::new()).await?;
        let mut all = pb::ColumnBatch::default();
        let mut bytes = 0;
        let mut message = std::mem::take(&mut rows.first);
        loop {
            bytes += prost::Message::encoded_len(&message);
            if bytes > self.core.config.join_bytes {
                return Ok(Read::TooMany);
            }
            if let Some(pb::row_batch::Rows::Columns(more)) =
                message.batch.take().and_then(|it| it.rows)
            {
                batch::append(&mut all, more);
            }
            match message.end.take() {
                Some(end) if end.more_rows => return Ok(Read::TooMany),
                Some(_) => return Ok(Read::All(all)),
                None => {
                    let next = rows.next().await;
                    message = next.map_err(|it| GatewayError::of_provider(&it, &lowered.table))?;
                }
            }
        }
    }

    fn unbounded(&self, lowered: &Lowered, far: &Far) -> GatewayError {
        let (near, far) = (&lowered.table.logical_name, &far.query.table.logical_name);
        let limit = self.core.config.join_rows;
        GatewayError::InvalidQuery(format!(
            "The tables '{near}' and '{far}' are held by different systems, and more than {limit} rows \
             of each would have to be compared. Add a condition on '{far}', or on '{near}', that \
             leaves fewer rows."
        ))
    }
}

/// The rows that a far link is joined to, or more of them.
struct NearRows {
    query: pb::QueryExpression,
    /// What they are called there; empty for the root.
    alias: String,
}

/// The query's own rows where they have the parent among them. Where it stands in a filter, only what
/// that filter says of it alone is known.
fn near_rows(near: &pb::QueryExpression, parent: &str, fars: &[&str]) -> NearRows {
    // A link that does not lead away restricts the rows, and its columns may be compared.
    let staying = |links: &[pb::LinkEntity]| -> Vec<_> {
        links.iter().filter(|it| !leads_away(it, fars)).cloned().collect()
    };
    let links = staying(&near.links);
    let has_parent = parent.is_empty() || links.iter().any(|it| joins(it, parent));
    let related = match has_parent {
        true => None,
        false => find(&mut near.clone(), parent).map(|it| it.clone()),
    };
    match related {
        Some(pb::LinkEntity {
            target: Some(Target::EntityName(name)), criteria, links, ..
        }) => {
            let links = staying(&links);
            let mut own: Vec<&str> = Vec::new();
            links.iter().for_each(|it| aliases(it, &mut own));
            let criteria = criteria.as_ref().and_then(|it| without(it, fars));
            let criteria = criteria.filter(|it| stands_alone(it, &own));
            let query =
                pb::QueryExpression { entity_name: name, criteria, links, ..Default::default() };
            NearRows { query, alias: String::new() }
        }
        _ => {
            let query = pb::QueryExpression {
                entity_name: near.entity_name.clone(),
                criteria: near.criteria.as_ref().and_then(|it| without(it, fars)),
                links,
                ..Default::default()
            };
            NearRows { query, alias: parent.to_owned() }
        }
    }
}

fn joins(link: &pb::LinkEntity, alias: &str) -> bool {
    link.alias == alias || link.links.iter().any(|it| joins(it, alias))
}

fn aliases<'l>(link: &'l pb::LinkEntity, all: &mut Vec<&'l str>) {
    all.push(&link.alias);
    link.links.iter().for_each(|it| aliases(it, all));
}

/// Whether a filter names nothing but its own row and these links.
fn stands_alone(filter: &pb::FilterExpression, own: &[&str]) -> bool {
    let is_own = |it: &pb::ColumnRef| it.link.is_empty() || own.contains(&it.link.as_str());
    filter.links.is_empty()
        && filter.conditions.iter().all(|it| {
            it.column.as_ref().is_none_or(is_own) && it.compare_column.as_ref().is_none_or(is_own)
        })
        && filter.filters.iter().all(|it| stands_alone(it, own))
}

/// The link of this alias, wherever it stands.
fn find<'q>(query: &'q mut pb::QueryExpression, alias: &str) -> Option<&'q mut pb::LinkEntity> {
    if let Some(found) = find_link(&mut query.links, alias) {
        return Some(found);
    }
    query.criteria.as_mut().and_then(|it| find_in_filter(it, alias))
}

fn find_link<'l>(links: &'l mut [pb::LinkEntity], alias: &str) -> Option<&'l mut pb::LinkEntity> {
    for link in links {
        if link.alias == alias {
            return Some(link);
        }
        let pb::LinkEntity { links, criteria, .. } = link;
        if let Some(found) = find_link(links, alias) {
            return Some(found);
        }
        if let Some(found) = criteria.as_mut().and_then(|it| find_in_filter(it, alias)) {
            return Some(found);
        }
    }
    None
}

fn find_in_filter<'f>(
    filter: &'f mut pb::FilterExpression,
    alias: &str,
) -> Option<&'f mut pb::LinkEntity> {
    if let Some(found) = find_link(&mut filter.links, alias) {
        return Some(found);
    }
    filter.filters.iter_mut().find_map(|it| find_in_filter(it, alias))
}

/// The far query's filter, and beside it that one of the keys is met.
fn with_keys(
    criteria: Option<pb::FilterExpression>,
    far: &Far,
    mut keys: pb::ColumnBatch,
) -> pb::FilterExpression {
    for (number, column) in keys.columns.iter_mut().enumerate() {
        column.key = format!("k{number}");
    }
    let row_count = keys.columns.first().map_or(0, batch::rows_of);
    let on = far.pairs.iter().enumerate().map(|(number, pair)| pb::JoinPair {
        column: Some(pb::ColumnRef {
            column: Some(Named::Field(format!("k{number}"))),
            link: String::new(),
        }),
        parent: Some(pair.far.clone()),
        exact: pair.exact,
    });
    let link = pb::LinkEntity {
        alias: KEYS.to_owned(),
        target: Some(Target::Rows(pb::InlineRows {
            row_count: i64::try_from(row_count).unwrap_or(i64::MAX),
            columns: Some(keys),
        })),
        join: JoinOperator::Exists.into(),
        on: on.collect(),
        ..Default::default()
    };
    pb::FilterExpression {
        operator: FilterOperator::And.into(),
        filters: criteria.into_iter().collect(),
        links: vec![link],
        ..Default::default()
    }
}

fn leads_away(link: &pb::LinkEntity, fars: &[&str]) -> bool {
    fars.contains(&link.alias.as_str())
        || link.links.iter().any(|it| leads_away(it, fars))
        || link.criteria.as_ref().is_some_and(|it| names(it, fars))
}

/// The filter without what needs far rows: weaker, so that no row is missed.
fn without(filter: &pb::FilterExpression, fars: &[&str]) -> Option<pb::FilterExpression> {
    if !names(filter, fars) {
        return Some(filter.clone());
    }
    if filter.operator() == FilterOperator::Or {
        return None;
    }
    let conditions = filter.conditions.iter().filter(|it| !compares(it, fars)).cloned().collect();
    let filters = filter.filters.iter().filter_map(|it| without(it, fars)).collect();
    let links = filter.links.iter().filter(|it| !leads_away(it, fars)).cloned().collect();
    Some(pb::FilterExpression { operator: filter.operator, conditions, filters, links })
}

fn names(filter: &pb::FilterExpression, fars: &[&str]) -> bool {
    filter.conditions.iter().any(|it| compares(it, fars))
        || filter.filters.iter().any(|it| names(it, fars))
        || filter.links.iter().any(|it| leads_away(it, fars))
}

fn compares(condition: &pb::ConditionExpression, fars: &[&str]) -> bool {
    let is_far = |it: &pb::ColumnRef| fars.contains(&it.link.as_str());
    condition.column.as_ref().is_some_and(is_far)
        || condition.compare_column.as_ref().is_some_and(is_far)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(alias: &str, links: Vec<pb::LinkEntity>) -> pb::LinkEntity {
        let target = Some(Target::EntityName(format!("{alias} table")));
        pb::LinkEntity { alias: alias.to_owned(), target, links, ..Default::default() }
    }

    fn condition(link: &str) -> pb::ConditionExpression {
        let column = Some(Named::Field("x".to_owned()));
        pb::ConditionExpression {
            column: Some(pb::ColumnRef { column, link: link.to_owned() }),
            ..Default::default()
        }
    }

    fn and(conditions: &[&str]) -> pb::FilterExpression {
        let conditions = conditions.iter().map(|it| condition(it)).collect();
        let operator = FilterOperator::And.into();
        pb::FilterExpression { operator, conditions, ..Default::default() }
    }

    #[test]
    fn ve_056_join_values_are_those_of_the_rows_that_are_joined() {
        let near = pb::QueryExpression {
            entity_name: "root".to_owned(),
            links: vec![link("near", vec![]), link("away", vec![])],
            criteria: Some(and(&["", "near", "away"])),
            ..Default::default()
        };
        for parent in ["", "near"] {
            let rows = near_rows(&near, parent, &["away"]);
            assert_eq!((rows.query.entity_name.as_str(), rows.alias.as_str()), ("root", parent));
            assert_eq!(rows.query.criteria, Some(and(&["", "near"])), "what is known here");
            let links: Vec<_> = rows.query.links.iter().map(|it| it.alias.as_str()).collect();
            assert_eq!(links, ["near"]);
        }
    }

    #[test]
    fn ve_056_join_values_of_a_filters_rows_are_read_from_their_own_table() {
        let related = |criteria| {
            let away = link("away", vec![]);
            let within = pb::LinkEntity { criteria, ..link("within", vec![away]) };
            let criteria = pb::FilterExpression { links: vec![within], ..Default::default() };
            let near = pb::QueryExpression {
                entity_name: "root".to_owned(),
                criteria: Some(criteria),
                ..Default::default()
            };
            near_rows(&near, "within", &["away"])
        };
        let rows = related(Some(and(&["", "away"])));
        assert_eq!((rows.query.entity_name.as_str(), rows.alias.as_str()), ("within table", ""));
        assert_eq!(rows.query.criteria, Some(and(&[""])));
        assert!(rows.query.links.is_empty());
        let looks_out = related(Some(and(&["", "$it"])));
        assert_eq!(looks_out.query.criteria, None, "more rows than needed, and none too few");
    }
}
