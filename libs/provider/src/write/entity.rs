//! An entity as it is written to: its definition, the caller's leave, and what its tables are.

use std::sync::Arc;

use proto::query::v1 as pb;
use rpc::Caller;

use super::table::{READ, Table, TableKind};
use super::{Session, statement};
use crate::authority::Privilege;
use crate::binding::{Binding, Column, Field, Identity, Source};
use crate::error::Error;
use crate::grant::{Denied, Grant};
use crate::plan::{Argument, Arguments};

/// An entity that somebody may write to.
#[derive(Debug)]
pub(super) struct Entity {
    pub(super) grant: Grant,
    pub(super) binding: Arc<Binding>,
    /// Of each source.
    pub(super) tables: Vec<Arc<Table>>,
    privilege: Privilege,
}

// === impl Entity ===

impl Entity {
    pub(super) fn new(grant: Grant, tables: Vec<Arc<Table>>, privilege: Privilege) -> Self {
        let binding = grant.shared_binding();
        Self { grant, binding, tables, privilege }
    }

    pub(super) fn name(&self) -> &str {
        self.binding.name()
    }

    /// Each source with its number and its table.
    pub(super) fn sources(&self) -> impl Iterator<Item = (usize, &Source, &Table)> {
        let sources = self.binding.sources.iter().zip(&self.tables).enumerate();
        sources.map(|(index, (source, table))| (index, source, table.as_ref()))
    }

    pub(super) fn source(&self, index: usize) -> Result<(&Source, &Table), Error> {
        let found = self.binding.sources.get(index).zip(self.tables.get(index));
        let (source, table) = found.ok_or(Error::Missing("source"))?;
        Ok((source, table))
    }

    /// Whether rows of a source are written with those of the entity; others are referred to only.
    pub(super) fn writes(&self, source: usize) -> bool {
        let within = |it: &Field| it.column.as_ref().is_some_and(|it| it.source == source);
        let editable = |it: &Field| it.limits.on_create || it.limits.on_update;
        source == 0 || self.binding.fields.iter().any(|it| within(it) && editable(it))
    }

    pub(super) fn is_optional(&self, source: usize) -> bool {
        let join = self.binding.sources.get(source).and_then(|it| it.join.as_ref());
        join.is_some_and(|it| it.optional)
    }

    /// The row is a row of one table, whose version comes back with the write.
    pub(super) fn is_one_table(&self) -> bool {
        let [table] = self.tables.as_slice() else { return false };
        let [source] = self.binding.sources.as_slice() else { return false };
        table.kind == TableKind::Plain || (table.kind == TableKind::View && !source.has_version)
    }

    /// The caller may touch some rows only.
    pub(super) fn is_restricted(&self) -> bool {
        self.grant.is_restricted()
    }

    /// Which rows the caller may touch is decided by more than the row that is written: it is known when
    /// the row is there.
    pub(super) fn is_judged_later(&self) -> bool {
        self.grant.policies().is_some()
    }

    /// A row that is given a GUID has it, for certain, when it is made.
    pub(super) fn keeps_record_id(&self) -> bool {
        let is_made = matches!(self.binding.identity, Identity::Hash { .. });
        !is_made && !self.tables.iter().any(|it| it.has_triggers)
    }

    pub(super) fn rules_on_update(&self) -> bool {
        self.binding.rules.iter().any(|it| it.on_update)
    }

    /// Whether the write may make the row one that the caller may not touch.
    pub(super) fn may_move(&self, values: &[pb::FieldValue]) -> bool {
        let decisive = self.grant.restricted_field();
        let given = decisive.is_some_and(|it| values.iter().any(|value| value.field == it.name));
        self.is_judged_later()
            || self.is_restricted() && (given || self.tables.iter().any(|it| it.has_triggers))
    }

    /// Columns of a source that joins or the identity are made of.
    pub(super) fn link_columns(&self, source: usize) -> Vec<&str> {
        let mut columns: Vec<&str> = Vec::new();
        let mut add = |name| {
            if !columns.contains(&name) {
                columns.push(name);
            }
        };
        if source == 0 {
            self.binding.identity_columns.iter().for_each(|it| add(it.as_str()));
        }
        for (index, other) in self.binding.sources.iter().enumerate() {
            for (own, other) in other.join.iter().flat_map(|it| &it.pairs) {
                if index == source {
                    add(own.as_str());
                }
                if other.source == source {
                    add(other.name.as_str());
                }
            }
        }
        columns
    }

    /// For each of a source's columns that equal one of another source: that one. Both sides' joins.
    pub(super) fn links(&self, source: usize) -> Vec<(&str, Column)> {
        let mut links = Vec::new();
        for (index, joined) in self.binding.sources.iter().enumerate() {
            for (own, other) in joined.join.iter().flat_map(|it| &it.pairs) {
                if index == source {
                    links.push((own.as_str(), other.clone()));
                } else if other.source == source {
                    links.push((other.name.as_str(), Column { source: index, name: own.clone() }));
                }
            }
        }
        links
    }

    /// The field that a column is behind.
    pub(super) fn field_of(&self, source: usize, column: &str) -> Option<&Field> {
        let is_it = |it: &Column| it.source == source && it.name == column;
        let mut fields = self.binding.fields.iter();
        fields.find(|it| it.column.as_ref().is_some_and(is_it))
    }

    /// The caller makes a row.
    pub(super) fn is_being_made(&self) -> bool {
        self.privilege == Privilege::Create
    }

    /// The row is, or would be, one that the caller may not touch.
    pub(super) fn denied(&self, caller: &Caller) -> Error {
        Error::Denied(Denied::new(caller, self.name(), self.privilege))
    }
}

impl Session<'_> {
    /// Asks the database what a table is.
    pub(super) async fn describe(
        &mut self,
        entity: &str,
        schema: &str,
        name: &str,
    ) -> Result<Arc<Table>, Error> {
        let mut arguments = Arguments::default();
        arguments.push(Argument::Texts(vec![schema.to_owned()]));
        arguments.push(Argument::Texts(vec![name.to_owned()]));
        let row = statement::fetch(self.connection, READ, arguments).await;
        let row = row.map_err(|error| Error::of(entity, error))?;
        let json = row.as_ref().map(|it| statement::text(it, 0)).transpose()?.flatten();
        let tables = json.and_then(|it| Table::parse(&it)).unwrap_or_default();
        let table = tables.into_iter().next();
        let table = table.ok_or_else(|| {
            let detail = format!("there is no table {schema}.{name}, or it cannot be described");
            Error::SchemaMismatch {
                entity: entity.to_owned(),
                source: sqlx::Error::Configuration(detail.into()),
            }
        })?;
        Ok(self.provider.tables().remember(table))
    }
}
