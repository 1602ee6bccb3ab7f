//! One round after the other.

use anyhow::{Context as _, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};

use super::leftovers::{self, Known};
use super::outcome::Outcome;
use super::steps::{BACKWARD, FORWARD};
use super::world::World;
use super::{plan, round};
use crate::random::Random;

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
    let world = World::new().await?;
    let mut random = Random::new(settings.seed);
    let plans = plan::all(&mut random, settings.kills);
    let total: usize = plans.iter().map(|it| it.kills.len()).sum();
    let bar = ProgressBar::new(total as u64).with_style(ProgressStyle::with_template(
        "{bar:40} {pos}/{len} kills, {per_sec}, {eta} left",
    )?);
    let (mut known, mut outcome) = (Known::default(), Outcome::default());
    for (number, plan) in plans.iter().enumerate() {
        let told = format!("round {number} (seed {}), {plan:?}", settings.seed);
        round::run(&world, number, plan, &mut known, &mut outcome).await.context(told)?;
        bar.set_position(outcome.kills as u64);
        if bar.is_hidden() {
            let newest = outcome.recoveries.last().copied().unwrap_or_default();
            println!("        {}/{total} kills, {:?}, {newest:?}", outcome.kills, plan.kind);
        }
    }
    bar.finish_and_clear();
    let system = world.start(None).await?;
    let tenant = world.tenant(&system).await?;
    leftovers::check(&world, &tenant, &known).await?;
    for (pairs, linked) in [(&known.linked, true), (&known.unlinked, false)] {
        for (erp, platform) in pairs {
            leftovers::pair(&tenant, erp, platform, linked).await?;
        }
    }
    system.stop().await?;
    world.stop().await?;
    require_all(&outcome, settings)?;
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
