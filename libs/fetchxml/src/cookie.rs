//! Paging cookies: where a page began and ended, as FetchXML clients know it (spec §3.5).
//!
//! The inner cookie is `<cookie page="1" mac="…"><fullname last="Z" first="A" />…</cookie>`: an
//! element for each sort key, the record id last. Clients get it within an outer one, encoded twice
//! for a URL, and send back what they make of it: decoded, with or without the outer cookie, escaped
//! for XML or not. Some escape everything but `&`. So values hold nothing that XML or a URL would
//! escape: such characters are written as `%26`, which is all that is not readable in them.
//!
//! Who gives out a cookie puts a seal on it, and believes only what bears it; what the seal covers is
//! the giver's business.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::tree;
use crate::xml::{self, Element};

const OUTER_MIDDLE: &str = "pagingcookie=\"";
const OUTER_END: &str = "\" istracking=";

/// Layers that clients may have left or put around the inner cookie.
const MAX_LAYERS: usize = 6;

const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// What stands in a value as it is.
const PLAIN: &str = " -_.{}:,()/@";

/// A name for keys whose own is not one in XML.
const ANY_COLUMN: &str = "col";

/// An inner cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cookie {
    /// The page that it is the end of.
    pub page: u32,
    /// Proves who gave it out: letters, digits, `-`, `_` and `.`.
    pub seal: String,
    /// The sort keys.
    pub columns: Vec<CookieColumn>,
}

/// A sort key's values on a page's first and last rows. `None` is null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieColumn {
    /// Logical name; it says nothing but to people.
    pub name: String,
    /// On the last row.
    pub last: Option<String>,
    /// On the first row.
    pub first: Option<String>,
}

impl Cookie {
    /// The inner cookie as text.
    #[must_use]
    pub fn inner(&self) -> String {
        let mut out = format!("<cookie page=\"{}\" mac=\"{}\">", self.page, self.seal);
        for column in &self.columns {
            let name = if tree::is_alias(&column.name) { &column.name } else { ANY_COLUMN };
            out.push('<');
            out.push_str(name);
            push_value(&mut out, "last", column.last.as_deref());
            push_value(&mut out, "first", column.first.as_deref());
            out.push_str(" />");
        }
        out.push_str("</cookie>");
        out
    }

    /// The annotation's value: the next page's number, and the inner cookie encoded twice.
    #[must_use]
    pub fn outer(&self) -> String {
        let once = utf8_percent_encode(&self.inner(), ENCODED).to_string();
        let twice = utf8_percent_encode(&once, ENCODED);
        let next = self.page.saturating_add(1);
        format!("<cookie pagenumber=\"{next}\" {OUTER_MIDDLE}{twice}{OUTER_END}\"False\" />")
    }

    /// Reads what a client sends back. `None` when it is no cookie.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut text = text.trim().to_owned();
        for _ in 0..MAX_LAYERS {
            if text.starts_with("<cookie page=") {
                return read(&xml::read(&text).ok()?);
            }
            text = uncovered(&text)?;
        }
        None
    }
}

/// One layer less.
fn uncovered(text: &str) -> Option<String> {
    let inner = if let Some((_, rest)) = text.split_once(OUTER_MIDDLE) {
        rest.split_once(OUTER_END).map_or(rest, |(inner, _)| inner).to_owned()
    } else if text.starts_with("&lt;") {
        quick_xml::escape::unescape(text).ok()?.into_owned()
    } else if text.starts_with('%') {
        percent_decode_str(&text.replace('+', " ")).decode_utf8().ok()?.into_owned()
    } else {
        return None;
    };
    Some(inner.trim().to_owned())
}

fn read(element: &Element) -> Option<Cookie> {
    Some(Cookie {
        page: element.get("page")?.parse().ok()?,
        seal: element.get("mac")?.to_owned(),
        columns: element.children.iter().map(read_column).collect::<Option<_>>()?,
    })
}

fn read_column(element: &Element) -> Option<CookieColumn> {
    Some(CookieColumn {
        name: element.name.clone(),
        last: read_value(element, "last", "lastnull")?,
        first: read_value(element, "first", "firstnull")?,
    })
}

/// The outer `None` is an error.
fn read_value(element: &Element, name: &str, null: &str) -> Option<Option<String>> {
    match (element.get(name), element.get(null)) {
        (Some(text), None) => Some(Some(percent_decode_str(text).decode_utf8().ok()?.into_owned())),
        (None, Some("1")) => Some(None),
        _ => None,
    }
}

fn push_value(out: &mut String, name: &str, value: Option<&str>) {
    out.push(' ');
    out.push_str(name);
    let Some(value) = value else {
        out.push_str("null=\"1\"");
        return;
    };
    out.push_str("=\"");
    for it in value.chars() {
        if it.is_alphanumeric() || PLAIN.contains(it) {
            out.push(it);
        } else {
            out.extend(utf8_percent_encode(it.encode_utf8(&mut [0; 4]), NON_ALPHANUMERIC));
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn column(name: &str, last: Option<&str>, first: Option<&str>) -> CookieColumn {
        let owned = |it: Option<&str>| it.map(str::to_owned);
        CookieColumn { name: name.to_owned(), last: owned(last), first: owned(first) }
    }

    #[test]
    fn fx_08_a_cookie_has_the_documented_form() {
        let cookie = Cookie {
            page: 1,
            seal: "sg.abc".to_owned(),
            columns: vec![
                column("fullname", Some("Søren O'Brian & Co"), None),
                column("contactid", Some("{0000-AB}"), Some("{0000-AA}")),
            ],
        };
        let inner = cookie.inner();
        let expected = "<cookie page=\"1\" mac=\"sg.abc\">\
            <fullname last=\"Søren O%27Brian %26 Co\" firstnull=\"1\" />\
            <contactid last=\"{0000-AB}\" first=\"{0000-AA}\" /></cookie>";
        assert_eq!(inner, expected);
        let start = "<cookie pagenumber=\"2\" pagingcookie=\"%253Ccookie%2520page%253D%25221%2522";
        assert!(cookie.outer().starts_with(start), "{}", cookie.outer());
        assert!(cookie.outer().ends_with("\" istracking=\"False\" />"));
    }

    #[test]
    fn what_is_no_cookie_is_none() {
        for text in [
            "",
            "cookie",
            "%",
            "%25",
            "<cookie",
            "<cookie page=\"x\" mac=\"a\"></cookie>",
            "<cookie page=\"1\"></cookie>",
            "<cookie page=\"1\" mac=\"a\"><a last=\"1\" /></cookie>",
            "<cookie page=\"1\" mac=\"a\"><a last=\"%ff\" first=\"1\" /></cookie>",
            "<cookie pagenumber=\"2\" pagingcookie=\"\" istracking=\"False\" />",
        ] {
            assert_eq!(Cookie::parse(text), None, "{text}");
        }
        assert_eq!(Cookie::parse(&"%25".repeat(100_000)), None);
    }

    /// What `dynamics-web-api` does: everything but `&` is escaped.
    fn careless(text: &str) -> String {
        text.replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
    }

    fn decoded(text: &str) -> String {
        percent_decode_str(text).decode_utf8().unwrap().into_owned()
    }

    fn unescaped(text: &str) -> String {
        quick_xml::escape::unescape(text).unwrap().into_owned()
    }

    proptest! {
        #[test]
        fn fx_08_every_cookie_survives_what_clients_do(
            page in 1u32..,
            values in prop::collection::vec(
                (any::<Option<String>>(), any::<Option<String>>()), 0..4,
            ),
        ) {
            let columns = values.iter().map(|(a, b)| column("c", a.as_deref(), b.as_deref()));
            let cookie = Cookie { page, seal: "i.x-_".to_owned(), columns: columns.collect() };
            let outer = cookie.outer();
            let inside = outer.split('"').nth(3).unwrap().to_owned();
            let inner = decoded(&decoded(&inside));
            prop_assert_eq!(&inner, &cookie.inner());
            let bare = inner.clone();
            for sent in [
                inner,
                unescaped(&careless(&bare)),
                careless(&bare),
                decoded(&inside),
                decoded(&inside).replace("%20", "+"),
                decoded(&decoded(&outer)),
                inside,
                outer,
            ] {
                let read = Cookie::parse(&sent);
                prop_assert_eq!(read.as_ref(), Some(&cookie), "{}", sent);
            }
        }

        #[test]
        fn no_text_panics(text in any::<String>(), tail in "(%|%2|&lt;|<cookie page=|\"| ){0,9}") {
            let _ = Cookie::parse(&text);
            let _ = Cookie::parse(&tail);
        }
    }
}
