//! One run of one target: the five steps in their order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use raito_core::capability::{Effective, StepState};
use raito_core::checkpoint::base64_of;
use raito_core::event::{ConnectorIdentity, Event, Place};
use raito_core::exchange::{CloudError, DesiredState, OtherInstance, Outcome, RunClosing, RunOpening, StepReport};
use raito_core::fault::{Fault, FaultKind, StepFault};
use raito_core::grant::Target;
use raito_core::groups::Groups;
use raito_core::limits;
use raito_core::members::{resolve_controls, resolve_groups, resolve_users};
use raito_core::ports::{Cloud, Connector, Context, Ledger, LedgerError, Opening, TargetBroker};
use raito_core::record::{AccessControl, Description, User};
use raito_core::references::References;
use raito_core::step::Step;
use raito_core::text::{ExternalId, Ident, Name, RunId};
use raito_core::threshold::OverThreshold;
use raito_core::unite::AccessControls;

use crate::apply::{Basis, apply_step, known_names, protected_names};
use crate::event::{Observer, RunEvent};
use crate::kept::Kept;
use crate::outcome::remark;
use crate::read::{Keeping, Read, Task, elapsed_ms, read_step, withheld};
use crate::stop::Stop;

/// Everything that a run of a target needs.
pub struct TargetRun<'r> {
    /// The run's id.
    pub id: RunId,
    /// The target.
    pub target: &'r Target,
    /// The connector's identity.
    pub identity: ConnectorIdentity,
    /// The connector, compiled.
    pub connector: Arc<dyn Connector>,
    /// What it may use.
    pub effective: &'r Effective,
    /// The target's settings, resolved.
    pub settings: std::collections::BTreeMap<Ident, String>,
    /// The brokers.
    pub broker: &'r dyn TargetBroker,
    /// The cloud.
    pub cloud: &'r dyn Cloud,
    /// The audit log.
    pub ledger: Arc<dyn Ledger>,
    /// Who wants to know.
    pub observer: &'r dyn Observer,
    /// Whether somebody asked to stop.
    pub stop: &'r Stop,
    /// When the run began, in milliseconds since 1970: a membership of a group that ended before is none.
    pub now_ms: u64,
    /// Whether nothing may be changed, neither at the target nor in the cloud.
    pub dry_run: bool,
    /// The exact number of records that a person said may be removed.
    pub allow_removals: Option<u64>,
    /// The exact number of permissions and members that a person said may be taken away at the target.
    pub allow_revokes: Option<u64>,
    /// Whether a target may be changed that was never changed before.
    pub apply_first: bool,
}

/// Why a step did not complete, or a run did not begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The connector or the target.
    #[error(transparent)]
    Step(#[from] StepFault),
    /// The cloud.
    #[error(transparent)]
    Cloud(#[from] CloudError),
    /// The audit log.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Step 4 would take too much away.
    #[error(transparent)]
    OverThreshold(OverThreshold),
    /// Nothing was ever changed at this target, so a person has to look at the plan first.
    #[error(
        "this would be the first change of the target, with {calls} write calls, and nothing was sent{}",
        left_out(failed)
    )]
    FirstApply {
        /// Write calls of the plan.
        calls: u64,
        /// Why access controls are not in the plan, one reason for each.
        failed: Vec<String>,
    },
}

/// Says that a plan is not all that was wanted.
fn left_out(failed: &[String]) -> String {
    let reasons: Vec<&str> = failed.iter().take(REASONS).map(String::as_str).collect();
    match failed.len().saturating_sub(REASONS) {
        _ if failed.is_empty() => String::new(),
        0 => format!("; left out of the plan: {}", reasons.join("; ")),
        more => format!("; left out of the plan: {}; and {more} more", reasons.join("; ")),
    }
}

/// What became of a target.
#[derive(Debug, Clone)]
pub struct TargetReport {
    /// How it ended.
    pub outcome: Outcome,
    /// What each step did.
    pub steps: Vec<StepReport>,
    /// From when on step 5 read, in milliseconds since 1970; none where it read everything.
    pub usage_since_ms: Option<u64>,
    /// The first failure, and the step in which it happened; none where it was before any step.
    pub failure: Option<(Option<Step>, Failure)>,
}

impl TargetReport {
    fn begun() -> Self {
        Self { outcome: Outcome::Completed, steps: Vec::new(), usage_since_ms: None, failure: None }
    }
}

/// What is known as the steps go on.
#[derive(Default)]
struct Known {
    usage_since_ms: Option<u64>,
    /// The instance that the source is, as the cloud knows it.
    instance_id: Option<ExternalId>,
    desired: DesiredState,
    /// Names of users that step 4 needs; none where step 1 did not run.
    users: Option<BTreeMap<ExternalId, Name>>,
    /// Who is in which group, where what is to be names one.
    groups: Groups,
    /// Access controls of which not all members are known, because not all of a group was read.
    unread: BTreeSet<Name>,
    description: Option<Description>,
    access: Option<Read>,
    /// The definitions and names of the steps so far.
    references: References,
}

/// Carries out all steps of a target, and tells the cloud how it went.
pub async fn run_target(run: &TargetRun<'_>) -> TargetReport {
    let target = run.target.name.to_string();
    run.observer.observe(&RunEvent::TargetStart { target: target.clone(), run: run.id.to_string() });
    let mut report = match begin(run).await {
        Ok(mut known) => {
            let usage_since_ms = known.usage_since_ms;
            TargetReport { usage_since_ms, ..steps(run, &mut known).await }
        }
        Err(failure) => {
            TargetReport { outcome: Outcome::Failed, failure: Some((None, failure)), ..TargetReport::begun() }
        }
    };
    if !run.dry_run && !matches!(report.failure, Some((None, _))) {
        let closed = close(run, &report).await;
        if let Err(failure) = closed
            && report.failure.is_none()
        {
            report.outcome = Outcome::Failed;
            report.failure = Some((None, failure));
        }
    }
    let end = Event::TargetEnd { target: target.clone(), outcome: report.outcome.word().to_owned() };
    if let Err(error) = run.ledger.append(&end)
        && report.failure.is_none()
    {
        report.outcome = Outcome::Failed;
        report.failure = Some((None, error.into()));
    }
    run.observer.observe(&RunEvent::TargetEnd { target, outcome: report.outcome });
    report
}

/// Ends the run in the cloud, which takes the record up to here into its keeping: from then on, nobody who has only the
/// record can change it unnoticed.
async fn close(run: &TargetRun<'_>, report: &TargetReport) -> Result<(), Failure> {
    let signed = run.ledger.checkpoint();
    let checkpoint = signed.as_ref().ok().cloned();
    let closing = RunClosing { outcome: report.outcome, steps: report.steps.clone(), checkpoint };
    let closed = run.cloud.close_run(run.id.clone(), closing).await?;
    let signed = signed?;
    if closed.checkpoint.as_ref() != Some(&signed) {
        return Err(CloudError::Failed("it keeps another checkpoint than it was sent".into()).into());
    }
    let root = signed.checkpoint().root;
    Ok(run.ledger.append(&Event::Anchored {
        target: run.target.name.to_string(),
        cloud_run: run.id.to_string(),
        size: root.size,
        root: base64_of(&root.hash),
    })?)
}

/// Opens the run: on record first, then in the cloud.
async fn begin(run: &TargetRun<'_>) -> Result<Known, Failure> {
    run.ledger.append(&Event::TargetStart {
        target: run.target.name.to_string(),
        cloud_run: run.id.to_string(),
        connector: run.identity.clone(),
        slots: run.effective.slots.iter().map(|(name, slot)| (name.to_string(), slot.summary())).collect(),
        steps: run.effective.steps.iter().map(|(step, state)| (step.name().to_owned(), *state)).collect(),
    })?;
    let mut known = Known::default();
    if !run.dry_run {
        let unanswered = run.broker.unsettled();
        let opening = RunOpening {
            run: run.id.clone(),
            source: run.target.name.clone(),
            connector: text_of(&run.identity.name)?,
            version: text_of(&run.identity.version)?,
            sha256: run.identity.sha256,
            unanswered: unanswered.clone(),
        };
        let opened = run.cloud.open_run(opening).await?;
        known.usage_since_ms = opened.usage_since_ms;
        known.instance_id = opened.instance_id;
        if unanswered.is_some() {
            run.broker.settle_state(opened.unanswered_was_accepted).map_err(StepFault::State)?;
        }
    }
    if run.effective.steps.get(&Step::AccessToTarget) == Some(&StepState::Runs) {
        known.desired = run.cloud.desired(run.target.name.clone()).await?;
        resolve_controls(&mut known.desired.controls);
        known.instance_id = known.instance_id.take().or_else(|| known.desired.instance_id.clone());
    } else if run.dry_run {
        known.instance_id = run.cloud.desired(run.target.name.clone()).await?.instance_id;
    }
    Ok(known)
}

fn text_of<T>(text: &str) -> Result<T, Failure>
where
    T: std::str::FromStr<Err = raito_core::text::TextError>,
{
    text.parse().map_err(|error: raito_core::text::TextError| Failure::Step(StepFault::Host(error.to_string())))
}

async fn steps(run: &TargetRun<'_>, known: &mut Known) -> TargetReport {
    let mut report = TargetReport::begun();
    for step in Step::ALL {
        let skip = match run.effective.steps.get(&step) {
            Some(StepState::Runs) if report.failure.is_some() => Some("an earlier step did not complete"),
            Some(StepState::Runs) => None,
            Some(StepState::LeftOut) => Some("left out"),
            Some(StepState::NotSupported) | None => Some("the connector does not support it"),
        };
        let (step_report, failure) = match skip {
            Some(reason) => (blank(step, Outcome::Skipped, Some(reason)), None),
            None => one_step(run, step, known).await,
        };
        run.observer.observe(&RunEvent::StepEnd { target: run.target.name.to_string(), report: step_report.clone() });
        if let Some(failure) = failure {
            report.outcome = step_report.outcome;
            report.failure = Some((Some(step), failure));
        }
        report.steps.push(step_report);
    }
    report
}

fn blank(step: Step, outcome: Outcome, reason: Option<&str>) -> StepReport {
    StepReport {
        step,
        outcome,
        reason: reason.map(remark),
        records: 0,
        gaps: 0,
        receipt: None,
        calls: 0,
        duration_ms: 0,
        guest_memory_bytes: 0,
        warnings: Vec::new(),
    }
}

/// Carries out one step between its two events on record.
async fn one_step(run: &TargetRun<'_>, step: Step, known: &mut Known) -> (StepReport, Option<Failure>) {
    let began = Instant::now();
    let place = Place { target: run.target.name.to_string(), step };
    run.observer.observe(&RunEvent::StepStart { target: place.target.clone(), step });
    let result = match run.ledger.append(&Event::StepStart { place: place.clone() }) {
        Err(error) => Err(error.into()),
        Ok(()) if run.stop.is_asked() => Err(Failure::Step(StepFault::Interrupted)),
        Ok(()) => carry_out(run, step, known).await,
    };
    let (mut report, mut failure) = match result {
        Ok(report) => (report, None),
        Err(failure) => {
            let outcome =
                if failure == Failure::Step(StepFault::Interrupted) { Outcome::Interrupted } else { Outcome::Failed };
            (blank(step, outcome, Some(&failure.to_string())), Some(failure))
        }
    };
    report.duration_ms = elapsed_ms(began);
    if let Err(error) = record_end(run, place, &report, failure.as_ref()) {
        report.outcome = Outcome::Failed;
        failure.get_or_insert(error.into());
    }
    if report.outcome == Outcome::Failed && failure.is_none() {
        let reason = report.reason.as_ref().map_or_else(String::new, ToString::to_string);
        failure = Some(Failure::Step(StepFault::Fault(Fault::new(FaultKind::Conflict, reason))));
    }
    (report, failure)
}

/// Puts the end of a step on record, with the limit or the trap that ended it.
fn record_end(
    run: &TargetRun<'_>,
    place: Place,
    report: &StepReport,
    failure: Option<&Failure>,
) -> Result<(), LedgerError> {
    match failure {
        Some(Failure::Step(StepFault::Limit(hit))) => run.ledger.append(&Event::Limit {
            place: place.clone(),
            what: hit.what.to_owned(),
            allowed: hit.allowed.clone(),
        })?,
        Some(Failure::Step(StepFault::Trap { message })) => {
            run.ledger.append(&Event::Trap { place: place.clone(), message: message.clone() })?;
        }
        _ => {}
    }
    run.ledger.append(&Event::StepEnd {
        place,
        outcome: report.outcome.word().to_owned(),
        records: report.records,
        calls: report.calls,
        duration_ms: report.duration_ms,
        guest_memory_bytes: report.guest_memory_bytes,
    })
}

async fn carry_out(run: &TargetRun<'_>, step: Step, known: &mut Known) -> Result<StepReport, Failure> {
    let references = std::mem::take(&mut known.references);
    let of = |opening| Task { opening, description: None, keep: &Keeping::NONE, sends: !run.dry_run, references };
    match step {
        Step::IdentityStore => {
            recognise(run, known).await?;
            let named = protected_names(run);
            let members = known.desired.users();
            let keep = |user: &User| members.contains(&user.external_id) || named.contains(user.user_name.as_str());
            let (more_users, groups_named) = (limits::USER_NAMES_KEPT, known.desired.names_groups());
            let keep = Keeping { users: &keep, more_users, groups: groups_named, ..Keeping::NONE };
            let mut read = read_step(run, Task { keep: &keep, ..of(Opening::IdentityStore) }).await?;
            known.users = Some(std::mem::take(&mut read.users));
            known.groups = groups(&mut read);
            known.references = std::mem::take(&mut read.references);
            Ok(read_report(step, &read))
        }
        Step::DataSource => {
            recognise(run, known).await?;
            let mut read = read_step(run, of(Opening::DataSource(None))).await?;
            known.references = std::mem::take(&mut read.references);
            known.description.clone_from(&read.description);
            check_instance(run, known)?;
            Ok(read_report(step, &read))
        }
        Step::AccessFromTarget => {
            describe(run, known).await?;
            check_instance(run, known)?;
            let kept = known.description.as_ref().map(|description| Kept::of(&known.desired.controls, description));
            let keep = |control: &AccessControl| kept.as_ref().is_some_and(|kept| kept.takes(control));
            let keep = Keeping { controls: &keep, ..Keeping::NONE };
            let description = known.description.as_ref();
            let mut read = read_step(run, Task { description, keep: &keep, ..of(Opening::AccessFromTarget) }).await?;
            // Nothing that comes later names what these steps define.
            read.references = References::default();
            let report = read_report(step, &read);
            resolve_members(run, known, &read.controls);
            known.access = Some(read);
            Ok(report)
        }
        Step::AccessToTarget => change(run, known).await,
        Step::DataUsage => {
            recognise(run, known).await?;
            let opening = of(Opening::DataUsage(known.usage_since_ms));
            // Texts are read in the dialect of the target, where it has one.
            let read = read_step(run, Task { description: known.description.as_ref(), ..opening }).await?;
            Ok(read_report(step, &read))
        }
    }
}

/// Who is in which group, as step 1 told it.
fn groups(read: &mut Read) -> Groups {
    let mut groups = std::mem::take(&mut read.groups);
    if !read.gaps.is_empty() {
        groups.miss();
    }
    if groups.too_many() {
        let most = limits::GROUPS_KEPT_BYTES;
        read.warnings
            .push(format!("users and memberships take more than {most} bytes: nobody is known to be in any group"));
    }
    groups
}

/// Names members of what is to be as the target has them.
fn resolve_members(run: &TargetRun<'_>, known: &mut Known, found: &AccessControls) {
    let Some(description) = &known.description else { return };
    // Where step 1 did not run, no group is known, and each of them is refused as unknown.
    let untouched = protected_names(run);
    known.unread = resolve_groups(&mut known.desired.controls, &known.groups, description, &untouched);
    if let Some(users) = &mut known.users {
        let named = known.desired.users().into_iter();
        users.extend(named.filter_map(|id| known.groups.name_of(&id).cloned().map(|name| (id, name))));
    }
    resolve_users(&mut known.desired.controls, found, description);
}

fn read_report(step: Step, read: &Read) -> StepReport {
    let gap = |gap: &raito_core::record::Gap| remark(&format!("not read: {}", gap.reason));
    let shown = read.gaps.iter().take(5).map(gap);
    StepReport {
        records: read.records,
        gaps: read.gaps.len() as u64,
        receipt: read.receipt,
        calls: read.calls,
        guest_memory_bytes: read.memory_bytes,
        warnings: shown.chain(read.warnings.iter().map(|warning| remark(warning))).collect(),
        ..blank(step, Outcome::Completed, None)
    }
}

/// The remarks of a report; of too many, the first and how many there are.
fn remarks(all: &[String]) -> Vec<raito_core::text::Remark> {
    let shown = all.iter().take(limits::STEP_REMARKS).map(|one| remark(one));
    let more = all.len().saturating_sub(limits::STEP_REMARKS);
    shown.chain((more > 0).then(|| remark(&format!("and {more} more")))).collect()
}

/// Has the target described, where step 2 was left out.
async fn describe(run: &TargetRun<'_>, known: &mut Known) -> Result<(), Failure> {
    if known.description.is_some() {
        return Ok(());
    }
    if run.effective.steps.get(&Step::DataSource) == Some(&StepState::NotSupported) {
        return Err(Failure::Step(StepFault::Host(
            "the connector reads access and does not describe the target".into(),
        )));
    }
    let broker = run.broker.open(Step::DataSource, raito_core::ports::Writes::Refused);
    let mut guest = run.connector.start(Step::DataSource, Arc::clone(&broker) as _).await?;
    let description = guest.describe(run.context()).await;
    broker.close().await;
    if let Some(failure) = withheld(&broker) {
        return Err(failure);
    }
    known.description = Some(description?);
    Ok(())
}

/// Compares the instance before anything of it is sent, where the connector tells instances apart and the cloud knows which
/// one the source is. Step 2 comes after step 1, and its refusal would come after the people were replaced.
async fn recognise(run: &TargetRun<'_>, known: &mut Known) -> Result<(), Failure> {
    let describes = run.effective.steps.get(&Step::DataSource) != Some(&StepState::NotSupported);
    if known.instance_id.is_none() || !describes {
        return Ok(());
    }
    describe(run, known).await?;
    check_instance(run, known)
}

/// Refuses to take what another instance has for what the source has: ids of its users and access controls may be the same.
fn check_instance(run: &TargetRun<'_>, known: &Known) -> Result<(), Failure> {
    let given = known.description.as_ref().map(|description| &description.instance_id);
    match (&known.instance_id, given) {
        (Some(known), Some(given)) if known != given => {
            let source_name = run.target.name.to_string();
            let other = OtherInstance { source_name, known: known.to_string(), given: given.to_string() };
            Err(Failure::Step(StepFault::Fault(Fault::new(FaultKind::Conflict, other.to_string()))))
        }
        _ => Ok(()),
    }
}

/// Reasons that a failed step 4 is told with; each access control has its own in the cloud.
const REASONS: usize = 5;

/// Step 4, on the strength of step 3 of this run.
async fn change(run: &TargetRun<'_>, known: &Known) -> Result<StepReport, Failure> {
    let step = Step::AccessToTarget;
    let skipped = |reason| Ok(blank(step, Outcome::Skipped, Some(reason)));
    if known.desired.controls.is_empty() {
        return Ok(blank(step, Outcome::Completed, Some("the cloud manages nothing of this target")));
    }
    let (Some(found), Some(description)) = (&known.access, &known.description) else {
        return skipped(
            "changes are decided against a whole read of the same run, and step access-from-target is left out",
        );
    };
    let nobody = BTreeMap::new();
    let users = match &known.users {
        Some(users) => users,
        None if known.desired.users().is_empty() && run.target.break_glass.is_empty() => &nobody,
        None => return skipped("members are named as step identity-store of the same run told, and it is left out"),
    };
    let names = known_names(users, found);
    let basis = Basis { state: &known.desired, found, users, names: &names, description, unread: &known.unread };
    let changed = apply_step(run, &basis).await?;
    let (failed, all) = (changed.failed.len(), known.desired.controls.len());
    let reasons: Vec<&str> = changed.failed.values().take(REASONS).map(String::as_str).collect();
    let failed = (failed > 0)
        .then(|| format!("{failed} of {all} access controls are not as they are to be: {}", reasons.join("; ")));
    Ok(StepReport {
        records: changed.changes,
        calls: changed.calls,
        guest_memory_bytes: changed.memory_bytes,
        warnings: remarks(&changed.warnings),
        ..blank(step, if failed.is_some() { Outcome::Failed } else { Outcome::Completed }, failed.as_deref())
    })
}

impl TargetRun<'_> {
    /// What guests are told when a step is opened.
    pub(crate) fn context(&self) -> Context {
        let settings = self.settings.iter().map(|(key, value)| (key.to_string(), value.clone())).collect();
        Context { settings, places: self.broker.places(), resume: None }
    }
}
