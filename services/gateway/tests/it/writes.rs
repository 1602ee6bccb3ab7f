//! Writing over HTTP: what providers are told, and what clients are answered.

use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::http::Request;
use futures::stream;
use proto::query::v1 as pb;
use proto::query::v1::operation::Operation;
use proto::query::v1::operation_result::Result as Found;
use rpc::ErrorReason;
use tonic::Code;
use uuid::Uuid;

use crate::fakes::{Answer, Provider, World, batch};
use crate::fixture::{CUSTOMERS, ORDERS};
use crate::ledger::{Event, Ledger};

const CATALOG: &str = "mserp_financeandoperationsentities";

#[tokio::test]
async fn a_catalog_row_can_be_patched() {
    let world = World::new(Provider::empty()).await;
    let id = Uuid::from_u128(5);
    let path = format!("{CATALOG}({id})");
    let body = format!(
        "{{\"mserp_hasbeengenerated\":true,\"@odata.type\":\"x\",\
         \"mserp_financeandoperationsentityid\":\"{id}\"}}"
    );
    let answer = world.send("PATCH", &path, &[("if-match", "*")], &body).await;
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    let url = format!("http://org.test:8080/api/data/v9.2/{path}");
    assert_eq!(answer.header("odata-entityid"), url);
    let update = world.catalog.updates.lock().unwrap().pop().unwrap();
    assert_eq!(
        (update.entity_name.as_str(), update.etag.as_str()),
        ("CDSVirtualEntityListEntity", "")
    );
    let value = Some(pb::Value { kind: Some(pb::value::Kind::BoolValue(true)) });
    assert_eq!(update.values, [pb::FieldValue { field: "visible".into(), value }]);
}

#[tokio::test]
async fn a_patch_that_does_not_fit_changes_nothing() {
    let world = World::new(Provider::empty()).await;
    let path = format!("{CATALOG}({})", Uuid::from_u128(5));
    let cases = [
        ("{", 400, "0x80048d19"),
        ("[]", 400, "0x80048d19"),
        ("{}", 400, "0x80048d19"),
        ("{\"mserp_hasbeengenerated\":\"yes\"}", 400, "0x80048d19"),
        ("{\"mserp_hasbeengenerated\":null}", 400, "0x80048d19"),
        ("{\"mserp_physicalname\":\"x\"}", 400, "0x80048d0b"),
        ("{\"nope\":1}", 400, "0x0"),
    ];
    for (body, status, code) in cases {
        let answer = world.send("PATCH", &path, &[], body).await;
        assert_eq!((answer.error().0, answer.error().1.as_str()), (status, code), "{body}");
    }
    let large = format!("{{\"x\":\"{}\"}}", "a".repeat(16 << 20));
    assert_eq!(world.send("PATCH", &path, &[], &large).await.error().0, 413);
    let body = "{\"mserp_hasbeengenerated\":true}";
    let prevented = world.send("PATCH", &path, &[("if-none-match", "*")], body).await;
    assert_eq!(prevented.error().0, 412);
    assert!(world.catalog.updates.lock().unwrap().is_empty());
    let stale = world.send("PATCH", &path, &[("if-match", "W/\"old\"")], body).await;
    assert_eq!((stale.error().0, stale.error().1.as_str()), (412, "0x80060882"));
    let ignored = world.send("PATCH", &path, &[("if-none-match", "null")], body).await;
    assert_eq!(ignored.status, 204);
}

#[tokio::test]
async fn methods_that_mean_nothing_are_refused_by_name() {
    let world = World::new(Provider::empty()).await;
    let record = format!("{CUSTOMERS}({})", Uuid::from_u128(5));
    let catalog = format!("{CATALOG}({})", Uuid::from_u128(5));
    let cases = [
        ("DELETE", CUSTOMERS, "GET, POST"),
        ("POST", record.as_str(), "GET, PATCH, PUT, DELETE"),
        ("POST", CATALOG, "GET"),
        ("PUT", catalog.as_str(), "GET, PATCH"),
        ("DELETE", catalog.as_str(), "GET, PATCH"),
        ("POST", "", "GET"),
    ];
    for (method, path, allow) in cases {
        let answer = world.send(method, path, &[], "{}").await;
        let (status, _, message) = answer.error();
        assert_eq!((status, answer.header("allow")), (405, allow), "{method} {path}");
        assert!(message.contains(method), "{message}");
    }
    let (status, code, _) = world.send("POST", "WhoAmI", &[], "").await.error();
    assert_eq!((status, code.as_str()), (404, ""));
}

/// A PATCH whose body never comes.
fn endless(token: &str) -> Request<Body> {
    let body = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
    Request::patch(format!("/api/data/v9.2/{CATALOG}({})", Uuid::from_u128(5)))
        .header("authorization", format!("Bearer {token}"))
        .body(body)
        .unwrap()
}

#[tokio::test]
async fn a_body_is_waited_for_until_the_deadline_only() {
    let world = World::new(Provider::empty()).await;
    assert_eq!(world.raw(endless("good")).await.error().0, 504);
}

#[tokio::test]
async fn who_may_not_write_is_told_so_before_the_body_is_read() {
    let world = World::new(Provider::empty()).await;
    let refused = world.raw(endless("clerk")).await;
    let path = format!("{CATALOG}({})", Uuid::from_u128(5));
    let body = "{\"mserp_hasbeengenerated\":true}";
    let denied = world.send("PATCH", &path, &[("if-match", "W/\"denied\"")], body).await;
    for answer in [refused, denied] {
        let (status, code, message) = answer.error();
        assert_eq!((status, code.as_str()), (403, "0x80040220"), "{message}");
        let privilege = "prvWritemserp_financeandoperationsentity privilege";
        assert!(message.contains(privilege), "{message}");
    }
}

const ROOT: &str = "http://org.test:8080/api/data/v9.2";
/// What a provider calls a row that it has made.
const MADE: u128 = 0xC0;
const ALIAS: &str = "{\"mserp_alias\":\"x\"}";

/// Metadata that says nothing to clients.
const NOTHING: [(&str, &str); 1] = [("entity", "x")];

fn customer(id: u128) -> String {
    format!("{CUSTOMERS}({})", Uuid::from_u128(id))
}

fn field(name: &str, kind: pb::value::Kind) -> pb::FieldValue {
    pb::FieldValue { field: name.into(), value: Some(pb::Value { kind: Some(kind) }) }
}

/// A query service that refuses every write so.
async fn refusing(
    code: Code,
    reason: ErrorReason,
    message: &'static str,
    metadata: [(&'static str, &'static str); 1],
) -> World {
    let refused =
        move |_: &Operation| Some(Err(rpc::status(code, "fake", reason, message, metadata)));
    World::new(Provider::empty().with(Ledger::answering(refused))).await
}

#[tokio::test]
async fn a_row_is_made() {
    let world = World::new(Provider::empty()).await;
    let body = "{\"mserp_account\":\"C1\",\"mserp_credit\":0.10}";
    let answer = world.send("POST", CUSTOMERS, &[("if-none-match", "null")], body).await;
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    let url = format!("{ROOT}/{}", customer(MADE));
    assert_eq!((answer.header("odata-entityid"), answer.header("location")), (&*url, &*url));
    assert_eq!((answer.header("etag"), answer.header("odata-version")), ("W/\"1\"", "4.0"));
    let [Event::Alone(Operation::Create(create), key)] = &world.query.ledger.events()[..] else {
        panic!("{:?}", world.query.ledger.events())
    };
    assert_eq!((create.entity_name.as_str(), key.as_str()), ("CustCustomerV3Entity", ""));
    let credit = pb::value::Kind::DecimalValue("0.10".into());
    let account = pb::value::Kind::StringValue("C1".into());
    assert_eq!(create.values, [field("Account", account), field("Credit", credit)]);
}

#[tokio::test]
async fn rows_are_changed_and_deleted() {
    let world = World::new(Provider::empty()).await;
    let path = customer(5);
    let upserted = world.send("PATCH", &path, &[], ALIAS).await;
    assert_eq!(
        (upserted.status, upserted.header("location")),
        (204, upserted.header("odata-entityid"))
    );
    let deleted = world.send("DELETE", &path, &[("if-match", "W/\"7\"")], "").await;
    assert_eq!((deleted.status, deleted.header("odata-entityid")), (204, ""));
    let headers = [("if-match", "*"), ("if-none-match", "null")];
    let updated = world.send("PATCH", &path, &headers, ALIAS).await;
    assert_eq!((updated.status, updated.header("location")), (204, ""));
    let url = format!("{ROOT}/{path}");
    assert_eq!(world.query.updates.lock().unwrap().len(), 1);
    assert_eq!(upserted.header("odata-entityid"), url);
    let operations = world.query.ledger.operations();
    let [Operation::Upsert(_), Operation::Delete(delete)] = &operations[..] else {
        panic!("{operations:?}")
    };
    assert_eq!(delete.etag, "W/\"7\"");
}

#[tokio::test]
async fn what_was_written_is_shown_to_those_who_prefer_it() {
    let row = "{\"@odata.etag\":\"W/\\\"1\\\"\",\"mserp_alias\":\"x\",\
               \"mserp_custcustomerv3entityid\":\"00000000-0000-0000-0000-0000000000c0\"}";
    let world = World::new(Provider::one(move |_| Ok(batch(row, 1)))).await;
    let prefer = [("prefer", "return=representation,odata.include-annotations=\"*\"")];
    let path = format!("{CUSTOMERS}?$select=mserp_alias");
    let made = world.send("POST", &path, &prefer, ALIAS).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(made.json()["mserp_alias"], "x");
    let context = format!("{ROOT}/$metadata#{CUSTOMERS}(mserp_alias)/$entity");
    assert_eq!(made.json()["@odata.context"], context);
    assert_eq!(
        made.header("preference-applied"),
        "return=representation,odata.include-annotations=\"*\""
    );
    assert_eq!(made.header("etag"), "W/\"1\"");
    assert_eq!(made.header("odata-entityid"), format!("{ROOT}/{}", customer(MADE)));
    let alike = [("prefer", "return=representation"), ("if-match", "*")];
    let changed = world.send("PATCH", &customer(5), &alike, ALIAS).await;
    assert_eq!((changed.status, changed.header("location")), (200, ""), "{}", changed.body);
    assert_eq!(changed.header("preference-applied"), "return=representation");
    let nothing =
        world.send("PATCH", &format!("{}?$select=nope", customer(5)), &alike, ALIAS).await;
    assert_eq!(nothing.error().0, 400);
    assert_eq!(world.query.updates.lock().unwrap().len(), 1, "nothing was written");
}

#[tokio::test]
async fn who_may_write_and_not_read_is_not_refused() {
    let denied = |_: &pb::RetrieveRequest| {
        let metadata = [("privilege", "read")];
        let reason = ErrorReason::PrivilegeDenied;
        Err(rpc::status(Code::PermissionDenied, "fake", reason, "no", metadata))
    };
    let world = World::new(Provider::one(denied)).await;
    let prefer = [("prefer", "return=representation")];
    let made = world.send("POST", CUSTOMERS, &prefer, ALIAS).await;
    assert_eq!((made.status, made.header("preference-applied")), (204, ""));
    assert_eq!(made.header("odata-entityid"), format!("{ROOT}/{}", customer(MADE)));
}

#[tokio::test]
async fn many_rows_are_written_or_none() {
    let world = World::new(Provider::empty()).await;
    let target = "{\"@odata.type\":\"Microsoft.Dynamics.CRM.mserp_custcustomerv3entity\",\
                  \"mserp_custcustomerv3entityid\":\"00000000-0000-0000-0000-000000000007\"}";
    let body = format!("{{\"Targets\":[{target},{}]}}", target.replace("07", "08"));
    let path = |message: &str| format!("{CUSTOMERS}/Microsoft.Dynamics.CRM.{message}");
    let made = world.send("POST", &path("CreateMultiple"), &[], &body).await;
    assert_eq!(made.status, 200, "{}", made.body);
    let ids = [7, 8].map(|it| Uuid::from_u128(it).to_string());
    assert_eq!(made.json()["Ids"], serde_json::json!(ids));
    let upserted = world.send("POST", &path("UpsertMultiple"), &[], &body).await;
    assert_eq!((upserted.status, upserted.body.as_str()), (204, ""));
    let commits = |it: &&Event| matches!(it, Event::Commit(_));
    assert_eq!(world.query.ledger.events().iter().filter(commits).count(), 2);
    let (status, code, message) =
        world.send("POST", &path("DeleteMultiple"), &[], &body).await.error();
    assert_eq!((status, code.as_str()), (400, "0x80040800"));
    assert_eq!(message, "DeleteMultiple has not yet been implemented.");
}

#[tokio::test]
async fn a_request_with_an_id_is_done_once() {
    let world = World::new(Provider::empty()).await;
    let id = [("x-ms-client-request-id", "11")];
    world.send("POST", CUSTOMERS, &id, ALIAS).await;
    world.send("POST", CUSTOMERS, &id, ALIAS).await;
    world.send("POST", CUSTOMERS, &id, "{}").await;
    let keys: Vec<String> = world
        .query
        .ledger
        .events()
        .into_iter()
        .filter_map(|it| match it {
            Event::Alone(_, key) => Some(key),
            _ => None,
        })
        .collect();
    let [first, second, third] = &keys[..] else { panic!("{keys:?}") };
    assert_eq!(first, second);
    assert_ne!(first, third);
    assert!(first.contains(&Uuid::from_u128(crate::fakes::USER).to_string()), "{first}");
}

#[tokio::test]
async fn properties_and_references_are_written() {
    let world = World::new(Provider::empty()).await;
    let path = format!("{}/mserp_alias", customer(5));
    assert_eq!(world.send("PUT", &path, &[], "{\"value\":\"y\"}").await.status, 204);
    assert_eq!(world.send("DELETE", &path, &[], "").await.status, 204);
    let updates = world.query.updates.lock().unwrap();
    let values: Vec<_> = updates.iter().flat_map(|it| it.values.clone()).collect();
    let null = pb::value::Kind::NullValue(pb::NullMarker {});
    let text = pb::value::Kind::StringValue("y".into());
    assert_eq!(values, [field("Alias", text), field("Alias", null)]);
}

fn found(texts: &[&str]) -> Found {
    let column = |it: &&str| pb::ColumnValues {
        values: Some(pb::column_values::Values::Strings(pb::StringArray {
            values: vec![(*it).to_owned()],
        })),
        ..Default::default()
    };
    let rows = pb::ColumnBatch { columns: texts.iter().map(column).collect() };
    let rows = Some(pb::row_batch::Rows::Columns(rows));
    let batch = Some(pb::RowBatch { row_count: 1, rows, ..Default::default() });
    Found::Retrieve(pb::RetrieveResponse { batch })
}

/// An ERP where rows have the version 7, and the first update finds another one. Tells of the versions
/// that updates name.
fn overtaken(named: Arc<Mutex<Vec<String>>>) -> Ledger {
    Ledger::answering(move |it| match it {
        Operation::Retrieve(it) if it.columns.len() == 3 => {
            Some(Ok(found(&["usmf", "US-1", "W/\"7\""])))
        }
        Operation::Retrieve(_) => Some(Ok(found(&["usmf", "US-1"]))),
        Operation::Update(it) => {
            let mut named = named.lock().unwrap();
            named.push(it.etag.clone());
            let reason = ErrorReason::VersionMismatch;
            (named.len() == 1).then(|| Err(rpc::status(Code::Aborted, "fake", reason, "no", [])))
        }
        _ => None,
    })
}

#[tokio::test]
async fn rows_are_taken_apart_as_they_were_found_to_be_related() {
    let order = Uuid::from_u128(9);
    let of_many = format!("{}/mserp_Orders({order})/$ref", customer(5));
    let of_one = format!("{ORDERS}({order})/mserp_Customer/$ref?$id={}", customer(5));
    for path in [of_many, of_one] {
        let named = Arc::new(Mutex::new(Vec::new()));
        let world = World::new(Provider::empty().with(overtaken(Arc::clone(&named)))).await;
        let answer = world.send("DELETE", &path, &[], "").await;
        assert_eq!(answer.status, 204, "{}", answer.body);
        assert_eq!(*named.lock().unwrap(), ["W/\"7\"", "W/\"7\""], "{path}");
    }
}

#[tokio::test]
async fn refusals_of_providers_are_told_in_the_platforms_words() {
    use ErrorReason as Reason;
    type Case = (
        (Code, ErrorReason, &'static str, [(&'static str, &'static str); 1]),
        (u16, &'static str, &'static str),
    );
    let cases: [Case; 14] = [
        (
            (
                Code::FailedPrecondition,
                Reason::BusinessRule,
                "No quantity for item D0004.",
                NOTHING,
            ),
            (400, "0x80048d0b", "No quantity for item D0004."),
        ),
        (
            (Code::InvalidArgument, Reason::FieldReadOnly, "no", [("column", "Alias")]),
            (
                400,
                "0x80048d0b",
                "update not allowed for field 'mserp_custcustomerv3entity.mserp_alias'",
            ),
        ),
        (
            (
                Code::InvalidArgument,
                Reason::InvalidValue,
                "the value of `Credit` is too large",
                [("column", "Credit")],
            ),
            (400, "0x80040203", "the value of 'mserp_credit' is too large"),
        ),
        (
            (Code::InvalidArgument, Reason::InvalidValue, "too large", [("column", "Credit")]),
            (400, "0x80040203", "'mserp_credit': too large"),
        ),
        (
            (Code::AlreadyExists, Reason::RecordExists, "no", NOTHING),
            (412, "0x80040237", "A record with matching key values already exists."),
        ),
        (
            (Code::AlreadyExists, Reason::RecordExists, "no", [("columns", "dataAreaId,Account")]),
            (
                412,
                "0x80060892",
                "A record with matching key values already exists: mserp_dataareaid, mserp_account.",
            ),
        ),
        (
            (Code::FailedPrecondition, Reason::InUse, "no", [("used_by", "Order")]),
            (
                405,
                "0x80040227",
                "The record of 'mserp_custcustomerv3entity' cannot be deleted: records of 'Order' \
                 need it.",
            ),
        ),
        (
            (Code::Aborted, Reason::VersionMismatch, "no", NOTHING),
            (
                412,
                "0x80060882",
                "The version of the existing record doesn't match the RowVersion property provided.",
            ),
        ),
        (
            (Code::NotFound, Reason::RecordNotFound, "no", NOTHING),
            (
                404,
                "0x80040217",
                "mserp_custcustomerv3entity With Id = 00000000-0000-0000-0000-000000000005 Does Not \
                 Exist",
            ),
        ),
        (
            (Code::FailedPrecondition, Reason::IdempotencyKeyReused, "again", NOTHING),
            (400, "0x80040203", "again"),
        ),
        (
            (Code::PermissionDenied, Reason::PrivilegeDenied, "no", [("privilege", "write")]),
            (
                403,
                "0x80040220",
                "Principal user is missing prvWritemserp_custcustomerv3entity privilege for entity \
                 'mserp_custcustomerv3entity'.",
            ),
        ),
        (
            (Code::DeadlineExceeded, Reason::OutcomePending, "wait", NOTHING),
            (504, "0x80044151", "wait"),
        ),
        (
            (Code::FailedPrecondition, Reason::LimitExceeded, "no", [("limit", "operations")]),
            (
                400,
                "0x80060888",
                "The request means more operations than a transaction can have; divide it into \
                 several.",
            ),
        ),
        (
            (Code::InvalidArgument, Reason::ColumnNotFound, "no", [("column", "Gone")]),
            (
                400,
                "0x0",
                "Could not find a property named 'Gone' on type \
                 'Microsoft.Dynamics.CRM.mserp_custcustomerv3entity'.",
            ),
        ),
    ];
    for ((code, reason, message, metadata), expected) in cases {
        let world = refusing(code, reason, message, metadata).await;
        let (status, code, message) = world.send("PATCH", &customer(5), &[], ALIAS).await.error();
        assert_eq!((status, code.as_str(), message.as_str()), expected, "{reason:?}");
    }
}

#[tokio::test]
async fn conflicts_may_be_tried_again() {
    let world = refusing(Code::Aborted, ErrorReason::WriteConflict, "no", NOTHING).await;
    let answer = world.send("PATCH", &customer(5), &[], ALIAS).await;
    assert_eq!((answer.error().0, answer.error().1.as_str()), (503, "0x80044150"));
    assert_eq!(answer.header("retry-after"), "2");
    let world =
        refusing(Code::AlreadyExists, ErrorReason::RecordExists, "no", [("columns", "Account")]);
    let world = world.await;
    let prevented = world.send("PATCH", &customer(5), &[("if-none-match", "*")], ALIAS).await;
    let (status, code, message) = prevented.error();
    assert_eq!((status, code.as_str()), (412, "0x80040237"));
    assert_eq!(message, "A record with matching key values already exists.");
}

#[tokio::test]
async fn bodies_that_end_early_are_refused() {
    let world = World::new(Provider::empty()).await;
    let pieces: [Result<Bytes, std::io::Error>; 2] =
        [Ok(Bytes::from_static(b"{\"mserp_alias\":")), Err(std::io::Error::other("gone"))];
    let request = Request::post(format!("/api/data/v9.2/{ORDERS}"))
        .header("authorization", "Bearer good")
        .body(Body::from_stream(stream::iter(pieces)))
        .unwrap();
    let answer: Answer = world.raw(request).await;
    assert_eq!((answer.error().0, answer.error().1.as_str()), (400, "0x80048d19"));
    assert!(world.query.ledger.events().is_empty());
}
