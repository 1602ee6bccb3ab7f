//! What the other side has, written here: found by key, compared, and made, changed or deleted by the ordinary way of
//! writes, with this side's rules and constraints and without the rights of a user.
//!
//! Rows of one shape are looked for together (`run`), then written one after the other. `refer` finds the
//! rows that they refer to, `pending` what this side has changed meanwhile, and `correct` sees to what rules
//! made of it.

mod correct;
mod differ;
mod key;
mod pending;
mod refer;
mod run;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use proto::query::v1 as pb;

use super::Refused;
use crate::write::Session;
use correct::PREFIX;
use pending::Waiting;
use refer::Referred;

/// How long a row is waited for that somebody else holds, unless it is said.
const PATIENCE: Duration = Duration::from_millis(500);
/// In the log, where the caller names no origin.
const SOMEBODY: &str = "dual-write";

/// What the step knows.
#[derive(Debug, Default)]
pub(super) struct Applying {
    referred: Referred,
    waiting: Waiting,
    /// What is written is a correction itself.
    is_correction: bool,
}

/// Writes the rows, in their order.
pub(super) async fn apply(
    session: &mut Session<'_>,
    request: pb::Apply,
) -> Result<Vec<pb::AppliedRow>, Refused> {
    let patience = match u64::try_from(request.lock_timeout_milliseconds) {
        Ok(0) | Err(_) => PATIENCE,
        Ok(it) => Duration::from_millis(it),
    };
    session.patience = session.patience.min(patience);
    let origin = if request.origin.is_empty() { SOMEBODY } else { request.origin.as_str() };
    session.origin = Arc::from(origin);
    let is_correction = origin.starts_with(PREFIX);
    let mut applying = Applying { is_correction, ..Applying::default() };
    let mut applied = Vec::with_capacity(request.rows.len());
    let mut rest = request.rows.as_slice();
    while let Some(first) = rest.first() {
        let same = rest.iter().take_while(|it| is_alike(first, it)).count();
        let (run, behind) = rest.split_at(same);
        run::apply(session, &mut applying, run, &mut applied).await?;
        rest = behind;
    }
    Ok(applied)
}

/// Rows that are looked for by one statement.
fn is_alike(one: &pb::ApplyRow, other: &pb::ApplyRow) -> bool {
    fn names<'r>(of: impl Iterator<Item = &'r pb::ApplyValue>) -> BTreeSet<&'r str> {
        of.map(|it| it.column.as_str()).collect()
    }
    one.map == other.map
        && one.entity_name == other.entity_name
        && names(one.key.iter()) == names(other.key.iter())
        && names(values(one)) == names(values(other))
}

/// What a row is to hold, and what only a new one is given.
fn values(row: &pb::ApplyRow) -> impl Iterator<Item = &pb::ApplyValue> {
    row.values.iter().chain(&row.create_values)
}
