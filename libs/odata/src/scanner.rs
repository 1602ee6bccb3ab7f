//! Reads tokens from decoded text: names, quoted strings, numbers, GUIDs and dates.

use crate::literal::{self, Literal};

/// A position in a text. Every method that reads leaves the position alone when it finds nothing.
#[derive(Clone, Debug)]
pub(crate) struct Scanner<'a> {
    pub(crate) text: &'a str,
    pub(crate) at: usize,
}

/// Nothing that could stand at this byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unexpected(pub(crate) usize);

pub(crate) type Scan<T> = Result<T, Unexpected>;

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(crate) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    pub(crate) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(crate) fn skip_space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
    }

    pub(crate) fn eat(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    pub(crate) fn expect(&mut self, wanted: char) -> Scan<()> {
        if self.eat(wanted) { Ok(()) } else { Err(self.unexpected()) }
    }

    pub(crate) fn unexpected(&self) -> Unexpected {
        Unexpected(self.at)
    }

    pub(crate) fn at_end(&self) -> bool {
        self.rest().is_empty()
    }

    /// The name at this position, without reading it. With dots, every part is a name.
    pub(crate) fn peek_name(&self) -> Option<&'a str> {
        let rest = self.rest();
        if !rest.starts_with(|it: char| it == '_' || it == '$' || it.is_alphabetic()) {
            return None;
        }
        let tail = rest.trim_start_matches(is_name_char);
        // `$` begins a name but is not part of one.
        let tail = if rest.starts_with('$') {
            rest.get(1..)?.trim_start_matches(is_name_char)
        } else {
            tail
        };
        let name = rest.get(..rest.len() - tail.len())?;
        let begins = |part: &str| part.starts_with(|it: char| it == '_' || it.is_alphabetic());
        name.strip_prefix('$').unwrap_or(name).split('.').all(begins).then_some(name)
    }

    /// A name, with dots if it has a namespace.
    pub(crate) fn name(&mut self) -> Scan<&'a str> {
        let name = self.peek_name().ok_or_else(|| self.unexpected())?;
        self.at += name.len();
        Ok(name)
    }

    /// Reads this word, if it stands here and ends here.
    pub(crate) fn eat_word(&mut self, word: &str) -> bool {
        let found = self.peek_name() == Some(word);
        if found {
            self.at += word.len();
        }
        found
    }

    /// Reads exactly this, if no name goes on behind it.
    pub(crate) fn eat_text(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text) && self.ends_after(text.len());
        if found {
            self.at += text.len();
        }
        found
    }

    /// A constant that begins with a quote, a digit, a sign or a GUID's first letter.
    pub(crate) fn constant(&mut self) -> Scan<Option<Literal>> {
        match self.peek() {
            Some('\'') => self.quoted().map(|it| Some(Literal::String(it))),
            Some('-') if self.rest().starts_with("-INF") && self.ends_after(4) => {
                self.at += 4;
                Ok(Some(Literal::Double("-INF".to_owned())))
            }
            Some(it) if matches!(it, '-' | '+') || it.is_ascii_alphanumeric() => {
                if let Some(id) = self.guid() {
                    return Ok(Some(id));
                }
                if it.is_ascii_alphabetic() {
                    return Ok(None);
                }
                match self.moment()? {
                    Some(moment) => Ok(Some(moment)),
                    None => self.number().map(Some),
                }
            }
            _ => Ok(None),
        }
    }

    /// `'it''s'`.
    pub(crate) fn quoted(&mut self) -> Scan<String> {
        let mut text = String::new();
        let mut next = self.clone();
        next.expect('\'')?;
        loop {
            let rest = next.rest();
            let Some((before, _)) = rest.split_once('\'') else {
                return Err(Unexpected(self.text.len()));
            };
            text.push_str(before);
            next.at += before.len() + 1;
            if !next.eat('\'') {
                break;
            }
            text.push('\'');
        }
        self.at = next.at;
        Ok(text)
    }

    fn guid(&mut self) -> Option<Literal> {
        let candidate = self.rest().get(..36)?;
        let id = literal::guid(candidate)?;
        self.ends_after(36).then(|| {
            self.at += 36;
            Literal::Guid(id)
        })
    }

    fn moment(&mut self) -> Scan<Option<Literal>> {
        let rest = self.rest();
        let digits = rest.len() - rest.trim_start_matches(|it: char| it.is_ascii_digit()).len();
        if !matches!((digits, rest.as_bytes().get(digits)), (4, Some(b'-')) | (2, Some(b':'))) {
            return Ok(None);
        }
        let tail = rest.trim_start_matches(|it: char| {
            it.is_ascii_alphanumeric() || matches!(it, '-' | ':' | '.' | '+')
        });
        let word = rest.get(..rest.len() - tail.len()).unwrap_or("");
        let value = literal::date(word)
            .map(Literal::Date)
            .or_else(|| literal::date_time(word).map(Literal::DateTime))
            .or_else(|| literal::time(word).map(Literal::TimeOfDay));
        let value = value.ok_or_else(|| self.unexpected())?;
        self.at += word.len();
        Ok(Some(value))
    }

    fn number(&mut self) -> Scan<Literal> {
        let rest = self.rest();
        let bytes = rest.as_bytes();
        let digits =
            |from: usize| bytes.iter().skip(from).take_while(|it| it.is_ascii_digit()).count();
        let sign = usize::from(matches!(bytes.first(), Some(b'-' | b'+')));
        let whole = digits(sign);
        if whole == 0 {
            return Err(self.unexpected());
        }
        let mut end = sign + whole;
        let mut build: fn(String) -> Literal = Literal::Integer;
        if bytes.get(end) == Some(&b'.') {
            let fraction = digits(end + 1);
            if fraction == 0 {
                return Err(Unexpected(self.at + end));
            }
            end += 1 + fraction;
            build = Literal::Decimal;
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let signed = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            let exponent = digits(end + 1 + signed);
            if exponent == 0 {
                return Err(Unexpected(self.at + end));
            }
            end += 1 + signed + exponent;
            build = Literal::Double;
        }
        if !self.ends_after(end) {
            return Err(Unexpected(self.at + end));
        }
        let digits = rest.get(..end).unwrap_or("").trim_start_matches('+').to_owned();
        self.at += end;
        Ok(build(digits))
    }

    /// No character that could continue a number or GUID follows.
    fn ends_after(&self, length: usize) -> bool {
        let next = self.rest().get(length..).and_then(|it| it.chars().next());
        !next.is_some_and(|it| is_name_char(it) || it == '-')
    }
}

fn is_name_char(it: char) -> bool {
    it == '_' || it == '.' || it.is_alphanumeric()
}
