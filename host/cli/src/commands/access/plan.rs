//! `raito access plan`

use std::collections::BTreeMap;
use std::path::Path;

use raito_access::code::{Code, Source};
use raito_access::finding::{self, Finding, Level};
use raito_access::plan::{Plan, TargetPlan};
use raito_access::report::{self, Beside};
use raito_core::exchange::Outcome;
use raito_core::text::TargetName;
use raito_run::access;
use serde_json::json;

use super::planning::{self, Planning};
use super::session::{Opened, Session};
use super::{files, findings, git};
use crate::args::access::PlanArgs;
use crate::args::{Global, Output};
use crate::codes;
use crate::error::CliError;
use crate::exit::Exit;
use crate::leaks::redact;
use crate::render::{counted, data, error, say};

/// All that was planned.
pub(super) struct Planned<'s> {
    pub(super) plan: Plan,
    pub(super) parts: Vec<(Opened<'s>, Planning)>,
}

/// Why there is no plan: findings that were printed, with what the program ends with, or an error.
pub(super) enum Unplanned {
    Said(Exit, Vec<Finding>),
    Error(CliError),
}

impl From<CliError> for Unplanned {
    fn from(error: CliError) -> Self {
        Self::Error(error)
    }
}

impl Unplanned {
    pub(super) fn exit(self) -> Result<Exit, CliError> {
        match self {
            Self::Said(exit, _) => Ok(exit),
            Self::Error(error) => Err(error),
        }
    }
}

/// Plans, shows the plan, and writes it down. Where there is none, the comment says why, in the place of the one that was there.
pub(super) async fn run(global: &Global, args: &PlanArgs) -> Result<Exit, CliError> {
    let result = anew(global, args).await;
    if let (Err(error), Some(path)) = (&result, &args.markdown) {
        let help = error.help.iter().map(|help| format!("help: {help}"));
        let told = std::iter::once(format!("error[{}]: {}", error.code.name, error.message)).chain(help);
        // That the file cannot be written may be the error itself, which is told by now.
        let _ = write_markdown(path, report::no_plan(&told.collect::<Vec<_>>()));
    }
    result
}

async fn anew(global: &Global, args: &PlanArgs) -> Result<Exit, CliError> {
    let read = files::read(global, &args.files)?;
    let (sources, code) = match read.code {
        Ok(code) => (read.sources, code),
        Err(wrong) => {
            unplanned(args, &files::findings(&read.sources, &wrong))?;
            findings::mistakes(global.output, &read.sources, &wrong);
            return Ok(Exit::Usage);
        }
    };
    let session = Session::open(global, args.isolated, true)?;
    let result = match planned(&session, global, &sources, &code, &args.target).await {
        Ok(planned) => {
            for (opened, _) in &planned.parts {
                access::end(&opened.run(), Outcome::Completed).map_err(|failure| opened.failed(&failure))?;
            }
            let end = finish(global, args, &sources, &planned);
            // The process ends now, and gives back what was read as a whole: piece by piece takes a twentieth of a plan.
            planned.parts.into_iter().for_each(|(_, part)| std::mem::forget(part.seen));
            end
        }
        Err(why) => match &why {
            Unplanned::Said(_, found) => unplanned(args, found).and_then(|()| why.exit()),
            Unplanned::Error(_) => why.exit(),
        },
    };
    session.close(result)
}

/// Writes down for the comment what keeps files from being planned.
fn unplanned(args: &PlanArgs, found: &[Finding]) -> Result<(), CliError> {
    let Some(path) = &args.markdown else { return Ok(()) };
    let mut lines = report::no_plan(&[]);
    lines.extend(finding::markdown(found));
    write_markdown(path, lines)
}

fn write_markdown(path: &Path, lines: Vec<String>) -> Result<(), CliError> {
    let mut text = redact(&lines.join("\n")).into_owned();
    text.push('\n');
    crate::files::replace(path, text.as_bytes())
}

/// The files; none where they have mistakes, which were printed.
pub(super) fn read(
    global: &Global,
    args: &crate::args::access::Files,
) -> Result<Option<(Vec<Source>, Code)>, CliError> {
    let read = files::read(global, args)?;
    match read.code {
        Ok(code) => Ok(Some((read.sources, code))),
        Err(wrong) => {
            findings::mistakes(global.output, &read.sources, &wrong);
            Ok(None)
        }
    }
}

/// Plans all targets that are meant.
pub(super) async fn planned<'s>(
    session: &'s Session,
    global: &Global,
    sources: &[Source],
    code: &Code,
    asked: &[TargetName],
) -> Result<Planned<'s>, Unplanned> {
    let master = planning::master(code)?;
    let commit = git::commit(sources);
    let mut plan = Plan::new(master.to_string(), commit, session.loaded.digest);
    plan.files = digests(sources);
    let mut parts: Vec<(Opened<'s>, Planning)> = Vec::new();
    let targets = planning::targets(code, asked)?;
    if targets.is_empty() && !global.quiet {
        say("the files say nothing about any target, so there is nothing to plan");
    }
    for name in targets {
        let place = planning::first(code, &name).map(|spot| planning::line_of(sources, spot));
        session.target(&name).map_err(|error| match place {
            Some(place) => error.at(place),
            None => error,
        })?;
        let opened = session.open_target(&name).await?;
        access::begin(&opened.run()).map_err(|failure| opened.failed(&failure))?;
        let seen = planning::see(&opened).await?;
        match planning::plan_target(&opened, seen, code, &master, session.now_ms()).await? {
            Ok(mut part) => {
                part.beside.places = places(sources, &part);
                plan.targets.push(part.plan.clone());
                parts.push((opened, part));
            }
            Err(problems) => {
                let found = planning::located(sources, &problems);
                findings::print(global.output, &found);
                access::end(&opened.run(), Outcome::Failed).map_err(|failure| opened.failed(&failure))?;
                return Err(Unplanned::Said(Exit::Usage, found));
            }
        }
    }
    Ok(Planned { plan, parts })
}

/// Digests of files by path.
pub(super) fn digests(sources: &[Source]) -> BTreeMap<String, raito_core::digest::Digest> {
    sources.iter().map(|source| (source.path.clone(), source.digest())).collect()
}

fn places(sources: &[Source], part: &Planning) -> Vec<String> {
    let place = |id| {
        let spot: Option<&raito_access::document::Spot> = part.spots.get(id);
        spot.map_or_else(String::new, |spot| planning::line_of(sources, *spot))
    };
    part.plan.entities.iter().map(|entity| place(&entity.id)).collect()
}

fn finish(global: &Global, args: &PlanArgs, sources: &[Source], planned: &Planned<'_>) -> Result<Exit, CliError> {
    if let Some(out) = &args.out {
        crate::files::replace(out, planned.plan.text().as_bytes())?;
    }
    if let Some(path) = &args.markdown {
        write_markdown(path, markdown(sources, planned, args.allow_revokes))?;
    }
    show(global, sources, planned, args.allow_revokes);
    let mut exits = vec![judged(planned)];
    for (opened, part) in &planned.parts {
        exits.extend(held_back(global, opened, part, args.allow_revokes));
    }
    if args.detailed_exitcode && planned.plan.has_changes() {
        exits.push(Exit::Changes);
    }
    Ok(Exit::worst(exits))
}

/// What guardrails, tests and refusals make of the end.
pub(super) fn judged(planned: &Planned<'_>) -> Exit {
    let mut exits = Vec::new();
    for (_, part) in &planned.parts {
        let is_error =
            |problem: &raito_access::resolve::Problem| problem.severity == raito_access::document::Severity::Error;
        if part.problems.iter().any(is_error) || part.tests.iter().any(|test| test.failure.is_some()) {
            exits.push(Exit::Refused);
        }
        if !part.plan.refused.is_empty() {
            exits.push(Exit::Failed);
        }
    }
    Exit::worst(exits)
}

/// Says what holds a plan back that a person has to look at: too much would go, or the host would lock itself out.
pub(super) fn held_back(global: &Global, opened: &Opened<'_>, part: &Planning, allowed: Option<u64>) -> Option<Exit> {
    let errors = holding(opened, part, allowed);
    errors.iter().for_each(|error| error::print(error, global.output));
    errors.last().map(|error| error.code.exit)
}

/// What holds a plan back.
fn holding(opened: &Opened<'_>, part: &Planning, allowed: Option<u64>) -> Vec<CliError> {
    let target = opened.target();
    let mut held = Vec::new();
    if let Err(over) = part.plan.check(&target.thresholds, target.drop_count, allowed) {
        let error = CliError::new(codes::OVER_THRESHOLD, over.to_string()).at(format!("target {}", target.name));
        held.push(error.help(format!("if that is meant, apply with --allow-revokes={}", over.total())));
    }
    if !part.locked_out.is_empty() {
        let shown: Vec<&str> = part.locked_out.iter().take(5).map(String::as_str).collect();
        let message = format!("target {}: the host, or who is kept for emergencies: {}", target.name, shown.join("; "));
        held.push(CliError::new(codes::LOCKED_OUT, message).help("leave them what they have, or change the files"));
    }
    held
}

/// What is to be said of lines of files.
fn found(sources: &[Source], planned: &Planned<'_>) -> Vec<Finding> {
    let of = |part: &Planning| {
        let mut found = planning::located(sources, &part.problems);
        found.extend(planning::failing(sources, &part.tests));
        found
    };
    planned.parts.iter().flat_map(|(_, part)| of(part)).collect()
}

/// What cannot be done, at the lines that say it.
fn undone(sources: &[Source], planned: &Planned<'_>) -> Vec<Finding> {
    let of = |part: &Planning| {
        let refused = part.plan.refused.iter().map(|refused| {
            let spot = part.spots.get(&refused.id).copied().or(part.first);
            planning::error_at(sources, spot, "cannot-be-done", refused.line())
        });
        refused.collect::<Vec<_>>()
    };
    planned.parts.iter().flat_map(|(_, part)| of(part)).collect()
}

/// Why a plan will not do, beside what is found: what cannot be done, and what holds it back. People are told of the latter by other
/// ways; where lines are marked or a comment is written, it stands at a line as well.
fn failures(sources: &[Source], planned: &Planned<'_>, allowed: Option<u64>) -> Vec<Finding> {
    let held = planned.parts.iter().flat_map(|(opened, part)| {
        let held = holding(opened, part, allowed).into_iter().map(|error| Finding {
            help: error.help.first().cloned(),
            ..planning::error_at(sources, part.first, error.code.name, error.message)
        });
        held.collect::<Vec<_>>()
    });
    undone(sources, planned).into_iter().chain(held).collect()
}

fn beside(planned: &Planned<'_>, target: &TargetPlan) -> Beside {
    let part = planned.parts.iter().find(|(_, part)| part.plan.target == target.target);
    part.map(|(_, part)| part.beside.clone()).unwrap_or_default()
}

/// A plan as Markdown, with what is to be said of lines of files.
fn markdown(sources: &[Source], planned: &Planned<'_>, allowed: Option<u64>) -> Vec<String> {
    let all: Vec<Beside> = planned.plan.targets.iter().map(|target| beside(planned, target)).collect();
    let mut lines = report::markdown(&planned.plan, &all);
    let mut found = found(sources, planned);
    found.extend(failures(sources, planned, allowed));
    if !found.is_empty() {
        lines.push(String::new());
        lines.extend(finding::markdown(&found));
    }
    lines
}

/// Shows a plan in the form that was asked for.
pub(super) fn show(global: &Global, sources: &[Source], planned: &Planned<'_>, allowed: Option<u64>) {
    let mut found = found(sources, planned);
    match global.output {
        Output::Human | Output::Csv => {
            for target in &planned.plan.targets {
                report::human(target, &beside(planned, target)).iter().for_each(|line| data(line));
            }
            found.extend(undone(sources, planned));
            findings::print(global.output, &found);
        }
        Output::Markdown => markdown(sources, planned, allowed).iter().for_each(|line| data(line)),
        Output::Json => {
            let digest = planned.plan.digest();
            let mut value = serde_json::to_value(&planned.plan).expect("a plan has text keys");
            value["event"] = json!("plan");
            value["digest"] = json!(digest);
            data(&value.to_string());
            found.extend(undone(sources, planned));
            findings::print(global.output, &found);
            for test in planned.parts.iter().flat_map(|(_, part)| &part.tests) {
                data(&json!({ "v": 1, "event": "test", "name": test.name, "failure": test.failure }).to_string());
            }
        }
        Output::Sarif | Output::Github | Output::Gitlab => {
            found.extend(failures(sources, planned, allowed));
            for (_, part) in &planned.parts {
                found.extend(notes(sources, part));
            }
            found.sort();
            findings::print(global.output, &found);
        }
    }
    if !global.quiet && global.output == Output::Human {
        let tests: usize = planned.parts.iter().map(|(_, part)| part.tests.len()).sum();
        let failed = found.iter().filter(|finding| finding.rule == "test").count();
        if tests > 0 {
            say(&format!("{}, {failed} fail", counted(tests, "test")));
        }
    }
}

/// A note for each line of a file whose access control changes.
fn notes(sources: &[Source], part: &Planning) -> Vec<Finding> {
    let note = |entity: &raito_access::plan::Entity| {
        let spot = part.spots.get(&entity.id)?;
        let lines: Vec<String> =
            entity.lines.iter().take(20).map(|line| format!("{} {}", line.sign.sign(), line.text)).collect();
        Some(Finding {
            path: planning::path(sources, spot.file),
            place: spot.place,
            level: Level::Note,
            rule: "plan".to_owned(),
            message: format!("{} {} {}: {}", entity.sign.sign(), entity.kind, entity.name, lines.join("; ")),
            help: None,
        })
    };
    part.plan.entities.iter().filter_map(note).collect()
}
