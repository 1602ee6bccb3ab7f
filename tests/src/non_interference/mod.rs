//! Two systems whose databases differ only in what some users may not see: nobody of them can tell the
//! two apart, whatever is asked; and nothing that one of them writes changes what it may not change.
//!
//! [`Twins`] makes the two databases and knows who sees what; [`World`] serves them; [`Read`] and
//! [`Write`] are what users ask for; [`run`] asks both and compares to the byte. [`Transcript`] says
//! what is left out of the comparison, and why.

mod changes;
mod model;
mod odd;
mod read;
mod remote;
mod run;
mod transcript;
mod twins;
mod viewer;
mod world;
mod write;

pub use read::Read;
pub use run::{Outcome, Settings, run};
pub use transcript::Transcript;
pub use twins::{Protection, Twins};
pub use viewer::{Principal, VIEWERS, Viewer};
pub use world::{Side, World};
pub use write::Write;
