//! What commands of access code that reach a target share: configuration, lock, audit log, and each target's connector.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use raito_audit::Log;
use raito_broker::{Brokerage, StateFile};
use raito_core::capability::Effective;
use raito_core::catalogue::Catalogue;
use raito_core::digest::Digest;
use raito_core::event::{ConnectorIdentity, Event};
use raito_core::exchange::Outcome;
use raito_core::grant::{Ceiling, Target};
use raito_core::ports::{Clock, Connector, Ledger, LedgerError};
use raito_core::text::{Ident, RunId, TargetName};
use raito_run::access::NoCloud;
use raito_run::{Failure, Observer, RunEvent, Stop, TargetRun};

use super::last_read;
use crate::args::access::Isolated;
use crate::args::{Global, Output};
use crate::clock::SystemClock;
use crate::codes;
use crate::commands::configuration::{self, Loaded};
use crate::engine::isolation::Workplace;
use crate::engine::prepare::{Prepared, prepare};
use crate::engine::{hinted, interrupt, new_run_id, open_log, run_start};
use crate::error::CliError;
use crate::exit::Exit;
use crate::leaks::Screened;
use crate::memory;
use crate::render::say;
use crate::state_dir::{Lock, StateDir};

/// A run of a command.
pub(super) struct Session {
    pub(super) loaded: Loaded,
    pub(super) state: StateDir,
    /// The record, in which no text holds a secret.
    pub(super) log: Arc<Screened<Log>>,
    pub(super) stop: Stop,
    /// Whether nothing will be sent.
    plans: bool,
    ceiling: Ceiling,
    workplace: Workplace,
    clock: Arc<dyn Clock>,
    observer: Progress,
    /// What was read, being written for editors meanwhile.
    writing: Mutex<Vec<JoinHandle<()>>>,
    _lock: Lock,
    _signals: interrupt::Listening,
}

/// A target whose connector can be run.
pub(super) struct Opened<'s> {
    session: &'s Session,
    target: &'s Target,
    id: RunId,
    connector: Arc<dyn Connector>,
    effective: Effective,
    settings: BTreeMap<Ident, String>,
    identity: ConnectorIdentity,
    brokerage: Brokerage,
}

/// Says which step begins, where a person is watching.
struct Progress {
    says: bool,
}

impl Observer for Progress {
    fn observe(&self, event: &RunEvent) {
        if let RunEvent::StepStart { target, step } = event
            && self.says
        {
            say(&format!("{target}: reading {}", step.title()));
        }
    }
}

fn audit(error: LedgerError) -> CliError {
    CliError::new(codes::AUDIT, error.to_string())
}

impl Session {
    /// Reads the configuration, takes the lock, and begins to record. `plans` says that nothing will be sent.
    pub(super) fn open(global: &Global, isolated: Isolated, plans: bool) -> Result<Self, CliError> {
        let loaded = configuration::load(global)?;
        let (ceiling, ceiling_digest) = configuration::ceiling(global)?;
        // Secrets of all targets are about to be in this process.
        memory::keep_to_itself()?;
        let state = configuration::state(global, &loaded.base)?;
        let lock = state.lock_run()?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let log = open_log(&state, &clock)?;
        let log = Screened(Arc::new(log));
        log.append(&run_start(&state, loaded.digest, ceiling_digest, plans)).map_err(audit)?;
        let stop = Stop::default();
        let signals = interrupt::listen(&stop);
        let says =
            global.output == Output::Human && !global.quiet && std::io::IsTerminal::is_terminal(&std::io::stderr());
        let workplace = Workplace::open(isolated.isolation, &state);
        Ok(Self {
            loaded,
            state,
            log: Arc::new(log),
            stop,
            plans,
            ceiling,
            workplace,
            clock,
            observer: Progress { says },
            writing: Mutex::default(),
            _lock: lock,
            _signals: signals,
        })
    }

    /// The time, in milliseconds since 1970.
    pub(super) fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// The target with this name.
    pub(super) fn target(&self, name: &TargetName) -> Result<&Target, CliError> {
        let all = &self.loaded.configuration.targets;
        all.iter().find(|target| target.name == *name).ok_or_else(|| {
            let known: Vec<&str> = all.iter().map(|target| target.name.as_str()).collect();
            let error = CliError::new(codes::USAGE, format!("there is no target {name}"));
            error.help(format!("the configuration has: {}", known.join(", ")))
        })
    }

    /// Prepares a target: its connector is read, granted and compiled, and its secrets are fetched.
    pub(super) async fn open_target(&self, name: &TargetName) -> Result<Opened<'_>, CliError> {
        let target = self.target(name)?;
        let refused = |error: CliError| {
            let reasons = vec![error.message.clone()];
            let event = Event::TargetRefused { target: name.to_string(), sha256: None, reasons };
            match self.log.append(&event) {
                Ok(()) => error.at(format!("target {name}")),
                Err(error) => audit(error),
            }
        };
        let prepared = prepare(target, &self.loaded.base, &self.ceiling, &self.workplace, !self.plans).await;
        let prepared = prepared.map_err(refused)?;
        let Prepared { inspected, connector, isolation, effective, settings, identity, material } = prepared;
        self.log.append(&isolation.event(name.to_string())).map_err(audit)?;
        let path = self.state.connector_state(&target.name)?;
        let state = StateFile::open(&path).map_err(|error| CliError::new(codes::STATE, error.to_string()))?;
        let brokerage = Brokerage::new(
            target,
            &inspected.manifest,
            &effective,
            material,
            state,
            Arc::clone(&self.log) as _,
            Arc::clone(&self.clock),
        )
        .map_err(|error| CliError::new(codes::TARGET_SETTING, error.to_string()))?;
        let id = new_run_id();
        Ok(Opened { session: self, target, id, connector, effective, settings, identity, brokerage })
    }

    /// Ends the record.
    pub(super) fn close(&self, result: Result<Exit, CliError>) -> Result<Exit, CliError> {
        for writing in std::mem::take(&mut *self.writing.lock().unwrap_or_else(PoisonError::into_inner)) {
            // Whether it could be written, its thread has said.
            let _ = writing.join();
        }
        let exit = match &result {
            Ok(exit) => *exit,
            Err(error) => error.code.exit,
        };
        let outcome = match exit {
            Exit::Done | Exit::Changes => Outcome::Completed,
            Exit::Interrupted => Outcome::Interrupted,
            _ => Outcome::Failed,
        };
        let end = Event::RunEnd { outcome: outcome.word().to_owned(), exit: exit.code() };
        self.log.append(&end).map_err(audit)?;
        self.log.checkpoint().map_err(audit)?;
        result
    }
}

impl Opened<'_> {
    /// What core's ports need of it.
    pub(super) fn run(&self) -> TargetRun<'_> {
        TargetRun {
            id: self.id.clone(),
            target: self.target,
            identity: self.identity.clone(),
            connector: Arc::clone(&self.connector),
            effective: &self.effective,
            settings: self.settings.clone(),
            broker: &self.brokerage,
            cloud: &NoCloud,
            ledger: Arc::clone(&self.session.log) as Arc<dyn Ledger>,
            observer: &self.session.observer,
            stop: &self.session.stop,
            now_ms: self.session.now_ms(),
            dry_run: true,
            allow_removals: None,
            allow_revokes: None,
            apply_first: true,
        }
    }

    /// Keeps what was read for editors, while the caller goes on. Nothing of a run depends on it, so that a full disk ends none.
    pub(super) fn keep(&self, catalogue: &Arc<Catalogue>, digests: [Option<Digest>; 2]) {
        let (path, name, catalogue) =
            (self.session.state.last_read(&self.target.name), self.target.name.clone(), Arc::clone(catalogue));
        let write = move || {
            if let Err(error) = path.and_then(|path| last_read::keep(&path, &catalogue, digests)) {
                tracing::warn!("{name}: what was read is not kept for editors: {}", error.message);
            }
        };
        match Builder::new().name("editors".into()).spawn(write) {
            Ok(writing) => self.session.writing.lock().unwrap_or_else(PoisonError::into_inner).push(writing),
            Err(error) => tracing::warn!("{}: what was read is not kept for editors: {error}", self.target.name),
        }
    }

    /// The target's configuration.
    pub(super) fn target(&self) -> &Target {
        self.target
    }

    /// A failure as people get it.
    pub(super) fn failed(&self, failure: &Failure) -> CliError {
        hinted(CliError::from(failure), self.target, &self.effective).at(format!("target {}", self.target.name))
    }
}
