//! The engine of `run`: prepares each target, runs them, and says what the program ends with.

pub(crate) mod interrupt;
pub(crate) mod isolation;
pub(crate) mod prepare;
mod record;

use std::path::Path;
use std::sync::Arc;

use futures_util::StreamExt as _;
use raito_audit::Log;
use raito_broker::{Brokerage, StateFile};
use raito_cloud::Client;
use raito_config::Configuration;
use raito_conformance::Recorder;
use raito_core::capability::Effective;
use raito_core::digest::Digest;
use raito_core::event::Event;
use raito_core::exchange::Outcome;
use raito_core::grant::{Ceiling, Target};
use raito_core::ports::{Clock, Ledger, TargetBroker};
use raito_core::step::Step;
use raito_core::text::RunId;
use raito_run::{Stop, TargetRun, run_target};

use crate::args::Run;
use crate::clock::SystemClock;
use crate::cloud::{Connected, Serving};
use crate::codes;
use crate::error::CliError;
use crate::exit::Exit;
use crate::leaks::Screened;
use crate::memory;
use crate::program;
use crate::render::{Reporter, Summary, TargetSummary};
use crate::state_dir::StateDir;

use isolation::Workplace;
use prepare::{Prepared, prepare};

/// Everything that a run needs.
pub(crate) struct Engine<'e> {
    pub(crate) configuration: &'e Configuration,
    /// The digest of the configuration's text.
    pub(crate) digest: Digest,
    /// From where paths of the configuration are seen.
    pub(crate) base: &'e Path,
    pub(crate) ceiling: &'e Ceiling,
    /// The digest of the ceiling's text; none where there is none.
    pub(crate) ceiling_digest: Option<Digest>,
    pub(crate) state: &'e StateDir,
    pub(crate) asked: &'e Run,
    pub(crate) reporter: Arc<Box<dyn Reporter>>,
}

/// What a target came to, with what the program should end with for it.
struct Ended {
    summary: TargetSummary,
    exit: Exit,
}

impl Engine<'_> {
    /// Runs the targets that were asked for.
    pub(crate) async fn run(&self) -> Result<Exit, CliError> {
        let targets = self.targets()?;
        // Secrets of all targets are about to be in this process.
        memory::keep_to_itself()?;
        let _lock = self.state.lock_run()?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let log = open_log(self.state, &clock)?;
        let log = Arc::new(log);
        let audit = |error: raito_core::ports::LedgerError| CliError::new(codes::AUDIT, error.to_string());
        log.append(&run_start(self.state, self.digest, self.ceiling_digest, self.asked.dry_run)).map_err(audit)?;
        let cloud = Connected::open(&self.configuration.cloud, self.state, self.base, Serving::Others).await?;
        let stop = Stop::default();
        let _signals = interrupt::listen(&stop);
        let mut ended = self.run_all(targets, &log, &clock, &cloud.client, &stop).await;
        cloud.close().await;
        ended.sort_by(|a, b| a.summary.name.cmp(&b.summary.name));
        let mut exit = Exit::worst(ended.iter().map(|ended| ended.exit));
        if stop.is_asked() {
            exit = Exit::Interrupted;
        }
        let outcome = match exit {
            Exit::Done => Outcome::Completed,
            Exit::Interrupted => Outcome::Interrupted,
            _ => Outcome::Failed,
        };
        log.append(&Event::RunEnd { outcome: outcome.word().to_owned(), exit: exit.code() }).map_err(audit)?;
        let checkpoint = log.checkpoint().map_err(audit)?;
        self.reporter.summary(&Summary {
            targets: ended.into_iter().map(|ended| ended.summary).collect(),
            dry_run: self.asked.dry_run,
            exit,
            audit_head: log.head(),
            checkpoint,
        });
        Ok(exit)
    }

    /// The targets that were asked for, without the steps that were left out.
    fn targets(&self) -> Result<Vec<Target>, CliError> {
        let all = &self.configuration.targets;
        for name in &self.asked.only_targets {
            if !all.iter().any(|target| target.name == *name) {
                let known: Vec<String> = all.iter().map(|target| target.name.to_string()).collect();
                let error = CliError::new(codes::USAGE, format!("there is no target {name}"));
                return Err(error.help(format!("the configuration has: {}", known.join(", "))));
            }
        }
        let wanted =
            |target: &&Target| self.asked.only_targets.is_empty() || self.asked.only_targets.contains(&target.name);
        let mut targets: Vec<Target> = all.iter().filter(wanted).cloned().collect();
        let skipped = [
            (self.asked.skip_identity_store_sync, Step::IdentityStore),
            (self.asked.skip_data_source_sync, Step::DataSource),
            (self.asked.skip_data_access_sync, Step::AccessFromTarget),
            (self.asked.skip_data_access_sync, Step::AccessToTarget),
            (self.asked.skip_data_usage_sync, Step::DataUsage),
        ];
        for target in &mut targets {
            skipped.iter().filter(|(skip, _)| *skip).for_each(|(_, step)| {
                target.steps.remove(step);
            });
        }
        Ok(targets)
    }

    async fn run_all(
        &self,
        targets: Vec<Target>,
        log: &Arc<Log>,
        clock: &Arc<dyn Clock>,
        cloud: &Client,
        stop: &Stop,
    ) -> Vec<Ended> {
        let workplace = Arc::new(Workplace::open(self.asked.isolation, self.state));
        let mut running = Vec::new();
        for target in targets {
            let context = Context {
                base: self.base.to_path_buf(),
                ceiling: self.ceiling.clone(),
                state: self.state.clone(),
                workplace: Arc::clone(&workplace),
                log: Arc::clone(log),
                clock: Arc::clone(clock),
                cloud: cloud.clone(),
                stop: stop.clone(),
                reporter: Arc::clone(&self.reporter),
                dry_run: self.asked.dry_run,
                allow_removals: self.asked.allow_removals,
                allow_revokes: self.asked.allow_revokes,
                apply_first: self.asked.apply_first,
                record: self.asked.record.clone(),
            };
            running.push(apart(target.name.to_string(), async move { context.run(&target).await }));
        }
        futures_util::stream::iter(running).buffer_unordered(usize::from(self.asked.parallel)).collect().await
    }
}

/// Runs the work of a target as a task of its own: a panic, which is a defect of the host, ends this target and no other.
async fn apart(name: String, work: impl Future<Output = Ended> + Send + 'static) -> Ended {
    tokio::spawn(work).await.unwrap_or_else(|_| failed(name, Exit::Failed))
}

/// What one target's task needs.
struct Context {
    base: std::path::PathBuf,
    ceiling: Ceiling,
    state: StateDir,
    workplace: Arc<Workplace>,
    log: Arc<Log>,
    clock: Arc<dyn Clock>,
    cloud: Client,
    stop: Stop,
    reporter: Arc<Box<dyn Reporter>>,
    dry_run: bool,
    allow_removals: Option<u64>,
    allow_revokes: Option<u64>,
    apply_first: bool,
    /// The folder for scenarios, where they are asked for.
    record: Option<std::path::PathBuf>,
}

impl Context {
    async fn run(self, target: &Target) -> Ended {
        let name = target.name.to_string();
        if self.stop.is_asked() {
            return Ended {
                summary: TargetSummary { name, outcome: Outcome::Interrupted, steps: Vec::new() },
                exit: Exit::Interrupted,
            };
        }
        match prepare(target, &self.base, &self.ceiling, &self.workplace, !self.dry_run).await {
            Ok(prepared) => match self.run_prepared(target, prepared).await {
                Ok(ended) => ended,
                Err(error) => self.refuse(name, &error),
            },
            Err(error) => self.refuse(name, &error),
        }
    }

    /// A target that was refused, or could not be prepared, is on record as that.
    fn refuse(&self, name: String, error: &CliError) -> Ended {
        let refused = Event::TargetRefused { target: name.clone(), sha256: None, reasons: vec![error.message.clone()] };
        self.reporter.error(&name, error);
        match Screened(Arc::clone(&self.log)).append(&refused) {
            Ok(()) => failed(name, error.code.exit),
            Err(_) => failed(name, codes::AUDIT.exit),
        }
    }

    async fn run_prepared(&self, target: &Target, prepared: Prepared) -> Result<Ended, CliError> {
        let Prepared { inspected, connector, isolation, effective, settings, identity, material } = prepared;
        self.log
            .append(&isolation.event(target.name.to_string()))
            .map_err(|error| CliError::new(codes::AUDIT, error.to_string()))?;
        let path = self.state.connector_state(&target.name)?;
        let state = StateFile::open(&path).map_err(|error| CliError::new(codes::STATE, error.to_string()))?;
        let ledger: Arc<dyn Ledger> = Arc::new(Screened(Arc::clone(&self.log)));
        let brokerage = Brokerage::new(
            target,
            &inspected.manifest,
            &effective,
            material,
            state,
            Arc::clone(&ledger),
            Arc::clone(&self.clock),
        )
        .map_err(|error| CliError::new(codes::TARGET_SETTING, error.to_string()))?;
        let recorder = Recorder::new(&brokerage);
        let broker: &dyn TargetBroker = if self.record.is_some() { &recorder } else { &brokerage };
        let told = settings.clone();
        let run = TargetRun {
            id: new_run_id(),
            target,
            identity,
            connector,
            effective: &effective,
            settings,
            broker,
            cloud: &self.cloud,
            ledger,
            observer: self.reporter.as_ref(),
            stop: &self.stop,
            now_ms: self.clock.now_ms(),
            dry_run: self.dry_run,
            allow_removals: self.allow_removals,
            allow_revokes: self.allow_revokes,
            apply_first: self.apply_first,
        };
        let report = run_target(&run).await;
        let mut exit = Exit::Done;
        if let Some(Err(error)) =
            self.record.as_ref().map(|folder| record::write(folder, &target.name, &recorder, &told, &report))
        {
            self.reporter.error(target.name.as_str(), &error);
            exit = error.code.exit;
        }
        if let Some((step, failure)) = &report.failure {
            let mut error = CliError::from(failure);
            if let Some(step) = step {
                error = error.at(format!("step {} ({})", step.number(), step.title()));
            }
            exit = Exit::worst([exit, error.code.exit]);
            if error.code.exit != Exit::Interrupted {
                self.reporter.error(target.name.as_str(), &hinted(error, target, &effective));
            }
        }
        let summary = TargetSummary { name: target.name.to_string(), outcome: report.outcome, steps: report.steps };
        Ok(Ended { summary, exit })
    }
}

/// Opens the audit log for a run, and says where the clock went back since the run before.
pub(crate) fn open_log(state: &StateDir, clock: &Arc<dyn Clock>) -> Result<Log, CliError> {
    let log = Log::open(&state.audit(), new_run_id(), Arc::clone(clock))
        .map_err(|error| CliError::new(codes::AUDIT, error.to_string()))?;
    if let Some(back) = log.went_back() {
        let seconds = back.as_secs();
        tracing::warn!(
            "the clock went back by {seconds} s since the last run: what was read then has a time that is wrong, or this run's is; \
             set the clock, and see `raito audit show --kind clock-back`"
        );
    }
    Ok(log)
}

/// The event with which a run begins.
pub(crate) fn run_start(state: &StateDir, configuration: Digest, ceiling: Option<Digest>, dry_run: bool) -> Event {
    Event::RunStart {
        host: env!("CARGO_PKG_VERSION").to_owned(),
        host_sha256: program::digest(state).ok(),
        configuration,
        ceiling,
        dry_run,
    }
}

/// An error with a hint that only the whole target can give.
pub(crate) fn hinted(error: CliError, target: &Target, effective: &Effective) -> CliError {
    let writes = effective.slots.values().any(|slot| slot.grant.write());
    if error.code == codes::DENIED && error.message.contains("does not grant writing") && !writes {
        let slot = target.grants.keys().next().map_or_else(|| "…".to_owned(), ToString::to_string);
        return error.help(format!(
            "to let step 4 change the target, add below targets.{}:\ngrants:\n  {slot}:\n    write: …",
            target.name
        ));
    }
    error
}

fn failed(name: String, exit: Exit) -> Ended {
    Ended { summary: TargetSummary { name, outcome: Outcome::Failed, steps: Vec::new() }, exit }
}

pub(crate) fn new_run_id() -> RunId {
    RunId::new(uuid::Uuid::now_v7().to_string()).expect("a UUID in its usual form is one")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_of_the_host_fails_its_target_and_no_other() {
        let defect = apart("defect".into(), async { panic!("a defect of the host, on purpose") });
        let sound = apart("sound".into(), async { failed("sound".into(), Exit::Done) });
        let (defect, sound) = tokio::join!(defect, sound);
        assert_eq!((defect.summary.name.as_str(), defect.exit), ("defect", Exit::Failed));
        assert_eq!((sound.summary.name.as_str(), sound.exit), ("sound", Exit::Done));
    }
}
