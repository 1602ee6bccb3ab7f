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

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    // cargo-nextest asks for a list first; to it, all of this is one test.
    if std::env::args().any(|it| it == "--list") {
        if !std::env::args().any(|it| it == "--ignored") {
            println!("it: test");
        }
        return ExitCode::SUCCESS;
    }
    let mut runner = Runner::from_arguments();
    Box::pin(shared(&mut runner)).await;
    Box::pin(writing(&mut runner)).await;
    Box::pin(dual_write::run(&mut runner)).await;
    Box::pin(matrix::run(&mut runner)).await;
    Box::pin(portal::run(&mut runner)).await;
    Box::pin(lifecycle::run(&mut runner)).await;
    Box::pin(environments::run(&mut runner)).await;
    Box::pin(separate::run(&mut runner)).await;
    Box::pin(revocation::run(&mut runner)).await;
    Box::pin(tryton::run(&mut runner)).await;
    runner.finish()
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
