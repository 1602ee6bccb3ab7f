//! The ways in over HTTP.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use gateway::EntryPoint;
use reqwest::Method;
use serde_json::{Value, json};
use tests::batch::{self, Batch, Part};
use tests::{Answer, encode};

use super::world::{Prepared, World};
use super::{Actor, Said};
use crate::write_world::{CUSTOMER_ID, CUSTOMER_SET, GROUP_SET, customer, row};

const PATIENCE: Duration = Duration::from_secs(20);
/// Between two questions, as clients ask them.
const PAUSE: Duration = Duration::from_millis(20);
const WAITING: i64 = 0;
const RUNNING: i64 = 20;
const SUCCEEDED: i64 = 30;
const FAILED: i64 = 31;
/// 0x80040220, as a signed number.
const PRIVILEGE_DENIED: i64 = -2_147_220_960;

const LOGICAL: &str = "mserp_custcustomerv3entity";
const TYPE: &str = "Microsoft.Dynamics.CRM.mserp_custcustomerv3entity";
/// From a customer to its group and back.
const GROUP: &str = "mserp_FK_CustomerGroup_id";
const MEMBERS: &str = "mserp_FK_CustCustomerV3Entity_CustomerGroup";
const GROUP_10: &str =
    "mserp_custcustomergroupentities(mserp_dataareaid='USMF',mserp_customergroupid='10')";

/// A request.
struct Request {
    method: Method,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Option<String>,
}

pub(super) async fn perform(world: &World, actor: &Actor, point: EntryPoint) -> Result<Said> {
    let prepared = world.prepare(actor, point).await?;
    try_on(world, actor, point, &prepared).await
}

pub(super) async fn try_on(
    world: &World,
    actor: &Actor,
    point: EntryPoint,
    prepared: &Prepared,
) -> Result<Said> {
    let request = request(world, point, prepared)?;
    let mut headers: Vec<_> =
        request.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    headers.extend(actor.headers.iter().map(|it| (it.0.as_str(), it.1.as_str())));
    let body = request.body.unwrap_or_default();
    let answer = actor.web.send_text(request.method, &request.path, &headers, body).await?;
    if point == EntryPoint::RespondAsync && answer.status == 202 {
        return later(actor, answer.header("location")).await;
    }
    judge(point, &answer)
}

/// What became of an operation that goes on behind its answer.
async fn later(actor: &Actor, location: &str) -> Result<Said> {
    let headers: Vec<_> = actor.headers.iter().map(|it| (it.0.as_str(), it.1.as_str())).collect();
    let until = Instant::now() + PATIENCE;
    loop {
        let told = actor.web.send(Method::GET, location, &headers, None).await?.ok()?;
        match told["backgroundOperationStatusCode"].as_i64() {
            Some(SUCCEEDED) => return Ok(Said::Allowed),
            Some(FAILED) if told["backgroundOperationErrorCode"] == PRIVILEGE_DENIED => {
                return Ok(Said::Denied);
            }
            Some(WAITING | RUNNING) if Instant::now() < until => tokio::time::sleep(PAUSE).await,
            _ => return Ok(Said::Other(told.to_string())),
        }
    }
}

fn judge(point: EntryPoint, answer: &Answer) -> Result<Said> {
    let (mut status, mut text) = (answer.status.as_u16(), answer.body.clone());
    // A batch of one that is refused says so as a whole, too.
    let is_batch = answer.header("content-type").starts_with("multipart/mixed");
    if is_batch && matches!(point, EntryPoint::BatchRequest | EntryPoint::BatchChangeSet) {
        let parts = batch::parts(answer)?;
        let part = parts.first().context("an empty batch")?;
        (status, text) = (part.status, part.body.clone());
    }
    // Whose operation it is not, does not learn that it is there.
    let is_operation =
        matches!(point, EntryPoint::BackgroundOperation | EntryPoint::CancelBackgroundOperation);
    Ok(match status {
        200..=299 => Said::Allowed,
        401 | 403 => Said::Denied,
        404 if is_operation => Said::Denied,
        // It may be cancelled, and has ended.
        409 if is_operation => Said::Allowed,
        // Nobody may do what is not there.
        400 if point == EntryPoint::DeleteMultiple && text.contains("0x80040800") => Said::Denied,
        _ => Said::Other(format!("{status} {text}")),
    })
}

fn request(world: &World, point: EntryPoint, prepared: &Prepared) -> Result<Request> {
    let customer_row = row(CUSTOMER_SET, &prepared.customer);
    let visible = row(CUSTOMER_SET, &prepared.visible);
    let change = json!({ "mserp_notes": "changed" });
    let origin = world.system.http.clone();
    let action = |ending: &str| {
        let found = world.actions.iter().find(|it| it.ends_with(ending));
        found.with_context(|| format!("no action {ending}"))
    };
    let target = |values: &Value| {
        let mut target = values.clone();
        target["@odata.type"] = TYPE.into();
        json!({ "Targets": [target] })
    };
    let mut known = change.clone();
    known[CUSTOMER_ID] = prepared.customer.clone().into();
    let new = customer(&prepared.name, "New");
    let group = json!({ "@odata.id": format!("{}/api/data/v9.2/{GROUP_10}", world.system.http) });
    use EntryPoint as E;
    Ok(match point {
        E::ServiceDocument => get(""),
        E::Metadata => get("$metadata"),
        E::Definitions => get("EntityDefinitions?$select=LogicalName"),
        E::Discovery => get(format!("{origin}/api/discovery/v2.0/Instances")),
        E::Rows => get(format!("{CUSTOMER_SET}?$top=1&$select=mserp_customeraccount")),
        E::FetchXml => {
            let xml = format!(
                "<fetch top='1'><entity name='{LOGICAL}'><attribute name='mserp_customeraccount'/></entity></fetch>"
            );
            get(format!("{CUSTOMER_SET}?fetchXml={}", encode(&xml)))
        }
        E::StoredQuery => get(format!("accounts?savedQuery={}", world.view)),
        E::Count => get(format!("{CUSTOMER_SET}/$count")),
        E::References => get(format!("{CUSTOMER_SET}/$ref?$top=1")),
        E::Record => get(format!("{visible}?$select=mserp_customeraccount")),
        E::Reference => get(format!("{visible}/$ref")),
        // A field that some may not see.
        E::Property => get(format!("{visible}/mserp_creditlimit")),
        E::Changes => get(CUSTOMER_SET).with("Prefer", "odata.track-changes"),
        E::ChangesCount => {
            get(format!("{CUSTOMER_SET}/$count?$deltatoken={}", prepared.delta_token))
        }
        E::Explain => get(format!("{CUSTOMER_SET}?$top=1")).with("Prefer", "tombolo.explain"),
        E::Create => send(Method::POST, CUSTOMER_SET, &new),
        E::CreateRelated => send(Method::POST, format!("{GROUP_10}/{MEMBERS}"), &new),
        E::Change => send(Method::PATCH, customer_row, &change).with("If-Match", "*"),
        E::Delete => plain(Method::DELETE, customer_row),
        E::SetProperty => {
            send(Method::PUT, format!("{customer_row}/mserp_notes"), &json!({ "value": "changed" }))
        }
        E::ClearProperty => plain(Method::DELETE, format!("{customer_row}/mserp_paymentterms")),
        E::Associate => send(Method::PUT, format!("{visible}/{GROUP}/$ref"), &group),
        E::Disassociate => plain(Method::DELETE, format!("{visible}/mserp_FK_PaymentTerm_id/$ref")),
        E::CreateMultiple => bulk("CreateMultiple", &target(&new)),
        E::UpdateMultiple => bulk("UpdateMultiple", &target(&known)),
        E::UpsertMultiple => bulk("UpsertMultiple", &target(&known)),
        E::DeleteMultiple => bulk("DeleteMultiple", &target(&known)),
        E::RecordAction => {
            let action = action("_HoldCustomer")?;
            let path = format!("{customer_row}/Microsoft.Dynamics.CRM.{action}");
            send(Method::POST, path, &json!({ "Reason": "tried" }))
        }
        E::TableAction => {
            let action = action("_TotalOpenOrders")?;
            let path = format!("{GROUP_SET}/Microsoft.Dynamics.CRM.{action}");
            send(Method::POST, path, &json!({ "CustomerGroupId": "10", "Company": "USMF" }))
        }
        E::UnboundAction => plain(Method::POST, action("CurrentMoment")?.clone()),
        E::BatchRequest => one_batch(Batch::default().and(Part::get(visible))),
        E::BatchChangeSet => {
            one_batch(Batch::default().change_set([Part::patch(customer_row, &change)]))
        }
        E::RespondAsync => {
            send(Method::PATCH, customer_row, &change).with("Prefer", "respond-async")
        }
        E::BackgroundOperation => get(prepared.background.clone()),
        E::CancelBackgroundOperation => plain(Method::DELETE, prepared.background.clone()),
        E::WhoAmI => get("WhoAmI"),
        E::RetrieveVersion => get("RetrieveVersion()"),
        E::RetrieveCurrentOrganization => {
            let access = "Microsoft.Dynamics.CRM.EndpointAccessType'Default'";
            get(format!("RetrieveCurrentOrganization(AccessType={access})"))
        }
        E::RetrieveTotalRecordCount => get("RetrieveTotalRecordCount(EntityNames=['account'])"),
        E::RetrieveFinanceAndOperationsIntegrationDetails => {
            get("RetrieveFinanceAndOperationsIntegrationDetails()")
        }
        E::RetrieveMetadataChanges => {
            let query =
                encode(r#"{"Properties":{"AllProperties":false,"PropertyNames":["LogicalName"]}}"#);
            get(format!("RetrieveMetadataChanges(Query=@p)?@p={query}"))
        }
        E::FetchXmlToQueryExpression => {
            let xml = encode(
                "'<fetch><entity name=\"account\"><attribute name=\"name\"/></entity></fetch>'",
            );
            get(format!("FetchXmlToQueryExpression(FetchXml=@p)?@p={xml}"))
        }
        E::QueryExpressionToFetchXml => send(
            Method::POST,
            "QueryExpressionToFetchXml",
            &json!({ "Query": { "EntityName": "account" } }),
        ),
        E::BulkDelete => send(Method::POST, "BulkDelete", &bulk_delete(&prepared.visible_account)),
        E::DualWriteFunction => get("tombolo_DualWriteListMaps()"),
        E::DualWriteAction => send(Method::POST, "tombolo_DualWriteRunHealthChecks", &json!({})),
        _ => bail!("{} is not HTTP's", point.name()),
    })
}

fn bulk_delete(account: &str) -> Value {
    json!({
        "JobName": "tried",
        "SendEmailNotification": false,
        "ToRecipients": [],
        "CCRecipients": [],
        "RecurrencePattern": "",
        "StartDateTime": "2020-01-01T00:00:00Z",
        "QuerySet": [{
            "@odata.type": "Microsoft.Dynamics.CRM.QueryExpression",
            "EntityName": LOGICAL,
            "ColumnSet": { "AllColumns": false, "Columns": [CUSTOMER_ID] },
            "Criteria": { "FilterOperator": "And", "Conditions": [{
                "AttributeName": "mserp_customeraccount",
                "Operator": "Equal",
                "Values": [{ "Value": account, "Type": "System.String" }],
            }] },
        }],
    })
}

fn get(path: impl Into<String>) -> Request {
    plain(Method::GET, path)
}

fn plain(method: Method, path: impl Into<String>) -> Request {
    Request { method, path: path.into(), headers: Vec::new(), body: None }
}

fn send(method: Method, path: impl Into<String>, body: &Value) -> Request {
    let request = Request { body: Some(body.to_string()), ..plain(method, path) };
    request.with("Content-Type", "application/json")
}

fn bulk(action: &str, body: &Value) -> Request {
    send(Method::POST, format!("{CUSTOMER_SET}/Microsoft.Dynamics.CRM.{action}"), body)
}

fn one_batch(batch: Batch) -> Request {
    let request = Request { body: Some(batch.text()), ..plain(Method::POST, "$batch") };
    request.with("Content-Type", &Batch::content_type())
}

impl Request {
    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}
