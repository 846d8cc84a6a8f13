//! Drift: what somebody changed at the target by hand, fact by fact.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Situation;
use super::bundle::Grantors;
use crate::exchange::Desired;
use crate::fact::{Fact, FactSet, Options};
use crate::record::{AccessControl, Description};
use crate::text::{ExternalId, Remark};
use crate::warrant::Names;

/// What was changed by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DriftKind {
    /// A permission was granted.
    Granted,
    /// A permission was revoked.
    Revoked,
    /// The right to grant a permission on was given or taken.
    GrantOption,
    /// Somebody else granted a permission that was granted already.
    OtherGrantor,
    /// A member was admitted.
    MemberAdded,
    /// A member was removed.
    MemberRemoved,
    /// The options of a membership were changed.
    MemberOptions,
    /// It was given another name.
    Renamed,
    /// Its description was changed.
    Described,
    /// Its rule was changed.
    Policy,
    /// It was deleted.
    Deleted,
    /// It was deleted, and another one has its name now.
    Recreated,
}

impl DriftKind {
    /// The word in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Revoked => "revoked",
            Self::GrantOption => "grant-option",
            Self::OtherGrantor => "other-grantor",
            Self::MemberAdded => "member-added",
            Self::MemberRemoved => "member-removed",
            Self::MemberOptions => "member-options",
            Self::Renamed => "renamed",
            Self::Described => "described",
            Self::Policy => "policy",
            Self::Deleted => "deleted",
            Self::Recreated => "recreated",
        }
    }
}

/// One thing that was changed by hand.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DriftItem {
    /// What was done.
    pub kind: DriftKind,
    /// To what, in one line.
    pub what: Remark,
    /// Whether this run takes it back.
    pub reverted: bool,
}

impl DriftItem {
    /// An item; text that is too long is cut.
    pub(super) fn new(kind: DriftKind, what: impl std::fmt::Display, reverted: bool) -> Self {
        let text = crate::text::excerpt(&what.to_string(), 1_000);
        Self { kind, what: Remark::new(text).unwrap_or_else(|_| Remark::new("").expect("may be empty")), reverted }
    }
}

/// A fact in one line.
pub(super) fn shown(fact: &Fact, names: &Names) -> String {
    match fact {
        Fact::Member { kind, id, .. } => names.shown(*kind, id),
        Fact::Permission { object, permission, condition, .. } => match condition {
            Some(condition) => format!("{permission} on {object} where {condition}"),
            None => format!("{permission} on {object}"),
        },
        Fact::Standing { under, kind, creator, permission, .. } => match creator {
            Some(creator) => {
                format!("{permission} on every {kind} that {} creates below {under}", names.shown_anybody(creator))
            }
            None => format!("{permission} on every later {kind} below {under}"),
        },
    }
}

/// What is to be changed, and what was changed by hand.
#[derive(Debug, Default)]
pub(super) struct Compared {
    /// Facts to add.
    pub(super) add: FactSet,
    /// Facts to hold in another way.
    pub(super) change: Vec<(Fact, Options, Options)>,
    /// Facts to remove.
    pub(super) remove: FactSet,
    /// Grants of somebody else of what stays granted, to be taken from each of them.
    pub(super) strangers: Grantors,
    /// What was changed by hand.
    pub(super) drift: Vec<DriftItem>,
}

impl Compared {
    /// Takes nothing away and tells of no drift, because something was not read: only what was never there before is given.
    pub(super) fn only_give(&mut self, left: Option<&Left>) {
        let add = std::mem::take(&mut self.add);
        *self = Self { add, ..Self::default() };
        self.add.retain(|fact, _| left.is_none_or(|left| !left.may_have(fact)));
    }
}

/// Why a group cannot be given where a target takes the users of groups in their place.
pub(super) fn unknown_group(id: &ExternalId) -> String {
    format!(
        "group {id} cannot be given: the target takes its users in its place, and step 1 of this run told of no such group"
    )
}

/// What this master may have left at the target: the state after the last change that was told of, and those that runs were
/// about to make since, of which nobody knows how far they came. A difference counts as made by hand only where none of them
/// explains it.
#[derive(Debug)]
pub(super) struct Left {
    told: FactSet,
    begun: Vec<FactSet>,
}

impl Left {
    /// None where no state was ever told of: then there is nothing that somebody else could have changed.
    pub(super) fn of(wanted: &Desired, facts: impl Fn(&AccessControl) -> FactSet) -> Option<Self> {
        let told = facts(wanted.applied.as_deref()?);
        Some(Self { told, begun: wanted.begun.iter().map(facts).collect() })
    }

    /// What several leave in one place.
    pub(super) fn of_all(told: FactSet, begun: Vec<FactSet>) -> Self {
        Self { told, begun }
    }

    /// Whether it may have been left there: one of the states has it.
    pub(super) fn may_have(&self, fact: &Fact) -> bool {
        self.told.contains_key(fact) || self.begun.iter().any(|begun| begun.contains_key(fact))
    }

    /// Whether it was left there for certain: every state has it.
    fn has(&self, fact: &Fact) -> bool {
        self.told.contains_key(fact) && self.begun.iter().all(|begun| begun.contains_key(fact))
    }

    /// Whether it was left there, and in another way in every state that has it.
    fn has_otherwise(&self, fact: &Fact, held: Options) -> bool {
        let mut known = std::iter::once(&self.told).chain(&self.begun).filter_map(|state| state.get(fact)).peekable();
        known.peek().is_some() && known.all(|options| *options != held)
    }
}

/// Compares what is to be, what is, and what was left by the last changes. Without these, every difference is to be carried
/// out.
pub(super) fn compare(
    desired: &FactSet,
    actual: &FactSet,
    left: Option<&Left>,
    revert: bool,
    situation: &Situation<'_>,
) -> Compared {
    let (names, description) = (situation.names, situation.description);
    let mut compared = Compared::default();
    let removed = |fact: &Fact| match fact {
        Fact::Member { .. } => DriftKind::MemberRemoved,
        Fact::Permission { .. } | Fact::Standing { .. } => DriftKind::Revoked,
    };
    let added = |fact: &Fact| match fact {
        Fact::Member { .. } => DriftKind::MemberAdded,
        Fact::Permission { .. } | Fact::Standing { .. } => DriftKind::Granted,
    };
    for (fact, wanted) in desired {
        match actual.get(fact) {
            None => {
                let by_hand = left.is_some_and(|left| left.has(fact));
                if by_hand {
                    compared.drift.push(DriftItem::new(removed(fact), shown(fact, names), revert));
                }
                if !by_hand || revert {
                    compared.add.insert(fact.clone(), *wanted);
                }
            }
            Some(held) if held != wanted => {
                let by_hand = left.is_some_and(|left| left.has_otherwise(fact, *held));
                if by_hand {
                    let kind = match fact {
                        Fact::Member { .. } => DriftKind::MemberOptions,
                        _ => DriftKind::GrantOption,
                    };
                    compared.drift.push(DriftItem::new(kind, shown(fact, names), revert));
                }
                if !by_hand || revert {
                    compared.change.push((fact.clone(), *held, *wanted));
                }
            }
            Some(_) => {}
        }
    }
    for (fact, held) in actual.iter().filter(|(fact, _)| !desired.contains_key(*fact)) {
        let by_hand = left.is_some_and(|left| !left.may_have(fact));
        if is_sibling(fact, desired, description) {
            continue;
        }
        if by_hand {
            compared.drift.push(DriftItem::new(added(fact), shown(fact, names), revert));
        }
        if !by_hand || revert {
            compared.remove.insert(fact.clone(), *held);
        }
    }
    compared
}

/// Whether a standing grant came together with one that is to be: a target has one for all kinds on which the same can be held,
/// such as tables and views.
fn is_sibling(fact: &Fact, desired: &FactSet, description: &Description) -> bool {
    let Fact::Standing { principal, under, kind, creator, permission } = fact else { return false };
    let permissions = |kind| {
        let known = description.object_kind(kind);
        known.map(|kind| kind.permissions.iter().map(|permission| &permission.name).collect::<BTreeSet<_>>())
    };
    desired.keys().any(|other| {
        matches!(other, Fact::Standing { principal: of, under: below, kind: with, creator: by, permission: same }
            if of == principal && below == under && by == creator && same == permission
                && permissions(with) == permissions(kind))
    })
}
