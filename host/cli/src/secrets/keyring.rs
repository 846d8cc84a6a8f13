//! The keyring of the user who runs raito: the Secret Service of the session bus (freedesktop.org), as GNOME Keyring, KWallet
//! and KeePassXC offer it. Nothing of it is written in C: the bus is spoken to by zbus.

use std::collections::HashMap;

use raito_core::limits;
use raito_core::text::escape;
use secret_service::{EncryptionType, Error, SecretService};
use tokio::time::timeout;

use crate::codes;
use crate::error::CliError;

/// The names under which programs keep the account: libraries of keyrings, and people with `secret-tool store`.
const ACCOUNT_KEYS: [&str; 2] = ["username", "account"];

/// Fetches the secret of an account of a service.
pub(super) async fn fetch(service: &str, account: &str) -> Result<String, CliError> {
    let what = format!("the keyring has no secret for account {} of service {}", escape(account), escape(service));
    let found = timeout(limits::SECRET_COMMAND, search(service, account)).await;
    let found = found.map_err(|_| {
        let seconds = limits::SECRET_COMMAND.as_secs();
        CliError::new(codes::SECRET, format!("the keyring does not answer within {seconds} s"))
            .help("unlock it, or see whether it asks for a password on another screen")
    })?;
    match found {
        Ok(Some(secret)) => {
            String::from_utf8(secret).map_err(|_| CliError::new(codes::SECRET, "the keyring's secret is not UTF-8"))
        }
        Ok(None) => Err(CliError::new(codes::SECRET, what).help(format!(
            "store it: secret-tool store --label raito service {} account {}",
            escape(service),
            escape(account)
        ))),
        Err(error) => Err(explain(&error)),
    }
}

async fn search(service: &str, account: &str) -> Result<Option<Vec<u8>>, Error> {
    // The session's traffic is encrypted between here and the keyring.
    let keyring = SecretService::connect(EncryptionType::Dh).await?;
    for key in ACCOUNT_KEYS {
        let found = keyring.search_items(HashMap::from([("service", service), (key, account)])).await?;
        if let Some(item) = found.unlocked.first() {
            return item.get_secret().await.map(Some);
        }
        if let Some(item) = found.locked.first() {
            item.unlock().await?;
            return item.get_secret().await.map(Some);
        }
    }
    Ok(None)
}

fn explain(error: &Error) -> CliError {
    let (message, help) = match error {
        Error::Locked | Error::Prompt | Error::PromptDisconnected => {
            ("the keyring is locked".to_owned(), "unlock it, and run again")
        }
        Error::Unavailable => (
            "nobody on the session bus keeps secrets".to_owned(),
            "start a keyring, such as gnome-keyring-daemon; or write { file: PATH } or { command: [PROGRAM] }",
        ),
        // Without a bus there is nobody to ask: a service or a container has none.
        Error::Zbus(cause) => (
            format!(
                "there is no session bus, and so no keyring: {}",
                raito_core::text::excerpt(&cause.to_string(), 200)
            ),
            "run in the session of a user (DBUS_SESSION_BUS_ADDRESS); or write { file: PATH } or { command: [PROGRAM] }",
        ),
        other => (
            format!("the keyring failed: {}", raito_core::text::excerpt(&other.to_string(), 200)),
            "see whether another program gets the secret; or write { file: PATH } or { command: [PROGRAM] }",
        ),
    };
    CliError::new(codes::SECRET, message).help(help)
}
