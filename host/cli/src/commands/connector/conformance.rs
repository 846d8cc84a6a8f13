//! `raito connector test`

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use raito_conformance::{Check, NotTried, Outcome, Report, Scenario, StepSummary, Subject, run as run_suite};
use raito_core::capability::exported_step;
use raito_core::limits;
use raito_core::step::Step;
use raito_core::text::escape;
use serde_json::json;

use crate::args::{Global, Output};
use crate::codes;
use crate::commands::configuration::state_alone;
use crate::engine::isolation::Workplace;
use crate::engine::prepare::load;
use crate::error::CliError;
use crate::exit::Exit;
use crate::files;
use crate::render::data;

/// Runs the conformance suite with each scenario. The connector runs as it does in a run: in a process of its own where the system
/// has that, with the code that was compiled for it before where there is a configuration, whose state directory keeps such code.
pub(super) async fn run(global: &Global, file: &Path, scenarios: &[PathBuf]) -> Result<Exit, CliError> {
    let workplace = Workplace::of_this_machine(state_alone(global).ok().as_ref());
    let (inspected, output) = (load(file, &workplace).await?, global.output);
    let (connector, _) = workplace.ready(&inspected).await?;
    let steps: BTreeSet<Step> = inspected.exports.iter().filter_map(|name| exported_step(name)).collect();
    let subject = Subject { connector: connector.as_ref(), manifest: &inspected.manifest, steps: &steps };
    let mut failed = 0;
    for path in paths(scenarios)? {
        let at =
            |error: &dyn std::fmt::Display| CliError::new(codes::SCENARIO, format!("{}: {error}", files::shown(&path)));
        let bytes = files::read(&path, limits::SCENARIO_BYTES, codes::SCENARIO)?;
        let text = String::from_utf8(bytes).map_err(|_| at(&"it is not UTF-8"))?;
        let scenario = Scenario::parse(&text).map_err(|error| at(&error))?;
        let report = run_suite(&subject, scenario).await.map_err(|error| at(&error))?;
        if report.checks.is_empty() {
            return Err(at(&"no step is tried with it").help("it must be for a step that the connector exports"));
        }
        failed += report.checks.iter().filter(|check| check.outcome == Outcome::Failed).count();
        let connector = format!("{} {}", inspected.manifest.name, inspected.manifest.version);
        if output == Output::Json {
            let (conforms, scenario) = (report.conforms(), files::shown(&path));
            let line =
                json!({ "v": 1, "connector": connector, "scenario": scenario, "conforms": conforms, "report": report });
            data(&line.to_string());
        } else {
            data(&format!("{connector} with {}", files::shown(&path)));
            lines(&report).iter().for_each(|line| data(line));
        }
    }
    match failed {
        0 => Ok(Exit::Done),
        1 => Err(CliError::new(codes::CONFORMANCE, "1 check failed")),
        failed => Err(CliError::new(codes::CONFORMANCE, format!("{failed} checks failed"))),
    }
}

/// The files that are named, and those of folders, by name.
fn paths(given: &[PathBuf]) -> Result<Vec<PathBuf>, CliError> {
    let mut paths = Vec::new();
    for path in given {
        if !path.is_dir() {
            paths.push(path.clone());
            continue;
        }
        let cannot = |error: std::io::Error| {
            CliError::new(codes::SCENARIO, format!("cannot read {}: {}", files::shown(path), files::reason(&error)))
        };
        let mut found = Vec::new();
        for entry in path.read_dir().map_err(cannot)? {
            let file = entry.map_err(cannot)?.path();
            if file.extension().is_some_and(|ending| ending == "json") {
                found.push(file);
            }
        }
        if found.is_empty() {
            let message = format!("{} has no scenario: files that end with .json", files::shown(path));
            return Err(CliError::new(codes::SCENARIO, message));
        }
        found.sort();
        paths.extend(found);
    }
    Ok(paths)
}

fn lines(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    for step in &report.steps {
        lines.push(step_line(step));
        report.checks.iter().filter(|check| check.step == step.step).for_each(|check| check_lines(check, &mut lines));
    }
    for NotTried { step, reason } in &report.not_tried {
        lines.push(format!("  {} {}: not tried: {reason}", step.number(), step.title()));
    }
    if !report.unused.is_empty() {
        lines.push(format!("  read entries that nothing used: {}", report.unused.join(", ")));
    }
    lines
}

fn step_line(step: &StepSummary) -> String {
    let StepSummary { records, pages, largest_page, gaps, calls, memory_bytes, .. } = step;
    let memory = memory_bytes / 1_024;
    format!(
        "  {} {}: {records} records on {pages} pages of at most {largest_page}, {gaps} gaps, {calls} calls, {memory} KiB of memory",
        step.step.number(),
        step.step.title()
    )
}

fn check_lines(check: &Check, lines: &mut Vec<String>) {
    let mark = match check.outcome {
        Outcome::Passed => "ok",
        Outcome::Failed => "FAILED",
        Outcome::NotTried => "-",
    };
    let mut said = check.said.iter().map(|said| escape(said).into_owned());
    lines.push(format!("    {mark:<6} {:<14} {}", check.name, said.next().unwrap_or_default()));
    lines.extend(said.map(|said| format!("{:<26}{said}", "")));
}
