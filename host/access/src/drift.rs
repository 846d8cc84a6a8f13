//! `drift`: where a target is not as the files say, and who moved: somebody at the target, time, or the files themselves.
//!
//! Only the last applied state can tell the files from somebody else. Without it a difference is just one.

mod find;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use raito_core::record::{ChangeSet, Member, Standing, What};
use raito_core::text::{ExternalId, Name};
use serde::Serialize;

use crate::applied::{AppliedTarget, Facts, entries, entry_digest, facts};
use crate::document::{Entry, Severity, Spot};
use crate::evaluate::{Evaluation, Question, evaluate};
use crate::plan::{Names, Sign};
use crate::resolve::{MISSING, Problem, Resolver};

use self::find::Finder;

/// Why something differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Somebody gave it, and it was not the files.
    Granted,
    /// Somebody took it, and it was not the files.
    Revoked,
    /// Somebody changed it, and it was not the files.
    Changed,
    /// What the files name is no longer there.
    Gone,
    /// Its end has passed.
    Expired,
    /// The files say it for objects that the target did not have at the last apply.
    New,
    /// The files were changed, and not applied yet.
    Files,
    /// It differs, and nothing is known of an apply.
    Differs,
}

impl Class {
    /// All classes, in the order in which they are shown.
    pub const ALL: [Self; 8] =
        [Self::Granted, Self::Revoked, Self::Changed, Self::Gone, Self::Expired, Self::New, Self::Files, Self::Differs];

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Revoked => "revoked",
            Self::Changed => "changed",
            Self::Gone => "gone",
            Self::Expired => "expired",
            Self::New => "new",
            Self::Files => "files",
            Self::Differs => "differs",
        }
    }

    /// What it means, for people.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Granted => "given at the target, and no file says it",
            Self::Revoked => "taken at the target, and a file says it",
            Self::Changed => "changed at the target",
            Self::Gone => "no longer at the target, and a file says it",
            Self::Expired => "its end has passed",
            Self::New => "said of all such objects, and new at the target",
            Self::Files => "changed in the files since the last apply",
            Self::Differs => "not as the files say; without the state of an apply nobody can tell who moved",
        }
    }
}

/// What differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// An access control as a whole.
    Control,
    /// A member; with what it is.
    Member(Member),
    /// A permission on an object.
    Given(What),
    /// A permission on later objects.
    Later(Standing),
    /// An item of a file that names what is not there.
    Item,
    /// Anything else, such as a description, an option, or a line of a list.
    Other,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Why.
    pub class: Class,
    /// Whether the target is to get it, to have it otherwise, or to lose it.
    pub sign: Sign,
    /// The id of the access control in files.
    pub id: Name,
    /// The access control, or the object whose list it is.
    pub control: String,
    /// Its id at the target, where it is there.
    pub external_id: Option<ExternalId>,
    /// What differs, in words.
    pub text: String,
    /// Where a file says it, or where its access control is said.
    pub spot: Option<Spot>,
    /// What differs.
    pub subject: Subject,
}

/// What differs at a target.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Drift {
    /// The differences, in the order of their classes and access controls.
    pub differences: Vec<Difference>,
    /// What is wrong with the files, beside names that were right once.
    pub problems: Vec<Problem>,
}

/// What was compared, for drift.
#[derive(Clone, Copy)]
pub struct Compared<'c> {
    /// What the files mean.
    pub evaluation: &'c Evaluation,
    /// The changes that would make the target as the files say, also where they only observe.
    pub sets: &'c [ChangeSet],
    /// The access controls that each of them is for.
    pub owners: &'c [Vec<Name>],
    /// What was applied last.
    pub state: Option<&'c AppliedTarget>,
}

/// Says what differs at a target, and why.
pub fn drift(question: &Question<'_>, compared: &Compared<'_>) -> Drift {
    // As it would be if nothing ever ended: what that has beside, time has taken.
    let endless = endless(question, compared.owners);
    let resolver = RefCell::new(Resolver::new(question.catalogue, 0));
    let names = Names { catalogue: question.catalogue, sets: compared.sets };
    let entries = entries(question);
    let finder =
        Finder { question, compared, endless: &endless, resolver: &resolver, names: &names, entries: &entries };
    let mut found = Drift::default();
    for (set, owners) in compared.sets.iter().zip(compared.owners) {
        found.differences.extend(finder.set(set, owners));
    }
    for problem in &compared.evaluation.problems {
        if problem.severity != Severity::Error {
            continue;
        }
        match finder.missing(problem) {
            Some(difference) => found.differences.push(difference),
            None => found.problems.push(problem.clone()),
        }
    }
    found.differences.sort_by(|one, two| {
        let key = |difference: &Difference| (difference.class, difference.control.clone(), difference.text.clone());
        key(one).cmp(&key(two))
    });
    found
}

/// What the access controls that differ would hold if nothing ever ended.
fn endless(question: &Question<'_>, owners: &[Vec<Name>]) -> BTreeMap<Name, Facts> {
    if owners.is_empty() {
        return BTreeMap::new();
    }
    let meant: BTreeSet<&Name> = owners.iter().flatten().collect();
    let evaluation = evaluate(&Question { now_ms: 0, ..*question });
    let all = evaluation.desired.iter().chain(&evaluation.observed);
    let here = all.filter(|desired| meant.contains(&desired.id) && !desired.delete);
    here.map(|desired| (desired.id.clone(), facts(&desired.control))).collect()
}

/// Whether a problem is that something is not there.
fn is_missing(problem: &Problem) -> bool {
    problem.rule == MISSING
}

/// Whether an entry says this here.
fn says(entry: &Entry, spot: Spot) -> bool {
    entry.who.iter().any(|who| who.spot == spot)
        || entry.what.iter().any(|what| what.spot == spot || what.permissions.iter().any(|(_, at)| *at == spot))
}

/// Whether an entry says just what it said at the last apply.
fn is_as_applied(state: &AppliedTarget, entry: &Entry) -> bool {
    state.controls.get(&entry.id).is_some_and(|control| control.entry == Some(entry_digest(entry)))
}
