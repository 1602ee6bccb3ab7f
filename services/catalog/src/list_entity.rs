//! The catalog as a platform table: `mserp_financeandoperationsentity` over the entity
//! `CDSVirtualEntityListEntity` (spec virtual-entities §2.1).

use proto::catalog::v1 as catalog;
use proto::query::v1 as pb;
use proto::query::v1::{AttributeType, RequiredLevel, SystemColumn};

use crate::store::{LIST_ENTITY_ID, NAME};

const ENTITY: &str = "CDSVirtualEntityListEntity";
pub(crate) const TABLE: &str = "mserp_financeandoperationsentity";
pub(crate) const PHYSICAL_NAME: &str = "PhysicalName";
pub(crate) const VISIBLE: &str = "HasBeenGenerated";
pub(crate) const REFRESH: &str = "Refresh";
pub(crate) const CHANGE_TRACKING: &str = "ChangeTrackingEnabled";

/// Fields, with their columns in the store.
const FIELDS: [(&str, &str, catalog::FieldType); 4] = [
    (PHYSICAL_NAME, "physical_name", catalog::FieldType::String),
    (VISIBLE, "has_been_generated", catalog::FieldType::Boolean),
    (REFRESH, "refresh", catalog::FieldType::Boolean),
    (CHANGE_TRACKING, "change_tracking_enabled", catalog::FieldType::Boolean),
];

/// Where the rows are.
pub(crate) fn definition() -> catalog::DataEntity {
    let field = |(name, column, r#type): (&str, &str, catalog::FieldType)| catalog::DataField {
        name: name.to_owned(),
        source: Some(catalog::data_field::Source::Column(catalog::ColumnPath {
            alias: "list".to_owned(),
            column: column.to_owned(),
        })),
        r#type: r#type.into(),
        ..catalog::DataField::default()
    };
    catalog::DataEntity {
        name: ENTITY.to_owned(),
        entity_id: LIST_ENTITY_ID,
        sources: vec![catalog::DataSource {
            alias: "list".to_owned(),
            schema: NAME.to_owned(),
            table: "data_entity".to_owned(),
            join: None,
            is_view: false,
        }],
        record_identity: Some(catalog::RecordIdentity {
            kind: catalog::RecordIdentityKind::Integer.into(),
            columns: vec!["record_id".to_owned()],
        }),
        fields: FIELDS.map(field).into(),
        key: vec![PHYSICAL_NAME.to_owned()],
        ..catalog::DataEntity::default()
    }
}

/// What the platform sees of them.
pub(crate) fn table() -> pb::TableDefinition {
    let id = format!("{TABLE}id");
    let physical_name = pb::ColumnDefinition {
        max_length: 100,
        required_level: RequiredLevel::ApplicationRequired.into(),
        ..column("mserp_physicalname", "Physical name", PHYSICAL_NAME, AttributeType::String)
    };
    let flag = |name: &str, label: &str, field: &str| pb::ColumnDefinition {
        valid_for_update: true,
        ..column(name, label, field, AttributeType::Boolean)
    };
    let columns = vec![
        pb::ColumnDefinition {
            logical_name: id.clone(),
            schema_name: id.clone(),
            external: Some(pb::ColumnRef {
                column: Some(pb::column_ref::Column::System(SystemColumn::RecordId.into())),
                ..pb::ColumnRef::default()
            }),
            r#type: AttributeType::Uniqueidentifier.into(),
            display_name: "Entity".to_owned(),
            required_level: RequiredLevel::SystemRequired.into(),
            filterable: true,
            ..pb::ColumnDefinition::default()
        },
        physical_name,
        flag("mserp_hasbeengenerated", "Visible", VISIBLE),
        flag("mserp_refresh", "Refresh", REFRESH),
        flag("mserp_changetrackingenabled", "Change tracking", CHANGE_TRACKING),
    ];
    pb::TableDefinition {
        logical_name: TABLE.to_owned(),
        schema_name: TABLE.to_owned(),
        entity_set_name: "mserp_financeandoperationsentities".to_owned(),
        external_name: ENTITY.to_owned(),
        source: pb::TableSource::Catalog.into(),
        display_name: "Available Finance and Operations Entity".to_owned(),
        display_collection_name: "Available Finance and Operations Entities".to_owned(),
        description: "Which data entities there are, and which are visible.".to_owned(),
        primary_id_column: id,
        primary_name_column: "mserp_physicalname".to_owned(),
        columns,
        alternate_keys: vec![pb::AlternateKey {
            name: "mserp_entitykey".to_owned(),
            columns: vec!["mserp_physicalname".to_owned()],
        }],
        entity_id: LIST_ENTITY_ID,
        ..pb::TableDefinition::default()
    }
}

fn column(name: &str, label: &str, field: &str, r#type: AttributeType) -> pb::ColumnDefinition {
    pb::ColumnDefinition {
        logical_name: name.to_owned(),
        schema_name: name.to_owned(),
        external: Some(pb::ColumnRef {
            column: Some(pb::column_ref::Column::Field(field.to_owned())),
            ..pb::ColumnRef::default()
        }),
        r#type: r#type.into(),
        display_name: label.to_owned(),
        required_level: RequiredLevel::None.into(),
        filterable: true,
        ..pb::ColumnDefinition::default()
    }
}
