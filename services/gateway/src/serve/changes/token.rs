//! Delta tokens, `{version}!{date time}`, and tokens of the pages that come before the first one. Both
//! are sealed: positions are the provider's, and clients only carry them.

use chrono::{DateTime, Utc};
use odata::{PagePosition, PageTokenError, PageTokens, PositionColumn, TokenValue};
use prost_types::Timestamp;

use crate::metadata::Table;

const PURPOSE: &[u8] = b"delta token";
/// Page tokens are paging cookies, which say so in their own way.
const TRACKING: &str = "istracking=\"True\"";
const NOT_TRACKING: &str = "istracking=\"False\"";

/// A position among the changes of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DeltaToken {
    pub(super) position: String,
    /// For people who look at links; it decides nothing.
    at: String,
}

impl DeltaToken {
    pub(super) fn new(position: String, at: Option<Timestamp>) -> Self {
        let at = at.and_then(|it| {
            DateTime::<Utc>::from_timestamp(it.seconds, it.nanos.try_into().unwrap_or_default())
        });
        let at = at.unwrap_or_default().format("%m/%d/%Y %H:%M:%S").to_string();
        Self { position, at }
    }

    pub(super) fn write(&self, tokens: &PageTokens, table: &Table) -> String {
        let seal = tokens.seal(&parts(table, &self.position));
        format!("{}.{seal}!{}", self.position, self.at)
    }

    pub(super) fn read(
        tokens: &PageTokens,
        table: &Table,
        text: &str,
    ) -> Result<Self, PageTokenError> {
        let (version, at) = text.split_once('!').ok_or(PageTokenError::Malformed)?;
        let (position, seal) = version.rsplit_once('.').ok_or(PageTokenError::Malformed)?;
        if !tokens.is_sealed(&parts(table, position), seal) {
            return Err(PageTokenError::Foreign);
        }
        Ok(Self { position: position.to_owned(), at: at.to_owned() })
    }
}

fn parts<'a>(table: &'a Table, position: &'a str) -> [&'a [u8]; 3] {
    [PURPOSE, table.logical_name.as_bytes(), position.as_bytes()]
}

/// Whether it leads to a page of rows whose changes are going to be told.
pub(super) fn is_of_tracked_page(token: &str) -> bool {
    token.contains(TRACKING)
}

/// The token of the next page, with where the changes begin.
pub(super) fn write_page(
    tokens: &PageTokens,
    mut next: PagePosition,
    delta: &DeltaToken,
    scope: &[u8],
) -> String {
    next.columns.push(PositionColumn {
        first: TokenValue::String(delta.at.clone()),
        last: TokenValue::String(delta.position.clone()),
    });
    tokens.encode(&next, scope).replace(NOT_TRACKING, TRACKING)
}

/// What [`write_page`] wrote.
pub(super) fn read_page(
    tokens: &PageTokens,
    token: &str,
    scope: &[u8],
) -> Result<(PagePosition, DeltaToken), PageTokenError> {
    // A page of an ordinary list has no position to carry on.
    if !is_of_tracked_page(token) {
        return Err(PageTokenError::Foreign);
    }
    let mut position = tokens.decode(&token.replace(TRACKING, NOT_TRACKING), scope)?;
    match position.columns.pop() {
        Some(PositionColumn { first: TokenValue::String(at), last: TokenValue::String(delta) }) => {
            Ok((position, DeltaToken { position: delta, at }))
        }
        _ => Err(PageTokenError::Foreign),
    }
}
