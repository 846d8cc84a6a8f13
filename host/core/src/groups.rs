//! Who is in the groups of a step 1, by way of groups in groups. Step 4 needs it where an access control is to have a group as
//! a member, and the target takes the users of the group in its place.

use std::collections::{BTreeMap, BTreeSet};

use crate::limits;
use crate::record::{Group, IdentityPage, MemberKind, Membership, User};
use crate::text::{ExternalId, Name};

/// The groups of a read, and who is in them.
#[derive(Debug, Clone, Default)]
pub struct Groups {
    users: BTreeMap<ExternalId, Name>,
    groups: BTreeMap<ExternalId, Told>,
    bytes: usize,
    /// Whether there were more than are kept: then nobody is known to be in any.
    too_many: bool,
    /// Whether something of the read is missing, so that anybody may be in any.
    has_gaps: bool,
}

/// What was told of one group.
#[derive(Debug, Clone, Default)]
struct Told {
    /// Whether the group itself was told, and not only who is in it.
    is_known: bool,
    incomplete: bool,
    users: BTreeSet<ExternalId>,
    groups: BTreeSet<ExternalId>,
}

/// Who is in a group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InGroup {
    /// The users, whether or not they can log in at the moment.
    pub users: BTreeSet<ExternalId>,
    /// Whether these are all: everything on the way to them was read.
    pub is_whole: bool,
}

/// What a member takes beside its id: its share of a node, and the length of the text.
const MEMBER_OVERHEAD_BYTES: usize = 64;

impl Groups {
    /// Takes a page of step 1. Memberships that ended before `now_ms`, in milliseconds since 1970, are none.
    pub fn take(&mut self, page: &IdentityPage, now_ms: u64) {
        self.add(&page.users, &page.groups, &page.memberships, now_ms);
    }

    /// The same of lists that were read whole.
    pub(crate) fn add(&mut self, users: &[User], groups: &[Group], memberships: &[Membership], now_ms: u64) {
        users.iter().for_each(|user| self.user(user));
        groups.iter().for_each(|group| self.group(group));
        let lasts = |membership: &&Membership| membership.member.expires_ms.is_none_or(|end| end > now_ms);
        memberships.iter().filter(lasts).for_each(|membership| self.membership(membership));
    }

    /// Says that something of the read is missing.
    pub fn miss(&mut self) {
        self.has_gaps = true;
    }

    fn user(&mut self, user: &User) {
        if self.has_room(&user.external_id, user.user_name.as_str().len()) {
            self.users.insert(user.external_id.clone(), user.user_name.clone());
        }
    }

    fn group(&mut self, group: &Group) {
        if self.has_room(&group.external_id, 0) {
            let told = self.groups.entry(group.external_id.clone()).or_default();
            (told.is_known, told.incomplete) = (true, group.incomplete);
        }
    }

    fn membership(&mut self, membership: &Membership) {
        let member = &membership.member;
        if !self.has_room(&member.id, membership.group_external_id.as_str().len()) {
            return;
        }
        let told = self.groups.entry(membership.group_external_id.clone()).or_default();
        let is_user = member.kind == MemberKind::User;
        let list = if is_user { &mut told.users } else { &mut told.groups };
        list.insert(member.id.clone());
    }

    /// Counts what is about to be kept. Of too much nothing is kept: a group of which some are missing would pass for a smaller
    /// one.
    fn has_room(&mut self, id: &ExternalId, more: usize) -> bool {
        self.bytes = self.bytes.saturating_add(id.as_str().len() + more + MEMBER_OVERHEAD_BYTES);
        if self.bytes > limits::GROUPS_KEPT_BYTES {
            self.too_many = true;
            (self.users, self.groups) = (BTreeMap::new(), BTreeMap::new());
        }
        !self.too_many
    }

    /// Whether there were more users and members than are kept, so that nobody is known to be in any group.
    pub fn too_many(&self) -> bool {
        self.too_many
    }

    /// The account name of a user.
    pub fn name_of(&self, user: &ExternalId) -> Option<&Name> {
        self.users.get(user)
    }

    /// Who is in a group, through groups in it and whatever circles they make; none where no such group was told.
    pub fn within(&self, group: &ExternalId) -> Option<InGroup> {
        self.groups.get(group).filter(|told| told.is_known)?;
        let mut found = InGroup { users: BTreeSet::new(), is_whole: !self.has_gaps };
        let (mut open, mut seen) = (vec![group], BTreeSet::from([group]));
        while let Some(told) = open.pop().map(|id| self.groups.get(id)) {
            // A group that is in one and was not told of has members that nobody knows.
            let Some(told) = told.filter(|told| told.is_known) else {
                found.is_whole = false;
                continue;
            };
            found.is_whole &= !told.incomplete;
            for user in &told.users {
                let is_known = self.users.contains_key(user);
                found.is_whole &= is_known;
                if is_known {
                    found.users.insert(user.clone());
                }
            }
            open.extend(told.groups.iter().filter(|group| seen.insert(*group)));
        }
        Some(found)
    }
}
