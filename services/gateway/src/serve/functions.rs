//! Answers that no table gives.

use odata::{Aliases, Key, Literal, Parameter};
use serde_json::json;

use crate::Core;
use crate::error::{GatewayError, NAMESPACE};
use crate::http::{Ask, Response, json as respond, quoted};
use crate::metadata::{Snapshot, Source};
use crate::odata_read::{self, Place};
use crate::query;

/// The platform version that clients are told.
pub(super) const VERSION: &str = "9.2.0.0";
/// How the one organization is called in URLs.
pub(super) const UNIQUE_NAME: &str = "tombolo";
const ACCESS_TYPES: [&str; 3] = ["Default", "Internet", "Intranet"];
/// Tables that one call counts at most: each is a statement.
const MOST_COUNTED: usize = 20;

/// `GET /`: the entity sets by name.
pub(crate) fn service_document(ask: &Ask, snapshot: &Snapshot) -> Response {
    let sets = snapshot.tables.iter().map(|table| {
        let name = quoted(&table.set_name);
        format!("{{\"name\":{name},\"kind\":\"EntitySet\",\"url\":{name}}}")
    });
    let sets = sets.collect::<Vec<_>>().join(",");
    let context = quoted(&format!("{}/$metadata", ask.root));
    respond(format!("{{\"@odata.context\":{context},\"value\":[{sets}]}}"))
}

/// `WhoAmI()`.
pub(crate) async fn who_am_i(core: &Core, ask: &Ask) -> Result<Response, GatewayError> {
    let facts = core.organization.facts(ask.call()).await;
    let facts = facts.map_err(|status| GatewayError::of_service(&status))?;
    Ok(respond(format!(
        "{{\"@odata.context\":{},\"BusinessUnitId\":{},\"UserId\":{},\"OrganizationId\":{}}}",
        response_context(ask, "WhoAmI"),
        quoted(&facts.business_unit_id),
        quoted(&ask.session.system_user_id),
        quoted(&facts.organization_id),
    )))
}

/// `RetrieveVersion()`.
pub(crate) fn retrieve_version(ask: &Ask) -> Response {
    let context = response_context(ask, "RetrieveVersion");
    respond(format!("{{\"@odata.context\":{context},\"Version\":\"{VERSION}\"}}"))
}

pub(super) fn response_context(ask: &Ask, function: &str) -> String {
    quoted(&format!("{}/$metadata#{NAMESPACE}.{function}Response", ask.root))
}

/// `RetrieveCurrentOrganization(AccessType=…'Default')`.
pub(crate) async fn retrieve_current_organization(
    core: &Core,
    ask: &Ask,
    (key, aliases): (&Key, &Aliases),
) -> Result<Response, GatewayError> {
    let access = parameter(key, aliases, "AccessType")?;
    match &access {
        Some(Parameter::Literal(Literal::Enum { member, .. }))
            if ACCESS_TYPES.contains(&member.as_str()) => {}
        Some(_) => return Err(wrong_type("AccessType", "EndpointAccessType")),
        None => return Err(missing("AccessType")),
    }
    let facts = core.organization.facts(ask.call()).await;
    let facts = facts.map_err(|status| GatewayError::of_service(&status))?;
    let web = ask.root.split("/api/").next().unwrap_or_default();
    let detail = json!({
        "OrganizationId": facts.organization_id,
        "FriendlyName": facts.display_name,
        "OrganizationVersion": VERSION,
        "EnvironmentId": facts.organization_id,
        "UrlName": UNIQUE_NAME,
        "UniqueName": UNIQUE_NAME,
        "State": "Enabled",
        "Endpoints": {
            "Count": 3,
            "IsReadOnly": false,
            "Keys": ["WebApplication", "OrganizationService", "OrganizationDataService"],
            "Values": [format!("{web}/"), format!("{}/", ask.root), format!("{}/", ask.root)],
        },
    });
    let context = response_context(ask, "RetrieveCurrentOrganization");
    Ok(respond(format!("{{\"@odata.context\":{context},\"Detail\":{detail}}}")))
}

/// `RetrieveFinanceAndOperationsIntegrationDetails()`.
pub(crate) async fn retrieve_integration_details(
    core: &Core,
    ask: &Ask,
) -> Result<Response, GatewayError> {
    let details = core.integration.details(ask.call(), &core.organization).await;
    let details = details.map_err(|status| GatewayError::of_service(&status))?;
    Ok(respond(format!(
        "{{\"@odata.context\":{},\"Url\":{},\"TenantId\":{},\"Id\":{}}}",
        response_context(ask, "RetrieveFinanceAndOperationsIntegrationDetails"),
        quoted(&details.url),
        quoted(&details.tenant_id),
        quoted(&details.id),
    )))
}

/// `RetrieveTotalRecordCount(EntityNames=['account'])`: as many as the caller may see.
pub(crate) async fn retrieve_total_record_count(
    core: &Core,
    ask: &Ask,
    snapshot: &Snapshot,
    (key, aliases): (&Key, &Aliases),
) -> Result<Response, GatewayError> {
    let names = match parameter(key, aliases, "EntityNames")? {
        Some(Parameter::List(names)) => names,
        Some(_) => return Err(wrong_type("EntityNames", "Collection(Edm.String)")),
        None => return Err(missing("EntityNames")),
    };
    if names.is_empty() || names.len() > MOST_COUNTED {
        let message = format!("'EntityNames' takes 1 to {MOST_COUNTED} names.");
        return Err(GatewayError::InvalidValue(message));
    }
    let mut tables = Vec::with_capacity(names.len());
    for name in &names {
        let Literal::String(name) = name else {
            return Err(wrong_type("EntityNames", "Collection(Edm.String)"));
        };
        let table = snapshot.by_name(name);
        let table = table.ok_or_else(|| GatewayError::UnknownTable(name.clone()))?;
        if table.source != Source::Organization {
            return Err(GatewayError::InvalidQuery(format!(
                "RetrieveTotalRecordCount is not valid for virtual tables; '{name}' is one."
            )));
        }
        tables.push(table);
    }
    let mut counts = Vec::with_capacity(tables.len());
    for table in &tables {
        let place = Place::all(table);
        let read = odata_read::columns_of(&place, &[], &ask.prefer);
        counts.push(query::count(core, ask, snapshot, &read).await?);
    }
    let keys: Vec<&String> = tables.iter().map(|it| &it.logical_name).collect();
    let collection = json!({
        "Count": counts.len(), "IsReadOnly": false, "Keys": keys, "Values": counts,
    });
    let context = response_context(ask, "RetrieveTotalRecordCount");
    Ok(respond(format!(
        "{{\"@odata.context\":{context},\"EntityRecordCountCollection\":{collection}}}"
    )))
}

/// One parameter of a function; others are refused.
pub(super) fn parameter(
    key: &Key,
    aliases: &Aliases,
    name: &str,
) -> Result<Option<Parameter>, GatewayError> {
    let parameters = key.parameters(aliases).ok_or_else(|| {
        GatewayError::InvalidValue("The parameters of the function cannot be read.".to_owned())
    })?;
    if let Some((other, _)) = parameters.iter().find(|(it, _)| it != name) {
        let message = format!("The function has no parameter '{other}'.");
        return Err(GatewayError::InvalidValue(message));
    }
    let value = parameters.into_iter().next().map(|(_, value)| value);
    Ok(value.filter(|it| *it != Parameter::Literal(Literal::Null)))
}

pub(super) fn missing(name: &str) -> GatewayError {
    GatewayError::InvalidValue(format!("The parameter '{name}' is missing."))
}

pub(super) fn wrong_type(name: &str, kind: &str) -> GatewayError {
    GatewayError::InvalidValue(format!("The parameter '{name}' takes a value of type '{kind}'."))
}
