//! Rules that pause a map which fails too often.

use anyhow::{Context as _, Result, ensure};
use proto::dual_write::v1 as pb;
use proto::dual_write::v1::alert_service_client::AlertServiceClient;
use serde_json::json;
use tests::dual_write::maps::timed;
use tests::tenant::{Access, access};

use super::world::{Case, MAP, SOON, World};

pub(super) const CASES: &[Case] = tests::cases![World:
    a_map_that_fails_too_often_is_paused_and_tries_by_itself,
];

const ERRORS: i32 = 3;

async fn a_map_that_fails_too_often_is_paused_and_tries_by_itself(world: &World) -> Result<()> {
    let mut alerts = AlertServiceClient::new(access(&world.system, "admin").await?);
    let account = world.customer("DW-ALERT").await?;
    let tried = Box::pin(fail_too_often(world, &mut alerts, &account)).await;
    // Whatever came of it, others are not to find it.
    let name = "alertRules/too-many-refused".to_owned();
    let request = pb::DeleteAlertRuleRequest { name, ..Default::default() };
    let _ = alerts.delete_alert_rule(timed(request)).await;
    if world.maps.get(MAP).await?.state() == pb::MapState::Paused {
        world.resume(pb::ResumeMode::SkipToLiveAndDiscard).await?;
    }
    tried
}

async fn fail_too_often(
    world: &World,
    alerts: &mut AlertServiceClient<Access>,
    account: &str,
) -> Result<()> {
    world.save(account, json!({ "msdyn_isonetimecustomer": true })).await?;
    let rule = pb::AlertRule {
        maps: vec![MAP.to_owned()],
        error_kinds: vec![pb::SyncErrorKind::Application.into()],
        error_count: ERRORS,
        window: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
        action: pb::AlertAction::Pause.into(),
        probe_delay: Some(prost_types::Duration { seconds: 5, nanos: 0 }),
        ..Default::default()
    };
    // Within the network, and not encrypted.
    let inside = pb::AlertRule { webhook_url: "http://127.0.0.1:9/".to_owned(), ..rule.clone() };
    let create = |rule| {
        let alert_rule_id = "too-many-refused".to_owned();
        let alert_rule = Some(rule);
        timed(pb::CreateAlertRuleRequest { alert_rule_id, alert_rule, ..Default::default() })
    };
    let refused = alerts.create_alert_rule(create(inside)).await.err().context("it was taken")?;
    ensure!(rpc::reason(&refused) == Some(rpc::ErrorReason::InvalidValue), "{refused:?}");
    alerts.create_alert_rule(create(rule)).await?;

    let path = format!("accounts({account})");
    for _ in 0..ERRORS {
        let credit = json!({ "creditlimit": 9 });
        let answer = world.web.patch(&path, &[("If-Match", "*")], credit).await?;
        // Also the last time: what the ERP says no to does not go into the queue.
        tests::assert_error(&answer, 400, "0x80040265", "gets no credit limit")?;
    }
    world.maps.reaches(MAP, pb::MapState::Paused, SOON).await?;
    let last = world.maps.get(MAP).await?.last_error.context("no error")?;
    ensure!(last.kind() == pb::SyncErrorKind::Application, "{last:#?}");
    ensure!(last.message.contains("A one-time customer gets no credit limit"), "{last:#?}");
    // Users go on, and what waits is tried.
    world.save(account, json!({ "description": "tried" })).await?;
    ensure!(world.in_erp("DW-ALERT", "c.memo").await?.is_empty(), "it is not paused");
    world.maps.reaches(MAP, pb::MapState::Running, SOON * 2).await?;
    world.both_have("DW-ALERT", ("description", "c.memo"), "tried").await?;

    let request = pb::ListAlertsRequest { parent: "alertRules/-".into(), ..Default::default() };
    let fired = alerts.list_alerts(timed(request)).await?.into_inner().alerts;
    let [alert] = fired.as_slice() else { anyhow::bail!("not one alert: {fired:#?}") };
    ensure!(alert.map == MAP && alert.error_count >= ERRORS, "{alert:#?}");
    ensure!(alert.action() == pb::AlertAction::Pause, "{alert:#?}");
    ensure!(alert.auto_resume_time.is_some(), "{alert:#?}");
    let listed = world.cli(&["alerts", "fired"]).await?;
    ensure!(listed.status.success() && listed.stdout.contains("too-many-refused"), "{listed:?}");
    Ok(())
}
