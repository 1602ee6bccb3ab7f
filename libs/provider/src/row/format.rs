//! Values as text for people, in the platform's default culture (en-US).

use chrono::{Datelike as _, NaiveDate, NaiveDateTime, Timelike as _};

/// `1,234,567`, from plain digits with an optional sign.
pub(super) fn grouped(out: &mut String, digits: &str) {
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", digits),
    };
    out.push_str(sign);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
}

/// `1,234.50`: every digit there is, two of them after the point at least.
pub(super) fn decimal(out: &mut String, digits: &str) {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    grouped(out, whole);
    out.push('.');
    out.push_str(fraction);
    out.extend(std::iter::repeat_n('0', 2_usize.saturating_sub(fraction.len())));
}

/// `4/7/2023`.
pub(super) fn date(it: NaiveDate) -> String {
    format!("{}/{}/{}", it.month(), it.day(), it.year())
}

/// `4/7/2023 2:59 PM`.
pub(super) fn moment(it: NaiveDateTime) -> String {
    let (afternoon, hour) = it.hour12();
    let half = if afternoon { "PM" } else { "AM" };
    format!("{} {hour}:{:02} {half}", date(it.date()), it.minute())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        let check = |digits: &str, expected: &str| {
            let mut out = String::new();
            decimal(&mut out, digits);
            assert_eq!(out, expected);
        };
        check("0", "0.00");
        check("-1234.5", "-1,234.50");
        check("123456789.123456", "123,456,789.123456");
        check("999", "999.00");
    }

    #[test]
    fn moments_read_as_the_platform_writes_them() {
        let day = NaiveDate::from_ymd_opt(2023, 4, 7).unwrap();
        assert_eq!(moment(day.and_hms_opt(14, 59, 1).unwrap()), "4/7/2023 2:59 PM");
        assert_eq!(moment(day.and_hms_opt(0, 5, 0).unwrap()), "4/7/2023 12:05 AM");
    }
}
