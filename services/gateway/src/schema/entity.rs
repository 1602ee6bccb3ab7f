//! Tables (spec lifecycle-and-web-api §2.14, virtual-entities §4.2).

use proto::query::v1 as pb;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::parts::{INTRODUCED, extend, id, label, managed};
use super::{attribute, relationship};
use crate::metadata::{Snapshot, Source, Table};

/// The configuration row of the connection to the ERP (spec virtual-entities §1.1).
const DATA_SOURCE: &str = "47c40dcb-35d6-e911-a95e-000d3a110bbd";
/// Tables that the platform numbers itself.
const TYPE_CODES: [(&str, u32); 7] = [
    ("account", 1),
    ("contact", 2),
    ("systemuser", 8),
    ("businessunit", 10),
    ("organization", 1019),
    ("savedquery", 1039),
    ("userquery", 4230),
];
const PRIVILEGES: [&str; 4] = ["Create", "Read", "Write", "Delete"];

/// What the platform offers for tables of its own and not for these (spec virtual-entities §4.2).
const OFF: [&str; 39] = [
    "AutoCreateAccessTeams",
    "AutoRouteToOwnerQueue",
    "CanTriggerWorkflow",
    "EnforceStateTransitions",
    "HasActivities",
    "HasEmailAddresses",
    "HasFeedback",
    "HasNotes",
    "IsAIRUpdated",
    "IsActivity",
    "IsActivityParty",
    "IsArchivalEnabled",
    "IsAvailableOffline",
    "IsBPFEntity",
    "IsBusinessProcessEnabled",
    "IsChildEntity",
    "IsDocumentManagementEnabled",
    "IsDocumentRecommendationsEnabled",
    "IsEnabledForCharts",
    "IsEnabledForExternalChannels",
    "IsEnabledForTrace",
    "IsImportable",
    "IsInteractionCentricEnabled",
    "IsIntersect",
    "IsKnowledgeManagementEnabled",
    "IsLogicalEntity",
    "IsMSTeamsIntegrationEnabled",
    "IsOneNoteIntegrationEnabled",
    "IsPrivate",
    "IsQuickCreateEnabled",
    "IsReadingPaneEnabled",
    "IsRetentionEnabled",
    "IsRetrieveAuditEnabled",
    "IsRetrieveMultipleAuditEnabled",
    "IsSLAEnabled",
    "IsSolutionAware",
    "IsStateModelAware",
    "SyncToExternalSearchIndex",
    "UsesBusinessDataLabelTable",
];
/// The same, where the platform says besides that nobody may switch it on. Forms and views are open.
const MANAGED: [(&str, bool); 24] = [
    ("CanBeInCustomEntityAssociation", false),
    ("CanBeInManyToMany", false),
    ("CanBePrimaryEntityInRelationship", false),
    ("CanBeRelatedEntityInRelationship", false),
    ("CanChangeHierarchicalRelationship", false),
    ("CanChangeTrackingBeEnabled", false),
    ("CanCreateAttributes", false),
    ("CanCreateCharts", false),
    ("CanCreateForms", true),
    ("CanCreateViews", true),
    ("CanEnableSyncToExternalSearchIndex", false),
    ("CanModifyAdditionalSettings", false),
    ("IsAuditEnabled", false),
    ("IsConnectionsEnabled", false),
    ("IsCustomizable", false),
    ("IsDuplicateDetectionEnabled", false),
    ("IsMailMergeEnabled", false),
    ("IsMappable", false),
    ("IsOfflineInMobileClient", false),
    ("IsReadOnlyInMobileClient", false),
    ("IsRenameable", false),
    ("IsValidForQueue", false),
    ("IsVisibleInMobile", false),
    ("IsVisibleInMobileClient", false),
];

/// Which of a table's collections are wanted: describing them costs the most.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Parts {
    pub(super) attributes: bool,
    pub(super) option_sets: bool,
    pub(super) keys: bool,
    pub(super) relationships: bool,
}

pub(super) fn describe(snapshot: &Snapshot, table: &Table, parts: Parts) -> Value {
    let mut value = names(table);
    extend(&mut value, switches(table));
    let list = |wanted: bool, items: &mut dyn Iterator<Item = Value>| match wanted {
        true => items.collect::<Vec<_>>().into(),
        false => Value::Array(Vec::new()),
    };
    let mut attributes = attribute::all(snapshot, table, parts.option_sets);
    let mut to_many = relationship::one_to_many(snapshot, table);
    let mut to_one = relationship::many_to_one(snapshot, table);
    let mut keys = table.definition.alternate_keys.iter().map(|it| key(table, it));
    let collections = json!({
        "Attributes": list(parts.attributes, &mut attributes),
        "Keys": list(parts.keys, &mut keys),
        "OneToManyRelationships": list(parts.relationships, &mut to_many),
        "ManyToOneRelationships": list(parts.relationships, &mut to_one),
        // There are none.
        "ManyToManyRelationships": [],
    });
    extend(&mut value, collections);
    value
}

pub(super) fn metadata_id(table: &Table) -> String {
    id("entity", &[&table.logical_name])
}

fn names(table: &Table) -> Value {
    let it = &table.definition;
    let name = it.logical_name.as_str();
    let is_native = table.source == Source::Organization;
    let erp = |value: Value| if is_native { Value::Null } else { value };
    let schema_name = if it.schema_name.is_empty() { name } else { &it.schema_name };
    json!({
        "MetadataId": metadata_id(table),
        "HasChanged": null,
        "LogicalName": name,
        "SchemaName": schema_name,
        "EntitySetName": it.entity_set_name,
        "LogicalCollectionName": it.entity_set_name,
        "CollectionSchemaName": it.entity_set_name,
        "DisplayName": label(&it.display_name, name, "DisplayName"),
        "DisplayCollectionName": label(&it.display_collection_name, name, "DisplayCollectionName"),
        "Description": label(&it.description, name, "Description"),
        "PrimaryIdAttribute": it.primary_id_column,
        "PrimaryNameAttribute": it.primary_name_column,
        "PrimaryImageAttribute": null,
        "ReportViewName": name,
        "ObjectTypeCode": type_code(table),
        "ExternalName": erp(json!(it.external_name)),
        "ExternalCollectionName": erp(json!(it.external_name)),
        "DataProviderId": erp(json!(id("dataprovider", &["finance-and-operations"]))),
        "DataSourceId": erp(json!(DATA_SOURCE)),
        "IntroducedVersion": INTRODUCED,
        "DaysSinceRecordLastModified": 0,
        "EntityColor": null,
        "EntityHelpUrl": null,
        "EntityHelpUrlEnabled": false,
        "IconLargeName": null,
        "IconMediumName": null,
        "IconSmallName": null,
        "IconVectorName": null,
        "MobileOfflineFilters": null,
        "RecurrenceBaseEntityLogicalName": null,
        "ActivityTypeMask": 0,
        "Settings": [],
        "Privileges": PRIVILEGES.map(|it| privilege(name, it)),
    })
}

/// Everything that is off or on: switches of one table, then of all.
fn switches(table: &Table) -> Value {
    let is_native = table.source == Source::Organization;
    let is_owned = is_native && table.by_name("ownerid").is_some();
    let mut value = json!({
        "TableType": if is_native { "Standard" } else { "Virtual" },
        "OwnershipType": if is_owned { "UserOwned" } else { "OrganizationOwned" },
        "OwnerId": null,
        "OwnerIdType": null,
        "OwningBusinessUnit": null,
        "IsCustomEntity": !is_native,
        "IsManaged": true,
        "ChangeTrackingEnabled": table.definition.change_tracking_enabled,
        // Rows have versions, which writes may ask for; those of the catalog's list have none.
        "IsOptimisticConcurrencyEnabled": table.source != Source::Catalog,
        "IsValidForAdvancedFind": true,
    });
    if let Value::Object(members) = &mut value {
        members.extend(OFF.map(|it| (it.to_owned(), Value::Bool(false))));
        members.extend(MANAGED.map(|(it, on)| (it.to_owned(), managed(on, &it.to_lowercase()))));
    }
    value
}

fn privilege(table: &str, kind: &str) -> Value {
    json!({
        "CanBeBasic": false,
        "CanBeDeep": false,
        "CanBeGlobal": true,
        "CanBeLocal": false,
        "CanBeEntityReference": false,
        "CanBeParentEntityReference": false,
        "Name": format!("prv{kind}{table}"),
        "PrivilegeId": id("privilege", &[table, kind]),
        "PrivilegeType": kind,
    })
}

fn key(table: &Table, key: &pb::AlternateKey) -> Value {
    let path = [table.logical_name.as_str(), key.name.as_str()];
    json!({
        "MetadataId": id("key", &path),
        "HasChanged": null,
        "DisplayName": label("Entity key", &path.join("/"), "DisplayName"),
        "EntityLogicalName": table.logical_name,
        "EntityKeyIndexStatus": "Active",
        "KeyAttributes": key.columns,
        "LogicalName": key.name,
        "SchemaName": key.name,
        "IsManaged": true,
        "IsCustomizable": managed(false, "iscustomizable"),
        "IsExportKey": false,
        "IsSecondaryKey": false,
        "IsSynchronous": true,
        "AsyncJob": null,
        "IntroducedVersion": INTRODUCED,
    })
}

/// A number that is the table's for ever. Numbers of data entities begin above the others.
fn type_code(table: &Table) -> u32 {
    let known = TYPE_CODES.iter().find(|it| it.0 == table.logical_name);
    match (table.definition.entity_id, known) {
        (_, Some((_, code))) => *code,
        (0, None) => {
            let hash = Sha256::digest(table.logical_name.as_bytes());
            let number = hash.iter().take(4).fold(0_u32, |sum, it| (sum << 8) | u32::from(*it));
            10_000 + number % 300
        }
        (entity, None) => entity,
    }
}
