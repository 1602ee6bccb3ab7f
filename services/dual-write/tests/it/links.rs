//! The link: its rules, its companies, and linking anew.

use proto::dual_write::v1::{self as pb, MapState};
use rpc::{ErrorReason, role};
use tonic::Status;

use crate::cases::{Databases, cases};
use crate::fakes::text;
use crate::world::{GROUPS, Running, World, reason};

cases! { async |_| () =>
    a_link_has_rules,
    companies_come_and_go,
    a_reset_forgets_all,
    checks_say_what_is_wrong,
    teams_that_own_rows_have_roles,
    a_table_that_is_not_captured_is_named,
}

async fn link(
    world: &World,
    running: &Running,
    companies: &[&str],
    consent: bool,
) -> Result<pb::CreateLinkResponse, Status> {
    let companies = companies.iter().map(|it| (*it).to_owned()).collect();
    let link = Some(pb::Link { companies, ..Default::default() });
    let request = pb::CreateLinkRequest { link, consent, ..Default::default() };
    running.links().create_link(world.admin(request)).await.map(tonic::Response::into_inner)
}

async fn set_companies(
    world: &World,
    running: &Running,
    companies: &[&str],
) -> Result<pb::UpdateLinkResponse, Status> {
    let companies = companies.iter().map(|it| (*it).to_owned()).collect();
    let request = pb::UpdateLinkRequest {
        link: Some(pb::Link { companies, ..Default::default() }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["companies".into()] }),
        ..Default::default()
    };
    running.links().update_link(world.admin(request)).await.map(tonic::Response::into_inner)
}

async fn a_link_has_rules(databases: &Databases) {
    let world = World::new(databases).await;
    let running = world.start().await;
    let request = world.admin(pb::GetLinkRequest {});
    assert_eq!(reason(running.links().get_link(request).await), ErrorReason::NotLinked);
    let request = world.request(pb::GetLinkRequest {}, &[role::BASIC_USER]);
    assert_eq!(reason(running.links().get_link(request).await), ErrorReason::PrivilegeDenied);
    for bad in [&["USMF", "usmf"][..], &["USMF", " "]] {
        let status = link(&world, &running, bad, true).await.unwrap_err();
        assert_eq!(
            status.message(),
            "Saving connection set failed! An item with the same key has already been added."
        );
    }
    let refused = link(&world, &running, &["USMF"], false).await;
    assert_eq!(reason(refused), ErrorReason::ConfirmationRequired);
    world
        .until(async || match link(&world, &running, &["USMF", "XXXX"], true).await {
            Err(status) => status.message().contains("[DWFOEV1003]"),
            Ok(_) => panic!("a company that is nowhere was linked"),
        })
        .await;
    link(&world, &running, &["USMF"], true).await.unwrap();
    let refused = link(&world, &running, &["USMF"], true).await;
    assert_eq!(reason(refused), ErrorReason::AlreadyLinked);
}

async fn companies_come_and_go(databases: &Databases) {
    let world = World::new(databases).await;
    let running = world.linked().await;
    world.go_live(&running, &[GROUPS]).await.unwrap();
    let answer = set_companies(&world, &running, &["USMF"]).await.unwrap();
    assert!(answer.initial_syncs.is_empty());
    assert_eq!(world.erp.map(GROUPS).unwrap().companies, ["USMF"]);
    world.pause(&running, &[GROUPS]).await.unwrap();
    world.add_company("GBSI");
    let refused = set_companies(&world, &running, &["GBSI"]).await;
    assert_eq!(reason(refused), ErrorReason::InvalidState);
    let answer = set_companies(&world, &running, &["USMF", "GBSI"]).await.unwrap();
    assert_eq!(answer.initial_syncs.len(), 1);
    assert_eq!(answer.link.unwrap().companies, ["USMF", "GBSI"]);
}

async fn a_reset_forgets_all(databases: &Databases) {
    let world = World::new(databases).await;
    let running = world.linked().await;
    world.go_live(&running, &[GROUPS]).await.unwrap();
    let request = |acknowledged, force| {
        let companies = vec!["USMF".to_owned()];
        world.admin(pb::ResetLinkRequest { companies, acknowledged, force, ..Default::default() })
    };
    let refused = running.links().reset_link(request(false, true)).await;
    assert_eq!(reason(refused), ErrorReason::ConfirmationRequired);
    let refused = running.links().reset_link(request(true, false)).await;
    assert_eq!(reason(refused), ErrorReason::InvalidState);
    assert_eq!(world.state(&running, GROUPS).await, MapState::Running);
    let answer = running.links().reset_link(request(true, true)).await.unwrap().into_inner();
    assert_eq!(answer.link.unwrap().companies, ["USMF"]);
    let listed = running.maps().list_maps(world.admin(pb::ListMapsRequest::default())).await;
    assert!(listed.unwrap().into_inner().maps.is_empty());
    world
        .until(async || world.erp.map(GROUPS).is_none() && world.platform.map(GROUPS).is_none())
        .await;
}

async fn checks_say_what_is_wrong(databases: &Databases) {
    let world = World::new(databases).await;
    let running = world.linked().await;
    let failing = async || {
        let request = world.admin(pb::RunHealthChecksRequest {});
        let checks = running.links().run_health_checks(request).await.unwrap().into_inner();
        let failing = checks.health_checks.into_iter().filter(|it| !it.passed);
        failing.map(|it| (it.code, it.subjects)).collect::<Vec<_>>()
    };
    assert!(failing().await.is_empty());
    let poor = world.platform.put("cdm_company", &[("cdm_companycode", text("POOR"))]);
    world.erp.put("CompanyInfoEntity", &[("LegalEntityId", text("POOR"))]);
    let refused = set_companies(&world, &running, &["POOR"]).await;
    let message = refused.as_ref().unwrap_err().message().to_owned();
    assert!(message.contains("[DWDVEV1007]") && message.contains("POOR"), "{message}");
    assert_eq!(reason(refused), ErrorReason::HealthCheckFailed);
    let _ = poor;
    let ours = world.erp.told(GROUPS);
    assert!(ours.is_empty(), "nothing was configured");
    let stale = proto::query::v1::MapSide { map: "maps/gone".into(), ..Default::default() };
    world.erp.plant(stale);
    assert_eq!(failing().await, [("DWFOEV1004".to_owned(), vec!["maps/gone".to_owned()])]);
    world.platform.set_away(true);
    assert!(failing().await.iter().any(|it| it.0 == "DWDVEV1001"));
}

async fn teams_that_own_rows_have_roles(databases: &Databases) {
    let world = World::new(databases).await;
    let running = world.linked().await;
    let check = async || {
        let request = world.admin(pb::RunHealthChecksRequest {});
        let checks = running.links().run_health_checks(request).await.unwrap().into_inner();
        let checks = checks.health_checks.into_iter();
        checks.into_iter().find(|it| it.code == "DWDVEV1007").unwrap()
    };
    assert!(check().await.passed);
    let team = |name: &str, column: &'static str, lacks: &str| {
        world
            .platform
            .put("tombolo_teamgap", &[("tombolo_name", text(name)), (column, text(lacks))])
    };
    team("Somebody else", "tombolo_missingroles", "Dual-write app user");
    let usmf = team("USMF Dual Write", "tombolo_unreadtables", "account, msdyn_customergroup");
    assert!(check().await.passed, "nothing of it is mapped yet");
    let refused = world.go_live(&running, &[GROUPS]).await;
    let message = refused.as_ref().unwrap_err().message().to_owned();
    assert_eq!(reason(refused), ErrorReason::HealthCheckFailed);
    assert!(message.contains("USMF Dual Write") && message.contains("customergroup"), "{message}");
    assert!(!message.contains("account"), "{message}");

    let readable = [("tombolo_unreadtables", text("account"))];
    world.platform.change("tombolo_teamgap", usmf, &readable);
    world.go_live(&running, &[GROUPS]).await.unwrap();
    assert!(check().await.passed);
    let role = [("tombolo_missingroles", text("Dual-write runtime user"))];
    world.platform.change("tombolo_teamgap", usmf, &role);
    let failed = check().await;
    assert!(!failed.passed && failed.message.contains("Dual-write runtime user"), "{failed:?}");
    assert_eq!(failed.subjects, ["USMF"]);
    assert!(failed.help.contains("roles"), "{failed:?}");
}

async fn a_table_that_is_not_captured_is_named(databases: &Databases) {
    let world = World::new(databases).await;
    let running = world.linked().await;
    let gap = proto::query::v1::CaptureGap {
        table: "erp.custgroup".into(),
        reason: "trigger tombolo_capture is disabled".into(),
    };
    world.erp.let_escape(vec![gap]);
    let request = world.admin(pb::RunHealthChecksRequest {});
    let checks = running.links().run_health_checks(request).await.unwrap().into_inner();
    let failed: Vec<_> = checks.health_checks.iter().filter(|it| !it.passed).collect();
    let [check] = failed.as_slice() else { panic!("{failed:#?}") };
    assert_eq!((check.code.as_str(), check.side()), ("TMBL2001", pb::Side::FinanceAndOperations));
    assert_eq!(check.subjects, ["erp.custgroup"]);
    assert!(check.message.contains("trigger tombolo_capture is disabled"), "{check:?}");
    assert!(check.help.contains("ENABLE ALWAYS TRIGGER"), "{check:?}");
    // Whoever starts a map waits for its capture anyway.
    world.go_live(&running, &[GROUPS]).await.unwrap();
}
