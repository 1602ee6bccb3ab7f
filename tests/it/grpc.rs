//! The public gRPC listener: health, reflection, the gateway's messages, and what must not be there.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use prost::Message as _;
use prost_types::FileDescriptorSet;
use proto::gateway::v1 as pb;
use proto::gateway::v1::gateway_service_client::GatewayServiceClient;
use proto::query::v1 as query;
use proto::query::v1::column_values::Values;
use proto::query::v1::value::Kind;
use proto::query::v1::{ColumnBatch, ConditionOperator, FilterOperator, TotalCount, Value};
use tests::tables::CUSTOMERS;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::world::{Case, World};

pub(crate) const CASES: &[Case] = tests::cases![World:
    health_says_serving,
    reflection_lists_the_services,
    retrieve_gives_what_http_gives,
    retrieve_multiple_gives_what_http_gives,
    who_am_i_gives_what_http_gives,
    nobody_comes_in_without_a_token,
    rights_are_the_same_as_over_http,
    mistakes_are_named,
    services_of_later_are_unimplemented,
    internal_methods_are_out_of_reach,
];

const COLUMNS: [&str; 6] = [
    "mserp_customeraccount",
    "mserp_organizationname",
    "mserp_paymentterms",
    "mserp_creditlimit",
    "mserp_creditreviewdate",
    "mserp_creditreviewintervaldays",
];

async fn channel(world: &World) -> Result<Channel> {
    Ok(Endpoint::from_shared(world.system.grpc.clone())?.connect().await?)
}

fn with_token<T>(message: T, token: &str) -> Result<Request<T>> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse()?);
    Ok(request)
}

fn columns() -> Vec<String> {
    COLUMNS.map(str::to_owned).to_vec()
}

async fn health_says_serving(world: &World) -> Result<()> {
    let mut client = HealthClient::new(channel(world).await?);
    for service in ["", "tombolo.gateway.v1.GatewayService"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let answer = client.check(request).await.with_context(|| format!("{service:?}"))?;
        ensure!(answer.get_ref().status() == ServingStatus::Serving, "{service:?}: {answer:?}");
    }
    Ok(())
}

async fn reflection_lists_the_services(world: &World) -> Result<()> {
    let mut client = ServerReflectionClient::new(channel(world).await?);
    let list = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let answer = client
        .server_reflection_info(tokio_stream::once(list))
        .await?
        .into_inner()
        .message()
        .await?;
    let Some(MessageResponse::ListServicesResponse(list)) =
        answer.and_then(|it| it.message_response)
    else {
        anyhow::bail!("not a list");
    };
    let names: BTreeSet<_> = list.service.iter().map(|it| it.name.as_str()).collect();
    for name in [
        "tombolo.gateway.v1.GatewayService",
        "tombolo.catalog.v1.CatalogService",
        "grpc.health.v1.Health",
    ] {
        ensure!(names.contains(name), "{name} is not in {names:?}");
    }
    Ok(())
}

async fn retrieve_gives_what_http_gives(world: &World) -> Result<()> {
    let mut client = GatewayServiceClient::new(channel(world).await?);
    let list = world
        .admin
        .json(&format!("{}?$select={}&$top=5", CUSTOMERS.set, COLUMNS.join(",")))
        .await?;
    for row in list["value"].as_array().context("no rows")? {
        let id = row[CUSTOMERS.id].as_str().context("no id")?.to_owned();
        let request = pb::RetrieveRequest {
            table: CUSTOMERS.logical.to_owned(),
            key: Some(pb::retrieve_request::Key::Id(id)),
            columns: columns(),
        };
        let answer = client.retrieve(with_token(request, world.admin.token())?).await?.into_inner();
        compare(&answer.row.context("no row")?, std::slice::from_ref(row))?;
    }
    let value = |column: &str, text: &str| pb::ColumnValue {
        row_of_operation: 0,
        column: column.to_owned(),
        value: Some(Value { kind: Some(Kind::StringValue(text.to_owned())) }),
    };
    let key = pb::ColumnValueSet {
        values: vec![
            value("mserp_customeraccount", "us-000001"),
            value("mserp_dataareaid", "USRT"),
        ],
    };
    let request = pb::RetrieveRequest {
        table: CUSTOMERS.logical.to_owned(),
        key: Some(pb::retrieve_request::Key::AlternateKey(key)),
        columns: columns(),
    };
    let answer = client.retrieve(with_token(request, world.admin.token())?).await?.into_inner();
    let path =
        format!("{}(mserp_dataareaid='USRT',mserp_customeraccount='US-000001')", CUSTOMERS.set);
    compare(&answer.row.context("no row")?, &[world.admin.json(&path).await?])
}

async fn retrieve_multiple_gives_what_http_gives(world: &World) -> Result<()> {
    let mut client = GatewayServiceClient::new(channel(world).await?);
    let condition = |column: &str, operator: ConditionOperator, kind| query::ConditionExpression {
        column: Some(column_ref(column)),
        operator: operator.into(),
        values: vec![Value { kind: Some(kind) }],
        ..query::ConditionExpression::default()
    };
    let criteria = query::FilterExpression {
        operator: FilterOperator::And.into(),
        conditions: vec![
            condition(
                "mserp_dataareaid",
                ConditionOperator::Equal,
                Kind::StringValue("usmf".to_owned()),
            ),
            condition(
                "mserp_onholdstatus",
                ConditionOperator::Equal,
                Kind::Int64Value(200_000_000),
            ),
            condition(
                "mserp_creditlimit",
                ConditionOperator::GreaterEqual,
                Kind::DecimalValue("750000.00".to_owned()),
            ),
        ],
        ..query::FilterExpression::default()
    };
    let order = query::OrderExpression {
        column: Some(column_ref("mserp_organizationname")),
        descending: true,
        ..query::OrderExpression::default()
    };
    let request = asking(query::QueryExpression {
        columns: COLUMNS.iter().map(|it| output(it)).collect(),
        criteria: Some(criteria),
        orders: vec![order],
        page: Some(query::Page { size: 60, ..query::Page::default() }),
        total_count: TotalCount::Exact.into(),
        ..of(CUSTOMERS.logical)
    });
    let filter = "mserp_dataareaid eq 'USMF' and mserp_onholdstatus eq 200000000 and mserp_creditlimit ge 750000";
    let path = format!(
        "{}?$select={}&$orderby=mserp_organizationname desc&$filter={filter}",
        CUSTOMERS.set,
        COLUMNS.join(",")
    );
    let (expected, _) = world.admin.pages(&path, 5_000).await?;
    let (mut page_token, mut read, mut pages) = (String::new(), 0, 0);
    loop {
        let page = pb::RetrieveMultipleRequest { page_token, ..request.clone() };
        let stream = client.retrieve_multiple(with_token(page, world.admin.token())?).await?;
        let mut stream = stream.into_inner();
        page_token = String::new();
        while let Some(batch) = stream.message().await? {
            let count = usize::try_from(batch.row_count)?;
            if let Some(rows) = &batch.rows {
                let rest = expected.get(read..read + count).context("too many rows")?;
                compare(rows, rest)?;
            }
            read += count;
            if let Some(total) = batch.total_count {
                ensure!(usize::try_from(total)? == expected.len(), "count {total}");
            }
            page_token = batch.next_page_token;
        }
        pages += 1;
        if page_token.is_empty() {
            break;
        }
    }
    ensure!(
        read == expected.len() && pages == expected.len().div_ceil(60) && pages > 1,
        "{read} rows on {pages} pages"
    );
    Ok(())
}

/// Columns of gRPC beside rows of JSON.
fn compare(batch: &ColumnBatch, rows: &[serde_json::Value]) -> Result<()> {
    let by_key: BTreeMap<_, _> = batch.columns.iter().map(|it| (it.key.as_str(), it)).collect();
    for name in COLUMNS {
        let column = by_key.get(name).with_context(|| format!("no column {name}"))?;
        for (at, row) in rows.iter().enumerate() {
            let is_null = column.nulls.iter().any(|it| *it as usize == at);
            ensure!(is_null == row[name].is_null(), "{name} of {row}: {column:?}");
            if is_null {
                continue;
            }
            let missing = || format!("{name}: no value {at}");
            let equal = match column.values.as_ref().context("no values")? {
                Values::Strings(it) => {
                    row[name] == it.values.get(at).with_context(missing)?.as_str()
                }
                Values::Ints(it) => row[name] == *it.values.get(at).with_context(missing)?,
                Values::Decimals(it) => {
                    let digits: f64 = it.values.get(at).with_context(missing)?.parse()?;
                    // Our JSON reader keeps some 16 digits; exactness is shown elsewhere.
                    row[name].as_f64().is_some_and(|it| (it - digits).abs() <= digits.abs() * 1e-15)
                }
                Values::Dates(it) => {
                    let day = it.values.get(at).with_context(missing)?;
                    row[name].as_str() == Some(&format!("{day}T00:00:00Z"))
                }
                other => anyhow::bail!("{name}: {other:?}"),
            };
            ensure!(equal, "{name} of {row}: {column:?}");
        }
    }
    Ok(())
}

async fn who_am_i_gives_what_http_gives(world: &World) -> Result<()> {
    let mut client = GatewayServiceClient::new(channel(world).await?);
    for web in [&world.admin, &world.clerk] {
        let answer =
            client.who_am_i(with_token(pb::WhoAmIRequest {}, web.token())?).await?.into_inner();
        let http = web.json("WhoAmI").await?;
        let same = http["UserId"] == answer.user_id.as_str()
            && http["BusinessUnitId"] == answer.business_unit_id.as_str()
            && http["OrganizationId"] == answer.organization_id.as_str();
        ensure!(same, "{http} {answer:?}");
    }
    Ok(())
}

fn column_ref(name: &str) -> query::ColumnRef {
    query::ColumnRef {
        column: Some(query::column_ref::Column::Field(name.to_owned())),
        ..query::ColumnRef::default()
    }
}

fn output(name: &str) -> query::OutputColumn {
    query::OutputColumn { column: Some(column_ref(name)), ..query::OutputColumn::default() }
}

fn of(table: &str) -> query::QueryExpression {
    query::QueryExpression { entity_name: table.to_owned(), ..query::QueryExpression::default() }
}

fn asking(query: query::QueryExpression) -> pb::RetrieveMultipleRequest {
    pb::RetrieveMultipleRequest { query: Some(query), page_token: String::new() }
}

fn list(table: &str) -> pb::RetrieveMultipleRequest {
    page_of(table, 3, &[])
}

fn page_of(table: &str, size: i32, columns: &[&str]) -> pb::RetrieveMultipleRequest {
    asking(query::QueryExpression {
        page: Some(query::Page { size, ..query::Page::default() }),
        columns: columns.iter().map(|it| output(it)).collect(),
        ..of(table)
    })
}

async fn nobody_comes_in_without_a_token(world: &World) -> Result<()> {
    let mut client = GatewayServiceClient::new(channel(world).await?);
    let without = client.retrieve_multiple(list(CUSTOMERS.logical)).await;
    ensure!(without.as_ref().err().map(Status::code) == Some(Code::Unauthenticated), "{without:?}");
    for token in ["garbage", "a.b.c"] {
        let refused = client.retrieve_multiple(with_token(list(CUSTOMERS.logical), token)?).await;
        ensure!(
            refused.as_ref().err().map(Status::code) == Some(Code::Unauthenticated),
            "{refused:?}"
        );
        let refused = client.who_am_i(with_token(pb::WhoAmIRequest {}, token)?).await;
        ensure!(
            refused.as_ref().err().map(Status::code) == Some(Code::Unauthenticated),
            "{refused:?}"
        );
    }
    Ok(())
}

async fn rights_are_the_same_as_over_http(world: &World) -> Result<()> {
    let mut client = GatewayServiceClient::new(channel(world).await?);
    let vendors = client
        .retrieve_multiple(with_token(list("mserp_vendvendorv2entity"), world.clerk.token())?)
        .await;
    ensure!(
        vendors.as_ref().err().map(Status::code) == Some(Code::PermissionDenied),
        "{vendors:?}"
    );
    let request = page_of(CUSTOMERS.logical, 5_000, &["mserp_dataareaid"]);
    let stream = client.retrieve_multiple(with_token(request, world.clerk.token())?).await?;
    let mut stream = stream.into_inner();
    let mut rows = 0;
    while let Some(batch) = stream.message().await? {
        for column in batch.rows.map(|it| it.columns).unwrap_or_default() {
            let Some(Values::Strings(codes)) = column.values else { continue };
            ensure!(codes.values.iter().all(|it| it == "USMF"), "{:?}", codes.values);
            rows += codes.values.len();
        }
    }
    ensure!(rows > 0, "no rows");
    Ok(())
}

async fn mistakes_are_named(world: &World) -> Result<()> {
    let mut client = GatewayServiceClient::new(channel(world).await?);
    let mut refused = async |request: pb::RetrieveMultipleRequest| -> Result<Status> {
        let answer = client.retrieve_multiple(with_token(request, world.admin.token())?).await;
        answer.err().context("not refused")
    };
    let unknown = refused(list("mserp_nosuchentity")).await?;
    ensure!(unknown.code() == Code::NotFound, "{unknown:?}");
    let unknown = refused(page_of(CUSTOMERS.logical, 3, &["nope"])).await?;
    ensure!(
        unknown.code() == Code::InvalidArgument && unknown.message().contains("nope"),
        "{unknown:?}"
    );
    let request = page_of(CUSTOMERS.logical, -1, &[]);
    ensure!(refused(request).await?.code() == Code::InvalidArgument);
    let mut request = list(CUSTOMERS.logical);
    request.page_token = "made up".to_owned();
    ensure!(refused(request).await?.code() == Code::InvalidArgument);
    Ok(())
}

/// Every method of every service in the contracts, as `/package.Service/Method`.
fn methods() -> Result<Vec<(String, String)>> {
    let set = FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET)?;
    let mut methods = Vec::new();
    for file in set.file.iter().filter(|it| it.package().starts_with("tombolo.")) {
        for service in &file.service {
            for method in &service.method {
                let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                methods.push((file.package().to_owned(), path));
            }
        }
    }
    Ok(methods)
}

/// Calls with an empty message. Good enough for a method that must not be reached.
async fn call(channel: &Channel, path: &str, token: &str) -> Result<Result<(), Status>> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await?;
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let path: PathAndQuery = path.parse()?;
    let answer = client.server_streaming(with_token((), token)?, path, codec).await;
    let mut stream = match answer {
        Ok(stream) => stream.into_inner(),
        Err(status) => return Ok(Err(status)),
    };
    // Some refusals come only with the stream.
    Ok(stream.message().await.map(drop))
}

async fn services_of_later_are_unimplemented(world: &World) -> Result<()> {
    let channel = channel(world).await?;
    let later = ["tombolo.events.v1"];
    let methods = methods()?;
    for package in later {
        let of_package: Vec<_> = methods.iter().filter(|(it, _)| it == package).collect();
        ensure!(!of_package.is_empty(), "{package} has no methods");
        for (_, path) in of_package {
            let answer = call(&channel, path, world.admin.token()).await?;
            let code = answer.as_ref().err().map(Status::code);
            ensure!(code == Some(Code::Unimplemented), "{path}: {answer:?}");
        }
    }
    Ok(())
}

async fn internal_methods_are_out_of_reach(world: &World) -> Result<()> {
    let channel = channel(world).await?;
    let services = ["Provisioning", "Meter", "Reservation", "UserLicence", "AddInRuntime"];
    let internal = |path: &str| {
        ["/tombolo.query.", "/tombolo.organization."].iter().any(|it| path.starts_with(it))
            || services.iter().any(|it| path.contains(&format!(".{it}Service/")))
            || ["WatchTrust", "WatchDataEntities", "ResolveCaller", "LookupUser"]
                .iter()
                .any(|it| path.ends_with(&format!("/{it}")))
    };
    let methods = methods()?;
    let internal: Vec<_> = methods.iter().filter(|(_, path)| internal(path)).collect();
    ensure!(internal.len() > 20, "{internal:?}");
    for (_, path) in internal {
        for web in [&world.admin, &world.clerk] {
            let answer = call(&channel, path, web.token()).await?;
            let code = answer.as_ref().err().map(Status::code);
            let closed = [Code::Unauthenticated, Code::PermissionDenied, Code::Unimplemented];
            ensure!(code.is_some_and(|it| closed.contains(&it)), "{path}: {answer:?}");
        }
    }
    Ok(())
}
