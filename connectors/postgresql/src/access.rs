//! Step 3: roles, who is a member of them, and what they own and were granted, in every database.

use std::collections::{BTreeMap, HashSet};

use raito_sdk::access::{AccessControl, Action, Member, MemberKind, Standing};
use raito_sdk::access_from_target::{Page, Part};
use raito_sdk::{Context, Fault, Gap, ObjectRef, Pages, SqlRow};

use crate::cluster::{Cluster, Database};
use crate::keyset::Listing;
use crate::names::{PUBLIC, object_ref, relation_kind, role_id, routine_kind};
use crate::objects::tag;
use crate::policies::{POLICIES, policy};
use crate::privileges::{Grant, Held, ownership, unknown_role};
use crate::walk::{Batch, Step, Walk};

/// What the rows of a list are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum List {
    Roles,
    Memberships,
    OnDatabases,
    OnSchemas,
    OnRelations,
    OnColumns,
    OnRoutines,
    Defaults,
    Policies,
}

const OF_CLUSTER: [Step<List>; 3] = [
    (List::Roles, Listing::of_cluster("roles")),
    (
        List::Memberships,
        Listing { statement: "memberships", keys: &["after", "after_member", "after_grantor"], excludes: false },
    ),
    (List::OnDatabases, Listing::of_cluster("database-privileges")),
];

const OF_DATABASE: [Step<List>; 6] = [
    (List::OnSchemas, Listing::of_database("schema-privileges")),
    (List::OnRelations, Listing::of_database("relation-privileges")),
    (List::OnColumns, Listing { statement: "column-privileges", keys: &["after", "after_column"], excludes: true }),
    (List::OnRoutines, Listing::of_database("routine-privileges")),
    (List::Defaults, Listing::of_database("default-privileges")),
    (List::Policies, POLICIES),
];

pub(crate) struct Controls {
    walk: Walk<List>,
    /// The roles that were told, and 0 for PUBLIC.
    known: HashSet<i64>,
    /// The object whose owner was told last: its rows may go on in the next batch.
    owned: Option<(i64, List, i64)>,
}

impl Controls {
    pub(crate) fn open(context: &Context) -> Result<Self, Fault> {
        let walk = Walk::new(Cluster::open(context)?, &OF_CLUSTER, &OF_DATABASE);
        Ok(Self { walk, known: HashSet::new(), owned: None })
    }

    fn records(&mut self, batch: Batch<List>) -> (Vec<AccessControl>, Vec<Part>, Vec<Gap>) {
        let Batch { part, database, rows } = batch;
        match part {
            List::Roles => (self.roles(rows), vec![], vec![]),
            List::Memberships => {
                let (parts, gaps) = memberships(rows, &self.known);
                (vec![], parts, gaps)
            }
            List::Policies => {
                let told = |row| policy(&database, row, &self.known);
                let (controls, gaps): (Vec<_>, Vec<_>) = rows.into_iter().map(told).unzip();
                (controls, vec![], gaps.into_iter().flatten().collect())
            }
            list => {
                let mut held = Held::default();
                rows.into_iter().for_each(|row| self.privileges(list, &database, row, &mut held));
                let (parts, gaps) = held.into_parts(&self.known);
                (vec![], parts, gaps)
            }
        }
    }

    fn roles(&mut self, rows: Vec<SqlRow>) -> Vec<AccessControl> {
        let mut controls = Vec::with_capacity(rows.len() + 1);
        if self.known.insert(0) {
            controls.push(public());
        }
        for row in rows {
            self.known.extend(row.integer(0));
            controls.push(role(row));
        }
        controls
    }

    /// Takes a row of an access list: what the owner has, once for each object, and what was granted.
    fn privileges(&mut self, list: List, database: &Database, mut row: SqlRow, held: &mut Held) {
        let oid = row.integer(0).unwrap_or_default();
        let Some((object, owner, first)) = object(list, database, &mut row) else {
            defaults(database, row, held);
            return;
        };
        let this = (database.oid, list, oid);
        if let Some(owner) = owner
            && self.owned != Some(this)
        {
            self.owned = Some(this);
            held.fact(owner, object.clone(), ownership());
        }
        if let Some(Grant { grantee, permissions }) = Grant::read(&mut row, first) {
            held.fact(grantee, object, permissions);
        }
    }
}

impl Pages for Controls {
    type Page = Page;

    fn next(&mut self) -> Result<Option<Page>, Fault> {
        let batch = self.walk.next()?;
        let mut gaps = self.walk.take_gaps();
        let Some(batch) = batch else {
            let last = Page { access_controls: vec![], parts: vec![], gaps, resume: None };
            return Ok((!last.gaps.is_empty()).then_some(last));
        };
        let (access_controls, parts, more) = self.records(batch);
        gaps.extend(more);
        Ok(Some(Page { access_controls, parts, gaps, resume: None }))
    }
}

/// The object of a row, its owner, and the column where the grantee stands; none for default privileges.
fn object(list: List, database: &Database, row: &mut SqlRow) -> Option<(ObjectRef, Option<i64>, usize)> {
    Some(match list {
        List::OnDatabases => (object_ref("database", &[&row.text(1)]), row.integer(2), 3),
        List::OnSchemas => (object_ref("schema", &[&database.name, &row.text(1)]), row.integer(2), 3),
        List::OnRelations => {
            let (relkind, schema, name) = (row.text(1), row.text(2), row.text(3));
            (object_ref(relation_kind(&relkind), &[&database.name, &schema, &name]), row.integer(4), 5)
        }
        List::OnColumns => {
            let (schema, table, name) = (row.text(2), row.text(3), row.text(4));
            (object_ref("column", &[&database.name, &schema, &table, &name]), None, 5)
        }
        List::OnRoutines => {
            let (prokind, schema, name, arguments) = (row.text(1), row.text(2), row.text(3), row.text(4));
            let mut routine = object_ref(routine_kind(&prokind), &[&database.name, &schema, &name]);
            routine.signature = Some(arguments);
            (routine, row.integer(5), 6)
        }
        List::Roles | List::Memberships | List::Policies | List::Defaults => return None,
    })
}

/// Takes a row of default privileges. They name classes of objects: `r` stands for everything that is like a table.
fn defaults(database: &Database, mut row: SqlRow, held: &mut Held) {
    let (class, schema, creator) = (row.text(1), row.optional(2), row.integer(3));
    let kinds: &[&str] = match class.as_str() {
        "r" => &["table", "view", "materialized-view", "foreign-table"],
        "S" => &["sequence"],
        "f" => &["function", "procedure"],
        "n" => &["schema"],
        // Types and large objects are no kinds of this connector.
        _ => &[],
    };
    let under = match &schema {
        Some(schema) => object_ref("schema", &[&database.name, schema]),
        None => object_ref("database", &[&database.name]),
    };
    let Some(Grant { grantee, permissions }) = Grant::read(&mut row, 4) else { return };
    for kind in kinds {
        held.standing(
            grantee,
            Standing {
                under: under.clone(),
                kind: (*kind).to_owned(),
                creator: creator.map(role_id),
                permissions: permissions.clone(),
            },
        );
    }
}

/// A control with nothing in it.
pub(crate) fn bare(external_id: String, name: String, kind: &str, action: Action) -> AccessControl {
    AccessControl {
        external_id,
        actual_name: name.clone(),
        name,
        kind: kind.to_owned(),
        description: String::new(),
        action,
        version: None,
        who: vec![],
        what: vec![],
        standing: vec![],
        policy: None,
        locks: vec![],
        internalizable: false,
        incomplete: false,
        tags: vec![],
    }
}

/// A member without options.
pub(crate) fn plain_member(kind: MemberKind, id: String) -> Member {
    Member { kind, id, inherits: true, assumable: false, may_pass_on: false, granted_by: None, expires_ms: None }
}

/// What is granted to everybody.
fn public() -> AccessControl {
    AccessControl {
        who: vec![plain_member(MemberKind::Special, "everyone".into())],
        description: "Every role, also those that are created later".into(),
        ..bare(PUBLIC.into(), "PUBLIC".into(), "public", Action::Grant)
    }
}

/// Attributes of a role, by the column that has them.
const ATTRIBUTES: [(usize, &str); 6] =
    [(3, "login"), (4, "superuser"), (5, "createrole"), (6, "createdb"), (7, "replication"), (8, "bypassrls")];

/// A role. One that can log in has its own user as a member, and so holds what was granted to the user directly.
fn role(mut row: SqlRow) -> AccessControl {
    let login = row.boolean(3);
    let tags = ATTRIBUTES.iter().filter(|(column, _)| row.boolean(*column)).map(|(_, key)| tag(key)).collect();
    let (id, name, comment) = (row.text(0), row.text(1), row.text(2));
    let user = login.then(|| Member { assumable: true, ..plain_member(MemberKind::User, id.clone()) });
    AccessControl {
        description: comment,
        who: user.into_iter().collect(),
        internalizable: !name.starts_with("pg_"),
        tags,
        ..bare(id, name, "role", Action::Grant)
    }
}

/// Memberships: role, member, grantor, and the options admin, inherit and set.
fn memberships(rows: Vec<SqlRow>, known: &HashSet<i64>) -> (Vec<Part>, Vec<Gap>) {
    let mut roles: BTreeMap<i64, Vec<Member>> = BTreeMap::new();
    let mut gaps = Vec::new();
    for row in rows {
        let number = |column| row.integer(column).unwrap_or_default();
        let (role, member, grantor) = (number(0), number(1), number(2));
        if let Some(unknown) = [role, member].into_iter().find(|role| !known.contains(role)) {
            gaps.push(unknown_role(unknown));
            continue;
        }
        roles.entry(role).or_default().push(Member {
            inherits: row.boolean(4),
            assumable: row.boolean(5),
            may_pass_on: row.boolean(3),
            granted_by: (grantor != 0).then(|| role_id(grantor)),
            ..plain_member(MemberKind::AccessControl, role_id(member))
        });
    }
    let part = |(role, who)| Part { control: role_id(role), who, what: vec![], standing: vec![] };
    (roles.into_iter().map(part).collect(), gaps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shop() -> Database {
        Database { at: None, oid: 5, name: "shop".into() }
    }

    fn row(cells: &[&str]) -> SqlRow {
        SqlRow::new(cells.iter().map(|cell| (*cell != "NULL").then(|| (*cell).to_owned())).collect())
    }

    #[test]
    fn a_login_role_has_its_own_user_as_a_member() {
        let alice = role(row(&["7", "alice", "Sales", "true", "true", "false", "false", "false", "false"]));
        assert_eq!((alice.who.len(), alice.who[0].kind, alice.who[0].id.as_str()), (1, MemberKind::User, "7"));
        assert_eq!(alice.tags.iter().map(|tag| tag.key.as_str()).collect::<Vec<_>>(), ["login", "superuser"]);
        let monitor = role(row(&["8", "pg_monitor", "", "false", "false", "false", "false", "false", "false"]));
        assert!(monitor.who.is_empty() && !monitor.internalizable);
    }

    #[test]
    fn a_membership_has_a_row_for_each_grantor() {
        let rows = vec![
            row(&["8", "7", "10", "true", "false", "true"]),
            row(&["8", "7", "11", "false", "true", "false"]),
            row(&["8", "99", "10", "false", "true", "true"]),
        ];
        let (parts, gaps) = memberships(rows, &HashSet::from([7, 8]));
        let [first, second] = parts[0].who.as_slice() else { panic!("two members") };
        assert_eq!((first.inherits, first.assumable, first.may_pass_on), (false, true, true));
        assert_eq!((second.inherits, second.granted_by.as_deref()), (true, Some("11")));
        assert_eq!(gaps[0].scope.as_deref(), Some("99"), "a member that is not known yet");
    }

    #[test]
    fn default_privileges_stand_below_their_schema_for_each_kind() {
        let mut held = Held::default();
        defaults(&shop(), row(&["1", "r", "sales", "10", "7", "10", "SELECT"]), &mut held);
        defaults(&shop(), row(&["2", "f", "NULL", "10", "0", "10", "EXECUTE"]), &mut held);
        defaults(&shop(), row(&["3", "T", "NULL", "10", "0", "10", "USAGE"]), &mut held);
        let (parts, gaps) = held.into_parts(&HashSet::from([0, 7]));
        assert!(gaps.is_empty());
        let [public, alice] = parts.as_slice() else { panic!("two parts") };
        assert_eq!((public.control.as_str(), public.standing.len()), (PUBLIC, 2));
        assert_eq!(public.standing[0].under.path, ["shop"]);
        assert_eq!(alice.standing.len(), 4);
        assert_eq!(alice.standing[0].under.path, ["shop", "sales"]);
        assert_eq!(alice.standing[0].creator.as_deref(), Some("10"));
    }
}
