//! What descriptions of every kind are made of: ids, labels, managed properties.

use serde_json::{Value, json};
use uuid::Uuid;

/// The one language that labels are in.
pub(super) const LANGUAGE: i32 = 1033;
/// What ids of metadata are derived within.
const NAMESPACE: Uuid = Uuid::from_u128(0x9a3b_7d10_52c4_5e0f_8a61_3c5d_90b2_71e4);
/// The version in which a component came.
pub(super) const INTRODUCED: &str = "1.0";

/// The id of a component, the same in every replica and after every restart.
pub(super) fn id(kind: &str, path: &[&str]) -> String {
    let name = format!("{kind}/{}", path.join("/"));
    Uuid::new_v5(&NAMESPACE, name.as_bytes()).to_string()
}

/// A text for people.
pub(super) fn label(text: &str, owner: &str, property: &str) -> Value {
    if text.is_empty() {
        return json!({"LocalizedLabels": [], "UserLocalizedLabel": null});
    }
    let one = json!({
        "Label": text,
        "LanguageCode": LANGUAGE,
        "IsManaged": true,
        "MetadataId": id("label", &[owner, property]),
        "HasChanged": null,
    });
    json!({"LocalizedLabels": [one], "UserLocalizedLabel": one})
}

/// A switch that a maker could have been allowed to turn; here none can.
pub(super) fn managed(value: bool, name: &str) -> Value {
    json!({"Value": value, "CanBeChanged": false, "ManagedPropertyLogicalName": name})
}

/// Adds members to an object.
pub(super) fn extend(object: &mut Value, more: Value) {
    if let (Value::Object(object), Value::Object(more)) = (object, more) {
        object.extend(more);
    }
}

/// The managed properties that descriptions speak of.
pub(super) fn managed_properties() -> impl Iterator<Item = Value> {
    let names = [
        ("iscustomizable", "IsCustomizable"),
        ("isrenameable", "IsRenameable"),
        ("canmodifyadditionalsettings", "CanModifyAdditionalSettings"),
        ("canmodifyrequirementlevelsettings", "RequiredLevel"),
        ("canmodifysearchsettings", "IsValidForAdvancedFind"),
        ("canmodifyauditsettings", "IsAuditEnabled"),
        ("cancreateattributes", "CanCreateAttributes"),
        ("cancreateforms", "CanCreateForms"),
        ("cancreateviews", "CanCreateViews"),
        ("cancreatecharts", "CanCreateCharts"),
    ];
    names.into_iter().map(|(name, attribute)| {
        json!({
            "MetadataId": id("managedproperty", &[name]),
            "HasChanged": null,
            "LogicalName": name,
            "DisplayName": label(attribute, name, "DisplayName"),
            "Description": label("", name, "Description"),
            "EnablesAttributeName": attribute,
            "EnablesEntityName": null,
            "ErrorCode": null,
            "EvaluationPriority": "Normal",
            "IsGlobalForOperation": false,
            "IsPrivate": false,
            "ManagedPropertyType": "Attribute",
            "Operation": "Update",
            "IntroducedVersion": INTRODUCED,
        })
    })
}
