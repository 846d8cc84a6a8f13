//! Events as JSON lines on standard output, each with the version of the form.

use raito_run::{Observer, RunEvent};
use serde_json::{Value, json};

use super::table::Summary;
use super::{Reporter, data};
use crate::error::CliError;

/// Version of the form.
const VERSION: u8 = 1;

/// Prints JSON lines.
pub(crate) struct Json;

fn line(mut value: Value) {
    value["v"] = json!(VERSION);
    data(&value.to_string());
}

/// An error as JSON.
pub(crate) fn error(target: Option<&str>, error: &CliError) -> Value {
    let mistakes: Vec<Value> = error
        .mistakes
        .iter()
        .flat_map(|mistakes| mistakes.list.iter().map(move |mistake| (&mistakes.file, mistake)))
        .map(|(file, mistake)| {
            let (line, column) = (mistake.place.line, mistake.place.column);
            json!({ "file": file, "line": line, "column": column, "message": mistake.message, "help": mistake.help })
        })
        .collect();
    json!({
        "event": "error", "code": error.code.name, "exit": error.code.exit.code(), "target": target,
        "message": error.message, "help": error.help, "mistakes": mistakes,
    })
}

impl Observer for Json {
    fn observe(&self, event: &RunEvent) {
        if let Ok(value) = serde_json::to_value(event) {
            line(value);
        }
    }
}

impl Reporter for Json {
    fn error(&self, target: &str, failed: &CliError) {
        line(error(Some(target), failed));
    }

    fn summary(&self, summary: &Summary) {
        let root = summary.checkpoint.checkpoint().root;
        line(json!({
            "event": "summary", "exit": summary.exit.code(), "dry-run": summary.dry_run,
            "audit": {
                "lines": root.size, "head": summary.audit_head, "root": root.to_string(), "checkpoint": summary.checkpoint,
            },
            "targets": summary.targets.iter().map(|target| json!({
                "target": target.name, "outcome": target.outcome.word(), "steps": target.steps,
            })).collect::<Vec<_>>(),
        }));
    }
}
