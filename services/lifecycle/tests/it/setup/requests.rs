//! Who may ask for what, and what is answered.

use super::*;

#[tokio::test]
async fn of_two_setups_for_one_link_one_wins_and_the_other_is_told() {
    let world = World::new().await;
    let (one, other) = (world.start().await, world.start().await);
    let fabrikam = pb::StartSetupRequest {
        finance_and_operations_environment: "financeAndOperationsEnvironments/fabrikam".into(),
        ..existing_setup()
    };
    let (first, second) =
        tokio::join!(world.begin(&one, existing_setup()), world.begin(&other, fabrikam),);
    let (winner, loser) = match (first, second) {
        (Ok(it), Err(status)) | (Err(status), Ok(it)) => (it, status),
        both => panic!("{both:?}"),
    };
    refused::<()>(Err(loser), Code::FailedPrecondition, ErrorReason::InvalidState);
    succeeded(&world.ended(&one, &winner).await);
    assert_eq!(world.count("SELECT count(*) FROM lifecycle.link").await, 1);
}

#[tokio::test]
async fn of_many_setups_one_wins_and_all_others_are_told_at_once() {
    let world = World::new().await;
    let process = world.start().await;
    let all = (0..16).map(|_| world.begin(&process, new_setup()));
    let (won, lost): (Vec<_>, Vec<_>) =
        futures::future::join_all(all).await.into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, 15));
    for outcome in lost {
        let status = outcome.unwrap_err();
        // Or what was linked by then.
        assert!(
            matches!(status.code(), Code::FailedPrecondition | Code::AlreadyExists),
            "{status:?}"
        );
    }
    for begun in won {
        succeeded(&world.ended(&process, &begun.unwrap()).await);
    }
}

#[tokio::test]
async fn of_two_setups_for_the_last_gigabyte_one_wins_and_the_other_is_told() {
    let world = World::new().await;
    world.peers.kept().free = 1;
    let process = world.start().await;
    let fabrikam = pb::StartSetupRequest {
        finance_and_operations_environment: "financeAndOperationsEnvironments/fabrikam".into(),
        ..new_setup()
    };
    let (one, other) =
        tokio::join!(world.begin(&process, new_setup()), world.begin(&process, fabrikam));
    let (one, other) = (one.unwrap(), other.unwrap());
    let ended = [world.ended(&process, &one).await, world.ended(&process, &other).await];
    let failed: Vec<_> = ended.iter().filter_map(|it| it.failure.clone()).collect();
    assert_eq!(failed.len(), 1, "{ended:#?}");
    assert_eq!(failed[0].kind(), FailureKind::Capacity);
    assert_eq!(failed[0].reason, "CAPACITY_INSUFFICIENT");
    assert_eq!(world.made().await, (1, 1));
    assert_eq!(world.count("SELECT count(*) FROM lifecycle.link").await, 1);
}

#[tokio::test]
async fn the_same_request_has_one_effect_and_one_answer() {
    let world = World::new().await;
    let process = world.start().await;
    let request = pb::StartSetupRequest { idempotency_key: "k".into(), ..new_setup() };
    let (first, second) = tokio::join!(
        world.begin(&process, request.clone()),
        world.begin(&process, request.clone()),
    );
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first, second);
    succeeded(&world.ended(&process, &first).await);
    // It was answered; what is true by now does not matter.
    assert_eq!(world.begin(&process, request.clone()).await.unwrap(), first);
    let other =
        pb::StartSetupRequest { template: "templates/project-operations".into(), ..request };
    refused(
        world.begin(&process, other).await,
        Code::InvalidArgument,
        ErrorReason::IdempotencyKeyReused,
    );
    assert_eq!(world.count("SELECT count(*) FROM lifecycle.operation").await, 1);
    for key in ["k".repeat(129), "a\0b".to_owned(), "a\nb".to_owned()] {
        let request = pb::StartSetupRequest { idempotency_key: key, ..new_setup() };
        let outcome = world.begin(&process, request).await;
        refused(outcome, Code::InvalidArgument, ErrorReason::InvalidValue);
    }
}

#[tokio::test]
async fn prerequisites_that_can_be_mended_fail_the_operation() {
    let world = World::new().await;
    world
        .run("UPDATE lifecycle.tenant_settings SET disable_environment_creation_by_non_admin_users = true;
              UPDATE lifecycle.finance_and_operations_environment SET state = 'deploying' WHERE id = 'contoso'")
        .await;
    {
        let kept = &mut *world.peers.kept();
        (kept.free, kept.licensed) = (0, Default::default());
    }
    let process = world.start().await;
    let begun = world.begin(&process, new_setup()).await.unwrap();
    let failed = world.ended(&process, &begun).await;
    let failure = failed.failure.clone().unwrap();
    let text = "This environment can't be created because your org (tenant) needs at least 1 GB of database \
                capacity.";
    assert_eq!((failure.message.as_str(), failed.status_text.as_str()), (text, text));
    assert_eq!(
        (failure.kind(), failure.reason.as_str()),
        (FailureKind::Capacity, "CAPACITY_INSUFFICIENT")
    );
    assert_eq!(failure.stage(), Stage::Validating);
    let failing: Vec<_> =
        failure.prerequisites.iter().map(pb::PrerequisiteCheck::prerequisite).collect();
    let expected = [
        pb::Prerequisite::DatabaseCapacity,
        pb::Prerequisite::Governance,
        pb::Prerequisite::Licence,
        pb::Prerequisite::Deployed,
    ];
    assert_eq!(failing, expected);
    let check = pb::CheckPrerequisitesRequest {
        finance_and_operations_environment: ERP.into(),
        platform_environment: String::new(),
    };
    let answer = process.setup().check_prerequisites(world.ask(check)).await.unwrap().into_inner();
    assert_eq!(answer.checks.len(), 9);
    assert_eq!(answer.checks.iter().filter(|it| it.skipped).count(), 5);
    assert_eq!(answer.checks.iter().filter(|it| !it.passed && !it.skipped).count(), 4);
    // Each is mended in turn, and the next one is in the way.
    world.peers.kept().free = 10;
    for (mend, kind) in [
        (
            "UPDATE lifecycle.tenant_settings SET disable_environment_creation_by_non_admin_users = false",
            FailureKind::Licence,
        ),
        (
            "UPDATE lifecycle.finance_and_operations_environment SET state = 'deployed' WHERE id = 'contoso'",
            FailureKind::Licence,
        ),
    ] {
        world.run(mend).await;
        let resumed = world.resume(&process, &failed).await.unwrap();
        let failed = world.ended(&process, &resumed).await;
        assert_eq!(failed.failure.unwrap().kind(), kind);
    }
    world.peers.kept().licensed.insert(USER.into());
    let resumed = world.resume(&process, &failed).await.unwrap();
    linked_once(&world, &world.ended(&process, &resumed).await).await;
}

#[tokio::test]
async fn a_licence_that_is_lost_meanwhile_stops_a_resumed_setup() {
    let world = World::new().await;
    let process = world.start().await;
    world.peers.fail_at("configure/organization", Code::Unavailable, 4);
    let begun = world.begin(&process, new_setup()).await.unwrap();
    let failed = world.ended(&process, &begun).await;
    // No gigabyte is free any more, but this operation holds its own.
    {
        let kept = &mut *world.peers.kept();
        (kept.free, kept.licensed) = (0, Default::default());
    }
    let resumed = world.resume(&process, &failed).await.unwrap();
    let failed = world.ended(&process, &resumed).await;
    let failure = failed.failure.clone().unwrap();
    assert_eq!(failure.kind(), FailureKind::Licence);
    assert_eq!(failure.stage(), Stage::ConfiguringVirtualEntities);
    world.peers.kept().licensed.insert(USER.into());
    let resumed = world.resume(&process, &failed).await.unwrap();
    succeeded(&world.ended(&process, &resumed).await);
}

#[tokio::test]
async fn an_existing_environment_that_does_not_fit_is_refused_at_once() {
    let world = World::new().await;
    let process = world.start().await;
    let begin = || world.begin(&process, existing_setup());
    world.run("UPDATE lifecycle.platform_environment SET location = 'asia' WHERE host_name = 'existing'").await;
    refused(begin().await, Code::FailedPrecondition, ErrorReason::RegionUnsuitable);
    world.run("UPDATE lifecycle.platform_environment SET d365_apps_enabled = false").await;
    let status = refused(begin().await, Code::FailedPrecondition, ErrorReason::RequirementUnmet);
    // Both are told.
    assert!(
        status.message().contains("Enable D365 apps") && status.message().contains("Asia"),
        "{status:?}"
    );
    world.peers.kept().organizations.clear();
    let status = refused(begin().await, Code::FailedPrecondition, ErrorReason::RequirementUnmet);
    assert!(status.message().contains(role::SYSTEM_ADMINISTRATOR), "{status:?}");
    assert_eq!(world.count("SELECT count(*) FROM lifecycle.operation").await, 0);
}

#[tokio::test]
async fn what_is_not_confirmed_or_not_meant_to_be_linked_is_refused() {
    let world = World::new().await;
    let process = world.start().await;
    let begin = |request| world.begin(&process, request);
    let failed = Code::FailedPrecondition;
    let disagreed = pb::StartSetupRequest { agreed: false, ..new_setup() };
    refused(begin(disagreed).await, failed, ErrorReason::ConfirmationRequired);
    let other = pb::StartSetupRequest { confirmed_user_name: "Clerk".into(), ..new_setup() };
    let status = refused(begin(other).await, failed, ErrorReason::ConfirmationRequired);
    assert!(status.message().contains("`Mana Ger`"), "{status:?}");
    let none = pb::StartSetupRequest { template: String::new(), ..new_setup() };
    refused(begin(none).await, Code::InvalidArgument, ErrorReason::InvalidValue);
    let maps = "templates/standard-with-dual-write".to_owned();
    let richer = pb::StartSetupRequest { template: maps, ..existing_setup() };
    refused(begin(richer).await, Code::InvalidArgument, ErrorReason::InvalidValue);
    let template = "templates/project-operations".to_owned();
    let unlicensed = pb::StartSetupRequest { template, ..new_setup() };
    refused(begin(unlicensed).await, failed, ErrorReason::LicenceMissing);
    let devbox = pb::StartSetupRequest {
        finance_and_operations_environment: "financeAndOperationsEnvironments/devbox".into(),
        ..existing_setup()
    };
    refused(begin(devbox).await, failed, ErrorReason::RequirementUnmet);
    let unknown = pb::StartSetupRequest {
        finance_and_operations_environment: "financeAndOperationsEnvironments/nowhere".into(),
        ..new_setup()
    };
    refused(begin(unknown).await, Code::NotFound, ErrorReason::ResourceNotFound);
    assert_eq!(world.count("SELECT count(*) FROM lifecycle.operation").await, 0);
}

#[tokio::test]
async fn only_who_may_sees_and_does() {
    let world = World::new().await;
    world.peers.kept().users.insert("users/owner".into(), ("Ow Ner".into(), Vec::new()));
    let process = world.start().await;
    let request = pb::StartSetupRequest { confirmed_user_name: "Ow Ner".into(), ..new_setup() };
    for environment in [ERP, "financeAndOperationsEnvironments/nowhere"] {
        let erp = environment.to_owned();
        let request =
            pb::StartSetupRequest { finance_and_operations_environment: erp, ..request.clone() };
        let asked = world.ask_as("clerk", &[role::BASIC_USER], request);
        let outcome = process.setup().start_setup(asked).await;
        refused(outcome, Code::PermissionDenied, ErrorReason::PrivilegeDenied);
    }
    // The environment's own administrator may, without a role.
    let asked = world.ask_as("owner", &[role::BASIC_USER], request);
    let begun = process.setup().start_setup(asked).await.unwrap().into_inner().operation.unwrap();
    let failed = world.ended(&process, &begun).await;
    assert_eq!(failed.failure.unwrap().kind(), FailureKind::Licence);
    let get = || pb::GetOperationRequest { name: begun.name.clone() };
    let of_owner = world.ask_as("owner", &[role::BASIC_USER], get());
    assert!(process.operations().get_operation(of_owner).await.is_ok());
    let of_clerk = world.ask_as("clerk", &[role::BASIC_USER], get());
    let outcome = process.operations().get_operation(of_clerk).await;
    refused(outcome, Code::PermissionDenied, ErrorReason::PrivilegeDenied);
    for (name, expected) in [("owner", 1), ("clerk", 0)] {
        let list = world.ask_as(name, &[role::BASIC_USER], pb::ListOperationsRequest::default());
        let listed = process.operations().list_operations(list).await.unwrap().into_inner();
        assert_eq!(listed.operations.len(), expected, "{name}");
    }
    let settings = || pb::UpdateTenantSettingsRequest {
        tenant_settings: Some(pb::TenantSettings {
            country_code: "FR".into(),
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["country_code".into()] }),
        ..Default::default()
    };
    let outcome = process.setup().update_tenant_settings(world.ask(settings())).await;
    refused(outcome, Code::PermissionDenied, ErrorReason::PrivilegeDenied);
    let asked = world.ask_as("boss", &[role::GLOBAL_ADMINISTRATOR], settings());
    let updated = process.setup().update_tenant_settings(asked).await.unwrap().into_inner();
    assert_eq!(updated.tenant_settings.unwrap().country_code, "FR");
}

#[tokio::test]
async fn operations_are_listed_in_pages_and_etags_guard_them() {
    let world = World::new().await;
    let process = world.start().await;
    world.peers.kept().licensed.clear();
    let begun = world.begin(&process, new_setup()).await.unwrap();
    let fabrikam = pb::StartSetupRequest {
        finance_and_operations_environment: "financeAndOperationsEnvironments/fabrikam".into(),
        ..new_setup()
    };
    let other = world.begin(&process, fabrikam).await.unwrap();
    let failed = world.ended(&process, &begun).await;
    world.ended(&process, &other).await;
    let list = |page_token: &str, target: &str| {
        world.ask(pb::ListOperationsRequest {
            page_size: 1,
            page_token: page_token.into(),
            target: target.into(),
            states: vec![State::Failed.into()],
        })
    };
    let mut names = Vec::new();
    let mut token = String::new();
    loop {
        let page =
            process.operations().list_operations(list(&token, "")).await.unwrap().into_inner();
        names.extend(page.operations.into_iter().map(|it| it.name));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(names, [other.name.clone(), begun.name.clone()]);
    let of_erp = process.operations().list_operations(list("", ERP)).await.unwrap().into_inner();
    assert_eq!(of_erp.operations.len(), 1);
    let outcome = process.operations().list_operations(list("x", "")).await;
    refused(outcome, Code::InvalidArgument, ErrorReason::InvalidValue);
    let cancel = |etag: &str| {
        let (name, etag) = (begun.name.clone(), etag.to_owned());
        world.ask(pb::CancelOperationRequest { name, etag, idempotency_key: String::new() })
    };
    let outcome = process.operations().cancel_operation(cancel("0")).await;
    refused(outcome, Code::Aborted, ErrorReason::VersionMismatch);
    assert!(process.operations().cancel_operation(cancel(&failed.etag)).await.is_ok());
}

#[tokio::test]
async fn integration_details_are_of_the_environment_that_is_named() {
    let world = World::new().await;
    let process = world.start().await;
    let ask = |organization: &str| {
        let message = pb::RetrieveFinanceAndOperationsIntegrationDetailsRequest {};
        let mut request = world.ask_as("clerk", &[role::BASIC_USER], message);
        request.metadata_mut().insert("x-tombolo-organization", organization.parse().unwrap());
        request
    };
    let existing = "00000000-0000-0000-0000-0000000000b2";
    let details = |request| async {
        process.setup().retrieve_finance_and_operations_integration_details(request).await
    };
    let status =
        refused(details(ask(existing)).await, Code::FailedPrecondition, ErrorReason::NotLinked);
    assert_eq!(
        status.message(),
        "Dataverse instance isn't integrated with finance and operations."
    );
    refused(details(ask("x")).await, Code::InvalidArgument, ErrorReason::InvalidValue);
    let begun = world.begin(&process, existing_setup()).await.unwrap();
    succeeded(&world.ended(&process, &begun).await);
    let answer = details(ask(existing)).await.unwrap().into_inner();
    assert_eq!(answer.url, "https://contoso.operations.dynamics.com");
    assert_eq!(answer.tenant_id, "00000000-0000-0000-0000-00000000000f");
    assert_eq!(answer.id, "00000000-0000-0000-0000-0000000000f1");
}

#[tokio::test]
async fn halves_that_are_there_are_adopted_once() {
    let world = World::new().await;
    let process = world.start().await;
    let adoption = lifecycle::Adoption {
        finance_and_operations: lifecycle::FinanceAndOperationsHalf {
            id: "dev".into(),
            display_name: "Dev".into(),
            kind: pb::FinanceAndOperationsEnvironmentType::Sandbox,
            region: "westeurope".into(),
            url: "http://localhost/erp".into(),
            database: "erp".into(),
            administrator: "users/admin".into(),
        },
        platform: lifecycle::PlatformHalf {
            organization_id: uuid::Uuid::from_u128(7),
            display_name: "Dev".into(),
            kind: pb::PlatformEnvironmentType::Sandbox,
            host_name: "localhost".into(),
            url: "http://localhost".into(),
            location: "europe".into(),
            region: "westeurope".into(),
            database: "platform".into(),
            language: "en-us".into(),
            currency_code: "USD".into(),
        },
    };
    let (one, other) =
        tokio::join!(process.lifecycle.adopt(&adoption), process.lifecycle.adopt(&adoption));
    let adopted = one.unwrap();
    assert_eq!(adopted, other.unwrap());
    assert_eq!(adopted.finance_and_operations_environment, "financeAndOperationsEnvironments/dev");
    assert_eq!(adopted.link, None);
    let served = process.lifecycle.served("LocalHost").await.unwrap().unwrap();
    assert_eq!((served.database.as_str(), served.database_role.as_str()), ("platform", ""));
    assert_eq!((served.organization_id, served.erp_database), (uuid::Uuid::from_u128(7), None));
    assert_eq!(process.lifecycle.served("elsewhere").await.unwrap(), None);
    // Linked as any existing environment is.
    let administrators = [USER.to_owned()].into();
    let organization = peers::Organization { administrators, ..Default::default() };
    world.peers.kept().organizations.insert("platform".into(), organization);
    let request = pb::StartSetupRequest {
        finance_and_operations_environment: adopted.finance_and_operations_environment.clone(),
        platform_environment: adopted.platform_environment.clone(),
        ..existing_setup()
    };
    let begun = world.begin(&process, request).await.unwrap();
    succeeded(&world.ended(&process, &begun).await);
    let again = process.lifecycle.adopt(&adoption).await.unwrap();
    assert_eq!(again.link.as_deref(), Some("links/dev"));
    let served = process.lifecycle.served("localhost").await.unwrap().unwrap();
    assert_eq!(served.erp_database.as_deref(), Some("erp"));
}
