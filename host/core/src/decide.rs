//! Deciding what to change: from what is to be and what a whole read found, to the changes of each entity.
//!
//! The connector carries out, it never decides. What cannot be decided safely is refused here, with the reason, and the
//! other access controls go on. Three states are compared: what is to be, what is, and what was after the last change that
//! was carried out. What differs from that last state was changed by hand: that is drift, which is reported, and reverted only
//! where the target's configuration says so.

mod bundle;
mod drift;
mod lists;
mod named;
mod rule;
mod same;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::exchange::Desired;
use crate::fact::Unread;
use crate::grant::Drift;
use crate::marker::Master;
use crate::parts::in_parts;
use crate::record::{AccessControl, Change, ChangeSet, Description, MemberKind};
use crate::text::{ExternalId, Kind, Name};
use crate::threshold::Removal;
use crate::unite::AccessControls;
use crate::warrant::Names;

pub use drift::{DriftItem, DriftKind};

/// What is never touched: the host's own logins, and those that the configuration keeps for emergencies.
#[derive(Debug, Clone, Default)]
pub struct Protected {
    /// Users, by external id.
    pub users: BTreeSet<ExternalId>,
    /// Access controls, by external id.
    pub controls: BTreeSet<ExternalId>,
}

impl Protected {
    fn has(&self, kind: MemberKind, id: &ExternalId) -> bool {
        match kind {
            MemberKind::User => self.users.contains(id),
            MemberKind::AccessControl | MemberKind::ActingAs => self.controls.contains(id),
            MemberKind::Group | MemberKind::Special | MemberKind::Recipient => false,
        }
    }
}

/// What is compared.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'s> {
    /// What is to be.
    pub desired: &'s [Desired],
    /// What a whole read found.
    pub actual: &'s AccessControls,
    /// How the target behaves.
    pub description: &'s Description,
    /// What the read left open.
    pub unread: &'s Unread,
    /// What becomes of changes that were made by hand.
    pub drift: Drift,
    /// Who is master of what is to be.
    pub master: &'s Master,
    /// What is never touched.
    pub protected: &'s Protected,
    /// How members are called, as far as that is known, for what is told of them.
    pub names: &'s Names,
}

/// An access control that is as it is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InSync {
    /// The cloud's id of it.
    pub id: Name,
    /// The id that the target gave it.
    pub external_id: Option<ExternalId>,
    /// As the target has it, where nobody knew that yet: a run that broke off could not tell. A repository is not told.
    pub applied: Option<Box<AccessControl>>,
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decision {
    /// The changes, entity by entity, in the order to carry them out.
    pub sets: Vec<ChangeSet>,
    /// For each of them the access controls that it is for. An object's list may be made by several.
    pub owners: Vec<Vec<Name>>,
    /// Access controls that are as they are to be.
    pub in_sync: Vec<InSync>,
    /// Access controls that nothing is to be done for, as far as was read: of each, something was not.
    pub unknown: Vec<Name>,
    /// Access controls that were to go and are gone.
    pub gone: Vec<Name>,
    /// Access controls that nothing is done for, each with the reason.
    pub refused: Vec<(Name, String)>,
    /// What was changed by hand, by access control.
    pub drift: Vec<(Name, DriftItem)>,
    /// How much the changes take away, by kind of access control.
    pub counts: BTreeMap<Kind, Counts>,
}

/// How much changes take away of access controls of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Counts {
    /// How many permissions, members and access controls they take away.
    pub removes: u64,
    /// How many permissions and members there are now of what is managed.
    pub held: u64,
}

/// What counts of each kind mean for thresholds: a kind of which there is little is not hidden by one of which there is much.
pub fn removals(counts: &BTreeMap<Kind, Counts>) -> Vec<Removal> {
    let removal = |(kind, counts): (&Kind, &Counts)| Removal {
        what: format!("permissions and members of kind {kind}"),
        removed: counts.removes,
        before: counts.held,
    };
    counts.iter().map(removal).collect()
}

/// Access controls that a thread of its own is worth: each is compared with all that it holds.
const CONTROLS_OF_A_THREAD: usize = 16;

/// Decides the changes that lead from what is to what is to be.
pub fn decide(situation: &Situation<'_>) -> Decision {
    let decision = decide_without(situation, &Refusals::new());
    let refusals = members_that_never_are(situation, &decision);
    if refusals.is_empty() { decision } else { decide_without(situation, &refusals) }
}

/// Access controls for which nothing is to be done, with the reasons.
type Refusals = BTreeMap<Name, String>;

/// Decides about all but some.
fn decide_without(situation: &Situation<'_>, refusals: &Refusals) -> Decision {
    let parts = in_parts(situation.desired, CONTROLS_OF_A_THREAD, |_, part| decide_named(situation, part, refusals));
    let mut decision = Decision::default();
    let mut of_objects = Vec::new();
    for (part, lists) in parts {
        decision.take(part);
        of_objects.extend(lists);
    }
    lists::decide(situation, &of_objects, &mut decision);
    decision.order();
    decision
}

/// Decides about those that have names, and gives the others: lists of objects, which several make together.
fn decide_named<'s>(
    situation: &Situation<'_>,
    desired: &'s [Desired],
    refusals: &Refusals,
) -> (Decision, Vec<&'s Desired>) {
    let mut decision = Decision::default();
    let mut of_objects = Vec::new();
    for wanted in desired {
        let refused = |reason: String| (wanted.id.clone(), reason);
        match situation.description.control_kind(&wanted.control.kind) {
            None => {
                let kind = &wanted.control.kind;
                let reason = format!("the target no longer describes access controls of kind {kind}");
                decision.refused.push(refused(reason));
            }
            Some(kind) if kind.identity.is_list() => of_objects.push(wanted),
            Some(kind) => match refusals.get(&wanted.id) {
                Some(reason) => decision.refused.push(refused(reason.clone())),
                None => named::decide(situation, wanted, kind, &mut decision),
            },
        }
    }
    (decision, of_objects)
}

/// What would have a member that is not there and, since it is refused, is not created either: the target would refuse it, behind
/// changes that were made by then.
fn members_that_never_are(situation: &Situation<'_>, decision: &Decision) -> Refusals {
    let by_id: BTreeMap<&Name, &Desired> = situation.desired.iter().map(|wanted| (&wanted.id, wanted)).collect();
    let mut of_member: BTreeMap<&ExternalId, Vec<&Name>> = BTreeMap::new();
    for set in decision.sets.iter().filter(|set| by_id.contains_key(&set.id)) {
        let added = set.changes.iter().filter_map(|change| match change {
            Change::AddMembers(members) => Some(members),
            _ => None,
        });
        let entries = set.entries.iter().flatten().map(|entry| &entry.member);
        for member in added.flatten().chain(entries).filter(|member| member.kind == MemberKind::AccessControl) {
            of_member.entry(&member.id).or_default().push(&set.id);
        }
    }
    let mut refusals = Refusals::new();
    let mut open: Vec<&Name> = decision.refused.iter().map(|(id, _)| id).collect();
    while let Some(id) = open.pop() {
        let Some(wanted) = by_id.get(id) else { continue };
        for set in
            ids_of(wanted).iter().filter(|id| !situation.actual.has(id)).filter_map(|id| of_member.get(id)).flatten()
        {
            let reason = format!("{} is to be a member, is not there and is not created", wanted.control.actual_name);
            if refusals.insert((*set).clone(), reason).is_none() {
                open.push(set);
            }
        }
    }
    refusals
}

/// By which ids others name an access control: the target's, or where it is only created, ours. None where a run created it that
/// could not tell of it any more.
fn ids_of(wanted: &Desired) -> Vec<ExternalId> {
    match (&wanted.external_id, &wanted.creating) {
        (Some(id), _) => vec![id.clone()],
        (None, Some(_)) => Vec::new(),
        (None, None) => {
            let ours = ExternalId::new(wanted.id.as_str()).ok();
            ours.into_iter().chain([wanted.control.external_id.clone()]).collect()
        }
    }
}

impl Decision {
    /// What is counted of a kind.
    fn count(&mut self, kind: &Kind) -> &mut Counts {
        self.counts.entry(kind.clone()).or_default()
    }

    /// Takes in what was decided about others.
    fn take(&mut self, part: Self) {
        let Self { sets, owners, in_sync, unknown, gone, refused, drift, counts } = part;
        self.sets.extend(sets);
        self.owners.extend(owners);
        self.in_sync.extend(in_sync);
        self.unknown.extend(unknown);
        self.gone.extend(gone);
        self.refused.extend(refused);
        self.drift.extend(drift);
        for (kind, Counts { removes, held }) in counts {
            let count = self.count(&kind);
            (count.removes, count.held) = (count.removes + removes, count.held + held);
        }
    }

    fn push(&mut self, set: ChangeSet, owners: Vec<Name>) {
        self.sets.push(set);
        self.owners.push(owners);
    }

    /// What is created comes first, since others may refer to it; what is deleted comes last, since others may still be on
    /// their way out of it.
    fn order(&mut self) {
        let rank = |set: &ChangeSet| {
            if set.changes.iter().any(|change| matches!(change, Change::Create(_))) {
                0
            } else {
                1 + u8::from(set.changes.contains(&Change::Delete))
            }
        };
        let mut both: Vec<_> = self.sets.drain(..).zip(self.owners.drain(..)).collect();
        both.sort_by_key(|(set, _)| rank(set));
        (self.sets, self.owners) = both.into_iter().unzip();
    }
}

/// An access control without anything in it.
fn bare(control: &AccessControl) -> AccessControl {
    AccessControl { policy: None, ..control.without_facts() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::threshold::Thresholds;

    #[test]
    fn a_kind_of_which_there_is_little_is_not_hidden_by_one_of_which_there_is_much() {
        let kind = |name: &str| Kind::new(name).expect("a word");
        let mut decision = Decision::default();
        *decision.count(&kind("role")) = Counts { removes: 3, held: 100_000 };
        *decision.count(&kind("dataset-access")) = Counts { removes: 60, held: 61 };
        let over = Thresholds::default().check(&removals(&decision.counts), None).expect_err("nearly all of one kind");
        assert_eq!((over.what.as_str(), over.total), ("permissions and members of kind dataset-access", 63));
        assert_eq!(Thresholds::default().check(&removals(&decision.counts), Some(63)), Ok(()));
        *decision.count(&kind("dataset-access")) = Counts { removes: 60, held: 1_000 };
        assert_eq!(Thresholds::default().check(&removals(&decision.counts), None), Ok(()));
    }
}
