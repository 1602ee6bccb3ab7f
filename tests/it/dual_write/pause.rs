//! A map that waits, and the three ways on.

use anyhow::{Context as _, Result, ensure};
use proto::dual_write::v1::{FailedChangeOrigin, ResumeMode, RetryState, RetrySyncErrorsRequest};
use serde_json::json;
use tests::dual_write::maps::timed;

use super::world::{Case, MAP, SOON, World, until};

pub(super) const CASES: &[Case] = tests::cases![World:
    every_version_is_replayed_in_order,
    what_the_erp_makes_of_a_row_that_waited_comes_back,
    the_queue_may_be_kept_for_later,
    the_queue_may_be_given_up,
];

const NAMES: [&str; 3] = ["NameA", "NameB", "NameC"];

async fn every_version_is_replayed_in_order(world: &World) -> Result<()> {
    world.customer("DW-NAMES").await?;
    world.pause().await?;
    for name in NAMES {
        world.save_customer("DW-NAMES", json!({ "mserp_organizationname": name })).await?;
    }
    ensure!(world.on_platform("DW-NAMES", "name").await? == "New", "it did not wait");
    let queue = world.queue().await?;
    ensure!(queue.total_count == 3 && queue.changes.len() == 3, "{queue:#?}");
    let positions: Vec<_> = queue.changes.iter().map(|it| it.position).collect();
    ensure!(positions.is_sorted(), "{positions:?}");
    let listed = world.cli(&["queue", "customers-v3-accounts"]).await?;
    ensure!(listed.status.success(), "{listed:?}");
    let lines = listed.stdout.lines().filter(|it| it.contains("DW-NAMES")).count();
    ensure!(lines == 3, "{}", listed.stdout);

    world.resume(ResumeMode::CatchUp).await?;
    world.both_have("DW-NAMES", ("name", "p.name"), "NameC").await?;
    let sql = "SELECT new->>'name' FROM tombolo.change_log WHERE relation LIKE '%account%'
        AND new->>'name' LIKE 'Name_' ORDER BY seq";
    let mut connection = world.platform.connect().await?;
    let seen: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut connection).await?;
    ensure!(seen == NAMES, "{seen:?}");
    ensure!(world.queue().await?.total_count == 0);
    Ok(())
}

async fn the_queue_may_be_kept_for_later(world: &World) -> Result<()> {
    let account = world.customer("DW-KEPT").await?;
    world.pause().await?;
    world.save(&account, json!({ "description": "kept" })).await?;
    world.resume(ResumeMode::SkipToLiveAndPreserve).await?;
    ensure!(world.in_erp("DW-KEPT", "c.memo").await?.is_empty(), "it went over");
    let kept = until(SOON, async || {
        let failed = world.failed("DW-KEPT").await?;
        Ok((failed.len() == 1, format!("{failed:#?}")))
    });
    kept.await?;
    let failed = world.failed("DW-KEPT").await?;
    ensure!(failed[0].origin() == FailedChangeOrigin::CatchUp, "{failed:#?}");
    ensure!(world.maps.get(MAP).await?.counters.unwrap_or_default().catch_up_error_count > 0);

    let names = vec![failed[0].name.clone()];
    let request = RetrySyncErrorsRequest { parent: MAP.to_owned(), names, ..Default::default() };
    let retried = world.maps.errors().retry_sync_errors(timed(request)).await?.into_inner();
    ensure!(retried.queued_count == 1, "{retried:?}");
    world.both_have("DW-KEPT", ("description", "c.memo"), "kept").await?;
    until(SOON, async || {
        let failed = world.failed("DW-KEPT").await?;
        let done = failed.iter().all(|it| it.retry_state() == RetryState::Completed);
        Ok((done, format!("{failed:#?}")))
    })
    .await
    .map(drop)
}

/// Currency and alias are the ERP's own to fill.
async fn what_the_erp_makes_of_a_row_that_waited_comes_back(world: &World) -> Result<()> {
    let number = "DW-DEFAULTS";
    world.pause().await?;
    let created = world.web.post("accounts", world.new_account(number)).await;
    world.resume(ResumeMode::CatchUp).await?;
    created?.expect(204)?;
    let currency = "(SELECT it.isocurrencycode FROM organization.transactioncurrency it
        WHERE it.transactioncurrencyid = account.transactioncurrencyid)";
    let followed = async {
        world.both_have(number, (currency, "c.currency"), "USD").await?;
        world.both_have(number, ("msdyn_namealias", "p.namealias"), "New").await
    };
    match followed.await {
        Ok(()) => Ok(()),
        Err(error) => Err(error.context(format!("{:#?}", world.failed(number).await?))),
    }
}

async fn the_queue_may_be_given_up(world: &World) -> Result<()> {
    let account = world.customer("DW-GIVEN-UP").await?;
    world.customer("DW-GIVEN-UP-2").await?;
    world.pause().await?;
    world.save(&account, json!({ "description": "given up" })).await?;
    let refused = world.maps.resume(MAP, ResumeMode::SkipToLiveAndDiscard).await;
    let reason = refused.err().and_then(|it| rpc::reason(&it));
    ensure!(reason == Some(rpc::ErrorReason::ConfirmationRequired), "{reason:?}");

    world.resume(ResumeMode::SkipToLiveAndDiscard).await?;
    // What the other row was given meanwhile went over by then, had it not been given up.
    world.screen("DW-GIVEN-UP-2", "memo = 'after'").await?;
    world.both_have("DW-GIVEN-UP-2", ("description", "c.memo"), "after").await?;
    ensure!(world.in_erp("DW-GIVEN-UP", "c.memo").await?.is_empty(), "it went over");
    ensure!(world.failed("DW-GIVEN-UP").await?.is_empty());
    let discarded = world.activities("QueueDiscarded").await?;
    let newest = discarded.first().context("nothing was thrown away")?;
    ensure!(newest.message.contains("Records: 1 (0 of the ERP, 1 of the platform)"), "{newest:#?}");
    ensure!(newest.actor == "users/admin", "{newest:#?}");
    // The next save brings the whole row.
    world.save(&account, json!({ "msdyn_namealias": "whole" })).await?;
    world.both_have("DW-GIVEN-UP", ("description", "c.memo"), "given up").await
}
