//! References of a read: the names in its records, and whether a record of the read defines each.
//! One without is dangling.
//!
//! An access control may have a member whom no step tells of, or a permission on an object that is
//! not there. The read is no less whole for it, but nobody can say who that is, and answers that go
//! by members and answers that go by users differ. So names without a definition are counted and
//! told.
//!
//! Users and groups are defined by step 1, objects by step 2, access controls by step 3. A name is
//! judged only once the step that would define it was read whole: what lies in a gap, or was left
//! out, is missing for a reason that is told already.

use std::collections::BTreeMap;

use crate::limits;
use crate::record::{Description, Gap, Member, MemberKind, ObjectRef, PermissionUse, Standing, What};
use crate::seen::Seen;
use crate::step::Step;
use crate::text::{ExternalId, PathPart};
use crate::upload::Line;

/// The kinds of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Named {
    User,
    Group,
    Control,
    /// A grantor or a creator: a user, a group or an access control.
    Actor,
    /// An object, by kind and path.
    Object,
    /// An object, by its external id.
    Parent,
}

impl Named {
    /// The words for one and for several.
    fn words(self) -> [&'static str; 2] {
        match self {
            Self::User => ["user", "users"],
            Self::Group => ["group", "groups"],
            Self::Control => ["access control", "access controls"],
            Self::Actor => ["grantor or creator", "grantors or creators"],
            Self::Object => ["object", "objects"],
            Self::Parent => ["object above others", "objects above others"],
        }
    }

    /// The steps that must have been read whole before a name of this kind can be judged.
    fn defined_by(self) -> &'static [Step] {
        match self {
            Self::User | Self::Group => &[Step::IdentityStore],
            Self::Control => &[Step::AccessFromTarget],
            Self::Actor => &[Step::IdentityStore, Step::AccessFromTarget],
            Self::Object | Self::Parent => &[Step::DataSource],
        }
    }
}

/// Names without a definition, of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undefined {
    words: [&'static str; 2],
    /// How many there are.
    pub count: u64,
    /// The first of them, as people see them.
    pub examples: Vec<String>,
}

impl std::fmt::Display for Undefined {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (word, verb) = if self.count == 1 { (self.words[0], "is") } else { (self.words[1], "are") };
        write!(out, "{} {word} {verb} named, and no record defines ", self.count)?;
        out.write_str(if self.count == 1 { "it: " } else { "them: " })?;
        out.write_str(&self.examples.join(", "))?;
        if self.count > self.examples.len() as u64 { out.write_str(", …") } else { Ok(()) }
    }
}

/// How many names are told.
const EXAMPLES: usize = 5;

/// The definitions and names of the records of a read, step after step.
#[derive(Debug, Default)]
pub struct References {
    defined: Seen,
    /// Names that were not defined when they came, each once; with how they are shown.
    open: BTreeMap<(Named, String), String>,
    /// About how much all of this takes: ids, and bytes of names.
    ids: usize,
    bytes: usize,
    /// Whether that was more than is kept. Then nothing is judged any more.
    too_many: bool,
    whole: Vec<Step>,
    /// External ids of objects whose inside no read tells, and their paths where they came.
    left_out: Vec<ExternalId>,
    inside: Vec<Vec<PathPart>>,
}

/// The word under which a definition is kept.
fn word(named: Named) -> &'static str {
    named.words()[0]
}

impl References {
    /// Takes a record that was read.
    pub fn take(&mut self, line: &Line) {
        if self.too_many {
            return;
        }
        match line {
            Line::User(user) => self.define(Named::User, user.external_id.as_str()),
            Line::Group(group) => self.define(Named::Group, group.external_id.as_str()),
            Line::Membership(membership) => {
                self.id(Named::Group, &membership.group_external_id);
                self.member(&membership.member);
            }
            Line::Description(description) => self.describe(description),
            Line::Object(object) => {
                if self.left_out.contains(&object.external_id) {
                    self.inside.push(object.object.path.clone());
                }
                self.define(Named::Parent, object.external_id.as_str());
                self.define_object(&object.object);
                object.parent_external_id.iter().for_each(|parent| self.id(Named::Parent, parent));
                object.reads.iter().for_each(|read| self.object(read));
            }
            Line::AccessControl(control) => {
                self.define(Named::Control, control.external_id.as_str());
                self.held(&control.who, &control.what, &control.standing);
            }
            Line::Part(part) => self.held(&part.who, &part.what, &part.standing),
            Line::Statement(_) | Line::Coverage(_) | Line::Gap(_) | Line::End(_) => {}
        }
    }

    fn describe(&mut self, description: &Description) {
        self.left_out = description.left_out.iter().filter_map(|gap| gap.scope.clone()).collect();
    }

    /// Ends a step, and gives the names that are now known to have no definition, each once.
    pub fn end(&mut self, step: Step, gaps: &[Gap]) -> Vec<Undefined> {
        if gaps.is_empty() {
            self.whole.push(step);
        }
        let whole = std::mem::take(&mut self.whole);
        let is_due = |named: Named| named.defined_by().iter().all(|step| whole.contains(step));
        let mut found: BTreeMap<Named, Undefined> = BTreeMap::new();
        let open = std::mem::take(&mut self.open);
        for ((named, id), shown) in open {
            if !is_due(named) {
                self.open.insert((named, id), shown);
            } else if !self.is_defined(named, &id) {
                let undefined = found.entry(named).or_insert_with(|| Undefined {
                    words: named.words(),
                    count: 0,
                    examples: Vec::new(),
                });
                undefined.count += 1;
                if undefined.examples.len() < EXAMPLES {
                    undefined.examples.push(shown);
                }
            }
        }
        self.whole = whole;
        if self.too_many { Vec::new() } else { found.into_values().collect() }
    }

    /// Whether there was more than is kept, so that nothing could be judged.
    pub fn too_many(&self) -> bool {
        self.too_many
    }

    fn define(&mut self, named: Named, id: &str) {
        if self.defined.insert(word(named), id) {
            self.ids += 1;
            self.bound();
        }
        // It may have been named before.
        if !self.open.is_empty() {
            self.open.remove(&(named, id.to_owned()));
        }
    }

    fn define_object(&mut self, object: &ObjectRef) {
        let key = object.key();
        if self.defined.insert(word(Named::Object), &key.0) {
            self.ids += 1;
            self.bound();
        }
        if !self.open.is_empty() {
            self.open.remove(&(Named::Object, format!("{key:?}")));
        }
    }

    /// Whether a name has a definition; not of objects, whose names go when they are defined.
    fn is_defined(&self, named: Named, id: &str) -> bool {
        match named {
            Named::Actor => {
                [Named::User, Named::Group, Named::Control].iter().any(|one| self.defined.contains(word(*one), id))
            }
            one => self.defined.contains(word(one), id),
        }
    }

    fn name(&mut self, named: Named, id: &str, shown: impl FnOnce() -> String) {
        if !self.is_defined(named, id) && !self.open.contains_key(&(named, id.to_owned())) {
            let shown = shown();
            self.bytes += id.len() + shown.len() + NAME_OVERHEAD_BYTES;
            self.open.insert((named, id.to_owned()), shown);
            self.bound();
        }
    }

    /// Gives up where there is too much to keep.
    fn bound(&mut self) {
        if self.ids > limits::REFERENCES_IDS || self.bytes > limits::REFERENCES_BYTES {
            *self = Self { too_many: true, ..Self::default() };
        }
    }

    fn id(&mut self, named: Named, id: &ExternalId) {
        self.name(named, id.as_str(), || id.to_string());
    }

    fn member(&mut self, member: &Member) {
        match member.kind {
            MemberKind::User => self.id(Named::User, &member.id),
            MemberKind::Group => self.id(Named::Group, &member.id),
            MemberKind::AccessControl | MemberKind::ActingAs => self.id(Named::Control, &member.id),
            // Rules are held against the description; recipients are accounts of somebody else.
            MemberKind::Special | MemberKind::Recipient => {}
        }
        member.granted_by.iter().for_each(|by| self.id(Named::Actor, by));
    }

    fn object(&mut self, object: &ObjectRef) {
        let key = object.key();
        let is_inside = |path: &Vec<PathPart>| object.path.len() > path.len() && object.path.starts_with(path);
        if !self.defined.contains(word(Named::Object), &key.0) && !self.inside.iter().any(is_inside) {
            self.name(Named::Object, &format!("{key:?}"), || object.to_string());
        }
    }

    fn used(&mut self, permissions: &[PermissionUse]) {
        permissions.iter().filter_map(|one| one.granted_by.as_ref()).for_each(|by| self.id(Named::Actor, by));
    }

    fn held(&mut self, who: &[Member], what: &[What], standing: &[Standing]) {
        who.iter().for_each(|member| self.member(member));
        for what in what {
            self.object(&what.object);
            self.used(&what.permissions);
        }
        for standing in standing {
            self.object(&standing.under);
            standing.creator.iter().for_each(|creator| self.id(Named::Actor, creator));
            self.used(&standing.permissions);
        }
    }
}

/// Bytes that an entry of the map takes beside its texts.
const NAME_OVERHEAD_BYTES: usize = 96;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(value: serde_json::Value) -> Line {
        serde_json::from_value(value).expect("a line")
    }

    fn user(id: &str) -> Line {
        line(json!({ "user": { "external-id": id, "user-name": id, "display-name": "", "enabled": true } }))
    }

    fn object(id: &str, parent: Option<&str>) -> Line {
        line(
            json!({ "object": { "external-id": id, "name": id, "ref": { "kind": "table", "path": [id] }, "description": "",
            "parent-external-id": parent } }),
        )
    }

    fn control(id: &str, who: serde_json::Value, what: serde_json::Value) -> Line {
        line(
            json!({ "access-control": { "external-id": id, "name": id, "actual-name": id, "kind": "role", "description": "",
            "action": "grant", "internalizable": true, "who": who, "what": what } }),
        )
    }

    fn member(kind: &str, id: &str, by: Option<&str>) -> serde_json::Value {
        json!({ "kind": kind, "id": id, "inherits": true, "granted-by": by })
    }

    fn on(object: &str) -> serde_json::Value {
        json!({ "object": { "kind": "table", "path": [object] }, "permissions": [{ "name": "read", "granted-by": "r1" }] })
    }

    /// Takes lines, and ends a step as whole.
    fn ended(references: &mut References, step: Step, lines: &[Line]) -> Vec<String> {
        lines.iter().for_each(|line| references.take(line));
        references.end(step, &[]).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn names_without_a_definition_are_counted_with_examples() {
        let mut all = References::default();
        let membership = |group: &str, of: &str| {
            line(json!({ "membership": { "group-external-id": group, "member": member("user", of, None) } }))
        };
        let said = ended(&mut all, Step::IdentityStore, &[membership("g1", "u1"), membership("g1", "u2"), user("u1")]);
        assert_eq!(
            said,
            ["1 user is named, and no record defines it: u2", "1 group is named, and no record defines it: g1"]
        );
        let said = ended(&mut all, Step::DataSource, &[object("t1", Some("s1")), object("t2", None)]);
        assert_eq!(said, ["1 object above others is named, and no record defines it: s1"]);
        let who = json!([
            member("user", "u1", Some("u1")),
            member("user", "ann", Some("nobody")),
            member("access-control", "r2", None),
            member("access-control", "r9", None),
            member("special", "everyone", None)
        ]);
        let lines = [control("r1", who.clone(), json!([on("t1"), on("t3")])), control("r2", who, json!([]))];
        let said = ended(&mut all, Step::AccessFromTarget, &lines);
        assert_eq!(
            said,
            [
                "1 user is named, and no record defines it: ann",
                "1 access control is named, and no record defines it: r9",
                "1 grantor or creator is named, and no record defines it: nobody",
                "1 object is named, and no record defines it: table t3",
            ]
        );
        assert!(ended(&mut all, Step::DataUsage, &[]).is_empty(), "each is told once");
    }

    #[test]
    fn names_that_a_gap_may_define_are_not_judged() {
        let who = json!([member("user", "ann", None), member("access-control", "r9", Some("ann"))]);
        let lines = [control("r1", who, json!([on("t1")]))];
        let mut left_out = References::default();
        let said = ended(&mut left_out, Step::AccessFromTarget, &lines);
        assert_eq!(said, ["1 access control is named, and no record defines it: r9"], "steps 1 and 2 did not run");
        let mut partly = References::default();
        let gap = Gap { scope: None, reason: crate::text::Remark::new("no right").expect("a remark") };
        for step in [Step::IdentityStore, Step::DataSource, Step::AccessFromTarget] {
            lines.iter().for_each(|line| partly.take(line));
            assert!(partly.end(step, std::slice::from_ref(&gap)).is_empty(), "{step}");
        }
    }

    #[test]
    fn of_many_names_some_are_shown_and_of_too_many_nothing_is_kept() {
        let mut all = References::default();
        let who: Vec<serde_json::Value> =
            (0..20).map(|number| member("user", &format!("u{number:02}"), None)).collect();
        all.take(&control("r1", json!(who), json!([])));
        let said = ended(&mut all, Step::IdentityStore, &[]);
        assert_eq!(said, ["20 users are named, and no record defines them: u00, u01, u02, u03, u04, …"]);
        let long = "x".repeat(1_000);
        for number in 0..limits::REFERENCES_BYTES / 2_000 + 1 {
            all.take(&control(
                &format!("c{number}"),
                json!([member("user", &format!("{long}{number}"), None)]),
                json!([]),
            ));
        }
        assert!(all.too_many() && all.open.is_empty());
        assert!(all.end(Step::AccessFromTarget, &[]).is_empty());
    }
}
