//! Reads boolean expressions and the operands that they are made of.

use crate::expr::{CompareOp, Expr, Operand, OperandKind, Path, Quantifier, Span};
use crate::literal::{self, Literal};
use crate::parser::{Parse, Parser, Problem};

/// Operators of OData that the platform does not know.
const ARITHMETIC: [&str; 6] = ["add", "sub", "mul", "div", "divby", "mod"];

impl<'a> Parser<'a> {
    pub(crate) fn disjunction(&mut self) -> Parse<Expr> {
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
        while self.eat_operator(word)? {
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

    /// A binary operator: whitespace or parentheses must set it apart from what it joins.
    fn eat_operator(&mut self, word: &str) -> Parse<bool> {
        self.scan.skip_space();
        if self.scan.peek_name() != Some(word) {
            return Ok(false);
        }
        let before = self.scan.text.get(..self.scan.at).unwrap_or_default();
        if !before.ends_with([' ', '\t', '\r', '\n', ')']) {
            return Err(self.unexpected());
        }
        self.scan.at += word.len();
        self.set_apart()?;
        Ok(true)
    }

    /// Passes over whitespace, which only a parenthesis may stand in for.
    fn set_apart(&mut self) -> Parse<()> {
        if self.scan.peek() == Some('(') { Ok(()) } else { self.required_space() }
    }

    fn primary(&mut self) -> Parse<Expr> {
        self.scan.skip_space();
        if self.scan.eat_word("not") {
            self.set_apart()?;
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
            self.eat_operator(word)?;
            let right = self.operand()?;
            return Ok(Expr::Compare { op, left, right });
        }
        if self.eat_operator("in")? {
            let values = self.values()?;
            return Ok(Expr::In { left, values });
        }
        if self.eat_operator("has")? {
            let right = self.operand()?;
            return Ok(Expr::Has { left, right });
        }
        if ARITHMETIC.contains(&word) {
            return Err(Problem::Refused(word.to_owned()));
        }
        Ok(Expr::Predicate(left))
    }

    /// What stands behind `in`: a list in parentheses, or a JSON array, or an alias for either.
    fn values(&mut self) -> Parse<Vec<Operand>> {
        let start = self.scan.at;
        if self.scan.eat('(') {
            let values = self.list(Self::operand)?;
            self.scan.expect(')')?;
            return Ok(values);
        }
        if self.scan.eat('[') {
            let items = self.list_items()?;
            let span = Span { start, end: self.scan.at };
            let operand = |it| Operand { kind: OperandKind::Literal(it), span };
            let values: Vec<_> = items.into_iter().map(operand).collect();
            return if values.is_empty() { Err(Problem::Unexpected(start)) } else { Ok(values) };
        }
        self.scan.expect('@')?;
        let name = self.scan.name()?;
        let outside = Problem::Unexpected(start);
        let inner = self.alias_text(name, start)?;
        let mut inner = inner.ok_or_else(|| outside.clone())?;
        let values = inner.values().map_err(|_| outside.clone())?;
        inner.scan.skip_space();
        if inner.scan.at_end() { Ok(values) } else { Err(outside) }
    }

    pub(crate) fn operand(&mut self) -> Parse<Operand> {
        let start = self.scan.at;
        if self.scan.eat('(') {
            self.scan.skip_space();
            let operand = self.deeper(Self::operand)?;
            self.scan.skip_space();
            self.scan.expect(')')?;
            return Ok(operand);
        }
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
        let start = self.scan.at;
        let word = self.scan.peek_name().ok_or_else(|| self.unexpected())?;
        let mut behind = self.scan.clone();
        behind.at += word.len();
        let literal = match (word, behind.peek()) {
            (_, Some('\'')) => {
                let text = behind.quoted()?;
                prefixed(word, text).ok_or(Problem::Unexpected(start))?
            }
            (_, Some('(')) => {
                self.scan.at = behind.at + 1;
                return self.deeper(|parser| parser.call(None, word));
            }
            ("null", _) => Literal::Null,
            ("true", _) => Literal::Bool(true),
            ("false", _) => Literal::Bool(false),
            ("INF" | "NaN", _) => Literal::Double(word.to_owned()),
            _ => return self.path_or_call(true),
        };
        self.scan.at = behind.at;
        Ok(OperandKind::Literal(literal))
    }

    /// `@name`: the alias's own text, read as an operand.
    fn alias(&mut self) -> Parse<OperandKind> {
        let start = self.scan.at;
        self.scan.expect('@')?;
        let name = self.scan.name()?;
        if name.contains('.') {
            return Err(Problem::Refused(format!("@{name}")));
        }
        let Some(mut inner) = self.alias_text(name, start)? else {
            return Ok(OperandKind::Literal(Literal::Null));
        };
        // Errors inside point at the alias, whose text is not part of the expression.
        let outside = Problem::Unexpected(start);
        let kind = inner.operand_kind().map_err(|_| outside.clone())?;
        inner.scan.skip_space();
        if inner.scan.at_end() { Ok(kind) } else { Err(outside) }
    }

    /// A path that nothing is called on.
    pub(crate) fn path(&mut self) -> Parse<Path> {
        match self.path_or_call(false)? {
            OperandKind::Path(path) => Ok(path),
            _ => Err(self.unexpected()),
        }
    }

    /// Names joined by slashes. A lambda or a function can only be the last of them, and so can
    /// `$count`.
    fn path_or_call(&mut self, calls: bool) -> Parse<OperandKind> {
        let start = self.scan.at;
        let first = self.scan.name()?;
        if first.starts_with('$') && first != "$it" {
            return Err(Problem::Unexpected(start));
        }
        let mut names = vec![first.to_owned()];
        loop {
            let end = self.scan.at;
            if !self.scan.eat('/') {
                return Ok(OperandKind::Path(Path(names)));
            }
            let name = self.scan.name()?;
            if name == "$count" {
                names.push(name.to_owned());
                return Ok(OperandKind::Path(Path(names)));
            }
            if name.starts_with('$') {
                // Whether `$ref` may stand here is for the caller to say.
                self.scan.at = end;
                return Ok(OperandKind::Path(Path(names)));
            }
            if !calls || !self.scan.eat('(') {
                names.push(name.to_owned());
                continue;
            }
            let path = Path(names);
            let quantifier = match name {
                "any" => Quantifier::Any,
                "all" => Quantifier::All,
                _ => return self.deeper(|parser| parser.call(Some(path), name)),
            };
            let predicate = self.deeper(|parser| parser.lambda_body(quantifier))?;
            return Ok(OperandKind::Lambda { path, quantifier, predicate });
        }
    }

    fn lambda_body(&mut self, quantifier: Quantifier) -> Parse<Option<(String, Box<Expr>)>> {
        self.scan.skip_space();
        if quantifier == Quantifier::Any && self.scan.eat(')') {
            return Ok(None);
        }
        let start = self.scan.at;
        let variable = self.scan.name()?.to_owned();
        if variable.contains(['.', '$']) {
            return Err(Problem::Unexpected(start));
        }
        self.scan.skip_space();
        self.scan.expect(':')?;
        let inner = self.disjunction()?;
        self.scan.skip_space();
        self.scan.expect(')')?;
        Ok(Some((variable, Box::new(inner))))
    }
}

/// A literal whose type stands before its quotes.
fn prefixed(prefix: &str, text: String) -> Option<Literal> {
    match prefix {
        "duration" => literal::duration(&text).map(|it| Literal::Duration(it.to_owned())),
        "binary" => literal::binary(&text).map(Literal::Binary),
        _ if prefix.contains('.') => {
            Some(Literal::Enum { type_name: prefix.to_owned(), member: text })
        }
        _ => None,
    }
}
