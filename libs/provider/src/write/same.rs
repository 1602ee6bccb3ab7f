//! Values of a request that only say again which row it is.

use proto::query::v1 as pb;

use super::entity::Entity;
use super::{Session, statement};
use crate::binding::{Casing, Field, Kind};
use crate::error::Error;
use crate::plan::{self, Argument, row_parts};

/// The values without those of the row's own key.
pub(super) async fn without_own_key(
    session: &mut Session<'_>,
    entity: &Entity,
    key: &pb::record_key::Key,
    values: &[pb::FieldValue],
) -> Result<Vec<pb::FieldValue>, Error> {
    let own = match key {
        pb::record_key::Key::Alternate(key) => {
            let own =
                key.values.iter().filter_map(|it| Some((field(entity, it)?, it.value.as_ref()?)));
            let own = own.map(|(field, value)| {
                Ok(plan::stored(&entity.binding, field, value)?.map(|it| (field, it)))
            });
            own.filter_map(Result::transpose).collect::<Result<Vec<_>, Error>>()?
        }
        pb::record_key::Key::RecordId(_) => {
            let fixed = values.iter().filter_map(|it| field(entity, it));
            let fixed: Vec<&Field> = fixed.filter(|it| !it.limits.on_update).collect();
            stored_key(session, entity, key, &fixed).await?
        }
    };
    let mut changes = Vec::with_capacity(values.len());
    for value in values {
        let known = own.iter().find(|it| it.0.name == value.field);
        let (Some((field, known)), Some(given)) = (known, &value.value) else {
            changes.push(value.clone());
            continue;
        };
        // What is no value of the field is refused where every value is judged.
        let given = plan::stored(&entity.binding, field, given).ok().flatten();
        if !given.is_some_and(|it| is_same(field, known, &it)) {
            changes.push(value.clone());
        }
    }
    Ok(changes)
}

/// The field of the entity's key that a value is for.
fn field<'e>(entity: &'e Entity, value: &pb::FieldValue) -> Option<&'e Field> {
    entity.binding.key_fields().find(|it| it.name == value.field)
}

/// What the row has in these fields of its key; nothing where there is no such row.
async fn stored_key<'e>(
    session: &mut Session<'_>,
    entity: &'e Entity,
    key: &pb::record_key::Key,
    fields: &[&'e Field],
) -> Result<Vec<(&'e Field, Argument)>, Error> {
    if fields.is_empty() {
        return Ok(Vec::new());
    }
    let parts = row_parts(&entity.grant, Some(key))?;
    let predicate = parts.predicate.unwrap_or_else(|| "false".to_owned());
    let columns: Vec<String> = fields.iter().map(|it| format!("({})::text", it.sql)).collect();
    let columns = columns.join(", ");
    let sql = format!("SELECT {columns} FROM {} WHERE {predicate} LIMIT 1", parts.from);
    let row = statement::fetch(session.connection, &sql, parts.arguments).await;
    let Some(row) = row.map_err(|error| Error::of(entity.name(), error))? else {
        return Ok(Vec::new());
    };
    let mut stored = Vec::with_capacity(fields.len());
    for (at, field) in fields.iter().enumerate() {
        let Some(text) = statement::text(&row, at)? else { continue };
        let value = match field.kind {
            Kind::Text => Some(Argument::Text(text)),
            Kind::Integer => text.parse().ok().map(Argument::Int),
            _ => None,
        };
        stored.extend(value.map(|it| (*field, it)));
    }
    Ok(stored)
}

/// Whether two values of the field are one, as the field compares.
fn is_same(field: &Field, one: &Argument, other: &Argument) -> bool {
    match (&field.kind, one, other) {
        (Kind::Text, Argument::Text(one), Argument::Text(other)) => {
            // Where letter case is stored as it is given, a key does not tell the one that is stored.
            let is_open = field.casing == Casing::Any && field.limits.on_update;
            let is_exact = field.casing == Casing::Exact;
            !is_open && (one == other || !is_exact && one.to_lowercase() == other.to_lowercase())
        }
        _ => one == other,
    }
}
