//! `raito.yml`: the cloud and the targets.

use std::collections::{BTreeMap, BTreeSet};

use marked_yaml::Node;
use raito_core::grant::{ConnectorPin, Drift, Handling, Origin, SecretSource, Send, Target};
use raito_core::limits;
use raito_core::manifest::SettingValue;
use raito_core::step::Step;
use raito_core::text::TargetName;
use raito_core::threshold::{DROP_COUNT, Thresholds};

use crate::grants::{grants, origin, secret};
use crate::keys::{AUDIT, CLOUD, CONFIGURATION, CONNECTOR, DRIFT, HANDLING, RECORDED, SEND, STEPS, TARGET, THRESHOLDS};
use crate::mistake::Mistake;
use crate::reader::{Fields, Reader, node_place, parse};

/// Which control plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloudChoice {
    /// The one that comes with raito, beside the configuration.
    Embedded,
    /// Another one.
    Remote {
        /// Where.
        url: Origin,
        /// Its token.
        token: SecretSource,
        /// A file with certificates to trust.
        ca: Option<String>,
    },
}

/// A configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Configuration {
    /// The control plane.
    pub cloud: CloudChoice,
    /// The targets, in their order.
    pub targets: Vec<Target>,
}

/// Reads a configuration. `variables` gives environment variables for `{{NAME}}`.
///
/// # Errors
/// All mistakes of the text, in their order.
pub fn read_configuration(
    text: &str,
    variables: &dyn Fn(&str) -> Option<String>,
) -> Result<Configuration, Vec<Mistake>> {
    let node = parse(text).map_err(|mistake| vec![mistake])?;
    let mut reader = Reader::new(variables);
    let configuration = configuration(&mut reader, &node);
    reader.mistakes.sort();
    match configuration {
        Some(configuration) if reader.mistakes.is_empty() => Ok(configuration),
        _ => Err(reader.mistakes),
    }
}

fn configuration(reader: &mut Reader<'_>, node: &Node) -> Option<Configuration> {
    let fields = reader.map(node, CONFIGURATION)?;
    let cloud = fields.get("cloud").map_or(Some(CloudChoice::Embedded), |node| cloud(reader, node));
    let mut targets = Vec::new();
    let mut names = BTreeSet::new();
    if let Some(list) = fields.get("targets") {
        let items = reader.list(list);
        if items.len() > limits::TARGETS {
            reader.wrong(node_place(list), format!("at most {} targets are run", limits::TARGETS), None);
        }
        for item in items {
            if let Some(target) = target(reader, item) {
                if !names.insert(target.name.clone()) {
                    reader.wrong(node_place(item), format!("there are two targets {}", target.name), None);
                }
                targets.push(target);
            }
        }
    }
    Some(Configuration { cloud: cloud?, targets })
}

fn cloud(reader: &mut Reader<'_>, node: &Node) -> Option<CloudChoice> {
    if let Some(word) = node.as_scalar() {
        if word.as_str() == "embedded" {
            return Some(CloudChoice::Embedded);
        }
        let help = "write embedded, or { url: https://…, token: { env: RAITO_TOKEN } }".to_owned();
        reader.wrong(node_place(node), "this is no cloud", Some(help));
        return None;
    }
    let fields = reader.map(node, CLOUD)?;
    let url = fields.get("url").and_then(|node| {
        let url = origin(reader, node)?;
        if !url.tls && !url.is_loopback() {
            let help = Some("begin it with https://; without encryption the token could be read on the way".to_owned());
            reader.wrong(node_place(node), "the cloud's URL is not encrypted", help);
        }
        Some(url)
    });
    let token = fields.get("token").and_then(|node| secret(reader, node));
    let ca = fields.get("ca").and_then(|node| reader.text(node));
    Some(CloudChoice::Remote { url: url?, token: token?, ca })
}

fn target(reader: &mut Reader<'_>, node: &Node) -> Option<Target> {
    let fields = reader.map(node, TARGET)?;
    let name: Option<TargetName> = fields.get("name").and_then(|node| reader.parsed(node));
    let connector = fields.get("connector").and_then(|node| connector(reader, node));
    let settings = fields.get("settings").map(|node| settings(reader, node)).unwrap_or_default();
    let grants = fields.get("grants").map(|node| grants(reader, node)).unwrap_or_default();
    let steps = fields.get("steps").map_or_else(|| Step::ALL.into(), |node| steps(reader, node));
    let drift = match fields.get("drift").and_then(|node| reader.word(node, DRIFT)) {
        Some(1) => Drift::Revert,
        _ => Drift::Report,
    };
    let break_glass = fields.get("break-glass").map(|node| reader.all_parsed(node)).unwrap_or_default();
    let send = fields.get("send").map(|node| send(reader, node)).unwrap_or_default();
    let recorded_members = fields.get("audit").map_or(Handling::Keep, |node| recorded_members(reader, node));
    let thresholds = fields.get("thresholds").map(|node| thresholds(reader, node)).unwrap_or_default();
    let drop_count = fields.get("thresholds").map_or(DROP_COUNT, |node| drop_count(reader, node));
    Some(Target {
        name: name?,
        connector: connector?,
        settings,
        grants,
        steps,
        drift,
        break_glass,
        send,
        recorded_members,
        thresholds,
        drop_count,
    })
}

fn connector(reader: &mut Reader<'_>, node: &Node) -> Option<ConnectorPin> {
    let fields = reader.map(node, CONNECTOR)?;
    let sha256 = fields.get("sha256").and_then(|node| reader.parsed(node));
    Some(ConnectorPin { file: fields.get("file").and_then(|node| reader.text(node))?, sha256 })
}

/// Settings as the configuration has them; what they may be, only the manifest knows.
fn settings(reader: &mut Reader<'_>, node: &Node) -> BTreeMap<String, SettingValue> {
    let mut settings = BTreeMap::new();
    let Some(fields) = reader.names(node, "the connector's settings, each with its value") else { return settings };
    for (key, value) in fields.iter() {
        if let Some(value) = setting(reader, value) {
            settings.insert(key.as_str().to_owned(), value);
        }
    }
    settings
}

fn setting(reader: &mut Reader<'_>, node: &Node) -> Option<SettingValue> {
    if node.as_sequence().is_some() {
        return Some(SettingValue::List(reader.all_parsed(node)));
    }
    let Some(scalar) = node.as_scalar() else {
        reader.wrong(node_place(node), "a setting is a text, a number, true or false, or a list of texts", None);
        return None;
    };
    // A value that comes whole from a variable is what it looks like, as if it stood here.
    let from_variable = scalar.as_str().starts_with("{{") && scalar.as_str().ends_with("}}");
    let text = if scalar.as_str().is_empty() { String::new() } else { reader.text_with_variables(node)? };
    if !scalar.may_coerce() && !from_variable {
        return Some(SettingValue::Text(text));
    }
    Some(match (text.as_str(), text.parse::<i64>()) {
        ("true", _) => SettingValue::Boolean(true),
        ("false", _) => SettingValue::Boolean(false),
        (_, Ok(number)) => SettingValue::Integer(number),
        _ => SettingValue::Text(text),
    })
}

fn steps(reader: &mut Reader<'_>, node: &Node) -> BTreeSet<Step> {
    let mut steps: BTreeSet<Step> = Step::ALL.into();
    if let Some(fields) = reader.map(node, STEPS) {
        for step in Step::ALL {
            let wanted = fields.get(step.name()).and_then(|node| reader.boolean(node));
            if wanted == Some(false) {
                steps.remove(&step);
            }
        }
    }
    steps
}

fn send(reader: &mut Reader<'_>, node: &Node) -> Send {
    let mut send = Send::default();
    if let Some(fields) = reader.map(node, SEND) {
        let handling = |reader: &mut Reader<'_>, fields: &Fields<'_>, key: &str, usual: Handling| match fields
            .get(key)
            .and_then(|node| reader.word(node, HANDLING))
        {
            None => usual,
            Some(0) => Handling::Keep,
            Some(1) => Handling::Hash,
            Some(_) => Handling::Drop,
        };
        send = Send {
            email: handling(reader, &fields, "email", send.email),
            display_name: handling(reader, &fields, "display-name", send.display_name),
            query_text: handling(reader, &fields, "query-text", send.query_text),
        };
    }
    send
}

/// How members stand in the audit log.
fn recorded_members(reader: &mut Reader<'_>, node: &Node) -> Handling {
    let word = reader.map(node, AUDIT).and_then(|fields| reader.word(fields.get("members")?, RECORDED));
    if word == Some(1) { Handling::Hash } else { Handling::Keep }
}

fn thresholds(reader: &mut Reader<'_>, node: &Node) -> Thresholds {
    let mut thresholds = Thresholds::default();
    if let Some(fields) = reader.map(node, THRESHOLDS) {
        let percent = fields.get("remove-percent").and_then(|node| reader.integer(node, 0, 100));
        let count = fields.get("remove-count").and_then(|node| reader.integer(node, 0, i64::MAX));
        if let Some(percent) = percent.and_then(|percent| u8::try_from(percent).ok()) {
            thresholds.remove_percent = percent;
        }
        if let Some(count) = count.and_then(|count| u64::try_from(count).ok()) {
            thresholds.remove_count = count;
        }
    }
    thresholds
}

/// How many access controls access code may delete at once.
fn drop_count(reader: &mut Reader<'_>, node: &Node) -> u64 {
    let value = node.as_mapping().and_then(|thresholds| thresholds.get_node("drop-count"));
    let count = value.and_then(|node| reader.integer(node, 0, i64::MAX));
    count.and_then(|count| u64::try_from(count).ok()).unwrap_or(DROP_COUNT)
}
