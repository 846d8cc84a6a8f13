//! What the server knows of a role that is to be dropped (`pg_shdepend`): a role goes only when nothing names it any more, so
//! whatever these changes do not take away is told before the first of them is sent.

use std::collections::{BTreeMap, BTreeSet};

use raito_sdk::access::What;
use raito_sdk::access_to_target::{Change, ChangeSet};
use raito_sdk::{Call, Fault, FaultKind, ObjectRef, SqlRow, fault};

use crate::keyset::MAIN;
use crate::names::policy_id;

/// Dependents that a message names; more are counted.
const NAMED: usize = 10;

/// Roles that are asked about at once: each of them may be named by every object that there is.
const AT_ONCE: usize = 200;

/// Something that names the role.
#[derive(Debug)]
struct Dependent {
    /// How (`pg_shdepend.deptype`): `o` for its owner, `a` for its privileges, `r` for a row-security policy.
    how: String,
    /// The catalogue that it stands in.
    class: String,
    /// Whether it is of the cluster, and so told in every database.
    shared: bool,
    /// What it is, in the server's words.
    shown: String,
    /// The database, with the schema and the names that changes have for it.
    path: [String; 4],
    /// The external id, where it is a policy.
    policy: String,
    /// Whether somebody else has privileges on it from the role.
    passed_on: bool,
}

impl Dependent {
    /// A row of the statement `dependents`, behind the role that it is about.
    fn read(mut row: SqlRow) -> Self {
        let number = |at| row.integer(at).unwrap_or_default();
        let policy = policy_id(number(4), number(3));
        let (shared, passed_on) = (row.boolean(6), row.boolean(11));
        let database = if shared { String::new() } else { row.text(5) };
        Self {
            how: row.text(1),
            class: row.text(2),
            shared,
            shown: row.text(7),
            path: [database, row.text(8), row.text(9), row.text(10)],
            policy,
            passed_on,
        }
    }

    /// The key that a change has for it.
    fn key(&self) -> Key {
        let [database, schema, name, more] = &self.path;
        key(&self.class, database, schema, name, more)
    }
}

/// Catalogue, database, schema, name, and what tells it from its like: a column, argument types, a kind of objects.
type Key = [String; 5];

fn key(class: &str, database: &str, schema: &str, name: &str, more: &str) -> Key {
    [class, database, schema, name, more].map(str::to_owned)
}

/// What is taken from a role before it is dropped.
pub(crate) struct Taken {
    privileges: BTreeSet<Key>,
    policies: BTreeSet<String>,
}

impl Taken {
    /// What a change-set takes from its role, and the policies that the change-sets before it, which went well, let go of it.
    pub(crate) fn by<'s>(set: &ChangeSet, role: &str, before: impl Iterator<Item = &'s ChangeSet>) -> Self {
        let mut privileges = BTreeSet::new();
        for change in &set.changes {
            match change {
                Change::Revoke(facts) => privileges.extend(facts.iter().filter_map(of_object)),
                Change::RevokeStanding(list) => {
                    for standing in list {
                        let [database, schema @ ..] = standing.under.path.as_slice() else { continue };
                        let schema = schema.first().map(String::as_str).unwrap_or_default();
                        let creator = standing.creator.as_deref().unwrap_or_default();
                        privileges.insert(key("pg_default_acl", database, schema, creator, of_kind(&standing.kind)));
                    }
                }
                _ => {}
            }
        }
        let lets_go = |set: &&ChangeSet| {
            let of_role = |id: &String| id == role;
            let named = set.entries.iter().flatten().any(|entry| of_role(&entry.member.id));
            let is_set = set.changes.iter().any(|change| matches!(change, Change::SetPolicy(_)));
            let is_dropped = set.changes.iter().any(|change| matches!(change, Change::Delete));
            set.kind == "row-policy" && (is_dropped || (is_set && !named))
        };
        let policies = before.filter(lets_go).filter_map(|set| set.external_id.clone()).collect();
        Self { privileges, policies }
    }

    /// Why the role cannot go as long as this is there; none where these changes take it away.
    fn keeps(&self, dependent: &Dependent) -> Option<String> {
        let shown = match (&dependent.shown, dependent.path[0].as_str()) {
            (shown, "") => shown.clone(),
            (shown, database) => format!("{shown} in database {database}"),
        };
        match dependent.how.as_str() {
            "o" => Some(format!("it owns {shown}")),
            "r" if self.policies.contains(&dependent.policy) => None,
            "r" => Some(format!("{shown} names it")),
            "a" if dependent.class == "pg_auth_members" => Some(format!("it granted the {shown}")),
            "a" if dependent.passed_on => Some(format!("others have privileges on {shown} from it")),
            "a" if self.privileges.contains(&dependent.key()) => None,
            "a" => Some(format!("these changes leave its privileges on {shown}")),
            _ => Some(format!("{shown} depends on it")),
        }
    }
}

fn of_object(what: &What) -> Option<Key> {
    let ObjectRef { kind, path, signature } = &what.object;
    let signature = signature.as_deref().unwrap_or_default();
    Some(match (kind.as_str(), path.as_slice()) {
        ("database", [database]) => key("pg_database", "", "", database, ""),
        ("schema", [database, schema]) => key("pg_namespace", database, schema, "", ""),
        ("function" | "procedure", [database, schema, name]) => key("pg_proc", database, schema, name, signature),
        ("column", [database, schema, table, column]) => key("pg_class", database, schema, table, column),
        (_, [database, schema, relation]) => key("pg_class", database, schema, relation, ""),
        _ => return None,
    })
}

/// The letter of a kind of objects that default privileges are for (`pg_default_acl.defaclobjtype`).
fn of_kind(kind: &str) -> &'static str {
    match kind {
        "sequence" => "S",
        "function" => "f",
        "schema" => "n",
        _ => "r",
    }
}

/// What names the roles that are to be dropped. It is read for many of them at once, when the first of these is asked about.
pub(crate) struct Dependents<'p> {
    /// Roles that are to be dropped and were not read yet, the next one last.
    unread: Vec<i64>,
    /// The granted databases; none where there is only one, which needs no name.
    places: &'p [String],
    /// The statement that the server's version understands.
    statement: &'static str,
    read: ByRole,
}

/// By role: what names it, and why it cannot go whatever is taken from it.
type ByRole = BTreeMap<i64, (Vec<Dependent>, Vec<String>)>;

impl<'p> Dependents<'p> {
    /// Of roles in the order in which they will be asked about. `has_options` says whether memberships
    /// have options, and are dependencies: from PostgreSQL 16 on.
    pub(crate) fn new(roles: impl DoubleEndedIterator<Item = i64>, places: &'p [String], has_options: bool) -> Self {
        let statement = if has_options { "dependents" } else { "dependents-before-16" };
        Self { unread: roles.rev().collect(), places, statement, read: BTreeMap::new() }
    }

    /// Refuses to begin with a role that cannot be dropped in the end.
    ///
    /// # Errors
    /// A conflict that names what is left; the fault of a database that does not answer.
    pub(crate) fn check(&mut self, role: i64, taken: &Taken) -> Result<(), Fault> {
        while !self.read.contains_key(&role) {
            let rest = self.unread.len().saturating_sub(AT_ONCE);
            let mut roles = self.unread.split_off(rest);
            if !roles.contains(&role) {
                roles.push(role);
            }
            self.read = self.ask(&roles)?;
        }
        let (dependents, mut left) = self.read.remove(&role).unwrap_or_default();
        left.extend(dependents.iter().filter_map(|dependent| taken.keeps(dependent)));
        if left.is_empty() { Ok(()) } else { Err(fault(FaultKind::Conflict, refusal(&left))) }
    }

    fn ask(&self, roles: &[i64]) -> Result<ByRole, Fault> {
        let mut read: ByRole = roles.iter().map(|role| (*role, Default::default())).collect();
        let named = roles.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let ats: Vec<Option<&String>> =
            if self.places.is_empty() { vec![None] } else { self.places.iter().map(Some).collect() };
        for (number, at) in ats.iter().enumerate() {
            let call = |entry| {
                let call = Call::new(MAIN, entry).text("roles", &named);
                at.map_or(call.clone(), |at| call.at(at))
            };
            let mut rows = call(self.statement).query()?;
            while let Some(row) = rows.next_row()? {
                let Some((dependents, _)) = row.integer(0).and_then(|role| read.get_mut(&role)) else { continue };
                let dependent = Dependent::read(row);
                if number == 0 || !dependent.shared {
                    dependents.push(dependent);
                }
            }
            if number > 0 {
                continue;
            }
            let mut rows = call("dependents-elsewhere").query()?;
            while let Some(mut row) = rows.next_row()? {
                let Some((_, left)) = row.integer(0).and_then(|role| read.get_mut(&role)) else { continue };
                let (database, count) = (row.text(1), row.integer(2).unwrap_or_default());
                let is_here = if self.places.is_empty() { row.boolean(3) } else { self.places.contains(&database) };
                if !is_here {
                    left.push(format!("database {database}, which is not granted, names it {count} times"));
                }
            }
        }
        Ok(read)
    }
}

fn refusal(left: &[String]) -> String {
    let mut named = left.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; ");
    if left.len() > NAMED {
        named.push_str(&format!("; and {} more", left.len() - NAMED));
    }
    format!("the role cannot be dropped: {named}. Nothing of it was changed: take that away first")
}

#[cfg(test)]
mod tests {
    use raito_sdk::access::{AccessEntry, Member, MemberKind, Standing};

    use super::*;
    use crate::names::object_ref;

    fn set(kind: &str, external_id: &str, changes: Vec<Change>) -> ChangeSet {
        ChangeSet {
            id: "1".into(),
            external_id: Some(external_id.into()),
            actual_name: "readers".into(),
            name: "Readers".into(),
            description: String::new(),
            kind: kind.into(),
            object: None,
            version: None,
            entries: None,
            changes,
        }
    }

    fn taken(before: &[ChangeSet]) -> Taken {
        let what = |object| What { object, permissions: vec![], condition: None };
        let routine = ObjectRef { signature: Some("integer".into()), ..object_ref("function", &["shop", "s", "f"]) };
        let revoked = [
            object_ref("table", &["shop", "s", "t"]),
            object_ref("column", &["shop", "s", "u", "c"]),
            object_ref("database", &["shop"]),
            routine,
        ];
        let standing = Standing {
            under: object_ref("schema", &["shop", "s"]),
            kind: "table".into(),
            creator: Some("12".into()),
            permissions: vec![],
        };
        let changes = vec![
            Change::Revoke(revoked.into_iter().map(what).collect()),
            Change::RevokeStanding(vec![standing]),
            Change::Delete,
        ];
        Taken::by(&set("role", "9", changes), "9", before.iter())
    }

    /// A row: how, catalogue, schema, name, more, and whether it was passed on.
    fn row(how: &str, class: &str, names: [&str; 3], passed_on: bool) -> Dependent {
        let shared = if class == "pg_database" { "true" } else { "false" };
        let [schema, name, more] = names;
        let passed_on = if passed_on { "true" } else { "false" };
        let cells = ["9", how, class, "40", "5", "shop", shared, "thing", schema, name, more, passed_on];
        Dependent::read(SqlRow::new(cells.map(|cell| Some(cell.to_owned())).into()))
    }

    #[test]
    fn what_the_changes_take_away_is_no_hindrance() {
        let taken = taken(&[]);
        for (class, names) in [
            ("pg_class", ["s", "t", ""]),
            ("pg_class", ["s", "u", "c"]),
            ("pg_database", ["", "shop", ""]),
            ("pg_proc", ["s", "f", "integer"]),
            ("pg_default_acl", ["s", "12", "r"]),
        ] {
            assert_eq!(taken.keeps(&row("a", class, names, false)), None, "{class} {names:?}");
        }
    }

    #[test]
    fn whatever_else_names_the_role_is_told() {
        let taken = taken(&[]);
        let keeps = |how, class, names, passed_on| taken.keeps(&row(how, class, names, passed_on)).expect("a reason");
        assert_eq!(keeps("o", "pg_class", ["s", "t", ""], false), "it owns thing in database shop");
        assert_eq!(keeps("r", "pg_policy", ["", "", ""], false), "thing in database shop names it");
        assert!(keeps("a", "pg_class", ["s", "t", ""], true).starts_with("others have privileges on thing"));
        assert!(keeps("a", "pg_class", ["s", "u", ""], false).contains("leave its privileges on thing"));
        assert!(keeps("a", "pg_proc", ["s", "f", "a text"], false).contains("leave its privileges"));
        assert!(keeps("a", "pg_default_acl", ["s", "12", "T"], false).contains("leave its privileges"));
        assert!(keeps("a", "pg_language", ["", "", ""], false).contains("leave its privileges"));
        assert_eq!(keeps("a", "pg_auth_members", ["", "", ""], false), "it granted the thing in database shop");
        assert_eq!(keeps("i", "pg_class", ["s", "t", ""], false), "thing in database shop depends on it");
    }

    #[test]
    fn a_policy_lets_go_of_a_role_when_it_is_dropped_or_set_for_others() {
        let entry = |id: &str| AccessEntry {
            member: Member {
                kind: MemberKind::AccessControl,
                id: id.into(),
                inherits: true,
                assumable: true,
                may_pass_on: false,
                granted_by: None,
                expires_ms: None,
            },
            permissions: vec![],
            condition: None,
        };
        let rule = raito_sdk::access::Policy {
            kind: String::new(),
            text: Some("true".into()),
            check: None,
            commands: vec![],
            columns: vec![],
            arguments: vec![],
            restrictive: false,
            enabled: true,
            forced: false,
        };
        let named = |id| ChangeSet {
            entries: Some(vec![entry(id)]),
            ..set("row-policy", "d5/p40", vec![Change::SetPolicy(rule.clone())])
        };
        let policy = row("r", "pg_policy", ["", "", ""], false);
        assert_eq!(taken(&[set("row-policy", "d5/p40", vec![Change::Delete])]).keeps(&policy), None);
        assert_eq!(taken(&[named("8")]).keeps(&policy), None);
        assert!(taken(&[named("9")]).keeps(&policy).is_some(), "it names the role again");
        assert!(taken(&[set("row-policy", "d5/p41", vec![Change::Delete])]).keeps(&policy).is_some(), "another one");
    }

    #[test]
    fn a_long_list_is_counted() {
        let left: Vec<String> = (0..13).map(|number| format!("it owns {number}")).collect();
        assert!(refusal(&left).contains("it owns 9; and 3 more. Nothing"), "{}", refusal(&left));
    }
}
