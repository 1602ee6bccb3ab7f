//! Literals, with numbers kept as the digits that were written.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime};
use uuid::Uuid;

/// A constant in a URL.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// `null`.
    Null,
    /// `true`, `false`.
    Bool(bool),
    /// Digits with an optional sign, of any length.
    Integer(String),
    /// Digits with a decimal point, exactly as written.
    Decimal(String),
    /// A number with an exponent, as written; or `INF`, `-INF`, `NaN`.
    Double(String),
    /// Text, unescaped.
    String(String),
    /// A GUID without quotes.
    Guid(Uuid),
    /// A calendar date.
    Date(NaiveDate),
    /// A moment, with the offset that was written.
    DateTime(DateTime<FixedOffset>),
    /// A time of day: `12:30:00`.
    TimeOfDay(NaiveTime),
    /// `duration'P1DT2H'`, without its wrapping, as written.
    Duration(String),
    /// `binary'..'`, decoded.
    Binary(Vec<u8>),
    /// `Namespace.Type'Member'`.
    Enum {
        /// With its namespace.
        type_name: String,
        /// What stands in quotes.
        member: String,
    },
}

impl Literal {
    /// The Edm type's name, for messages.
    #[must_use]
    pub fn edm_type(&self) -> &str {
        match self {
            Self::Null => "<null>",
            Self::Bool(_) => "Edm.Boolean",
            Self::Integer(digits) if digits.parse::<i32>().is_ok() => "Edm.Int32",
            Self::Integer(digits) if digits.parse::<i64>().is_ok() => "Edm.Int64",
            Self::Integer(_) | Self::Decimal(_) => "Edm.Decimal",
            Self::Double(_) => "Edm.Double",
            Self::String(_) => "Edm.String",
            Self::Guid(_) => "Edm.Guid",
            Self::Date(_) => "Edm.Date",
            Self::DateTime(_) => "Edm.DateTimeOffset",
            Self::TimeOfDay(_) => "Edm.TimeOfDay",
            Self::Duration(_) => "Edm.Duration",
            Self::Binary(_) => "Edm.Binary",
            Self::Enum { type_name, .. } => type_name,
        }
    }
}

/// A GUID in its usual form, in either letter case, with or without braces.
pub(crate) fn guid(text: &str) -> Option<Uuid> {
    let bare = text.strip_prefix('{').and_then(|it| it.strip_suffix('}')).unwrap_or(text);
    Uuid::try_parse(bare).ok().filter(|_| bare.len() == 36)
}

/// `2026-11-21`.
pub(crate) fn date(text: &str) -> Option<NaiveDate> {
    let shape = text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    (shape && date >= NaiveDate::from_ymd_opt(1, 1, 1)?).then_some(date)
}

/// `2026-11-21T10:00:00.5Z`; seconds may be absent, the zone may not.
pub(crate) fn date_time(text: &str) -> Option<DateTime<FixedOffset>> {
    let (day, rest) = text.split_once(['T', 't'])?;
    let day = date(day)?;
    let (clock, offset) = match rest.strip_suffix(['Z', 'z']) {
        Some(clock) => (clock, FixedOffset::east_opt(0)?),
        None => {
            let at = rest.rfind(['+', '-'])?;
            let (clock, zone) = rest.split_at_checked(at)?;
            (clock, zone_offset(zone)?)
        }
    };
    let moment = NaiveDateTime::new(day, time(clock)?);
    moment.and_local_timezone(offset).single()
}

/// `[-]P1DT2H3M4.5S`, with at least one of its parts.
pub(crate) fn duration(text: &str) -> Option<&str> {
    let rest = text.strip_prefix('-').unwrap_or(text).strip_prefix('P')?;
    let (days, clock) = rest.split_once('T').map_or((rest, None), |(a, b)| (a, Some(b)));
    let digits = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
    let days_fit = days.is_empty() || days.strip_suffix('D').is_some_and(digits);
    let Some(mut clock) = clock else { return (days_fit && !days.is_empty()).then_some(text) };
    if !days_fit || clock.is_empty() {
        return None;
    }
    for unit in ['H', 'M'] {
        if let Some((number, rest)) = clock.split_once(unit) {
            digits(number).then_some(())?;
            clock = rest;
        }
    }
    let Some(seconds) = clock.strip_suffix('S') else { return clock.is_empty().then_some(text) };
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
    (digits(whole) && digits(fraction)).then_some(text)
}

/// base64url, with or without padding.
pub(crate) fn binary(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok().filter(|_| {
        let padding = text.len() - text.trim_end_matches('=').len();
        padding == 0 || text.len().is_multiple_of(4)
    })
}

/// `12:30`, `12:30:00`, `12:30:00.25`.
pub(crate) fn time(text: &str) -> Option<NaiveTime> {
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(a, b)| (a, Some(b)));
    let mut parts = whole.split(':');
    let hour = two_digits(parts.next()?)?;
    let minute = two_digits(parts.next()?)?;
    let second = match (parts.next(), fraction) {
        (Some(second), _) => two_digits(second)?,
        (None, None) => 0,
        (None, Some(_)) => return None,
    };
    let nanos = match fraction {
        None => 0,
        Some(digits) => nanoseconds(digits)?,
    };
    if parts.next().is_some() {
        return None;
    }
    NaiveTime::from_hms_nano_opt(hour, minute, second, nanos)
}

/// One to twelve digits; what is finer than a nanosecond is dropped.
fn nanoseconds(digits: &str) -> Option<u32> {
    let valid = (1..=12).contains(&digits.len()) && digits.bytes().all(|it| it.is_ascii_digit());
    if !valid {
        return None;
    }
    format!("{digits:0<9}").get(..9)?.parse().ok()
}

fn zone_offset(text: &str) -> Option<FixedOffset> {
    let (sign, rest) = text.split_at_checked(1)?;
    let (hours, minutes) = rest.split_once(':')?;
    let (hours, minutes) = (two_digits(hours)?, two_digits(minutes)?);
    let seconds = i32::try_from(hours * 3600 + minutes * 60).ok()?;
    // OData allows offsets up to fourteen hours.
    if minutes > 59 || seconds > 14 * 3600 {
        return None;
    }
    FixedOffset::east_opt(if sign == "-" { -seconds } else { seconds })
}

fn two_digits(text: &str) -> Option<u32> {
    let valid = text.len() == 2 && text.bytes().all(|it| it.is_ascii_digit());
    valid.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_validated() {
        assert!(date("2024-02-29").is_some());
        for bad in ["2026-02-29", "2026-13-01", "2026-1-1", "0000-01-01", "+2026-1-01", ""] {
            assert_eq!(date(bad), None, "{bad}");
        }
    }

    #[test]
    fn moments_need_a_zone() {
        let check = |text: &str, expected: Option<&str>| {
            let actual = date_time(text).map(|it| it.to_utc().to_rfc3339());
            assert_eq!(actual.as_deref(), expected, "{text}");
        };
        check("2026-11-21T10:00:00Z", Some("2026-11-21T10:00:00+00:00"));
        check("2026-11-21T10:00Z", Some("2026-11-21T10:00:00+00:00"));
        check("2026-11-21T10:00:00.25+02:00", Some("2026-11-21T08:00:00.250+00:00"));
        check("2026-11-21T23:30:00-14:00", Some("2026-11-22T13:30:00+00:00"));
        let bad = [
            "2026-11-21T10:00:00",
            "2026-11-21T24:00:00Z",
            "2026-11-21T10:00:60Z",
            "2026-11-21T10:00:00+15:00",
            "2026-11-21T10:00:00+0200",
            "2026-11-21T10.5Z",
            "2026-11-21T10:00:00.Z",
            "2026-11-21TZ",
            "é",
        ];
        bad.iter().for_each(|it| check(it, None));
    }

    #[test]
    fn durations_have_at_least_one_part() {
        let good = ["P1D", "-P1D", "PT2H", "P1DT2H3M4.5S", "PT0S", "PT5M", "P10DT1S"];
        good.iter().for_each(|it| assert_eq!(duration(it), Some(*it), "{it}"));
        let bad = [
            "", "P", "PT", "P1DT", "1D", "P1H", "PT1D", "P1Y", "P1M", "PT1.5H", "PT.5S", "PT5.S",
            "P-1D", "PT1S2M", "PT1M2H", "p1d", "P1D ", "--P1D", "+P1D",
        ];
        bad.iter().for_each(|it| assert_eq!(duration(it), None, "{it}"));
    }

    #[test]
    fn binaries_are_base64url() {
        let check = |text: &str, expected: Option<&[u8]>| {
            assert_eq!(binary(text).as_deref(), expected, "{text}");
        };
        check("", Some(b""));
        check("T0RhdGE", Some(b"OData"));
        check("T0RhdGE=", Some(b"OData"));
        check("_-8", Some(&[0xff, 0xef]));
        ["T0RhdGE==", "T", "T0R+dGE", "T0RhdGF", "=", "T0=RhdGE"].iter().for_each(|it| {
            check(it, None);
        });
    }

    #[test]
    fn guids_take_either_case_and_braces() {
        let expected = Uuid::from_u128(0xab);
        for text in [
            "00000000-0000-0000-0000-0000000000ab",
            "00000000-0000-0000-0000-0000000000AB",
            "{00000000-0000-0000-0000-0000000000ab}",
        ] {
            assert_eq!(guid(text), Some(expected), "{text}");
        }
        assert_eq!(guid("000000000000000000000000000000ab"), None);
        assert_eq!(guid("{00000000-0000-0000-0000-0000000000ab"), None);
    }
}
