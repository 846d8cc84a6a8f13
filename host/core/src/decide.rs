//! Deciding what to change: from what is to be and what a whole read found, to the changes of each entity.
//!
//! The connector carries out, it never decides. What cannot be decided safely is refused here, with the reason, and the
//! other access controls go on.

use std::collections::BTreeMap;

use crate::difference::{Difference, Fact, FactSet, Options, Unread, difference, insert_control};
use crate::exchange::Desired;
use crate::grant::Drift;
use crate::record::{
    AccessControl, Change, ChangeSet, ControlKind, Description, Identity, Member, ObjectRef, PermissionUse, Standing,
    What,
};
use crate::text::{ExternalId, Kind, Name, PermissionName, PolicyText};
use crate::unite::AccessControls;

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decision {
    /// The changes, entity by entity, in the order to carry them out.
    pub sets: Vec<ChangeSet>,
    /// Access controls that are as they are to be, with the id that the target gave them.
    pub in_sync: Vec<(Name, ExternalId)>,
    /// Access controls that were to go and are gone.
    pub gone: Vec<Name>,
    /// Access controls that nothing is done for, each with the reason.
    pub refused: Vec<(Name, String)>,
}

/// Decides the changes that lead from `actual`, a whole read, to `desired`.
pub fn decide(
    desired: &[Desired],
    actual: &AccessControls,
    description: &Description,
    unread: &Unread,
    drift: Drift,
) -> Decision {
    let mut decision = Decision::default();
    for wanted in desired {
        match decide_one(wanted, actual, description, unread, drift) {
            Ok(Verdict::Change(set)) => decision.sets.push(*set),
            Ok(Verdict::InSync(id)) => decision.in_sync.push((wanted.id.clone(), id)),
            Ok(Verdict::Gone) => decision.gone.push(wanted.id.clone()),
            Err(reason) => decision.refused.push((wanted.id.clone(), reason)),
        }
    }
    // What is deleted comes last: another entity may still be on its way out of it.
    decision.sets.sort_by_key(|set| set.changes.contains(&Change::Delete));
    decision
}

enum Verdict {
    Change(Box<ChangeSet>),
    InSync(ExternalId),
    Gone,
}

fn decide_one(
    wanted: &Desired,
    actual: &AccessControls,
    description: &Description,
    unread: &Unread,
    drift: Drift,
) -> Result<Verdict, String> {
    let control = &wanted.control;
    let kind = description
        .control_kind(&control.kind)
        .ok_or_else(|| format!("the target no longer describes access controls of kind {}", control.kind))?;
    if kind.identity != Identity::Named {
        return Err(format!("access controls of kind {} belong to an object and are not changed", control.kind));
    }
    let held = held(wanted, actual);
    match (&wanted.external_id, held) {
        (Some(id), None) if unread.anything => Err(format!("{id} was not read, and may still be there")),
        (_, None) if wanted.delete => Ok(Verdict::Gone),
        (_, Some(held)) if wanted.delete => Ok(change_set(wanted, Some(held), vec![Change::Delete])),
        (Some(id), None) if drift == Drift::Report => {
            Err(format!("{id} is gone at the target, where somebody deleted it; drift: revert would create it again"))
        }
        (_, None) => create(wanted, actual, kind, description),
        (_, Some(held)) => {
            let changes = changes(wanted, held, kind, unread);
            if changes.is_empty() {
                return Ok(Verdict::InSync(held.external_id.clone()));
            }
            Ok(change_set(wanted, Some(held), changes))
        }
    }
}

/// The entity as the target has it: the one with the known id, or the one that a run created and could not tell of any more.
/// That one has the name and the description under which it was about to be created.
fn held<'a>(wanted: &Desired, actual: &'a AccessControls) -> Option<&'a AccessControl> {
    match (&wanted.external_id, &wanted.creating) {
        (Some(id), _) => actual.get(id),
        (None, Some(name)) => actual
            .id_of(&wanted.control.kind, name)
            .and_then(|id| actual.get(id))
            .filter(|held| held.description == wanted.control.description),
        (None, None) => None,
    }
}

fn change_set(wanted: &Desired, held: Option<&AccessControl>, changes: Vec<Change>) -> Verdict {
    let control = &wanted.control;
    Verdict::Change(Box::new(ChangeSet {
        id: wanted.id.clone(),
        external_id: held.map(|held| held.external_id.clone()),
        actual_name: held.map_or_else(|| control.actual_name.clone(), |held| held.actual_name.clone()),
        name: control.name.clone(),
        description: control.description.clone(),
        kind: control.kind.clone(),
        object: None,
        version: held.and_then(|held| held.version.clone()),
        entries: None,
        changes,
    }))
}

/// Creates an entity and gives it all of its facts.
fn create(
    wanted: &Desired,
    actual: &AccessControls,
    kind: &ControlKind,
    description: &Description,
) -> Result<Verdict, String> {
    let control = &wanted.control;
    let name = &control.actual_name;
    if !kind.can_create {
        return Err(format!("access controls of kind {} cannot be created at the target", control.kind));
    }
    if let Some(other) = actual.id_of(&control.kind, name) {
        return Err(format!("the name {name} belongs to {other} at the target, which is another access control"));
    }
    let length = name.as_str().len();
    let longest = usize::try_from(description.name_bytes_max).unwrap_or(usize::MAX);
    if length == 0 || length > longest {
        return Err(format!("the name {name} has {length} bytes, and the target takes 1 to {longest}"));
    }
    let reserved = description.reserved_prefixes.iter().find(|prefix| name.as_str().starts_with(prefix.as_str()));
    if let Some(prefix) = reserved {
        return Err(format!("the name {name} begins with {prefix}, which the target keeps for itself"));
    }
    let bare = AccessControl { who: vec![], what: vec![], standing: vec![], policy: None, ..control.clone() };
    let mut changes = vec![Change::Create(Box::new(bare))];
    changes.extend(fact_changes(&difference(&FactSet::new(), &facts(wanted, control), &Unread::nothing())));
    changes.extend(control.policy.clone().map(Change::SetPolicy));
    Ok(change_set(wanted, None, changes))
}

fn facts(wanted: &Desired, control: &AccessControl) -> FactSet {
    let mut facts = FactSet::new();
    insert_control(&mut facts, &wanted.id, control, Identity::Named);
    facts
}

/// The changes that make an entity what it is to be.
fn changes(wanted: &Desired, held: &AccessControl, kind: &ControlKind, unread: &Unread) -> Vec<Change> {
    let control = &wanted.control;
    let mut changes = Vec::new();
    if kind.can_rename && held.actual_name != control.actual_name {
        changes.push(Change::Rename(control.actual_name.clone()));
    }
    if held.description != control.description {
        changes.push(Change::Describe(control.description.clone()));
    }
    changes.extend(fact_changes(&difference(&facts(wanted, held), &facts(wanted, control), unread)));
    match (&held.policy, &control.policy) {
        (held, Some(policy)) if held.as_ref() != Some(policy) => changes.push(Change::SetPolicy(policy.clone())),
        (Some(_), None) => changes.push(Change::ClearPolicy),
        _ => {}
    }
    changes
}

/// A difference as changes: what is given comes before what is taken.
fn fact_changes(difference: &Difference) -> Vec<Change> {
    let pairs = |list: &[(Fact, Options)]| Bundle::of(list.iter().map(|(fact, options)| (fact, *options)));
    let (add, remove) = (pairs(&difference.add), pairs(&difference.remove));
    let changed = |lost: bool| {
        let kept = difference.change.iter().filter(move |(_, from, to)| (from.may_pass_on && !to.may_pass_on) == lost);
        Bundle::of(kept.map(|(fact, _, to)| (fact, *to)))
    };
    let (more, less) = (changed(false), changed(true));
    let mut options = more.members.clone();
    options.extend(less.members.clone());
    let given = Bundle::of(std::iter::empty()).with_what(add.what()).with_what(more.what());
    let mut changes = Vec::new();
    push(&mut changes, add.members.clone(), Change::AddMembers);
    push(&mut changes, options, Change::SetMemberOptions);
    push(&mut changes, given.what(), Change::Grant);
    push(&mut changes, [add.standing(), more.standing()].concat(), Change::GrantStanding);
    push(&mut changes, remove.members.clone(), Change::RemoveMembers);
    push(&mut changes, less.what(), Change::RevokePassOn);
    push(&mut changes, remove.what(), Change::Revoke);
    push(&mut changes, remove.standing(), Change::RevokeStanding);
    changes
}

/// Adds a change unless it is about nothing.
fn push<T>(changes: &mut Vec<Change>, list: Vec<T>, change: impl FnOnce(Vec<T>) -> Change) {
    if !list.is_empty() {
        changes.push(change(list));
    }
}

/// What permissions on objects that come later stand under: where, for which kind, created by whom.
type StandingKey = (ObjectRef, Kind, Option<ExternalId>);

/// Facts gathered as changes have them.
#[derive(Default)]
struct Bundle {
    members: Vec<Member>,
    what: BTreeMap<(ObjectRef, Option<PolicyText>), Vec<PermissionUse>>,
    standing: BTreeMap<StandingKey, Vec<PermissionUse>>,
}

impl Bundle {
    fn of<'f>(facts: impl Iterator<Item = (&'f Fact, Options)>) -> Self {
        let mut bundle = Self::default();
        for (fact, options) in facts {
            let used = |name: &PermissionName| PermissionUse {
                name: name.clone(),
                may_pass_on: options.may_pass_on,
                granted_by: None,
            };
            match fact {
                Fact::Member { kind, id, .. } => bundle.members.push(Member {
                    kind: *kind,
                    id: id.clone(),
                    inherits: options.inherits,
                    assumable: options.assumable,
                    may_pass_on: options.may_pass_on,
                    granted_by: None,
                    expires_ms: options.expires_ms,
                }),
                Fact::Permission { object, permission, condition, .. } => {
                    bundle.what.entry((object.clone(), condition.clone())).or_default().push(used(permission));
                }
                Fact::Standing { under, kind, creator, permission, .. } => {
                    bundle
                        .standing
                        .entry((under.clone(), kind.clone(), creator.clone()))
                        .or_default()
                        .push(used(permission));
                }
            }
        }
        bundle
    }

    /// The same with more facts.
    fn with_what(mut self, more: Vec<What>) -> Self {
        for what in more {
            self.what.entry((what.object, what.condition)).or_default().extend(what.permissions);
        }
        self
    }

    fn what(&self) -> Vec<What> {
        let what = |((object, condition), permissions): (&(ObjectRef, Option<PolicyText>), &Vec<PermissionUse>)| What {
            object: object.clone(),
            permissions: permissions.clone(),
            condition: condition.clone(),
        };
        self.what.iter().map(what).collect()
    }

    fn standing(&self) -> Vec<Standing> {
        let standing = |((under, kind, creator), permissions): (&StandingKey, &Vec<PermissionUse>)| Standing {
            under: under.clone(),
            kind: kind.clone(),
            creator: creator.clone(),
            permissions: permissions.clone(),
        };
        self.standing.iter().map(standing).collect()
    }
}
