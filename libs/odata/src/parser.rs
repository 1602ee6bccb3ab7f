//! What all readers of expressions share: bounds, errors, aliases, lists.
//!
//! # The grammar
//!
//! The yardstick is the ABNF of OData 4.01, without what the platform lacks. Names and keywords are
//! case-sensitive, as the platform's are; `_` is any whitespace or none, and a blank at least one.
//! A parenthesis may stand for a blank beside an operator.
//!
//! ```text
//! filter      = or-expr
//! or-expr     = and-expr *( " or " and-expr )            ; one node for the whole chain
//! and-expr    = primary *( " and " primary )
//! primary     = "not " primary | "(" _ or-expr _ ")" | operand [ tail ]
//! tail        = " " ( "eq" | "ne" | "gt" | "ge" | "lt" | "le" | "has" ) " " operand
//!             | " in " ( "(" _ operand *( _ "," _ operand ) _ ")" | array | alias )
//! operand     = literal | alias | path | call | lambda | query | "(" _ operand _ ")"
//! path        = ( "$it" | name ) *( "/" name ) [ "/$count" ]     ; a name with dots is a cast
//! call        = name "(" _ [ operand *( _ "," _ operand ) ] _ ")"
//! lambda      = path "/any(" _ [ name _ ":" or-expr ] _ ")"
//!             | path "/all(" _ name _ ":" or-expr _ ")"
//! query       = [ path "/" ] qualified-name "(" [ argument *( "," argument ) ] ")"
//! argument    = name _ "=" _ ( literal | array | alias )
//! array       = "[" [ item *( "," item ) ] "]"                   ; item: literal or JSON string
//! alias       = "@" name                                         ; without a value: null
//! literal     = "null" | "true" | "false" | number | "INF" | "-INF" | "NaN" | guid | date
//!             | date-time | time-of-day | "'" text "'" | "duration'..'" | "binary'..'"
//!             | qualified-name "'" members "'"
//! order-by    = item *( "," item )      ; item: ( path | alias ) [ " asc" | " desc" ]
//! select      = item *( "," item )      ; item: path | "*"
//! expand      = navigation *( "," navigation )
//! navigation  = path [ "/$ref" | "/$count" ] [ "(" option *( ";" option ) [ ";" ] ")" ]
//! option      = ( "$select=" | "$filter=" | "$orderby=" | "$top=" | "$expand=" ) value
//!             | ( "$skip=" | "$count=" | "$search=" | "$levels=" | .. ) ; told, not read
//! apply       = step *( "/" step )
//! step        = "filter(" or-expr ")" | "aggregate(" value *( "," value ) ")"
//!             | "groupby((" path *( "," path ) ")" [ "," apply ] ")" | name [ "(" .. ")" ]
//! value       = ( "$count" | path " with " method ) " as " name
//! ```
//!
//! Refused by name rather than as a mistake: arithmetic, `case`, annotations, functions without a
//! namespace behind a path, custom aggregation methods, `rollup`. Only parentheses, `not`, calls and
//! options nest, and [`MAX_DEPTH`] bounds those.

use std::collections::BTreeMap;

use crate::expr::{Expr, OperandKind, Path};
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
    /// An option within `$expand` that OData does not have.
    #[error("The query parameter '{0}' is not supported.")]
    UnknownOption(String),
    /// The same option twice for one navigation of a `$expand`.
    #[error(
        "Query option '{0}' was specified more than once, but it must be specified at most once."
    )]
    DuplicateOption(String),
    /// Right in OData, and not a part of the platform's dialect.
    #[error("'{0}' is not supported here.")]
    NotSupported(String),
}

#[derive(Clone, Debug)]
pub(crate) enum Problem {
    Unexpected(usize),
    TooDeep,
    TooLong,
    Unknown(String),
    Duplicate(String),
    Refused(String),
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
    parse_all(text, Some(aliases), Parser::disjunction)
}

/// Reads a `$orderby`.
///
/// # Errors
///
/// When the text is not a list of paths with directions.
pub fn parse_order_by(text: &str, aliases: &Aliases) -> Result<Vec<OrderItem>, SyntaxError> {
    parse_all(text, Some(aliases), |parser| parser.list(Parser::order_item))
}

/// Reads a `$select`: paths, or `*`.
///
/// # Errors
///
/// When the text is not a list of paths.
pub fn parse_select(text: &str) -> Result<Vec<Path>, SyntaxError> {
    parse_all(text, None, |parser| parser.list(Parser::selected_path))
}

pub(crate) fn parse_all<'a, T>(
    text: &'a str,
    aliases: Option<&'a Aliases>,
    read: impl FnOnce(&mut Parser<'a>) -> Parse<T>,
) -> Result<T, SyntaxError> {
    if text.len() > MAX_LENGTH {
        return Err(SyntaxError::TooLong);
    }
    let mut parser = Parser { scan: Scanner::new(text), depth: 0, aliases, budget: MAX_LENGTH };
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
            Self::Unknown(name) => SyntaxError::UnknownOption(name),
            Self::Duplicate(name) => SyntaxError::DuplicateOption(name),
            Self::Refused(what) => SyntaxError::NotSupported(what),
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
    pub(crate) fn unexpected(&self) -> Problem {
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

    pub(crate) fn order_item(&mut self) -> Parse<OrderItem> {
        let start = self.scan.at;
        let OperandKind::Path(path) = self.operand()?.kind else {
            return Err(Problem::Unexpected(start));
        };
        self.scan.skip_space();
        let descending = self.scan.eat_word("desc");
        if !descending {
            self.scan.eat_word("asc");
        }
        Ok(OrderItem { path, descending })
    }

    /// A path, or `*` behind or instead of one.
    pub(crate) fn selected_path(&mut self) -> Parse<Path> {
        if self.scan.eat('*') {
            return Ok(Path(vec!["*".to_owned()]));
        }
        self.path()
    }

    /// Passes over the value of an option that is not read: to the `;`, `,` or `)` that ends it.
    pub(crate) fn skip_value(&mut self) -> Parse<()> {
        let mut open = 0_u32;
        while let Some(next) = self.scan.peek() {
            match next {
                '\'' => {
                    self.scan.quoted()?;
                    continue;
                }
                '"' => {
                    self.json_string()?;
                    continue;
                }
                '(' => open += 1,
                ')' if open > 0 => open -= 1,
                ')' => break,
                ';' if open == 0 => break,
                _ => {}
            }
            self.scan.at += next.len_utf8();
        }
        Ok(())
    }

    pub(crate) fn required_space(&mut self) -> Parse<()> {
        let start = self.scan.at;
        self.scan.skip_space();
        if self.scan.at > start { Ok(()) } else { Err(self.unexpected()) }
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
    parse_all(text, None, |parser| match parser.operand()?.kind {
        OperandKind::Literal(literal) => Ok(literal),
        _ => Err(Problem::Unexpected(0)),
    })
}

/// Reads `["a",1]`: a JSON array of constants.
pub(crate) fn parse_list(text: &str) -> Result<Vec<Literal>, SyntaxError> {
    parse_all(text, None, |parser| {
        parser.scan.expect('[')?;
        parser.list_items()
    })
}

#[cfg(test)]
#[path = "parser_tests.rs"]
mod tests;
