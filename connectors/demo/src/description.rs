//! How the warehouse behaves.

use raito_sdk::data_source::{
    ControlKind, Description, Identity, KindPermission, MaskKind, ObjectKind, Permission, Reach, Shorthand, Special,
};
use raito_sdk::{Call, Fault};
use serde::Deserialize;

use crate::lists::{API, parse};

#[derive(Deserialize)]
pub(crate) struct About {
    name: String,
    instance: String,
    pub(crate) usage_from_ms: Option<u64>,
    pub(crate) usage_to_ms: Option<u64>,
}

pub(crate) fn about() -> Result<About, Fault> {
    let page = Call::new(API, "about").get()?;
    parse("about", &page.body)
}

pub(crate) fn describe() -> Result<Description, Fault> {
    Ok(description(about()?))
}

fn description(about: About) -> Description {
    Description {
        name: about.name,
        instance_id: about.instance,
        kinds: vec![dataset(), table(), column()],
        controls: controls(),
        specials: vec![Special { name: "everyone".into(), covers: "everybody who can log in".into() }],
        inheritance: true,
        masks: ["hide", "sha256"].map(mask).into(),
        filters_apply_to: vec![],
        mask_overrides: vec![],
        filter_overrides: vec![],
        name_pattern: "[a-z0-9_.-]+".into(),
        name_bytes_max: 63,
        reserved_prefixes: vec![],
        sql_dialect: Some("ansi".into()),
        left_out: vec![],
    }
}

fn permission(name: &str, description: &str, counts_as: &[&str]) -> Permission {
    Permission {
        name: name.into(),
        description: description.into(),
        counts_as: counts_as.iter().map(|word| (*word).into()).collect(),
        implies: vec![],
        reaches: vec![],
        needs: vec![],
        shorthand: Shorthand::None,
        can_be_granted: true,
        can_be_passed_on: false,
        asked_at_login: false,
    }
}

/// What is held on every table of a dataset, also on those that come later.
fn on_tables(permissions: &[&str]) -> Vec<Reach> {
    let reach = |permission: &&str| Reach {
        to: KindPermission { kind: "table".into(), permission: (*permission).into() },
        later_too: true,
    };
    permissions.iter().map(reach).collect()
}

fn dataset() -> ObjectKind {
    let read = Permission { reaches: on_tables(&["select"]), ..permission("read", "Read all tables", &["read"]) };
    let write = Permission {
        implies: vec!["read".into()],
        reaches: on_tables(&["select", "insert", "update", "delete"]),
        ..permission("write", "Read and change all tables", &["write"])
    };
    let manage =
        Permission { implies: vec!["write".into()], ..permission("manage", "Change the access list", &["admin"]) };
    ObjectKind {
        name: "dataset".into(),
        label: "Dataset".into(),
        permissions: vec![read, write, manage],
        children: vec!["table".into()],
        revoke_clears_parts: false,
    }
}

fn table() -> ObjectKind {
    let permissions = [
        permission("select", "Read rows", &["read"]),
        permission("insert", "Add rows", &["write"]),
        permission("update", "Change rows", &["write"]),
        permission("delete", "Delete rows", &["write"]),
    ];
    ObjectKind {
        name: "table".into(),
        label: "Table".into(),
        permissions: permissions.map(|permission| Permission { can_be_passed_on: true, ..permission }).into(),
        children: vec!["column".into()],
        revoke_clears_parts: false,
    }
}

fn column() -> ObjectKind {
    ObjectKind {
        name: "column".into(),
        label: "Column".into(),
        permissions: vec![permission("clear", "See clear data where the column is masked", &["read"])],
        children: vec![],
        revoke_clears_parts: false,
    }
}

fn controls() -> Vec<ControlKind> {
    let kind = |name: &str, label: &str, identity, members: &[&str]| ControlKind {
        name: name.into(),
        label: label.into(),
        identity,
        can_create: true,
        can_rename: false,
        assumable: false,
        members: members.iter().map(|word| (*word).into()).collect(),
        admits: members.iter().map(|word| (*word).into()).collect(),
        common_parent: None,
        replaced_whole: false,
    };
    vec![
        ControlKind { can_rename: true, ..kind("role", "Role", Identity::Named, &["user", "group", "access-control"]) },
        ControlKind {
            replaced_whole: true,
            ..kind(
                "dataset-access",
                "Dataset access",
                Identity::PerObjectPermission,
                &["user", "group", "access-control", "special"],
            )
        },
        // Masks that are lifted for a group come from the warehouse's own console; its API takes none.
        ControlKind {
            admits: vec!["user".into(), "access-control".into()],
            ..kind("mask", "Mask", Identity::PerObject, &["user", "group", "access-control"])
        },
    ]
}

fn mask(name: &str) -> MaskKind {
    let label = if name == "hide" { "Hidden" } else { "SHA-256 digest" };
    MaskKind { name: name.into(), label: label.into(), data_kinds: vec![], applies_to: vec!["column".into()] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_description_refers_to_is_described() {
        let about = About { name: "w".into(), instance: "i".into(), usage_from_ms: None, usage_to_ms: None };
        let description = description(about);
        let has = |to: &KindPermission| {
            let kind = description.kinds.iter().find(|kind| kind.name == to.kind);
            kind.is_some_and(|kind| kind.permissions.iter().any(|permission| permission.name == to.permission))
        };
        let permissions = description.kinds.iter().flat_map(|kind| &kind.permissions);
        assert!(permissions.flat_map(|permission| &permission.reaches).all(|reach| has(&reach.to)));
        let words = ["user", "group", "access-control", "special", "recipient"];
        assert!(description.controls.iter().flat_map(|kind| &kind.members).all(|word| words.contains(&word.as_str())));
    }
}
