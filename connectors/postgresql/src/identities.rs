//! Step 1: every role that can log in is a user. What roles are members of is step 3, where membership has its options.

use raito_sdk::identity_store::{Page, User};
use raito_sdk::{Context, Fault, Pages, SqlRow};

use crate::cluster::{Cluster, Database};
use crate::keyset::{Keyset, Listing};

/// Users in one page.
const PAGE: usize = 1024;

pub(crate) struct Identities {
    logins: Keyset,
}

impl Identities {
    pub(crate) fn open(context: &Context) -> Result<Self, Fault> {
        let (Database { at, .. }, scope) = Cluster::any(context)?;
        Ok(Self { logins: Keyset::new(Listing::of_cluster("logins"), at, &scope) })
    }
}

impl Pages for Identities {
    type Page = Page;

    fn next(&mut self) -> Result<Option<Page>, Fault> {
        let mut users = Vec::new();
        while users.len() < PAGE {
            match self.logins.next_row()? {
                Some(row) => users.push(user(row)),
                None => break,
            }
        }
        let page = Page { users, groups: vec![], memberships: vec![], gaps: vec![], resume: None };
        Ok((!page.users.is_empty()).then_some(page))
    }
}

fn user(mut row: SqlRow) -> User {
    let enabled = row.boolean(2);
    let (external_id, name) = (row.text(0), row.text(1));
    User { external_id, display_name: name.clone(), user_name: name, email: None, enabled, machine: None, tags: vec![] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expired_login_is_a_disabled_user() {
        let row = |enabled: &str| SqlRow::new(vec![Some("16384".into()), Some("alice".into()), Some(enabled.into())]);
        let alice = user(row("true"));
        assert_eq!((alice.external_id.as_str(), alice.user_name.as_str(), alice.enabled), ("16384", "alice", true));
        assert!(!user(row("false")).enabled);
    }
}
