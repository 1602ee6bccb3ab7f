//! Messages about many rows of one table, all or none of which are written.

use std::sync::Arc;

use odata::{Key, Literal};

use super::change_set::ChangeSet;
use super::json::{Json, Object};
use super::plan::{Reply, Scene};
use super::{address, links, payload, rows};
use crate::entry_point::EntryPoint;
use crate::error::{GatewayError, NAMESPACE};
use crate::metadata::Table;
use crate::translate::RowKey;

/// A message, by its name without the namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bulk {
    Create,
    Update,
    Upsert,
    Delete,
}

impl Bulk {
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "CreateMultiple" => Some(Self::Create),
            "UpdateMultiple" => Some(Self::Update),
            "UpsertMultiple" => Some(Self::Upsert),
            "DeleteMultiple" => Some(Self::Delete),
            _ => None,
        }
    }

    pub(super) fn entry_point(self) -> EntryPoint {
        match self {
            Self::Create => EntryPoint::CreateMultiple,
            Self::Update => EntryPoint::UpdateMultiple,
            Self::Upsert => EntryPoint::UpsertMultiple,
            Self::Delete => EntryPoint::DeleteMultiple,
        }
    }
}

/// `POST set/Microsoft.Dynamics.CRM.CreateMultiple` and the like.
pub(super) fn plan(
    scene: Scene<'_>,
    bulk: Bulk,
    table: &Arc<Table>,
    body: &[u8],
    changes: &mut ChangeSet,
) -> Result<Reply, GatewayError> {
    if bulk == Bulk::Delete {
        let message = "DeleteMultiple has not yet been implemented.".to_owned();
        return Err(GatewayError::MessageNotSupported(message));
    }
    let members = payload::object(table, body)?;
    let Some(Json::Array(targets)) = payload::member(&members, "Targets") else {
        let detail = "The body has no list 'Targets' of rows.".to_owned();
        return Err(payload::payload(table, detail));
    };
    let mut steps = Vec::with_capacity(targets.len());
    for target in targets {
        let target = checked(table, target)?;
        let step = match bulk {
            Bulk::Create => payload::create(scene, table, target, None, changes)?,
            Bulk::Update | Bulk::Upsert | Bulk::Delete => {
                let key = key(scene, table, target)?;
                let may_create = bulk == Bulk::Upsert;
                rows::change_one_of_many(scene, table, key, target, may_create, changes)?
            }
        };
        steps.push(step);
    }
    Ok(match bulk {
        Bulk::Create => Reply::Ids { message: "CreateMultiple", steps },
        Bulk::Update | Bulk::Upsert | Bulk::Delete => Reply::Done,
    })
}

/// A row that says that it is one of this table.
fn checked<'j>(table: &Table, target: &'j Json) -> Result<&'j Object, GatewayError> {
    let Json::Object(members) = target else {
        let detail = format!("One of 'Targets' is {}, and not a row.", target.kind());
        return Err(payload::payload(table, detail));
    };
    let expected = format!("{NAMESPACE}.{}", table.logical_name);
    match payload::member(members, "@odata.type").and_then(Json::text) {
        Some(name) if name.trim_start_matches('#') == expected => Ok(members),
        _ => {
            let detail = format!("Each of 'Targets' needs '@odata.type', which is '{expected}'.");
            Err(payload::payload(table, detail))
        }
    }
}

/// The row that a target means: by its address, or by its primary key.
fn key(scene: Scene<'_>, table: &Table, target: &Object) -> Result<RowKey, GatewayError> {
    if let Some(Json::Text(text)) = payload::member(target, "@odata.id") {
        let row = address::row_of(scene, table, text)?;
        return links::key_of(row).ok_or_else(|| {
            let detail = format!("'{text}' is a row of the same change set.");
            payload::payload(table, detail)
        });
    }
    let id = payload::member(target, &table.primary_id).and_then(Json::text);
    let id = id.ok_or_else(|| {
        let detail = format!("Each of 'Targets' needs '{}' or '@odata.id'.", table.primary_id);
        payload::payload(table, detail)
    })?;
    address::key_of(table, &Key::Single(Literal::String(id.to_owned())))
}
