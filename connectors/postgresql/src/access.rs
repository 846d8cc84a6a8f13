//! Step 3: roles, who is a member of them, and what they own and were granted, in every database.

use std::collections::BTreeMap;

use raito_sdk::access::{AccessControl, Action, Member, MemberKind, PermissionUse, Standing};
use raito_sdk::access_from_target::{Page, Part};
use raito_sdk::{Context, Fault, ObjectRef, Pages, SqlRow};

use crate::attributes;
use crate::cluster::{Cluster, Database};
use crate::description::{WITH_MAINTAIN, server};
use crate::identities::seen;
use crate::keyset::Listing;
use crate::names::{CREATOR, PUBLIC, database_owner_id, object_ref, relation_kind, role_id, routine_kind};
use crate::policies::{POLICIES, policy, policy_roles};
use crate::privileges::{Grant, Held, ownership};
use crate::roles::Roles;
use crate::unlisted::Unlisted;
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

/// The lists of a cluster of this version.
fn of_cluster(version: i64) -> [Step<List>; 3] {
    let statement = if version < WITH_MEMBER_OPTIONS { "memberships-before-16" } else { "memberships" };
    let keys = &["after", "after_member", "after_grantor"];
    [
        (List::Roles, Listing::of_cluster("roles")),
        (List::Memberships, Listing { statement, keys, excludes: false }),
        (List::OnDatabases, Listing::of_cluster("database-privileges")),
    ]
}

const OF_DATABASE: [Step<List>; 6] = [
    (List::OnSchemas, Listing::of_database("schema-privileges")),
    (List::OnRelations, Listing::of_database("relation-privileges")),
    (List::OnColumns, Listing { statement: "column-privileges", keys: &["after", "after_column"], excludes: true }),
    (List::OnRoutines, Listing::of_database("routine-privileges")),
    (List::Defaults, Listing::of_database("default-privileges")),
    (List::Policies, POLICIES),
];

/// What a batch of rows comes to.
type Records = (Vec<AccessControl>, Vec<Part>);

pub(crate) struct Controls {
    walk: Walk<List>,
    roles: Roles,
    /// What is about roles that the list of roles does not have.
    unlisted: Unlisted,
    /// Whether tables know MAINTAIN.
    maintain: bool,
    /// Whether what is there without any role has been told.
    begun: bool,
    /// The object whose owner was told last, or the default privileges whose creator was: their rows may go on in the next
    /// batch.
    owned: Option<(i64, List, i64)>,
}

/// The version from which memberships have options of their own, and from which CREATEROLE no longer
/// admits to every role (release notes of 16).
pub(crate) const WITH_MEMBER_OPTIONS: i64 = 160_000;

impl Controls {
    pub(crate) fn open(context: &Context) -> Result<Self, Fault> {
        let cluster = Cluster::open(context)?;
        let (_, version, _) = server(&cluster.databases[0])?;
        let roles = Roles::new(seen(), version < WITH_MEMBER_OPTIONS);
        let maintain = version >= WITH_MAINTAIN;
        Ok(Self {
            walk: Walk::new(cluster, &of_cluster(version), &OF_DATABASE),
            roles,
            unlisted: Unlisted::default(),
            maintain,
            begun: false,
            owned: None,
        })
    }

    fn records(&mut self, batch: Batch<List>) -> Result<Records, Fault> {
        let Batch { part, database, mut rows } = batch;
        Ok(match part {
            List::Roles => self.take_roles(rows),
            List::Memberships => {
                let named = rows.iter().flat_map(|row| [0, 1, 2].map(|column| row.integer(column)));
                self.unlisted.name(&database, named.flatten(), &self.roles);
                let (parts, others) = memberships(rows, &self.roles);
                self.unlisted.keep_memberships(&database, others);
                (vec![], parts)
            }
            List::Policies => {
                let roles: Vec<Vec<i64>> = rows.iter_mut().map(policy_roles).collect();
                self.unlisted.name(&database, roles.iter().flatten().copied(), &self.roles);
                let told = |(row, roles)| policy(&database, row, roles, &self.roles);
                (rows.into_iter().zip(roles).map(told).collect(), vec![])
            }
            list => {
                let mut held = Held::default();
                let mut controls = Vec::new();
                for row in rows {
                    controls.extend(self.privileges(list, &database, row, &mut held)?);
                }
                self.unlisted.name(&database, held.named(), &self.roles);
                let (parts, others) = held.into_parts(&self.roles);
                self.unlisted.keep(&database, others);
                (controls, parts)
            }
        })
    }

    fn take_roles(&mut self, rows: Vec<SqlRow>) -> (Vec<AccessControl>, Vec<Part>) {
        let (mut controls, mut parts) = (Vec::with_capacity(rows.len() + 8), Vec::new());
        if !std::mem::replace(&mut self.begun, true) {
            controls.extend([public(), creator()]);
            controls.extend(attributes::controls());
        }
        for row in rows {
            let (control, more) = self.roles.take(row);
            controls.push(control);
            parts.extend(more);
        }
        (controls, parts)
    }

    /// Takes a row of an access list: what the owner has, once for each object, and what was granted. A database has a
    /// control that stands for its owner.
    fn privileges(
        &mut self,
        list: List,
        database: &Database,
        mut row: SqlRow,
        held: &mut Held,
    ) -> Result<Option<AccessControl>, Fault> {
        let oid = row.integer(0).unwrap_or_default();
        let about = if list == List::OnDatabases { oid } else { database.oid };
        let this = (database.oid, list, oid);
        let begins = self.owned.replace(this) != Some(this);
        let Some((object, owner, list_at)) = object(list, database, &mut row) else {
            defaults(database, row, begins, held)?;
            return Ok(None);
        };
        let mut owning = None;
        if let Some(owner) = owner.filter(|_| begins) {
            if list == List::OnDatabases {
                owning = Some(database_owner(oid, &object, owner, self.roles.inherits(owner)));
                builtin_defaults(oid, &object, self.maintain, held);
            }
            held.fact(about, owner, object.clone(), ownership());
        }
        for Grant { grantee, grantor, permissions } in Grant::read(&mut row, list_at)? {
            held.granted_by(grantor);
            held.fact(about, grantee, object.clone(), permissions);
        }
        Ok(owning)
    }
}

impl Pages for Controls {
    type Page = Page;

    fn next(&mut self) -> Result<Option<Page>, Fault> {
        let batch = self.walk.next()?;
        let mut gaps = self.walk.take_gaps();
        let Some(batch) = batch else {
            let settled = self.unlisted.settle(&mut self.roles)?;
            let (access_controls, parts) = match settled {
                Some(settled) => {
                    gaps.extend(settled.gaps);
                    (settled.controls, settled.parts)
                }
                None if gaps.is_empty() => return Ok(None),
                None => (vec![], vec![]),
            };
            return Ok(Some(Page { access_controls, parts, gaps, resume: None }));
        };
        let (access_controls, parts) = self.records(batch)?;
        Ok(Some(Page { access_controls, parts, gaps, resume: None }))
    }
}

/// The object of a row, its owner, and the column where its access list stands; none for default privileges.
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

/// The kinds of objects that a class of default privileges is about (`pg_default_acl.defaclobjtype`).
fn kinds_of(class: &str) -> &'static [&'static str] {
    match class {
        "r" => &["table", "view", "materialized-view", "foreign-table"],
        "S" => &["sequence"],
        "f" => &["function", "procedure"],
        "n" => &["schema"],
        // Types and large objects are no kinds of this connector.
        _ => &[],
    }
}

/// Takes a row of default privileges. Where a creator has some for a whole database, they stand in place of what is built in;
/// that he owns what he creates is told with them, so that there is always something of his own.
fn defaults(database: &Database, mut row: SqlRow, begins: bool, held: &mut Held) -> Result<(), Fault> {
    let (class, schema, creator) = (row.text(1), row.optional(2), row.integer(3));
    let under = match &schema {
        Some(schema) => object_ref("schema", &[&database.name, schema]),
        None => object_ref("database", &[&database.name]),
    };
    let Some(by) = creator else { return Ok(()) };
    let standing = |kind: &&str, permissions| Standing {
        under: under.clone(),
        kind: (*kind).to_owned(),
        creator: Some(role_id(by)),
        permissions,
    };
    let grants = Grant::read(&mut row, 4)?;
    grants.iter().for_each(|grant| held.granted_by(grant.grantor));
    for kind in kinds_of(&class) {
        if schema.is_none() && begins {
            held.standing(database.oid, by, standing(kind, ownership()));
        }
        for Grant { grantee, permissions, .. } in &grants {
            held.standing(database.oid, *grantee, standing(kind, permissions.clone()));
        }
    }
    Ok(())
}

/// What is built in: who creates an object has everything on it, and everybody may call a routine (manual, table 5.2).
fn builtin_defaults(database: i64, object: &ObjectRef, maintain: bool, held: &mut Held) {
    let used = |name: &&str| PermissionUse { name: (*name).to_owned(), may_pass_on: false, granted_by: None };
    let standing = |kind: &str, names: &[&str]| Standing {
        under: object.clone(),
        kind: kind.to_owned(),
        creator: None,
        permissions: names.iter().map(used).collect(),
    };
    const TABLE: [&str; 9] =
        ["OWNERSHIP", "SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN"];
    let on_table = if maintain { &TABLE[..] } else { &TABLE[..8] };
    for kind in kinds_of("r") {
        held.standing(database, CREATOR, standing(kind, on_table));
    }
    held.standing(database, CREATOR, standing("sequence", &["OWNERSHIP", "USAGE", "SELECT", "UPDATE"]));
    held.standing(database, CREATOR, standing("schema", &["OWNERSHIP", "USAGE", "CREATE"]));
    for kind in kinds_of("f") {
        held.standing(database, CREATOR, standing(kind, &["OWNERSHIP", "EXECUTE"]));
        held.standing(database, 0, standing(kind, &["EXECUTE"]));
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

/// What whoever creates an object gets on it.
fn creator() -> AccessControl {
    AccessControl {
        who: vec![plain_member(MemberKind::Special, "creator".into())],
        description: "Whoever creates an object".into(),
        ..bare(role_id(CREATOR), "creator".into(), "creator", Action::Grant)
    }
}

/// `pg_database_owner` within a database, whose only member is the owner.
fn database_owner(oid: i64, database: &ObjectRef, owner: i64, inherits: bool) -> AccessControl {
    let name = database.path.last().cloned().unwrap_or_default();
    let member = Member { inherits, assumable: true, ..plain_member(MemberKind::AccessControl, role_id(owner)) };
    AccessControl {
        who: vec![member],
        description: "What pg_database_owner was granted in this database".into(),
        ..bare(database_owner_id(oid), format!("pg_database_owner of {name}"), "database-owner", Action::Grant)
    }
}

/// Memberships: role, member, grantor, and the options admin, inherit and set. Those of or in roles that
/// are not listed are given back.
pub(crate) fn memberships(rows: Vec<SqlRow>, listed: &Roles) -> (Vec<Part>, Vec<SqlRow>) {
    let mut roles: BTreeMap<i64, Vec<Member>> = BTreeMap::new();
    let mut others = Vec::new();
    for row in rows {
        let number = |column| row.integer(column).unwrap_or_default();
        let (role, member, grantor) = (number(0), number(1), number(2));
        if !listed.knows(role) || !listed.knows(member) {
            others.push(row);
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
    (roles.into_iter().map(part).collect(), others)
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
    fn a_membership_has_a_row_for_each_grantor() {
        let rows = vec![
            row(&["8", "7", "10", "true", "false", "true"]),
            row(&["8", "7", "11", "false", "true", "false"]),
            row(&["8", "99", "10", "false", "true", "true"]),
        ];
        let (parts, others) = memberships(rows, &Roles::of(&[7, 8]));
        let [first, second] = parts[0].who.as_slice() else { panic!("two members") };
        assert_eq!((first.inherits, first.assumable, first.may_pass_on), (false, true, true));
        assert_eq!((second.inherits, second.granted_by.as_deref()), (true, Some("11")));
        assert_eq!((others.len(), others[0].integer(1)), (1, Some(99)), "a member that is not listed");
    }

    #[test]
    fn default_privileges_stand_below_their_schema_for_each_kind() {
        let mut held = Held::default();
        for told in [
            ["1", "r", "sales", "10", "7 10 SELECT"],
            ["2", "f", "NULL", "10", "0 10 EXECUTE"],
            ["3", "T", "NULL", "10", "0 10 USAGE"],
        ] {
            defaults(&shop(), row(&told), true, &mut held).expect("a row");
        }
        let (parts, gaps) = held.into_parts(&Roles::of(&[0, 7, 10]));
        assert!(gaps.is_empty());
        let [public, alice, creator] = parts.as_slice() else { panic!("three parts") };
        assert_eq!((public.control.as_str(), public.standing.len()), (PUBLIC, 2));
        assert_eq!(public.standing[0].under.path, ["shop"]);
        assert_eq!(alice.standing.len(), 4);
        assert_eq!(alice.standing[0].under.path, ["shop", "sales"]);
        assert_eq!(alice.standing[0].creator.as_deref(), Some("10"));
        // Who set defaults for a database owns what he creates, also where they leave him out.
        let owned: Vec<_> = creator.standing.iter().map(|standing| standing.permissions[0].name.as_str()).collect();
        assert_eq!(owned, ["OWNERSHIP"; 2]);
    }
}
