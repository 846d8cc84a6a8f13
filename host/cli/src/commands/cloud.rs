//! `raito cloud`

use std::io::Write as _;
use std::path::Path;

use raito_cloud::{Client, Listen};
use raito_config::CloudChoice;
use raito_core::digest::Hasher;
use raito_core::exchange::CloudError;
use raito_core::limits;
use raito_core::text::escape;

use super::configuration;
use crate::args::{Cloud, Global};
use crate::cloud::{Connected, Serving, SocketPath, start};
use crate::codes;
use crate::error::CliError;
use crate::exit::Exit;
use crate::files;
use crate::memory;
use crate::render::{data, data_with, is_printed, say};
use crate::state_dir::StateDir;

/// Serves or asks the embedded cloud.
pub(super) async fn run(global: &Global, args: &Cloud) -> Result<Exit, CliError> {
    let state = configuration::state_alone(global)?;
    match args {
        Cloud::Serve { listen, behind_proxy } => {
            if !listen.ip().is_loopback() && !behind_proxy {
                let error = CliError::new(
                    codes::USAGE,
                    format!("{listen} can be reached by other machines, and nothing encrypts the connection"),
                );
                return Err(
                    error.help("put a server with TLS in front of it and say --behind-proxy, or listen on 127.0.0.1")
                );
            }
            serve(&state, *listen).await
        }
        Cloud::Export { digest } => export(&state, *digest).await,
        Cloud::Get { path } => {
            let answer = ask(&state, async |client| client.get(&rooted(path)).await).await?;
            Ok(shown(&answer))
        }
        Cloud::Post { path, file, version } => {
            let body = file.as_deref().map(json_file).transpose()?;
            let answer = ask(&state, async |client| client.post(&rooted(path), body.as_ref(), *version).await).await?;
            Ok(shown(&answer))
        }
        Cloud::Put { path, file, version } => {
            let body = json_file(file)?;
            let answer = ask(&state, async |client| client.put(&rooted(path), &body, *version).await).await?;
            Ok(shown(&answer))
        }
        Cloud::Delete { path, version } => {
            let answer = ask(&state, async |client| client.delete(&rooted(path), *version).await).await?;
            Ok(shown(&answer))
        }
        Cloud::Token { name, scope } => {
            let asked = serde_json::json!({ "name": name, "scopes": scope });
            let answer = ask(&state, async |client| client.post("/tokens", Some(&asked), None).await).await?;
            data(answer["token"].as_str().unwrap_or_default());
            if !is_printed() {
                // Nobody has it, and nobody can ask for it again.
                let path = format!("/tokens/{}", answer["id"].as_str().unwrap_or_default());
                ask(&state, async |client| client.delete(&path, None).await).await?;
                say(&format!("the token {} was taken away again", escape(name)));
            }
            Ok(Exit::Done)
        }
    }
}

/// Prints an answer, where it has a body.
fn shown(answer: &serde_json::Value) -> Exit {
    if !answer.is_null() {
        data(&seen(&format!("{answer:#}")));
    }
    Exit::Done
}

/// The same JSON, with every character that cannot be seen as an escape: people read it in a terminal.
fn seen(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for character in json.chars() {
        let mut bytes = [0; 4];
        let text = character.encode_utf8(&mut bytes);
        // Nothing but the form of the JSON is a line feed.
        if character == '\n' || escape(text) == *text {
            shown.push(character);
        } else {
            let mut units = [0; 2];
            character.encode_utf16(&mut units).iter().for_each(|unit| shown.push_str(&format!("\\u{unit:04x}")));
        }
    }
    shown
}

/// The JSON of a file.
fn json_file(file: &Path) -> Result<serde_json::Value, CliError> {
    let bytes = files::read(file, limits::CLOUD_BODY_BYTES, codes::FILE)?;
    serde_json::from_slice(&bytes)
        .map_err(|error| CliError::new(codes::FILE, format!("{}: {error}", files::shown(file))))
}

/// A path as the API has it, also where somebody left out its first slash.
fn rooted(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

/// Asks the embedded cloud one question.
async fn ask(
    state: &StateDir,
    question: impl AsyncFnOnce(&Client) -> Result<serde_json::Value, CloudError>,
) -> Result<serde_json::Value, CliError> {
    let cloud = connect(state).await?;
    let answer = question(&cloud.client).await;
    cloud.close().await;
    answer.map_err(|error| CliError::from(&error))
}

async fn connect(state: &StateDir) -> Result<Connected, CliError> {
    Connected::open(&CloudChoice::Embedded, state, Path::new("."), Serving::Alone).await
}

async fn serve(state: &StateDir, address: std::net::SocketAddr) -> Result<Exit, CliError> {
    let lock = state.lock_cloud()?.map_err(|process| {
        CliError::new(
            codes::STATE_BUSY,
            format!("another raito (process {process}) serves this embedded cloud already"),
        )
    })?;
    let (port, bound) = Listen::port(address).map_err(|error| CliError::new(codes::CLOUD_FAILED, error.to_string()))?;
    memory::keep_to_itself()?;
    let (mut served, _) = start(state, lock, SocketPath::new(state.path())?, vec![port], Serving::Others).await?;
    say(&format!("the cloud listens on http://{bound}; make a token with `raito cloud token NAME`"));
    tokio::select! {
        () = served.running.wait() => {}
        _ = interrupted() => {}
    }
    served.stop().await;
    Ok(Exit::Done)
}

/// Waits for SIGINT or SIGTERM.
pub(super) async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
        (Ok(mut interrupt), Ok(mut terminate)) => {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
        _ => std::future::pending().await,
    }
}

async fn export(state: &StateDir, only_digest: bool) -> Result<Exit, CliError> {
    let cloud = connect(state).await?;
    let mut hasher = Hasher::default();
    let exported = cloud
        .client
        .export(|bytes| {
            hasher.update(bytes);
            if !only_digest {
                data_with(|out| out.write_all(bytes));
            }
        })
        .await;
    cloud.close().await;
    exported.map_err(|error| CliError::from(&error))?;
    if only_digest {
        data(&hasher.finish().to_string());
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_an_escape_of_the_same_json() {
        let value = serde_json::json!({ "name": "a\u{9b}31m\u{200b}\u{202e}\u{e0041}ä\n" });
        let shown = seen(&format!("{value:#}"));
        assert_eq!(shown, "{\n  \"name\": \"a\\u009b31m\\u200b\\u202e\\udb40\\udc41ä\\n\"\n}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).expect("JSON"), value);
    }
}
