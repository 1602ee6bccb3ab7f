//! All rounds, over a few systems at once.

use anyhow::{Context as _, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};

use super::leftovers::{self, Known};
use super::outcome::Outcome;
use super::plan::{self, Plan};
use super::round;
use super::steps::{BACKWARD, FORWARD};
use super::world::World;
use crate::random::Random;

/// Systems of their own: each waits for its disk much of the time.
const LANES: usize = 2;

/// How much, and from which seed.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Kills in all, about; none: every step of a new environment once, and some moments.
    pub kills: Option<usize>,
    /// Of all choices.
    pub seed: u64,
}

/// Kills, starts, looks. Fails with the first thing that is not as it must be.
pub async fn run(settings: Settings) -> Result<Outcome> {
    let mut random = Random::new(settings.seed);
    let mut lanes: [Vec<(usize, Plan)>; LANES] = Default::default();
    let mut total = 0;
    for (number, plan) in plan::all(&mut random, settings.kills).into_iter().enumerate() {
        total += plan.kills.len();
        // Rounds differ in length: whichever lane has less to do.
        let length = |it: &Vec<(usize, Plan)>| it.iter().map(|it| 1 + it.1.kills.len()).sum();
        if let Some(lane) = lanes.iter_mut().min_by_key::<usize, _>(|it| length(it)) {
            lane.push((number, plan));
        }
    }
    let bar = ProgressBar::new(total as u64).with_style(ProgressStyle::with_template(
        "{bar:40} {pos}/{len} kills, {per_sec}, {eta} left",
    )?);
    let lanes = lanes.each_ref().map(|it| Box::pin(lane(it, settings.seed, &bar)));
    let outcomes = futures::future::try_join_all(lanes).await?;
    bar.finish_and_clear();
    let outcome = outcomes.into_iter().fold(Outcome::default(), Outcome::plus);
    require_all(&outcome, settings)?;
    Ok(outcome)
}

/// One round after the other over one system.
async fn lane(plans: &[(usize, Plan)], seed: u64, bar: &ProgressBar) -> Result<Outcome> {
    let world = World::new().await?;
    let (mut known, mut outcome) = (Known::default(), Outcome::default());
    for (number, plan) in plans {
        let told = format!("round {number} (seed {seed}), {plan:?}");
        let before = outcome.kills;
        round::run(&world, *number, plan, &mut known, &mut outcome).await.context(told)?;
        let kills = outcome.kills - before;
        bar.inc(kills as u64);
        if bar.is_hidden() {
            println!("        round {number}: {:?}, {kills} kills", plan.kind);
        }
    }
    let system = world.start(None).await?;
    let tenant = world.tenant(&system).await?;
    leftovers::check(&world, &tenant, &known).await?;
    for (pairs, linked) in [(&known.linked, true), (&known.unlinked, false)] {
        for (erp, platform) in pairs {
            leftovers::pair(&tenant, erp, platform, linked).await?;
        }
    }
    if let Some((erp, platform)) = known.linked.first_key_value() {
        leftovers::details(&system, &tenant, erp, platform).await?;
    }
    system.stop().await?;
    world.stop().await?;
    Ok(outcome)
}

/// A step that nothing reached proves nothing.
fn require_all(outcome: &Outcome, settings: Settings) -> Result<()> {
    let backward = if settings.kills.is_some() { BACKWARD.as_slice() } else { &[] };
    let wanted = FORWARD.iter().chain(backward).count();
    // Who asked for fewer kills than there are steps gets fewer.
    if settings.kills.is_some_and(|it| it < 2 * wanted) {
        return Ok(());
    }
    let mut missing = FORWARD.iter().chain(backward).filter(|it| !outcome.reached.contains(*it));
    let first = missing.next();
    ensure!(first.is_none(), "never reached: {first:?}");
    Ok(())
}
