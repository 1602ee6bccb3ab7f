//! Actions of rows, of tables and of nothing; and how the metadata tells of them.

use proto::query::v1 as pb;
use proto::query::v1::operation::Operation;
use proto::query::v1::operation_result::Result as Answer;
use proto::query::v1::value::Kind;
use rpc::ErrorReason;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::fakes::{Provider, World, refusal};
use crate::fixture::CUSTOMERS;
use crate::ledger::Ledger;

const NAME: &str = "mserp_CustCustomerV3Entity";
const SPACE: &str = "Microsoft.Dynamics.CRM";
const ROOT: &str = "http://org.test:8080/api/data/v9.2";

/// Every action returns this.
async fn returning(result: Result<Option<Kind>, Status>) -> World {
    let ledger = Ledger::answering(move |operation| {
        let Operation::PerformAction(_) = operation else { return None };
        let result = result.clone().map(|it| it.map(|it| pb::Value { kind: Some(it) }));
        Some(result.map(|result| Answer::PerformAction(pb::PerformActionResponse { result })))
    });
    World::new(Provider::empty().with(ledger)).await
}

fn row(action: &str) -> String {
    format!("{CUSTOMERS}({})/{SPACE}.{NAME}_{action}", Uuid::from_u128(5))
}

fn performed(world: &World) -> Vec<pb::PerformActionRequest> {
    let request = |it| match it {
        Operation::PerformAction(it) => it,
        other => panic!("{other:?}"),
    };
    world.query.ledger.operations().into_iter().map(request).collect()
}

fn given(field: &str, kind: Kind) -> pb::FieldValue {
    pb::FieldValue { field: field.into(), value: Some(pb::Value { kind: Some(kind) }) }
}

#[tokio::test]
async fn an_action_of_a_row_is_given_its_parameters_and_answers() {
    let world = returning(Ok(Some(Kind::DecimalValue("100.10".into())))).await;
    let body = r#"{"Amount": 12345678901234567890.10, "Reason": "ä", "Until": null}"#;
    let answer = world.send("POST", &row("RaiseCredit"), &[], body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let context = format!("{ROOT}/$metadata#{SPACE}.{NAME}_RaiseCreditResponse");
    assert_eq!(answer.body, format!("{{\"@odata.context\":\"{context}\",\"value\":100.10}}"));
    let [request] = &performed(&world)[..] else { panic!() };
    assert_eq!((&*request.entity_name, &*request.action), ("CustCustomerV3Entity", "RaiseCredit"));
    let id = Uuid::from_u128(5).as_bytes().to_vec();
    let key = Some(pb::record_key::Key::RecordId(id.into()));
    assert_eq!(request.key, Some(pb::RecordKey { key }));
    let parameters = [
        given("Amount", Kind::DecimalValue("12345678901234567890.10".into())),
        given("Reason", Kind::StringValue("ä".into())),
        given("Until", Kind::NullValue(pb::NullMarker {})),
    ];
    assert_eq!(request.parameters, parameters);
}

#[tokio::test]
async fn what_returns_nothing_has_no_content() {
    let world = returning(Ok(None)).await;
    for body in ["", "{}", "{\"@odata.type\":\"x\"}"] {
        let answer = world.send("POST", &row("Hold"), &[], body).await;
        assert_eq!((answer.status, answer.body.as_str()), (204, ""), "{body}");
    }
    assert_eq!(performed(&world).len(), 3);
}

#[tokio::test]
async fn actions_of_tables_and_of_nothing_have_no_row() {
    let world = returning(Ok(Some(Kind::Int64Value(i64::MAX)))).await;
    let path = format!("{CUSTOMERS}/{SPACE}.{NAME}_Count");
    let answer = world.send("POST", &path, &[], "").await;
    assert_eq!(answer.json()["value"], i64::MAX);
    let strings = ("accept", "application/json;IEEE754Compatible=true");
    let answer = world.send("POST", &path, &[strings], "").await;
    assert_eq!(answer.json()["value"], i64::MAX.to_string());
    assert!(performed(&world).iter().all(|it| it.key.is_none()));

    let world = returning(Ok(Some(Kind::NullValue(pb::NullMarker {})))).await;
    let answer = world.send("POST", &format!("{NAME}_Ping"), &[], r#"{"Text":"x"}"#).await;
    assert_eq!(answer.json()["value"], serde_json::Value::Null);
    assert_eq!(performed(&world)[0].action, "Ping");
}

#[tokio::test]
async fn parameters_that_do_not_fit_are_named() {
    let world = returning(Ok(None)).await;
    let cases = [
        ("{}", "The parameter 'Amount' of the operation"),
        (r#"{"Amount":null}"#, "The parameter 'Amount' of the operation"),
        (r#"{"Amount":"x"}"#, "'Amount' takes a value of type 'Edm.Decimal'"),
        (r#"{"Amount":1,"Reason":7}"#, "'Reason' takes a value of type 'Edm.String'"),
        (r#"{"Amount":1,"amount":2}"#, "The parameter 'amount' in the request payload"),
        (r#"{"Amount":1,"Amount":2}"#, "'Amount' is given twice"),
        ("[]", "an array"),
        ("{", "no JSON"),
    ];
    for (body, text) in cases {
        let (status, code, message) =
            world.send("POST", &row("RaiseCredit"), &[], body).await.error();
        assert_eq!((status, code.as_str()), (400, "0x80048d19"), "{body}");
        assert!(message.contains(text), "{body}: {message}");
    }
    assert!(performed(&world).is_empty());
}

#[tokio::test]
async fn only_its_own_address_and_verb_call_an_action() {
    let world = returning(Ok(None)).await;
    let (hold, key) = (row("Hold"), Uuid::from_u128(5));
    let unqualified = format!("{CUSTOMERS}({key})/{NAME}_Hold");
    let on_table = format!("{CUSTOMERS}/{SPACE}.{NAME}_Hold");
    let on_row = row("Count");
    let ping = format!("{NAME}_Ping");
    let qualified = format!("{SPACE}.{ping}");
    let elsewhere = format!("mserp_orders({key})/{SPACE}.{NAME}_Hold");
    let cases = [
        ("GET", &hold, 404, "", "No HTTP resource was found"),
        ("DELETE", &hold, 404, "", "No HTTP resource was found"),
        ("GET", &ping, 404, "", "No HTTP resource was found"),
        ("PATCH", &ping, 404, "", "No HTTP resource was found"),
        ("POST", &unqualified, 400, "0x80060888", "Request message has unresolved parameters."),
        ("POST", &on_table, 404, "0x8006088a", "Hold"),
        ("POST", &on_row, 404, "0x8006088a", "Count"),
        ("POST", &qualified, 404, "0x8006088a", "Ping"),
        ("POST", &elsewhere, 404, "0x8006088a", "Hold"),
    ];
    for (method, path, status, code, text) in cases {
        let error = world.send(method, path, &[], "").await.error();
        assert_eq!((error.0, error.1.as_str()), (status, code), "{method} {path}: {}", error.2);
        assert!(error.2.contains(text), "{method} {path}: {}", error.2);
    }
    assert!(performed(&world).is_empty());
}

#[tokio::test]
async fn refusals_are_told_as_they_are() {
    let cases = [
        (Code::FailedPrecondition, ErrorReason::BusinessRule, 400, "0x80048d0b"),
        (Code::Unavailable, ErrorReason::PeerUnavailable, 503, "0x80048d0b"),
    ];
    for (code, reason, status, platform) in cases {
        let refused = rpc::status(code, "query", reason, "Ask the controller.", []);
        let world = returning(Err(refused)).await;
        let error = world.send("POST", &row("Hold"), &[], "").await.error();
        assert_eq!(error, (status, platform.into(), "Ask the controller.".into()));
    }
    let world = returning(Err(refusal(Code::NotFound, ErrorReason::RecordNotFound))).await;
    let error = world.send("POST", &row("Hold"), &[], "").await.error();
    assert_eq!((error.0, error.1.as_str()), (404, "0x80040217"));
}

#[tokio::test]
async fn the_metadata_describes_actions() {
    let world = World::new(Provider::empty()).await;
    let plain = world.get("$metadata").await.body;
    let customer = "mserp_custcustomerv3entity";
    let expected = [
        format!(
            "<ComplexType Name=\"{NAME}_RaiseCreditResponse\"><Property Name=\"value\" \
             Type=\"Edm.Decimal\" Scale=\"Variable\" /></ComplexType>\
             <Action Name=\"{NAME}_RaiseCredit\" IsBound=\"true\">\
             <Parameter Name=\"entity\" Type=\"mscrm.{customer}\" Nullable=\"false\" />\
             <Parameter Name=\"Amount\" Type=\"Edm.Decimal\" Nullable=\"false\" Scale=\"Variable\" />\
             <Parameter Name=\"Reason\" Type=\"Edm.String\" Unicode=\"false\" />\
             <Parameter Name=\"Until\" Type=\"Edm.DateTimeOffset\" />\
             <ReturnType Type=\"mscrm.{NAME}_RaiseCreditResponse\" Nullable=\"false\" /></Action>"
        ),
        format!(
            "<Action Name=\"{NAME}_Hold\" IsBound=\"true\">\
             <Parameter Name=\"entity\" Type=\"mscrm.{customer}\" Nullable=\"false\" /></Action>"
        ),
        format!(
            "<Action Name=\"{NAME}_Count\" IsBound=\"true\"><Parameter Name=\"entityset\" \
             Type=\"Collection(mscrm.{customer})\" Nullable=\"false\" />"
        ),
        format!("<Action Name=\"{NAME}_Ping\"><Parameter Name=\"Text\""),
        format!("<ActionImport Name=\"{NAME}_Ping\" Action=\"{SPACE}.{NAME}_Ping\" />"),
    ];
    for expected in expected {
        assert!(plain.contains(&expected), "{expected}\n{plain}");
    }
    let imported = format!("<ActionImport Name=\"{NAME}_");
    assert_eq!(plain.matches(&imported).count(), 1);
    assert_eq!(plain.matches("<Action Name=\"CreateMultiple\"").count(), 3, "not of the catalog");
    let full = world.get("$metadata?annotations=true").await.body;
    assert!(full.contains("String=\"Hold &amp; more\""));
    assert_eq!(full.matches("Property=\"Supported\" Bool=\"true\"").count(), 1);
}

#[tokio::test]
async fn tables_say_what_they_take() {
    let world = World::new(Provider::empty()).await;
    let switches = "$select=ChangeTrackingEnabled,IsOptimisticConcurrencyEnabled";
    let check = async |table: &str, tracked: bool, versioned: bool| {
        let path = format!("EntityDefinitions(LogicalName='{table}')?{switches}");
        let found = world.get(&path).await.json();
        assert_eq!(found["ChangeTrackingEnabled"], tracked, "{found}");
        assert_eq!(found["IsOptimisticConcurrencyEnabled"], versioned, "{found}");
    };
    check("mserp_custcustomerv3entity", true, true).await;
    check("cdm_company", false, true).await;
    check("mserp_financeandoperationsentity", false, false).await;

    let takes = async |table: &str, message: &str| {
        let filter = format!(
            "sdkmessageid/name%20eq%20'{message}'%20and%20primaryobjecttypecode%20eq%20'{table}'"
        );
        let path = format!("sdkmessagefilters?$select=sdkmessagefilterid&$filter={filter}");
        let found = world.get(&path).await.json();
        found["value"].as_array().unwrap().len()
    };
    for message in ["CreateMultiple", "UpdateMultiple", "UpsertMultiple", "Delete"] {
        assert_eq!(takes("mserp_custcustomerv3entity", message).await, 1, "{message}");
        assert_eq!(takes("mserp_financeandoperationsentity", message).await, 0, "{message}");
    }
    assert_eq!(takes("mserp_custcustomerv3entity", &format!("{NAME}_Hold")).await, 1);
    assert_eq!(takes("mserp_financeandoperationsentity", "Update").await, 1);
}

#[tokio::test]
async fn actions_are_custom_apis() {
    let world = World::new(Provider::empty()).await;
    let filter = format!("$filter=uniquename%20eq%20'{NAME}_RaiseCredit'");
    let apis = world.get(&format!("customapis?{filter}")).await.json();
    let api = &apis["value"][0];
    assert_eq!(apis["value"].as_array().unwrap().len(), 1);
    assert_eq!((&api["bindingtype"], &api["isfunction"]), (&1.into(), &false.into()));
    assert_eq!(api["boundentitylogicalname"], "mserp_custcustomerv3entity");
    let id = api["customapiid"].as_str().unwrap();
    let one = world.get(&format!("customapis({id})?$select=uniquename")).await.json();
    assert_eq!(one["uniquename"], format!("{NAME}_RaiseCredit"));
    let parameters = world.get("customapirequestparameters").await.json();
    let own: Vec<_> = parameters["value"].as_array().unwrap().iter().collect();
    let own: Vec<_> = own.into_iter().filter(|it| it["_customapiid_value"] == id).collect();
    assert_eq!(own.len(), 3);
    assert_eq!((&own[0]["type"], &own[0]["isoptional"]), (&2.into(), &false.into()));
    let returned = world.get("customapiresponseproperties").await.json();
    assert_eq!(returned["value"].as_array().unwrap().len(), 3);
}
