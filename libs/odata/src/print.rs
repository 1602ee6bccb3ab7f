//! Writes a tree back as text that reads as the same tree.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::SecondsFormat;

use crate::apply::{AggregateSource, Aggregation, Transformation};
use crate::expand::{ExpandForm, ExpandItem, ExpandOptions};
use crate::expr::{
    Argument, ArgumentValue, Expr, Operand, OperandKind, Path, Quantifier, QueryFunction,
};
use crate::literal::Literal;
use crate::options::OrderItem;

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
            Self::TimeOfDay(time) => write!(f, "{}", time.format("%H:%M:%S%.f")),
            Self::Duration(text) => write!(f, "duration'{text}'"),
            Self::Binary(bytes) => write!(f, "binary'{}'", URL_SAFE_NO_PAD.encode(bytes)),
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
                write!(f, "{left} in ({})", Listed(values))
            }
            Self::Has { left, right } => write!(f, "{left} has {right}"),
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
                write!(f, "{function}({})", Listed(arguments))
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
        if let Some(path) = &self.on {
            write!(f, "{path}/")?;
        }
        write!(f, "{}({})", self.name, Listed(&self.arguments))
    }
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            ArgumentValue::Literal(literal) => write!(f, "{}={literal}", self.name),
            ArgumentValue::List(items) => {
                write!(f, "{}=[{}]", self.name, Listed(items))
            }
        }
    }
}

impl fmt::Display for OrderItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.path, if self.descending { " desc" } else { "" })
    }
}

impl fmt::Display for ExpandItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = match self.form {
            ExpandForm::Rows => "",
            ExpandForm::References => "/$ref",
            ExpandForm::Count => "/$count",
        };
        write!(f, "{}{form}", self.path)?;
        if self.options == ExpandOptions::default() {
            return Ok(());
        }
        write!(f, "({})", self.options)
    }
}

impl fmt::Display for ExpandOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if let Some(paths) = &self.select {
            parts.push(format!("$select={}", Listed(paths)));
        }
        if let Some(filter) = &self.filter {
            parts.push(format!("$filter={filter}"));
        }
        if !self.order_by.is_empty() {
            parts.push(format!("$orderby={}", Listed(&self.order_by)));
        }
        if let Some(top) = self.top {
            parts.push(format!("$top={top}"));
        }
        if !self.expand.is_empty() {
            parts.push(format!("$expand={}", Listed(&self.expand)));
        }
        // What such an option said is not kept.
        parts.extend(self.refused.iter().map(|it| format!("{}=", it.name())));
        f.write_str(&parts.join(";"))
    }
}

impl fmt::Display for Transformation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filter(expr) => write!(f, "filter({expr})"),
            Self::Aggregate(values) => write!(f, "aggregate({})", Listed(values)),
            Self::Unsupported(name) => f.write_str(name),
            Self::GroupBy { paths, then } => {
                write!(f, "groupby(({})", Listed(paths))?;
                for (at, step) in then.iter().enumerate() {
                    write!(f, "{}{step}", if at == 0 { "," } else { "/" })?;
                }
                f.write_str(")")
            }
        }
    }
}

impl fmt::Display for Aggregation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            AggregateSource::Count => f.write_str("$count")?,
            AggregateSource::Column { path, method } => {
                write!(f, "{path} with {}", method.keyword())?;
            }
        }
        write!(f, " as {}", self.alias)
    }
}

/// Items with commas between them.
struct Listed<'a, T>(&'a [T]);

impl<T: fmt::Display> fmt::Display for Listed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, item) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            write!(f, "{item}")?;
        }
        Ok(())
    }
}

fn joined(f: &mut fmt::Formatter<'_>, items: &[Expr], word: &str) -> fmt::Result {
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            f.write_str(word)?;
        }
        match item {
            Expr::Or(_) | Expr::And(_) => write!(f, "({item})")?,
            Expr::Not(_)
            | Expr::Compare { .. }
            | Expr::In { .. }
            | Expr::Has { .. }
            | Expr::Predicate(_) => write!(f, "{item}")?,
        }
    }
    Ok(())
}
