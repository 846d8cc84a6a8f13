//! Row-level security: each policy shows its roles the rows that match. A table with row security hides every row that no
//! policy shows, which is a filter that has no member.

use raito_sdk::SqlRow;
use raito_sdk::access::{AccessControl, Action, MemberKind, PermissionUse, Policy, What};

use crate::access::{bare, plain_member};
use crate::cluster::Database;
use crate::keyset::Listing;
use crate::names::{object_ref, policy_id, relation_id, relation_kind, role_id};
use crate::roles::Roles;

/// The list of policies, and of tables with row security.
pub(crate) const POLICIES: Listing =
    Listing { statement: "policies", keys: &["after", "after_policy"], excludes: true };

/// The commands of a policy (`pg_policy.polcmd`).
fn commands(polcmd: &str) -> &'static [&'static str] {
    match polcmd {
        "r" => &["SELECT"],
        "a" => &["INSERT"],
        "w" => &["UPDATE"],
        "d" => &["DELETE"],
        _ => &["SELECT", "INSERT", "UPDATE", "DELETE"],
    }
}

/// Takes the roles that the policy of a row is for, 0 for PUBLIC.
pub(crate) fn policy_roles(row: &mut SqlRow) -> Vec<i64> {
    row.text(8).split(',').filter_map(|role| role.parse().ok()).collect()
}

/// The filter of a row that is for these roles, as far as they are listed.
pub(crate) fn policy(database: &Database, mut row: SqlRow, roles: Vec<i64>, all: &Roles) -> AccessControl {
    let (table, oid) = (row.integer(0).unwrap_or_default(), row.integer(1).unwrap_or_default());
    let (restrictive, enabled, forced) = (!row.boolean(7), row.boolean(11), row.boolean(12));
    let (relkind, schema, name) = (row.text(2), row.text(3), row.text(4));
    let (named, polcmd) = (row.optional(5), row.text(6));
    let commands = commands(&polcmd);
    let used = |name: &&str| PermissionUse { name: (*name).to_owned(), may_pass_on: false, granted_by: None };
    let what = What {
        object: object_ref(relation_kind(&relkind), &[&database.name, &schema, &name]),
        permissions: commands.iter().map(used).collect(),
        condition: None,
    };
    let rule = Policy {
        kind: String::new(),
        text: row.optional(9),
        check: row.optional(10),
        commands: if polcmd == "*" { vec![] } else { commands.iter().map(|command| (*command).to_owned()).collect() },
        columns: vec![],
        arguments: vec![],
        restrictive: restrictive && named.is_some(),
        enabled,
        forced,
    };
    let is_policy = named.is_some();
    let member = |role: i64| match role {
        0 => plain_member(MemberKind::Special, "everyone".into()),
        role => {
            let id = all.holder(role, database.oid).unwrap_or_else(|| role_id(role));
            plain_member(MemberKind::AccessControl, id)
        }
    };
    let (id, actual_name, shown) = match named {
        Some(policy) => (policy_id(database.oid, oid), policy.clone(), format!("{policy} on {schema}.{name}")),
        None => {
            let shown = format!("row security of {schema}.{name}");
            (format!("{}/row-security", relation_id(database.oid, table)), shown.clone(), shown)
        }
    };
    AccessControl {
        actual_name,
        who: roles.into_iter().filter(|role| all.knows(*role)).map(member).collect(),
        what: vec![what],
        policy: Some(rule),
        description: row.text(13),
        internalizable: is_policy,
        ..bare(id, shown, "row-policy", Action::Filter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(cells: [Option<&str>; 14]) -> AccessControl {
        let database = Database { at: None, oid: 5, name: "shop".into() };
        let mut row = SqlRow::new(cells.iter().map(|cell| cell.map(str::to_owned)).collect());
        let roles = policy_roles(&mut row);
        policy(&database, row, roles, &Roles::of(&[0, 7]))
    }

    #[test]
    fn a_policy_shows_its_roles_the_rows_that_match() {
        let control = read([
            Some("20"),
            Some("40"),
            Some("r"),
            Some("sales"),
            Some("orders"),
            Some("eu_only"),
            Some("r"),
            Some("true"),
            Some("7"),
            Some("(region = 'eu'::text)"),
            None,
            Some("true"),
            Some("false"),
            Some("what the office sees"),
        ]);
        assert_eq!((control.description.as_str(), control.internalizable), ("what the office sees", true));
        assert_eq!((control.external_id.as_str(), control.name.as_str()), ("d5/p40", "eu_only on sales.orders"));
        assert_eq!((control.who[0].id.as_str(), control.what[0].permissions.len()), ("7", 1));
        let rule = control.policy.expect("a rule");
        assert_eq!(
            (rule.text.as_deref(), rule.restrictive, rule.enabled),
            (Some("(region = 'eu'::text)"), false, true)
        );
    }

    #[test]
    fn row_security_by_itself_shows_nobody_a_row() {
        let control = read([
            Some("20"),
            Some("0"),
            Some("r"),
            Some("sales"),
            Some("orders"),
            None,
            None,
            None,
            None,
            None,
            None,
            Some("true"),
            Some("true"),
            Some(""),
        ]);
        assert_eq!((control.external_id.as_str(), control.internalizable), ("d5/r20/row-security", false));
        assert!(control.who.is_empty());
        let rule = control.policy.expect("a rule");
        assert!(rule.forced && !rule.restrictive && rule.commands.len() == 4);
    }

    #[test]
    fn a_policy_for_everybody_is_for_a_special_member_and_a_role_that_is_not_listed_is_left_out() {
        let control = read([
            Some("20"),
            Some("41"),
            Some("p"),
            Some("sales"),
            Some("orders"),
            Some("none"),
            Some("*"),
            Some("false"),
            Some("0,9"),
            Some("false"),
            None,
            Some("true"),
            Some("false"),
            Some(""),
        ]);
        assert_eq!((control.who.len(), control.who[0].kind), (1, MemberKind::Special));
        assert!(control.policy.is_some_and(|rule| rule.restrictive && rule.commands.is_empty()));
    }
}
