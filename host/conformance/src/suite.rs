//! The suite: each reading step of a connector, with everything that must hold of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use raito_core::manifest::Manifest;
use raito_core::ports::{Connector, Context};
use raito_core::record::Description;
use raito_core::references::References;
use raito_core::step::Step;
use raito_core::vocabulary::Mode;

use crate::probes::{self, Probed};
use crate::reading::{Breaks, Plan, Read, read};
use crate::replay::{Passed, Replay, Script};
use crate::report::{Check, NotTried, Outcome, Report, StepSummary};
use crate::scenario::{Expected, Scenario, ScenarioError};

/// A connector, and what is known of it before it runs.
pub struct Subject<'s> {
    /// The connector.
    pub connector: &'s dyn Connector,
    /// Its manifest.
    pub manifest: &'s Manifest,
    /// The steps that it exports.
    pub steps: &'s BTreeSet<Step>,
}

/// Items of one check that are told; the others are counted.
const TOLD: usize = 10;

/// Runs the suite with one scenario.
///
/// # Errors
/// `ScenarioError` where the scenario does not fit the manifest. What the connector does wrong stands in the report.
pub async fn run(subject: &Subject<'_>, scenario: Scenario) -> Result<Report, ScenarioError> {
    let settings = scenario.settings(subject.manifest)?;
    let places = scenario.places(subject.manifest)?;
    let script = Arc::new(Script::new(subject.manifest.clone(), scenario.clone()));
    let mut report = Report { steps: Vec::new(), checks: Vec::new(), unused: Vec::new(), not_tried: Vec::new() };
    let mut used = BTreeSet::new();
    let mut description: Option<Description> = None;
    let mut references = References::default();
    for step in Step::ALL.into_iter().filter(|step| subject.steps.contains(step)) {
        if let Some(reason) = left_out(step, &scenario, description.is_some()) {
            report.not_tried.push(NotTried { step, reason });
            continue;
        }
        let plan = Plan {
            connector: subject.connector,
            step,
            context: Context { settings: settings.clone(), places: places.clone(), resume: None },
            usage_since_ms: scenario.usage_since_ms,
            description: description.as_ref(),
        };
        let (sound, passed) = of_step(&plan, &script, scenario.expect.get(&step), &mut report).await;
        report.checks.extend(defined(&mut references, step, &sound));
        used.extend(passed.used);
        description = description.or(sound.description);
    }
    report.unused = unused(subject.manifest, &used);
    Ok(report)
}

/// Whether everything that the records name is defined by a record, as far as the steps up to here
/// can tell; none where the step did not read to its end.
fn defined(references: &mut References, step: Step, sound: &Read) -> Option<Check> {
    if !sound.is_whole {
        return None;
    }
    for line in &sound.lines {
        // They were written from records a moment ago.
        if let Ok(line) = serde_json::from_str(line) {
            references.take(&line);
        }
    }
    let wrong: Vec<String> = references.end(step, sound.reading.gaps()).iter().map(ToString::to_string).collect();
    let (outcome, said) = match references.too_many() {
        true => (Outcome::NotTried, vec!["there are more names than are kept".to_owned()]),
        false => verdict(&wrong, "all that is named so far is defined, or may be in a gap".into()),
    };
    Some(Check { step, name: "references", outcome, said })
}

/// Why a step is not tried; none where it is.
fn left_out(step: Step, scenario: &Scenario, is_described: bool) -> Option<&'static str> {
    match step {
        Step::AccessToTarget => {
            Some("what it does is decided by the host against a read: `raito run --dry-run` shows its calls")
        }
        _ if !scenario.covers(step) => Some("the scenario leaves it out"),
        Step::AccessFromTarget if !is_described => {
            Some("it is held against the description, which step data-source of the same scenario gives")
        }
        _ => None,
    }
}

/// Read entries that no step used.
fn unused(manifest: &Manifest, used: &BTreeSet<String>) -> Vec<String> {
    let entries = manifest.slots.iter().flat_map(|(name, slot)| {
        let reads = slot.entries().into_iter().filter(|entry| entry.mode == Mode::Read);
        reads.map(move |entry| format!("{name}.{}", entry.name))
    });
    entries.filter(|entry| !used.contains(entry)).collect()
}

/// All checks of one step. The later ones compare with the first read, and need one that ended well.
async fn of_step(
    plan: &Plan<'_>,
    script: &Arc<Script>,
    expected: Option<&Expected>,
    report: &mut Report,
) -> (Read, Passed) {
    let step = plan.step;
    let replay = Replay::new(script, None);
    let (sound, result) = read(plan, &replay, Breaks::default()).await;
    let passed = replay.passed();
    report.steps.push(summary(step, &sound, &passed));
    let mut check = |name, outcome, said| report.checks.push(Check { step, name, outcome, said });
    let (outcome, said) =
        verdict(&passed.complaints, format!("{} calls, each an entry with its arguments", passed.calls));
    check("vocabulary", outcome, said);
    if let Err(fault) = result {
        check("reads", Outcome::Failed, vec![raito_core::text::excerpt(&fault.to_string(), 500)]);
        return (sound, passed);
    }
    check("reads", Outcome::Passed, vec![format!("{} pages to the end", sound.pages.len())]);
    if let Some(expected) = expected {
        let found = Expected { records: sound.reading.records(), gaps: sound.reading.gaps().len() as u64 };
        let wrong = (found != *expected).then(|| {
            let Expected { records, gaps } = expected;
            format!("{records} records and {gaps} gaps are expected, and {} and {} came", found.records, found.gaps)
        });
        let (outcome, said) = verdict(&wrong.into_iter().collect::<Vec<_>>(), format!("{} records", found.records));
        check("expected", outcome, said);
    }
    let (again, result) = read(plan, &Replay::new(script, None), Breaks::default()).await;
    let wrong = match result {
        Err(fault) => Some(fault.to_string()),
        Ok(()) => probes::difference(&sound.sorted(), &again.sorted()),
    };
    let (outcome, said) =
        verdict(&wrong.into_iter().collect::<Vec<_>>(), "the same answers give the same records".into());
    check("repeats", outcome, said);
    let (outcome, said) = probed(probes::resumes(plan, script, &sound).await, "no page says where to go on");
    check("resumes", outcome, said);
    let touches = &passed.touches;
    let (outcome, said) = probed(probes::faults(plan, script, &sound, touches).await, "nothing was called");
    check("faults", outcome, said);
    let broken = probes::broken_answers(plan, script, &sound, touches).await;
    let (outcome, said) = probed(broken, "no whole answers and no rows came");
    check("broken-answers", outcome, said);
    (sound, passed)
}

fn summary(step: Step, read: &Read, passed: &Passed) -> StepSummary {
    StepSummary {
        step,
        records: read.reading.records(),
        pages: read.pages.len() as u64,
        largest_page: read.pages.iter().map(|mark| mark.records).max().unwrap_or(0),
        gaps: read.reading.gaps().len() as u64,
        calls: passed.calls,
        memory_bytes: read.used.memory_bytes,
    }
}

/// The outcome of a check, with what was tried where nothing is wrong.
fn verdict(wrong: &[String], tried: String) -> (Outcome, Vec<String>) {
    if wrong.is_empty() {
        return (Outcome::Passed, vec![tried]);
    }
    let mut said: Vec<String> = wrong.iter().take(TOLD).cloned().collect();
    if wrong.len() > TOLD {
        said.push(format!("and {} more", wrong.len() - TOLD));
    }
    (Outcome::Failed, said)
}

fn probed(probed: Probed, nothing: &str) -> (Outcome, Vec<String>) {
    match probed.tried {
        0 => (Outcome::NotTried, vec![nothing.to_owned()]),
        tried => verdict(&probed.wrong, format!("{tried} tried")),
    }
}
