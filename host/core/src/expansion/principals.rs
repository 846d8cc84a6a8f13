//! Who is in what: users, groups, access controls, and the memberships between them, in both directions.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use roaring::RoaringBitmap;

use crate::record::MemberKind;
use crate::text::{ExternalId, Name};

/// So many are put into a set one by one, rather than as a set.
const FEW: u64 = 64;

/// Somebody or something that can be a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PrincipalId(pub(super) u32);

/// What a principal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PrincipalKind {
    /// A user.
    User,
    /// A group.
    Group,
    /// An access control.
    Control,
    /// A rule.
    Special,
}

/// A principal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// What it is.
    pub kind: PrincipalKind,
    /// Its external id at the target.
    pub external_id: ExternalId,
    /// Its name for people.
    pub name: Name,
    /// Whether a user can log in.
    pub enabled: bool,
}

/// A membership, seen from one of its ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Link {
    /// The other end.
    pub(super) other: PrincipalId,
    pub(super) inherits: bool,
    pub(super) assumable: bool,
    pub(super) may_pass_on: bool,
    /// Whether only who acts as the member is one, and not who inherits from it.
    pub(super) acting: bool,
}

/// The special that covers every user.
pub(super) const EVERYONE: &str = "everyone";

/// All principals of a target.
#[derive(Debug, Default)]
pub(super) struct Principals {
    all: Vec<Principal>,
    ids: HashMap<(PrincipalKind, ExternalId), PrincipalId>,
    /// From a member to what it is in.
    up: Vec<Vec<Link>>,
    /// From what has members to them.
    down: Vec<Vec<Link>>,
    everyone: Option<PrincipalId>,
    /// Users and access controls: those that one can act as.
    actors: RoaringBitmap,
    users: RoaringBitmap,
    /// Those that a record told of.
    defined: RoaringBitmap,
    starts: Mutex<HashMap<PrincipalId, Arc<RoaringBitmap>>>,
}

/// The kind of principal that a member of this kind is; recipients are outside.
pub(super) fn kind_of(member: MemberKind) -> Option<PrincipalKind> {
    match member {
        MemberKind::User => Some(PrincipalKind::User),
        MemberKind::Group => Some(PrincipalKind::Group),
        MemberKind::AccessControl | MemberKind::ActingAs => Some(PrincipalKind::Control),
        MemberKind::Special => Some(PrincipalKind::Special),
        MemberKind::Recipient => None,
    }
}

/// What is active for a start: each principal with the one that leads to it; the start leads to itself.
#[derive(Debug, Default)]
pub(super) struct Active {
    start: Option<PrincipalId>,
    from: HashMap<PrincipalId, PrincipalId>,
}

impl Active {
    pub(super) fn start(&self) -> Option<PrincipalId> {
        self.start
    }

    pub(super) fn has(&self, principal: PrincipalId) -> bool {
        self.from.contains_key(&principal)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = PrincipalId> {
        self.from.keys().copied()
    }

    /// The way from the start to a principal, both included.
    pub(super) fn way(&self, to: PrincipalId) -> Vec<PrincipalId> {
        let mut way = vec![to];
        let mut at = to;
        while let Some(before) = self.from.get(&at).copied().filter(|before| *before != at) {
            way.push(before);
            at = before;
        }
        way.reverse();
        way
    }
}

impl Principals {
    /// The principal with this id; one that nobody told of is there without a name.
    pub(super) fn ensure(&mut self, kind: PrincipalKind, external_id: &ExternalId) -> PrincipalId {
        if let Some(id) = self.ids.get(&(kind, external_id.clone())) {
            return *id;
        }
        let id = PrincipalId(u32::try_from(self.all.len()).unwrap_or(u32::MAX));
        let name = Name::new(external_id.as_str()).unwrap_or_else(|_| Name::new("?").expect("a mark is a name"));
        self.all.push(Principal { kind, external_id: external_id.clone(), name, enabled: true });
        self.up.push(Vec::new());
        self.down.push(Vec::new());
        self.ids.insert((kind, external_id.clone()), id);
        match kind {
            PrincipalKind::User => {
                self.users.insert(id.0);
                self.actors.insert(id.0);
            }
            PrincipalKind::Control => {
                self.actors.insert(id.0);
            }
            PrincipalKind::Special if external_id.as_str() == EVERYONE => self.everyone = Some(id),
            PrincipalKind::Group | PrincipalKind::Special => {}
        }
        id
    }

    /// Tells the name of a principal, and whether it can log in.
    pub(super) fn describe(&mut self, id: PrincipalId, name: Name, enabled: bool) {
        let principal = &mut self.all[id.0 as usize];
        principal.name = name;
        principal.enabled = enabled;
        self.defined.insert(id.0);
    }

    /// Whether a principal is only named, and no record told of it. Rules are told by the
    /// description.
    pub(super) fn is_undefined(&self, id: PrincipalId) -> bool {
        self.get(id).kind != PrincipalKind::Special && !self.defined.contains(id.0)
    }

    /// All principals that are only named.
    pub(super) fn undefined(&self) -> impl Iterator<Item = PrincipalId> {
        let all = (0..u32::try_from(self.all.len()).unwrap_or(u32::MAX)).map(PrincipalId);
        all.filter(|id| self.is_undefined(*id))
    }

    /// Whether a principal is the rule that covers every user.
    pub(super) fn is_everyone(&self, id: PrincipalId) -> bool {
        self.everyone == Some(id)
    }

    /// Makes one a member of another.
    pub(super) fn link(&mut self, member: PrincipalId, of: PrincipalId, link: Link) {
        self.up[member.0 as usize].push(Link { other: of, ..link });
        self.down[of.0 as usize].push(Link { other: member, ..link });
    }

    pub(super) fn get(&self, id: PrincipalId) -> &Principal {
        &self.all[id.0 as usize]
    }

    pub(super) fn find(&self, kind: PrincipalKind, external_id: &ExternalId) -> Option<PrincipalId> {
        self.ids.get(&(kind, external_id.clone())).copied()
    }

    pub(super) fn of_kind(&self, kind: PrincipalKind) -> impl Iterator<Item = PrincipalId> {
        let found = self.all.iter().enumerate().filter(move |(_, principal)| principal.kind == kind);
        found.map(|(at, _)| PrincipalId(u32::try_from(at).unwrap_or(u32::MAX)))
    }

    pub(super) fn users(&self) -> &RoaringBitmap {
        &self.users
    }

    pub(super) fn members(&self, of: PrincipalId) -> &[Link] {
        &self.down[of.0 as usize]
    }

    pub(super) fn memberships(&self, of: PrincipalId) -> &[Link] {
        &self.up[of.0 as usize]
    }

    /// What is active for somebody, by the shortest ways.
    pub(super) fn active(&self, start: PrincipalId) -> Active {
        let mut active = Active { start: Some(start), from: HashMap::new() };
        let mut queue = VecDeque::from([start]);
        active.from.insert(start, start);
        if let Some(everyone) = self.everyone.filter(|_| self.actors.contains(start.0)) {
            active.from.insert(everyone, start);
            queue.push_back(everyone);
        }
        while let Some(at) = queue.pop_front() {
            for link in self.memberships(at).iter().filter(|link| link.inherits && (!link.acting || at == start)) {
                if let std::collections::hash_map::Entry::Vacant(free) = active.from.entry(link.other) {
                    free.insert(at);
                    queue.push_back(link.other);
                }
            }
        }
        active
    }

    /// Everybody for whom a principal is active: the other direction of [`Principals::active`]. Kept, because many facts
    /// ask after the same few access controls.
    pub(super) fn starts(&self, of: PrincipalId) -> Arc<RoaringBitmap> {
        let kept = self.starts.lock().unwrap_or_else(PoisonError::into_inner).get(&of).cloned();
        if let Some(kept) = kept {
            return kept;
        }
        let starts = Arc::new(self.find_starts(of));
        self.starts.lock().unwrap_or_else(PoisonError::into_inner).insert(of, Arc::clone(&starts));
        starts
    }

    fn find_starts(&self, of: PrincipalId) -> RoaringBitmap {
        let mut seen = HashSet::from([of]);
        let mut starts = RoaringBitmap::new();
        let mut queue = VecDeque::from([of]);
        while let Some(at) = queue.pop_front() {
            if Some(at) == self.everyone {
                return self.actors.clone();
            }
            starts.insert(at.0);
            for link in self.members(at).iter().filter(|link| link.inherits) {
                if link.acting {
                    starts.insert(link.other.0);
                } else if seen.insert(link.other) {
                    queue.push_back(link.other);
                }
            }
        }
        starts
    }

    /// Everybody who can come to act as one of these, by switching as often as it takes; with `admit`, also by making
    /// himself a member first.
    pub(super) fn reach(&self, targets: &RoaringBitmap, admit: bool) -> RoaringBitmap {
        let mut reached = targets.clone();
        let mut queue: VecDeque<PrincipalId> = targets.iter().map(PrincipalId).collect();
        while let Some(at) = queue.pop_front() {
            for link in self.members(at) {
                // Who acts as a member that can switch: the member itself, or everybody in it where it is a group or a rule.
                let is_one = matches!(self.get(link.other).kind, PrincipalKind::User | PrincipalKind::Control);
                if link.assumable && is_one && reached.insert(link.other.0) {
                    queue.push_back(link.other);
                }
                if (link.assumable && !is_one) || (admit && link.may_pass_on) {
                    let starts = self.starts(link.other);
                    // Most are few, and taking away all that is reached would look at each of those.
                    if starts.len() <= FEW {
                        let new = starts.iter().filter(|start| reached.insert(*start));
                        queue.extend(new.map(PrincipalId));
                    } else {
                        let new = &*starts - &reached;
                        queue.extend(new.iter().map(PrincipalId));
                        reached |= new;
                    }
                }
            }
        }
        reached
    }
}
