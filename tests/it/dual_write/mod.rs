//! Customers and accounts, kept the same: by saves on either side, behind Tombolo's back, over pauses,
//! failures and conflicts, and what administrators see of it. Each case makes rows of its own and leaves
//! the map running.

mod admin;
mod alerts;
mod behind;
mod conflicts;
mod down;
mod explain;
mod limits;
mod live;
mod pause;
mod reconcile;
mod related;
mod rights;
mod solutions;
mod world;

use tests::runner::Runner;

use self::world::World;

pub(crate) async fn run(runner: &mut Runner) {
    let suites: [&[world::Case]; 14] = [
        // Errors of the other cases count as well.
        alerts::CASES,
        live::CASES,
        rights::CASES,
        behind::CASES,
        admin::CASES,
        pause::CASES,
        related::CASES,
        conflicts::CASES,
        explain::CASES,
        reconcile::CASES,
        limits::CASES,
        down::CASES,
        solutions::CASES,
        reconcile::LAST,
    ];
    if !suites.iter().any(|it| runner.wants_any(it)) {
        return;
    }
    let start = Box::pin(World::start());
    let Some(world) = runner.world("dual_write::start", start).await else { return };
    for cases in suites {
        runner.run_all(&world, cases).await;
    }
    runner.run("dual_write::stops_cleanly", world.stop()).await;
}
