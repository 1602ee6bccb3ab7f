//! Measures how fast and in how much memory rows are copied before a map goes live.

#![allow(clippy::print_stdout)]

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use load_tests::dual_write::initial_sync::{self, Company, Life, Outcome};
use load_tests::dual_write::world::{World, durability};

/// Copies all customers of a demo ERP to accounts, kills `tombolo` on the way, and looks whether both sides hold
/// the same in the end. Fails where they do not, or where it takes too much memory. TOMBOLO_BIN says which
/// `tombolo` runs.
#[derive(Debug, Parser)]
struct Arguments {
    /// Customers, over four companies.
    #[arg(long, default_value_t = 20_000)]
    rows: u64,
    /// How often the process that copies is killed.
    #[arg(long, default_value_t = 2)]
    kills: usize,
    /// MiB of resident memory that it may have.
    #[arg(long, default_value_t = 512.0)]
    most_memory: f64,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let bar = bar("making the ERP");
    let world = World::new(arguments.rows, |step, done, total| {
        bar.set_message(format!("making the ERP: {step}"));
        bar.set_length(total);
        bar.set_position(done);
    })
    .await?;
    println!("{}", durability(&mut world.erp.connect().await?).await?);
    bar.set_message("copying");
    bar.reset();
    let (live, outcome) = initial_sync::run(&world, arguments.kills, |done, total| {
        bar.set_length(total.unsigned_abs());
        bar.set_position(done.unsigned_abs());
    })
    .await?;
    bar.finish_and_clear();
    durability(&mut world.platform.connect().await?).await?;
    show(&outcome);
    let [erp, platform] = initial_sync::contents(&world).await?;
    let equal = compare(&erp, &platform);
    live.system.stop().await?;
    world.stop().await?;
    let all: i64 = erp.iter().map(|it| it.rows).sum();
    let inserted = outcome.run.counts.unwrap_or_default().inserted_count;
    if inserted != all {
        println!("{inserted} rows were counted as inserted, not {all}");
    }
    let most = outcome.lives.iter().map(Life::most_memory).fold(0.0, f64::max);
    if most > arguments.most_memory {
        println!("more than {} MiB are too many", arguments.most_memory);
    }
    let good = equal && inserted == all && most <= arguments.most_memory;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn bar(message: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(0).with_message(message);
    let shape = "{elapsed_precise} {wide_bar} {human_pos}/{human_len} {per_sec} {eta} {msg}";
    match ProgressStyle::with_template(shape) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn show(outcome: &Outcome) {
    println!(
        "\nMiB: resident memory of the process, all services in it; middle and last: third of its life"
    );
    println!(
        "rows: read on both sides; MiB/100,000: growth with so many rows, past the first third\n"
    );
    let heads =
        ["start s", "copies s", "rows", "rows/s", "most MiB", "middle", "last", "MiB/100,000"];
    print!("{:<18}", "");
    for head in heads {
        print!("{head:>13}");
    }
    println!();
    for (number, life) in (1..).zip(&outcome.lives) {
        let name = format!("process {number}{}", if life.killed { ", killed" } else { "" });
        let (seconds, rows) = life.seconds_and_rows();
        let [middle, last] = life.memory_of_thirds();
        println!(
            "{name:<18}{:>13.1}{seconds:>13.1}{rows:>13}{:>13.0}{:>13.0}{middle:>13.0}{last:>13.0}{:>13.1}",
            life.ready_after.as_secs_f64(),
            rows as f64 / seconds,
            life.most_memory(),
            life.growth(),
        );
    }
    let counts = outcome.run.counts.unwrap_or_default();
    println!(
        "\nuntil the map runs, deaths and all: {:.1} s, {:.0} rows/s inserted",
        outcome.took.as_secs_f64(),
        counts.inserted_count as f64 / outcome.took.as_secs_f64(),
    );
    println!(
        "read {}, inserted {}, updated {}, unchanged {}, failed {}\n",
        counts.exported_count,
        counts.inserted_count,
        counts.updated_count,
        counts.unchanged_count,
        counts.error_count,
    );
}

/// Prints both sides; answers whether they are the same.
fn compare(erp: &[Company], platform: &[Company]) -> bool {
    println!("{:<10}{:>12}{:>12}", "company", "ERP", "platform");
    for one in erp {
        let other = platform.iter().find(|it| it.company == one.company);
        let rows = other.map_or(0, |it| it.rows);
        let same = if other == Some(one) { "the same" } else { "DIFFERENT" };
        println!("{:<10}{:>12}{rows:>12}  {same}", one.company, one.rows);
    }
    erp == platform
}
