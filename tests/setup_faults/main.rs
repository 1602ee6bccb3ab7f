//! A system that is killed again and again while it sets environments up. `KILLS` says how often,
//! `TOMBOLO_TEST_SEED` when and what.

#![allow(clippy::print_stdout)]

use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tests::setup_faults::{Settings, run};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    // cargo-nextest asks for a list first; to it, all of this is one test.
    if std::env::args().any(|it| it == "--list") {
        if !std::env::args().any(|it| it == "--ignored") {
            println!("setup_faults: test");
        }
        return ExitCode::SUCCESS;
    }
    let number = |name: &str| std::env::var(name).ok().and_then(|it| it.parse::<u64>().ok());
    let clock = || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.map_or(1, |it| it.subsec_nanos().into())
    };
    let settings = Settings {
        kills: number("KILLS").and_then(|it| usize::try_from(it).ok()),
        seed: number("TOMBOLO_TEST_SEED").unwrap_or_else(clock),
    };
    println!("setup_faults: TOMBOLO_TEST_SEED={}", settings.seed);
    let started = Instant::now();
    match Box::pin(run(settings)).await {
        Ok(outcome) => {
            println!("{outcome}ok      in {} s", started.elapsed().as_secs());
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("FAILED  {error:#}");
            ExitCode::FAILURE
        }
    }
}
