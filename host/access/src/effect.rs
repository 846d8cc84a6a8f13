//! What changes make of effective access: who gains and who loses what he can really do, and which changes have no effect at
//! all because the same comes another way.

mod after;
mod without;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use raito_core::catalogue::Catalogue;
use raito_core::expansion::{Answer, AnswerFilter, Asked, BuildError, How, ObjectId, PrincipalId, Rows, Snapshot};
use raito_core::record::{AccessControl, Change, ChangeSet, MemberKind, ObjectRef, Policy};
use raito_core::text::{ExternalId, Kind, Name, PathPart, PermissionName, PolicyText};
use serde::{Deserialize, Serialize};

pub use after::after;
pub use without::WithoutEffect;
use without::{lost_by_nobody, used_by_nobody};

/// People who gain or lose a permission on an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Effect {
    /// On what.
    pub object: ObjectRef,
    /// Which permission.
    pub permission: PermissionName,
    /// Who can use it now and could not before, by account name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gain: Vec<Name>,
    /// Who could use it before and cannot any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lose: Vec<Name>,
    /// Who sees other rows or values than before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other: Vec<Name>,
}

/// What changes make of effective access.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Effects {
    /// Who gains and loses what, object by object.
    pub effects: Vec<Effect>,
    /// What is taken or given without effect.
    pub without: Vec<WithoutEffect>,
}

impl Effects {
    /// In words: who gains and loses, then what is taken or given without effect.
    pub fn lines(&self) -> Vec<String> {
        let of_people = self.effects.iter().flat_map(Effect::lines);
        of_people.chain(self.without.iter().map(WithoutEffect::line)).collect()
    }

    /// What comes for people of the same changes by now and did not when they were planned, and what no longer does: whoever
    /// came into a group or left it meanwhile.
    pub fn moved_since(&self, planned: &Self) -> Vec<String> {
        let beyond = |these: &Self, those: &Self| -> Vec<String> {
            let known: BTreeMap<_, &Effect> =
                those.effects.iter().map(|effect| ((&effect.object, &effect.permission), effect)).collect();
            let of = |effect: &Effect| match known.get(&(&effect.object, &effect.permission)) {
                Some(known) => effect.beyond(known).lines(),
                None => effect.lines(),
            };
            these.effects.iter().flat_map(of).collect()
        };
        let now = beyond(self, planned).into_iter().map(|line| format!("now it means: {line}"));
        now.chain(beyond(planned, self).into_iter().map(|line| format!("it no longer means: {line}"))).collect()
    }
}

/// What comes of changes.
pub struct Compared {
    /// As it will be.
    pub after: Snapshot,
    /// The access controls as they will be.
    pub controls: Vec<AccessControl>,
    /// The difference.
    pub effects: Effects,
}

/// Compares what people can do before and after changes.
///
/// # Errors
/// `BuildError` where a change names what the description does not have.
pub fn compare(catalogue: &Catalogue, sets: &[ChangeSet], now_ms: u64) -> Result<Compared, BuildError> {
    let controls = after(catalogue, sets);
    let mut effects = Effects::default();
    if sets.is_empty() {
        let after = catalogue.snapshot(controls.iter(), now_ms)?;
        return Ok(Compared { after, controls, effects });
    }
    let kept: Vec<&AccessControl> = catalogue.controls.kept().collect();
    let [before, later] = catalogue.snapshots([&kept, &controls.iter().collect::<Vec<_>>()], now_ms)?;
    let (was, is) = (Side::new(&before, catalogue.controls.kept()), Side::new(&later, &controls));
    // Tables beside their columns, which most often have the same answers.
    let mut touched: Vec<ObjectRef> = touched(catalogue, sets, &controls).into_iter().collect();
    touched.sort_by(|one, other| one.path.cmp(&other.path));
    let mut asked = [Asked::new(&before), Asked::new(&later)];
    for object in touched {
        effects.effects.extend(difference([&was, &is], &mut asked, &object));
    }
    effects.effects.sort();
    effects.without = lost_by_nobody([&before, &later], catalogue, sets, &effects.effects);
    effects.without.extend(used_by_nobody(&later, &mut asked[1], sets, &effects.effects));
    effects.effects = outermost(effects.effects);
    Ok(Compared { after: later, controls, effects })
}

/// How well somebody holds a permission. What cannot be used, or shows no rows, is not held.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Holding {
    conditional: bool,
    rows: Option<Vec<Rule>>,
    /// More rows that are seen after switching.
    wider: Option<Option<Vec<Rule>>>,
    masked: Vec<Rule>,
}

/// A filter or a mask, with what it says: its kind, and what rows it shows and lets be written.
type Rule = (ExternalId, Option<Kind>, Option<PolicyText>, Option<PolicyText>);

/// Before or after, with the rules of access controls, which a snapshot knows by their ids alone.
struct Side<'s> {
    snapshot: &'s Snapshot,
    rules: HashMap<&'s ExternalId, &'s Policy>,
}

impl<'s> Side<'s> {
    fn new(snapshot: &'s Snapshot, controls: impl IntoIterator<Item = &'s AccessControl>) -> Self {
        let rule = |control: &'s AccessControl| Some((&control.external_id, control.policy.as_ref()?));
        Self { snapshot, rules: controls.into_iter().filter_map(rule).collect() }
    }
}

/// Who holds which permission on an object, by the names of accounts.
fn holders<'s>(
    side: &Side<'s>,
    object: &ObjectRef,
) -> BTreeMap<(&'s PermissionName, &'s Name, &'s ExternalId), Holding> {
    let snapshot = side.snapshot;
    let Some(id) = snapshot.find_object(object) else { return BTreeMap::new() };
    let rule = |id| {
        let id = &snapshot.principal(id).external_id;
        let said = side.rules.get(id).map(|rule| (rule.kind.clone(), rule.text.clone(), rule.check.clone()));
        let (kind, text, check) = said.unwrap_or_default();
        (id.clone(), kind, text, check)
    };
    let mut held = BTreeMap::new();
    for answer in snapshot.who(id, &AnswerFilter::default()) {
        let Answer { user, permission, how, usable, conditional, rows, wider, masked, .. } = answer;
        let wider = wider.filter(|wider| wider.how != How::Obtainable);
        if how == How::Obtainable || !usable || (rows == Rows::Nothing && wider.is_none()) {
            continue;
        }
        let shown = |rows| match rows {
            Rows::Filtered(filters) => Some(filters.into_iter().map(rule).collect()),
            Rows::Nothing => Some(Vec::new()),
            Rows::All => None,
        };
        let user = snapshot.principal(user);
        let holding = Holding {
            conditional,
            rows: shown(rows),
            wider: wider.map(|wider| shown(wider.rows)),
            masked: masked.into_iter().map(rule).collect(),
        };
        held.insert((snapshot.permission_name(permission), &user.name, &user.external_id), holding);
    }
    held
}

/// Who gains and who loses what on an object, permission by permission.
fn difference(sides: [&Side<'_>; 2], asked: &mut [Asked<'_>; 2], object: &ObjectRef) -> Vec<Effect> {
    let [before, after] = sides;
    let ids = [before, after].map(|side| side.snapshot.find_object(object));
    let ruled = |(side, id): (&Side<'_>, Option<ObjectId>)| id.is_some_and(|id| side.snapshot.has_rules(id));
    if ruled((before, ids[0])) || ruled((after, ids[1])) {
        return difference_of_rows(before, after, object);
    }
    let usable = |asked: &mut Asked<'_>, id: Option<ObjectId>, permission| {
        id.map(|id| asked.usable(id, permission)).unwrap_or_default()
    };
    let [was_asked, is_asked] = asked;
    let known = ids[0].map(|id| before.snapshot.permissions_of(id));
    let known = known.or_else(|| ids[1].map(|id| after.snapshot.permissions_of(id))).unwrap_or_default();
    let mut effects = Vec::new();
    for permission in known {
        let (was, is) = (usable(was_asked, ids[0], permission), usable(is_asked, ids[1], permission));
        let mut users: Vec<PrincipalId> = was.differing(&is).collect();
        users.sort_unstable_by(|one, two| {
            let key = |user: &PrincipalId| {
                let user = before.snapshot.principal(*user);
                (&user.name, &user.external_id)
            };
            key(one).cmp(&key(two))
        });
        let mut effect = Effect::none(object, before.snapshot.permission_name(permission));
        for user in users {
            effect.add(&before.snapshot.principal(user).name, was.by(user).is_some(), is.by(user).is_some());
        }
        effects.extend(effect.of_somebody());
    }
    effects
}

/// The same for an object with filters or masks, where it also matters which rows and values somebody sees.
fn difference_of_rows(before: &Side<'_>, after: &Side<'_>, object: &ObjectRef) -> Vec<Effect> {
    let (was, is) = (holders(before, object), holders(after, object));
    let mut effects: BTreeMap<&PermissionName, Effect> = BTreeMap::new();
    let keys: BTreeSet<_> = was.keys().chain(is.keys()).collect();
    for key in keys {
        let (permission, name, _) = *key;
        let (was, is) = (was.get(key), is.get(key));
        if was != is {
            let effect = effects.entry(permission).or_insert_with(|| Effect::none(object, permission));
            effect.add(name, was.is_some(), is.is_some());
        }
    }
    effects.into_values().collect()
}

/// Without what follows from the same on the object above: who gains a table gains its columns.
fn outermost(effects: Vec<Effect>) -> Vec<Effect> {
    type Said<'e> = (&'e [PathPart], &'e PermissionName, [&'e Vec<Name>; 3]);
    let said: HashSet<Said<'_>> = effects
        .iter()
        .map(|effect| (effect.object.path.as_slice(), &effect.permission, [&effect.gain, &effect.lose, &effect.other]))
        .collect();
    let follows = |effect: &&Effect| {
        effect.object.path.split_last().is_some_and(|(_, above)| {
            said.contains(&(above, &effect.permission, [&effect.gain, &effect.lose, &effect.other]))
        })
    };
    let (_, left): (Vec<&Effect>, Vec<&Effect>) = effects.iter().partition(follows);
    left.into_iter().cloned().collect()
}

/// The objects whose holders can be others after the changes: those that the changes name, all that stands below them, and where
/// members change, all that these access controls hold.
fn touched(catalogue: &Catalogue, sets: &[ChangeSet], after: &[AccessControl]) -> BTreeSet<ObjectRef> {
    let mut roots: BTreeSet<ObjectRef> = BTreeSet::new();
    let mut with_members: BTreeSet<ExternalId> = BTreeSet::new();
    for set in sets {
        roots.extend(set.object.iter().cloned());
        let id = set.external_id.clone().or_else(|| ExternalId::new(set.id.as_str()).ok());
        for change in &set.changes {
            match change {
                Change::Grant(list) | Change::Revoke(list) => roots.extend(list.iter().map(|what| what.object.clone())),
                Change::AddMembers(_)
                | Change::RemoveMembers(_)
                | Change::SetMemberOptions(_)
                | Change::SetPolicy(_)
                | Change::ClearPolicy
                | Change::Delete => with_members.extend(id.clone()),
                _ => {}
            }
        }
    }
    let both = || catalogue.controls.kept().chain(after);
    let mut open: Vec<ExternalId> = with_members.iter().cloned().collect();
    while let Some(member) = open.pop() {
        let has = |control: &&AccessControl| {
            control.who.iter().any(|other| {
                other.id == member && matches!(other.kind, MemberKind::AccessControl | MemberKind::ActingAs)
            })
        };
        for control in both().filter(has) {
            if with_members.insert(control.external_id.clone()) {
                open.push(control.external_id.clone());
            }
        }
    }
    let held = both().filter(|control| with_members.contains(&control.external_id)).flat_map(|control| &control.what);
    roots.extend(held.map(|what| what.object.clone()));
    below(catalogue, roots)
}

/// Objects with all that stands below them.
fn below(catalogue: &Catalogue, roots: BTreeSet<ObjectRef>) -> BTreeSet<ObjectRef> {
    let mut children: HashMap<&ExternalId, Vec<usize>> = HashMap::new();
    let mut by_reference: HashMap<&ObjectRef, usize> = HashMap::new();
    for (at, object) in catalogue.objects.iter().enumerate() {
        by_reference.insert(&object.object, at);
        if let Some(parent) = &object.parent_external_id {
            children.entry(parent).or_default().push(at);
        }
    }
    let mut open: Vec<usize> = roots.iter().filter_map(|root| by_reference.get(root).copied()).collect();
    let mut seen: HashSet<usize> = open.iter().copied().collect();
    while let Some(at) = open.pop() {
        for child in children.get(&catalogue.objects[at].external_id).into_iter().flatten() {
            if seen.insert(*child) {
                open.push(*child);
            }
        }
    }
    let mut all = roots;
    all.extend(seen.into_iter().map(|at| catalogue.objects[at].object.clone()));
    all
}

impl Effect {
    fn none(object: &ObjectRef, permission: &PermissionName) -> Self {
        let (object, permission) = (object.clone(), permission.clone());
        Self { object, permission, gain: Vec::new(), lose: Vec::new(), other: Vec::new() }
    }

    /// Adds somebody who holds the permission otherwise than before: not at all then, or not at all now, or in another way.
    fn add(&mut self, name: &Name, held: bool, holds: bool) {
        let list = match (held, holds) {
            (false, _) => &mut self.gain,
            (_, false) => &mut self.lose,
            (true, true) => &mut self.other,
        };
        list.push(name.clone());
    }

    fn of_somebody(self) -> Option<Self> {
        let nobody = self.gain.is_empty() && self.lose.is_empty() && self.other.is_empty();
        (!nobody).then_some(self)
    }

    /// The people of this effect who are not in another one, each with what he gains, loses or sees otherwise.
    fn beyond(&self, other: &Self) -> Self {
        let without = |these: &[Name], those: &[Name]| {
            let those: BTreeSet<&Name> = those.iter().collect();
            these.iter().filter(|name| !those.contains(name)).cloned().collect()
        };
        Self {
            gain: without(&self.gain, &other.gain),
            lose: without(&self.lose, &other.lose),
            other: without(&self.other, &other.other),
            ..self.clone()
        }
    }

    /// In words: `3 people gain SELECT on table shop.sales.orders: ann, bob, carl`.
    pub fn lines(&self) -> Vec<String> {
        let line = |verb: &str, one: &str, names: &[Name]| {
            let shown: Vec<String> = names.iter().take(5).map(ToString::to_string).collect();
            let more = if names.len() > 5 { ", …" } else { "" };
            let who =
                if names.len() == 1 { format!("1 person {one}") } else { format!("{} people {verb}", names.len()) };
            format!("{who} {} on {}: {}{more}", self.permission, self.object, shown.join(", "))
        };
        [
            ("gain", "gains", &self.gain),
            ("lose", "loses", &self.lose),
            ("see other data with", "sees other data with", &self.other),
        ]
        .into_iter()
        .filter(|(_, _, names)| !names.is_empty())
        .map(|(verb, one, names)| line(verb, one, names))
        .collect()
    }
}
