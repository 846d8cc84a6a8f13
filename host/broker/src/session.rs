//! The broker of one step: admits a call, records it, carries it out.

mod across;
mod captured;
mod http;
mod refusal;
mod screen;
mod sql;
mod writing;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use raito_core::call::{Call, LogLevel, Reply, Request};
use raito_core::digest::Digest;
use raito_core::event::{Event, Place};
use raito_core::fault::{Fault, FaultKind};
use raito_core::limits;
use raito_core::manifest::SlotName;
use raito_core::plan::{Following, RecordedCall};
use raito_core::ports::{BoxFuture, Broker, BrokerUse, StepBroker, Writes};
use raito_core::step::Step;
use raito_core::text;
use raito_core::vocabulary::Mode;
use raito_core::warrant::Used;

use self::across::Source;
pub(crate) use self::across::Strands;
use self::captured::Captured;
use crate::http::OpenBody;
use crate::sql::{OpenRows, ReadSession, WriteSession};
use crate::target::{Shared, SlotRuntime};

/// What a guest holds open.
enum Open {
    Body(Box<OpenBody>, Origin),
    Rows(OpenRows, Origin),
}

/// Something open, with the entry that it came from.
struct Held {
    source: Source,
    open: Arc<tokio::sync::Mutex<Open>>,
}

/// The call that something open came from, for the record of its end.
struct Origin {
    slot: SlotName,
    call: u64,
    began: Instant,
    status: String,
    attempts: u32,
    address: Option<String>,
    /// The public key of the other side.
    peer: Option<Digest>,
}

/// The status of a statement whose rows were not read to their end.
const ABANDONED: &str = "abandoned";

/// Sessions of databases, by slot and database.
type Sessions<S> = tokio::sync::Mutex<HashMap<(SlotName, String), Arc<S>>>;

/// The broker of one step.
pub(crate) struct Session {
    shared: Arc<Shared>,
    place: Place,
    writes: Writes,
    calls: AtomicU64,
    denied: AtomicU64,
    sent_bytes: AtomicU64,
    received_bytes: AtomicU64,
    log_lines: AtomicU64,
    next_handle: AtomicU32,
    open: Mutex<HashMap<u32, Held>>,
    readers: Sessions<ReadSession>,
    writers: Sessions<WriteSession>,
    recorded: Mutex<Vec<RecordedCall>>,
    captured: Captured,
    /// The first refusal.
    refusal: Mutex<Option<Fault>>,
    /// The plan, where calls are sent.
    following: Mutex<Option<Following>>,
    /// What was said of the changes in hand.
    said: Mutex<Used>,
    /// What was found that must not leave the host. From then on, nothing is answered.
    leaked: Mutex<Option<String>>,
}

/// The parts of a call that go on record when it is sent.
struct Sending<'c> {
    mode: Mode,
    bytes: u64,
    /// The secret slots whose secrets are put in.
    secrets: &'c [String],
    /// The statement or request of a write call; none for reads.
    statement: Option<&'c str>,
}

/// A call that was let through: its slot and its mode.
struct Admitted<'s> {
    name: SlotName,
    slot: &'s SlotRuntime,
    mode: Mode,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Session {
    pub(crate) fn new(shared: Arc<Shared>, step: Step, writes: Writes) -> Self {
        let place = Place { target: shared.target.to_string(), step };
        let following = match &writes {
            Writes::Sent(_, plan) => Some(Following::new(Arc::clone(plan))),
            Writes::Recorded(_) | Writes::Refused => None,
        };
        Self {
            shared,
            place,
            writes,
            calls: AtomicU64::new(0),
            denied: AtomicU64::new(0),
            sent_bytes: AtomicU64::new(0),
            received_bytes: AtomicU64::new(0),
            log_lines: AtomicU64::new(0),
            next_handle: AtomicU32::new(1),
            open: Mutex::default(),
            readers: Sessions::default(),
            writers: Sessions::default(),
            recorded: Mutex::default(),
            captured: Captured::default(),
            refusal: Mutex::default(),
            following: Mutex::new(following),
            said: Mutex::default(),
            leaked: Mutex::default(),
        }
    }

    /// Puts an event on record; what cannot be recorded does not happen.
    fn record(&self, event: &Event) -> Result<(), Fault> {
        self.shared.ledger.append(event).map_err(|error| Fault::denied(error.to_string()))
    }

    /// Lets a call through, or refuses it and puts that on record.
    fn admit(&self, call: &Call) -> Result<Admitted<'_>, Fault> {
        self.check(call).map_err(|reason| self.deny(call, &reason))
    }

    fn check(&self, call: &Call) -> Result<Admitted<'_>, String> {
        let calls = self.calls.load(Ordering::Relaxed) + self.denied.load(Ordering::Relaxed);
        if calls >= limits::STEP_CALLS {
            return Err(format!("more than {} calls in one step", limits::STEP_CALLS));
        }
        let name = SlotName::parse(&call.slot).ok_or("there is no such slot")?;
        let (Some(slot), Some(entries)) = (self.shared.slots.get(&name), self.shared.entries.get(&name)) else {
            return Err("the target does not grant this slot".into());
        };
        let mode = *entries
            .get(call.entry.as_str())
            .ok_or("the manifest has no such entry, or the target does not grant writing")?;
        if mode == Mode::Write && matches!(self.writes, Writes::Refused) {
            return Err(format!("it changes the target, and step {} only reads", self.place.step));
        }
        Ok(Admitted { name, slot, mode })
    }

    /// Records that a call is about to leave, and gives its number. Before a change leaves, it has to be on the disk as well
    /// (`keep_record`).
    fn record_call(&self, call: &Call, sending: Sending<'_>) -> Result<u64, Fault> {
        let number = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let arguments =
            serde_json::to_vec(&call.arguments).map_err(|error| Fault::new(FaultKind::Internal, error.to_string()))?;
        let (place, arguments) = (self.place.clone(), self.shared.ledger.pseudonym(&arguments));
        let (slot, entry, at) = (call.slot.clone(), call.entry.clone(), call.at.clone());
        let Sending { mode, bytes, secrets, statement } = sending;
        let statement = statement.map(writing::bounded);
        self.record(&match statement {
            Some(statement) if self.is_plan() => {
                Event::PlannedCall { place, call: number, slot, entry, at, arguments, bytes, statement }
            }
            statement => {
                let secrets = secrets.to_vec();
                self.sent_bytes.fetch_add(bytes, Ordering::Relaxed);
                Event::Call { place, call: number, slot, entry, mode, at, arguments, bytes, statement, secrets }
            }
        })?;
        Ok(number)
    }

    /// Has everything that was recorded on the disk: before a change leaves, and once for all statements of a transaction.
    fn keep_record(&self) -> Result<(), Fault> {
        self.shared.ledger.sync().map_err(|error| Fault::denied(error.to_string()))
    }

    /// Records what came of a call.
    fn record_reply(&self, origin: &Origin, bytes: u64) -> Result<(), Fault> {
        self.received_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.record(&Event::Reply {
            place: self.place.clone(),
            call: origin.call,
            status: origin.status.clone(),
            bytes,
            attempts: origin.attempts,
            duration_ms: u64::try_from(origin.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            address: origin.address.clone(),
            peer: origin.peer,
        })
    }

    /// Keeps what a call opened for the guest. Where too much is open already, both are on record: the refusal, and that
    /// the call was answered.
    fn hold(&self, call: &Call, mut open: Open) -> Result<u32, Fault> {
        {
            let mut held = locked(&self.open);
            if held.len() < limits::OPEN_HANDLES {
                let handle = self.next_handle.fetch_add(1, Ordering::Relaxed);
                let (Open::Body(_, origin) | Open::Rows(_, origin)) = &open;
                let source = Source { slot: origin.slot.clone(), entry: call.entry.clone() };
                held.insert(handle, Held { source, open: Arc::new(tokio::sync::Mutex::new(open)) });
                return Ok(handle);
            }
        }
        let (Open::Body(_, origin) | Open::Rows(_, origin)) = &mut open;
        origin.status = FaultKind::Denied.word().to_owned();
        self.record_reply(origin, 0)?;
        Err(self.deny(call, &format!("more than {} bodies and results are open at once", limits::OPEN_HANDLES)))
    }

    /// The next piece of something open.
    async fn next(&self, handle: u32, max: u32) -> Result<Reply, Fault> {
        let held = locked(&self.open).get(&handle).map(|held| (held.source.clone(), Arc::clone(&held.open)));
        let (source, open) = held.ok_or_else(|| Fault::new(FaultKind::Internal, "it is closed already"))?;
        let mut open = open.lock().await;
        let budget = |name: &SlotName| match self.shared.slots.get(name) {
            Some(SlotRuntime::Http(slot)) => Some(&slot.budget),
            Some(SlotRuntime::Sql(slot)) => Some(&slot.budget),
            None => None,
        };
        let unknown = || Fault::new(FaultKind::Internal, "its slot is gone");
        let (reply, origin, bytes) = match &mut *open {
            Open::Body(body, origin) => {
                let piece = body.read_piece(budget(&origin.slot).ok_or_else(unknown)?, max).await;
                let piece = piece.map_err(|error| self.told(&origin.slot, error));
                let piece = piece.and_then(|piece| match body.small() {
                    Some(whole) => self.screen_fields(&source, &whole).map(|()| piece),
                    None => Ok(piece),
                });
                (piece.map(|piece| piece.map(Reply::Bytes)), origin, body.read)
            }
            Open::Rows(rows, origin) => {
                let page = rows.next(budget(&origin.slot).ok_or_else(unknown)?).await;
                let page = page.map_err(|error| self.told(&origin.slot, error));
                (page.map(|page| page.map(Reply::Rows)), origin, rows.bytes)
            }
        };
        match reply {
            Ok(Some(reply)) => Ok(reply),
            Ok(None) => {
                self.finished(handle, origin, bytes)?;
                Ok(Reply::End)
            }
            Err(fault) => {
                origin.status = fault.kind.word().to_owned();
                self.finished(handle, origin, bytes)?;
                Err(fault)
            }
        }
    }

    /// Records the end of something open, once.
    fn finished(&self, handle: u32, origin: &Origin, bytes: u64) -> Result<(), Fault> {
        match locked(&self.open).remove(&handle) {
            Some(_) => self.record_reply(origin, bytes),
            None => Ok(()),
        }
    }

    async fn close_handle(&self, handle: u32) -> Result<Reply, Fault> {
        let open = locked(&self.open).get(&handle).map(|held| Arc::clone(&held.open));
        if let Some(open) = open {
            let mut open = open.lock().await;
            let (origin, bytes) = match &mut *open {
                Open::Body(body, origin) => (origin, body.read),
                Open::Rows(rows, origin) => {
                    // What the server had against the statement, nobody asked.
                    if !rows.is_read() {
                        ABANDONED.clone_into(&mut origin.status);
                    }
                    (origin, rows.bytes)
                }
            };
            self.finished(handle, origin, bytes)?;
        }
        Ok(Reply::Done)
    }

    /// A message of the guest: bounded, on record, and shown as the connector's words.
    fn log(&self, level: LogLevel, message: &str, fields: &[(String, String)]) -> Result<Reply, Fault> {
        let number = self.log_lines.fetch_add(1, Ordering::Relaxed) + 1;
        if number > limits::LOG_LINES {
            return Ok(Reply::Done);
        }
        let values = fields.iter().map(|(_, value)| value.as_str());
        if let Some(leak) =
            std::iter::once(message).chain(values).find_map(|text| self.shared.watch.find(text.as_bytes()))
        {
            return Err(self.leak("a log message of the connector", &leak));
        }
        let mut line = message.to_owned();
        fields.iter().for_each(|(key, value)| line.push_str(&format!(" {key}={value}")));
        let shown = text::excerpt(&line, limits::LOG_LINE_BYTES / 4);
        self.record(&Event::GuestLog {
            place: self.place.clone(),
            level,
            message: self.shared.ledger.pseudonym(line.as_bytes()),
        })?;
        let (target, step) = (&self.place.target, self.place.step);
        match level {
            LogLevel::Debug => tracing::debug!(target: "connector", at = %target, %step, "{shown}"),
            LogLevel::Info => tracing::info!(target: "connector", at = %target, %step, "{shown}"),
            LogLevel::Warn => tracing::warn!(target: "connector", at = %target, %step, "{shown}"),
            LogLevel::Error => tracing::error!(target: "connector", at = %target, %step, "{shown}"),
        }
        Ok(Reply::Done)
    }

    async fn answer(&self, request: Request) -> Result<Reply, Fault> {
        self.check_bounds(&request)?;
        match request {
            Request::HttpFetch(call) => self.http_fetch(&call).await,
            Request::HttpSend(calls) => Ok(Reply::Sent(self.http_send(&calls).await)),
            Request::SqlQuery(call) => self.sql_query(&call).await,
            Request::SqlExecute(calls) => self.sql_execute(&calls).await,
            Request::LdapSearch(call) => Err(self.deny(&call, "this version of raito does not serve ldap")),
            Request::LdapModify(calls) => match calls.first() {
                Some(call) => Err(self.deny(call, "this version of raito does not serve ldap")),
                None => Err(Fault::denied("nothing is to be changed")),
            },
            Request::Next(handle, max) => self.next(handle, max).await,
            Request::Close(handle) => self.close_handle(handle).await,
            Request::StateGet(key) => Ok(Reply::State(self.shared.state.get(&key))),
            Request::StateSet(key, value) => self.shared.state.set(key, value).map(|()| Reply::Done),
            Request::Log(level, message, fields) => self.log(level, &message, &fields),
            // Whole seconds: a finer clock would only help to measure the host.
            Request::Now => Ok(Reply::Now(self.shared.clock.now_ms() / 1_000 * 1_000)),
        }
    }
}

impl Broker for Session {
    fn call(&self, request: Request) -> BoxFuture<'_, Reply> {
        Box::pin(async move {
            if let Some(leaked) = self.leaked() {
                return Reply::Fault(Fault::denied(leaked));
            }
            if let Some(ended) = self.ended() {
                return Reply::Fault(ended);
            }
            let sources = self.sources(&request);
            let reply = self.answer(request).await.unwrap_or_else(Reply::Fault);
            self.screen(&sources, reply)
        })
    }
}

impl StepBroker for Session {
    fn refusal(&self) -> Option<Fault> {
        locked(&self.refusal).clone()
    }

    fn used(&self) -> BrokerUse {
        BrokerUse {
            calls: self.calls.load(Ordering::Relaxed),
            denied: self.denied.load(Ordering::Relaxed),
            sent_bytes: self.sent_bytes.load(Ordering::Relaxed),
            received_bytes: self.received_bytes.load(Ordering::Relaxed),
            log_dropped: self.log_lines.load(Ordering::Relaxed).saturating_sub(limits::LOG_LINES),
        }
    }

    fn leaked(&self) -> Option<String> {
        locked(&self.leaked).clone()
    }

    fn exceeded(&self) -> Option<Fault> {
        self.ended()
    }

    fn recorded(&self) -> Vec<RecordedCall> {
        locked(&self.recorded).clone()
    }

    fn captured(&self, token: &str) -> Option<String> {
        self.captured.value(token)
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let handles: Vec<u32> = locked(&self.open).keys().copied().collect();
            for handle in handles {
                // The record of an end that nobody waited for: a log that cannot be written ends the run elsewhere.
                let _ = self.close_handle(handle).await;
            }
            self.end_readers().await;
            self.writers.lock().await.clear();
        })
    }
}
