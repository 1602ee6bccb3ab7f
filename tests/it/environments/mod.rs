//! Environments, their links, what they need and what they may use, end to end: one system that begins
//! without a link, by its public gRPC, its Web API and the command line.

mod capacity;
mod export;
mod link;
mod prerequisites;
mod races;
mod rules;
mod served;
mod world;

use tests::runner::Runner;

use world::{Case, World};

pub(crate) async fn run(runner: &mut Runner) {
    let suites: [&[Case]; 7] = [
        link::CASES,
        prerequisites::CASES,
        races::CASES,
        rules::CASES,
        served::CASES,
        export::CASES,
        capacity::CASES,
    ];
    if !suites.iter().any(|it| runner.wants_any(it)) {
        return;
    }
    let start = Box::pin(World::start());
    let Some(world) = runner.world("environments::start", start).await else { return };
    for cases in suites {
        runner.run_all(&world, cases).await;
    }
    runner.run("environments::stops_cleanly", world.stop()).await;
}
