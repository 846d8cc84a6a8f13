//! Recording a scenario from a real run: what the brokers of a target answer while it is read.
//!
//! Only reading steps are recorded. What stands in a scenario is what the target told about its people and data; secrets do not,
//! because a connector never gets one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use raito_core::call::{Call, HttpReply, Reply, Request};
use raito_core::exchange::UploadId;
use raito_core::fault::Fault;
use raito_core::limits;
use raito_core::plan::RecordedCall;
use raito_core::ports::{BoxFuture, Broker, BrokerUse, Place, StepBroker, TargetBroker, Writes};
use raito_core::step::Step;

use crate::argument::written;
use crate::scenario::{Answer, Body, Bound, Content, HttpAnswer, Rows, Scenario, ScenarioError};

/// The brokers of a target, with everything that they answer kept.
pub struct Recorder<'b> {
    inner: &'b dyn TargetBroker,
    recording: Arc<Mutex<Recording>>,
}

#[derive(Default)]
struct Recording {
    answers: Vec<Answer>,
    /// The answer that is read through a handle, by the step's broker and the handle.
    open: HashMap<(u64, u32), usize>,
    /// Bodies that are read in pieces, by their answers.
    bodies: HashMap<usize, Vec<u8>>,
    brokers: u64,
    bytes: usize,
    now_ms: Option<u64>,
}

impl<'b> Recorder<'b> {
    /// Records what goes through these brokers.
    pub fn new(inner: &'b dyn TargetBroker) -> Self {
        Self { inner, recording: Arc::default() }
    }

    /// What was recorded, as a scenario. What only the run knows is still to be added: settings, time, and what each step came
    /// to.
    ///
    /// # Errors
    /// `ScenarioError::TooLarge` where the target answered more than a scenario may have.
    pub fn scenario(&self) -> Result<Scenario, ScenarioError> {
        let recording = self.recording.lock().unwrap_or_else(PoisonError::into_inner);
        if recording.bytes > limits::SCENARIO_BYTES {
            return Err(ScenarioError::TooLarge);
        }
        let bound = |place: Place| (place.slot, Bound { at: place.at, write: place.write });
        Ok(Scenario {
            slots: self.inner.places().into_iter().map(bound).collect(),
            now_ms: recording.now_ms.unwrap_or(0),
            answers: recording.answers.iter().enumerate().map(|(at, answer)| recording.whole(at, answer)).collect(),
            ..Scenario::default()
        })
    }
}

impl Recording {
    /// An answer, with the body that was read in pieces.
    fn whole(&self, at: usize, answer: &Answer) -> Answer {
        let mut answer = answer.clone();
        if let (Content::Http(http), Some(bytes)) = (&mut answer.answer, self.bodies.get(&at)) {
            http.body = Body::of(bytes);
        }
        answer
    }

    /// Counts what a recording holds. When it is too much, nothing more is kept.
    fn has_room(&mut self, bytes: usize) -> bool {
        self.bytes = self.bytes.saturating_add(bytes);
        let fits = self.bytes <= limits::SCENARIO_BYTES;
        if !fits {
            self.answers = Vec::new();
            self.open = HashMap::new();
            self.bodies = HashMap::new();
        }
        fits
    }

    fn push(&mut self, call: &Call, answer: Content) -> Option<usize> {
        let Call { slot, entry, at, arguments } = call.clone();
        let size = serde_json::to_string(&arguments).map_or(0, |text| text.len()) + slot.len() + entry.len();
        if !self.has_room(size) {
            return None;
        }
        self.answers.push(Answer { slot, entry, at, arguments: written(&arguments), answer });
        Some(self.answers.len() - 1)
    }

    fn fault(&mut self, call: &Call, fault: &Fault) {
        self.push(call, Content::Fault(fault.clone()));
    }

    fn http(&mut self, call: &Call, reply: &HttpReply) -> Option<usize> {
        let headers: usize = reply.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        if !self.has_room(reply.body.len() + headers) {
            return None;
        }
        let HttpReply { status, headers, body } = reply.clone();
        self.push(call, Content::Http(HttpAnswer { status, headers, body: Body::of(&body) }))
    }

    /// Takes in what was answered.
    fn take(&mut self, broker: u64, request: &Request, reply: &Reply) {
        match (request, reply) {
            (Request::HttpSend(calls), Reply::Sent(done)) => {
                for (call, done) in calls.iter().zip(done) {
                    match done {
                        Ok(done) => drop(done.reply.as_ref().and_then(|reply| self.http(call, reply))),
                        Err(fault) => self.fault(call, fault),
                    }
                }
            }
            (Request::HttpFetch(call), Reply::Fetched(reply, handle)) => {
                if let Some(at) = self.http(call, reply) {
                    self.open.insert((broker, *handle), at);
                }
            }
            (Request::SqlQuery(call), Reply::Opened(columns, handle)) => {
                let rows = Rows { columns: columns.clone(), rows: Vec::new() };
                if let Some(at) = self.push(call, Content::Rows(rows)) {
                    self.open.insert((broker, *handle), at);
                }
            }
            (Request::HttpFetch(call) | Request::SqlQuery(call), Reply::Fault(fault)) => self.fault(call, fault),
            (Request::Next(handle, _), reply) => self.piece((broker, *handle), reply),
            (Request::Now, Reply::Now(now_ms)) => drop(self.now_ms.get_or_insert(*now_ms)),
            _ => {}
        }
    }

    /// Takes in a piece of an open answer. An answer that breaks off is the fault that it broke off with.
    fn piece(&mut self, handle: (u64, u32), reply: &Reply) {
        let size = match reply {
            Reply::Bytes(bytes) => bytes.len(),
            Reply::Rows(rows) => rows.iter().flatten().map(|cell| 4 + cell.as_ref().map_or(0, String::len)).sum(),
            _ => 0,
        };
        if !self.has_room(size) {
            return;
        }
        let Some(at) = self.open.get(&handle).copied() else { return };
        let Some(answer) = self.answers.get_mut(at) else { return };
        match (&mut answer.answer, reply) {
            (Content::Http(_), Reply::Bytes(piece)) => self.bodies.entry(at).or_default().extend_from_slice(piece),
            (Content::Rows(rows), Reply::Rows(more)) => rows.rows.extend(more.iter().cloned()),
            (content, Reply::Fault(fault)) => *content = Content::Fault(fault.clone()),
            _ => {}
        }
    }
}

impl TargetBroker for Recorder<'_> {
    fn open(&self, step: Step, writes: Writes) -> Arc<dyn StepBroker> {
        let inner = self.inner.open(step, writes);
        if step == Step::AccessToTarget {
            return inner;
        }
        let mut recording = self.recording.lock().unwrap_or_else(PoisonError::into_inner);
        recording.brokers += 1;
        Arc::new(Recorded { inner, recording: Arc::clone(&self.recording), number: recording.brokers })
    }

    fn places(&self) -> Vec<Place> {
        self.inner.places()
    }

    fn stage_state(&self, upload: &UploadId) -> Result<(), String> {
        self.inner.stage_state(upload)
    }

    fn settle_state(&self, accepted: bool) -> Result<(), String> {
        self.inner.settle_state(accepted)
    }

    fn unsettled(&self) -> Option<UploadId> {
        self.inner.unsettled()
    }
}

/// The broker of one step, with everything that it answers kept.
struct Recorded {
    inner: Arc<dyn StepBroker>,
    recording: Arc<Mutex<Recording>>,
    number: u64,
}

impl Broker for Recorded {
    fn call(&self, request: Request) -> BoxFuture<'_, Reply> {
        Box::pin(async move {
            let reply = self.inner.call(request.clone()).await;
            let mut recording = self.recording.lock().unwrap_or_else(PoisonError::into_inner);
            recording.take(self.number, &request, &reply);
            reply
        })
    }
}

impl StepBroker for Recorded {
    fn used(&self) -> BrokerUse {
        self.inner.used()
    }

    fn refusal(&self) -> Option<Fault> {
        self.inner.refusal()
    }

    fn leaked(&self) -> Option<String> {
        self.inner.leaked()
    }

    fn exceeded(&self) -> Option<Fault> {
        self.inner.exceeded()
    }

    fn recorded(&self) -> Vec<RecordedCall> {
        self.inner.recorded()
    }

    fn captured(&self, token: &str) -> Option<String> {
        self.inner.captured(token)
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.inner.close()
    }
}
