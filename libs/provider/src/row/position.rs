//! Where a row stands in the order of its page.

use proto::query::v1 as pb;
use proto::query::v1::value::Kind;
use sqlx::postgres::PgRow;

use super::decode;
use crate::plan::{PositionKind, SortKey};

/// The row's values of the sort keys: what a page that starts behind it is asked with.
pub(crate) fn position(row: &PgRow, keys: &[SortKey]) -> Result<Vec<pb::Value>, sqlx::Error> {
    keys.iter().map(|it| value(row, it)).collect()
}

fn value(row: &PgRow, key: &SortKey) -> Result<pb::Value, sqlx::Error> {
    let column = key.column;
    let kind = match key.kind {
        PositionKind::Text => {
            let text = |it: &[u8]| Ok(decode::text(it)?.to_owned());
            decode::column(row, column, text)?.map(Kind::StringValue)
        }
        PositionKind::Int => decode::column(row, column, decode::int)?.map(Kind::Int64Value),
        PositionKind::Bool => decode::column(row, column, decode::boolean)?.map(Kind::BoolValue),
        PositionKind::Guid => decode::column(row, column, decode::guid)?
            .map(|it| Kind::GuidValue(it.as_bytes().to_vec().into())),
    };
    Ok(pb::Value { kind: Some(kind.unwrap_or(Kind::NullValue(pb::NullMarker {}))) })
}
