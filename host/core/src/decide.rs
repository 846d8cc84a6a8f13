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

use std::collections::BTreeSet;

use crate::exchange::Desired;
use crate::fact::Unread;
use crate::grant::Drift;
use crate::marker::Master;
use crate::record::{AccessControl, Change, ChangeSet, Description, MemberKind};
use crate::text::{ExternalId, Name};
use crate::unite::AccessControls;

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
}

/// An access control that is as it is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InSync {
    /// The cloud's id of it.
    pub id: Name,
    /// The id that the target gave it.
    pub external_id: Option<ExternalId>,
    /// As the target has it, where nobody knew that yet: a run that broke off could not tell.
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
    /// How many facts the changes take away.
    pub removes: u64,
    /// How many facts there are now of what is managed.
    pub held: u64,
}

/// Decides the changes that lead from what is to what is to be.
pub fn decide(situation: &Situation<'_>) -> Decision {
    let mut decision = Decision::default();
    let mut of_objects = Vec::new();
    for wanted in situation.desired {
        match situation.description.control_kind(&wanted.control.kind) {
            None => {
                let reason = format!("the target no longer describes access controls of kind {}", wanted.control.kind);
                decision.refused.push((wanted.id.clone(), reason));
            }
            Some(kind) if !kind.identity.is_list() => named::decide(situation, wanted, kind, &mut decision),
            Some(_) => of_objects.push(wanted),
        }
    }
    lists::decide(situation, &of_objects, &mut decision);
    decision.order();
    decision
}

impl Decision {
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
    AccessControl { who: Vec::new(), what: Vec::new(), standing: Vec::new(), policy: None, ..control.clone() }
}
