//! What changes, access control by access control, in the words of people.

use raito_core::catalogue::Catalogue;
use raito_core::record::{AccessEntry, Change, ChangeSet, Identity, Member, MemberKind, PermissionUse, Standing, What};
use raito_core::text::{ExternalId, Kind, Name};
use serde::{Deserialize, Serialize};

/// Whether something comes, changes, or goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Sign {
    /// It comes.
    #[serde(rename = "+")]
    Add,
    /// It changes.
    #[serde(rename = "~")]
    Change,
    /// It goes.
    #[serde(rename = "-")]
    Remove,
}

impl Sign {
    /// The sign.
    pub fn sign(self) -> char {
        match self {
            Self::Add => '+',
            Self::Change => '~',
            Self::Remove => '-',
        }
    }
}

/// One thing that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Line {
    /// How.
    pub sign: Sign,
    /// What, in words.
    pub text: String,
}

/// An access control, or a list of an object, that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Entity {
    /// How.
    pub sign: Sign,
    /// Its id in files.
    pub id: Name,
    /// Its kind.
    pub kind: Kind,
    /// Its name, or the object whose list it is.
    pub name: String,
    /// What changes of it.
    pub lines: Vec<Line>,
}

/// What change-sets say, in words.
pub fn entities(sets: &[ChangeSet], catalogue: &Catalogue) -> Vec<Entity> {
    let names = Names { catalogue, sets };
    let entity = |set: &ChangeSet| {
        let has = |wanted: fn(&Change) -> bool| set.changes.iter().any(wanted);
        let sign = if has(|change| matches!(change, Change::Create(_))) {
            Sign::Add
        } else if has(|change| matches!(change, Change::Delete)) {
            Sign::Remove
        } else {
            Sign::Change
        };
        let own = |change: &&Change| !matches!(change, Change::Create(_) | Change::Delete);
        Entity {
            sign,
            id: set.id.clone(),
            kind: set.kind.clone(),
            name: names.called(set),
            lines: set.changes.iter().filter(own).flat_map(|change| names.lines_of(set, change)).collect(),
        }
    };
    sets.iter().map(entity).collect()
}

/// How members are called.
pub(crate) struct Names<'n> {
    pub(crate) catalogue: &'n Catalogue,
    pub(crate) sets: &'n [ChangeSet],
}

impl Names<'_> {
    fn of(&self, kind: MemberKind, id: &ExternalId) -> String {
        let catalogue = self.catalogue;
        let name = match kind {
            MemberKind::User => {
                catalogue.users.iter().find(|user| user.external_id == *id).map(|user| user.user_name.to_string())
            }
            MemberKind::Group => {
                catalogue.groups.iter().find(|group| group.external_id == *id).map(|group| group.name.to_string())
            }
            MemberKind::AccessControl | MemberKind::ActingAs => {
                let held = catalogue.controls.get(id).map(|control| control.actual_name.to_string());
                let coming = || self.sets.iter().find(|set| set.id.as_str() == id.as_str());
                held.or_else(|| coming().map(|set| set.actual_name.to_string()))
            }
            MemberKind::Special | MemberKind::Recipient => None,
        };
        name.unwrap_or_else(|| id.to_string())
    }

    /// How an access control is called: a list by its object, and a rule, of which an object may have several, by both.
    fn called(&self, set: &ChangeSet) -> String {
        let kind = self.catalogue.description.control_kind(&set.kind);
        match &set.object {
            None => set.actual_name.to_string(),
            Some(object) if kind.is_some_and(|kind| kind.identity == Identity::NamedOnObject) => {
                format!("{} on {object}", set.actual_name)
            }
            Some(object) => object.to_string(),
        }
    }

    /// What a change of a change-set says. A rule is put in place with all of its members, so they are compared here.
    fn lines_of(&self, set: &ChangeSet, change: &Change) -> Vec<Line> {
        let Change::SetPolicy(policy) = change else { return self.lines(change) };
        let held = set.external_id.as_ref().and_then(|id| self.catalogue.controls.get(id));
        let same = held.is_some_and(|held| held.policy.as_ref() == Some(policy));
        let mut lines = if same { Vec::new() } else { self.lines(change) };
        if held.is_none() {
            lines.iter_mut().for_each(|line| line.sign = Sign::Add);
        }
        let had = held.map_or(&[][..], |held| &held.who);
        let has: Vec<&Member> = set.entries.iter().flatten().map(|entry| &entry.member).collect();
        let is = |one: &Member, two: &Member| (one.kind, &one.id) == (two.kind, &two.id);
        let come = has.iter().filter(|member| !had.iter().any(|known| is(known, member)));
        let go = had.iter().filter(|member| !has.iter().any(|known| is(known, member)));
        lines.extend(come.map(|member| self.member(Sign::Add, member)));
        lines.extend(go.map(|member| self.member(Sign::Remove, member)));
        lines
    }

    fn member(&self, sign: Sign, member: &Member) -> Line {
        let mut how = Vec::new();
        if !member.inherits {
            how.push("does not inherit");
        }
        if member.may_pass_on {
            how.push("may admit others");
        }
        let how = if how.is_empty() { String::new() } else { format!(" ({})", how.join(", ")) };
        Line { sign, text: format!("member {}{how}", self.of(member.kind, &member.id)) }
    }

    fn members(&self, sign: Sign, list: &[Member]) -> Vec<Line> {
        list.iter().map(|member| self.member(sign, member)).collect()
    }

    fn standing(&self, sign: Sign, list: &[Standing]) -> Vec<Line> {
        let line = |standing: &Standing| {
            let by = standing
                .creator
                .as_ref()
                .map(|creator| format!(" that {} creates", self.of(MemberKind::AccessControl, creator)));
            let (by, kind, under) = (by.unwrap_or_default(), &standing.kind, &standing.under);
            Line { sign, text: format!("{} on each later {kind}{by} below {under}", uses(&standing.permissions)) }
        };
        list.iter().map(line).collect()
    }

    fn entries(&self, sign: Sign, list: &[AccessEntry]) -> Vec<Line> {
        let line = |entry: &AccessEntry| {
            let who = self.of(entry.member.kind, &entry.member.id);
            Line { sign, text: format!("{} for {} {who}", uses(&entry.permissions), entry.member.kind.word()) }
        };
        list.iter().map(line).collect()
    }

    /// What a change says, a line for each thing.
    pub(crate) fn lines(&self, change: &Change) -> Vec<Line> {
        let one = |sign, text: String| vec![Line { sign, text }];
        match change {
            Change::Create(_) | Change::Delete => Vec::new(),
            Change::Rename(name) => one(Sign::Change, format!("name {name}")),
            Change::Describe(text) => one(Sign::Change, format!("description {:?}", text.to_string())),
            Change::AddMembers(list) => self.members(Sign::Add, list),
            Change::RemoveMembers(list) => self.members(Sign::Remove, list),
            Change::SetMemberOptions(list) => self.members(Sign::Change, list),
            Change::Grant(list) => facts(Sign::Add, "", list),
            Change::Revoke(list) => facts(Sign::Remove, "", list),
            Change::RevokePassOn(list) => facts(Sign::Remove, "the right to grant ", list),
            Change::GrantStanding(list) => self.standing(Sign::Add, list),
            Change::RevokeStanding(list) => self.standing(Sign::Remove, list),
            Change::AddEntries(list) => self.entries(Sign::Add, list),
            Change::RemoveEntries(list) => self.entries(Sign::Remove, list),
            Change::SetPolicy(policy) => {
                let rule = policy.text.as_ref().map(ToString::to_string);
                let kind = policy.kind.as_ref().map(ToString::to_string);
                one(Sign::Change, format!("rule {}", rule.or(kind).unwrap_or_default()))
            }
            Change::ClearPolicy => one(Sign::Remove, "rule".to_owned()),
        }
    }
}

fn uses(list: &[PermissionUse]) -> String {
    let one = |used: &PermissionUse| {
        if used.may_pass_on { format!("{} (may be granted on)", used.name) } else { used.name.to_string() }
    };
    list.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn facts(sign: Sign, before: &str, list: &[What]) -> Vec<Line> {
    let line = |what: &What| Line { sign, text: format!("{before}{} on {}", uses(&what.permissions), what.object) };
    list.iter().map(line).collect()
}
