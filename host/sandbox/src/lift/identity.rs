//! Pages of step 1.

use raito_core::limits;
use raito_core::record::{Group, IdentityPage, Membership, Page, User};

use super::access::member;
use super::{Lifted, check_size, list, optional, page, tags, text};
use crate::bindings::exports::raito::connector::identity_store as wit;

pub(crate) fn identity_page(given: wit::Page) -> Lifted<Page<IdentityPage>> {
    check_size(given.users.len() + given.groups.len() + given.memberships.len())?;
    let records = IdentityPage {
        users: list("users", limits::PAGE_RECORDS, given.users, user)?,
        groups: list("groups", limits::PAGE_RECORDS, given.groups, group)?,
        memberships: list("memberships", limits::PAGE_RECORDS, given.memberships, membership)?,
    };
    page(records, given.gaps, given.resume)
}

fn user(user: wit::User) -> Lifted<User> {
    Ok(User {
        external_id: text("external-id", user.external_id)?,
        user_name: text("user-name", user.user_name)?,
        display_name: text("display-name", user.display_name)?,
        email: optional("email", user.email)?,
        enabled: user.enabled,
        machine: user.machine,
        tags: tags(user.tags)?,
    })
}

fn group(group: wit::Group) -> Lifted<Group> {
    Ok(Group {
        external_id: text("external-id", group.external_id)?,
        name: text("name", group.name)?,
        display_name: text("display-name", group.display_name)?,
        description: text("description", group.description)?,
        incomplete: group.incomplete,
        tags: tags(group.tags)?,
    })
}

fn membership(membership: wit::Membership) -> Lifted<Membership> {
    Ok(Membership {
        group_external_id: text("group-external-id", membership.group_external_id)?,
        member: member(membership.member).map_err(|bad| bad.within("member"))?,
    })
}
