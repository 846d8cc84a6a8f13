//! The broker that replays a scenario: it answers what was recorded, and can be told to go wrong.
//!
//! Like the real one, it lets a call through only where it is an entry of the manifest with arguments that the entry takes.
//! What it does not let through is remembered, because a connector must not even try.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use raito_core::call::{Call, HttpDone, HttpReply, Reply, Request};
use raito_core::fault::{Fault, FaultKind};
use raito_core::limits;
use raito_core::manifest::{Manifest, SlotKind, SlotName};
use raito_core::ports::{BoxFuture, Broker};
use raito_core::vocabulary::Mode;

use crate::argument::written;
use crate::scenario::{Answer, Content, HttpAnswer, Rows, Scenario};

/// Rows and bytes that are given at once: few, so that a reader that takes the first piece for all of it is found.
const ROWS_AT_ONCE: usize = 64;
const BYTES_AT_ONCE: usize = 16 * 1_024;

/// What goes wrong at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The broker answers this.
    Fault(Fault),
    /// An answer over HTTP has another body, or another status.
    Body(Broken),
    /// The rows lack their last column.
    Column,
}

/// Ways in which a body is not what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// Its second half is missing.
    Half,
    /// It is empty.
    Empty,
    /// It is the JSON value null.
    Null,
    /// It is an empty JSON object: a list that is not there is not an empty list.
    Nothing,
    /// It is a page of HTML, with the status 500.
    Page,
}

impl Broken {
    pub(crate) const ALL: [Self; 5] = [Self::Half, Self::Empty, Self::Null, Self::Nothing, Self::Page];

    /// What the answer is, for people.
    pub(crate) fn shown(self) -> &'static str {
        match self {
            Self::Half => "an answer that is cut in half",
            Self::Empty => "an empty answer",
            Self::Null => "the answer null",
            Self::Nothing => "the answer {}",
            Self::Page => "status 500 with a page of HTML",
        }
    }

    fn apply(self, reply: &mut HttpReply) {
        match self {
            Self::Half => reply.body.truncate(reply.body.len() / 2),
            Self::Empty => reply.body.clear(),
            Self::Null => reply.body = b"null".to_vec(),
            Self::Nothing => reply.body = b"{}".to_vec(),
            Self::Page => {
                reply.status = 500;
                reply.body = b"<!doctype html><title>Internal Server Error</title>".to_vec();
            }
        }
    }
}

/// A place at which something can go wrong: a call, or a piece of its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Touch {
    /// The slot and the entry, as `slot.entry`.
    pub(crate) entry: String,
    /// Whether it is an answer over HTTP with a body, or rows.
    pub(crate) kind: TouchKind,
}

/// What comes back at a touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TouchKind {
    /// An answer over HTTP, whole.
    Answer,
    /// Rows.
    Rows,
    /// Something else: the head of a body that is read in pieces, a piece of one, the columns of a result.
    Other,
}

/// What is answered, looked up by what is asked.
pub(crate) struct Script {
    manifest: Manifest,
    scenario: Scenario,
    by_call: HashMap<String, Vec<usize>>,
}

impl Script {
    pub(crate) fn new(manifest: Manifest, scenario: Scenario) -> Self {
        let mut by_call: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, answer) in scenario.answers.iter().enumerate() {
            by_call.entry(key_of_answer(answer)).or_default().push(at);
        }
        Self { manifest, scenario, by_call }
    }

    /// Checks a call as the broker does, without a target: the entry, its mode, and every argument.
    fn check(&self, call: &Call) -> Result<(), String> {
        let name = SlotName::parse(&call.slot).ok_or("there is no such slot")?;
        let bound = self.scenario.slots.get(&call.slot).ok_or("the scenario does not bind this slot")?;
        let slot = self.manifest.slots.get(&name).ok_or("the manifest has no such slot")?;
        let no_entry = || "the manifest has no such entry".to_owned();
        let encoded = match &slot.kind {
            SlotKind::Http { routes, .. } => {
                let route = routes.get(call.entry.as_str()).ok_or_else(no_entry)?;
                (route.mode, route.build(&call.arguments).map(|_| ()))
            }
            SlotKind::Sql { statements, .. } => {
                let statement = statements.get(call.entry.as_str()).ok_or_else(no_entry)?;
                (statement.mode, statement.build(&call.arguments).map(|_| ()))
            }
            SlotKind::Ldap { .. } => return Err("this version of raito does not serve ldap".into()),
        };
        match (&call.at, bound.at.as_slice()) {
            (Some(at), places) if !places.contains(at) => {
                return Err(format!("the scenario does not bind the place {at}"));
            }
            (None, [_, _, ..]) => return Err("it does not say which place".into()),
            _ => {}
        }
        match encoded {
            (Mode::Write, _) => Err("it changes the target, and this step only reads".into()),
            (Mode::Read, encoded) => encoded.map_err(|error| error.to_string()),
        }
    }
}

/// What a call is looked up by. JSON keeps the parts apart, and has the arguments in one order.
fn key_of_answer(answer: &Answer) -> String {
    serde_json::json!([answer.slot, answer.entry, answer.at, answer.arguments]).to_string()
}

fn key_of_call(call: &Call) -> String {
    serde_json::json!([call.slot, call.entry, call.at, written(&call.arguments)]).to_string()
}

enum Open {
    Bytes(String, Vec<u8>, usize),
    Rows(String, std::vec::IntoIter<Vec<Option<String>>>),
}

#[derive(Default)]
struct Inner {
    turns: HashMap<String, u32>,
    open: BTreeMap<u32, Open>,
    handles: u32,
    calls: u64,
    used: BTreeSet<String>,
    touches: Vec<Touch>,
    complaints: Vec<String>,
    /// From now on nothing answers.
    outage: bool,
}

/// The broker of one read.
pub(crate) struct Replay {
    script: Arc<Script>,
    /// What goes wrong, and at which touch, counted from 0.
    trouble: Option<(usize, Trouble)>,
    inner: Mutex<Inner>,
}

/// What passed through.
pub(crate) struct Passed {
    pub(crate) calls: u64,
    /// Entries that were used, as `slot.entry`.
    pub(crate) used: BTreeSet<String>,
    pub(crate) touches: Vec<Touch>,
    /// What was asked and not let through.
    pub(crate) complaints: Vec<String>,
}

impl Replay {
    pub(crate) fn new(script: &Arc<Script>, trouble: Option<(usize, Trouble)>) -> Arc<Self> {
        Arc::new(Self { script: Arc::clone(script), trouble, inner: Mutex::default() })
    }

    fn locked<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on, every call is answered with `unavailable`.
    pub(crate) fn go_away(&self) {
        self.locked(|inner| inner.outage = true);
    }

    pub(crate) fn passed(&self) -> Passed {
        self.locked(|inner| Passed {
            calls: inner.calls,
            used: inner.used.clone(),
            touches: inner.touches.clone(),
            complaints: inner.complaints.clone(),
        })
    }

    /// Passes a place at which something can go wrong, and says what does.
    fn touch(&self, entry: String, kind: TouchKind) -> Result<Option<Trouble>, Fault> {
        let (number, outage) = self.locked(|inner| {
            inner.touches.push(Touch { entry, kind });
            (inner.touches.len() - 1, inner.outage)
        });
        if outage {
            return Err(outage_fault());
        }
        match &self.trouble {
            Some((at, Trouble::Fault(fault))) if *at == number => Err(fault.clone()),
            Some((at, trouble)) if *at == number => Ok(Some(trouble.clone())),
            _ => Ok(None),
        }
    }

    /// What a call is answered with that was not recorded, once something went wrong on purpose. A connector that tries
    /// another way then, such as the next database, takes one that the recording did not need: it fails alike.
    fn failing(&self) -> Option<Fault> {
        let (touched, outage) = self.locked(|inner| (inner.touches.len(), inner.outage));
        match &self.trouble {
            _ if outage => Some(outage_fault()),
            Some((at, Trouble::Fault(fault))) if *at < touched => Some(fault.clone()),
            _ => None,
        }
    }

    fn complain(&self, call: &Call, reason: &str) -> Fault {
        let what = format!("{}.{}: {reason}", call.slot, call.entry);
        self.locked(|inner| {
            if !inner.complaints.contains(&what) && inner.complaints.len() < limits::SCENARIO_PROBES {
                inner.complaints.push(what.clone());
            }
        });
        Fault::denied(what)
    }

    /// The recorded answer to a call, in its turn.
    fn recorded(&self, call: &Call) -> Result<&Content, Fault> {
        self.script.check(call).map_err(|reason| self.complain(call, &reason))?;
        let key = key_of_call(call);
        let turn = self.locked(|inner| {
            inner.calls += 1;
            inner.used.insert(entry_of(call));
            let turn = inner.turns.entry(key.clone()).or_default();
            *turn += 1;
            *turn
        });
        if turn > limits::SCENARIO_REPEATS {
            return Err(self.complain(call, &format!("it is asked more than {} times", limits::SCENARIO_REPEATS)));
        }
        let Some(answers) = self.script.by_call.get(&key) else {
            if let Some(fault) = self.failing() {
                return Err(fault);
            }
            return Err(self.complain(call, &format!("the scenario has no answer to {key}")));
        };
        let at = answers[(turn as usize - 1).min(answers.len() - 1)];
        match &self.script.scenario.answers[at].answer {
            Content::Fault(fault) => Err(fault.clone()),
            content => Ok(content),
        }
    }

    fn http(&self, call: &Call, kind: TouchKind) -> Result<HttpReply, Fault> {
        let content = self.recorded(call)?;
        let trouble = self.touch(entry_of(call), kind)?;
        let Content::Http(HttpAnswer { status, headers, body }) = content else {
            return Err(self.complain(call, "its recorded answer is none over HTTP"));
        };
        let body = body.as_ref().map_or(Ok(Vec::new()), |body| body.bytes());
        let body = body.map_err(|reason| Fault::new(FaultKind::Internal, reason))?;
        let mut reply = HttpReply { status: *status, headers: headers.clone(), body };
        if let Some(Trouble::Body(broken)) = trouble {
            broken.apply(&mut reply);
        }
        Ok(reply)
    }

    fn send(&self, call: &Call) -> Result<HttpDone, Fault> {
        Ok(HttpDone { reply: Some(self.http(call, TouchKind::Answer)?), captures: Vec::new() })
    }

    fn fetch(&self, call: &Call) -> Result<Reply, Fault> {
        let mut reply = self.http(call, TouchKind::Other)?;
        let body = std::mem::take(&mut reply.body);
        let handle = self.hold(Open::Bytes(entry_of(call), body, 0))?;
        Ok(Reply::Fetched(reply, handle))
    }

    fn query(&self, call: &Call) -> Result<Reply, Fault> {
        let content = self.recorded(call)?;
        self.touch(entry_of(call), TouchKind::Other)?;
        let Content::Rows(Rows { columns, rows }) = content else {
            return Err(self.complain(call, "its recorded answer has no rows"));
        };
        let handle = self.hold(Open::Rows(entry_of(call), rows.clone().into_iter()))?;
        Ok(Reply::Opened(columns.clone(), handle))
    }

    fn hold(&self, open: Open) -> Result<u32, Fault> {
        self.locked(|inner| {
            if inner.open.len() >= limits::OPEN_HANDLES {
                let most = limits::OPEN_HANDLES;
                return Err(Fault::denied(format!("more than {most} bodies and results are open at once")));
            }
            inner.handles += 1;
            inner.open.insert(inner.handles, open);
            Ok(inner.handles)
        })
    }

    fn next(&self, handle: u32, max: u32) -> Result<Reply, Fault> {
        let closed = || Fault::new(FaultKind::Internal, "it is closed already");
        let mut open = self.locked(|inner| inner.open.remove(&handle)).ok_or_else(closed)?;
        let reply = match &mut open {
            Open::Bytes(entry, bytes, read) => {
                self.touch(entry.clone(), TouchKind::Other)?;
                let rest = &bytes[*read..];
                let piece = rest[..rest.len().min(max.max(1) as usize).min(BYTES_AT_ONCE)].to_vec();
                *read += piece.len();
                if piece.is_empty() { Reply::End } else { Reply::Bytes(piece) }
            }
            Open::Rows(entry, rows) => {
                let trouble = self.touch(entry.clone(), TouchKind::Rows)?;
                let mut page: Vec<_> = rows.take(ROWS_AT_ONCE).collect();
                if trouble == Some(Trouble::Column) {
                    page.iter_mut().for_each(|row| drop(row.pop()));
                }
                if page.is_empty() { Reply::End } else { Reply::Rows(page) }
            }
        };
        if reply != Reply::End {
            self.locked(|inner| inner.open.insert(handle, open));
        }
        Ok(reply)
    }

    fn answer(&self, request: Request) -> Result<Reply, Fault> {
        request.check().map_err(|fault| match request.calls() {
            [first, ..] => self.complain(first, fault.message.as_str()),
            [] => fault,
        })?;
        match request {
            Request::HttpFetch(call) => self.fetch(&call),
            Request::HttpSend(calls) => Ok(Reply::Sent(calls.iter().map(|call| self.send(call)).collect())),
            Request::SqlQuery(call) => self.query(&call),
            Request::SqlExecute(calls) | Request::LdapModify(calls) => match calls.first() {
                Some(call) => Err(self.complain(call, "it changes the target, and this step only reads")),
                None => Err(Fault::denied("nothing is to be changed")),
            },
            Request::LdapSearch(call) => Err(self.complain(&call, "this version of raito does not serve ldap")),
            Request::Next(handle, max) => self.next(handle, max),
            Request::Close(handle) => {
                self.locked(|inner| inner.open.remove(&handle));
                Ok(Reply::Done)
            }
            Request::StateGet(key) => {
                let kept = self.script.scenario.state.get(&key);
                Ok(Reply::State(kept.and_then(|value| STANDARD.decode(value).ok())))
            }
            Request::StateSet(..) | Request::Log(..) => Ok(Reply::Done),
            Request::Now => Ok(Reply::Now(self.script.scenario.now_ms / 1_000 * 1_000)),
        }
    }
}

fn entry_of(call: &Call) -> String {
    format!("{}.{}", call.slot, call.entry)
}

/// What an outage is answered with.
pub(crate) fn outage_fault() -> Fault {
    Fault::new(FaultKind::Unavailable, "the suite lets the target be away")
}

impl Broker for Replay {
    fn call(&self, request: Request) -> BoxFuture<'_, Reply> {
        Box::pin(async move { self.answer(request).unwrap_or_else(Reply::Fault) })
    }
}
