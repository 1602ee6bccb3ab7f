//! Native tables over real gRPC and a real PostgreSQL.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod background;
mod companies;
mod mapped;
mod portal;
mod provisioning;
mod replaced;
mod sharing;
mod teams;
mod transact;
mod transactions;
mod user_context;
mod writes;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cluster::Scratch;
use organization::{Config, Organization};
use proto::organization::v1 as pb;
use proto::organization::v1::organization_service_client::OrganizationServiceClient;
use proto::query::v1 as query;
use proto::query::v1::data_provider_service_client::DataProviderServiceClient;
use proto::query::v1::metadata_provider_service_client::MetadataProviderServiceClient;
use proto::user_context::v1::WatchTrustResponse;
use proto::user_context::v1::user_context_service_server::UserContextServiceServer;
use rpc::{
    AssertionIssuer, AssertionVerifier, Channel, Companies, Environment, Identity, Principal,
    Route, SigningKey, role,
};
use sqlx::{Connection as _, PgConnection};
use tonic::Code;
use tonic::service::Routes;
use user_context::Users;
use uuid::Uuid;

struct World {
    scratch: Scratch,
    services: Environment,
    users: Users,
    // Follows its store until it is dropped.
    _organization: Organization,
    routes: Routes,
    /// The gateway's.
    channel: Channel,
    /// A clerk's.
    assertion: String,
    issuer: AssertionIssuer,
}

/// A user with these roles.
fn principal(id: u128, roles: &[&str]) -> Principal {
    Principal {
        system_user_id: Uuid::from_u128(id),
        name: format!("user{id}"),
        erp_user: format!("user{id}"),
        roles: roles.iter().map(|it| (*it).to_owned()).collect(),
        companies: Companies::All,
        contact: None,
    }
}

fn assertion(issuer: &AssertionIssuer, user: &Principal) -> String {
    let route = Route { audience: "organization", presenter: "gateway" };
    let limit = SystemTime::now() + Duration::from_secs(600);
    issuer.issue(Identity::of(user.clone()), route, 0, limit).unwrap().0
}

impl World {
    async fn new() -> Self {
        Self::over(Scratch::start().await.unwrap()).await
    }

    /// The same store, another process.
    async fn restarted(self) -> Self {
        Self::over(self.scratch).await
    }

    async fn over(scratch: Scratch) -> Self {
        let url = scratch.database("platform").await.unwrap();
        let services = Environment::generate();
        let server =
            services.server("user-context", Arc::new(AssertionVerifier::new("user-context")));
        let users = Users::default();
        let (routes, _) =
            server.with(UserContextServiceServer::new(users.clone())).build().unwrap();
        let user_context = services.channel(routes, "organization", "user-context").unwrap();
        let organization = Organization::start(Config::new(url), user_context).await.unwrap();
        let issuer =
            AssertionIssuer::new(SigningKey::generate().unwrap().0, Duration::from_secs(60));
        let verifier = AssertionVerifier::new("organization");
        let jwks = issuer.jwks().unwrap();
        verifier.apply(&WatchTrustResponse { jwks, ..Default::default() }).unwrap();
        let assertion = assertion(&issuer, &principal(0, &[role::BASIC_USER]));
        let server = organization.register(services.server("organization", Arc::new(verifier)));
        let (routes, _) = server.build().unwrap();
        let channel = services.channel(routes.clone(), "gateway", "organization").unwrap();
        Self {
            scratch,
            services,
            users,
            _organization: organization,
            routes,
            channel,
            assertion,
            issuer,
        }
    }

    fn assertion_of(&self, user: &Principal) -> String {
        assertion(&self.issuer, user)
    }

    fn channel_of(&self, service: &str) -> Channel {
        self.services.channel(self.routes.clone(), service, "organization").unwrap()
    }

    async fn connect(&self, database: &str) -> PgConnection {
        let options = self.scratch.cluster().connect_options(database);
        PgConnection::connect_with(&options).await.unwrap()
    }

    fn directory(&self) -> OrganizationServiceClient<Channel> {
        OrganizationServiceClient::new(self.channel_of("tombolo"))
    }

    /// One text column of a table's rows, in its order.
    async fn column(&self, table: &str, column: &str) -> Vec<String> {
        self.try_column(table, column).await.unwrap()
    }

    async fn try_column(&self, table: &str, column: &str) -> Result<Vec<String>, tonic::Status> {
        let name = field(column);
        let order = query::OrderExpression { column: Some(name.clone()), ..Default::default() };
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
            ..Default::default()
        };
        let request = rpc::request(request, &self.assertion, Duration::from_secs(10)).unwrap();
        let mut client = DataProviderServiceClient::new(self.channel.clone());
        let mut batches = client.retrieve_multiple(request).await?.into_inner();
        let mut values = Vec::new();
        while let Some(message) = batches.message().await? {
            let Some(query::row_batch::Rows::Columns(batch)) = message.batch.unwrap().rows else {
                panic!("no columns")
            };
            match batch.columns.into_iter().next().unwrap().values.unwrap() {
                query::column_values::Values::Strings(it) => values.extend(it.values),
                other => panic!("{other:?}"),
            }
        }
        Ok(values)
    }

    /// One row as JSON, by its id.
    async fn row(&self, table: &str, id: Uuid, column: query::ColumnRef) -> String {
        let request = query::RetrieveRequest {
            entity_name: table.to_owned(),
            key: Some(query::RecordKey {
                key: Some(query::record_key::Key::RecordId(id.as_bytes().to_vec().into())),
            }),
            columns: vec![query::OutputColumn {
                column: Some(column),
                key: "it".to_owned(),
                ..query::OutputColumn::default()
            }],
            format: query::RowFormat::Json.into(),
            ..Default::default()
        };
        let request = rpc::request(request, &self.assertion, Duration::from_secs(10)).unwrap();
        let mut client = DataProviderServiceClient::new(self.channel.clone());
        let batch = client.retrieve(request).await.unwrap().into_inner().batch.unwrap();
        let Some(query::row_batch::Rows::Json(json)) = batch.rows else { panic!("no JSON") };
        String::from_utf8(json.to_vec()).unwrap()
    }
}

fn field(name: &str) -> query::ColumnRef {
    query::ColumnRef {
        column: Some(query::column_ref::Column::Field(name.to_owned())),
        ..Default::default()
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
        application_id: String::new(),
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
    for bad in [
        vec![company("", "x")],
        vec![company("a", "x"), company("A", "y")],
        vec![company("a\0", "x")],
        vec![company("a", "\0")],
    ] {
        assert_eq!(import(bad).await.unwrap_err().code(), Code::InvalidArgument);
    }
    assert_eq!(import(Vec::new()).await.unwrap(), (0, 0));
}

#[tokio::test]
async fn a_company_has_one_id_in_every_letter_case() {
    let world = World::new().await;
    for code in ["USMF", "usmf"] {
        let request = pb::ImportCompaniesRequest { companies: vec![company(code, "A")] };
        world.directory().import_companies(request).await.unwrap();
        let id = provider::company_id("UsMf");
        let row = world.row("cdm_company", id, field("cdm_companycode")).await;
        assert_eq!(row, format!(r#"{{"it":"{code}"}}"#));
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
    let same_object =
        pb::SystemUser { object_id: Uuid::from_u128(1_001).to_string(), ..user(3, "x") };
    for bad in [
        vec![nameless],
        vec![idless],
        vec![user(4, "x"), user(4, "y")],
        vec![user(3, "x\0")],
        // What other rows have.
        vec![user(3, "BOB")],
        vec![same_object],
    ] {
        let error = import(bad).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{error:?}");
    }
    assert_eq!(world.column("systemuser", "fullname").await, ["ANNA", "BOB"]);
}

#[tokio::test]
async fn a_user_belongs_to_the_business_unit_and_has_no_address_yet() {
    let world = World::new().await;
    let users = vec![user(1, "ann")];
    world.directory().import_users(pb::ImportUsersRequest { users }).await.unwrap();
    let answer = world.directory().get_organization(pb::GetOrganizationRequest {}).await.unwrap();
    let unit = answer.into_inner().business_unit_id;
    let id = Uuid::from_u128(1);
    let found = world.row("systemuser", id, field("businessunitid")).await;
    assert_eq!(found, format!(r#"{{"it":"{unit}"}}"#));
    let found = world.row("systemuser", id, field("internalemailaddress")).await;
    assert_eq!(found, r#"{"it":null}"#);
}

#[tokio::test]
async fn the_organization_is_one_and_the_same_after_a_restart() {
    let get = async |world: &World| {
        let answer = world.directory().get_organization(pb::GetOrganizationRequest {}).await;
        answer.unwrap().into_inner()
    };
    let world = World::new().await;
    let first = get(&world).await;
    let id = Uuid::parse_str(&first.organization_id).unwrap();
    assert_eq!(world.row("organization", id, field("name")).await, r#"{"it":"Tombolo"}"#);
    let world = world.restarted().await;
    assert_eq!(get(&world).await, first);
    assert_eq!(world.column("organization", "name").await, ["Tombolo"]);
}

#[tokio::test]
async fn sample_data_is_installed_once_over_every_kind_of_value() {
    let world = World::new().await;
    let users = vec![user(1, "ann"), user(2, "bob")];
    world.directory().import_users(pb::ImportUsersRequest { users }).await.unwrap();
    let mut store = world.connect("platform").await;
    let mut counts = Vec::new();
    for _ in 0..2 {
        world.directory().install_sample_data(pb::InstallSampleDataRequest {}).await.unwrap();
        let sql = "SELECT count(*), count(parentaccountid), count(primarycontactid), count(ownerid),
                count(revenue), (SELECT count(*) FROM organization.contact WHERE parentcustomerid IS NULL),
                (SELECT count(*) FROM organization.userquery), max(xmin::text::bigint)
            FROM organization.account";
        let row: (i64, i64, i64, i64, i64, i64, i64, i64) =
            sqlx::query_as(sql).fetch_one(&mut store).await.unwrap();
        counts.push(row);
    }
    // The second time wrote nothing.
    assert_eq!(counts[0], counts[1]);
    let (accounts, parents, contacts, owners, revenues, homeless, views, _) = counts[0];
    assert_eq!((accounts, parents, owners, views), (120, 90, 120, 2));
    assert!((50..120).contains(&contacts) && (90..120).contains(&revenues) && homeless > 10);
    let names = world.column("account", "name").await;
    assert!(names.iter().any(|it| it.starts_with("東京商事")), "{names:?}");
    assert_eq!(world.column("savedquery", "name").await, ["Active Accounts", "Active Contacts"]);
}

/// What runs first, and one text afterwards.
async fn check_rule(store: &mut PgConnection, first: &str, asked: &str, expected: &str) {
    let mut transaction = store.begin().await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(first)).execute(&mut *transaction).await.unwrap();
    let it: Option<String> =
        sqlx::query_scalar(sqlx::AssertSqlSafe(asked)).fetch_one(&mut *transaction).await.unwrap();
    assert_eq!(it.as_deref().unwrap_or("nothing"), expected, "{first}");
    transaction.rollback().await.unwrap();
}

#[tokio::test]
async fn native_rows_have_rules_of_their_own() {
    let world = World::new().await;
    let users = vec![user(1, "ann"), user(2, "bob")];
    world.directory().import_users(pb::ImportUsersRequest { users }).await.unwrap();
    let mut store = world.connect("platform").await;
    let acting = |id: u128| {
        format!("SELECT set_config('tombolo.systemuser', '{}', true);", Uuid::from_u128(id))
    };
    let account = "INSERT INTO organization.account (name, createdon, modifiedon)
        VALUES ('A', '2020-01-01', '2020-01-01');";
    let contact = "INSERT INTO organization.contact (lastname, parentcustomerid)
        SELECT 'C', accountid FROM organization.account;";
    let owner = "SELECT domainname FROM organization.account LEFT JOIN organization.systemuser
        ON systemuserid = ownerid";
    check_rule(&mut store, &format!("{}{account}", acting(2)), owner, "bob").await;
    check_rule(&mut store, &format!("{}{account}", acting(9)), owner, "nothing").await;
    check_rule(&mut store, account, owner, "nothing").await;
    let given = format!(
        "{}INSERT INTO organization.account (name, ownerid) VALUES ('A', '{}');",
        acting(2),
        Uuid::from_u128(1)
    );
    check_rule(&mut store, &given, owner, "ann").await;

    let change = "UPDATE organization.account SET name = 'B', createdon = '2021-01-01';";
    let moments = "SELECT concat_ws(' ', createdon::date, modifiedon = now() AT TIME ZONE 'UTC')
        FROM organization.account";
    check_rule(&mut store, &format!("{account}{change}"), moments, "2020-01-01 t").await;

    let states = "SELECT concat_ws(' ', statecode, statuscode) FROM organization.account";
    let closed = "UPDATE organization.account SET statecode = 1;";
    check_rule(&mut store, &format!("{account}{closed}"), states, "1 2").await;
    let inactive = "INSERT INTO organization.account (name, statecode) VALUES ('A', 1);";
    check_rule(&mut store, inactive, states, "1 2").await;
    let refused = format!("{account}UPDATE organization.account SET statuscode = 2;");
    let error = sqlx::raw_sql(sqlx::AssertSqlSafe(refused)).execute(&mut store).await.unwrap_err();
    let error = error.to_string();
    assert!(error.contains("2 is not a valid status code for state code Active"), "{error}");

    let of_both = format!(
        "{account}{contact}
         UPDATE organization.account SET primarycontactid = (SELECT contactid FROM organization.contact);
         INSERT INTO organization.account (name, parentaccountid)
             SELECT 'Child', accountid FROM organization.account;"
    );
    let left = "SELECT concat_ws(' ', (SELECT count(*) FROM organization.account), count(parentaccountid),
        (SELECT count(*) FROM organization.contact), count(primarycontactid)) FROM organization.account";
    check_rule(&mut store, &of_both, left, "2 1 1 1").await;
    let without = format!("{of_both} DELETE FROM organization.contact;");
    check_rule(&mut store, &without, left, "2 1 0 0").await;
    let without = format!("{of_both} DELETE FROM organization.account WHERE name = 'A';");
    check_rule(&mut store, &without, left, "1 0 0 0").await;
}

#[tokio::test]
async fn the_organization_says_how_it_counts_weeks_and_fiscal_years() {
    let world = World::new().await;
    let get = async || {
        let answer = world.directory().get_organization(pb::GetOrganizationRequest {}).await;
        let answer = answer.unwrap().into_inner();
        let fiscal = answer.fiscal_calendar.unwrap();
        let period = fiscal.period_type();
        (answer.week_start_day, fiscal.start_month, fiscal.start_day, period)
    };
    assert_eq!(get().await, (0, 1, 1, query::FiscalPeriodType::Quarterly));
    let change = "UPDATE organization.organization
        SET weekstartdaycode = 1, fiscalcalendarstart = '2010-07-15', fiscalperiodtype = 2003";
    let mut store = world.connect("platform").await;
    sqlx::raw_sql(change).execute(&mut store).await.unwrap();
    assert_eq!(get().await, (1, 7, 15, query::FiscalPeriodType::Monthly));
}

#[tokio::test]
async fn rows_are_for_known_users_and_of_known_tables() {
    let world = World::new().await;
    let error = world.try_column("lead", "name").await.unwrap_err();
    assert_eq!(rpc::reason(&error), Some(rpc::ErrorReason::EntityNotFound));
    let mut rows = DataProviderServiceClient::new(world.channel.clone());
    let error = rows.retrieve_multiple(query::RetrieveMultipleRequest::default()).await;
    assert_eq!(rpc::reason(&error.unwrap_err()), Some(rpc::ErrorReason::NoCaller));
}

#[tokio::test]
async fn without_its_store_the_organization_is_unavailable_and_recovers_by_itself() {
    let world = World::new().await;
    let mut outside = world.connect("postgres").await;
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'platform'";
    // Connections are opened again while the others end, so it may take several attempts.
    loop {
        sqlx::raw_sql(end).execute(&mut outside).await.unwrap();
        let away = "ALTER DATABASE platform RENAME TO away";
        if sqlx::raw_sql(away).execute(&mut outside).await.is_ok() {
            break;
        }
    }
    let import = || pb::ImportCompaniesRequest { companies: vec![company("USMF", "A")] };
    for error in [
        world.directory().import_companies(import()).await.unwrap_err(),
        world.try_column("cdm_company", "cdm_name").await.unwrap_err(),
    ] {
        assert_eq!(error.code(), Code::Unavailable, "{error:?}");
        assert_eq!(rpc::reason(&error), Some(rpc::ErrorReason::StoreUnavailable));
    }
    let back = "ALTER DATABASE away RENAME TO platform";
    sqlx::raw_sql(back).execute(&mut outside).await.unwrap();
    world.directory().import_companies(import()).await.unwrap();
    assert_eq!(world.column("cdm_company", "cdm_name").await, ["A"]);
}

#[tokio::test]
async fn tables_are_published() {
    let world = World::new().await;
    let mut client = MetadataProviderServiceClient::new(world.channel.clone());
    let mut sets = client.watch_tables(query::WatchTablesRequest {}).await.unwrap().into_inner();
    let set = sets.message().await.unwrap().unwrap();
    let names: Vec<&str> = set.tables.iter().map(|it| it.logical_name.as_str()).collect();
    let expected = [
        "organization",
        "businessunit",
        "systemuser",
        "cdm_company",
        "account",
        "contact",
        "savedquery",
        "userquery",
        "msdyn_externalportalusermapping",
        "solution",
    ];
    for name in expected {
        assert!(names.contains(&name), "{names:?}");
    }
}
