//! Where connectors are looked into, compiled and run, and what of that is told.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use raito_core::event::Event;
use raito_core::ports::Connector;
use raito_sandbox::{Compiled, Engine, Inspected, inspect};
use raito_worker::{CodeCache, Component, InspectionError, Landlock, Launcher, Protections, Worker, WorkerError};

use crate::args::Isolation;
use crate::codes;
use crate::error::CliError;
use crate::files;
use crate::memory;
use crate::state_dir::StateDir;

/// Where the connectors of a run are compiled and run.
pub(crate) enum Workplace {
    /// In a worker process each, with code that was compiled before where it is kept.
    Workers(Launcher, Option<Arc<CodeCache>>),
    /// In this process.
    Here,
}

/// What was in force for one target.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InForce {
    isolation: Isolation,
    /// None in this process.
    protections: Option<Protections>,
}

impl Workplace {
    /// The place that was asked for, with the compiled code that the state directory keeps.
    pub(crate) fn open(asked: Isolation, state: &StateDir) -> Self {
        if !cfg!(target_os = "linux") {
            tracing::warn!("this system has no worker processes: connectors run in raito's own process");
            return Self::Here;
        }
        match asked {
            Isolation::InProcess => Self::Here,
            Isolation::Process => Self::Workers(launcher(), kept(state)),
        }
    }

    /// The place that there is on this machine, with the compiled code of a state directory, where there is one.
    pub(crate) fn of_this_machine(state: Option<&StateDir>) -> Self {
        if cfg!(target_os = "linux") { Self::Workers(launcher(), state.and_then(kept)) } else { Self::Here }
    }

    /// Looks into the component that was read from a file: in a process that ends with its answer,
    /// where connectors have processes of their own.
    pub(crate) async fn inspect(&self, file: &Path, component: Vec<u8>) -> Result<Inspected, CliError> {
        let invalid = |what: &dyn std::fmt::Display| {
            CliError::new(codes::CONNECTOR_INVALID, format!("{}: {what}", files::shown(file)))
        };
        match self {
            Self::Workers(launcher, cache) => {
                let inspected = raito_worker::inspect(launcher, component, cache.as_deref()).await;
                inspected.map_err(|error| match error {
                    InspectionError::Start(error) => unstarted(&error),
                    other => invalid(&other),
                })
            }
            Self::Here => match tokio::task::spawn_blocking(move || inspect(component)).await {
                Ok(inspected) => inspected.map_err(|error| invalid(&error)),
                Err(_) => Err(invalid(&"reading it panicked")),
            },
        }
    }

    /// Has a connector compiled, ready to be started.
    pub(crate) async fn ready(&self, inspected: &Inspected) -> Result<(Arc<dyn Connector>, InForce), CliError> {
        match self {
            Self::Workers(launcher, cache) => {
                let worker = Worker::prepare(launcher, Component::from(inspected), cache.clone()).await;
                let worker = worker.map_err(|error| match error {
                    WorkerError::Start(_) => unstarted(&error),
                    WorkerError::Component(_) => CliError::new(codes::CONNECTOR_INVALID, error.to_string()),
                })?;
                let protections = worker.protections();
                if !protections.is_complete() {
                    tracing::warn!("this machine confines connectors less than it should: see `raito doctor`");
                }
                let in_force = InForce { isolation: Isolation::Process, protections: Some(protections) };
                Ok((Arc::new(worker), in_force))
            }
            Self::Here => {
                let (engine, copy) = (engine()?, inspected.clone());
                let compiled = tokio::task::spawn_blocking(move || Compiled::new(&engine, &copy.bytes, &copy.imports))
                    .await
                    .map_err(|_| CliError::new(codes::CONNECTOR_INVALID, "the compiler crashed"))?
                    .map_err(|error| CliError::new(codes::CONNECTOR_INVALID, error.to_string()))?;
                Ok((Arc::new(compiled), InForce { isolation: Isolation::InProcess, protections: None }))
            }
        }
    }
}

impl InForce {
    /// The same for the record.
    pub(crate) fn event(self, target: String) -> Event {
        Event::Isolation {
            target,
            isolation: self.isolation.word().to_owned(),
            landlock_abi: self.protections.and_then(|protections| match protections.landlock {
                Landlock::Abi(version) => Some(version),
                Landlock::Missing | Landlock::Disabled => None,
            }),
            seccomp: self.protections.is_some_and(|protections| protections.seccomp),
        }
    }
}

/// There is no worker process.
fn unstarted(error: &WorkerError) -> CliError {
    CliError::new(codes::HOST, error.to_string())
        .help("see `raito doctor`; --isolation in-process does without, and protects less")
}

/// The compiled code that a state directory keeps. It is for speed only, so what is wrong with it is a warning.
fn kept(state: &StateDir) -> Option<Arc<CodeCache>> {
    let cache = CodeCache::open(&state.code(), &state.code_key());
    cache.inspect_err(|error| tracing::warn!("compiled code is not kept: {error}")).ok().map(Arc::new)
}

/// How this program starts its workers.
pub(crate) fn launcher() -> Launcher {
    Launcher::this_program(&memory::WORKER_ENVIRONMENT)
}

/// The one engine of the process.
fn engine() -> Result<Engine, CliError> {
    static ENGINE: OnceLock<Result<Engine, String>> = OnceLock::new();
    let engine = ENGINE.get_or_init(|| Engine::new().map_err(|error| error.to_string()));
    engine.clone().map_err(|error| CliError::new(codes::HOST, error))
}
