//! Plans: what will be done, written down so that it can be read, kept, and carried out later exactly as it stands.
//!
//! A plan holds no time and nothing that another run of the same files against the same target would not have as well, so two
//! plans are equal where they mean the same.

mod entity;

use std::collections::{BTreeMap, BTreeSet};

use raito_core::call::Argument;
use raito_core::catalogue::Catalogue;
use raito_core::decide::{Counts, Decision, Protected, removals};
use raito_core::digest::Digest;
use raito_core::plan::RecordedCall;
use raito_core::record::{AccessControl, Change, ChangeSet, MemberKind};
use raito_core::text::{ExternalId, Kind, Name, Remark, TargetName};
use raito_core::threshold::{OverThreshold, Thresholds};
use serde::{Deserialize, Serialize};

use crate::effect::Effects;

pub(crate) use entity::Names;
pub use entity::{Entity, Line, Sign, entities};

/// The version of the form of plans.
const VERSION: u32 = 1;

/// A plan for all targets that files speak of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Plan {
    /// The version of this form.
    pub v: u32,
    /// Who is master of what files say, such as `git:corp/access`.
    pub repository: String,
    /// The commit that is checked out, where it can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Digests of all files, by path.
    pub files: BTreeMap<String, Digest>,
    /// The digest of the configuration.
    pub configuration: Digest,
    /// The plan for each target.
    pub targets: Vec<TargetPlan>,
}

/// A plan for one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TargetPlan {
    /// The target.
    pub target: TargetName,
    /// What tells this instance of it from every other one.
    pub instance: ExternalId,
    /// The digest of the connector.
    pub connector: Digest,
    /// What changes, access control by access control.
    pub entities: Vec<Entity>,
    /// The change-sets that the connector carries out.
    pub sets: Vec<ChangeSet>,
    /// The calls that it makes for them, in order.
    pub calls: Vec<PlannedCall>,
    /// Digests of all access controls that are touched, as they were read, by external id.
    pub fingerprints: BTreeMap<ExternalId, Digest>,
    /// How much is taken away, by kind of access control.
    pub counts: BTreeMap<Kind, Counts>,
    /// How many access controls are deleted.
    pub drops: u64,
    /// What comes of it for people.
    pub effects: Effects,
    /// What cannot be done, with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Refused>,
    /// What differs in files that only observe.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observed: Vec<Entity>,
}

/// Something that cannot be done.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Refused {
    /// The access control, as files call it.
    pub id: Name,
    /// Why.
    pub reason: Remark,
}

impl Refused {
    /// In words.
    pub fn line(&self) -> String {
        format!("{}: {}", self.id, self.reason)
    }
}

/// A call that was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PlannedCall {
    /// The slot.
    pub slot: String,
    /// The entry of the manifest.
    pub entry: String,
    /// The place that it goes to, where its slot has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// The arguments.
    pub arguments: Vec<Argument>,
    /// The position of the change-set that it is for.
    pub set: usize,
    /// What will be sent, for people.
    pub shown: String,
}

impl From<&RecordedCall> for PlannedCall {
    fn from(call: &RecordedCall) -> Self {
        let RecordedCall { slot, entry, at, arguments, set, shown, on_record: _ } = call.clone();
        Self { slot, entry, at, arguments, set, shown }
    }
}

impl PlannedCall {
    /// Whether another call does the same, whatever change-set it is for.
    pub fn does_the_same(&self, other: &Self) -> bool {
        (&self.slot, &self.entry, &self.at, &self.arguments) == (&other.slot, &other.entry, &other.at, &other.arguments)
    }
}

/// Why a text is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAPlan {
    /// It cannot be read.
    #[error("it is no plan: {0}")]
    Json(String),
    /// It is of another version.
    #[error("it is a plan of version {0}, and this program reads version {VERSION}")]
    Version(u32),
}

/// Why a person has to say that a plan is meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TooMuch {
    /// So many permissions and members of one kind of access control would go.
    #[error(transparent)]
    Share(#[from] OverThreshold),
    /// So many access controls would go.
    #[error(
        "{drops} access controls would be deleted, and at most {at_most} are deleted at once; {total} permissions, members and \
         access controls would be removed in all"
    )]
    Drops {
        /// How many.
        drops: u64,
        /// How many may go without a word.
        at_most: u64,
        /// How much would be removed in all: the number to type.
        total: u64,
    },
}

impl TooMuch {
    /// How much would be removed in all: the number to type.
    pub fn total(&self) -> u64 {
        match self {
            Self::Share(over) => over.total,
            Self::Drops { total, .. } => *total,
        }
    }
}

impl Plan {
    /// A plan.
    pub fn new(repository: String, commit: Option<String>, configuration: Digest) -> Self {
        Self { v: VERSION, repository, commit, files: BTreeMap::new(), configuration, targets: Vec::new() }
    }

    /// Reads a plan.
    ///
    /// # Errors
    /// `NotAPlan` where it is none, or one of another version.
    pub fn parse(text: &str) -> Result<Self, NotAPlan> {
        let plan: Self = serde_json::from_str(text).map_err(|error| NotAPlan::Json(error.to_string()))?;
        if plan.v == VERSION { Ok(plan) } else { Err(NotAPlan::Version(plan.v)) }
    }

    /// The plan as text.
    pub fn text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a plan has text keys");
        text.push('\n');
        text
    }

    /// What identifies it.
    pub fn digest(&self) -> Digest {
        Digest::of(self.text().as_bytes())
    }

    /// Whether anything is to be done.
    pub fn has_changes(&self) -> bool {
        self.targets.iter().any(|target| !target.sets.is_empty())
    }
}

/// What a plan for a target is made of.
pub struct Parts<'p> {
    /// The target.
    pub target: &'p TargetName,
    /// What was read of it.
    pub catalogue: &'p Catalogue,
    /// The digest of the connector.
    pub connector: Digest,
    /// What was decided.
    pub decision: &'p Decision,
    /// What was decided for files that only observe.
    pub observed: &'p Decision,
    /// The change-sets that can be carried out.
    pub sets: &'p [ChangeSet],
    /// Their calls.
    pub calls: &'p [RecordedCall],
    /// What the connector said cannot be done.
    pub failed: Vec<Refused>,
    /// What comes of it.
    pub effects: Effects,
}

impl TargetPlan {
    /// Puts a plan together.
    pub fn new(parts: Parts<'_>) -> Self {
        let Parts { target, catalogue, connector, decision, observed, sets, calls, failed, effects } = parts;
        let refused = decision
            .refused
            .iter()
            .chain(&observed.refused)
            .map(|(id, reason)| Refused { id: id.clone(), reason: remark(reason) });
        let untold = "the target could not tell it whole, so nobody knows whether it is as the files say";
        let unknown = decision.unknown.iter().chain(&observed.unknown);
        let unknown = unknown.map(|id| Refused { id: id.clone(), reason: remark(untold) });
        let mut refused: Vec<Refused> = refused.chain(failed).chain(unknown).collect();
        refused.sort();
        refused.dedup();
        Self {
            target: target.clone(),
            instance: catalogue.description.instance_id.clone(),
            connector,
            entities: entities(sets, catalogue),
            sets: sets.to_vec(),
            calls: calls.iter().map(PlannedCall::from).collect(),
            fingerprints: fingerprints(sets, catalogue),
            counts: decision.counts.clone(),
            drops: sets.iter().filter(|set| set.changes.contains(&Change::Delete)).count() as u64,
            effects,
            refused,
            observed: entities(&observed.sets, catalogue),
        }
    }

    /// What must be said by number before so much is taken away: how many permissions, members and access controls.
    ///
    /// # Errors
    /// `TooMuch` where a person has to say so. `allowed` is the number that one typed.
    pub fn check(&self, thresholds: &Thresholds, drops: u64, allowed: Option<u64>) -> Result<(), TooMuch> {
        let removals = removals(&self.counts);
        thresholds.check(&removals, allowed)?;
        let total = removals.iter().map(|removal| removal.removed).sum();
        if self.drops > drops && allowed != Some(total) {
            return Err(TooMuch::Drops { drops: self.drops, at_most: drops, total });
        }
        Ok(())
    }

    /// People among those who are never touched who would lose something, with what.
    pub fn locks_out(&self, catalogue: &Catalogue, protected: &Protected) -> Vec<String> {
        let is_kept = |name: &Name| {
            catalogue.users.iter().any(|user| user.user_name == *name && protected.users.contains(&user.external_id))
        };
        let of = |effect: &crate::effect::Effect| {
            let kept = effect.lose.iter().filter(|name| is_kept(name));
            kept.map(|name| format!("{name} would lose {} on {}", effect.permission, effect.object)).collect::<Vec<_>>()
        };
        self.effects.effects.iter().flat_map(of).collect()
    }

    /// What is not as it was when a plan was made: this one is of now.
    pub fn moved_since(&self, planned: &Self) -> Vec<String> {
        let mut moved = Vec::new();
        if self.instance != planned.instance {
            moved.push(format!("the target is another one: {} instead of {}", self.instance, planned.instance));
        }
        if self.connector != planned.connector {
            moved.push("the connector is another one".to_owned());
        }
        let name = |id: &ExternalId| {
            let of = |plan: &Self| {
                let set = plan.sets.iter().find(|set| set.external_id.as_ref() == Some(id));
                set.map(|set| format!("{} {}", set.kind, set.actual_name))
            };
            of(self).or_else(|| of(planned)).unwrap_or_else(|| format!("the access control {id}"))
        };
        for (id, digest) in &planned.fingerprints {
            match self.fingerprints.get(id) {
                Some(now) if now == digest => {}
                Some(_) => moved.push(format!("{} was changed", name(id))),
                // Of a member it is said with the call that makes him one.
                None if planned.sets.iter().all(|set| set.external_id.as_ref() != Some(id)) => {}
                None => moved.push(format!("{} is gone, or is as it is to be by now", name(id))),
            }
        }
        let is_new = |call: &&PlannedCall| !planned.calls.iter().any(|known| known.does_the_same(call));
        let is_gone = |call: &&PlannedCall| !self.calls.iter().any(|known| known.does_the_same(call));
        moved.extend(self.calls.iter().filter(is_new).map(|call| format!("now it would also send: {}", call.shown)));
        moved.extend(
            planned.calls.iter().filter(is_gone).map(|call| format!("it would no longer send: {}", call.shown)),
        );
        if moved.is_empty() && (self.calls != planned.calls || self.sets != planned.sets) {
            moved.push("the changes are the same in another order, or with other descriptions".to_owned());
        }
        moved.extend(self.effects.moved_since(&planned.effects));
        moved
    }

    /// What this plan would do that another one does not: the calls that an apply which broke off has not left to be done.
    pub fn beyond<'s>(&'s self, planned: &Self) -> Vec<&'s PlannedCall> {
        let is_new = |call: &&PlannedCall| !planned.calls.iter().any(|known| known.does_the_same(call));
        self.calls.iter().filter(is_new).collect()
    }
}

/// Digests of the access controls that change-sets are about, and of those that they make members or take them from.
fn fingerprints(sets: &[ChangeSet], catalogue: &Catalogue) -> BTreeMap<ExternalId, Digest> {
    let mut ids: BTreeSet<&ExternalId> = BTreeSet::new();
    for set in sets {
        ids.extend(&set.external_id);
        for change in &set.changes {
            if let Change::AddMembers(list) | Change::RemoveMembers(list) | Change::SetMemberOptions(list) = change {
                let named = list.iter().filter(|member| member.kind == MemberKind::AccessControl);
                ids.extend(named.map(|member| &member.id));
            }
        }
    }
    let digest = |id: &ExternalId| Some((id.clone(), fingerprint(catalogue.controls.get(id)?)));
    ids.into_iter().filter_map(digest).collect()
}

/// The digest of an access control as it was read, whatever order its members and facts came in.
fn fingerprint(control: &AccessControl) -> Digest {
    let mut sorted = control.clone();
    sorted.who.sort();
    sorted.what.iter_mut().for_each(|what| what.permissions.sort());
    sorted.what.sort();
    sorted.standing.iter_mut().for_each(|standing| standing.permissions.sort());
    sorted.standing.sort();
    Digest::of(&serde_json::to_vec(&sorted).expect("a record has text keys"))
}

fn remark(text: &str) -> Remark {
    let short: String = text.chars().filter(|character| *character != '\0').take(2_000).collect();
    Remark::new(short).expect("two thousand characters without NUL are a remark")
}
