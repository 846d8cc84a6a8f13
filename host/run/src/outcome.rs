//! What became of each access control in step 4, for the cloud and for the report.

use std::collections::{BTreeMap, BTreeSet};

use raito_core::decide::Decision;
use raito_core::exchange::Feedback;
use raito_core::fault::Fault;
use raito_core::record::{Applied, Change};
use raito_core::text::{Name, Remark};

/// What step 4 did.
#[derive(Default)]
pub(crate) struct Changed {
    /// Changes that took effect.
    pub(crate) changes: u64,
    /// Calls of the connector.
    pub(crate) calls: u64,
    /// The largest memory of the connector.
    pub(crate) memory_bytes: u64,
    /// What the target or the decision remarks.
    pub(crate) warnings: Vec<String>,
    /// The first call of the connector that was none of the changes in hand, or not the planned one.
    pub(crate) refusal: Option<Fault>,
    /// Access controls that are not as they are to be, each with the first reason.
    pub(crate) failed: BTreeMap<Name, String>,
}

impl Changed {
    /// Notes that an access control is not as it is to be.
    pub(crate) fn fail(&mut self, id: &Name, reason: &str) {
        self.failed.entry(id.clone()).or_insert_with(|| reason.to_owned());
    }
}

/// What is said of access controls for which nothing is to be carried out.
pub(crate) fn settled(decision: &Decision, changed: &mut Changed) -> Vec<Feedback> {
    let mut all: BTreeMap<Name, Feedback> = BTreeMap::new();
    for known in &decision.in_sync {
        let feedback = Feedback {
            external_id: known.external_id.clone(),
            applied: known.applied.clone(),
            synced: true,
            ..Feedback::of(known.id.clone())
        };
        all.insert(known.id.clone(), feedback);
    }
    for id in &decision.gone {
        all.insert(id.clone(), Feedback { synced: true, deleted: true, ..Feedback::of(id.clone()) });
    }
    for (id, reason) in &decision.refused {
        changed.fail(id, reason);
        let feedback = all.entry(id.clone()).or_insert_with(|| Feedback::of(id.clone()));
        (feedback.synced, feedback.deleted) = (false, false);
        feedback.errors.push(remark(reason));
    }
    for (id, item) in &decision.drift {
        let done = if item.reverted { "reverted" } else { "left as it is" };
        changed.warnings.push(format!("drift, {done}: {} {}", item.kind.word(), item.what));
        let feedback = all.entry(id.clone()).or_insert_with(|| Feedback::of(id.clone()));
        feedback.drift.push(item.clone());
    }
    if !decision.unknown.is_empty() {
        let count = decision.unknown.len();
        changed
            .warnings
            .push(format!("nobody knows whether {count} access controls are in sync: they were not read whole"));
    }
    // Those that are changed are told of later, together with what became of the change.
    let later: BTreeSet<&Name> = decision.owners.iter().flatten().collect();
    all.into_values().filter(|feedback| !later.contains(&feedback.id)).collect()
}

/// What became of each access control for which something was carried out.
pub(crate) fn outcomes(decision: &Decision, applied: &[Applied], changed: &mut Changed) -> BTreeMap<Name, Feedback> {
    let mut told: BTreeMap<Name, Feedback> = BTreeMap::new();
    for ((set, owners), applied) in decision.sets.iter().zip(&decision.owners).zip(applied) {
        changed.changes += u64::from(applied.done);
        changed.warnings.extend(applied.warnings.iter().map(ToString::to_string));
        for id in owners {
            let feedback =
                told.entry(id.clone()).or_insert_with(|| Feedback { synced: true, ..Feedback::of(id.clone()) });
            let is_own = set.object.is_none();
            let deleted = set.changes.contains(&Change::Delete);
            if is_own {
                feedback.external_id = applied.external_id.clone();
                feedback.actual_name = Some(applied.actual_name.clone());
            }
            feedback.warnings.extend(applied.warnings.iter().cloned());
            match &applied.fault {
                None => feedback.deleted |= deleted,
                Some(fault) => {
                    let reason = format!("{}: {}", set.actual_name, fault.message);
                    feedback.synced = false;
                    feedback.errors.push(remark(&reason));
                    changed.fail(id, &reason);
                }
            }
        }
    }
    for (id, item) in &decision.drift {
        if let Some(feedback) = told.get_mut(id) {
            feedback.drift.push(item.clone());
        }
    }
    told
}

/// A sentence as a remark, cut where it is too long.
pub(crate) fn remark(text: &str) -> Remark {
    let short: String = text.chars().filter(|c| *c != '\0').take(2_000).collect();
    Remark::new(short).expect("two thousand characters without NUL are a remark")
}
