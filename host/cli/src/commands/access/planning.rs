//! Planning a target: reading it, saying what the files mean there, deciding, and having the connector record its calls.

use std::collections::BTreeMap;
use std::sync::Arc;

use raito_access::assert;
use raito_access::code::{Code, Source};
use raito_access::effect::{self, Effects};
use raito_access::evaluate::{Evaluation, Question, evaluate};
use raito_access::finding::{Finding, Level};
use raito_access::plan::{Parts, Refused, TargetPlan};
use raito_access::report::Beside;
use raito_access::resolve::Problem;
use raito_access::{document, policy};
use raito_config::Place;
use raito_core::catalogue::Catalogue;
use raito_core::decide::{Decision, Protected};
use raito_core::exchange::Outcome;
use raito_core::expansion::BuildError;
use raito_core::marker::Master;
use raito_core::record::{Applied, Change, ChangeSet, Gap};
use raito_core::text::{ExternalId, Name, Remark, TargetName, excerpt};
use raito_core::warrant::Names;
use raito_run::access::{Planned, end, plan_changes, protected, read_catalogue};

use super::session::Opened;
use crate::codes;
use crate::error::CliError;

/// A plan of one target, with what can be sent.
pub(super) struct Planning {
    pub(super) plan: TargetPlan,
    pub(super) beside: Beside,
    pub(super) problems: Vec<Problem>,
    pub(super) tests: Vec<assert::Outcome>,
    /// People of the host itself, or for emergencies, who would lose something.
    pub(super) locked_out: Vec<String>,
    /// The recorded calls; none where there is nothing to do.
    pub(super) planned: Option<Planned>,
    pub(super) spots: BTreeMap<Name, document::Spot>,
    /// Where the files speak of the target first.
    pub(super) first: Option<document::Spot>,
    /// What was read.
    pub(super) seen: Seen,
}

/// What of a target the files are compared with.
pub(super) struct Seen {
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) protected: Protected,
}

/// How many gaps of a read an error names.
const GAPS_SHOWN: usize = 5;
/// Characters of each that it shows.
const GAP_SHOWN: usize = 300;

/// Reads a target, whole: of half a target nobody can say what differs from the files, nor what nobody has.
pub(super) async fn see(opened: &Opened<'_>) -> Result<Seen, CliError> {
    let run = opened.run();
    let read = read_catalogue(&run).await.map_err(|failure| opened.failed(&failure))?;
    let catalogue = Arc::new(read.catalogue);
    if let Some(error) = incomplete(&opened.target().name, catalogue.gaps()) {
        end(&run, Outcome::Failed).map_err(|failure| opened.failed(&failure))?;
        return Err(error);
    }
    let protected = protected(&run, &catalogue);
    opened.keep(&catalogue, read.digests);
    Ok(Seen { catalogue, protected })
}

/// Why a read is not whole; none where it has no gaps. Their reasons are a connector's words.
fn incomplete<'g>(target: &TargetName, gaps: impl Iterator<Item = &'g Gap>) -> Option<CliError> {
    let mut reasons: Vec<String> = gaps.map(|gap| excerpt(gap.reason.as_str(), GAP_SHOWN)).collect();
    reasons.dedup();
    let more = reasons.len().saturating_sub(GAPS_SHOWN);
    let more = if more > 0 { format!("\n  and {more} more") } else { String::new() };
    reasons.truncate(GAPS_SHOWN);
    let message = format!("target {target}: not everything could be read:\n  {}{more}", reasons.join("\n  "));
    let error = CliError::new(codes::TARGET_INCOMPLETE, message)
        .help("try again, or take what nobody is to read out of the target's grants");
    (!reasons.is_empty()).then_some(error)
}

/// What the files mean at a target that was read, and what follows from it.
pub(super) struct Meant {
    pub(super) evaluation: Evaluation,
    pub(super) decision: Decision,
    pub(super) observed: Decision,
}

impl Meant {
    pub(super) fn of(question: &Question<'_>) -> Self {
        let evaluation = evaluate(question);
        let decision = evaluation.decide(question);
        let observed = evaluation.decide_observed(question);
        Self { evaluation, decision, observed }
    }

    /// What nothing can be done about, with the reasons.
    pub(super) fn refused(&self) -> Vec<Refused> {
        let both = self.decision.refused.iter().chain(&self.observed.refused);
        both.filter_map(|(id, reason)| Some(Refused { id: id.clone(), reason: Remark::new(reason.as_str()).ok()? }))
            .collect()
    }

    /// Whether something that the files say cannot be told, so that nothing may be planned.
    pub(super) fn is_unclear(&self) -> bool {
        self.evaluation.problems.iter().any(|problem| problem.severity == document::Severity::Error)
    }
}

/// Plans one target.
pub(super) async fn plan_target(
    opened: &Opened<'_>,
    seen: Seen,
    code: &Code,
    master: &Master,
    now_ms: u64,
) -> Result<Result<Planning, Vec<Problem>>, CliError> {
    let name = &opened.target().name;
    let Seen { catalogue, protected } = &seen;
    let question = Question { code, target: name, catalogue, protected, master, now_ms };
    let meant = Meant::of(&question);
    if meant.is_unclear() {
        return Ok(Err(meant.evaluation.problems));
    }
    let sets = meant.decision.sets.clone();
    let run = opened.run();
    let planned = match sets.is_empty() {
        true => None,
        false => {
            Some(plan_changes(&run, names(catalogue, &sets), sets).await.map_err(|failure| opened.failed(&failure))?)
        }
    };
    let (sets, calls) = planned.as_ref().map_or((&[][..], &[][..]), |planned| (planned.sets(), planned.calls()));
    let judged = judge(&question, sets)?;
    let failed = planned.as_ref().map(|planned| failed(&meant.decision, planned.failed())).unwrap_or_default();
    let plan = TargetPlan::new(Parts {
        target: name,
        catalogue,
        connector: run.connector.digest(),
        decision: &meant.decision,
        observed: &meant.observed,
        sets,
        calls,
        failed,
        effects: judged.effects,
    });
    let locked_out = plan.locks_out(catalogue, protected);
    let Evaluation { mut problems, unmanaged, retired, spots, .. } = meant.evaluation;
    problems.extend(judged.problems);
    let beside = Beside { unmanaged, retired, places: Vec::new() };
    let first = first(code, name);
    Ok(Ok(Planning { plan, beside, problems, tests: judged.tests, locked_out, planned, spots, first, seen }))
}

/// What changes come to: for people, for guardrails, and for tests.
#[derive(Default)]
pub(super) struct Judged {
    pub(super) effects: Effects,
    pub(super) problems: Vec<Problem>,
    pub(super) tests: Vec<assert::Outcome>,
}

/// Looks at what would come of changes.
pub(super) fn judge(question: &Question<'_>, sets: &[ChangeSet]) -> Result<Judged, CliError> {
    if sets.is_empty() && question.code.policy.is_empty() && question.code.tests.is_empty() {
        return Ok(Judged::default());
    }
    let cannot = |error: BuildError| CliError::new(codes::BAD_RECORD, error.to_string());
    let compared = effect::compare(question.catalogue, sets, question.now_ms).map_err(cannot)?;
    let mut problems = policy::check(question, &compared.controls, &compared.after);
    let (tests, more) = assert::run(question, &compared.after);
    problems.extend(more);
    Ok(Judged { effects: compared.effects, problems, tests })
}

/// How members and grantors are called, with those who are only created.
pub(super) fn names(catalogue: &Catalogue, sets: &[ChangeSet]) -> Names {
    let mut names = catalogue.names();
    let created = sets.iter().filter(|set| set.changes.iter().any(|change| matches!(change, Change::Create(_))));
    for set in created {
        if let Ok(id) = ExternalId::new(set.id.as_str()) {
            names.control(id, set.actual_name.as_str().to_owned());
        }
    }
    names
}

/// What the connector said cannot be done.
fn failed(decision: &Decision, failed: &[Option<Applied>]) -> Vec<Refused> {
    let both = decision.sets.iter().zip(failed);
    let refused = |(set, applied): (&ChangeSet, &Option<Applied>)| {
        let fault = applied.as_ref()?.fault.as_ref()?;
        Some(Refused { id: set.id.clone(), reason: Remark::new(fault.message.as_str()).ok()? })
    };
    both.filter_map(refused).collect()
}

/// Problems with the paths of their files.
pub(super) fn located(sources: &[Source], problems: &[Problem]) -> Vec<Finding> {
    let finding = |problem: &Problem| Finding {
        path: path(sources, problem.spot.file),
        place: problem.spot.place,
        level: problem.severity.into(),
        rule: problem.rule.to_owned(),
        message: problem.message.clone(),
        help: problem.help.clone(),
    };
    let mut all: Vec<Finding> = problems.iter().map(finding).collect();
    all.sort();
    all.dedup();
    all
}

/// Where the files speak of a target first: what is said of it as a whole stands there.
pub(super) fn first(code: &Code, target: &TargetName) -> Option<document::Spot> {
    let scope = code.scopes.iter().find(|scope| scope.target == *target).map(|scope| scope.spot);
    scope.or_else(|| code.entries.iter().find(|entry| entry.target == *target).map(|entry| entry.spot))
}

/// An error about a line of a file; about the beginning of the first one where no line says it.
pub(super) fn error_at(sources: &[Source], spot: Option<document::Spot>, rule: &str, message: String) -> Finding {
    Finding {
        path: path(sources, spot.map_or(0, |spot| spot.file)),
        place: spot.map_or(Place { line: 1, column: 1, length: 1 }, |spot| spot.place),
        level: Level::Error,
        rule: rule.to_owned(),
        message,
        help: None,
    }
}

/// Tests that fail, with the paths of their files.
pub(super) fn failing(sources: &[Source], tests: &[assert::Outcome]) -> Vec<Finding> {
    let finding = |test: &assert::Outcome| {
        Some(Finding {
            path: path(sources, test.spot.file),
            place: test.spot.place,
            level: Level::Error,
            rule: "test".to_owned(),
            message: format!("{}: {}", test.name, test.failure.as_ref()?),
            help: None,
        })
    };
    tests.iter().filter_map(finding).collect()
}

pub(super) fn path(sources: &[Source], file: usize) -> String {
    sources.get(file).map_or_else(String::new, |source| source.path.clone())
}

/// A place as `path:line`.
pub(super) fn line_of(sources: &[Source], spot: document::Spot) -> String {
    format!("{}:{}", path(sources, spot.file), spot.place.line)
}

/// The targets that are meant: those that were asked for, or all that the files speak of.
pub(super) fn targets(code: &Code, asked: &[TargetName]) -> Result<Vec<TargetName>, CliError> {
    let all = code.targets();
    match asked.iter().find(|name| !all.contains(name)) {
        Some(name) => {
            let known: Vec<&str> = all.iter().map(TargetName::as_str).collect();
            let error = CliError::new(codes::USAGE, format!("no file says anything about the target {name}"));
            Err(error.help(format!("they speak of: {}", known.join(", "))))
        }
        None if asked.is_empty() => Ok(all),
        None => Ok(all.into_iter().filter(|name| asked.contains(name)).collect()),
    }
}

/// Who is master of what the files say.
pub(super) fn master(code: &Code) -> Result<Master, CliError> {
    code.repository.clone().ok_or_else(|| {
        let help = "write repository: corp/access, or another name that stays, into one of the files";
        CliError::new(codes::ACCESS_FILE, "no file says what this repository is called at the targets").help(help)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_read_is_told_in_words_that_stay_in_their_line() {
        let gap = |reason: String| Gap { scope: None, reason: Remark::new(reason).expect("a reason") };
        let target = TargetName::new("shop").expect("a name");
        assert!(incomplete(&target, [].iter()).is_none());
        let mut gaps = vec![gap("database crm:\u{1b}[2J gone\nerror[E-forged]: x".into()), gap("x".repeat(1_000))];
        gaps.extend((0..5).map(|number| gap(format!("schema {number}"))));
        let said = incomplete(&target, gaps.iter()).expect("gaps").message;
        assert!(said.contains("crm:\\u{1b}[2J gone\\nerror[E-forged]: x\n") && said.ends_with("and 2 more"), "{said}");
        assert!(!said.contains('\u{1b}') && said.len() < 600, "{said}");
    }
}
