//! Native tables over real gRPC and a real PostgreSQL.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cluster::Scratch;
use organization::{Config, Organization};
use proto::organization::v1 as pb;
use proto::organization::v1::organization_service_client::OrganizationServiceClient;
use proto::query::v1 as query;
use proto::query::v1::data_provider_service_client::DataProviderServiceClient;
use proto::query::v1::metadata_provider_service_client::MetadataProviderServiceClient;
use rpc::{
    AssertionIssuer, AssertionVerifier, Caller, Channel, Companies, Rights, Server,
    ServiceIdentity, ServiceKey, SigningKey,
};
use tonic::Code;
use uuid::Uuid;

struct World {
    _scratch: Scratch,
    channel: Channel,
    assertion: String,
}

impl World {
    async fn new() -> Self {
        let scratch = Scratch::start().await.unwrap();
        let url = scratch.database("platform").await.unwrap();
        let organization = Organization::start(Config::new(url)).await.unwrap();
        let issuer =
            AssertionIssuer::new(SigningKey::generate().unwrap().0, Duration::from_secs(60));
        let verifier = AssertionVerifier::new();
        verifier.set_keys(&issuer.jwks().unwrap()).unwrap();
        let caller = Caller {
            system_user_id: Uuid::nil(),
            name: "clerk".into(),
            erp_user: "clerk".into(),
            rights: Rights {
                administrator: false,
                companies: Companies::Only(Vec::new()),
                entities: BTreeMap::new(),
            },
        };
        let (assertion, _) = issuer.issue(caller).unwrap();
        let key = ServiceKey::new(b"test");
        let server = organization.register(Server::new(key.clone(), Arc::new(verifier)));
        let (routes, _) = server.build().unwrap();
        let channel = Channel::local(routes, ServiceIdentity::new("test", key));
        Self { _scratch: scratch, channel, assertion }
    }

    fn directory(&self) -> OrganizationServiceClient<Channel> {
        OrganizationServiceClient::new(self.channel.clone())
    }

    /// One text column of a table's rows, in its order.
    async fn column(&self, table: &str, column: &str) -> Vec<String> {
        let name =
            query::ColumnRef { column: Some(query::column_ref::Column::Field(column.to_owned())) };
        let order = query::OrderExpression { column: Some(name.clone()), descending: false };
        let output = query::OutputColumn {
            column: Some(name),
            key: column.to_owned(),
            ..query::OutputColumn::default()
        };
        let query = query::QueryExpression {
            entity_name: table.to_owned(),
            columns: vec![output],
            orders: vec![order],
            ..query::QueryExpression::default()
        };
        let request = query::RetrieveMultipleRequest {
            query: Some(query),
            format: query::RowFormat::Columns.into(),
        };
        let request = rpc::request(request, &self.assertion, Duration::from_secs(10)).unwrap();
        let mut client = DataProviderServiceClient::new(self.channel.clone());
        let mut batches = client.retrieve_multiple(request).await.unwrap().into_inner();
        let mut values = Vec::new();
        while let Some(message) = batches.message().await.unwrap() {
            let Some(query::row_batch::Rows::Columns(batch)) = message.batch.unwrap().rows else {
                panic!("no columns")
            };
            match batch.columns.into_iter().next().unwrap().values.unwrap() {
                query::column_values::Values::Strings(it) => values.extend(it.values),
                other => panic!("{other:?}"),
            }
        }
        values
    }
}

fn company(code: &str, name: &str) -> pb::Company {
    pb::Company { code: code.into(), display_name: name.into() }
}

fn user(id: u128, name: &str) -> pb::SystemUser {
    pb::SystemUser {
        system_user_id: Uuid::from_u128(id).to_string(),
        object_id: Uuid::from_u128(id + 1_000).to_string(),
        domain_name: name.into(),
        full_name: name.to_uppercase(),
    }
}

#[tokio::test]
async fn companies_are_imported_once_and_kept_up_to_date() {
    let world = World::new().await;
    let import = async |companies: Vec<pb::Company>| {
        let request = pb::ImportCompaniesRequest { companies };
        let answer = world.directory().import_companies(request).await?.into_inner();
        Ok::<_, tonic::Status>((answer.created_count, answer.updated_count))
    };
    let both = || vec![company("USMF", "A"), company("DEMF", "B")];
    assert_eq!(import(both()).await.unwrap(), (2, 0));
    assert_eq!(import(both()).await.unwrap(), (0, 0));
    assert_eq!(import(vec![company("USMF", "New")]).await.unwrap(), (0, 1));
    assert_eq!(world.column("cdm_company", "cdm_companycode").await, ["DEMF", "USMF"]);
    assert_eq!(world.column("cdm_company", "cdm_name").await, ["B", "New"]);
    for bad in [vec![company("", "x")], vec![company("a", "x"), company("A", "y")]] {
        assert_eq!(import(bad).await.unwrap_err().code(), Code::InvalidArgument);
    }
}

#[tokio::test]
async fn users_are_imported_once_and_kept_up_to_date() {
    let world = World::new().await;
    let import = async |users: Vec<pb::SystemUser>| {
        let answer = world.directory().import_users(pb::ImportUsersRequest { users }).await?;
        let answer = answer.into_inner();
        Ok::<_, tonic::Status>((answer.created_count, answer.updated_count))
    };
    assert_eq!(import(vec![user(1, "ann"), user(2, "bob")]).await.unwrap(), (2, 0));
    assert_eq!(import(vec![user(1, "anna"), user(2, "bob")]).await.unwrap(), (0, 1));
    assert_eq!(world.column("systemuser", "fullname").await, ["ANNA", "BOB"]);
    let nameless = pb::SystemUser { domain_name: String::new(), ..user(3, "x") };
    let idless = pb::SystemUser { system_user_id: "x".into(), ..user(3, "x") };
    for bad in [vec![nameless], vec![idless], vec![user(4, "x"), user(4, "y")]] {
        assert_eq!(import(bad).await.unwrap_err().code(), Code::InvalidArgument);
    }
}

#[tokio::test]
async fn the_organization_is_one_and_the_same() {
    let world = World::new().await;
    let get = async || {
        let answer = world.directory().get_organization(pb::GetOrganizationRequest {}).await;
        answer.unwrap().into_inner()
    };
    let first = get().await;
    assert_eq!(get().await, first);
    assert!(Uuid::parse_str(&first.organization_id).is_ok());
    assert_eq!(world.column("organization", "name").await, ["Tombolo"]);
}

#[tokio::test]
async fn tables_are_published_and_writes_are_refused() {
    let world = World::new().await;
    let mut client = MetadataProviderServiceClient::new(world.channel.clone());
    let mut sets = client.watch_tables(query::WatchTablesRequest {}).await.unwrap().into_inner();
    let set = sets.message().await.unwrap().unwrap();
    let names: Vec<&str> = set.tables.iter().map(|it| it.logical_name.as_str()).collect();
    for name in ["organization", "businessunit", "systemuser", "cdm_company"] {
        assert!(names.contains(&name), "{names:?}");
    }
    let mut rows = DataProviderServiceClient::new(world.channel.clone());
    let request =
        rpc::request(query::CreateRequest::default(), &world.assertion, Duration::from_secs(5));
    let error = rows.create(request.unwrap()).await.unwrap_err();
    assert_eq!(error.code(), Code::Unimplemented);
}
