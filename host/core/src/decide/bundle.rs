//! Facts gathered as changes have them: members, permissions by object, standing grants by place.

use std::collections::{BTreeMap, BTreeSet};

use super::drift::Compared;
use crate::fact::{Fact, FactSet, Options};
use crate::record::{AccessControl, Change, Member, ObjectRef, PermissionUse, Standing, What};
use crate::text::{ExternalId, Kind, PermissionName, PolicyText};

/// Who granted each fact, where the target keeps that.
pub(super) type Grantors = BTreeMap<Fact, BTreeSet<ExternalId>>;

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
    /// Gathers facts. What is taken is taken from each who granted it.
    fn of<'f>(facts: impl Iterator<Item = (&'f Fact, Options)>, grantors: Option<&Grantors>) -> Self {
        let mut bundle = Self::default();
        for (fact, options) in facts {
            let known = grantors.and_then(|grantors| grantors.get(fact));
            let each: Vec<Option<ExternalId>> = match known {
                Some(known) if !known.is_empty() => known.iter().cloned().map(Some).collect(),
                _ => vec![None],
            };
            for granted_by in each {
                bundle.take(fact, options, granted_by);
            }
        }
        bundle
    }

    fn take(&mut self, fact: &Fact, options: Options, granted_by: Option<ExternalId>) {
        let used = |name: &PermissionName, granted_by| PermissionUse {
            name: name.clone(),
            may_pass_on: options.may_pass_on,
            granted_by,
        };
        match fact {
            Fact::Member { kind, id, .. } => self.members.push(Member {
                kind: *kind,
                id: id.clone(),
                inherits: options.inherits,
                assumable: options.assumable,
                may_pass_on: options.may_pass_on,
                granted_by,
                expires_ms: options.expires_ms,
            }),
            Fact::Permission { object, permission, condition, .. } => {
                let key = (object.clone(), condition.clone());
                self.what.entry(key).or_default().push(used(permission, granted_by));
            }
            Fact::Standing { under, kind, creator, permission, .. } => {
                let key = (under.clone(), kind.clone(), creator.clone());
                self.standing.entry(key).or_default().push(used(permission, granted_by));
            }
        }
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

/// What was compared, as changes: what is given comes before what is taken, so that nobody is without what he keeps.
pub(super) fn changes(compared: &Compared, grantors: &Grantors, revoke_first: bool) -> Vec<Change> {
    let held = |facts: &FactSet, grantors| Bundle::of(facts.iter().map(|(fact, options)| (fact, *options)), grantors);
    let (add, remove) = (held(&compared.add, None), held(&compared.remove, Some(grantors)));
    let loses = |from: &Options, to: &Options| from.may_pass_on && !to.may_pass_on;
    let changed = |lost: bool, grantors| {
        let kept = compared.change.iter().filter(move |(_, from, to)| loses(from, to) == lost);
        Bundle::of(kept.map(|(fact, _, to)| (fact, *to)), grantors)
    };
    let (more, less) = (changed(false, None), changed(true, Some(grantors)));
    let options = members_otherwise(compared, grantors);
    let mut given = Vec::new();
    push(&mut given, add.members.clone(), Change::AddMembers);
    push(&mut given, options, Change::SetMemberOptions);
    push(&mut given, [add.what(), more.what()].concat(), Change::Grant);
    // A standing grant is taken as a whole and given again, where it loses the right to be passed on.
    let again = changed(true, None).standing();
    push(&mut given, [add.standing(), more.standing(), again.clone()].concat(), Change::GrantStanding);
    let no_options = Options::default();
    let strangers = Bundle::of(compared.strangers.keys().map(|fact| (fact, no_options)), Some(&compared.strangers));
    let mut taken = Vec::new();
    push(&mut taken, [remove.members.clone(), strangers.members.clone()].concat(), Change::RemoveMembers);
    push(&mut taken, less.what(), Change::RevokePassOn);
    push(&mut taken, [remove.what(), strangers.what()].concat(), Change::Revoke);
    push(&mut taken, [remove.standing(), strangers.standing(), less.standing()].concat(), Change::RevokeStanding);
    if revoke_first || !again.is_empty() { [taken, given].concat() } else { [given, taken].concat() }
}

/// Members whose options change. What somebody is to lose is lost only where each who gave it says so: a target that keeps who
/// admitted a member keeps what each of them gave, and gives all of it together.
fn members_otherwise(compared: &Compared, grantors: &Grantors) -> Vec<Member> {
    let loses = |from: &Options, to: &Options| {
        (from.may_pass_on && !to.may_pass_on) || (from.inherits && !to.inherits) || (from.assumable && !to.assumable)
    };
    let of = |lost: bool, grantors| {
        let changed = compared.change.iter().filter(move |(_, from, to)| loses(from, to) == lost);
        Bundle::of(changed.map(|(fact, _, to)| (fact, *to)), grantors).members
    };
    [of(false, None), of(true, Some(grantors))].concat()
}

/// Adds a change unless it is about nothing.
fn push<T>(changes: &mut Vec<Change>, list: Vec<T>, change: impl FnOnce(Vec<T>) -> Change) {
    if !list.is_empty() {
        changes.push(change(list));
    }
}

/// Who granted what an access control holds, and who admitted its members; `fact` makes facts of it as the comparison does.
pub(super) fn grantors(control: &AccessControl, facts: impl Fn(&AccessControl) -> FactSet) -> Grantors {
    let mut all = Grantors::new();
    let bare = super::bare(control);
    let mut add = |part: AccessControl, by: &Option<ExternalId>| {
        let Some(by) = by else { return };
        for fact in facts(&part).into_keys() {
            all.entry(fact).or_default().insert(by.clone());
        }
    };
    for member in &control.who {
        add(AccessControl { who: vec![member.clone()], ..bare.clone() }, &member.granted_by);
    }
    for what in &control.what {
        for used in &what.permissions {
            let one = What { permissions: vec![used.clone()], ..what.clone() };
            add(AccessControl { what: vec![one], ..bare.clone() }, &used.granted_by);
        }
    }
    for standing in &control.standing {
        for used in &standing.permissions {
            let one = Standing { permissions: vec![used.clone()], ..standing.clone() };
            add(AccessControl { standing: vec![one], ..bare.clone() }, &used.granted_by);
        }
    }
    all
}
