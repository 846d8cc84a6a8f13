//! `raito access expire`

use raito_access::expire::{Ending, ending, without_ended};
use raito_access::finding::{Finding, Level};
use raito_access::time;
use raito_core::ports::Clock as _;
use serde_json::json;

use super::{files, findings, planning};
use crate::args::access::{ExpireArgs, Files, Format};
use crate::args::{Global, Output};
use crate::clock::SystemClock;
use crate::codes;
use crate::error::CliError;
use crate::exit::Exit;
use crate::render::{data, say};

/// Lists members whose time is over or soon will be, and takes those whose time is over out of the files.
pub(super) fn run(global: &Global, args: &ExpireArgs) -> Result<Exit, CliError> {
    let read = files::read(global, &Files { paths: args.paths.clone(), format: Format::Access })?;
    let code = match &read.code {
        Ok(code) => code,
        Err(wrong) => {
            findings::mistakes(global.output, &read.sources, wrong);
            return Ok(Exit::Usage);
        }
    };
    let now_ms = SystemClock.now_ms();
    let all = ending(code, now_ms.saturating_add(args.within.unwrap_or(0)));
    let path = |ending: &Ending<'_>| planning::path(&read.sources, ending.who.spot.file);
    if global.output == Output::Json {
        for ending in &all {
            let value = json!({
                "v": 1,
                "event": "expiry",
                "path": path(ending),
                "line": ending.who.spot.place.line,
                "target": ending.entry.target,
                "control": ending.entry.name,
                "who": ending.who.name.to_string(),
                "expires": time::last(ending.end_ms),
                "over": ending.end_ms <= now_ms,
                "reason": ending.who.reason,
            });
            data(&value.to_string());
        }
    } else {
        let found: Vec<Finding> = all.iter().map(|ending| finding(ending, path(ending), now_ms)).collect();
        findings::print(global.output, &found);
    }
    let over = all.iter().filter(|ending| ending.end_ms <= now_ms).count();
    if !args.write {
        if !global.quiet {
            say(&format!("{over} are over, and {} will be", all.len() - over));
        }
        return Ok(if all.is_empty() { Exit::Done } else { Exit::Changes });
    }
    for (path, source) in read.paths.iter().zip(&read.sources) {
        let text = without_ended(&source.text, now_ms)
            .map_err(|error| CliError::new(codes::ACCESS_FILE, format!("{}: {error}", source.path)))?;
        if let Some(text) = text {
            crate::files::replace(path, text.as_bytes())?;
        }
    }
    if !global.quiet {
        say(&format!("{over} were taken out of the files"));
    }
    Ok(Exit::Done)
}

fn finding(ending: &Ending<'_>, path: String, now_ms: u64) -> Finding {
    let Ending { entry, who, end_ms } = ending;
    let over = *end_ms <= now_ms;
    let reason = who.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    let verb = if over { "ended" } else { "ends" };
    Finding {
        path,
        place: who.spot.place,
        level: if over { Level::Warning } else { Level::Note },
        rule: if over { "expired" } else { "expiring" }.to_owned(),
        message: format!(
            "the membership of {} in {} on {} {verb} {}{reason}",
            who.name,
            entry.name,
            entry.target,
            time::last(*end_ms)
        ),
        help: None,
    }
}
