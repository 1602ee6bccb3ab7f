//! A filter for people, and for whoever reads it again.

use std::fmt;

use super::{Comparison, Filter, Literal, Operator};

impl Filter {
    /// As an OData filter, with parentheses only where they are needed.
    pub(crate) fn odata(&self) -> String {
        Written(self).to_string()
    }
}

struct Written<'f>(&'f Filter);

impl fmt::Display for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Filter::And(parts) => {
                joined(f, parts, " and ", |it| matches!(it, Filter::And(_) | Filter::Or(_)))
            }
            Filter::Or(parts) => joined(f, parts, " or ", |it| matches!(it, Filter::Or(_))),
            Filter::Not(part) => write!(f, "not ({})", Self(part)),
            Filter::Compare(it) => comparison(f, it),
        }
    }
}

fn joined(
    f: &mut fmt::Formatter<'_>,
    parts: &[Filter],
    by: &str,
    nested: fn(&Filter) -> bool,
) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(by)?;
        }
        match nested(part) {
            true => write!(f, "({})", Written(part))?,
            false => write!(f, "{}", Written(part))?,
        }
    }
    Ok(())
}

fn comparison(f: &mut fmt::Formatter<'_>, it: &Comparison) -> fmt::Result {
    let operator = match it.operator {
        Operator::Equal => "eq",
        Operator::NotEqual => "ne",
        Operator::Greater => "gt",
        Operator::GreaterEqual => "ge",
        Operator::Less => "lt",
        Operator::LessEqual => "le",
        Operator::Like => return like(f, it),
    };
    write!(f, "{} {operator} ", it.column)?;
    match &it.value {
        Literal::Text(text) | Literal::Symbol(_, text) => quoted(f, text),
        Literal::Number(it) | Literal::Date(it) | Literal::Moment(it) | Literal::Guid(it) => {
            f.write_str(it)
        }
        Literal::Boolean(it) => write!(f, "{it}"),
        Literal::Null => f.write_str("null"),
    }
}

/// By the function that says the same, where there is one.
fn like(f: &mut fmt::Formatter<'_>, it: &Comparison) -> fmt::Result {
    let pattern = match &it.value {
        Literal::Text(it) => it.as_str(),
        _ => "",
    };
    let inner = pattern.strip_prefix('*').unwrap_or(pattern);
    let inner = inner.strip_suffix('*').unwrap_or(inner);
    let (begins, ends) = (pattern.starts_with('*'), pattern.ends_with('*'));
    let function = match (begins, ends) {
        _ if inner.contains(['*', '?']) => "like",
        (true, true) => "contains",
        (true, false) => "endswith",
        (false, true) => "startswith",
        (false, false) => "like",
    };
    write!(f, "{function}({},", it.column)?;
    quoted(f, if function == "like" { pattern } else { inner })?;
    f.write_str(")")
}

fn quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    write!(f, "'{}'", text.replace('\'', "''"))
}
