//! Privileges as the catalogue's access lists have them: one text for each object, such as `16384 10 INSERT,SELECT*;16385 10 SELECT`:
//! grantee, grantor and privileges, where a star says that one may be granted on.

use std::collections::{BTreeMap, BTreeSet};

use raito_sdk::access::{PermissionUse, Standing, What};
use raito_sdk::access_from_target::Part;
use raito_sdk::{Fault, FaultKind, ObjectRef, SqlRow, fault};

use crate::names::role_id;
use crate::roles::Roles;

/// The permission that an owner has: to change and drop the object, and to grant every privilege on it.
pub(crate) const OWNERSHIP: &str = "OWNERSHIP";

/// What a grantee has from a grantor.
pub(crate) struct Grant {
    pub(crate) grantee: i64,
    pub(crate) grantor: i64,
    pub(crate) permissions: Vec<PermissionUse>,
}

impl Grant {
    /// Reads the last column of a row of an access list; none where the list of the object is empty. They are sorted here, and not
    /// by the server, for which that was most of the work.
    pub(crate) fn read(row: &mut SqlRow, column: usize) -> Result<Vec<Self>, Fault> {
        let text = row.text(column);
        let mut grants = Vec::new();
        for entry in text.split(';').filter(|entry| !entry.is_empty()) {
            grants.push(held(entry).ok_or_else(|| {
                fault(FaultKind::Internal, format!("an entry of an access list is not understood: {entry}"))
            })?);
        }
        grants.sort_unstable();
        let grant = |(grantee, grantor, privileges): (i64, i64, Vec<&str>)| {
            let by = role_id(grantor);
            Self { grantee, grantor, permissions: privileges.into_iter().map(|word| permission(word, &by)).collect() }
        };
        Ok(grants.into_iter().map(grant).collect())
    }
}

/// Grantee and grantor of an entry, and the privileges that the one has from the other, in order.
fn held(entry: &str) -> Option<(i64, i64, Vec<&str>)> {
    let mut words = entry.splitn(3, ' ');
    let (grantee, grantor) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    // A privilege may have a blank in its name.
    let mut privileges: Vec<&str> = words.next()?.split(',').collect();
    privileges.sort_unstable();
    privileges.iter().all(|privilege| !privilege.is_empty()).then_some((grantee, grantor, privileges))
}

fn permission(word: &str, grantor: &str) -> PermissionUse {
    let name = word.trim_end_matches('*');
    PermissionUse { name: name.to_owned(), may_pass_on: name.len() < word.len(), granted_by: Some(grantor.to_owned()) }
}

/// What the owner of an object holds on it.
pub(crate) fn ownership() -> Vec<PermissionUse> {
    vec![PermissionUse { name: OWNERSHIP.to_owned(), may_pass_on: false, granted_by: None }]
}

/// Facts of one page, gathered by the database that they are about and the role that holds them.
#[derive(Default)]
pub(crate) struct Held {
    /// Grantors.
    grantors: BTreeSet<i64>,
    roles: BTreeMap<(i64, i64), (Vec<What>, Vec<Standing>)>,
}

impl Held {
    pub(crate) fn fact(&mut self, database: i64, role: i64, object: ObjectRef, permissions: Vec<PermissionUse>) {
        self.roles.entry((database, role)).or_default().0.push(What { object, permissions, condition: None });
    }

    pub(crate) fn standing(&mut self, database: i64, role: i64, standing: Standing) {
        self.roles.entry((database, role)).or_default().1.push(standing);
    }

    pub(crate) fn granted_by(&mut self, grantor: i64) {
        self.grantors.insert(grantor);
    }

    /// Every role that is named.
    pub(crate) fn named(&self) -> impl Iterator<Item = i64> {
        self.roles.keys().map(|(_, role)| *role).chain(self.grantors.iter().copied())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.roles.is_empty()
    }

    /// How many facts there are.
    pub(crate) fn len(&self) -> usize {
        self.roles.values().map(|(what, standing)| what.len() + standing.len()).sum()
    }

    /// Adds what another page has.
    pub(crate) fn extend(&mut self, other: Self) {
        for (key, (what, standing)) in other.roles {
            let (known, known_standing) = self.roles.entry(key).or_default();
            known.extend(what);
            known_standing.extend(standing);
        }
    }

    /// Parts of the roles that are listed, and what the others hold.
    pub(crate) fn into_parts(self, listed: &Roles) -> (Vec<Part>, Self) {
        let (mut parts, mut rest) = (Vec::new(), Self::default());
        for ((database, role), (what, standing)) in self.roles {
            match listed.holder(role, database) {
                Some(control) => parts.push(Part { control, who: vec![], what, standing }),
                None => {
                    rest.roles.insert((database, role), (what, standing));
                }
            }
        }
        (parts, rest)
    }
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
        let text = "16385 10 SELECT;16384 10 SELECT*,INSERT;16384 11 ALTER SYSTEM";
        let grants = Grant::read(&mut row(&[Some(text)]), 0).expect("a list");
        let used = |grant: &Grant| {
            let of = |used: &PermissionUse| (used.name.clone(), used.may_pass_on, used.granted_by.clone());
            (grant.grantee, grant.permissions.iter().map(of).collect::<Vec<_>>())
        };
        let by = |name: &str, may_pass_on, grantor: &str| (name.to_owned(), may_pass_on, Some(grantor.to_owned()));
        let expected = [
            (16384, vec![by("INSERT", false, "10"), by("SELECT", true, "10")]),
            (16384, vec![by("ALTER SYSTEM", false, "11")]),
            (16385, vec![by("SELECT", false, "10")]),
        ];
        assert_eq!(grants.iter().map(used).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn an_empty_list_grants_nothing_and_an_entry_that_is_none_is_a_fault() {
        assert!(Grant::read(&mut row(&[None]), 0).is_ok_and(|grants| grants.is_empty()));
        for text in ["7 SELECT", "7 8", "a 8 SELECT", "7 8 SELECT,", "7 8 ", "7 8 SELECT;"] {
            let read = Grant::read(&mut row(&[Some(text)]), 0);
            assert_eq!(read.is_ok(), text.ends_with(';'), "{text}");
        }
    }

    #[test]
    fn what_a_role_holds_that_is_not_listed_is_no_part_yet() {
        let mut held = Held::default();
        held.fact(5, 7, object_ref("schema", &["shop", "sales"]), ownership());
        held.fact(5, 8, object_ref("schema", &["shop", "sales"]), ownership());
        held.fact(5, 8, object_ref("schema", &["shop", "hr"]), ownership());
        let (parts, rest) = held.into_parts(&Roles::of(&[8]));
        assert_eq!((parts.len(), parts[0].control.as_str(), parts[0].what.len()), (1, "8", 2));
        assert_eq!((rest.len(), rest.named().collect::<Vec<_>>()), (1, vec![7]));
    }
}
