//! What roles can do beside what they were granted: attributes, which belong to whoever acts as the role and are not
//! inherited, and predefined roles, which are (manual, chapters 22.2 "Role Attributes" and 22.5 "Predefined Roles").

use raito_sdk::access::{AccessControl, Action, Member, MemberKind, PermissionUse, What};
use raito_sdk::access_from_target::Part;

use crate::access::{bare, plain_member};
use crate::names::{cluster_ref, role_id};

/// An attribute: the column of `roles` that has it, its key, and the permission on the cluster that it is.
pub(crate) struct Attribute {
    pub(crate) column: usize,
    pub(crate) key: &'static str,
    pub(crate) permission: &'static str,
    pub(crate) description: &'static str,
}

/// All attributes that mean something for access.
pub(crate) const ATTRIBUTES: [Attribute; 5] = [
    Attribute {
        column: 4,
        key: "superuser",
        permission: "SUPERUSER",
        description: "Do everything, whatever was granted",
    },
    Attribute { column: 5, key: "createrole", permission: "CREATEROLE", description: "Create and change roles" },
    Attribute { column: 6, key: "createdb", permission: "CREATEDB", description: "Create databases" },
    Attribute {
        column: 7,
        key: "replication",
        permission: "REPLICATION",
        description: "Read everything as a replica, whatever was granted",
    },
    Attribute { column: 8, key: "bypassrls", permission: "BYPASSRLS", description: "See all rows" },
];

/// A predefined role and what it is on the cluster: name, permission, and what that allows.
pub(crate) const PREDEFINED: [(&str, &str, &str); 6] = [
    ("pg_read_all_data", "READ ALL DATA", "Read every table, view and sequence"),
    ("pg_write_all_data", "WRITE ALL DATA", "Change every table, view and sequence"),
    ("pg_maintain", "MAINTAIN ALL DATA", "Maintain every table"),
    ("pg_read_server_files", "READ SERVER FILES", "Read files of the server, and so all data"),
    ("pg_write_server_files", "WRITE SERVER FILES", "Write files of the server, and so become superuser"),
    ("pg_execute_server_program", "EXECUTE SERVER PROGRAM", "Run programs on the server, and so become superuser"),
];

/// The id of the control that stands for an attribute.
pub(crate) fn attribute_id(key: &str) -> String {
    format!("attribute:{key}")
}

/// A permission on the cluster.
pub(crate) fn on_cluster(permission: &str) -> What {
    let used = PermissionUse { name: permission.to_owned(), may_pass_on: false, granted_by: None };
    What { object: cluster_ref(), permissions: vec![used], condition: None }
}

/// The controls that stand for attributes, without their members.
pub(crate) fn controls() -> impl Iterator<Item = AccessControl> {
    ATTRIBUTES.iter().map(|attribute| AccessControl {
        description: attribute.description.to_owned(),
        what: vec![on_cluster(attribute.permission)],
        ..bare(attribute_id(attribute.key), attribute.key.to_uppercase(), "attribute", Action::Grant)
    })
}

/// A role as a member of the attributes that it has: whoever acts as it, and its own user where it has one.
pub(crate) fn memberships(role: i64, user: bool, has: impl Fn(&Attribute) -> bool) -> Vec<Part> {
    let part = |attribute: &Attribute| {
        let id = role_id(role);
        let mut who = vec![plain_member(MemberKind::ActingAs, id.clone())];
        if user {
            who.push(plain_member(MemberKind::User, id));
        }
        Part { control: attribute_id(attribute.key), who, what: vec![], standing: vec![] }
    };
    ATTRIBUTES.iter().filter(|attribute| has(attribute)).map(part).collect()
}

/// Until PostgreSQL 15, CREATEROLE could make anybody a member of any role that is no superuser (manual of 15, CREATE ROLE).
/// Nobody granted that: it comes with the role.
pub(crate) fn createrole_admits(role: &str) -> Member {
    Member {
        inherits: false,
        may_pass_on: true,
        granted_by: Some(role.to_owned()),
        ..plain_member(MemberKind::AccessControl, attribute_id("createrole"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_belongs_to_who_acts_as_the_role_and_to_its_own_user() {
        let parts = memberships(7, true, |attribute| attribute.key == "superuser");
        let [part] = parts.as_slice() else { panic!("one attribute") };
        assert_eq!(part.control, "attribute:superuser");
        assert_eq!(
            part.who.iter().map(|member| member.kind).collect::<Vec<_>>(),
            [MemberKind::ActingAs, MemberKind::User]
        );
        assert_eq!(memberships(8, false, |attribute| attribute.key == "bypassrls")[0].who.len(), 1);
    }

    #[test]
    fn every_attribute_is_a_control_with_a_permission_on_the_cluster() {
        assert_eq!(controls().count(), ATTRIBUTES.len());
        assert!(controls().all(|control| control.what.len() == 1 && control.kind == "attribute"));
    }
}
