//! Writing: statements in order, in one transaction.

use raito_core::call::Outcome;
use raito_core::fault::{Fault, FaultKind};
use raito_core::vocabulary::SqlRequest;

use super::settings::{self, Purpose};
use super::{Connected, SqlSlot};
use crate::told::{CallError, excerpt};

/// A database that step 4 changes.
pub(crate) struct WriteSession {
    connected: Connected,
    /// Where it is, for people.
    place: String,
}

impl WriteSession {
    /// Connects as the writer, and refuses a login that could leave the database.
    pub(crate) async fn connect(slot: &SqlSlot, database: &str) -> Result<Self, CallError> {
        let session = Self { connected: slot.connect_write(database).await?, place: slot.place(database) };
        session.begin().await?;
        slot.check_powers(&session.connected, slot.writer()?).await?;
        session.roll_back().await;
        Ok(session)
    }

    async fn begin(&self) -> Result<(), CallError> {
        settings::begin(&self.connected, "BEGIN", Purpose::Write, &self.place).await.map(|_| ())
    }

    async fn roll_back(&self) {
        self.connected.begin();
        // Where even this fails, the connection is gone, and the transaction with it.
        let _ = self.connected.client.batch_execute("ROLLBACK").await;
    }

    /// The address that it is connected to.
    pub(crate) fn address(&self) -> std::net::SocketAddr {
        self.connected.address
    }

    /// Runs the statements in one transaction: all of them take effect, or none.
    pub(crate) async fn execute(&self, requests: &[(String, SqlRequest)]) -> Result<Vec<Outcome>, CallError> {
        self.begin().await?;
        let mut outcomes = Vec::with_capacity(requests.len());
        for (entry, request) in requests {
            match self.execute_one(entry, request).await {
                Ok(rows) => outcomes.push(Outcome::Executed(rows)),
                Err(failed) => {
                    self.roll_back().await;
                    return Err(failed);
                }
            }
        }
        self.connected.begin();
        self.connected.client.batch_execute("COMMIT").await.map_err(|error| self.connected.failed("COMMIT", &error))?;
        Ok(outcomes)
    }

    async fn execute_one(&self, entry: &str, request: &SqlRequest) -> Result<u64, CallError> {
        let client = &self.connected.client;
        let fault = |error| self.connected.failed(entry, &error);
        // A write statement is complete: no extension has a part in it.
        let text = request.text.to_string();
        self.connected.begin();
        self.connected.forget_warning();
        if let Some(role) = &request.as_role {
            client.batch_execute(&set_role(role)).await.map_err(fault)?;
        }
        let rows = client.execute_typed(&text, &[]).await.map_err(fault)?;
        if request.as_role.is_some() {
            client.batch_execute(RESET_ROLE).await.map_err(fault)?;
        }
        match self.connected.warning() {
            None => Ok(rows),
            Some(message) => {
                let message = excerpt(self.connected.watch(), &message, 300)?;
                Err(Fault::new(FaultKind::Conflict, format!("{entry}: the server only warned: {message}")).into())
            }
        }
    }
}

const RESET_ROLE: &str = "SET LOCAL ROLE NONE";

fn set_role(role: &str) -> String {
    format!("SET LOCAL ROLE \"{}\"", role.replace('"', "\"\""))
}

/// All statements that a request becomes, in their order.
pub(crate) fn statements(request: &SqlRequest) -> Vec<String> {
    match &request.as_role {
        None => vec![request.text.to_string()],
        Some(role) => vec![set_role(role), request.text.to_string(), RESET_ROLE.to_owned()],
    }
}
