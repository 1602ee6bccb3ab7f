//! Relationships, as one description serves both of their tables.

use proto::query::v1::RelationshipOrigin;
use serde_json::{Value, json};

use super::parts::{INTRODUCED, id, managed};
use crate::metadata::{Navigation, Snapshot, Source, Table};

/// Every relationship, by the tables that have the lookups.
pub(super) fn all(snapshot: &Snapshot) -> impl Iterator<Item = Value> + '_ {
    snapshot.tables.iter().flat_map(|table| many_to_one(snapshot, table))
}

/// The relationships whose lookup the table has.
pub(super) fn many_to_one<'a>(
    snapshot: &'a Snapshot,
    table: &'a Table,
) -> impl Iterator<Item = Value> + 'a {
    let own = table.navigations().filter(|it| !it.is_collection);
    own.filter_map(move |it| Some(describe(table, snapshot.by_name(&it.target)?, it)))
}

/// The relationships that lead to the table.
pub(super) fn one_to_many<'a>(
    snapshot: &'a Snapshot,
    table: &'a Table,
) -> impl Iterator<Item = Value> + 'a {
    let others = table.navigations().filter(|it| it.is_collection);
    others.filter_map(move |it| {
        let source = snapshot.by_name(&it.target)?;
        Some(describe(source, table, source.navigation(&it.partner)?))
    })
}

/// `navigation`: the single-valued one of `source`.
fn describe(source: &Table, target: &Table, navigation: &Navigation) -> Value {
    let schema_name = navigation.schema_name.as_str();
    let is_custom =
        navigation.origin == RelationshipOrigin::Declared || source.source != Source::Organization;
    json!({
        "@odata.type": "#Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata",
        "MetadataId": id("relationship", &[schema_name]),
        "HasChanged": null,
        "SchemaName": schema_name,
        "RelationshipType": "OneToManyRelationship",
        "IsCustomRelationship": is_custom,
        "IsCustomizable": managed(false, "iscustomizable"),
        "IsValidForAdvancedFind": true,
        "SecurityTypes": "None",
        "IsManaged": true,
        "IntroducedVersion": INTRODUCED,
        "ReferencedAttribute": target.primary_id,
        "ReferencedEntity": target.logical_name,
        "ReferencingAttribute": navigation.lookup,
        "ReferencingEntity": source.logical_name,
        "IsHierarchical": false,
        "EntityKey": null,
        "IsRelationshipAttributeDenormalized": false,
        "DenormalizedAttributeName": null,
        "RelationshipAttributes": [],
        "RelationshipBehavior": 1,
        "IsDenormalizedLookup": false,
        "ReferencedEntityNavigationPropertyName": navigation.partner,
        "ReferencingEntityNavigationPropertyName": navigation.name,
        "AssociatedMenuConfiguration": {
            "Behavior": "UseCollectionName",
            "Group": "Details",
            "Order": 10000,
            "IsCustomizable": true,
            "Icon": null,
            "ViewId": "00000000-0000-0000-0000-000000000000",
            "AvailableOffline": false,
            "MenuId": null,
            "QueryApi": null,
            "Label": {"LocalizedLabels": [], "UserLocalizedLabel": null},
        },
        "CascadeConfiguration": {
            "Assign": "NoCascade",
            "Delete": "NoCascade",
            "Archive": "NoCascade",
            "Merge": "NoCascade",
            "Reparent": "NoCascade",
            "Share": "NoCascade",
            "Unshare": "NoCascade",
            "RollupView": "NoCascade",
        },
    })
}
