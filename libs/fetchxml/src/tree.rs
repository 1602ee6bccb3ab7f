//! Building blocks of the query tree, in the platform's vocabulary.

use proto::query::v1 as pb;
use proto::query::v1::column_ref::Column;
use proto::query::v1::value::Kind;

/// Names the root from within a link.
pub(crate) const ROOT: &str = "$it";

/// A column of an alias, or of the row at which the expression stands.
pub(crate) fn column(field: &str, link: &str) -> pb::ColumnRef {
    pb::ColumnRef { column: Some(Column::Field(field.to_owned())), link: link.to_owned() }
}

/// A value as it was written; what it means depends on the column.
pub(crate) fn text(value: impl Into<String>) -> pb::Value {
    pb::Value { kind: Some(Kind::StringValue(value.into())) }
}

/// Joins what is related to one entity: its filters, and the semi-joins that stand beside them.
pub(crate) fn all_of(
    mut filters: Vec<pb::FilterExpression>,
    links: Vec<pb::LinkEntity>,
) -> Option<pb::FilterExpression> {
    if filters.len() == 1
        && let Some(mut only) =
            filters.pop_if(|it| links.is_empty() || it.operator() == pb::FilterOperator::And)
    {
        only.links.extend(links);
        return Some(only);
    }
    (!filters.is_empty() || !links.is_empty()).then(|| pb::FilterExpression {
        operator: pb::FilterOperator::And.into(),
        filters,
        links,
        ..Default::default()
    })
}

/// Whether rows are only tested for related ones, not joined with them.
pub(crate) fn is_semi_join(join: pb::JoinOperator) -> bool {
    use pb::JoinOperator as Join;
    match join {
        Join::Unspecified | Join::Inner | Join::LeftOuter | Join::MatchFirstRow => false,
        Join::In | Join::Exists | Join::Any | Join::NotAny | Join::All | Join::NotAll => true,
    }
}

/// Whether the link belongs within a filter, not beside it.
pub(crate) fn is_filter_join(join: pb::JoinOperator) -> bool {
    is_semi_join(join) && !matches!(join, pb::JoinOperator::In | pb::JoinOperator::Exists)
}

/// What results can be called by.
pub(crate) fn is_alias(name: &str) -> bool {
    let letter = |it: char| it == '_' || it.is_ascii_alphabetic();
    name.starts_with(letter) && name.chars().all(|it| letter(it) || it.is_ascii_digit())
}
