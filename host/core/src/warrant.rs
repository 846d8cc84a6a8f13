//! Warrants: a write call is let through only where a change in hand says exactly that.
//!
//! The host decides changes and hands them to the connector, which turns them into write calls. What the connector is, or
//! has become, must not matter: `add Ann to readers` cannot become `GRANT readers TO PUBLIC`. So the changes are spelled out
//! as sayings, the smallest things that a call can say, and every call is taken apart and looked up among them.

use std::collections::BTreeMap;

use crate::call::{Argument, Value};
use crate::record::{Change, ChangeSet, Member, MemberKind, ObjectRef, PermissionUse, Policy, Standing, What};
use crate::text::{ExternalId, Kind};
use crate::vocabulary::{Does, Origin, Placeholder, PlaceholderType};

/// How members, grantors and creators are called at the target, by what whole reads of the same run told.
#[derive(Debug, Clone, Default)]
pub struct Names {
    users: BTreeMap<ExternalId, String>,
    controls: BTreeMap<ExternalId, String>,
}

impl Names {
    /// Adds a user's account name.
    pub fn user(&mut self, id: ExternalId, name: String) {
        self.users.insert(id, name);
    }

    /// Adds an access control's technical name.
    pub fn control(&mut self, id: ExternalId, name: String) {
        self.controls.insert(id, name);
    }

    /// What a member may be called: its id, and its name.
    fn of(&self, kind: MemberKind, id: &ExternalId) -> Vec<String> {
        let name = match kind {
            MemberKind::User => self.users.get(id),
            MemberKind::AccessControl | MemberKind::ActingAs => self.controls.get(id),
            MemberKind::Group | MemberKind::Special | MemberKind::Recipient => None,
        };
        std::iter::once(id.as_str().to_owned()).chain(name.cloned()).collect()
    }

    /// What a grantor or a creator may be called: access controls grant and create.
    fn of_control(&self, id: Option<&ExternalId>) -> Vec<String> {
        id.map(|id| self.of(MemberKind::AccessControl, id)).unwrap_or_default()
    }
}

/// The smallest thing that a write call can say.
#[derive(Debug, Clone, Default)]
struct Saying {
    set: usize,
    does: Option<Does>,
    control: Vec<String>,
    name: Option<String>,
    member: Vec<String>,
    object: Option<ObjectRef>,
    permission: Option<String>,
    grantor: Vec<String>,
    creator: Vec<String>,
    kind: Option<String>,
    inherits: bool,
    assumable: bool,
    may_pass_on: bool,
    description: Option<String>,
    policy: Option<Policy>,
    version: Option<String>,
}

/// A write entry, as far as the comparison needs it.
#[derive(Debug, Clone)]
pub struct WriteEntry<'e> {
    /// What it does.
    pub does: Does,
    /// The kinds of objects that it is about; empty for any.
    pub on: &'e [Kind],
    /// Its placeholders.
    pub placeholders: Vec<&'e Placeholder>,
    /// The database that it is sent to, where it is a statement. The first part of an object's path is its database.
    pub database: Option<&'e str>,
}

impl WriteEntry<'_> {
    /// Whether a placeholder, or one within items, has this origin.
    fn names(&self, origin: Origin) -> bool {
        self.placeholders.iter().any(|placeholder| match &placeholder.kind {
            PlaceholderType::Items(template) => {
                template.placeholders().iter().any(|inner| inner.origin == Some(origin))
            }
            _ => placeholder.origin == Some(origin),
        })
    }

    /// Whether the host puts in the value of a placeholder, because it is SQL.
    fn splices(&self, placeholder: &Placeholder) -> bool {
        self.database.is_some()
            && placeholder.kind == PlaceholderType::Text
            && placeholder.origin.is_some_and(Origin::is_spliced)
    }
}

/// What a call is let through for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warranted {
    /// The position of the change-set.
    pub set: usize,
    /// What the host puts into the statement itself.
    pub spliced: Vec<Argument>,
    /// The technical name of who granted what is taken, where the change says so.
    pub grantor: Option<String>,
}

/// Everything that write calls may say.
#[derive(Debug, Clone, Default)]
pub struct Warrants {
    sayings: Vec<Saying>,
}

/// What an argument says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Said {
    Text(String),
    Path(Vec<String>),
    Token(String),
}

/// One line of a call: what it says of one member, object and permission.
type SaidLine = Vec<(Origin, Said)>;

impl Warrants {
    /// Spells out change-sets.
    pub fn of(sets: &[ChangeSet], names: &Names) -> Self {
        let mut sayings = Vec::new();
        for (at, set) in sets.iter().enumerate() {
            let mut control = vec![set.actual_name.as_str().to_owned()];
            control.extend(set.external_id.as_ref().map(|id| id.as_str().to_owned()));
            let mut base = Saying { set: at, control, object: set.object.clone(), ..Saying::default() };
            let replaces = |change: &Change| matches!(change, Change::AddEntries(_) | Change::RemoveEntries(_));
            if set.entries.as_ref().is_some_and(Vec::is_empty) && set.changes.iter().any(replaces) {
                let version = set.version.as_ref().map(|version| version.as_str().to_owned());
                sayings.push(Saying { does: Some(Does::ReplaceEntries), version, ..base.clone() });
            }
            for entry in set.entries.iter().flatten().filter(|_| set.changes.iter().any(replaces)) {
                let version = set.version.as_ref().map(|version| version.as_str().to_owned());
                let of_entry = Saying { does: Some(Does::ReplaceEntries), version, ..base.clone() };
                let of_entry = with_member(&of_entry, &entry.member, names);
                sayings.extend(entry.permissions.iter().map(|used| with_permission(&of_entry, used, names)));
            }
            for change in &set.changes {
                spell(set, change, &base, names, &mut sayings);
                if let Change::Rename(to) = change {
                    base.control.push(to.as_str().to_owned());
                }
            }
        }
        Self { sayings }
    }

    /// Says for which change a call is let through. `set_of` gives the change-set for which a captured token was given.
    ///
    /// # Errors
    /// A sentence, where no change in hand says what the call says.
    pub fn check(
        &self,
        entry: &WriteEntry<'_>,
        arguments: &[Argument],
        set_of: impl Fn(&str) -> Option<usize>,
    ) -> Result<Warranted, String> {
        let call = read(entry, arguments)?;
        let mut found: Vec<&Saying> = Vec::new();
        for line in &call.lines {
            let matching = self.sayings.iter().find(|saying| {
                saying.does == Some(entry.does)
                    && found.first().is_none_or(|first| first.set == saying.set)
                    && saying.accepts(line, entry, &set_of)
            });
            found.push(matching.ok_or_else(|| format!("no change in hand says {}", shown(entry.does, line)))?);
        }
        let Some(first) = found.first() else { return Err("it says nothing".into()) };
        if call.is_list {
            let whole = self.sayings.iter().filter(|saying| saying.set == first.set && saying.does == Some(entry.does));
            let distinct = call.lines.iter().enumerate().filter(|(at, line)| !call.lines[..*at].contains(line)).count();
            if whole.count() != distinct {
                return Err("it does not give the whole list as it is to be".into());
            }
        }
        let mut spliced: Vec<Argument> = Vec::new();
        for placeholder in entry.placeholders.iter().filter(|placeholder| entry.splices(placeholder)) {
            if !spliced.iter().any(|argument| argument.name == placeholder.name) {
                spliced.push(first.splice(placeholder)?);
            }
        }
        Ok(Warranted { set: first.set, spliced, grantor: first.grantor.get(1).cloned() })
    }
}

fn with_member(base: &Saying, member: &Member, names: &Names) -> Saying {
    Saying {
        member: names.of(member.kind, &member.id),
        inherits: member.inherits,
        assumable: member.assumable,
        may_pass_on: member.may_pass_on,
        grantor: names.of_control(member.granted_by.as_ref()),
        ..base.clone()
    }
}

fn with_permission(base: &Saying, used: &PermissionUse, names: &Names) -> Saying {
    Saying {
        permission: Some(used.name.as_str().to_owned()),
        may_pass_on: used.may_pass_on,
        grantor: names.of_control(used.granted_by.as_ref()),
        ..base.clone()
    }
}

/// Adds what one change says.
fn spell(set: &ChangeSet, change: &Change, base: &Saying, names: &Names, sayings: &mut Vec<Saying>) {
    let doing = |does| Saying { does: Some(does), ..base.clone() };
    let members = |does, list: &[Member]| -> Vec<Saying> {
        list.iter().map(|member| with_member(&doing(does), member, names)).collect()
    };
    let facts = |does, list: &[What]| -> Vec<Saying> {
        let of = |what: &What| {
            let base = Saying { object: Some(what.object.clone()), ..doing(does) };
            what.permissions.iter().map(|used| with_permission(&base, used, names)).collect::<Vec<_>>()
        };
        list.iter().flat_map(of).collect()
    };
    let standings = |does, list: &[Standing]| -> Vec<Saying> {
        let of = |standing: &Standing| {
            let base = Saying {
                object: Some(standing.under.clone()),
                kind: Some(standing.kind.as_str().to_owned()),
                creator: names.of_control(standing.creator.as_ref()),
                ..doing(does)
            };
            standing.permissions.iter().map(|used| with_permission(&base, used, names)).collect::<Vec<_>>()
        };
        list.iter().flat_map(of).collect()
    };
    let name = |name: &crate::text::Name| Some(name.as_str().to_owned());
    let description = Some(set.description.as_str().to_owned());
    match change {
        Change::Create(_) => {
            sayings.push(Saying { name: name(&set.actual_name), description, ..doing(Does::Create) });
        }
        Change::Rename(to) => sayings.push(Saying { name: name(to), ..doing(Does::Rename) }),
        Change::Describe(text) => {
            sayings.push(Saying { description: Some(text.as_str().to_owned()), ..doing(Does::Describe) });
        }
        Change::AddMembers(list) => sayings.extend(members(Does::AddMember, list)),
        Change::RemoveMembers(list) => sayings.extend(members(Does::RemoveMember, list)),
        Change::SetMemberOptions(list) => sayings.extend(members(Does::SetMemberOptions, list)),
        Change::Grant(list) => sayings.extend(facts(Does::Grant, list)),
        Change::Revoke(list) => sayings.extend(facts(Does::Revoke, list)),
        Change::RevokePassOn(list) => sayings.extend(facts(Does::RevokePassOn, list)),
        Change::GrantStanding(list) => sayings.extend(standings(Does::GrantStanding, list)),
        Change::RevokeStanding(list) => sayings.extend(standings(Does::RevokeStanding, list)),
        Change::AddEntries(list) | Change::RemoveEntries(list) => {
            let does = if matches!(change, Change::AddEntries(_)) { Does::AddEntry } else { Does::RemoveEntry };
            for entry in list {
                let of_entry = with_member(&doing(does), &entry.member, names);
                sayings.extend(entry.permissions.iter().map(|used| with_permission(&of_entry, used, names)));
            }
        }
        Change::SetPolicy(policy) => {
            let base = Saying { policy: Some(policy.clone()), ..doing(Does::SetPolicy) };
            match set.entries.as_deref() {
                None | Some([]) => sayings.push(base),
                Some(entries) => {
                    sayings.extend(entries.iter().map(|entry| with_member(&base, &entry.member, names)));
                }
            }
        }
        Change::ClearPolicy => sayings.push(doing(Does::ClearPolicy)),
        Change::Delete => sayings.push(doing(Does::Delete)),
    }
}

/// A call, taken apart.
struct ReadCall {
    lines: Vec<SaidLine>,
    /// Whether it gives a list as a whole.
    is_list: bool,
}

/// Takes a call apart: several permissions, objects or items are a line each.
fn read(entry: &WriteEntry<'_>, arguments: &[Argument]) -> Result<ReadCall, String> {
    let mut call = ReadCall { lines: vec![Vec::new()], is_list: false };
    let mut seen: Vec<&str> = Vec::new();
    for placeholder in &entry.placeholders {
        if seen.contains(&placeholder.name.as_str()) {
            continue;
        }
        seen.push(&placeholder.name);
        let Some(argument) = arguments.iter().find(|argument| argument.name == placeholder.name) else { continue };
        if entry.splices(placeholder) {
            return Err(format!("{}: the host puts it in", placeholder.name));
        }
        let each = said(placeholder, &argument.value)?;
        call.is_list |= matches!(placeholder.kind, PlaceholderType::Items(_));
        if each.is_empty() {
            // An empty list says that there is nobody.
            continue;
        }
        let joined = call.lines.iter().flat_map(|line| each.iter().map(|more| [line.as_slice(), more].concat()));
        call.lines = joined.collect();
        if call.lines.len() > crate::limits::ARGUMENT_ITEMS {
            return Err("it says too much at once".into());
        }
    }
    Ok(call)
}

/// What the value of a placeholder says: one piece for each of several.
fn said(placeholder: &Placeholder, value: &Value) -> Result<Vec<SaidLine>, String> {
    if let (PlaceholderType::Items(template), Value::Items(items)) = (&placeholder.kind, value) {
        let inner = template.placeholders();
        let line = |item: &Vec<(String, String)>| -> Result<SaidLine, String> {
            item.iter()
                .map(|(name, text)| {
                    let known = inner.iter().find(|placeholder| placeholder.name == *name);
                    let origin = known.and_then(|placeholder| placeholder.origin);
                    origin.map(|origin| (origin, Said::Text(text.clone()))).ok_or_else(|| format!("{name}: unknown"))
                })
                .collect()
        };
        return items.iter().map(line).collect();
    }
    let Some(origin) = placeholder.origin else { return Ok(vec![Vec::new()]) };
    let one = |said: Said| vec![(origin, said)];
    Ok(match value {
        Value::Text(text) => vec![one(Said::Text(text.clone()))],
        Value::Integer(number) => vec![one(Said::Text(number.to_string()))],
        Value::Boolean(flag) => vec![one(Said::Text(flag.to_string()))],
        Value::Name(path) => vec![one(Said::Path(path.clone()))],
        Value::Names(paths) => paths.iter().map(|path| one(Said::Path(path.clone()))).collect(),
        Value::Keywords(words) => words.iter().map(|word| one(Said::Text(word.clone()))).collect(),
        Value::Captured(token) => vec![one(Said::Token(token.clone()))],
        Value::Null => vec![Vec::new()],
        Value::Texts(_) | Value::Items(_) | Value::Free(_) => {
            return Err(format!("{}: it cannot be compared with a change", placeholder.name));
        }
    })
}

impl Said {
    /// The one text of it.
    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Path(path) => match path.as_slice() {
                [one] => Some(one),
                _ => None,
            },
            Self::Token(_) => None,
        }
    }

    fn is_one_of(&self, names: &[String]) -> bool {
        self.text().is_some_and(|text| names.iter().any(|name| name == text))
    }

    fn parts(&self) -> Option<Vec<&str>> {
        match self {
            Self::Text(text) => Some(vec![text]),
            Self::Path(path) => Some(path.iter().map(String::as_str).collect()),
            Self::Token(_) => None,
        }
    }
}

impl Saying {
    /// Whether everything that a line says is what this says.
    fn accepts(&self, line: &SaidLine, entry: &WriteEntry<'_>, set_of: &impl Fn(&str) -> Option<usize>) -> bool {
        let objects: Option<Vec<Vec<&str>>> =
            line.iter().filter(|(origin, _)| *origin == Origin::Object).map(|(_, said)| said.parts()).collect();
        let Some(objects) = objects else { return false };
        let about = match &self.object {
            Some(object) => {
                let path: Vec<&str> = object.path.iter().map(|part| part.as_str()).collect();
                let is_kind = entry.on.is_empty() || entry.on.contains(&object.kind);
                is_kind && covers(&path, &objects, entry.database)
            }
            None => objects.is_empty(),
        };
        let says_member = line.iter().any(|(origin, _)| *origin == Origin::Member);
        about
            && (!entry.names(Origin::Member) || says_member != self.member.is_empty())
            && self.flags_fit(line, entry)
            && line.iter().all(|(origin, said)| self.part_fits(*origin, said, set_of))
    }

    fn part_fits(&self, origin: Origin, said: &Said, set_of: &impl Fn(&str) -> Option<usize>) -> bool {
        let equals = |known: &Option<String>| known.is_some() && said.text() == known.as_deref();
        match origin {
            Origin::Control => match said {
                Said::Token(token) => set_of(token) == Some(self.set),
                _ => said.is_one_of(&self.control),
            },
            Origin::Name => equals(&self.name),
            Origin::Member => said.is_one_of(&self.member),
            Origin::Permission => equals(&self.permission),
            Origin::Description => equals(&self.description),
            Origin::Version => equals(&self.version),
            Origin::Grantor => said.is_one_of(&self.grantor),
            Origin::Creator => said.is_one_of(&self.creator),
            Origin::Kind => said.text().zip(self.kind.as_deref()).is_some_and(|(word, kind)| is_plural(word, kind)),
            Origin::Policy => {
                let policy = self.policy.as_ref();
                let words = policy.map(|policy| {
                    let text = policy.text.as_ref().map(|text| text.as_str().to_owned());
                    [policy.kind.as_ref().map(|kind| kind.as_str().to_owned()), text]
                        .into_iter()
                        .flatten()
                        .collect::<Vec<_>>()
                });
                said.is_one_of(&words.unwrap_or_default())
            }
            // Objects and flags were compared as a whole; the others are never given.
            Origin::Object | Origin::MayPassOn | Origin::Inherits | Origin::Assumable => true,
            Origin::Check | Origin::Signature => false,
        }
    }

    /// Whether the flags of a line are those of the change. An entry that cannot say that something may be passed on never
    /// does so, and an absent flag is one that is not set.
    fn flags_fit(&self, line: &SaidLine, entry: &WriteEntry<'_>) -> bool {
        let gives = matches!(entry.does, Does::Grant | Does::GrantStanding | Does::AddMember | Does::SetMemberOptions);
        let flags = [
            (Origin::MayPassOn, self.may_pass_on),
            (Origin::Inherits, self.inherits),
            (Origin::Assumable, self.assumable),
        ];
        flags.into_iter().all(|(origin, wanted)| {
            let is_said = line.iter().find(|(other, _)| *other == origin);
            let has_place = entry.placeholders.iter().any(|placeholder| placeholder.origin == Some(origin));
            match is_said {
                Some((_, said)) => said.text().is_some_and(|word| is_yes(word) == wanted),
                None => !gives || !wanted || (!has_place && origin != Origin::MayPassOn),
            }
        })
    }

    /// What the host puts in for a placeholder.
    fn splice(&self, placeholder: &Placeholder) -> Result<Argument, String> {
        let policy = self.policy.as_ref();
        let text = match placeholder.origin {
            Some(Origin::Policy) => policy.and_then(|policy| policy.text.as_ref()).map(|text| text.as_str()),
            Some(Origin::Check) => policy.and_then(|policy| policy.check.as_ref()).map(|text| text.as_str()),
            _ => self.object.as_ref().and_then(|object| object.signature.as_ref()).map(|signature| signature.as_str()),
        };
        let text = text.ok_or_else(|| format!("{}: the change has nothing to put in", placeholder.name))?;
        Ok(Argument { name: placeholder.name.clone(), value: Value::Free(text.to_owned()) })
    }
}

/// Whether a word means yes.
fn is_yes(word: &str) -> bool {
    !matches!(word.to_ascii_lowercase().as_str(), "false" | "no" | "off")
}

/// Whether a keyword, such as `TABLES`, is a kind in the plural.
fn is_plural(word: &str, kind: &str) -> bool {
    let word = word.to_ascii_lowercase().replace(' ', "-");
    word == kind || word.strip_suffix('s') == Some(kind)
}

/// Whether values name an object: side by side they are its whole path, or the path below the database that the call is sent
/// to. Nothing of it may be left to how the target looks up names.
fn covers(path: &[&str], values: &[Vec<&str>], database: Option<&str>) -> bool {
    fn tile(path: &[&str], values: &[Vec<&str>], used: &mut Vec<bool>) -> bool {
        if path.is_empty() {
            return used.iter().all(|used| *used);
        }
        for at in 0..values.len() {
            if !used[at] && !values[at].is_empty() && path.starts_with(&values[at]) {
                used[at] = true;
                if tile(&path[values[at].len()..], values, used) {
                    return true;
                }
                used[at] = false;
            }
        }
        false
    }
    let whole = |path: &[&str]| !path.is_empty() && tile(path, values, &mut vec![false; values.len()]);
    match database {
        None => whole(path),
        // In a database, its own objects, and those that no database has above it.
        Some(database) if path == [database] && values.is_empty() => true,
        Some(database) => (path.len() == 1 && whole(path)) || (path.first() == Some(&database) && whole(&path[1..])),
    }
}

fn shown(does: Does, line: &SaidLine) -> String {
    let part = |(origin, said): &(Origin, Said)| {
        let text = match said {
            Said::Text(text) | Said::Token(text) => text.clone(),
            Said::Path(path) => path.join("."),
        };
        format!("{origin} {}", crate::text::excerpt(&text, 80))
    };
    let parts: Vec<String> = line.iter().map(part).collect();
    let does = serde_json::to_value(does).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default();
    format!("{does} {}", parts.join(", "))
}
