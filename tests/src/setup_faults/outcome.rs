//! What was done.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Of all rounds.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Kills.
    pub kills: usize,
    /// Operations that succeeded.
    pub succeeded: usize,
    /// Operations that were given up.
    pub cancelled: usize,
    /// Kills by stage, or by step where that is none of a stage's, and those at a moment.
    pub by_stage: BTreeMap<String, usize>,
    /// Steps that killed.
    pub reached: BTreeSet<&'static str>,
    /// From a start to the end of the operation.
    pub recoveries: Vec<Duration>,
}

impl Outcome {
    /// Both together.
    pub(super) fn plus(mut self, other: Self) -> Self {
        self.kills += other.kills;
        self.succeeded += other.succeeded;
        self.cancelled += other.cancelled;
        for (stage, count) in other.by_stage {
            *self.by_stage.entry(stage).or_default() += count;
        }
        self.reached.extend(other.reached);
        self.recoveries.extend(other.recoveries);
        self
    }

    pub(super) fn killed_at(&mut self, step: Option<&'static str>, stage: &str) {
        self.kills += 1;
        self.reached.extend(step);
        *self.by_stage.entry(stage.to_owned()).or_default() += 1;
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { kills, succeeded, cancelled, by_stage, reached, recoveries } = self;
        writeln!(
            f,
            "{kills} kills at {} steps and other moments; {succeeded} setups succeeded, {cancelled} were \
             given up",
            reached.len()
        )?;
        for (stage, count) in by_stage {
            writeln!(f, "{count:8} {stage}")?;
        }
        let mut sorted = recoveries.clone();
        sorted.sort_unstable();
        if let (Some(median), Some(longest)) = (sorted.get(sorted.len() / 2), sorted.last()) {
            writeln!(
                f,
                "recovery from start to end: median {} ms, at most {} ms",
                median.as_millis(),
                longest.as_millis()
            )?;
        }
        Ok(())
    }
}
