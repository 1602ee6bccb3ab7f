//! From words to a tree; both languages have one grammar.

use super::lex::{Token, tokens};
use super::{Comparison, Filter, FilterError, Language, Literal, MAX_DEPTH, MAX_LENGTH, Operator};

/// Reads a filter; absent: it has nothing to say, and every row takes part.
///
/// # Errors
///
/// When the text is not of the language's subset that filters of maps may use.
pub(crate) fn parse(text: &str, language: Language) -> Result<Option<Filter>, FilterError> {
    if text.len() > MAX_LENGTH {
        let reason = format!("the filter is longer than {MAX_LENGTH} bytes");
        return Err(FilterError::new(MAX_LENGTH, reason));
    }
    let tokens = tokens(text, language)?;
    if tokens.is_empty() {
        return Ok(None);
    }
    let mut parser = Parser { tokens: tokens.into_iter().peekable(), end: text.len(), language };
    let filter = parser.any(0)?;
    match parser.tokens.next() {
        Some((position, _)) => Err(FilterError::new(position, "the filter should end here")),
        None => Ok(Some(filter)),
    }
}

struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<(usize, Token)>>,
    end: usize,
    language: Language,
}

impl Parser {
    fn any(&mut self, depth: usize) -> Result<Filter, FilterError> {
        let mut parts = vec![self.all(depth)?];
        while self.takes(&Token::Or) {
            parts.push(self.all(depth)?);
        }
        Ok(one_or(parts, Filter::Or))
    }

    fn all(&mut self, depth: usize) -> Result<Filter, FilterError> {
        let mut parts = vec![self.one(depth)?];
        while self.takes(&Token::And) {
            parts.push(self.one(depth)?);
        }
        Ok(one_or(parts, Filter::And))
    }

    fn one(&mut self, depth: usize) -> Result<Filter, FilterError> {
        if depth > MAX_DEPTH {
            return Err(FilterError::new(self.position(), "the filter is nested too deep"));
        }
        if self.takes(&Token::Not) {
            return Ok(Filter::Not(Box::new(self.one(depth + 1)?)));
        }
        if self.takes(&Token::Open) {
            let inner = self.any(depth + 1)?;
            if !self.takes(&Token::Close) {
                return Err(FilterError::new(self.position(), "a `)` is missing"));
            }
            return Ok(inner);
        }
        self.comparison().map(Filter::Compare)
    }

    fn comparison(&mut self) -> Result<Comparison, FilterError> {
        let position = self.position();
        let Some((_, Token::Word(column))) = self.tokens.next() else {
            return Err(FilterError::new(position, "a field is expected"));
        };
        let next = self.position();
        let operator = match self.tokens.next() {
            Some((_, Token::Operator(it))) => it,
            Some((_, Token::Open)) => {
                let reason = format!("`{column}` is no function that filters of maps may use");
                return Err(FilterError::new(position, reason));
            }
            _ => return Err(FilterError::new(next, "a comparison is expected")),
        };
        let value = self.value()?;
        if operator == Operator::Like && !matches!(value, Literal::Text(_)) {
            return Err(FilterError::new(next, "`like` takes text in quotes"));
        }
        Ok(Comparison { column, operator, value, position })
    }

    fn value(&mut self) -> Result<Literal, FilterError> {
        let position = self.position();
        match (self.tokens.next(), self.language) {
            (Some((_, Token::Literal(it))), _) => Ok(it),
            (Some((_, Token::Word(it))), Language::Range) => Ok(Literal::Symbol(None, it)),
            _ => Err(FilterError::new(position, "a value is expected")),
        }
    }

    fn takes(&mut self, token: &Token) -> bool {
        self.tokens.next_if(|it| it.1 == *token).is_some()
    }

    fn position(&mut self) -> usize {
        self.tokens.peek().map_or(self.end, |it| it.0)
    }
}

fn one_or(mut parts: Vec<Filter>, join: fn(Vec<Filter>) -> Filter) -> Filter {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            parts.extend(last);
            join(parts)
        }
    }
}
