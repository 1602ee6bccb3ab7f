//! Kills the system while it sets environments up, starts it again, and looks at what is left.
//!
//! [`steps`] is where it kills itself, [`plan`] which rounds there are, [`world`] what is killed,
//! [`round`] one environment from its setup over some kills to its end, [`leftovers`] what must not be
//! there afterwards. [`run`] does all rounds.

mod leftovers;
mod outcome;
mod plan;
mod round;
mod run;
mod steps;
mod world;

pub use outcome::Outcome;
pub use run::{Settings, run};
