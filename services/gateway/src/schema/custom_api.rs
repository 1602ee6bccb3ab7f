//! Actions as the platform's own tables tell of them: `customapis`, their parameters and what they
//! return (spec API-29). Read-only, as they come from the ERP's model.

use proto::query::v1 as pb;
use proto::query::v1::{ActionTarget, AttributeType};
use serde_json::{Value, json};

use super::parts::id;
use crate::metadata::{Snapshot, Table};
use crate::serve::RESULT;

pub(super) fn apis(snapshot: &Snapshot) -> impl Iterator<Item = Value> + '_ {
    actions(snapshot).map(|(table, action)| {
        let (binding, bound_to) = match action.target() {
            ActionTarget::Entity => (1, Some(table.logical_name.as_str())),
            ActionTarget::EntityCollection => (2, Some(table.logical_name.as_str())),
            ActionTarget::Global | ActionTarget::Unspecified => (0, None),
        };
        let name = action.unique_name.as_str();
        json!({
            "customapiid": api(action),
            "uniquename": name,
            "name": name,
            "displayname": text(&action.display_name, name),
            "description": text(&action.description, name),
            "bindingtype": binding,
            "boundentitylogicalname": bound_to,
            "isfunction": false,
            "isprivate": false,
            "allowedcustomprocessingsteptype": 0,
            "executeprivilegename": null,
            "workflowsdkstepenabled": false,
            "ismanaged": true,
            "_sdkmessageid_value": id("sdkmessage", &[name]),
        })
    })
}

pub(super) fn parameters(snapshot: &Snapshot) -> impl Iterator<Item = Value> + '_ {
    actions(snapshot).flat_map(|(_, action)| {
        action.parameters.iter().map(|it| {
            json!({
                "customapirequestparameterid":
                    id("customapirequestparameter", &[&action.unique_name, &it.name]),
                "uniquename": it.name,
                "name": it.name,
                "displayname": it.name,
                "description": it.name,
                "type": type_code(it.r#type()),
                "logicalentityname": null,
                "isoptional": !it.required,
                "ismanaged": true,
                "_customapiid_value": api(action),
            })
        })
    })
}

pub(super) fn properties(snapshot: &Snapshot) -> impl Iterator<Item = Value> + '_ {
    let returning =
        |(_, it): &(&Table, &pb::ActionDefinition)| it.result() != AttributeType::Unspecified;
    actions(snapshot).filter(returning).map(|(_, action)| {
        json!({
            "customapiresponsepropertyid":
                id("customapiresponseproperty", &[&action.unique_name, RESULT]),
            "uniquename": RESULT,
            "name": RESULT,
            "displayname": RESULT,
            "description": RESULT,
            "type": type_code(action.result()),
            "logicalentityname": null,
            "ismanaged": true,
            "_customapiid_value": api(action),
        })
    })
}

fn actions(snapshot: &Snapshot) -> impl Iterator<Item = (&Table, &pb::ActionDefinition)> {
    snapshot
        .tables
        .iter()
        .flat_map(|table| table.definition.actions.iter().map(move |it| (table.as_ref(), it)))
}

fn api(action: &pb::ActionDefinition) -> String {
    id("customapi", &[&action.unique_name])
}

fn text<'t>(text: &'t str, other: &'t str) -> &'t str {
    if text.is_empty() { other } else { text }
}

/// The platform's number of a parameter's type. It has none for long integers, which its own tables
/// describe as decimals.
fn type_code(it: AttributeType) -> i32 {
    match it {
        AttributeType::Boolean => 0,
        AttributeType::DateTime | AttributeType::Date => 1,
        AttributeType::Decimal | AttributeType::BigInt => 2,
        AttributeType::Lookup => 5,
        AttributeType::Double => 6,
        AttributeType::Integer => 7,
        AttributeType::Picklist => 9,
        AttributeType::String | AttributeType::Memo | AttributeType::Unspecified => 10,
        AttributeType::Uniqueidentifier => 12,
    }
}
