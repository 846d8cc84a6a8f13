//! HTTP calls of a step.

use std::time::Instant;

use futures_util::StreamExt as _;
use raito_core::call::{Call, HttpDone, HttpReply, Reply};
use raito_core::event::Event;
use raito_core::fault::Fault;
use raito_core::limits;
use raito_core::manifest::SlotName;
use raito_core::ports::BoxFuture;
use raito_core::text::Ident;
use raito_core::vocabulary::{HttpRequest, Mode, Route};

use super::writing::Written;
use super::{Admitted, Open, Origin, Sending, Session};
use crate::budget::Room;
use crate::credential::TokenStage;
use crate::http::{Answer, Attempt, HttpSlot, captures};
use crate::target::SlotRuntime;

/// A call that is ready to be sent.
struct Ready<'s> {
    name: SlotName,
    slot: &'s HttpSlot,
    route: &'s Route,
    mode: Mode,
    request: HttpRequest,
    bytes: u64,
    /// The change-set that a write call is for.
    set: usize,
    /// The request of a write call, as it goes on record; empty for reads.
    on_record: String,
}

impl Ready<'_> {
    fn sending(&self) -> Sending<'_> {
        let statement = (self.mode == Mode::Write).then_some(self.on_record.as_str());
        Sending { mode: self.mode, bytes: self.bytes, secrets: &self.slot.secret_names, statement }
    }
}

/// A request for people: its line and its body.
fn shown(request: &HttpRequest) -> String {
    let body = request.body.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
    format!("{} {} {body}", request.method, request.target).trim_end().to_owned()
}

impl Session {
    fn http_ready(&self, call: &Call) -> Result<Ready<'_>, Fault> {
        let Admitted { name, slot, mode } = self.admit(call)?;
        let SlotRuntime::Http(slot) = slot else { return Err(self.deny(call, "it is no HTTP slot")) };
        let route = slot.routes.get(call.entry.as_str()).ok_or_else(|| self.deny(call, "there is no such route"))?;
        let set = match mode {
            Mode::Read => 0,
            Mode::Write => {
                let written = Written { does: route.does, on: &route.on, member: None };
                self.warrant(call, written, route.placeholders(), None)?.set
            }
        };
        let arguments =
            self.captured.put_in(call, |_| false).map_err(|fault| self.deny(call, fault.message.as_str()))?;
        let request = route.build(&arguments).map_err(|error| self.turn_down(call, &error.to_string()))?;
        let headers: usize = request.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        let bytes = (request.target.len() + headers + request.body.as_ref().map_or(0, Vec::len)) as u64;
        if mode == Mode::Read {
            slot.budget.upload(bytes).map_err(|fault| self.deny(call, fault.message.as_str()))?;
        }
        let on_record = match mode {
            Mode::Read => String::new(),
            Mode::Write => self.on_record(&shown(&request), &arguments, &route.placeholders(), |arguments, _| {
                route.build(arguments).map(|request| shown(&request))
            }),
        };
        Ok(Ready { name, slot, route, mode, request, bytes, set, on_record })
    }

    fn http_origin(
        &self,
        ready: &Ready<'_>,
        call: u64,
        attempt: &Attempt<'_>,
        status: String,
        began: Instant,
    ) -> Origin {
        Origin {
            slot: ready.name.clone(),
            call,
            began,
            status,
            attempts: attempt.count,
            address: attempt.address.map(|address| address.to_string()),
            peer: attempt.peer,
        }
    }

    /// Puts on record what is done to get a token for a slot.
    fn record_token(&self, slot: &SlotName, secret: &str, stage: TokenStage<'_>) -> Result<(), Fault> {
        let (place, slot, secret) = (self.place.clone(), slot.to_string(), secret.to_owned());
        self.record(&match stage {
            TokenStage::Asked { to } => Event::TokenRequest { place, slot, secret, to: to.to_string() },
            TokenStage::Answered { status, address } => {
                let address = address.map(|address| address.to_string());
                Event::TokenReply { place, slot, secret, status, address }
            }
        })
    }

    pub(super) async fn http_fetch(&self, call: &Call) -> Result<Reply, Fault> {
        let ready = self.http_ready(call)?;
        if ready.mode == Mode::Write {
            return Err(self.deny(call, "a write entry is sent, not fetched"));
        }
        let number = self.record_call(call, ready.sending())?;
        let record = |secret: &str, stage: TokenStage<'_>| self.record_token(&ready.name, secret, stage);
        let (began, mut attempt) = (Instant::now(), Attempt::new(&record));
        match ready.slot.send(&ready.request, &mut attempt).await {
            Ok(Answer { status, headers, body }) => {
                let origin = self.http_origin(&ready, number, &attempt, status.to_string(), began);
                let handle = self.hold(call, Open::Body(Box::new(body), origin))?;
                Ok(Reply::Fetched(HttpReply { status, headers, body: Vec::new() }, handle))
            }
            Err(error) => {
                let origin = self.http_origin(&ready, number, &attempt, error.word().to_owned(), began);
                self.record_reply(&origin, 0)?;
                Err(self.told(&ready.name, error))
            }
        }
    }

    /// Sends calls at the same time, each under the slot's own bounds, and answers in their order.
    pub(super) async fn http_send(&self, calls: &[Call]) -> Vec<Result<HttpDone, Fault>> {
        // Writes keep their order: a grant must not overtake the creation of its role.
        let writes = calls.iter().any(|call| self.check(call).is_ok_and(|admitted| admitted.mode == Mode::Write));
        let at_once = if writes { 1 } else { limits::HTTP_CONCURRENCY };
        let room = Room::default();
        let send = |call| Box::pin(self.http_send_one(call, &room)) as BoxFuture<'_, _>;
        let sending: Vec<_> = calls.iter().map(send).collect();
        futures_util::stream::iter(sending).buffered(at_once).collect().await
    }

    async fn http_send_one(&self, call: &Call, room: &Room) -> Result<HttpDone, Fault> {
        let ready = self.http_ready(call)?;
        let is_planned = ready.mode == Mode::Write && self.is_plan();
        if ready.mode == Mode::Write && !is_planned {
            // Before it is put down as a call: what is refused was not sent.
            self.follows_plan(call, ready.set, None)?;
        }
        let number = self.record_call(call, ready.sending())?;
        if is_planned {
            return Ok(self.http_plan(call, &ready));
        }
        if ready.mode == Mode::Write {
            self.keep_record()?;
        }
        let record = |secret: &str, stage: TokenStage<'_>| self.record_token(&ready.name, secret, stage);
        let (began, mut attempt) = (Instant::now(), Attempt::new(&record));
        match ready.slot.send_whole(&ready.request, &mut attempt, room).await {
            Ok((Answer { status, headers, .. }, body)) => {
                let origin = self.http_origin(&ready, number, &attempt, status.to_string(), began);
                self.record_reply(&origin, body.len() as u64)?;
                let values = captures(ready.route, status, &headers, &body)?;
                let captures = values
                    .into_iter()
                    .map(|(name, value)| (name.to_string(), self.captured.keep(Some(value), ready.set)));
                let captures = captures.collect();
                Ok(HttpDone { reply: Some(HttpReply { status, headers, body }), captures })
            }
            Err(error) => {
                let origin = self.http_origin(&ready, number, &attempt, error.word().to_owned(), began);
                self.record_reply(&origin, 0)?;
                Err(self.told(&ready.name, error))
            }
        }
    }

    /// Records a write call instead of sending it.
    fn http_plan(&self, call: &Call, ready: &Ready<'_>) -> HttpDone {
        self.plan(call, ready.set, None, shown(&ready.request), ready.on_record.clone());
        let keep = |name: &Ident| (name.to_string(), self.captured.keep(None, ready.set));
        let captures = ready.route.returns.keys().map(keep).collect();
        HttpDone { reply: None, captures }
    }
}
