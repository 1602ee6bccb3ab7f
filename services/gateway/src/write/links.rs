//! Requests that relate rows to each other: `$ref`.

use std::sync::Arc;

use odata::Key;

use super::change_set::{Assignment, ChangeSet, RowRef, StepAction};
use super::payload::{Purpose, push};
use super::plan::Scene;
use super::{address, rows, writable};
use crate::error::GatewayError;
use crate::metadata::{Navigation, Table};
use crate::translate::RowKey;

/// One end of a relationship, and where it leads.
pub(super) struct Link<'a> {
    pub(super) table: &'a Arc<Table>,
    pub(super) row: RowRef,
    pub(super) navigation: &'a Navigation,
}

impl Link<'_> {
    /// `POST a(id)/many/$ref`, `PUT a(id)/one/$ref`.
    pub(super) fn associate(
        self,
        scene: Scene<'_>,
        body: &[u8],
        changes: &mut ChangeSet,
    ) -> Result<(), GatewayError> {
        let target = address::table_named(scene.snapshot, &self.navigation.target)?;
        let address = rows::address_in(self.table, body)?;
        let other = address::row_of(scene, &target, &address)?;
        match self.navigation.is_collection {
            false => {
                let lead = Some((target, other));
                lead_to(self.table, self.row, &self.navigation.name, lead, changes)
            }
            true => {
                let lead = Some((Arc::clone(self.table), self.row));
                lead_to(&target, other, &self.navigation.partner, lead, changes)
            }
        }
    }

    /// `DELETE a(id)/many(id)/$ref`, `DELETE a(id)/many/$ref?$id=..`, `DELETE a(id)/one/$ref`, which may
    /// say as well which row it means.
    pub(super) fn disassociate(
        self,
        scene: Scene<'_>,
        key: &Key,
        id: Option<&str>,
        changes: &mut ChangeSet,
    ) -> Result<(), GatewayError> {
        let target = address::table_named(scene.snapshot, &self.navigation.target)?;
        let other = match (key, id) {
            (Key::Absent, Some(address)) => Some(address::row_of(scene, &target, address)?),
            (Key::Absent, None) => None,
            (key, None) => Some(RowRef::Key(address::key_of(&target, key)?)),
            (_, Some(_)) => {
                let message = "The row is named twice, by its key and by '$id'.".to_owned();
                return Err(GatewayError::InvalidQuery(message));
            }
        };
        if let Some(other) = &other {
            let navigation = self.navigation.name.clone();
            let (row, other) = (self.row.clone(), other.clone());
            push(changes, self.table, StepAction::RequireRelated { row, navigation, other })?;
        }
        match (self.navigation.is_collection, other) {
            (false, _) => lead_to(self.table, self.row, &self.navigation.name, None, changes),
            (true, Some(other)) => lead_to(&target, other, &self.navigation.partner, None, changes),
            (true, None) => {
                let name = &self.navigation.name;
                let message = format!("'{name}' leads to many rows; name one of them by '$id'.");
                Err(GatewayError::InvalidQuery(message))
            }
        }
    }
}

fn lead_to(
    table: &Arc<Table>,
    row: RowRef,
    name: &str,
    target: Option<(Arc<Table>, RowRef)>,
    changes: &mut ChangeSet,
) -> Result<(), GatewayError> {
    let navigation = table.navigation(name).filter(|it| !it.is_collection);
    let navigation = navigation.ok_or_else(|| GatewayError::UnknownSegment(name.to_owned()))?;
    if !writable::is_writable(table, navigation, |it| it.valid_for_update) {
        return Err(writable::read_only(table, name, Purpose::Update(&row)));
    }
    let values = vec![Assignment::Lookup { navigation: name.to_owned(), target }];
    push(changes, table, StepAction::Update { row, values, etag: None })?;
    Ok(())
}

/// The key of a row that is addressed.
pub(super) fn key_of(row: RowRef) -> Option<RowKey> {
    match row {
        RowRef::Key(key) => Some(key),
        RowRef::Step(_) => None,
    }
}
