//! What is changed behind Tombolo's back.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::world::{Case, SOON, World, until};

pub(super) const CASES: &[Case] = tests::cases![World:
    what_the_erps_screens_write_is_on_the_platform_within_a_second,
    what_is_deleted_in_the_erp_is_deleted_on_the_platform,
    what_is_written_in_the_platforms_database_is_in_the_erp,
];

const CHANGES: usize = 20;
/// A second is promised; a machine that runs other tests gets another.
const MEDIAN: Duration = Duration::from_secs(2);

async fn what_the_erps_screens_write_is_on_the_platform_within_a_second(
    world: &World,
) -> Result<()> {
    world.customer("DW-SCREEN").await?;
    let mut took = Vec::with_capacity(CHANGES);
    for number in 0..CHANGES {
        let text = format!("screen {number}");
        world.screen("DW-SCREEN", &format!("memo = '{text}'")).await?;
        let started = Instant::now();
        until(SOON, async || {
            let found = world.on_platform("DW-SCREEN", "description").await?;
            Ok((found == text, found))
        })
        .await?;
        took.push(started.elapsed());
    }
    took.sort();
    let median = took[CHANGES / 2];
    println!("        of {CHANGES} changes: median {median:?}, longest {:?}", took[CHANGES - 1]);
    ensure!(median < MEDIAN, "{took:?}");
    Ok(())
}

async fn what_is_deleted_in_the_erp_is_deleted_on_the_platform(world: &World) -> Result<()> {
    world.customer("DW-GONE").await?;
    let sql = "DELETE FROM erp.custtable WHERE dataareaid = 'USMF' AND accountnum = 'DW-GONE'";
    world.erp.execute(sql).await?;
    until(SOON, async || {
        let found = world.on_platform("DW-GONE", "accountnumber").await?;
        Ok((found.is_empty(), found))
    })
    .await
    .map(drop)
}

async fn what_is_written_in_the_platforms_database_is_in_the_erp(world: &World) -> Result<()> {
    world.customer("DW-BEHIND").await?;
    let sql = "UPDATE organization.account SET description = 'by hand'
        WHERE accountnumber = 'DW-BEHIND'";
    world.platform.execute(sql).await?;
    world.both_have("DW-BEHIND", ("description", "c.memo"), "by hand").await
}
