//! Resource paths: what stands between `/api/data/v9.2/` and the question mark.

use uuid::Uuid;

use crate::literal::{self, Literal};
use crate::parser::parse_literal;
use crate::percent::{InvalidEncoding, decode_path};

/// What a path names.
#[derive(Clone, Debug, PartialEq)]
pub enum Resource {
    /// Nothing: the service document.
    Service,
    /// `$metadata`.
    Metadata,
    /// `$batch`.
    Batch,
    /// An entity set, a record of it, a function or an action; only metadata can tell.
    Named {
        /// The first segment, without its parentheses.
        name: String,
        /// What stands in its parentheses.
        key: Key,
        /// The segments behind it.
        tail: Vec<Tail>,
    },
}

/// What stands in parentheses behind a name.
#[derive(Clone, Debug, PartialEq)]
pub enum Key {
    /// There are no parentheses.
    Absent,
    /// `()`.
    Empty,
    /// One value without a name: the primary key.
    Single(Literal),
    /// `name=value` pairs in the order they were written.
    Named(Vec<(String, Literal)>),
    /// Something else, decoded.
    Malformed(String),
}

/// A segment behind the first.
#[derive(Clone, Debug, PartialEq)]
pub enum Tail {
    /// `$count`.
    Count,
    /// `$ref`.
    Ref,
    /// `$value`.
    Value,
    /// A property, a navigation or a bound function.
    Name {
        /// Without its parentheses.
        name: String,
        /// What stands in its parentheses.
        key: Key,
    },
}

/// A path that cannot be read at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Escapes that are no text.
    #[error(transparent)]
    Encoding(#[from] InvalidEncoding),
    /// Two slashes in a row, or parentheses without a name.
    #[error("The URL path has an empty segment.")]
    EmptySegment,
}

impl Resource {
    /// Reads an encoded path, relative to the service root. One slash at the end means nothing.
    ///
    /// # Errors
    ///
    /// When escapes are not text, or a segment is empty.
    pub fn parse(path: &str) -> Result<Self, PathError> {
        let path = path.strip_prefix('/').unwrap_or(path);
        let path = path.strip_suffix('/').unwrap_or(path);
        if path.is_empty() {
            return Ok(Self::Service);
        }
        let mut segments = split_segments(path).into_iter();
        let (name, key) = segment(segments.next().unwrap_or_default())?;
        let tail = segments.map(Tail::parse).collect::<Result<Vec<_>, _>>()?;
        Ok(match (name.as_str(), &key, tail.is_empty()) {
            ("$metadata", Key::Absent, true) => Self::Metadata,
            ("$batch", Key::Absent, true) => Self::Batch,
            _ => Self::Named { name, key, tail },
        })
    }
}

impl Key {
    /// The GUID, with or without the quotes that a generic client puts around it.
    #[must_use]
    pub fn guid(&self) -> Option<Uuid> {
        match self {
            Self::Single(Literal::Guid(id)) => Some(*id),
            Self::Single(Literal::String(text)) => literal::guid(text),
            Self::Single(_) | Self::Absent | Self::Empty | Self::Named(_) | Self::Malformed(_) => {
                None
            }
        }
    }

    fn parse(text: &str) -> Self {
        if text.trim().is_empty() {
            return Self::Empty;
        }
        if let Ok(literal) = parse_literal(text.trim()) {
            return match literal {
                Literal::Null => Self::Malformed(text.to_owned()),
                value => Self::Single(value),
            };
        }
        let pairs = split_outside_quotes(text, ',').into_iter().map(pair).collect::<Option<_>>();
        pairs.map_or_else(|| Self::Malformed(text.to_owned()), Self::Named)
    }
}

impl Tail {
    fn parse(raw: &str) -> Result<Self, PathError> {
        let (name, key) = segment(raw)?;
        Ok(match (name.as_str(), &key) {
            ("$count", Key::Absent) => Self::Count,
            ("$ref", Key::Absent) => Self::Ref,
            ("$value", Key::Absent) => Self::Value,
            _ => Self::Name { name, key },
        })
    }
}

fn segment(raw: &str) -> Result<(String, Key), PathError> {
    let text = decode_path(raw)?;
    let (name, key) = match text.split_once('(') {
        None => (text.as_ref(), Key::Absent),
        Some((name, rest)) => match rest.strip_suffix(')') {
            Some(inner) => (name, Key::parse(inner)),
            None => (name, Key::Malformed(rest.to_owned())),
        },
    };
    if name.is_empty() { Err(PathError::EmptySegment) } else { Ok((name.to_owned(), key)) }
}

/// `name=value`. A key has no null.
fn pair(text: &str) -> Option<(String, Literal)> {
    let (name, value) = text.split_once('=')?;
    let name = name.trim();
    let plain = |it: char| it == '_' || it == '.' || it.is_alphanumeric();
    let value = parse_literal(value.trim()).ok().filter(|it| *it != Literal::Null)?;
    (!name.is_empty() && name.chars().all(plain)).then(|| (name.to_owned(), value))
}

/// Splits an encoded path at the slashes that do not stand in a quoted key.
fn split_segments(path: &str) -> Vec<&str> {
    let mut segments = Vec::new();
    let (mut start, mut quoted, mut open) = (0, false, false);
    for (at, byte) in path.bytes().enumerate() {
        let quote = byte == b'\'' || path.get(at..at + 3) == Some("%27");
        match byte {
            _ if quote && open => quoted = !quoted,
            b'(' => open = true,
            b')' if !quoted => open = false,
            b'/' if !quoted => {
                segments.push(path.get(start..at).unwrap_or_default());
                start = at + 1;
                open = false;
            }
            _ => {}
        }
    }
    segments.push(path.get(start..).unwrap_or_default());
    segments
}

fn split_outside_quotes(text: &str, separator: char) -> Vec<&str> {
    let mut quoted = false;
    text.split(|it: char| {
        quoted ^= it == '\'';
        !quoted && it == separator
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "00000000-0000-0000-0000-0000000000ab";

    fn named(name: &str, key: Key, tail: Vec<Tail>) -> Result<Resource, PathError> {
        Ok(Resource::Named { name: name.into(), key, tail })
    }

    fn pairs(items: &[(&str, Literal)]) -> Key {
        Key::Named(items.iter().map(|(name, it)| ((*name).to_owned(), it.clone())).collect())
    }

    fn text(value: &str) -> Literal {
        Literal::String(value.into())
    }

    #[test]
    fn paths_read_as_resources() {
        let check = |path: &str, expected| assert_eq!(Resource::parse(path), expected, "{path}");
        let id = Key::Single(Literal::Guid(Uuid::from_u128(0xab)));
        check("", Ok(Resource::Service));
        check("/", Ok(Resource::Service));
        check("$metadata", Ok(Resource::Metadata));
        check("%24batch", Ok(Resource::Batch));
        check("accounts/", named("accounts", Key::Absent, vec![]));
        check("WhoAmI()", named("WhoAmI", Key::Empty, vec![]));
        check("accounts/$count", named("accounts", Key::Absent, vec![Tail::Count]));
        check(&format!("accounts({ID})"), named("accounts", id.clone(), vec![]));
        check(&format!("accounts({})", ID.to_uppercase()), named("accounts", id.clone(), vec![]));
        check(&format!("accounts(%7B{ID}%7D)/"), named("accounts", id.clone(), vec![]));
        let tail = Tail::Name { name: "name".into(), key: Key::Absent };
        check(&format!("a({ID})/name/$value"), named("a", id, vec![tail, Tail::Value]));
        let key = pairs(&[("code", text("a/b,c'd=(e)")), ("n", Literal::Integer("5".into()))]);
        check("a(code='a%2Fb%2Cc%27%27d=(e)',n=5)", named("a", key.clone(), vec![]));
        check("a(code='a/b,c''d=(e)', n=5)", named("a", key, vec![]));
        let key = pairs(&[("n", text("x + y"))]);
        check("a(n=%27x%20+%20y%27)/$ref", named("a", key, vec![Tail::Ref]));
        let key = pairs(&[("d", Literal::Date("2026-11-21".parse().unwrap()))]);
        check("a(d=2026-11-21)", named("a", key, vec![]));
        check("a(null)", named("a", Key::Malformed("null".into()), vec![]));
        check("a(n=null)", named("a", Key::Malformed("n=null".into()), vec![]));
        check("a(abc)", named("a", Key::Malformed("abc".into()), vec![]));
        check("a('x'", named("a", Key::Malformed("'x'".into()), vec![]));
        check("a//b", Err(PathError::EmptySegment));
        check("(5)", Err(PathError::EmptySegment));
        check("a(%FF)", Err(PathError::Encoding(InvalidEncoding)));
    }

    #[test]
    fn a_quoted_guid_is_a_primary_key() {
        assert_eq!(Key::parse(&format!("'{ID}'")).guid(), Some(Uuid::from_u128(0xab)));
        assert_eq!(Key::parse("'x'").guid(), None);
        assert_eq!(Key::parse("5").guid(), None);
    }

    proptest! {
        #[test]
        fn no_path_panics(path in any::<String>(), tail in "[()'/=,%27a$]{0,30}") {
            let _ = Resource::parse(&path);
            let _ = Resource::parse(&tail);
        }

        #[test]
        fn any_text_can_be_a_key(value in any::<String>()) {
            let raw = format!("a(k='{}')", value.replace('\'', "''"));
            let encoded = crate::percent::encode_query(&raw);
            let expected = named("a", pairs(&[("k", text(&value))]), vec![]);
            prop_assert_eq!(Resource::parse(&encoded), expected);
        }
    }
}
