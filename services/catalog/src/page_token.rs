//! Page tokens of the list: where the page before ended. They hold a name that the caller has seen,
//! so there is nothing in them to protect.

use crate::error::Error;

const PREFIX: &str = "after:";

pub(crate) fn encode(name: &str) -> String {
    format!("{PREFIX}{name}")
}

pub(crate) fn decode(token: &str) -> Result<Option<&str>, Error> {
    if token.is_empty() {
        return Ok(None);
    }
    let reason = "is no token of an earlier page";
    let refused = || Error::InvalidValue { column: "page_token".to_owned(), reason };
    token.strip_prefix(PREFIX).map(Some).ok_or_else(refused)
}
