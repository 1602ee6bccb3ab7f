//! Page positions: a provider's values in a page token, and back.

use odata::{PagePosition, PositionColumn, TokenValue};
use proto::query::v1 as pb;
use proto::query::v1::value::Kind;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::value::{guid, value};
use crate::error::GatewayError;

/// What makes a query, so that a token of another query is recognised.
pub(crate) fn scope<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

/// The position behind a page, if there are rows behind it.
pub(crate) fn next_position(
    end: &pb::PageEnd,
    page_number: u32,
) -> Result<Option<PagePosition>, GatewayError> {
    if !end.more_rows {
        return Ok(None);
    }
    let columns = end.first.iter().zip(&end.last).map(|(first, last)| {
        Some(PositionColumn { first: token_value(first)?, last: token_value(last)? })
    });
    match columns.collect::<Option<Vec<_>>>() {
        Some(columns) if !columns.is_empty() => {
            Ok(Some(PagePosition { page_number: page_number.saturating_add(1), columns }))
        }
        // A page without a way to the next one would look like the last.
        _ => {
            tracing::error!("a provider says there are more rows, but not where they begin");
            Err(GatewayError::Internal)
        }
    }
}

/// What a provider is told to begin behind.
pub(crate) fn page_values(position: &PagePosition) -> Vec<pb::Value> {
    position.columns.iter().map(|it| provider_value(&it.last)).collect()
}

fn token_value(value: &pb::Value) -> Option<TokenValue> {
    Some(match value.kind.as_ref()? {
        Kind::NullValue(_) => TokenValue::Null,
        Kind::BoolValue(it) => TokenValue::Bool(*it),
        Kind::Int64Value(it) => TokenValue::Int(*it),
        Kind::DecimalValue(it) => TokenValue::Decimal(it.clone()),
        Kind::DoubleValue(it) => TokenValue::Double(*it),
        Kind::StringValue(it) => TokenValue::String(it.clone()),
        Kind::GuidValue(it) => TokenValue::Guid(Uuid::from_slice(it).ok()?),
        Kind::DateValue(it) => TokenValue::Date(it.parse().ok()?),
        Kind::TimestampMicrosValue(it) => TokenValue::TimestampMicros(*it),
    })
}

fn provider_value(token: &TokenValue) -> pb::Value {
    value(match token {
        TokenValue::Null => Kind::NullValue(pb::NullMarker {}),
        TokenValue::Bool(it) => Kind::BoolValue(*it),
        TokenValue::Int(it) => Kind::Int64Value(*it),
        TokenValue::Decimal(it) => Kind::DecimalValue(it.clone()),
        TokenValue::Double(it) => Kind::DoubleValue(*it),
        TokenValue::String(it) => Kind::StringValue(it.clone()),
        TokenValue::Guid(it) => return guid(*it),
        TokenValue::Date(it) => Kind::DateValue(it.to_string()),
        TokenValue::TimestampMicros(it) => Kind::TimestampMicrosValue(*it),
    })
}
