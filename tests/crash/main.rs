//! A system that is killed again and again while it writes to both databases at once. `KILLS` says
//! how often, `TOMBOLO_TEST_SEED` when and what.

#![allow(clippy::print_stdout)]

use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tests::crash::{Settings, run};

/// Every step once, and as many moments that nobody chose.
const KILLS: usize = 14;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    // cargo-nextest asks for a list first; to it, all of this is one test.
    if std::env::args().any(|it| it == "--list") {
        if !std::env::args().any(|it| it == "--ignored") {
            println!("crash: test");
        }
        return ExitCode::SUCCESS;
    }
    let number = |name: &str| std::env::var(name).ok().and_then(|it| it.parse::<u64>().ok());
    let clock = || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.map_or(1, |it| it.subsec_nanos().into())
    };
    let settings = Settings {
        kills: number("KILLS").and_then(|it| usize::try_from(it).ok()).unwrap_or(KILLS),
        seed: number("TOMBOLO_TEST_SEED").unwrap_or_else(clock),
    };
    println!("crash: TOMBOLO_TEST_SEED={}", settings.seed);
    let started = Instant::now();
    match Box::pin(run(settings)).await {
        // A system that is killed before it does anything proves nothing.
        Ok(outcome) if outcome.acknowledged < outcome.kills => {
            println!("FAILED  {outcome:?} shows little");
            ExitCode::FAILURE
        }
        Ok(outcome) => {
            println!("ok      {outcome} in {} s", started.elapsed().as_secs());
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("FAILED  {error:#}");
            ExitCode::FAILURE
        }
    }
}
