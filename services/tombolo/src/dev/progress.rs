//! One bar that goes from step to step. Without a terminal, a line per step.

use std::io::{IsTerminal as _, stderr};

use indicatif::{ProgressBar, ProgressStyle};

const TEMPLATE: &str = "{prefix} {wide_bar} {percent:>3}%  {msg} {human_pos}/{human_len}";

/// Progress of long work on standard error.
#[derive(Debug)]
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    title: &'static str,
    step: String,
}

impl Progress {
    pub(super) fn new(title: &'static str) -> Self {
        let bar = stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template(TEMPLATE);
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(0).with_style(style).with_prefix(title)
        });
        Self { bar, title, step: String::new() }
    }

    pub(super) fn show(&mut self, step: &str, done: u64, total: u64) {
        let is_new = self.step != step;
        match &self.bar {
            Some(bar) => {
                if is_new {
                    bar.set_message(step.to_owned());
                }
                bar.set_length(total);
                bar.set_position(done);
            }
            None if is_new => eprintln!("{}: {step}", self.title),
            None => {}
        }
        if is_new {
            step.clone_into(&mut self.step);
        }
    }

    pub(super) fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
