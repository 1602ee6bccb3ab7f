//! A row that is changed where it is, and made where it is not.

use proto::query::v1 as pb;

use super::entity::Entity;
use super::violation::discreet;
use super::{Session, Written, create, key, record_id, statement, update};
use crate::authority::Privilege;
use crate::error::Error;

/// Changes or makes a row.
pub(super) async fn upsert(
    session: &mut Session<'_>,
    request: &pb::UpsertRequest,
) -> Result<pb::UpsertResponse, Error> {
    let key = key(request.key.as_ref())?;
    if !request.create_only
        && let Some(row) = change(session, request, key).await?
    {
        return Ok(answer(row, false));
    }
    let entity = session.entity(&request.entity_name, Privilege::Create).await?;
    if request.create_only && update::exists(session, &entity, key).await? {
        return Err(Error::RecordExists { columns: key_names(&entity) });
    }
    let is_by_id = matches!(key, pb::record_key::Key::RecordId(_));
    if is_by_id && !request.create_only && !create::takes_record_id(&entity)? {
        return Err(Error::RecordNotFound);
    }
    statement::run(session, "SAVEPOINT missing").await?;
    match make(session, &entity, request, key).await {
        Ok(row) => {
            statement::run(session, "RELEASE SAVEPOINT missing").await?;
            Ok(answer(row, true))
        }
        // Somebody may have made it meanwhile.
        Err(error @ Error::RecordExists { .. }) if !request.create_only => {
            let undo = "ROLLBACK TO SAVEPOINT missing; RELEASE SAVEPOINT missing";
            statement::run(session, undo).await?;
            let row = change(session, request, key).await?;
            row.map(|it| answer(it, false)).ok_or_else(|| discreet(&entity, session.caller, error))
        }
        Err(error) => Err(discreet(&entity, session.caller, error)),
    }
}

async fn change(
    session: &mut Session<'_>,
    request: &pb::UpsertRequest,
    key: &pb::record_key::Key,
) -> Result<Option<Written>, Error> {
    let entity = session.entity(&request.entity_name, Privilege::Update).await?;
    let row = update::update(session, &entity, key, &request.values, "").await;
    row.map_err(|error| discreet(&entity, session.caller, error))
}

async fn make(
    session: &mut Session<'_>,
    entity: &Entity,
    request: &pb::UpsertRequest,
    key: &pb::record_key::Key,
) -> Result<Written, Error> {
    let mut values = request.values.clone();
    let mut id = None;
    match key {
        pb::record_key::Key::RecordId(bytes) => id = record_id(bytes)?,
        pb::record_key::Key::Alternate(key) => {
            let given = |it: &&pb::FieldValue| !values.iter().any(|value| value.field == it.field);
            let missing: Vec<_> = key.values.iter().filter(given).cloned().collect();
            values.extend(missing);
        }
    }
    create::create(session, entity, id, &values).await
}

fn key_names(entity: &Entity) -> Vec<String> {
    entity.binding.key_fields().map(|it| it.name.clone()).collect()
}

fn answer(row: Written, created: bool) -> pb::UpsertResponse {
    pb::UpsertResponse { record_id: row.id(), etag: row.etag, created }
}
