//! Step 4: carries out creating and granting, and something else where the scenario says so.

use raito_sdk::access_to_target::{Applied, Change, ChangeSet};
use raito_sdk::types::{self, Value};
use raito_sdk::{Call, Fault, FaultKind, fault, sql};

use crate::scenario::Scenario;

/// Carries out one change-set.
pub(crate) fn apply(scenario: &Scenario, set: &ChangeSet) -> Applied {
    let fault = carry_out(scenario, set).err();
    Applied {
        external_id: set.external_id.clone(),
        actual_name: set.actual_name.clone(),
        done: if fault.is_none() { u32::try_from(set.changes.len()).unwrap_or(u32::MAX) } else { 0 },
        fault,
        warnings: vec![],
    }
}

fn carry_out(scenario: &Scenario, set: &ChangeSet) -> Result<(), Fault> {
    scenario.play()?;
    if scenario.name() == "everything-else" {
        return everything_else(&set.actual_name);
    }
    let mut calls = Vec::new();
    for change in &set.changes {
        match change {
            Change::Create(_) => calls.push(create(&set.actual_name)),
            Change::Grant(all) => {
                for what in all {
                    let names = what.permissions.iter().map(|permission| permission.name.as_str());
                    calls.extend(names.map(|name| grant(name, &what.object.path[1..], &set.actual_name)));
                }
            }
            _ => {}
        }
    }
    let other = |permission: &str, object: [&str; 2], role: &str| {
        let object: Vec<String> = object.into_iter().map(str::to_owned).collect();
        grant(permission, &object, role)
    };
    let (role, table) = (set.actual_name.as_str(), ["schema", "table_00000001"]);
    match scenario.name() {
        "other-role" => calls.push(other("SELECT", table, "mallory")),
        "everybody" => calls.push(other("SELECT", table, "public")),
        "other-object" => calls.push(other("SELECT", ["schema", "secrets"], role)),
        "other-permission" => calls.push(other("DELETE", table, role)),
        "other-name" => calls.insert(0, create("mallory")),
        _ => {}
    }
    let first: Vec<types::Call> = calls.drain(..1).collect();
    let is_planned = matches!(sql::execute(&first)?[..], [sql::Outcome::Planned]);
    match scenario.name() {
        "other-than-planned" if !is_planned => calls.reverse(),
        "more-than-planned" if !is_planned => calls.push(calls[0].clone()),
        _ => {}
    }
    sql::execute(&calls).map(drop)
}

/// Tries every grant and every new role near the decided ones, one by one, and says how many were let through.
fn everything_else(role: &str) -> Result<(), Fault> {
    let doubtful = [
        "mallory",
        "public",
        "PUBLIC",
        "\"public\"",
        "none",
        "postgres",
        "raito_read",
        "raito_write",
        "pg_read_all_data",
        "current_user",
        "Reader",
        "reader ",
        "reader, mallory",
        "reader\" with grant option; --",
        "reader\0",
        "",
    ];
    let objects: [&[&str]; 9] = [
        &["schema", "table_00000001"],
        &["schema", "secrets"],
        &["schema", "table_00000001\" to mallory; --"],
        &["schema", "Table_00000001"],
        &["public", "table_00000001"],
        &["pg_catalog", "pg_authid"],
        &["root", "schema", "table_00000001"],
        &["table_00000001"],
        &[],
    ];
    let right =
        |permission: &str, object: &[&str], to: &str| to == role && object == objects[0] && permission != "DELETE";
    let mut calls: Vec<types::Call> = doubtful.iter().map(|other| create(other)).collect();
    calls
        .push(Call::new("sql.main", "create").at("postgres").value("role", Value::Name(vec![role.to_owned()])).build());
    for to in doubtful.into_iter().chain([role]) {
        for object in objects {
            for permission in ["SELECT", "INSERT", "DELETE"] {
                if !right(permission, object, to) {
                    let object: Vec<String> = object.iter().map(|part| (*part).to_owned()).collect();
                    calls.push(grant(permission, &object, to));
                }
            }
        }
    }
    let through = calls.iter().filter(|call| sql::execute(std::slice::from_ref(call)).is_ok()).count();
    Err(fault(FaultKind::Conflict, format!("{through} of {} other changes were let through", calls.len())))
}

fn create(role: &str) -> types::Call {
    at_root("create").value("role", Value::Name(vec![role.to_owned()])).build()
}

fn grant(permission: &str, object: &[String], role: &str) -> types::Call {
    let call = at_root("grant").value("permission", Value::Keywords(vec![permission.to_owned()]));
    call.value("object", Value::Name(object.to_vec())).value("role", Value::Name(vec![role.to_owned()])).build()
}

fn at_root(entry: &str) -> Call {
    Call::new("sql.main", entry).at("root")
}
