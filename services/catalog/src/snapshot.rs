//! What is published: the whole of it, at one revision, never changed once it is out.

use std::collections::HashMap;

use model::{Entity, Enum, Member, Model};
use proto::catalog::v1 as catalog;
use proto::query::v1 as pb;

use crate::store::{LIST_ENTITY_ID, Row, State, Version};
use crate::{declared, list_entity, tracking};

/// Everything that readers of the catalog see.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) version: Version,
    /// By name.
    pub(crate) entries: Vec<catalog::CatalogEntry>,
    pub(crate) tables: pb::WatchTablesResponse,
    pub(crate) definitions: catalog::WatchDataEntitiesResponse,
    /// By name.
    pub(crate) relationships: Vec<catalog::Relationship>,
}

impl Snapshot {
    pub(crate) fn new(model: &Model, state: &State) -> Self {
        let value = |it: &Enum, member: &Member| {
            let key = (it.name.clone(), member.symbol.clone());
            // Every symbol of a published model has a number.
            state.option_values.get(&key).copied().unwrap_or_default()
        };
        let known = || model.entities.iter().filter_map(|it| Some((it, state.rows.get(&it.name)?)));
        let visible = || known().filter(|(_, row)| row.has_been_generated);
        let mut entries: Vec<_> = known().map(|(entity, row)| entry(entity, row)).collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        let published: HashMap<&str, &Entity> =
            visible().map(|(it, _)| (it.name.as_str(), it)).collect();
        let table = |(it, row): (&Entity, &Row)| pb::TableDefinition {
            change_tracking_enabled: is_tracked(it, row),
            ..tables::virtual_table(it, entity_id(row), |name| published.get(name).copied())
        };
        let mut tables: Vec<_> = visible().map(table).collect();
        tables.push(list_entity::table());
        let definitions = visible()
            .map(|(it, row)| catalog::DataEntity {
                change_tracking: is_tracked(it, row),
                ..provider::data_entity(model, it, entity_id(row), value)
            })
            .collect();
        let Version { revision, .. } = state.version;
        Self {
            version: state.version,
            entries,
            tables: pb::WatchTablesResponse {
                revision,
                tables,
                option_sets: model.enums.iter().map(|it| tables::option_set(it, value)).collect(),
                declared_relationships: state.declared.iter().map(declared::published).collect(),
            },
            definitions: catalog::WatchDataEntitiesResponse {
                revision,
                data_entities: definitions,
            },
            relationships: state.declared.iter().map(declared::resource).collect(),
        }
    }

    pub(crate) fn entry(&self, physical_name: &str) -> Option<&catalog::CatalogEntry> {
        let name = resource_name(physical_name);
        self.entries.iter().find(|it| it.name == name)
    }

    /// The name in its own letter case.
    pub(crate) fn canonical_name(&self, name: &str) -> Option<&str> {
        let mut names = self.entries.iter().map(physical_name);
        names.find(|it| it.eq_ignore_ascii_case(name))
    }

    /// Whether it has the row's definition, and not an older one or none.
    pub(crate) fn is_as_fresh_as(&self, row: &Row) -> bool {
        let entry = self.entry(&row.physical_name);
        entry.is_some_and(|it| it.refresh_time == Some(refresh_time(row)))
    }

    /// The entity of a catalog row.
    pub(crate) fn by_record_id(&self, id: &str) -> Option<&catalog::CatalogEntry> {
        self.entries.iter().find(|it| it.record_id == id)
    }
}

const COLLECTION: &str = "dataEntities/";

pub(crate) fn resource_name(physical_name: &str) -> String {
    format!("{COLLECTION}{physical_name}")
}

pub(crate) fn physical_name(entry: &catalog::CatalogEntry) -> &str {
    entry.name.strip_prefix(COLLECTION).unwrap_or(&entry.name)
}

/// As the provider writes it, so that a tag read by HTTP is good by gRPC.
pub(crate) fn etag(version: &str) -> String {
    format!("W/\"{version}\"")
}

fn entry(entity: &Entity, row: &Row) -> catalog::CatalogEntry {
    let logical_name = tables::virtual_name(&entity.name);
    catalog::CatalogEntry {
        name: resource_name(&entity.name),
        record_id: provider::record_guid(LIST_ENTITY_ID, row.record_id).to_string(),
        entity_set_name: tables::entity_set_name(&logical_name),
        logical_name,
        display_name: entity.label.clone(),
        visible: row.has_been_generated,
        change_tracking_enabled: row.change_tracking_enabled,
        refresh_time: Some(refresh_time(row)),
        etag: etag(&row.version),
    }
}

/// What the store says, as long as the definition allows it.
fn is_tracked(entity: &Entity, row: &Row) -> bool {
    row.change_tracking_enabled && tracking::check(entity).is_ok()
}

fn entity_id(row: &Row) -> u32 {
    row.entity_id.unsigned_abs()
}

fn refresh_time(row: &Row) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: row.refreshed_at.timestamp(),
        nanos: i32::try_from(row.refreshed_at.timestamp_subsec_nanos()).unwrap_or_default(),
    }
}
