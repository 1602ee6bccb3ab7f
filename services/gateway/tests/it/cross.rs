//! Reads over two stores: who is asked what, in which order, and what becomes of the answers.

use proto::query::v1 as pb;
use proto::query::v1::column_values::Values;
use proto::query::v1::link_entity::Target;

use crate::fakes::{Provider, Step, World, last, page};
use crate::fixture::CUSTOMERS;

const ACTIVE: &str = "<fetch><entity name='mserp_custcustomerv3entity'>\
    <attribute name='mserp_account'/><filter>\
    <condition attribute='mserp_visits' operator='gt' value='1'/>\
    <condition entityname='c' attribute='cdm_active' operator='eq' value='1'/></filter>\
    <link-entity name='cdm_company' from='cdm_companycode' to='mserp_dataareaid' alias='c'>\
    <filter><condition attribute='cdm_companycode' operator='begins-with' value='US'/></filter>\
    </link-entity></entity></fetch>";

fn fetch(document: &str) -> String {
    format!("{CUSTOMERS}?fetchXml={}", odata::encode_query(document))
}

/// Rows by column: texts under the keys that are asked for.
fn columns(query: &pb::QueryExpression, rows: &[&str], more: bool) -> Vec<Step> {
    let values: Vec<String> = rows.iter().map(|it| (*it).to_owned()).collect();
    let column = |it: &pb::OutputColumn| pb::ColumnValues {
        key: it.key.clone(),
        values: Some(Values::Strings(pb::StringArray { values: values.clone() })),
        ..Default::default()
    };
    let columns = query.columns.iter().map(column).collect();
    let batch = pb::RowBatch {
        row_count: i64::try_from(rows.len()).unwrap(),
        rows: Some(pb::row_batch::Rows::Columns(pb::ColumnBatch { columns })),
        ..Default::default()
    };
    let message = pb::RetrieveMultipleResponse { batch: Some(batch), ..Default::default() };
    vec![Step::Item(last(message, more.then_some(2)))]
}

/// How many rows a link was given, and under which keys.
fn given(link: &pb::LinkEntity) -> (i64, Vec<String>) {
    let Some(Target::Rows(rows)) = &link.target else { panic!("no rows by value: {link:?}") };
    let columns = &rows.columns.as_ref().unwrap().columns;
    (rows.row_count, columns.iter().map(|it| it.key.clone()).collect())
}

fn one_row() -> Vec<Step> {
    vec![Step::Item(last(page("{\"mserp_account\":\"A\"}", 1), None))]
}

#[tokio::test]
async fn ve_056_a_bounded_far_side_is_read_first() {
    let query = Provider::new(|_| one_row());
    let organization = Provider::new(|query| columns(query, &["USMF", "USRT"], false));
    let world = World::between(query, organization, |it| it.join_rows = 7).await;
    let answer = world.get(&fetch(ACTIVE)).await;
    assert_eq!(answer.json()["value"][0]["mserp_account"], "A", "{}", answer.body);
    let far = world.organization.last_query();
    assert_eq!(far.page.unwrap().size, 7);
    assert_eq!(far.criteria.unwrap().conditions.len(), 1, "what the far side knows, it filters");
    assert_eq!(far.columns.len(), 2, "what it does not, it tells: the code and the flag");
    let near = world.query.last_query();
    assert_eq!(given(&near.links[0]), (2, vec!["c0".to_owned(), "c1".to_owned()]));
    let conditions = near.criteria.unwrap().conditions;
    assert!(conditions.iter().any(|it| it.column.as_ref().unwrap().link == "c"));
    let asked = (
        world.organization.queries.lock().unwrap().len(),
        world.query.queries.lock().unwrap().len(),
    );
    assert_eq!(asked, (1, 1), "one question each");
}

#[tokio::test]
async fn ve_056_an_unbounded_far_side_is_asked_by_the_near_sides_keys() {
    let query = Provider::new(|query| match query.distinct {
        true => columns(query, &["USMF"], false),
        false => one_row(),
    });
    let organization = Provider::new(|query| {
        let by_key = query.criteria.as_ref().is_some_and(|it| !it.links.is_empty());
        columns(query, &["USMF"], !by_key)
    });
    let world = World::between(query, organization, |_| {}).await;
    assert_eq!(world.get(&fetch(ACTIVE)).await.status, 200);
    let near = world.query.queries.lock().unwrap().clone();
    assert_eq!(near.len(), 2);
    let keys = &near[0];
    assert!(keys.links.is_empty(), "the near side is asked without the far one");
    assert_eq!(keys.criteria.as_ref().unwrap().conditions.len(), 1, "and without what names it");
    let far = world.organization.last_query();
    let link = &far.criteria.as_ref().unwrap().links[0];
    assert_eq!((link.join(), given(link).0), (pb::JoinOperator::Exists, 1));
}

#[tokio::test]
async fn ve_056_when_neither_side_is_bounded_the_query_is_refused() {
    let query = Provider::new(|query| columns(query, &["USMF"], true));
    let organization = Provider::new(|query| columns(query, &["USMF"], true));
    let world = World::between(query, organization, |it| it.join_rows = 1_000).await;
    let (status, code, message) = world.get(&fetch(ACTIVE)).await.error();
    assert_eq!((status, code.as_str()), (400, "0x80060888"));
    for part in ["'mserp_custcustomerv3entity'", "'cdm_company'", "1000 rows"] {
        assert!(message.contains(part), "{message}");
    }
}

#[tokio::test]
async fn ve_056_rows_of_the_far_side_are_bounded_in_bytes_too() {
    let query = Provider::new(|_| one_row());
    let long = "x".repeat(10_000);
    let organization = Provider::new(move |query| columns(query, &[&long], false));
    let world = World::between(query, organization, |it| it.join_bytes = 5_000).await;
    assert_eq!(world.get(&fetch(ACTIVE)).await.status, 400);
}

/// Rows as JSON with their ends, and keys beside them.
fn rows_with_keys(rows: &[&str], keys: Vec<Values>) -> Vec<Step> {
    let mut ends = Vec::new();
    let mut length = 0;
    for row in rows {
        length += u32::try_from(row.len()).unwrap();
        ends.push(length);
        length += 1;
    }
    let key = |values| pb::ColumnValues { values: Some(values), ..Default::default() };
    let batch = pb::RowBatch {
        row_count: i64::try_from(rows.len()).unwrap(),
        rows: Some(pb::row_batch::Rows::Json(rows.join(",").into())),
        row_ends: ends,
        keys: Some(pb::ColumnBatch { columns: keys.into_iter().map(key).collect() }),
    };
    let message = pb::RetrieveMultipleResponse { batch: Some(batch), ..Default::default() };
    vec![Step::Item(last(message, None))]
}

#[tokio::test]
async fn api_14_far_rows_are_put_into_their_parents() {
    let query = Provider::new(|_| {
        let codes = pb::StringArray { values: vec!["USMF".into(), "NONE".into(), "USMF".into()] };
        let ids = Values::Guids(vec![7; 48].into());
        let rows = ["{\"a\":\"}{\"}", "{}", "{\"a\":2}"];
        rows_with_keys(&rows, vec![Values::Strings(codes), ids])
    });
    let organization = Provider::new(|_| {
        let ordinals = pb::Int64Array { values: vec![2, 0] };
        rows_with_keys(&["{\"c\":\"two\"}", "{\"c\":\"zero\"}"], vec![Values::Ints(ordinals)])
    });
    let world = World::between(query, organization, |_| {}).await;
    let path = format!(
        "{CUSTOMERS}?$select=mserp_account&$expand=mserp_dataAreaId_id($select=cdm_companycode)"
    );
    let answer = world.get(&path).await;
    let rows = answer.json()["value"].clone();
    assert_eq!(rows[0], serde_json::json!({"a": "}{", "mserp_dataAreaId_id": {"c": "zero"}}));
    assert_eq!(rows[1], serde_json::json!({"mserp_dataAreaId_id": null}));
    assert_eq!(rows[2]["mserp_dataAreaId_id"]["c"], "two");
    let child = world.organization.last_query();
    let parents = child.links.iter().find(|it| matches!(it.target, Some(Target::Rows(_)))).unwrap();
    assert_eq!(given(parents), (3, vec!["ordinal".to_owned(), "k0".to_owned()]));
    assert_eq!(child.partition_limit.unwrap().limit, 1);
    assert_eq!(world.organization.queries.lock().unwrap().len(), 1, "one question for all parents");
}

#[tokio::test]
async fn api_14_a_page_with_expanded_rows_is_bounded() {
    let query = Provider::new(|_| {
        let codes = pb::StringArray { values: vec!["USMF".into()] };
        let row = format!("{{\"a\":\"{}\"}}", "x".repeat(10_000));
        rows_with_keys(&[&row], vec![Values::Strings(codes), Values::Guids(vec![7; 16].into())])
    });
    let world = World::between(query, Provider::empty(), |it| it.expand_bytes = 5_000).await;
    let path = format!("{CUSTOMERS}?$expand=mserp_dataAreaId_id");
    let (status, _, message) = world.get(&path).await.error();
    assert_eq!(status, 400, "{message}");
    assert!(message.contains("smaller pages"), "{message}");
}
