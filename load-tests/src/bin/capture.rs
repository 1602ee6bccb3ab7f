//! Measures what capturing changes costs who writes, as a ratio.

#![allow(clippy::print_stdout)]

use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use load_tests::capture::{WRITES, measure, prepare};
use tests::Erp;

/// Measures what capturing changes costs who writes: the same writes on two tables that are alike but
/// for it, in a PostgreSQL of its own.
#[derive(Debug, Parser)]
struct Arguments {
    /// How long each write is repeated.
    #[arg(long, default_value_t = 10)]
    seconds_per_case: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let duration = Duration::from_secs(Arguments::parse().seconds_per_case);
    let erp = Erp::demo(20_000).await?;
    let mut connection = erp.connect().await?;
    prepare(&mut connection).await?;
    println!("microseconds; one connection, both tables in turns\n");
    println!("{:<20}{:>10}{:>14}{:>16}{:>10}", "", "pairs", "plain p50", "captured p50", "ratio");
    for write in WRITES {
        let cost = measure(&mut connection, write, duration).await?;
        let micros = |nanos: u64| nanos as f64 / 1_000.0;
        println!(
            "{:<20}{:>10}{:>14.0}{:>16.0}{:>10.2}",
            cost.name,
            cost.plain.len(),
            micros(cost.plain.value_at_quantile(0.5)),
            micros(cost.captured.value_at_quantile(0.5)),
            cost.ratio(),
        );
    }
    drop(connection);
    erp.stop().await
}
