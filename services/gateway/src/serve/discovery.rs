//! `/api/discovery/v2.0/Instances`: the one instance that is here (spec API-40).

use odata::{Key, Literal, QueryOptions, Resource, SystemOption};
use serde_json::{Map, Value, json};

use super::functions::{UNIQUE_NAME, VERSION};
use crate::Core;
use crate::error::GatewayError;
use crate::http::{Ask, Response, json as respond};

/// Options that a list of one does not take.
const REFUSED: [SystemOption; 6] = [
    SystemOption::Filter,
    SystemOption::Expand,
    SystemOption::OrderBy,
    SystemOption::Apply,
    SystemOption::SkipToken,
    SystemOption::DeltaToken,
];

/// `GET Instances`, `GET Instances(key)`. `path`: behind the version; `origin`: scheme and host.
pub(crate) async fn discovery(
    core: &Core,
    ask: &Ask,
    origin: &str,
    (path, options): (&str, &QueryOptions),
) -> Result<Response, GatewayError> {
    let Resource::Named { name, key, tail } = Resource::parse(path)? else {
        return Err(GatewayError::UnknownSegment(path.to_owned()));
    };
    if name != "Instances" || !tail.is_empty() {
        return Err(GatewayError::UnknownSegment(name));
    }
    if let Some(option) = REFUSED.into_iter().find(|it| options.get(*it).is_some()) {
        let name = option.name();
        let message = format!("The query parameter '{name}' is not supported here.");
        return Err(GatewayError::InvalidQuery(message));
    }
    let facts = core.organization.facts(ask.call()).await;
    let facts = facts.map_err(|status| GatewayError::of_service(&status))?;
    let id = facts.organization_id.as_str();
    let instance = json!({
        "Id": id,
        "UniqueName": UNIQUE_NAME,
        "UrlName": UNIQUE_NAME,
        "FriendlyName": facts.display_name,
        "State": 0,
        "Version": VERSION,
        "Url": origin,
        "ApiUrl": origin,
        "EnvironmentId": id,
        "OrganizationType": 0,
        "StatusMessage": 0,
    });
    let instance = selected(instance, options)?;
    let context = format!("{origin}/api/discovery/v2.0/$metadata#Instances");
    let by_key = match &key {
        Key::Absent | Key::Empty => false,
        key => match named(key, id) {
            true => true,
            false => {
                let message = format!("the key given; the instance is '{UNIQUE_NAME}'");
                return Err(GatewayError::MetadataNotFound(message));
            }
        },
    };
    let body = match by_key {
        true => {
            let mut body = json!({ "@odata.context": format!("{context}/$entity") });
            if let (Some(body), Value::Object(members)) = (body.as_object_mut(), instance) {
                body.extend(members);
            }
            body
        }
        false => json!({ "@odata.context": context, "value": [instance] }),
    };
    Ok(respond(body.to_string()))
}

fn named(key: &Key, id: &str) -> bool {
    if let Some(given) = key.guid() {
        return given.to_string() == id;
    }
    match key {
        Key::Named(pairs) => matches!(
            pairs.as_slice(),
            [(name, Literal::String(text))] if name == "UniqueName" && text == UNIQUE_NAME
        ),
        _ => false,
    }
}

fn selected(instance: Value, options: &QueryOptions) -> Result<Value, GatewayError> {
    let Some(text) = options.get(SystemOption::Select) else { return Ok(instance) };
    let mut members = Map::new();
    for path in odata::parse_select(text)? {
        let name = path.to_string();
        let value = instance.get(&name).ok_or_else(|| GatewayError::UnknownColumn {
            column: name.clone(),
            table: "Instance".to_owned(),
        })?;
        members.insert(name, value.clone());
    }
    Ok(Value::Object(members))
}
