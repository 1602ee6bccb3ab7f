//! Page tokens: a position in a sorted list, in the form of a Dataverse paging cookie, signed.
//!
//! The token is `<cookie pagenumber="2" pagingcookie="…" istracking="False" />`; inside, encoded
//! twice, stands `<cookie page="1" mac="…"><col last="…" first="…" />…</cookie>`. The inner text is
//! made of characters that XML and URLs leave alone, so it survives clients that decode and encode
//! the query string again. The signature covers it and the query that it belongs to.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::NaiveDate;
use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::Sha256;
use uuid::Uuid;

const OUTER_START: &str = "<cookie pagenumber=\"";
const OUTER_MIDDLE: &str = "\" pagingcookie=\"";
const OUTER_END: &str = "\" istracking=\"False\" />";
const COLUMN_START: &str = "<col last=\"";
const COLUMN_MIDDLE: &str = "\" first=\"";
const COLUMN_END: &str = "\" />";

/// Levels of encoding to undo at most; clients may have undone some.
const MAX_ENCODINGS: usize = 3;

const INNER: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// Where a page ended, and which page it was.
#[derive(Clone, Debug, PartialEq)]
pub struct PagePosition {
    /// The number of the page to read next; the first is 1.
    pub page_number: u32,
    /// One for each sort key, the record id last.
    pub columns: Vec<PositionColumn>,
}

/// A sort key's value on the first and on the last row of a page.
#[derive(Clone, Debug, PartialEq)]
pub struct PositionColumn {
    /// On the first row.
    pub first: TokenValue,
    /// On the last row.
    pub last: TokenValue,
}

/// A value of a sort key.
#[derive(Clone, Debug, PartialEq)]
pub enum TokenValue {
    /// No value.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Exact digits.
    Decimal(String),
    /// A binary fraction.
    Double(f64),
    /// Any text.
    String(String),
    /// A GUID.
    Guid(Uuid),
    /// A calendar date.
    Date(NaiveDate),
    /// Microseconds since 1970-01-01T00:00:00Z.
    TimestampMicros(i64),
}

/// Writes page tokens and reads those it has written.
#[derive(Clone)]
pub struct PageTokens {
    key: Hmac<Sha256>,
}

/// A page token that was not given out for this query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageTokenError {
    /// Not a paging cookie, or cut off.
    #[error("The paging cookie is malformed.")]
    Malformed,
    /// Altered, signed by somebody else, or given out for another query.
    #[error("The paging cookie does not belong to this query.")]
    Foreign,
}

impl PageTokens {
    /// Signs with this secret.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        // HMAC takes a key of any length, so the fallback is never used.
        let key = Hmac::new_from_slice(secret)
            .unwrap_or_else(|_| Hmac::new(&hmac::digest::Key::<Hmac<Sha256>>::default()));
        Self { key }
    }

    /// The token of a position, not yet encoded for a URL. `scope` is all that makes the query.
    #[must_use]
    pub fn encode(&self, position: &PagePosition, scope: &[u8]) -> String {
        let mut columns = String::new();
        for column in &position.columns {
            columns.push_str(COLUMN_START);
            write_value(&mut columns, &column.last);
            columns.push_str(COLUMN_MIDDLE);
            write_value(&mut columns, &column.first);
            columns.push_str(COLUMN_END);
        }
        let page = position.page_number.saturating_sub(1);
        let signature = self.signer(page, &columns, scope).finalize().into_bytes();
        let signature = URL_SAFE_NO_PAD.encode(signature);
        let inner = format!("<cookie page=\"{page}\" mac=\"{signature}\">{columns}</cookie>");
        let once = utf8_percent_encode(&inner, INNER).to_string();
        let twice = utf8_percent_encode(&once, INNER);
        format!("{OUTER_START}{}{OUTER_MIDDLE}{twice}{OUTER_END}", position.page_number)
    }

    /// The position that a token stands for.
    ///
    /// # Errors
    ///
    /// When the token is not one that [`Self::encode`] gave out for the same `scope`.
    pub fn decode(&self, token: &str, scope: &[u8]) -> Result<PagePosition, PageTokenError> {
        let (page_number, inner) = open(token).ok_or(PageTokenError::Malformed)?;
        let (page, signature, columns) = split(&inner).ok_or(PageTokenError::Malformed)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| PageTokenError::Malformed)?;
        self.signer(page, columns, scope)
            .verify_slice(&signature)
            .map_err(|_| PageTokenError::Foreign)?;
        if page.checked_add(1) != Some(page_number) {
            return Err(PageTokenError::Foreign);
        }
        let columns = read_columns(columns).ok_or(PageTokenError::Malformed)?;
        Ok(PagePosition { page_number, columns })
    }

    /// A seal over what is written in another form, in characters that XML and URLs leave alone.
    #[must_use]
    pub fn seal(&self, parts: &[&[u8]]) -> String {
        URL_SAFE_NO_PAD.encode(self.sealer(parts).finalize().into_bytes())
    }

    /// Whether [`Self::seal`] gave this seal to these parts.
    #[must_use]
    pub fn is_sealed(&self, parts: &[&[u8]], seal: &str) -> bool {
        let seal = URL_SAFE_NO_PAD.decode(seal);
        seal.is_ok_and(|seal| self.sealer(parts).verify_slice(&seal).is_ok())
    }

    fn sealer(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut signer = self.key.clone();
        // A page token's signature begins with a length, of which this is none.
        signer.update(b"seal of another form");
        for part in parts {
            signer.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            signer.update(part);
        }
        signer
    }

    fn signer(&self, page: u32, columns: &str, scope: &[u8]) -> Hmac<Sha256> {
        let mut signer = self.key.clone();
        // The scope's length goes first, so that no part of it can be taken for the position.
        signer.update(&u64::try_from(scope.len()).unwrap_or(u64::MAX).to_be_bytes());
        signer.update(scope);
        signer.update(&page.to_be_bytes());
        signer.update(columns.as_bytes());
        signer
    }
}

impl std::fmt::Debug for PageTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PageTokens(..)")
    }
}

/// The page number and the inner cookie, decoded.
fn open(token: &str) -> Option<(u32, String)> {
    // Some clients append a slash to the link that they follow.
    let token = token.trim_end_matches('/').trim();
    let rest = token.strip_prefix(OUTER_START)?;
    let (page_number, rest) = rest.split_once(OUTER_MIDDLE)?;
    let mut inner = rest.strip_suffix(OUTER_END)?.to_owned();
    for _ in 0..MAX_ENCODINGS {
        if inner.starts_with('<') {
            break;
        }
        inner = percent_decode_str(&inner.replace('+', " ")).decode_utf8().ok()?.into_owned();
    }
    Some((page_number.parse().ok()?, inner))
}

fn split(inner: &str) -> Option<(u32, &str, &str)> {
    let rest = inner.strip_prefix("<cookie page=\"")?;
    let (page, rest) = rest.split_once("\" mac=\"")?;
    let (signature, rest) = rest.split_once("\">")?;
    Some((page.parse().ok()?, signature, rest.strip_suffix("</cookie>")?))
}

fn read_columns(mut text: &str) -> Option<Vec<PositionColumn>> {
    let mut columns = Vec::new();
    while !text.is_empty() {
        let rest = text.strip_prefix(COLUMN_START)?;
        let (last, rest) = rest.split_once(COLUMN_MIDDLE)?;
        let (first, rest) = rest.split_once(COLUMN_END)?;
        columns.push(PositionColumn { first: read_value(first)?, last: read_value(last)? });
        text = rest;
    }
    Some(columns)
}

/// One letter for the type, then the value in characters that need no escape.
fn write_value(out: &mut String, value: &TokenValue) {
    let written = match value {
        TokenValue::Null => write!(out, "n"),
        TokenValue::Bool(value) => write!(out, "b{}", u8::from(*value)),
        TokenValue::Int(value) => write!(out, "i{value}"),
        TokenValue::Decimal(digits) => write!(out, "d{}", URL_SAFE_NO_PAD.encode(digits)),
        TokenValue::Double(value) => write!(out, "f{:x}", value.to_bits()),
        TokenValue::String(text) => write!(out, "s{}", URL_SAFE_NO_PAD.encode(text)),
        TokenValue::Guid(id) => write!(out, "g{id}"),
        TokenValue::Date(date) => write!(out, "y{date}"),
        TokenValue::TimestampMicros(value) => write!(out, "t{value}"),
    };
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
}

fn read_value(text: &str) -> Option<TokenValue> {
    let (kind, rest) = text.split_at_checked(1)?;
    let decoded = || String::from_utf8(URL_SAFE_NO_PAD.decode(rest).ok()?).ok();
    Some(match kind {
        "n" => TokenValue::Null,
        "b" => TokenValue::Bool(rest == "1"),
        "i" => TokenValue::Int(rest.parse().ok()?),
        "d" => TokenValue::Decimal(decoded()?),
        "f" => TokenValue::Double(f64::from_bits(u64::from_str_radix(rest, 16).ok()?)),
        "s" => TokenValue::String(decoded()?),
        "g" => TokenValue::Guid(rest.parse().ok()?),
        "y" => TokenValue::Date(rest.parse().ok()?),
        "t" => TokenValue::TimestampMicros(rest.parse().ok()?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::percent::{decode_query, encode_query};

    fn tokens() -> PageTokens {
        PageTokens::new(b"secret")
    }

    fn position() -> PagePosition {
        let column = |first, last| PositionColumn { first, last };
        PagePosition {
            page_number: 2,
            columns: vec![
                column(TokenValue::Null, TokenValue::String("O'Brian & <söns>".into())),
                column(TokenValue::Guid(Uuid::from_u128(1)), TokenValue::Guid(Uuid::from_u128(2))),
            ],
        }
    }

    #[test]
    fn a_token_looks_like_a_paging_cookie() {
        let token = tokens().encode(&position(), b"scope");
        assert!(token.starts_with(
            "<cookie pagenumber=\"2\" pagingcookie=\"%253Ccookie%2520page%253D%25221"
        ));
        assert!(token.ends_with("\" istracking=\"False\" />"), "{token}");
    }

    #[test]
    fn a_token_survives_what_clients_do_to_it() {
        let token = tokens().encode(&position(), b"scope");
        let encoded = encode_query(&token);
        let reencoded = encode_query(&decode_query(&encoded).unwrap()).replace("%20", "+");
        let unquoted = token.replace("%25", "%");
        for variant in [
            decode_query(&encoded).unwrap(),
            decode_query(&reencoded).unwrap(),
            format!("{token}/"),
            unquoted,
        ] {
            assert_eq!(tokens().decode(&variant, b"scope"), Ok(position()), "{variant}");
        }
    }

    #[test]
    fn a_token_of_another_query_or_key_is_refused() {
        let token = tokens().encode(&position(), b"scope");
        assert_eq!(tokens().decode(&token, b"other"), Err(PageTokenError::Foreign));
        let others = PageTokens::new(b"other");
        assert_eq!(others.decode(&token, b"scope"), Err(PageTokenError::Foreign));
        let renumbered = token.replace("pagenumber=\"2\"", "pagenumber=\"3\"");
        assert_eq!(tokens().decode(&renumbered, b"scope"), Err(PageTokenError::Foreign));
    }

    #[test]
    fn a_seal_is_of_its_parts_and_its_key() {
        let seal = tokens().seal(&[b"ab", b"c"]);
        assert!(tokens().is_sealed(&[b"ab", b"c"], &seal));
        assert!(!tokens().is_sealed(&[b"a", b"bc"], &seal));
        assert!(!tokens().is_sealed(&[b"ab", b"c"], ""));
        assert!(!PageTokens::new(b"other").is_sealed(&[b"ab", b"c"], &seal));
    }

    fn any_value() -> impl Strategy<Value = TokenValue> {
        prop_oneof![
            Just(TokenValue::Null),
            any::<bool>().prop_map(TokenValue::Bool),
            any::<i64>().prop_map(TokenValue::Int),
            "-?[0-9]{1,30}(\\.[0-9]{1,30})?".prop_map(TokenValue::Decimal),
            any::<f64>().prop_map(TokenValue::Double),
            any::<String>().prop_map(TokenValue::String),
            any::<u128>().prop_map(|it| TokenValue::Guid(Uuid::from_u128(it))),
            (1..3_000_000i32).prop_map(|days| {
                TokenValue::Date(NaiveDate::from_num_days_from_ce_opt(days).unwrap())
            }),
            any::<i64>().prop_map(TokenValue::TimestampMicros),
        ]
    }

    fn any_position() -> impl Strategy<Value = PagePosition> {
        let column =
            (any_value(), any_value()).prop_map(|(first, last)| PositionColumn { first, last });
        (1..u32::MAX, prop::collection::vec(column, 0..5))
            .prop_map(|(page_number, columns)| PagePosition { page_number, columns })
    }

    proptest! {
        #[test]
        fn every_position_survives(position in any_position(), scope in any::<Vec<u8>>()) {
            let token = tokens().encode(&position, &scope);
            let received = decode_query(&encode_query(&token)).unwrap();
            prop_assert_eq!(tokens().decode(&received, &scope), Ok(position));
        }

        #[test]
        fn no_altered_token_is_believed(
            at in any::<prop::sample::Index>(),
            byte in 0x20u8..0x7f,
            cut in any::<bool>(),
        ) {
            let token = tokens().encode(&position(), b"scope");
            let at = at.index(token.len());
            let mut altered = token;
            if cut {
                altered.truncate(at);
            } else {
                altered.replace_range(at..=at, &char::from(byte).to_string());
            }
            let decoded = tokens().decode(&altered, b"scope");
            // Another spelling of the same cookie is still the same cookie.
            prop_assert!(decoded.is_err() || decoded == Ok(position()));
        }

        #[test]
        fn garbage_is_refused(text in any::<String>()) {
            prop_assert!(tokens().decode(&text, b"").is_err());
        }
    }
}
