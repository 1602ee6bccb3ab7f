//! `BulkDelete`: the job behind the Python client's deletion by ids (API-31).

use proto::query::v1 as pb;
use proto::query::v1::column_values::Values;
use proto::query::v1::operation::Operation;
use rpc::ErrorReason;
use tonic::Code;
use uuid::Uuid;

use crate::fakes::{Provider, Step, World, last, refusal};
use crate::ledger::{Event, Ledger};

pub(crate) const QUERY: &str = "{\"@odata.type\":\"Microsoft.Dynamics.CRM.QueryExpression\",\
    \"EntityName\":\"mserp_custcustomerv3entity\",\
    \"ColumnSet\":{\"@odata.type\":\"Microsoft.Dynamics.CRM.ColumnSet\",\"AllColumns\":false,\
    \"Columns\":[]}}";

/// Customers on two pages.
pub(crate) fn two_pages() -> Provider {
    Provider::new(|query| {
        let second = query.page.as_ref().is_some_and(|it| !it.after.is_empty());
        let id = Uuid::from_u128(if second { 2 } else { 1 }).as_bytes().to_vec();
        let column =
            pb::ColumnValues { values: Some(Values::Guids(id.into())), ..Default::default() };
        let columns = pb::ColumnBatch { columns: vec![column] };
        let rows = Some(pb::row_batch::Rows::Columns(columns));
        let batch = Some(pb::RowBatch { row_count: 1, rows, ..Default::default() });
        let message = pb::RetrieveMultipleResponse { batch, ..Default::default() };
        vec![Step::Item(last(message, (!second).then_some(1)))]
    })
}

fn deleted(world: &World) -> Vec<u128> {
    let key = |it: Operation| match it {
        Operation::Delete(pb::DeleteRequest {
            key: Some(pb::RecordKey { key: Some(pb::record_key::Key::RecordId(id)) }),
            ..
        }) => Uuid::from_slice(&id).unwrap().as_u128(),
        it => panic!("{it:?}"),
    };
    let mut ids: Vec<_> = world.query.ledger.operations().into_iter().map(key).collect();
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn api_31_what_the_queries_find_is_deleted() {
    let world = World::new(two_pages()).await;
    let body = format!("{{\"JobName\":\"x\",\"RecurrencePattern\":\"\",\"QuerySet\":[{QUERY}]}}");
    let answer = world.send("POST", "BulkDelete", &[], &body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.json()["JobId"].as_str().unwrap().parse::<Uuid>().is_ok());
    assert_eq!(deleted(&world), [1, 2]);
}

#[tokio::test]
async fn api_31_a_row_that_is_gone_does_not_count_and_one_that_stays_is_told() {
    let answers = |reason, code| Ledger::answering(move |_| Some(Err(refusal(code, reason))));
    let gone = answers(ErrorReason::RecordNotFound, Code::NotFound);
    let world = World::new(two_pages().with(gone)).await;
    let body = format!("{{\"QuerySet\":[{QUERY}]}}");
    assert_eq!(world.send("POST", "BulkDelete", &[], &body).await.status, 200);
    let denied = answers(ErrorReason::PrivilegeDenied, Code::PermissionDenied);
    let world = World::new(two_pages().with(denied)).await;
    assert_eq!(world.send("POST", "BulkDelete", &[], &body).await.error().0, 403);
    assert_eq!(deleted(&world), [1, 2], "the others are tried all the same");
}

#[tokio::test]
async fn api_31_what_makes_no_sense_deletes_nothing() {
    let world = World::new(two_pages()).await;
    let again = format!("{{\"RecurrencePattern\":\"FREQ=DAILY;\",\"QuerySet\":[{QUERY}]}}");
    let unknown = "{\"QuerySet\":[{\"EntityName\":\"nope\",\"ColumnSet\":{\"AllColumns\":true}}]}";
    let cases = [("{", 400), ("{}", 400), ("{\"QuerySet\":[]}", 400), (again.as_str(), 501)];
    for (body, status) in cases.into_iter().chain([(unknown, 400)]) {
        let answer = world.send("POST", "BulkDelete", &[], body).await;
        assert_eq!(answer.error().0, status, "{body}: {}", answer.body);
    }
    assert_eq!(world.get("BulkDelete").await.error().0, 404);
    let told = world.query.ledger.events();
    assert!(!told.iter().any(|it| matches!(it, Event::Alone(..))), "{told:?}");
}
