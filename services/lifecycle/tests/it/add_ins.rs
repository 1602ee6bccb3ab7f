//! Add-ins from the catalogue to their end: what keeps them out, how they come, change and go, and that a process
//! may die at every moment of it.

use std::collections::BTreeMap;
use std::time::Duration;

use proto::lifecycle::v1 as pb;
use proto::lifecycle::v1::{AddInInstallationState as State, FailureKind, OperationState};
use rpc::{ErrorReason, role, status};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

mod peers;
mod world;

use peers::Moment;
use world::{ENVIRONMENT, USER, World, install_request, installation_name};

const SOON: Duration = Duration::from_secs(30);
const RED: &str = "{\"colour\":\"red\"}";
const GREEN: &str = "{\"colour\":\"green\"}";

#[track_caller]
fn refused<T>(outcome: Result<T, Status>, code: Code, reason: ErrorReason) -> Status {
    let Err(status) = outcome else { panic!("let through") };
    assert_eq!((status.code(), rpc::reason(&status)), (code, Some(reason)), "{status:?}");
    status
}

/// JSON, whatever its spaces.
#[track_caller]
fn same_json(left: &str, right: &str) {
    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(value(left), value(right));
}

/// Nothing of an add-in is anywhere.
#[track_caller]
fn nothing_left(world: &World) {
    let peers = world.peers.world();
    assert!(peers.rows.is_empty(), "{:?}", peers.rows);
    assert!(peers.installed.is_empty(), "{:?}", peers.installed);
    assert!(peers.reservations.values().all(|it| *it != "held"), "{:?}", peers.reservations);
}

/// It is installed, everywhere, once.
async fn installed_once(world: &World, add_in: &str, parameters: &str) {
    let installation = world.installation(add_in).await.unwrap();
    assert_eq!(installation.state(), State::Installed);
    assert!(installation.install_time.is_some());
    same_json(&installation.parameters_json, parameters);
    let peers = world.peers.world();
    let (state, shown) = &peers.rows[add_in];
    assert_eq!(state, "Installed");
    same_json(shown, parameters);
    same_json(&peers.installed[ENVIRONMENT], parameters);
    assert_eq!(peers.reservations.values().collect::<Vec<_>>(), [&"committed"]);
}

#[tokio::test]
async fn an_add_in_is_installed_configured_and_removed() {
    let world = World::new().await;
    let operation = world.install("own").await.unwrap();
    assert_eq!(operation.state(), OperationState::Pending);
    assert!(operation.targets.contains(&installation_name("own")));
    let ended = world.ended(&operation).await;
    assert_eq!(ended.state(), OperationState::Succeeded, "{ended:?}");
    installed_once(&world, "own", RED).await;

    let ended = world.ended(&world.configure("own", GREEN).await.unwrap()).await;
    assert_eq!(ended.state(), OperationState::Succeeded, "{ended:?}");
    installed_once(&world, "own", GREEN).await;

    let ended = world.ended(&world.uninstall("own", false).await.unwrap()).await;
    assert_eq!(ended.state(), OperationState::Succeeded, "{ended:?}");
    assert_eq!(world.installation("own").await.unwrap_err().code(), Code::NotFound);
    nothing_left(&world);
    assert_eq!(
        world.peers.world().effects,
        [
            "reserve",
            "row Installing",
            "runtime install",
            "reserve",
            "commit",
            "row Installed",
            "row Configuring",
            "runtime configure",
            "row Installed",
            "row Uninstalling",
            "runtime uninstall",
            "row removed",
        ]
    );

    let again = world.ended(&world.install("own").await.unwrap()).await;
    assert_eq!(again.state(), OperationState::Succeeded, "{again:?}");
    world.ended(&world.uninstall("own", true).await.unwrap()).await;
    assert!(world.peers.world().effects.contains(&"runtime delete".to_owned()));
}

#[tokio::test]
async fn each_requirement_keeps_an_add_in_out_by_itself() {
    let cases: [(&str, &str, ErrorReason, &str); 6] = [
        (
            "DELETE FROM lifecycle.link",
            "is not linked",
            ErrorReason::NotLinked,
            "INSERT INTO lifecycle.link (id, finance_and_operations_environment, platform_environment,
                template, dual_write_status)
             VALUES ('one', '00000000-0000-0000-0000-0000000000f1',
                '00000000-0000-0000-0000-0000000000e1', 'standard', 'not_configured')",
        ),
        (
            "UPDATE lifecycle.platform_environment SET database = NULL",
            "no Dataverse database",
            ErrorReason::RequirementUnmet,
            "UPDATE lifecycle.platform_environment SET database = 'env_one'",
        ),
        (
            "UPDATE lifecycle.finance_and_operations_environment SET state = 'servicing'",
            "is not running, it is servicing",
            ErrorReason::InvalidState,
            "UPDATE lifecycle.finance_and_operations_environment SET state = 'deployed'",
        ),
        (
            "UPDATE lifecycle.finance_and_operations_environment SET type = 'cloud_hosted'",
            "sandbox and production environments only",
            ErrorReason::RequirementUnmet,
            "UPDATE lifecycle.finance_and_operations_environment SET type = 'unified_developer'",
        ),
        (
            "SELECT 1",
            "unified-developer",
            ErrorReason::RequirementUnmet,
            "UPDATE lifecycle.finance_and_operations_environment SET type = 'production'",
        ),
        (
            "INSERT INTO lifecycle.operation (id, kind, request, user_name, targets)
                VALUES ('00000000-0000-0000-0000-0000000000a1', 'setup', '{}', 'users/x', '{}');
             UPDATE lifecycle.operation SET state = 'failed';
             INSERT INTO lifecycle.operation_hold (target, operation) VALUES
                ('platformEnvironments/00000000-0000-0000-0000-0000000000e1',
                 '00000000-0000-0000-0000-0000000000a1')",
            "is being changed by `operations/00000000-0000-0000-0000-0000000000a1`",
            ErrorReason::InvalidState,
            "DELETE FROM lifecycle.operation_hold",
        ),
    ];
    let world = World::new().await;
    for (spoil, text, reason, mend) in cases {
        world.run(spoil).await;
        let status = refused(world.install("own").await, Code::FailedPrecondition, reason);
        assert!(status.message().contains(text), "{}", status.message());
        let held = text.contains("operations/");
        assert_eq!(world.unmet("own").await.len(), usize::from(!held), "{text}");
        world.run(mend).await;
    }
    assert!(world.unmet("own").await.is_empty());

    world.peers.world().no_capacity = true;
    assert_eq!(world.unmet("own").await, ["there is no gigabyte left"]);
    let reason = ErrorReason::CapacityInsufficient;
    refused(world.install("own").await, Code::ResourceExhausted, reason);
    world.peers.world().no_capacity = false;

    let reason = ErrorReason::RequirementUnmet;
    let status = refused(world.install("second").await, Code::FailedPrecondition, reason);
    assert!(status.message().contains("needs the add-in own"), "{}", status.message());
    assert_eq!(world.count("SELECT count(*) FROM lifecycle.add_in_installation").await, 0);
    assert!(world.peers.world().effects.is_empty(), "nothing was done");
}

#[tokio::test]
async fn all_that_is_missing_is_said_at_once() {
    let world = World::with_runtimes(&["own"]).await;
    world.run("UPDATE lifecycle.platform_environment SET database = NULL").await;
    let spoil = "UPDATE lifecycle.finance_and_operations_environment
                 SET state = 'servicing', type = 'cloud_hosted'";
    world.run(spoil).await;
    world.peers.world().no_capacity = true;
    let unmet = world.unmet("choosy").await;
    let parts = [
        "no Dataverse database",
        "sandbox and production environments only",
        "is not running",
        "needs version 10.0.40 of finance and operations, and One ERP has 10.0.39",
        "does not support the geography of One ERP, westeurope",
        "needs dual-write, which is not linked",
        "needs the add-in own",
        "is not running here: name its address among",
        "there is no gigabyte left",
    ];
    assert_eq!(unmet.len(), parts.len(), "{unmet:#?}");
    for (sentence, part) in unmet.iter().zip(parts) {
        assert!(sentence.contains(part), "{sentence}");
    }
    let reason = ErrorReason::RequirementUnmet;
    let status = refused(world.install("choosy").await, Code::FailedPrecondition, reason);
    for part in parts {
        assert!(status.message().contains(part), "{}", status.message());
    }

    let mend = "
        UPDATE lifecycle.platform_environment SET database = 'env_one';
        UPDATE lifecycle.link SET dual_write_status = 'linked';
        UPDATE lifecycle.finance_and_operations_environment
        SET state = 'deployed', type = 'production', version = '10.0.40', region = 'NorthEurope'";
    world.run(mend).await;
    world.peers.world().no_capacity = false;
    let unmet = world.unmet("choosy").await;
    assert_eq!(unmet.len(), 2, "{unmet:#?}");
}

#[tokio::test]
async fn after_a_setup_that_failed_at_dual_write_add_ins_are_installed() {
    let world = World::new().await;
    let fail_at = |stage: &str| {
        let sql = format!(
            "DELETE FROM lifecycle.link; DELETE FROM lifecycle.operation;
             INSERT INTO lifecycle.operation (id, kind, request, user_name, targets)
             VALUES ('00000000-0000-0000-0000-0000000000a1', 'setup', '{{}}', 'users/x',
                ARRAY['financeAndOperationsEnvironments/one', '{ENVIRONMENT}']);
             UPDATE lifecycle.operation SET state = 'failed';
             INSERT INTO lifecycle.operation_stage (operation, position, stage, state)
             VALUES ('00000000-0000-0000-0000-0000000000a1', 1, '{stage}', 'failed');
             INSERT INTO lifecycle.operation_hold (target, operation)
             VALUES ('{ENVIRONMENT}', '00000000-0000-0000-0000-0000000000a1');"
        );
        sqlx::AssertSqlSafe(sql)
    };
    let connection = &mut world.connect().await;
    sqlx::raw_sql(fail_at("installing_packages")).execute(&mut *connection).await.unwrap();
    refused(world.install("own").await, Code::FailedPrecondition, ErrorReason::InvalidState);
    sqlx::raw_sql(fail_at("dual_write_platform_setup")).execute(&mut *connection).await.unwrap();
    let ended = world.ended(&world.install("own").await.unwrap()).await;
    assert_eq!(ended.state(), OperationState::Succeeded, "{ended:?}");
    installed_once(&world, "own", RED).await;
}

fn back_up() -> pb::CreateBackupRequest {
    pb::CreateBackupRequest { parent: ENVIRONMENT.into(), ..Default::default() }
}

#[tokio::test]
async fn an_environment_and_its_add_ins_are_not_changed_at_once() {
    let world = World::new().await;
    let administrator = |message| world.ask_as("root", role::SYSTEM_ADMINISTRATOR, message);
    world.peers.world().unprivileged.insert(USER.to_owned());
    let waiting = world.ended(&world.install("own").await.unwrap()).await;
    assert_eq!(waiting.state(), OperationState::Failed);
    let outcome = world.platforms().create_backup(administrator(back_up())).await;
    let status = refused(outcome, Code::FailedPrecondition, ErrorReason::InvalidState);
    for part in [waiting.name.as_str(), "addIns/own", "resumed or cancelled"] {
        assert!(status.message().contains(part), "{status:?}");
    }
    // What is beside it goes on.
    world.ended(&world.cancel("own").await.unwrap()).await;
    // There is no such database: it waits for somebody, and holds the environment meanwhile.
    let begun = world.platforms().create_backup(administrator(back_up())).await.unwrap();
    let begun = begun.into_inner().operation.unwrap();
    let status =
        refused(world.install("own").await, Code::FailedPrecondition, ErrorReason::InvalidState);
    assert!(status.message().contains(&begun.name), "{status:?}");
}

#[tokio::test]
async fn of_an_environment_and_its_add_in_that_begin_at_once_one_does() {
    let world = World::new().await;
    // They fail at once, and hold what they are about.
    world.peers.world().unprivileged.insert(USER.to_owned());
    for _ in 0..10 {
        let request = world.ask_as("root", role::SYSTEM_ADMINISTRATOR, back_up());
        let mut platforms = world.platforms();
        let (add_in, environment) =
            tokio::join!(world.install("own"), platforms.create_backup(request));
        let environment = environment.map(|it| it.into_inner().operation.unwrap());
        let (won, lost) =
            if add_in.is_ok() { (add_in, environment) } else { (environment, add_in) };
        refused(lost, Code::FailedPrecondition, ErrorReason::InvalidState);
        let begun = won.unwrap();
        world.ended(&begun).await;
        let request = pb::CancelOperationRequest { name: begun.name.clone(), ..Default::default() };
        world.operations().cancel_operation(world.ask(request)).await.unwrap();
        world.ended(&begun).await;
    }
}

#[tokio::test]
async fn parameters_are_held_against_the_schema() {
    let world = World::new().await;
    let bad = "{\"colour\": \"blue\", \"size\": 3, \"secret\": \"p4ss word\"}";
    let code = Code::InvalidArgument;
    let status = refused(world.install_with("own", bad).await, code, ErrorReason::ValidationFailed);
    assert!(!status.message().contains("p4ss"), "{}", status.message());
    let request = status.get_details_bad_request().unwrap();
    let mut fields: Vec<_> = request.field_violations.into_iter().map(|it| it.field).collect();
    fields.sort();
    assert_eq!(fields, ["colour", "secret", "size"]);

    let mut request = install_request("own", RED);
    request.agreed = false;
    let outcome = world.add_ins().install_add_in(world.ask(request)).await;
    refused(outcome, Code::FailedPrecondition, ErrorReason::ConfirmationRequired);
    let outcome = world.install("none").await;
    refused(outcome, Code::NotFound, ErrorReason::ResourceNotFound);
}

#[tokio::test]
async fn who_may_not_is_told_so() {
    let world = World::new().await;
    for (name, role, code) in [
        ("clerk", role::BASIC_USER, Code::PermissionDenied),
        ("erp", role::BASIC_USER, Code::Ok),
        ("owner", role::PROJECT_OWNER, Code::Ok),
    ] {
        let request = pb::ListAddInInstallationsRequest {
            parent: ENVIRONMENT.to_owned(),
            ..Default::default()
        };
        let request = world.ask_as(name, role, request);
        let outcome = world.add_ins().list_add_in_installations(request).await;
        assert_eq!(outcome.map_or_else(|it| it.code(), |_| Code::Ok), code, "{name}");
    }
    let request = world.ask_as("clerk", role::BASIC_USER, install_request("own", RED));
    let outcome = world.add_ins().install_add_in(request).await;
    refused(outcome, Code::PermissionDenied, ErrorReason::PrivilegeDenied);
    let request = world.ask_as("erp", role::BASIC_USER, install_request("own", RED));
    let outcome = world.add_ins().install_add_in(request).await.unwrap().into_inner();
    world.ended(&outcome.operation.unwrap()).await;
    installed_once(&world, "own", RED).await;
}

#[tokio::test]
async fn of_many_who_install_at_once_exactly_one_does() {
    let world = World::new().await;
    let outcomes = futures::future::join_all((0..8).map(|_| world.install("own"))).await;
    let (begun, refusals): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!(begun.len(), 1);
    for refusal in refusals {
        refused(refusal, Code::AlreadyExists, ErrorReason::ResourceExists);
    }
    world.ended(&begun.into_iter().next().unwrap().unwrap()).await;
    installed_once(&world, "own", RED).await;
    refused(world.install("own").await, Code::AlreadyExists, ErrorReason::ResourceExists);
}

#[tokio::test]
async fn a_request_is_repeated_by_its_key() {
    let world = World::new().await;
    let request =
        || pb::InstallAddInRequest { idempotency_key: "k".into(), ..install_request("own", RED) };
    let ask = || world.ask(request());
    let first =
        world.add_ins().install_add_in(ask()).await.unwrap().into_inner().operation.unwrap();
    world.ended(&first).await;
    world.peers.world().no_capacity = true;
    let again =
        world.add_ins().install_add_in(ask()).await.unwrap().into_inner().operation.unwrap();
    assert_eq!(again, first);
    let other = pb::InstallAddInRequest { parameters_json: GREEN.into(), ..request() };
    let outcome = world.add_ins().install_add_in(world.ask(other)).await;
    refused(outcome, Code::InvalidArgument, ErrorReason::IdempotencyKeyReused);
}

#[tokio::test]
async fn who_may_not_install_solutions_is_waited_for() {
    let world = World::new().await;
    world.peers.world().unprivileged.insert(USER.to_owned());
    let operation = world.ended(&world.install("own").await.unwrap()).await;
    assert_eq!((operation.state(), operation.resumable), (OperationState::Failed, true));
    let failure = operation.failure.clone().unwrap();
    assert_eq!(failure.kind(), FailureKind::Permission);
    assert!(failure.message.contains("don't have permission to install"), "{}", failure.message);
    assert!(failure.help.contains(role::SYSTEM_ADMINISTRATOR), "{}", failure.help);
    assert!(failure.help.contains("resume, or cancel"), "{}", failure.help);
    let installation = world.installation("own").await.unwrap();
    assert_eq!(installation.state(), State::Installing);
    assert_eq!(installation.status_text, failure.message);

    world.peers.world().unprivileged.clear();
    let denied = status(
        Code::PermissionDenied,
        "runtime",
        ErrorReason::PrivilegeDenied,
        "the application may not read accounts",
        [],
    );
    world.peers.world().runtime_refuses = Some(denied);
    let operation = world.resume(&operation).await;
    let failure = operation.failure.clone().unwrap();
    assert_eq!(failure.kind(), FailureKind::Permission);
    assert!(failure.message.contains("the application may not read accounts"));
    assert_eq!(world.installation("own").await.unwrap().state(), State::Installing);
    assert_eq!(world.peers.world().rows["own"].0, "Installing");

    world.peers.world().runtime_refuses = None;
    let operation = world.resume(&operation).await;
    assert_eq!(operation.state(), OperationState::Succeeded, "{operation:?}");
    installed_once(&world, "own", RED).await;
}

#[tokio::test]
async fn what_the_add_in_does_not_accept_fails_for_good_and_can_be_removed() {
    let world = World::new().await;
    let reason = ErrorReason::ValidationFailed;
    let refusal = status(Code::InvalidArgument, "runtime", reason, "red is out of fashion", []);
    world.peers.world().runtime_refuses = Some(refusal.clone());
    let operation = world.ended(&world.install("own").await.unwrap()).await;
    let failure = operation.failure.unwrap();
    assert_eq!(failure.kind(), FailureKind::Validation);
    assert_eq!(failure.message, "red is out of fashion");
    assert_eq!(world.installation("own").await.unwrap().state(), State::Failed);
    assert_eq!(world.peers.world().rows["own"].0, "Failed");
    let ended = world.ended(&world.uninstall("own", false).await.unwrap()).await;
    assert_eq!(ended.state(), OperationState::Cancelled, "{ended:?}");
    nothing_left(&world);

    world.peers.world().runtime_refuses = None;
    world.ended(&world.install("own").await.unwrap()).await;
    world.peers.world().runtime_refuses = Some(refusal);
    let operation = world.ended(&world.configure("own", GREEN).await.unwrap()).await;
    assert_eq!(operation.state(), OperationState::Failed);
    same_json(&world.installation("own").await.unwrap().parameters_json, RED);
    world.peers.world().runtime_refuses = None;
    let request =
        world.ask(pb::CancelOperationRequest { name: operation.name, ..Default::default() });
    let answer = world.operations().cancel_operation(request).await.unwrap().into_inner();
    let ended = world.ended(&answer.operation.unwrap()).await;
    assert_eq!(ended.state(), OperationState::Cancelled, "{ended:?}");
    let installation = world.installation("own").await.unwrap();
    assert_eq!(installation.state(), State::Installed);
    same_json(&installation.parameters_json, RED);
    same_json(&world.peers.world().installed[ENVIRONMENT], RED);
}

#[tokio::test]
async fn a_runtime_that_is_away_is_waited_for() {
    let world = World::new().await;
    world.peers.world().runtime_refuses = Some(Status::unavailable("not now"));
    let operation = world.ended(&world.install("own").await.unwrap()).await;
    assert_eq!(operation.state(), OperationState::Failed);
    assert_eq!(operation.failure.clone().unwrap().kind(), FailureKind::Internal);
    let tries = operation.stages.iter().map(|it| it.attempt_count).max().unwrap();
    assert!(tries > 1, "{tries}");
    world.peers.world().runtime_refuses = None;
    let operation = world.resume(&operation).await;
    assert_eq!(operation.state(), OperationState::Succeeded, "{operation:?}");
    installed_once(&world, "own", RED).await;
}

#[tokio::test]
async fn the_last_gigabyte_is_held_by_one() {
    let world = World::new().await;
    world.peers.stop_at("reserve", Moment::Before);
    let operation = world.install("own").await.unwrap();
    world.peers.stopped().await;
    // Somebody else took it between the check and the reservation.
    world.peers.world().no_capacity = true;
    let mut world = world;
    world.restart().await;
    let operation = world.ended(&operation).await;
    let failure = operation.failure.clone().unwrap();
    assert_eq!(
        (failure.kind(), failure.reason.as_str()),
        (FailureKind::Capacity, "CAPACITY_INSUFFICIENT")
    );
    world.peers.world().no_capacity = false;
    let operation = world.resume(&operation).await;
    assert_eq!(operation.state(), OperationState::Succeeded, "{operation:?}");
}

#[tokio::test]
async fn what_others_need_stays() {
    let world = World::new().await;
    world.ended(&world.install("own").await.unwrap()).await;
    world.ended(&world.install_with("second", "").await.unwrap()).await;
    let outcome = world.uninstall("own", false).await;
    let status = refused(outcome, Code::FailedPrecondition, ErrorReason::InUse);
    assert!(status.message().contains("second needs it"), "{}", status.message());
    world.ended(&world.uninstall("second", false).await.unwrap()).await;
    let ended = world.ended(&world.uninstall("own", false).await.unwrap()).await;
    assert_eq!(ended.state(), OperationState::Succeeded);
}

#[tokio::test]
async fn only_the_version_that_was_read_is_changed() {
    let world = World::new().await;
    world.ended(&world.install("own").await.unwrap()).await;
    let etag = world.installation("own").await.unwrap().etag;
    world.ended(&world.configure("own", GREEN).await.unwrap()).await;
    let request =
        pb::UninstallAddInRequest { name: installation_name("own"), etag, ..Default::default() };
    let outcome = world.add_ins().uninstall_add_in(world.ask(request)).await;
    refused(outcome, Code::Aborted, ErrorReason::VersionMismatch);
    refused(world.cancel("own").await, Code::FailedPrecondition, ErrorReason::InvalidState);
}

#[tokio::test]
async fn an_add_in_says_how_it_is_doing() {
    let world = World::new().await;
    world.ended(&world.install("own").await.unwrap()).await;
    world.peers.world().status_text = "last run 12:00".to_owned();
    assert_eq!(world.installation("own").await.unwrap().status_text, "last run 12:00");
    world.peers.world().runtime_refuses = Some(Status::unavailable("away"));
    let all = pb::ListAddInInstallationsRequest {
        parent: "platformEnvironments/-".to_owned(),
        ..Default::default()
    };
    let answer = world.add_ins().list_add_in_installations(world.ask(all)).await.unwrap();
    let listed = answer.into_inner().add_in_installations;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].status_text, "last run 12:00");
    assert_eq!(listed[0].name, installation_name("own"));
}

#[tokio::test]
async fn the_catalogue_is_read_page_by_page() {
    let world = World::new().await;
    let (mut names, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = pb::ListAddInsRequest { page_size: 2, page_token, ..Default::default() };
        let answer = world.add_ins().list_add_ins(world.ask(request)).await.unwrap().into_inner();
        assert!(answer.add_ins.len() <= 2);
        assert!(answer.add_ins.iter().all(|it| it.unmet_requirements.is_empty()));
        names.extend(answer.add_ins.into_iter().map(|it| it.name));
        page_token = answer.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert!(names.is_sorted(), "{names:?}");
    for name in ["addIns/choosy", "addIns/data-export", "addIns/own"] {
        assert!(names.iter().any(|it| it == name), "{names:?}");
    }
}

/// Every effect of an operation, in each of the two moments of it.
fn moments(effects: &[&str]) -> Vec<(String, Moment)> {
    let both = |it: &&str| [((*it).to_owned(), Moment::Before), ((*it).to_owned(), Moment::After)];
    effects.iter().flat_map(both).collect()
}

const INSTALLING: [&str; 5] =
    ["reserve", "row Installing", "runtime install", "commit", "row Installed"];

#[tokio::test]
async fn an_installation_goes_on_after_a_crash_at_every_moment() {
    let mut world = World::new().await;
    for (effect, moment) in moments(&INSTALLING) {
        world.peers.stop_at(&effect, moment);
        let operation = world.install("own").await.unwrap();
        world.peers.stopped().await;
        world.restart().await;
        let ended = world.ended(&operation).await;
        assert_eq!(ended.state(), OperationState::Succeeded, "{effect} {moment:?}: {ended:?}");
        installed_once(&world, "own", RED).await;
        world.ended(&world.uninstall("own", false).await.unwrap()).await;
        world.peers.world().reservations = BTreeMap::new();
        nothing_left(&world);
    }
}

#[tokio::test]
async fn an_installation_is_given_up_at_every_moment() {
    let mut world = World::new().await;
    for (effect, moment) in moments(&INSTALLING) {
        world.peers.stop_at(&effect, moment);
        let operation = world.install("own").await.unwrap();
        world.peers.stopped().await;
        let cancelled = world.cancel("own").await.unwrap();
        assert_eq!(cancelled.name, operation.name);
        assert_eq!(cancelled.state(), OperationState::Cancelling);
        // Half of the times the process that hangs has died by now.
        if moment == Moment::After {
            world.restart().await;
        }
        let ended = world.ended(&operation).await;
        assert_eq!(ended.state(), OperationState::Cancelled, "{effect} {moment:?}: {ended:?}");
        assert_eq!(world.installation("own").await.unwrap_err().code(), Code::NotFound);
        nothing_left(&world);
        assert_eq!(world.count("SELECT count(*) FROM lifecycle.operation_hold").await, 0);
    }
}

#[tokio::test]
async fn what_nobody_has_begun_is_given_up_as_well() {
    let mut world = World::new().await;
    world.kill();
    let operation = world.install("own").await.unwrap();
    world.cancel("own").await.unwrap();
    world.restart().await;
    let ended = world.ended(&operation).await;
    assert_eq!(ended.state(), OperationState::Cancelled, "{ended:?}");
    assert_eq!(world.installation("own").await.unwrap_err().code(), Code::NotFound);

    world.ended(&world.install("own").await.unwrap()).await;
    let begun = |operation: pb::Operation| pb::CancelOperationRequest {
        name: operation.name,
        ..Default::default()
    };
    for configure in [true, false] {
        world.kill();
        let operation = match configure {
            true => world.configure("own", GREEN).await.unwrap(),
            false => world.uninstall("own", false).await.unwrap(),
        };
        let request = world.ask(begun(operation));
        let answer = world.operations().cancel_operation(request).await.unwrap().into_inner();
        world.restart().await;
        let ended = world.ended(&answer.operation.unwrap()).await;
        assert_eq!(ended.state(), OperationState::Cancelled, "{ended:?}");
        installed_once(&world, "own", RED).await;
    }
}

#[tokio::test]
async fn giving_up_goes_on_after_a_crash_at_every_moment() {
    let mut world = World::new().await;
    for (effect, moment) in moments(&["runtime uninstall", "row removed", "release"]) {
        world.peers.world().unprivileged.clear();
        let denied = Status::permission_denied("not yours");
        world.peers.world().runtime_refuses = Some(denied);
        let operation = world.ended(&world.install("own").await.unwrap()).await;
        assert_eq!(operation.state(), OperationState::Failed);
        world.peers.stop_at(&effect, moment);
        world.cancel("own").await.unwrap();
        world.peers.stopped().await;
        assert_eq!(world.installation("own").await.unwrap().state(), State::Cancelling);
        world.restart().await;
        let ended = world.ended(&operation).await;
        assert_eq!(ended.state(), OperationState::Cancelled, "{effect} {moment:?}: {ended:?}");
        nothing_left(&world);
    }
}

#[tokio::test]
async fn configuring_and_removing_go_on_after_a_crash_at_every_moment() {
    let mut world = World::new().await;
    for (effect, moment) in moments(&["row Configuring", "runtime configure", "row Installed"]) {
        world.ended(&world.install("own").await.unwrap()).await;
        world.peers.stop_at(&effect, moment);
        let operation = world.configure("own", GREEN).await.unwrap();
        world.peers.stopped().await;
        let installation = world.installation("own").await.unwrap();
        assert_eq!(installation.state(), State::Configuring);
        same_json(&installation.parameters_json, RED);
        world.restart().await;
        let ended = world.ended(&operation).await;
        assert_eq!(ended.state(), OperationState::Succeeded, "{effect} {moment:?}: {ended:?}");
        installed_once(&world, "own", GREEN).await;
        world.ended(&world.uninstall("own", false).await.unwrap()).await;
        world.peers.world().reservations = BTreeMap::new();
    }
    for (effect, moment) in moments(&["row Uninstalling", "runtime uninstall", "row removed"]) {
        world.ended(&world.install("own").await.unwrap()).await;
        world.peers.stop_at(&effect, moment);
        let operation = world.uninstall("own", false).await.unwrap();
        world.peers.stopped().await;
        assert_eq!(world.installation("own").await.unwrap().state(), State::Uninstalling);
        world.restart().await;
        let ended = world.ended(&operation).await;
        assert_eq!(ended.state(), OperationState::Succeeded, "{effect} {moment:?}: {ended:?}");
        nothing_left(&world);
    }
}

#[tokio::test]
async fn a_link_that_ends_takes_the_add_ins_with_it() {
    let mut world = World::new().await;
    world.ended(&world.install("own").await.unwrap()).await;
    // One that works, and one that waits for somebody.
    world.peers.world().unprivileged.insert(USER.to_owned());
    let waiting = world.ended(&world.install_with("second", "").await.unwrap()).await;
    assert_eq!(waiting.state(), OperationState::Failed);
    world.peers.stop_at("runtime uninstall", Moment::After);
    let operation = world.delete_erp().await;
    world.peers.stopped().await;
    refused(world.install("choosy").await, Code::FailedPrecondition, ErrorReason::InvalidState);
    world.restart().await;
    let ended = world.ended(&operation).await;
    assert_eq!(ended.state(), OperationState::Succeeded, "{ended:?}");
    assert_eq!(world.ended(&waiting).await.state(), OperationState::Cancelled);
    assert_eq!(world.count("SELECT count(*) FROM lifecycle.add_in_installation").await, 0);
    assert_eq!(world.count("SELECT count(*) FROM lifecycle.link").await, 0);
    nothing_left(&world);
}
