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

/// Permissions that are taken from an access control and that nobody loses.
pub(super) fn without_effect(
    [before, after]: [&Snapshot; 2],
    catalogue: &Catalogue,
    sets: &[ChangeSet],
    effects: &[Effect],
) -> Vec<WithoutEffect> {
    let losing: BTreeSet<(&ObjectRef, &PermissionName)> = effects
        .iter()
        .filter(|effect| !effect.lose.is_empty())
        .map(|effect| (&effect.object, &effect.permission))
        .collect();
    let mut found = Vec::new();
    for set in sets {
        let taken = set.changes.iter().filter_map(|change| match change {
            Change::Revoke(list) => Some(list),
            _ => None,
        });
        let lost_by_nobody = |what: &'_ What| {
            let uses = what.permissions.iter().filter(|used| !losing.contains(&(&what.object, &used.name)));
            uses.map(|used| (what.object.clone(), used.name.clone())).collect::<Vec<_>>()
        };
        let taken: Vec<(ObjectRef, PermissionName)> = taken.flatten().flat_map(lost_by_nobody).collect();
        let control = set.external_id.as_ref().and_then(|id| catalogue.controls.get(id));
        let members = control.filter(|_| !taken.is_empty()).map(|control| before.users_of(&control.external_id));
        let members: BTreeSet<PrincipalId> = members.into_iter().flatten().collect();
        for (object, permission) in taken {
            let through = still_through([before, after], &members, &object, &permission);
            found.push(WithoutEffect { control: set.actual_name.clone(), object, permission, through });
        }
    }
    found
}

/// Permissions that are given and that nobody gains, because not one of those who get them can use them: something that they need
/// besides is missing, such as the use of a schema.
pub(super) fn unusable(
    after: &Snapshot,
    asked: &mut Asked<'_>,
    sets: &[ChangeSet],
    effects: &[Effect],
) -> Vec<WithoutEffect> {
    let gained: BTreeSet<(&ObjectRef, &PermissionName)> = effects
        .iter()
        .filter(|effect| !effect.gain.is_empty())
        .map(|effect| (&effect.object, &effect.permission))
        .collect();
    let mut found = Vec::new();
    for set in sets {
        let given = set.changes.iter().filter_map(|change| match change {
            Change::Grant(list) => Some(list),
            _ => None,
        });
        let of = |what: &'_ What| {
            let uses = what.permissions.iter().filter(|used| !gained.contains(&(&what.object, &used.name)));
            uses.map(|used| (what.object.clone(), used.name.clone())).collect::<Vec<_>>()
        };
        let given: Vec<(ObjectRef, PermissionName)> = given.flatten().flat_map(of).collect();
        let id = set.external_id.clone().or_else(|| ExternalId::new(set.id.as_str()).ok());
        let members = id.filter(|_| !given.is_empty()).map(|id| after.users_of(&id)).unwrap_or_default();
        for (object, permission) in given {
            let Some(at) = after.find_object(&object).filter(|at| !members.is_empty() && !after.has_rules(*at)) else {
                continue;
            };
            let Some(known) = after.find_permission(at, &permission) else { continue };
            let usable = asked.usable(at, known);
            if members.iter().all(|user| usable.by(*user).is_none()) {
                found.push(WithoutEffect { control: set.actual_name.clone(), object, permission, through: None });
            }
        }
    }
    found
}

/// By which access control one of these people, who could use a permission, still can; none where none of them could.
fn still_through(
    [before, after]: [&Snapshot; 2],
    members: &BTreeSet<PrincipalId>,
    object: &ObjectRef,
    permission: &PermissionName,
) -> Option<Name> {
    let id = before.find_object(object)?;
    let asked = AnswerFilter { permissions: vec![before.find_permission(id, permission)?], how: None };
    let could = |answer: &Answer| {
        answer.usable && answer.how <= How::Assumable && answer.rows != Rows::Nothing && members.contains(&answer.user)
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
