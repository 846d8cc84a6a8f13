//! Step 4: what is to be against what was just read. The changes are decided in core, planned, carried out exactly as
//! planned, and read again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use raito_core::decide::{Decision, DriftItem, DriftKind, Protected, Situation, decide};
use raito_core::difference::Unread;
use raito_core::exchange::{Desired, DesiredState, Feedback};
use raito_core::fault::{Fault, FaultKind, StepFault};
use raito_core::grant::{Drift, Grant};
use raito_core::plan::RecordedCall;
use raito_core::ports::{StepBroker, Writes};
use raito_core::record::{AccessControl, Applied, Change, ChangeSet, Description, Identity, ObjectRef};
use raito_core::step::Step;
use raito_core::text::{ExternalId, Name, Remark};
use raito_core::threshold::Removal;
use raito_core::warrant::{Names, Warrants};

use crate::event::RunEvent;
use crate::read::{Read, read_again};
use crate::target::{Failure, TargetRun};

/// What step 4 did.
#[derive(Default)]
pub(crate) struct Changed {
    /// Changes that took effect.
    pub(crate) changes: u64,
    pub(crate) calls: u64,
    pub(crate) memory_bytes: u64,
    pub(crate) warnings: Vec<String>,
    /// Access controls that are not as they are to be, each with the first reason.
    pub(crate) failed: BTreeMap<Name, String>,
}

impl Changed {
    fn fail(&mut self, id: &Name, reason: &str) {
        self.failed.entry(id.clone()).or_insert_with(|| reason.to_owned());
    }
}

/// What step 4 goes by.
pub(crate) struct Basis<'b> {
    pub(crate) state: &'b DesiredState,
    pub(crate) found: &'b Read,
    /// Names of users, as step 1 of this run told them.
    pub(crate) users: &'b BTreeMap<ExternalId, Name>,
    pub(crate) description: &'b Description,
}

/// Carries out step 4 on the strength of step 3 of the same run.
pub(crate) async fn apply_step(run: &TargetRun<'_>, basis: &Basis<'_>) -> Result<Changed, Failure> {
    let protected = protected(run, basis);
    let decision = decided(basis, &basis.state.controls, basis.found, run.target.drift, &protected);
    let mut changed = Changed::default();
    let mut feedback = settled(&decision, &mut changed);
    if !decision.sets.is_empty() {
        let removal = Removal { what: "permissions and members", removed: decision.removes, before: decision.held };
        run.target.thresholds.check(&[removal], run.allow_revokes).map_err(Failure::OverThreshold)?;
        let warrants = Arc::new(Warrants::of(&decision.sets, &names(basis)));
        let plan = plan(run, &decision, &warrants, &mut changed).await?;
        let is_first = !basis.state.was_applied && !run.apply_first;
        if run.dry_run || is_first {
            show(run, &plan);
        }
        if run.dry_run {
            return Ok(changed);
        }
        if is_first {
            return Err(Failure::FirstApply { calls: plan.len() as u64 });
        }
        announce(run, basis.state, &decision.sets).await?;
        let applied = send(run, &decision, warrants, plan, &mut changed).await?;
        let mut told = outcomes(&decision, &applied, &mut changed);
        verify(run, basis, &decision, &mut told, &mut changed).await?;
        feedback.extend(told.into_values());
    }
    if !run.dry_run && !feedback.is_empty() {
        tell(run, basis.state, feedback).await?;
    }
    Ok(changed)
}

/// Tells the cloud, with the version that each was to be.
async fn tell(run: &TargetRun<'_>, state: &DesiredState, mut feedback: Vec<Feedback>) -> Result<(), Failure> {
    for one in &mut feedback {
        let wanted = state.controls.iter().find(|wanted| wanted.id == one.id);
        one.version = wanted.map_or(0, |wanted| wanted.version);
    }
    Ok(run.cloud.feedback(run.id.clone(), feedback).await?)
}

fn decided(basis: &Basis<'_>, desired: &[Desired], found: &Read, drift: Drift, protected: &Protected) -> Decision {
    let by_external_id = |id: &ExternalId| {
        let wanted = desired.iter().find(|wanted| wanted.external_id.as_ref() == Some(id));
        wanted.map(|wanted| wanted.id.clone())
    };
    let unread = Unread::from_gaps(&found.gaps, by_external_id);
    decide(&Situation {
        desired,
        actual: &found.controls,
        description: basis.description,
        unread: &unread,
        drift,
        master: &basis.state.master,
        protected,
    })
}

/// What is never touched: the logins of this target's grants, and what its configuration keeps for emergencies.
fn protected(run: &TargetRun<'_>, basis: &Basis<'_>) -> Protected {
    let names = protected_names(run);
    let is_kept = |name: &Name| names.contains(name.as_str());
    let users = basis.users.iter().filter(|(_, name)| is_kept(name)).map(|(id, _)| id.clone()).collect();
    let controls =
        basis.found.controls.all().filter(|(_, name, _)| is_kept(name)).map(|(_, _, id)| id.clone()).collect();
    Protected { users, controls }
}

/// The names of what is never touched.
pub(crate) fn protected_names(run: &TargetRun<'_>) -> BTreeSet<String> {
    let logins = run.target.grants.values().flat_map(|grant| match grant {
        Grant::Sql(grant) => {
            let write = grant.write.as_ref().map(|login| login.user.clone());
            std::iter::once(grant.read.user.clone()).chain(write).collect::<Vec<_>>()
        }
        Grant::Http(_) => Vec::new(),
    });
    logins.chain(run.target.break_glass.iter().map(|name| name.as_str().to_owned())).collect()
}

/// How members and grantors are called.
fn names(basis: &Basis<'_>) -> Names {
    let mut names = Names::default();
    basis.users.iter().for_each(|(id, name)| names.user(id.clone(), name.as_str().to_owned()));
    basis.found.controls.all().for_each(|(_, name, id)| names.control(id.clone(), name.as_str().to_owned()));
    names
}

/// Has the connector carry out the changes with calls that are recorded and not sent.
async fn plan(
    run: &TargetRun<'_>,
    decision: &Decision,
    warrants: &Arc<Warrants>,
    changed: &mut Changed,
) -> Result<Arc<[RecordedCall]>, Failure> {
    let broker = run.broker.open(Step::AccessToTarget, Writes::Recorded(Arc::clone(warrants)));
    let result = carry_out(run, &decision.sets, &broker, changed).await;
    broker.close().await;
    changed.calls = broker.used().calls;
    result?;
    Ok(broker.recorded().into())
}

/// Says what would be sent.
fn show(run: &TargetRun<'_>, plan: &[RecordedCall]) {
    for call in plan {
        run.observer.observe(&RunEvent::Planned {
            target: run.target.name.to_string(),
            slot: call.slot.clone(),
            entry: call.entry.clone(),
            at: call.at.clone(),
            request: raito_core::text::escape(&call.shown).into_owned(),
        });
    }
}

/// Tells the cloud what is about to be created. Should the run break off before it can tell what became of it, the next one
/// knows the entity for its own.
async fn announce(run: &TargetRun<'_>, state: &DesiredState, sets: &[ChangeSet]) -> Result<(), Failure> {
    let is_create = |change: &Change| matches!(change, Change::Create(_));
    let new = sets.iter().filter(|set| set.changes.iter().any(is_create));
    let feedback: Vec<Feedback> =
        new.map(|set| Feedback { creating: Some(set.actual_name.clone()), ..Feedback::of(set.id.clone()) }).collect();
    if feedback.is_empty() { Ok(()) } else { tell(run, state, feedback).await }
}

/// Sends the calls of the plan. The connector is given the same changes again, and each of its calls must be the planned one.
async fn send(
    run: &TargetRun<'_>,
    decision: &Decision,
    warrants: Arc<Warrants>,
    plan: Arc<[RecordedCall]>,
    changed: &mut Changed,
) -> Result<Vec<Applied>, Failure> {
    let broker = run.broker.open(Step::AccessToTarget, Writes::Sent(warrants, plan));
    let result = carry_out(run, &decision.sets, &broker, changed).await;
    broker.close().await;
    changed.calls = broker.used().calls;
    // The id is the known one, or one that the target gave to the host: which entity is ours is not for the connector to say.
    let given = |(set, mut applied): (&ChangeSet, Applied)| {
        let captured = || {
            let value = applied.external_id.as_ref().and_then(|token| broker.captured(token.as_str()));
            value.and_then(|value| ExternalId::new(value).ok())
        };
        applied.external_id = set.external_id.clone().or_else(captured);
        applied
    };
    Ok(decision.sets.iter().zip(result?).map(given).collect())
}

async fn carry_out(
    run: &TargetRun<'_>,
    sets: &[ChangeSet],
    broker: &Arc<dyn StepBroker>,
    changed: &mut Changed,
) -> Result<Vec<Applied>, Failure> {
    let mut guest = run.connector.start(Step::AccessToTarget, Arc::clone(broker) as _).await?;
    let applied = guest.apply(run.context(), sets.to_vec()).await;
    changed.memory_bytes = changed.memory_bytes.max(guest.used().memory_bytes);
    let applied = applied?;
    if applied.len() == sets.len() {
        return Ok(applied);
    }
    let message = format!("it answered {} change-sets of {}", applied.len(), sets.len());
    Err(Failure::Step(StepFault::Fault(Fault::new(FaultKind::Internal, message))))
}

/// What is said of access controls for which nothing is to be carried out.
fn settled(decision: &Decision, changed: &mut Changed) -> Vec<Feedback> {
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
    // Those that are changed are told of later, together with what became of the change.
    let later: BTreeSet<&Name> = decision.owners.iter().flatten().collect();
    all.into_values().filter(|feedback| !later.contains(&feedback.id)).collect()
}

/// What became of each access control for which something was carried out.
fn outcomes(decision: &Decision, applied: &[Applied], changed: &mut Changed) -> BTreeMap<Name, Feedback> {
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

/// Reads the target again: what still differs is a change that failed, whatever the connector said.
async fn verify(
    run: &TargetRun<'_>,
    basis: &Basis<'_>,
    decision: &Decision,
    told: &mut BTreeMap<Name, Feedback>,
    changed: &mut Changed,
) -> Result<(), Failure> {
    let is_create = |set: &ChangeSet| set.changes.iter().any(|change| matches!(change, Change::Create(_)));
    let made = decision.sets.iter().zip(&decision.owners).filter(|(set, _)| is_create(set));
    let made: BTreeSet<&Name> = made.flat_map(|(_, owners)| owners).collect();
    let touched = basis.state.controls.iter().filter(|wanted| told.contains_key(&wanted.id));
    let touched = touched.map(|wanted| as_applied(wanted, made.contains(&wanted.id), told, basis.description));
    let now: Vec<Desired> = touched.collect();
    let kept = Kept::of(&now, basis.description);
    let again = read_again(run, basis.description, &|control| kept.takes(control)).await?;
    let left = decided(basis, &now, &again, run.target.drift, &protected(run, basis));
    if !again.gaps.is_empty() {
        for (id, feedback) in told.iter_mut().filter(|(_, feedback)| feedback.errors.is_empty()) {
            let reason = "after the change, not everything could be read again, so nobody knows whether it took effect";
            feedback.errors.push(remark(reason));
            changed.fail(id, reason);
        }
    }
    let differing = left.sets.iter().zip(&left.owners).flat_map(|(set, owners)| {
        let left: Vec<String> = set.changes.iter().flat_map(Change::lines).take(5).collect();
        let reason = format!("{}: after the change, the target is still to {}", set.actual_name, left.join("; "));
        owners.iter().map(move |id| (id, reason.clone()))
    });
    let refused = left.refused.iter().map(|(id, reason)| (id, reason.clone()));
    for (id, reason) in differing.chain(refused) {
        let Some(feedback) = told.get_mut(id) else { continue };
        if feedback.errors.is_empty() {
            feedback.errors.push(remark(&reason));
        }
        (feedback.synced, feedback.deleted) = (false, false);
        changed.fail(id, &reason);
    }
    for wanted in &now {
        let Some(feedback) = told.get_mut(&wanted.id) else { continue };
        feedback.deleted |= wanted.hand_back && feedback.errors.is_empty();
        let by_name = || again.controls.id_of(&wanted.control.kind, &wanted.control.actual_name);
        let id = wanted.external_id.as_ref().or_else(by_name).filter(|_| !is_list(basis.description, &wanted.control));
        let held = id.and_then(|id| again.controls.get(id));
        feedback.external_id = held.map(|held| held.external_id.clone()).or_else(|| feedback.external_id.take());
        let before = basis.state.controls.iter().find(|other| other.id == wanted.id);
        let before = before.and_then(|before| before.applied.as_deref());
        feedback.applied = match held {
            Some(held) => Some(Box::new(as_left(held, before, &wanted.control, &feedback.drift))),
            // Lines are looked at as a whole: what is wanted is what was put there.
            None if is_list(basis.description, &wanted.control) && feedback.errors.is_empty() => {
                Some(Box::new(wanted.control.clone()))
            }
            None => None,
        };
    }
    Ok(())
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
/// so that every difference counts but those that were left. Lists keep that state, since lines of others on them stay; and what is wanted is ours.
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

fn is_list(description: &Description, control: &AccessControl) -> bool {
    description.control_kind(&control.kind).is_some_and(|kind| kind.identity != Identity::Named)
}

/// Which access controls of a read are kept whole, for the decision.
pub(crate) struct Kept {
    ids: BTreeSet<ExternalId>,
    creating: BTreeSet<Name>,
    objects: BTreeSet<ObjectRef>,
}

impl Kept {
    /// Those that something is to be done about.
    pub(crate) fn of(desired: &[Desired], description: &Description) -> Self {
        let of_lists = desired.iter().filter(|wanted| is_list(description, &wanted.control));
        let objects = of_lists.flat_map(|wanted| {
            let last = wanted.applied.iter().flat_map(|applied| &applied.what);
            wanted.control.what.iter().chain(last).map(|what| what.object.clone())
        });
        Self {
            ids: desired.iter().filter_map(|wanted| wanted.external_id.clone()).collect(),
            creating: desired.iter().filter_map(|wanted| wanted.creating.clone()).collect(),
            objects: objects.collect(),
        }
    }

    /// Whether this one is kept.
    pub(crate) fn takes(&self, control: &AccessControl) -> bool {
        self.ids.contains(&control.external_id)
            || self.creating.contains(&control.actual_name)
            || (!self.objects.is_empty() && control.what.iter().any(|what| self.objects.contains(&what.object)))
    }
}

/// A sentence as a remark, cut where it is too long.
pub(crate) fn remark(text: &str) -> Remark {
    let short: String = text.chars().filter(|c| *c != '\0').take(2_000).collect();
    Remark::new(short).expect("two thousand characters without NUL are a remark")
}
