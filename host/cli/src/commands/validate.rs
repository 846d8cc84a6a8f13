//! `raito validate`

use raito_core::capability::StepState;

use super::configuration;
use crate::args::Global;
use crate::engine::prepare::check;
use crate::error::CliError;
use crate::exit::Exit;
use crate::render::{data, error, say};

/// Checks everything that can be checked without running a connector or reaching a target.
pub(super) fn run(global: &Global) -> Result<Exit, CliError> {
    let loaded = configuration::load(global)?;
    let (ceiling, _) = configuration::ceiling(global)?;
    let mut exits = Vec::new();
    for target in &loaded.configuration.targets {
        match check(target, &loaded.base, &ceiling) {
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
            }
            Err(refused) => {
                say(&error::human(&refused.clone().at(format!("target {}", target.name))));
                exits.push(refused.code.exit);
            }
        }
    }
    Ok(Exit::worst(exits))
}
