//! Members of what is to be, as the target has them: people say a user or another access control of the cloud, and the target
//! may know both by something else; and they say a group, where the target takes only the users of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::exchange::Desired;
use crate::groups::Groups;
use crate::record::{Description, Identity, Member, MemberKind};
use crate::text::{ExternalId, Name};
use crate::unite::AccessControls;

/// Names members that are access controls of the same list by what the target calls them, as far as it has them: what is to be
/// says the cloud's id of another one, which no target knows.
pub fn resolve_controls(controls: &mut [Desired]) {
    let known: BTreeMap<String, ExternalId> = controls
        .iter()
        .filter_map(|wanted| Some((wanted.id.as_str().to_owned(), wanted.external_id.clone()?)))
        .collect();
    for wanted in controls {
        let last = wanted.applied.as_deref_mut().into_iter().chain(&mut wanted.begun);
        for member in last.chain([&mut wanted.control]).flat_map(|control| &mut control.who) {
            if let (MemberKind::AccessControl, Some(id)) = (member.kind, known.get(member.id.as_str())) {
                member.id = id.clone();
            }
        }
    }
}

/// Puts the users of groups in the place of these, where a kind admits no groups. Gives the access controls of which not all
/// such users are known, because something on the way to them was not read: from them, nothing may be taken. A group that was
/// not told at all stays as it is, and the decision says that it cannot be given. Users of these account names are left out: what
/// is never touched gets nothing by way of a group, and keeps nobody else from getting it.
pub fn resolve_groups(
    controls: &mut [Desired],
    groups: &Groups,
    description: &Description,
    untouched: &BTreeSet<String>,
) -> BTreeSet<Name> {
    let is_untouched = |user: &ExternalId| groups.name_of(user).is_some_and(|name| untouched.contains(name.as_str()));
    let mut unread = BTreeSet::new();
    for wanted in controls.iter_mut().filter(|wanted| !wanted.delete && !wanted.hand_back) {
        let kind = description.control_kind(&wanted.control.kind);
        if kind.is_none_or(|kind| kind.admits.contains(&MemberKind::Group)) {
            continue;
        }
        if !wanted.control.who.iter().any(|member| member.kind == MemberKind::Group) {
            continue;
        }
        let mut who = Admitted::new();
        for member in std::mem::take(&mut wanted.control.who) {
            let found = (member.kind == MemberKind::Group).then(|| groups.within(&member.id)).flatten();
            let Some(found) = found else {
                admit(&mut who, member);
                continue;
            };
            if !found.is_whole {
                unread.insert(wanted.id.clone());
            }
            for id in found.users.into_iter().filter(|user| !is_untouched(user)) {
                admit(&mut who, Member { kind: MemberKind::User, id, granted_by: None, ..member.clone() });
            }
        }
        wanted.control.who = who.into_values().collect();
    }
    unread
}

type Admitted = BTreeMap<(MemberKind, ExternalId), Member>;

/// Adds a member. One who is there already, himself or by way of another group, has what any of these ways gives.
fn admit(who: &mut Admitted, member: Member) {
    let known = who.entry((member.kind, member.id.clone())).or_insert_with(|| member.clone());
    known.inherits |= member.inherits;
    known.assumable |= member.assumable;
    known.may_pass_on |= member.may_pass_on;
    known.expires_ms = known.expires_ms.zip(member.expires_ms).map(|(one, other)| one.max(other));
}

/// Has users be members by way of the access control of their own, where a kind admits access controls and no users. One that has
/// none stays as he is, and the decision says that he cannot be admitted.
pub fn resolve_users(controls: &mut [Desired], found: &AccessControls, description: &Description) {
    for wanted in controls {
        let kind = description.control_kind(&wanted.control.kind);
        let by_way = kind.is_some_and(|kind| {
            kind.identity == Identity::Named
                && kind.admits.contains(&MemberKind::AccessControl)
                && !kind.admits.contains(&MemberKind::User)
        });
        let last = wanted.applied.as_deref_mut().into_iter().chain(&mut wanted.begun);
        for member in last.chain([&mut wanted.control]).flat_map(|control| &mut control.who).filter(|_| by_way) {
            if let (MemberKind::User, Some(own)) = (member.kind, found.own_of(&member.id)) {
                (member.kind, member.id) = (MemberKind::AccessControl, own.clone());
            }
        }
    }
}
