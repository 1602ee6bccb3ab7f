//! Both sides changed a row while the map waited.

use anyhow::{Result, ensure};
use proto::dual_write::v1::{ResumeMode, SyncError, SyncErrorKind};
use serde_json::json;

use super::world::{Case, SOON, World, until};

pub(super) const CASES: &[Case] = tests::cases![World:
    of_the_same_column_the_primary_side_wins_and_others_merge,
];

async fn of_the_same_column_the_primary_side_wins_and_others_merge(world: &World) -> Result<()> {
    let number = "DW-CONFLICT";
    let account = world.customer(number).await?;
    world.pause().await?;
    let here = json!({ "msdyn_taxexemptnumber": "PLATFORM", "msdyn_creditrating": "here" });
    world.save(&account, here).await?;
    world.screen(number, "vatnum = 'ERP', memo = 'there'").await?;
    world.resume(ResumeMode::CatchUp).await?;
    world.both_have(number, ("msdyn_taxexemptnumber", "c.vatnum"), "PLATFORM").await?;
    world.both_have(number, ("msdyn_creditrating", "c.creditrating"), "here").await?;
    world.both_have(number, ("description", "c.memo"), "there").await?;
    let conflicts = async || {
        let failed = world.failed(number).await?.into_iter();
        let of_kind = failed
            .filter(|it| it.error.as_ref().map(SyncError::kind) == Some(SyncErrorKind::Conflict));
        anyhow::Ok(of_kind.collect::<Vec<_>>())
    };
    until(SOON, async || {
        let found = conflicts().await?;
        Ok((!found.is_empty(), format!("{found:#?}")))
    })
    .await?;
    let found = conflicts().await?;
    ensure!(found.len() == 1, "{found:#?}");
    let told = format!("{found:?}");
    ensure!(!found[0].winner.is_empty(), "{found:#?}");
    ensure!(told.contains("\"PLATFORM\"") && told.contains("\"ERP\""), "{found:#?}");
    // What was merged is no conflict.
    ensure!(!told.contains("\"there\"") || found[0].winner.len() == 1, "{found:#?}");
    Ok(())
}
