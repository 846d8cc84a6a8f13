//! Roles: what each is, and which of them are known when privileges are read.

use std::collections::{BTreeSet, HashSet};

use raito_sdk::SqlRow;
use raito_sdk::access::{AccessControl, Action, Member, MemberKind};
use raito_sdk::access_from_target::Part;

use crate::access::{bare, plain_member};
use crate::attributes::{self, ATTRIBUTES, PREDEFINED, createrole_admits, on_cluster};
use crate::names::{CREATOR, DATABASE_OWNER, DROPPED, database_owner_id, role_id};
use crate::objects::tag;

/// The roles that were told.
pub(crate) struct Roles {
    /// Their oids, and 0 for PUBLIC.
    known: HashSet<i64>,
    /// Users that were told by earlier runs.
    seen: BTreeSet<i64>,
    /// Whether the server is older than 16: CREATEROLE is the right to admit to every role, and whether a role inherits is
    /// its own property.
    before_16: bool,
    /// Roles that inherit nothing by that property.
    noninheriting: HashSet<i64>,
    /// The role that stands for the owner of each database.
    database_owner: Option<i64>,
}

impl Roles {
    pub(crate) fn new(seen: BTreeSet<i64>, before_16: bool) -> Self {
        Self {
            known: HashSet::from([0, CREATOR]),
            seen,
            before_16,
            noninheriting: HashSet::new(),
            database_owner: None,
        }
    }

    /// Roles that are known, for tests.
    #[cfg(test)]
    pub(crate) fn of(known: &[i64]) -> Self {
        Self { known: known.iter().copied().collect(), ..Self::new(BTreeSet::new(), false) }
    }

    pub(crate) fn knows(&self, role: i64) -> bool {
        self.known.contains(&role)
    }

    /// A role that was dropped is known from now on, as one that holds what is still in its name.
    pub(crate) fn take_dropped(&mut self, oid: i64) -> AccessControl {
        self.known.insert(oid);
        AccessControl {
            description: "A role that was dropped and is still named by something. Nobody has what it was granted, \
                          and REVOKE cannot name it"
                .into(),
            ..bare(role_id(oid), format!("dropped role {oid}"), DROPPED, Action::Grant)
        }
    }

    /// Whether a role has what a membership that nobody granted gives: that of a database's owner in `pg_database_owner`.
    pub(crate) fn inherits(&self, role: i64) -> bool {
        !self.noninheriting.contains(&role)
    }

    /// The control that holds what a role was granted in a database; none where the role is not known.
    pub(crate) fn holder(&self, role: i64, database: i64) -> Option<String> {
        let id = || if self.database_owner == Some(role) { database_owner_id(database) } else { role_id(role) };
        self.knows(role).then(id)
    }

    /// A role, with the attributes that it has. One that can log in, or could, has its own user as a member, and so holds
    /// what was granted to the user directly.
    pub(crate) fn take(&mut self, mut row: SqlRow) -> (AccessControl, Vec<Part>) {
        let oid = row.integer(0).unwrap_or_default();
        self.known.insert(oid);
        let has: Vec<bool> = (0..10).map(|column| row.boolean(column)).collect();
        if self.before_16 && !has[9] {
            self.noninheriting.insert(oid);
        }
        let (id, name, comment) = (row.text(0), row.text(1), row.text(2));
        if name == DATABASE_OWNER {
            self.database_owner = Some(oid);
        }
        let user = has[3] || self.seen.contains(&oid);
        let mut who: Vec<Member> = Vec::new();
        if user {
            who.push(Member { assumable: true, ..plain_member(MemberKind::User, id.clone()) });
        }
        if self.before_16 && !has[4] {
            who.push(createrole_admits(&id));
        }
        let login = has[3].then(|| tag("login"));
        let of_role = ATTRIBUTES.iter().filter(|attribute| has[attribute.column]).map(|attribute| tag(attribute.key));
        let predefined = PREDEFINED.iter().find(|(predefined, _, _)| *predefined == name);
        let control = AccessControl {
            description: comment,
            who,
            what: predefined.map(|(_, permission, _)| on_cluster(permission)).into_iter().collect(),
            internalizable: !name.starts_with("pg_"),
            tags: login.into_iter().chain(of_role).collect(),
            ..bare(id, name, "role", Action::Grant)
        };
        (control, attributes::memberships(oid, user, |attribute| has[attribute.column]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> SqlRow {
        SqlRow::new(cells.iter().map(|cell| Some((*cell).to_owned())).collect())
    }

    #[test]
    fn a_login_role_has_its_own_user_as_a_member() {
        let mut roles = Roles::new(BTreeSet::from([9]), false);
        let (alice, parts) =
            roles.take(row(&["7", "alice", "Sales", "true", "true", "false", "false", "false", "false", "true"]));
        assert_eq!((alice.who.len(), alice.who[0].kind, alice.who[0].id.as_str()), (1, MemberKind::User, "7"));
        assert_eq!(alice.tags.iter().map(|tag| tag.key.as_str()).collect::<Vec<_>>(), ["login", "superuser"]);
        assert_eq!((parts.len(), parts[0].control.as_str()), (1, "attribute:superuser"));
        let (monitor, parts) =
            roles.take(row(&["8", "pg_monitor", "", "false", "false", "false", "false", "false", "false", "true"]));
        assert!(monitor.who.is_empty() && !monitor.internalizable && parts.is_empty());
        let (former, _) =
            roles.take(row(&["9", "bob", "", "false", "false", "false", "false", "false", "false", "true"]));
        assert_eq!(former.who.len(), 1, "who was a user stays one");
    }

    #[test]
    fn the_owner_of_a_database_holds_what_pg_database_owner_was_granted_there() {
        let mut roles = Roles::new(BTreeSet::new(), false);
        roles.take(row(&[
            "6171",
            "pg_database_owner",
            "",
            "false",
            "false",
            "false",
            "false",
            "false",
            "false",
            "true",
        ]));
        assert_eq!(roles.holder(6171, 5).as_deref(), Some("d5/owner"));
        assert_eq!(roles.holder(0, 5).as_deref(), Some("public"));
        assert_eq!(roles.holder(7, 5), None);
    }

    #[test]
    fn before_16_createrole_admits_to_every_role_but_superusers() {
        let mut roles = Roles::new(BTreeSet::new(), true);
        let (plain, _) = roles.take(row(&["7", "a", "", "false", "false", "false", "false", "false", "false", "true"]));
        assert_eq!((plain.who[0].id.as_str(), plain.who[0].may_pass_on), ("attribute:createrole", true));
        let (superuser, _) =
            roles.take(row(&["8", "b", "", "false", "true", "false", "false", "false", "false", "true"]));
        assert!(superuser.who.is_empty());
    }

    #[test]
    fn before_16_a_role_that_does_not_inherit_has_nothing_from_owning_a_database() {
        let noinherit = ["7", "a", "", "false", "false", "false", "false", "false", "false", "false"];
        let inherits = |before_16| {
            let mut roles = Roles::new(BTreeSet::new(), before_16);
            roles.take(row(&noinherit));
            roles.inherits(7)
        };
        assert!(!inherits(true) && inherits(false));
    }
}
