//! Reads and writes of users over two databases that differ only in what these may not see. `READS` says
//! how many, `TOMBOLO_TEST_SEED` which, `FAILURES` after how many different answers to stop (1).

#![allow(clippy::print_stdout)]

use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tests::non_interference::{Settings, run};

/// Every kind several times, few enough for every build.
const READS: usize = 600;
const PER_PAIR: usize = 1_000;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    // cargo-nextest asks for a list first; to it, all of this is one test.
    if std::env::args().any(|it| it == "--list") {
        if !std::env::args().any(|it| it == "--ignored") {
            println!("non_interference: test");
        }
        return ExitCode::SUCCESS;
    }
    let number = |name: &str| std::env::var(name).ok().and_then(|it| it.parse::<u64>().ok());
    let size = |name: &str| number(name).and_then(|it| usize::try_from(it).ok());
    let clock = || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.map_or(1, |it| it.subsec_nanos().into())
    };
    let settings = Settings {
        reads: size("READS").unwrap_or(READS),
        per_pair: PER_PAIR,
        seed: number("TOMBOLO_TEST_SEED").unwrap_or_else(clock),
        failures: size("FAILURES").unwrap_or(1),
    };
    println!("non_interference: TOMBOLO_TEST_SEED={}", settings.seed);
    let started = Instant::now();
    match Box::pin(run(settings)).await {
        // Two systems that refuse everything are alike.
        Ok(outcome) if outcome.succeeded * 5 < outcome.reads => {
            println!("FAILED  too little was there to be seen: {outcome}");
            ExitCode::FAILURE
        }
        Ok(outcome) if outcome.changed == 0 => {
            println!("FAILED  nothing was written: {outcome}");
            ExitCode::FAILURE
        }
        Ok(outcome) => {
            println!("ok      {outcome}; {} s", started.elapsed().as_secs());
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("FAILED  {error:#}");
            ExitCode::FAILURE
        }
    }
}
