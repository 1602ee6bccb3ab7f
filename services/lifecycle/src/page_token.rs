//! Page tokens: the last item of a page, which whoever holds the token has seen. Any replica reads what
//! another gave out.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::Error;
use crate::text;

const PREFIX: &str = "after:";
const DEFAULT_SIZE: i32 = 100;
const LARGEST_SIZE: i32 = 1_000;
/// Names in names.
const LONGEST: usize = 2 * text::LONGEST_NAME;

/// A token for the page after this item.
pub(crate) fn issue(last: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{PREFIX}{last}"))
}

/// The item after which the page starts; the empty token is the first page's.
pub(crate) fn read(token: &str) -> Result<String, Error> {
    if token.is_empty() {
        return Ok(String::new());
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| Error::PageToken)?;
    let decoded = String::from_utf8(bytes).map_err(|_| Error::PageToken)?;
    let last = decoded.strip_prefix(PREFIX).filter(|it| text::is_plain(it, LONGEST));
    last.map(str::to_owned).ok_or(Error::PageToken)
}

/// How many items a page has: what was asked for within bounds.
pub(crate) fn size(asked: i32) -> Result<usize, Error> {
    let size = if asked == 0 { DEFAULT_SIZE } else { asked.min(LARGEST_SIZE) };
    usize::try_from(size).map_err(|_| Error::InvalidValue {
        field: "page_size".into(),
        message: "it is negative".into(),
    })
}

/// The page of what was read with one item more than fits, and the token of the next one.
pub(crate) fn cut<T>(
    mut items: Vec<T>,
    size: usize,
    key: impl Fn(&T) -> String,
) -> (Vec<T>, String) {
    let more = items.len() > size;
    items.truncate(size);
    let token = items.last().filter(|_| more).map(|it| issue(&key(it))).unwrap_or_default();
    (items, token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_given_out() {
        let token = issue("Größe");
        assert_eq!(read(&token).unwrap(), "Größe");
        assert_eq!(read("").unwrap(), "");
        for bad in [&token[1..], &token[..token.len() - 1], "!", "YWxpY2U", &issue("a\0")] {
            assert!(matches!(read(bad), Err(Error::PageToken)), "{bad}");
        }
    }

    #[test]
    fn a_page_ends_where_it_is_full() {
        assert_eq!(size(0).unwrap(), 100);
        assert_eq!(size(5_000).unwrap(), 1_000);
        assert!(size(-1).is_err());
        assert_eq!(cut(vec![1, 2, 3], 2, i32::to_string), (vec![1, 2], issue("2")));
        assert_eq!(cut(vec![1, 2], 2, i32::to_string), (vec![1, 2], String::new()));
    }
}
