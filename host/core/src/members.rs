//! Members of what is to be, as the target has them: people say a user or another access control of the cloud, and the target
//! may know both by something else.

use std::collections::BTreeMap;

use crate::exchange::Desired;
use crate::record::{Description, Identity, MemberKind};
use crate::text::ExternalId;
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
