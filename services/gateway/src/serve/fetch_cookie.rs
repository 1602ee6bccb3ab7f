//! A page's position as a FetchXML client's paging cookie: readable values, sealed together with the
//! query that they belong to, so that an altered cookie is an error and not a wrong page.

use chrono::{DateTime, Datelike as _, NaiveDate, SecondsFormat};
use fetchxml::{Cookie, CookieColumn};
use odata::{PagePosition, PageTokenError, PageTokens, PositionColumn, TokenValue};

const LABEL: &[u8] = b"fetchxml paging cookie";

/// What may stand for a column that no order names.
const ANY_COLUMN: &str = "col";

/// The outer cookie of the page behind which `position` lies. `names`: of the sort keys, as far as
/// they have any.
pub(super) fn write(
    tokens: &PageTokens,
    position: &PagePosition,
    scope: &[u8],
    names: &[&str],
) -> String {
    let kinds = position.columns.iter().flat_map(|it| [kind(&it.last), kind(&it.first)]);
    let columns = position.columns.iter().enumerate().map(|(at, column)| CookieColumn {
        name: (*names.get(at).unwrap_or(&ANY_COLUMN)).to_owned(),
        last: text(&column.last),
        first: text(&column.first),
    });
    let mut cookie = Cookie {
        page: position.page_number.saturating_sub(1),
        // The kinds of values stand beside their readable forms, under the same seal.
        seal: kinds.collect(),
        columns: columns.collect(),
    };
    let seal = tokens.seal(&[LABEL, scope, cookie.inner().as_bytes()]);
    cookie.seal = format!("{}.{seal}", cookie.seal);
    cookie.outer()
}

/// The position that a cookie stands for, in whatever form the client sends it back.
pub(crate) fn read(
    tokens: &PageTokens,
    text: &str,
    scope: &[u8],
) -> Result<PagePosition, PageTokenError> {
    let mut cookie = Cookie::parse(text).ok_or(PageTokenError::Malformed)?;
    let sealed = std::mem::take(&mut cookie.seal);
    let (kinds, seal) = sealed.split_once('.').ok_or(PageTokenError::Malformed)?;
    kinds.clone_into(&mut cookie.seal);
    if !tokens.is_sealed(&[LABEL, scope, cookie.inner().as_bytes()], seal) {
        return Err(PageTokenError::Foreign);
    }
    let mut kinds = kinds.chars();
    let mut next = |text: &Option<String>| value(kinds.next()?, text.as_deref());
    let columns = cookie.columns.iter().map(|it| {
        let last = next(&it.last)?;
        Some(PositionColumn { last, first: next(&it.first)? })
    });
    let columns = columns.collect::<Option<Vec<_>>>().ok_or(PageTokenError::Malformed)?;
    Ok(PagePosition { page_number: cookie.page.saturating_add(1), columns })
}

fn kind(value: &TokenValue) -> char {
    match value {
        TokenValue::Null => 'n',
        TokenValue::Bool(_) => 'b',
        TokenValue::Int(_) => 'i',
        TokenValue::Decimal(_) => 'd',
        TokenValue::Double(_) => 'f',
        TokenValue::String(_) => 's',
        TokenValue::Guid(_) => 'g',
        TokenValue::Date(_) => 'y',
        TokenValue::TimestampMicros(_) => 't',
    }
}

fn text(value: &TokenValue) -> Option<String> {
    Some(match value {
        TokenValue::Null => return None,
        TokenValue::Bool(it) => u8::from(*it).to_string(),
        TokenValue::Int(it) => it.to_string(),
        TokenValue::Decimal(it) | TokenValue::String(it) => it.clone(),
        TokenValue::Double(it) => it.to_string(),
        TokenValue::Guid(it) => format!("{{{}}}", it.to_string().to_uppercase()),
        TokenValue::Date(it) => it.to_string(),
        TokenValue::TimestampMicros(it) => moment(*it).unwrap_or_else(|| it.to_string()),
    })
}

/// Years of more than four digits have no agreed form.
fn moment(micros: i64) -> Option<String> {
    let moment = DateTime::from_timestamp_micros(micros)?;
    let plain = (0..=9_999).contains(&moment.year());
    plain.then(|| moment.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

fn value(kind: char, text: Option<&str>) -> Option<TokenValue> {
    let Some(text) = text else { return (kind == 'n').then_some(TokenValue::Null) };
    Some(match kind {
        'b' => TokenValue::Bool(text == "1"),
        'i' => TokenValue::Int(text.parse().ok()?),
        'd' => TokenValue::Decimal(text.to_owned()),
        'f' => TokenValue::Double(text.parse().ok()?),
        's' => TokenValue::String(text.to_owned()),
        'g' => TokenValue::Guid(text.parse().ok()?),
        'y' => TokenValue::Date(text.parse::<NaiveDate>().ok()?),
        't' => match DateTime::parse_from_rfc3339(text) {
            Ok(moment) => TokenValue::TimestampMicros(moment.timestamp_micros()),
            Err(_) => TokenValue::TimestampMicros(text.parse().ok()?),
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn tokens() -> PageTokens {
        PageTokens::new(b"secret")
    }

    fn position(values: &[(TokenValue, TokenValue)]) -> PagePosition {
        let columns = values.iter().cloned();
        let columns = columns.map(|(first, last)| PositionColumn { first, last }).collect();
        PagePosition { page_number: 2, columns }
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

    #[test]
    fn fx_08_a_cookie_reads_like_the_platforms() {
        let id = |it| TokenValue::Guid(Uuid::from_u128(it));
        let text = |it: &str| TokenValue::String(it.to_owned());
        let position = position(&[(text("A & B"), text("Z")), (id(0xaa), id(0xbb))]);
        let outer = write(&tokens(), &position, b"scope", &["fullname", "contactid"]);
        let inner = Cookie::parse(&outer).unwrap().inner();
        assert!(inner.starts_with("<cookie page=\"1\" mac=\"ssgg."), "{inner}");
        assert!(
            inner.ends_with(
                "<fullname last=\"Z\" first=\"A %26 B\" />\
                 <contactid last=\"{00000000-0000-0000-0000-0000000000BB}\" \
                 first=\"{00000000-0000-0000-0000-0000000000AA}\" /></cookie>"
            ),
            "{inner}"
        );
        assert_eq!(read(&tokens(), &inner, b"scope"), Ok(position));
        assert_eq!(read(&tokens(), &inner, b"other"), Err(PageTokenError::Foreign));
    }

    proptest! {
        #[test]
        fn fx_08_every_position_survives(
            values in prop::collection::vec((any_value(), any_value()), 0..5),
            scope in any::<Vec<u8>>(),
        ) {
            let position = position(&values);
            let cookie = write(&tokens(), &position, &scope, &["name"]);
            prop_assert_eq!(read(&tokens(), &cookie, &scope), Ok(position));
        }

        #[test]
        fn fx_08_no_altered_cookie_is_believed(
            at in any::<prop::sample::Index>(),
            byte in 0x20u8..0x7f,
            values in prop::collection::vec((any_value(), any_value()), 1..3),
        ) {
            let position = position(&values);
            let outer = write(&tokens(), &position, b"scope", &["name"]);
            let mut altered = Cookie::parse(&outer).unwrap().inner();
            let at = altered.floor_char_boundary(at.index(altered.len()));
            let end = altered.ceil_char_boundary(at + 1);
            altered.replace_range(at..end, &char::from(byte).to_string());
            let read = read(&tokens(), &altered, b"scope");
            // Another spelling of the same cookie is still the same cookie.
            prop_assert!(read.is_err() || read == Ok(position), "{altered}");
        }
    }
}
