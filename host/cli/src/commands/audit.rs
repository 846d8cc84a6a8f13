//! `raito audit`

mod proof;
mod verify;

use raito_audit::{Line, ReadError, lines};
use raito_core::text::escape;

use super::configuration;
use crate::args::{Audit, Global, Output};
use crate::codes;
use crate::error::CliError;
use crate::exit::Exit;
use crate::render::data;

/// Reads, verifies or proves the audit log.
pub(super) fn run(global: &Global, args: &Audit) -> Result<Exit, CliError> {
    let folder = || Ok::<_, CliError>(configuration::state_alone(global)?.audit());
    match args {
        Audit::Verify(args) => verify::run(global, args),
        Audit::Prove(args) => proof::prove(global.output, &folder()?, args),
        Audit::Checkpoint { all } => proof::checkpoint(global.output, &folder()?, *all),
        Audit::Key => proof::key(global.output, &folder()?),
        Audit::Show { run, target, kind } => {
            let failed = |error: ReadError| CliError::new(codes::AUDIT, error.to_string());
            for line in lines(&folder()?).map_err(failed)? {
                let line = line.map_err(failed)?;
                let value = line.value().map_err(failed)?;
                let of = |name: &str| value.get(name).and_then(|value| value.as_str());
                let matches = run.as_deref().is_none_or(|run| line.run == run)
                    && kind.as_deref().is_none_or(|kind| line.kind == kind)
                    && target.as_deref().is_none_or(|target| of("target") == Some(target));
                if matches {
                    data(&if global.output == Output::Json { value.to_string() } else { shown(&line, &value) });
                }
            }
            Ok(Exit::Done)
        }
    }
}

/// A line for people: time, kind, and the fields that belong to the kind.
fn shown(line: &Line, value: &serde_json::Value) -> String {
    const ENVELOPE: [&str; 6] = ["v", "seq", "t", "run", "prev", "kind"];
    let mut text = format!("{:>6} {} {:<15}", line.seq, line.time, escape(&line.kind));
    if let Some(fields) = value.as_object() {
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
