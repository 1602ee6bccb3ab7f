//! An ERP that is down, and back again.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tests::assert_error;
use tests::tables::CUSTOMERS;

use crate::world::{Case, World};

pub(crate) const CASES: &[Case] =
    tests::cases![World: an_erp_that_is_down_is_503_and_recovers_without_a_restart];

const TOLD_WITHIN: Duration = Duration::from_secs(10);
const BACK_WITHIN: Duration = Duration::from_secs(15);

async fn an_erp_that_is_down_is_503_and_recovers_without_a_restart(world: &World) -> Result<()> {
    let list = format!("{}?$top=1", CUSTOMERS.set);
    let row = world.admin.json(&list).await?;
    let id = row["value"][0][CUSTOMERS.id].as_str().context("no id")?.to_owned();
    let paths =
        [list.clone(), format!("{}({id})", CUSTOMERS.set), format!("{}/$count", CUSTOMERS.set)];

    for _ in 0..2 {
        world.erp.stop().await?;
        for path in &paths {
            let started = Instant::now();
            let answer = world.admin.get(path).await?;
            ensure!(started.elapsed() < TOLD_WITHIN, "{:?} for {path}", started.elapsed());
            assert_error(&answer, 503, "0x80048d0b", "finance and operations app")?;
            let seconds: u32 = answer.header("retry-after").parse().context("no Retry-After")?;
            ensure!((1..60).contains(&seconds), "{seconds}");
        }
        // What does not live in the ERP is not concerned.
        for path in
            ["", "systemusers?$top=1", "mserp_financeandoperationsentities?$top=1", "WhoAmI"]
        {
            let answer = world.admin.get(path).await?;
            ensure!(answer.status == 200, "{answer:?}");
        }
        world.erp.start().await?;
        for path in &paths {
            world.admin.eventually(path, BACK_WITHIN, |it| it.status == 200).await?;
        }
    }
    Ok(())
}
