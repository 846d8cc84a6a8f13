//! Logging in to every database of a target without reading anything: what a run would find there.

use raito_core::event::{Event, Place};
use raito_core::fault::{Fault, FaultKind};
use raito_core::manifest::SlotName;
use raito_core::step::Step;

use crate::sql::{ReadSession, SqlSlot, WriteSession};
use crate::target::{Brokerage, SlotRuntime};
use crate::told::CallError;

/// What came of one login.
#[derive(Debug)]
pub struct Surveyed {
    /// The slot.
    pub slot: SlotName,
    /// The database.
    pub database: String,
    /// The login.
    pub user: String,
    /// Whether it is the login that changes the target.
    pub writes: bool,
    /// What a run would do without there, one sentence each; the fault where it could not log in, or
    /// would be refused.
    pub outcome: Result<Vec<String>, Fault>,
}

impl Brokerage {
    /// Logs in to each granted database of each SQL slot, as the login that reads and as the one that
    /// writes, and begins a transaction. Each login is on record; no statement of the manifest is sent.
    pub async fn survey(&self) -> Vec<Surveyed> {
        let mut all = Vec::new();
        for (name, slot) in &self.shared.slots {
            let SlotRuntime::Sql(slot) = slot else { continue };
            for database in &slot.grant.databases {
                let reading = self.reading(name, slot, database).await;
                all.push(surveyed(name, database, &slot.grant.read.user, false, reading));
                if let Some(login) = &slot.grant.write {
                    let writing = self.writing(name, slot, database).await;
                    all.push(surveyed(name, database, &login.user, true, writing));
                }
            }
        }
        all
    }

    async fn reading(&self, name: &SlotName, slot: &SqlSlot, database: &str) -> Result<Vec<String>, CallError> {
        let session = ReadSession::begin(slot, database).await?;
        let login = &slot.grant.read.user;
        self.record(name, slot, database, login, session.address(), Step::IdentityStore)?;
        Ok(session.lacks(slot))
    }

    async fn writing(&self, name: &SlotName, slot: &SqlSlot, database: &str) -> Result<Vec<String>, CallError> {
        let session = WriteSession::connect(slot, database).await?;
        let login = slot.writer()?;
        self.record(name, slot, database, &login.user, session.address(), Step::AccessToTarget)?;
        Ok(Vec::new())
    }

    /// Puts a login on record, as that of the first step in which a run makes it.
    fn record(
        &self,
        name: &SlotName,
        slot: &SqlSlot,
        database: &str,
        user: &str,
        address: std::net::SocketAddr,
        step: Step,
    ) -> Result<(), Fault> {
        let event = Event::Connect {
            place: Place { target: self.shared.target.to_string(), step },
            slot: name.to_string(),
            at: database.to_owned(),
            user: user.to_owned(),
            address: address.to_string(),
            tls: slot.grant.tls.word().to_owned(),
        };
        self.shared.ledger.append(&event).map_err(|error| Fault::denied(error.to_string()))
    }
}

fn surveyed(
    slot: &SlotName,
    database: &str,
    user: &str,
    writes: bool,
    outcome: Result<Vec<String>, CallError>,
) -> Surveyed {
    let outcome = outcome.map_err(|error| match error {
        CallError::Fault(fault) => fault,
        CallError::Leak(leak) => Fault::new(FaultKind::Denied, format!("an answer holds a secret: {leak}")),
    });
    Surveyed { slot: slot.clone(), database: database.to_owned(), user: user.to_owned(), writes, outcome }
}
