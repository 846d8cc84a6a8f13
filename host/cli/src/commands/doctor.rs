//! `raito doctor`

use std::time::Instant;

use raito_core::limits;
use raito_sandbox::Engine;
use raito_worker::{Landlock, Protections, Worker};
use serde_json::json;

use super::configuration;
use crate::args::{Global, Output};
use crate::engine::isolation::launcher;
use crate::error::CliError;
use crate::exit::Exit;
use crate::render::data;

/// What was looked at.
struct Finding {
    what: &'static str,
    /// What there is, or what is wrong with it.
    state: Result<String, String>,
    /// What the program ends with where something is wrong.
    exit: Exit,
}

impl Finding {
    fn new(what: &'static str, state: Result<String, String>) -> Self {
        Self { what, state, exit: Exit::Failed }
    }

    fn human(&self) -> String {
        let (mark, text) = match &self.state {
            Ok(text) => ("ok  ", text),
            Err(text) => ("FAIL", text),
        };
        format!("{mark}  {:<16}{text}", self.what)
    }

    fn json(&self) -> serde_json::Value {
        let (Ok(text) | Err(text)) = &self.state;
        json!({ "what": self.what, "ok": self.state.is_ok(), "text": text })
    }
}

/// Says what of this machine raito can use, and what of its files is in order.
pub(super) async fn run(global: &Global) -> Result<Exit, CliError> {
    let mut findings = vec![Finding::new("raito", Ok(env!("CARGO_PKG_VERSION").to_owned())), runtime()];
    let protections = Worker::probe(&launcher()).await;
    findings.extend(isolation(protections.as_ref().map_err(ToString::to_string)));
    let roots = raito_broker::system_authorities();
    let authorities =
        if roots > 0 { Ok(format!("{roots} of the system")) } else { Err("none: install ca-certificates".to_owned()) };
    findings.push(Finding::new("authorities", authorities));
    findings.extend(files(global));
    if global.output == Output::Human {
        findings.iter().for_each(|finding| data(&finding.human()));
    } else {
        let all: Vec<_> = findings.iter().map(Finding::json).collect();
        data(&json!({ "v": 1, "findings": all, "protections": protections.ok().map(as_json) }).to_string());
    }
    Ok(Exit::worst(findings.iter().map(|finding| if finding.state.is_ok() { Exit::Done } else { finding.exit })))
}

fn runtime() -> Finding {
    let began = Instant::now();
    let engine = Engine::new().map(|_| format!("starts in {} ms", began.elapsed().as_millis()));
    Finding::new("runtime", engine.map_err(|error| error.to_string()))
}

/// What protects this machine from connectors, as a worker process that was just started says.
fn isolation(protections: Result<&Protections, String>) -> Vec<Finding> {
    // Linux has it there; elsewhere it says nothing of protections.
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel = format!("{} {}", std::env::consts::OS, kernel.trim());
    let mut findings = vec![Finding::new("kernel", Ok(kernel))];
    let protections = match protections {
        Ok(protections) => protections,
        Err(error) => {
            findings.push(Finding::new("workers", Err(error)));
            return findings;
        }
    };
    let limits = format!(
        "start, and confine themselves: {} MiB of data, {} h of processor time, no file, no core",
        limits::WORKER_DATA_BYTES >> 20,
        limits::WORKER_CPU.as_secs() / 3_600
    );
    findings.push(Finding::new("workers", Ok(limits)));
    let landlock = match protections.landlock {
        Landlock::Abi(version @ 4..) => Ok(format!("version {version}: files and TCP")),
        Landlock::Abi(version) => Err(format!("version {version} covers files only: Linux 6.7 and later cover TCP")),
        Landlock::Missing => Err("the kernel was built without it; system calls are the only fence".to_owned()),
        Landlock::Disabled => Err("the kernel was started without it: add landlock to its `lsm=` list".to_owned()),
    };
    findings.push(Finding { exit: Exit::Refused, ..Finding::new("landlock", landlock) });
    let seccomp =
        if protections.seccomp { Ok("filters system calls".to_owned()) } else { Err("the kernel has none".to_owned()) };
    findings.push(Finding { exit: Exit::Refused, ..Finding::new("seccomp", seccomp) });
    findings
}

fn as_json(protections: Protections) -> serde_json::Value {
    let landlock_abi = match protections.landlock {
        Landlock::Abi(version) => Some(version),
        Landlock::Missing | Landlock::Disabled => None,
    };
    json!({ "landlock-abi": landlock_abi, "seccomp": protections.seccomp, "data-bytes": limits::WORKER_DATA_BYTES })
}

/// Configuration, state and ceiling.
fn files(global: &Global) -> Vec<Finding> {
    let mut findings = Vec::new();
    match configuration::path(global) {
        Err(error) => findings.push(Finding::new("configuration", Ok(format!("none ({})", error.message)))),
        Ok(path) => {
            let loaded = configuration::load(global);
            let shown = crate::files::shown(&path);
            let state =
                loaded.as_ref().map(|_| shown).map_err(|error| format!("{}: run `raito validate`", error.message));
            findings.push(Finding::new("configuration", state));
            if let Ok(loaded) = loaded {
                let state = configuration::state(global, &loaded.base);
                let state = state.map(|state| crate::files::shown(state.path())).map_err(|error| error.message);
                findings.push(Finding::new("state", state));
            }
        }
    }
    let ceiling = configuration::ceiling(global);
    let ceiling = ceiling.map(|(_, digest)| digest.map_or_else(|| "none".to_owned(), |digest| digest.to_string()));
    findings.push(Finding::new("ceiling", ceiling.map_err(|error| error.message)));
    findings
}
