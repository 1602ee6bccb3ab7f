//! FetchXML over HTTP: what is written around the rows, and paging as clients do it.

use fetchxml::Cookie;
use proto::query::v1 as pb;

use crate::fakes::{Answer, Provider, Step, World, last, page};
use crate::fixture::CUSTOMERS;

const CUSTOMER: &str = "mserp_custcustomerv3entity";
const MORE: &str = "@Microsoft.Dynamics.CRM.morerecords";
const COOKIE: &str = "@Microsoft.Dynamics.CRM.fetchxmlpagingcookie";
const ALL: [(&str, &str); 1] = [("prefer", "odata.include-annotations=\"*\"")];

/// Six numbered rows, two a page; a page is found by its position or by the rows before it.
fn numbered() -> Provider {
    Provider::new(|query| {
        let asked = query.page.clone().unwrap_or_default();
        let from = match asked.after.first().and_then(|it| it.kind.as_ref()) {
            Some(pb::value::Kind::Int64Value(it)) => *it,
            _ => asked.skip.into(),
        };
        let rows = format!("{{\"n\":{}}},{{\"n\":{}}}", from + 1, from + 2);
        let mut message = page(&rows, 2);
        message.total_count = Some(6);
        vec![Step::Item(last(message, (from < 4).then_some(from + 2)))]
    })
}

fn path(fetch: &str) -> String {
    let encoded = odata::encode_query(fetch);
    format!("{CUSTOMERS}?fetchXml={encoded}")
}

fn document(attributes: &str, inner: &str) -> String {
    path(&format!(
        "<fetch {attributes}><entity name='{CUSTOMER}'><attribute name='mserp_account'/>\
         <attribute name='mserp_credit' alias='limit'/>{inner}</entity></fetch>"
    ))
}

fn numbers(answer: &Answer) -> Vec<i64> {
    let json = answer.json();
    json["value"].as_array().unwrap().iter().map(|it| it["n"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn fx_09_rows_are_wrapped_as_the_platform_does() {
    let world = World::new(numbered()).await;
    let answer = world.get(&document("top='2'", "")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let json = answer.json();
    let context = json["@odata.context"].as_str().unwrap();
    assert!(context.ends_with(&format!("#{CUSTOMERS}(mserp_account,limit)")), "{context}");
    assert_eq!(json.as_object().unwrap().len(), 2, "no count, no annotation: {json}");
    let json = world.get_with(&document("top='2'", ""), &ALL).await.json();
    assert_eq!((&json[MORE], json.get(COOKIE)), (&false.into(), None), "top has no pages");
    let counted = document("count='2' returntotalrecordcount='true'", "");
    let json = world.get_with(&counted, &ALL).await.json();
    assert_eq!(json["@odata.count"], 6);
    assert_eq!(json["@Microsoft.Dynamics.CRM.totalrecordcount"], 6);
    assert_eq!(world.query.last_query().total_count, pb::TotalCount::Limited as i32);
}

#[tokio::test]
async fn fx_08_cookies_lead_to_the_end() {
    let world = World::new(numbered()).await;
    let order = "<order attribute='mserp_visits'/>";
    let (mut all, mut sent) = (Vec::new(), String::new());
    for number in 1..=3 {
        let attributes = format!("count='2' page='{number}' {sent}");
        let answer = world.get_with(&document(&attributes, order), &ALL).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        all.extend(numbers(&answer));
        let json = answer.json();
        assert_eq!(json[MORE], number < 3);
        let Some(outer) = json[COOKIE].as_str() else {
            assert_eq!(number, 3, "{json}");
            break;
        };
        let inner = Cookie::parse(outer).unwrap().inner();
        assert!(inner.contains(&format!("<mserp_visits last=\"{}\" first=\"1\" />", number * 2)));
        let escaped = inner.replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
        sent = format!("paging-cookie='{escaped}'");
    }
    assert_eq!(all, [1, 2, 3, 4, 5, 6]);
    // Another page than the cookie's next is reached by its number.
    let first = world.get(&document(&format!("count='2' page='1' {sent}"), order)).await;
    assert_eq!(numbers(&first), [1, 2]);
    for (attributes, order) in [
        (sent.replacen("last=&quot;4", "last=&quot;2", 1), order),
        (sent.clone(), "<order attribute='mserp_credit'/>"),
        ("paging-cookie='x'".to_owned(), order),
    ] {
        let refused =
            world.get(&document(&format!("count='2' page='3' {attributes}"), order)).await;
        assert_eq!(refused.error().0, 400, "{attributes}");
        assert_eq!(refused.error().1, "0x80040203", "{attributes}");
    }
}

#[tokio::test]
async fn fx_08_pages_are_reached_by_number() {
    let world = World::new(numbered()).await;
    assert_eq!(numbers(&world.get(&document("count='2' page='3'", "")).await), [5, 6]);
    let far = world.get(&document("count='5000' page='11'", "")).await;
    assert_eq!(far.error().0, 400);
    assert!(far.error().2.contains("50000 rows"), "{}", far.body);
    let near = world.get(&document("count='5000' page='10'", "")).await;
    assert_eq!(near.status, 200);
    // The size is capped, and so is what can be reached.
    let capped = world.get(&document("count='99999'", "")).await;
    assert_eq!((capped.status, world.query.last_query().page.unwrap().size), (200, 5_000));
}

#[tokio::test]
async fn fx_01_what_cannot_be_read_says_why() {
    let world = World::new(numbered()).await;
    let link = "<link-entity name='cdm_company' from='cdm_companycode' to='mserp_dataareaid'/>";
    for (path, code, part) in [
        (path("<fetch/>"), "0x80040203", "Invalid FetchXML at line 1, position 1"),
        (path("<fetch>"), "0x80040203", "Invalid XML at line 1"),
        (path("<fetch><entity name='cdm_company'/></fetch>"), "0x80040203", "cdm_company"),
        (document("top='1' page='1'", ""), "0x80040203", "'top'"),
        (document("", "<attribute name='nope'/>"), "0x80041103", "Name = 'nope' and NameMapping"),
        (document("", &link.replace("cdm_company'", "nope'")), "0x80041102", "nope"),
        (document("", &link.repeat(16)), "0x8004430D", "link entities"),
        (format!("{}&$top=1", document("", "")), "0x80060888", "$top"),
        (format!("{}&savedQuery=1", document("", "")), "0x80060888", "cannot be given together"),
    ] {
        let (status, got, message) = world.get(&path).await.error();
        assert_eq!((status, got.as_str()), (400, code), "{path}: {message}");
        assert!(message.contains(part), "{message}");
    }
    let stored = format!("{CUSTOMERS}?userQuery={}", uuid::Uuid::from_u128(1));
    assert_eq!(world.get(&stored).await.error().0, 501, "there is no such table");
}

#[tokio::test]
async fn qe_03_documents_and_queries_are_converted() {
    let world = World::new(numbered()).await;
    let fetch = "<fetch top=\"2\"><entity name=\"a\"><attribute name=\"x\"/></entity></fetch>";
    let path = |value: &str| {
        format!("FetchXmlToQueryExpression(FetchXml=@p)?@p={}", odata::encode_query(value))
    };
    let json = world.get(&path(&format!("'{fetch}'"))).await.json();
    let context = json["@odata.context"].as_str().unwrap();
    assert!(context.ends_with("#Microsoft.Dynamics.CRM.FetchXmlToQueryExpressionResponse"));
    assert_eq!(json["Query"]["TopCount"], 2);
    let body = serde_json::json!({ "Query": json["Query"] }).to_string();
    let back = world.send("POST", "QueryExpressionToFetchXml", &[], &body).await.json();
    assert_eq!(back["FetchXml"], fetch);
    for refused in [
        world.get("FetchXmlToQueryExpression()").await,
        world.get(&path("5")).await,
        world.get(&path("'<fetch/>'")).await,
        world.send("POST", "QueryExpressionToFetchXml", &[], "{}").await,
        world.send("POST", "QueryExpressionToFetchXml", &[], "[").await,
        world.send("POST", "QueryExpressionToFetchXml", &[], "{\"Query\":{\"A\":1}}").await,
    ] {
        assert_eq!(refused.error().0, 400, "{}", refused.body);
    }
    assert_eq!(world.get("QueryExpressionToFetchXml").await.status, 404);
}
