//! Measures what authorization adds to a warm call, in microseconds.

#![allow(clippy::print_stdout)]

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use hdrhistogram::Histogram;
use load_tests::authorization::measure;

/// Measures what knowing the caller and what it may do adds to a warm call; fails where that is more than
/// is allowed.
#[derive(Debug, Parser)]
struct Arguments {
    /// How long it is measured.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Microseconds at the median that are still good.
    #[arg(long, default_value_t = 20.0)]
    most: f64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let cost = measure(Duration::from_secs(arguments.seconds)).await?;
    let micros = |nanos: u64| nanos as f64 / 1_000.0;
    println!("\nmicroseconds; one thread, all parts in turns\n");
    println!("{:<44}{:>10}{:>10}", "", "p50", "p99");
    let row = |name: &str, of: &Histogram<u64>| {
        let at = |quantile| micros(of.value_at_quantile(quantile));
        println!("{name:<44}{:>10.2}{:>10.2}", at(0.5), at(0.99));
    };
    row("session of a bearer token", &cost.session);
    row("call of a service, with its gate", &cost.guarded);
    row("call of a service that is open", &cost.open);
    row("grant with a row policy and hidden fields", &cost.grant);
    let sum = micros(cost.nanoseconds());
    println!("{:<44}{sum:>10.2}", "authorization of a call");
    if sum < arguments.most {
        return Ok(ExitCode::SUCCESS);
    }
    println!("more than {} are too many", arguments.most);
    Ok(ExitCode::FAILURE)
}
