//! Step 1: people, groups and who belongs to which.

use raito_sdk::access::{Member, MemberKind};
use raito_sdk::identity_store::{Group, Membership, Page, User};
use raito_sdk::{Context, Fault, Pages, Tag};
use serde::Deserialize;

use crate::lists::List;

#[derive(Deserialize)]
struct Person {
    id: String,
    login: String,
    name: String,
    email: Option<String>,
    active: bool,
    machine: bool,
    department: String,
}

#[derive(Deserialize)]
struct GroupIn {
    id: String,
    name: String,
    title: String,
    members: Vec<String>,
}

/// Reads people first, then groups.
pub(crate) struct Identities {
    people: List,
    groups: List,
}

impl Identities {
    pub(crate) fn new(context: &Context) -> Result<Self, Fault> {
        let (people, groups) = (List::new("people", context), List::new("groups", context));
        match context.resume.as_deref().and_then(|token| token.split_once(' ')) {
            None => Ok(Self { people, groups }),
            Some(("people", place)) => Ok(Self { people: people.from(place)?, groups }),
            Some((_, place)) => Ok(Self { people: people.ended(), groups: groups.from(place)? }),
        }
    }

    /// Where another reader goes on behind the page that was just given; none behind the last.
    fn resume(&self) -> Option<String> {
        match (self.people.is_ended(), self.groups.is_ended()) {
            (false, _) => Some(format!("people {}", self.people.place())),
            (true, false) => Some(format!("groups {}", self.groups.place())),
            (true, true) => None,
        }
    }
}

impl Pages for Identities {
    type Page = Page;

    fn next(&mut self) -> Result<Option<Page>, Fault> {
        let mut page = Page { users: vec![], groups: vec![], memberships: vec![], gaps: vec![], resume: None };
        if let Some(listed) = self.people.next::<Person>()? {
            page.users = listed.items.into_iter().map(user).collect();
            page.gaps.extend(listed.gap);
            page.resume = self.resume();
            return Ok(Some(page));
        }
        let Some(listed) = self.groups.next::<GroupIn>()? else { return Ok(None) };
        for given in listed.items {
            page.memberships.extend(
                given.members.iter().map(|id| Membership { group_external_id: given.id.clone(), member: member(id) }),
            );
            page.groups.push(group(given));
        }
        page.gaps.extend(listed.gap);
        page.resume = self.resume();
        Ok(Some(page))
    }
}

fn user(person: Person) -> User {
    User {
        external_id: person.id,
        user_name: person.login,
        display_name: person.name,
        email: person.email,
        enabled: person.active,
        machine: Some(person.machine),
        tags: vec![Tag { key: "department".into(), value: person.department, source: "demo".into() }],
    }
}

fn group(given: GroupIn) -> Group {
    Group {
        external_id: given.id,
        name: given.name,
        display_name: given.title,
        description: String::new(),
        incomplete: false,
        tags: vec![],
    }
}

/// What an id stands for: the warehouse gives people, groups and roles ids that begin with different letters.
pub(crate) fn member(id: &str) -> Member {
    let kind = match id.as_bytes() {
        b"everyone" => MemberKind::Special,
        [b'g', ..] => MemberKind::Group,
        [b'r', ..] => MemberKind::AccessControl,
        _ => MemberKind::User,
    };
    Member {
        kind,
        id: id.to_owned(),
        inherits: true,
        assumable: false,
        may_pass_on: false,
        granted_by: None,
        expires_ms: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_say_what_they_stand_for() {
        for (id, kind) in [
            ("p0001", MemberKind::User),
            ("g01", MemberKind::Group),
            ("r001", MemberKind::AccessControl),
            ("everyone", MemberKind::Special),
        ] {
            assert_eq!(member(id).kind, kind, "{id}");
        }
    }

    #[test]
    fn a_person_without_an_address_is_a_user_without_one() {
        let json = r#"{"id":"p1","login":"svc-1","name":"Service","email":null,"active":false,"machine":true,"department":"it"}"#;
        let user = user(serde_json::from_str(json).expect("a person"));
        assert_eq!((user.email, user.enabled, user.machine), (None, false, Some(true)));
        assert_eq!(user.tags[0].value, "it");
    }
}
