//! The ERP is away.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use proto::dual_write::v1::{MapState, ResumeMode, SyncMode};
use serde_json::json;

use super::world::{Case, MAP, SOON, World};

pub(super) const CASES: &[Case] = tests::cases![World:
    a_save_is_refused_and_is_on_neither_side,
    a_map_that_may_queue_takes_the_save,
];

/// A save that cannot be done is answered by then.
const REFUSED_WITHIN: Duration = Duration::from_secs(30);

async fn a_save_is_refused_and_is_on_neither_side(world: &World) -> Result<()> {
    let row = world.customer("DW-AWAY").await?;
    let before = world.both().await?;
    world.erp.stop().await?;
    let started = Instant::now();
    let path = format!("accounts({row})");
    let change = json!({ "description": "never" });
    let changed = world.web.patch(&path, &[("If-Match", "*")], change).await;
    let created = world.web.post("accounts", world.new_account("DW-AWAY-NEW")).await;
    let took = started.elapsed();
    world.erp.start().await?;
    for answer in [changed?, created?] {
        tests::assert_error(&answer, 503, "0x80048d0b", "does not answer, and nothing was saved")?;
    }
    ensure!(took < REFUSED_WITHIN, "{took:?}");
    world.unchanged(&before).await?;
    let prepared = world.platform.count("SELECT count(*) FROM pg_prepared_xacts").await?;
    ensure!(prepared == 0, "{prepared} transactions are prepared");
    // It goes on by itself.
    world.maps.reaches(MAP, MapState::Running, SOON).await?;
    let save = async || {
        let change = json!({ "description": "again" });
        world.web.patch(&path, &[("If-Match", "*")], change).await
    };
    tests::eventually(SOON, save, |it| it.status == 204).await?;
    ensure!(world.in_erp("DW-AWAY", "c.memo").await? == "again");
    Ok(())
}

async fn a_map_that_may_queue_takes_the_save(world: &World) -> Result<()> {
    let row = world.customer("DW-QUEUE").await?;
    world.set_mode(SyncMode::LiveOrQueue).await?;
    world.erp.stop().await?;
    let path = format!("accounts({row})");
    let change = json!({ "description": "queued" });
    let changed = world.web.patch(&path, &[("If-Match", "*")], change).await;
    let created = world.web.post("accounts", world.new_account("DW-QUEUE-NEW")).await;
    let state = world.maps.get(MAP).await?.state();
    world.erp.start().await?;
    world.set_mode(SyncMode::Live).await?;
    changed?.expect(204)?;
    created?.expect(204)?;
    ensure!(matches!(state, MapState::Pausing | MapState::Paused), "{state:?}");
    world.maps.reaches(MAP, MapState::Paused, SOON).await?;
    ensure!(world.on_platform("DW-QUEUE", "description").await? == "queued");
    ensure!(world.in_erp("DW-QUEUE", "c.memo").await?.is_empty());
    world.resume(ResumeMode::CatchUp).await?;
    world.both_have("DW-QUEUE", ("description", "c.memo"), "queued").await?;
    world.both_have("DW-QUEUE-NEW", ("name", "p.name"), "New").await
}
