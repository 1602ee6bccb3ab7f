//! Page tokens: where the page before ended, which whoever holds the token has seen. Any replica reads
//! what another gave out; no list takes the token of another.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Error;

/// What a page holds where nothing is said, and at most.
const PAGE_SIZE: i64 = 100;
const MAX_PAGE_SIZE: i64 = 1_000;

/// Which page is wanted: so many after the one of this key.
#[derive(Clone, Debug)]
pub(crate) struct Page<K> {
    list: String,
    size: i64,
    pub(crate) after: Option<K>,
}

impl<K: Serialize + DeserializeOwned> Page<K> {
    /// As a request says it.
    pub(crate) fn read(list: &str, size: i32, token: &str) -> Result<Self, Error> {
        let size = match i64::from(size) {
            0 => PAGE_SIZE,
            size if size < 0 => {
                return Err(Error::invalid("page_size", "must not be negative"));
            }
            size => size.min(MAX_PAGE_SIZE),
        };
        let after = match token {
            "" => None,
            token => Some(key(list, token).ok_or_else(Error::page_token)?),
        };
        Ok(Self { list: list.to_owned(), size, after })
    }

    /// How many to read: one more than the page holds, to know whether there is another.
    pub(crate) fn limit(&self) -> i64 {
        self.size + 1
    }

    /// The page, out of what was read, and the token of the next.
    pub(crate) fn cut<T>(&self, mut found: Vec<T>, key: impl Fn(&T) -> K) -> (Vec<T>, String) {
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        if found.len() <= size {
            return (found, String::new());
        }
        found.truncate(size);
        let last = found.last().and_then(|it| serde_json::to_string(&(&self.list, key(it))).ok());
        (found, last.map(|it| URL_SAFE_NO_PAD.encode(it)).unwrap_or_default())
    }

    /// The page, out of all there are in order.
    pub(crate) fn of_all<T>(
        &self,
        all: impl IntoIterator<Item = T>,
        key: impl Fn(&T) -> K,
    ) -> (Vec<T>, String)
    where
        K: PartialEq,
    {
        let mut rest = all.into_iter();
        if let Some(after) = &self.after {
            rest.by_ref().find(|it| key(it) == *after);
        }
        let limit = usize::try_from(self.limit()).unwrap_or(usize::MAX);
        self.cut(rest.take(limit).collect(), key)
    }
}

fn key<K: DeserializeOwned>(list: &str, token: &str) -> Option<K> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (of, key): (String, K) = serde_json::from_slice(&bytes).ok()?;
    (of == list).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other() {
        let all = ["a", "b", "c", "d", "e"];
        let (mut token, mut seen) = (String::new(), Vec::new());
        for expected in [2, 2, 1] {
            let page = Page::<String>::read("letters", 2, &token).unwrap();
            let (found, next) = page.of_all(all, |it| (*it).to_owned());
            assert_eq!(found.len(), expected);
            seen.extend(found);
            token = next;
        }
        assert_eq!((seen, token.as_str()), (all.to_vec(), ""));
    }

    #[test]
    fn what_was_not_given_out_is_refused() {
        let page = Page::<String>::read("letters", 1, "").unwrap();
        let (_, token) = page.of_all(["a", "b"], |it| (*it).to_owned());
        assert!(Page::<String>::read("letters", 1, &token).is_ok());
        assert!(Page::<String>::read("others", 1, &token).is_err());
        for bad in ["!", "YWxpY2U", &token[1..]] {
            assert!(Page::<String>::read("letters", 1, bad).is_err(), "{bad}");
        }
        assert!(Page::<String>::read("letters", -1, "").is_err());
        assert_eq!(Page::<String>::read("letters", i32::MAX, "").unwrap().limit(), 1001);
        assert_eq!(Page::<String>::read("letters", 0, "").unwrap().limit(), 101);
    }
}
