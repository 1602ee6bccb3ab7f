//! Many reads of both sides, several in flight, and then writes of one.

use anyhow::{Context as _, Result, bail, ensure};
use futures::StreamExt as _;
use indicatif::{ProgressBar, ProgressStyle};

use super::changes;
use super::read::Read;
use super::viewer::{Role, VIEWERS, Viewer};
use super::world::World;
use super::write::{self, Write};
use crate::random::Random;

const IN_FLIGHT: usize = 4;
/// Smaller versions of a failing read that are tried.
const ATTEMPTS: usize = 200;
/// Lines for those who see no bar.
const LINES: usize = 10;
/// Lines of the logs that are told with a failure.
const WARNINGS: usize = 12;
/// Writes for so many reads.
const READS_FOR_A_WRITE: usize = 4;
/// Reads of the administrator, who must see that the sides differ.
const DIFFERENCES: usize = 60;

/// How much, and from which seed.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Reads in all.
    pub reads: usize,
    /// Reads of each pair of databases.
    pub per_pair: usize,
    /// Of the first pair; the following count up.
    pub seed: u64,
    /// Different answers after which to stop.
    pub failures: usize,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Reads that were answered alike.
    pub reads: usize,
    /// Those of them that succeeded.
    pub succeeded: usize,
    /// Pairs of databases.
    pub pairs: usize,
    /// Reads that an administrator was answered differently.
    pub told_apart: usize,
    /// Writes.
    pub writes: usize,
    /// Rows that they changed.
    pub changed: usize,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { reads, succeeded, pairs, told_apart, writes, changed } = self;
        write!(
            f,
            "{reads} reads of {pairs} pairs answered alike, {succeeded} of them with success; an \
             administrator told {told_apart} apart; {writes} writes changed {changed} rows, all theirs"
        )
    }
}

/// Asks and writes. Fails with the first difference.
pub async fn run(settings: Settings) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let bar = ProgressBar::new(settings.reads as u64).with_style(ProgressStyle::with_template(
        "{bar:40} {pos}/{len} reads, {per_sec}, {eta} left",
    )?);
    while outcome.reads < settings.reads {
        let seed = settings.seed.wrapping_add(outcome.pairs as u64);
        let count = settings.per_pair.min(settings.reads - outcome.reads);
        let world = World::start(&mut Random::new(seed)).await;
        let world = world.with_context(|| format!("TOMBOLO_TEST_SEED={seed}"))?;
        let result = pair(&world, seed, count, settings, &bar, &mut outcome).await;
        let log = world.log();
        world.stop().await?;
        ensure!(!log.contains("panicked"), "a system panicked (seed {seed}):\n{log}");
        result.with_context(|| format!("TOMBOLO_TEST_SEED={seed}{}", warnings(&log)))?;
        outcome.pairs += 1;
    }
    bar.finish_and_clear();
    Ok(outcome)
}

async fn pair(
    world: &World,
    seed: u64,
    count: usize,
    settings: Settings,
    bar: &ProgressBar,
    outcome: &mut Outcome,
) -> Result<()> {
    ask(world, seed, count, settings, bar, outcome).await?;
    outcome.told_apart += told_apart(world, seed).await?;
    let mut failures = Vec::new();
    for number in 0..count.div_ceil(READS_FOR_A_WRITE) {
        match change(world, seed, number).await {
            Ok(changed) => outcome.changed += changed,
            Err(error) => failures.push(format!("{error:#}")),
        }
        outcome.writes += 1;
        if failures.len() >= settings.failures {
            break;
        }
    }
    ensure!(failures.is_empty(), "{}", failures.join("\n\n"));
    changes::run(world).await.context("changes that nobody may see")
}

/// A write of somebody who may mostly write something. Returns how many rows it changed.
async fn change(world: &World, seed: u64, number: usize) -> Result<usize> {
    let mut random = nth(seed ^ 0x57_1217E5, number);
    let writes = |it: &&Viewer| it.principals().all(|it| it.role == Role::Clerk);
    let writers: Vec<_> = VIEWERS.iter().filter(writes).collect();
    let viewer = if random.one_in(5) { random.pick(&VIEWERS) } else { *random.pick(&writers) };
    let write = Write::random(&mut random, world);
    let before = write::dump(world).await?;
    let answer = write.send(world, viewer).await?;
    let (name, text) = (viewer.name, write.text());
    let told = || format!("write {number}, {name}:\n  {text}\n  {} {}", answer.status, answer.body);
    ensure!(!answer.status.is_server_error(), "{}", told());
    let after = write::dump(world).await?;
    write::check(&world.twins, viewer, &before, &after).with_context(told)
}

/// The last that the systems complained of.
fn warnings(log: &str) -> String {
    let mut lines: Vec<_> = log.lines().filter(|it| is_complaint(it)).collect();
    lines.drain(..lines.len().saturating_sub(WARNINGS));
    lines.iter().map(|it| format!("\n    {it}")).collect()
}

/// That somebody was refused is what the audit is for.
fn is_complaint(line: &str) -> bool {
    (line.contains(" WARN ") || line.contains(" ERROR ")) && !line.contains(" audit: ")
}

fn nth(seed: u64, number: usize) -> Random {
    Random::new(seed ^ (number as u64).wrapping_mul(0xA076_1D64_78BD_642F))
}

async fn ask(
    world: &World,
    seed: u64,
    count: usize,
    settings: Settings,
    bar: &ProgressBar,
    outcome: &mut Outcome,
) -> Result<()> {
    let reads = futures::stream::iter(0..count).map(|number| async move {
        let mut random = nth(seed, number);
        let viewer = random.pick(&VIEWERS);
        let read = Read::random(&mut random, world);
        let compared = compare(world, viewer, &read).await;
        (number, viewer, read, compared)
    });
    let mut reads = Box::pin(reads.buffer_unordered(IN_FLIGHT));
    let mut failures = Vec::new();
    while let Some((number, viewer, read, compared)) = reads.next().await {
        match compared {
            Ok(succeeded) => outcome.succeeded += usize::from(succeeded),
            Err(error) => {
                let error = told(world, number, viewer, read, error).await;
                failures.push(format!("{error:#}"));
                if failures.len() >= settings.failures {
                    break;
                }
            }
        }
        outcome.reads += 1;
        bar.inc(1);
        if bar.is_hidden() && outcome.reads.is_multiple_of((settings.reads / LINES).max(1)) {
            println!("        {outcome}");
        }
    }
    drop(reads);
    ensure!(failures.is_empty(), "{}", failures.join("\n\n"));
    Ok(())
}

/// Returns whether it was a success.
async fn compare(world: &World, viewer: &Viewer, read: &Read) -> Result<bool> {
    let both = futures::future::try_join(read.ask(world, 0, viewer), read.ask(world, 1, viewer));
    let (one, other) = both.await?;
    if one != other {
        bail!("the sides answer differently:\n{}", one.difference(&other));
    }
    let failed = one.as_str().starts_with("5");
    ensure!(!failed, "an error of the server: {}", one.as_str());
    Ok(one.as_str().starts_with('2'))
}

/// The failure of the smallest read that still fails.
async fn told(
    world: &World,
    number: usize,
    viewer: &Viewer,
    read: Read,
    error: anyhow::Error,
) -> anyhow::Error {
    let first = read.text(world);
    let (mut read, mut error) = (read, error);
    let mut attempts = 0;
    'smaller: loop {
        for candidate in read.smaller() {
            attempts += 1;
            if attempts > ATTEMPTS {
                break 'smaller;
            }
            if let Err(fails) = compare(world, viewer, &candidate).await {
                (read, error) = (candidate, fails);
                continue 'smaller;
            }
        }
        break;
    }
    let small = read.text(world);
    error.context(format!(
        "read {number}, {}:\n  {first}\nsmallest that fails:\n  {small}\n",
        viewer.name
    ))
}

/// How many of some reads an administrator is answered differently: had nothing been made different,
/// or were nothing compared, it would be none.
async fn told_apart(world: &World, seed: u64) -> Result<usize> {
    let mut different = 0;
    for number in 0..DIFFERENCES {
        let read = Read::random(&mut nth(seed, number), world);
        let (one, other) = (read.ask_as_admin(world, 0).await?, read.ask_as_admin(world, 1).await?);
        different += usize::from(one != other);
    }
    ensure!(different * 10 > DIFFERENCES, "an administrator told only {different} apart");
    Ok(different)
}
