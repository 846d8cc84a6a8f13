//! Warrants: a write call is let through only where a change in hand says exactly that.
//!
//! The host decides changes and hands them to the connector, which turns them into write calls. What the connector is, or
//! has become, must not matter: `add Ann to readers` cannot become `GRANT readers TO PUBLIC`. So the changes are spelled out
//! as sayings, the smallest things that a call can say, and every call is taken apart and looked up among them.

use std::collections::{BTreeSet, HashMap};

mod said;
mod saying;

pub use saying::Names;

use self::said::{Said, SaidLine, read};
use self::saying::{Called, Saying};
use crate::call::{Argument, Value};
use crate::record::{ChangeSet, Policy};
use crate::text::{ExternalId, Kind, PathPart};
use crate::vocabulary::{Does, Origin, Placeholder, PlaceholderType};

/// A write entry, as far as the comparison needs it.
#[derive(Debug, Clone)]
pub struct WriteEntry<'e> {
    /// What it does.
    pub does: Does,
    /// The kinds of objects that it is about; empty for any.
    pub on: &'e [Kind],
    /// The special member that its text names.
    pub member: Option<&'e ExternalId>,
    /// Its placeholders.
    pub placeholders: Vec<&'e Placeholder>,
    /// The database that it is sent to, where it is a statement. The first part of an object's path is its database.
    pub database: Option<&'e str>,
}

impl WriteEntry<'_> {
    /// Whether a placeholder, or one within items, has this origin.
    fn names(&self, origin: Origin) -> bool {
        let in_text = origin == Origin::Member && self.member.is_some();
        in_text
            || self.placeholders.iter().any(|placeholder| match &placeholder.kind {
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
    /// Where the sayings are that a line can be, by what the line does and the last name of its object. A change may have
    /// thousands, each with a call of its own.
    places: HashMap<(Does, Option<String>), Vec<usize>>,
}

impl Warrants {
    /// Spells out change-sets.
    pub fn of(sets: &[ChangeSet], names: &Names) -> Self {
        let sayings: Vec<Saying> =
            sets.iter().enumerate().flat_map(|(at, set)| saying::spell(at, set, names)).collect();
        let mut places: HashMap<(Does, Option<String>), Vec<usize>> = HashMap::new();
        for (at, saying) in sayings.iter().enumerate() {
            let Some(does) = saying.does else { continue };
            let path = saying.object.as_ref().map(|object| object.path.as_slice());
            if let Some(last) = path.and_then(<[PathPart]>::last) {
                places.entry((does, Some(last.as_str().to_owned()))).or_default().push(at);
            }
            // A database can be meant by sending the call there, without a name.
            if path.is_none_or(|path| path.len() <= 1) {
                places.entry((does, None)).or_default().push(at);
            }
        }
        Self { sayings, places }
    }

    /// The sayings that a line can be, as far as its object says.
    fn candidates(&self, does: Does, line: &SaidLine) -> &[usize] {
        let mut from_behind = line.iter().rev().filter(|(origin, _)| *origin == Origin::Object);
        let last = from_behind.find_map(|(_, said)| Some(said.parts()?.last()?.to_string()));
        self.places.get(&(does, last)).map_or(&[], Vec::as_slice)
    }

    /// Says for which change a call is let through. `set_of` gives the change-set for which a captured token was given; `used`
    /// is what was said before, so that two sayings that look alike from outside are said one after the other.
    ///
    /// # Errors
    /// A sentence, where no change in hand says what the call says.
    pub fn check(
        &self,
        entry: &WriteEntry<'_>,
        arguments: &[Argument],
        set_of: impl Fn(&str) -> Option<usize>,
        used: &mut Used,
    ) -> Result<Warranted, String> {
        let call = read(entry, arguments)?;
        let mut found: Vec<usize> = Vec::new();
        for line in &call.lines {
            let first = found.first().map(|at| &self.sayings[*at]);
            let fits = |at: &usize| {
                let saying = &self.sayings[*at];
                first.is_none_or(|first| first.goes_with(saying)) && saying.accepts(line, entry, &set_of)
            };
            let all: Vec<usize> = self.candidates(entry.does, line).iter().copied().filter(fits).collect();
            let fresh = all.iter().find(|at| !used.0.contains(at) && !found.contains(at));
            let at =
                fresh.or(all.first()).ok_or_else(|| format!("no change in hand says {}", shown(entry.does, line)))?;
            found.push(*at);
        }
        let Some(first) = found.first().map(|at| &self.sayings[*at]) else { return Err("it says nothing".into()) };
        let is_rule = entry.does == Does::SetPolicy && entry.names(Origin::Member);
        if call.is_list || is_rule {
            let is_whole = |(_, saying): &(usize, &Saying)| {
                saying.set == first.set && saying.does == Some(entry.does) && saying.object == first.object
            };
            let whole: BTreeSet<usize> = self.sayings.iter().enumerate().filter(is_whole).map(|(at, _)| at).collect();
            if whole != found.iter().copied().collect() {
                return Err("it does not give the whole list as it is to be".into());
            }
        }
        let mut spliced: Vec<Argument> = Vec::new();
        for placeholder in entry.placeholders.iter().filter(|placeholder| entry.splices(placeholder)) {
            if !spliced.iter().any(|argument| argument.name == placeholder.name) {
                spliced.push(first.splice(placeholder)?);
            }
        }
        used.0.extend(found.iter().copied());
        Ok(Warranted { set: first.set, spliced, grantor: first.grantor.as_ref().and_then(Called::name) })
    }
}

/// What was said in a step so far.
#[derive(Debug, Clone, Default)]
pub struct Used(BTreeSet<usize>);

impl Saying {
    /// Whether one call can say both: it is for one change-set, runs in one role, and has one list of argument types.
    fn goes_with(&self, other: &Self) -> bool {
        let signature = |saying: &Self| saying.object.as_ref().and_then(|object| object.signature.clone());
        self.set == other.set && self.grantor == other.grantor && signature(self) == signature(other)
    }

    /// Whether everything that a line says is what this says.
    fn accepts(&self, line: &SaidLine, entry: &WriteEntry<'_>, set_of: &impl Fn(&str) -> Option<usize>) -> bool {
        let of_object = line.iter().filter(|(origin, _)| *origin == Origin::Object);
        let objects: Option<Vec<Vec<&str>>> = of_object.map(|(_, said)| said.parts()).collect();
        let Some(objects) = objects.map(|parts| parts.concat()) else { return false };
        let about = match &self.object {
            Some(object) => {
                let path: Vec<&str> = object.path.iter().map(|part| part.as_str()).collect();
                let is_kind = entry.on.is_empty() || entry.on.contains(&object.kind);
                is_kind && covers(&path, &objects, entry.database)
            }
            None => objects.is_empty(),
        };
        let says = |wanted: Origin| line.iter().any(|(origin, _)| *origin == wanted);
        let says_member = says(Origin::Member);
        // A list is replaced only under the version that it was read with.
        let under_version = self.version.is_none() || says(Origin::Version);
        about
            && under_version
            && (!entry.names(Origin::Member) || says_member == self.member.is_some())
            && (entry.database.is_none() || self.policy.as_ref().is_none_or(|policy| self.rule_fits(policy, entry)))
            && self.flags_fit(line, entry)
            && line.iter().all(|(origin, said)| self.part_fits(*origin, said, entry.database.is_some(), set_of))
    }

    /// Whether a statement says all of a rule: one that leaves a part of it out would put another rule in place.
    fn rule_fits(&self, policy: &Policy, entry: &WriteEntry<'_>) -> bool {
        let said_where_new = |origin: Origin, is_usual: bool| !self.creates || is_usual || entry.names(origin);
        entry.names(Origin::Control)
            && entry.names(Origin::Policy) == policy.text.is_some()
            && entry.names(Origin::Check) == policy.check.is_some()
            && entry.names(Origin::Member) == self.member.is_some()
            && said_where_new(Origin::Command, policy.commands.is_empty())
            && said_where_new(Origin::Restrictive, !policy.restrictive)
    }

    fn part_fits(&self, origin: Origin, said: &Said, in_sql: bool, set_of: &impl Fn(&str) -> Option<usize>) -> bool {
        let calls = |called: &Option<Called>| {
            called.as_ref().zip(said.text()).is_some_and(|(called, text)| called.is(text, in_sql))
        };
        let equals = |known: &Option<String>| known.is_some() && said.text() == known.as_deref();
        match origin {
            Origin::Control => match said {
                Said::Token(token) => set_of(token) == Some(self.set),
                _ => said.text().is_some_and(|text| self.control.is(text, in_sql)),
            },
            Origin::Name => equals(&self.name),
            Origin::Member => match said {
                Said::Special(id) => self.member.as_ref().is_some_and(|member| member.is_special(id)),
                _ => calls(&self.member),
            },
            Origin::Permission => equals(&self.permission),
            Origin::Description => equals(&self.description),
            Origin::Version => equals(&self.version),
            Origin::Grantor => calls(&self.grantor),
            Origin::Creator => calls(&self.creator),
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
            Origin::Command => {
                said.text().zip(self.policy.as_ref()).is_some_and(|(word, policy)| match policy.commands.as_slice() {
                    [] => word == "ALL",
                    commands => commands.len() == 1 && commands[0].as_str() == word,
                })
            }
            Origin::Restrictive => said
                .text()
                .zip(self.policy.as_ref())
                .is_some_and(|(word, policy)| word == if policy.restrictive { "RESTRICTIVE" } else { "PERMISSIVE" }),
            // Objects and flags were compared as a whole; the others are never given.
            Origin::Object | Origin::MayPassOn | Origin::Inherits | Origin::Assumable => true,
            Origin::Check | Origin::Signature => false,
        }
    }

    /// Whether the flags of a line are those of the change. An entry that cannot say that something may be passed on never
    /// does so, and an absent flag is one that is not set.
    fn flags_fit(&self, line: &SaidLine, entry: &WriteEntry<'_>) -> bool {
        let gives = matches!(entry.does, Does::Grant | Does::GrantStanding | Does::AddMember | Does::SetMemberOptions);
        let is_membership = matches!(entry.does, Does::AddMember | Does::SetMemberOptions);
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
                None if !gives || has_place || origin == Origin::MayPassOn => !gives || !wanted,
                // A server of databases that is told nothing has a member inherit, and lets him switch.
                None => wanted || entry.database.is_none() || !is_membership,
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

/// Whether values name an object: side by side, in their order, they are its whole path, or the path below the database that the
/// call is sent to. Nothing of it may be left to how the target looks up names.
fn covers(path: &[&str], values: &[&str], database: Option<&str>) -> bool {
    match database {
        None => values == path,
        // In a database, its own objects, and those that no database has above it.
        Some(database) => {
            (path.len() == 1 && values == path) || (path.first() == Some(&database) && values == &path[1..])
        }
    }
}

fn shown(does: Does, line: &SaidLine) -> String {
    let part = |(origin, said): &(Origin, Said)| {
        let text = match said {
            Said::Text(text) | Said::Token(text) => text.clone(),
            Said::Path(path) => path.join("."),
            Said::Special(id) => id.to_string(),
        };
        format!("{origin} {}", crate::text::excerpt(&text, 80))
    };
    let parts: Vec<String> = line.iter().map(part).collect();
    let does = serde_json::to_value(does).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default();
    format!("{does} {}", parts.join(", "))
}
