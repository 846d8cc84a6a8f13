//! `import`: the access that exists as the code that says so. The same target always gives the same text, and a plan of that
//! text against that target is empty.

use std::collections::{BTreeMap, BTreeSet};

use raito_core::catalogue::Catalogue;
use raito_core::decide::Protected;
use raito_core::marker::{Master, marker, unmarked};
use raito_core::record::{
    AccessControl, ControlKind, Description, Identity, Member, MemberKind, ObjectRef, PermissionUse,
};
use raito_core::text::{ExternalId, Kind, Name, PathPart, PermissionName, TargetName};

use crate::document::ObjectName;
use crate::pattern::Pattern;
use crate::resolve::is_own;
use crate::write::{Writer, list, scalar};

/// How many names of what is left out are said.
const LEFT_NAMES: usize = 5;

/// What is to be imported.
#[derive(Debug, Clone)]
pub struct Request<'r> {
    /// The target.
    pub target: &'r TargetName,
    /// What was read of it.
    pub catalogue: &'r Catalogue,
    /// What is never touched.
    pub protected: &'r Protected,
    /// Who will be master.
    pub master: &'r Master,
    /// Only access controls with such names; all where there are none.
    pub names: &'r [Pattern],
    /// Whether the same permissions on all objects of a kind directly below another one become a selector.
    pub compact: bool,
}

/// The code, file by file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Imported {
    /// Names of files, and their texts.
    pub files: BTreeMap<String, String>,
    /// What cannot be said in code, and is left as it is.
    pub left: Vec<String>,
}

/// Says the access that exists as code.
pub fn import(request: &Request<'_>) -> Imported {
    let Some(mut work) = Work::new(request) else {
        return Imported {
            left: vec!["the target has no access controls with names that can be created".into()],
            ..Imported::default()
        };
    };
    let mut controls: Vec<&AccessControl> =
        request.catalogue.controls.kept().filter(|control| work.is_wanted(control)).collect();
    controls.sort_by(|one, two| one.actual_name.cmp(&two.actual_name));
    let mut names = Vec::new();
    for control in controls {
        if let Some(text) = work.entry(control) {
            names.push(control.actual_name.as_str());
            work.imported.files.insert(path_of(request.target, control), text);
        }
    }
    let left = work.not_wanted();
    work.imported.left.extend(left);
    let scope = work.scope(&names);
    work.imported.files.insert(format!("{}.yml", request.target.as_str()), scope);
    work.imported
}

/// What an access control holds, as items for an entry.
pub(crate) struct Items {
    /// Members.
    pub(crate) who: Vec<String>,
    /// What they get.
    pub(crate) what: Vec<String>,
    /// What cannot be said in code.
    pub(crate) left: Vec<String>,
}

/// Says what an access control holds as items.
pub(crate) fn items(request: &Request<'_>, control: &AccessControl) -> Option<Items> {
    let mut work = Work::new(request)?;
    let item = |pairs: Pairs| {
        let pairs: Vec<String> = pairs.into_iter().map(|(key, value)| format!("{key}: {value}")).collect();
        format!("{{ {} }}", pairs.join(", "))
    };
    let who = work.members(control).into_iter().map(item).collect();
    let (given, later) = (work.given(control), work.later(control));
    let what = what_items(&given, &later).into_iter().map(item).collect();
    Some(Items { who, what, left: work.imported.left })
}

/// The file for one access control, with its path; none for a user's own one that holds nothing.
pub(crate) fn file(request: &Request<'_>, control: &AccessControl) -> Option<((String, String), Vec<String>)> {
    let mut work = Work::new(request)?;
    let text = work.entry(control)?;
    Some(((path_of(request.target, control), text), work.imported.left))
}

fn path_of(target: &TargetName, control: &AccessControl) -> String {
    format!("{}/{}.yml", target.as_str(), file_name(&control.actual_name))
}

/// The kind that entries are of unless they say otherwise.
fn usual_kind(description: &Description) -> Option<&ControlKind> {
    description.controls.iter().find(|kind| kind.identity == Identity::Named && kind.can_create)
}

/// The name of a file: that of the access control, where every file system takes it, or as much of it as one does and a digest.
fn file_name(name: &Name) -> String {
    let plain =
        |character: char| character.is_ascii_lowercase() || character.is_ascii_digit() || "_-".contains(character);
    if name.as_str().chars().all(plain) && name.as_str().len() <= 100 {
        return name.as_str().to_owned();
    }
    let digest = raito_core::digest::Digest::of(name.as_str().as_bytes()).to_string();
    let short: String = digest.chars().filter(char::is_ascii_hexdigit).take(8).collect();
    let kept: String = name.as_str().to_lowercase().chars().filter(|character| plain(*character)).take(80).collect();
    format!("{kept}-{short}")
}

/// An import in progress.
struct Work<'w, 'r> {
    request: &'w Request<'r>,
    kind: &'w ControlKind,
    imported: Imported,
    /// Account names of users.
    owns: BTreeMap<&'w ExternalId, &'w Name>,
}

/// What is given on each object: permissions, each with whether it may be granted on.
type Permissions = BTreeMap<PermissionName, bool>;

/// The same permissions on all objects of a kind directly below another one.
struct Selected {
    kind: Kind,
    under: ObjectRef,
    permissions: Permissions,
}

impl<'w, 'r> Work<'w, 'r> {
    /// None where the target has no access controls with names that can be created.
    fn new(request: &'w Request<'r>) -> Option<Self> {
        let kind = usual_kind(&request.catalogue.description)?;
        let owns = request.catalogue.users.iter().map(|user| (&user.external_id, &user.user_name)).collect();
        Some(Self { request, kind, imported: Imported::default(), owns })
    }

    fn is_named(&self, control: &AccessControl) -> bool {
        let names = self.request.names;
        names.is_empty() || names.iter().any(|name| name.takes(control.actual_name.as_str()))
    }

    /// Whether an access control is one that files can be the source of.
    fn is_wanted(&self, control: &AccessControl) -> bool {
        self.is_named(control) && self.why_not(control).is_none()
    }

    /// Why files cannot be the source of an access control.
    fn why_not(&self, control: &AccessControl) -> Option<String> {
        if control.kind != self.kind.name {
            return Some(format!("only access controls of kind {} are imported", self.kind.name));
        }
        match marker(&control.description) {
            Some(marker) if marker.master != *self.request.master => Some(format!("{} manages that", marker.master)),
            _ if self.request.protected.controls.contains(&control.external_id) => Some("kept from changes".to_owned()),
            _ => (!control.internalizable).then(|| "not to be changed from outside".to_owned()),
        }
    }

    /// The access controls that are asked for and left out, a line for each kind and reason.
    fn not_wanted(&self) -> Vec<String> {
        let mut all: BTreeMap<(&Kind, String), Vec<&str>> = BTreeMap::new();
        for control in self.request.catalogue.controls.kept().filter(|control| self.is_named(control)) {
            if let Some(why) = self.why_not(control) {
                all.entry((&control.kind, why)).or_default().push(control.actual_name.as_str());
            }
        }
        let line = |((kind, why), mut names): ((&Kind, String), Vec<&str>)| {
            names.sort_unstable();
            let shown = names.iter().take(LEFT_NAMES).copied().collect::<Vec<_>>().join(", ");
            let more = names.len().saturating_sub(LEFT_NAMES);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("{kind} {shown}{more}: {why}")
        };
        all.into_iter().map(line).collect()
    }

    fn scope(&self, names: &[&str]) -> String {
        let mut out = Writer::default();
        out.line(0, "version: 1");
        let repository = self.request.master.to_string();
        out.key(0, "repository", repository.strip_prefix("git:").unwrap_or(&repository));
        out.key(0, "on", self.request.target.as_str());
        let patterns: Vec<String> = self.request.names.iter().map(ToString::to_string).collect();
        let all: Vec<&str> =
            if patterns.is_empty() { names.to_vec() } else { patterns.iter().map(String::as_str).collect() };
        if all.is_empty() {
            return out.finish();
        }
        out.line(0, "manages:");
        out.line(1, &format!("- kind: {}", self.kind.name.as_str()));
        out.line(2, "names:");
        all.iter().for_each(|name| out.line(3, &format!("- {}", scalar(name))));
        out.finish()
    }

    /// An access control as an entry; none for a user's own one that holds nothing.
    fn entry(&mut self, control: &AccessControl) -> Option<String> {
        let members = self.members(control);
        let given = self.given(control);
        let later = self.later(control);
        if is_own(control) && members.is_empty() && given.is_empty() && later.is_empty() {
            return None;
        }
        let mut out = Writer::default();
        out.line(0, "version: 1");
        out.key(0, "on", self.request.target.as_str());
        out.line(0, "grants:");
        out.line(1, &format!("- name: {}", scalar(control.actual_name.as_str())));
        if let Some(marker) = marker(&control.description)
            && marker.entry != crate::read::usual_id(&control.actual_name).as_str()
        {
            out.key(2, "id", &marker.entry);
        }
        // An entry that names what is retired takes it back.
        let mut description = control.description.clone();
        // Somebody may have copied a marker into the description, and a file takes none.
        while marker(&description).is_some() {
            description = unmarked(&description);
        }
        let description = crate::retire::plain(&description);
        if !description.as_str().is_empty() {
            out.key(2, "description", description.as_str());
        }
        if !members.is_empty() {
            out.line(2, "who:");
            members.iter().for_each(|pairs| out.item(3, pairs));
        }
        if !given.is_empty() || !later.is_empty() {
            out.line(2, "what:");
            let (selected, single) = if self.request.compact { self.selectors(given) } else { (Vec::new(), given) };
            for Selected { kind, under, permissions } in selected {
                let under = ObjectName::from(&under).to_string();
                let select = format!("{{ kind: {}, under: {} }}", kind.as_str(), scalar(&under));
                given_items("select", &select, &permissions).iter().for_each(|pairs| out.item(3, pairs));
            }
            what_items(&single, &later).iter().for_each(|pairs| out.item(3, pairs));
        }
        Some(out.finish())
    }

    /// Members that can be admitted from outside, each once, in the order of what they are called.
    fn members(&mut self, control: &AccessControl) -> Vec<Pairs> {
        let mut all: BTreeMap<(&'static str, String), Member> = BTreeMap::new();
        for member in &control.who {
            let kept = self.request.protected.users.contains(&member.id)
                || self.request.protected.controls.contains(&member.id);
            // What it admitted itself comes with what it is, and cannot be taken from it.
            let own = member.granted_by.as_ref() == Some(&control.external_id);
            if !self.kind.admits.contains(&member.kind) || kept || own {
                continue;
            }
            match self.called(member) {
                Some(called) => {
                    let held = all.entry(called).or_insert_with(|| member.clone());
                    held.inherits |= member.inherits;
                    held.assumable |= member.assumable;
                    held.may_pass_on |= member.may_pass_on;
                }
                None => self.leave(control, format!("member {} has no name", member.id)),
            }
        }
        let pairs = |((key, name), member): ((&'static str, String), Member)| {
            let mut pairs = vec![(key, scalar(&name))];
            if !member.inherits {
                pairs.push(("inherits", "false".to_owned()));
            }
            if member.assumable != self.kind.assumable {
                pairs.push(("assumable", member.assumable.to_string()));
            }
            if member.may_pass_on {
                pairs.push(("may-pass-on", "true".to_owned()));
            }
            pairs
        };
        all.into_iter().map(pairs).collect()
    }

    /// What a member is called in code.
    fn called(&self, member: &Member) -> Option<(&'static str, String)> {
        let catalogue = self.request.catalogue;
        Some(match member.kind {
            MemberKind::User => ("user", self.owns.get(&member.id)?.as_str().to_owned()),
            MemberKind::Group => {
                let group = catalogue.groups.iter().find(|group| group.external_id == member.id)?;
                ("group", group.name.as_str().to_owned())
            }
            MemberKind::AccessControl => {
                let control = catalogue.controls.get(&member.id)?;
                match self.owns.get(&member.id).filter(|_| is_own(control)) {
                    Some(user) => ("user", user.as_str().to_owned()),
                    None => ("control", control.actual_name.as_str().to_owned()),
                }
            }
            MemberKind::Special => ("special", member.id.as_str().to_owned()),
            MemberKind::ActingAs | MemberKind::Recipient => return None,
        })
    }

    /// Permissions that can be granted from outside, by object. What an access control granted itself comes with what it is.
    fn given(&mut self, control: &AccessControl) -> BTreeMap<ObjectRef, Permissions> {
        let mut given: BTreeMap<ObjectRef, Permissions> = BTreeMap::new();
        for what in &control.what {
            if what.condition.is_some() {
                self.leave(control, format!("a condition on {}", what.object));
                continue;
            }
            for used in &what.permissions {
                if self.is_granted(control, &what.object.kind, used) {
                    *given.entry(what.object.clone()).or_default().entry(used.name.clone()).or_default() |=
                        used.may_pass_on;
                }
            }
        }
        let known: BTreeSet<&ObjectRef> = self.request.catalogue.objects.iter().map(|object| &object.object).collect();
        let strangers: Vec<ObjectRef> = given.keys().filter(|object| !known.contains(object)).cloned().collect();
        for object in strangers {
            given.remove(&object);
            self.leave(control, format!("{object} was not read"));
        }
        given
    }

    fn is_granted(&self, control: &AccessControl, kind: &Kind, used: &PermissionUse) -> bool {
        let known = self.request.catalogue.description.object_kind(kind).and_then(|kind| kind.permission(&used.name));
        let own = used.granted_by.as_ref() == Some(&control.external_id);
        known.is_some_and(|permission| permission.can_be_granted) && !own
    }

    /// Permissions on later objects, by what stands for them in code. Kinds on which the same can be held come together.
    fn later(&mut self, control: &AccessControl) -> BTreeMap<String, Permissions> {
        let description = &self.request.catalogue.description;
        let mut later: BTreeMap<String, Permissions> = BTreeMap::new();
        let mut left = Vec::new();
        for standing in &control.standing {
            let granted: Vec<&PermissionUse> =
                standing.permissions.iter().filter(|used| self.is_granted(control, &standing.kind, used)).collect();
            let Some(kind) = description.object_kind(&standing.kind).filter(|_| !granted.is_empty()) else { continue };
            let alike: Vec<&PermissionName> = kind.permissions.iter().map(|permission| &permission.name).collect();
            let first = description
                .kinds
                .iter()
                .find(|other| other.permissions.iter().map(|permission| &permission.name).eq(alike.iter().copied()));
            if first.is_some_and(|first| first.name != standing.kind)
                && control.standing.iter().any(|other| {
                    first.is_some_and(|first| other.kind == first.name)
                        && (&other.under, &other.creator) == (&standing.under, &standing.creator)
                })
            {
                continue;
            }
            let creator = match &standing.creator {
                Some(creator) => match self.request.catalogue.controls.get(creator) {
                    Some(creator) => format!(", creators: [{}]", scalar(creator.actual_name.as_str())),
                    None => {
                        left.push(format!("later objects of {creator}, which has no name"));
                        continue;
                    }
                },
                None => String::new(),
            };
            let under = ObjectName::from(&standing.under).to_string();
            let text = format!("{{ kind: {}, under: {}{creator} }}", standing.kind.as_str(), scalar(&under));
            let held = later.entry(text).or_default();
            for used in granted {
                *held.entry(used.name.clone()).or_default() |= used.may_pass_on;
            }
        }
        left.into_iter().for_each(|what| self.leave(control, what));
        later
    }

    /// The same permissions on all objects of a kind directly below another object become a selector.
    fn selectors(&self, given: BTreeMap<ObjectRef, Permissions>) -> (Vec<Selected>, BTreeMap<ObjectRef, Permissions>) {
        let mut all: BTreeMap<(Kind, &[PathPart]), Vec<&ObjectRef>> = BTreeMap::new();
        for object in &self.request.catalogue.objects {
            if let Some((_, above)) = object.object.path.split_last() {
                all.entry((object.object.kind.clone(), above)).or_default().push(&object.object);
            }
        }
        let (mut selected, mut single) = (Vec::new(), given);
        for ((kind, above), objects) in all.into_iter().filter(|(_, objects)| objects.len() > 1) {
            let Some(first) = single.get(objects[0]).cloned() else { continue };
            let deeper = self.request.catalogue.objects.iter().any(|object| {
                object.object.kind == kind
                    && object.object.path.len() > above.len() + 1
                    && object.object.path.starts_with(above)
            });
            let parent = self.request.catalogue.objects.iter().find(|object| object.object.path == above);
            if let (Some(parent), false) = (parent, deeper)
                && objects.iter().all(|object| single.get(*object) == Some(&first))
            {
                objects.iter().for_each(|object| {
                    single.remove(*object);
                });
                selected.push(Selected { kind, under: parent.object.clone(), permissions: first });
            }
        }
        (selected, single)
    }

    fn leave(&mut self, control: &AccessControl, what: String) {
        self.imported.left.push(format!("{}: {what}", control.actual_name));
    }
}

/// The keys of an item with their values as they are written.
type Pairs = Vec<(&'static str, String)>;

/// Items for what is held on one thing: one for what may be granted on, one for the rest.
fn given_items(key: &'static str, value: &str, permissions: &Permissions) -> Vec<Pairs> {
    let mut items = Vec::new();
    for passed in [false, true] {
        let names = || permissions.iter().filter(|(_, on)| **on == passed).map(|(name, _)| name.as_str());
        if names().next().is_none() {
            continue;
        }
        let mut pairs = vec![(key, value.to_owned()), ("permissions", list(names()))];
        if passed {
            pairs.push(("may-pass-on", "true".to_owned()));
        }
        items.push(pairs);
    }
    items
}

fn what_items(given: &BTreeMap<ObjectRef, Permissions>, later: &BTreeMap<String, Permissions>) -> Vec<Pairs> {
    let now = given.iter().flat_map(|(object, permissions)| given_items("object", &object_text(object), permissions));
    now.chain(later.iter().flat_map(|(future, permissions)| given_items("future", future, permissions))).collect()
}

/// An object as code has it: as a text, or with its parts apart where the text would not be the same when it is read.
fn object_text(object: &ObjectRef) -> String {
    let name = ObjectName::from(object);
    let text = name.to_string();
    if ObjectName::parse(&text).as_ref() == Some(&name) {
        return scalar(&text);
    }
    let signature = object.signature.as_ref().map(|signature| format!(", signature: {}", scalar(signature.as_str())));
    let path = list(object.path.iter().map(PathPart::as_str));
    format!("{{ kind: {}, path: {path}{} }}", object.kind.as_str(), signature.unwrap_or_default())
}
