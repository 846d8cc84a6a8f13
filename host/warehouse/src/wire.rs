//! The JSON that the warehouse speaks.

use serde::{Deserialize, Serialize};

use crate::model::{Dataset, Group, Mask, Model, Person, Role, Statement, Table, personal};

#[derive(Serialize)]
pub(crate) struct PersonOut<'m> {
    pub(crate) id: &'m str,
    login: &'m str,
    name: &'m str,
    email: Option<&'m str>,
    active: bool,
    machine: bool,
    department: &'m str,
}

#[derive(Serialize)]
pub(crate) struct GroupOut<'m> {
    pub(crate) id: &'m str,
    name: &'m str,
    title: &'m str,
    members: Vec<&'m str>,
}

#[derive(Serialize)]
pub(crate) struct DatasetOut<'m> {
    pub(crate) id: &'m str,
    name: &'m str,
    comment: &'m str,
}

#[derive(Serialize)]
pub(crate) struct TableOut<'m> {
    pub(crate) id: &'m str,
    dataset: &'m str,
    dataset_name: &'m str,
    name: &'m str,
    comment: &'m str,
    columns: Vec<ColumnOut<'m>>,
}

#[derive(Serialize)]
struct ColumnOut<'m> {
    id: String,
    name: &'m str,
    kind: &'m str,
    pii: Option<&'static str>,
}

#[derive(Serialize)]
pub(crate) struct RoleOut<'m> {
    pub(crate) id: &'m str,
    name: &'m str,
    comment: &'m str,
    members: Vec<&'m str>,
}

#[derive(Serialize)]
pub(crate) struct GrantOut<'m> {
    id: String,
    role: &'m str,
    object: &'m str,
    path: Vec<&'m str>,
    permission: &'m str,
    grantable: bool,
}

#[derive(Serialize)]
pub(crate) struct MaskOut<'m> {
    pub(crate) column: &'m str,
    path: Vec<&'m str>,
    kind: &'m str,
    clear_for: Vec<&'m str>,
}

#[derive(Serialize)]
pub(crate) struct StatementOut<'m> {
    pub(crate) id: &'m str,
    person: &'m str,
    role: Option<&'m str>,
    text: &'m str,
    started_ms: u64,
    ended_ms: u64,
    ok: bool,
    objects: Vec<UseOut<'m>>,
    rows: u64,
}

#[derive(Serialize)]
struct UseOut<'m> {
    object: &'m str,
    path: Vec<&'m str>,
    action: &'m str,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    pub(crate) principal: String,
    pub(crate) permission: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccessList {
    pub(crate) entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RoleIn {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) comment: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RoleChange {
    pub(crate) name: Option<String>,
    pub(crate) comment: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MaskIn {
    pub(crate) kind: String,
    pub(crate) clear_for: Vec<ClearFor>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClearFor {
    pub(crate) member: String,
}

impl<'m> PersonOut<'m> {
    pub(crate) fn new(id: &'m str, person: &'m Person) -> Self {
        let Person { login, name, email, active, machine, department } = person;
        Self { id, login, name, email: email.as_deref(), active: *active, machine: *machine, department }
    }
}

impl<'m> GroupOut<'m> {
    pub(crate) fn new(id: &'m str, group: &'m Group) -> Self {
        Self { id, name: &group.name, title: &group.title, members: group.members.iter().map(String::as_str).collect() }
    }
}

impl<'m> DatasetOut<'m> {
    pub(crate) fn new(id: &'m str, dataset: &'m Dataset) -> Self {
        Self { id, name: &dataset.name, comment: &dataset.comment }
    }
}

impl<'m> TableOut<'m> {
    pub(crate) fn new(id: &'m str, table: &'m Table, model: &'m Model) -> Self {
        let column = |(at, (name, kind)): (usize, &'m (String, &'static str))| ColumnOut {
            id: format!("{id}.c{at}"),
            name,
            kind,
            pii: personal(name),
        };
        Self {
            id,
            dataset: &table.dataset,
            dataset_name: dataset_name(model, &table.dataset),
            name: &table.name,
            comment: &table.comment,
            columns: table.columns.iter().enumerate().map(column).collect(),
        }
    }
}

impl<'m> RoleOut<'m> {
    pub(crate) fn new(id: &'m str, role: &'m Role) -> Self {
        Self {
            id,
            name: &role.name,
            comment: &role.comment,
            members: role.members.iter().map(String::as_str).collect(),
        }
    }
}

impl<'m> GrantOut<'m> {
    /// All grants, in the order of their ids.
    pub(crate) fn all(model: &'m Model) -> Vec<Self> {
        let of_role = |(role, held): (&'m String, &'m Role)| {
            let grant = move |((object, permission), grantable): (&'m (String, &'static str), &bool)| GrantOut {
                id: format!("{role}/{object}/{permission}"),
                role,
                object,
                path: path(model, object),
                permission,
                grantable: *grantable,
            };
            held.grants.iter().map(grant).collect::<Vec<_>>()
        };
        model.roles.iter().flat_map(of_role).collect()
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}

impl<'m> MaskOut<'m> {
    pub(crate) fn new(column: &'m str, mask: &'m Mask, model: &'m Model) -> Self {
        let clear_for = mask.clear_for.iter().map(String::as_str).collect();
        Self { column, path: column_path(model, column), kind: mask.kind, clear_for }
    }
}

impl<'m> StatementOut<'m> {
    pub(crate) fn new(statement: &'m Statement, model: &'m Model) -> Self {
        let objects =
            statement.objects.iter().map(|(object, action)| UseOut { object, path: path(model, object), action });
        Self {
            id: &statement.id,
            person: &statement.person,
            role: statement.role.as_deref(),
            text: &statement.text,
            started_ms: statement.started_ms,
            ended_ms: statement.ended_ms,
            ok: statement.ok,
            objects: objects.collect(),
            rows: statement.rows,
        }
    }
}

fn dataset_name<'m>(model: &'m Model, id: &str) -> &'m str {
    model.datasets.get(id).map_or("", |dataset| dataset.name.as_str())
}

/// The names that lead to a table.
fn path<'m>(model: &'m Model, table: &str) -> Vec<&'m str> {
    let table = model.tables.get(table);
    table.map(|table| vec![dataset_name(model, &table.dataset), table.name.as_str()]).unwrap_or_default()
}

/// The names that lead to a column such as `t0001.c2`.
fn column_path<'m>(model: &'m Model, column: &str) -> Vec<&'m str> {
    let found = column.split_once(".c").and_then(|(table, at)| {
        let table = model.tables.get(table)?;
        let (name, _) = table.columns.get(at.parse::<usize>().ok()?)?;
        Some(vec![dataset_name(model, &table.dataset), table.name.as_str(), name.as_str()])
    });
    found.unwrap_or_default()
}
