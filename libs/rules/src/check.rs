//! What an expression may be made of: whatever is not listed here is refused when a model is loaded.

use std::collections::BTreeSet;

use rhai::{AST, ASTNode, Expr, FnCallExpr, Stmt};

use crate::CONTEXT;
use crate::expression::{InvalidExpression, invalid};
use crate::functions::{FUNCTIONS, OPERATORS};

/// What an expression names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    /// Variables: fields, and what of [`CONTEXT`].
    pub(crate) variables: BTreeSet<String>,
    /// Fields of the stored row.
    pub(crate) old: BTreeSet<String>,
}

/// Checks the expression that `ast` is made of.
pub(crate) fn names(ast: &AST, fields: &[&str]) -> Result<Names, InvalidExpression> {
    let mut names = Names::default();
    let [Stmt::Expr(root)] = ast.statements() else {
        return Err(InvalidExpression {
            reason: "there is no expression".to_owned(),
            position: None,
        });
    };
    Checker { fields, names: &mut names }.expression(root)?;
    Ok(names)
}

struct Checker<'a> {
    fields: &'a [&'a str],
    names: &'a mut Names,
}

impl Checker<'_> {
    fn expression(&mut self, it: &Expr) -> Result<(), InvalidExpression> {
        match it {
            Expr::BoolConstant(..)
            | Expr::IntegerConstant(..)
            | Expr::CharConstant(..)
            | Expr::StringConstant(..)
            | Expr::Unit(..) => Ok(()),
            Expr::DynamicConstant(value, _) if value.is_decimal() || value.is_array() => Ok(()),
            Expr::Variable(named, _, _) => self.variable(&named.1, it),
            Expr::Array(items, _) => items.iter().try_for_each(|it| self.expression(it)),
            Expr::And(items, _) | Expr::Or(items, _) | Expr::Coalesce(items, _) => {
                items.iter().try_for_each(|it| self.expression(it))
            }
            Expr::FnCall(call, _) => self.call(call, it),
            Expr::Dot(pair, _, _) => match (&pair.lhs, &pair.rhs) {
                (Expr::Variable(named, _, _), Expr::Property(property, _)) if named.1 == "old" => {
                    self.stored(&property.2, &pair.rhs)
                }
                _ => refused(&pair.rhs, "only `old` has fields; functions are called as `f(x)`"),
            },
            _ => refused(it, "this is not allowed in an expression"),
        }
    }

    fn variable(&mut self, name: &str, at: &Expr) -> Result<(), InvalidExpression> {
        if !CONTEXT.contains(&name) && !self.fields.contains(&name) {
            return refused(at, &format!("there is no field `{name}`"));
        }
        self.names.variables.insert(name.to_owned());
        Ok(())
    }

    fn stored(&mut self, name: &str, at: &Expr) -> Result<(), InvalidExpression> {
        if !self.fields.contains(&name) {
            return refused(at, &format!("there is no field `{name}`"));
        }
        self.names.variables.insert("old".to_owned());
        self.names.old.insert(name.to_owned());
        Ok(())
    }

    fn call(&mut self, call: &FnCallExpr, at: &Expr) -> Result<(), InvalidExpression> {
        let name = call.name.as_str();
        let is_operator = call.op_token.is_some() && OPERATORS.contains(&name);
        if !is_operator {
            let Some((_, arguments)) = FUNCTIONS.iter().find(|it| it.0 == name) else {
                return refused(at, &format!("there is no function `{name}`"));
            };
            if call.args.len() != *arguments {
                let plural = if *arguments == 1 { "" } else { "s" };
                return refused(at, &format!("`{name}` takes {arguments} argument{plural}"));
            }
        }
        call.args.iter().try_for_each(|it| self.expression(it))
    }
}

fn refused<T>(at: &Expr, reason: &str) -> Result<T, InvalidExpression> {
    Err(invalid(reason, ASTNode::Expr(at).position()))
}
