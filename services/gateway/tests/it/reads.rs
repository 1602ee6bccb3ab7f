//! Rows and what is written around them.

use proto::query::v1 as pb;
use uuid::Uuid;

use crate::fakes::{Provider, Step, USER, World, batch, last, page};
use crate::fixture::{CUSTOMERS, ORDERS, USMF};

const ROOT: &str = "http://org.test:8080/api/data/v9.2";

/// Numbered rows, two batches of them, and more behind each page but the third.
fn numbered() -> Provider {
    Provider::new(|query| {
        let after = query.page.as_ref().and_then(|it| it.after.first().cloned());
        let from = match after.and_then(|it| it.kind) {
            Some(pb::value::Kind::Int64Value(it)) => it,
            _ => 0,
        };
        let row = |it: i64| format!("{{\"n\":{}}}", from + it);
        let mut first = page(&row(1), 1);
        first.total_count = Some(6);
        let next = (from < 4).then_some(from + 2);
        vec![Step::Item(first), Step::Item(last(page(&row(2), 1), next))]
    })
}

fn numbers(answer: &serde_json::Value) -> Vec<i64> {
    answer["value"].as_array().unwrap().iter().map(|it| it["n"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn pages_follow_one_another_to_the_end() {
    let world = World::new(numbered()).await;
    let prefer = [("prefer", "odata.maxpagesize=2")];
    let path = format!("{CUSTOMERS}?$filter=mserp_visits+gt+1&$top=1&x=a%20b");
    let mut next = format!("{ROOT}/{path}");
    let mut all = Vec::new();
    for left in [2, 1, 0] {
        let path = next.strip_prefix(&format!("{ROOT}/")).unwrap().to_owned();
        let answer = world.get_with(&path, &prefer).await;
        assert_eq!(answer.header("preference-applied"), "odata.maxpagesize=2");
        let json = answer.json();
        all.extend(numbers(&json));
        match json["@odata.nextLink"].as_str() {
            Some(link) => {
                assert!(
                    link.starts_with(&format!(
                        "{ROOT}/{CUSTOMERS}?$filter=mserp_visits+gt+1&$top=1&x=a%20b&$skiptoken="
                    )),
                    "{link}"
                );
                next = link.to_owned();
            }
            None => assert_eq!(left, 0),
        }
    }
    assert_eq!(all, [1, 2, 3, 4, 5, 6]);
    assert_eq!(world.query.last_query().page.unwrap().size, 2);
}

#[tokio::test]
async fn a_page_token_serves_its_own_query_only() {
    let world = World::new(numbered()).await;
    let answer = world.get(CUSTOMERS).await.json();
    let link = answer["@odata.nextLink"].as_str().unwrap().to_owned();
    let token = link.split_once("$skiptoken=").unwrap().1.to_owned();
    let own = format!("{CUSTOMERS}?$skiptoken={token}");
    assert_eq!(numbers(&world.get(&own).await.json()), [3, 4]);
    assert_eq!(numbers(&world.get(&format!("{own}/")).await.json()), [3, 4]);
    for bad in [
        format!("{CUSTOMERS}?$skiptoken={token}&$filter=mserp_visits+gt+1"),
        format!(
            "{CUSTOMERS}?$skiptoken={}",
            token.replacen("253A", "253B", 1).replacen('2', "3", 1)
        ),
        format!("{CUSTOMERS}?$skiptoken=x"),
        format!("cdm_companies?$skiptoken={token}"),
    ] {
        assert_eq!(world.get(&bad).await.error().0, 400, "{bad}");
    }
}

#[tokio::test]
async fn a_collection_is_wrapped_and_annotated() {
    let world = World::new(numbered()).await;
    let answer = world.get(&format!("{CUSTOMERS}?$select=mserp_account,mserp_credit&$top=2")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/json; odata.metadata=minimal");
    assert_eq!(answer.header("odata-version"), "4.0");
    let json = answer.json();
    let context = format!("{ROOT}/$metadata#{CUSTOMERS}(mserp_account,mserp_credit)");
    assert_eq!(json["@odata.context"], context);
    assert_eq!(json.as_object().unwrap().len(), 2, "no count, no link: {json}");
    let query = world.query.last_query();
    assert_eq!((query.entity_name.as_str(), query.page.unwrap().size), ("CustCustomerV3Entity", 2));
    assert_eq!(query.total_count, pb::TotalCount::Unspecified as i32);

    let all = [("prefer", "odata.include-annotations=\"*\"")];
    let json = world.get_with(&format!("{CUSTOMERS}?$count=true&$top=2"), &all).await.json();
    assert_eq!(json["@odata.count"], 6);
    assert_eq!(json["@Microsoft.Dynamics.CRM.totalrecordcount"], 6);
    assert_eq!(json["@Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded"], false);
    assert_eq!(json["@Microsoft.Dynamics.CRM.globalmetadataversion"], "10");
    let json = world.get_with(&format!("{CUSTOMERS}?$top=2"), &all).await.json();
    assert_eq!(json["@Microsoft.Dynamics.CRM.totalrecordcount"], -1);
    assert_eq!(world.get(&format!("{CUSTOMERS}/$count")).await.body, "6");
}

#[tokio::test]
async fn links_lead_back_the_way_the_client_came() {
    let world = World::new(numbered()).await;
    let answer = world.get_with(CUSTOMERS, &[("x-forwarded-proto", "https, http")]).await.json();
    let link = answer["@odata.nextLink"].as_str().unwrap();
    assert!(link.starts_with("https://org.test:8080/api/data/v9.2/"), "{link}");
}

#[tokio::test]
async fn a_record_is_wrapped_and_has_a_version() {
    let world = World::new(Provider::one(|_| {
        Ok(batch("{\"@odata.etag\":\"W/\\\"5\\\"\",\"mserp_account\":\"ü\"}", 1))
    }))
    .await;
    let path = format!("{CUSTOMERS}({})?$select=mserp_account", Uuid::from_u128(1));
    let answer = world.get(&path).await;
    assert_eq!((answer.status, answer.header("etag")), (200, "W/\"5\""));
    let context = format!("{ROOT}/$metadata#{CUSTOMERS}(mserp_account)/$entity");
    let expected = serde_json::json!({
        "@odata.context": context, "@odata.etag": "W/\"5\"", "mserp_account": "ü",
    });
    assert_eq!(answer.json(), expected);
    let known = world.get_with(&path, &[("if-none-match", "W/\"5\"")]).await;
    assert_eq!((known.status, known.body.as_str(), known.header("etag")), (304, "", "W/\"5\""));
    for changed in ["W/\"4\"", "null"] {
        assert_eq!(world.get_with(&path, &[("if-none-match", changed)]).await.status, 200);
    }
}

#[tokio::test]
async fn companies_are_looked_up_for_a_filter() {
    let world = World::new(Provider::empty()).await;
    let filter = |id: u128| {
        format!("{CUSTOMERS}?$filter=_mserp_dataareaid_id_value eq {}", Uuid::from_u128(id))
            .replace(' ', "%20")
    };
    assert_eq!(world.get(&filter(USMF)).await.status, 200);
    let condition = world.query.last_query().criteria.unwrap().conditions.remove(0);
    assert_eq!(condition.values.len(), 1);
    assert_eq!(world.get(&filter(9)).await.status, 200);
    let condition = world.query.last_query().criteria.unwrap().conditions.remove(0);
    assert_eq!((condition.operator(), condition.values.len()), (pb::ConditionOperator::In, 0));
}

#[tokio::test]
async fn the_service_document_and_functions_answer() {
    let world = World::new(Provider::empty()).await;
    for path in ["", "?x=1"] {
        let json = world.get(path).await.json();
        assert_eq!(json["@odata.context"], format!("{ROOT}/$metadata"));
        let names: Vec<_> = json["value"].as_array().unwrap().iter().map(|it| &it["url"]).collect();
        let expected = ["cdm_companies", CUSTOMERS, "mserp_financeandoperationsentities", ORDERS];
        assert_eq!(names, expected);
    }
    for path in ["WhoAmI", "WhoAmI()"] {
        let expected = serde_json::json!({
            "@odata.context": format!("{ROOT}/$metadata#Microsoft.Dynamics.CRM.WhoAmIResponse"),
            "BusinessUnitId": Uuid::from_u128(2), "UserId": Uuid::from_u128(USER),
            "OrganizationId": Uuid::from_u128(1),
        });
        assert_eq!(world.get(path).await.json(), expected);
    }
    assert!(world.get("RetrieveVersion()").await.json()["Version"].is_string());
}
