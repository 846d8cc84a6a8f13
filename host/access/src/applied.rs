//! The last applied state: what each access control held when the target was last as the files say. It lets a later look at the
//! target tell who moved, the files or somebody else.
//!
//! It is written only where the target was as the files say, so what was held then is what was wanted then.

use std::collections::BTreeMap;

use raito_core::catalogue::Catalogue;
use raito_core::digest::Digest;
use raito_core::exchange::Desired;
use raito_core::marker::unmarked;
use raito_core::record::{AccessControl, AccessEntry, Identity, Member, ObjectRef, PermissionUse, Standing, What};
use raito_core::text::{ExternalId, Name, TargetName};
use serde::{Deserialize, Serialize};

use crate::convert::entry_text;
use crate::document::Entry;
use crate::evaluate::{Evaluation, Question};

/// The version of the form of states.
const VERSION: u32 = 1;

/// What was applied last, target by target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Applied {
    /// The version of this form.
    pub v: u32,
    /// Who is master of what the files said.
    pub repository: String,
    /// The targets.
    pub targets: BTreeMap<TargetName, AppliedTarget>,
}

/// What was applied to one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AppliedTarget {
    /// What tells this instance of the target from every other one.
    pub instance: ExternalId,
    /// When it was read, in milliseconds since 1970.
    pub at_ms: u64,
    /// Digests of the files, by path.
    pub files: BTreeMap<String, Digest>,
    /// What the files said, by the id of the access control.
    pub controls: BTreeMap<Name, AppliedControl>,
}

/// One access control.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AppliedControl {
    /// The digest of its entry; none for what no entry named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<Digest>,
    /// What it held.
    pub facts: Facts,
}

/// What is held, in words: what it is, and the options that it has.
pub type Facts = BTreeMap<String, String>;

/// Why a text is no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAState {
    /// It cannot be read.
    #[error("it is no state of an apply: {0}")]
    Json(String),
    /// It is of another version.
    #[error("it is a state of version {0}, and this program reads version {VERSION}")]
    Version(u32),
}

impl Applied {
    /// A state without targets.
    pub fn new(repository: String) -> Self {
        Self { v: VERSION, repository, targets: BTreeMap::new() }
    }

    /// Reads a state.
    ///
    /// # Errors
    /// `NotAState` where it is none, or one of another version.
    pub fn parse(text: &str) -> Result<Self, NotAState> {
        let state: Self = serde_json::from_str(text).map_err(|error| NotAState::Json(error.to_string()))?;
        if state.v == VERSION { Ok(state) } else { Err(NotAState::Version(state.v)) }
    }

    /// The state as text.
    pub fn text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a state has text keys");
        text.push('\n');
        text
    }
}

impl AppliedTarget {
    /// The state of a target that is as the files say.
    pub fn new(question: &Question<'_>, evaluation: &Evaluation, files: BTreeMap<String, Digest>) -> Self {
        let entries = entries(question);
        let control = |desired: &Desired| {
            let entry = entries.get(&desired.id).map(|entry| entry_digest(entry));
            (desired.id.clone(), AppliedControl { entry, facts: held(question.catalogue, desired) })
        };
        let wanted = evaluation.desired.iter().chain(&evaluation.observed).filter(|desired| !desired.delete);
        Self {
            instance: question.catalogue.description.instance_id.clone(),
            at_ms: question.now_ms,
            files,
            controls: wanted.map(control).collect(),
        }
    }
}

/// The entries about the target, by id.
pub(crate) fn entries<'q>(question: &Question<'q>) -> BTreeMap<&'q Name, &'q Entry> {
    let here = question.code.entries.iter().filter(|entry| entry.target == *question.target);
    here.map(|entry| (&entry.id, entry)).collect()
}

/// What an entry says, whatever place it stands in.
pub(crate) fn entry_digest(entry: &Entry) -> Digest {
    Digest::of(entry_text(entry).as_bytes())
}

/// What is held of what is wanted: of an access control with a name, all that was read; of lines of lists, what is wanted, since
/// the lists are as the files say.
fn held(catalogue: &Catalogue, desired: &Desired) -> Facts {
    let kind = catalogue.description.control_kind(&desired.control.kind);
    if kind.is_some_and(|kind| kind.identity != Identity::Named) {
        return lines(&desired.control);
    }
    let actual = desired.external_id.as_ref().and_then(|id| catalogue.controls.get(id));
    actual.map(facts).unwrap_or_default()
}

/// What an access control with a name holds.
pub(crate) fn facts(control: &AccessControl) -> Facts {
    let mut facts = Facts::new();
    facts.insert("name".to_owned(), control.actual_name.to_string());
    facts.insert("description".to_owned(), unmarked(&control.description).to_string());
    rule(control, &mut facts);
    facts.extend(control.who.iter().map(member));
    for what in &control.what {
        for used in &what.permissions {
            let (key, options) = permission(what, used);
            // Several may have granted the same.
            let known = facts.entry(key).or_default();
            *known = if known.is_empty() { options } else { std::mem::take(known) };
        }
    }
    for given in &control.standing {
        facts.extend(given.permissions.iter().map(|used| standing(given, used)));
    }
    facts
}

/// What an access control is as lines of lists.
fn lines(control: &AccessControl) -> Facts {
    let mut facts = Facts::new();
    rule(control, &mut facts);
    for what in &control.what {
        for member in &control.who {
            let entry = AccessEntry {
                member: member.clone(),
                permissions: what.permissions.clone(),
                condition: what.condition.clone(),
            };
            facts.extend(entry.permissions.iter().map(|used| line(&what.object, &entry, used)));
        }
    }
    facts
}

fn rule(control: &AccessControl, facts: &mut Facts) {
    if let Some(policy) = &control.policy {
        facts.insert("rule".to_owned(), serde_json::to_string(policy).expect("a policy has text keys"));
    }
}

/// A member, as a fact.
pub(crate) fn member(member: &Member) -> (String, String) {
    let flags = [
        (!member.inherits, "does not inherit"),
        (!member.assumable, "cannot switch"),
        (member.may_pass_on, "may admit others"),
    ];
    let options: Vec<&str> = flags.into_iter().filter(|(is_set, _)| *is_set).map(|(_, word)| word).collect();
    (format!("member {} {}", member.kind.word(), member.id), options.join(", "))
}

/// The option of a permission that may be granted on.
pub(crate) const PASSES_ON: &str = "may be granted on";

fn options(used: &PermissionUse) -> String {
    if used.may_pass_on { PASSES_ON.to_owned() } else { String::new() }
}

/// A permission, as a fact.
pub(crate) fn permission(what: &What, used: &PermissionUse) -> (String, String) {
    let condition = what.condition.as_ref().map(|condition| format!(" if {condition}")).unwrap_or_default();
    (format!("{} on {}{condition}", used.name, what.object), options(used))
}

/// A permission on later objects, as a fact.
pub(crate) fn standing(given: &Standing, used: &PermissionUse) -> (String, String) {
    let by = given.creator.as_ref().map(|creator| format!(" of {creator}")).unwrap_or_default();
    (format!("{} on later {}{by} below {}", used.name, given.kind, given.under), options(used))
}

/// A permission in a line of a list, as a fact.
pub(crate) fn line(object: &ObjectRef, entry: &AccessEntry, used: &PermissionUse) -> (String, String) {
    let who = &entry.member;
    (format!("{} on {object} for {} {}", used.name, who.kind.word(), who.id), options(used))
}
