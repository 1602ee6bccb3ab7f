//! References: rows that are named by their keys.

use std::collections::{BTreeMap, HashMap};

use prost::Message as _;
use proto::query::v1 as pb;
use proto::query::v1::apply_value::Content;
use proto::query::v1::value::Kind as Value;
use uuid::Uuid;

use crate::binding::{Binding, Kind};
use crate::error::Error;
use crate::ids;
use crate::plan::Which;
use crate::sharing::images;
use crate::sharing::map::Map;
use crate::sharing::rights::{Unrestricted, is_null};
use crate::write::Session;

/// What is known of rows that were looked for, for as long as a step takes.
#[derive(Debug, Default)]
pub(super) struct Referred {
    /// By entity and key; with how many rows of the entity had been made when it was looked for.
    known: HashMap<(String, Vec<u8>), (Option<Uuid>, u64)>,
    made: HashMap<String, u64>,
}

/// What a value is to be.
#[derive(Clone, Debug)]
pub(super) enum Resolved {
    Value(pb::Value),
    /// An optional reference that found nothing.
    Nothing,
}

// === impl Referred ===

impl Referred {
    /// A row of the entity was made, or has another key now.
    pub(super) fn forget(&mut self, entity: &str) {
        *self.made.entry(entity.to_owned()).or_default() += 1;
    }

    /// How often that was.
    pub(super) fn made(&self, entity: &str) -> u64 {
        self.made.get(entity).copied().unwrap_or_default()
    }

    /// Looks for all that the values refer to, as many at once as can be.
    pub(super) async fn prepare(
        &mut self,
        session: &mut Session<'_>,
        values: &[&pb::ApplyValue],
    ) -> Result<(), Error> {
        let references = values.iter().filter_map(|it| reference(it));
        let references: Vec<&pb::Reference> = references.filter(|it| !is_empty(it)).collect();
        if references.is_empty() {
            return Ok(());
        }
        let nested: Vec<&pb::ApplyValue> = references.iter().flat_map(|it| &it.key).collect();
        Box::pin(self.prepare(session, &nested)).await?;
        let mut shapes: BTreeMap<(String, Vec<String>), Vec<pb::ImageKey>> = BTreeMap::new();
        for it in references {
            let Some(values) = self.key(it) else { continue };
            if self.recall(&it.entity_name, &values).is_some() {
                continue;
            }
            let names = it.key.iter().map(|it| it.column.clone()).collect();
            let wanted = shapes.entry((it.entity_name.clone(), names)).or_default();
            let key = pb::ImageKey { company: String::new(), values };
            if !wanted.contains(&key) {
                wanted.push(key);
            }
        }
        for ((entity, names), keys) in shapes {
            self.find(session, &entity, &names, keys).await?;
        }
        Ok(())
    }

    async fn find(
        &mut self,
        session: &mut Session<'_>,
        entity: &str,
        names: &[String],
        keys: Vec<pb::ImageKey>,
    ) -> Result<(), Error> {
        let rights = Unrestricted(session.authority);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let map = Map::of_columns(&rights, entity, &[], &names)?;
        let which = Which { keys: Some(&keys), ..Which::default() };
        let seen = images::read(session.connection, &rights, &map, &which).await?;
        let mut found: Vec<Option<Uuid>> = vec![None; keys.len()];
        for it in seen {
            if let Some(place) = it.place.and_then(|place| found.get_mut(place))
                && place.replace(it.id).is_some_and(|other| other != it.id)
            {
                return Err(map.not_unique());
            }
        }
        let made = self.made(entity);
        for (key, id) in keys.into_iter().zip(found) {
            self.known.insert((entity.to_owned(), encoded(&key.values)), (id, made));
        }
        Ok(())
    }

    /// What is known of a key, unless that may have changed.
    fn recall(&self, entity: &str, key: &[pb::Value]) -> Option<Option<Uuid>> {
        let (id, made) = self.known.get(&(entity.to_owned(), encoded(key)))?;
        (id.is_some() || *made == self.made(entity)).then_some(*id)
    }

    /// The values of a reference's key; `None` where one of them refers to nothing that is there.
    fn key(&self, reference: &pb::Reference) -> Option<Vec<pb::Value>> {
        let value = |it: &pb::ApplyValue| match &it.content {
            Some(Content::Value(value)) => Some(value.clone()),
            Some(Content::Reference(nested)) if is_empty(nested) => Some(null()),
            Some(Content::Reference(nested)) => {
                let id = self.recall(&nested.entity_name, &self.key(nested)?)??;
                Some(guid(id))
            }
            None => Some(null()),
        };
        reference.key.iter().map(value).collect()
    }

    /// The value, as the entity's column takes it.
    pub(super) async fn resolve(
        &mut self,
        session: &mut Session<'_>,
        binding: &Binding,
        value: &pb::ApplyValue,
    ) -> Result<Resolved, Error> {
        let Some(reference) = reference(value) else {
            let plain = match &value.content {
                Some(Content::Value(value)) => value.clone(),
                _ => null(),
            };
            return Ok(Resolved::Value(plain));
        };
        if is_empty(reference) {
            return Ok(Resolved::Value(null()));
        }
        self.prepare(session, &[value]).await?;
        let known = self.key(reference).and_then(|it| self.recall(&reference.entity_name, &it));
        match known.flatten() {
            Some(id) => Ok(Resolved::Value(held(session, binding, value, reference, id)?)),
            None if reference.optional => Ok(Resolved::Nothing),
            None => Err(Error::ReferenceNotFound {
                column: value.column.clone(),
                entity: reference.entity_name.clone(),
                key: text(reference),
            }),
        }
    }
}

/// What a column holds that leads to the row.
fn held(
    session: &Session<'_>,
    binding: &Binding,
    value: &pb::ApplyValue,
    reference: &pb::Reference,
    id: Uuid,
) -> Result<pb::Value, Error> {
    let is_number = binding.field(&value.column).is_some_and(|it| matches!(it.kind, Kind::Integer));
    if !is_number {
        return Ok(guid(id));
    }
    let target = Unrestricted(session.authority).binding(&reference.entity_name)?;
    let number = ids::decode_record_guid(target.entity_id, id);
    let number = number.ok_or_else(|| Error::InvalidValue {
        column: value.column.clone(),
        expected: "the id of a row with a number",
    })?;
    Ok(pb::Value { kind: Some(Value::Int64Value(number)) })
}

fn reference(value: &pb::ApplyValue) -> Option<&pb::Reference> {
    match &value.content {
        Some(Content::Reference(it)) => Some(it),
        _ => None,
    }
}

/// It names nothing on purpose: a part of its key is empty, or all that is named by its own key.
fn is_empty(reference: &pb::Reference) -> bool {
    let nothing = |it: &pb::Value| {
        is_null(it) || matches!(&it.kind, Some(Value::StringValue(text)) if text.is_empty())
    };
    let is_named = |it: &pb::ApplyValue| match &it.content {
        Some(Content::Value(value)) => !nothing(value),
        Some(Content::Reference(nested)) => !is_empty(nested),
        None => false,
    };
    let is_blank = |it: &pb::ApplyValue| match &it.content {
        Some(Content::Value(value)) => nothing(value),
        Some(Content::Reference(_)) => false,
        None => true,
    };
    reference.key.iter().any(is_blank) || !reference.key.iter().any(is_named)
}

fn encoded(key: &[pb::Value]) -> Vec<u8> {
    pb::ImageKey { company: String::new(), values: key.to_vec() }.encode_to_vec()
}

fn guid(id: Uuid) -> pb::Value {
    pb::Value { kind: Some(Value::GuidValue(id.into_bytes().to_vec().into())) }
}

fn null() -> pb::Value {
    pb::Value { kind: Some(Value::NullValue(pb::NullMarker {})) }
}

/// For people.
fn text(reference: &pb::Reference) -> String {
    let part = |it: &pb::ApplyValue| match &it.content {
        Some(Content::Value(value)) => format!("{}={}", it.column, value_text(value)),
        Some(Content::Reference(nested)) => format!("{}=({})", it.column, text(nested)),
        None => format!("{}=", it.column),
    };
    reference.key.iter().map(part).collect::<Vec<_>>().join(",")
}

fn value_text(value: &pb::Value) -> String {
    match &value.kind {
        None | Some(Value::NullValue(_)) => String::new(),
        Some(Value::BoolValue(it)) => it.to_string(),
        Some(Value::Int64Value(it) | Value::TimestampMicrosValue(it)) => it.to_string(),
        Some(Value::DoubleValue(it)) => it.to_string(),
        Some(Value::DecimalValue(it) | Value::StringValue(it) | Value::DateValue(it)) => it.clone(),
        Some(Value::GuidValue(it)) => {
            Uuid::from_slice(it).map(|it| it.to_string()).unwrap_or_default()
        }
    }
}
