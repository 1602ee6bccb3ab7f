//! How large a save may be that is shared, and how long it may wait.

use std::cell::Cell;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;
use tests::batch::{Batch, Part, parts};

use super::world::{Case, SOON, World};

pub(super) const CASES: &[Case] = tests::cases![World:
    what_is_larger_than_a_message_goes_over,
    a_side_that_takes_longer_than_the_map_allows_fails_the_save,
];

/// How long the ERP takes to write a slow row.
const SLOW: Duration = Duration::from_secs(3);
const TRIGGER: &str = "
    CREATE FUNCTION erp.slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.memo LIKE 'slow%' THEN PERFORM pg_sleep(3); END IF; RETURN NEW; END $$;
    CREATE TRIGGER slow BEFORE UPDATE ON erp.custtable FOR EACH ROW EXECUTE FUNCTION erp.slow()";

async fn change(world: &World, accounts: &[String], body: &serde_json::Value) -> Result<()> {
    let part = |(at, account): (usize, &String)| {
        Part::patch(format!("accounts({account})"), body).id(&(at + 1).to_string())
    };
    let changes: Vec<_> = accounts.iter().enumerate().map(part).collect();
    let answer = Batch::default().change_set(changes).send(&world.web, &[]).await?;
    ensure!(parts(&answer)?.iter().all(|it| it.status == 204), "{answer:?}");
    Ok(())
}

async fn what_is_larger_than_a_message_goes_over(world: &World) -> Result<()> {
    const LENGTH: usize = 900_000;
    let numbers: Vec<String> = (0..40).map(|it| format!("DW-LARGE-{it}")).collect();
    let mut accounts = Vec::new();
    for number in &numbers {
        accounts.push(world.customer(number).await?);
    }
    let description = json!({ "description": "x".repeat(LENGTH) });
    for some in accounts.chunks(10) {
        change(world, some, &description).await?;
    }
    // All that the map has of a row goes along: 36 MB of them.
    change(world, &accounts, &json!({ "msdyn_namealias": "large" })).await?;
    for number in &numbers {
        let found = (
            world.in_erp(number, "p.namealias").await?,
            world.in_erp(number, "length(c.memo)").await?,
        );
        ensure!(found == ("large".to_owned(), LENGTH.to_string()), "{number}: {found:?}");
    }
    for account in accounts {
        world.web.delete(&format!("accounts({account})")).await?.expect(204)?;
    }
    Ok(())
}

async fn a_side_that_takes_longer_than_the_map_allows_fails_the_save(world: &World) -> Result<()> {
    let path = format!("accounts({})", world.customer("DW-SLOW").await?);
    world.erp.execute(TRIGGER).await?;
    let saves = Cell::new(0);
    let save = async || {
        let description = format!("slow {}", saves.replace(saves.get() + 1));
        world.web.patch(&path, &[("If-Match", "*")], json!({ "description": description })).await
    };
    world.set_patience(Some(1)).await?;
    // Gateways hear of it.
    tests::eventually(SOON, &save, |it| it.status == 504).await?;
    let before = world.both().await?;
    let started = Instant::now();
    let answer = save().await?;
    let took = started.elapsed();
    tests::assert_error(
        &answer,
        504,
        "0x80044151",
        "did not answer in time, and nothing was saved",
    )?;
    ensure!(took < SLOW, "{took:?}");
    world.unchanged(&before).await?;
    let prepared = world.platform.count("SELECT count(*) FROM pg_prepared_xacts").await?;
    ensure!(prepared == 0, "{prepared} transactions are prepared");
    world.set_patience(None).await?;
    tests::eventually(SOON, &save, |it| it.status == 204).await?;
    ensure!(world.in_erp("DW-SLOW", "c.memo").await?.starts_with("slow"));
    world.erp.execute("DROP TRIGGER slow ON erp.custtable; DROP FUNCTION erp.slow").await
}
