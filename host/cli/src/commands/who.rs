//! `raito who`: who can really do what.

use raito_cloud::Client;
use raito_config::CloudChoice;
use raito_core::exchange::CloudError;
use raito_core::text::escape;
use serde_json::Value;

use super::configuration;
use crate::args::{Global, Output, Who};
use crate::cloud::Connected;
use crate::codes;
use crate::error::CliError;
use crate::exit::Exit;
use crate::render::who::{Answers, csv, explanation, head, indirect, table};
use crate::render::{data, say};

/// Answers that are asked for at once.
const PAGE: usize = 1_000;

/// Asks the cloud and prints the answer.
pub(super) async fn run(global: &Global, args: &Who) -> Result<Exit, CliError> {
    let state = configuration::state_alone(global)?;
    let (choice, base) = match configuration::load(global) {
        Ok(loaded) => (loaded.configuration.cloud, loaded.base),
        Err(_) => (CloudChoice::Embedded, std::path::PathBuf::from(".")),
    };
    let cloud = Connected::open(&choice, &state, &base).await?;
    let answered = answer(&cloud.client, global, args).await;
    cloud.close().await;
    answered
}

async fn answer(client: &Client, global: &Global, args: &Who) -> Result<Exit, CliError> {
    let source = source(client, args).await?;
    let path = |verb: &str| format!("/sources/{}/{verb}", encoded(&source));
    let complete = if let Some([user, object, permission]) = args.explain.as_deref() {
        let query = query(args, &[("user", user), ("object", object), ("permission", permission)])?;
        let answer = get(client, &format!("{}?{query}", path("explain"))).await?;
        print_explanation(global, &source, &answer);
        is_complete(&answer)
    } else {
        let (verb, asked) = match (&args.user, &args.object) {
            (Some(user), _) => ("access", ("user", user.as_str())),
            (None, Some(object)) => ("who", ("object", object.as_str())),
            (None, None) => return Err(CliError::new(codes::USAGE, "name an object, or --user")),
        };
        let answers = pages(client, &path(verb), args, asked).await?;
        print_answers(global, &source, &answers);
        is_complete(&answers.first)
    };
    if args.strict && !complete {
        say("not everything was read that could change this answer");
        return Ok(Exit::Failed);
    }
    Ok(Exit::Done)
}

fn print_explanation(global: &Global, source: &str, answer: &Value) {
    match global.output {
        Output::Human => {
            head(source, answer).iter().for_each(|line| data(line));
            explanation(answer).iter().for_each(|line| data(line));
        }
        Output::Json | Output::Csv => data(&answer.to_string()),
    }
}

fn print_answers(global: &Global, source: &str, answers: &Answers) {
    match global.output {
        Output::Human => {
            head(source, &answers.first).iter().for_each(|line| data(line));
            table(answers).iter().for_each(|line| data(line));
            indirect(&answers.first).iter().for_each(|line| data(line));
        }
        Output::Csv => csv(answers).iter().for_each(|line| data(line)),
        Output::Json => {
            let mut whole = answers.first.clone();
            whole["items"] = Value::Array(answers.items.clone());
            data(&whole.to_string());
        }
    }
}

/// All answers, up to the limit.
async fn pages(client: &Client, path: &str, args: &Who, asked: (&str, &str)) -> Result<Answers, CliError> {
    let mut answers = Answers { first: Value::Null, items: Vec::new(), more: false };
    let mut cursor: Option<String> = None;
    loop {
        let limit = (args.limit - answers.items.len()).clamp(1, PAGE).to_string();
        let mut wanted = vec![asked, ("limit", limit.as_str())];
        if let Some(permission) = &args.permission {
            wanted.push(("permission", permission));
        }
        if let Some(how) = &args.how {
            wanted.push(("how", how));
        }
        if let Some(cursor) = &cursor {
            wanted.push(("cursor", cursor));
        }
        let page = get(client, &format!("{path}?{}", query(args, &wanted)?)).await?;
        answers.items.extend(page["items"].as_array().cloned().unwrap_or_default());
        cursor = page["next-cursor"].as_str().map(str::to_owned);
        if answers.first.is_null() {
            answers.first = page;
        }
        answers.more = cursor.is_some();
        if cursor.is_none() || answers.items.len() >= args.limit {
            return Ok(answers);
        }
    }
}

async fn get(client: &Client, path: &str) -> Result<Value, CliError> {
    client.get(path).await.map_err(|error| match &error {
        CloudError::Refused(fault) => CliError::new(codes::USAGE, fault.message.to_string()),
        _ => CliError::from(&error),
    })
}

/// The source that is asked: the named one, or the only one.
async fn source(client: &Client, args: &Who) -> Result<String, CliError> {
    if let Some(name) = &args.source {
        return Ok(name.clone());
    }
    let sources = get(client, "/sources").await?;
    let names: Vec<&str> =
        sources["items"].as_array().into_iter().flatten().filter_map(|item| item["name"].as_str()).collect();
    match names.as_slice() {
        [one] => Ok((*one).to_owned()),
        [] => Err(CliError::new(codes::USAGE, "the cloud knows no source yet").help("run `raito run` first")),
        several => Err(CliError::new(codes::USAGE, format!("there are several sources: {}", several.join(", ")))
            .help("name one with --source")),
    }
}

fn query(args: &Who, pairs: &[(&str, &str)]) -> Result<String, CliError> {
    let mut parts: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}={}", encoded(value))).collect();
    if let Some(text) = &args.as_of {
        let time: jiff::Timestamp = text.parse().map_err(|_| {
            CliError::new(codes::USAGE, format!("--as-of: {} is no time", escape(text)))
                .help("write it as in 2026-01-31T12:00:00Z (RFC 3339)")
        })?;
        parts.push(format!("as-of={}", time.as_millisecond().max(0)));
    }
    Ok(parts.join("&"))
}

fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// Whether the answer rests on complete reads alone, and nothing is left out that could change it.
fn is_complete(answer: &Value) -> bool {
    let coverage = &answer["coverage"];
    let empty = |key: &str| coverage[key].as_array().is_none_or(Vec::is_empty);
    let reads = coverage["reads"].as_array();
    let whole = reads
        .is_some_and(|reads| !reads.is_empty() && reads.iter().all(|read| read["complete-ms"] == read["newest-ms"]));
    whole && empty("gaps") && empty("incomplete") && empty("not-expanded")
}
