//! SQL calls of a step.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;
use raito_core::call::{Argument, Call, Outcome, Reply};
use raito_core::event::Event;
use raito_core::fault::{Fault, FaultKind};
use raito_core::limits;
use raito_core::manifest::SlotName;
use raito_core::vocabulary::{Mode, PlaceholderType, SqlRequest, Statement};
use tokio::time::timeout;

use super::writing::Written;
use super::{Admitted, Open, Origin, Sending, Session};
use crate::sql::{ReadSession, SqlSlot, WriteSession, size, statements};
use crate::target::SlotRuntime;
use crate::told::CallError;

/// A call that is ready to be run.
struct Ready<'s> {
    name: SlotName,
    slot: &'s SqlSlot,
    statement: &'s Statement,
    database: String,
    mode: Mode,
    request: SqlRequest,
    bytes: u64,
    /// The change-set that a write call is for.
    set: usize,
    /// The statements of a write call, as they go on record; empty for reads.
    on_record: String,
}

impl Ready<'_> {
    fn sending(&self) -> Sending<'_> {
        let statement = (self.mode == Mode::Write).then_some(self.on_record.as_str());
        Sending { mode: self.mode, bytes: self.bytes, secrets: &[], statement }
    }
}

/// Statements for people.
fn shown(request: &SqlRequest) -> String {
    statements(request).join(";\n")
}

impl Session {
    fn sql_ready(&self, call: &Call, wanted: Mode) -> Result<Ready<'_>, Fault> {
        let Admitted { name, slot, mode } = self.admit(call)?;
        let SlotRuntime::Sql(slot) = slot else { return Err(self.deny(call, "it is no SQL slot")) };
        if mode != wanted {
            return Err(self.deny(call, "read statements are queried, and write statements executed"));
        }
        let statement =
            slot.statements.get(call.entry.as_str()).ok_or_else(|| self.deny(call, "there is no such statement"))?;
        let database = slot.database(call.at.as_deref()).map_err(|reason| self.deny(call, &reason))?;
        let placeholders = statement.placeholders();
        let is_name =
            |name: &str| placeholders.iter().any(|known| known.name == name && known.kind == PlaceholderType::Name);
        let mut arguments =
            self.captured.put_in(call, is_name).map_err(|fault| self.deny(call, fault.message.as_str()))?;
        let (mut as_role, mut set) = (None, 0);
        if mode == Mode::Write {
            let (does, on, member) = (statement.does, &statement.on, statement.member.as_ref());
            let warranted = self.warrant(call, Written { does, on, member }, placeholders, Some(&database))?;
            set = warranted.set;
            arguments.extend(warranted.spliced);
            let own = slot.grant.write.as_ref().map(|login| login.user.as_str());
            as_role = warranted.grantor.filter(|grantor| statement.as_grantor && Some(grantor.as_str()) != own);
        }
        let build = |arguments: &[Argument]| statement.build(arguments);
        let mut request = build(&arguments).map_err(|error| self.turn_down(call, &error.to_string()))?;
        request.as_role = as_role;
        let on_record = match mode {
            Mode::Read => String::new(),
            Mode::Write => {
                let role = request.as_role.as_deref();
                self.on_record(&shown(&request), &arguments, &statement.placeholders(), |arguments, pseudonym| {
                    let built = build(arguments)?;
                    Ok(shown(&SqlRequest { as_role: role.map(pseudonym), ..built }))
                })
            }
        };
        let bytes = size(&request);
        if mode == Mode::Read {
            slot.budget.upload(bytes).map_err(|fault| self.deny(call, fault.message.as_str()))?;
        }
        Ok(Ready { name, slot, statement, database, mode, request, bytes, set, on_record })
    }

    /// Records that the host logged in.
    fn record_connect(&self, ready: &Ready<'_>, user: &str, address: std::net::SocketAddr) -> Result<(), Fault> {
        self.record(&Event::Connect {
            place: self.place.clone(),
            slot: ready.name.to_string(),
            at: ready.database.clone(),
            user: user.to_owned(),
            address: address.to_string(),
            tls: ready.slot.grant.tls.word().to_owned(),
        })
    }

    /// The read session of a database: one for the step, made again only after an error ended its transaction.
    async fn reader(&self, ready: &Ready<'_>) -> Result<Arc<ReadSession>, Fault> {
        let mut readers = self.readers.lock().await;
        let key = (ready.name.clone(), ready.database.clone());
        if let Some(session) = readers.get(&key).filter(|session| session.is_usable()) {
            return Ok(Arc::clone(session));
        }
        let session = ReadSession::begin(ready.slot, &ready.database).await;
        let session = Arc::new(session.map_err(|error| self.told(&ready.name, error))?);
        if session.is_new_login() {
            self.record_connect(ready, &ready.slot.grant.read.user, session.address())?;
        }
        readers.insert(key, Arc::clone(&session));
        Ok(session)
    }

    /// Ends the read sessions of the step, all at once. A server that takes its time loses their connections.
    pub(super) async fn end_readers(&self) {
        let readers: Vec<_> = self.readers.lock().await.drain().collect();
        let ends = readers.into_iter().filter_map(|((name, database), session)| {
            // One whose rows are being read still ends with these.
            match (self.shared.slots.get(&name), Arc::into_inner(session)) {
                (Some(SlotRuntime::Sql(slot)), Some(session)) => Some(session.end(slot, database)),
                _ => None,
            }
        });
        // Those that did not end in time are dropped, and so closed.
        let _ = timeout(limits::CONNECT, join_all(ends)).await;
    }

    /// The write session of a database, for the step. A login or a pooler that it cannot be trusted to is a
    /// matter of the configuration, and no outcome of one change: it ends the step.
    async fn writer(&self, call: &Call, ready: &Ready<'_>) -> Result<Arc<WriteSession>, Fault> {
        let mut writers = self.writers.lock().await;
        let key = (ready.name.clone(), ready.database.clone());
        if let Some(session) = writers.get(&key) {
            return Ok(Arc::clone(session));
        }
        let session = WriteSession::connect(ready.slot, &ready.database).await;
        let session = Arc::new(session.map_err(|error| match self.told(&ready.name, error) {
            fault if fault.kind == FaultKind::Denied => self.deny(call, fault.message.as_str()),
            fault => fault,
        })?);
        let user = ready.slot.grant.write.as_ref().map_or("", |login| login.user.as_str());
        self.record_connect(ready, user, session.address())?;
        writers.insert(key, Arc::clone(&session));
        Ok(session)
    }

    pub(super) async fn sql_query(&self, call: &Call) -> Result<Reply, Fault> {
        let ready = self.sql_ready(call, Mode::Read)?;
        let session = self.reader(&ready).await?;
        let number = self.record_call(call, ready.sending())?;
        let mut origin = Origin {
            slot: ready.name.clone(),
            call: number,
            began: Instant::now(),
            status: "ok".into(),
            attempts: 1,
            address: Some(session.address().to_string()),
            peer: None,
        };
        match session.query(&call.entry, ready.statement, ready.request) {
            Ok(rows) => {
                let columns = rows.columns.clone();
                Ok(Reply::Opened(columns, self.hold(call, Open::Rows(rows, origin))?))
            }
            Err(error) => {
                origin.status = error.word().to_owned();
                self.record_reply(&origin, 0)?;
                Err(self.told(&ready.name, error))
            }
        }
    }

    pub(super) async fn sql_execute(&self, calls: &[Call]) -> Result<Reply, Fault> {
        let ready = calls.iter().map(|call| self.sql_ready(call, Mode::Write)).collect::<Result<Vec<_>, _>>()?;
        let (Some(first), Some(first_call)) = (ready.first(), calls.first()) else {
            return Ok(Reply::Executed(Vec::new()));
        };
        if ready.iter().any(|other| other.name != first.name || other.database != first.database) {
            return Err(self.deny(first_call, "statements of one transaction are for one database"));
        }
        if self.is_plan() {
            for (call, ready) in calls.iter().zip(&ready) {
                self.record_call(call, ready.sending())?;
                let (at, on_record) = (Some(ready.database.clone()), ready.on_record.clone());
                self.plan(call, ready.set, at, shown(&ready.request), on_record);
            }
            return Ok(Reply::Executed(vec![Outcome::Planned; calls.len()]));
        }
        for (call, ready) in calls.iter().zip(&ready) {
            self.follows_plan(call, ready.set, Some(&first.database))?;
        }
        let session = self.writer(first_call, first).await?;
        let began = Instant::now();
        let mut numbers = Vec::with_capacity(calls.len());
        for (call, ready) in calls.iter().zip(&ready) {
            numbers.push(self.record_call(call, ready.sending())?);
        }
        self.keep_record()?;
        let name = first.name.clone();
        let requests: Vec<_> =
            calls.iter().map(|call| call.entry.clone()).zip(ready.into_iter().map(|ready| ready.request)).collect();
        let outcome = session.execute(&requests).await;
        let status = outcome.as_ref().map_or_else(CallError::word, |_| "ok");
        for call in numbers {
            let origin = Origin {
                slot: name.clone(),
                call,
                began,
                status: status.to_owned(),
                attempts: 1,
                address: Some(session.address().to_string()),
                peer: None,
            };
            self.record_reply(&origin, 0)?;
        }
        outcome.map(Reply::Executed).map_err(|error| self.told(&name, error))
    }
}
