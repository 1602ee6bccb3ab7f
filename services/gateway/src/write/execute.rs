//! Runs change sets.

use super::change_set::{ChangeSet, Once, Outcome};
use crate::Core;
use crate::error::GatewayError;
use crate::metadata::Snapshot;
use crate::providers::Call;

/// Why a change set was not executed; nothing of it was.
#[derive(Debug)]
pub(crate) struct Failed {
    /// Index of the step that failed, where it was one.
    pub(crate) step: Option<usize>,
    pub(crate) error: GatewayError,
}

/// Executes all steps, or none of them. One outcome for each step, in order.
pub(crate) async fn execute(
    _core: &Core,
    _call: Call<'_>,
    _snapshot: &Snapshot,
    _changes: ChangeSet,
    _once: Option<Once>,
) -> Result<Vec<Outcome>, Failed> {
    Err(Failed { step: None, error: GatewayError::NotOffered("Writing".to_owned()) })
}
