//! `raito audit verify`

use std::path::Path;

use raito_audit::{Anchors, ReadError, Report, VerifyError, verify};
use raito_core::limits;
use raito_core::text::escape;
use serde_json::json;

use crate::args::{Global, Output, Verify};
use crate::codes;
use crate::commands::configuration;
use crate::error::CliError;
use crate::exit::Exit;
use crate::files;
use crate::render::data;

/// What it means that nothing from elsewhere was given.
const NOT_ANCHORED: &str = "not anchored: whoever may write to this folder could have written all of it anew, with its \
     checkpoints, and this would not show. Keep what `raito audit checkpoint` prints elsewhere, and give it with --anchor";

/// Verifies the log.
pub(super) fn run(global: &Global, args: &Verify) -> Result<Exit, CliError> {
    let folder = match &args.folder {
        Some(folder) => folder.clone(),
        None => configuration::state_alone(global)?.audit(),
    };
    let mut anchors = Anchors::default();
    for given in &args.anchor {
        let text = anchor_text(given)?;
        anchors.add(&text).map_err(|error| {
            CliError::new(codes::ANCHOR, format!("the anchor {}: {error}", shown(given)))
                .help("give a file with what `raito audit checkpoint` printed, or the root that a run printed")
        })?;
    }
    let report = verify(&folder, args.key.clone(), &anchors).map_err(broken)?;
    if global.output == Output::Json {
        data(&as_json(&report).to_string());
    } else {
        lines(&report).iter().for_each(|line| data(line));
    }
    Ok(Exit::Done)
}

/// The text of an anchor: that of a file where there is one of this name, and what was typed where it is an anchor itself.
fn anchor_text(given: &str) -> Result<String, CliError> {
    let is_text = given.contains('\n') || given.parse::<raito_core::checkpoint::Root>().is_ok();
    if is_text {
        return Ok(given.to_owned());
    }
    let bytes = files::read(Path::new(given), limits::ANCHOR_BYTES, codes::ANCHOR)?;
    String::from_utf8(bytes)
        .map_err(|_| CliError::new(codes::ANCHOR, format!("{} is not UTF-8", files::shown(Path::new(given)))))
}

/// An anchor for people, who see the first line of what they typed.
fn shown(given: &str) -> String {
    escape(given.lines().next().unwrap_or_default()).into_owned()
}

fn broken(error: VerifyError) -> CliError {
    let text = error.to_string();
    match error {
        VerifyError::Read(ReadError::Io(_)) => CliError::new(codes::AUDIT, text),
        VerifyError::UnsignedAnchor { .. } | VerifyError::NoKey => CliError::new(codes::ANCHOR, text).help(
            "give the public key of the log that the anchor is of with --key; its owner has it from `raito audit key`",
        ),
        VerifyError::CutOff { .. } | VerifyError::Rewritten { .. } => CliError::new(codes::AUDIT_BROKEN, text)
            .help("what an anchor of fewer lines confirms can still be trusted; keep a copy of the folder"),
        _ => CliError::new(codes::AUDIT_BROKEN, text)
            .help("what stands before that line can be trusted; what stands behind it cannot"),
    }
}

fn as_json(report: &Report) -> serde_json::Value {
    let run = |run: &raito_audit::RunReport| json!({ "run": run.run, "began": run.began, "lines": run.lines, "outcome": run.outcome });
    json!({
        "v": 1, "lines": report.root.size, "head": report.head, "root": report.root.to_string(), "torn": report.torn,
        "key": report.key.as_ref().map(ToString::to_string), "checkpoints": report.checkpoints, "signed": report.signed,
        "anchored": report.anchored, "runs": report.runs.iter().map(run).collect::<Vec<_>>(), "kinds": report.kinds,
    })
}

fn lines(report: &Report) -> Vec<String> {
    let mut lines = vec![format!(
        "{} lines of {} runs are what was written; root {}",
        report.root.size,
        report.runs.len(),
        report.root
    )];
    lines.extend(
        report.key.iter().map(|key| {
            format!("{} of them are signed, with {} checkpoints, by {key}", report.signed, report.checkpoints)
        }),
    );
    lines.push(match report.anchored {
        None => NOT_ANCHORED.to_owned(),
        Some(size) => format!("anchored: the first {size} lines are those that they were when the anchor was taken"),
    });
    for run in report.runs.iter().filter(|run| run.outcome.is_none()) {
        lines.push(format!(
            "  run {} of {} has no end: it was killed, or is still going on",
            escape(&run.run),
            escape(&run.began)
        ));
    }
    if report.torn {
        lines.push("  behind them stands a line that a crash cut short; the next run takes it off".to_owned());
    }
    lines
}
