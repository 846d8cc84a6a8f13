//! From files and a read of the target to what is to be: what core compares with what is.
//!
//! What goes is what files no longer name and what is proven to be this repository's: by a marker that names it, or by a
//! scope that the files claim. Everything else at the target is listed and left alone.

mod lists;
mod named;

use std::collections::{BTreeMap, BTreeSet};

use raito_core::catalogue::Catalogue;
use raito_core::decide::{Decision, Protected, Situation, decide};
use raito_core::exchange::Desired;
use raito_core::grant::Drift;
use raito_core::marker::Master;
use raito_core::members::{resolve_groups, resolve_users};
use raito_core::parts::in_parts;
use raito_core::record::{AccessControl, Action, ControlKind, MemberKind, Policy};
use raito_core::text::{ExternalId, Kind, Name, TargetName};
use raito_core::warrant::Names;

use crate::code::Code;
use crate::document::{Entry, Mode, Purpose, Spot};
use crate::resolve::{Problem, Resolver};

/// What is compared: the code, and one target.
#[derive(Debug, Clone, Copy)]
pub struct Question<'q> {
    /// All files.
    pub code: &'q Code,
    /// The target.
    pub target: &'q TargetName,
    /// What was read of it.
    pub catalogue: &'q Catalogue,
    /// What is never touched.
    pub protected: &'q Protected,
    /// Who is master of what files say.
    pub master: &'q Master,
    /// The time, in milliseconds since 1970.
    pub now_ms: u64,
}

/// An access control that belongs to somebody else, or to nobody.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unmanaged {
    /// Its kind.
    pub kind: Kind,
    /// Its name at the target.
    pub name: Name,
    /// Why it is left alone.
    pub reason: String,
}

/// An access control that no entry names any more, that has no members, and that is kept for a time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Retired {
    /// Its kind.
    pub kind: Kind,
    /// Its name at the target.
    pub name: Name,
    /// The last day on which it is kept.
    pub until: String,
}

/// What files mean at a target.
#[derive(Debug, Clone, Default)]
pub struct Evaluation {
    /// What is to be.
    pub desired: Vec<Desired>,
    /// What would be, where a file only observes.
    pub observed: Vec<Desired>,
    /// What is wrong with the files, seen from the target.
    pub problems: Vec<Problem>,
    /// What is left alone.
    pub unmanaged: Vec<Unmanaged>,
    /// What no entry names any more and is kept for a time.
    pub retired: Vec<Retired>,
    /// Where each access control is said, by its id; what goes is said nowhere.
    pub spots: BTreeMap<Name, Spot>,
    /// Access controls for groups of which not everybody was told: from them nothing is taken.
    unread: BTreeSet<Name>,
}

/// Says what the files mean at a target.
pub fn evaluate(question: &Question<'_>) -> Evaluation {
    let mut work = Work {
        question,
        resolver: Resolver::new(question.catalogue, question.now_ms),
        evaluation: Evaluation::default(),
        taken: BTreeSet::new(),
    };
    let entries: Vec<&Entry> = question.code.entries.iter().filter(|entry| entry.target == *question.target).collect();
    let kinds: Vec<Option<&ControlKind>> = entries.iter().map(|entry| work.resolver.kind_of(entry)).collect();
    let both: Vec<(&Entry, &ControlKind)> =
        entries.iter().zip(kinds).filter_map(|(entry, kind)| Some((*entry, kind?))).collect();
    let (named, lists): (Vec<_>, Vec<_>) = both.into_iter().partition(|(_, kind)| !kind.identity.is_list());
    work.named(&named);
    work.lists(&lists);
    let Work { resolver, mut evaluation, .. } = work;
    evaluation.problems = resolver.problems;
    resolve_members(question, &mut evaluation);
    evaluation.unmanaged.sort();
    evaluation.retired.sort();
    evaluation
}

impl Evaluation {
    /// Decides about what is to be, as core does for a cloud. Whatever is not as the files say is changed: they are the last word.
    pub fn decide(&self, question: &Question<'_>) -> Decision {
        decided(question, &self.desired, &self.unread)
    }

    /// What would be decided about what the files only observe.
    pub fn decide_observed(&self, question: &Question<'_>) -> Decision {
        decided(question, &self.observed, &self.unread)
    }
}

fn decided(question: &Question<'_>, desired: &[Desired], in_groups: &BTreeSet<Name>) -> Decision {
    let ids: BTreeMap<ExternalId, Name> = desired
        .iter()
        .filter_map(|wanted| wanted.external_id.clone().map(|external_id| (external_id, wanted.id.clone())))
        .collect();
    let mut unread = question.catalogue.unread(&ids);
    unread.controls.extend(in_groups.iter().cloned());
    decide(&Situation {
        desired,
        actual: &question.catalogue.controls,
        description: &question.catalogue.description,
        unread: &unread,
        drift: Drift::Revert,
        master: question.master,
        protected: question.protected,
        names: &Names::default(),
    })
}

/// Has the users of groups be members in the place of these where the target takes no groups, as core does for a cloud.
fn resolve_members(question: &Question<'_>, evaluation: &mut Evaluation) {
    let Evaluation { desired, observed, unread, .. } = evaluation;
    let catalogue = question.catalogue;
    let description = &catalogue.description;
    let takes_none = |wanted: &Desired| {
        let kind = description.control_kind(&wanted.control.kind);
        kind.is_some_and(|kind| !kind.admits.contains(&MemberKind::Group))
            && wanted.control.who.iter().any(|member| member.kind == MemberKind::Group)
    };
    if !desired.iter().chain(observed.iter()).any(takes_none) {
        return;
    }
    let groups = catalogue.who_is_in_groups(question.now_ms);
    let untouched = catalogue.users.iter().filter(|user| question.protected.users.contains(&user.external_id));
    let untouched = untouched.map(|user| user.user_name.as_str().to_owned()).collect();
    for list in [desired, observed] {
        unread.extend(resolve_groups(list, &groups, description, &untouched));
        resolve_users(list, &catalogue.controls, description);
    }
}

/// An evaluation in progress.
struct Work<'w, 'q> {
    question: &'w Question<'q>,
    resolver: Resolver<'q>,
    evaluation: Evaluation,
    /// Access controls of the target that an entry is about.
    taken: BTreeSet<ExternalId>,
}

/// Entries that a thread of its own is worth: each may speak of all objects.
const ENTRIES_OF_A_THREAD: usize = 16;

impl Work<'_, '_> {
    /// Access controls as entries say them.
    fn controls(&mut self, entries: &[(&Entry, &ControlKind)]) -> Vec<AccessControl> {
        let resolver = &self.resolver;
        let parts = in_parts(entries, ENTRIES_OF_A_THREAD, |_, entries| {
            let mut resolver = resolver.another();
            let said: Vec<_> = entries.iter().map(|(entry, kind)| control(&mut resolver, entry, kind)).collect();
            (said, resolver.problems)
        });
        let mut all = Vec::with_capacity(entries.len());
        for (controls, problems) in parts {
            all.extend(controls);
            self.resolver.problems.extend(problems);
        }
        all
    }

    /// Takes in what is to be.
    fn want(&mut self, desired: Desired, mode: Mode, spot: Option<Spot>) {
        if let Some(spot) = spot {
            self.evaluation.spots.insert(desired.id.clone(), spot);
        }
        let list = if mode == Mode::Observe { &mut self.evaluation.observed } else { &mut self.evaluation.desired };
        list.push(desired);
    }

    fn leave(&mut self, control: &AccessControl, reason: impl Into<String>) {
        self.evaluation.unmanaged.push(Unmanaged {
            kind: control.kind.clone(),
            name: control.actual_name.clone(),
            reason: reason.into(),
        });
    }
}

/// An access control as an entry says it.
fn control(resolver: &mut Resolver<'_>, entry: &Entry, kind: &ControlKind) -> AccessControl {
    let who = entry.who.iter().filter_map(|who| resolver.member(who, kind)).collect();
    let mut given = crate::resolve::Given::default();
    let (what, standing) = match &entry.purpose {
        Purpose::Grant => {
            entry.what.iter().for_each(|item| resolver.give(item, &mut given));
            given.into_parts()
        }
        Purpose::Mask(_) | Purpose::Filter(..) => {
            let mut objects: Vec<_> =
                entry.what.iter().flat_map(|item| resolver.objects(item)).map(|object| object.object.clone()).collect();
            objects.sort();
            objects.dedup();
            let on = |object| raito_core::record::What { object, permissions: Vec::new(), condition: None };
            (objects.into_iter().map(on).collect(), Vec::new())
        }
    };
    AccessControl {
        external_id: ExternalId::new(entry.id.as_str()).unwrap_or_else(|_| nobody()),
        name: entry.name.clone(),
        actual_name: entry.name.clone(),
        kind: kind.name.clone(),
        description: entry.description.clone(),
        action: match entry.purpose {
            Purpose::Grant => Action::Grant,
            Purpose::Mask(_) => Action::Mask,
            Purpose::Filter(..) => Action::Filter,
        },
        version: None,
        who,
        what,
        standing,
        policy: policy(&entry.purpose),
        locks: Vec::new(),
        internalizable: true,
        incomplete: false,
        tags: Vec::new(),
    }
}

fn nobody() -> ExternalId {
    ExternalId::new("nobody").expect("not empty")
}

/// What a mask or a filter does.
fn policy(purpose: &Purpose) -> Option<Policy> {
    let bare = Policy {
        kind: None,
        text: None,
        check: None,
        commands: Vec::new(),
        columns: Vec::new(),
        arguments: Vec::new(),
        restrictive: false,
        enabled: true,
        forced: false,
    };
    match purpose {
        Purpose::Grant => None,
        Purpose::Mask(kind) => Some(Policy { kind: Some(kind.clone()), ..bare }),
        Purpose::Filter(rule, check) => Some(Policy { text: Some(rule.clone()), check: check.clone(), ..bare }),
    }
}

/// What is to be, said for the first time: nothing is known of earlier runs.
fn wanted(id: Name, external_id: Option<ExternalId>, control: AccessControl) -> Desired {
    Desired {
        id,
        version: 0,
        external_id,
        control,
        creating: None,
        delete: false,
        hand_back: false,
        applied: None,
        begun: Vec::new(),
    }
}
