//! Screening: nothing that holds a secret of the run reaches a guest, whatever it came from.
//!
//! Bodies that are read in pieces are searched where they are read, because what could be the beginning of a secret is held
//! back there.

use std::sync::Arc;

use raito_core::call::{Call, HttpDone, HttpReply, Reply, Request};
use raito_core::event::Event;
use raito_core::fault::Fault;
use raito_core::leak::{Leak, Net};
use raito_core::manifest::SlotName;

use super::across::{Search, Source};
use super::{Session, locked};
use crate::told::CallError;

/// The place of a secret whose last piece is in an answer, for people.
const ACROSS: &str = "an answer, together with those before it,";

impl Session {
    /// Where the answers to a request come from, one for each of its calls; none where the host
    /// alone answers.
    pub(super) fn sources(&self, request: &Request) -> Vec<Option<Source>> {
        if let Request::Next(handle, _) = request {
            return vec![locked(&self.open).get(handle).map(|held| held.source.clone())];
        }
        let source = |call: &Call| {
            let slot = SlotName::parse(&call.slot)?;
            // Only what is in effect is answered, and only of that something is kept.
            let is_known = self.shared.entries.get(&slot)?.contains_key(call.entry.as_str());
            is_known.then(|| Source { slot, entry: call.entry.clone() })
        };
        request.calls().iter().map(source).collect()
    }

    /// The reply, or a fault instead of it where it holds a secret, or the last piece of one.
    pub(super) fn screen(&self, sources: &[Option<Source>], reply: Reply) -> Reply {
        let Some(net) = self.shared.watch.net() else { return reply };
        let found = find(&net, &reply).or_else(|| self.find_across(&net, sources, &reply));
        let is_leaked = locked(&self.leaked).is_some();
        match found {
            // Also where another call found it at the same time.
            None if is_leaked => withhold(reply),
            Some(_) if is_leaked => Reply::Fault(withheld()),
            Some((what, leak)) => Reply::Fault(self.leak(what, &leak)),
            None => reply,
        }
    }

    /// The secret whose last piece a reply has, seen together with what came before it.
    fn find_across(&self, net: &Arc<Net>, sources: &[Option<Source>], reply: &Reply) -> Option<(&'static str, Leak)> {
        let strands = &mut *locked(&self.shared.strands);
        let mut from_each = sources.iter();
        if let Reply::Sent(done) = reply {
            let found = done.iter().zip(from_each).find_map(|(done, from)| {
                let reply = done.as_ref().ok()?.reply.as_ref()?;
                Search { strands, net, from: from.as_ref()? }.reply(&reply.headers, &reply.body)
            });
            return Some((ACROSS, found?));
        }
        let mut search = Search { strands, net, from: from_each.next()?.as_ref()? };
        let found = match reply {
            Reply::Fetched(reply, _) => search.reply(&reply.headers, &[]),
            Reply::Bytes(bytes) => search.bytes(bytes),
            Reply::Opened(columns, _) => search.names(columns),
            Reply::Rows(rows) => search.rows(rows),
            _ => None,
        };
        Some((ACROSS, found?))
    }

    /// Searches the values of a small JSON body that is read in pieces, before its last piece is
    /// given on.
    ///
    /// # Errors
    /// A fault, put on record, where one of them ends a secret.
    pub(super) fn screen_fields(&self, from: &Source, body: &[u8]) -> Result<(), Fault> {
        let Some(net) = self.shared.watch.net() else { return Ok(()) };
        let found = Search { strands: &mut locked(&self.shared.strands), net: &net, from }.fields(body);
        found.map_or(Ok(()), |leak| Err(self.leak(ACROSS, &leak)))
    }

    /// The fault for a call of a slot that has no answer.
    pub(super) fn told(&self, slot: &SlotName, error: CallError) -> Fault {
        match error {
            CallError::Fault(fault) => fault,
            CallError::Leak(leak) => self.leak(&format!("an answer to {slot}"), &leak),
        }
    }

    /// Puts a leak on record, and fails the step whatever the guest makes of it.
    pub(super) fn leak(&self, what: &str, leak: &Leak) -> Fault {
        let message = format!("{what} holds {leak}: it was withheld");
        locked(&self.leaked).get_or_insert_with(|| message.clone());
        let event = Event::Leak {
            place: self.place.clone(),
            what: what.to_owned(),
            secret: leak.secret.clone(),
            form: leak.form.to_string(),
        };
        self.record(&event).err().unwrap_or_else(|| Fault::denied(message))
    }
}

/// The fault for a call after a secret was found.
fn withheld() -> Fault {
    Fault::denied("a secret was withheld")
}

/// The reply after a leak, although it has no secret: only its faults are kept, since they say why
/// there is nothing.
fn withhold(reply: Reply) -> Reply {
    match reply {
        Reply::Fault(fault) => Reply::Fault(fault),
        Reply::Sent(done) => {
            Reply::Sent(done.into_iter().map(|done| Err(done.err().unwrap_or_else(withheld))).collect())
        }
        _ => Reply::Fault(withheld()),
    }
}

/// The first secret in a reply, and what of the reply holds it.
fn find(net: &Net, reply: &Reply) -> Option<(&'static str, Leak)> {
    let text = |what: &'static str, text: &str| Some((what, net.find(text.as_bytes())?));
    let http = |reply: &HttpReply| {
        let head = reply
            .headers
            .iter()
            .find_map(|(name, value)| text("an answer's header", value).or_else(|| text("an answer's header", name)));
        // The body was searched while it was read; once more costs little and needs no care about who read it.
        head.or_else(|| Some(("an answer", net.find(&reply.body)?)))
    };
    let fault = |fault: &Fault| text("a message about a failed call", fault.message.as_str());
    match reply {
        Reply::Fetched(reply, _) => http(reply),
        Reply::Sent(done) => done.iter().find_map(|done| match done {
            Ok(HttpDone { reply, .. }) => reply.as_ref().and_then(http),
            Err(failed) => fault(failed),
        }),
        Reply::Opened(columns, _) => columns.iter().find_map(|column| text("a column's name", column)),
        Reply::Rows(rows) => rows.iter().flatten().flatten().find_map(|cell| text("a row of an answer", cell)),
        Reply::Entries(entries) => entries.iter().find_map(|(name, attributes)| {
            let values = attributes.iter().flat_map(|(_, values)| values);
            let value = |value: &Vec<u8>| Some(("a directory entry", net.find(value)?));
            text("a directory entry", name).or_else(|| values.into_iter().find_map(value))
        }),
        Reply::Modified(outcomes) => outcomes.iter().find_map(|outcome| fault(outcome.as_ref().err()?)),
        Reply::Fault(failed) => fault(failed),
        // What is read in pieces was searched there; the rest is the guest's own or has no text.
        Reply::Bytes(_) | Reply::Executed(_) | Reply::End | Reply::State(_) | Reply::Done | Reply::Now(_) => None,
    }
}
