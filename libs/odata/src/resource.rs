//! Resource paths: what stands between `/api/data/v9.2/` and the question mark.

use uuid::Uuid;

use crate::literal::{self, Literal};
use crate::parser::{Aliases, parse_list, parse_literal};
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
    /// Pairs of which some can only be the arguments of a function, not yet understood: `null`, a
    /// list, an object, or an alias. See [`Key::parameters`].
    Parameters(Vec<(String, String)>),
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

/// What a function is given in a URL.
#[derive(Clone, Debug, PartialEq)]
pub enum Parameter {
    /// A constant; null for an alias without a value.
    Literal(Literal),
    /// `["a",1]`.
    List(Vec<Literal>),
    /// An object, or a list of something else than constants, as written.
    Json(String),
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
            Self::Single(_)
            | Self::Absent
            | Self::Empty
            | Self::Named(_)
            | Self::Parameters(_)
            | Self::Malformed(_) => None,
        }
    }

    /// The arguments of a function, with aliases put in place; none, if this is not what stands
    /// there.
    #[must_use]
    pub fn parameters(&self, aliases: &Aliases) -> Option<Vec<(String, Parameter)>> {
        match self {
            Self::Absent | Self::Empty => Some(Vec::new()),
            Self::Named(pairs) => {
                Some(pairs.iter().map(|(name, it)| (name.clone(), it.clone().into())).collect())
            }
            Self::Parameters(pairs) => pairs
                .iter()
                .map(|(name, text)| Some((name.clone(), Parameter::parse(text, Some(aliases))?)))
                .collect(),
            Self::Single(_) | Self::Malformed(_) => None,
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
        let pairs = split_pairs(text).into_iter().map(pair).collect::<Option<Vec<_>>>();
        let Some(pairs) = pairs else { return Self::Malformed(text.to_owned()) };
        let key = pairs.iter().map(|(name, text)| {
            let value = parse_literal(text).ok().filter(|it| *it != Literal::Null)?;
            Some(((*name).to_owned(), value))
        });
        if let Some(key) = key.collect() {
            return Self::Named(key);
        }
        if pairs.iter().any(|(_, text)| Parameter::parse(text, None).is_none()) {
            return Self::Malformed(text.to_owned());
        }
        let owned = |(name, text): (&str, &str)| (name.to_owned(), text.to_owned());
        Self::Parameters(pairs.into_iter().map(owned).collect())
    }
}

impl From<Literal> for Parameter {
    fn from(value: Literal) -> Self {
        Self::Literal(value)
    }
}

impl Parameter {
    /// Without aliases, only tells whether the text can be a parameter.
    fn parse(text: &str, aliases: Option<&Aliases>) -> Option<Self> {
        if let Some(alias) = text.strip_prefix('@') {
            let Some(aliases) = aliases else {
                return is_name(alias).then_some(Self::Literal(Literal::Null));
            };
            let Some(text) = aliases.get(alias) else { return Some(Literal::Null.into()) };
            // Aliases do not name each other.
            let text = text.trim();
            return if text.starts_with('@') { None } else { Self::parse(text, None) };
        }
        if let Ok(literal) = parse_literal(text) {
            return Some(literal.into());
        }
        if let Ok(items) = parse_list(text) {
            return Some(Self::List(items));
        }
        let braced = (text.starts_with('{') && text.ends_with('}'))
            || (text.starts_with('[') && text.ends_with(']'));
        braced.then(|| Self::Json(text.to_owned()))
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

/// `name=value`.
fn pair(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    (is_name(name) && !value.is_empty()).then_some((name, value))
}

fn is_name(text: &str) -> bool {
    let plain = |it: char| it == '_' || it == '.' || it.is_alphanumeric();
    !text.is_empty() && text.chars().all(plain)
}

/// What is open at a place in a text.
#[derive(Default)]
struct Nesting {
    brackets: usize,
    quote: Option<char>,
    escaped: bool,
}

impl Nesting {
    fn pass(&mut self, next: char) {
        match (self.quote, next) {
            (Some('"'), _) if self.escaped => self.escaped = false,
            (Some('"'), '\\') => self.escaped = true,
            (Some(quote), _) if quote == next => self.quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => self.quote = Some(next),
            (None, '(' | '[' | '{') => self.brackets += 1,
            (None, ')' | ']' | '}') => self.brackets = self.brackets.saturating_sub(1),
            (None, _) => {}
        }
    }

    fn is_open(&self) -> bool {
        self.brackets > 0 || self.quote.is_some()
    }
}

/// Splits an encoded path at the slashes that do not stand in parentheses. Outside of them, quotes
/// are letters like any other.
fn split_segments(path: &str) -> Vec<&str> {
    let mut segments = Vec::new();
    let mut start = 0;
    let mut nesting = Nesting::default();
    for (at, byte) in path.bytes().enumerate() {
        let next = match path.get(at..at + 3) {
            Some("%27") => '\'',
            Some("%22") => '"',
            Some("%28") => '(',
            Some("%29") => ')',
            Some("%5C" | "%5c") => '\\',
            _ => char::from(byte),
        };
        if next == '/' && !nesting.is_open() {
            segments.push(path.get(start..at).unwrap_or_default());
            start = at + 1;
        } else if nesting.is_open() || next == '(' {
            nesting.pass(next);
        }
    }
    segments.push(path.get(start..).unwrap_or_default());
    segments
}

/// Splits at the commas that stand neither in quotes nor in brackets.
fn split_pairs(text: &str) -> Vec<&str> {
    let mut nesting = Nesting::default();
    text.split(|it: char| {
        let between = it == ',' && !nesting.is_open();
        nesting.pass(it);
        between
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
        let parameters = Key::Parameters(vec![("n".into(), "null".into())]);
        check("a(n=null)", named("a", parameters, vec![]));
        check("a(abc)", named("a", Key::Malformed("abc".into()), vec![]));
        check("a('x'", named("a", Key::Malformed("'x'".into()), vec![]));
        check("a//b", Err(PathError::EmptySegment));
        check("(5)", Err(PathError::EmptySegment));
        check("a(%FF)", Err(PathError::Encoding(InvalidEncoding)));
    }

    #[test]
    fn what_follows_a_record_is_a_list_of_segments() {
        let tail = |name: &str, key| Tail::Name { name: name.into(), key };
        let id = Key::Single(Literal::Guid(Uuid::from_u128(0xab)));
        let of = |path: &str| match Resource::parse(&format!("a({ID})/{path}")) {
            Ok(Resource::Named { name, key, tail }) if name == "a" && key == id => tail,
            other => panic!("{path}: {other:?}"),
        };
        let absent = |name: &str| tail(name, Key::Absent);
        assert_eq!(of("nav"), [absent("nav")]);
        assert_eq!(of("nav/prop/"), [absent("nav"), absent("prop")]);
        assert_eq!(of(&format!("coll({ID})/$ref")), [tail("coll", id.clone()), Tail::Ref]);
        assert_eq!(of("coll/$count"), [absent("coll"), Tail::Count]);
        assert_eq!(of("prop/%24value"), [absent("prop"), Tail::Value]);
        assert_eq!(of("N.S.Cast/o''n"), [absent("N.S.Cast"), absent("o''n")]);
        assert_eq!(of("N.S.F()"), [tail("N.S.F", Key::Empty)]);
        let key = pairs(&[("A", text("x/y"))]);
        assert_eq!(of("N.F(A='x/y')/z"), [tail("N.F", key), absent("z")]);
        let name = pairs(&[("LogicalName", text("account"))]);
        let path = "EntityDefinitions(LogicalName='account')/Attributes/N.Picklist";
        let tail = vec![absent("Attributes"), absent("N.Picklist")];
        assert_eq!(Resource::parse(path), named("EntityDefinitions", name, tail));
        let member = Literal::Enum { type_name: "N.E".into(), member: "A".into() };
        assert_eq!(Resource::parse("f(E=N.E'A')"), named("f", pairs(&[("E", member)]), vec![]));
    }

    #[test]
    fn functions_take_what_keys_cannot() {
        let aliases = Aliases::from([
            ("b".to_owned(), "'it''s'".to_owned()),
            ("t".to_owned(), "{'@odata.id':'accounts(1)'}".to_owned()),
            ("l".to_owned(), "[\"a,b\",2]".to_owned()),
            ("loop".to_owned(), "@b".to_owned()),
            ("bad".to_owned(), "x y".to_owned()),
        ]);
        let of = |path: &str| match Resource::parse(path) {
            Ok(Resource::Named { key, tail, .. }) if tail.is_empty() => key.parameters(&aliases),
            other => panic!("{path}: {other:?}"),
        };
        let check = |path: &str, expected: &[(&str, Parameter)]| {
            let expected = expected.iter().map(|(name, it)| ((*name).to_owned(), it.clone()));
            assert_eq!(of(path), Some(expected.collect::<Vec<_>>()), "{path}");
        };
        let json = |it: &str| Parameter::Json(it.to_owned());
        check("F", &[]);
        check("F()", &[]);
        check("F(A='x',B=@b)", &[("A", text("x").into()), ("B", text("it's").into())]);
        check(
            "F(A=@missing, B = null )",
            &[("A", Literal::Null.into()), ("B", Literal::Null.into())],
        );
        check("F(T=@t)", &[("T", json("{'@odata.id':'accounts(1)'}"))]);
        check("F(T={\"a\":\"x/y,)('\\\"\"})", &[("T", json("{\"a\":\"x/y,)('\\\"\"}"))]);
        check("F(T=%7B%22a%22:%22/%22%7D)", &[("T", json("{\"a\":\"/\"}"))]);
        check(
            "F(L=@l)",
            &[("L", Parameter::List(vec![text("a,b"), Literal::Integer("2".into())]))],
        );
        check("F(L=[],M=[{},{}])", &[("L", Parameter::List(vec![])), ("M", json("[{},{}]"))]);
        for bad in
            ["F(1)", "F(@b)", "F(A=@loop)", "F(A=@bad)", "F(A=)", "F(A=x)", "F(A=@)", "F(=1)"]
        {
            assert_eq!(of(bad), None, "{bad}");
        }
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
