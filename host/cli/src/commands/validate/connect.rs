//! `raito validate --connect`: a login to each database, and what a run would find there.

use std::sync::Arc;

use raito_broker::{Brokerage, StateFile, Surveyed};
use raito_core::capability::Effective;
use raito_core::event::Event;
use raito_core::exchange::Outcome;
use raito_core::grant::{Ceiling, Target};
use raito_core::ports::{Clock, Ledger};
use raito_sandbox::Inspected;

use crate::args::Global;
use crate::clock::SystemClock;
use crate::codes;
use crate::commands::configuration::{self, Loaded};
use crate::engine::isolation::Workplace;
use crate::engine::prepare::check;
use crate::engine::{open_log, run_start};
use crate::error::CliError;
use crate::exit::Exit;
use crate::leaks::Screened;
use crate::memory;
use crate::render::{data, error, say};
use crate::secrets;
use crate::state_dir::StateDir;

/// Logs in to the databases of all targets. The logins are on the audit log, as those of a run.
pub(super) async fn run(global: &Global, loaded: &Loaded, ceiling: &Ceiling) -> Result<Exit, CliError> {
    memory::keep_to_itself()?;
    let (_, ceiling_digest) = configuration::ceiling(global)?;
    let state = configuration::state(global, &loaded.base)?;
    let _lock = state.lock_run()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let log = Arc::new(Screened(Arc::new(open_log(&state, &clock)?)));
    let audit = |error: raito_core::ports::LedgerError| CliError::new(codes::AUDIT, error.to_string());
    log.append(&run_start(&state, loaded.digest, ceiling_digest, true)).map_err(audit)?;
    let workplace = Workplace::of_this_machine(None);
    let mut exits = Vec::new();
    for target in &loaded.configuration.targets {
        let ledger: Arc<dyn Ledger> = Arc::clone(&log) as Arc<dyn Ledger>;
        // What is wrong with the target itself was printed, and counts, before.
        let Ok((inspected, effective, _)) = check(target, &loaded.base, ceiling, &workplace).await else { continue };
        match brokerage(target, loaded, (&inspected, &effective), &state, ledger, &clock).await {
            Ok(brokerage) => exits.extend(brokerage.survey().await.into_iter().map(|surveyed| print(target, surveyed))),
            Err(error) => {
                exits.push(error.code.exit);
                say(&error::human(&error.at(format!("target {}", target.name))));
            }
        }
    }
    let exit = Exit::worst(exits);
    let outcome = if exit == Exit::Done { Outcome::Completed } else { Outcome::Failed };
    log.append(&Event::RunEnd { outcome: outcome.word().to_owned(), exit: exit.code() }).map_err(audit)?;
    log.checkpoint().map_err(audit)?;
    Ok(exit)
}

async fn brokerage(
    target: &Target,
    loaded: &Loaded,
    (inspected, effective): (&Inspected, &Effective),
    state: &StateDir,
    ledger: Arc<dyn Ledger>,
    clock: &Arc<dyn Clock>,
) -> Result<Brokerage, CliError> {
    let material = secrets::material(target, &loaded.base, true).await?;
    let path = state.connector_state(&target.name)?;
    let kept = StateFile::open(&path).map_err(|error| CliError::new(codes::STATE, error.to_string()))?;
    Brokerage::new(target, &inspected.manifest, effective, material, kept, ledger, Arc::clone(clock))
        .map_err(|error| CliError::new(codes::TARGET_SETTING, error.to_string()))
}

/// Prints what came of one login, and says what the program ends with for it.
fn print(target: &Target, surveyed: Surveyed) -> Exit {
    let Surveyed { slot, database, user, writes, outcome } = surveyed;
    let place = format!("{slot} {} as {}", raito_core::text::escape(&database), raito_core::text::escape(&user));
    match outcome {
        Ok(lacks) => {
            data(&format!("{}: {place} {}", target.name, if writes { "may change access" } else { "may read" }));
            lacks.iter().for_each(|lack| data(&format!("  note: {lack}")));
            Exit::Done
        }
        Err(fault) => {
            let failed = CliError::from(&fault).at(format!("target {}: {place}", target.name));
            let exit = failed.code.exit;
            say(&error::human(&failed));
            exit
        }
    }
}
