//! Screening: nothing that holds a secret of the run reaches a guest, whatever it came from.
//!
//! Bodies that are read in pieces are searched where they are read, because what could be the beginning of a secret is held
//! back there.

use raito_core::call::{HttpDone, HttpReply, Reply};
use raito_core::event::Event;
use raito_core::fault::Fault;
use raito_core::leak::{Leak, Net};
use raito_core::manifest::SlotName;

use super::{Session, locked};
use crate::told::CallError;

impl Session {
    /// The reply, or a fault instead of it where it holds a secret.
    pub(super) fn screen(&self, reply: Reply) -> Reply {
        let Some(net) = self.shared.watch.net() else { return reply };
        match find(&net, &reply) {
            None => reply,
            // What was found before is only said again, without the secret.
            Some(_) if locked(&self.leaked).is_some() => Reply::Fault(Fault::denied("a secret was withheld")),
            Some((what, leak)) => Reply::Fault(self.leak(what, &leak)),
        }
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
        Reply::Rows(rows) => {
            let cells = rows.iter().flatten().flatten();
            cells.into_iter().find_map(|cell| text("a row of an answer", cell))
        }
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
