//! What a CHECK over one column says of its values, read from the text that PostgreSQL prints.
//! Whatever is not understood says nothing.

/// What is known of every value that is not null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// It is one of these, in the order of the text.
    OneOf(Vec<String>),
    /// `value = upper(value)`.
    Upper,
    /// `value = lower(value)`.
    Lower,
}

/// Nobody writes deeper ones, and the parser calls itself for each.
const MAX_DEPTH: usize = 100;

/// The rules that hold together.
pub(crate) fn rules(expression: &str) -> Vec<Rule> {
    let Some(tokens) = tokenize(expression) else { return Vec::new() };
    if depth(&tokens) > MAX_DEPTH {
        return Vec::new();
    }
    let mut parser = Parser { tokens: &tokens };
    match parser.or() {
        Some(expr) if parser.tokens.is_empty() => meaning(expr),
        _ => Vec::new(),
    }
}

// === tokens ===

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// Unquoted and in lower case, or quoted.
    Word(String),
    Literal(String),
    /// `(`, `)`, `[`, `]`, `,`, `=`, `-` and `::` as `:`; anything else makes the text unknown.
    Symbol(char),
}

fn tokenize(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = match first {
            '\'' => {
                let (value, after) = quoted(rest, '\'')?;
                (Token::Literal(value), after)
            }
            'E' if rest.starts_with("E'") => {
                let (value, after) = quoted(rest.get(1..)?, '\'')?;
                (Token::Literal(value.replace("\\\\", "\\")), after)
            }
            '"' => {
                let (name, after) = quoted(rest, '"')?;
                (Token::Word(name), after)
            }
            ':' => (Token::Symbol(':'), rest.strip_prefix("::")?),
            '(' | ')' | '[' | ']' | ',' | '=' | '-' => (Token::Symbol(first), rest.get(1..)?),
            _ => word(rest)?,
        };
        tokens.push(token);
        rest = after.trim_start();
    }
    Some(tokens)
}

/// The text between two quotes, where a quote within is doubled.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = text.strip_prefix(quote)?;
    loop {
        let (before, after) = rest.split_once(quote)?;
        value.push_str(before);
        match after.strip_prefix(quote) {
            Some(more) => {
                value.push(quote);
                rest = more;
            }
            None => return Some((value, after)),
        }
    }
}

fn word(text: &str) -> Option<(Token, &str)> {
    let is_part = |it: char| it.is_alphanumeric() || matches!(it, '_' | '$' | '.');
    let end = text.find(|it| !is_part(it)).unwrap_or(text.len());
    let (word, after) = text.split_at_checked(end)?;
    let is_number = word.starts_with(|it: char| it.is_ascii_digit());
    let token = match word {
        "" => return None,
        _ if is_number => Token::Literal(word.to_owned()),
        _ => Token::Word(word.to_owned()),
    };
    Some((token, after))
}

fn depth(tokens: &[Token]) -> usize {
    let mut open = 0_usize;
    let depth_after = |it: &Token| {
        open = match it {
            Token::Symbol('(' | '[') => open.saturating_add(1),
            Token::Symbol(')' | ']') => open.saturating_sub(1),
            _ => open,
        };
        open
    };
    tokens.iter().map(depth_after).max().unwrap_or(0)
}

// === expressions ===

/// Casts are dropped: PostgreSQL adds them where it compares, and they change no value here.
#[derive(Debug, PartialEq, Eq)]
enum Expr {
    Column,
    Literal(String),
    Array(Vec<Expr>),
    Upper,
    Lower,
    IsNull,
    Equals(Box<Expr>, Box<Expr>),
    Or(Vec<Expr>),
    And(Vec<Expr>),
    /// Well formed, and of no interest.
    Unknown,
}

/// The check is over one column, so that any name of a value means it.
struct Parser<'a> {
    tokens: &'a [Token],
}

impl Parser<'_> {
    fn or(&mut self) -> Option<Expr> {
        let mut parts = vec![self.and()?];
        while self.keyword("OR") {
            parts.push(self.and()?);
        }
        if parts.len() == 1 { parts.pop() } else { Some(Expr::Or(parts)) }
    }

    fn and(&mut self) -> Option<Expr> {
        let mut parts = vec![self.comparison()?];
        while self.keyword("AND") {
            parts.push(self.comparison()?);
        }
        if parts.len() == 1 { parts.pop() } else { Some(Expr::And(parts)) }
    }

    fn comparison(&mut self) -> Option<Expr> {
        let left = self.value()?;
        if self.keyword("IS") {
            return self.keyword("NULL").then_some(Expr::IsNull);
        }
        if !self.symbol('=') {
            return Some(left);
        }
        // What follows ANY is an array, and what does not is none: no need to tell them apart.
        self.keyword("ANY");
        Some(Expr::Equals(Box::new(left), Box::new(self.value()?)))
    }

    fn value(&mut self) -> Option<Expr> {
        let negative = self.symbol('-');
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        let value = match first {
            Token::Literal(it) if negative => Expr::Literal(format!("-{it}")),
            Token::Literal(it) => Expr::Literal(it.clone()),
            Token::Symbol('(') => {
                let inner = self.or()?;
                self.expect(')')?;
                inner
            }
            Token::Word(it) if it == "ARRAY" && self.symbol('[') => Expr::Array(self.list(']')?),
            Token::Word(it) if self.symbol('(') => call(it, &self.list(')')?),
            Token::Word(_) => Expr::Column,
            Token::Symbol(_) => return None,
        };
        self.casts()?;
        Some(value)
    }

    fn list(&mut self, end: char) -> Option<Vec<Expr>> {
        let mut items = Vec::new();
        loop {
            items.push(self.or()?);
            if self.symbol(end) {
                return Some(items);
            }
            self.expect(',')?;
        }
    }

    /// `::character varying(3)[]`, any number of times.
    fn casts(&mut self) -> Option<()> {
        while self.symbol(':') {
            while let Some((Token::Word(it), rest)) = self.tokens.split_first()
                && !matches!(it.as_str(), "AND" | "OR" | "IS" | "ANY")
            {
                self.tokens = rest;
            }
            if self.symbol('(') {
                self.list(')')?;
            }
            while self.symbol('[') {
                self.expect(']')?;
            }
        }
        Some(())
    }

    fn keyword(&mut self, word: &str) -> bool {
        self.take(|it| matches!(it, Token::Word(it) if it == word))
    }

    fn symbol(&mut self, symbol: char) -> bool {
        self.take(|it| *it == Token::Symbol(symbol))
    }

    fn expect(&mut self, symbol: char) -> Option<()> {
        self.symbol(symbol).then_some(())
    }

    fn take(&mut self, is_wanted: impl Fn(&Token) -> bool) -> bool {
        match self.tokens.split_first() {
            Some((first, rest)) if is_wanted(first) => {
                self.tokens = rest;
                true
            }
            _ => false,
        }
    }
}

fn call(name: &str, arguments: &[Expr]) -> Expr {
    match (name, arguments) {
        ("upper", [Expr::Column]) => Expr::Upper,
        ("lower", [Expr::Column]) => Expr::Lower,
        _ => Expr::Unknown,
    }
}

// === meaning ===

fn meaning(expr: Expr) -> Vec<Rule> {
    match expr {
        Expr::And(parts) => parts.into_iter().flat_map(meaning).collect(),
        Expr::Equals(left, right) => match (*left, *right) {
            (Expr::Column, Expr::Upper) | (Expr::Upper, Expr::Column) => vec![Rule::Upper],
            (Expr::Column, Expr::Lower) | (Expr::Lower, Expr::Column) => vec![Rule::Lower],
            (left, right) => one_of(Expr::Equals(Box::new(left), Box::new(right)))
                .map_or_else(Vec::new, |it| vec![Rule::OneOf(it)]),
        },
        Expr::Or(parts) => {
            let mut parts: Vec<_> = parts.into_iter().filter(|it| *it != Expr::IsNull).collect();
            match parts.len() {
                1 => parts.pop().map_or_else(Vec::new, meaning),
                _ => {
                    let values: Option<Vec<_>> = parts.into_iter().map(one_of).collect();
                    let values = values.map(|it| it.concat()).filter(|it| !it.is_empty());
                    values.map_or_else(Vec::new, |it| vec![Rule::OneOf(it)])
                }
            }
        }
        _ => Vec::new(),
    }
}

/// The values that the column may equal.
fn one_of(expr: Expr) -> Option<Vec<String>> {
    let Expr::Equals(left, right) = expr else { return None };
    let literal = |it| match it {
        Expr::Literal(it) => Some(it),
        _ => None,
    };
    match (*left, *right) {
        (Expr::Column, Expr::Literal(it)) | (Expr::Literal(it), Expr::Column) => Some(vec![it]),
        (Expr::Column, Expr::Array(items)) => items.into_iter().map(literal).collect(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_of(values: &[&str]) -> Vec<Rule> {
        vec![Rule::OneOf(values.iter().map(|it| (*it).to_owned()).collect())]
    }

    #[test]
    fn lists_of_values_as_postgresql_prints_them() {
        let check = |text: &str, values: &[&str]| assert_eq!(rules(text), one_of(values), "{text}");
        check("(a = ANY (ARRAY['x'::text, 'it''s'::text]))", &["x", "it's"]);
        check(
            "((b)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying(3)])::text[]))",
            &["a", "b"],
        );
        check("(c = ANY (ARRAY[1, '-2'::integer]))", &["1", "-2"]);
        check("(c = ANY (ARRAY[1, -2]))", &["1", "-2"]);
        check("((e = 'a'::text) OR (e = 'b'::text))", &["a", "b"]);
        check("((f = ANY (ARRAY['Y'::bpchar, 'N'::bpchar])) OR (f IS NULL))", &["Y", "N"]);
        check("(h = ANY (ARRAY[E'a\\\\b'::text, ''::text]))", &["a\\b", ""]);
        check("(k = ANY (ARRAY[(1)::bigint, '9999999999'::bigint]))", &["1", "9999999999"]);
        check("(VALUE = ANY (ARRAY['a'::text]))", &["a"]);
        check("(\"Odd name\" = 'a'::text)", &["a"]);
    }

    #[test]
    fn letter_case() {
        assert_eq!(rules("((d)::text = upper((d)::text))"), [Rule::Upper]);
        assert_eq!(rules("(lower(j) = j)"), [Rule::Lower]);
        assert_eq!(
            rules("((VALUE = upper(VALUE)) AND (VALUE = ANY (ARRAY['A'::text])))"),
            [Rule::Upper, Rule::OneOf(vec!["A".to_owned()])]
        );
    }

    #[test]
    fn deep_nesting_says_nothing() {
        let deep = |it: usize| format!("{}a = 'x'{}", "(".repeat(it), ")".repeat(it));
        assert_eq!(rules(&deep(50)), one_of(&["x"]));
        assert_eq!(rules(&deep(100_000)), []);
    }

    #[test]
    fn anything_else_says_nothing() {
        for text in [
            "",
            "(id >= 0)",
            "(n > (0)::numeric)",
            "((a = 'x'::text) OR (length(a) = 2))",
            "((a = 'x'::text) OR b)",
            "(NOT (a = 'x'::text))",
            "(a <> ALL (ARRAY['x'::text]))",
            "(a = upper(lower(a)))",
            "(a = ANY (ARRAY[upper('x'::text)]))",
            "(a ~ '^[A-Z]+$'::text)",
            "((s = ANY (ARRAY['a'::text])) AND (s <> ''::text))",
            "(a = 'x",
            "((((",
        ] {
            assert_eq!(rules(text), [], "{text}");
        }
    }
}
