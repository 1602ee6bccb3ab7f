//! One bar that goes from step to step. Without a terminal, a line per step, however often it comes back to
//! one.

use std::collections::HashSet;
use std::io::{IsTerminal as _, stderr};

use indicatif::{ProgressBar, ProgressStyle};

const TEMPLATE: &str = "{prefix} {wide_bar} {percent:>3}%  {msg} {human_pos}/{human_len}";

/// Progress of long work on standard error.
#[derive(Debug)]
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    title: &'static str,
    told: HashSet<String>,
}

impl Progress {
    pub(super) fn new(title: &'static str) -> Self {
        let bar = stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template(TEMPLATE);
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(0).with_style(style).with_prefix(title)
        });
        Self { bar, title, told: HashSet::new() }
    }

    pub(super) fn show(&mut self, step: &str, done: u64, total: u64) {
        match &self.bar {
            Some(bar) => {
                bar.set_message(step.to_owned());
                bar.set_length(total);
                bar.set_position(done);
            }
            None if self.told.insert(step.to_owned()) => eprintln!("{}: {step}", self.title),
            None => {}
        }
    }

    pub(super) fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
