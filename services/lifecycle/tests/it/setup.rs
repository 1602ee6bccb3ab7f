//! A setup from its request to its link: with a new database and an existing one, through failures, deaths, second
//! thoughts and races.

use std::time::Duration;

use proto::lifecycle::v1 as pb;
use proto::lifecycle::v1::{FailureKind, OperationStage as Stage, OperationState as State};
use rpc::{ErrorReason, role};
use tonic::{Code, Status};

mod deaths;
pub(crate) mod peers;
mod requests;
pub(crate) mod world;

use world::{DATABASE, ERP, EXISTING, INITIAL, USER, World, existing_setup, new_setup};

const SOON: Duration = Duration::from_secs(60);
const STANDARD: [&str; 4] = [
    "MicrosoftOperationsVEAnchor",
    "MsDynCE_CRMHub",
    "MsDyn_FnOIntegrationMDLApp_Anchor",
    "DualWriteCoreAnchor",
];

#[track_caller]
fn refused<T>(outcome: Result<T, Status>, code: Code, reason: ErrorReason) -> Status {
    let Err(status) = outcome else { panic!("let through") };
    assert_eq!((status.code(), rpc::reason(&status)), (code, Some(reason)), "{status:?}");
    status
}

#[track_caller]
fn succeeded(operation: &pb::Operation) {
    assert_eq!(operation.state(), State::Succeeded, "{operation:#?}");
    assert_eq!(operation.status_text, "Setup completed successfully");
    assert_eq!(operation.progress_percent, 100);
    assert!(!operation.resumable && !operation.cancellable && operation.failure.is_none());
}

/// Linked once, with one database, and capacity counted once.
async fn linked_once(world: &World, operation: &pb::Operation) {
    succeeded(operation);
    assert_eq!(world.count("SELECT count(*) FROM lifecycle.link").await, 1);
    assert_eq!(world.count("SELECT count(*) FROM lifecycle.operation_hold").await, 0);
    assert_eq!(world.made().await, (1, 1));
    let organization = {
        let kept = world.peers.kept();
        assert_eq!(kept.counting(&operation.name), ["committed"]);
        assert_eq!(kept.free, 9);
        kept.organizations[DATABASE].clone()
    };
    assert_eq!(organization.packages, STANDARD);
    assert_eq!(organization.provisioned.len(), 3);
    assert_eq!(organization.applications.len(), 4);
    assert_eq!(organization.erp, "https://contoso.operations.dynamics.com");
    let ready = "SELECT count(*) FROM lifecycle.platform_environment
                 WHERE id = '00000000-0000-0000-0000-0000000000a1' AND state = 'ready' AND database IS NOT NULL";
    assert_eq!(world.count(ready).await, 1);
    let deployed = "SELECT count(*) FROM lifecycle.finance_and_operations_environment
                    WHERE id = 'contoso' AND state = 'deployed'";
    assert_eq!(world.count(deployed).await, 1);
}

/// As if it had never been asked for.
async fn nothing_left(world: &World, operation: &pb::Operation) {
    assert_eq!(operation.state(), State::Cancelled, "{operation:#?}");
    assert_eq!(world.count("SELECT count(*) FROM lifecycle.link").await, 0);
    assert_eq!(world.count("SELECT count(*) FROM lifecycle.operation_hold").await, 0);
    assert_eq!(world.made().await, (0, 0));
    let untouched = "SELECT count(*) FROM lifecycle.platform_environment
                     WHERE id = '00000000-0000-0000-0000-0000000000a1' AND state = 'ready'
                       AND database IS NULL AND host_name IS NULL AND organization_id IS NULL";
    assert_eq!(world.count(untouched).await, 1);
    assert_eq!(world.count("SELECT count(*) FROM lifecycle.name_claim").await, 0);
    let deployed = "SELECT count(*) FROM lifecycle.finance_and_operations_environment
                    WHERE id = 'contoso' AND state = 'deployed'";
    assert_eq!(world.count(deployed).await, 1);
    let kept = world.peers.kept();
    assert!(kept.counting(&operation.name).is_empty(), "{:?}", kept.reservations);
    assert_eq!(kept.free, 10);
}

#[tokio::test]
async fn a_new_database_is_made_and_linked() {
    let world = World::new().await;
    world.run("UPDATE lifecycle.tenant_settings SET country_code = 'CH'").await;
    let process = world.start().await;
    let begun = world.begin(&process, new_setup()).await.unwrap();
    assert_eq!(begun.status_text, "Environment setup is in progress");
    assert_eq!(begun.targets, [ERP, INITIAL]);
    let told = world.watched(&process, &begun).await;
    linked_once(&world, told.last().unwrap()).await;
    // Whoever watches sees it go forwards, and each thing once.
    assert!(told.windows(2).all(|it| it[0].progress_percent <= it[1].progress_percent));
    assert!(told.windows(2).all(|it| it[0].etag != it[1].etag));
    {
        let kept = world.peers.kept();
        let organization = &kept.organizations[DATABASE];
        assert_eq!(
            (organization.language.as_str(), organization.currency.as_str()),
            ("de-ch", "CHF")
        );
        assert!(organization.administrators.contains(USER));
    }
    let answer = process.lifecycle.served("contoso").await.unwrap().unwrap();
    assert_eq!((answer.database.as_str(), answer.database_role.as_str()), (DATABASE, DATABASE));
    assert_eq!(answer.erp_database.as_deref(), Some("erp"));
    assert_eq!(answer.platform_environment, INITIAL);
}

#[tokio::test]
async fn an_existing_database_is_linked_and_the_initial_environment_let_go() {
    let world = World::new().await;
    let process = world.start().await;
    let begun = world.begin(&process, existing_setup()).await.unwrap();
    assert_eq!(begun.warnings.len(), 1, "{:?}", begun.warnings);
    let ended = world.ended(&process, &begun).await;
    succeeded(&ended);
    assert!(ended.stages.iter().all(|it| it.stage() != Stage::ProvisioningDataverse));
    assert_eq!(world.made().await, (0, 0));
    // It counted before, so nothing more counts now.
    assert_eq!(world.peers.kept().free, 10);
    let initial = "SELECT count(*) FROM lifecycle.platform_environment
                   WHERE id = '00000000-0000-0000-0000-0000000000a1' AND initial_of IS NULL AND initial";
    assert_eq!(world.count(initial).await, 1);
    let request = world.ask(pb::GetLinkRequest {
        key: Some(pb::get_link_request::Key::Environment(EXISTING.into())),
    });
    let link = process.setup().get_link(request).await.unwrap().into_inner().link.unwrap();
    assert_eq!(link.name, "links/contoso");
    assert_eq!(link.finance_and_operations_environment, ERP);
    assert_eq!(link.dual_write_status(), pb::DualWriteStatus::NotConfigured);
    refused(
        world.begin(&process, existing_setup()).await,
        Code::AlreadyExists,
        ErrorReason::AlreadyLinked,
    );
}

#[tokio::test]
async fn dual_write_follows_a_setup_without_it() {
    let world = World::new().await;
    let process = world.start().await;
    let configure = |agreed| {
        let name = "links/contoso".to_owned();
        world.ask(pb::ConfigureDualWriteRequest { name, agreed, ..Default::default() })
    };
    let early = process.setup().configure_dual_write(configure(true)).await;
    refused(early, Code::FailedPrecondition, ErrorReason::NotLinked);
    let begun = world.begin(&process, new_setup()).await.unwrap();
    succeeded(&world.ended(&process, &begun).await);
    // It was linked elsewhere by hand.
    world
        .run(
            "UPDATE lifecycle.link SET dual_write_platform_environment =
                  '00000000-0000-0000-0000-0000000000a2'",
        )
        .await;
    let unsure = process.setup().configure_dual_write(configure(false)).await;
    refused(unsure, Code::FailedPrecondition, ErrorReason::ConfirmationRequired);
    let begun = process.setup().configure_dual_write(configure(true)).await.unwrap().into_inner();
    let ended = world.ended(&process, &begun.operation.unwrap()).await;
    assert_eq!(ended.state(), State::Succeeded);
    assert_eq!(
        ended.warnings,
        [
            "Microsoft has detected that your environment is linked via Dual-write to a different destination \
          than specified in Power Platform Integration, which is not recommended."
        ]
    );
    let linked = "SELECT count(*) FROM lifecycle.link WHERE dual_write_status = 'linked'";
    assert_eq!(world.count(linked).await, 1);
    assert!(
        world.peers.kept().organizations[DATABASE]
            .packages
            .contains(&"MsDyn_DualWriteAppCoreAnchor".into())
    );
    let again = process.setup().configure_dual_write(configure(true)).await;
    refused(again, Code::FailedPrecondition, ErrorReason::InvalidState);
}

/// Every effect outside the store, and the stage that makes it.
const EFFECTS: [(&str, Stage); 9] = [
    ("reserve", Stage::ReservingCapacity),
    ("provision/user-context", Stage::ProvisioningDataverse),
    ("provision/organization", Stage::ProvisioningDataverse),
    ("provision/catalog", Stage::ProvisioningDataverse),
    ("install/MsDynCE_CRMHub/organization", Stage::InstallingPackages),
    ("configure/organization", Stage::ConfiguringVirtualEntities),
    ("register/organization", Stage::RegisteringApplications),
    ("install/DualWriteCoreAnchor/organization", Stage::DualWritePlatformSetup),
    ("commit", Stage::LinkingRuntime),
];

#[tokio::test]
async fn what_fails_for_a_moment_is_tried_again() {
    let world = World::new().await;
    let process = world.start().await;
    for (effect, _) in EFFECTS {
        world.peers.fail_at(effect, Code::Unavailable, 1);
    }
    let begun = world.begin(&process, new_setup()).await.unwrap();
    let ended = world.ended(&process, &begun).await;
    linked_once(&world, &ended).await;
    let attempts: i32 = ended.stages.iter().map(|it| it.attempt_count).sum();
    assert_eq!(attempts, i32::try_from(ended.stages.len() + EFFECTS.len()).unwrap());
}

#[tokio::test]
async fn what_fails_for_good_waits_and_is_resumed_at_its_stage() {
    let world = World::new().await;
    let process = world.start().await;
    for (effect, _) in EFFECTS {
        world.peers.fail_at(effect, Code::Unavailable, 4);
    }
    let begun = world.begin(&process, new_setup()).await.unwrap();
    let mut waits = world.ended(&process, &begun).await;
    for (effect, stage) in EFFECTS {
        assert_eq!(waits.state(), State::Failed, "{effect}");
        // Only what is at work says what it is at.
        assert!(waits.stages.iter().all(|it| it.status_text.is_empty()), "{waits:#?}");
        let failure = waits.failure.clone().unwrap();
        assert_eq!((failure.stage(), failure.kind()), (stage, FailureKind::Internal), "{effect}");
        assert!(!failure.message.is_empty() && !failure.help.is_empty());
        assert!(waits.resumable);
        // Others are told what is in the way.
        let other = refused(
            world.begin(&process, existing_setup()).await,
            if effect == "commit" { Code::AlreadyExists } else { Code::FailedPrecondition },
            if effect == "commit" { ErrorReason::AlreadyLinked } else { ErrorReason::InvalidState },
        );
        assert!(effect == "commit" || other.message().contains(&begun.name), "{other:?}");
        let resumed = world.resume(&process, &waits).await.unwrap();
        waits = world.ended(&process, &resumed).await;
    }
    linked_once(&world, &waits).await;
    assert!(waits.stages.iter().all(|it| it.status_text.is_empty()), "{waits:#?}");
    let request = pb::CheckPrerequisitesRequest {
        finance_and_operations_environment: ERP.into(),
        platform_environment: INITIAL.into(),
    };
    let checked = process.setup().check_prerequisites(world.ask(request)).await.unwrap();
    let warnings = checked.into_inner().warnings;
    assert!(warnings[0].contains("cannot begin") && warnings[0].contains(INITIAL), "{warnings:?}");
    refused(
        world.resume(&process, &waits).await,
        Code::FailedPrecondition,
        ErrorReason::InvalidState,
    );
}

#[tokio::test]
async fn what_is_linked_is_ended_whatever_became_of_who_began_it() {
    let world = World::new().await;
    let process = world.start().await;
    world.peers.fail_at("commit", Code::Unavailable, 4);
    let begun = world.begin(&process, new_setup()).await.unwrap();
    let failed = world.ended(&process, &begun).await;
    assert!(failed.resumable && !failed.cancellable, "{failed:#?}");
    world.peers.kept().licensed.clear();
    world.peers.kept().users.clear();
    let resumed = world.resume(&process, &failed).await.unwrap();
    linked_once(&world, &world.ended(&process, &resumed).await).await;
}

#[tokio::test]
async fn who_gives_it_up_at_any_stage_finds_nothing_left() {
    let world = World::new().await;
    let process = world.start().await;
    for (effect, stage) in EFFECTS {
        world.peers.fail_at(effect, Code::Unavailable, 4);
        let begun = world.begin(&process, new_setup()).await.unwrap();
        let failed = world.ended(&process, &begun).await;
        assert_eq!(failed.failure.clone().unwrap().stage(), stage, "{effect}");
        if effect == "commit" {
            assert!(!failed.cancellable);
            let late = world.cancel(&process, &failed).await;
            refused(late, Code::FailedPrecondition, ErrorReason::InvalidState);
            let resumed = world.resume(&process, &failed).await.unwrap();
            linked_once(&world, &world.ended(&process, &resumed).await).await;
            continue;
        }
        let given_up = world.cancel(&process, &failed).await.unwrap();
        nothing_left(&world, &world.ended(&process, &given_up).await).await;
        world.peers.kept().organizations.remove(DATABASE);
    }
}
