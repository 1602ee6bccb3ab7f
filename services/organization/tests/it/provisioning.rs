//! Setting environments up: this one's organization, and those of other databases.

use std::time::Duration;

use proto::lifecycle::v1 as pb;
use proto::lifecycle::v1::provisioning_service_client::ProvisioningServiceClient;
use proto::organization::v1 as org;
use proto::query::v1 as query;
use proto::query::v1::metadata_provider_service_client::MetadataProviderServiceClient;
use rpc::{ErrorReason, role};
use sqlx::{AssertSqlSafe, Row as _};
use tonic::{Code, Status, Streaming};
use uuid::Uuid;

use crate::World;
use crate::transact::{Transact, text};

const ID: &str = "11111111-2222-4333-8444-555555555555";
const CLIENT: &str = "61a0518c-121a-421a-9ad6-f0955a88be43";
pub(crate) const VE: &str = "MicrosoftOperationsVEAnchor";
pub(crate) const ADD_INS: &str = "MsDyn_FnOIntegrationMDLApp_Anchor";

fn place(name: &str) -> Option<pb::EnvironmentDatabase> {
    // The organization's own belongs to nobody else.
    let role = if name == "platform" { "" } else { name };
    Some(pb::EnvironmentDatabase { database: name.into(), role: role.into() })
}

pub(crate) fn provision(database: &str) -> pb::ProvisionDatabaseRequest {
    pb::ProvisionDatabaseRequest {
        database: place(database),
        organization_id: ID.into(),
        display_name: "Contoso production".into(),
        language: "de-de".into(),
        currency_code: "EUR".into(),
        administrator: "users/admin".into(),
    }
}

fn add_in(database: &str, state: &str) -> pb::WriteAddInRequest {
    pb::WriteAddInRequest {
        database: place(database),
        add_in: "data-export".into(),
        display_name: "Export to data lake".into(),
        version: "1.0.0".into(),
        state: state.into(),
        parameters_json: "{\"a\":1}".into(),
        removed: false,
    }
}

fn applications(database: &str) -> pb::RegisterApplicationsRequest {
    let application = |client_id: &str, name: &str| pb::Application {
        client_id: client_id.into(),
        display_name: name.into(),
        erp_user: "PowerPlatformApp".into(),
    };
    let applications = vec![
        application(CLIENT, "PowerPlatformApplication"),
        application("f1752846-f0df-4766-96f5-c109adf67d7f", "PowerPlatRuntimeApp"),
    ];
    pb::RegisterApplicationsRequest { database: place(database), applications }
}

fn virtual_entities(database: &str, url: &str) -> pb::ConfigureVirtualEntitiesRequest {
    pb::ConfigureVirtualEntitiesRequest {
        database: place(database),
        finance_and_operations_url: url.into(),
        tenant_id: ID.into(),
        finance_and_operations_environment_id: ID.into(),
    }
}

impl World {
    pub(crate) async fn with_environment() -> Self {
        let world = Self::new().await;
        for sql in ["CREATE ROLE env_a NOLOGIN", "CREATE DATABASE env_a OWNER env_a"] {
            world.run("postgres", sql).await;
        }
        world
    }

    pub(crate) fn provisioning(&self) -> ProvisioningServiceClient<rpc::Channel> {
        ProvisioningServiceClient::new(self.channel_of("lifecycle"))
    }

    pub(crate) async fn install(&self, database: &str, package: &str) -> Result<String, Status> {
        let request =
            pb::InstallPackageRequest { database: place(database), package: package.into() };
        Ok(self.provisioning().install_package(request).await?.into_inner().version)
    }

    pub(crate) async fn run(&self, database: &str, sql: &str) {
        let mut store = self.connect(database).await;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut store).await.unwrap();
    }

    /// One text per row.
    pub(crate) async fn texts(&self, database: &str, sql: &str) -> Vec<String> {
        let mut store = self.connect(database).await;
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut store).await.unwrap();
        rows.iter().map(|it| it.get(0)).collect()
    }

    pub(crate) async fn watch_tables(&self) -> Streaming<query::WatchTablesResponse> {
        let mut client = MetadataProviderServiceClient::new(self.channel.clone());
        client.watch_tables(query::WatchTablesRequest {}).await.unwrap().into_inner()
    }
}

pub(crate) async fn next(sets: &mut Streaming<query::WatchTablesResponse>) -> (i64, Vec<String>) {
    let set = tokio::time::timeout(Duration::from_secs(10), sets.message()).await.expect("no news");
    let set = set.unwrap().unwrap();
    (set.revision, set.tables.into_iter().map(|it| it.logical_name).collect())
}

#[track_caller]
fn refused<T: std::fmt::Debug>(outcome: Result<T, Status>, code: Code, reason: ErrorReason) {
    let status = outcome.unwrap_err();
    assert_eq!((status.code(), rpc::reason(&status)), (code, Some(reason)), "{status:?}");
}

/// Everything that a set-up writes, row by row.
const WRITTEN: &str = "SELECT to_jsonb(it)::text FROM organization.organization AS it
    UNION ALL SELECT to_jsonb(it)::text FROM organization.solution AS it
    UNION ALL SELECT to_jsonb(it)::text FROM organization.savedquery AS it
    UNION ALL SELECT to_jsonb(it)::text FROM organization.systemuser AS it
    UNION ALL SELECT to_jsonb(it)::text FROM organization.tombolo_addin AS it
    UNION ALL SELECT to_jsonb(it)::text FROM organization.msdyn_financeandoperationsvirtualentity AS it
    ORDER BY 1";

#[tokio::test]
async fn a_new_database_is_set_up_under_its_owner_and_twice_is_as_once() {
    let world = World::with_environment().await;
    let mut before = Vec::new();
    for round in 0..2 {
        world.provisioning().provision_database(provision("env_a")).await.unwrap();
        for package in [VE, "DualWriteCoreAnchor", "MsDynCE_CRMHub", ADD_INS] {
            assert_eq!(world.install("env_a", package).await.unwrap(), "1.0.0.0");
        }
        let url = "https://contoso.operations.dynamics.com";
        let configuration = virtual_entities("env_a", url);
        world.provisioning().configure_virtual_entities(configuration).await.unwrap();
        world.provisioning().register_applications(applications("env_a")).await.unwrap();
        world.provisioning().write_add_in(add_in("env_a", "Installed")).await.unwrap();
        let written = world.texts("env_a", WRITTEN).await;
        // With what comes with dual-write.
        assert_eq!(written.len(), 1 + (4 + 4) + 4 + 2 + 1 + 1, "{written:#?}");
        if round == 1 {
            assert_eq!(written, before);
        }
        before = written;
    }
    let owners =
        "SELECT DISTINCT tableowner::text FROM pg_tables WHERE schemaname = 'organization'";
    assert_eq!(world.texts("env_a", owners).await, ["env_a"]);
    let facts = "SELECT concat_ws('|', organizationid, name, languagecode, baseisocurrencycode)
        FROM organization.organization";
    let expected = format!("{ID}|Contoso production|1031|EUR");
    assert_eq!(world.texts("env_a", facts).await, [expected]);
    let users = "SELECT concat_ws('|', systemuserid, domainname, fullname)
        FROM organization.systemuser ORDER BY fullname DESC LIMIT 1";
    let expected = format!("{}|{CLIENT}|PowerPlatformApplication", rpc::system_user_id(CLIENT));
    assert_eq!(world.texts("env_a", users).await, [expected]);
    // Nothing of it is in the organization that runs here, and nothing is held open.
    let own = "SELECT uniquename FROM organization.solution
        UNION ALL SELECT name FROM organization.organization";
    assert_eq!(world.texts("platform", own).await, ["Tombolo"]);
    world.run("postgres", "DROP DATABASE env_a").await;
}

#[tokio::test]
async fn packages_come_in_their_order() {
    let world = World::new().await;
    let unmet = (Code::FailedPrecondition, ErrorReason::RequirementUnmet);
    refused(world.install("platform", "DualWriteCoreAnchor").await, unmet.0, unmet.1);
    let write = world.provisioning().write_add_in(add_in("platform", "Installing")).await;
    refused(write, unmet.0, unmet.1);
    let unknown = world.install("platform", "Unknown").await;
    refused(unknown, Code::InvalidArgument, ErrorReason::InvalidValue);
    assert!(world.column("solution", "uniquename").await.is_empty());

    for package in [VE, "Dynamics365FinanceAndOperationsAnchor", "ProjectOperations_Anchor"] {
        world.install("platform", package).await.unwrap();
    }
    world.provisioning().write_add_in(add_in("platform", "Installing")).await.unwrap();
    assert_eq!(world.column("tombolo_addin", "tombolo_state").await, ["Installing"]);
    world.provisioning().write_add_in(add_in("platform", "Installed")).await.unwrap();
    assert_eq!(world.column("tombolo_addin", "tombolo_state").await, ["Installed"]);
    let removed = pb::WriteAddInRequest { removed: true, ..add_in("platform", "") };
    for _ in 0..2 {
        world.provisioning().write_add_in(removed.clone()).await.unwrap();
        assert!(world.column("tombolo_addin", "tombolo_state").await.is_empty());
    }
}

#[tokio::test]
async fn a_package_installed_by_many_at_once_is_installed_once() {
    let world = World::new().await;
    let all =
        futures::future::join_all((0..8).map(|_| world.install("platform", "MsDynCE_CRMHub")));
    for installed in all.await {
        installed.unwrap();
    }
    assert_eq!(world.column("solution", "uniquename").await, ["MsDynCE_CRMHub"]);
    assert_eq!(world.column("savedquery", "name").await.len(), 4);
}

#[tokio::test]
async fn watchers_hear_of_a_packages_tables_and_rows_are_reached_from_then_on() {
    let world = World::new().await;
    let mut sets = world.watch_tables().await;
    let (first, tables) = next(&mut sets).await;
    assert!(!tables.contains(&"msdyn_financeandoperationsvirtualentity".to_owned()));
    let hidden =
        world.try_column("msdyn_financeandoperationsvirtualentity", "msdyn_targeturl").await;
    refused(hidden, Code::NotFound, ErrorReason::EntityNotFound);

    world.install("platform", VE).await.unwrap();
    let (second, tables) = next(&mut sets).await;
    assert!(second > first);
    assert!(tables.contains(&"msdyn_financeandoperationsvirtualentity".to_owned()));
    let manual = "INSERT INTO organization.msdyn_financeandoperationsvirtualentity
        (msdyn_financeandoperationsvirtualentityid, msdyn_targeturl, msdyn_tenantid)
        VALUES (gen_random_uuid(), 'https://by.hand', 'contoso.example')";
    world.run("platform", manual).await;
    let url = "https://contoso.operations.dynamics.com";
    let configuration = virtual_entities("platform", url);
    world.provisioning().configure_virtual_entities(configuration).await.unwrap();
    let urls = world.column("msdyn_financeandoperationsvirtualentity", "msdyn_targeturl").await;
    assert_eq!(urls, [url]);

    // What another replica installs is heard of as well, and so it is after a restart.
    let elsewhere = "INSERT INTO organization.solution
        (uniquename, friendlyname, version, publisheridname) VALUES ('DualWriteCoreAnchor', 'x', '1', 'x')";
    world.run("platform", elsewhere).await;
    let (_, tables) = next(&mut sets).await;
    assert!(tables.contains(&"msdyn_dualwriteentitymap".to_owned()));
    let world = world.restarted().await;
    let (_, tables) = next(&mut world.watch_tables().await).await;
    assert!(tables.contains(&"msdyn_dualwriteentitymap".to_owned()));
    assert!(!tables.contains(&"tombolo_addin".to_owned()));
    // So is what comes with it today and did not come with it there.
    assert!(tables.contains(&"msdyn_customergroup".to_owned()));
}

#[tokio::test]
async fn columns_come_with_the_tables_that_they_lead_to() {
    let world = World::new().await;
    let columns = async || {
        let set = world.watch_tables().await.message().await.unwrap().unwrap();
        let account = set.tables.into_iter().find(|it| it.logical_name == "account").unwrap();
        let columns: Vec<_> = account.columns.into_iter().map(|it| it.logical_name).collect();
        let targets: Vec<_> = account.relationships.into_iter().map(|it| it.target).collect();
        (columns, targets)
    };
    let group = "msdyn_customergroup".to_owned();
    let lookup = "msdyn_customergroupid".to_owned();
    let (before, targets) = columns().await;
    assert!(before.contains(&"msdyn_company".to_owned()), "{before:?}");
    assert!(!before.contains(&lookup) && !targets.contains(&group));
    for package in [VE, "DualWriteCoreAnchor"] {
        world.install("platform", package).await.unwrap();
    }
    let (after, targets) = columns().await;
    assert!(after.contains(&lookup) && targets.contains(&group));
}

#[tokio::test]
async fn the_organization_keeps_the_id_that_its_users_know() {
    let world = World::new().await;
    let id = async || {
        let answer = world.directory().get_organization(org::GetOrganizationRequest {}).await;
        let answer = answer.unwrap().into_inner();
        (answer.organization_id, answer.display_name)
    };
    world.provisioning().provision_database(provision("platform")).await.unwrap();
    assert_eq!(id().await, (ID.to_owned(), "Contoso production".to_owned()));
    let request = org::ImportUsersRequest { users: vec![crate::user(1, "alice")] };
    world.directory().import_users(request).await.unwrap();
    let organization_id = Uuid::from_u128(7).to_string();
    let again = pb::ProvisionDatabaseRequest {
        organization_id,
        display_name: String::new(),
        ..provision("platform")
    };
    world.provisioning().provision_database(again).await.unwrap();
    assert_eq!(id().await, (ID.to_owned(), "Contoso production".to_owned()));
}

#[tokio::test]
async fn the_directory_and_the_registration_write_one_row_of_an_application() {
    let world = World::new().await;
    world.provisioning().register_applications(applications("platform")).await.unwrap();
    let of_directory = org::SystemUser {
        system_user_id: rpc::system_user_id(CLIENT).to_string(),
        object_id: CLIENT.into(),
        domain_name: CLIENT.into(),
        full_name: "PowerPlatformApplication".into(),
        application_id: CLIENT.into(),
    };
    let request = org::ImportUsersRequest { users: vec![of_directory.clone()] };
    let imported = world.directory().import_users(request).await.unwrap().into_inner();
    assert_eq!((imported.created_count, imported.updated_count), (0, 0));
    let wrong = org::SystemUser { application_id: "x".into(), ..of_directory };
    let wrong =
        world.directory().import_users(org::ImportUsersRequest { users: vec![wrong] }).await;
    refused(wrong, Code::InvalidArgument, ErrorReason::InvalidValue);
}

#[tokio::test]
async fn what_is_installed_is_written_by_nobody_else() {
    let world = World::new().await;
    world.install("platform", VE).await.unwrap();
    let administrator = crate::principal(9, &[role::SYSTEM_ADMINISTRATOR]);
    let by = world.assertion_of(&administrator);
    let create = || {
        let values = vec![text("msdyn_targeturl", "https://a"), text("msdyn_tenantid", "b")];
        query::operation::Operation::Create(query::CreateRequest {
            entity_name: "msdyn_financeandoperationsvirtualentity".into(),
            values,
            ..Default::default()
        })
    };
    let mut clerk = Transact::begun(&world.channel, &world.assertion).await;
    let denied = clerk.run(vec![create()]).await;
    refused(denied, Code::PermissionDenied, ErrorReason::PrivilegeDenied);
    let mut transact = Transact::begun(&world.channel, &by).await;
    transact.run(vec![create()]).await.unwrap();

    let solution: String = world
        .texts("platform", "SELECT solutionid::text FROM organization.solution")
        .await
        .remove(0);
    let id = Uuid::parse_str(&solution).unwrap().as_bytes().to_vec();
    let delete = query::operation::Operation::Delete(query::DeleteRequest {
        entity_name: "solution".into(),
        key: Some(query::RecordKey { key: Some(query::record_key::Key::RecordId(id.into())) }),
        ..Default::default()
    });
    let mut transact = Transact::begun(&world.channel, &by).await;
    let kept = transact.run(vec![delete]).await.unwrap_err();
    assert!(kept.message().contains("managed"), "{kept:?}");
    assert_eq!(world.column("solution", "uniquename").await, [VE]);
}

#[tokio::test]
async fn what_is_no_name_no_id_or_no_database_is_refused_and_changes_nothing() {
    let world = World::with_environment().await;
    let mut client = world.provisioning();
    let invalid = (Code::InvalidArgument, ErrorReason::InvalidValue);
    for name in ["", "env_a\"; DROP DATABASE platform; --", "env a", "ENV_A", "e-v"] {
        refused(client.provision_database(provision(name)).await, invalid.0, invalid.1);
        refused(world.install(name, VE).await, invalid.0, invalid.1);
    }
    let role = "x -c search_path=public";
    let database = Some(pb::EnvironmentDatabase { database: "env_a".into(), role: role.into() });
    let request = pb::ProvisionDatabaseRequest { database, ..provision("env_a") };
    refused(client.provision_database(request).await, invalid.0, invalid.1);
    for wrong in [
        pb::ProvisionDatabaseRequest { organization_id: "1".into(), ..provision("env_a") },
        pb::ProvisionDatabaseRequest { language: "xx".into(), ..provision("env_a") },
        pb::ProvisionDatabaseRequest { currency_code: "eur".into(), ..provision("env_a") },
        pb::ProvisionDatabaseRequest { display_name: "\0".into(), ..provision("env_a") },
    ] {
        refused(client.provision_database(wrong).await, invalid.0, invalid.1);
    }
    refused(client.write_add_in(add_in("env_a", "Broken")).await, invalid.0, invalid.1);
    let nameless = virtual_entities("env_a", "");
    refused(client.configure_virtual_entities(nameless).await, invalid.0, invalid.1);
    let schemas = "SELECT nspname::text FROM pg_namespace WHERE nspname = 'organization'";
    assert!(world.texts("env_a", schemas).await.is_empty());

    let missing = client.provision_database(provision("nothing")).await;
    refused(missing, Code::NotFound, ErrorReason::ResourceNotFound);
    let mut gateway = ProvisioningServiceClient::new(world.channel.clone());
    let other = gateway.provision_database(provision("env_a")).await.unwrap_err();
    assert_ne!(other.code(), Code::Ok);
    assert!(world.texts("env_a", schemas).await.is_empty());
}
