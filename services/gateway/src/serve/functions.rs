//! Answers that no table gives.

use crate::Core;
use crate::error::{GatewayError, NAMESPACE};
use crate::http::{Ask, Response, json, quoted};
use crate::metadata::Snapshot;

/// The platform version that clients are told.
const VERSION: &str = "9.2.0.0";

/// `GET /`: the entity sets by name.
pub(crate) fn service_document(ask: &Ask, snapshot: &Snapshot) -> Response {
    let sets = snapshot.tables.iter().map(|table| {
        let name = quoted(&table.set_name);
        format!("{{\"name\":{name},\"kind\":\"EntitySet\",\"url\":{name}}}")
    });
    let sets = sets.collect::<Vec<_>>().join(",");
    let context = quoted(&format!("{}/$metadata", ask.root));
    json(format!("{{\"@odata.context\":{context},\"value\":[{sets}]}}"))
}

/// `WhoAmI()`.
pub(crate) async fn who_am_i(core: &Core, ask: &Ask) -> Result<Response, GatewayError> {
    let facts = core.organization.facts(ask.call()).await;
    let facts = facts.map_err(|status| GatewayError::of_service(&status))?;
    Ok(json(format!(
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
    json(format!("{{\"@odata.context\":{context},\"Version\":\"{VERSION}\"}}"))
}

fn response_context(ask: &Ask, function: &str) -> String {
    quoted(&format!("{}/$metadata#{NAMESPACE}.{function}Response", ask.root))
}
