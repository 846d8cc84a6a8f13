//! Linking accounts of one person across identity stores: by what two accounts have in common and nobody else in either store
//! has. What is not certain is listed, never merged by guess.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text::{ExternalId, Name, TargetName};

/// What links the accounts of two stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LinkKey {
    /// The e-mail address, whatever its case (the part before the @ is compared so too, as mail systems do in practice).
    #[default]
    Email,
    /// The account name.
    UserName,
    /// The external id.
    ExternalId,
}

/// The key for one pair of stores.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LinkRule {
    /// The two stores.
    pub stores: [TargetName; 2],
    /// What links their accounts.
    pub key: LinkKey,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Account {
    /// The store.
    pub store: TargetName,
    /// Its id there.
    pub external_id: ExternalId,
    /// The account name.
    pub user_name: Name,
    /// The address, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Name>,
}

/// Accounts that may be of one person, and why they were not linked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Doubtful {
    /// What they have in common.
    pub value: String,
    /// The accounts.
    pub accounts: Vec<Account>,
}

/// Accounts, by person.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct People {
    /// Accounts of one person, for each person with more than one.
    pub linked: Vec<Vec<Account>>,
    /// Accounts that share a value with more than one account of a store.
    pub doubtful: Vec<Doubtful>,
    /// Accounts that nothing links to another.
    pub unmatched: Vec<Account>,
}

impl People {
    /// Only people with an account of this name, address or external id.
    #[must_use]
    pub fn with_account(mut self, called: &str) -> Self {
        let is_called = |account: &Account| account.is_called(called);
        self.linked.retain(|accounts| accounts.iter().any(is_called));
        self.doubtful.retain(|doubtful| doubtful.accounts.iter().any(is_called));
        self.unmatched.retain(is_called);
        self
    }
}

impl Account {
    /// Whether this is its name, its address or its external id.
    pub fn is_called(&self, text: &str) -> bool {
        let address = self.email.as_ref().map(Name::as_str);
        self.user_name.as_str() == text
            || self.external_id.as_str() == text
            || address.is_some_and(|address| address.eq_ignore_ascii_case(text))
    }
}

fn value(account: &Account, key: LinkKey) -> Option<String> {
    match key {
        LinkKey::Email => account.email.as_ref().map(|email| email.as_str().trim().to_lowercase()),
        LinkKey::UserName => Some(account.user_name.as_str().to_owned()),
        LinkKey::ExternalId => Some(account.external_id.as_str().to_owned()),
    }
    .filter(|value| !value.is_empty())
}

/// Accounts as sets that grow together.
struct Sets(Vec<usize>);

impl Sets {
    fn root(&mut self, at: usize) -> usize {
        let mut root = at;
        while self.0[root] != root {
            self.0[root] = self.0[self.0[root]];
            root = self.0[root];
        }
        root
    }

    fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.root(one), self.root(other));
        self.0[one.max(other)] = one.min(other);
    }
}

/// Links accounts, pair of stores by pair of stores. Pairs without a rule are linked by e-mail.
pub fn link(mut accounts: Vec<Account>, rules: &[LinkRule]) -> People {
    accounts.sort();
    accounts.dedup();
    let stores: Vec<TargetName> =
        accounts.iter().map(|account| account.store.clone()).collect::<BTreeSet<_>>().into_iter().collect();
    let mut sets = Sets((0..accounts.len()).collect());
    let mut doubtful: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    for (at, one) in stores.iter().enumerate() {
        for other in &stores[at + 1..] {
            let rule = rules.iter().find(|rule| rule.stores.contains(one) && rule.stores.contains(other));
            let key = rule.map_or(LinkKey::Email, |rule| rule.key);
            let (of_one, of_other) = (by_value(&accounts, one, key), by_value(&accounts, other, key));
            for (value, here) in &of_one {
                match (here.as_slice(), of_other.get(value).map(Vec::as_slice)) {
                    (_, None) => {}
                    ([here], Some([there])) => sets.join(*here, *there),
                    (here, Some(there)) => doubtful.entry(value.clone()).or_default().extend(here.iter().chain(there)),
                }
            }
        }
    }
    sorted_out(&accounts, &mut sets, doubtful)
}

fn by_value(accounts: &[Account], store: &TargetName, key: LinkKey) -> BTreeMap<String, Vec<usize>> {
    let mut found: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, account) in accounts.iter().enumerate().filter(|(_, account)| account.store == *store) {
        if let Some(value) = value(account, key) {
            found.entry(value).or_default().push(at);
        }
    }
    found
}

fn sorted_out(accounts: &[Account], sets: &mut Sets, doubtful: BTreeMap<String, BTreeSet<usize>>) -> People {
    let mut people = People::default();
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for at in 0..accounts.len() {
        groups.entry(sets.root(at)).or_default().push(at);
    }
    let of = |all: &mut dyn Iterator<Item = usize>| -> Vec<Account> { all.map(|at| accounts[at].clone()).collect() };
    let in_doubt: BTreeSet<usize> = doubtful.values().flatten().copied().collect();
    for (value, all) in doubtful {
        people.doubtful.push(Doubtful { value, accounts: of(&mut all.into_iter()) });
    }
    for group in groups.into_values() {
        let stores: BTreeSet<&TargetName> = group.iter().map(|at| &accounts[*at].store).collect();
        if stores.len() < group.len() {
            // Two accounts of one store came together by way of a third: one of the links is wrong, and nobody knows which.
            let value = accounts[group[0]].user_name.as_str().to_owned();
            people.doubtful.push(Doubtful { value, accounts: of(&mut group.into_iter()) });
        } else if group.len() > 1 {
            people.linked.push(of(&mut group.into_iter()));
        } else if !in_doubt.contains(&group[0]) {
            people.unmatched.extend(of(&mut group.into_iter()));
        }
    }
    people
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(store: &str, id: &str, email: Option<&str>) -> Account {
        Account {
            store: TargetName::new(store).expect("a name"),
            external_id: ExternalId::new(id).expect("an id"),
            user_name: Name::new(id).expect("a name"),
            email: email.map(|email| Name::new(email).expect("an address")),
        }
    }

    fn ids(accounts: &[Account]) -> Vec<String> {
        accounts.iter().map(|account| format!("{}:{}", account.store, account.external_id)).collect()
    }

    #[test]
    fn the_same_address_is_one_person_whatever_its_case() {
        let people = link(
            vec![account("a", "1", Some("Ann@x.org")), account("b", "9", Some("ann@X.org")), account("b", "8", None)],
            &[],
        );
        assert_eq!(people.linked.iter().map(|group| ids(group)).collect::<Vec<_>>(), [["a:1", "b:9"]]);
        assert_eq!(ids(&people.unmatched), ["b:8"]);
        assert!(people.doubtful.is_empty());
    }

    #[test]
    fn an_address_that_two_accounts_of_a_store_have_links_nothing() {
        let people = link(
            vec![account("a", "1", Some("x@x")), account("a", "2", Some("x@x")), account("b", "9", Some("x@x"))],
            &[],
        );
        assert!(people.linked.is_empty() && people.unmatched.is_empty());
        assert_eq!(people.doubtful.len(), 1);
        assert_eq!(ids(&people.doubtful[0].accounts), ["a:1", "a:2", "b:9"]);
    }

    #[test]
    fn a_pair_of_stores_can_have_a_key_of_its_own() {
        let stores = ["a", "b"].map(|name| TargetName::new(name).expect("a name"));
        let rules = [LinkRule { stores, key: LinkKey::UserName }];
        let people = link(vec![account("a", "ann", Some("1@x")), account("b", "ann", Some("2@x"))], &rules);
        assert_eq!(people.linked.len(), 1);
    }

    #[test]
    fn two_accounts_of_a_store_that_meet_by_way_of_a_third_are_not_merged() {
        let rules: Vec<LinkRule> =
            [("a", "b", LinkKey::UserName), ("b", "c", LinkKey::Email), ("a", "c", LinkKey::ExternalId)]
                .into_iter()
                .map(|(one, other, key)| LinkRule {
                    stores: [one, other].map(|name| TargetName::new(name).expect("a name")),
                    key,
                })
                .collect();
        let people = link(
            vec![
                account("a", "ann", None),
                account("a", "7", None),
                account("b", "ann", Some("x@x")),
                account("c", "7", Some("x@x")),
            ],
            &rules,
        );
        assert!(people.linked.is_empty(), "{people:?}");
        assert_eq!(people.doubtful[0].accounts.len(), 4);
    }

    #[test]
    fn people_are_found_by_any_name_of_any_account() {
        let people = link(
            vec![account("a", "1", Some("ann@x")), account("b", "9", Some("ann@x")), account("b", "bob", None)],
            &[],
        );
        for name in ["1", "9", "ANN@x"] {
            let found = people.clone().with_account(name);
            assert_eq!((found.linked.len(), found.unmatched.len()), (1, 0), "{name}");
        }
        assert_eq!(ids(&people.clone().with_account("bob").unmatched), ["b:bob"]);
        assert_eq!(people.with_account("ann"), People::default());
    }
}
