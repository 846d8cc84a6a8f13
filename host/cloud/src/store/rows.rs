//! Records as rows of the staging tables.

use raito_core::digest::{Hasher, Key};
use raito_core::record::{
    AccessControl, DataObject, Group, Member, Membership, ObjectRef, PermissionUse, Standing, Statement, User, What,
};
use raito_core::text::{ExternalId, Name, PolicyText};
use serde::Serialize;

use super::{integer, word};

/// A value for a column.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Null,
    Integer(i64),
    Text(String),
    Key(Key),
}

/// The values of one row, in the order of its kind's columns.
pub(super) type Row = Vec<Value>;

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Integer(i64::from(flag))
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Integer(integer(number))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Key> for Value {
    fn from(key: Key) -> Self {
        Self::Key(key)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A list or a structure as JSON.
fn json<T: Serialize>(value: &T) -> Value {
    Value::Text(serde_json::to_string(value).expect("records can be written as JSON"))
}

/// A list as JSON; most are empty.
fn json_list<T: Serialize>(items: &[T]) -> Value {
    if items.is_empty() { Value::Text("[]".to_owned()) } else { json(&items) }
}

/// What identifies something with an external id within its source and kind.
pub(super) fn id_key(id: &ExternalId) -> Key {
    key_of(id.as_str())
}

/// The same for a text that is not known to be an id.
pub(super) fn key_of(id: &str) -> Key {
    let mut hasher = Hasher::default();
    hasher.field(id);
    hasher.finish_key()
}

pub(super) fn user(user: User) -> Row {
    vec![
        id_key(&user.external_id).into(),
        user.external_id.into_string().into(),
        user.user_name.into_string().into(),
        user.display_name.into_string().into(),
        user.email.map(|email| email.into_string()).into(),
        user.enabled.into(),
        user.machine.into(),
        json_list(&user.tags),
    ]
}

pub(super) fn group(group: Group) -> Row {
    vec![
        id_key(&group.external_id).into(),
        group.external_id.into_string().into(),
        group.name.into_string().into(),
        group.display_name.into_string().into(),
        group.description.into_string().into(),
        group.incomplete.into(),
        json_list(&group.tags),
    ]
}

/// What identifies a member of a group or a control: one row for each grantor.
fn member_key(of: Option<&ExternalId>, member: &Member) -> Key {
    let mut hasher = Hasher::default();
    hasher.optional(of.map(ExternalId::as_str)).field(member.kind.word()).field(member.id.as_str());
    hasher.optional(member.granted_by.as_ref().map(ExternalId::as_str));
    hasher.finish_key()
}

fn push_member(row: &mut Row, member: Member) {
    row.extend([
        member.kind.word().to_owned().into(),
        member.id.into_string().into(),
        member.inherits.into(),
        member.assumable.into(),
        member.may_pass_on.into(),
        member.granted_by.map(|id| id.into_string()).into(),
        member.expires_ms.into(),
    ]);
}

pub(super) fn membership(membership: Membership) -> Row {
    let key = member_key(Some(&membership.group_external_id), &membership.member);
    let mut row = vec![key.into(), membership.group_external_id.into_string().into()];
    push_member(&mut row, membership.member);
    row
}

fn path(object: &ObjectRef) -> Value {
    json(&object.path)
}

pub(super) fn object(object: DataObject) -> Row {
    let reference = object.object;
    vec![
        id_key(&object.external_id).into(),
        object.external_id.into_string().into(),
        object.name.into_string().into(),
        reference.kind.as_str().to_owned().into(),
        path(&reference),
        reference.signature.as_ref().map(|signature| signature.as_str().to_owned()).into(),
        reference.key().into(),
        object.description.into_string().into(),
        object.parent_external_id.as_ref().map(id_key).into(),
        object.parent_external_id.map(|id| id.into_string()).into(),
        object.data_type.map(|kind| kind.into_string()).into(),
        json_list(&object.reads),
        word(&object.rights).into(),
        json_list(&object.tags),
    ]
}

/// A row of `object_refs`.
pub(super) fn object_ref(key: Key, object: &ObjectRef) -> Row {
    vec![
        key.into(),
        object.kind.as_str().to_owned().into(),
        path(object),
        object.signature.as_ref().map(|signature| signature.as_str().to_owned()).into(),
    ]
}

/// An access control without its members and facts, which are rows of their own.
pub(super) fn access_control(control: AccessControl) -> Row {
    vec![
        id_key(&control.external_id).into(),
        control.external_id.into_string().into(),
        control.name.into_string().into(),
        control.actual_name.into_string().into(),
        control.kind.into_string().into(),
        control.description.into_string().into(),
        word(&control.action).into(),
        control.version.map(Name::into_string).into(),
        control.policy.as_ref().map_or(Value::Null, json),
        json_list(&control.locks),
        control.internalizable.into(),
        control.incomplete.into(),
        json_list(&control.tags),
    ]
}

pub(super) fn member(control: Key, member: Member) -> Row {
    let mut row = vec![control.into(), member_key(None, &member).into()];
    push_member(&mut row, member);
    row
}

/// One fact: a permission on an object, for each grantor and condition.
pub(super) fn fact(control: Key, object: Key, permission: PermissionUse, condition: Option<&PolicyText>) -> Row {
    let mut hasher = Hasher::default();
    hasher.field(object.0).field(permission.name.as_str());
    hasher.optional(permission.granted_by.as_ref().map(ExternalId::as_str)).optional(condition.map(PolicyText::as_str));
    vec![
        control.into(),
        hasher.finish_key().into(),
        object.into(),
        permission.name.into_string().into(),
        permission.may_pass_on.into(),
        permission.granted_by.map(|id| id.into_string()).into(),
        condition.map(|text| text.as_str().to_owned()).into(),
    ]
}

/// The facts of one object.
pub(super) fn facts(control: Key, object: Key, what: What) -> impl Iterator<Item = Row> {
    let condition = what.condition;
    what.permissions.into_iter().map(move |permission| fact(control, object, permission, condition.as_ref()))
}

/// The standing grants below one object on objects of one kind.
pub(super) fn standings(control: Key, under: Key, standing: Standing) -> impl Iterator<Item = Row> {
    let (kind, creator) = (standing.kind.into_string(), standing.creator.map(|id| id.into_string()));
    standing.permissions.into_iter().map(move |permission| {
        let mut hasher = Hasher::default();
        hasher.field(under.0).field(&kind).optional(creator.as_deref()).field(permission.name.as_str());
        hasher.optional(permission.granted_by.as_ref().map(ExternalId::as_str));
        vec![
            control.into(),
            hasher.finish_key().into(),
            under.into(),
            kind.clone().into(),
            creator.clone().into(),
            permission.name.into_string().into(),
            permission.may_pass_on.into(),
            permission.granted_by.map(|id| id.into_string()).into(),
        ]
    })
}

pub(super) fn statement(statement: &Statement) -> Row {
    let text = |id: &Option<ExternalId>| id.as_ref().map(|id| id.as_str().to_owned());
    vec![
        id_key(&statement.external_id).into(),
        statement.external_id.as_str().to_owned().into(),
        text(&statement.user).into(),
        text(&statement.role).into(),
        statement.text.as_ref().map(|text| text.as_str().to_owned()).into(),
        statement.started_ms.into(),
        statement.ended_ms.into(),
        statement.success.into(),
        statement.calls.into(),
        statement.precise.into(),
        statement.bytes.into(),
        statement.rows.into(),
        statement.unclear.into(),
    ]
}
