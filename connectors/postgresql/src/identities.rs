//! Step 1: every role that can log in is a user. One that was seen as a user stays one, disabled, when it can no longer log
//! in: what it did before is still its doing. What roles are members of is step 3, where membership has its options.

use std::collections::BTreeSet;

use raito_sdk::identity_store::{Page, User};
use raito_sdk::{Context, Fault, Pages, SqlRow, state};

use crate::cluster::{Cluster, Database};
use crate::keyset::{Keyset, Listing};

/// Users in one page.
const PAGE: usize = 1024;
/// Oids in one value of the state: at most 11 bytes each, and a value may have a mebibyte.
const SEEN: usize = 90_000;

/// Where a part of the oids of all users is remembered that were ever told.
fn seen_key(part: usize) -> String {
    format!("users-{part}")
}

/// The oids of users that earlier runs told.
pub(crate) fn seen() -> BTreeSet<i64> {
    let mut seen = BTreeSet::new();
    for part in 0.. {
        let text = state::get(&seen_key(part)).unwrap_or_default();
        let before = seen.len();
        seen.extend(String::from_utf8_lossy(&text).split(',').filter_map(|oid| oid.parse::<i64>().ok()));
        if seen.len() == before {
            break;
        }
    }
    seen
}

/// Remembers the oids of users for the next run.
fn remember(told: &BTreeSet<i64>) -> Result<(), Fault> {
    let oids: Vec<String> = told.iter().map(i64::to_string).collect();
    let parts = oids.chunks(SEEN).map(|part| part.join(","));
    // The empty part behind the last ends the list.
    for (at, part) in parts.chain([String::new()]).enumerate() {
        state::set(&seen_key(at), part.as_bytes())?;
    }
    Ok(())
}

pub(crate) struct Identities {
    roles: Keyset,
    seen: BTreeSet<i64>,
    told: BTreeSet<i64>,
}

impl Identities {
    pub(crate) fn open(context: &Context) -> Result<Self, Fault> {
        let (Database { at, .. }, scope) = Cluster::any(context)?;
        let roles = Keyset::new(Listing::of_cluster("users"), at, &scope);
        Ok(Self { roles, seen: seen(), told: BTreeSet::new() })
    }
}

impl Pages for Identities {
    type Page = Page;

    fn next(&mut self) -> Result<Option<Page>, Fault> {
        let mut users = Vec::new();
        while users.len() < PAGE {
            match self.roles.next_row()? {
                Some(row) => users.extend(user(row, &self.seen)),
                None => break,
            }
        }
        self.told.extend(users.iter().filter_map(|user: &User| user.external_id.parse::<i64>().ok()));
        if users.is_empty() {
            remember(&self.told)?;
            return Ok(None);
        }
        Ok(Some(Page { users, groups: vec![], memberships: vec![], gaps: vec![], resume: None }))
    }
}

/// The user of a role, where it is one or was.
fn user(mut row: SqlRow, seen: &BTreeSet<i64>) -> Option<User> {
    let (login, valid) = (row.boolean(2), row.boolean(3));
    if !login && !row.integer(0).is_some_and(|oid| seen.contains(&oid)) {
        return None;
    }
    let (external_id, name) = (row.text(0), row.text(1));
    Some(User {
        external_id,
        display_name: name.clone(),
        user_name: name,
        email: None,
        enabled: login && valid,
        machine: None,
        tags: vec![],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(login: &str, valid: &str, seen: &[i64]) -> Option<User> {
        let cells = ["16384", "alice", login, valid].map(|cell| Some(cell.to_owned()));
        user(SqlRow::new(cells.into()), &seen.iter().copied().collect())
    }

    #[test]
    fn an_expired_login_is_a_disabled_user() {
        let alice = told("true", "true", &[]).expect("a user");
        assert_eq!((alice.external_id.as_str(), alice.user_name.as_str(), alice.enabled), ("16384", "alice", true));
        assert!(!told("true", "false", &[]).expect("a user").enabled);
    }

    #[test]
    fn a_role_that_was_a_user_stays_one_and_another_is_none() {
        assert!(!told("false", "true", &[16384]).expect("a user").enabled);
        assert!(told("false", "true", &[7]).is_none());
    }
}
