//! Step 4: what is to be against what was just read; the changes are decided in core and carried out by the connector.

use std::sync::Arc;

use raito_core::decide::{Decision, decide};
use raito_core::difference::Unread;
use raito_core::exchange::{Desired, Feedback};
use raito_core::ports::{StepBroker, Writes};
use raito_core::record::{Applied, Change, ChangeSet, Description};
use raito_core::step::Step;
use raito_core::text::{ExternalId, Name, Remark};

use crate::event::RunEvent;
use crate::read::Read;
use crate::target::{Failure, TargetRun};

/// What step 4 did.
#[derive(Default)]
pub(crate) struct Changed {
    /// Changes that took effect.
    pub(crate) changes: u64,
    pub(crate) calls: u64,
    pub(crate) memory_bytes: u64,
    pub(crate) warnings: Vec<String>,
    /// How many access controls are not as they are to be.
    pub(crate) failed: u64,
}

/// Carries out step 4 on the strength of step 3 of the same run.
pub(crate) async fn apply_step(
    run: &TargetRun<'_>,
    desired: &[Desired],
    found: &Read,
    description: &Description,
) -> Result<Changed, Failure> {
    let by_external_id = |id: &ExternalId| {
        let wanted = desired.iter().find(|wanted| wanted.external_id.as_ref() == Some(id));
        wanted.map(|wanted| wanted.id.clone())
    };
    let unread = Unread::from_gaps(&found.gaps, by_external_id);
    let decision = decide(desired, &found.controls, description, &unread, run.target.drift);
    let mut changed = Changed::default();
    let mut feedback = settled(&decision, &mut changed);
    if !decision.sets.is_empty() {
        if !run.dry_run {
            announce(run, &decision.sets).await?;
        }
        let writes = if run.dry_run { Writes::Recorded } else { Writes::Sent };
        let broker = run.broker.open(Step::AccessToTarget, writes);
        let result = carry_out(run, &decision.sets, &broker, &mut changed).await;
        broker.close().await;
        changed.calls = broker.used().calls;
        let applied = result?;
        if run.dry_run {
            planned(run, &broker);
        } else {
            let all = decision
                .sets
                .iter()
                .zip(&applied)
                .map(|(set, applied)| outcome(set, applied, broker.as_ref(), &mut changed));
            feedback.extend(all.collect::<Vec<_>>());
        }
    }
    if !run.dry_run && !feedback.is_empty() {
        run.cloud.feedback(run.id.clone(), feedback).await?;
    }
    Ok(changed)
}

/// Tells the cloud what is about to be created. Should the run break off before it can tell what became of it, the next one
/// knows the entity for its own.
async fn announce(run: &TargetRun<'_>, sets: &[ChangeSet]) -> Result<(), Failure> {
    let is_create = |change: &Change| matches!(change, Change::Create(_));
    let new = sets.iter().filter(|set| set.changes.iter().any(is_create));
    let feedback: Vec<Feedback> = new
        .map(|set| Feedback {
            id: set.id.clone(),
            external_id: None,
            actual_name: None,
            creating: Some(set.actual_name.clone()),
            synced: false,
            deleted: false,
            errors: Vec::new(),
            warnings: Vec::new(),
        })
        .collect();
    if !feedback.is_empty() {
        run.cloud.feedback(run.id.clone(), feedback).await?;
    }
    Ok(())
}

async fn carry_out(
    run: &TargetRun<'_>,
    sets: &[ChangeSet],
    broker: &Arc<dyn StepBroker>,
    changed: &mut Changed,
) -> Result<Vec<Applied>, Failure> {
    let mut guest = run.connector.start(Step::AccessToTarget, Arc::clone(broker) as _).await?;
    let applied = guest.apply(run.context(), sets.to_vec()).await;
    changed.memory_bytes = guest.used().memory_bytes;
    Ok(applied?)
}

/// What is said of access controls for which nothing is to be carried out.
fn settled(decision: &Decision, changed: &mut Changed) -> Vec<Feedback> {
    let feedback = |id: &Name, synced, deleted, errors: Vec<Remark>| Feedback {
        id: id.clone(),
        external_id: None,
        actual_name: None,
        creating: None,
        synced,
        deleted,
        errors,
        warnings: Vec::new(),
    };
    let known = |(id, external_id): &(Name, ExternalId)| Feedback {
        external_id: Some(external_id.clone()),
        ..feedback(id, true, false, vec![])
    };
    let mut all: Vec<Feedback> = decision.in_sync.iter().map(known).collect();
    all.extend(decision.gone.iter().map(|id| feedback(id, true, true, vec![])));
    for (id, reason) in &decision.refused {
        changed.failed += 1;
        changed.warnings.push(reason.clone());
        all.push(feedback(id, false, false, vec![remark(reason)]));
    }
    all
}

/// Says what would be sent.
fn planned(run: &TargetRun<'_>, broker: &Arc<dyn StepBroker>) {
    for call in broker.recorded() {
        run.observer.observe(&RunEvent::Planned {
            target: run.target.name.to_string(),
            slot: call.slot,
            entry: call.entry,
            at: call.at,
            request: raito_core::text::escape(&call.shown).into_owned(),
        });
    }
}

/// What became of one change-set. The id that the connector gives may be a token of one that the host captured.
fn outcome(set: &ChangeSet, applied: &Applied, broker: &dyn StepBroker, changed: &mut Changed) -> Feedback {
    changed.changes += u64::from(applied.done);
    let id = applied.external_id.as_str();
    let external_id = match broker.captured(id) {
        Some(value) => ExternalId::new(value).ok(),
        None if applied.done == 0 && set.external_id.is_none() => None,
        None => Some(applied.external_id.clone()),
    };
    let deleted = applied.fault.is_none() && set.changes.contains(&Change::Delete);
    let errors: Vec<Remark> = applied.fault.iter().map(|fault| fault.message.clone()).collect();
    if let Some(fault) = &applied.fault {
        changed.failed += 1;
        changed.warnings.push(format!(
            "{}: {} of {} changes done: {}",
            set.name,
            applied.done,
            set.changes.len(),
            fault.message
        ));
    }
    changed.warnings.extend(applied.warnings.iter().map(|warning| format!("{}: {warning}", set.name)));
    Feedback {
        id: set.id.clone(),
        external_id,
        actual_name: Some(applied.actual_name.clone()),
        creating: None,
        synced: applied.fault.is_none(),
        deleted,
        errors,
        warnings: applied.warnings.clone(),
    }
}

/// A sentence as a remark, cut where it is too long.
pub(crate) fn remark(text: &str) -> Remark {
    let short: String = text.chars().filter(|c| *c != '\0').take(2_000).collect();
    Remark::new(short).expect("two thousand characters without NUL are a remark")
}
