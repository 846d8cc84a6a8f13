//! `raito audit`

use raito_audit::{Line, ReadError, VerifyError, lines, verify};
use raito_core::text::escape;

use super::configuration;
use crate::args::{Audit, Global, Output};
use crate::codes;
use crate::error::CliError;
use crate::exit::Exit;
use crate::render::data;

/// Reads or verifies the audit log.
pub(super) fn run(global: &Global, args: &Audit) -> Result<Exit, CliError> {
    let folder = configuration::state_alone(global)?.audit();
    match args {
        Audit::Verify => {
            let report = verify(&folder).map_err(|error| match error {
                VerifyError::Read(error @ ReadError::Io(_)) => CliError::new(codes::AUDIT, error.to_string()),
                error => CliError::new(codes::AUDIT_BROKEN, error.to_string())
                    .help("what stands before that line can be trusted; what stands behind it cannot"),
            })?;
            if global.output == Output::Json {
                let runs = report.runs.iter().map(|run| serde_json::json!({ "run": run.run, "began": run.began, "lines": run.lines, "outcome": run.outcome }));
                let runs: Vec<_> = runs.collect();
                data(&serde_json::json!({ "v": 1, "lines": report.lines, "head": report.head, "torn": report.torn, "runs": runs, "kinds": report.kinds }).to_string());
                return Ok(Exit::Done);
            }
            data(&format!(
                "{} lines of {} runs are what was written; head {}",
                report.lines,
                report.runs.len(),
                report.head
            ));
            for run in report.runs.iter().filter(|run| run.outcome.is_none()) {
                data(&format!("  run {} of {} has no end: it was killed, or is still going on", run.run, run.began));
            }
            if report.torn {
                data("  behind them stands a line that a crash cut short; the next run takes it off");
            }
            Ok(Exit::Done)
        }
        Audit::Show { run, target, kind } => {
            let failed = |error: raito_audit::ReadError| CliError::new(codes::AUDIT, error.to_string());
            for line in lines(&folder).map_err(failed)? {
                let line = line.map_err(failed)?;
                let of = |name: &str| line.value.get(name).and_then(|value| value.as_str());
                let matches = run.as_deref().is_none_or(|run| line.run == run)
                    && kind.as_deref().is_none_or(|kind| line.kind == kind)
                    && target.as_deref().is_none_or(|target| of("target") == Some(target));
                if matches {
                    data(&if global.output == Output::Json { line.value.to_string() } else { shown(&line) });
                }
            }
            Ok(Exit::Done)
        }
    }
}

/// A line for people: time, kind, and the fields that belong to the kind.
fn shown(line: &Line) -> String {
    const ENVELOPE: [&str; 6] = ["v", "seq", "t", "run", "prev", "kind"];
    let mut text = format!("{:>6} {} {:<15}", line.seq, line.time, escape(&line.kind));
    if let Some(fields) = line.value.as_object() {
        for (name, value) in
            fields.iter().filter(|(name, value)| !ENVELOPE.contains(&name.as_str()) && !value.is_null())
        {
            let value = match value.as_str() {
                Some(word) => escape(word).into_owned(),
                None => escape(&value.to_string()).into_owned(),
            };
            text.push_str(&format!(" {name}={value}"));
        }
    }
    text
}
