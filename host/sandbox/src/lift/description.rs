//! The description of a target.

use std::collections::BTreeSet;

use raito_core::fault::BadRecord;
use raito_core::limits::DESCRIPTION_ITEMS as ITEMS;
use raito_core::record::{
    ControlKind, Description, Identity, KindPermission, MaskKind, MemberKind, ObjectKind, Permission, Reach, Shorthand,
    Special,
};
use raito_core::text::{Kind, Name};

use super::{Lifted, gaps, list, optional, text, texts};
use crate::bindings::exports::raito::connector::data_source as wit;

pub(crate) fn description(given: wit::Description) -> Lifted<Description> {
    let description = Description {
        name: text("name", given.name)?,
        instance_id: text("instance-id", given.instance_id)?,
        kinds: list("kinds", ITEMS, given.kinds, object_kind)?,
        controls: list("controls", ITEMS, given.controls, control_kind)?,
        specials: list("specials", ITEMS, given.specials, |special| {
            Ok(Special { name: text("name", special.name)?, covers: text("covers", special.covers)? })
        })?,
        inheritance: given.inheritance,
        masks: list("masks", ITEMS, given.masks, mask_kind)?,
        filters_apply_to: texts("filters-apply-to", ITEMS, given.filters_apply_to)?,
        mask_overrides: texts("mask-overrides", ITEMS, given.mask_overrides)?,
        filter_overrides: texts("filter-overrides", ITEMS, given.filter_overrides)?,
        name_pattern: text("name-pattern", given.name_pattern)?,
        name_bytes_max: given.name_bytes_max,
        reserved_prefixes: texts("reserved-prefixes", ITEMS, given.reserved_prefixes)?,
        sql_dialect: optional("sql-dialect", given.sql_dialect)?,
        left_out: gaps("left-out", given.left_out)?,
    };
    check_references(&description)?;
    Ok(description)
}

fn object_kind(kind: wit::ObjectKind) -> Lifted<ObjectKind> {
    Ok(ObjectKind {
        name: text("name", kind.name)?,
        label: text("label", kind.label)?,
        permissions: list("permissions", ITEMS, kind.permissions, permission)?,
        children: texts("children", ITEMS, kind.children)?,
        revoke_clears_parts: kind.revoke_clears_parts,
    })
}

fn permission(permission: wit::Permission) -> Lifted<Permission> {
    let counts_as: Vec<Name> = texts("counts-as", 3, permission.counts_as)?;
    if counts_as.iter().any(|word| !matches!(word.as_str(), "read" | "write" | "admin")) {
        return Err(BadRecord::new("counts-as", "it has a word other than read, write and admin"));
    }
    Ok(Permission {
        name: text("name", permission.name)?,
        description: text("description", permission.description)?,
        counts_as,
        implies: texts("implies", ITEMS, permission.implies)?,
        reaches: list("reaches", ITEMS, permission.reaches, |reach| {
            Ok(Reach { to: kind_permission(reach.to).map_err(|bad| bad.within("to"))?, later_too: reach.later_too })
        })?,
        needs: list("needs", ITEMS, permission.needs, |any| list("", ITEMS, any, kind_permission))?,
        shorthand: match permission.shorthand {
            wit::Shorthand::None => Shorthand::None,
            wit::Shorthand::AtGrant => Shorthand::AtGrant,
            wit::Shorthand::AtCheck => Shorthand::AtCheck,
        },
        can_be_granted: permission.can_be_granted,
        can_be_passed_on: permission.can_be_passed_on,
        asked_at_login: permission.asked_at_login,
    })
}

fn kind_permission(given: wit::KindPermission) -> Lifted<KindPermission> {
    Ok(KindPermission { kind: text("kind", given.kind)?, permission: text("permission", given.permission)? })
}

fn control_kind(kind: wit::ControlKind) -> Lifted<ControlKind> {
    Ok(ControlKind {
        name: text("name", kind.name)?,
        label: text("label", kind.label)?,
        identity: match kind.identity {
            wit::Identity::Named => Identity::Named,
            wit::Identity::NamedOnObject => Identity::NamedOnObject,
            wit::Identity::PerObject => Identity::PerObject,
            wit::Identity::PerObjectPermission => Identity::PerObjectPermission,
        },
        can_create: kind.can_create,
        can_rename: kind.can_rename,
        assumable: kind.assumable,
        members: list("members", 6, kind.members, |word| member_kind(&word))?,
        admits: list("admits", 6, kind.admits, |word| member_kind(&word))?,
        common_parent: optional("common-parent", kind.common_parent)?,
        replaced_whole: kind.replaced_whole,
    })
}

fn member_kind(word: &str) -> Lifted<MemberKind> {
    use MemberKind::{AccessControl, ActingAs, Group, Recipient, Special, User};
    let all = [User, Group, AccessControl, ActingAs, Special, Recipient];
    all.into_iter().find(|kind| kind.word() == word).ok_or_else(|| {
        let words: Vec<_> = all.iter().map(|kind| kind.word()).collect();
        BadRecord::new("", format!("it is none of {}", words.join(", ")))
    })
}

fn mask_kind(kind: wit::MaskKind) -> Lifted<MaskKind> {
    Ok(MaskKind {
        name: text("name", kind.name)?,
        label: text("label", kind.label)?,
        data_kinds: texts("data-kinds", ITEMS, kind.data_kinds)?,
        applies_to: texts("applies-to", ITEMS, kind.applies_to)?,
    })
}

/// Refuses a description that names kinds or permissions which it does not have, or has one twice.
fn check_references(description: &Description) -> Lifted<()> {
    let mut kinds = BTreeSet::new();
    for (index, kind) in description.kinds.iter().enumerate() {
        if !kinds.insert(&kind.name) {
            return Err(BadRecord::new(
                format!("kinds[{index}].name"),
                format!("there are two object kinds {}", kind.name),
            ));
        }
    }
    let mut controls = BTreeSet::new();
    for (index, kind) in description.controls.iter().enumerate() {
        if !controls.insert(&kind.name) {
            return Err(BadRecord::new(
                format!("controls[{index}].name"),
                format!("there are two control kinds {}", kind.name),
            ));
        }
    }
    let known = |kind: &Kind| description.object_kind(kind).is_some();
    for (index, kind) in description.kinds.iter().enumerate() {
        let within = |field: &str, what: String| Err(BadRecord::new(format!("kinds[{index}].{field}"), what));
        if let Some(child) = kind.children.iter().find(|child| !known(child)) {
            return within("children", format!("there is no object kind {child}"));
        }
        for permission in &kind.permissions {
            if let Some(implied) = permission.implies.iter().find(|implied| kind.permission(implied).is_none()) {
                return within(
                    "permissions",
                    format!("{} implies {implied}, which the kind does not have", permission.name),
                );
            }
            let elsewhere = permission.reaches.iter().map(|reach| &reach.to).chain(permission.needs.iter().flatten());
            for to in elsewhere {
                if description.object_kind(&to.kind).is_none_or(|kind| kind.permission(&to.permission).is_none()) {
                    return within(
                        "permissions",
                        format!(
                            "{} refers to {} on {}, which is not described",
                            permission.name, to.permission, to.kind
                        ),
                    );
                }
            }
        }
    }
    Ok(())
}
