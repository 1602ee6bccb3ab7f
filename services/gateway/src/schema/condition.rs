//! `$filter` over descriptions: what an expression says of a JSON object.

use std::cmp::Ordering;

use odata::Quantifier;
use odata::{ArgumentValue, CompareOp, Expr, Literal, Operand, OperandKind, Path, QueryFunction};
use serde_json::Value;

use crate::error::GatewayError;

/// An object, and the variables of the lambdas around the expression.
pub(super) struct Scope<'a> {
    pub(super) object: &'a Value,
    pub(super) variables: Vec<(&'a str, &'a Value)>,
}

impl<'a> Scope<'a> {
    pub(super) fn of(object: &'a Value) -> Self {
        Self { object, variables: Vec::new() }
    }

    pub(super) fn holds(&self, expression: &'a Expr) -> Result<bool, GatewayError> {
        match expression {
            Expr::And(parts) => self.every(parts, true),
            Expr::Or(parts) => Ok(!self.every(parts, false)?),
            Expr::Not(inner) => Ok(!self.holds(inner)?),
            Expr::Compare { op, left, right } => {
                Ok(compare(*op, &self.value(left)?, &self.value(right)?))
            }
            Expr::In { left, values } => {
                let left = self.value(left)?;
                for value in values {
                    if compare(CompareOp::Eq, &left, &self.value(value)?) {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Expr::Has { left, right } => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                let flags = |it: &Value| -> Vec<String> {
                    it.as_str().unwrap_or_default().split(',').map(|it| it.trim().into()).collect()
                };
                let has = flags(&left);
                Ok(flags(&right).iter().all(|it| has.contains(it)))
            }
            Expr::Predicate(operand) => match &operand.kind {
                OperandKind::Lambda { path, quantifier, predicate } => {
                    self.lambda(path, *quantifier, predicate.as_ref())
                }
                OperandKind::Query(function) => self.query(function),
                _ => Ok(self.value(operand)? == Value::Bool(true)),
            },
        }
    }

    /// The value that a path leads to; null where nothing is.
    pub(super) fn path(&self, path: &Path) -> Value {
        let mut names = path.0.iter().map(String::as_str).peekable();
        let mut value = self.object;
        if let Some(first) = names.peek() {
            let variable = self.variables.iter().rev().find(|it| it.0 == *first);
            if let Some((_, object)) = variable {
                value = object;
                names.next();
            } else if *first == "$it" {
                names.next();
            }
        }
        for name in names {
            if name == "$count" {
                return value.as_array().map_or(Value::Null, |it| it.len().into());
            }
            if name.contains('.') {
                continue;
            }
            let Some(next) = value.get(name) else { return Value::Null };
            value = next;
        }
        value.clone()
    }

    /// Whether every part is what it should be.
    fn every(&self, parts: &'a [Expr], wanted: bool) -> Result<bool, GatewayError> {
        for part in parts {
            if self.holds(part)? != wanted {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn lambda(
        &self,
        path: &Path,
        quantifier: Quantifier,
        predicate: Option<&'a (String, Box<Expr>)>,
    ) -> Result<bool, GatewayError> {
        if !self.variables.is_empty() {
            // Each level would multiply the work by the number of columns.
            let message = "'any' and 'all' within one another are not offered over metadata.";
            return Err(GatewayError::InvalidFilter(message.to_owned()));
        }
        let items = self.path(path);
        let items = items.as_array().map(Vec::as_slice).unwrap_or_default();
        let Some((variable, predicate)) = predicate else { return Ok(!items.is_empty()) };
        let wanted = quantifier == Quantifier::Any;
        for item in items {
            // A scope of its own, since the item lives no longer than this call.
            let variables: Vec<(&str, &Value)> = vec![(variable, item)];
            if (Scope { object: self.object, variables }).holds(predicate)? == wanted {
                return Ok(wanted);
            }
        }
        Ok(!wanted)
    }

    /// `Microsoft.Dynamics.CRM.In(..)`, the one query function that metadata knows.
    fn query(&self, function: &QueryFunction) -> Result<bool, GatewayError> {
        let name = function.argument("PropertyName");
        let values = function.argument("PropertyValues");
        let (
            "Microsoft.Dynamics.CRM.In",
            Some(ArgumentValue::Literal(Literal::String(name))),
            Some(ArgumentValue::List(values)),
        ) = (function.name.as_str(), name, values)
        else {
            return Err(refused(&function.name));
        };
        let value = self.path(&Path(name.split('/').map(str::to_owned).collect()));
        Ok(values.iter().any(|it| compare(CompareOp::Eq, &value, &constant(it))))
    }

    fn value(&self, operand: &'a Operand) -> Result<Value, GatewayError> {
        match &operand.kind {
            OperandKind::Literal(literal) => Ok(constant(literal)),
            OperandKind::Path(path) => Ok(self.path(path)),
            OperandKind::Call { function, arguments } => self.call(function, arguments),
            OperandKind::Query(function) => self.query(function).map(Value::Bool),
            OperandKind::Lambda { path, quantifier, predicate } => {
                self.lambda(path, *quantifier, predicate.as_ref()).map(Value::Bool)
            }
        }
    }

    fn call(&self, function: &str, arguments: &'a [Operand]) -> Result<Value, GatewayError> {
        let values = arguments.iter().map(|it| self.value(it)).collect::<Result<Vec<_>, _>>()?;
        let texts: Vec<Option<&str>> = values.iter().map(Value::as_str).collect();
        Ok(match (function, texts.as_slice()) {
            ("contains" | "startswith" | "endswith", [Some(text), Some(part)]) => {
                let (text, part) = (text.to_lowercase(), part.to_lowercase());
                Value::Bool(match function {
                    "contains" => text.contains(&part),
                    "startswith" => text.starts_with(&part),
                    _ => text.ends_with(&part),
                })
            }
            ("contains" | "startswith" | "endswith", [_, _]) => Value::Bool(false),
            ("tolower", [Some(text)]) => text.to_lowercase().into(),
            ("toupper", [Some(text)]) => text.to_uppercase().into(),
            ("tolower" | "toupper", [None]) => Value::Null,
            _ => return Err(refused(function)),
        })
    }
}

/// In which order two values stand: null first, text without regard to case.
pub(super) fn order(left: &Value, right: &Value) -> Ordering {
    match (left, right) {
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Less,
        (_, Value::Null) => Ordering::Greater,
        (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
        (Value::Number(left), Value::Number(right)) => {
            let number = |it: &serde_json::Number| it.as_f64().unwrap_or_default();
            number(left).total_cmp(&number(right))
        }
        (Value::String(left), Value::String(right)) => {
            left.to_lowercase().cmp(&right.to_lowercase()).then_with(|| left.cmp(right))
        }
        _ => Ordering::Equal,
    }
}

fn compare(op: CompareOp, left: &Value, right: &Value) -> bool {
    let (left, right) = (simple(left), simple(right));
    match op {
        CompareOp::Eq => left == right,
        CompareOp::Ne => left != right,
        // Nothing is before or after what is not there.
        _ if left.is_null() || right.is_null() => false,
        CompareOp::Gt => order(left, right).is_gt(),
        CompareOp::Ge => order(left, right).is_ge(),
        CompareOp::Lt => order(left, right).is_lt(),
        CompareOp::Le => order(left, right).is_le(),
    }
}

/// `RequiredLevel eq 'None'` means the value in it.
fn simple(value: &Value) -> &Value {
    match value {
        Value::Object(members) => members.get("Value").unwrap_or(value),
        other => other,
    }
}

fn constant(literal: &Literal) -> Value {
    match literal {
        Literal::Null => Value::Null,
        Literal::Bool(it) => Value::Bool(*it),
        Literal::Integer(digits) | Literal::Decimal(digits) | Literal::Double(digits) => {
            let whole = digits.parse::<i64>().map(Value::from);
            whole.unwrap_or_else(|_| digits.parse::<f64>().map_or(Value::Null, Value::from))
        }
        Literal::String(text) => text.as_str().into(),
        Literal::Guid(id) => id.to_string().into(),
        Literal::Enum { member, .. } => member.as_str().into(),
        Literal::Date(it) => it.to_string().into(),
        Literal::DateTime(it) => it.to_rfc3339().into(),
        Literal::TimeOfDay(it) => it.to_string().into(),
        Literal::Duration(it) => it.as_str().into(),
        Literal::Binary(_) => Value::Null,
    }
}

fn refused(function: &str) -> GatewayError {
    GatewayError::InvalidFilter(format!("The function '{function}' is not known to metadata."))
}

/// Names of the described objects' own members that an expression uses. What stands in a lambda is
/// said of others.
pub(super) fn names(expression: &Expr, add: &mut impl FnMut(&str)) {
    own_paths(expression, false, &mut |path| {
        let name = path.0.iter().find(|it| !it.contains('.') && !it.starts_with('$'));
        if let Some(name) = name {
            add(name);
        }
    });
}

/// Every path of an expression.
pub(super) fn paths(expression: &Expr, add: &mut dyn FnMut(&Path)) {
    own_paths(expression, true, add);
}

fn own_paths(expression: &Expr, inner: bool, add: &mut dyn FnMut(&Path)) {
    match expression {
        Expr::And(parts) | Expr::Or(parts) => {
            parts.iter().for_each(|it| own_paths(it, inner, add));
        }
        Expr::Not(negated) => own_paths(negated, inner, add),
        Expr::Compare { left, right, .. } | Expr::Has { left, right } => {
            operand_paths(left, inner, add);
            operand_paths(right, inner, add);
        }
        Expr::In { left, values } => {
            operand_paths(left, inner, add);
            values.iter().for_each(|it| operand_paths(it, inner, add));
        }
        Expr::Predicate(operand) => operand_paths(operand, inner, add),
    }
}

fn operand_paths(operand: &Operand, inner: bool, add: &mut dyn FnMut(&Path)) {
    match &operand.kind {
        OperandKind::Path(path) => add(path),
        OperandKind::Lambda { path, predicate, .. } => {
            add(path);
            if let Some((_, predicate)) = predicate.as_ref().filter(|_| inner) {
                own_paths(predicate, inner, add);
            }
        }
        OperandKind::Call { arguments, .. } => {
            arguments.iter().for_each(|it| operand_paths(it, inner, add));
        }
        OperandKind::Literal(_) | OperandKind::Query(_) => {}
    }
}
