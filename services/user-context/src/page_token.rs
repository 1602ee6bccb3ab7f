//! Page tokens: the last name of a page, which whoever holds the token has seen. Any replica reads
//! what another gave out.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::Error;

const PREFIX: &str = "after:";

/// A token for the page after this name.
pub(crate) fn issue(last: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{PREFIX}{last}"))
}

/// The name after which the page starts; the empty token is the first page's.
pub(crate) fn read(token: &str) -> Result<String, Error> {
    if token.is_empty() {
        return Ok(String::new());
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| Error::PageToken)?;
    let text = String::from_utf8(bytes).map_err(|_| Error::PageToken)?;
    text.strip_prefix(PREFIX).map(str::to_owned).ok_or(Error::PageToken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_given_out() {
        let token = issue("Größe");
        assert_eq!(read(&token).unwrap(), "Größe");
        assert_eq!(read("").unwrap(), "");
        for bad in [&token[1..], &token[..token.len() - 1], "!", "YWxpY2U"] {
            assert!(matches!(read(bad), Err(Error::PageToken)), "{bad}");
        }
    }
}
