//! Page tokens: the last name of a page, sealed, so that only tokens given out are accepted. They do
//! not outlive the process.

use aws_lc_rs::hmac::{self, Key};
use aws_lc_rs::rand::SystemRandom;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::Error;

const SEAL: usize = 32;

#[derive(Debug)]
pub(crate) struct PageTokens {
    key: Key,
}

impl PageTokens {
    /// With a key of its own; `None` when the system's random source fails.
    pub(crate) fn new() -> Option<Self> {
        let key = Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok()?;
        Some(Self { key })
    }

    /// A token for the page after this name.
    pub(crate) fn issue(&self, last: &str) -> String {
        let seal = hmac::sign(&self.key, last.as_bytes());
        URL_SAFE_NO_PAD.encode([seal.as_ref(), last.as_bytes()].concat())
    }

    /// The name after which the page starts; the empty token is the first page's.
    pub(crate) fn read(&self, token: &str) -> Result<String, Error> {
        if token.is_empty() {
            return Ok(String::new());
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| Error::PageToken)?;
        let (seal, name) = bytes.split_at_checked(SEAL).ok_or(Error::PageToken)?;
        hmac::verify(&self.key, name, seal).map_err(|_| Error::PageToken)?;
        String::from_utf8(name.to_vec()).map_err(|_| Error::PageToken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tokens_given_out_are_accepted() {
        let tokens = PageTokens::new().unwrap();
        let token = tokens.issue("alice");
        assert_eq!(tokens.read(&token).unwrap(), "alice");
        assert_eq!(tokens.read("").unwrap(), "");
        let other = PageTokens::new().unwrap().issue("alice");
        for bad in [&token[1..], &token[..token.len() - 2], "!", "YWxpY2U", other.as_str()] {
            assert!(matches!(tokens.read(bad), Err(Error::PageToken)), "{bad}");
        }
    }
}
