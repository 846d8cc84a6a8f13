//! The summary: what each step of each target did.

use raito_core::checkpoint::SignedCheckpoint;
use raito_core::digest::Digest;
use raito_core::exchange::{Outcome, StepReport};

use crate::exit::Exit;

/// What a run came to.
#[derive(Debug, Clone)]
pub(crate) struct Summary {
    pub(crate) targets: Vec<TargetSummary>,
    pub(crate) dry_run: bool,
    pub(crate) exit: Exit,
    /// The digest of the audit log's last line.
    pub(crate) audit_head: Digest,
    pub(crate) checkpoint: SignedCheckpoint,
}

/// What a target came to.
#[derive(Debug, Clone)]
pub(crate) struct TargetSummary {
    pub(crate) name: String,
    pub(crate) outcome: Outcome,
    pub(crate) steps: Vec<StepReport>,
}

/// A number with commas between thousands.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A duration in milliseconds for people.
pub(super) fn seconds(ms: u64) -> String {
    format!("{}.{:02} s", ms / 1_000, ms % 1_000 / 10)
}

/// The mark of an outcome, with a word beside it: colour never carries meaning alone.
fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Completed => "done",
        Outcome::Failed => "failed",
        Outcome::Skipped => "skipped",
        Outcome::Interrupted => "stopped",
    }
}

/// The lines of the summary of one target.
pub(super) fn target_lines(target: &TargetSummary) -> Vec<String> {
    let header = ["step", "", "read", "added", "updated", "unchanged", "removed", "kept", "calls", "time"];
    let mut rows: Vec<Vec<String>> = vec![header.map(str::to_owned).into()];
    for step in &target.steps {
        let mut row = vec![format!("{} {}", step.step.number(), step.step.title()), word(step.outcome).to_owned()];
        if step.outcome == Outcome::Skipped {
            row.resize(header.len(), String::new());
        } else {
            row.push(grouped(step.records));
            let of = |count: fn(&raito_core::upload::Receipt) -> u64| {
                step.receipt.as_ref().map_or_else(String::new, |receipt| grouped(count(receipt)))
            };
            row.extend([of(|r| r.added), of(|r| r.updated), of(|r| r.unchanged), of(|r| r.removed), of(|r| r.kept)]);
            row.push(grouped(step.calls));
            row.push(seconds(step.duration_ms));
        }
        rows.push(row);
    }
    let widths: Vec<usize> =
        (0..header.len()).map(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cell = |(at, text): (usize, &String)| {
            if at < 2 {
                format!("{text:<width$}", width = widths[at])
            } else {
                format!("{text:>width$}", width = widths[at])
            }
        };
        format!("  {}", row.iter().enumerate().map(cell).collect::<Vec<_>>().join("  ").trim_end())
    };
    if target.steps.is_empty() {
        return vec![format!("{}: {}; nothing of it ran", target.name, word(target.outcome))];
    }
    let mut lines = vec![target.name.clone()];
    for (at, row) in rows.iter().enumerate() {
        lines.push(line(row));
        if let Some(step) = at.checked_sub(1).map(|at| &target.steps[at]) {
            let reason =
                step.reason.iter().filter(|_| step.outcome != Outcome::Failed).map(|reason| format!("      {reason}"));
            lines.extend(reason);
            lines.extend(step.warnings.iter().map(|warning| format!("      ! {warning}")));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_for_people() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([9, 1_250, 61_000].map(seconds), ["0.00 s", "1.25 s", "61.00 s"]);
    }
}
