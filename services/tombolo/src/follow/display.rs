//! How far an operation is, on standard error: a line for each stage and a bar for all of it where there
//! is a terminal, a line for each change where there is none.

use std::io::{IsTerminal as _, stderr};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use proto::lifecycle::v1::{
    Operation, OperationKind, OperationStage, OperationState, StageProgress,
};

use crate::print::{note, phrase, span};

const TICK: Duration = Duration::from_millis(120);
const STAGE_WIDTH: usize = 30;
const BAR: &str = "{bar:20} {percent:>3}%  {msg}";

pub(super) enum Display {
    Terminal { lines: MultiProgress, stages: Vec<ProgressBar>, overall: ProgressBar },
    Lines(Said),
}

/// What was said already, so that only news is.
#[derive(Default)]
pub(super) struct Said {
    head: bool,
    /// Of each stage, the last line.
    stages: Vec<String>,
    waiting: bool,
}

impl Display {
    pub(super) fn new() -> Self {
        if !stderr().is_terminal() {
            return Self::Lines(Said::default());
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
            Self::Lines(said) => said.changes(operation).iter().for_each(|it| note(it)),
        }
    }

    pub(super) fn waiting(&mut self) {
        const TEXT: &str =
            "the system does not answer; what has begun goes on when it does, trying again";
        match self {
            Self::Terminal { overall, .. } => overall.set_message(TEXT),
            Self::Lines(said) => {
                if !std::mem::replace(&mut said.waiting, true) {
                    note(TEXT);
                }
            }
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
    let doing = [doing(stage).to_owned(), attempt(stage)];
    let doing = doing.into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>().join("  ");
    format!("{name:<STAGE_WIDTH$} {percent:<4}  {doing}").trim_end().to_owned()
}

/// What it is at; nothing of one that is not at work any more.
fn doing(stage: &StageProgress) -> &str {
    match stage.state() {
        OperationState::Running | OperationState::Cancelling => &stage.status_text,
        _ => "",
    }
}

fn attempt(stage: &StageProgress) -> String {
    match stage.attempt_count {
        0 | 1 => String::new(),
        count => format!("(attempt {count})"),
    }
}

fn stage_name(stage: &StageProgress) -> String {
    capitalized(&phrase::<OperationStage>(stage.stage))
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
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

impl Said {
    /// Lines that were not said yet.
    fn changes(&mut self, operation: &Operation) -> Vec<String> {
        self.waiting = false;
        let mut lines = Vec::new();
        if !std::mem::replace(&mut self.head, true) {
            let kind = capitalized(&phrase::<OperationKind>(operation.kind));
            lines.push(format!("{kind}: {}", operation.name));
        }
        self.stages.resize(operation.stages.len().max(self.stages.len()), String::new());
        for (said, stage) in self.stages.iter_mut().zip(&operation.stages) {
            let line = plain_line(stage);
            if !line.is_empty() && line != *said {
                lines.push(line.clone());
                *said = line;
            }
        }
        lines
    }
}

/// `Installing packages: DualWriteCoreAnchor`; nothing of a stage that has not begun.
fn plain_line(stage: &StageProgress) -> String {
    let is_at = match stage.state() {
        OperationState::Pending | OperationState::Unspecified => return String::new(),
        OperationState::Running => doing(stage),
        OperationState::Cancelling => "going back",
        OperationState::Succeeded => "done",
        OperationState::Failed => "failed",
        OperationState::Cancelled => "taken back",
    };
    let name = stage_name(stage);
    let line = if is_at.is_empty() { name } else { format!("{name}: {is_at}") };
    format!("{line} {}", attempt(stage)).trim_end().to_owned()
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
        use OperationStage::{DualWritePlatformSetup, LinkingRuntime};
        let mut operation = Operation {
            name: "operations/7".into(),
            kind: OperationKind::InstallAddIn.into(),
            state: OperationState::Pending.into(),
            stages: vec![
                stage(DualWritePlatformSetup, OperationState::Running, ""),
                stage(LinkingRuntime, OperationState::Pending, "never said"),
            ],
            ..Operation::default()
        };
        let mut said = Said::default();
        let first = said.changes(&operation);
        assert_eq!(first, ["Install add-in: operations/7", "Dual-write platform setup"]);
        operation.state = OperationState::Running.into();
        assert!(said.changes(&operation).is_empty());
        operation.stages[0] = stage(DualWritePlatformSetup, OperationState::Running, "maps");
        operation.stages[0].attempt_count = 2;
        let again = "Dual-write platform setup: maps (attempt 2)";
        assert_eq!(said.changes(&operation), [again]);
        operation.stages[0] = stage(DualWritePlatformSetup, OperationState::Succeeded, "maps");
        assert_eq!(said.changes(&operation), ["Dual-write platform setup: done"]);
        assert!(said.changes(&operation).is_empty());
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
