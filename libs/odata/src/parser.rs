//! Reads `$filter`, `$orderby` and `$select` by recursive descent.
//!
//! Precedence, weakest first: `or`, `and`, `not`, comparison. Chains of `or` and `and` become one
//! node, so only parentheses, `not` and calls nest, and [`MAX_DEPTH`] bounds those.

use std::collections::BTreeMap;

use crate::expr::{CompareOp, Expr, Operand, OperandKind, Path, Quantifier, Span};
use crate::literal::{self, Literal};
use crate::options::OrderItem;
use crate::scanner::{Scanner, Unexpected};

/// Values of parameter aliases by name, without the `@`.
pub type Aliases = BTreeMap<String, String>;

/// How deep parentheses, `not` and calls may nest.
pub const MAX_DEPTH: u32 = 100;

/// The longest expression in bytes: what fits in a URL.
pub const MAX_LENGTH: usize = 65_536;

/// How much of an expression a message repeats.
const QUOTED_CHARS: usize = 200;

/// Text that is not an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    /// Something else should stand here.
    #[error("Syntax error at position {position} in '{text}'.")]
    Unexpected {
        /// In characters, from zero.
        position: usize,
        /// The expression, or its beginning.
        text: String,
    },
    /// Nests beyond [`MAX_DEPTH`].
    #[error("The expression is nested more than {MAX_DEPTH} levels deep.")]
    TooDeep,
    /// Longer than [`MAX_LENGTH`].
    #[error("The expression is longer than {MAX_LENGTH} bytes.")]
    TooLong,
}

#[derive(Clone, Copy)]
pub(crate) enum Problem {
    Unexpected(usize),
    TooDeep,
    TooLong,
}

pub(crate) type Parse<T> = Result<T, Problem>;

pub(crate) struct Parser<'a> {
    pub(crate) scan: Scanner<'a>,
    pub(crate) depth: u32,
    /// None within the text of an alias: aliases do not name each other, or a short expression
    /// could become any length.
    pub(crate) aliases: Option<&'a Aliases>,
    /// How many more bytes aliases may put in place.
    pub(crate) budget: usize,
}

/// Reads a `$filter`, with parameter aliases put in place; an alias that has no value is null.
///
/// # Errors
///
/// When the text is not a boolean expression.
pub fn parse_filter(text: &str, aliases: &Aliases) -> Result<Expr, SyntaxError> {
    parse_all(text, aliases, |parser| parser.disjunction())
}

/// Reads a `$orderby`.
///
/// # Errors
///
/// When the text is not a list of paths with directions.
pub fn parse_order_by(text: &str, aliases: &Aliases) -> Result<Vec<OrderItem>, SyntaxError> {
    parse_all(text, aliases, |parser| {
        parser.list(|parser| {
            let start = parser.scan.at;
            let OperandKind::Path(path) = parser.operand()?.kind else {
                return Err(Problem::Unexpected(start));
            };
            parser.scan.skip_space();
            let descending = parser.scan.eat_word("desc");
            if !descending {
                parser.scan.eat_word("asc");
            }
            Ok(OrderItem { path, descending })
        })
    })
}

/// Reads a `$select`: paths, or `*`.
///
/// # Errors
///
/// When the text is not a list of paths.
pub fn parse_select(text: &str) -> Result<Vec<Path>, SyntaxError> {
    parse_all(text, &Aliases::new(), |parser| {
        parser.list(
            |parser| {
                if parser.scan.eat('*') { Ok(Path(vec!["*".into()])) } else { parser.path() }
            },
        )
    })
}

fn parse_all<'a, T>(
    text: &'a str,
    aliases: &'a Aliases,
    read: impl FnOnce(&mut Parser<'a>) -> Parse<T>,
) -> Result<T, SyntaxError> {
    if text.len() > MAX_LENGTH {
        return Err(SyntaxError::TooLong);
    }
    let mut parser =
        Parser { scan: Scanner::new(text), depth: 0, aliases: Some(aliases), budget: MAX_LENGTH };
    parser.scan.skip_space();
    read(&mut parser)
        .and_then(|value| {
            parser.scan.skip_space();
            if parser.scan.at_end() { Ok(value) } else { Err(parser.unexpected()) }
        })
        .map_err(|problem| problem.in_text(text))
}

impl Problem {
    fn in_text(self, text: &str) -> SyntaxError {
        match self {
            Self::TooDeep => SyntaxError::TooDeep,
            Self::TooLong => SyntaxError::TooLong,
            Self::Unexpected(byte) => SyntaxError::Unexpected {
                position: text.char_indices().take_while(|(at, _)| *at < byte).count(),
                text: text.chars().take(QUOTED_CHARS).collect(),
            },
        }
    }
}

impl From<Unexpected> for Problem {
    fn from(at: Unexpected) -> Self {
        Self::Unexpected(at.0)
    }
}

impl<'a> Parser<'a> {
    fn unexpected(&self) -> Problem {
        Problem::Unexpected(self.scan.at)
    }

    pub(crate) fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Parse<T>) -> Parse<T> {
        if self.depth == MAX_DEPTH {
            return Err(Problem::TooDeep);
        }
        self.depth += 1;
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    pub(crate) fn list<T>(&mut self, mut read: impl FnMut(&mut Self) -> Parse<T>) -> Parse<Vec<T>> {
        let mut items = Vec::new();
        loop {
            self.scan.skip_space();
            items.push(read(self)?);
            self.scan.skip_space();
            if !self.scan.eat(',') {
                return Ok(items);
            }
        }
    }

    fn disjunction(&mut self) -> Parse<Expr> {
        self.chain("or", Self::conjunction, Expr::Or)
    }

    fn conjunction(&mut self) -> Parse<Expr> {
        self.chain("and", Self::primary, Expr::And)
    }

    fn chain(
        &mut self,
        word: &str,
        read: fn(&mut Self) -> Parse<Expr>,
        build: fn(Vec<Expr>) -> Expr,
    ) -> Parse<Expr> {
        let first = read(self)?;
        let mut items = vec![first];
        loop {
            self.scan.skip_space();
            if !self.scan.eat_word(word) {
                break;
            }
            items.push(read(self)?);
        }
        match items.pop() {
            Some(only) if items.is_empty() => Ok(only),
            Some(last) => {
                items.push(last);
                Ok(build(items))
            }
            None => Err(self.unexpected()),
        }
    }

    fn primary(&mut self) -> Parse<Expr> {
        self.scan.skip_space();
        if self.scan.eat_word("not") {
            let inner = self.deeper(Self::primary)?;
            return Ok(Expr::Not(Box::new(inner)));
        }
        if self.scan.eat('(') {
            let inner = self.deeper(Self::disjunction)?;
            self.scan.skip_space();
            self.scan.expect(')')?;
            return match inner {
                Expr::Predicate(operand) => self.after_operand(operand),
                group => Ok(group),
            };
        }
        let operand = self.operand()?;
        self.after_operand(operand)
    }

    fn after_operand(&mut self, left: Operand) -> Parse<Expr> {
        self.scan.skip_space();
        let Some(word) = self.scan.peek_name() else { return Ok(Expr::Predicate(left)) };
        if let Some(op) = CompareOp::from_keyword(word) {
            self.scan.at += word.len();
            self.scan.skip_space();
            let right = self.operand()?;
            return Ok(Expr::Compare { op, left, right });
        }
        if self.scan.eat_word("in") {
            self.scan.skip_space();
            self.scan.expect('(')?;
            let values = self.list(Self::operand)?;
            self.scan.expect(')')?;
            return Ok(Expr::In { left, values });
        }
        Ok(Expr::Predicate(left))
    }

    pub(crate) fn operand(&mut self) -> Parse<Operand> {
        let start = self.scan.at;
        let kind = self.operand_kind()?;
        Ok(Operand { kind, span: Span { start, end: self.scan.at } })
    }

    pub(crate) fn operand_kind(&mut self) -> Parse<OperandKind> {
        if self.scan.peek() == Some('@') {
            return self.alias();
        }
        if let Some(literal) = self.scan.constant()? {
            return Ok(OperandKind::Literal(literal));
        }
        let word = self.scan.peek_name().ok_or_else(|| self.unexpected())?;
        let literal = match word {
            "null" => Some(Literal::Null),
            "true" => Some(Literal::Bool(true)),
            "false" => Some(Literal::Bool(false)),
            _ => None,
        };
        let mut behind = self.scan.clone();
        behind.at += word.len();
        match (literal, behind.peek()) {
            (_, Some('\'')) => {
                let member = behind.quoted()?;
                self.scan.at = behind.at;
                Ok(OperandKind::Literal(Literal::Enum { type_name: word.to_owned(), member }))
            }
            (_, Some('(')) => {
                self.scan.at = behind.at + 1;
                self.deeper(|parser| parser.call(word))
            }
            (Some(literal), _) => {
                self.scan.at = behind.at;
                Ok(OperandKind::Literal(literal))
            }
            (None, _) => self.path_or_lambda(),
        }
    }

    /// `@name`: the alias's own text, read as an operand.
    fn alias(&mut self) -> Parse<OperandKind> {
        let start = self.scan.at;
        self.scan.expect('@')?;
        let name = self.scan.name()?;
        let Some(mut inner) = self.alias_text(name, start)? else {
            return Ok(OperandKind::Literal(Literal::Null));
        };
        // Errors inside point at the alias, whose text is not part of the expression.
        let outside = Problem::Unexpected(start);
        let kind = inner.operand_kind().map_err(|_| outside)?;
        inner.scan.skip_space();
        if inner.scan.at_end() { Ok(kind) } else { Err(outside) }
    }

    /// A reader of an alias's text; none for an alias without one.
    pub(crate) fn alias_text(&mut self, name: &str, start: usize) -> Parse<Option<Parser<'a>>> {
        let aliases = self.aliases.ok_or(Problem::Unexpected(start))?;
        let Some(text) = aliases.get(name) else { return Ok(None) };
        self.budget = self.budget.checked_sub(text.len()).ok_or(Problem::TooLong)?;
        let mut inner =
            Parser { scan: Scanner::new(text), depth: self.depth, aliases: None, budget: 0 };
        inner.scan.skip_space();
        Ok(Some(inner))
    }

    fn path(&mut self) -> Parse<Path> {
        let start = self.scan.at;
        match self.path_or_lambda()? {
            OperandKind::Path(path) => Ok(path),
            _ => Err(Problem::Unexpected(start)),
        }
    }

    fn path_or_lambda(&mut self) -> Parse<OperandKind> {
        let mut names = vec![self.scan.name()?.to_owned()];
        while self.scan.eat('/') {
            let name = self.scan.name()?;
            let quantifier = match name {
                "any" => Some(Quantifier::Any),
                "all" => Some(Quantifier::All),
                _ => None,
            };
            match quantifier {
                Some(quantifier) if self.scan.eat('(') => {
                    let predicate = self.deeper(Self::lambda_body)?;
                    return Ok(OperandKind::Lambda { path: Path(names), quantifier, predicate });
                }
                _ => names.push(name.to_owned()),
            }
        }
        Ok(OperandKind::Path(Path(names)))
    }

    fn lambda_body(&mut self) -> Parse<Option<(String, Box<Expr>)>> {
        self.scan.skip_space();
        if self.scan.eat(')') {
            return Ok(None);
        }
        let variable = self.scan.name()?.to_owned();
        self.scan.skip_space();
        self.scan.expect(':')?;
        let inner = self.disjunction()?;
        self.scan.skip_space();
        self.scan.expect(')')?;
        Ok(Some((variable, Box::new(inner))))
    }
}

/// Reads one constant that fills the whole text; a GUID may stand in braces.
///
/// # Errors
///
/// When the text is not a constant.
pub fn parse_literal(text: &str) -> Result<Literal, SyntaxError> {
    if let Some(id) = literal::guid(text) {
        return Ok(Literal::Guid(id));
    }
    parse_all(text, &Aliases::new(), |parser| match parser.operand()?.kind {
        OperandKind::Literal(literal) => Ok(literal),
        _ => Err(Problem::Unexpected(0)),
    })
}

#[cfg(test)]
#[path = "parser_tests.rs"]
mod tests;
