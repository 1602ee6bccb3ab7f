//! What texts of requests may be: bounded, and without control characters. Nothing else gets to the store, to
//! logs or to people.

use crate::error::Error;

/// Longer ones are nobody's.
pub(crate) const LONGEST_NAME: usize = 200;

/// Whether a text is not empty, not too long, and of one line.
pub(crate) fn is_plain(text: &str, longest: usize) -> bool {
    // By bytes first: what is far too long is not even read.
    text.len() <= longest.saturating_mul(4)
        && (1..=longest).contains(&text.chars().count())
        && !text.contains(char::is_control)
}

/// The same of a request's field.
pub(crate) fn check(field: &str, text: &str, longest: usize) -> Result<(), Error> {
    match is_plain(text, longest) {
        true => Ok(()),
        false => Err(Error::InvalidValue {
            field: field.to_owned(),
            message: format!(
                "it takes 1 to {longest} characters, none of them a control character"
            ),
        }),
    }
}

/// Whether a text can be the last part of a name.
pub(crate) fn is_id(text: &str) -> bool {
    is_plain(text, LONGEST_NAME) && !text.contains('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_bounded_and_of_one_line() {
        for good in ["a", "Größe 1", &"ü".repeat(20)] {
            assert!(is_plain(good, 20), "{good}");
        }
        for bad in ["", "a\0", "a\nb", "\u{7f}", &"ü".repeat(21), &"a".repeat(100_000)] {
            assert!(!is_plain(bad, 20), "{bad:?}");
            assert!(matches!(check("x", bad, 20), Err(Error::InvalidValue { .. })));
        }
        assert!(is_id("contoso") && !is_id("a/b"));
    }
}
