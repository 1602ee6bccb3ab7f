//! Values of a column as arguments of a statement: one, or several as an array.

use proto::query::v1 as pb;
use proto::query::v1::value::Kind as Value;

use super::bind::{Bound, bind, invalid};
use super::column::Column;
use super::condition::parameter_type;
use super::{Argument, Arguments};
use crate::binding::Kind;
use crate::error::Error;

/// The values as one array, and whether any is null.
pub(super) fn list(
    arguments: &mut Arguments,
    column: &Column,
    values: &[pb::Value],
) -> Result<(String, bool), Error> {
    let wire = storage(&column.kind);
    let bound = values.iter().map(|it| stored(column, it));
    let bound: Vec<Option<Argument>> = bound.collect::<Result<_, _>>()?;
    let has_null = bound.iter().any(Option::is_none);
    let list = Argument::list(wire, bound).ok_or_else(|| impossible(column))?;
    Ok((format!("{}::{wire}[]", arguments.push(list)), has_null))
}

/// As [`list`], of one value.
pub(super) fn one(
    arguments: &mut Arguments,
    column: &Column,
    value: &pb::Value,
) -> Result<(String, bool), Error> {
    let wire = storage(&column.kind);
    match stored(column, value)? {
        None => Ok((format!("NULL::{wire}"), true)),
        Some(value) if value.wire() == wire => {
            Ok((format!("{}::{wire}", arguments.push(value)), false))
        }
        Some(_) => Err(impossible(column)),
    }
}

fn stored(column: &Column, value: &pb::Value) -> Result<Option<Argument>, Error> {
    if is_null(value) {
        return Ok(None);
    }
    match bind(column, value)? {
        Bound::Value(argument) => Ok(Some(argument)),
        Bound::Impossible => Err(impossible(column)),
    }
}

fn impossible(column: &Column) -> Error {
    invalid(column, "a value that rows can have")
}

/// What values of the kind are bound as.
fn storage(kind: &Kind) -> &'static str {
    match parameter_type(kind) {
        bound @ ("uuid" | "bigint" | "boolean") => bound,
        _ => "text",
    }
}

pub(super) fn is_null(value: &pb::Value) -> bool {
    matches!(value.kind, None | Some(Value::NullValue(_)))
}
