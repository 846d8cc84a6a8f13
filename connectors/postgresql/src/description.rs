//! How PostgreSQL behaves (manual, chapters 5.8 "Privileges" and 22 "Database Roles").

use raito_sdk::data_source::{
    ControlKind, Description, Identity, KindPermission, ObjectKind, Permission, Reach, Shorthand, Special,
};
use raito_sdk::{Call, Context, Fault, FaultKind, Gap};

use crate::attributes::{ATTRIBUTES, PREDEFINED};
use crate::cluster::{Cluster, Database, all_databases, places};
use crate::keyset::MAIN;
use crate::names::{DROPPED, database_id};
use crate::privileges::OWNERSHIP;

/// The version from which privileges and memberships are as this connector expects them.
const OLDEST: i64 = 150_000;
/// The version that brought MAINTAIN.
pub(crate) const WITH_MAINTAIN: i64 = 170_000;

/// The longest name of a role, in bytes (manual, section 4.1.1).
const NAME_BYTES: u32 = 63;

/// What the server says of itself: its system identifier, its version as a number, and its name.
pub(crate) fn server(database: &Database) -> Result<(String, i64, String), Fault> {
    let call = Call::new(MAIN, "cluster");
    let call = match &database.at {
        Some(at) => call.at(at),
        None => call,
    };
    let mut row = call.query_one()?;
    let version = row.integer(1).unwrap_or_default();
    if version < OLDEST {
        let message = format!("the server's version is {version}, and PostgreSQL 15 or later is needed");
        return Err(raito_sdk::fault(FaultKind::InvalidSetting, message));
    }
    Ok((row.text(0), version, row.text(2)))
}

pub(crate) fn describe(context: &Context) -> Result<Description, Fault> {
    let (database, scope) = Cluster::any(context)?;
    let (instance, version, name) = server(&database)?;
    let name = if name.is_empty() { "PostgreSQL".to_owned() } else { name };
    let left_out = left_out(&places(context), &all_databases(&database, &scope)?, &database, &scope.excluded);
    Ok(Description { left_out, ..description(name, instance, version >= WITH_MAINTAIN) })
}

/// What is not read: other databases than the granted ones, schemas that settings exclude, and what there are no kinds for.
fn left_out(
    granted: &[Option<String>],
    databases: &[(i64, String)],
    asked: &Database,
    excluded: &[String],
) -> Vec<Gap> {
    let is_granted = |name: &String| *name == asked.name || granted.iter().flatten().any(|granted| granted == name);
    let ungranted = databases.iter().filter(|(_, name)| !is_granted(name));
    let mut left_out: Vec<Gap> = ungranted
        .map(|(oid, name)| Gap { scope: Some(database_id(*oid)), reason: format!("database {name}: not granted") })
        .collect();
    let mut about = |reason: String| left_out.push(Gap { scope: None, reason });
    if !excluded.is_empty() {
        about(format!("schemas that settings exclude: {}", excluded.join(", ")));
    }
    about(format!("kinds that the connector does not read: {}", NOT_READ.join(", ")));
    left_out
}

/// What privileges can be held on that there is no kind for (manual, table 5.2).
const NOT_READ: [&str; 7] = [
    "domains and types",
    "foreign data wrappers",
    "foreign servers",
    "languages",
    "large objects",
    "parameters",
    "tablespaces",
];

fn description(name: String, instance_id: String, maintain: bool) -> Description {
    Description {
        name,
        instance_id,
        kinds: kinds(maintain),
        controls: controls(),
        specials: vec![
            Special { name: "everyone".into(), covers: "every role, also those created later".into() },
            Special { name: "creator".into(), covers: "whoever creates the object".into() },
        ],
        inheritance: true,
        masks: vec![],
        filters_apply_to: vec!["table".into()],
        mask_overrides: vec![],
        filter_overrides: vec![OWNERSHIP.into(), "BYPASSRLS".into(), "SUPERUSER".into()],
        name_pattern: "[^\\x00]+".into(),
        name_bytes_max: NAME_BYTES,
        reserved_prefixes: vec!["pg_".into()],
        sql_dialect: Some("postgresql".into()),
        left_out: vec![],
    }
}

fn on(kind: &str, permission: &str) -> KindPermission {
    KindPermission { kind: kind.into(), permission: permission.into() }
}

fn permission(name: &str, description: &str, counts_as: &str) -> Permission {
    Permission {
        name: name.into(),
        description: description.into(),
        counts_as: vec![counts_as.into()],
        implies: vec![],
        reaches: vec![],
        needs: vec![],
        shorthand: Shorthand::None,
        can_be_granted: true,
        can_be_passed_on: true,
        asked_at_login: false,
    }
}

fn ownership() -> Permission {
    Permission {
        can_be_granted: false,
        can_be_passed_on: false,
        ..permission(OWNERSHIP, "Change and drop it, and grant every privilege on it", "admin")
    }
}

/// What must be held above an object in a schema for anything on it to be usable.
fn in_schema(list: Vec<Permission>) -> Vec<Permission> {
    let needs = || vec![vec![on("schema", "USAGE")], vec![on("database", "CONNECT")]];
    list.into_iter().map(|permission| Permission { needs: needs(), ..permission }).collect()
}

fn kind(name: &str, label: &str, permissions: Vec<Permission>, children: &[&str]) -> ObjectKind {
    ObjectKind {
        name: name.into(),
        label: label.into(),
        permissions,
        children: children.iter().map(|child| (*child).into()).collect(),
        revoke_clears_parts: false,
    }
}

fn kinds(maintain: bool) -> Vec<ObjectKind> {
    let connect = |permission: Permission| Permission { needs: vec![vec![on("database", "CONNECT")]], ..permission };
    let in_schemas = ["table", "view", "materialized-view", "foreign-table", "sequence", "function", "procedure"];
    let mut kinds = vec![
        kind(
            "database",
            "Database",
            vec![
                // Asked of whoever logs in; SET ROLE changes nothing of it (InitPostgres in the server's postinit.c).
                Permission { asked_at_login: true, ..permission("CONNECT", "Connect to the database", "read") },
                connect(permission("CREATE", "Create schemas, publications and trusted extensions", "write")),
                connect(permission("TEMPORARY", "Create temporary tables", "write")),
                ownership(),
            ],
            &["schema"],
        ),
        kind(
            "schema",
            "Schema",
            vec![
                connect(permission("USAGE", "Use what is in the schema", "read")),
                connect(permission("CREATE", "Create objects in the schema", "write")),
                connect(ownership()),
            ],
            &in_schemas,
        ),
    ];
    for (name, label) in [
        ("table", "Table"),
        ("view", "View"),
        ("materialized-view", "Materialized view"),
        ("foreign-table", "Foreign table"),
    ] {
        let relation = kind(name, label, in_schema(of_table(maintain)), &["column"]);
        // REVOKE on a table revokes the same privilege on each of its columns (manual, REVOKE, Notes).
        kinds.push(ObjectKind { revoke_clears_parts: true, ..relation });
    }
    let of_sequence = vec![
        permission("USAGE", "Draw numbers from the sequence", "write"),
        permission("SELECT", "Read the sequence's last number", "read"),
        permission("UPDATE", "Draw numbers and set the sequence", "write"),
        ownership(),
    ];
    let of_routine = || in_schema(vec![permission("EXECUTE", "Call it", "write"), ownership()]);
    kinds.push(kind("sequence", "Sequence", in_schema(of_sequence), &[]));
    kinds.push(kind("function", "Function", of_routine(), &[]));
    kinds.push(kind("procedure", "Procedure", of_routine(), &[]));
    kinds.push(kind("column", "Column", in_schema(of_column()), &[]));
    let cluster = cluster(&kinds, maintain);
    kinds.insert(0, cluster);
    kinds
}

/// Kinds that are read and changed like tables.
const TABLES: [&str; 4] = ["table", "view", "materialized-view", "foreign-table"];

/// The cluster: attributes and predefined roles reach from here to everything below.
fn cluster(below: &[ObjectKind], maintain: bool) -> ObjectKind {
    let of = |kinds: &[&str], names: &[&str]| -> Vec<KindPermission> {
        kinds.iter().flat_map(|kind| names.iter().map(|name| on(kind, name))).collect()
    };
    let everything = || {
        let all = below.iter().flat_map(|kind| kind.permissions.iter().map(|held| on(&kind.name, &held.name)));
        all.collect::<Vec<_>>()
    };
    let reaches = |name: &str| match name {
        "SUPERUSER" => everything(),
        "READ ALL DATA" => {
            [of(&TABLES, &["SELECT"]), of(&["sequence"], &["SELECT"]), of(&["schema"], &["USAGE"])].concat()
        }
        "WRITE ALL DATA" => {
            let rows = of(&TABLES, &["INSERT", "UPDATE", "DELETE"]);
            [rows, of(&["sequence"], &["UPDATE"]), of(&["schema"], &["USAGE"])].concat()
        }
        "MAINTAIN ALL DATA" if maintain => of(&TABLES, &["MAINTAIN"]),
        _ => vec![],
    };
    let attributes = ATTRIBUTES.iter().map(|attribute| (attribute.permission, attribute.description));
    let predefined = PREDEFINED.iter().map(|(_, permission, description)| (*permission, *description));
    let held = |(name, description): (&str, &str)| Permission {
        counts_as: if name == "SUPERUSER" { vec!["admin".into()] } else { vec![] },
        reaches: reaches(name).into_iter().map(|to| Reach { to, later_too: true }).collect(),
        can_be_granted: false,
        can_be_passed_on: false,
        ..permission(name, description, "admin")
    };
    kind("cluster", "Cluster", attributes.chain(predefined).map(held).collect(), &["database"])
}

/// Privileges on a table whose holder has them on every column.
const ON_COLUMNS: [&str; 4] = ["SELECT", "INSERT", "UPDATE", "REFERENCES"];

fn of_column() -> Vec<Permission> {
    vec![
        permission("SELECT", "Read the column", "read"),
        permission("INSERT", "Give the column a value in a new row", "write"),
        permission("UPDATE", "Change the column", "write"),
        permission("REFERENCES", "Refer to the column with a foreign key", "write"),
    ]
}

fn of_table(maintain: bool) -> Vec<Permission> {
    let mut list = vec![
        permission("SELECT", "Read rows", "read"),
        permission("INSERT", "Add rows", "write"),
        permission("UPDATE", "Change rows", "write"),
        permission("DELETE", "Delete rows", "write"),
        permission("TRUNCATE", "Empty it", "write"),
        permission("REFERENCES", "Refer to it with a foreign key", "write"),
        permission("TRIGGER", "Create triggers on it", "write"),
    ];
    if maintain {
        list.push(permission("MAINTAIN", "Vacuum, analyse, cluster, refresh, reindex and lock it", "write"));
    }
    for permission in list.iter_mut().filter(|permission| ON_COLUMNS.contains(&permission.name.as_str())) {
        permission.reaches = vec![Reach { to: on("column", &permission.name), later_too: true }];
    }
    list.push(ownership());
    list
}

fn controls() -> Vec<ControlKind> {
    let control = |name: &str, label: &str, members: &[&str]| ControlKind {
        name: name.into(),
        label: label.into(),
        identity: Identity::Named,
        can_create: false,
        can_rename: false,
        assumable: false,
        members: members.iter().map(|word| (*word).into()).collect(),
        admits: vec![],
        common_parent: None,
        replaced_whole: false,
    };
    vec![
        ControlKind {
            assumable: true,
            can_create: true,
            can_rename: true,
            // Its own user comes with the role; everybody else is a member by way of his own role.
            admits: vec!["access-control".into()],
            ..control("role", "Role", &["user", "access-control"])
        },
        control("public", "Everybody", &["special"]),
        control("attribute", "Role attribute", &["user", "acting-as"]),
        control("database-owner", "Owner of a database", &["access-control"]),
        control("creator", "Creator of an object", &["special"]),
        control(DROPPED, "Dropped role", &[]),
        ControlKind {
            identity: Identity::NamedOnObject,
            can_create: true,
            can_rename: true,
            admits: vec!["access-control".into(), "special".into()],
            ..control("row-policy", "Row security policy", &["access-control", "special"])
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_description_refers_to_is_described() {
        let description = description("test".into(), "1".into(), true);
        let has = |to: &KindPermission| {
            let kind = description.kinds.iter().find(|kind| kind.name == to.kind);
            kind.is_some_and(|kind| kind.permissions.iter().any(|permission| permission.name == to.permission))
        };
        for permission in description.kinds.iter().flat_map(|kind| &kind.permissions) {
            assert!(permission.reaches.iter().all(|reach| has(&reach.to)), "{}", permission.name);
            assert!(permission.needs.iter().flatten().all(has), "{}", permission.name);
        }
        let known: Vec<&str> = description.kinds.iter().map(|kind| kind.name.as_str()).collect();
        assert!(description.kinds.iter().flat_map(|kind| &kind.children).all(|child| known.contains(&child.as_str())));
    }

    #[test]
    fn what_is_not_read_is_said_with_its_reason() {
        let asked = Database { at: Some("shop".into()), oid: 5, name: "shop".into() };
        let databases = [(5, "shop".to_owned()), (6, "crm".to_owned()), (7, "hr".to_owned())];
        let granted = [Some("shop".to_owned()), Some("hr".to_owned())];
        let left_out = left_out(&granted, &databases, &asked, &["old".to_owned()]);
        let [crm, schemas, kinds] = left_out.as_slice() else { panic!("{left_out:?}") };
        assert_eq!((crm.scope.as_deref(), crm.reason.as_str()), (Some("d6"), "database crm: not granted"));
        assert_eq!(schemas.reason, "schemas that settings exclude: old");
        assert!(kinds.scope.is_none() && kinds.reason.contains("large objects"));
    }

    #[test]
    fn maintain_is_there_from_17_on() {
        let has = |maintain| of_table(maintain).iter().any(|permission| permission.name == "MAINTAIN");
        assert!(has(true) && !has(false));
    }
}
