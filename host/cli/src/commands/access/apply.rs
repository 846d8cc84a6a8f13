//! `raito access apply`

use std::io::{BufRead as _, IsTerminal as _};
use std::path::Path;

use raito_access::applied::AppliedTarget;
use raito_access::code::{Code, Source};
use raito_access::evaluate::{Question, evaluate};
use raito_access::plan::{Plan, Refused, Sign, TargetPlan, entities};
use raito_core::event::Event;
use raito_core::exchange::Outcome;
use raito_core::limits;
use raito_core::marker::Master;
use raito_core::record::{Applied, ChangeSet};
use raito_core::text::TargetName;
use raito_run::access;
use serde_json::json;
use tokio::sync::Mutex;

use super::journal::Journal;
use super::plan::{Planned, held_back, judged, planned, read, show};
use super::planning::{self, Meant, Planning, Seen};
use super::session::{Opened, Session};
use super::state::State;
use crate::args::access::{ApplyArgs, Files, Paths};
use crate::args::{Global, Output};
use crate::codes;
use crate::error::CliError;
use crate::exit::Exit;
use crate::files;
use crate::render::{data, error, say};

/// Carries out a plan that was written down, or a new one.
pub(super) async fn run(global: &Global, args: &ApplyArgs) -> Result<Exit, CliError> {
    let files = Files { paths: Paths { paths: args.files.clone() }, format: args.format };
    let kept = args.plan.as_deref().map(load).transpose()?;
    let Some((sources, code)) = read(global, &files)? else { return Ok(Exit::Usage) };
    let session = Session::open(global, args.isolated, false)?;
    let ask = Ask::Calls;
    let result =
        whole(Job { global, args, sources: &sources, code: &code, kept, session: &session, ask, state: None }).await;
    session.close(result)
}

/// Makes a new plan and carries it out, in a session that was opened before.
pub(super) async fn anew(
    global: &Global,
    args: &ApplyArgs,
    sources: &[Source],
    code: &Code,
    session: &Session,
    ask: Ask,
) -> Result<Exit, CliError> {
    whole(Job { global, args, sources, code, kept: None, session, ask, state: None }).await
}

/// An apply, between opening and closing the last applied state.
async fn whole(mut job: Job<'_>) -> Result<Exit, CliError> {
    let asked = job.asked()?;
    let master = planning::master(job.code)?;
    if let Some(place) = &job.args.state {
        let targets = planning::targets(job.code, &asked)?;
        job.state = Some(Mutex::new(State::open(place, job.session, &master, &targets).await?));
    }
    let result = job.run(&asked).await;
    if let Some(state) = job.state {
        state.into_inner().close().await;
    }
    result
}

/// How somebody is asked before anything is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// Whether to send the calls. No is not what was wanted.
    Calls,
    /// Whether he is sure, also where nobody sits at a terminal. No is an answer as good as yes.
    Sure,
}

fn load(path: &Path) -> Result<Plan, CliError> {
    let bytes = files::read(path, limits::ACCESS_BYTES, codes::FILE)?;
    let not_a_plan = |reason: String| CliError::new(codes::FILE, format!("{}: {reason}", files::shown(path)));
    let text = String::from_utf8(bytes).map_err(|_| not_a_plan("it is not UTF-8".to_owned()))?;
    Plan::parse(&text).map_err(|error| not_a_plan(error.to_string()))
}

/// One apply.
struct Job<'j> {
    global: &'j Global,
    args: &'j ApplyArgs,
    sources: &'j [Source],
    code: &'j Code,
    /// The plan that was written down.
    kept: Option<Plan>,
    session: &'j Session,
    ask: Ask,
    /// The last applied state, where it is kept.
    state: Option<Mutex<State<'j>>>,
}

impl Job<'_> {
    /// The targets that are asked for; none means all.
    fn asked(&self) -> Result<Vec<TargetName>, CliError> {
        match &self.kept {
            Some(kept) => {
                self.check_files(kept)?;
                Ok(kept.targets.iter().map(|target| target.target.clone()).collect())
            }
            None => Ok(self.args.target.clone()),
        }
    }

    async fn run(&self, asked: &[TargetName]) -> Result<Exit, CliError> {
        let planned = match planned(self.session, self.global, self.sources, self.code, asked).await {
            Ok(planned) => planned,
            Err(unplanned) => return unplanned.exit(),
        };
        let result = self.carry_out(planned).await;
        result.map(Exit::worst)
    }

    async fn carry_out(&self, planned: Planned<'_>) -> Result<Vec<Exit>, CliError> {
        show(self.global, self.sources, &planned, self.args.allow_revokes);
        let mut exits = vec![judged(&planned)];
        if exits.contains(&Exit::Refused) {
            let message = "a guardrail or a test of the files does not hold, and nothing was sent";
            return Err(CliError::new(codes::POLICY, message).help("it is said above which, and where it stands"));
        }
        let held: Vec<Exit> = planned
            .parts
            .iter()
            .filter_map(|(opened, part)| held_back(self.global, opened, part, self.args.allow_revokes))
            .collect();
        if !held.is_empty() {
            return Ok(held);
        }
        let digest = self.kept.as_ref().unwrap_or(&planned.plan).digest();
        self.check_moved(&planned, digest)?;
        if !planned.plan.has_changes() {
            for (opened, part) in &planned.parts {
                self.settled(opened, part).await?;
            }
            return Ok(exits);
        }
        if !self.confirm(&planned.plan)? {
            planned.parts.iter().try_for_each(|(opened, _)| {
                access::end(&opened.run(), Outcome::Completed).map_err(|failure| opened.failed(&failure))
            })?;
            say("cancelled: nothing was sent");
            return Ok(vec![Exit::Done]);
        }
        let Planned { plan, parts } = planned;
        for (opened, part) in parts {
            exits.push(self.send(&plan, digest, &opened, part).await?);
        }
        Ok(exits)
    }

    /// Files and configuration must be those that the plan was made of.
    fn check_files(&self, kept: &Plan) -> Result<(), CliError> {
        let now = super::plan::digests(self.sources);
        let mut moved: Vec<String> = Vec::new();
        for (path, digest) in &kept.files {
            match now.get(path) {
                Some(other) if other == digest => {}
                Some(_) => moved.push(format!("{path} was changed")),
                None => moved.push(format!("{path} is not among the files")),
            }
        }
        moved.extend(now.keys().filter(|path| !kept.files.contains_key(*path)).map(|path| format!("{path} is new")));
        if kept.configuration != self.session.loaded.digest {
            moved.push("the configuration was changed".to_owned());
        }
        stale(moved, PLAN_AGAIN)
    }

    /// Everything that the plan touches must be as it was planned with, or where an apply broke off, on its way to what was
    /// planned.
    fn check_moved(&self, planned: &Planned<'_>, digest: raito_core::digest::Digest) -> Result<(), CliError> {
        let Some(kept) = &self.kept else { return Ok(()) };
        let mut moved = Vec::new();
        let (mut begun, mut goes_on) = (false, true);
        for target in &kept.targets {
            let of = |plan: &&TargetPlan| plan.target == target.target;
            let Some(now) = planned.plan.targets.iter().find(of) else { continue };
            let is_begun = Journal::of(&self.session.state, &target.target)?.is_begun(digest);
            begun |= is_begun;
            let beyond: Vec<String> =
                now.beyond(target).into_iter().map(|call| format!("now it would also send: {}", call.shown)).collect();
            goes_on &= beyond.is_empty();
            let here = if self.args.resume && is_begun { beyond } else { now.moved_since(target) };
            moved.extend(here.into_iter().map(|what| format!("{}: {what}", target.target)));
        }
        if self.args.resume && !begun {
            let message = "this plan was not begun here, so there is nothing to go on with";
            return Err(CliError::new(codes::USAGE, message).help("apply it without --resume"));
        }
        // Where more is to be done by now than was planned, going on would be refused as well.
        match begun && goes_on && !self.args.resume {
            true => stale(moved, "it was begun before and broke off: --resume goes on with it"),
            false => stale(moved, PLAN_AGAIN),
        }
    }

    /// Asks, unless that was said before. Gives whether to go on.
    fn confirm(&self, plan: &Plan) -> Result<bool, CliError> {
        if self.args.yes {
            return Ok(true);
        }
        let not = |help: &str| CliError::new(codes::NOT_CONFIRMED, "nothing was sent").help(help);
        let nobody = "nobody can be asked here: run with --yes";
        if self.ask == Ask::Calls && !std::io::stdin().is_terminal() {
            return Err(not(nobody));
        }
        let calls: usize = plan.targets.iter().map(|target| target.calls.len()).sum();
        let (these, them) =
            if calls == 1 { ("this call".to_owned(), "it") } else { (format!("these {calls} calls"), "them") };
        say(&match self.ask {
            Ask::Calls => format!("Send {these}? Only yes sends {them}:"),
            Ask::Sure => format!("Are you sure to send {these}? [yes/no]"),
        });
        let mut answer = String::new();
        let read = std::io::stdin()
            .lock()
            .read_line(&mut answer)
            .map_err(|error| CliError::new(codes::HOST, error.to_string()))?;
        match (answer.trim().eq_ignore_ascii_case("yes"), self.ask) {
            (true, _) => Ok(true),
            (false, _) if read == 0 => Err(not(nobody)),
            (false, Ask::Calls) => Err(not("the answer was not yes")),
            (false, Ask::Sure) => Ok(false),
        }
    }

    /// Sends the calls of one target, and reads it again: what is not as the files say did not work.
    async fn send(
        &self,
        plan: &Plan,
        digest: raito_core::digest::Digest,
        opened: &Opened<'_>,
        part: Planning,
    ) -> Result<Exit, CliError> {
        let run = opened.run();
        let failed = |failure: raito_run::Failure| opened.failed(&failure);
        let Some(ready) = part.planned else {
            self.settled(opened, &part).await?;
            return Ok(Exit::Done);
        };
        if let Err(error) = self.forget(opened).await {
            access::end(&run, Outcome::Failed).map_err(failed)?;
            return Err(error);
        }
        for (number, call) in (1_u64..).zip(ready.calls()) {
            let event = Event::AccessChange {
                target: opened.target().name.to_string(),
                plan: digest,
                commit: plan.commit.clone(),
                number,
                at: call.at.clone(),
                statement: call.on_record.clone(),
            };
            run.ledger.append(&event).map_err(|error| failed(error.into()))?;
        }
        let mut journal = Journal::of(&self.session.state, &opened.target().name)?;
        journal.begin(digest)?;
        let sets = ready.sets().to_vec();
        let sent = access::send_changes(&run, ready).await;
        let applied = match sent {
            Ok(applied) => applied,
            Err(failure) => {
                access::end(&run, Outcome::Failed).map_err(failed)?;
                return Err(failed(failure));
            }
        };
        let mut wrong = faults(&sets, &applied);
        let seen = planning::see(opened).await?;
        wrong.extend(self.differences(opened, &part.plan, &seen)?);
        let outcome = if wrong.is_empty() { Outcome::Completed } else { Outcome::Failed };
        access::end(&run, outcome).map_err(failed)?;
        self.tell(opened, &part.plan, &wrong);
        if wrong.is_empty() {
            journal.end()?;
            self.remember(opened, &part.plan, &seen).await?;
            return Ok(Exit::Done);
        }
        Ok(codes::NOT_APPLIED.exit)
    }

    /// What is not as the files say, now that everything was sent, but for what the plan said cannot be done.
    fn differences(&self, opened: &Opened<'_>, plan: &TargetPlan, seen: &Seen) -> Result<Vec<String>, CliError> {
        let master = planning::master(self.code)?;
        let meant = Meant::of(&self.question(opened, seen, &master));
        let mut wrong: Vec<String> = Vec::new();
        if meant.is_unclear() {
            wrong.push("the target can no longer be compared with the files".to_owned());
        }
        for entity in entities(&meant.decision.sets, &seen.catalogue) {
            let whole = match entity.sign {
                Sign::Add => Some("create it".to_owned()),
                Sign::Remove => Some("delete it".to_owned()),
                Sign::Change => None,
            };
            let lines = entity.lines.iter().map(|line| format!("{} {}", line.sign.sign(), line.text));
            let left: Vec<String> = whole.into_iter().chain(lines).take(5).collect();
            wrong.push(format!("{}: still to be done: {}", entity.name, left.join("; ")));
        }
        let known = |refused: &Refused| plan.refused.iter().any(|planned| planned.id == refused.id);
        wrong.extend(meant.refused().iter().filter(|refused| !known(refused)).map(Refused::line));
        Ok(wrong)
    }

    fn question<'q>(&'q self, opened: &'q Opened<'_>, seen: &'q Seen, master: &'q Master) -> Question<'q> {
        Question {
            code: self.code,
            target: &opened.target().name,
            catalogue: &seen.catalogue,
            protected: &seen.protected,
            master,
            now_ms: self.session.now_ms(),
        }
    }

    async fn settled(&self, opened: &Opened<'_>, part: &Planning) -> Result<(), CliError> {
        access::end(&opened.run(), Outcome::Completed).map_err(|failure| opened.failed(&failure))?;
        Journal::of(&self.session.state, &opened.target().name)?.end()?;
        self.remember(opened, &part.plan, &part.seen).await
    }

    /// Takes a target out of the last applied state: until it is as the files say, nothing can be told from it.
    async fn forget(&self, opened: &Opened<'_>) -> Result<(), CliError> {
        let Some(state) = &self.state else { return Ok(()) };
        state.lock().await.forget(&opened.target().name).await
    }

    /// Writes down what the target holds, where it is as the files say.
    async fn remember(&self, opened: &Opened<'_>, plan: &TargetPlan, seen: &Seen) -> Result<(), CliError> {
        let Some(state) = self.state.as_ref().filter(|_| plan.refused.is_empty()) else { return Ok(()) };
        let master = planning::master(self.code)?;
        let question = self.question(opened, seen, &master);
        let files = super::plan::digests(self.sources);
        let applied = AppliedTarget::new(&question, &evaluate(&question), files);
        state.lock().await.keep(&opened.target().name, applied).await
    }

    fn tell(&self, opened: &Opened<'_>, plan: &TargetPlan, wrong: &[String]) {
        let name = &opened.target().name;
        if self.global.output == Output::Json {
            let value =
                json!({ "v": 1, "event": "applied", "target": name, "calls": plan.calls.len(), "wrong": wrong });
            data(&value.to_string());
        } else if wrong.is_empty() && !self.global.quiet {
            let but = match plan.refused.len() {
                0 => String::new(),
                refused => format!(", but for {refused} that cannot be done"),
            };
            say(&format!("{name}: {} calls were sent, and the target is as the files say{but}", plan.calls.len()));
        }
        if !wrong.is_empty() {
            let shown: Vec<&str> = wrong.iter().take(10).map(String::as_str).collect();
            let message = format!("target {name}: not everything is as the files say:\n  {}", shown.join("\n  "));
            error::print(&CliError::new(codes::NOT_APPLIED, message), self.global.output);
        }
    }
}

/// What the connector said did not work.
fn faults(sets: &[ChangeSet], applied: &[Applied]) -> Vec<String> {
    let fault = |(set, applied): (&ChangeSet, &Applied)| {
        applied.fault.as_ref().map(|fault| format!("{}: {}", set.actual_name, fault.message))
    };
    // Those that could not be planned have no set here; they were said with the plan.
    sets.iter()
        .filter_map(|set| Some((set, applied.iter().find(|applied| applied.actual_name == set.actual_name)?)))
        .filter_map(fault)
        .collect()
}

/// What to do with a plan that is out of date.
const PLAN_AGAIN: &str = "plan again, and read the new plan";

fn stale(moved: Vec<String>, help: &str) -> Result<(), CliError> {
    if moved.is_empty() {
        return Ok(());
    }
    let shown: Vec<&str> = moved.iter().take(10).map(String::as_str).collect();
    let more = moved.len().saturating_sub(shown.len());
    let more = if more > 0 { format!("\n  and {more} more") } else { String::new() };
    let message = format!("the plan is out of date, and nothing was sent:\n  {}{more}", shown.join("\n  "));
    Err(CliError::new(codes::STALE_PLAN, message).help(help))
}
