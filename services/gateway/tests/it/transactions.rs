//! Several operations as one, on one store and on both.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proto::gateway::v1 as pb;
use proto::gateway::v1::gateway_service_client::GatewayServiceClient;
use proto::gateway::v1::transaction_operation::Operation as Asked;
use proto::query::v1 as query;
use proto::query::v1::operation::Operation;
use proto::query::v1::operation_result::Result as Answer;
use proto::query::v1::value::Kind;
use rpc::ErrorReason;
use tonic::service::Routes;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use crate::fakes::{Provider, World, refusal};
use crate::ledger::{Event, Ledger};

const CUSTOMER: &str = "mserp_custcustomerv3entity";
const ORDER: &str = "mserp_order";
const COMPANY: &str = "cdm_company";

fn client(world: &World) -> GatewayServiceClient<Routes> {
    let (routes, _) = world.gateway.register(rpc::Server::public()).build().unwrap();
    GatewayServiceClient::new(routes)
}

fn signed<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", "Bearer good".parse().unwrap());
    request
}

async fn execute(
    world: &World,
    key: &str,
    operations: Vec<Asked>,
) -> Result<Vec<pb::TransactionResult>, Status> {
    let operations = operations.into_iter();
    let operations = operations.map(|it| pb::TransactionOperation { operation: Some(it) });
    let request = pb::ExecuteTransactionRequest {
        operations: operations.collect(),
        idempotency_key: key.into(),
    };
    let answer = client(world).execute_transaction(signed(request)).await?;
    Ok(answer.into_inner().results)
}

fn value(kind: Kind) -> Option<query::Value> {
    Some(query::Value { kind: Some(kind) })
}

fn text(column: &str, text: &str) -> pb::ColumnValue {
    let value = value(Kind::StringValue(text.into()));
    pb::ColumnValue { column: column.into(), value, ..Default::default() }
}

fn to_row(column: &str, id: u128) -> pb::ColumnValue {
    let id = Uuid::from_u128(id).as_bytes().to_vec().into();
    pb::ColumnValue {
        column: column.into(),
        value: value(Kind::GuidValue(id)),
        ..Default::default()
    }
}

fn nowhere(column: &str) -> pb::ColumnValue {
    let value = value(Kind::NullValue(query::NullMarker {}));
    pb::ColumnValue { column: column.into(), value, ..Default::default() }
}

fn create(table: &str, values: Vec<pb::ColumnValue>) -> Asked {
    Asked::Create(pb::CreateRequest { table: table.into(), values, ..Default::default() })
}

fn update(table: &str, id: u128, values: Vec<pb::ColumnValue>) -> Asked {
    let key = Some(pb::update_request::Key::Id(Uuid::from_u128(id).to_string()));
    Asked::Update(pb::UpdateRequest { table: table.into(), key, values, ..Default::default() })
}

fn delete(table: &str, id: u128) -> Asked {
    let key = Some(pb::delete_request::Key::Id(Uuid::from_u128(id).to_string()));
    Asked::Delete(pb::DeleteRequest { table: table.into(), key, ..Default::default() })
}

/// A row of one column of text for each of these.
fn found(texts: &[&str]) -> Answer {
    let column = |it: &&str| query::ColumnValues {
        values: Some(query::column_values::Values::Strings(query::StringArray {
            values: vec![(*it).to_owned()],
        })),
        ..Default::default()
    };
    let columns = query::ColumnBatch { columns: texts.iter().map(column).collect() };
    let rows = Some(query::row_batch::Rows::Columns(columns));
    let batch = Some(query::RowBatch { row_count: 1, rows, ..Default::default() });
    Answer::Retrieve(query::RetrieveResponse { batch })
}

/// An ERP whose customers are all `US-1` of this company.
fn erp(company: &'static str) -> Provider {
    Provider::empty().with(Ledger::answering(move |operation| match operation {
        Operation::Retrieve(it) if it.entity_name == "CustCustomerV3Entity" => {
            let texts: &[&str] =
                if it.columns.len() == 2 { &[company, "US-1"] } else { &[company] };
            Some(Ok(found(texts)))
        }
        _ => None,
    }))
}

fn fields(operation: &Operation) -> Vec<(String, Option<String>)> {
    let values = match operation {
        Operation::Create(it) => &it.values,
        Operation::Update(it) => &it.values,
        Operation::Upsert(it) => &it.values,
        _ => panic!("{operation:?}"),
    };
    let text = |it: &query::FieldValue| match &it.value.as_ref().unwrap().kind {
        Some(Kind::StringValue(text)) => Some(text.clone()),
        _ => None,
    };
    values.iter().map(|it| (it.field.clone(), text(it))).collect()
}

fn reason(status: &Status) -> ErrorReason {
    rpc::reason(status).unwrap()
}

fn operation(status: &Status) -> Option<String> {
    status.get_details_error_info().unwrap().metadata.get("operation").cloned()
}

#[tokio::test]
async fn one_operation_is_one_call() {
    let world = World::new(Provider::empty()).await;
    let request = pb::CreateRequest {
        table: CUSTOMER.into(),
        values: vec![text("mserp_account", "US-1")],
        idempotency_key: "once".into(),
        ..Default::default()
    };
    let answer = client(&world).create(signed(request)).await.unwrap().into_inner();
    assert_eq!(answer.etag, "W/\"1\"");
    let events = world.query.ledger.events();
    let [Event::Alone(Operation::Create(sent), key)] = events.as_slice() else {
        panic!("{events:?}");
    };
    assert_eq!(sent.entity_name, "CustCustomerV3Entity");
    assert!(key.ends_with(":once") && key.contains(&Uuid::from_u128(0x77).to_string()), "{key}");
}

#[tokio::test]
async fn operations_that_need_nothing_of_each_other_travel_together() {
    let world = World::new(Provider::empty()).await;
    let operations = vec![
        create(CUSTOMER, vec![text("mserp_account", "US-1")]),
        update(CUSTOMER, 5, vec![text("mserp_alias", "x")]),
        delete(CUSTOMER, 6),
    ];
    let results = execute(&world, "", operations).await.unwrap();
    assert_eq!(results.len(), 3);
    let events = world.query.ledger.events();
    let [Event::Begin(_), Event::Together(sent), Event::Commit(id)] = events.as_slice() else {
        panic!("{events:?}");
    };
    assert_eq!((sent.len(), id.as_str()), (3, ""));
    assert!(world.organization.ledger.events().is_empty());
}

#[tokio::test]
async fn a_lookup_is_the_values_that_lead_to_its_row_as_the_transaction_sees_it() {
    let world = World::new(erp("usmf")).await;
    let operations = vec![
        create(CUSTOMER, vec![text("mserp_account", "US-1")]),
        create(
            ORDER,
            vec![
                text("mserp_number", "1"),
                pb::ColumnValue {
                    column: "mserp_customer_id".into(),
                    row_of_operation: 1,
                    ..Default::default()
                },
            ],
        ),
    ];
    execute(&world, "", operations).await.unwrap();
    let sent = world.query.ledger.operations();
    let [Operation::Create(_), Operation::Retrieve(_), order] = sent.as_slice() else {
        panic!("{sent:?}");
    };
    let expected = [("Number", "1"), ("Company", "usmf"), ("CustomerAccount", "US-1")];
    let expected = expected.map(|(field, text)| (field.to_owned(), Some(text.to_owned())));
    assert_eq!(fields(order), expected);
}

#[tokio::test]
async fn a_row_that_many_lead_to_is_read_once_until_it_is_written() {
    let world = World::new(erp("usmf")).await;
    let order =
        |number| create(ORDER, vec![text("mserp_number", number), to_row("mserp_customer_id", 5)]);
    let operations = vec![
        order("1"),
        order("2"),
        update(CUSTOMER, 6, vec![text("mserp_alias", "x")]),
        order("3"),
        update(CUSTOMER, 5, vec![text("mserp_alias", "y")]),
        order("4"),
    ];
    execute(&world, "", operations).await.unwrap();
    let sent = world.query.ledger.operations();
    let kinds: String = sent
        .iter()
        .map(|it| match it {
            Operation::Retrieve(_) => 'r',
            Operation::Create(_) => 'c',
            Operation::Update(_) => 'u',
            _ => '?',
        })
        .collect();
    assert_eq!(kinds, "rccucurc");
    let orders: Vec<_> = sent.iter().filter(|it| matches!(it, Operation::Create(_))).collect();
    for (order, number) in orders.into_iter().zip(["1", "2", "3", "4"]) {
        let expected = [("Number", number), ("Company", "usmf"), ("CustomerAccount", "US-1")];
        let expected = expected.map(|(field, text)| (field.to_owned(), Some(text.to_owned())));
        assert_eq!(fields(order), expected);
    }
}

#[tokio::test]
async fn a_lookup_is_cleared_by_nulls() {
    let world = World::new(Provider::empty()).await;
    let operations = vec![
        update(ORDER, 5, vec![nowhere("mserp_customer_id")]),
        update(ORDER, 6, vec![text("mserp_number", "2")]),
    ];
    execute(&world, "", operations).await.unwrap();
    let sent = world.query.ledger.operations();
    assert_eq!(fields(&sent[0]), [("Company".into(), None), ("CustomerAccount".into(), None)]);
}

#[tokio::test]
async fn a_lookup_to_nothing_is_refused_by_name() {
    let world = World::new(Provider::empty()).await;
    let operations = vec![
        create(CUSTOMER, vec![text("mserp_account", "US-1")]),
        update(ORDER, 5, vec![to_row("mserp_customer_id", 9)]),
    ];
    let refused = execute(&world, "", operations).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused)), (Code::NotFound, ErrorReason::RecordNotFound));
    assert!(refused.message().contains(CUSTOMER), "{}", refused.message());
    assert!(refused.message().contains(&Uuid::from_u128(9).to_string()), "{}", refused.message());
    assert_eq!(operation(&refused).as_deref(), Some("2"));
    world.query.ledger.told(|it| *it == Event::RolledBack).await;
}

#[tokio::test]
async fn a_row_leads_into_its_own_company_only() {
    let companies = Provider::companies().with(Ledger::default());
    let companies = Provider { one: Box::new(|_| Ok(row(found(&["DAT"])))), ..companies };
    let world = World::between(erp("usmf"), companies, |_| {}).await;
    let moved =
        vec![update(CUSTOMER, 5, vec![to_row("mserp_dataareaid_id", 0xA2)]), delete(CUSTOMER, 6)];
    let refused = execute(&world, "", moved).await.unwrap_err();
    assert_eq!(reason(&refused), ErrorReason::InvalidValue);
    assert!(refused.message().contains("'usmf'"), "{}", refused.message());
    assert!(refused.message().contains("'DAT'"), "{}", refused.message());
    assert!(world.organization.ledger.events().is_empty(), "reading takes no transaction");
    let created =
        vec![create(CUSTOMER, vec![to_row("mserp_dataareaid_id", 0xA2)]), delete(CUSTOMER, 6)];
    execute(&world, "", created).await.unwrap();
    let sent = world.query.ledger.operations();
    let created = sent.iter().find(|it| matches!(it, Operation::Create(_))).unwrap();
    assert_eq!(fields(created), [("dataAreaId".into(), Some("DAT".into()))]);
}

fn row(answer: Answer) -> query::RowBatch {
    match answer {
        Answer::Retrieve(it) => it.batch.unwrap(),
        _ => panic!("{answer:?}"),
    }
}

#[tokio::test]
async fn the_operation_that_fails_is_named_and_all_is_rolled_back() {
    let taken = || refusal(Code::AlreadyExists, ErrorReason::RecordExists);
    let erp = Provider::empty().with(Ledger::answering(move |it| match it {
        Operation::Create(_) => Some(Err(taken())),
        _ => None,
    }));
    let world = World::new(erp).await;
    let operations = vec![
        create(COMPANY, vec![text("cdm_companycode", "NEW")]),
        delete(CUSTOMER, 6),
        create(CUSTOMER, vec![text("mserp_account", "US-1")]),
    ];
    let refused = execute(&world, "", operations).await.unwrap_err();
    assert_eq!(reason(&refused), ErrorReason::RecordExists);
    assert_eq!(operation(&refused).as_deref(), Some("3"));
    for ledger in [&world.query.ledger, &world.organization.ledger] {
        ledger.told(|it| *it == Event::RolledBack).await;
        let ended = |it: &Event| matches!(it, Event::Commit(_) | Event::Prepare(_));
        assert!(!ledger.events().iter().any(ended));
    }
}

#[tokio::test]
async fn a_conflict_is_tried_again_from_the_beginning() {
    let world = World::new(Provider::empty()).await;
    let conflict = || refusal(Code::Aborted, ErrorReason::WriteConflict);
    world.query.ledger.refused_commits.lock().unwrap().extend([conflict(), conflict()]);
    let operations = vec![delete(CUSTOMER, 5), delete(CUSTOMER, 6)];
    execute(&world, "", operations).await.unwrap();
    let events = world.query.ledger.events();
    let begun = events.iter().filter(|it| matches!(it, Event::Begin(_))).count();
    assert_eq!((begun, world.query.ledger.operations().len()), (3, 6));
}

#[tokio::test]
async fn a_row_that_another_change_set_holds_is_waited_for_anew() {
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    let erp = Provider::empty().with(Ledger::answering(move |_| {
        let first = counted.fetch_add(1, Ordering::Relaxed) == 0;
        first.then(|| Err(rpc::busy("query", "another transaction holds the row")))
    }));
    let world = World::new(erp).await;
    execute(&world, "", vec![delete(CUSTOMER, 5), delete(CUSTOMER, 6)]).await.unwrap();
    let events = world.query.ledger.events();
    let count = |of: fn(&Event) -> bool| events.iter().filter(|it| of(it)).count();
    assert_eq!(count(|it| matches!(it, Event::Begin(_))), 2);
    assert_eq!(count(|it| matches!(it, Event::Commit(_))), 1);
}

#[tokio::test]
async fn rows_that_are_held_for_good_are_told() {
    let erp = Provider::empty().with(Ledger::answering(|_| {
        Some(Err(rpc::busy("query", "another transaction holds the row")))
    }));
    let world = World::new(erp).await;
    let refused = execute(&world, "", vec![delete(CUSTOMER, 5), delete(CUSTOMER, 6)]).await;
    assert_eq!(reason(&refused.unwrap_err()), ErrorReason::StoreUnavailable);
    let events = world.query.ledger.events();
    let begun = events.iter().filter(|it| matches!(it, Event::Begin(_))).count();
    assert!((2..=6).contains(&begun), "tries are counted: {begun}");
}

#[tokio::test]
async fn a_store_without_room_for_a_transaction_is_not_asked_again() {
    let world = World::new(Provider::empty()).await;
    let busy = rpc::busy("query", "all connections are in use");
    world.query.ledger.refused_begins.lock().unwrap().push_back(busy);
    let refused = execute(&world, "", vec![delete(CUSTOMER, 5), delete(CUSTOMER, 6)]).await;
    assert_eq!(reason(&refused.unwrap_err()), ErrorReason::StoreUnavailable);
    assert!(world.query.ledger.operations().is_empty());
}

#[tokio::test]
async fn conflicts_without_end_are_told() {
    let world = World::new(Provider::empty()).await;
    let conflict = || refusal(Code::Aborted, ErrorReason::WriteConflict);
    let many = std::iter::repeat_with(conflict).take(100);
    world.query.ledger.refused_commits.lock().unwrap().extend(many);
    let refused = execute(&world, "", vec![delete(CUSTOMER, 5), delete(CUSTOMER, 6)]).await;
    assert_eq!(reason(&refused.unwrap_err()), ErrorReason::WriteConflict);
    assert!(world.query.ledger.operations().len() <= 12, "tries are counted");
}

fn on_both() -> Vec<Asked> {
    vec![
        create(COMPANY, vec![text("cdm_companycode", "NEW")]),
        create(CUSTOMER, vec![text("mserp_account", "US-1")]),
    ]
}

#[tokio::test]
async fn two_stores_end_by_the_erp_s_commit() {
    let world = World::new(Provider::empty()).await;
    execute(&world, "", on_both()).await.unwrap();
    let events = world.organization.ledger.events();
    let [Event::Begin(_), Event::Together(_), Event::Prepare(id), Event::Settle(settled, decision)] =
        events.as_slice()
    else {
        panic!("{events:?}");
    };
    assert_eq!((settled, *decision), (id, query::Decision::Commit));
    assert!(world.query.ledger.events().contains(&Event::Commit(id.clone())));
}

#[tokio::test]
async fn two_stores_end_alike_when_the_erp_refuses() {
    let world = World::new(Provider::empty()).await;
    let refused = refusal(Code::InvalidArgument, ErrorReason::InvalidValue);
    world.query.ledger.refused_commits.lock().unwrap().push_back(refused);
    let refused = execute(&world, "", on_both()).await.unwrap_err();
    assert_eq!(reason(&refused), ErrorReason::InvalidValue);
    let aborted = |it: &Event| matches!(it, Event::Settle(_, query::Decision::Abort));
    assert!(world.organization.ledger.events().iter().any(aborted));
}

#[tokio::test]
async fn what_was_done_is_not_done_again() {
    let world = World::new(Provider::empty()).await;
    let first = execute(&world, "key", on_both()).await.unwrap();
    let sent = world.query.ledger.operations().len();
    let second = execute(&world, "key", on_both()).await.unwrap();
    assert_eq!(first, second);
    assert_eq!(world.query.ledger.operations().len(), sent, "nothing is sent twice");
    let other_key = execute(&world, "other", on_both()).await.unwrap();
    assert_eq!(other_key.len(), 2);
    assert_eq!(world.query.ledger.operations().len(), sent * 2);
}

#[tokio::test]
async fn a_side_that_has_not_heard_yet_leaves_the_outcome_open() {
    let world = World::new(Provider::empty()).await;
    let busy = || rpc::busy("organization", "another transaction is at work on it");
    execute(&world, "key", on_both()).await.unwrap();
    let ledger = &world.organization.ledger;
    ledger.refused_begins.lock().unwrap().push_back(busy());
    let refused = execute(&world, "key", on_both()).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused)),
        (Code::DeadlineExceeded, ErrorReason::OutcomePending)
    );
    execute(&world, "key", on_both()).await.unwrap();
}

#[tokio::test]
async fn the_catalog_takes_single_updates_only() {
    let world = World::new(Provider::empty()).await;
    let table = "mserp_financeandoperationsentity";
    let flag = |it| pb::ColumnValue {
        column: "mserp_hasbeengenerated".into(),
        value: value(Kind::BoolValue(it)),
        ..Default::default()
    };
    let refused = execute(&world, "", vec![delete(table, 5)]).await.unwrap_err();
    assert_eq!(reason(&refused), ErrorReason::NotSupported);
    let two = vec![update(table, 5, vec![flag(true)]), delete(CUSTOMER, 6)];
    assert_eq!(reason(&execute(&world, "", two).await.unwrap_err()), ErrorReason::NotSupported);
    assert!(world.query.ledger.events().is_empty());
    execute(&world, "", vec![update(table, 5, vec![flag(true)])]).await.unwrap();
    assert_eq!(world.catalog.updates.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn values_that_do_not_fit_are_refused_before_anything_is_sent() {
    let world = World::new(Provider::empty()).await;
    let cases = [
        (vec![text("nope", "x")], ErrorReason::ColumnNotFound),
        (vec![text("mserp_visits", "x")], ErrorReason::InvalidValue),
        (vec![text("mserp_alias", "x"), text("mserp_alias", "y")], ErrorReason::InvalidValue),
        (vec![text("mserp_custcustomerv3entityid", "x")], ErrorReason::InvalidValue),
        (
            vec![pb::ColumnValue {
                column: "mserp_dataareaid_id".into(),
                row_of_operation: 1,
                ..Default::default()
            }],
            ErrorReason::InvalidValue,
        ),
    ];
    for (values, expected) in cases {
        let named = format!("{values:?}");
        let refused = execute(&world, "", vec![create(CUSTOMER, values)]).await.unwrap_err();
        assert_eq!(reason(&refused), expected, "{named}");
    }
    let none = execute(&world, "", vec![]).await.unwrap_err();
    assert_eq!(reason(&none), ErrorReason::LimitExceeded);
    assert!(world.query.ledger.events().is_empty());
}

#[tokio::test]
async fn prepared_transactions_that_nobody_ended_are_ended_at_start() {
    let ledger = Ledger::default();
    let id = commit::TransactionId::new().to_string();
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(600);
    ledger.prepared.lock().unwrap().push(query::PreparedTransaction {
        transaction_id: id.clone(),
        prepare_time: Some(old.into()),
    });
    let companies = Provider::companies().with(ledger);
    let world = World::between(Provider::empty(), companies, |_| {}).await;
    let settled = Event::Settle(id.clone(), query::Decision::Abort);
    world.organization.ledger.told(|it| *it == settled).await;
    assert!(world.query.ledger.events().contains(&Event::Resolve(id)));
}
