//! `raito validate`

mod connect;

use std::path::Path;

use raito_core::capability::StepState;
use raito_core::grant::Target;

use super::configuration;
use crate::args::{Global, Validate};
use crate::engine::isolation::Workplace;
use crate::engine::prepare::check;
use crate::error::CliError;
use crate::exit::Exit;
use crate::render::{data, error, say};
use crate::secrets;

/// Checks everything that can be checked without running a connector; with `--connect`, also what a
/// login to each database shows.
pub(super) async fn run(global: &Global, asked: &Validate) -> Result<Exit, CliError> {
    let loaded = configuration::load(global)?;
    let (ceiling, _) = configuration::ceiling(global)?;
    let workplace = Workplace::of_this_machine(None);
    let mut exits = Vec::new();
    for target in &loaded.configuration.targets {
        match check(target, &loaded.base, &ceiling, &workplace).await {
            Ok((inspected, effective, _)) => {
                let manifest = &inspected.manifest;
                data(&format!("{}: {} {} may do what it asks", target.name, manifest.name, manifest.version));
                for (name, slot) in &effective.slots {
                    let summary = slot.summary();
                    data(&format!(
                        "  {name} → {}: {} to read, {} to change",
                        summary.to,
                        summary.read.len(),
                        summary.write.len()
                    ));
                    summary.red.iter().for_each(|red| data(&format!("    red: {red}")));
                }
                let runs = effective.steps.iter().filter(|(_, state)| **state == StepState::Runs);
                let titles: Vec<String> = runs.map(|(step, _)| format!("{} {}", step.number(), step.title())).collect();
                data(&format!("  steps: {}", titles.join(", ")));
                weaknesses(target, &loaded.base).iter().for_each(|warning| say(warning));
            }
            Err(refused) => {
                say(&error::human(&refused.clone().at(format!("target {}", target.name))));
                exits.push(refused.code.exit);
            }
        }
    }
    if asked.connect {
        exits.push(connect::run(global, &loaded, &ceiling).await?);
    }
    Ok(Exit::worst(exits))
}

/// What of a target's secrets protects less than it should, as far as they are at hand: nothing is run or asked for it.
fn weaknesses(target: &Target, base: &Path) -> Vec<String> {
    let mut warnings = Vec::new();
    for (slot, grant) in &target.grants {
        for (name, source) in grant.sources() {
            let found = secrets::at_hand(source, base).and_then(|secret| secrets::weakness(grant, &secret));
            warnings.extend(
                found.map(|weakness| format!("warning: target {}: grants.{slot}.{name}: {weakness}", target.name)),
            );
        }
    }
    warnings
}
