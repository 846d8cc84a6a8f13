//! Step 4: what is to be against what was just read. The changes are decided in core, planned, carried out exactly as
//! planned, and read again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use raito_core::decide::{Decision, Protected, Situation, decide, removals};
use raito_core::exchange::{Desired, DesiredState, Feedback};
use raito_core::fact::Unread;
use raito_core::fault::{Fault, FaultKind, StepFault};
use raito_core::grant::{Drift, Grant};
use raito_core::marker;
use raito_core::plan::{RecordedCall, without};
use raito_core::ports::{StepBroker, Writes};
use raito_core::record::{AccessControl, Applied, Change, ChangeSet, Description};
use raito_core::step::Step;
use raito_core::text::{ExternalId, Name};
use raito_core::warrant::{Names, Warrants};

use crate::event::RunEvent;
use crate::kept::is_list;
use crate::outcome::{Changed, outcomes, settled};
use crate::read::{Read, withheld};
use crate::target::{Failure, TargetRun};
use crate::verify::verify;

/// What step 4 goes by.
pub(crate) struct Basis<'b> {
    pub(crate) state: &'b DesiredState,
    pub(crate) found: &'b Read,
    /// Names of users, as step 1 of this run told them.
    pub(crate) users: &'b BTreeMap<ExternalId, Name>,
    /// How members are called, as far as that is known.
    pub(crate) names: &'b Names,
    pub(crate) description: &'b Description,
    /// Access controls of which not all members are known, because not all of a group was read.
    pub(crate) unread: &'b BTreeSet<Name>,
}

/// Carries out step 4 on the strength of step 3 of the same run.
pub(crate) async fn apply_step(run: &TargetRun<'_>, basis: &Basis<'_>) -> Result<Changed, Failure> {
    let protected = protected(run, basis);
    let decision = decided(basis, &basis.state.controls, basis.found, run.target.drift, &protected);
    let mut changed = Changed::default();
    let mut feedback = settled(&decision, &mut changed);
    if !decision.sets.is_empty() {
        let removals = removals(&decision.counts);
        run.target.thresholds.check(&removals, run.allow_revokes).map_err(Failure::OverThreshold)?;
        let names = names(basis, &decision.sets);
        let plan = plan(run, &names, decision.sets.clone(), &mut changed).await?;
        // Where nothing can be sent, there is no plan to look at: what keeps it from being one is told as ever.
        let is_first = !basis.state.was_applied && !run.apply_first && !plan.calls.is_empty();
        if run.dry_run || is_first {
            show(run, &plan.calls);
        }
        if is_first && !run.dry_run {
            let calls = plan.calls.len() as u64;
            outcomes(&decision, &plan.unsent(), &mut changed);
            return Err(Failure::FirstApply { calls, failed: changed.failed.into_values().collect() });
        }
        if !run.dry_run {
            if run.stop.is_asked() {
                return Err(Failure::Step(StepFault::Interrupted));
            }
            announce(run, basis, &decision, &plan.sets).await?;
        }
        let applied = if run.dry_run { plan.unsent() } else { send(run, &names, plan, &mut changed).await? };
        let mut told = outcomes(&decision, &applied, &mut changed);
        if run.dry_run {
            return Ok(changed);
        }
        verify(run, basis, &decision, &mut told, &mut changed).await?;
        feedback.extend(told.into_values());
    }
    if !run.dry_run && !feedback.is_empty() {
        tell(run, basis.state, feedback).await?;
    }
    match changed.refusal.take() {
        Some(fault) => Err(Failure::Step(StepFault::Fault(fault))),
        None => Ok(changed),
    }
}

/// Tells the cloud, with the version that each was to be.
async fn tell(run: &TargetRun<'_>, state: &DesiredState, mut feedback: Vec<Feedback>) -> Result<(), Failure> {
    for one in &mut feedback {
        let wanted = state.controls.iter().find(|wanted| wanted.id == one.id);
        one.version = wanted.map_or(0, |wanted| wanted.version);
    }
    Ok(run.cloud.feedback(run.id.clone(), feedback).await?)
}

/// Decides about some of what is to be, against a read.
pub(crate) fn decided(
    basis: &Basis<'_>,
    desired: &[Desired],
    found: &Read,
    drift: Drift,
    protected: &Protected,
) -> Decision {
    let unread = unread(basis, desired, found);
    decide(&Situation {
        desired,
        actual: &found.controls,
        description: basis.description,
        unread: &unread,
        drift,
        master: &basis.state.master,
        protected,
        names: basis.names,
    })
}

/// What a read left open of what is to be, and what the groups in it did.
pub(crate) fn unread(basis: &Basis<'_>, desired: &[Desired], found: &Read) -> Unread {
    let by_external_id = |id: &ExternalId| {
        let wanted = desired.iter().find(|wanted| wanted.external_id.as_ref() == Some(id));
        wanted.map(|wanted| wanted.id.clone())
    };
    let mut unread = Unread::from_gaps(&found.gaps, by_external_id);
    unread.controls.extend(basis.unread.iter().cloned());
    unread
}

/// What is never touched: the logins of this target's grants, and what its configuration keeps for emergencies.
pub(crate) fn protected(run: &TargetRun<'_>, basis: &Basis<'_>) -> Protected {
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

/// How members and grantors are called, as steps 1 and 3 of this run told them.
pub(crate) fn known_names(users: &BTreeMap<ExternalId, Name>, found: &Read) -> Names {
    let mut names = Names::default();
    users.iter().for_each(|(id, name)| names.user(id.clone(), name.as_str().to_owned()));
    found.controls.all().for_each(|(_, name, id)| names.control(id.clone(), name.as_str().to_owned()));
    names
}

/// How members and grantors are called. One that is created by the same changes has the host's id until then.
fn names(basis: &Basis<'_>, sets: &[ChangeSet]) -> Names {
    let mut names = basis.names.clone();
    for set in sets.iter().filter(|set| set.changes.iter().any(|change| matches!(change, Change::Create(_)))) {
        if let Ok(id) = ExternalId::new(set.id.as_str()) {
            names.control(id, set.actual_name.as_str().to_owned());
        }
    }
    names
}

/// What was planned.
pub(crate) struct Plan {
    /// The change-sets that are to be carried out.
    pub(crate) sets: Vec<ChangeSet>,
    /// Their calls.
    pub(crate) calls: Arc<[RecordedCall]>,
    /// What became of each change-set of the decision in the plan: none where it is to be carried out.
    pub(crate) failed: Vec<Option<Applied>>,
}

impl Plan {
    /// What became of each change-set of the decision, where nothing is sent.
    fn unsent(self) -> Vec<Applied> {
        let nothing = |set: &ChangeSet| Applied {
            external_id: set.external_id.clone(),
            actual_name: set.actual_name.clone(),
            done: 0,
            fault: None,
            warnings: Vec::new(),
        };
        let nothings = self.sets.iter().map(nothing).collect();
        self.results(nothings)
    }

    /// What became of each change-set of the decision, from what became of those that were carried out.
    fn results(self, carried_out: Vec<Applied>) -> Vec<Applied> {
        let mut carried_out = carried_out.into_iter();
        self.failed.into_iter().filter_map(|failed| failed.or_else(|| carried_out.next())).collect()
    }
}

/// Has the connector carry out the changes with calls that are recorded and not sent. A change-set that cannot be planned is
/// not begun.
pub(crate) async fn plan(
    run: &TargetRun<'_>,
    names: &Names,
    sets: Vec<ChangeSet>,
    changed: &mut Changed,
) -> Result<Plan, Failure> {
    let warrants = Arc::new(Warrants::of(&sets, names));
    let broker = run.broker.open(Step::AccessToTarget, Writes::Recorded(warrants));
    let result = carry_out(run, &sets, &broker, changed).await;
    broker.close().await;
    changed.calls = broker.used().calls;
    let applied = result?;
    if let Some(fault) = broker.refusal() {
        return Err(Failure::Step(StepFault::Fault(fault)));
    }
    let without_effect = |applied: Applied| applied.fault.is_some().then_some(Applied { done: 0, ..applied });
    let failed: Vec<Option<Applied>> = applied.into_iter().map(without_effect).collect();
    let is_failed = |at: &usize| failed[*at].is_some();
    let calls = without(broker.recorded(), &(0..failed.len()).filter(is_failed).collect());
    let planned = sets.into_iter().zip(&failed).filter(|(_, failed)| failed.is_none()).map(|(set, _)| set);
    Ok(Plan { sets: planned.collect(), calls: calls.into(), failed })
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

/// Tells the cloud what each access control is about to be. Should the run break off before it can tell what became of it, the
/// next one knows for its own what it finds: an entity by its name, and what it holds by this.
async fn announce(
    run: &TargetRun<'_>,
    basis: &Basis<'_>,
    decision: &Decision,
    sets: &[ChangeSet],
) -> Result<(), Failure> {
    let is_create = |change: &Change| matches!(change, Change::Create(_));
    let planned: BTreeSet<&Name> = sets.iter().map(|set| &set.id).collect();
    let sets = decision.sets.iter().zip(&decision.owners).filter(|(set, _)| planned.contains(&set.id));
    let mut told: BTreeMap<&Name, Feedback> = BTreeMap::new();
    for (set, owners) in sets {
        for id in owners {
            let Some(wanted) = basis.state.controls.iter().find(|wanted| wanted.id == *id) else { continue };
            let feedback = told.entry(id).or_insert_with(|| Feedback::of(id.clone()));
            feedback.begins = Some(Box::new(begins(basis, wanted)));
            if set.changes.iter().any(is_create) {
                feedback.creating = Some(set.actual_name.clone());
            }
        }
    }
    if told.is_empty() { Ok(()) } else { tell(run, basis.state, told.into_values().collect()).await }
}

/// As an access control is about to be at the target.
fn begins(basis: &Basis<'_>, wanted: &Desired) -> AccessControl {
    let mut control = wanted.control.clone();
    if !is_list(basis.description, &control) {
        control.description = marker::marked(&control.description, &basis.state.master, wanted.id.as_str());
    }
    if wanted.delete {
        // It may break off anywhere between all of it and nothing.
        (control.who, control.what, control.standing) = (Vec::new(), Vec::new(), Vec::new());
    }
    control
}

/// Sends the calls of the plan. The connector is given the same changes again, and each of its calls must be the planned one.
/// Gives what became of each change-set of the decision.
pub(crate) async fn send(
    run: &TargetRun<'_>,
    names: &Names,
    plan: Plan,
    changed: &mut Changed,
) -> Result<Vec<Applied>, Failure> {
    if plan.sets.is_empty() {
        return Ok(plan.results(Vec::new()));
    }
    let warrants = Arc::new(Warrants::of(&plan.sets, names));
    let broker = run.broker.open(Step::AccessToTarget, Writes::Sent(warrants, Arc::clone(&plan.calls)));
    let result = carry_out(run, &plan.sets, &broker, changed).await;
    broker.close().await;
    changed.calls = broker.used().calls;
    changed.refusal = broker.refusal();
    // The id is the known one, or one that the target gave to the host: which entity is ours is not for the connector to say.
    let given = |(set, mut applied): (&ChangeSet, Applied)| {
        let captured = || {
            let value = applied.external_id.as_ref().and_then(|token| broker.captured(token.as_str()));
            value.and_then(|value| ExternalId::new(value).ok())
        };
        applied.external_id = set.external_id.clone().or_else(captured);
        applied
    };
    let applied = plan.sets.iter().zip(result?).map(given).collect();
    Ok(plan.results(applied))
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
    if let Some(failure) = withheld(broker) {
        return Err(failure);
    }
    let applied = applied?;
    if applied.len() == sets.len() {
        return Ok(applied);
    }
    let message = format!("it answered {} change-sets of {}", applied.len(), sets.len());
    Err(Failure::Step(StepFault::Fault(Fault::new(FaultKind::Internal, message))))
}
