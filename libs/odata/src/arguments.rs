//! Reads what stands between a function's parentheses: operands, or named arguments whose lists may
//! hold JSON strings.

use crate::expr::{Argument, ArgumentValue, OperandKind, Path, QueryFunction};
use crate::literal::Literal;
use crate::parser::{Parse, Parser, Problem};
use crate::scanner::Scan;

impl<'a> Parser<'a> {
    /// The arguments of a function, from behind its opening parenthesis.
    pub(crate) fn call(&mut self, on: Option<Path>, function: &'a str) -> Parse<OperandKind> {
        self.scan.skip_space();
        if function.contains('.') && !function.starts_with("geo.") {
            let arguments =
                if self.scan.eat(')') { Vec::new() } else { self.closed(Self::argument)? };
            let name = function.to_owned();
            return Ok(OperandKind::Query(QueryFunction { on, name, arguments }));
        }
        if on.is_some() || function == "case" {
            return Err(Problem::Refused(function.to_owned()));
        }
        let arguments = if self.scan.eat(')') { Vec::new() } else { self.closed(Self::operand)? };
        Ok(OperandKind::Call { function: function.to_owned(), arguments })
    }

    fn closed<T>(&mut self, read: fn(&mut Self) -> Parse<T>) -> Parse<Vec<T>> {
        let items = self.list(read)?;
        self.scan.expect(')')?;
        Ok(items)
    }

    fn argument(&mut self) -> Parse<Argument> {
        let name = self.scan.name()?.to_owned();
        self.scan.skip_space();
        self.scan.expect('=')?;
        self.scan.skip_space();
        let value = self.argument_value()?;
        Ok(Argument { name, value })
    }

    fn argument_value(&mut self) -> Parse<ArgumentValue> {
        let start = self.scan.at;
        if self.scan.peek() == Some('@') {
            let mut ahead = self.scan.clone();
            ahead.expect('@')?;
            let name = ahead.name()?;
            let text = self.aliases.and_then(|it| it.get(name));
            if text.is_some_and(|it| it.trim_start().starts_with('['))
                && let Some(mut inner) = self.alias_text(name, start)?
            {
                self.scan.at = ahead.at;
                return inner.argument_value().map_err(|_| Problem::Unexpected(start));
            }
        }
        if self.scan.eat('[') {
            return self.list_items().map(ArgumentValue::List);
        }
        match self.operand_kind()? {
            OperandKind::Literal(literal) => Ok(ArgumentValue::Literal(literal)),
            _ => Err(Problem::Unexpected(start)),
        }
    }

    /// What stands in brackets, from behind the opening one.
    pub(crate) fn list_items(&mut self) -> Parse<Vec<Literal>> {
        self.scan.skip_space();
        if self.scan.eat(']') {
            return Ok(Vec::new());
        }
        let items = self.list(Self::list_item)?;
        self.scan.expect(']')?;
        Ok(items)
    }

    fn list_item(&mut self) -> Parse<Literal> {
        let start = self.scan.at;
        if self.scan.peek() == Some('"') {
            return Ok(Literal::String(self.json_string()?));
        }
        match self.operand_kind()? {
            OperandKind::Literal(literal) => Ok(literal),
            _ => Err(Problem::Unexpected(start)),
        }
    }

    pub(crate) fn json_string(&mut self) -> Scan<String> {
        self.scan.expect('"')?;
        let mut text = String::new();
        loop {
            let start = self.scan.unexpected();
            let next = self.scan.peek().ok_or(start)?;
            self.scan.at += next.len_utf8();
            match next {
                '"' => return Ok(text),
                '\\' => text.push(self.json_escape()?),
                other => text.push(other),
            }
        }
    }

    fn json_escape(&mut self) -> Scan<char> {
        let at = self.scan.unexpected();
        let letter = self.scan.peek().ok_or(at)?;
        self.scan.at += letter.len_utf8();
        Ok(match letter {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            'f' => '\u{c}',
            '"' | '\\' | '/' => letter,
            'u' => {
                let high = self.hex4()?;
                if !(0xd800..0xdc00).contains(&high) {
                    return char::from_u32(high).ok_or(at);
                }
                self.scan.expect('\\')?;
                self.scan.expect('u')?;
                let low = self.hex4()?;
                let low = low.checked_sub(0xdc00).filter(|it| *it < 0x400).ok_or(at)?;
                return char::from_u32(0x10000 + ((high - 0xd800) << 10) + low).ok_or(at);
            }
            _ => return Err(at),
        })
    }

    fn hex4(&mut self) -> Scan<u32> {
        let digits = self.scan.rest().get(..4).ok_or_else(|| self.scan.unexpected())?;
        let valid = digits.bytes().all(|it| it.is_ascii_hexdigit());
        let value = u32::from_str_radix(digits, 16).ok().filter(|_| valid);
        let value = value.ok_or_else(|| self.scan.unexpected())?;
        self.scan.at += 4;
        Ok(value)
    }
}
