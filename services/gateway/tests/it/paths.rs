//! What paths lead to, and what is written around it: properties, related rows, references,
//! functions, explanations.

use proto::query::v1 as pb;
use serde_json::json;
use uuid::Uuid;

use crate::fakes::{Provider, Step, World, batch, last, page};
use crate::fixture::{CUSTOMERS, ORDERS};

const ROOT: &str = "http://org.test:8080/api/data/v9.2";
const ROW: &str = "{\"@odata.etag\":\"W/\\\"5\\\"\",\"mserp_credit\":1.10,\
    \"mserp_alias\":null,\"mserp_custcustomerv3entityid\":\"00000000-0000-0000-0000-000000000001\"}";
const ORDER: &str =
    "{\"@odata.etag\":\"W/\\\"5\\\"\",\"mserp_orderid\":\"00000000-0000-0000-0000-000000000002\"}";

fn customer() -> String {
    format!("{CUSTOMERS}({})", Uuid::from_u128(1))
}

/// One customer with one order, or none.
fn provider(orders: &'static str) -> Provider {
    let mut provider = Provider::new(move |query| {
        let rows = match query.entity_name.as_str() {
            "Order" => orders,
            _ => ROW,
        };
        vec![Step::Item(last(page(rows, i64::from(!rows.is_empty())), None))]
    });
    provider.one = Box::new(|_| Ok(batch(ROW, 1)));
    provider
}

#[tokio::test]
async fn api_07_a_property_is_its_value_alone() {
    let world = World::new(provider(ORDER)).await;
    let answer = world.get(&format!("{}/mserp_credit", customer())).await;
    let context = format!("{ROOT}/$metadata#{}/mserp_credit", customer());
    assert_eq!(answer.body, format!("{{\"@odata.context\":\"{context}\",\"value\":1.10}}"));
    let null = world.get(&format!("{}/mserp_alias", customer())).await;
    assert_eq!((null.status, null.body.as_str()), (204, ""));
    for (tail, status) in [
        ("mserp_credit/$value", 400),
        ("mserp_credit/x", 404),
        ("mserp_credit?$select=mserp_credit", 400),
        ("nope", 404),
        ("nope(1)", 400),
        ("$value", 404),
    ] {
        let found = world.get(&format!("{}/{tail}", customer())).await;
        assert_eq!(found.error().0, status, "{tail}");
    }
}

#[tokio::test]
async fn api_07_paths_lead_to_related_rows() {
    let world = World::new(provider(ORDER)).await;
    let path =
        format!("{}/mserp_Orders?$select=mserp_number&$filter=mserp_total%20gt%205", customer());
    let answer = world.get(&path).await.json();
    assert_eq!(answer["@odata.context"], format!("{ROOT}/$metadata#{ORDERS}(mserp_number)"));
    assert_eq!(answer["value"][0]["mserp_orderid"], Uuid::from_u128(2).to_string());
    let query = world.query.last_query();
    assert_eq!(query.entity_name, "Order");
    let criteria = query.criteria.unwrap();
    let link = &criteria.links[0];
    assert_eq!((link.join(), link.on.len()), (pb::JoinOperator::Any, 2));
    let both = criteria.conditions.len() + criteria.filters.len();
    assert_eq!(both, 1, "the client's own filter stands beside it: {criteria:?}");

    let context = |answer: &serde_json::Value| answer["@odata.context"].clone();
    let single = format!("{ORDERS}({})/mserp_Customer?$select=mserp_alias", Uuid::from_u128(2));
    let answer = world.get(&single).await;
    assert_eq!(answer.header("etag"), "W/\"5\"");
    assert_eq!(
        context(&answer.json()),
        format!("{ROOT}/$metadata#{CUSTOMERS}(mserp_alias)/$entity")
    );
    let count = world.get(&format!("{}/mserp_Orders/$count", customer())).await;
    assert_eq!(count.status, 500, "the fake does not count: {}", count.body);
    let by_key = format!("{}/mserp_Orders({})", customer(), Uuid::from_u128(2));
    let answer = world.get(&by_key).await.json();
    assert_eq!(context(&answer), format!("{ROOT}/$metadata#{ORDERS}/$entity"));
}

#[tokio::test]
async fn api_07_related_rows_that_are_not_there() {
    let world = World::new(provider("")).await;
    let orders = world.get(&format!("{}/mserp_Orders", customer())).await;
    assert_eq!(orders.json()["value"], json!([]), "the customer is there, its orders are not");
    let missing = format!("{}/mserp_Orders({})", customer(), Uuid::from_u128(2));
    assert_eq!(world.get(&missing).await.error().1, "0x80040217");
    let of_order = format!("{ORDERS}({})/mserp_Customer/mserp_Orders", Uuid::from_u128(2));
    assert_eq!(world.get(&of_order).await.json()["value"], json!([]));

    let world = World::new(Provider::empty()).await;
    let none = format!("{ORDERS}({})/mserp_Customer", Uuid::from_u128(2));
    assert_eq!(world.get(&none).await.status, 500, "the fake has no single rows");
}

#[tokio::test]
async fn api_14_references_are_addresses() {
    let world = World::new(provider(ORDER)).await;
    let answer = world.get(&format!("{}/mserp_Orders/$ref", customer())).await.json();
    let address = format!("{ROOT}/{ORDERS}({})", Uuid::from_u128(2));
    let expected = json!({
        "@odata.context": format!("{ROOT}/$metadata#Collection($ref)"),
        "value": [{ "@odata.id": address }],
    });
    assert_eq!(answer, expected);
    let single = format!("{}/mserp_Orders({})/$ref", customer(), Uuid::from_u128(2));
    let expected =
        json!({ "@odata.context": format!("{ROOT}/$metadata#$ref"), "@odata.id": address });
    assert_eq!(world.get(&single).await.json(), expected);
}

#[tokio::test]
async fn api_28_first_contact_functions_answer() {
    let world = World::new(Provider::empty()).await;
    let access = "Microsoft.Dynamics.CRM.EndpointAccessType'Default'";
    for path in [
        format!("RetrieveCurrentOrganization(AccessType={access})"),
        format!("RetrieveCurrentOrganization(AccessType=@p)?@p={access}"),
    ] {
        let answer = world.get(&path).await.json();
        assert_eq!(answer["Detail"]["OrganizationId"], Uuid::from_u128(1).to_string(), "{path}");
        assert_eq!(answer["Detail"]["FriendlyName"], "Test");
        let values = answer["Detail"]["Endpoints"]["Values"].as_array().unwrap().len();
        assert_eq!(answer["Detail"]["Endpoints"]["Count"], values);
    }
    for (path, status, text) in [
        ("RetrieveCurrentOrganization", 400, "'AccessType' is missing"),
        ("RetrieveCurrentOrganization(AccessType='Default')", 400, "EndpointAccessType"),
        ("RetrieveTotalRecordCount", 400, "'EntityNames' is missing"),
        ("RetrieveTotalRecordCount(EntityNames=['nope'])", 400, "'nope'"),
        ("RetrieveTotalRecordCount(EntityNames=[1])", 400, "Edm.String"),
        ("RetrieveTotalRecordCount(Names=['x'])", 400, "no parameter 'Names'"),
        ("RetrieveTotalRecordCount(EntityNames=['mserp_order'])", 400, "virtual"),
        ("WhoAmI(X=1)", 404, "WhoAmI"),
        ("WhoAmI/x", 404, "'x'"),
        ("Microsoft.Dynamics.CRM.WhoAmI()", 404, "WhoAmI"),
    ] {
        let (found, _, message) = world.get(path).await.error();
        assert_eq!(found, status, "{path}: {message}");
        assert!(message.contains(text), "{path}: {message}");
    }
    assert_eq!(world.send("POST", "WhoAmI", &[], "").await.error().0, 404);
}

#[tokio::test]
async fn explanations_are_for_administrators() {
    let world = World::new(provider(ORDER)).await;
    let as_clerk = async |path: &str| {
        let request = axum::http::Request::get(format!("/api/data/v9.2/{path}"))
            .header("authorization", "Bearer clerk")
            .header("prefer", "tombolo.explain");
        world.raw(request.body(axum::body::Body::empty()).unwrap()).await
    };
    for path in [
        ORDERS.to_owned(),
        format!("{ORDERS}/$count"),
        customer(),
        format!("{}/mserp_Orders", customer()),
        format!("{}/mserp_credit", customer()),
    ] {
        let refused = as_clerk(&path).await.error();
        assert_eq!((refused.0, refused.1.as_str()), (403, "0x80040220"), "{path}");
    }
}

#[tokio::test]
async fn api_18_numbers_as_strings_are_announced() {
    let world = World::new(provider(ORDER)).await;
    let accept = [("accept", "application/json;IEEE754Compatible=true")];
    let answer = world.get_with(&format!("{CUSTOMERS}?$select=mserp_credit"), &accept).await;
    let kind = "application/json; odata.metadata=minimal; IEEE754Compatible=true";
    assert_eq!(answer.header("content-type"), kind);
    let credit = world.query.last_query().columns.into_iter().find(|it| it.key == "mserp_credit");
    assert!(credit.unwrap().number_as_string);
    let answer = world.get(CUSTOMERS).await;
    assert_eq!(answer.header("content-type"), "application/json; odata.metadata=minimal");
}

#[tokio::test]
async fn api_40_the_discovery_service_names_the_instance() {
    let world = World::new(Provider::empty()).await;
    let get = async |path: &str| {
        let request = axum::http::Request::get(format!("/api/discovery/v2.0/{path}"))
            .header("host", "org.test:8080")
            .header("authorization", "Bearer good");
        world.raw(request.body(axum::body::Body::empty()).unwrap()).await
    };
    let all = get("Instances").await.json();
    let id = Uuid::from_u128(1).to_string();
    assert_eq!(all["value"][0]["Id"], id);
    assert_eq!(all["value"][0]["ApiUrl"], "http://org.test:8080");
    let by_name = get("Instances(UniqueName='tombolo')?$select=UniqueName").await.json();
    assert_eq!(by_name["UniqueName"], "tombolo");
    assert_eq!(by_name.as_object().unwrap().len(), 2);
    assert_eq!(get(&format!("Instances({id})")).await.json()["Id"], id);
    assert_eq!(get("Instances(UniqueName='x')").await.error().0, 404);
    assert_eq!(get("Instances?$filter=x").await.error().0, 400);
    assert_eq!(get("Other").await.error().0, 404);
}

#[tokio::test]
async fn api_42_every_answer_has_a_request_id() {
    let world = World::new(Provider::empty()).await;
    let client = [("x-ms-client-request-id", "mine"), ("x-ms-correlation-id", "theirs")];
    for path in [CUSTOMERS, "nope", "WhoAmI", "$metadata"] {
        let answer = world.get_with(path, &client).await;
        let id = answer.header("x-ms-service-request-id").to_owned();
        assert!(id.parse::<Uuid>().is_ok(), "{path}: {id}");
        assert_eq!((answer.header("req_id"), answer.header("x-ms-request-id")), (&*id, &*id));
        assert_eq!(answer.header("x-ms-client-request-id"), "mine");
        assert_eq!(answer.header("x-ms-correlation-id"), "theirs");
    }
}

#[tokio::test]
async fn api_15_an_aggregate_over_too_many_rows_has_its_code() {
    let status = rpc::status(
        tonic::Code::ResourceExhausted,
        "fake",
        rpc::ErrorReason::LimitExceeded,
        "too many",
        [("limit", "aggregate_query_record")],
    );
    let world = World::new(Provider::failing(status)).await;
    let (status, code, message) =
        world.get(&format!("{ORDERS}?$apply=aggregate($count%20as%20n)")).await.error();
    assert_eq!((status, code.as_str()), (400, "0x8004E023"));
    assert_eq!(message, "AggregateQueryRecordLimit exceeded. Cannot perform this operation.");
}
