//! Measures what live sync adds to a save, over the two local commits that it needs.

#![allow(clippy::print_stdout)]

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use load_tests::dual_write::live::{self, ERP_SQL, PLATFORM_SQL, Pair, Times, Way, micros};
use load_tests::dual_write::steps;
use tests::collector::Collector;

/// Measures what live sync adds to a save: the same save in two systems that are alike but for the map, which is
/// live in one and stopped in the other, and the two local commits, in turns. Fails where it adds more than
/// is allowed. TOMBOLO_BIN says which `tombolo` runs.
#[derive(Debug, Parser)]
struct Arguments {
    /// Customers of each ERP.
    #[arg(long, default_value_t = 1_000)]
    customers: u64,
    /// How long each way of saving is repeated.
    #[arg(long, default_value_t = 20)]
    seconds_per_case: u64,
    /// Local commits that live sync may add at the median, both counting as one.
    #[arg(long, default_value_t = 2.0)]
    most: f64,
    /// Show instead where the time of so many live saves goes. Tracing costs time too.
    #[arg(long)]
    steps: Option<usize>,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    if let Some(saves) = arguments.steps {
        show_steps(arguments.customers, saves).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let duration = Duration::from_secs(arguments.seconds_per_case);
    let mut pair = Pair::start(arguments.customers).await?;
    explain(pair.durability());
    let mut good = true;
    for way in Way::ALL {
        let times = pair.measure(way, duration).await?;
        show(way, &times);
        good &= times.ratio(0.5) <= arguments.most;
    }
    pair.stop().await?;
    if good {
        return Ok(ExitCode::SUCCESS);
    }
    println!("more than {} are too many", arguments.most);
    Ok(ExitCode::FAILURE)
}

fn explain(durability: &str) {
    println!("\nmicroseconds; one client, all three in turns, PATCH of one text column over HTTP");
    println!("live: the map is live; unmapped: a like system, its map stopped");
    println!(
        "local commits: BEGIN, UPDATE, COMMIT by sqlx in each of the two databases of the latter:"
    );
    println!("  {ERP_SQL}\n  {PLATFORM_SQL}");
    println!("ratio: (live - unmapped) / local commits, each at that quantile");
    println!("{durability}\n");
    print!("{:<32}{:>8}", "", "turns");
    for head in ["live p50", "p99", "unmapped p50", "p99", "local p50", "p99", "ratio p50", "p99"] {
        print!("{head:>13}");
    }
    println!();
}

fn show(way: Way, times: &Times) {
    print!("{:<32}{:>8}", way.name(), times.live.len());
    for of in [&times.live, &times.unmapped, &times.local] {
        print!("{:>13.0}{:>13.0}", micros(of, 0.5), micros(of, 0.99));
    }
    println!("{:>13.2}{:>13.2}", times.ratio(0.5), times.ratio(0.99));
}

async fn show_steps(customers: u64, saves: usize) -> Result<()> {
    let collector = Collector::start().await?;
    let (world, live) = live::traced(customers, &collector.endpoint()).await?;
    let rows = live::rows(&world).await?;
    for way in Way::ALL {
        println!("\n{}, {saves} saves, in the order in which steps begin\n", way.name());
        println!("{:>10}{:>10}{:>10}  microseconds of a save", "begins", "takes", "times");
        for step in steps::measure(&live, &collector, &rows, way, saves).await? {
            println!(
                "{:>10.0}{:>10.0}{:>10.2}  {}",
                step.begins, step.takes, step.times, step.name
            );
        }
    }
    live.system.stop().await?;
    world.stop().await
}
