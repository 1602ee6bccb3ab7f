//! Verbose errors of maps in debug mode (spec DW-45): the whole response, as the original logs it (A3.4),
//! among the map's activities. Nothing is cut, and values are in it: debug mode says so.

use proto::dual_write::v1::{Record, Side};
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::Failure;
use crate::error::Error;
use crate::map::value;
use crate::maps::ActiveMap;
use crate::store::activity;

/// What the original calls a response that failed.
const FAILED: i32 = 2;

pub(super) async fn record(
    connection: &mut PgConnection,
    map: &ActiveMap,
    failures: &[&Failure],
) -> Result<(), Error> {
    for failure in failures {
        let message = format!("An error of the map in debug mode: {}", failure.error.message);
        let response = response(map, failure);
        let kind = "DualWriteErrorLog";
        activity::record(connection, &map.name, kind, &message, "", response).await?;
    }
    Ok(())
}

fn response(map: &ActiveMap, failure: &Failure) -> Value {
    let error = &failure.error;
    let entity = match (&failure.record, failure.source) {
        (Some(record), _) => record.entity_name.as_str(),
        (None, Side::Platform) => map.table_map.platform_table.as_str(),
        (None, _) => map.table_map.finance_and_operations_entity.as_str(),
    };
    respond(entity, failure.record.as_ref(), error)
}

fn respond(
    entity: &str,
    record: Option<&Record>,
    error: &proto::dual_write::v1::SyncError,
) -> Value {
    let time = error.occur_time.as_ref().and_then(|it| {
        chrono::DateTime::from_timestamp(it.seconds, u32::try_from(it.nanos).unwrap_or_default())
    });
    let time = time.unwrap_or_else(chrono::Utc::now);
    let fields: Vec<_> = Some(error.field.as_str())
        .into_iter()
        .filter(|it| !it.is_empty())
        .map(|it| json!({ "fieldName": it, "errorMessage": error.message }))
        .collect();
    json!({
        "entityName": entity,
        "executionStatus": FAILED,
        "fieldResponses": fields,
        "recordResponses": [{
            "errorMessage": error.message,
            "logDateTime": time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
            "verboseError": verbose(record, error),
        }],
        "isErrorCountUpdated": true,
        "correlationId": error.correlation_id,
    })
}

fn verbose(record: Option<&Record>, error: &proto::dual_write::v1::SyncError) -> String {
    let kind = error.kind().as_str_name().trim_start_matches("SYNC_ERROR_KIND_");
    let mut text = format!("{kind} {}: {}", error.code, error.message);
    if let Some(record) = record {
        let key: Vec<_> = record
            .key
            .iter()
            .map(|it| {
                let shown = it.value.as_ref().map(value::display).unwrap_or_default();
                format!("{}={shown}", it.field)
            })
            .collect();
        text.push_str(&format!(" [company {}, {}]", record.company, key.join(", ")));
    }
    for more in [&error.help, &error.probe_url].into_iter().filter(|it| !it.is_empty()) {
        text.push(' ');
        text.push_str(more);
    }
    text
}

#[cfg(test)]
mod tests {
    use proto::dual_write::v1::{SyncError, SyncErrorKind};

    use super::*;

    #[test]
    fn a_response_has_the_shape_of_the_original() {
        let error = SyncError {
            kind: SyncErrorKind::Application.into(),
            code: "0x80040265".to_owned(),
            message: "refused".to_owned(),
            field: "creditlimit".to_owned(),
            ..Default::default()
        };
        let response = respond("CustCustomerV3Entity", None, &error);
        assert_eq!(response["entityName"], "CustCustomerV3Entity");
        assert_eq!(response["executionStatus"], 2);
        assert_eq!(response["isErrorCountUpdated"], true);
        assert_eq!(response["fieldResponses"][0]["fieldName"], "creditlimit");
        let record = &response["recordResponses"][0];
        assert_eq!(record["errorMessage"], "refused");
        assert_eq!(record["verboseError"], "APPLICATION 0x80040265: refused");
        assert!(record["logDateTime"].as_str().unwrap().ends_with('Z'));
    }
}
