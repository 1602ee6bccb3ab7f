//! The one write that there is: catalog rows. All others are refused.

use axum::body::{Body, Bytes};
use axum::http::Request;
use futures::stream;
use proto::query::v1 as pb;
use uuid::Uuid;

use crate::fakes::{Provider, World};
use crate::fixture::CUSTOMERS;

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
        ("{\"mserp_physicalname\":\"x\"}", 400, "0x80048d19"),
        ("{\"nope\":1}", 400, "0x0"),
    ];
    for (body, status, code) in cases {
        let answer = world.send("PATCH", &path, &[], body).await;
        assert_eq!((answer.error().0, answer.error().1.as_str()), (status, code), "{body}");
    }
    let large = format!("{{\"x\":\"{}\"}}", "a".repeat(70_000));
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
async fn other_writes_are_refused_by_name() {
    let world = World::new(Provider::empty()).await;
    let record = format!("{CUSTOMERS}({})", Uuid::from_u128(5));
    let catalog = format!("{CATALOG}({})", Uuid::from_u128(5));
    let cases = [
        ("POST", CUSTOMERS, "GET"),
        ("DELETE", CUSTOMERS, "GET"),
        ("PATCH", record.as_str(), "GET"),
        ("PUT", record.as_str(), "GET"),
        ("DELETE", record.as_str(), "GET"),
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
