//! Events for people: a line that moves for each target, and a table in the end.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use raito_run::{Observer, RunEvent};

use super::error::human;
use super::table::{Summary, grouped, target_lines};
use super::{Reporter, data, say};
use crate::error::CliError;

/// Prints for people.
pub(crate) struct Human {
    bars: MultiProgress,
    moving: bool,
    lines: Mutex<HashMap<String, ProgressBar>>,
}

impl Human {
    pub(crate) fn new(bars: MultiProgress, quiet: bool) -> Self {
        let moving = !quiet && std::io::IsTerminal::is_terminal(&std::io::stderr());
        Self { bars, moving, lines: Mutex::default() }
    }

    /// Says something above the moving lines.
    fn above(&self, text: &str) {
        self.bars.suspend(|| say(text));
    }

    fn with_line(&self, target: &str, act: impl FnOnce(&ProgressBar)) {
        if !self.moving {
            return;
        }
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let line = lines.entry(target.to_owned()).or_insert_with(|| {
            let style = ProgressStyle::with_template("{spinner} {prefix}  {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner());
            let line = self.bars.add(ProgressBar::new_spinner().with_style(style).with_prefix(target.to_owned()));
            line.enable_steady_tick(Duration::from_millis(120));
            line
        });
        act(line);
    }
}

impl Observer for Human {
    fn observe(&self, event: &RunEvent) {
        match event {
            RunEvent::TargetStart { target, .. } => self.with_line(target, |line| line.set_message("starting")),
            RunEvent::StepStart { target, step } => {
                self.with_line(target, |line| line.set_message(format!("{}/5 {}", step.number(), step.title())));
            }
            RunEvent::Progress { target, step, records, .. } => self.with_line(target, |line| {
                line.set_message(format!("{}/5 {}  {} records", step.number(), step.title(), grouped(*records)));
            }),
            RunEvent::Planned { target, at, request, .. } => {
                let place = at.as_ref().map(|at| format!(" ({at})")).unwrap_or_default();
                // What a dry run is for: it goes where it can be kept, beside the moving lines.
                self.bars.suspend(|| data(&format!("would send {target}{place}: {request}")));
            }
            RunEvent::StepEnd { .. } => {}
            RunEvent::TargetEnd { target, .. } => {
                let line = self.lines.lock().unwrap_or_else(PoisonError::into_inner).remove(target);
                if let Some(line) = line {
                    line.finish_and_clear();
                }
            }
        }
    }
}

impl Reporter for Human {
    fn error(&self, target: &str, error: &CliError) {
        self.above(&human(&error.clone().at(format!("target {target}"))));
    }

    fn summary(&self, summary: &Summary) {
        for target in &summary.targets {
            target_lines(target).iter().for_each(|line| data(line));
        }
        if summary.dry_run {
            data("Nothing was changed: this was a dry run.");
        }
        let root = summary.checkpoint.checkpoint().root;
        data(&format!("Audit log: {} lines, root {root}", grouped(root.size)));
    }
}
