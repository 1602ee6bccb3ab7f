//! Decimals, exactly: from the text of a number to the integer that Parquet keeps.

/// Digits that a decimal of 16 bytes holds.
pub(super) const PRECISION: u32 = 38;

const LIMIT: i128 = 10_i128.pow(PRECISION);

/// The number times ten to the power of `scale`; none for what is no number, has more digits behind the
/// point, or is too large.
pub(super) fn unscaled(text: &str, scale: u8) -> Option<i128> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, digits) = match mantissa.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, mantissa),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |it: &str| it.bytes().all(|it| it.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let kept = format!("{whole}{fraction}");
    let trimmed = kept.trim_end_matches('0');
    let dropped = i32::try_from(kept.len() - trimmed.len()).ok()?;
    let significant = trimmed.trim_start_matches('0');
    if significant.is_empty() {
        return Some(0);
    }
    let behind = i32::try_from(fraction.len()).ok()?.checked_sub(dropped)?;
    // What is left to multiply with: below zero, digits would be lost.
    let shift = i32::from(scale).checked_sub(behind)?.checked_add(exponent)?;
    let shift = u32::try_from(shift).ok().filter(|it| *it <= PRECISION)?;
    let value: i128 = significant.parse().ok()?;
    let value = value.checked_mul(10_i128.checked_pow(shift)?)?;
    (value < LIMIT).then_some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_digit_is_lost() {
        let check = |text: &str, scale: u8, expected: Option<i128>| {
            assert_eq!(unscaled(text, scale), expected, "{text} {scale}");
        };
        check("0", 2, Some(0));
        check("-0.00", 0, Some(0));
        check("12.5", 2, Some(1_250));
        check("-12.50", 2, Some(-1_250));
        check("12.5000000", 1, Some(125));
        check("12.505", 2, None);
        check("1200", 0, Some(1_200));
        check("1.2e3", 0, Some(1_200));
        check("125E-2", 2, Some(125));
        check("125E-3", 2, None);
        check("1e400", 0, None);
        check("0.1", 38, Some(10_i128.pow(37)));
        check("99999999999999999999999999999999999999", 0, Some(LIMIT - 1));
        check("100000000000000000000000000000000000000", 0, None);
        check("99999999999999999999999999999999999999", 1, None);
        for bad in ["", "-", ".5", "1.2.3", "+1", "0x1", "1e", "NaN", "--1", "1 "] {
            check(bad, 2, None);
        }
    }
}
