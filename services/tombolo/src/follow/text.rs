//! What an operation says to people when it is not going on.

use proto::lifecycle::v1::{
    Operation, OperationFailure, OperationKind, OperationStage, OperationState, PrerequisiteCheck,
};

use crate::print::{phrase, plain, properties, span, word};

pub(super) fn begun(operation: &Operation) -> String {
    let name = plain(&operation.name);
    format!("{} has begun; follow it with: tombolo env watch {name}\n", operation.name)
}

/// What is left on standard output.
pub(super) fn result(operation: &Operation) -> String {
    let took = operation.create_time.zip(operation.end_time).map(|(begin, end)| {
        span(prost_types::Duration { seconds: end.seconds - begin.seconds, nanos: 0 })
    });
    let stages = operation.stages.iter().filter(|it| it.state() == OperationState::Succeeded);
    let stages = format!("{} of {}", stages.count(), operation.stages.len());
    let mut text = properties(&[
        ("operation", operation.name.clone()),
        ("kind", word::<OperationKind>(operation.kind)),
        ("targets", operation.targets.join(", ")),
        ("state", word::<OperationState>(operation.state)),
        ("status", operation.status_text.clone()),
        ("stages done", if operation.stages.is_empty() { String::new() } else { stages }),
        ("took", took.unwrap_or_default()),
    ]);
    for warning in &operation.warnings {
        text += &format!("warning: {warning}\n");
    }
    text
}

/// In one line.
pub(super) fn headline(operation: &Operation) -> String {
    let kind = phrase::<OperationKind>(operation.kind);
    let Some(failure) = &operation.failure else { return format!("{kind}: failed") };
    let stage = phrase::<OperationStage>(failure.stage);
    match stage.is_empty() {
        true => format!("{kind}: {}", failure.message),
        false => format!("{kind}, {stage}: {}", failure.message),
    }
}

/// Every cause, what to do, and how to go on.
pub(super) fn failure(operation: &Operation) -> String {
    let name = plain(&operation.name);
    let mut lines = operation.failure.as_ref().map(causes).unwrap_or_default();
    if operation.resumable {
        lines.push(format!("Then go on with: tombolo env resume {name}"));
    }
    if operation.cancellable {
        lines.push(format!("Or undo it with: tombolo env cancel {name}"));
    }
    lines.join("\n")
}

fn causes(failure: &OperationFailure) -> Vec<String> {
    let failed = failure.prerequisites.iter().filter(|it| !it.passed && !it.skipped);
    let mut lines: Vec<String> = failed.flat_map(unmet).collect();
    // It may be what the prerequisites said already.
    if !failure.help.is_empty() && !lines.iter().any(|it| it.trim() == failure.help) {
        lines.push(failure.help.clone());
    }
    lines
}

fn unmet(check: &PrerequisiteCheck) -> Vec<String> {
    let mut lines = vec![format!("P{} {}", check.prerequisite, check.message)];
    if !check.help.is_empty() {
        lines.push(format!("   {}", check.help));
    }
    lines
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;
    use proto::lifecycle::v1::{FailureKind, Prerequisite, StageProgress};

    use super::*;

    fn failed() -> Operation {
        let check = |prerequisite: Prerequisite, passed: bool| PrerequisiteCheck {
            prerequisite: prerequisite.into(),
            passed,
            message: "not so".into(),
            help: "do this".into(),
            ..PrerequisiteCheck::default()
        };
        let failure = OperationFailure {
            kind: FailureKind::Licence.into(),
            stage: OperationStage::Validating.into(),
            message: "The user is not licensed.".into(),
            prerequisites: vec![
                check(Prerequisite::DatabaseCapacity, false),
                check(Prerequisite::Governance, true),
                check(Prerequisite::Licence, false),
            ],
            ..OperationFailure::default()
        };
        Operation {
            name: "operations/7".into(),
            kind: OperationKind::Setup.into(),
            state: OperationState::Failed.into(),
            failure: Some(failure),
            resumable: true,
            cancellable: true,
            ..Operation::default()
        }
    }

    #[test]
    fn a_failure_names_every_prerequisite_and_the_command_that_goes_on() {
        let expected = "\
P1 not so
   do this
P3 not so
   do this
Then go on with: tombolo env resume 7
Or undo it with: tombolo env cancel 7";
        assert_eq!(failure(&failed()), expected);
        assert_eq!(headline(&failed()), "setup, validating: The user is not licensed.");
    }

    #[test]
    fn a_result_says_how_long_it_took_and_what_to_mind() {
        let stage = |state: OperationState| StageProgress {
            state: state.into(),
            ..StageProgress::default()
        };
        let at = |seconds| Some(Timestamp { seconds, nanos: 0 });
        let it = Operation {
            name: "operations/7".into(),
            kind: OperationKind::CopyEnvironment.into(),
            state: OperationState::Succeeded.into(),
            targets: vec!["platformEnvironments/1".into()],
            stages: vec![stage(OperationState::Succeeded), stage(OperationState::Succeeded)],
            warnings: vec!["copy the other half".into()],
            create_time: at(100),
            end_time: at(165),
            ..Operation::default()
        };
        let expected = "\
operation              operations/7
kind                   copy-environment
targets                platformEnvironments/1
state                  succeeded
stages done            2 of 2
took                   1 min 5 s
warning: copy the other half
";
        assert_eq!(result(&it), expected);
    }
}
