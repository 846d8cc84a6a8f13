//! The ways to misbehave towards the network: what the host must not send, and what must not come back.

use raito_sdk::{Call, Fault, http};

/// Does what the scenario says; nothing where it is about something else.
pub(crate) fn play(scenario: &str) -> Result<(), Fault> {
    match scenario {
        "http-twice" => {
            people().get()?;
            people().get()?;
        }
        "http-swallow" => {
            // What the host withheld is no reason for this connector to fail.
            let _ = people().get();
        }
        "http-pieces" => {
            let (_, body) = http::fetch(&people().build())?;
            while body.read(64 * 1024)?.is_some() {}
        }
        "http-many" => {
            let calls: Vec<_> =
                (0..40).map(|limit| Call::new("http.api", "people").integer("limit", limit).build()).collect();
            for done in http::send_all(&calls) {
                done?;
            }
        }
        "http-hold" => {
            let mut held = Vec::new();
            loop {
                held.push(http::fetch(&people().build())?);
            }
        }
        "http-header" => {
            drop(Call::new("http.api", "traced").text("trace", "a\r\nHost: elsewhere\r\n\r\nGET /").get()?)
        }
        "http-path" => drop(Call::new("http.api", "person").text("id", "../../admin").get()?),
        "http-path-encoded" => drop(Call::new("http.api", "person").text("id", "%2e%2e/admin").get()?),
        "http-long-url" => drop(Call::new("http.api", "person").text("id", "x".repeat(9 * 1024)).get()?),
        "http-upload" => loop {
            upload()?;
        },
        "http-upload-once" => upload()?,
        _ => {}
    }
    Ok(())
}

fn people() -> Call {
    Call::new("http.api", "people").integer("limit", 1)
}

/// Reads the same thing again and again.
pub(crate) fn call_without_end() -> Result<(), Fault> {
    loop {
        people().get()?;
    }
}

fn upload() -> Result<(), Fault> {
    Call::new("http.bulk", "upload").text("data", "x".repeat(60 * 1024)).get().map(drop)
}
