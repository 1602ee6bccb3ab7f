//! Clients that write on both sides while everything around them breaks, and a comparison of both sides
//! with what they were told. `FAULTS` says how many faults, `TOMBOLO_TEST_SEED` which, `VARIANT=broken` has
//! the ERP commit without its decision record, which must be noticed. `NETWORK=relay` does without network
//! namespaces.

#![allow(clippy::print_stdout)]

use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tests::dual_write::{Diverged, Settings, Variant, enter, run};

/// Most kinds of faults and some steps; other seeds have the others.
const FAULTS: usize = 16;
/// Within these, the broken variant is caught.
const FAULTS_OF_BROKEN: usize = 10;

fn main() -> ExitCode {
    // cargo-nextest asks for a list first.
    if std::env::args().any(|it| it == "--list") {
        if !std::env::args().any(|it| it == "--ignored") {
            println!("whole: test\nbroken: test");
        }
        return ExitCode::SUCCESS;
    }
    enter();
    check()
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn check() -> ExitCode {
    let asked = |name: &str| std::env::args().any(|it| it == name);
    let variant = match std::env::var("VARIANT").as_deref() {
        Ok("broken") => Variant::Broken,
        _ if asked("broken") => Variant::Broken,
        _ => Variant::Whole,
    };
    let number = |name: &str| std::env::var(name).ok().and_then(|it| it.parse::<u64>().ok());
    let clock = || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.map_or(1, |it| it.subsec_nanos().into())
    };
    let faults = number("FAULTS").and_then(|it| usize::try_from(it).ok());
    let settings = Settings {
        faults: match variant {
            Variant::Whole => faults.unwrap_or(FAULTS),
            Variant::Broken => FAULTS_OF_BROKEN,
        },
        seed: number("TOMBOLO_TEST_SEED").unwrap_or_else(clock),
        variant,
    };
    println!("dual-write-checker: {variant:?}, TOMBOLO_TEST_SEED={}", settings.seed);
    let started = Instant::now();
    let ended = Box::pin(run(settings)).await;
    let seconds = started.elapsed().as_secs();
    match (ended, variant) {
        // A system that is broken before it does anything proves nothing.
        (Ok(outcome), Variant::Whole) if outcome.acknowledged < outcome.faults => {
            println!("FAILED  {outcome:?} shows little");
            ExitCode::FAILURE
        }
        (Ok(outcome), Variant::Whole) => {
            println!("ok      {outcome} in {seconds} s");
            ExitCode::SUCCESS
        }
        (Err(error), Variant::Whole) => {
            println!("FAILED  {error:#}");
            ExitCode::FAILURE
        }
        (Ok(outcome), Variant::Broken) => {
            println!("FAILED  not noticed: {outcome} in {seconds} s");
            ExitCode::FAILURE
        }
        (Err(error), Variant::Broken) => match error.downcast_ref::<Diverged>() {
            Some(diverged) => {
                println!("ok      noticed in {seconds} s: {diverged}");
                ExitCode::SUCCESS
            }
            None => {
                println!("FAILED  for another reason: {error:#}");
                ExitCode::FAILURE
            }
        },
    }
}
