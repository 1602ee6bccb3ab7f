//! One kill after the other.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::watch;
use tokio::time::timeout;

use super::STEPS;
use super::pair::Pair;
use super::workload::{Answered, Count, send, write};
use super::world::World;
use crate::random::Random;
use crate::{System, Web};

const CLIENTS: usize = 4;
const PAIRS_EACH: usize = 5;
/// Change sets of each client in a life that nobody ended before.
const MOST: usize = 200;
/// A life that is to end by itself ends in this time.
const LIFE: Duration = Duration::from_secs(30);
/// Lives that others end see fewer change sets than this, and then this long.
const LONGEST_CHANGE_SETS: usize = 40;
const LONGEST_MICROSECONDS: usize = 60_000;
/// What the log says of each transaction that a start finds prepared.
const RECOVERED: &str = "a transaction was recovered";
/// Lines for those who see no bar.
const LINES: usize = 10;

/// How much, and from which seed.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Kills in all.
    pub kills: usize,
    /// Of all choices.
    pub seed: u64,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Kills.
    pub kills: usize,
    /// Change sets that were answered as done.
    pub acknowledged: usize,
    /// Change sets that were answered as refused.
    pub refused: usize,
    /// Change sets whose answer was lost, and that had been done.
    pub lost_done: usize,
    /// Change sets whose answer was lost, and that had not been done.
    pub lost_undone: usize,
    /// Prepared transactions that a start found.
    pub prepared: usize,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { kills, acknowledged, refused, lost_done, lost_undone, prepared } = self;
        write!(
            f,
            "{kills} kills, {acknowledged} change sets acknowledged and {refused} refused; of those \
             without an answer {lost_done} done and {lost_undone} not; {prepared} recovered"
        )
    }
}

/// Kills, starts, compares. Fails with the first difference.
pub async fn run(settings: Settings) -> Result<Outcome> {
    let world = World::new().await?;
    let mut random = Random::new(settings.seed);
    let mut clients: Vec<Vec<Pair>> = (0..CLIENTS)
        .map(|client| (0..PAIRS_EACH).map(|it| Pair::new(client * PAIRS_EACH + it)).collect())
        .collect();
    let mut outcome = Outcome::default();
    let bar = ProgressBar::new(settings.kills as u64).with_style(ProgressStyle::with_template(
        "{bar:40} {pos}/{len} kills, {per_sec}, {eta} left",
    )?);
    while outcome.kills < settings.kills {
        // Steps in turn, and between them moments that nobody chose.
        let step = outcome.kills / 2 % STEPS.len();
        let step = outcome.kills.is_multiple_of(2).then(|| STEPS[step]);
        let told = format!("kill {} (seed {}), {step:?}", outcome.kills + 1, settings.seed);
        life(&world, &mut clients, &mut random, step, &mut outcome).await.context(told)?;
        bar.inc(1);
        if bar.is_hidden() && outcome.kills.is_multiple_of((settings.kills / LINES).max(1)) {
            println!("        {outcome}");
        }
    }
    bar.finish_and_clear();
    let system = world.start(None).await?;
    let web = system.web("admin").await?;
    compare(&world, &mut clients, &mut outcome).await?;
    repeat(&web, &mut clients).await?;
    compare(&world, &mut clients, &mut outcome).await?;
    system.stop().await?;
    world.stop().await?;
    Ok(outcome)
}

/// From a start, over a comparison, to a kill.
async fn life(
    world: &World,
    clients: &mut [Vec<Pair>],
    random: &mut Random,
    step: Option<&str>,
    outcome: &mut Outcome,
) -> Result<()> {
    let mut system = world.start(step).await?;
    let web = system.web("admin").await?;
    if let Err(error) = compare(world, clients, outcome).await {
        bail!("{error:#}\n{}", system.log());
    }
    // Where a step is to kill, the first repetition would.
    if step.is_none() {
        repeat(&web, clients).await?;
    }
    forget(clients);
    let seed = random.bits();
    let acknowledged = watch::Sender::new(0);
    let work = clients.iter_mut().enumerate().map(|(client, pairs)| {
        write(&web, pairs, Random::new(seed ^ client as u64), MOST, &acknowledged)
    });
    let work = futures::future::try_join_all(work);
    let counts = match step {
        Some(step) => {
            let counts = timeout(LIFE, work).await.with_context(|| format!("hangs before {step}"));
            let counts = counts?.with_context(|| system.log())?;
            let ended = timeout(LIFE, system.ended()).await;
            ended.with_context(|| format!("{step} is never reached: {}", system.log()))??;
            outcome.prepared += system.log().matches(RECOVERED).count();
            counts
        }
        None => {
            let many = random.below(LONGEST_CHANGE_SETS);
            let moment = Duration::from_micros(random.below(LONGEST_MICROSECONDS) as u64);
            let kill = kill_after(system, acknowledged.subscribe(), many, moment);
            let (counts, killed) = futures::join!(work, kill);
            outcome.prepared += killed?.matches(RECOVERED).count();
            counts?
        }
    };
    outcome.kills += 1;
    for Count { acknowledged, refused } in counts {
        outcome.acknowledged += acknowledged;
        outcome.refused += refused;
    }
    Ok(())
}

/// Kills when so many change sets are done, and a moment has passed. Returns the log.
async fn kill_after(
    system: System,
    mut acknowledged: watch::Receiver<usize>,
    many: usize,
    moment: Duration,
) -> Result<String> {
    let enough = timeout(LIFE, acknowledged.wait_for(|it| *it >= many)).await;
    enough.with_context(|| format!("{many} change sets take too long: {}", system.log()))??;
    // Any moment will do: nothing is waited for.
    tokio::time::sleep(moment).await;
    let log = system.log();
    system.kill().await?;
    ensure!(!log.contains("panicked"), "{log}");
    Ok(log)
}

/// Both databases agree, with each other and with what was answered. Says of change sets without an
/// answer whether they were done.
async fn compare(world: &World, clients: &mut [Vec<Pair>], outcome: &mut Outcome) -> Result<()> {
    world.recovered().await?;
    let words = world.agreed().await?;
    for pair in clients.iter_mut().flatten() {
        let found = words.get(&pair.number).cloned();
        let Some(change) = &pair.pending else {
            ensure!(found == pair.word, "{pair:?} was acknowledged, but {found:?} is there");
            continue;
        };
        let may_be_done = change.is_good() && found == change.after;
        ensure!(
            may_be_done || found == pair.word,
            "{found:?} is neither before nor after {pair:?}"
        );
        if may_be_done {
            outcome.lost_done += 1;
        } else {
            outcome.lost_undone += 1;
        }
        pair.word = found;
    }
    let known = clients.iter().flatten().filter(|it| it.word.is_some()).count();
    ensure!(known == words.len(), "rows that nobody wrote: {words:?}");
    Ok(())
}

/// Sends again what was not answered: it is done now, once, whether it had been done or not.
async fn repeat(web: &Web, clients: &mut [Vec<Pair>]) -> Result<()> {
    for pair in clients.iter_mut().flatten() {
        let Some(change) = pair.pending.take() else { continue };
        let answered = send(web, pair, &change).await.context("sent again")?;
        match (answered, change.is_good()) {
            (Answered::Done, true) => pair.word = change.after,
            (Answered::Refused, false) => {}
            _ => bail!("sent again: {answered:?} to {change:?} of {pair:?}"),
        }
    }
    Ok(())
}

fn forget(clients: &mut [Vec<Pair>]) {
    for pair in clients.iter_mut().flatten() {
        pair.pending = None;
    }
}
