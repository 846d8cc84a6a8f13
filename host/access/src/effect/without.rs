//! Permissions that are taken and that nobody loses, or given and that nobody can use.

use std::collections::BTreeSet;

use raito_core::catalogue::Catalogue;
use raito_core::expansion::{Answer, AnswerFilter, Asked, How, PathStep, PrincipalId, Rows, Snapshot};
use raito_core::record::{Change, ChangeSet, ObjectRef, What};
use raito_core::text::{ExternalId, Name, PermissionName};
use serde::{Deserialize, Serialize};

use super::Effect;

/// A permission that is taken and that nobody loses, or given and that nobody can use.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WithoutEffect {
    /// The access control that it is taken from or given to.
    pub control: Name,
    /// On what.
    pub object: ObjectRef,
    /// Which permission.
    pub permission: PermissionName,
    /// By which access control the same people still have it; none where nobody can use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<Name>,
}

impl WithoutEffect {
    /// In words: `no effect: SELECT on table shop.sales.orders is still held through PUBLIC`.
    pub fn line(&self) -> String {
        match &self.through {
            Some(through) => {
                format!("no effect: {} on {} is still held through {through}", self.permission, self.object)
            }
            None => {
                format!("no effect: nobody can use {} on {} through {}", self.permission, self.object, self.control)
            }
        }
    }
}

/// A permission on an object.
type Use<'u> = (&'u ObjectRef, &'u PermissionName);

/// Permissions of which effects say already what they come to for somebody.
fn told(effects: &[Effect], who: fn(&Effect) -> &Vec<Name>) -> BTreeSet<Use<'_>> {
    let with_somebody = effects.iter().filter(|effect| !who(effect).is_empty());
    with_somebody.map(|effect| (&effect.object, &effect.permission)).collect()
}

/// The permissions of some changes of a change-set, but for those of which that was told.
fn untold<'u>(
    set: &'u ChangeSet,
    of: fn(&'u Change) -> Option<&'u Vec<What>>,
    told: &BTreeSet<Use<'_>>,
) -> Vec<Use<'u>> {
    let uses = |what: &'u What| what.permissions.iter().map(move |used| (&what.object, &used.name));
    set.changes.iter().filter_map(of).flatten().flat_map(uses).filter(|one| !told.contains(one)).collect()
}

fn revoked(change: &Change) -> Option<&Vec<What>> {
    match change {
        Change::Revoke(list) => Some(list),
        _ => None,
    }
}

fn granted(change: &Change) -> Option<&Vec<What>> {
    match change {
        Change::Grant(list) => Some(list),
        _ => None,
    }
}

fn without_effect(set: &ChangeSet, (object, permission): Use<'_>, through: Option<Name>) -> WithoutEffect {
    let (object, permission) = (object.clone(), permission.clone());
    WithoutEffect { control: set.actual_name.clone(), object, permission, through }
}

/// Permissions that are taken from an access control and that nobody loses.
pub(super) fn lost_by_nobody(
    [before, after]: [&Snapshot; 2],
    catalogue: &Catalogue,
    sets: &[ChangeSet],
    effects: &[Effect],
) -> Vec<WithoutEffect> {
    let told = told(effects, |effect| &effect.lose);
    let mut found = Vec::new();
    for set in sets {
        let taken = untold(set, revoked, &told);
        let control = set.external_id.as_ref().and_then(|id| catalogue.controls.get(id));
        let members = control.filter(|_| !taken.is_empty()).map(|control| before.users_of(&control.external_id));
        let members: BTreeSet<PrincipalId> = members.into_iter().flatten().collect();
        for one in taken {
            found.push(without_effect(set, one, still_through([before, after], &members, one)));
        }
    }
    found
}

/// Permissions that are given and that nobody gains, because not one of those who get them can use them: something that they need
/// besides is missing, such as the use of a schema.
pub(super) fn used_by_nobody(
    after: &Snapshot,
    asked: &mut Asked<'_>,
    sets: &[ChangeSet],
    effects: &[Effect],
) -> Vec<WithoutEffect> {
    let told = told(effects, |effect| &effect.gain);
    let mut found = Vec::new();
    for set in sets {
        let given = untold(set, granted, &told);
        let id = set.external_id.clone().or_else(|| ExternalId::new(set.id.as_str()).ok());
        let members = id.filter(|_| !given.is_empty()).map(|id| after.users_of(&id)).unwrap_or_default();
        for (object, permission) in given {
            let Some(at) = after.find_object(object).filter(|at| !members.is_empty() && !after.has_rules(*at)) else {
                continue;
            };
            let Some(known) = after.find_permission(at, permission) else { continue };
            let usable = asked.usable(at, known);
            if members.iter().all(|user| usable.by(*user).is_none()) {
                found.push(without_effect(set, (object, permission), None));
            }
        }
    }
    found
}

/// By which access control one of these people, who could use a permission, still can; none where none of them could.
fn still_through(
    [before, after]: [&Snapshot; 2],
    members: &BTreeSet<PrincipalId>,
    (object, permission): Use<'_>,
) -> Option<Name> {
    let id = before.find_object(object)?;
    let asked = AnswerFilter { permissions: vec![before.find_permission(id, permission)?], how: None };
    let could = |answer: &Answer| {
        let sees =
            answer.rows != Rows::Nothing || answer.wider.as_ref().is_some_and(|wider| wider.how <= How::Assumable);
        answer.usable && answer.how <= How::Assumable && sees && members.contains(&answer.user)
    };
    let one = before.who(id, &asked).into_iter().find(could)?;
    let user = after.find_user(&before.principal(one.user).external_id)?;
    let id = after.find_object(object)?;
    let permission = after.find_permission(id, permission)?;
    let path = after.explain(user, id, permission).path?;
    let last = path.steps.iter().rev().find_map(|step| match step {
        PathStep::Is(who) | PathStep::In(who) | PathStep::Switches(who) | PathStep::Admits(who) => Some(*who),
        PathStep::Holds(..) => None,
    })?;
    Some(after.principal(last).name.clone())
}
