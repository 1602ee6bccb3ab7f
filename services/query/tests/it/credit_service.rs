//! The example of a business-logic service, over a real connection and a real database.

#[allow(dead_code, reason = "its main is for those who run it")]
#[path = "../../examples/credit_service.rs"]
mod example;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cluster::Scratch;
use proto::business_logic::v1::business_logic_service_server::BusinessLogicServiceServer;
use proto::catalog::v1 as catalog;
use proto::catalog::v1::FieldType;
use proto::query::v1 as pb;
use proto::query::v1::value::Kind;
use provider::{
    Authority, Binding, BusinessLogic, Error, Grant, Pool, PoolOptions, Privilege, Provider,
    Refused, Transaction,
};
use rpc::{
    CallContext, Caller, Companies, Identity, Principal, RoleDefinitions, ServiceIdentity,
    ServiceKeySet, TrustedServices,
};
use sqlx::{Connection as _, PgConnection};
use tokio::net::TcpListener;

const TABLE: &str = "
    CREATE TABLE customer (
        id bigint PRIMARY KEY, company text NOT NULL, account text NOT NULL,
        payer text NOT NULL, held integer NOT NULL, credit numeric NOT NULL, UNIQUE (company, account)
    );
    INSERT INTO customer VALUES
        (1, 'usmf', 'C1', '', 0, 100.10), (2, 'usmf', 'C2', 'C1', 0, 50), (3, 'usmf', 'C3', '', 1, 0);";

#[derive(Debug)]
struct Everything(Arc<Binding>);

impl Authority for Everything {
    fn grant(&self, caller: &Caller, entity: &str, privilege: Privilege) -> Result<Grant, Refused> {
        assert_eq!(entity, "CustCustomerV3Entity");
        Grant::of(caller, Arc::clone(&self.0), privilege).map_err(Refused::Denied)
    }
}

fn entity() -> catalog::DataEntity {
    let field = |name: &str, column: &str, r#type: FieldType| catalog::DataField {
        name: name.into(),
        source: Some(catalog::data_field::Source::Column(path(column))),
        r#type: r#type.into(),
        allow_edit: true,
        scale: if r#type == FieldType::Decimal { 2 } else { 0 },
        ..Default::default()
    };
    let member = |symbol: &str, stored| catalog::EnumMember {
        symbol: symbol.into(),
        option_value: 200_000_000 + i32::try_from(stored).unwrap(),
        stored: Some(catalog::enum_member::Stored::StoredInt(stored)),
        ..Default::default()
    };
    let held = catalog::DataField {
        members: vec![member("No", 0), member("All", 1)],
        ..field("OnHoldStatus", "held", FieldType::Enum)
    };
    catalog::DataEntity {
        name: "CustCustomerV3Entity".into(),
        entity_id: 7,
        sources: vec![catalog::DataSource {
            alias: "c".into(),
            schema: "public".into(),
            table: "customer".into(),
            ..Default::default()
        }],
        record_identity: Some(catalog::RecordIdentity {
            kind: catalog::RecordIdentityKind::Integer.into(),
            columns: vec!["id".into()],
        }),
        fields: vec![
            field("dataAreaId", "company", FieldType::String),
            field("CustomerAccount", "account", FieldType::String),
            field("InvoiceAccount", "payer", FieldType::String),
            held,
            field("CreditLimit", "credit", FieldType::Decimal),
        ],
        key: vec!["dataAreaId".into(), "CustomerAccount".into()],
        company_field: "dataAreaId".into(),
        actions: vec![catalog::EntityAction {
            name: "RaiseCreditLimit".into(),
            binding: catalog::ActionBinding::Entity.into(),
            implementation: Some(catalog::entity_action::Implementation::Service("credit".into())),
            parameters: vec![catalog::ActionParameter {
                name: "Amount".into(),
                r#type: FieldType::Decimal.into(),
                mandatory: true,
                ..Default::default()
            }],
            result: FieldType::Decimal.into(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn path(column: &str) -> catalog::ColumnPath {
    catalog::ColumnPath { alias: "c".into(), column: column.into() }
}

fn context() -> CallContext {
    let clerk = Principal {
        system_user_id: uuid::Uuid::nil(),
        name: "clerk".into(),
        erp_user: "clerk".into(),
        roles: vec![rpc::role::SYSTEM_ADMINISTRATOR.into()],
        companies: Companies::All,
        contact: None,
    };
    let caller = Identity::of(clerk).into_caller(&RoleDefinitions::default());
    CallContext { caller: Arc::new(caller), deadline: Instant::now() + Duration::from_secs(30) }
}

async fn raise(
    provider: &Provider,
    rights: &Everything,
    customer: i64,
    amount: &str,
) -> Result<String, Error> {
    let id = provider::record_guid(7, customer).as_bytes().to_vec();
    let amount = pb::Value { kind: Some(Kind::DecimalValue(amount.into())) };
    let request = pb::PerformActionRequest {
        entity_name: "CustCustomerV3Entity".into(),
        action: "RaiseCreditLimit".into(),
        key: Some(pb::RecordKey { key: Some(pb::record_key::Key::RecordId(id.into())) }),
        parameters: vec![pb::FieldValue { field: "Amount".into(), value: Some(amount) }],
        ..Default::default()
    };
    let operation = Some(pb::operation::Operation::PerformAction(request));
    let mut transaction = Transaction::begin(provider, &context()).await?;
    let done = transaction.execute(rights, pb::Operation { operation }).await?;
    transaction.commit().await?;
    match done.result {
        Some(pb::operation_result::Result::PerformAction(done)) => {
            let Some(Kind::DecimalValue(digits)) = done.result.and_then(|it| it.kind) else {
                panic!("no decimal")
            };
            Ok(digits)
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn it_raises_limits_that_are_sound() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let environment = rpc::Environment::generate();
    let adapter = environment.identity("query").unwrap();
    let stranger = rpc::Environment::generate().identity("query").unwrap();
    let key_set = ServiceKeySet::from_json(&environment.public_keys().unwrap()).unwrap();
    let trusted = Some(Arc::new(TrustedServices::of(&key_set).unwrap()));
    let only_the_adapter = move |request| example::check(trusted.as_deref(), request);
    let service =
        BusinessLogicServiceServer::with_interceptor(example::CreditService, only_the_adapter);
    let serving = tokio::spawn(async move {
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        let server = tonic::transport::Server::builder().add_service(service);
        server.serve_with_incoming(incoming).await
    });
    let scratch = Scratch::start().await.unwrap();
    let url = scratch.database("erp").await.unwrap();
    let mut erp = PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(TABLE).execute(&mut erp).await.unwrap();
    let services = BTreeMap::from([("credit".to_owned(), address)]);
    let provider = |identity: &ServiceIdentity| {
        Provider::new(Pool::new(&url, &PoolOptions::default()).unwrap(), "query")
            .with_business_logic(BusinessLogic::new(&services, identity).unwrap())
    };
    let (provider, stranger) = (provider(&adapter), provider(&stranger));
    let rights = Everything(Arc::new(Binding::try_from(entity()).unwrap()));

    assert_eq!(raise(&provider, &rights, 1, "0.15").await.unwrap(), "100.25");
    assert_eq!(raise(&provider, &rights, 2, "50.25").await.unwrap(), "100.25");
    raise(&stranger, &rights, 2, "1").await.unwrap_err();
    let refusals = [
        (1, "0", "The limit is raised by a positive amount."),
        (2, "0.01", "Customer C1, who pays, has a limit of 100.25 itself."),
        (3, "1", "The customer is on hold; its credit limit cannot be raised."),
    ];
    for (customer, amount, text) in refusals {
        let refused = raise(&provider, &rights, customer, amount).await.unwrap_err();
        assert_eq!(refused.to_string(), text);
    }
    let limits = sqlx::query_scalar("SELECT credit::text FROM customer ORDER BY id");
    let limits: Vec<String> = limits.fetch_all(&mut erp).await.unwrap();
    assert_eq!(limits, ["100.25", "100.25", "0"]);
    serving.abort();
}
