//! The suite finds what a connector does wrong: each fake connector here is sound but for one thing, and exactly the check that
//! is for it fails.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};

use raito_conformance::{Answer, Body, Bound, Content, Expected, HttpAnswer, Outcome, Report, Scenario, Subject, run};
use raito_core::call::{Argument, Call, Reply, Request, Value};
use raito_core::digest::Digest;
use raito_core::fault::{Fault, FaultKind, StepFault};
use raito_core::manifest::Manifest;
use raito_core::ports::{AnyPage, BoxFuture, Broker, Connector, Context, Guest, GuestUse, Opening};
use raito_core::record::{Applied, ChangeSet, Coverage, Description, IdentityPage, Membership, Page, User};
use raito_core::step::Step;
use raito_core::text::{ExternalId, Name, Resume};
use serde_json::{Value as Json, json};

const MANIFEST: &str = r#"
name = "people"
version = "1.0.0"
summary = "A list of people"
[settings.page-size]
type = "integer"
default = 2
help = "People on a page"
[http.api.routes.people]
mode = "read"
request = "GET /people?limit={limit:integer}&after={after:integer}"
[http.api.routes.never]
mode = "read"
request = "GET /never"
[http.api.routes.change]
mode = "write"
does = "delete"
request = "DELETE /people/{who:id@control}"
"#;

/// What a fake does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    Nothing,
    /// Nothing either: after a fault that passes it asks in another way, which no scenario has an answer to.
    AsksAnotherWay,
    /// A fault ends the list, as if there were no more.
    SwallowsFaults,
    /// Every fault becomes one of its own making.
    RenamesFaults,
    /// An answer without a list is a list without people.
    DefaultsToNobody,
    /// An answer that is no JSON crashes it.
    Crashes,
    /// It goes on at the beginning of the page that it has given already.
    ResumesTooEarly,
    /// It goes on behind the page that comes next.
    ResumesTooLate,
    /// Asks for an entry that is not in the manifest.
    UnknownEntry,
    /// Gives an argument of another type.
    BadArgument,
    /// Changes the target.
    Writes,
    /// Asks for the same page again and again.
    Loops,
    /// Gives pages without records, without end.
    EmptyPages,
    /// Leaves out what it has read before.
    Forgets,
    /// Gives a record twice.
    Twice,
    /// Names a group, and somebody in it, that it defines nowhere.
    NamesNobody,
}

struct Fake {
    wrong: Wrong,
    reads: std::sync::atomic::AtomicU64,
}

struct Reading {
    wrong: Wrong,
    broker: Arc<dyn Broker>,
    limit: i64,
    after: Option<i64>,
    ended: bool,
    /// How many reads came before.
    before: u64,
}

fn internal(message: &str) -> StepFault {
    StepFault::Fault(Fault::new(FaultKind::Internal, message))
}

impl Connector for Fake {
    fn start(&self, _: Step, broker: Arc<dyn Broker>) -> BoxFuture<'_, Result<Box<dyn Guest>, StepFault>> {
        let before = self.reads.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let reading = Reading { wrong: self.wrong, broker, limit: 0, after: None, ended: false, before };
        Box::pin(async move { Ok(Box::new(reading) as Box<dyn Guest>) })
    }
    fn digest(&self) -> Digest {
        Digest::ZERO
    }
}

impl Reading {
    fn call(&self) -> Call {
        let mut arguments = vec![Argument { name: "limit".into(), value: Value::Integer(self.limit) }];
        if let Some(after) = self.after {
            let value =
                if self.wrong == Wrong::BadArgument { Value::Text(after.to_string()) } else { Value::Integer(after) };
            arguments.push(Argument { name: "after".into(), value });
        }
        let entry = match self.wrong {
            Wrong::UnknownEntry if self.after.is_some() => "folk",
            Wrong::Writes if self.after.is_some() => "change",
            _ => "people",
        };
        Call { slot: "http.api".into(), entry: entry.into(), at: None, arguments }
    }

    async fn ask(&self) -> Result<Vec<u8>, Fault> {
        match self.broker.call(Request::HttpSend(vec![self.call()])).await {
            Reply::Sent(mut done) => {
                let reply = done.pop().expect("one answer to one call")?.reply.expect("a read is sent");
                if reply.status == 200 {
                    Ok(reply.body)
                } else {
                    Err(Fault::new(FaultKind::Unavailable, "no good answer"))
                }
            }
            Reply::Fault(fault) => Err(fault),
            other => panic!("{other:?}"),
        }
    }

    fn parsed(&self, body: &[u8]) -> Result<(Vec<String>, Option<i64>), StepFault> {
        let body: Json = match serde_json::from_slice(body) {
            Ok(body) => body,
            Err(_) if self.wrong == Wrong::Crashes => {
                return Err(StepFault::Trap { message: "unwrap on an Err".into() });
            }
            Err(_) => return Err(internal("no JSON")),
        };
        let people = match body.get("people").and_then(Json::as_array) {
            Some(people) => people.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect(),
            None if self.wrong == Wrong::DefaultsToNobody => Vec::new(),
            None => return Err(internal("no list of people")),
        };
        Ok((people, body.get("next").and_then(Json::as_i64)))
    }

    async fn page(&mut self) -> Result<Option<AnyPage>, StepFault> {
        if self.ended {
            return Ok(None);
        }
        let body = match self.ask().await {
            Ok(body) => body,
            Err(_) if self.wrong == Wrong::SwallowsFaults => return Ok(None),
            Err(fault) if self.wrong == Wrong::AsksAnotherWay && fault.kind == FaultKind::Unavailable => {
                self.limit += 1;
                self.ask().await.map_err(StepFault::Fault)?
            }
            Err(_) if self.wrong == Wrong::RenamesFaults => return Err(internal("something went wrong")),
            Err(fault) => return Err(StepFault::Fault(fault)),
        };
        let (mut people, next) = self.parsed(&body)?;
        match self.wrong {
            Wrong::EmptyPages => people.clear(),
            Wrong::Forgets if self.before > 0 => drop(people.pop()),
            Wrong::Twice if self.after.is_some() => people.push("ann".into()),
            _ => {}
        }
        let resume = match self.wrong {
            Wrong::ResumesTooEarly => self.after.or(Some(0)),
            Wrong::ResumesTooLate => next.map(|next| next + 2),
            _ => next,
        };
        if !matches!(self.wrong, Wrong::Loops | Wrong::EmptyPages) {
            self.after = next;
            self.ended = next.is_none();
        }
        let users = people.iter().map(|name| user(name)).collect();
        let memberships = if self.wrong == Wrong::NamesNobody { vec![membership()] } else { Vec::new() };
        let records = IdentityPage { users, memberships, ..IdentityPage::default() };
        let resume = resume.and_then(|next| Resume::new(next.to_string()).ok());
        Ok(Some(AnyPage::Identities(Page { records, gaps: Vec::new(), resume })))
    }
}

fn membership() -> Membership {
    serde_json::from_value(json!({
        "group-external-id": "crew", "member": { "kind": "user", "id": "zoe", "inherits": true },
    }))
    .expect("a membership")
}

fn user(name: &str) -> User {
    User {
        external_id: ExternalId::new(name).expect("an id"),
        user_name: Name::new(name).expect("a name"),
        display_name: Name::new(name).expect("a name"),
        email: None,
        enabled: true,
        machine: None,
        tags: Vec::new(),
    }
}

impl Guest for Reading {
    fn describe(&mut self, _: Context) -> BoxFuture<'_, Result<Description, StepFault>> {
        Box::pin(async { Err(internal("it describes nothing")) })
    }
    fn open(&mut self, _: Opening, context: Context) -> BoxFuture<'_, Result<(), StepFault>> {
        let limit = context.settings.iter().find(|(key, _)| key == "page-size").expect("the default is told").1.clone();
        self.limit = limit.parse().expect("a number");
        self.after = context.resume.and_then(|resume| resume.as_str().parse().ok());
        Box::pin(async { Ok(()) })
    }
    fn next(&mut self) -> BoxFuture<'_, Result<Option<AnyPage>, StepFault>> {
        Box::pin(self.page())
    }
    fn coverage(&mut self) -> BoxFuture<'_, Result<Option<Coverage>, StepFault>> {
        Box::pin(async { Ok(None) })
    }
    fn apply(&mut self, _: Context, _: Vec<ChangeSet>) -> BoxFuture<'_, Result<Vec<Applied>, StepFault>> {
        Box::pin(async { Err(internal("it changes nothing")) })
    }
    fn used(&self) -> GuestUse {
        GuestUse::default()
    }
}

/// Seven people on four pages.
fn scenario() -> Scenario {
    let names = ["ann", "ben", "cid", "dan", "eve", "fay", "gus"];
    let page = |after: usize| {
        let mut arguments = BTreeMap::from([("limit".to_owned(), json!(2))]);
        if after > 0 {
            arguments.insert("after".into(), json!(after));
        }
        let end = (after + 2).min(names.len());
        let next = (end < names.len()).then_some(end);
        let body = Some(Body::Json(json!({ "people": names[after..end], "next": next })));
        let answer = Content::Http(HttpAnswer { status: 200, headers: Vec::new(), body });
        Answer { slot: "http.api".into(), entry: "people".into(), at: None, arguments, answer }
    };
    Scenario {
        slots: BTreeMap::from([("http.api".into(), Bound::default())]),
        expect: BTreeMap::from([(Step::IdentityStore, Expected { records: 7, gaps: 0 })]),
        answers: [0, 2, 4, 6].map(page).into(),
        ..Scenario::default()
    }
}

/// Runs a future that waits for nothing.
fn done<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut TaskContext::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a fake waits for nothing"),
    }
}

fn report(wrong: Wrong, scenario: Scenario) -> Report {
    let fake = Fake { wrong, reads: std::sync::atomic::AtomicU64::new(0) };
    let manifest = Manifest::parse(MANIFEST).expect("a manifest");
    let steps = BTreeSet::from([Step::IdentityStore, Step::AccessToTarget]);
    let subject = Subject { connector: &fake, manifest: &manifest, steps: &steps };
    done(run(&subject, scenario)).expect("the scenario fits")
}

fn failed(report: &Report) -> Vec<&str> {
    let failed = report.checks.iter().filter(|check| check.outcome == Outcome::Failed);
    failed.map(|check| check.name).collect()
}

#[test]
fn a_sound_connector_conforms() {
    let report = report(Wrong::Nothing, scenario());
    assert!(report.conforms(), "{report:#?}");
    let names: Vec<&str> = report.checks.iter().map(|check| check.name).collect();
    assert_eq!(
        names,
        ["vocabulary", "reads", "expected", "repeats", "resumes", "faults", "broken-answers", "references"]
    );
    assert!(report.checks.iter().all(|check| check.outcome == Outcome::Passed), "{report:#?}");
    let step = &report.steps[0];
    assert_eq!((step.records, step.pages, step.largest_page, step.calls), (7, 4, 2, 4));
    assert_eq!(report.unused, ["http.api.never"], "the write entry is no read entry, and the other is used");
    assert_eq!(report.not_tried[0].step, Step::AccessToTarget);
}

#[test]
fn another_way_after_a_fault_need_not_be_recorded() {
    let report = report(Wrong::AsksAnotherWay, scenario());
    assert!(report.conforms(), "{report:#?}");
    assert!(report.checks.iter().all(|check| check.outcome == Outcome::Passed), "{report:#?}");
}

#[test]
fn each_wrong_is_found_by_the_check_that_is_for_it() {
    let expected: [(Wrong, &[&str], &str); 15] = [
        (Wrong::SwallowsFaults, &["resumes", "faults", "broken-answers"], "ends as if it were complete"),
        (Wrong::RenamesFaults, &["resumes", "faults"], "pass unavailable on"),
        (Wrong::DefaultsToNobody, &["broken-answers"], "the answer {}: the read ends as if it were complete"),
        (Wrong::Crashes, &["broken-answers"], "the connector crashed"),
        (Wrong::ResumesTooEarly, &["resumes"], "are new"),
        (Wrong::ResumesTooLate, &["resumes"], "asks what cannot be answered"),
        (Wrong::UnknownEntry, &["vocabulary", "reads"], "the manifest has no such entry"),
        (Wrong::BadArgument, &["vocabulary", "reads"], "a text value is given where the manifest declares integer"),
        (Wrong::Writes, &["vocabulary", "reads"], "this step only reads"),
        (Wrong::Loops, &["reads"], "comes twice"),
        (Wrong::EmptyPages, &["reads"], "empty pages in a row"),
        (Wrong::Forgets, &["repeats", "resumes"], "records are missing"),
        (Wrong::Twice, &["reads"], "user ann comes twice"),
        (Wrong::NamesNobody, &["references"], "1 user is named, and no record defines it: zoe"),
        (Wrong::NamesNobody, &["references"], "1 group is named, and no record defines it: crew"),
    ];
    for (wrong, checks, said) in expected {
        let report = report(wrong, scenario());
        let found = failed(&report);
        assert!(
            checks.iter().all(|check| found.contains(check)),
            "{wrong:?}: {checks:?} and not {found:?}: {report:#?}"
        );
        assert!(!report.conforms());
        let all: Vec<&String> = report.checks.iter().flat_map(|check| &check.said).collect();
        assert!(all.iter().any(|line| line.contains(said)), "{wrong:?}: {said:?} is not in {all:#?}");
    }
}

#[test]
fn what_was_expected_and_what_was_asked_for_are_compared() {
    let mut more = scenario();
    more.expect.insert(Step::IdentityStore, Expected { records: 8, gaps: 0 });
    assert_eq!(failed(&report(Wrong::Nothing, more)), ["expected"]);
    let mut short = scenario();
    short.answers.pop();
    let report = report(Wrong::Nothing, short);
    assert_eq!(failed(&report), ["vocabulary", "reads"]);
    assert!(report.checks[0].said[0].contains("the scenario has no answer to"), "{report:#?}");
}

#[test]
fn a_scenario_that_does_not_fit_is_refused() {
    let fake = Fake { wrong: Wrong::Nothing, reads: std::sync::atomic::AtomicU64::new(0) };
    let manifest = Manifest::parse(MANIFEST).expect("a manifest");
    let steps = BTreeSet::from([Step::IdentityStore]);
    let subject = Subject { connector: &fake, manifest: &manifest, steps: &steps };
    let refused = |scenario| done(run(&subject, scenario)).expect_err("it does not fit").to_string();
    let slots = BTreeMap::from([("sql.main".into(), Bound::default())]);
    assert!(refused(Scenario { slots, ..scenario() }).contains("slots.sql.main"));
    let settings = BTreeMap::from([("page-size".into(), "many".into())]);
    assert!(refused(Scenario { settings, ..scenario() }).contains("page-size"));
}
