//! A target as one value: principals, objects and facts, put together from records and then asked.

use std::collections::{BTreeMap, HashMap};

use roaring::RoaringBitmap;

use super::answer::{AnswerFilter, How};
use super::objects::{ObjectId, Objects, Raw};
use super::principals::{EVERYONE, Link, Principal, PrincipalId, PrincipalKind, Principals, kind_of};
use super::rules::{PermissionId, Rules};
use crate::digest::{Hasher, Key};
use crate::record::{
    AccessControl, Action, DataObject, Description, Gap, Group, Member, Membership, ObjectRef, Policy, Standing, User,
    What,
};
use crate::text::{ExternalId, Kind, Name, PermissionName, PolicyText};

/// A fact: a permission that an access control gives on an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fact {
    pub(super) object: ObjectId,
    pub(super) permission: PermissionId,
    pub(super) control: PrincipalId,
    pub(super) conditional: bool,
    pub(super) may_pass_on: bool,
}

/// A mask or a filter on an object.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) control: PrincipalId,
    pub(super) action: Action,
    pub(super) policy: Policy,
    /// The permissions that it is about.
    pub(super) permissions: Vec<PermissionId>,
}

/// A standing grant, with the access control that gives it.
#[derive(Debug, Clone)]
pub(super) struct StandingFact {
    pub(super) control: PrincipalId,
    pub(super) under: Key,
    pub(super) standing: Standing,
}

/// A target that can be asked who may do what.
#[derive(Debug)]
pub struct Snapshot {
    pub(super) rules: Rules,
    pub(super) principals: Principals,
    pub(super) objects: Objects,
    /// Grants by object, then permission and control.
    pub(super) grants: Vec<Fact>,
    /// Denials in the same order.
    pub(super) denials: Vec<Fact>,
    /// Positions of grants by control.
    pub(super) by_control: HashMap<PrincipalId, Vec<u32>>,
    pub(super) policies: BTreeMap<ObjectId, Vec<Rule>>,
    /// Filters that narrow what others show.
    pub(super) restrictive: RoaringBitmap,
    pub(super) standings: Vec<StandingFact>,
    /// Access controls of which something could not be told.
    pub(super) incomplete: Vec<PrincipalId>,
    /// Rules that nobody can expand.
    pub(super) unknown_specials: Vec<ExternalId>,
    /// What no read tells.
    pub(super) left_out: Vec<Gap>,
    /// Objects that are only named, where their inside is not left out.
    pub(super) strangers: RoaringBitmap,
}

/// What does not fit the description.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} names {kind} {name}, which the description does not have")]
pub struct BuildError {
    what: &'static str,
    kind: String,
    name: String,
}

/// Puts a snapshot together. Records may come in any order.
#[derive(Debug)]
pub struct Builder {
    rules: Rules,
    principals: Principals,
    objects: Vec<(Key, Raw)>,
    /// External ids of objects, by the digest that parents are named with.
    by_external_id: HashMap<Key, Key>,
    facts: Vec<(Key, PermissionId, PrincipalId, Action, bool, bool)>,
    references: HashMap<Key, ObjectRef>,
    policies: Vec<(PrincipalId, Action, Policy)>,
    standings: Vec<StandingFact>,
    incomplete: Vec<PrincipalId>,
    unknown_specials: Vec<ExternalId>,
    left_out: Vec<Gap>,
    now_ms: u64,
}

fn id_key(id: &ExternalId) -> Key {
    let mut hasher = Hasher::default();
    hasher.field(id.as_str());
    hasher.finish_key()
}

impl Builder {
    /// Begins a snapshot of a target that behaves like this, at a time that expired memberships are measured by.
    pub fn new(description: &Description, now_ms: u64) -> Self {
        Self {
            rules: Rules::new(description),
            principals: Principals::default(),
            objects: Vec::new(),
            by_external_id: HashMap::new(),
            facts: Vec::new(),
            references: HashMap::new(),
            policies: Vec::new(),
            standings: Vec::new(),
            incomplete: Vec::new(),
            unknown_specials: Vec::new(),
            left_out: description.left_out.clone(),
            now_ms,
        }
    }

    /// Adds a user.
    pub fn user(&mut self, user: &User) {
        let id = self.principals.ensure(PrincipalKind::User, &user.external_id);
        self.principals.describe(id, user.user_name.clone(), user.enabled);
    }

    /// Adds a group.
    pub fn group(&mut self, group: &Group) {
        let id = self.principals.ensure(PrincipalKind::Group, &group.external_id);
        self.principals.describe(id, group.name.clone(), true);
        if group.incomplete {
            self.incomplete.push(id);
        }
    }

    /// Adds a member of a group.
    pub fn membership(&mut self, membership: &Membership) {
        let group = self.principals.ensure(PrincipalKind::Group, &membership.group_external_id);
        self.member(group, &membership.member);
    }

    /// Makes a user known who may be a member of something, so that he has his number whatever he is a member of.
    pub fn acquaint(&mut self, member: &Member) {
        if member.kind == crate::record::MemberKind::User {
            self.principals.ensure(PrincipalKind::User, &member.id);
        }
    }

    /// Adds an object.
    ///
    /// # Errors
    /// `BuildError` where its kind is not described.
    pub fn object(&mut self, object: &DataObject) -> Result<(), BuildError> {
        let kind = self.kind("an object", &object.object.kind)?;
        let key = object.object.key();
        self.by_external_id.insert(id_key(&object.external_id), key);
        let raw = Raw {
            reference: object.object.clone(),
            kind,
            parent: object.parent_external_id.as_ref().map(id_key),
            reads: object.reads.iter().map(ObjectRef::key).collect(),
            rights: object.rights,
        };
        self.objects.push((key, raw));
        Ok(())
    }

    fn kind(&self, what: &'static str, kind: &Kind) -> Result<super::rules::KindId, BuildError> {
        let unknown = || BuildError { what, kind: "the kind".into(), name: kind.to_string() };
        self.rules.kind(kind).ok_or_else(unknown)
    }

    /// Adds an access control with everything that it holds; more of it may follow with [`Builder::held`].
    ///
    /// # Errors
    /// `BuildError` where it names what the description does not have.
    pub fn control(&mut self, control: &AccessControl) -> Result<(), BuildError> {
        let id = self.principals.ensure(PrincipalKind::Control, &control.external_id);
        self.principals.describe(id, control.name.clone(), true);
        if control.incomplete {
            self.incomplete.push(id);
        }
        if let Some(policy) = &control.policy {
            self.policies.push((id, control.action, policy.clone()));
        }
        self.held(&control.external_id, control.action, &control.who, &control.what, &control.standing)
    }

    /// Adds members, facts and standing grants of an access control.
    ///
    /// # Errors
    /// `BuildError` where one of them names what the description does not have.
    pub fn held(
        &mut self,
        control: &ExternalId,
        action: Action,
        who: &[Member],
        what: &[What],
        standing: &[Standing],
    ) -> Result<(), BuildError> {
        let id = self.principals.ensure(PrincipalKind::Control, control);
        who.iter().for_each(|member| self.member(id, member));
        for what in what {
            for permission in &what.permissions {
                self.fact(id, action, &what.object, &permission.name, what.condition.as_ref(), permission.may_pass_on)?;
            }
        }
        for standing in standing {
            self.kind("a standing grant", &standing.kind)?;
            let under = standing.under.key();
            self.standings.push(StandingFact { control: id, under, standing: standing.clone() });
        }
        Ok(())
    }

    /// Adds one fact.
    ///
    /// # Errors
    /// `BuildError` where it names what the description does not have.
    pub fn fact(
        &mut self,
        control: PrincipalId,
        action: Action,
        object: &ObjectRef,
        permission: &PermissionName,
        condition: Option<&PolicyText>,
        may_pass_on: bool,
    ) -> Result<(), BuildError> {
        self.kind("a fact", &object.kind)?;
        let unknown = || BuildError { what: "a fact", kind: object.kind.to_string(), name: permission.to_string() };
        let permission = self.rules.permission(&object.kind, permission).ok_or_else(unknown)?;
        let key = object.key();
        self.references.entry(key).or_insert_with(|| object.clone());
        self.facts.push((key, permission, control, action, condition.is_some(), may_pass_on));
        Ok(())
    }

    fn member(&mut self, of: PrincipalId, member: &Member) {
        let Some(kind) = kind_of(member.kind) else { return };
        if member.expires_ms.is_some_and(|end| end <= self.now_ms) {
            return;
        }
        let expanded = [EVERYONE, super::forecast::CREATOR].contains(&member.id.as_str());
        if kind == PrincipalKind::Special && !expanded && !self.unknown_specials.contains(&member.id) {
            self.unknown_specials.push(member.id.clone());
        }
        let id = self.principals.ensure(kind, &member.id);
        let link = Link {
            other: of,
            inherits: member.inherits,
            assumable: member.assumable,
            may_pass_on: member.may_pass_on,
            acting: member.kind == crate::record::MemberKind::ActingAs,
        };
        self.principals.link(id, of, link);
    }

    /// The snapshot. An object that a fact names and nobody told of stands alone.
    pub fn finish(mut self) -> Snapshot {
        for (key, raw) in &mut self.objects {
            raw.parent =
                raw.parent.and_then(|parent| self.by_external_id.get(&parent).copied()).filter(|parent| parent != key);
        }
        let strangers = self.take_in_strangers();
        self.objects.sort_by(|one, two| one.1.reference.path.cmp(&two.1.reference.path).then(one.0.cmp(&two.0)));
        self.objects.dedup_by_key(|(key, _)| *key);
        let objects = Objects::new(self.objects);
        let strangers = strangers.into_iter().filter_map(|key| objects.find(key)).map(|id| id.0).collect();
        let (mut grants, mut denials, mut with_policy) = (Vec::new(), Vec::new(), HashMap::<_, Vec<_>>::new());
        for (key, permission, control, action, conditional, may_pass_on) in self.facts {
            let Some(object) = objects.find(key) else { continue };
            let fact = Fact { object, permission, control, conditional, may_pass_on };
            match action {
                Action::Grant => grants.push(fact),
                Action::Deny => denials.push(fact),
                Action::Mask | Action::Filter => with_policy.entry(control).or_default().push((object, permission)),
                Action::Share => {}
            }
        }
        grants.sort_unstable();
        denials.sort_unstable();
        let mut by_control: HashMap<PrincipalId, Vec<u32>> = HashMap::new();
        for (at, fact) in (0_u32..).zip(&grants) {
            by_control.entry(fact.control).or_default().push(at);
        }
        let restrictive = self.policies.iter().filter(|(.., policy)| policy.restrictive);
        let restrictive = restrictive.map(|(control, ..)| control.0).collect();
        let policies = rules_by_object(self.policies, with_policy);
        Snapshot {
            rules: self.rules,
            principals: self.principals,
            objects,
            grants,
            denials,
            by_control,
            policies,
            restrictive,
            standings: self.standings,
            incomplete: self.incomplete,
            unknown_specials: self.unknown_specials,
            left_out: self.left_out,
            strangers,
        }
    }

    /// Takes in the objects that facts name and nobody told of. Gives those of which no reason is
    /// told.
    fn take_in_strangers(&mut self) -> Vec<Key> {
        let known: std::collections::HashSet<Key> = self.objects.iter().map(|(key, _)| *key).collect();
        let references = std::mem::take(&mut self.references);
        let mut strangers: Vec<(Key, ObjectRef)> =
            references.into_iter().filter(|(key, _)| !known.contains(key)).collect();
        strangers.sort_by(|one, two| one.1.cmp(&two.1));
        let is_inside = self.inside_of_left_out();
        let unexplained =
            strangers.iter().filter(|(_, reference)| !is_inside(reference)).map(|(key, _)| *key).collect();
        for (key, reference) in strangers {
            let Some(kind) = self.rules.kind(&reference.kind) else { continue };
            let rights = crate::record::Rights::Caller;
            self.objects.push((key, Raw { reference, kind, parent: None, reads: vec![], rights }));
        }
        unexplained
    }

    /// Says of an object whether it stands within one whose inside no read tells.
    fn inside_of_left_out(&self) -> impl Fn(&ObjectRef) -> bool + use<> {
        let scopes: Vec<Key> = self.left_out.iter().filter_map(|gap| gap.scope.as_ref()).map(id_key).collect();
        let keys: Vec<Key> = scopes.iter().filter_map(|scope| self.by_external_id.get(scope).copied()).collect();
        let within = self.objects.iter().filter(|(key, _)| keys.contains(key));
        let paths: Vec<_> = within.map(|(_, raw)| raw.reference.path.clone()).collect();
        move |object| paths.iter().any(|path| object.path.len() > path.len() && object.path.starts_with(path))
    }

    /// The principal that stands for an access control, which facts are added to one by one.
    pub fn control_id(&mut self, control: &ExternalId) -> PrincipalId {
        self.principals.ensure(PrincipalKind::Control, control)
    }
}

/// Masks and filters by the objects that they stand on, with the permissions that they are about there.
fn rules_by_object(
    policies: Vec<(PrincipalId, Action, Policy)>,
    mut stands_on: HashMap<PrincipalId, Vec<(ObjectId, PermissionId)>>,
) -> BTreeMap<ObjectId, Vec<Rule>> {
    let mut by_object: BTreeMap<ObjectId, Vec<Rule>> = BTreeMap::new();
    for (control, action, policy) in policies {
        let mut on: BTreeMap<ObjectId, Vec<PermissionId>> = BTreeMap::new();
        for (object, permission) in stands_on.remove(&control).unwrap_or_default() {
            on.entry(object).or_default().push(permission);
        }
        for (object, permissions) in on {
            by_object.entry(object).or_default().push(Rule { control, action, policy: policy.clone(), permissions });
        }
    }
    by_object
}

impl Snapshot {
    /// The object with this reference.
    pub fn find_object(&self, object: &ObjectRef) -> Option<ObjectId> {
        self.objects.find(object.key())
    }

    /// All objects.
    pub fn all_objects(&self) -> impl Iterator<Item = ObjectId> {
        (0..self.objects.len()).map(ObjectId)
    }

    /// The reference of an object.
    pub fn object(&self, id: ObjectId) -> &ObjectRef {
        &self.objects.get(id).reference
    }

    /// The user with this external id.
    pub fn find_user(&self, external_id: &ExternalId) -> Option<PrincipalId> {
        self.principals.find(PrincipalKind::User, external_id)
    }

    /// The access control with this external id.
    pub fn find_control(&self, external_id: &ExternalId) -> Option<PrincipalId> {
        self.principals.find(PrincipalKind::Control, external_id)
    }

    /// All users.
    pub fn users(&self) -> impl Iterator<Item = PrincipalId> {
        self.principals.of_kind(PrincipalKind::User)
    }

    /// The users who have an access control: actively, or after switching.
    pub fn users_of(&self, control: &ExternalId) -> Vec<PrincipalId> {
        let Some(control) = self.find_control(control) else { return Vec::new() };
        let has = |user: &PrincipalId| {
            let assumable = AnswerFilter { permissions: Vec::new(), how: Some(How::Assumable) };
            let acting = self.acting(*user, &assumable);
            acting.iter().any(|(how, active)| *how <= How::Assumable && active.has(control))
        };
        self.users().filter(has).collect()
    }

    /// A principal.
    pub fn principal(&self, id: PrincipalId) -> &Principal {
        self.principals.get(id)
    }

    /// What can be held on an object.
    pub fn permissions_of(&self, object: ObjectId) -> Vec<PermissionId> {
        self.rules.of_kind(self.objects.get(object).kind).collect()
    }

    /// The permission of an object with this name.
    pub fn find_permission(&self, object: ObjectId, name: &PermissionName) -> Option<PermissionId> {
        let kind = self.rules.kind_name(self.objects.get(object).kind);
        self.rules.permission(kind, name)
    }

    /// All permissions of all kinds.
    pub fn all_permissions(&self) -> impl Iterator<Item = PermissionId> {
        self.rules.all()
    }

    /// The object at a position of the walk through all objects.
    pub fn object_at(&self, position: u32) -> Option<ObjectId> {
        (position < self.objects.len()).then_some(ObjectId(position))
    }

    /// The position behind an object; none at the end.
    pub fn position_behind(&self, object: ObjectId) -> Option<u32> {
        Some(object.0 + 1).filter(|position| *position < self.objects.len())
    }

    /// The name of a permission.
    pub fn permission_name(&self, id: PermissionId) -> &PermissionName {
        &self.rules.rule(id).name
    }

    /// Which of read, write and admin a permission counts as.
    pub fn counts_as(&self, id: PermissionId) -> [bool; 3] {
        let rule = self.rules.rule(id);
        [rule.reads, rule.writes, rule.administers]
    }

    /// Access controls and groups of which something could not be told, by name.
    pub fn incomplete(&self) -> impl Iterator<Item = &Name> {
        self.incomplete.iter().map(|id| &self.principals.get(*id).name)
    }

    /// Rules for members that nobody here can expand.
    pub fn unknown_specials(&self) -> &[ExternalId] {
        &self.unknown_specials
    }

    /// What no read tells, as the description says.
    pub fn left_out(&self) -> &[Gap] {
        &self.left_out
    }
}
