//! Drafts: what people ask an internal access control to be, checked against what its source has said of itself.

use raito_core::naming::{Alphabet, check};
use raito_core::record::{AccessControl, Action, Description, Lock, Member, Policy, Standing, What};
use raito_core::text::{ExternalId, Kind, Name, Remark};
use raito_core::unite::conforms;
use schemars::JsonSchema;
use serde::Deserialize;

use super::App;
use super::answer::Refusal;

/// What an internal access control is to be.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Draft {
    /// The name for people.
    name: Name,
    /// The technical name. Where it is absent it stays as it is, or is made from the name.
    #[serde(default)]
    actual_name: Option<Name>,
    /// The control kind.
    kind: Kind,
    /// What it is for.
    #[serde(default = "no_remark")]
    description: Remark,
    /// What it does.
    #[serde(default = "grant")]
    action: Action,
    /// Its members.
    #[serde(default)]
    who: Vec<Member>,
    /// Its facts.
    #[serde(default)]
    what: Vec<What>,
    /// Its standing grants.
    #[serde(default)]
    standing: Vec<Standing>,
    /// What a mask or a filter does.
    #[serde(default)]
    policy: Option<Policy>,
    /// What must not be changed at the target.
    #[serde(default)]
    locks: Vec<Lock>,
}

fn grant() -> Action {
    Action::Grant
}

fn no_remark() -> Remark {
    Remark::new("").expect("a remark may be empty")
}

impl Draft {
    fn record(self, id: ExternalId, actual_name: Name) -> AccessControl {
        AccessControl {
            external_id: id,
            actual_name,
            name: self.name,
            kind: self.kind,
            description: self.description,
            action: self.action,
            version: None,
            who: self.who,
            what: self.what,
            standing: self.standing,
            policy: self.policy,
            locks: self.locks,
            internalizable: true,
            incomplete: false,
            tags: Vec::new(),
        }
    }
}

/// The record under this id, where it fits what the source has said of itself. Without a technical name it keeps the one that
/// it has, or gets one that the target takes and that nobody has.
pub(super) async fn checked(
    app: &App,
    source: (i64, &str),
    draft: Draft,
    id: ExternalId,
    known: Option<&AccessControl>,
) -> Result<AccessControl, Refusal> {
    let description = described(app, source.1).await?;
    let is_named = description.control_kind(&draft.kind).is_some_and(|kind| !kind.identity.is_list());
    let given = draft.actual_name.clone().or_else(|| known.map(|known| known.actual_name.clone()));
    let actual_name = match given {
        Some(name) => name,
        None if is_named => made(app, source.0, &draft.name, &id, &description).await?,
        None => draft.name.clone(),
    };
    let control = draft.record(id, actual_name);
    conforms(&control, &description).map_err(|bad| Refusal::invalid(bad.to_string()))?;
    let kind = description.control_kind(&control.kind).filter(|kind| kind.can_create);
    let kind =
        kind.ok_or_else(|| Refusal::invalid(format!("access controls of kind {} cannot be created", control.kind)))?;
    if let Some(member) = control.who.iter().find(|member| !kind.can_be_wanted(member.kind)) {
        let words: Vec<&str> = kind.admits.iter().map(|kind| kind.word()).collect();
        let (given, admits) = (member.kind.word(), words.join(", "));
        return Err(Refusal::invalid(format!("a {} admits {admits}, and {} is a {given}", control.kind, member.id)));
    }
    Ok(control)
}

/// What a source has said of itself.
pub(super) async fn described(app: &App, source: &str) -> Result<Description, Refusal> {
    let known = app.store.sources().await?.into_iter().find(|row| row.name == source);
    let description = known.and_then(|row| row.description);
    let description =
        description.ok_or_else(|| Refusal::invalid("the source has not described itself yet: run it once"))?;
    serde_json::from_value(description).map_err(|error| Refusal::invalid(format!("the source's description: {error}")))
}

/// A technical name: the name for people where the target takes it and nobody has it, else one that is made of it.
async fn made(
    app: &App,
    source: i64,
    name: &Name,
    id: &ExternalId,
    description: &Description,
) -> Result<Name, Refusal> {
    let refused = |error: &dyn std::fmt::Display| Refusal::invalid(format!("actual-name: {error}"));
    let is_taken = app.store.names_like(source, name.as_str(), id).await?.contains(name.as_str());
    if !is_taken && check(name.as_str(), description).is_ok() {
        return Ok(name.clone());
    }
    let alphabet = Alphabet::of(description);
    let base = alphabet.translate(name.as_str()).map_err(|error| refused(&error))?;
    let taken = app.store.names_like(source, &base, id).await?;
    let made = alphabet.unique(name.as_str(), &taken).map_err(|error| refused(&error))?;
    check(&made, description).map_err(|reason| refused(&reason))?;
    Name::new(made).map_err(|error| refused(&error))
}
