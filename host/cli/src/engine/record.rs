//! Writing down what a target answered, as a scenario for `raito connector test`.

use std::collections::BTreeMap;
use std::path::Path;

use raito_conformance::{Expected, Recorder};
use raito_core::exchange::{Outcome, StepReport};
use raito_core::step::Step;
use raito_core::text::{Ident, TargetName};
use raito_run::TargetReport;

use crate::codes;
use crate::error::CliError;
use crate::files;
use crate::render::say;

/// Writes the scenario of a target into a folder, readable by its owner only. What is expected of a step is what it came to.
pub(super) fn write(
    folder: &Path,
    target: &TargetName,
    recorder: &Recorder<'_>,
    settings: &BTreeMap<Ident, String>,
    report: &TargetReport,
) -> Result<(), CliError> {
    let mut scenario = recorder.scenario().map_err(|error| {
        CliError::new(codes::SCENARIO, format!("what {target} answered cannot be recorded: {error}"))
    })?;
    let is_read = |step: &&StepReport| step.outcome == Outcome::Completed && step.step != Step::AccessToTarget;
    scenario.about = format!("recorded from {target}");
    scenario.settings = settings.iter().map(|(key, value)| (key.to_string(), value.clone())).collect();
    scenario.usage_since_ms = report.usage_since_ms;
    for step in report.steps.iter().filter(is_read) {
        scenario.steps.push(step.step);
        scenario.expect.insert(step.step, Expected { records: step.records, gaps: step.gaps });
    }
    files::make_private_folder(folder)?;
    let path = folder.join(format!("{}.json", target.as_str()));
    files::replace_private(&path, scenario.text().as_bytes())?;
    say(&format!("{}: what {target} answered, with what it tells about its people and data", files::shown(&path)));
    Ok(())
}
