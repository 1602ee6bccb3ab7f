//! Percent-encoding, as paths and as query strings have it.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Escapes that do not make UTF-8 text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("The URL holds escapes that are not valid UTF-8 text.")]
pub struct InvalidEncoding;

const QUERY: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'$');

/// Decodes a part of a path: `+` is a plus sign.
pub(crate) fn decode_path(raw: &str) -> Result<Cow<'_, str>, InvalidEncoding> {
    percent_decode_str(raw).decode_utf8().map_err(|_| InvalidEncoding)
}

/// Decodes a name or value of a query string: `+` is a space.
///
/// # Errors
///
/// When the escapes do not make UTF-8 text.
pub fn decode_query(raw: &str) -> Result<String, InvalidEncoding> {
    let spaced = raw.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().map(Cow::into_owned).map_err(|_| InvalidEncoding)
}

/// Encodes a value for a query string.
#[must_use]
pub fn encode_query(text: &str) -> String {
    utf8_percent_encode(text, QUERY).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plus_is_a_space_in_queries_only() {
        assert_eq!(decode_query("a+b%20c%2B%27%2C").unwrap(), "a b c+',");
        assert_eq!(decode_path("a+b%20c").unwrap(), "a+b c");
        assert_eq!(decode_query("%FF"), Err(InvalidEncoding));
        assert_eq!(decode_query("100%").unwrap(), "100%");
    }

    #[test]
    fn what_is_encoded_decodes_to_itself() {
        for text in ["", "a b+c", "<x y=\"1\"/>", "ж漢\u{0}&=#"] {
            assert_eq!(decode_query(&encode_query(text)).unwrap(), text);
        }
    }
}
