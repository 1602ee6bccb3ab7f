//! Operations as they are shown.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use proto::lifecycle::v1 as pb;
use proto::lifecycle::v1::{FailureKind, OperationStage, OperationState, Prerequisite};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::workflow::Failure;
use crate::Deps;
use crate::error::Error;
use crate::store::operation::{self, Operation, Stage};
use crate::words::Word;

/// A failure as the operation's row holds it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Recorded {
    kind: String,
    stage: String,
    reason: String,
    message: String,
    help: String,
    prerequisites: Vec<RecordedCheck>,
}

#[derive(Debug, Serialize, Deserialize)]
struct RecordedCheck {
    prerequisite: String,
    failure_kind: String,
    message: String,
    help: String,
}

impl Recorded {
    pub(super) fn new(stage: OperationStage, failure: &Failure) -> Self {
        let check = |it: &pb::PrerequisiteCheck| RecordedCheck {
            prerequisite: it.prerequisite().word(),
            failure_kind: it.failure_kind().word(),
            message: it.message.clone(),
            help: it.help.clone(),
        };
        Self {
            kind: failure.kind.word(),
            stage: stage.word(),
            reason: failure.reason.word().to_ascii_uppercase(),
            message: failure.message.clone(),
            help: failure.help.clone(),
            prerequisites: failure.prerequisites.iter().map(check).collect(),
        }
    }

    pub(super) fn to_json(&self) -> Result<String, Error> {
        serde_json::to_string(self).map_err(|error| Error::Malformed(error.to_string()))
    }

    fn into_message(self) -> pb::OperationFailure {
        let check = |it: RecordedCheck| pb::PrerequisiteCheck {
            prerequisite: Prerequisite::of_word(&it.prerequisite).unwrap_or_default().into(),
            passed: false,
            skipped: false,
            failure_kind: FailureKind::of_word(&it.failure_kind).unwrap_or_default().into(),
            message: it.message,
            help: it.help,
        };
        pb::OperationFailure {
            kind: FailureKind::of_word(&self.kind).unwrap_or_default().into(),
            stage: OperationStage::of_word(&self.stage).unwrap_or_default().into(),
            reason: self.reason,
            message: self.message,
            help: self.help,
            prerequisites: self.prerequisites.into_iter().map(check).collect(),
        }
    }
}

/// One operation by its id.
pub(crate) async fn describe(
    connection: &mut PgConnection,
    deps: &Arc<Deps>,
    id: Uuid,
) -> Result<pb::Operation, Error> {
    let missing = || Error::NotFound(crate::resource::name(crate::resource::OPERATIONS, id));
    let operation = operation::find(connection, id).await?.ok_or_else(missing)?;
    show(connection, deps, operation).await
}

/// One operation whose row was read.
pub(crate) async fn show(
    connection: &mut PgConnection,
    deps: &Arc<Deps>,
    operation: Operation,
) -> Result<pb::Operation, Error> {
    let stages = operation::stages(connection, operation.id).await?;
    let means = match is_open(operation.state) {
        true => operation::durations(connection, operation.kind).await?.into_iter().collect(),
        false => HashMap::new(),
    };
    let failure: Option<Recorded> = operation
        .failure
        .clone()
        .map(serde_json::from_value)
        .transpose()
        .map_err(|error| Error::Malformed(error.to_string()))?;
    Ok(pb::Operation {
        name: operation.name(),
        kind: operation.kind.into(),
        state: operation.state.into(),
        status_text: status_text(deps, &operation, failure.as_ref()),
        progress_percent: progress(&operation, &stages),
        remaining_duration: remaining(&stages, &means, Utc::now()),
        failure: failure
            .filter(|_| operation.state == OperationState::Failed)
            .map(Recorded::into_message),
        resumable: operation.state == OperationState::Failed,
        cancellable: is_cancellable(&operation),
        stages: stages.into_iter().map(stage_message).collect(),
        targets: operation.targets,
        user: operation.user,
        warnings: operation.warnings,
        create_time: Some(timestamp(operation.create_time)),
        end_time: operation.end_time.map(timestamp),
        etag: operation.revision.to_string(),
    })
}

/// Whether somebody is to carry on with it.
pub(crate) fn is_open(state: OperationState) -> bool {
    matches!(state, OperationState::Pending | OperationState::Running | OperationState::Cancelling)
}

/// Whether it can be given up.
pub(crate) fn is_cancellable(operation: &Operation) -> bool {
    let states = [OperationState::Pending, OperationState::Running, OperationState::Failed];
    states.contains(&operation.state) && !operation.irrevocable
}

/// As messages have it.
pub(crate) fn timestamp(time: DateTime<Utc>) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: time.timestamp(),
        nanos: i32::try_from(time.timestamp_subsec_nanos()).unwrap_or_default(),
    }
}

fn stage_message(stage: Stage) -> pb::StageProgress {
    pb::StageProgress {
        stage: stage.stage.into(),
        state: stage.state.into(),
        progress_percent: stage.progress_percent,
        status_text: stage.status_text,
        attempt_count: stage.attempt_count,
        start_time: stage.start_time.map(timestamp),
        end_time: stage.end_time.map(timestamp),
    }
}

fn status_text(deps: &Arc<Deps>, operation: &Operation, failure: Option<&Recorded>) -> String {
    let texts =
        super::workflow(operation.kind, &operation.request, deps).map(|it| it.status_texts());
    let (at_work, done) = texts.unwrap_or(("In progress", "Completed"));
    match operation.state {
        OperationState::Succeeded => done.to_owned(),
        OperationState::Cancelling => "Cancelling".to_owned(),
        OperationState::Cancelled => "Cancelled".to_owned(),
        OperationState::Failed => failure.map(|it| it.message.clone()).unwrap_or_default(),
        OperationState::Unspecified | OperationState::Pending | OperationState::Running => {
            at_work.to_owned()
        }
    }
}

/// The stages' mean.
fn progress(operation: &Operation, stages: &[Stage]) -> i32 {
    if operation.state == OperationState::Succeeded {
        return 100;
    }
    let sum: i32 = stages.iter().map(|it| it.progress_percent).sum();
    i32::try_from(stages.len()).ok().and_then(|it| sum.checked_div(it)).unwrap_or_default()
}

/// What the stages that are left took before, less what the present one has taken; unknown where one of
/// them was never done.
fn remaining(
    stages: &[Stage],
    means: &HashMap<String, f64>,
    now: DateTime<Utc>,
) -> Option<prost_types::Duration> {
    if means.is_empty() {
        return None;
    }
    let left = stages.iter().filter(|it| it.state != OperationState::Succeeded);
    let seconds = left.map(|it| {
        let mean = means.get(&it.stage.word())?;
        let taken = match (it.state, it.start_time) {
            (OperationState::Running, Some(start)) => (now - start).as_seconds_f64(),
            _ => 0.0,
        };
        Some((mean - taken).max(0.0))
    });
    let seconds = seconds.sum::<Option<f64>>()?;
    prost_types::Duration::try_from(std::time::Duration::from_secs_f64(seconds)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(stage: OperationStage, state: OperationState, taken: Option<i64>) -> Stage {
        let start_time = taken.map(|it| now() - chrono::TimeDelta::seconds(it));
        let (status_text, progress_percent, attempt_count) = (String::new(), 0, 0);
        Stage {
            stage,
            state,
            progress_percent,
            status_text,
            attempt_count,
            start_time,
            end_time: None,
        }
    }

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    #[test]
    fn time_left_is_what_the_rest_took_before() {
        let stages = [
            stage(OperationStage::Validating, OperationState::Succeeded, Some(100)),
            stage(OperationStage::ReservingCapacity, OperationState::Running, Some(4)),
            stage(OperationStage::LinkingRuntime, OperationState::Pending, None),
        ];
        let means = |it: &[(&str, f64)]| it.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect();
        let left = |it: &[(&str, f64)]| remaining(&stages, &means(it), now()).map(|it| it.seconds);
        assert_eq!(left(&[("reserving_capacity", 10.0), ("linking_runtime", 5.0)]), Some(11));
        // It takes longer than it did.
        assert_eq!(left(&[("reserving_capacity", 1.0), ("linking_runtime", 5.0)]), Some(5));
        assert_eq!(left(&[("reserving_capacity", 10.0)]), None);
        assert_eq!(left(&[]), None);
    }
}
