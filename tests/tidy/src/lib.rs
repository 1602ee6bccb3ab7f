//! Rules of the repository that would be lost without a check: who may depend on whom, how long a
//! file may be, what documents must account for.

#[cfg(test)]
mod budgets;
#[cfg(test)]
mod compatibility;
#[cfg(test)]
mod dependencies;
#[cfg(test)]
mod files;
