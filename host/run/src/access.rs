//! What access code needs of a run: a target read whole, calls that are recorded for decided changes, and calls that are sent
//! as they were recorded. No cloud takes part; what is to be, the caller decides between reading and planning.

use std::time::Instant;

use raito_core::capability::StepState;
use raito_core::catalogue::Catalogue;
use raito_core::decide::Protected;
use raito_core::digest::Digest;
use raito_core::event::{Event, Place};
use raito_core::exchange::{
    CloudError, DesiredState, Feedback, Outcome, RunClosed, RunClosing, RunOpened, RunOpening, UploadId, UploadRules,
};
use raito_core::fault::{Fault, FaultKind, StepFault};
use raito_core::plan::RecordedCall;
use raito_core::ports::{BoxFuture, Cloud, Opening, Upload};
use raito_core::record::{Applied, ChangeSet, Description};
use raito_core::references::References;
use raito_core::step::Step;
use raito_core::text::{Name, RunId, TargetName};
use raito_core::upload::Line;
use raito_core::warrant::Names;

use crate::apply::{Plan, plan, protected_names, send};
use crate::event::RunEvent;
use crate::outcome::Changed;
use crate::read::{Keeping, Read, Task, elapsed_ms, read_step};
use crate::target::{Failure, TargetRun};

/// A cloud that takes no part.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCloud;

/// Begins a run of access code: it is on record first.
///
/// # Errors
/// `Failure` where the record cannot be written, or the target leaves out a step that is needed.
pub fn begin(run: &TargetRun<'_>) -> Result<(), Failure> {
    run.ledger.append(&Event::TargetStart {
        target: run.target.name.to_string(),
        cloud_run: run.id.to_string(),
        connector: run.identity.clone(),
        slots: run.effective.slots.iter().map(|(name, slot)| (name.to_string(), slot.summary())).collect(),
        steps: run.effective.steps.iter().map(|(step, state)| (step.name().to_owned(), *state)).collect(),
    })?;
    for step in [Step::IdentityStore, Step::DataSource, Step::AccessFromTarget, Step::AccessToTarget] {
        let reason = match run.effective.steps.get(&step) {
            Some(StepState::Runs) => continue,
            // Such a target knows no people: its access controls are for its own roles alone.
            Some(StepState::NotSupported) | None if step == Step::IdentityStore => continue,
            Some(StepState::LeftOut) => "the target's configuration leaves it out",
            Some(StepState::NotSupported) | None => "the connector does not support it",
        };
        let message = format!("step {} ({step}) is needed, and {reason}", step.number());
        return Err(Failure::Step(StepFault::Fault(Fault::new(FaultKind::InvalidSetting, message))));
    }
    Ok(())
}

/// Ends it.
///
/// # Errors
/// `Failure` where the record cannot be written.
pub fn end(run: &TargetRun<'_>, outcome: Outcome) -> Result<(), Failure> {
    let event = Event::TargetEnd { target: run.target.name.to_string(), outcome: outcome.word().to_owned() };
    Ok(run.ledger.append(&event)?)
}

/// A target that was read whole.
pub struct WholeRead {
    /// What was read.
    pub catalogue: Catalogue,
    /// Digests of objects and of access controls. Where both are what they were, so are objects and access controls, and the way
    /// in which they were cut into pages.
    pub digests: [Option<Digest>; 2],
}

/// Reads users, groups, objects and access controls whole.
///
/// # Errors
/// `Failure` where a step does not reach its end; what it could not read within it stands in the gaps.
pub async fn read_catalogue(run: &TargetRun<'_>) -> Result<WholeRead, Failure> {
    let keep = Keeping { controls: &|_| true, records: true, ..Keeping::NONE };
    let of = |opening, description| {
        let references = References::default();
        Task { opening, description, keep: &keep, sends: false, references }
    };
    let identities = match run.effective.steps.get(&Step::IdentityStore) {
        Some(StepState::Runs) => reading(run, of(Opening::IdentityStore, None)).await?,
        _ => Read::default(),
    };
    let objects = reading(run, of(Opening::DataSource(None), None)).await?;
    let undescribed = || StepFault::Host("the connector does not describe the target".into());
    let description: Description = objects.description.ok_or_else(undescribed)?;
    let access = reading(run, of(Opening::AccessFromTarget, Some(&description))).await?;
    let digests = [objects.sha256, access.sha256];
    let mut catalogue = Catalogue {
        description,
        users: Vec::new(),
        groups: Vec::new(),
        memberships: Vec::new(),
        objects: Vec::new(),
        controls: access.controls,
        identity_gaps: identities.gaps,
        object_gaps: objects.gaps,
        access_gaps: access.gaps,
    };
    for line in identities.kept.into_iter().chain(objects.kept) {
        match line {
            Line::User(user) => catalogue.users.push(user),
            Line::Group(group) => catalogue.groups.push(group),
            Line::Membership(membership) => catalogue.memberships.push(membership),
            Line::Object(object) => catalogue.objects.push(object),
            _ => {}
        }
    }
    Ok(WholeRead { catalogue, digests })
}

/// One reading step between its two events on record.
async fn reading(run: &TargetRun<'_>, task: Task<'_>) -> Result<Read, Failure> {
    let step = task.opening.step();
    let place = Place { target: run.target.name.to_string(), step };
    run.observer.observe(&RunEvent::StepStart { target: place.target.clone(), step });
    run.ledger.append(&Event::StepStart { place: place.clone() })?;
    let began = Instant::now();
    if run.stop.is_asked() {
        return Err(Failure::Step(StepFault::Interrupted));
    }
    let result = read_step(run, task).await;
    let (records, calls, memory) =
        result.as_ref().map_or((0, 0, 0), |read| (read.records, read.calls, read.memory_bytes));
    let outcome = if result.is_ok() { Outcome::Completed } else { Outcome::Failed };
    step_end(run, place, outcome, [records, calls, elapsed_ms(began), memory])?;
    result
}

fn step_end(
    run: &TargetRun<'_>,
    place: Place,
    outcome: Outcome,
    [records, calls, duration_ms, guest_memory_bytes]: [u64; 4],
) -> Result<(), Failure> {
    let outcome = outcome.word().to_owned();
    Ok(run.ledger.append(&Event::StepEnd { place, outcome, records, calls, duration_ms, guest_memory_bytes })?)
}

/// What is never touched: the logins of this target's grants, and what its configuration keeps for emergencies.
pub fn protected(run: &TargetRun<'_>, catalogue: &Catalogue) -> Protected {
    let kept = protected_names(run);
    let is_kept = |name: &Name| kept.contains(name.as_str());
    let users = catalogue.users.iter().filter(|user| is_kept(&user.user_name));
    let controls = catalogue.controls.all().filter(|(_, name, _)| is_kept(name));
    Protected {
        users: users.map(|user| user.external_id.clone()).collect(),
        controls: controls.map(|(_, _, id)| id.clone()).collect(),
    }
}

/// Changes with the calls that carry them out.
pub struct Planned {
    plan: Plan,
    names: Names,
}

impl Planned {
    /// The change-sets that are to be carried out.
    pub fn sets(&self) -> &[ChangeSet] {
        &self.plan.sets
    }

    /// Their calls, in order.
    pub fn calls(&self) -> &[RecordedCall] {
        &self.plan.calls
    }

    /// What became of each change-set that was asked for: none where it is to be carried out.
    pub fn failed(&self) -> &[Option<Applied>] {
        &self.plan.failed
    }
}

/// Has the connector carry out changes with calls that are recorded and not sent. `names` are how members and grantors are
/// called, with those who are only created by these changes.
///
/// # Errors
/// `Failure` where the connector fails, or asks for something else than the changes.
pub async fn plan_changes(run: &TargetRun<'_>, names: Names, sets: Vec<ChangeSet>) -> Result<Planned, Failure> {
    let mut changed = Changed::default();
    let (place, began) = changing(run)?;
    let result = plan(run, &names, sets, &mut changed).await;
    let outcome = if result.is_ok() { Outcome::Completed } else { Outcome::Failed };
    step_end(run, place, outcome, [0, changed.calls, elapsed_ms(began), changed.memory_bytes])?;
    Ok(Planned { plan: result?, names })
}

/// Sends the calls of a plan, each of which must be the planned one. Gives what became of each change-set that was asked for.
///
/// # Errors
/// `Failure` where the connector fails, or a call is not the planned one.
pub async fn send_changes(run: &TargetRun<'_>, planned: Planned) -> Result<Vec<Applied>, Failure> {
    let mut changed = Changed::default();
    let (place, began) = changing(run)?;
    let result = send(run, &planned.names, planned.plan, &mut changed).await;
    let done = result.as_ref().map_or(0, |applied| applied.iter().map(|one| u64::from(one.done)).sum());
    let outcome = if result.is_ok() && changed.refusal.is_none() { Outcome::Completed } else { Outcome::Failed };
    step_end(run, place, outcome, [done, changed.calls, elapsed_ms(began), changed.memory_bytes])?;
    match changed.refusal {
        Some(fault) => Err(Failure::Step(StepFault::Fault(fault))),
        None => result,
    }
}

fn changing(run: &TargetRun<'_>) -> Result<(Place, Instant), Failure> {
    let place = Place { target: run.target.name.to_string(), step: Step::AccessToTarget };
    run.ledger.append(&Event::StepStart { place: place.clone() })?;
    if run.stop.is_asked() {
        return Err(Failure::Step(StepFault::Interrupted));
    }
    Ok((place, Instant::now()))
}

fn none<T: Send + 'static>() -> BoxFuture<'static, Result<T, CloudError>> {
    Box::pin(std::future::ready(Err(CloudError::Failed("no cloud takes part in access code".into()))))
}

impl Cloud for NoCloud {
    fn open_run(&self, _: RunOpening) -> BoxFuture<'_, Result<RunOpened, CloudError>> {
        none()
    }

    fn upload(&self, _: UploadId, _: UploadRules) -> BoxFuture<'_, Result<Box<dyn Upload>, CloudError>> {
        none()
    }

    fn desired(&self, _: TargetName) -> BoxFuture<'_, Result<DesiredState, CloudError>> {
        none()
    }

    fn feedback(&self, _: RunId, _: Vec<Feedback>) -> BoxFuture<'_, Result<(), CloudError>> {
        none()
    }

    fn close_run(&self, _: RunId, _: RunClosing) -> BoxFuture<'_, Result<RunClosed, CloudError>> {
        none()
    }
}
