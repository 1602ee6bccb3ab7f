//! Predicates of row policies: SQL with named values, taken apart so that each value is bound where its
//! name stands, and nothing that only looks like a name, in a string or a quoted identifier, is touched.

use std::collections::BTreeSet;
use std::fmt;
use std::iter::Peekable;
use std::str::CharIndices;

/// A predicate that is one expression, whatever it is put between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Predicate {
    pieces: Vec<Piece>,
    qualifiers: BTreeSet<String>,
}

/// A part of a predicate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// SQL as it stands, without comments.
    Sql(String),
    /// A value that is bound here.
    Value(Variable),
}

/// What is known of the user whom a policy binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variable {
    /// `:user`, text: the ERP's own id of the user.
    User,
    /// `:companies`, an array of text: the user's legal entities; null for all.
    Companies,
    /// `:roles`, an array of text: the roles that the user holds.
    Roles,
    /// `:contact`, a uuid: the portal contact that the user stands for; null for others.
    Contact,
}

/// Why a text is no predicate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidPredicate(String);

impl Variable {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::User, Self::Companies, Self::Roles, Self::Contact];

    /// Without the colon.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Companies => "companies",
            Self::Roles => "roles",
            Self::Contact => "contact",
        }
    }
}

// === impl Predicate ===

impl Predicate {
    /// Takes a predicate apart.
    ///
    /// # Errors
    ///
    /// When it could end, or be more than, one expression, or names a value that there is not.
    pub fn parse(text: &str) -> Result<Self, InvalidPredicate> {
        let mut reader = Reader::new(text);
        reader.read()?;
        reader.flush();
        let Reader { pieces, qualifiers, is_blank, .. } = reader;
        if is_blank {
            return refused("it is empty");
        }
        Ok(Self { pieces, qualifiers })
    }

    /// Its parts, in order.
    pub fn pieces(&self) -> impl Iterator<Item = &Piece> {
        self.pieces.iter()
    }

    /// Whether columns of a source with this alias may be spoken of.
    #[must_use]
    pub fn speaks_of(&self, alias: &str) -> bool {
        self.qualifiers.contains(alias)
    }
}

struct Reader<'t> {
    text: &'t str,
    rest: Peekable<CharIndices<'t>>,
    sql: String,
    pieces: Vec<Piece>,
    /// What stands before a dot.
    qualifiers: BTreeSet<String>,
    /// The identifier that was read last, if nothing came after it.
    last: Option<String>,
    /// Brackets that are open.
    open: Vec<char>,
    is_blank: bool,
}

impl<'t> Reader<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            text,
            rest: text.char_indices().peekable(),
            sql: String::with_capacity(text.len()),
            pieces: Vec::new(),
            qualifiers: BTreeSet::new(),
            last: None,
            open: Vec::new(),
            is_blank: true,
        }
    }

    fn read(&mut self) -> Result<(), InvalidPredicate> {
        while let Some((at, it)) = self.rest.next() {
            match it {
                '\0' | ';' => return refused(format!("`{}` cannot be in it", it.escape_default())),
                it if it.is_whitespace() => {
                    self.sql.push(' ');
                    continue;
                }
                '-' if self.takes('-') => {
                    while self.rest.next_if(|it| it.1 != '\n').is_some() {}
                    self.sql.push(' ');
                    continue;
                }
                '/' if self.takes('*') => {
                    self.skip_comment()?;
                    self.sql.push(' ');
                    continue;
                }
                _ => self.token(at, it)?,
            }
            self.is_blank = false;
        }
        match self.open.last() {
            Some(it) => refused(format!("`{it}` is not closed")),
            None => Ok(()),
        }
    }

    fn token(&mut self, at: usize, it: char) -> Result<(), InvalidPredicate> {
        let last = self.last.take();
        match it {
            '\'' => self.quoted('\'', false)?,
            '"' => {
                self.quoted('"', false)?;
                let inner = self.text.get(at + 1..self.at().saturating_sub(1)).unwrap_or_default();
                self.last = Some(inner.replace("\"\"", "\""));
            }
            '$' => self.dollar(at)?,
            ':' => self.colon()?,
            '(' | '[' => {
                self.open.push(it);
                self.sql.push(it);
            }
            ')' | ']' => {
                if self.open.pop() != Some(if it == ')' { '(' } else { '[' }) {
                    return refused(format!("`{it}` closes nothing"));
                }
                self.sql.push(it);
            }
            '.' => {
                self.qualifiers.extend(last);
                self.sql.push('.');
            }
            it if it.is_ascii_digit() => {
                self.sql.push(it);
                self.take_while(|it| it.is_ascii_alphanumeric() || it == '_' || it == '.');
            }
            it if is_name_start(it) => {
                self.sql.push(it);
                self.take_while(is_name);
                let name = self.text.get(at..self.at()).unwrap_or_default();
                // Only there does a backslash keep a quote from being the end.
                if name.eq_ignore_ascii_case("e") && self.takes('\'') {
                    self.quoted('\'', true)?;
                } else {
                    self.last = Some(name.to_ascii_lowercase());
                }
            }
            it => self.sql.push(it),
        }
        Ok(())
    }

    /// `:name`, or `::type`, which is a cast.
    fn colon(&mut self) -> Result<(), InvalidPredicate> {
        if self.takes(':') {
            self.sql.push_str("::");
            return Ok(());
        }
        let start = self.at();
        if self.rest.next_if(|it| is_name_start(it.1)).is_none() {
            self.sql.push(':');
            return Ok(());
        }
        while self.rest.next_if(|it| is_name(it.1)).is_some() {}
        let name = self.text.get(start..self.at()).unwrap_or_default();
        let Some(variable) = Variable::ALL.into_iter().find(|it| it.name() == name) else {
            let known = Variable::ALL.map(|it| format!(":{}", it.name())).join(", ");
            return refused(format!("`:{name}` is none of {known}"));
        };
        self.flush();
        self.pieces.push(Piece::Value(variable));
        Ok(())
    }

    /// The rest of a string or a quoted identifier, whose first quote was read.
    fn quoted(&mut self, quote: char, has_escapes: bool) -> Result<(), InvalidPredicate> {
        self.sql.push(quote);
        while let Some((_, it)) = self.rest.next() {
            if it == '\0' {
                break;
            }
            self.sql.push(it);
            if has_escapes && it == '\\' {
                self.sql.extend(self.rest.next().map(|it| it.1));
            } else if it == quote {
                // A doubled one stands for itself.
                if !self.takes(quote) {
                    return Ok(());
                }
                self.sql.push(quote);
            }
        }
        refused(format!("`{quote}` is not closed"))
    }

    /// `$tag$…$tag$`.
    fn dollar(&mut self, at: usize) -> Result<(), InvalidPredicate> {
        let rest = self.text.get(at + 1..).unwrap_or_default();
        let tag = rest.split_once('$').map(|it| it.0);
        let is_tag =
            |it: &&str| it.chars().next().is_none_or(is_name_start) && it.chars().all(is_name);
        let Some(tag) = tag.filter(is_tag) else {
            return refused("`$` stands for no value here; values have names, such as `:user`");
        };
        let mark = format!("${tag}$");
        let inner = rest.get(tag.len() + 1..).unwrap_or_default();
        let Some((inner, _)) = inner.split_once(&mark) else {
            return refused(format!("`{mark}` is not closed"));
        };
        let end = at + mark.len() * 2 + inner.len();
        self.sql.push_str(self.text.get(at..end).unwrap_or_default());
        while self.rest.next_if(|it| it.0 < end).is_some() {}
        Ok(())
    }

    /// The rest of a comment; those within it have ends of their own.
    fn skip_comment(&mut self) -> Result<(), InvalidPredicate> {
        let mut depth = 1_usize;
        while let Some((_, it)) = self.rest.next() {
            match it {
                '/' if self.takes('*') => depth += 1,
                '*' if self.takes('/') => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Ok(());
            }
        }
        refused("`/*` is not closed")
    }

    fn takes(&mut self, wanted: char) -> bool {
        self.rest.next_if(|it| it.1 == wanted).is_some()
    }

    fn take_while(&mut self, is_wanted: impl Fn(char) -> bool) {
        while let Some((_, it)) = self.rest.next_if(|it| is_wanted(it.1)) {
            self.sql.push(it);
        }
    }

    /// Where the next character stands.
    fn at(&mut self) -> usize {
        self.rest.peek().map_or(self.text.len(), |it| it.0)
    }

    fn flush(&mut self) {
        let sql = std::mem::take(&mut self.sql);
        if !sql.is_empty() {
            self.pieces.push(Piece::Sql(sql));
        }
    }
}

fn is_name_start(it: char) -> bool {
    it.is_ascii_alphabetic() || it == '_' || !it.is_ascii()
}

fn is_name(it: char) -> bool {
    is_name_start(it) || it.is_ascii_digit() || it == '$'
}

fn refused<T>(why: impl Into<String>) -> Result<T, InvalidPredicate> {
    Err(InvalidPredicate(why.into()))
}

impl fmt::Display for Predicate {
    /// With the values' names.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.pieces {
            match piece {
                Piece::Sql(it) => f.write_str(it)?,
                Piece::Value(it) => write!(f, ":{}", it.name())?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values(text: &str) -> Vec<&'static str> {
        let predicate = Predicate::parse(text).unwrap();
        let values = predicate.pieces().filter_map(|it| match it {
            Piece::Value(it) => Some(it.name()),
            Piece::Sql(_) => None,
        });
        values.collect()
    }

    #[test]
    fn values_are_found_where_they_are_values() {
        let check = |text: &str, expected: &[&str]| assert_eq!(values(text), expected, "{text}");
        check("a = :user", &["user"]);
        check(
            "a=:user AND b = ANY(:companies) OR :contact IS NULL",
            &["user", "companies", "contact"],
        );
        check("a::text = :user::text", &["user"]);
        check("a = ':user' OR b = 'it''s :user' OR c = :roles[1]", &["roles"]);
        check("\":user\" = \"a\"\":user\"", &[]);
        check("a = $$:user ; ) $1$$ OR b = $x$ $$ :user $x$ OR c = :user", &["user"]);
        check(
            "a = E'\\':user' OR b = 1 -- :user ; )\n OR c /* ' :user /* nested */ ; */ = :user",
            &["user"],
        );
        check("a = 'no escape\\' OR b = :user", &["user"]);
        check("f(x := 1) AND a[1:2] = b", &[]);
    }

    #[test]
    fn comments_cannot_reach_beyond() {
        let predicate = Predicate::parse("a = :user -- the user's own").unwrap();
        assert_eq!(predicate.to_string().trim_end(), "a = :user");
        assert_eq!(Predicate::parse("a/**/b").unwrap().to_string(), "a b");
    }

    #[test]
    fn what_is_no_single_expression_is_refused() {
        for text in [
            "",
            "  -- nothing",
            "a; b",
            "a) OR (b",
            "(a",
            "a[1)",
            "a = $1",
            "a = $",
            "a = :nobody",
            "a = :USER",
            "'a",
            "\"a",
            "$x$ a",
            "/* a",
            "/* /* */",
            "E'\\'",
            "a\0",
            "'\0'",
            "a = :users",
        ] {
            assert!(Predicate::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sources_are_known_by_their_aliases() {
        let predicate = Predicate::parse(
            "CUST.a = 1 AND \"Party\" . b = 'x.y' AND EXISTS (SELECT 1 FROM erp.t)",
        );
        let predicate = predicate.unwrap();
        let spoken: Vec<_> = ["cust", "Party", "party", "erp", "x", "b", "t"]
            .map(|it| predicate.speaks_of(it))
            .into();
        assert_eq!(spoken, [true, true, false, true, false, false, false]);
    }

    proptest! {
        #[test]
        fn any_text_is_a_predicate_or_none(text in "[a-eE$:;'\"()\\[\\]/*\\\\.u\\-\n 1é]{0,24}") {
            if let Ok(predicate) = Predicate::parse(&text) {
                let again = Predicate::parse(&predicate.to_string()).unwrap();
                prop_assert_eq!(again.to_string(), predicate.to_string());
                // Whatever stands around it stays around it.
                let around = format!("({predicate}) AND (x)");
                prop_assert!(Predicate::parse(&around).is_ok());
            }
        }
    }
}
