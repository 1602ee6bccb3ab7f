//! Environments of both halves: the rules of linked and unlinked ones, races for names, and data that is copied,
//! saved and brought back whatever dies meanwhile.

use proto::capacity::v1 as capacity;
use proto::capacity::v1::meter_service_client::MeterServiceClient;
use proto::lifecycle::v1 as pb;
use proto::lifecycle::v1::finance_and_operations_environment_service_client::FinanceAndOperationsEnvironmentServiceClient;
use proto::lifecycle::v1::platform_environment_service_client::PlatformEnvironmentServiceClient;
use proto::lifecycle::v1::{
    FinanceAndOperationsEnvironmentType as ErpType, OperationState as State,
    PlatformEnvironmentType as Type,
};
use rpc::{Channel, ErrorReason, role};
use sqlx::Executor as _;
use tonic::{Code, Request, Status};

mod data;

use crate::setup::world::{ERP, EXISTING, INITIAL, Process, World};

const OTHER_INITIAL: &str = "platformEnvironments/00000000-0000-0000-0000-0000000000a3";
const LINK: &str = "
    INSERT INTO lifecycle.link (id, finance_and_operations_environment, platform_environment, template,
        dual_write_status)
    VALUES ('contoso', '00000000-0000-0000-0000-0000000000f1', '00000000-0000-0000-0000-0000000000a2',
        'standard', 'not_configured');
    UPDATE lifecycle.platform_environment SET initial_of = NULL
    WHERE id = '00000000-0000-0000-0000-0000000000a1';";

#[track_caller]
fn refused<T>(outcome: Result<T, Status>, code: Code, reason: ErrorReason) -> Status {
    let Err(status) = outcome else { panic!("let through") };
    assert_eq!((status.code(), rpc::reason(&status)), (code, Some(reason)), "{status:?}");
    status
}

fn platforms(process: &Process) -> PlatformEnvironmentServiceClient<Channel> {
    PlatformEnvironmentServiceClient::new(process.channel.clone())
}

fn erps(process: &Process) -> FinanceAndOperationsEnvironmentServiceClient<Channel> {
    FinanceAndOperationsEnvironmentServiceClient::new(process.channel.clone())
}

/// As an administrator of the tenant.
fn ask<T>(world: &World, message: T) -> Request<T> {
    world.ask_as("admin", &[role::POWER_PLATFORM_ADMINISTRATOR], message)
}

async fn succeeded(
    world: &World,
    process: &Process,
    operation: Option<pb::Operation>,
) -> pb::Operation {
    let ended = world.ended(process, &operation.unwrap()).await;
    assert_eq!(ended.state(), State::Succeeded, "{ended:#?}");
    ended
}

fn new_platform(
    display_name: &str,
    host_name: &str,
    kind: Type,
) -> pb::CreatePlatformEnvironmentRequest {
    let database = pb::PlatformDatabase {
        host_name: host_name.into(),
        d365_apps_enabled: true,
        ..Default::default()
    };
    let environment = pb::PlatformEnvironment {
        display_name: display_name.into(),
        r#type: kind.into(),
        location: "locations/europe".into(),
        region: "westeurope".into(),
        database: Some(database),
        ..Default::default()
    };
    pb::CreatePlatformEnvironmentRequest {
        platform_environment: Some(environment),
        ..Default::default()
    }
}

/// A platform environment with a database.
async fn created(world: &World, process: &Process, name: &str) -> pb::PlatformEnvironment {
    let request = ask(world, new_platform(name, name, Type::Sandbox));
    let begun = platforms(process).create_platform_environment(request).await.unwrap().into_inner();
    let ended = succeeded(world, process, begun.operation).await;
    get(world, process, &ended.targets[0]).await
}

async fn get(world: &World, process: &Process, name: &str) -> pb::PlatformEnvironment {
    let request = ask(world, pb::GetPlatformEnvironmentRequest { name: name.into() });
    let answer = platforms(process).get_platform_environment(request).await.unwrap().into_inner();
    answer.platform_environment.unwrap()
}

fn new_erp(id: &str, kind: ErpType) -> pb::CreateFinanceAndOperationsEnvironmentRequest {
    let environment = pb::FinanceAndOperationsEnvironment {
        r#type: kind.into(),
        region: "westeurope".into(),
        ..Default::default()
    };
    pb::CreateFinanceAndOperationsEnvironmentRequest {
        finance_and_operations_environment_id: id.into(),
        finance_and_operations_environment: Some(environment),
        ..Default::default()
    }
}

async fn delete(
    world: &World,
    process: &Process,
    name: &str,
    typed: &str,
) -> Result<pb::Operation, Status> {
    let request = pb::DeletePlatformEnvironmentRequest {
        name: name.into(),
        confirmation: typed.into(),
        ..Default::default()
    };
    let answer = platforms(process).delete_platform_environment(ask(world, request)).await?;
    Ok(answer.into_inner().operation.unwrap())
}

#[tokio::test]
async fn a_linked_environment_is_protected_until_its_erp_is_deleted() {
    let world = World::new().await;
    world.run(LINK).await;
    let process = world.start().await;
    let blocked = (Code::FailedPrecondition, ErrorReason::OperationBlocked);

    let status =
        refused(delete(&world, &process, EXISTING, "Existing").await, blocked.0, blocked.1);
    assert_eq!(
        status.message(),
        "Delete cannot be performed on Power Platform environments that are linked to Finance and Operations environments. Please use Lifecycle Services to perform this operation."
    );
    let host = |host: &str| {
        let database = pb::PlatformDatabase { host_name: host.into(), ..Default::default() };
        let environment = pb::PlatformEnvironment {
            name: EXISTING.into(),
            database: Some(database),
            ..Default::default()
        };
        let update_mask = prost_types::FieldMask { paths: vec!["database.host_name".into()] };
        ask(
            &world,
            pb::UpdatePlatformEnvironmentRequest {
                platform_environment: Some(environment),
                update_mask: Some(update_mask),
                ..Default::default()
            },
        )
    };
    let outcome = platforms(&process).update_platform_environment(host("other")).await;
    let status = refused(outcome, blocked.0, blocked.1);
    assert_eq!(
        status.message(),
        "The finance and operations environment does not support domain name changes."
    );
    let reset = |name: &str| {
        ask(&world, pb::ResetPlatformEnvironmentRequest { name: name.into(), ..Default::default() })
    };
    for name in [EXISTING, INITIAL, OTHER_INITIAL] {
        refused(
            platforms(&process).reset_platform_environment(reset(name)).await,
            blocked.0,
            blocked.1,
        );
    }
    // Also after it was disconnected.
    for name in [INITIAL, OTHER_INITIAL] {
        let database = pb::PlatformDatabase { host_name: "more".into(), ..Default::default() };
        let request = pb::AddDatabaseRequest {
            name: name.into(),
            database: Some(database),
            ..Default::default()
        };
        refused(platforms(&process).add_database(ask(&world, request)).await, blocked.0, blocked.1);
    }
    refused(delete(&world, &process, OTHER_INITIAL, "fabrikam").await, blocked.0, blocked.1);
    let wrong = delete(&world, &process, INITIAL, "wrong").await;
    refused(wrong, Code::FailedPrecondition, ErrorReason::ConfirmationRequired);
    let deleting = delete(&world, &process, INITIAL, "contoso").await.unwrap();
    succeeded(&world, &process, Some(deleting)).await;

    let target = created(&world, &process, "target").await;
    let copy = |source: &str, target: &str| pb::CopyPlatformEnvironmentRequest {
        source: source.into(),
        target: target.into(),
        kind: pb::CopyKind::Full.into(),
        confirmation: "target".into(),
        ..Default::default()
    };
    let outcome = platforms(&process)
        .copy_platform_environment(ask(&world, copy(EXISTING, &target.name)))
        .await;
    refused(outcome, Code::FailedPrecondition, ErrorReason::RequirementUnmet);
    let outcome = platforms(&process)
        .copy_platform_environment(ask(&world, copy(&target.name, EXISTING)))
        .await;
    refused(outcome, Code::FailedPrecondition, ErrorReason::RequirementUnmet);

    let convert = pb::ConvertPlatformEnvironmentRequest {
        name: EXISTING.into(),
        target_type: Type::Production.into(),
        ..Default::default()
    };
    let begun =
        platforms(&process).convert_platform_environment(ask(&world, convert)).await.unwrap();
    let ended = succeeded(&world, &process, begun.into_inner().operation).await;
    assert!(ended.warnings[0].contains("keeps its type"), "{:?}", ended.warnings);
    let type_of = "SELECT count(*) FROM lifecycle.finance_and_operations_environment
                   WHERE id = 'contoso' AND type = 'sandbox'";
    assert_eq!(world.count(type_of).await, 1);

    let request = pb::DeleteFinanceAndOperationsEnvironmentRequest {
        name: ERP.into(),
        confirmation: "contoso".into(),
        ..Default::default()
    };
    let begun = erps(&process)
        .delete_finance_and_operations_environment(ask(&world, request))
        .await
        .unwrap();
    succeeded(&world, &process, begun.into_inner().operation).await;
    assert_eq!(world.count("SELECT count(*) FROM lifecycle.link").await, 0);
    let databases = "SELECT count(*) FROM pg_database WHERE datname IN ('erp', 'existing')";
    assert_eq!(world.count(databases).await, 2, "what was there before stays");

    let deleting = delete(&world, &process, EXISTING, "Existing").await.unwrap();
    succeeded(&world, &process, Some(deleting)).await;
    assert!(get(&world, &process, EXISTING).await.delete_time.is_some());
    let recover =
        pb::RecoverPlatformEnvironmentRequest { name: EXISTING.into(), ..Default::default() };
    let begun =
        platforms(&process).recover_platform_environment(ask(&world, recover)).await.unwrap();
    succeeded(&world, &process, begun.into_inner().operation).await;
    assert!(get(&world, &process, EXISTING).await.delete_time.is_none());
}

#[tokio::test]
async fn of_two_that_want_one_name_one_gets_it_and_it_stays_taken() {
    let world = World::new().await;
    world.peers.kept().bought =
        vec!["accruals/finance".into(), "accruals/scm".into(), "accruals/hr".into()];
    let process = world.start().await;
    let wish = || {
        let request = ask(&world, new_erp("northwind", ErpType::Production));
        let mut client = erps(&process);
        async move { client.create_finance_and_operations_environment(request).await }
    };
    let (one, other) = tokio::join!(wish(), wish());
    let (won, lost) = if one.is_ok() { (one, other) } else { (other, one) };
    refused(lost, Code::AlreadyExists, ErrorReason::ResourceExists);
    let ended = succeeded(&world, &process, won.unwrap().into_inner().operation).await;
    assert_eq!(ended.targets.len(), 2, "with its initial environment");
    let initial = get(&world, &process, &ended.targets[1]).await;
    assert_eq!(initial.initial_of, "financeAndOperationsEnvironments/northwind");
    assert_eq!(initial.display_name, "northwind");
    assert_eq!(initial.finance_and_operations_url, "https://northwind.operations.dynamics.com");
    assert!(initial.database.is_none());
    assert_eq!(world.peers.kept().counting(&ended.name), ["committed"]);
    let made = "SELECT count(*) FROM pg_database WHERE datname = 'fno_northwind'";
    assert_eq!(world.count(made).await, 1);

    let request = pb::DeleteFinanceAndOperationsEnvironmentRequest {
        name: "financeAndOperationsEnvironments/northwind".into(),
        confirmation: "northwind".into(),
        ..Default::default()
    };
    let begun = erps(&process)
        .delete_finance_and_operations_environment(ask(&world, request))
        .await
        .unwrap();
    succeeded(&world, &process, begun.into_inner().operation).await;
    assert_eq!(world.count(made).await, 0, "what was made for it is dropped");
    refused(wish().await, Code::AlreadyExists, ErrorReason::ResourceExists);
    world
        .run("UPDATE lifecycle.name_claim SET expire_time = now() WHERE expire_time IS NOT NULL")
        .await;
    succeeded(&world, &process, wish().await.unwrap().into_inner().operation).await;
}

#[tokio::test]
async fn licences_names_and_regions_are_checked() {
    let world = World::new().await;
    let process = world.start().await;
    let create = |request| erps_create(&world, &process, request);
    let invalid = (Code::InvalidArgument, ErrorReason::InvalidValue);
    for id in ["", "Contoso", "1contoso", "con_toso", "a-name-of-21-letters-"] {
        refused(create(new_erp(id, ErpType::Sandbox)).await, invalid.0, invalid.1);
    }
    // Of names, versions and databases too: short, on one line, and nobody else's.
    type Spoil = fn(&mut pb::FinanceAndOperationsEnvironment, String);
    let long = "1".repeat(100_000);
    let spoiled: [(&str, Spoil); 4] = [
        ("administrator", |erp, text| erp.administrator = format!("users/{text}")),
        ("version", |erp, text| erp.version = text),
        ("database", |erp, text| erp.database = text),
        ("display_name", |erp, text| erp.display_name = text),
    ];
    for (field, spoil) in spoiled {
        for text in ["\0", "a\nb", &long] {
            let mut request = new_erp("spoiled", ErpType::CloudHosted);
            spoil(request.finance_and_operations_environment.as_mut().unwrap(), text.to_owned());
            let status = refused(create(request).await, invalid.0, invalid.1);
            assert!(status.message().contains(field), "{status:?}");
        }
    }
    for database in
        ["tenant", "blank", "postgres", "template0", "template1", "existing", "fno_x", "no"]
    {
        let mut request = new_erp("spoiled", ErpType::CloudHosted);
        request.finance_and_operations_environment.as_mut().unwrap().database = database.into();
        let status = refused(create(request).await, invalid.0, invalid.1);
        assert!(status.message().contains("`database`"), "{status:?}");
    }
    for name in ["financeAndOperationsEnvironments/\0".to_owned(), format!("links/{long}")] {
        let request = pb::ListOperationsRequest { target: name, ..Default::default() };
        refused(
            process.operations().list_operations(ask(&world, request)).await,
            invalid.0,
            invalid.1,
        );
    }
    let request = pb::GetFinanceAndOperationsEnvironmentRequest {
        name: "financeAndOperationsEnvironments/\0".into(),
    };
    let none = erps(&process).get_finance_and_operations_environment(ask(&world, request)).await;
    refused(none, Code::NotFound, ErrorReason::ResourceNotFound);
    let mut elsewhere = new_erp("moon", ErpType::Sandbox);
    elsewhere.finance_and_operations_environment.as_mut().unwrap().region = "moon".into();
    refused(create(elsewhere).await, Code::FailedPrecondition, ErrorReason::RegionUnsuitable);
    let none = create(new_erp("unpaid", ErpType::Production)).await;
    refused(none, Code::FailedPrecondition, ErrorReason::LicenceMissing);
    // A cloud-hosted one takes no licence, and comes alone.
    let begun = create(new_erp("box", ErpType::CloudHosted)).await.unwrap();
    let ended = succeeded(&world, &process, Some(begun)).await;
    assert_eq!(ended.targets, ["financeAndOperationsEnvironments/box"]);
    world.peers.kept().bought = vec!["accruals/finance".into()];
    world.peers.kept().free = 0;
    let none = create(new_erp("full", ErpType::Production)).await;
    refused(none, Code::ResourceExhausted, ErrorReason::CapacityInsufficient);
}

async fn erps_create(
    world: &World,
    process: &Process,
    request: pb::CreateFinanceAndOperationsEnvironmentRequest,
) -> Result<pb::Operation, Status> {
    let answer =
        erps(process).create_finance_and_operations_environment(ask(world, request)).await?;
    Ok(answer.into_inner().operation.unwrap())
}

#[tokio::test]
async fn a_platform_environment_is_made_with_its_database_once_per_host() {
    let world = World::new().await;
    let process = world.start().await;
    let wish = |name: &str| {
        let request = ask(&world, new_platform(name, "one-host", Type::Sandbox));
        let mut client = platforms(&process);
        async move { client.create_platform_environment(request).await }
    };
    let (one, other) = tokio::join!(wish("one"), wish("other"));
    let (won, lost) = if one.is_ok() { (one, other) } else { (other, one) };
    refused(lost, Code::AlreadyExists, ErrorReason::ResourceExists);
    let ended = succeeded(&world, &process, won.unwrap().into_inner().operation).await;
    assert_eq!(world.made().await, (1, 1));
    let made = get(&world, &process, &ended.targets[0]).await;
    let database = made.database.unwrap();
    assert_eq!(world.peers.kept().organizations[&database.database_name].provisioned.len(), 3);
    assert_eq!(database.url, "https://one-host.crm.dynamics.com");

    // Who names no host gets one that is free.
    for host in ["one-host-2", "one-host-3"] {
        let mut request = new_platform("One host", "", Type::Sandbox);
        let asked = request.platform_environment.as_mut().unwrap();
        let database = asked.database.take();
        let begun = platforms(&process).create_platform_environment(ask(&world, request)).await;
        let bare = succeeded(&world, &process, begun.unwrap().into_inner().operation).await;
        let name = bare.targets[0].clone();
        let request = pb::AddDatabaseRequest { name: name.clone(), database, ..Default::default() };
        let begun = platforms(&process).add_database(ask(&world, request)).await.unwrap();
        succeeded(&world, &process, begun.into_inner().operation).await;
        let made = get(&world, &process, &name).await.database.unwrap();
        assert_eq!(made.host_name, host);
        assert_eq!(made.url, format!("https://{host}.crm.dynamics.com"));
    }

    world.run("UPDATE lifecycle.tenant_settings SET disable_environment_creation_by_non_admin_users = true").await;
    let request = new_platform("forbidden", "forbidden", Type::Sandbox);
    // Administers the tenant, and holds none of the three roles.
    let request = world.ask_as("root", &[role::SYSTEM_ADMINISTRATOR], request);
    let outcome = platforms(&process).create_platform_environment(request).await;
    refused(outcome, Code::PermissionDenied, ErrorReason::GovernanceDenied);
    let request = world.ask_as(
        "root",
        &[role::SYSTEM_ADMINISTRATOR],
        new_platform("trial", "trial", Type::Trial),
    );
    let begun = platforms(&process).create_platform_environment(request).await.unwrap();
    succeeded(&world, &process, begun.into_inner().operation).await;
    let request = world.ask(new_platform("manager", "manager", Type::Trial));
    let outcome = platforms(&process).create_platform_environment(request).await;
    refused(outcome, Code::PermissionDenied, ErrorReason::PrivilegeDenied);
}

#[tokio::test]
async fn who_gives_a_creation_up_finds_nothing_left_and_the_name_free() {
    let world = World::new().await;
    let process = world.start().await;
    world.peers.fail_at("provision/catalog", Code::Unavailable, 4);
    let request = ask(&world, new_platform("one", "one", Type::Sandbox));
    let begun =
        platforms(&process).create_platform_environment(request).await.unwrap().into_inner();
    let failed = world.ended(&process, &begun.operation.unwrap()).await;
    assert_eq!(failed.state(), State::Failed, "{failed:#?}");
    assert_eq!(world.made().await, (1, 1));
    let given_up = cancel(&world, &process, &failed).await;
    assert_eq!(given_up.state(), State::Cancelled, "{given_up:#?}");
    assert_eq!(world.made().await, (0, 0));
    assert!(world.peers.kept().counting(&failed.name).is_empty());
    created(&world, &process, "one").await;
}

async fn cancel(world: &World, process: &Process, operation: &pb::Operation) -> pb::Operation {
    let request = pb::CancelOperationRequest { name: operation.name.clone(), ..Default::default() };
    let answer =
        process.operations().cancel_operation(ask(world, request)).await.unwrap().into_inner();
    world.ended(process, &answer.operation.unwrap()).await
}

#[tokio::test]
async fn sizes_are_those_of_postgres() {
    let world = World::new().await;
    let process = world.start().await;
    let mut meter = MeterServiceClient::new(process.meter.clone());
    let mut metered = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = capacity::ListMeteredEnvironmentsRequest { page_size: 2, page_token };
        let answer = meter.list_metered_environments(request).await.unwrap().into_inner();
        metered.extend(answer.metered_environments);
        page_token = answer.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(metered.len(), 6);
    let existing = metered.iter().find(|it| it.environment == EXISTING).unwrap();
    assert!(existing.has_database && existing.kind() == capacity::MeterKind::Platform);
    assert!(!metered.iter().find(|it| it.environment == INITIAL).unwrap().has_database);
    let mut database = world.connect_to("existing").await;
    database.execute("CREATE TABLE t AS SELECT generate_series(1, 1000) AS i").await.unwrap();
    let request = capacity::MeasureStorageRequest { environment: EXISTING.into() };
    let measured = meter.measure_storage(request).await.unwrap().into_inner();
    assert_eq!(
        measured.database_size_bytes,
        world.count("SELECT pg_database_size('existing')").await
    );
    let size: i64 = sqlx::query_scalar("SELECT pg_total_relation_size('t')")
        .fetch_one(&mut database)
        .await
        .unwrap();
    assert_eq!(measured.tables.iter().map(|it| it.size_bytes).collect::<Vec<_>>(), [size]);
    let request = capacity::MeasureStorageRequest { environment: INITIAL.into() };
    let outcome = meter.measure_storage(request).await;
    refused(outcome, Code::FailedPrecondition, ErrorReason::InvalidState);
}

#[tokio::test]
async fn finance_and_operations_is_installed_as_an_app_and_linked() {
    let world = World::new().await;
    let process = world.start().await;
    {
        let kept = &mut *world.peers.kept();
        kept.users.insert(
            "users/admin".into(),
            ("Ad Min".into(), vec![role::GLOBAL_ADMINISTRATOR.into()]),
        );
        kept.licensed.insert("users/admin".into());
    }
    let install = |name: &str, template: &str, parameters: &str| {
        let request = ask(
            &world,
            pb::InstallFinanceAndOperationsRequest {
                name: name.into(),
                unified_template: template.into(),
                parameters: parameters.into(),
                ..Default::default()
            },
        );
        let mut client = platforms(&process);
        async move { client.install_finance_and_operations(request).await }
    };
    const FINANCE: &str = "D365_FinOps_Finance";
    let unmet = (Code::FailedPrecondition, ErrorReason::RequirementUnmet);
    // It was there before, and nobody knows of its apps.
    let status = refused(install(EXISTING, FINANCE, "").await, unmet.0, unmet.1);
    assert_eq!(
        status.message(),
        "Please install the Dynamics 365 Finance and Operations Platform Tools application before installing the Dynamics 365 Finance and Operations Provisioning app."
    );
    world.run("UPDATE lifecycle.platform_environment SET d365_apps_enabled = false").await;
    let status = refused(install(EXISTING, FINANCE, "").await, unmet.0, unmet.1);
    assert_eq!(
        status.message(),
        "Dynamics 365 Finance and Operations Provisioning App isn't supported on SchemaType: Standard"
    );

    let environment = created(&world, &process, "unified").await;
    let outcome = install(&environment.name, "D365_FinOps_Commerce", "").await;
    refused(outcome, unmet.0, unmet.1);
    let invalid = (Code::InvalidArgument, ErrorReason::InvalidValue);
    refused(install(&environment.name, "Other", "").await, invalid.0, invalid.1);
    refused(install(&environment.name, FINANCE, "X=true").await, invalid.0, invalid.1);
    let long = created(&world, &process, "a-host-of-twenty-chr").await;
    refused(install(&long.name, FINANCE, "").await, unmet.0, unmet.1);

    let begun =
        install(&environment.name, FINANCE, "DevToolsEnabled=true").await.unwrap().into_inner();
    let ended = succeeded(&world, &process, begun.operation).await;
    assert_eq!(ended.status_text, "Installed");
    let request = ask(
        &world,
        pb::ListOperationsRequest { target: environment.name.clone(), ..Default::default() },
    );
    let operations =
        process.operations().list_operations(request).await.unwrap().into_inner().operations;
    assert_eq!(operations[0].kind(), pb::OperationKind::Setup);
    succeeded(&world, &process, Some(operations[0].clone())).await;
    assert_eq!(get(&world, &process, &environment.name).await.link, "links/unified");
    let made = "SELECT count(*) FROM lifecycle.finance_and_operations_environment
                WHERE id = 'unified' AND type = 'unified_developer' AND state = 'deployed'";
    assert_eq!(world.count(made).await, 1);
    let again = install(&environment.name, FINANCE, "").await;
    refused(again, Code::FailedPrecondition, ErrorReason::OperationBlocked);
}

#[tokio::test]
async fn a_cloud_hosted_environment_is_set_up_as_it_is_deployed() {
    let world = World::new().await;
    let process = world.start().await;
    {
        let kept = &mut *world.peers.kept();
        kept.users.insert(
            "users/admin".into(),
            ("Ad Min".into(), vec![role::GLOBAL_ADMINISTRATOR.into()]),
        );
        kept.licensed.insert("users/admin".into());
    }
    let wish = |typed: &str| {
        let setup = pb::DeploymentSetup {
            template: "templates/standard".into(),
            agreed: true,
            confirmed_user_name: typed.into(),
        };
        let request = new_erp("box", ErpType::CloudHosted);
        pb::CreateFinanceAndOperationsEnvironmentRequest { setup: Some(setup), ..request }
    };
    let outcome = erps_create(&world, &process, wish("somebody")).await;
    refused(outcome, Code::FailedPrecondition, ErrorReason::ConfirmationRequired);
    let begun = erps_create(&world, &process, wish("Ad Min")).await.unwrap();
    let ended = succeeded(&world, &process, Some(begun)).await;
    let request = ask(
        &world,
        pb::ListOperationsRequest { target: ended.targets[0].clone(), ..Default::default() },
    );
    let operations =
        process.operations().list_operations(request).await.unwrap().into_inner().operations;
    succeeded(&world, &process, Some(operations[0].clone())).await;
    assert_eq!(world.count("SELECT count(*) FROM lifecycle.link WHERE id = 'box'").await, 1);
}
