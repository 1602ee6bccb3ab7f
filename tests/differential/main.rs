//! Random queries against an independent evaluator. `QUERIES` says how many, `TOMBOLO_TEST_SEED`
//! which, `DIALECT` (`odata` or `fetch`) in which words, `FAILURES` after how many wrong answers to stop (1).

#![allow(clippy::print_stdout)]

use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tests::differential::{Dialect, Settings, run};

/// Enough to meet every kind of query many times, few enough for every build.
const QUERIES: usize = 10_000;
const PER_SCHEMA: usize = 2_500;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    // cargo-nextest asks for a list first; to it, all of this is one test.
    if std::env::args().any(|it| it == "--list") {
        if !std::env::args().any(|it| it == "--ignored") {
            println!("differential: test");
        }
        return ExitCode::SUCCESS;
    }
    let number = |name: &str| std::env::var(name).ok().and_then(|it| it.parse::<u64>().ok());
    let clock = || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.map_or(1, |it| it.subsec_nanos().into())
    };
    let queries = number("QUERIES").and_then(|it| usize::try_from(it).ok());
    let settings = Settings {
        queries: queries.unwrap_or(QUERIES),
        per_schema: PER_SCHEMA,
        seed: number("TOMBOLO_TEST_SEED").unwrap_or_else(clock),
        only: match std::env::var("DIALECT").as_deref() {
            Ok("odata") => Some(Dialect::OData),
            Ok("fetch") => Some(Dialect::Fetch),
            _ => None,
        },
        failures: number("FAILURES").and_then(|it| usize::try_from(it).ok()).unwrap_or(1),
    };
    println!("differential: TOMBOLO_TEST_SEED={}", settings.seed);
    let started = Instant::now();
    match Box::pin(run(settings)).await {
        // Queries that find nothing show little.
        Ok(outcome) if outcome.with_rows * 2 < outcome.queries => {
            println!("FAILED  only {} of {} found rows", outcome.with_rows, outcome.queries);
            ExitCode::FAILURE
        }
        Ok(outcome) => {
            let (queries, schemas) = (outcome.queries, outcome.schemas);
            let seconds = started.elapsed().as_secs();
            println!("ok      {queries} queries of {schemas} schemas in {seconds} s");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("FAILED  {error:#}");
            ExitCode::FAILURE
        }
    }
}
