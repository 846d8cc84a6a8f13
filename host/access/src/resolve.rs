//! From what people call things to what the target knows them by. What cannot be told is a problem with its line, and the rest
//! goes on.

mod objects;
mod who;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};

use raito_core::catalogue::Catalogue;
use raito_core::record::{
    AccessControl, Action, ControlKind, DataObject, Identity, Member, MemberKind, ObjectRef, User, What,
};
use raito_core::text::{ExternalId, Kind, Name, PathPart, PermissionName};

pub(crate) use self::objects::Given;
use crate::document::{Entry, Purpose, Severity, Spot};

/// The word of problems with names that the target does not have.
pub(crate) const MISSING: &str = "missing";

/// Something that is wrong with what a file says, seen from the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub spot: Spot,
    /// How much it matters: an error keeps anything from being planned.
    pub severity: Severity,
    /// What kind of problem it is, in a word.
    pub rule: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

/// What of a target has which name.
#[derive(Default)]
struct Known<'c> {
    users: HashMap<String, Vec<&'c User>>,
    groups: HashMap<&'c str, Vec<&'c ExternalId>>,
    /// Named access controls that were read, by name.
    controls: BTreeMap<&'c Name, Vec<&'c AccessControl>>,
    /// What everybody holds.
    public: BTreeSet<(&'c ObjectRef, &'c PermissionName)>,
    by_path: HashMap<&'c [PathPart], Vec<&'c DataObject>>,
    by_kind: HashMap<&'c Kind, OfKind<'c>>,
}

/// The names of a target, and what is wrong with those that files use.
pub(crate) struct Resolver<'c> {
    pub(crate) catalogue: &'c Catalogue,
    pub(crate) now_ms: u64,
    pub(crate) problems: Vec<Problem>,
    known: Arc<Known<'c>>,
    /// Access controls of this code: by name, the id that members are named with.
    coming: Arc<BTreeMap<Name, ExternalId>>,
    /// Access controls of the target that no entry keeps, by id.
    pub(crate) leaving: Arc<BTreeSet<ExternalId>>,
}

/// The objects of one kind.
#[derive(Default)]
struct OfKind<'c> {
    objects: Vec<&'c DataObject>,
    /// The same in the order of their paths, once somebody asked for that.
    in_order: OnceLock<Vec<&'c DataObject>>,
}

impl<'c> OfKind<'c> {
    /// Those below a path, or all, in the order of their paths.
    fn below(&self, under: Option<&[PathPart]>) -> &[&'c DataObject] {
        let all = self.in_order.get_or_init(|| {
            let mut all = self.objects.clone();
            all.sort_by(|one, next| one.object.cmp(&next.object));
            all
        });
        let Some(under) = under else { return all };
        // What begins with a path stands behind it, in one piece.
        let rest = &all[all.partition_point(|object| object.object.path.as_slice() <= under)..];
        &rest[..rest.partition_point(|object| object.object.path.starts_with(under))]
    }
}

impl<'c> Known<'c> {
    fn of(catalogue: &'c Catalogue) -> Self {
        let mut known = Self::default();
        for user in &catalogue.users {
            let address = user.email.as_ref().map(|email| email.as_str().to_lowercase());
            let name = user.user_name.as_str().to_owned();
            let address = address.filter(|address| *address != name);
            for called in std::iter::once(name).chain(address) {
                known.users.entry(called).or_default().push(user);
            }
        }
        for group in &catalogue.groups {
            known.groups.entry(group.name.as_str()).or_default().push(&group.external_id);
        }
        let is_named = |control: &&AccessControl| {
            catalogue.description.control_kind(&control.kind).is_some_and(|kind| kind.identity == Identity::Named)
        };
        for control in catalogue.controls.kept().filter(is_named) {
            known.controls.entry(&control.actual_name).or_default().push(control);
        }
        for control in catalogue.controls.kept().filter(|control| is_for_everyone(control)) {
            let of = |what: &'c What| what.permissions.iter().map(|used| (&what.object, &used.name));
            let plain = control.what.iter().filter(|what| what.condition.is_none());
            known.public.extend(plain.flat_map(of));
        }
        for object in &catalogue.objects {
            known.by_path.entry(object.object.path.as_slice()).or_default().push(object);
            known.by_kind.entry(&object.object.kind).or_default().objects.push(object);
        }
        known
    }
}

impl<'c> Resolver<'c> {
    pub(crate) fn new(catalogue: &'c Catalogue, now_ms: u64) -> Self {
        Self {
            catalogue,
            now_ms,
            problems: Vec::new(),
            known: Arc::new(Known::of(catalogue)),
            coming: Arc::default(),
            leaving: Arc::default(),
        }
    }

    /// One for the same names, which has found no problems.
    pub(crate) fn another(&self) -> Self {
        Self {
            catalogue: self.catalogue,
            now_ms: self.now_ms,
            problems: Vec::new(),
            known: Arc::clone(&self.known),
            coming: Arc::clone(&self.coming),
            leaving: Arc::clone(&self.leaving),
        }
    }

    /// Says that an access control of this code will be known by this id.
    pub(crate) fn will_be(&mut self, name: &Name, id: ExternalId) {
        Arc::make_mut(&mut self.coming).insert(name.clone(), id);
    }

    pub(crate) fn error(&mut self, spot: Spot, message: impl Into<String>, help: Option<String>) {
        self.problem(spot, Severity::Error, "unknown", message, help);
    }

    /// Says that something is not at the target.
    pub(crate) fn missing(&mut self, spot: Spot, message: impl Into<String>, help: Option<String>) {
        self.problem(spot, Severity::Error, MISSING, message, help);
    }

    pub(crate) fn problem(
        &mut self,
        spot: Spot,
        severity: Severity,
        rule: &'static str,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        self.problems.push(Problem { spot, severity, rule, message: message.into(), help });
    }

    /// The kind of an entry: its own, or the usual one for what it does.
    pub(crate) fn kind_of(&mut self, entry: &Entry) -> Option<&'c ControlKind> {
        self.kind(entry.spot, entry.kind.as_ref(), &entry.purpose)
    }

    /// The kind with this name, or the usual one for a purpose.
    pub(crate) fn kind(&mut self, spot: Spot, kind: Option<&Kind>, purpose: &Purpose) -> Option<&'c ControlKind> {
        let kinds = &self.catalogue.description.controls;
        let usual = match purpose {
            Purpose::Grant => kinds.iter().find(|kind| kind.identity == Identity::Named && kind.can_create),
            Purpose::Mask(_) => kinds.iter().find(|kind| kind.name.as_str() == "mask"),
            Purpose::Filter(..) => {
                let is_rule = |kind: &&ControlKind| kind.identity == Identity::NamedOnObject && kind.can_create;
                kinds.iter().find(|kind| kind.name.as_str() == "filter").or_else(|| kinds.iter().find(is_rule))
            }
        };
        let found = kind.map_or(usual, |name| kinds.iter().find(|kind| kind.name == *name));
        if found.is_none() {
            let known: Vec<&str> = kinds.iter().map(|kind| kind.name.as_str()).collect();
            let help = Some(format!("the target has: {}", known.join(", ")));
            let message = match kind {
                Some(kind) => format!("the target has no access controls of kind {kind}"),
                None => "the target has no usual kind of access control for this: name one with kind:".to_owned(),
            };
            self.error(spot, message, help);
        }
        found
    }

    /// The access control of this kind with this name.
    pub(crate) fn find(&self, kind: &Kind, name: &Name) -> Option<&'c AccessControl> {
        self.known.controls.get(name)?.iter().copied().find(|control| control.kind == *kind)
    }
}

/// Whether an access control gives what it holds to everybody.
pub(crate) fn is_for_everyone(control: &AccessControl) -> bool {
    let everybody =
        |member: &Member| member.kind == MemberKind::Special && member.id.as_str() == "everyone" && member.inherits;
    control.action == Action::Grant && control.who.iter().any(everybody)
}

/// Whether an access control is a user's own: it has him as a member, and the same id. It comes and goes with him.
pub(crate) fn is_own(control: &AccessControl) -> bool {
    control.who.iter().any(|member| member.kind == MemberKind::User && member.id == control.external_id)
}

/// What is shown of an object in messages.
pub(crate) fn shown(object: &ObjectRef) -> String {
    object.to_string()
}
