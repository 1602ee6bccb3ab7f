//! The way of a write: checked against the model, given its defaults, judged by the rules, then put into
//! as few statements as do it.
//!
//! `given` takes the request's values apart and checks them, with what the database says of its tables
//! (`table`, kept by `memory`). `rules` fills in defaults and judges the row. `create` (of many: `create_many`),
//! `update`, `upsert` and `delete` write it, in the order that `order` finds among the entity's sources, with
//! statements from `statement`. What the row then refers to is looked at by
//! `references`. What the database refuses is told in the model's words by `violation`.
//! Start with [`execute`].

mod clear;
mod create;
mod create_many;
mod delete;
mod digits;
mod entity;
mod given;
mod known;
mod memory;
mod order;
mod references;
mod rules;
mod same;
mod statement;
mod table;
mod update;
mod upsert;
mod violation;

use std::sync::Arc;
use std::time::{Duration, Instant};

use proto::query::v1 as pb;
use proto::query::v1::operation::Operation as Kind;
use proto::query::v1::operation_result::Result as Outcome;
use rpc::Caller;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

pub(crate) use create_many::create_many;
pub(crate) use digits::Digits;
pub(crate) use known::Known;
pub(crate) use memory::Tables;
pub(crate) use statement::run;

use crate::authority::{Authority, Privilege};
use crate::error::Error;
use crate::grant::{Grants, Refused};
use crate::plan;
use crate::provider::{Provider, Writer};
use entity::Entity;

/// What it takes to tell the caller that a lock was not to be had.
const ANSWER: Duration = Duration::from_millis(50);

/// Where a write happens, and on whose behalf.
pub(crate) struct Session<'a> {
    pub(crate) connection: &'a mut PgConnection,
    pub(crate) provider: &'a Provider,
    pub(crate) authority: &'a dyn Authority,
    pub(crate) caller: &'a Caller,
    /// After this moment nobody reads the answer.
    pub(crate) deadline: Instant,
    /// No lock is waited for longer than this.
    pub(crate) patience: Duration,
    /// Of whose changes are applied; empty for the caller's own.
    pub(crate) origin: Arc<str>,
    /// The row that is changed, where the caller has locked it.
    pub(crate) known: Option<Known>,
}

/// What a row is after it was written.
#[derive(Debug)]
struct Written {
    record_id: Uuid,
    /// Empty where rows have no version.
    etag: String,
}

/// Does one operation.
pub(crate) async fn execute(
    session: &mut Session<'_>,
    operation: pb::Operation,
) -> Result<pb::OperationResult, Error> {
    if let Some(review) = session.authority.review(session.caller, &operation) {
        review.await.map_err(Error::Reviewed)?;
    }
    let done = Box::pin(perform(session, operation)).await;
    if let Err(Error::SchemaMismatch { .. }) = &done {
        session.provider.tables().forget();
    }
    done
}

async fn perform(
    session: &mut Session<'_>,
    operation: pb::Operation,
) -> Result<pb::OperationResult, Error> {
    let result = match operation.operation.ok_or(Error::Missing("operation"))? {
        Kind::Create(request) => {
            let entity = session.entity(&request.entity_name, Privilege::Create).await?;
            let id = record_id(&request.record_id)?;
            let row = create::create(session, &entity, id, &request.values).await;
            let row = row.map_err(|error| violation::discreet(&entity, session.caller, error))?;
            Outcome::Create(pb::CreateResponse { record_id: row.id(), etag: row.etag })
        }
        Kind::Update(request) => {
            let entity = session.entity(&request.entity_name, Privilege::Update).await?;
            let key = key(request.key.as_ref())?;
            let row = update::update(session, &entity, key, &request.values, &request.etag).await;
            let row = row.map_err(|error| violation::discreet(&entity, session.caller, error))?;
            let row = row.ok_or(Error::RecordNotFound)?;
            Outcome::Update(pb::UpdateResponse { record_id: row.id(), etag: row.etag })
        }
        Kind::Upsert(request) => Outcome::Upsert(upsert::upsert(session, &request).await?),
        Kind::Delete(request) => {
            let entity = session.entity(&request.entity_name, Privilege::Delete).await?;
            delete::delete(session, &entity, key(request.key.as_ref())?, &request.etag).await?;
            Outcome::Delete(pb::DeleteResponse {})
        }
        Kind::Retrieve(request) => Outcome::Retrieve(session.retrieve(&request).await?),
        // They need the transaction itself, and never come here.
        Kind::PerformAction(_) => {
            return Err(Error::NotOffered("this way of an action".to_owned()));
        }
    };
    Ok(pb::OperationResult { result: Some(result) })
}

/// Whether the operation is one statement, which the database does wholly or not at all.
pub(crate) async fn is_one_statement(
    session: &mut Session<'_>,
    operation: &pb::Operation,
) -> Result<bool, Error> {
    Ok(match &operation.operation {
        Some(Kind::Create(it)) => {
            let entity = session.entity(&it.entity_name, Privilege::Create).await?;
            let keeps_id = it.record_id.is_empty() || entity.keeps_record_id();
            let veiled = references::veiled(session, &entity, &it.values);
            entity.is_one_table() && !entity.is_restricted() && keeps_id && veiled.is_empty()
        }
        Some(Kind::Update(it)) => {
            let entity = session.entity(&it.entity_name, Privilege::Update).await?;
            let veiled = references::veiled(session, &entity, &it.values);
            let is_plain = !entity.rules_on_update() && !entity.may_move(&it.values);
            entity.is_one_table() && is_plain && veiled.is_empty()
        }
        Some(Kind::Delete(it)) => {
            session.entity(&it.entity_name, Privilege::Delete).await?.is_one_table()
        }
        Some(Kind::Retrieve(_)) => true,
        _ => false,
    })
}

// === impl Session ===

impl Session<'_> {
    /// How long a lock may be waited for.
    fn patience(&self) -> Duration {
        let remaining = self.deadline.saturating_duration_since(Instant::now());
        let answer = ANSWER.min(remaining / 4);
        // None at all would mean for ever.
        let least = Duration::from_millis(1);
        let patience = remaining.saturating_sub(answer);
        match self.patience {
            Duration::ZERO => patience.max(least),
            most => patience.min(most).max(least),
        }
    }

    /// An entity that the caller may write to.
    async fn entity(&mut self, name: &str, privilege: Privilege) -> Result<Entity, Error> {
        let grant = self.authority.grant(self.caller, name, privilege);
        let grant = grant.map_err(|refused| refuse(refused, name))?;
        let mut tables = Vec::with_capacity(grant.binding().sources.len());
        for source in &grant.binding().sources {
            let table = match self.provider.tables().recall(&source.schema, &source.name) {
                Some(table) => table,
                None => self.describe(name, &source.schema, &source.name).await?,
            };
            tables.push(table);
        }
        Ok(Entity::new(grant, tables, privilege))
    }

    async fn retrieve(
        &mut self,
        request: &pb::RetrieveRequest,
    ) -> Result<pb::RetrieveResponse, Error> {
        let name = request.entity_name.as_str();
        let read = |name: &str| self.authority.grant(self.caller, name, Privilege::Read);
        let root = read(name).map_err(|refused| refuse(refused, name))?;
        let grants = Grants::new(root, read);
        let statement = plan::retrieve(&grants, request)?;
        let mut writer = Writer::new(request.format(), statement.outputs, statement.keys)?;
        let row = statement::fetch(self.connection, &statement.sql, statement.arguments).await;
        let row = row.map_err(|error| Error::of(name, error))?.ok_or(Error::RecordNotFound)?;
        plan::check_sole(statement.guard, &row, grants.root().binding())?;
        writer.write(&row).map_err(Error::Row)?;
        Ok(pb::RetrieveResponse { batch: Some(writer.take()) })
    }
}

// === impl Written ===

impl Written {
    fn id(&self) -> prost::bytes::Bytes {
        prost::bytes::Bytes::copy_from_slice(self.record_id.as_bytes())
    }
}

fn refuse(refused: Refused, entity: &str) -> Error {
    match refused {
        Refused::Unknown => Error::EntityNotFound(entity.to_owned()),
        Refused::Denied(denied) => Error::Denied(denied),
    }
}

fn key(key: Option<&pb::RecordKey>) -> Result<&pb::record_key::Key, Error> {
    key.and_then(|it| it.key.as_ref()).ok_or(Error::Missing("key"))
}

/// The GUID that a row is to have, if one was chosen.
fn record_id(bytes: &[u8]) -> Result<Option<Uuid>, Error> {
    match bytes {
        [] => Ok(None),
        bytes => {
            let guid = Uuid::from_slice(bytes);
            guid.map(Some).map_err(|_| Error::InvalidQuery("a record id has 16 bytes".to_owned()))
        }
    }
}
