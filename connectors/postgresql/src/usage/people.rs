//! Roles, as usage names them: a log has names, counters have oids.

use std::collections::BTreeMap;

use raito_sdk::{Context, Fault};

use crate::cluster::Cluster;
use crate::keyset::{Keyset, Listing};

/// A role.
struct Role {
    name: String,
    login: bool,
    /// Whether somebody else is a member of it, and may act in its name.
    shared: bool,
}

/// The roles of a cluster.
#[derive(Default)]
pub(crate) struct People(BTreeMap<i64, Role>);

impl People {
    /// Reads them.
    pub(crate) fn read(context: &Context) -> Result<Self, Fault> {
        let (database, scope) = Cluster::any(context)?;
        let mut list = Keyset::new(Listing::of_cluster("acting-roles"), database.at, &scope);
        let mut roles = BTreeMap::new();
        while let Some(mut row) = list.next_row()? {
            let role = Role { name: row.text(1), login: row.boolean(2), shared: row.boolean(3) };
            roles.insert(row.integer(0).unwrap_or_default(), role);
        }
        Ok(Self(roles))
    }

    /// The user who logged in under this name.
    pub(crate) fn login(&self, name: &str) -> Option<String> {
        self.0.iter().find(|(_, role)| role.login && role.name == name).map(|(oid, _)| oid.to_string())
    }

    /// The user who acted as this role, where nobody else but a superuser can have been: a login that has no members.
    pub(crate) fn certain(&self, oid: i64) -> Option<String> {
        self.0.get(&oid).filter(|role| role.login && !role.shared).map(|_| oid.to_string())
    }

    #[cfg(test)]
    pub(crate) fn of(roles: &[(i64, &str, bool, bool)]) -> Self {
        let role = |(oid, name, login, shared): &(i64, &str, bool, bool)| {
            (*oid, Role { name: (*name).to_owned(), login: *login, shared: *shared })
        };
        Self(roles.iter().map(role).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_a_person_only_where_that_is_certain() {
        let people = People::of(&[(10, "ann", true, false), (11, "team", false, false), (12, "shared", true, true)]);
        assert_eq!(people.login("ann").as_deref(), Some("10"));
        assert_eq!(people.login("shared").as_deref(), Some("12"), "who logged in is certain");
        assert_eq!(people.login("team"), None);
        assert_eq!(people.certain(10).as_deref(), Some("10"));
        assert_eq!((people.certain(11), people.certain(12), people.certain(13)), (None, None, None));
    }
}
