//! Which rounds there are.

use std::collections::VecDeque;

use super::steps::{BACKWARD, FORWARD, is_of_existing};
use crate::random::Random;

/// The longest moment until a kill that no step decides: from a start, as long as a start and a setup
/// take together.
const LONGEST_MILLISECONDS: usize = 4_000;
/// Rounds between which all steps are dealt at first.
const CHAINS: usize = 3;
const MOMENTS_AT_FIRST: usize = 6;
/// Kills of one round later on.
const MOST_KILLS: usize = 5;

/// How an environment gets to its end.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) kind: Kind,
    /// In their order. Of [`Kind::Cancelled`], those after it was given up.
    pub(super) kills: Vec<Kill>,
}

/// What is set up, and how it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A new database.
    New,
    /// An environment that exists.
    Existing,
    /// A new database, given up while it links.
    Cancelled,
    /// A new database, given up by somebody who does not know what becomes of it: whichever is first.
    Contended,
    /// A new database, and at first a prerequisite that fails.
    Mended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kill {
    Step(&'static str),
    /// Milliseconds from the start.
    Moment(usize),
}

/// What is run before anything is counted: every step of a new environment once, and some moments. Where
/// nobody says how often to kill, this is all.
pub(super) fn first(random: &mut Random) -> Vec<Plan> {
    let chain = |start: usize| {
        let steps = FORWARD.iter().skip(start).step_by(CHAINS);
        Plan { kind: Kind::New, kills: steps.map(|it| Kill::Step(it)).collect() }
    };
    let mut plans: Vec<_> = (0..CHAINS).map(chain).collect();
    let mut moments = moments(random, MOMENTS_AT_FIRST).into_iter();
    for (kind, count) in
        [(Kind::New, 2), (Kind::Existing, 2), (Kind::Contended, 1), (Kind::Mended, 1)]
    {
        plans.push(Plan { kind, kills: moments.by_ref().take(count).collect() });
    }
    plans
}

/// Every step of an environment that is given up once.
pub(super) fn backwards() -> Vec<Plan> {
    let chain = |start: usize| {
        let steps = BACKWARD.iter().skip(start).step_by(CHAINS);
        Plan { kind: Kind::Cancelled, kills: steps.map(|it| Kill::Step(it)).collect() }
    };
    (0..CHAINS).map(chain).collect()
}

/// Any other round.
pub(super) fn any(random: &mut Random, most: usize) -> Plan {
    let count = 1 + random.below(MOST_KILLS.min(most.max(1)));
    let kind = match random.below(10) {
        0..5 => Kind::New,
        5..7 => Kind::Existing,
        7 => Kind::Cancelled,
        8 => Kind::Contended,
        _ => Kind::Mended,
    };
    if random.one_in(3) || kind == Kind::Contended {
        return Plan { kind, kills: moments(random, count) };
    }
    let from: Vec<&'static str> = match kind {
        Kind::New | Kind::Mended | Kind::Contended => FORWARD.to_vec(),
        Kind::Existing => FORWARD.into_iter().filter(|it| is_of_existing(it)).collect(),
        Kind::Cancelled => BACKWARD.to_vec(),
    };
    // What was passed is not reached again.
    let mut chosen: Vec<_> = (0..count).map(|_| random.below(from.len())).collect();
    chosen.sort_unstable();
    chosen.dedup();
    // A stage that is begun anew reaches its own steps again; those before it, never.
    Plan { kind, kills: chosen.into_iter().map(|it| Kill::Step(from[it])).collect() }
}

fn moments(random: &mut Random, count: usize) -> Vec<Kill> {
    (0..count).map(|_| Kill::Moment(random.below(LONGEST_MILLISECONDS))).collect()
}

/// All of them, as many as these kills need.
pub(super) fn all(random: &mut Random, kills: Option<usize>) -> VecDeque<Plan> {
    let mut plans: VecDeque<_> = first(random).into();
    let Some(kills) = kills else { return plans };
    plans.extend(backwards());
    let mut count: usize = plans.iter().map(|it| it.kills.len()).sum();
    while count < kills {
        let plan = any(random, kills - count);
        count += plan.kills.len();
        plans.push_back(plan);
    }
    // Fewer than all steps take: as many as there may be.
    while count > kills {
        let Some(last) = plans.pop_back() else { break };
        count -= last.kills.len();
    }
    plans
}
