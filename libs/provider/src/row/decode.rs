//! PostgreSQL's binary formats. The select list fixes each column's type (`binding`), so only these
//! occur.

use std::fmt::Write as _;

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime};
use sqlx::error::BoxDynError;
use sqlx::postgres::PgRow;
use sqlx::{Row as _, ValueRef as _};
use uuid::Uuid;

/// Days and microseconds are counted from 2000-01-01.
const EPOCH: NaiveDate = match NaiveDate::from_ymd_opt(2000, 1, 1) {
    Some(date) => date,
    None => NaiveDate::MIN,
};
const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// Hands a column's bytes to `read`; `None` for null.
pub(super) fn column<T>(
    row: &PgRow,
    index: usize,
    read: impl FnOnce(&[u8]) -> Result<T, BoxDynError>,
) -> Result<Option<T>, sqlx::Error> {
    let value = row.try_get_raw(index)?;
    if value.is_null() {
        return Ok(None);
    }
    let decoded = value.as_bytes().and_then(read);
    decoded
        .map(Some)
        .map_err(|source| sqlx::Error::ColumnDecode { index: index.to_string(), source })
}

pub(super) fn text(bytes: &[u8]) -> Result<&str, BoxDynError> {
    Ok(std::str::from_utf8(bytes)?)
}

/// An integer of any width.
pub(super) fn int(bytes: &[u8]) -> Result<i64, BoxDynError> {
    if let Ok(it) = <[u8; 4]>::try_from(bytes) {
        return Ok(i32::from_be_bytes(it).into());
    }
    if let Ok(it) = <[u8; 8]>::try_from(bytes) {
        return Ok(i64::from_be_bytes(it));
    }
    match <[u8; 2]>::try_from(bytes) {
        Ok(it) => Ok(i16::from_be_bytes(it).into()),
        Err(_) => Err(format!("an integer of {} bytes", bytes.len()).into()),
    }
}

pub(super) fn boolean(bytes: &[u8]) -> Result<bool, BoxDynError> {
    match bytes {
        [it] => Ok(*it != 0),
        _ => Err("a boolean of several bytes".into()),
    }
}

pub(super) fn guid(bytes: &[u8]) -> Result<Uuid, BoxDynError> {
    Ok(Uuid::from_slice(bytes)?)
}

/// A date; `None` for infinity, which no calendar has.
pub(super) fn date(bytes: &[u8]) -> Result<Option<NaiveDate>, BoxDynError> {
    let days = i32::from_be_bytes(bytes.try_into()?);
    let distance = Days::new(u64::from(days.unsigned_abs()));
    Ok(if days < 0 { EPOCH.checked_sub_days(distance) } else { EPOCH.checked_add_days(distance) })
}

/// Microseconds since 1970; `None` for infinity.
pub(super) fn micros(bytes: &[u8]) -> Result<Option<i64>, BoxDynError> {
    let micros = i64::from_be_bytes(bytes.try_into()?);
    let finite = micros != i64::MAX && micros != i64::MIN;
    Ok(if finite { micros.checked_add(EPOCH_MICROS) } else { None })
}

/// A moment, UTC; `None` for infinity.
pub(super) fn moment(bytes: &[u8]) -> Result<Option<NaiveDateTime>, BoxDynError> {
    let moment = micros(bytes)?.and_then(DateTime::from_timestamp_micros);
    Ok(moment.map(|it| it.naive_utc()))
}

/// Appends the exact digits of a `numeric`, without zeros at the end of the fraction. Returns
/// whether there was a number: NaN and infinity are none.
pub(super) fn numeric(bytes: &[u8], out: &mut String) -> Result<bool, BoxDynError> {
    const NEGATIVE: u16 = 0x4000;
    const POSITIVE: u16 = 0x0000;
    let (header, digits) = bytes.split_at_checked(8).ok_or("a numeric of less than 8 bytes")?;
    let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let (weight, sign) = (i32::from(word(2).cast_signed()), word(4));
    if sign != NEGATIVE && sign != POSITIVE {
        return Ok(false);
    }
    let digits: Vec<u16> =
        digits.chunks_exact(2).map(|it| u16::from_be_bytes([it[0], it[1]])).collect();
    if sign == NEGATIVE && !digits.is_empty() {
        out.push('-');
    }
    let digit = |place: i32| -> u16 {
        usize::try_from(weight - place).ok().and_then(|it| digits.get(it)).copied().unwrap_or(0)
    };
    // Each digit is one of base 10,000; places count down from the weight.
    if weight < 0 {
        out.push('0');
    } else {
        write!(out, "{}", digit(weight))?;
        for place in (0..weight).rev() {
            write!(out, "{:04}", digit(place))?;
        }
    }
    let last = weight - i32::try_from(digits.len())? + 1;
    if last < 0 {
        let start = out.len();
        out.push('.');
        for place in (last..0).rev() {
            write!(out, "{:04}", digit(place))?;
        }
        let kept = out.trim_end_matches('0').len();
        out.truncate(if kept == start + 1 { start } else { kept });
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encode(sign: u16, weight: i16, digits: &[u16]) -> Vec<u8> {
        let count = u16::try_from(digits.len()).unwrap();
        let words = [count, weight.cast_unsigned(), sign, 0];
        words.iter().chain(digits).flat_map(|it| it.to_be_bytes()).collect()
    }

    #[test]
    fn numerics_are_exact() {
        let check = |sign, weight, digits: &[u16], expected: &str| {
            let mut out = String::new();
            assert!(numeric(&encode(sign, weight, digits), &mut out).unwrap());
            assert_eq!(out, expected);
        };
        check(0, 0, &[], "0");
        check(0, 0, &[1], "1");
        check(0x4000, 0, &[12, 5000], "-12.5");
        check(0, -1, &[1], "0.0001");
        check(0, -2, &[1200], "0.000012");
        check(0, 1, &[1, 2], "10002");
        check(0, 2, &[1], "100000000");
        check(0, 4, &[98, 7654, 3210, 9876, 5432, 1234, 5678], "987654321098765432.12345678");
    }

    #[test]
    fn not_a_number_is_none() {
        assert!(!numeric(&encode(0xC000, 0, &[]), &mut String::new()).unwrap());
        assert!(numeric(&[0, 1], &mut String::new()).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = numeric(&bytes, &mut String::new());
            let _ = (int(&bytes), boolean(&bytes), guid(&bytes), date(&bytes), moment(&bytes));
        }
    }
}
