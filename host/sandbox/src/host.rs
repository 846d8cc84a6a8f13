//! The host's side of the capabilities: each function turns a guest's values into a request, asks the broker, and turns
//! the answer back. Nothing is decided here.

use raito_core::call::{Argument, Call, HttpDone, HttpReply, LogLevel, Outcome, Reply, Request, Value};
use raito_core::fault::{Fault, FaultKind};
use wasmtime::component::Resource;

use crate::bindings::raito::connector::{access, clock, http, ldap, log, sql, state, types};
use crate::state::{OpenBody, OpenEntries, OpenRows, State};

type Answer<T> = wasmtime::Result<Result<T, types::Fault>>;

impl types::Host for State {}
impl access::Host for State {}

/// A guest's call as the broker takes it, which checks its bounds.
fn call(call: types::Call) -> Call {
    let argument = |argument: types::Argument| Argument { name: argument.name, value: value(argument.value) };
    let arguments = call.arguments.into_iter().map(argument).collect();
    Call { slot: call.slot, entry: call.entry, at: call.at, arguments }
}

fn calls(calls: Vec<types::Call>) -> Vec<Call> {
    calls.into_iter().map(call).collect()
}

fn value(value: types::Value) -> Value {
    match value {
        types::Value::Null => Value::Null,
        types::Value::Text(text) => Value::Text(text),
        types::Value::Integer(number) => Value::Integer(number),
        types::Value::Boolean(flag) => Value::Boolean(flag),
        types::Value::Texts(texts) => Value::Texts(texts),
        types::Value::Name(path) => Value::Name(path),
        types::Value::Keywords(words) => Value::Keywords(words),
        types::Value::Names(paths) => Value::Names(paths),
        types::Value::Items(items) => Value::Items(items),
        types::Value::Captured(token) => Value::Captured(token),
        types::Value::Free(text) => Value::Free(text),
    }
}

/// The broker's fault as the guest sees it.
pub(crate) fn guest_fault(fault: Fault) -> types::Fault {
    let kind = match fault.kind {
        FaultKind::InvalidSetting => types::FaultKind::InvalidSetting,
        FaultKind::Unauthorized => types::FaultKind::Unauthorized,
        FaultKind::Unavailable => types::FaultKind::Unavailable,
        FaultKind::Denied => types::FaultKind::Denied,
        FaultKind::Incomplete => types::FaultKind::Incomplete,
        FaultKind::Conflict => types::FaultKind::Conflict,
        FaultKind::Internal => types::FaultKind::Internal,
    };
    types::Fault { kind, message: fault.message.as_str().to_owned(), retry_after_ms: fault.retry_after_ms }
}

/// The guest's fault as the host sees it.
pub(crate) fn host_fault(fault: types::Fault) -> Fault {
    let kind = match fault.kind {
        types::FaultKind::InvalidSetting => FaultKind::InvalidSetting,
        types::FaultKind::Unauthorized => FaultKind::Unauthorized,
        types::FaultKind::Unavailable => FaultKind::Unavailable,
        types::FaultKind::Denied => FaultKind::Denied,
        types::FaultKind::Incomplete => FaultKind::Incomplete,
        types::FaultKind::Conflict => FaultKind::Conflict,
        types::FaultKind::Internal => FaultKind::Internal,
    };
    Fault { retry_after_ms: fault.retry_after_ms, ..Fault::new(kind, fault.message) }
}

/// The broker answered another case than the one that belongs to the request: a defect of the host.
fn unexpected(reply: &Reply) -> wasmtime::Error {
    wasmtime::Error::msg(format!("the broker's answer does not fit the request: {}", case(reply)))
}

fn case(reply: &Reply) -> &'static str {
    match reply {
        Reply::Fetched(..) => "fetched",
        Reply::Sent(_) => "sent",
        Reply::Opened(..) => "opened",
        Reply::Executed(_) => "executed",
        Reply::Modified(_) => "modified",
        Reply::Bytes(_) => "bytes",
        Reply::Rows(_) => "rows",
        Reply::Entries(_) => "entries",
        Reply::End => "end",
        Reply::State(_) => "state",
        Reply::Done => "done",
        Reply::Now(_) => "now",
        Reply::Fault(_) => "fault",
    }
}

/// Asks the broker and takes the one case that fits the request; a fault goes to the guest.
macro_rules! ask {
    ($state:expr, $request:expr, $($reply:pat => $answer:expr),+ $(,)?) => {
        match $state.ask($request).await {
            Err(fault) => return Ok(Err(guest_fault(fault))),
            Ok(reply) => match reply {
                $($reply => $answer,)+
                other => return Err(unexpected(&other)),
            },
        }
    };
}

fn http_reply(reply: HttpReply) -> http::Reply {
    let headers = reply.headers.into_iter().map(|(name, value)| http::Header { name, value }).collect();
    http::Reply { status: reply.status, headers, body: reply.body }
}

fn http_done(done: Result<HttpDone, Fault>) -> Result<http::Done, types::Fault> {
    match done {
        Ok(done) => Ok(http::Done { reply: done.reply.map(http_reply), captures: done.captures }),
        Err(fault) => Err(guest_fault(fault)),
    }
}

impl http::Host for State {
    async fn fetch(&mut self, given: types::Call) -> Answer<(http::Reply, Resource<OpenBody>)> {
        let given = call(given);
        let (reply, handle) = ask!(self, Request::HttpFetch(given), Reply::Fetched(reply, handle) => (reply, handle));
        let body = self.table.push(OpenBody(handle))?;
        Ok(Ok((http_reply(reply), body)))
    }

    async fn send(&mut self, given: types::Call) -> Answer<http::Done> {
        let given = call(given);
        let mut sent = ask!(self, Request::HttpSend(vec![given]), Reply::Sent(sent) => sent);
        match sent.pop() {
            Some(done) => Ok(http_done(done)),
            None => Err(wasmtime::Error::msg("the broker answered none of one call")),
        }
    }

    async fn send_all(&mut self, given: Vec<types::Call>) -> wasmtime::Result<Vec<Result<http::Done, types::Fault>>> {
        let count = given.len();
        match self.ask(Request::HttpSend(calls(given))).await {
            Ok(Reply::Sent(sent)) if sent.len() == count => Ok(sent.into_iter().map(http_done).collect()),
            Ok(other) => Err(unexpected(&other)),
            Err(fault) => Ok((0..count).map(|_| Err(guest_fault(fault.clone()))).collect()),
        }
    }
}

impl http::HostBody for State {
    async fn read(&mut self, body: Resource<OpenBody>, max: u32) -> Answer<Option<Vec<u8>>> {
        let handle = self.table.get(&body)?.0;
        let piece = ask!(self, Request::Next(handle, max), Reply::Bytes(bytes) => Some(bytes), Reply::End => None);
        Ok(Ok(piece))
    }

    async fn drop(&mut self, body: Resource<OpenBody>) -> wasmtime::Result<()> {
        let handle = self.table.delete(body)?.0;
        let _ = self.ask(Request::Close(handle)).await;
        Ok(())
    }
}

impl sql::Host for State {
    async fn query(&mut self, given: types::Call) -> Answer<Resource<OpenRows>> {
        let given = call(given);
        let (columns, handle) =
            ask!(self, Request::SqlQuery(given), Reply::Opened(columns, handle) => (columns, handle));
        Ok(Ok(self.table.push(OpenRows { handle, columns })?))
    }

    async fn execute(&mut self, given: Vec<types::Call>) -> Answer<Vec<sql::Outcome>> {
        let given = calls(given);
        let outcomes = ask!(self, Request::SqlExecute(given), Reply::Executed(outcomes) => outcomes);
        let outcome = |outcome| match outcome {
            Outcome::Executed(rows) => sql::Outcome::Executed(rows),
            Outcome::Planned => sql::Outcome::Planned,
        };
        Ok(Ok(outcomes.into_iter().map(outcome).collect()))
    }
}

impl sql::HostRows for State {
    async fn columns(&mut self, rows: Resource<OpenRows>) -> wasmtime::Result<Vec<String>> {
        Ok(self.table.get(&rows)?.columns.clone())
    }

    async fn next(&mut self, rows: Resource<OpenRows>) -> Answer<Option<Vec<Vec<Option<String>>>>> {
        let handle = self.table.get(&rows)?.handle;
        let page = ask!(self, Request::Next(handle, 0), Reply::Rows(rows) => Some(rows), Reply::End => None);
        Ok(Ok(page))
    }

    async fn drop(&mut self, rows: Resource<OpenRows>) -> wasmtime::Result<()> {
        let handle = self.table.delete(rows)?.handle;
        let _ = self.ask(Request::Close(handle)).await;
        Ok(())
    }
}

impl ldap::Host for State {
    async fn search(&mut self, given: types::Call) -> Answer<Resource<OpenEntries>> {
        let given = call(given);
        let handle = ask!(self, Request::LdapSearch(given), Reply::Opened(_, handle) => handle);
        Ok(Ok(self.table.push(OpenEntries(handle))?))
    }

    async fn modify(&mut self, given: Vec<types::Call>) -> wasmtime::Result<Vec<Result<ldap::Outcome, types::Fault>>> {
        let outcome = |outcome| match outcome {
            Ok(Outcome::Executed(_)) => Ok(ldap::Outcome::Changed),
            Ok(Outcome::Planned) => Ok(ldap::Outcome::Planned),
            Err(fault) => Err(guest_fault(fault)),
        };
        match self.ask(Request::LdapModify(calls(given))).await {
            Ok(Reply::Modified(outcomes)) => Ok(outcomes.into_iter().map(outcome).collect()),
            Ok(other) => Err(unexpected(&other)),
            Err(fault) => Ok(vec![Err(guest_fault(fault))]),
        }
    }
}

impl ldap::HostEntries for State {
    async fn next(&mut self, entries: Resource<OpenEntries>) -> Answer<Option<Vec<ldap::Entry>>> {
        let handle = self.table.get(&entries)?.0;
        let attribute = |(name, values)| ldap::Attribute { name, values };
        let entry = |(dn, attributes): (String, Vec<_>)| ldap::Entry {
            dn,
            attributes: attributes.into_iter().map(attribute).collect(),
        };
        let page = ask!(self, Request::Next(handle, 0),
            Reply::Entries(entries) => Some(entries.into_iter().map(entry).collect()), Reply::End => None);
        Ok(Ok(page))
    }

    async fn drop(&mut self, entries: Resource<OpenEntries>) -> wasmtime::Result<()> {
        let handle = self.table.delete(entries)?.0;
        let _ = self.ask(Request::Close(handle)).await;
        Ok(())
    }
}

impl state::Host for State {
    async fn get(&mut self, key: String) -> wasmtime::Result<Option<Vec<u8>>> {
        match self.ask(Request::StateGet(key)).await {
            Ok(Reply::State(value)) => Ok(value),
            Ok(other) => Err(unexpected(&other)),
            // The contract has no fault here: a key that cannot be is a key that is not there.
            Err(_) => Ok(None),
        }
    }

    async fn set(&mut self, key: String, value: Vec<u8>) -> Answer<()> {
        ask!(self, Request::StateSet(key, value), Reply::Done => ());
        Ok(Ok(()))
    }
}

impl log::Host for State {
    async fn emit(&mut self, level: log::Level, message: String, fields: Vec<log::Field>) -> wasmtime::Result<()> {
        let level = match level {
            log::Level::Debug => LogLevel::Debug,
            log::Level::Info => LogLevel::Info,
            log::Level::Warn => LogLevel::Warn,
            log::Level::Error => LogLevel::Error,
        };
        let fields = fields.into_iter().map(|field| (field.key, field.value)).collect();
        let _ = self.ask(Request::Log(level, message, fields)).await;
        Ok(())
    }
}

impl clock::Host for State {
    async fn now(&mut self) -> wasmtime::Result<u64> {
        match self.ask(Request::Now).await {
            Ok(Reply::Now(now)) => Ok(now),
            Ok(other) => Err(unexpected(&other)),
            Err(_) => Ok(0),
        }
    }
}
