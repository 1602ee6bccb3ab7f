//! Writes a tree back as text that reads as the same tree.

use std::fmt;

use chrono::SecondsFormat;

use crate::expr::{
    Argument, ArgumentValue, Expr, Operand, OperandKind, Path, Quantifier, QueryFunction,
};
use crate::literal::Literal;

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Integer(digits) | Self::Decimal(digits) | Self::Double(digits) => {
                f.write_str(digits)
            }
            Self::String(text) => write!(f, "'{}'", text.replace('\'', "''")),
            Self::Guid(id) => write!(f, "{id}"),
            Self::Date(date) => write!(f, "{}", date.format("%Y-%m-%d")),
            Self::DateTime(moment) => {
                f.write_str(&moment.to_rfc3339_opts(SecondsFormat::AutoSi, true))
            }
            Self::Enum { type_name, member } => {
                write!(f, "{type_name}'{}'", member.replace('\'', "''"))
            }
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("/"))
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Or(items) => joined(f, items, " or "),
            Self::And(items) => joined(f, items, " and "),
            Self::Not(inner) => write!(f, "not ({inner})"),
            Self::Compare { op, left, right } => write!(f, "{left} {} {right}", op.keyword()),
            Self::In { left, values } => {
                write!(f, "{left} in (")?;
                listed(f, values)?;
                f.write_str(")")
            }
            Self::Predicate(operand) => write!(f, "{operand}"),
        }
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            OperandKind::Literal(literal) => write!(f, "{literal}"),
            OperandKind::Path(path) => write!(f, "{path}"),
            OperandKind::Query(function) => write!(f, "{function}"),
            OperandKind::Call { function, arguments } => {
                write!(f, "{function}(")?;
                listed(f, arguments)?;
                f.write_str(")")
            }
            OperandKind::Lambda { path, quantifier, predicate } => {
                let word = match quantifier {
                    Quantifier::Any => "any",
                    Quantifier::All => "all",
                };
                match predicate {
                    Some((variable, inner)) => write!(f, "{path}/{word}({variable}:{inner})"),
                    None => write!(f, "{path}/{word}()"),
                }
            }
        }
    }
}

impl fmt::Display for QueryFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.name)?;
        listed(f, &self.arguments)?;
        f.write_str(")")
    }
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            ArgumentValue::Literal(literal) => write!(f, "{}={literal}", self.name),
            ArgumentValue::List(items) => {
                write!(f, "{}=[", self.name)?;
                listed(f, items)?;
                f.write_str("]")
            }
        }
    }
}

fn joined(f: &mut fmt::Formatter<'_>, items: &[Expr], word: &str) -> fmt::Result {
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            f.write_str(word)?;
        }
        match item {
            Expr::Or(_) | Expr::And(_) => write!(f, "({item})")?,
            Expr::Not(_) | Expr::Compare { .. } | Expr::In { .. } | Expr::Predicate(_) => {
                write!(f, "{item}")?;
            }
        }
    }
    Ok(())
}

fn listed<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: &[T]) -> fmt::Result {
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            f.write_str(",")?;
        }
        write!(f, "{item}")?;
    }
    Ok(())
}
