//! Step 3: roles with their grants, access lists of datasets, and masks.

use std::collections::BTreeMap;

use raito_sdk::access::{AccessControl, Action, PermissionUse, Policy, What};
use raito_sdk::access_from_target::{Page, Part};
use raito_sdk::{Call, Context, Fault, HttpPage, Pages};
use serde::Deserialize;

use crate::identities::member;
use crate::lists::{API, List, parse};
use crate::objects::{Dataset, object_ref};

#[derive(Deserialize)]
struct Role {
    id: String,
    name: String,
    comment: String,
    members: Vec<String>,
}

#[derive(Deserialize)]
struct Grant {
    role: String,
    path: Vec<String>,
    permission: String,
    grantable: bool,
}

#[derive(Deserialize)]
struct Mask {
    column: String,
    path: Vec<String>,
    kind: String,
    clear_for: Vec<String>,
}

#[derive(Deserialize)]
struct AccessList {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    principal: String,
    permission: String,
}

/// Reads roles, then their grants as parts, then the access lists of datasets, then masks.
pub(crate) struct Controls {
    roles: List,
    grants: List,
    datasets: List,
    masks: List,
}

impl Controls {
    pub(crate) fn new(context: &Context) -> Self {
        let list = |entry| List::new(entry, context);
        Self { roles: list("roles"), grants: list("grants"), datasets: list("datasets"), masks: list("masks") }
    }
}

impl Pages for Controls {
    type Page = Page;

    fn next(&mut self) -> Result<Option<Page>, Fault> {
        let page = |access_controls, parts, gap: Option<_>| {
            Ok(Some(Page { access_controls, parts, gaps: gap.into_iter().collect(), resume: None }))
        };
        if let Some(listed) = self.roles.next::<Role>()? {
            return page(listed.items.into_iter().map(role).collect(), vec![], listed.gap);
        }
        if let Some(listed) = self.grants.next::<Grant>()? {
            return page(vec![], parts(listed.items), listed.gap);
        }
        if let Some(listed) = self.datasets.next::<Dataset>()? {
            let mut controls = Vec::new();
            for dataset in &listed.items {
                let answer = Call::new(API, "dataset-access").text("dataset", dataset.name.as_str()).get()?;
                controls.extend(access_list(dataset, &answer)?);
            }
            return page(controls, vec![], listed.gap);
        }
        let Some(listed) = self.masks.next::<Mask>()? else { return Ok(None) };
        page(listed.items.into_iter().map(mask).collect(), vec![], listed.gap)
    }
}

fn control(external_id: String, name: String, kind: &str, action: Action) -> AccessControl {
    AccessControl {
        external_id,
        actual_name: name.clone(),
        name,
        kind: kind.into(),
        description: String::new(),
        action,
        version: None,
        who: vec![],
        what: vec![],
        standing: vec![],
        policy: None,
        locks: vec![],
        internalizable: true,
        incomplete: false,
        tags: vec![],
    }
}

fn role(given: Role) -> AccessControl {
    AccessControl {
        description: given.comment,
        who: given.members.iter().map(|id| member(id)).collect(),
        ..control(given.id, given.name, "role", Action::Grant)
    }
}

fn used(name: String, may_pass_on: bool) -> PermissionUse {
    PermissionUse { name, may_pass_on, granted_by: None }
}

/// Grants, gathered by role and table.
fn parts(grants: Vec<Grant>) -> Vec<Part> {
    let mut roles: BTreeMap<String, BTreeMap<Vec<String>, Vec<PermissionUse>>> = BTreeMap::new();
    for grant in grants {
        let held = roles.entry(grant.role).or_default().entry(grant.path).or_default();
        held.push(used(grant.permission, grant.grantable));
    }
    let what = |(path, permissions): (Vec<String>, _)| What {
        object: object_ref("table", &path),
        permissions,
        condition: None,
    };
    let part = |(control, held): (String, BTreeMap<_, _>)| Part {
        control,
        who: vec![],
        what: held.into_iter().map(what).collect(),
        standing: vec![],
    };
    roles.into_iter().map(part).collect()
}

/// The permission that an empty list is told with, and nobody has.
const OF_EMPTY_LIST: &str = "read";

/// The access list of a dataset: one control for each permission on it, all with the version of the list. An empty list is a
/// control without members, because its version is needed to put the first line on it.
fn access_list(dataset: &Dataset, answer: &HttpPage) -> Result<Vec<AccessControl>, Fault> {
    let list: AccessList = parse("dataset-access", &answer.body)?;
    let version = answer.header("etag").map(str::to_owned);
    let mut permissions: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for entry in list.entries {
        permissions.entry(entry.permission).or_default().push(member(&entry.principal));
    }
    if permissions.is_empty() {
        permissions.insert(OF_EMPTY_LIST.to_owned(), vec![]);
    }
    let of_permission = |(permission, who): (String, Vec<_>)| {
        let name = format!("{} {permission}", dataset.name);
        let what = What {
            object: object_ref("dataset", std::slice::from_ref(&dataset.name)),
            permissions: vec![used(permission.clone(), false)],
            condition: None,
        };
        AccessControl {
            version: version.clone(),
            who,
            what: vec![what],
            ..control(format!("{}/{permission}", dataset.id), name, "dataset-access", Action::Grant)
        }
    };
    Ok(permissions.into_iter().map(of_permission).collect())
}

fn mask(given: Mask) -> AccessControl {
    let what = What {
        object: object_ref("column", &given.path),
        permissions: vec![used("clear".into(), false)],
        condition: None,
    };
    let policy = Policy {
        kind: given.kind,
        text: None,
        check: None,
        commands: vec![],
        columns: given.path.last().cloned().into_iter().collect(),
        arguments: vec![],
        restrictive: false,
        enabled: true,
        forced: false,
    };
    AccessControl {
        who: given.clear_for.iter().map(|id| member(id)).collect(),
        what: vec![what],
        policy: Some(policy),
        ..control(format!("mask:{}", given.column), given.path.join("."), "mask", Action::Mask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_are_gathered_by_role_and_table() {
        let grant = |role: &str, table: &str, permission: &str| Grant {
            role: role.into(),
            path: vec!["sales".into(), table.into()],
            permission: permission.into(),
            grantable: permission == "select",
        };
        let parts = parts(vec![
            grant("r1", "a", "select"),
            grant("r2", "a", "insert"),
            grant("r1", "a", "insert"),
            grant("r1", "b", "select"),
        ]);
        assert_eq!(parts.len(), 2);
        assert_eq!((parts[0].control.as_str(), parts[0].what.len()), ("r1", 2));
        assert_eq!(parts[0].what[0].permissions.len(), 2);
        assert!(parts[0].what[0].permissions[0].may_pass_on);
    }

    #[test]
    fn an_access_list_is_one_control_for_each_permission_with_the_lists_version() {
        let dataset: Dataset = serde_json::from_str(r#"{"id":"d1","name":"sales","comment":""}"#).expect("a dataset");
        let body = br#"{"entries":[{"principal":"p1","permission":"read"},{"principal":"everyone","permission":"read"},{"principal":"g1","permission":"manage"}]}"#;
        let answer = HttpPage { body: body.to_vec(), headers: vec![("etag".into(), "\"7\"".into())] };
        let controls = access_list(&dataset, &answer).expect("a list");
        assert_eq!(
            controls.iter().map(|control| control.name.as_str()).collect::<Vec<_>>(),
            ["sales manage", "sales read"]
        );
        assert!(controls.iter().all(|control| control.version.as_deref() == Some("\"7\"")));
        assert_eq!(controls[1].who.len(), 2);
    }

    #[test]
    fn an_empty_access_list_has_a_version_too() {
        let dataset: Dataset = serde_json::from_str(r#"{"id":"d1","name":"sales","comment":""}"#).expect("a dataset");
        let answer = HttpPage { body: br#"{"entries":[]}"#.to_vec(), headers: vec![("etag".into(), "\"8\"".into())] };
        let controls = access_list(&dataset, &answer).expect("a list");
        let [empty] = controls.as_slice() else { panic!("one control, and not {}", controls.len()) };
        assert_eq!((empty.external_id.as_str(), empty.version.as_deref()), ("d1/read", Some("\"8\"")));
        assert!(empty.who.is_empty());
    }
}
