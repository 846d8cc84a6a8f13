//! `raito who`: who can really do what.

use raito_cloud::Client;
use raito_config::CloudChoice;
use raito_core::exchange::CloudError;
use raito_core::limits;
use raito_core::text::escape;
use serde_json::Value;

use super::configuration;
use crate::args::{Global, Output, Who};
use crate::cloud::{Connected, Serving};
use crate::codes;
use crate::error::CliError;
use crate::exit::Exit;
use crate::render::who::{Answers, csv, explanation, head, indirect, object, table};
use crate::render::{data, say};

/// Answers that are asked for at once.
const PAGE: usize = 1_000;

/// Asks the cloud and prints the answer.
pub(super) async fn run(global: &Global, args: &Who) -> Result<Exit, CliError> {
    let state = configuration::state_alone(global)?;
    let (choice, base) = match configuration::path(global) {
        Ok(_) => configuration::load(global).map(|loaded| (loaded.configuration.cloud, loaded.base))?,
        // A state directory is enough for the embedded cloud.
        Err(_) => (CloudChoice::Embedded, std::path::PathBuf::from(".")),
    };
    let cloud = Connected::open(&choice, &state, &base, Serving::Alone).await?;
    let answered = answer(&cloud.client, global, args).await;
    cloud.close().await;
    answered
}

/// One question to one source.
struct Question {
    source: String,
    verb: &'static str,
    asked: Vec<(&'static str, String)>,
}

async fn answer(client: &Client, global: &Global, args: &Who) -> Result<Exit, CliError> {
    let questions = questions(client, args).await?;
    let (mut complete, mut printed) = (true, Vec::new());
    for question in questions {
        let path = format!("/sources/{}/{}", encoded(&question.source), question.verb);
        let mut answers = if question.verb == "explain" {
            let first = get(client, &format!("{path}?{}", query(args, &question.asked)?)).await?;
            Answers { first, ..Answers::default() }
        } else {
            pages(client, &path, args, &question.asked).await?
        };
        complete &= is_complete(&answers.first, question.verb == "access");
        answers.source = question.source;
        printed.push(answers);
    }
    print(global, args.explain.is_some(), &printed);
    if args.strict && !complete {
        say("not everything was read, or is defined, that could change this answer");
        return Ok(Exit::Failed);
    }
    Ok(Exit::Done)
}

/// What is asked of which sources: about an object the one that has it, about somebody all in which he has an account.
async fn questions(client: &Client, args: &Who) -> Result<Vec<Question>, CliError> {
    let question = |source: String, verb, asked| Question { source, verb, asked };
    match (args.explain.as_deref(), &args.user, &args.object) {
        (Some([user, object, permission]), ..) => {
            let (source, object) = object_of(client, args, object).await?;
            let user = account_in(client, &source, user).await?;
            let asked = vec![("user", user), ("object", object), ("permission", permission.clone())];
            Ok(vec![question(source, "explain", asked)])
        }
        (_, Some(user), _) => {
            let accounts = accounts(client, args, user).await?;
            Ok(accounts.into_iter().map(|(source, id)| question(source, "access", vec![("user", id)])).collect())
        }
        (_, _, Some(object)) => {
            let (source, object) = object_of(client, args, object).await?;
            Ok(vec![question(source, "who", vec![("object", object)])])
        }
        _ => Err(CliError::new(codes::USAGE, "name an object, or --user")),
    }
}

/// The source that has an object, and the object as the cloud takes it.
async fn object_of(client: &Client, args: &Who, called: &str) -> Result<(String, String), CliError> {
    if let Some(source) = &args.source {
        return Ok((source.clone(), called.to_owned()));
    }
    let found = get(client, &format!("/objects?called={}", encoded(called))).await?;
    let found: Vec<&Value> = found["items"].as_array().into_iter().flatten().collect();
    let source = |item: &Value| item["source"].as_str().unwrap_or_default().to_owned();
    match found.as_slice() {
        [one] => Ok((source(one), one["object"].to_string())),
        [] => Err(CliError::new(codes::USAGE, format!("there is no object {}", escape(called)))
            .help("write its path with dots, such as schema.table; `raito run` reads what there is")),
        several => {
            let names = several.iter().take(5).map(|item| format!("{} in {}", object(&item["object"]), source(item)));
            let names: Vec<String> = names.collect();
            let message = format!("{} objects are called {}: {}", several.len(), escape(called), names.join("; "));
            Err(CliError::new(codes::USAGE, message).help("write its kind and whole path, or name one with --source"))
        }
    }
}

/// The accounts of everybody who may be meant: one list a person.
async fn persons(client: &Client, called: &str) -> Result<Vec<Vec<Value>>, CliError> {
    let people = get(client, &format!("/people?account={}", encoded(called))).await?;
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut persons: Vec<Vec<Value>> = list(&people["linked"]).iter().map(list).collect();
    let doubtful = list(&people["doubtful"]).into_iter().flat_map(|doubtful| list(&doubtful["accounts"]));
    let mut alone: Vec<Value> = doubtful.chain(list(&people["unmatched"])).collect();
    alone.sort_by_key(Value::to_string);
    alone.dedup();
    persons.extend(alone.into_iter().map(|account| vec![account]));
    Ok(persons)
}

fn text(account: &Value, key: &str) -> String {
    account[key].as_str().unwrap_or_default().to_owned()
}

/// The account that is meant in one source. Who has the same name elsewhere does not matter there.
async fn account_in(client: &Client, source: &str, called: &str) -> Result<String, CliError> {
    let mut persons = persons(client, called).await?;
    persons.iter_mut().for_each(|accounts| accounts.retain(|account| text(account, "store") == source));
    persons.retain(|accounts| !accounts.is_empty());
    match persons.as_slice() {
        [] => Ok(called.to_owned()),
        [one] => Ok(one.first().map_or_else(|| called.to_owned(), |account| text(account, "external-id"))),
        several => Err(may_be(several, called)),
    }
}

/// The accounts of the person who is meant, in sources with access: source and external id.
async fn accounts(client: &Client, args: &Who, called: &str) -> Result<Vec<(String, String)>, CliError> {
    if let Some(source) = &args.source {
        return Ok(vec![(source.clone(), called.to_owned())]);
    }
    match persons(client, called).await?.as_slice() {
        [one] => {
            let sources = get(client, "/sources").await?;
            let sources = sources["items"].as_array().cloned().unwrap_or_default();
            let has_access =
                |store: &str| sources.iter().any(|item| item["name"] == store && item["description"].is_object());
            let accounts = one.iter().map(|account| (text(account, "store"), text(account, "external-id")));
            let accounts: Vec<(String, String)> = accounts.filter(|(store, _)| has_access(store)).collect();
            if accounts.is_empty() {
                let message = format!("no source was read in which {} has an account", escape(called));
                return Err(CliError::new(codes::USAGE, message));
            }
            Ok(accounts)
        }
        [] => only_named(client, called).await,
        several => Err(may_be(several, called)),
    }
}

/// The sources in which somebody is a member of something, although no read tells of an account.
/// Everybody who is listed for an object is found by name as well.
async fn only_named(client: &Client, called: &str) -> Result<Vec<(String, String)>, CliError> {
    let sources = get(client, "/sources").await?;
    let mut found = Vec::new();
    for source in sources["items"].as_array().into_iter().flatten().filter(|item| item["description"].is_object()) {
        let source = text(source, "name");
        let path = format!("/sources/{}/access?user={}&limit=1", encoded(&source), encoded(called));
        match client.get(&path).await {
            Ok(_) => found.push((source, called.to_owned())),
            Err(CloudError::Refused(_)) => {}
            Err(error) => return Err(CliError::from(&error)),
        }
    }
    if found.is_empty() {
        return Err(CliError::new(codes::USAGE, format!("there is no user {}", escape(called))));
    }
    Ok(found)
}

fn may_be(several: &[Vec<Value>], called: &str) -> CliError {
    let name =
        |account: &Value| format!("{} in {}", escape(&text(account, "user-name")), escape(&text(account, "store")));
    let names: Vec<String> = several.iter().flatten().take(10).map(name).collect();
    let message = format!("{} may be different people: {}", escape(called), names.join("; "));
    CliError::new(codes::USAGE, message).help("name one with --source, or say what links their accounts")
}

fn print(global: &Global, explained: bool, all: &[Answers]) {
    match global.output {
        Output::Csv if !explained => csv(all).iter().for_each(|line| data(line)),
        Output::Human => {
            for answers in all {
                head(&answers.source, &answers.first).iter().for_each(|line| data(line));
                if explained {
                    explanation(&answers.first).iter().for_each(|line| data(line));
                } else {
                    table(answers).iter().for_each(|line| data(line));
                    indirect(&answers.first).iter().for_each(|line| data(line));
                }
            }
        }
        _ => {
            for answers in all {
                let mut whole = answers.first.clone();
                whole["source"] = Value::String(answers.source.clone());
                if !explained {
                    whole["items"] = Value::Array(answers.items.clone());
                }
                data(&whole.to_string());
            }
        }
    }
}

/// All answers, up to the limit.
async fn pages(client: &Client, path: &str, args: &Who, asked: &[(&str, String)]) -> Result<Answers, CliError> {
    let mut answers = Answers::default();
    let mut cursor: Option<String> = None;
    let mut empty = 0;
    loop {
        let limit = (args.limit - answers.items.len()).clamp(1, PAGE).to_string();
        let mut wanted = asked.to_vec();
        wanted.push(("limit", limit));
        let more = [("permission", &args.permission), ("how", &args.how), ("cursor", &cursor)];
        wanted.extend(more.into_iter().filter_map(|(key, value)| value.clone().map(|value| (key, value))));
        let page = get(client, &format!("{path}?{}", query(args, &wanted)?)).await?;
        let items = page["items"].as_array().cloned().unwrap_or_default();
        empty = if items.is_empty() { empty + 1 } else { 0 };
        if empty > limits::EMPTY_PAGES_IN_A_ROW {
            return Err(CliError::new(codes::CLOUD_FAILED, format!("it gave {empty} pages without an item in a row")));
        }
        answers.items.extend(items);
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
    let answer = client.get(path).await.map_err(|error| match &error {
        CloudError::Refused(fault) => CliError::new(codes::USAGE, fault.message.to_string()),
        _ => CliError::from(&error),
    })?;
    if answer.is_object() { Ok(answer) } else { Err(CliError::new(codes::CLOUD_FAILED, "its answer is no object")) }
}

fn query(args: &Who, pairs: &[(&str, String)]) -> Result<String, CliError> {
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

/// Whether the answer rests on complete reads alone, and nothing is left out that could change it: what is not granted can
/// change what somebody holds everywhere, but not what is held on an object that was read.
fn is_complete(answer: &Value, everywhere: bool) -> bool {
    let coverage = &answer["coverage"];
    let empty = |key: &str| coverage[key].as_array().is_none_or(Vec::is_empty);
    let reads = coverage["reads"].as_array();
    // Usage changes nothing of who may do what.
    let is_whole = |read: &Value| read["complete-ms"] == read["newest-ms"] || read["step"] == "data-usage";
    let whole = reads.is_some_and(|reads| !reads.is_empty() && reads.iter().all(is_whole));
    let told = ["gaps", "incomplete", "not-expanded", "undefined"].into_iter().all(empty);
    whole && told && (!everywhere || empty("not-granted"))
}
