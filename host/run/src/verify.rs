//! After step 4 the target is read again: what still differs is a change that failed, whatever the connector said.

use std::collections::{BTreeMap, BTreeSet};

use raito_core::decide::{Decision, DriftItem, DriftKind};
use raito_core::exchange::{Desired, Feedback};
use raito_core::marker;
use raito_core::members::resolve_controls;
use raito_core::ports::Opening;
use raito_core::record::{AccessControl, Change, ChangeSet, Description};
use raito_core::references::References;
use raito_core::text::Name;

use crate::apply::{Basis, decided, protected, unread};
use crate::kept::{Kept, is_list};
use crate::outcome::{Changed, remark};
use crate::read::{Keeping, Read, Task, read_step};
use crate::target::{Failure, TargetRun};

/// Reads the target again, and corrects what is told of each access control that was changed.
pub(crate) async fn verify(
    run: &TargetRun<'_>,
    basis: &Basis<'_>,
    decision: &Decision,
    told: &mut BTreeMap<Name, Feedback>,
    changed: &mut Changed,
) -> Result<(), Failure> {
    let mut now = to_be(basis, decision, told);
    let kept = Kept::of(&now, basis.description);
    let keep = Keeping { controls: &|control| kept.takes(control), ..Keeping::NONE };
    let (opening, description) = (Opening::AccessFromTarget, Some(basis.description));
    let again =
        read_step(run, Task { opening, description, keep: &keep, sends: false, references: References::default() })
            .await?;
    for wanted in now.iter_mut().filter(|wanted| wanted.external_id.is_none()) {
        wanted.external_id = made(basis, wanted, &again).map(|held| held.external_id.clone());
    }
    resolve_controls(&mut now);
    let left = decided(basis, &now, &again, run.target.drift, &protected(run, basis));
    for (id, reason) in doubts(&again, told).into_iter().chain(differences(&left)) {
        let Some(feedback) = told.get_mut(&id) else { continue };
        if feedback.errors.is_empty() {
            feedback.errors.push(remark(&reason));
        }
        (feedback.synced, feedback.deleted) = (false, false);
        changed.fail(&id, &reason);
    }
    let unread = |found: &Read, id: &Name| unread(basis, &basis.state.controls, found).of(id);
    for wanted in &now {
        if let Some(feedback) = told.get_mut(&wanted.id) {
            settle(basis, wanted, &again, feedback);
            if basis.unread.contains(&wanted.id) {
                feedback.synced = false;
                feedback.warnings.push(remark(
                    "not all of its groups were read: nothing was taken from anybody, and some may not have got it",
                ));
            }
            // What was not read whole, or did not become what it was to be, does not replace what was told before: what was
            // begun stands beside it, so that nothing of somebody else's passes for ours.
            let is_whole = feedback.applied.as_deref().is_none_or(|held| !held.incomplete);
            let is_read = is_whole && !unread(basis.found, &wanted.id) && !unread(&again, &wanted.id);
            let was_told = basis.state.controls.iter().any(|known| known.id == wanted.id && known.applied.is_some());
            if !is_read || (was_told && !feedback.errors.is_empty()) {
                feedback.applied = None;
            }
        }
    }
    Ok(())
}

/// What each access control that was changed is to be now.
fn to_be(basis: &Basis<'_>, decision: &Decision, told: &BTreeMap<Name, Feedback>) -> Vec<Desired> {
    let is_create = |set: &ChangeSet| set.changes.iter().any(|change| matches!(change, Change::Create(_)));
    let made = decision.sets.iter().zip(&decision.owners).filter(|(set, _)| is_create(set));
    let made: BTreeSet<&Name> = made.flat_map(|(_, owners)| owners).collect();
    let touched = basis.state.controls.iter().filter(|wanted| told.contains_key(&wanted.id));
    touched.map(|wanted| as_applied(wanted, made.contains(&wanted.id), told, basis.description)).collect()
}

/// Those of which nobody knows, because the read after the change was not whole, with the reason.
fn doubts(again: &Read, told: &BTreeMap<Name, Feedback>) -> Vec<(Name, String)> {
    if again.gaps.is_empty() {
        return Vec::new();
    }
    let reason = "after the change, not everything could be read again, so nobody knows whether it took effect";
    told.keys().map(|id| (id.clone(), reason.to_owned())).collect()
}

/// Those that are still not as they are to be, with the reason.
fn differences(left: &Decision) -> impl Iterator<Item = (Name, String)> {
    let differing = left.sets.iter().zip(&left.owners).flat_map(|(set, owners)| {
        let lines: Vec<String> = set.changes.iter().flat_map(Change::lines).take(5).collect();
        let reason = format!("{}: after the change, the target is still to {}", set.actual_name, lines.join("; "));
        owners.iter().map(move |id| (id.clone(), reason.clone()))
    });
    differing.chain(left.refused.iter().cloned())
}

/// One that was just made: it is known by its name, and only where it carries the marker that it was given.
fn made<'r>(basis: &Basis<'_>, wanted: &Desired, again: &'r Read) -> Option<&'r AccessControl> {
    let object = basis.description.control_kind(&wanted.control.kind)?.object_of(&wanted.control);
    let id = again.controls.id_of(&wanted.control.kind, &wanted.control.actual_name, object)?;
    let held = again.controls.get(id)?;
    marker::is_of(&held.description, &basis.state.master, wanted.id.as_str()).then_some(held)
}

/// Adds what the target has of an access control now.
fn settle(basis: &Basis<'_>, wanted: &Desired, again: &Read, feedback: &mut Feedback) {
    feedback.deleted |= wanted.hand_back && feedback.errors.is_empty();
    let is_list = is_list(basis.description, &wanted.control);
    let by_id = || again.controls.get(wanted.external_id.as_ref()?);
    let held = if is_list { None } else { by_id().or_else(|| made(basis, wanted, again)) };
    feedback.external_id = held.map(|held| held.external_id.clone()).or_else(|| feedback.external_id.take());
    let before = basis.state.controls.iter().find(|other| other.id == wanted.id);
    let before = before.and_then(|before| before.applied.as_deref());
    feedback.applied = match held {
        Some(held) => Some(Box::new(as_left(held, before, &wanted.control, &feedback.drift))),
        // Lines are looked at as a whole: what is wanted is what was put there.
        None if is_list && feedback.errors.is_empty() => Some(Box::new(wanted.control.clone())),
        None => None,
    };
}

/// The state that drift is measured by from now on: what the target has of what is wanted. What somebody changed by hand and was
/// left so stays as it was before him, or it would pass for ours.
fn as_left(
    held: &AccessControl,
    before: Option<&AccessControl>,
    wanted: &AccessControl,
    drift: &[DriftItem],
) -> AccessControl {
    let now = held.within(wanted);
    let left: Vec<DriftKind> = drift.iter().filter(|item| !item.reverted).map(|item| item.kind).collect();
    let Some(before) = before.filter(|_| !left.is_empty()) else { return now };
    let is = |kind: DriftKind| left.contains(&kind);
    let mut kept = before.within(wanted).with(&now);
    kept.actual_name = if is(DriftKind::Renamed) { before.actual_name.clone() } else { now.actual_name };
    kept.description = if is(DriftKind::Described) { before.description.clone() } else { now.description };
    kept.policy = if is(DriftKind::Policy) { before.policy.clone() } else { now.policy };
    kept
}

/// What is to be, to be compared with a read after the change: with the id that the target gave, and without the state before,
/// so that every difference counts but those that were left. Lists keep that state, since lines of others on them stay; and
/// what is wanted is ours.
fn as_applied(wanted: &Desired, made: bool, told: &BTreeMap<Name, Feedback>, description: &Description) -> Desired {
    let given = told.get(&wanted.id).and_then(|feedback| feedback.external_id.clone());
    Desired {
        // What was made again is no longer the one with the id that is known.
        external_id: given.or_else(|| wanted.external_id.clone().filter(|_| !made)),
        applied: if is_list(description, &wanted.control) {
            Some(wanted.applied.clone().unwrap_or_else(|| Box::new(wanted.control.clone())))
        } else {
            wanted.applied.clone().filter(|_| !made && is_drifted(told, &wanted.id))
        },
        // What was made is known by its name and its marker.
        creating: made.then(|| wanted.control.actual_name.clone()),
        ..wanted.clone()
    }
}

/// Whether something that was changed by hand was left as it is.
fn is_drifted(told: &BTreeMap<Name, Feedback>, id: &Name) -> bool {
    told.get(id).is_some_and(|feedback| feedback.drift.iter().any(|item| !item.reverted))
}
