//! Decimal numbers of any length, compared without computing.

use std::cmp::Ordering;

/// A number's digits, without zeros that say nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digits<'a> {
    is_negative: bool,
    whole: &'a str,
    fraction: &'a str,
}

impl<'a> Digits<'a> {
    /// Of digits with an optional sign and point.
    pub(crate) fn of(text: &'a str) -> Self {
        let (is_negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        let is_zero = whole.is_empty() && fraction.is_empty();
        Self { is_negative: is_negative && !is_zero, whole, fraction }
    }

    /// Digits before the point.
    pub(super) fn whole(&self) -> &'a str {
        self.whole
    }

    /// Digits after the point.
    pub(super) fn fraction(&self) -> &'a str {
        self.fraction
    }

    fn size(&self) -> (usize, &'a str, &'a str) {
        (self.whole.len(), self.whole, self.fraction)
    }
}

impl Ord for Digits<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.is_negative, other.is_negative) {
            (false, false) => self.size().cmp(&other.size()),
            (true, true) => other.size().cmp(&self.size()),
            (left, right) => right.cmp(&left),
        }
    }
}

impl PartialOrd for Digits<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn zeros_that_say_nothing_are_no_digits() {
        let number = Digits::of("-0012.500");
        assert_eq!((number.whole(), number.fraction()), ("12", "5"));
        assert_eq!(Digits::of("-0.00"), Digits::of("0"));
    }

    proptest! {
        #[test]
        fn they_compare_as_numbers(left in -99_999_i64..99_999, right in -99_999_i64..99_999) {
            let text = |it: i64| {
                let sign = if it < 0 { "-" } else { "" };
                format!("{sign}{}.{:03}", it.abs() / 1_000, it.abs() % 1_000)
            };
            prop_assert_eq!(Digits::of(&text(left)).cmp(&Digits::of(&text(right))), left.cmp(&right));
        }
    }
}
