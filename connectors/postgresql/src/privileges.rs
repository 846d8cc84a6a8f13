//! Privileges as the catalogue's access lists have them: one text for each grantee and grantor, such as `INSERT,SELECT*`,
//! where a star says that the privilege may be granted on.

use std::collections::BTreeMap;

use raito_sdk::access::{PermissionUse, Standing, What};
use raito_sdk::access_from_target::Part;
use raito_sdk::{Gap, ObjectRef, SqlRow};

use crate::names::role_id;
use crate::roles::Roles;

/// The permission that an owner has: to change and drop the object, and to grant every privilege on it.
pub(crate) const OWNERSHIP: &str = "OWNERSHIP";

/// The last columns of a row of an access list: grantee, grantor and privileges.
pub(crate) struct Grant {
    pub(crate) grantee: i64,
    pub(crate) permissions: Vec<PermissionUse>,
}

impl Grant {
    /// Reads the columns from `first` on; none where the list of the object is empty.
    pub(crate) fn read(row: &mut SqlRow, first: usize) -> Option<Self> {
        let (grantee, grantor) = (row.integer(first)?, row.integer(first + 1)?);
        let privileges = row.text(first + 2);
        // In an order of their own: sorted here, and not by the server, for which that is most of the work.
        let mut words: Vec<&str> = privileges.split(',').collect();
        words.sort_unstable();
        let permissions = words.into_iter().map(|word| permission(word, grantor)).collect();
        Some(Self { grantee, permissions })
    }
}

fn permission(word: &str, grantor: i64) -> PermissionUse {
    let name = word.trim_end_matches('*');
    PermissionUse { name: name.to_owned(), may_pass_on: name.len() < word.len(), granted_by: Some(role_id(grantor)) }
}

/// What the owner of an object holds on it.
pub(crate) fn ownership() -> Vec<PermissionUse> {
    vec![PermissionUse { name: OWNERSHIP.to_owned(), may_pass_on: false, granted_by: None }]
}

/// Facts of one page, gathered by the database that they are about and the role that holds them.
#[derive(Default)]
pub(crate) struct Held {
    roles: BTreeMap<(i64, i64), (Vec<What>, Vec<Standing>)>,
}

impl Held {
    pub(crate) fn fact(&mut self, database: i64, role: i64, object: ObjectRef, permissions: Vec<PermissionUse>) {
        self.roles.entry((database, role)).or_default().0.push(What { object, permissions, condition: None });
    }

    pub(crate) fn standing(&mut self, database: i64, role: i64, standing: Standing) {
        self.roles.entry((database, role)).or_default().1.push(standing);
    }

    /// Parts of known roles. A role that came up while this was read is a gap: the next read has it whole.
    pub(crate) fn into_parts(self, roles: &Roles) -> (Vec<Part>, Vec<Gap>) {
        let (mut parts, mut gaps) = (Vec::new(), Vec::new());
        for ((database, role), (what, standing)) in self.roles {
            match roles.holder(role, database) {
                Some(control) => parts.push(Part { control, who: vec![], what, standing }),
                None => gaps.push(unknown_role(role)),
            }
        }
        (parts, gaps)
    }
}

/// What a role leaves open that was not there when roles were read.
pub(crate) fn unknown_role(role: i64) -> Gap {
    Gap { scope: Some(role_id(role)), reason: format!("the role with the oid {role} was created during the read") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::object_ref;

    fn row(cells: &[Option<&str>]) -> SqlRow {
        SqlRow::new(cells.iter().map(|cell| cell.map(str::to_owned)).collect())
    }

    #[test]
    fn a_star_is_the_right_to_grant_on() {
        let grant = Grant::read(&mut row(&[Some("16384"), Some("10"), Some("INSERT,SELECT*")]), 0).expect("a grant");
        assert_eq!(grant.grantee, 16384);
        let shown: Vec<_> = grant.permissions.iter().map(|used| (used.name.as_str(), used.may_pass_on)).collect();
        assert_eq!(shown, [("INSERT", false), ("SELECT", true)]);
        assert!(grant.permissions.iter().all(|used| used.granted_by.as_deref() == Some("10")));
    }

    #[test]
    fn an_empty_list_grants_nothing() {
        assert!(Grant::read(&mut row(&[None, None, None]), 0).is_none());
    }

    #[test]
    fn a_role_that_came_up_during_the_read_is_a_gap_and_not_a_part() {
        let mut held = Held::default();
        held.fact(5, 7, object_ref("schema", &["shop", "sales"]), ownership());
        held.fact(5, 8, object_ref("schema", &["shop", "sales"]), ownership());
        held.fact(5, 8, object_ref("schema", &["shop", "hr"]), ownership());
        let (parts, gaps) = held.into_parts(&Roles::of(&[8]));
        assert_eq!((parts.len(), parts[0].control.as_str(), parts[0].what.len()), (1, "8", 2));
        assert_eq!(gaps[0].scope.as_deref(), Some("7"));
    }
}
