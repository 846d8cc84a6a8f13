//! Scenarios: what a target answered, as a file that people can read and write.
//!
//! The form is described in `host/docs/connectors.md`. Reading is strict: an unknown key is a mistake.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use raito_core::fault::Fault;
use raito_core::limits;
use raito_core::manifest::{Manifest, SettingType, SettingValue};
use raito_core::ports::Place;
use raito_core::step::Step;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::argument::Arguments;

/// Why a scenario cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScenarioError {
    /// It is larger than a scenario may be.
    #[error("it has more than {} bytes", limits::SCENARIO_BYTES)]
    TooLarge,
    /// It is no JSON of this form.
    #[error("{0}")]
    Form(String),
    /// Its settings are not those that the connector declares.
    #[error("settings: {0}")]
    Settings(String),
    /// It names something that the manifest does not have.
    #[error("{place}: {reason}")]
    Unknown {
        /// Where it stands.
        place: String,
        /// What is not there.
        reason: String,
    },
}

/// What a target answered, and what was to come of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Scenario {
    /// What it is about, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// Settings, as the connector is told them; of the others, the defaults.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
    /// Slots that are bound, by their full names.
    pub slots: BTreeMap<String, Bound>,
    /// The time of day, in milliseconds since 1970.
    #[serde(default)]
    pub now_ms: u64,
    /// From when on step 5 reads, in milliseconds since 1970; none where it reads everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage_since_ms: Option<u64>,
    /// The connector's state of earlier runs, each value in base64.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub state: BTreeMap<String, String>,
    /// What each step must come to. Steps without a row are read as well, where the connector exports them and `steps` does not
    /// leave them out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub expect: BTreeMap<Step, Expected>,
    /// The steps that the answers are for; all that the connector exports where it is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    /// The answers. Where the same is asked several times, they are given in this order, and the last one again.
    pub answers: Vec<Answer>,
}

/// A slot that is bound: the shape of a grant, without where it leads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Bound {
    /// What a call can choose from, such as databases.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub at: Vec<String>,
    /// Whether writing is granted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub write: bool,
}

/// What a reading step comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Expected {
    /// Records, counted as a run counts them.
    pub records: u64,
    /// What could not be read.
    pub gaps: u64,
}

/// The answer to one call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Answer {
    /// The slot, such as `http.api`.
    pub slot: String,
    /// The entry.
    pub entry: String,
    /// The place that the call chose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// The arguments of the call, all of them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub arguments: Arguments,
    /// What came back.
    pub answer: Content,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Content {
    /// An answer over HTTP.
    Http(HttpAnswer),
    /// Rows of a statement.
    Rows(Rows),
    /// The broker's word that it did not succeed.
    Fault(Fault),
}

/// An answer over HTTP.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HttpAnswer {
    /// The status code.
    pub status: u16,
    /// Header fields, names in lower case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// The body; empty where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
}

/// A body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Body {
    /// A JSON value.
    Json(Json),
    /// A text.
    Text(String),
    /// Bytes, in base64.
    Base64(String),
}

/// Rows of a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Rows {
    /// The columns' names.
    pub columns: Vec<String>,
    /// The rows: a text or null for each column.
    pub rows: Vec<Vec<Option<String>>>,
}

impl Body {
    /// The body of these bytes, as JSON where nothing is lost by it.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return None;
        }
        let Ok(text) = std::str::from_utf8(bytes) else { return Some(Self::Base64(STANDARD.encode(bytes))) };
        match serde_json::from_str::<Json>(text) {
            Ok(value) if is_exact(&value) => Some(Self::Json(value)),
            _ => Some(Self::Text(text.to_owned())),
        }
    }

    /// The bytes.
    pub(crate) fn bytes(&self) -> Result<Vec<u8>, &'static str> {
        match self {
            Self::Json(value) => Ok(value.to_string().into_bytes()),
            Self::Text(text) => Ok(text.clone().into_bytes()),
            Self::Base64(text) => STANDARD.decode(text).map_err(|_| "it is no base64"),
        }
    }
}

/// Whether a value is written again as it was read: fractions may not be.
fn is_exact(value: &Json) -> bool {
    match value {
        Json::Number(number) => !number.is_f64(),
        Json::Array(items) => items.iter().all(is_exact),
        Json::Object(members) => members.values().all(is_exact),
        Json::Null | Json::Bool(_) | Json::String(_) => true,
    }
}

impl Scenario {
    /// Reads a scenario.
    ///
    /// # Errors
    /// `ScenarioError` says where it has another form.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        if text.len() > limits::SCENARIO_BYTES {
            return Err(ScenarioError::TooLarge);
        }
        let scenario: Self = serde_json::from_str(text).map_err(|error| ScenarioError::Form(error.to_string()))?;
        for (at, answer) in scenario.answers.iter().enumerate() {
            let Content::Http(HttpAnswer { body: Some(body), .. }) = &answer.answer else { continue };
            body.bytes().map_err(|reason| unknown(format!("answers[{at}].answer.http.body"), reason))?;
        }
        for (key, value) in &scenario.state {
            STANDARD.decode(value).map_err(|_| unknown(format!("state.{key}"), "it is no base64"))?;
        }
        Ok(scenario)
    }

    /// The scenario as a file has it: one answer a line, so that a change of one is a change of a line.
    pub fn text(&self) -> String {
        let mut outer = serde_json::to_value(Self { answers: Vec::new(), ..self.clone() }).unwrap_or_default();
        if let Some(members) = outer.as_object_mut() {
            members.remove("answers");
        }
        let outer = serde_json::to_string_pretty(&outer).unwrap_or_default();
        let head = outer.trim_end().strip_suffix('}').unwrap_or_default().trim_end();
        let answers: Vec<String> = self
            .answers
            .iter()
            .map(|answer| format!("    {}", serde_json::to_string(answer).unwrap_or_default()))
            .collect();
        format!("{head},\n  \"answers\": [\n{}\n  ]\n}}\n", answers.join(",\n"))
    }

    /// The settings that the connector is told, with the defaults of those that the scenario leaves out.
    pub(crate) fn settings(&self, manifest: &Manifest) -> Result<Vec<(String, String)>, ScenarioError> {
        let typed = |(key, text): (&String, &String)| {
            let declared = manifest.settings.get(key.as_str()).map(|setting| setting.kind);
            let value = match declared {
                Some(SettingType::Integer) => text.parse().map(SettingValue::Integer).ok(),
                Some(SettingType::Boolean) => text.parse().map(SettingValue::Boolean).ok(),
                Some(SettingType::List) => Some(SettingValue::List(text.lines().map(str::to_owned).collect())),
                Some(SettingType::Text) | None => None,
            };
            (key.clone(), value.unwrap_or_else(|| SettingValue::Text(text.clone())))
        };
        let given = self.settings.iter().map(typed).collect();
        let resolved = manifest.resolve_settings(&given).map_err(|wrong| {
            let said: Vec<String> = wrong.iter().map(ToString::to_string).collect();
            ScenarioError::Settings(said.join("; "))
        })?;
        Ok(resolved.into_iter().map(|(key, value)| (key.to_string(), value)).collect())
    }

    /// The slots as a connector is told them. Each must be one of the manifest.
    pub(crate) fn places(&self, manifest: &Manifest) -> Result<Vec<Place>, ScenarioError> {
        let known = |name: &str| manifest.slots.keys().any(|slot| slot.to_string() == name);
        if let Some(name) = self.slots.keys().find(|name| !known(name)) {
            return Err(unknown(format!("slots.{name}"), "the manifest has no such slot"));
        }
        let place =
            |(slot, bound): (&String, &Bound)| Place { slot: slot.clone(), at: bound.at.clone(), write: bound.write };
        Ok(self.slots.iter().map(place).collect())
    }

    /// Whether the answers are for a step.
    pub(crate) fn covers(&self, step: Step) -> bool {
        self.steps.is_empty() || self.steps.contains(&step)
    }
}

fn unknown(place: String, reason: &str) -> ScenarioError {
    ScenarioError::Unknown { place, reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use raito_core::fault::FaultKind;

    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let answer = |answer| Answer {
            slot: "http.api".into(),
            entry: "people".into(),
            at: None,
            arguments: Arguments::from([("limit".into(), 2.into())]),
            answer,
        };
        let http =
            |bytes: &[u8]| HttpAnswer { status: 200, headers: vec![("a".into(), "b".into())], body: Body::of(bytes) };
        let bodies: [&[u8]; 5] = [b"", b"{\"a\":1}", b"[1.5]", b"text", b"\xff"];
        for body in bodies {
            assert_eq!(Body::of(body).map_or(Ok(Vec::new()), |body| body.bytes()), Ok(body.to_vec()));
        }
        let rows = Rows { columns: vec!["a".into()], rows: vec![vec![None], vec![Some("x".into())]] };
        let scenario = Scenario {
            about: "three answers".into(),
            slots: BTreeMap::from([("http.api".into(), Bound::default())]),
            expect: BTreeMap::from([(Step::IdentityStore, Expected { records: 1, gaps: 0 })]),
            answers: bodies
                .map(|body| answer(Content::Http(http(body))))
                .into_iter()
                .chain([
                    answer(Content::Rows(rows)),
                    answer(Content::Fault(Fault::new(FaultKind::Unavailable, "gone"))),
                ])
                .collect(),
            ..Scenario::default()
        };
        assert_eq!(Scenario::parse(&scenario.text()), Ok(scenario));
    }

    #[test]
    fn a_mistake_is_named() {
        let said = |text: &str| Scenario::parse(text).expect_err(text).to_string();
        assert!(said("{}").contains("slots"));
        assert!(said(r#"{"slots":{},"answers":[],"anwers":[]}"#).contains("anwers"));
        let body = r#"{"slots":{},"answers":[{"slot":"a","entry":"b","answer":{"http":{"status":200,"body":{"base64":"?"}}}}]}"#;
        assert_eq!(said(body), "answers[0].answer.http.body: it is no base64");
    }
}
