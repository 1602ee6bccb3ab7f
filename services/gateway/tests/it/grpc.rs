//! The same over gRPC.

use futures::StreamExt as _;
use proto::gateway::v1 as pb;
use proto::gateway::v1::gateway_service_client::GatewayServiceClient;
use proto::query::v1 as query;
use rpc::ErrorReason;
use tonic::service::Routes;
use tonic::{Code, Request, Status};
use uuid::Uuid;

use crate::fakes::{Provider, Step, USER, World, last, page, refusal};
use crate::fixture::CUSTOMERS;

const TABLE: &str = "mserp_custcustomerv3entity";

fn client(world: &World) -> GatewayServiceClient<Routes> {
    let (routes, _) = world.gateway.register(rpc::Server::public()).build().unwrap();
    GatewayServiceClient::new(routes)
}

fn signed<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", "Bearer good".parse().unwrap());
    request
}

fn columns(row_count: i64) -> query::RowBatch {
    let column = query::ColumnValues { key: "mserp_account".into(), ..Default::default() };
    let rows = query::row_batch::Rows::Columns(query::ColumnBatch { columns: vec![column] });
    query::RowBatch { row_count, rows: Some(rows), ..Default::default() }
}

fn customers() -> query::QueryExpression {
    query::QueryExpression { entity_name: TABLE.into(), ..Default::default() }
}

fn field(name: &str) -> Option<query::ColumnRef> {
    let column = query::column_ref::Column::Field(name.into());
    Some(query::ColumnRef { column: Some(column), ..Default::default() })
}

fn output(name: &str) -> query::OutputColumn {
    query::OutputColumn { column: field(name), ..Default::default() }
}

fn asked(tree: query::QueryExpression) -> pb::RetrieveMultipleRequest {
    pb::RetrieveMultipleRequest { query: Some(tree), page_token: String::new() }
}

fn no_rows() -> Provider {
    Provider::new(|_| {
        let batch = Some(columns(0));
        let message = query::RetrieveMultipleResponse { batch, ..Default::default() };
        vec![Step::Item(last(message, None))]
    })
}

async fn pages(
    world: &World,
    request: pb::RetrieveMultipleRequest,
) -> Result<Vec<pb::RetrieveMultipleResponse>, Status> {
    let stream = client(world).retrieve_multiple(signed(request)).await?.into_inner();
    stream.collect::<Vec<_>>().await.into_iter().collect()
}

#[tokio::test]
async fn rows_come_in_batches_and_pages() {
    let world = World::new(Provider::new(|query| {
        let more = query.page.as_ref().is_some_and(|it| it.after.is_empty());
        let message =
            || query::RetrieveMultipleResponse { batch: Some(columns(1)), ..Default::default() };
        vec![Step::Item(message()), Step::Item(last(message(), more.then_some(2)))]
    }))
    .await;
    let option = query::Value { kind: Some(query::value::Kind::Int64Value(200_000_001)) };
    let filter = query::FilterExpression {
        operator: query::FilterOperator::And.into(),
        conditions: vec![query::ConditionExpression {
            column: field("mserp_blocked"),
            operator: query::ConditionOperator::Equal.into(),
            values: vec![option],
            ..Default::default()
        }],
        ..Default::default()
    };
    let order = query::OrderExpression {
        column: field("mserp_account"),
        descending: true,
        ..Default::default()
    };
    let mut tree = query::QueryExpression {
        columns: vec![output("mserp_account")],
        criteria: Some(filter),
        orders: vec![order],
        page: Some(query::Page { size: 2, ..Default::default() }),
        ..customers()
    };
    let mut request = asked(tree.clone());
    let first = pages(&world, request.clone()).await.unwrap();
    assert_eq!(first.iter().map(|it| it.row_count).sum::<i64>(), 2);
    assert_eq!(first[0].next_page_token, "");
    let asked = world.query.last_query();
    let symbol = query::Value { kind: Some(query::value::Kind::StringValue("Invoice".into())) };
    assert_eq!(asked.criteria.unwrap().conditions[0].values, [symbol]);
    request.page_token = first[1].next_page_token.clone();
    let second = pages(&world, request.clone()).await.unwrap();
    assert_eq!(second[1].next_page_token, "");
    assert_eq!(world.query.last_query().page.unwrap().after.len(), 1);
    tree.orders.clear();
    let other = pb::RetrieveMultipleRequest { query: Some(tree), ..request };
    let status = pages(&world, other).await.unwrap_err();
    assert_eq!(rpc::reason(&status), Some(ErrorReason::InvalidValue));
}

#[tokio::test]
async fn one_row_comes_by_id() {
    let world = World::new(Provider::one(|_| Ok(columns(1)))).await;
    let key = Some(pb::retrieve_request::Key::Id(Uuid::from_u128(1).to_string()));
    let request = pb::RetrieveRequest { table: TABLE.into(), key, columns: vec![] };
    let row = client(&world).retrieve(signed(request)).await.unwrap().into_inner().row.unwrap();
    assert_eq!(row.columns[0].key, "mserp_account");
    let who = client(&world).who_am_i(signed(pb::WhoAmIRequest {})).await.unwrap().into_inner();
    assert_eq!(who.user_id, Uuid::from_u128(USER).to_string());
}

#[tokio::test]
async fn refusals_carry_their_reason() {
    let status = refusal(Code::NotFound, ErrorReason::RecordNotFound);
    let world = World::new(Provider::failing(status)).await;
    let check = |request: Request<pb::RetrieveRequest>, code, reason| {
        let mut client = client(&world);
        async move {
            let status = client.retrieve(request).await.unwrap_err();
            assert_eq!((status.code(), rpc::reason(&status)), (code, Some(reason)));
        }
    };
    let request = |table: &str, id: &str, column: &str| pb::RetrieveRequest {
        table: table.into(),
        key: Some(pb::retrieve_request::Key::Id(id.into())),
        columns: vec![column.into()],
    };
    let id = Uuid::from_u128(1).to_string();
    let good = || request(TABLE, &id, "mserp_account");
    check(Request::new(good()), Code::Unauthenticated, ErrorReason::InvalidAssertion).await;
    check(signed(good()), Code::NotFound, ErrorReason::RecordNotFound).await;
    let unknown = signed(request("nope", &id, "a"));
    check(unknown, Code::NotFound, ErrorReason::EntityNotFound).await;
    let column = signed(request(TABLE, &id, "nope"));
    check(column, Code::InvalidArgument, ErrorReason::ColumnNotFound).await;
    let key = signed(request(TABLE, "x", "mserp_account"));
    check(key, Code::InvalidArgument, ErrorReason::InvalidQuery).await;
}

#[tokio::test]
async fn filters_are_bounded_and_unknown_numbers_refused() {
    let world = World::new(no_rows()).await;
    use query::FilterExpression as Filter;
    let empty = |count| Filter { filters: vec![Filter::default(); count], ..Default::default() };
    let list = |count| {
        let one = query::Value { kind: Some(query::value::Kind::Int64Value(1)) };
        let condition = query::ConditionExpression {
            column: field("mserp_visits"),
            operator: query::ConditionOperator::In.into(),
            values: vec![one; count],
            ..Default::default()
        };
        Filter { conditions: vec![condition], ..Default::default() }
    };
    let cases = [
        (empty(500), 0, true),
        (empty(501), 0, false),
        (list(5_000), 0, true),
        (list(5_001), 0, false),
        (Filter { operator: 9, ..Default::default() }, 0, false),
        (empty(0), 2, true),
        (empty(0), 9, false),
    ];
    for (at, (filter, total_count, accepted)) in cases.into_iter().enumerate() {
        let tree = query::QueryExpression { criteria: Some(filter), total_count, ..customers() };
        let code = pages(&world, asked(tree)).await.err().map(|it| it.code());
        assert_eq!(code, (!accepted).then_some(Code::InvalidArgument), "case {at}");
    }
}

#[tokio::test]
async fn null_may_be_in_a_list() {
    let world = World::new(no_rows()).await;
    let text = query::Value { kind: Some(query::value::Kind::StringValue("x".into())) };
    let null = query::Value { kind: Some(query::value::Kind::NullValue(query::NullMarker {})) };
    let condition = query::ConditionExpression {
        column: field("mserp_account"),
        operator: query::ConditionOperator::In.into(),
        values: vec![text.clone(), null],
        ..Default::default()
    };
    let criteria =
        Some(query::FilterExpression { conditions: vec![condition], ..Default::default() });
    pages(&world, asked(query::QueryExpression { criteria, ..customers() })).await.unwrap();
    let asked = world.query.last_query().criteria.unwrap();
    let list = &asked.filters[0];
    assert_eq!(list.operator(), query::FilterOperator::Or);
    assert_eq!(list.conditions[0].values, [text]);
    assert_eq!(list.conditions[1].operator(), query::ConditionOperator::Null);
}

#[tokio::test]
async fn qe_04_pages_come_by_token_number_and_cookie() {
    let world = World::new(Provider::new(|query| {
        let message = match query.columns.first().map(|it| it.key.as_str()) {
            Some("@odata.etag") => page("{}", 1),
            _ => query::RetrieveMultipleResponse { batch: Some(columns(2)), ..Default::default() },
        };
        vec![Step::Item(last(message, Some(2)))]
    }))
    .await;
    let document = "<fetch><entity name='mserp_custcustomerv3entity'>\
        <attribute name='mserp_account'/><order attribute='mserp_account'/></entity></fetch>";
    let text = pb::FetchXmlToQueryExpressionRequest { fetch_xml: document.into() };
    let tree = client(&world).fetch_xml_to_query_expression(signed(text)).await.unwrap();
    let tree = tree.into_inner().query.unwrap();
    let paged = |page: query::Page| query::QueryExpression { page: Some(page), ..tree.clone() };

    let by_number = paged(query::Page { size: 2, number: 3, ..Default::default() });
    let answer = pages(&world, asked(by_number)).await.unwrap();
    assert_eq!((answer[0].more_records, answer[0].total_count), (true, None));
    assert_eq!(world.query.last_query().page.unwrap().skip, 4);

    let by_token = pb::RetrieveMultipleRequest {
        page_token: answer[0].next_page_token.clone(),
        ..asked(paged(query::Page { size: 2, ..Default::default() }))
    };
    pages(&world, by_token.clone()).await.unwrap();
    let page = world.query.last_query().page.unwrap();
    assert_eq!((page.skip, page.after.len()), (0, 1));

    let path = format!("{CUSTOMERS}?fetchXml={}", odata::encode_query(document));
    let prefer = "odata.include-annotations=\"Microsoft.Dynamics.CRM.fetchxmlpagingcookie\"";
    let fetched = world.get_with(&path, &[("prefer", prefer)]).await.json();
    let cookie = fetched["@Microsoft.Dynamics.CRM.fetchxmlpagingcookie"].as_str().unwrap();
    let by_cookie = paged(query::Page { cookie: cookie.into(), ..Default::default() });
    pages(&world, asked(by_cookie.clone())).await.unwrap();
    assert_eq!(world.query.last_query().page.unwrap().after.len(), 1);

    let mut both = by_token;
    both.query = Some(by_cookie);
    let past_the_end = query::Page { size: 5_000, number: 12, ..Default::default() };
    let refused = [
        both,
        asked(paged(query::Page { size: 5_001, ..Default::default() })),
        asked(paged(query::Page { size: -1, ..Default::default() })),
        asked(paged(query::Page { number: -1, ..Default::default() })),
        asked(paged(query::Page { cookie: "made up".into(), ..Default::default() })),
        asked(paged(past_the_end)),
    ];
    for request in refused {
        let status = pages(&world, request.clone()).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{request:?}");
    }
}

#[tokio::test]
async fn qe_04_the_first_rows_are_no_page() {
    let world = World::new(Provider::new(|_| {
        let message =
            query::RetrieveMultipleResponse { batch: Some(columns(2)), ..Default::default() };
        vec![Step::Item(last(message, Some(2)))]
    }))
    .await;
    let tree = query::QueryExpression {
        columns: vec![output("mserp_account")],
        top_count: 2,
        ..customers()
    };
    let answer = pages(&world, asked(tree)).await.unwrap();
    assert_eq!((answer[0].more_records, answer[0].next_page_token.as_str()), (false, ""));
    assert_eq!(world.query.last_query().page.unwrap().size, 2);
}

#[tokio::test]
async fn qe_03_queries_become_documents_and_documents_queries() {
    let world = World::new(no_rows()).await;
    let mut client = client(&world);
    let tree = query::QueryExpression { columns: vec![output("mserp_account")], ..customers() };
    let request = pb::QueryExpressionToFetchXmlRequest { query: Some(tree.clone()) };
    let text = client.query_expression_to_fetch_xml(signed(request)).await.unwrap().into_inner();
    let request = pb::FetchXmlToQueryExpressionRequest { fetch_xml: text.fetch_xml };
    let back = client.fetch_xml_to_query_expression(signed(request)).await.unwrap().into_inner();
    assert_eq!(back.query.map(|it| it.columns), Some(tree.columns));
    let nothing = pb::QueryExpressionToFetchXmlRequest::default();
    let refused = client.query_expression_to_fetch_xml(signed(nothing)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let broken = pb::FetchXmlToQueryExpressionRequest { fetch_xml: "<fetch".into() };
    let refused = client.fetch_xml_to_query_expression(signed(broken)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn users_learn_who_they_are_and_nothing_that_is_for_services() {
    use proto::user_context::v1 as users;
    use proto::user_context::v1::user_context_service_client::UserContextServiceClient;
    let world = World::new(no_rows()).await;
    let (routes, _) = world.gateway.register(rpc::Server::public()).build().unwrap();
    let mut client = UserContextServiceClient::new(routes);
    let caller = client.get_caller(signed(users::GetCallerRequest {})).await.unwrap();
    let user = caller.into_inner().user.unwrap();
    assert_eq!(user.system_user_id, Uuid::from_u128(USER).to_string());
    let resolve = signed(users::ResolveCallerRequest::default());
    let trust = signed(users::WatchTrustRequest {});
    let check = signed(users::CheckPortalUserRequest::default());
    for status in [
        client.resolve_caller(resolve).await.unwrap_err(),
        client.watch_trust(trust).await.unwrap_err(),
        client.check_portal_user(check).await.unwrap_err(),
    ] {
        assert_eq!(rpc::reason(&status), Some(ErrorReason::NoServiceToken), "{status}");
    }
    // Without a token not even that is said.
    let status = client.get_caller(users::GetCallerRequest {}).await.unwrap_err();
    assert_eq!(rpc::reason(&status), Some(ErrorReason::InvalidAssertion), "{status}");
}
