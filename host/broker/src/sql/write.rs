//! Writing: statements in order, in one transaction.

use raito_core::call::Outcome;
use raito_core::fault::{Fault, FaultKind};
use raito_core::vocabulary::SqlRequest;

use super::{Connected, SqlSlot, parameter_types, parameters};
use crate::told::{CallError, excerpt};

/// A database that step 4 changes.
pub(crate) struct WriteSession {
    connected: Connected,
}

impl WriteSession {
    /// Connects as the writer.
    pub(crate) async fn connect(slot: &SqlSlot, database: &str) -> Result<Self, CallError> {
        Ok(Self { connected: slot.connect_write(database).await? })
    }

    /// The address that it is connected to.
    pub(crate) fn address(&self) -> std::net::SocketAddr {
        self.connected.address
    }

    /// Runs the statements in one transaction: all of them take effect, or none.
    pub(crate) async fn execute(&self, requests: &[(String, SqlRequest)]) -> Result<Vec<Outcome>, CallError> {
        let client = &self.connected.client;
        self.connected.begin();
        client.batch_execute("BEGIN").await.map_err(|error| self.connected.failed("BEGIN", &error))?;
        let mut outcomes = Vec::with_capacity(requests.len());
        for (entry, request) in requests {
            match self.execute_one(entry, request).await {
                Ok(rows) => outcomes.push(Outcome::Executed(rows)),
                Err(failed) => {
                    // Where even this fails, the connection is gone, and the transaction with it.
                    let _ = client.batch_execute("ROLLBACK").await;
                    return Err(failed);
                }
            }
        }
        client.batch_execute("COMMIT").await.map_err(|error| self.connected.failed("COMMIT", &error))?;
        Ok(outcomes)
    }

    async fn execute_one(&self, entry: &str, request: &SqlRequest) -> Result<u64, CallError> {
        let client = &self.connected.client;
        let fault = |error| self.connected.failed(entry, &error);
        let types = parameter_types(request);
        self.connected.begin();
        let statement = client.prepare_typed(&request.text, &types).await.map_err(fault)?;
        self.connected.forget_warning();
        if let Some(role) = &request.as_role {
            client.batch_execute(&set_role(role)).await.map_err(fault)?;
        }
        let rows = client.execute_raw(&statement, parameters(request)).await.map_err(fault)?;
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

const RESET_ROLE: &str = "RESET ROLE";

fn set_role(role: &str) -> String {
    format!("SET LOCAL ROLE \"{}\"", role.replace('"', "\"\""))
}

/// All statements that a request becomes, in their order.
pub(crate) fn statements(request: &SqlRequest) -> Vec<String> {
    match &request.as_role {
        None => vec![request.text.clone()],
        Some(role) => vec![set_role(role), request.text.clone(), RESET_ROLE.to_owned()],
    }
}
