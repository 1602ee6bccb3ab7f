//! How far an operation is, on standard error: a line for each stage and a bar for all of it where there
//! is a terminal, a line for each change where there is none.

use std::io::{IsTerminal as _, stderr};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use proto::lifecycle::v1::{Operation, OperationStage, OperationState, StageProgress};

use crate::print::{note, span, word};

const TICK: Duration = Duration::from_millis(120);
const STAGE_WIDTH: usize = 30;
const BAR: &str = "{wide_bar} {percent:>3}%  {msg}";

pub(super) enum Display {
    Terminal { lines: MultiProgress, stages: Vec<ProgressBar>, overall: ProgressBar },
    Lines { said: Vec<String> },
}

impl Display {
    pub(super) fn new() -> Self {
        if !stderr().is_terminal() {
            return Self::Lines { said: Vec::new() };
        }
        let lines = MultiProgress::new();
        let overall = lines.add(ProgressBar::new(100).with_style(style(BAR)));
        Self::Terminal { lines, stages: Vec::new(), overall }
    }

    pub(super) fn show(&mut self, operation: &Operation) {
        match self {
            Self::Terminal { lines, stages, overall } => {
                while stages.len() < operation.stages.len() {
                    let bar = ProgressBar::new_spinner().with_style(style("{spinner} {msg}"));
                    stages.push(lines.insert_before(overall, bar));
                }
                for (bar, stage) in stages.iter().zip(&operation.stages) {
                    show_stage(bar, stage);
                }
                let percent = operation.progress_percent.clamp(0, 100);
                overall.set_position(u64::try_from(percent).unwrap_or_default());
                overall.set_message(remaining(operation));
            }
            Self::Lines { said } => changes(operation, said).iter().for_each(|it| note(it)),
        }
    }

    pub(super) fn waiting(&mut self) {
        const TEXT: &str = "the system does not answer; trying again";
        match self {
            Self::Terminal { overall, .. } => overall.set_message(TEXT),
            Self::Lines { said } if said.last().is_none_or(|it| it != TEXT) => {
                said.push(TEXT.to_owned());
                note(TEXT);
            }
            Self::Lines { .. } => {}
        }
    }

    /// The stages stay, the bar goes.
    pub(super) fn finish(self) {
        if let Self::Terminal { stages, overall, .. } = self {
            stages.iter().filter(|it| !it.is_finished()).for_each(ProgressBar::abandon);
            overall.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn show_stage(bar: &ProgressBar, stage: &StageProgress) {
    let line = stage_line(stage);
    match stage.state() {
        OperationState::Running | OperationState::Cancelling => {
            bar.set_style(style("{spinner} {msg}"));
            bar.enable_steady_tick(TICK);
        }
        state => {
            bar.disable_steady_tick();
            bar.set_style(style(match state {
                OperationState::Succeeded => "✓ {msg}",
                OperationState::Failed => "✗ {msg}",
                OperationState::Cancelled => "↶ {msg}",
                _ => "· {msg}",
            }));
        }
    }
    bar.set_message(line);
    bar.tick();
}

/// `Installing packages            42%  DualWriteCoreAnchor`.
fn stage_line(stage: &StageProgress) -> String {
    let name = stage_name(stage);
    let percent = match stage.state() {
        OperationState::Running => format!("{:>3}%", stage.progress_percent),
        _ => String::new(),
    };
    let attempts = match stage.attempt_count {
        0 | 1 => String::new(),
        count => format!("  (attempt {count})"),
    };
    let line = format!("{name:<STAGE_WIDTH$} {percent:<4}  {}{attempts}", stage.status_text);
    line.trim_end().to_owned()
}

fn stage_name(stage: &StageProgress) -> String {
    let name = word::<OperationStage>(stage.stage).replace('-', " ");
    let mut letters = name.chars();
    letters.next().map(|it| it.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn remaining(operation: &Operation) -> String {
    let left = operation.remaining_duration.map(|it| format!("about {} left", span(it)));
    [operation.status_text.as_str(), left.as_deref().unwrap_or_default()]
        .into_iter()
        .filter(|it| !it.is_empty())
        .collect::<Vec<_>>()
        .join(", ")
}

/// Lines that were not said yet.
fn changes(operation: &Operation, said: &mut Vec<String>) -> Vec<String> {
    let head = format!("{}: {}", operation.name, word::<OperationState>(operation.state));
    let stages = operation.stages.iter().filter(|it| it.state() != OperationState::Pending);
    let stages = stages.map(|it| {
        let state = word::<OperationState>(it.state);
        format!("{}: {state}  {}", stage_name(it), it.status_text).trim_end().to_owned()
    });
    let new: Vec<String> =
        std::iter::once(head).chain(stages).filter(|it| !said.contains(it)).collect();
    said.extend(new.iter().cloned());
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(stage: OperationStage, state: OperationState, text: &str) -> StageProgress {
        StageProgress {
            stage: stage.into(),
            state: state.into(),
            progress_percent: 42,
            status_text: text.into(),
            ..StageProgress::default()
        }
    }

    #[test]
    fn without_a_terminal_every_change_is_said_once() {
        let mut operation = Operation {
            name: "operations/7".into(),
            state: OperationState::Running.into(),
            stages: vec![
                stage(OperationStage::Validating, OperationState::Running, "P1"),
                stage(OperationStage::LinkingRuntime, OperationState::Pending, ""),
            ],
            ..Operation::default()
        };
        let mut said = Vec::new();
        let first = changes(&operation, &mut said);
        assert_eq!(first, ["operations/7: running", "Validating: running  P1"]);
        assert!(changes(&operation, &mut said).is_empty());
        operation.stages[0] = stage(OperationStage::Validating, OperationState::Succeeded, "");
        assert_eq!(changes(&operation, &mut said), ["Validating: succeeded"]);
    }

    #[test]
    fn a_stage_says_what_it_does_now_and_how_often_it_was_tried() {
        let running = OperationState::Running;
        let mut it = stage(OperationStage::InstallingPackages, running, "DualWriteCoreAnchor");
        it.attempt_count = 2;
        let line = "Installing packages             42%  DualWriteCoreAnchor  (attempt 2)";
        assert_eq!(stage_line(&it), line);
        let it = stage(OperationStage::LinkingRuntime, OperationState::Pending, "");
        assert_eq!(stage_line(&it), "Linking runtime");
    }

    #[test]
    fn the_bar_tells_the_time_that_is_left() {
        let mut operation = Operation { status_text: "In progress".into(), ..Operation::default() };
        assert_eq!(remaining(&operation), "In progress");
        operation.remaining_duration = Some(prost_types::Duration { seconds: 90, nanos: 0 });
        assert_eq!(remaining(&operation), "In progress, about 1 min 30 s left");
    }
}
