//! JSON with numbers kept as the digits that were written: amounts never become floating-point numbers.
//!
//! Stricter than JSON has to be: a name may stand once in an object, and nesting has a limit.

use std::collections::HashSet;

use serde_json::Deserializer;

/// How deep arrays and objects may be within each other.
const MAX_DEPTH: usize = 64;

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    /// As written.
    Number(String),
    Text(String),
    Array(Vec<Json>),
    Object(Object),
}

/// Members in the order they were written.
pub(super) type Object = Vec<(String, Json)>;

/// Why bytes are not JSON that is taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidJson {
    #[error("The body is no JSON: unexpected end or character at byte {0}.")]
    Syntax(usize),
    #[error("The property '{0}' is given twice in one object.")]
    Twice(String),
    #[error("Objects and arrays are within each other deeper than {MAX_DEPTH} levels.")]
    Deep,
}

impl Json {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, InvalidJson> {
        // Some clients begin with a byte order mark.
        let start = if bytes.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let mut reader = Reader { bytes, at: start, depth: 0 };
        let value = reader.value()?;
        match reader.next_token() {
            None => Ok(value),
            Some(_) => Err(reader.syntax()),
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// What it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a Boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
    depth: usize,
}

impl Reader<'_> {
    fn value(&mut self) -> Result<Json, InvalidJson> {
        match self.next_token() {
            Some(b'n') => self.word("null", Json::Null),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'"') => Ok(Json::Text(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'[') => self.nested(Self::array),
            Some(b'{') => self.nested(Self::object),
            _ => Err(self.syntax()),
        }
    }

    fn nested(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Json, InvalidJson>,
    ) -> Result<Json, InvalidJson> {
        if self.depth == MAX_DEPTH {
            return Err(InvalidJson::Deep);
        }
        self.depth += 1;
        self.at += 1;
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    /// Behind its bracket.
    fn array(&mut self) -> Result<Json, InvalidJson> {
        let mut items = Vec::new();
        if self.takes(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value()?);
            if self.takes(b']') {
                return Ok(Json::Array(items));
            }
            self.require(b',')?;
        }
    }

    /// Behind its brace.
    fn object(&mut self) -> Result<Json, InvalidJson> {
        let mut members = Object::new();
        let mut names = HashSet::new();
        if self.takes(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            self.next_token();
            let name = self.string()?;
            if !names.insert(name.clone()) {
                return Err(InvalidJson::Twice(name));
            }
            self.require(b':')?;
            members.push((name, self.value()?));
            if self.takes(b'}') {
                return Ok(Json::Object(members));
            }
            self.require(b',')?;
        }
    }

    fn word(&mut self, word: &str, value: Json) -> Result<Json, InvalidJson> {
        match self.rest().starts_with(word.as_bytes()) {
            true => {
                self.at += word.len();
                Ok(value)
            }
            false => Err(self.syntax()),
        }
    }

    fn string(&mut self) -> Result<String, InvalidJson> {
        let mut values = Deserializer::from_slice(self.rest()).into_iter::<String>();
        let (text, length) = (values.next(), values.byte_offset());
        let text = text.and_then(Result::ok).ok_or_else(|| self.syntax())?;
        self.at += length;
        Ok(text)
    }

    /// `-12.50e+3`.
    fn number(&mut self) -> Result<Json, InvalidJson> {
        let start = self.at;
        self.skip(b"-");
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.skip(b".") {
            self.digits()?;
        }
        if self.skip(b"eE") {
            self.skip(b"+-");
            self.digits()?;
        }
        let text = self.bytes.get(start..self.at).unwrap_or_default();
        Ok(Json::Number(String::from_utf8_lossy(text).into_owned()))
    }

    fn digits(&mut self) -> Result<(), InvalidJson> {
        let count = self.rest().iter().take_while(|it| it.is_ascii_digit()).count();
        self.at += count;
        if count == 0 { Err(self.syntax()) } else { Ok(()) }
    }

    fn skip(&mut self, any_of: &[u8]) -> bool {
        let found = self.peek().is_some_and(|it| any_of.contains(&it));
        self.at += usize::from(found);
        found
    }

    fn takes(&mut self, token: u8) -> bool {
        let found = self.next_token() == Some(token);
        self.at += usize::from(found);
        found
    }

    fn require(&mut self, token: u8) -> Result<(), InvalidJson> {
        if self.takes(token) { Ok(()) } else { Err(self.syntax()) }
    }

    /// Skips white space.
    fn next_token(&mut self) -> Option<u8> {
        let white = |it: &&u8| matches!(it, b' ' | b'\t' | b'\r' | b'\n');
        self.at += self.rest().iter().take_while(white).count();
        self.peek()
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn syntax(&self) -> InvalidJson {
        InvalidJson::Syntax(self.at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::IgnoredAny;

    use super::*;

    proptest! {
        #[test]
        fn what_is_taken_is_json(text in r#"[\[\]{}:,"a\\u0-9.eE+\- tfn]{0,24}"#) {
            if Json::parse(text.as_bytes()).is_ok() {
                prop_assert!(serde_json::from_str::<IgnoredAny>(&text).is_ok(), "{text}");
            }
        }

        #[test]
        fn any_bytes_end_in_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Json::parse(&bytes);
        }

        #[test]
        fn json_is_taken(numbers in prop::collection::vec(any::<i64>(), 0..8), text in ".{0,16}") {
            let value = serde_json::json!({ "a": numbers, "b": { "c": text } });
            prop_assert!(Json::parse(value.to_string().as_bytes()).is_ok());
        }
    }

    fn number(text: &str) -> Json {
        Json::Number(text.into())
    }

    #[test]
    fn values_are_what_was_written() {
        let check = |text: &str, expected: Json| {
            assert_eq!(Json::parse(text.as_bytes()), Ok(expected), "{text}")
        };
        check(" null ", Json::Null);
        check("true", Json::Bool(true));
        for digits in ["0", "-0", "12345678901234567890.10", "1e400", "1.50E-3", "-7e+2"] {
            check(digits, number(digits));
        }
        check("\"a\\n\\u00e9\\\"\"", Json::Text("a\né\"".into()));
        check("[]", Json::Array(vec![]));
        check("[1 ,\n2]", Json::Array(vec![number("1"), number("2")]));
        check("{ }", Json::Object(vec![]));
        check("\u{feff}{\"a\":{\"b\":[false]}}", {
            let inner = Json::Array(vec![Json::Bool(false)]);
            Json::Object(vec![("a".into(), Json::Object(vec![("b".into(), inner)]))])
        });
    }

    #[test]
    fn what_is_no_json_is_refused() {
        let bad = [
            "",
            " ",
            "{",
            "[1",
            "[1,]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "01",
            "1.",
            ".5",
            "1e",
            "-",
            "+1",
            "NaN",
            "tru",
            "\"a",
            "\"\\x\"",
            "\"\\ud800\"",
            "\"\n\"",
            "1 2",
            "{}}",
            "'a'",
            "{\"a\":1 \"b\":2}",
            "[1}",
        ];
        for text in bad {
            assert!(matches!(Json::parse(text.as_bytes()), Err(InvalidJson::Syntax(_))), "{text}");
        }
        assert!(Json::parse(b"\"\xff\"").is_err());
        let twice = Json::parse(b"{\"a\":[{\"b\":1,\"\\u0062\":2}]}");
        assert_eq!(twice, Err(InvalidJson::Twice("b".into())));
    }

    #[test]
    fn nesting_has_a_limit() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(Json::parse(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert_eq!(Json::parse(nested(MAX_DEPTH + 1).as_bytes()), Err(InvalidJson::Deep));
        assert_eq!(Json::parse("[".repeat(1_000_000).as_bytes()), Err(InvalidJson::Deep));
        let siblings = format!("[{}[]]", "[],".repeat(1_000));
        assert!(Json::parse(siblings.as_bytes()).is_ok());
    }
}
