//! From the changes that would be made to the reasons for them.

use std::cell::RefCell;
use std::collections::BTreeMap;

use raito_core::marker::unmarked;
use raito_core::record::{AccessControl, AccessEntry, Change, ChangeSet, Member, Standing, What};
use raito_core::text::Name;

use super::{Class, Compared, Difference, Subject, is_as_applied, is_missing, says};
use crate::applied::{AppliedControl, Facts, PASSES_ON, line, member, permission, standing};
use crate::document::{Entry, Mode, Objects, Spot, What as Item, Who};
use crate::evaluate::Question;
use crate::plan::{Names, Sign};
use crate::resolve::{Problem, Resolver};
use crate::retire::Until;

/// What reasons are found with.
pub(super) struct Finder<'f, 'q> {
    pub(super) question: &'f Question<'q>,
    pub(super) compared: &'f Compared<'f>,
    /// What the files would mean if nothing ever ended.
    pub(super) endless: &'f BTreeMap<Name, Facts>,
    pub(super) resolver: &'f RefCell<Resolver<'q>>,
    pub(super) names: &'f Names<'f>,
    pub(super) entries: &'f BTreeMap<&'q Name, &'q Entry>,
}

/// One thing that would be changed, and how.
struct Step {
    change: Change,
    subject: Subject,
    /// What it is and its options, where it is a fact.
    fact: Option<(String, String)>,
}

impl Finder<'_, '_> {
    /// The differences that a change-set would settle.
    pub(super) fn set(&self, set: &ChangeSet, owners: &[Name]) -> Vec<Difference> {
        let id = owners.first().unwrap_or(&set.id);
        let shown = set.object.as_ref().map_or_else(|| set.actual_name.to_string(), ToString::to_string);
        let spot = owners.iter().find_map(|id| self.compared.evaluation.spots.get(id)).copied();
        let whole = |class, sign, text: &str| Difference {
            class,
            sign,
            id: id.clone(),
            control: format!("{} {shown}", set.kind),
            external_id: set.external_id.clone(),
            text: text.to_owned(),
            spot,
            subject: Subject::Control,
        };
        if set.changes.iter().any(|change| matches!(change, Change::Create(_))) {
            let class = self.with_state(id, Class::Files, |_| Class::Gone);
            return vec![whole(class, Sign::Add, "all of it")];
        }
        if set.changes.contains(&Change::Delete) {
            if self.is_retired(set) {
                return vec![whole(Class::Expired, Sign::Remove, "all of it: it was retired, and its time is over")];
            }
            let class = self.with_state(id, Class::Granted, |_| Class::Files);
            return vec![whole(class, Sign::Remove, "all of it")];
        }
        let held = set.external_id.as_ref().and_then(|id| self.question.catalogue.controls.get(id));
        let mut found = Vec::new();
        for step in set.changes.iter().flat_map(|change| steps(set, change)) {
            let mut text = self.names.lines(&step.change).into_iter().next().map(|line| line.text).unwrap_or_default();
            if let (Change::Describe(wanted), Some(held)) = (&step.change, held) {
                let (here, wanted) = (unmarked(&held.description), unmarked(wanted));
                if here == wanted {
                    // The marker comes with the first change, and is none itself.
                    continue;
                }
                text = format!("description {:?}, and the files say {:?}", here.to_string(), wanted.to_string());
            }
            let (class, sign) = self.class(&step, owners, held);
            let item = self.entries.get(id).and_then(|entry| self.item(entry, &step.subject));
            found.push(Difference { spot: item.or(spot), subject: step.subject, ..whole(class, sign, &text) });
        }
        found
    }

    /// Whether what goes was kept for a time.
    fn is_retired(&self, set: &ChangeSet) -> bool {
        let held = set.external_id.as_ref().and_then(|id| self.question.catalogue.controls.get(id));
        held.and_then(|held| Until::told(&unmarked(&held.description))).is_some()
    }

    /// The class of something about an access control: one without a state, one where the state has nothing of it, or what the
    /// state says.
    fn with_state(&self, id: &Name, unknown: Class, of: impl Fn(&AppliedControl) -> Class) -> Class {
        match self.compared.state {
            None => Class::Differs,
            Some(state) => state.controls.get(id).map_or(unknown, of),
        }
    }

    fn class(&self, step: &Step, owners: &[Name], held: Option<&AccessControl>) -> (Class, Sign) {
        let Some((key, options)) = &step.fact else {
            return (self.moved(step, owners), Sign::Change);
        };
        let has = |facts: &Facts| facts.get(key) == Some(options);
        let was = |of: &dyn Fn(&Facts) -> bool| {
            owners.iter().any(|id| {
                let state = self.compared.state.and_then(|state| state.controls.get(id));
                state.is_some_and(|control| of(&control.facts))
            })
        };
        match &step.change {
            Change::RemoveMembers(_) | Change::Revoke(_) | Change::RevokeStanding(_) | Change::RemoveEntries(_) => {
                (self.taken(key, owners), Sign::Remove)
            }
            Change::RevokePassOn(_) => {
                let class = if was(&|facts| facts.get(key).is_some_and(|had| had.as_str() != PASSES_ON)) {
                    Class::Granted
                } else {
                    self.since(owners)
                };
                (class, Sign::Change)
            }
            Change::SetMemberOptions(list) if was(&has) => {
                let had = held.and_then(|held| {
                    let same = |member: &&Member| (member.kind, &member.id) == (list[0].kind, &list[0].id);
                    held.who.iter().find(same)
                });
                let wider = had.is_some_and(|had| {
                    (had.may_pass_on && !list[0].may_pass_on)
                        || (had.inherits && !list[0].inherits)
                        || (had.assumable && !list[0].assumable)
                });
                (if wider { Class::Granted } else { Class::Revoked }, Sign::Change)
            }
            Change::AddMembers(list) if self.is_gone(&list[0]) => (Class::Gone, Sign::Add),
            _ if was(&has) => (Class::Revoked, Sign::Add),
            _ => (self.since(owners), Sign::Add),
        }
    }

    /// Whether a member is an access control that was there at the last apply and is not there now: it is made again, and then
    /// is a member again.
    fn is_gone(&self, member: &Member) -> bool {
        let is_made = |set: &&ChangeSet| {
            set.id.as_str() == member.id.as_str()
                && set.changes.iter().any(|change| matches!(change, Change::Create(_)))
        };
        let state = self.compared.state;
        let made = self.compared.sets.iter().find(is_made);
        made.is_some_and(|set| state.is_some_and(|state| state.controls.contains_key(&set.id)))
    }

    /// Why something is held that no file wants.
    fn taken(&self, key: &str, owners: &[Name]) -> Class {
        if owners.iter().any(|id| self.endless.get(id).is_some_and(|wanted| wanted.contains_key(key))) {
            return Class::Expired;
        }
        let Some(state) = self.compared.state else { return Class::Differs };
        let had = |control: &AppliedControl| control.facts.contains_key(key);
        let of_owners = owners.iter().any(|id| state.controls.get(id).is_some_and(had));
        // A line of a list stands there under the entry that wanted it.
        let of_others = owners.iter().all(|id| !state.controls.contains_key(id)) && state.controls.values().any(had);
        if of_owners || (of_others && key.contains(" for ")) { self.since(owners) } else { Class::Granted }
    }

    /// Why something that was not so at the last apply is said now, or was so and is no longer said.
    fn since(&self, owners: &[Name]) -> Class {
        let Some(state) = self.compared.state else { return Class::Differs };
        let here: Vec<&Entry> = owners.iter().filter_map(|id| self.entries.get(id)).copied().collect();
        let as_applied = !here.is_empty() && here.iter().all(|entry| is_as_applied(state, entry));
        match as_applied {
            true if here.iter().any(|entry| entry.mode == Mode::Observe) => Class::Differs,
            true => Class::New,
            false => Class::Files,
        }
    }

    /// Why a name, a description or a rule is another one.
    fn moved(&self, step: &Step, owners: &[Name]) -> Class {
        let (key, wanted) = match &step.change {
            Change::Rename(name) => ("name", Some(name.to_string())),
            Change::Describe(text) => ("description", Some(unmarked(text).to_string())),
            Change::SetPolicy(policy) => ("rule", serde_json::to_string(policy).ok()),
            _ => ("rule", None),
        };
        let Some(state) = self.compared.state else { return Class::Differs };
        let was = |id: &Name| state.controls.get(id).is_some_and(|control| control.facts.get(key) == wanted.as_ref());
        if owners.iter().any(was) { Class::Changed } else { Class::Files }
    }

    /// A name in a file that the target does not have, where it had it at the last apply.
    pub(super) fn missing(&self, problem: &Problem) -> Option<Difference> {
        let entry = self.entries.values().copied().find(|entry| says(entry, problem.spot))?;
        let class = match self.compared.state {
            _ if !is_missing(problem) => return None,
            None => Class::Differs,
            Some(state) if is_as_applied(state, entry) => Class::Gone,
            Some(_) => return None,
        };
        Some(Difference {
            class,
            sign: Sign::Add,
            id: entry.id.clone(),
            control: format!("{} {}", entry.kind.as_ref().map_or("access control", |kind| kind.as_str()), entry.name),
            external_id: None,
            text: problem.message.clone(),
            spot: Some(problem.spot),
            subject: Subject::Item,
        })
    }

    /// Where an entry says something, if one item of it does.
    fn item(&self, entry: &Entry, subject: &Subject) -> Option<Spot> {
        match subject {
            Subject::Member(member) => {
                let mut resolver = self.resolver.borrow_mut();
                let kind = resolver.kind_of(entry)?;
                let named = |who: &Who, resolver: &mut Resolver<'_>| {
                    let named = resolver.member(who, kind)?;
                    ((named.kind, named.id) == (member.kind, member.id.clone())).then_some(who.spot)
                };
                entry.who.iter().find_map(|who| named(who, &mut resolver))
            }
            Subject::Given(what) => {
                let one = |item: &&Item| matches!(&item.objects, Objects::One(name) if name.means(&what.object));
                entry.what.iter().find(one).map(|item| item.spot)
            }
            _ => None,
        }
    }
}

/// What a change says, one thing after the other.
fn steps(set: &ChangeSet, change: &Change) -> Vec<Step> {
    let of_members = |list: &[Member], make: fn(Vec<Member>) -> Change| -> Vec<Step> {
        let step = |one: &Member| Step {
            change: make(vec![one.clone()]),
            subject: Subject::Member(one.clone()),
            fact: Some(member(one)),
        };
        list.iter().map(step).collect()
    };
    let of_what = |list: &[What], make: fn(Vec<What>) -> Change| -> Vec<Step> {
        let step = |what: &What| -> Vec<Step> {
            let one = |used: &_| What { permissions: vec![Clone::clone(used)], ..what.clone() };
            let step = |single: What| Step {
                fact: Some(permission(&single, &single.permissions[0])),
                change: make(vec![single.clone()]),
                subject: Subject::Given(single),
            };
            what.permissions.iter().map(|used| step(one(used))).collect()
        };
        list.iter().flat_map(step).collect()
    };
    let of_standing = |list: &[Standing], make: fn(Vec<Standing>) -> Change| -> Vec<Step> {
        let step = |given: &Standing| -> Vec<Step> {
            let one = |used: &_| Standing { permissions: vec![Clone::clone(used)], ..given.clone() };
            let step = |single: Standing| Step {
                fact: Some(standing(&single, &single.permissions[0])),
                change: make(vec![single.clone()]),
                subject: Subject::Later(single),
            };
            given.permissions.iter().map(|used| step(one(used))).collect()
        };
        list.iter().flat_map(step).collect()
    };
    let of_entries = |list: &[AccessEntry], make: fn(Vec<AccessEntry>) -> Change| -> Vec<Step> {
        let step = |entry: &AccessEntry| -> Vec<Step> {
            let one = |used: &_| AccessEntry { permissions: vec![Clone::clone(used)], ..entry.clone() };
            let step = |single: AccessEntry| Step {
                fact: set.object.as_ref().map(|object| line(object, &single, &single.permissions[0])),
                change: make(vec![single]),
                subject: Subject::Other,
            };
            entry.permissions.iter().map(|used| step(one(used))).collect()
        };
        list.iter().flat_map(step).collect()
    };
    match change {
        Change::AddMembers(list) => of_members(list, Change::AddMembers),
        Change::RemoveMembers(list) => of_members(list, Change::RemoveMembers),
        Change::SetMemberOptions(list) => of_members(list, Change::SetMemberOptions),
        Change::Grant(list) => of_what(list, Change::Grant),
        Change::Revoke(list) => of_what(list, Change::Revoke),
        Change::RevokePassOn(list) => of_what(list, Change::RevokePassOn),
        Change::GrantStanding(list) => of_standing(list, Change::GrantStanding),
        Change::RevokeStanding(list) => of_standing(list, Change::RevokeStanding),
        Change::AddEntries(list) => of_entries(list, Change::AddEntries),
        Change::RemoveEntries(list) => of_entries(list, Change::RemoveEntries),
        other => vec![Step { change: other.clone(), subject: Subject::Other, fact: None }],
    }
}
