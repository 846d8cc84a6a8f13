//! Step 4: carrying out changes.
//!
//! Each change becomes calls; the first that fails ends the change-set, and the host learns how many changes were done.

use raito_sdk::access::{AccessEntry, MemberKind, What};
use raito_sdk::access_to_target::{Applied, Change, ChangeSet};
use raito_sdk::types::{self, Value};
use raito_sdk::{Call, Fault, FaultKind, HttpPage, fault, http};

use crate::lists::API;

/// Carries out one change-set.
pub(crate) fn apply(set: &ChangeSet) -> Applied {
    let mut id = Id::of(set);
    let mut done = 0;
    let mut failed = None;
    if let (Some(entries), "dataset-access") = (&set.entries, set.kind.as_str()) {
        // The list is replaced as a whole, so all of its changes are done at once or not at all.
        match send(&replace_entries(set, entries)) {
            Ok(_) => done = set.changes.len(),
            Err(fault) => failed = Some(fault),
        }
    } else {
        for change in &set.changes {
            match calls(set, &id, change).and_then(|calls| carry_out(calls, &mut id)) {
                Ok(()) => done += 1,
                Err(fault) => {
                    failed = Some(fault);
                    break;
                }
            }
        }
    }
    Applied {
        external_id: id.shown(),
        actual_name: set.actual_name.clone(),
        done: u32::try_from(done).unwrap_or(u32::MAX),
        fault: failed,
        warnings: vec![],
    }
}

/// The role's id: known, or a token for the one that the warehouse will give.
enum Id {
    Known(String),
    Captured(String),
    None,
}

impl Id {
    fn of(set: &ChangeSet) -> Self {
        set.external_id.clone().map_or(Self::None, Self::Known)
    }

    fn value(&self) -> Result<Value, Fault> {
        match self {
            Self::Known(id) => Ok(Value::Text(id.clone())),
            Self::Captured(token) => Ok(Value::Captured(token.clone())),
            Self::None => Err(fault(FaultKind::Internal, "a change of a role that does not exist yet")),
        }
    }

    fn shown(&self) -> Option<String> {
        match self {
            Self::Known(id) | Self::Captured(id) => Some(id.clone()),
            Self::None => None,
        }
    }
}

fn carry_out(calls: Vec<types::Call>, id: &mut Id) -> Result<(), Fault> {
    for call in calls {
        if let Some(token) = send(&call)? {
            *id = Id::Captured(token);
        }
    }
    Ok(())
}

/// Sends a call, and gives the token of the id that its answer holds, where it declares one.
fn send(call: &types::Call) -> Result<Option<String>, Fault> {
    let done = http::send(call)?;
    if let Some(reply) = done.reply {
        // Doing twice what is done already is no failure: a member who is gone, a grant that is revoked.
        let gone = reply.status == 404
            && matches!(call.entry.as_str(), "remove-member" | "revoke" | "clear-mask" | "delete-role");
        if !gone {
            HttpPage::new(&call.entry, reply)?;
        }
    }
    Ok(done.captures.into_iter().next().map(|(_, token)| token))
}

/// The calls that carry out a change of a role or a mask.
fn calls(set: &ChangeSet, id: &Id, change: &Change) -> Result<Vec<types::Call>, Fault> {
    let of_role = |entry: &str| -> Result<Call, Fault> { Ok(Call::new(API, entry).value("role", id.value()?)) };
    Ok(match change {
        Change::Create(control) if control.kind == "role" => {
            let call = Call::new(API, "create-role");
            vec![call.text("name", set.actual_name.as_str()).text("comment", set.description.as_str()).build()]
        }
        Change::Rename(name) => vec![of_role("rename-role")?.text("name", name.as_str()).build()],
        Change::Describe(text) => vec![of_role("describe-role")?.text("comment", text.as_str()).build()],
        Change::AddMembers(members) => members
            .iter()
            .map(|member| Ok(of_role("add-member")?.text("member", member.id.as_str()).build()))
            .collect::<Result<_, Fault>>()?,
        Change::RemoveMembers(members) => members
            .iter()
            .map(|member| Ok(of_role("remove-member")?.text("member", member.id.as_str()).build()))
            .collect::<Result<_, Fault>>()?,
        Change::Grant(facts) => on_tables(&of_role("grant")?, facts),
        Change::Revoke(facts) => on_tables(&of_role("revoke")?, facts),
        Change::Delete => vec![of_role("delete-role")?.build()],
        Change::SetPolicy(policy) => {
            let clear_for = set.entries.iter().flatten();
            let members = clear_for.map(|entry| vec![("member".to_owned(), entry.member.id.clone())]).collect();
            let call = on_column(set, "set-mask")?.value("kind", Value::Keywords(vec![policy.kind.clone()]));
            vec![call.value("members", Value::Items(members)).build()]
        }
        Change::ClearPolicy => vec![on_column(set, "clear-mask")?.build()],
        _ => return Err(fault(FaultKind::Internal, "the demo warehouse has no such change")),
    })
}

/// A call about the column of a mask.
fn on_column(set: &ChangeSet, entry: &str) -> Result<Call, Fault> {
    let path = set.object.as_ref().map(|object| object.path.as_slice());
    let Some([dataset, table, column]) = path else {
        return Err(fault(FaultKind::Internal, "a mask is of a column"));
    };
    Ok(Call::new(API, entry)
        .text("dataset", dataset.as_str())
        .text("table", table.as_str())
        .text("column", column.as_str()))
}

/// One call for each permission on each table.
fn on_tables(call: &Call, facts: &[What]) -> Vec<types::Call> {
    let mut calls = Vec::new();
    for what in facts {
        let [dataset, table] = what.object.path.as_slice() else { continue };
        for permission in &what.permissions {
            let call = call.clone().text("dataset", dataset.as_str()).text("table", table.as_str());
            calls.push(call.value("permission", Value::Keywords(vec![permission.name.clone()])).build());
        }
    }
    calls
}

/// The call that replaces a dataset's list under the version that the changes were decided on.
fn replace_entries(set: &ChangeSet, entries: &[AccessEntry]) -> types::Call {
    let mut lines = Vec::new();
    for entry in entries {
        let principal = if entry.member.kind == MemberKind::Special { "everyone" } else { entry.member.id.as_str() };
        for permission in &entry.permissions {
            lines.push(vec![
                ("principal".to_owned(), principal.to_owned()),
                ("permission".to_owned(), permission.name.clone()),
            ]);
        }
    }
    let dataset = set.object.as_ref().and_then(|object| object.path.first()).cloned().unwrap_or_default();
    let call = Call::new(API, "replace-access").text("dataset", dataset).value("entries", Value::Items(lines));
    call.optional("version", set.version.as_deref()).build()
}

#[cfg(test)]
mod tests {
    use raito_sdk::ObjectRef;
    use raito_sdk::access::{Member, PermissionUse};

    use super::*;

    fn member(id: &str) -> Member {
        Member {
            kind: MemberKind::User,
            id: id.into(),
            inherits: true,
            assumable: false,
            may_pass_on: false,
            granted_by: None,
            expires_ms: None,
        }
    }

    fn used(name: &str) -> PermissionUse {
        PermissionUse { name: name.into(), may_pass_on: false, granted_by: None }
    }

    fn set(changes: Vec<Change>) -> ChangeSet {
        ChangeSet {
            id: "1".into(),
            external_id: Some("r001".into()),
            actual_name: "readers".into(),
            name: "Readers".into(),
            description: "who read".into(),
            kind: "role".into(),
            object: None,
            version: None,
            entries: None,
            changes,
        }
    }

    #[test]
    fn a_grant_is_one_call_for_each_permission() {
        let object = ObjectRef { path: vec!["sales".into(), "orders".into()], signature: None, kind: "table".into() };
        let what = What { object, permissions: vec![used("select"), used("insert")], condition: None };
        let set = set(vec![Change::Grant(vec![what])]);
        let calls = calls(&set, &Id::of(&set), &set.changes[0]).expect("calls");
        assert_eq!(calls.iter().map(|call| call.entry.as_str()).collect::<Vec<_>>(), ["grant", "grant"]);
        assert_eq!(calls[0].arguments.len(), 4);
    }

    #[test]
    fn a_list_is_replaced_as_a_whole_under_its_version() {
        let mut set = set(vec![]);
        set.object = Some(ObjectRef { path: vec!["sales".into()], signature: None, kind: "dataset".into() });
        set.version = Some("\"3\"".into());
        let entry =
            AccessEntry { member: member("p1"), permissions: vec![used("read"), used("write")], condition: None };
        let call = replace_entries(&set, &[entry]);
        assert_eq!(call.entry, "replace-access");
        assert!(call.arguments.iter().any(|argument| argument.name == "version"));
        let lines = call.arguments.iter().find_map(|argument| match &argument.value {
            Value::Items(lines) => Some(lines.len()),
            _ => None,
        });
        assert_eq!(lines, Some(2));
    }

    #[test]
    fn a_role_that_does_not_exist_yet_cannot_be_changed() {
        let mut set = set(vec![Change::AddMembers(vec![member("p1")])]);
        set.external_id = None;
        assert!(calls(&set, &Id::of(&set), &set.changes[0]).is_err());
    }
}
