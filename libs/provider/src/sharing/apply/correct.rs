//! Corrections: what this side's own rules made of what was applied.
//!
//! A BEFORE trigger that changes what was applied does so within the applied change, whose entry in the log has an
//! origin and is never sent back. So an entry is added that has none, from what was applied to what the row
//! holds: whoever shares or follows takes it from there. Two sides whose rules contradict each other would
//! correct each other for ever. Therefore what is applied as a correction, which its origin says by
//! [`PREFIX`], is not corrected again; and none is made that was made three times within a minute.

use std::collections::BTreeMap;

use proto::query::v1 as pb;
use serde_json::{Map as Object, Value as Json};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::binding::Field;
use crate::error::Error;
use crate::grant::Grant;
use crate::plan::{self, Argument};
use crate::sharing::entries::CORRECTION;
use crate::sharing::map::Map;
use crate::write::Session;

/// An origin that begins so says that a correction is applied.
pub(crate) const PREFIX: &str = "correction:";

/// Adds the entries of one row: of the columns, and what they were to hold.
pub(super) async fn correct(
    session: &mut Session<'_>,
    map: &Map,
    id: Uuid,
    applied: &[(&Field, &pb::Value)],
) -> Result<(), Error> {
    let mut sources: BTreeMap<usize, Object<String, Json>> = BTreeMap::new();
    for (field, value) in applied {
        let Some(column) = &field.column else { continue };
        let value = json(map, field, value)?;
        sources.entry(column.source).or_default().insert(column.name.clone(), value);
    }
    for (source, columns) in sources {
        add(session, map, id, source, Json::Object(columns).to_string()).await?;
    }
    Ok(())
}

async fn add(
    session: &mut Session<'_>,
    map: &Map,
    id: Uuid,
    source: usize,
    applied: String,
) -> Result<(), Error> {
    let grant = Grant::unrestricted(std::sync::Arc::clone(&map.binding));
    let key = pb::record_key::Key::RecordId(id.into_bytes().to_vec().into());
    let mut parts = plan::row_parts(&grant, Some(&key))?;
    let Some(table) = map.binding.sources.get(source) else { return Ok(()) };
    let relation = parts.arguments.push(Argument::Text(table.table.clone()));
    let applied = parts.arguments.push(Argument::Text(applied));
    let (from, alias) = (&parts.from, &table.alias);
    let predicate = parts.predicate.as_deref().unwrap_or("false");
    let sql = format!(
        "INSERT INTO tombolo.change_log (relation, operation, old, new, actor)
         SELECT {relation}::text, 'U', image || {applied}::jsonb, image, '{CORRECTION}'
         FROM (
             SELECT to_jsonb(\"the row\") - ARRAY(
                 SELECT attname::text FROM pg_attribute WHERE attrelid = to_regclass({relation}::text)
                     AND attnum > 0 AND NOT attisdropped AND atttypid = 'bytea'::regtype
             ) AS image
             FROM {from} CROSS JOIN LATERAL (SELECT {alias}.*) AS \"the row\"
             WHERE {predicate} AND NOT (\"the row\" IS NULL)
         ) AS row
         WHERE image IS NOT NULL AND 3 > (
             SELECT count(*) FROM tombolo.change_log AS made
             WHERE made.relation = {relation}::text AND made.actor = '{CORRECTION}'
                 AND made.new = image AND made.at > clock_timestamp() - interval '1 minute'
         )"
    );
    let of = |error| Error::of(map.binding.name(), error);
    let arguments = parts.arguments.encode().map_err(of)?;
    sqlx::query_with(AssertSqlSafe(sql), arguments)
        .execute(&mut *session.connection)
        .await
        .map_err(of)?;
    Ok(())
}

/// As images have it, or at least as the column's type reads it.
fn json(map: &Map, field: &Field, value: &pb::Value) -> Result<Json, Error> {
    if crate::sharing::rights::is_null(value) {
        return Ok(Json::Null);
    }
    Ok(match plan::stored(&map.binding, field, value)? {
        Some(Argument::Int(it)) => Json::from(it),
        Some(Argument::Text(it)) => Json::from(it),
        Some(Argument::Bool(it)) => Json::from(it),
        Some(Argument::Guid(it)) => Json::from(it.to_string()),
        _ => Json::Null,
    })
}
