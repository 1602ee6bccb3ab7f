//! Every case, by the system it runs on. See the crate `tests` for how to run some of them.

#![allow(clippy::print_stdout)]

mod actions;
mod addressing;
mod apply;
mod background;
mod bad_input;
mod bad_writes;
mod batches;
mod catalog;
mod clients;
mod contention;
mod cost;
mod cross;
mod door;
mod dual_write;
mod environments;
mod expand;
mod fetch;
mod filters;
mod functions;
mod fuzz;
mod grpc;
mod injection;
mod keys;
mod lambda;
mod lifecycle;
mod matrix;
mod metadata;
mod msal;
mod native_writes;
mod once;
mod order;
mod outage;
mod paging;
mod portal;
mod reads;
mod revocation;
mod separate;
mod trace;
mod tryton;
mod users;
mod values;
mod versions;
mod world;
mod write_clients;
mod write_world;
mod writes;

use std::process::ExitCode;

use tests::runner::Runner;

use crate::world::World;

/// Each over systems of its own. To cargo-nextest each is one test; the longest come first.
const SUITES: [&str; 10] = [
    "shared",
    "writing",
    "dual_write",
    "tryton",
    "environments",
    "matrix",
    "separate",
    "revocation",
    "lifecycle",
    "portal",
];

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    // cargo-nextest asks for a list first, and then for one of it.
    if std::env::args().any(|it| it == "--list") {
        if !std::env::args().any(|it| it == "--ignored") {
            SUITES.iter().for_each(|it| println!("{it}: test"));
        }
        return ExitCode::SUCCESS;
    }
    let mut runner = Runner::from_arguments();
    for suite in SUITES.into_iter().filter(|it| is_wanted(it)) {
        Box::pin(run(suite, &mut runner)).await;
    }
    runner.finish()
}

/// All are, unless exactly one is asked for; what is within them the runner decides.
fn is_wanted(suite: &str) -> bool {
    let exact = std::env::args().any(|it| it == "--exact");
    !exact || std::env::args().skip(1).any(|it| it == suite)
}

async fn run(suite: &str, runner: &mut Runner) {
    match suite {
        "shared" => shared(runner).await,
        "writing" => writing(runner).await,
        "dual_write" => dual_write::run(runner).await,
        "tryton" => tryton::run(runner).await,
        "environments" => environments::run(runner).await,
        "matrix" => matrix::run(runner).await,
        "separate" => separate::run(runner).await,
        "revocation" => revocation::run(runner).await,
        "lifecycle" => lifecycle::run(runner).await,
        "portal" => portal::run(runner).await,
        unknown => runner.run(unknown, async { anyhow::bail!("no suite is called so") }).await,
    }
}

/// Cases over one system and one demo ERP. Those that change or stop something come last.
async fn shared(runner: &mut Runner) {
    let suites: [&[world::Case]; 25] = [
        reads::CASES,
        clients::CASES,
        keys::CASES,
        values::CASES,
        order::CASES,
        filters::CASES,
        lambda::CASES,
        expand::CASES,
        apply::CASES,
        addressing::CASES,
        functions::CASES,
        fetch::CASES,
        cross::CASES,
        users::CASES,
        door::CASES,
        bad_input::CASES,
        fuzz::CASES,
        grpc::CASES,
        trace::CASES,
        cost::CASES,
        paging::CASES,
        metadata::CASES,
        catalog::CASES,
        msal::CASES,
        outage::CASES,
    ];
    if !suites.iter().any(|it| runner.wants_any(it)) {
        return;
    }
    let Some(world) = runner.world("shared::start", Box::pin(World::start())).await else { return };
    for cases in suites {
        runner.run_all(&world, cases).await;
    }
    runner.run("shared::stops_cleanly", world.stop()).await;
}

/// Cases over a system and a demo ERP that are written to. Those that restart it come last.
async fn writing(runner: &mut Runner) {
    let suites: [&[write_world::Case]; 11] = [
        writes::CASES,
        native_writes::CASES,
        versions::CASES,
        bad_writes::CASES,
        batches::CASES,
        actions::CASES,
        write_clients::CASES,
        injection::CASES,
        contention::CASES,
        once::CASES,
        background::CASES,
    ];
    if !suites.iter().any(|it| runner.wants_any(it)) {
        return;
    }
    let start = Box::pin(write_world::World::start());
    let Some(world) = runner.world("writing::start", start).await else { return };
    for cases in suites {
        runner.run_all(&world, cases).await;
    }
    runner.run("writing::stops_cleanly", world.stop()).await;
}
