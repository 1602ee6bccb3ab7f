//! The model's own rules: what a field is worth that nobody gave a value, and what a row must meet.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use proto::query::v1 as pb;
use proto::query::v1::value::Kind as Given;
use rules::{Actor, EvaluationError, Row, Value};
use uuid::Uuid;

use super::entity::Entity;
use super::given::{GivenValue, refused};
use super::{Known, Session};
use crate::binding::{Binding, Field, Kind, Stored};
use crate::error::Error;

/// Stored values of fields, as text.
pub(super) type StoredTexts = HashMap<usize, Option<String>>;
/// What a row holds before it is changed, as rules see it.
pub(super) type Before = HashMap<String, Value>;

/// Gives fields that were not given a value the one of their expression, in the order of the fields.
pub(super) fn add_defaults(
    session: &Session<'_>,
    entity: &Entity,
    given: &mut super::given::Given,
) -> Result<(), Error> {
    let fields = &entity.binding.fields;
    if fields.iter().all(|it| it.limits.default.is_none()) {
        return Ok(());
    }
    let mut row = Row { fields: values(&entity.binding, given), old: None };
    let actor = actor(session, &row, &entity.binding);
    for (index, field) in fields.iter().enumerate() {
        let Some(default) = &field.limits.default else { continue };
        if given.get(index).is_some() {
            continue;
        }
        let value = default.evaluate(&row, &actor).map_err(|error| failed(entity, &error))?;
        let Some(value) = request_value(field, &value)? else { continue };
        row.fields.insert(field.name.clone(), rule_value(field, &value));
        given.values.push(GivenValue { field: index, value, is_default: true });
    }
    Ok(())
}

/// Refuses a row that does not meet a rule. `before` is the row as it is, where it is changed.
pub(super) fn check(
    session: &Session<'_>,
    entity: &Entity,
    given: &super::given::Given,
    before: Option<Before>,
) -> Result<(), Error> {
    let is_there = before.is_some();
    let applies = |it: &&crate::binding::Rule| if is_there { it.on_update } else { it.on_create };
    let mut rules = entity.binding.rules.iter().filter(applies).peekable();
    if rules.peek().is_none() {
        return Ok(());
    }
    let given = values(&entity.binding, given);
    let row = match before {
        None => Row { fields: given, old: None },
        Some(old) => {
            let mut fields = old.clone();
            fields.extend(given);
            Row { fields, old: Some(old) }
        }
    };
    let actor = actor(session, &row, &entity.binding);
    for rule in rules {
        let holds = rule.check.holds(&row, &actor).map_err(|error| {
            tracing::warn!(entity = entity.name(), rule = rule.name, %error, "a rule cannot be judged");
            failed(entity, &error)
        })?;
        if !holds {
            let field = rule.field.and_then(|it| entity.binding.fields.get(it));
            let column = field.map(|it| it.name.clone());
            return Err(Error::BusinessRule { column, message: rule.message.clone() });
        }
    }
    Ok(())
}

fn failed(entity: &Entity, error: &EvaluationError) -> Error {
    let message =
        format!("the rules of `{}` cannot be applied to this row: {}", entity.name(), error.reason);
    Error::BusinessRule { column: None, message }
}

fn actor(session: &Session<'_>, row: &Row, binding: &Binding) -> Actor {
    let company = binding.company_field().and_then(|it| row.fields.get(&it.name));
    let company = match company {
        Some(Value::Text(it)) => it.clone(),
        _ => String::new(),
    };
    Actor { user: session.caller.user.erp_user.clone(), company, now: Utc::now() }
}

fn values(binding: &Binding, given: &super::given::Given) -> HashMap<String, Value> {
    let values = given.values.iter().filter_map(|it| {
        let field = binding.fields.get(it.field)?;
        Some((field.name.clone(), rule_value(field, &it.value)))
    });
    values.collect()
}

/// A request's value as rules see it. Texts are in the letter case in which they are stored.
fn rule_value(field: &Field, value: &pb::Value) -> Value {
    use crate::binding::Casing;
    match value.kind.as_ref() {
        None | Some(Given::NullValue(_)) => Value::Null,
        Some(Given::BoolValue(it)) => Value::Bool(*it),
        Some(Given::Int64Value(it)) => match field.kind {
            Kind::Decimal => Value::decimal(&it.to_string()).unwrap_or_default(),
            _ => Value::Integer(*it),
        },
        Some(Given::DecimalValue(it)) => match field.kind {
            Kind::Integer => it.parse().map(Value::Integer).unwrap_or_default(),
            _ => Value::decimal(it).unwrap_or_default(),
        },
        Some(Given::DoubleValue(_)) => Value::Null,
        Some(Given::StringValue(it)) => Value::Text(match (&field.kind, field.casing) {
            (Kind::Text, Casing::Upper) => it.to_uppercase(),
            (Kind::Text, Casing::Lower) => it.to_lowercase(),
            _ => it.clone(),
        }),
        Some(Given::GuidValue(it)) => {
            Uuid::from_slice(it).map(|it| Value::Text(it.to_string())).unwrap_or_default()
        }
        Some(Given::DateValue(it)) => Value::Text(it.clone()),
        Some(Given::TimestampMicrosValue(it)) => {
            DateTime::from_timestamp_micros(*it).map(Value::moment).unwrap_or_default()
        }
    }
}

/// A row that was read as text.
pub(super) fn stored(binding: &Binding, texts: &StoredTexts) -> Before {
    let values = binding.fields.iter().enumerate().map(|(index, field)| {
        let text = texts.get(&index).and_then(Option::as_deref);
        let value = text.and_then(|it| stored_value(binding, field, it));
        (field.name.clone(), value.unwrap_or_default())
    });
    values.collect()
}

/// A row of which the caller knows all that the rules of changes name; `None` where it does not.
pub(super) fn known(binding: &Binding, known: &Known) -> Option<Before> {
    let names = binding.rules.iter().filter(|it| it.on_update).flat_map(|it| it.check.fields());
    let value = |name: &str| {
        let value = rule_value(binding.field(name)?, known.held(name)?);
        Some((name.to_owned(), value))
    };
    names.map(value).collect()
}

/// What the database writes as text, as rules see it; `None` for what means no value.
fn stored_value(binding: &Binding, field: &Field, text: &str) -> Option<Value> {
    Some(match &field.kind {
        Kind::Text | Kind::Guid => Value::Text(text.to_owned()),
        Kind::Integer => Value::Integer(text.parse().ok()?),
        Kind::Decimal => Value::decimal(text)?,
        Kind::Boolean => Value::Bool(text.starts_with('t')),
        Kind::Date => {
            let date: NaiveDate = text.get(..10)?.parse().ok()?;
            Value::date((Some(date) != binding.null_date).then_some(date)?)
        }
        Kind::DateTime { .. } => {
            let plain = text.strip_suffix("+00").unwrap_or(text);
            let moment = NaiveDateTime::parse_from_str(plain, "%Y-%m-%d %H:%M:%S%.f").ok()?;
            let none = binding.null_date.and_then(|it| it.and_hms_opt(0, 0, 0));
            Value::moment((Some(moment) != none).then_some(moment)?.and_utc())
        }
        Kind::Enum(members) => {
            let is_it = |it: &Stored| match it {
                Stored::Int(it) => it.to_string() == text,
                Stored::Text(it) => it == text,
                Stored::Bool(it) => *it == text.starts_with('t'),
            };
            Value::Text(members.members.iter().find(|it| is_it(&it.stored))?.symbol.clone())
        }
    })
}

/// What an expression gives, as a request would; `None` for nothing.
fn request_value(field: &Field, value: &Value) -> Result<Option<pb::Value>, Error> {
    let unfit = || refused(field, "has a default that does not fit it");
    let kind = match (&field.kind, value) {
        (_, Value::Null) => return Ok(None),
        (Kind::Boolean, Value::Bool(it)) => Given::BoolValue(*it),
        (Kind::Integer | Kind::Decimal, Value::Integer(it)) => Given::Int64Value(*it),
        (Kind::Integer | Kind::Decimal, Value::Decimal(it)) => {
            Given::DecimalValue(it.normalize().to_string())
        }
        (Kind::Text | Kind::Enum(_), Value::Text(it)) => Given::StringValue(it.clone()),
        (Kind::Guid, Value::Text(it)) => {
            let guid: Uuid = it.parse().map_err(|_| unfit())?;
            Given::GuidValue(prost::bytes::Bytes::copy_from_slice(guid.as_bytes()))
        }
        (Kind::Date, Value::Text(it)) => {
            Given::DateValue(it.get(..10).ok_or_else(unfit)?.to_owned())
        }
        (Kind::DateTime { .. }, Value::Text(it)) => {
            let moment = DateTime::parse_from_rfc3339(it).map(|it| it.timestamp_micros());
            Given::TimestampMicrosValue(match moment {
                Ok(it) => it,
                Err(_) => {
                    let date: NaiveDate = it.parse().map_err(|_| unfit())?;
                    date.and_hms_opt(0, 0, 0).ok_or_else(unfit)?.and_utc().timestamp_micros()
                }
            })
        }
        _ => return Err(unfit()),
    };
    Ok(Some(pb::Value { kind: Some(kind) }))
}
