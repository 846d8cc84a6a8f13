//! A target as a test describes it, and a decision about it.

use raito_core::decide::{Decision, Protected, Situation, decide};
use raito_core::exchange::Desired;
use raito_core::fact::Unread;
use raito_core::grant::Drift;
use raito_core::marker::{Master, marked};
use raito_core::record::{AccessControl, AccessPage, Change, Description};
use raito_core::text::Remark;
use raito_core::unite::{AccessControls, AccessReading, Reading};
use raito_core::warrant::Names;
use serde_json::{Value, json};

pub(crate) fn record<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{error}: {value}"))
}

pub(crate) fn description() -> Description {
    let permission = |name: &str, grantable: bool| {
        json!({ "name": name, "description": "", "counts-as": [], "implies": [], "reaches": [], "needs": [], "shorthand": "none",
                "can-be-granted": grantable, "can-be-passed-on": true })
    };
    let kind = |name: &str, permissions: &[&str], children: &[&str]| {
        let mut all: Vec<Value> = permissions.iter().map(|name| permission(name, true)).collect();
        all.push(permission("OWNERSHIP", false));
        json!({ "name": name, "label": name, "permissions": all, "children": children, "revoke-clears-parts": name == "table" })
    };
    let control = |name: &str, identity: &str| {
        json!({ "name": name, "label": name, "identity": identity, "can-create": true, "can-rename": true, "assumable": true,
                "members": ["user", "access-control"], "admits": ["user", "access-control"], "common-parent": null,
                "replaced-whole": identity == "per-object-permission" })
    };
    record(json!({
        "name": "t", "instance-id": "i", "inheritance": true, "masks": [], "filters-apply-to": [], "mask-overrides": [],
        "filter-overrides": [], "name-pattern": "[a-z_]+", "name-bytes-max": 63, "reserved-prefixes": ["pg_"], "sql-dialect": null,
        "specials": [],
        "kinds": [kind("schema", &["USAGE"], &["table"]), kind("table", &["SELECT", "INSERT"], &["column"]),
                  kind("view", &["SELECT", "INSERT"], &[]), kind("sequence", &["SELECT"], &[]), kind("column", &["SELECT"], &[])],
        "controls": [control("role", "named"), control("list", "per-object-permission"), control("mask", "per-object"),
                     control("policy", "named-on-object")],
    }))
}

pub(crate) fn master() -> Master {
    "cloud:here".parse().expect("a master")
}

/// A control as the target has it, marked as ours.
pub(crate) fn held(id: &str, name: &str, more: Value) -> Value {
    let mut control = json!({ "external-id": id, "name": name, "actual-name": name, "kind": "role", "action": "grant",
        "description": marked(&Remark::new("").expect("empty"), &master(), name).as_str(), "internalizable": true });
    more.as_object().expect("fields").iter().for_each(|(key, value)| control[key] = value.clone());
    control
}

/// What is wanted of the control with that id, which is at first as the target has it.
pub(crate) fn wanted(held: &Value, last: Option<&Value>, change: Value) -> Desired {
    let mut control = held.clone();
    control["description"] = "".into();
    change.as_object().expect("fields").iter().for_each(|(key, value)| control[key] = value.clone());
    record(json!({ "id": held["name"], "external-id": held["external-id"], "control": control, "applied": last }))
}

pub(crate) fn on(kind: &str, path: &[&str], names: &[&str]) -> Value {
    let used: Vec<Value> = names.iter().map(|name| json!({ "name": name })).collect();
    json!({ "object": { "kind": kind, "path": path }, "permissions": used })
}

/// A whole read of these access controls.
pub(crate) fn read(controls: &[Value], description: &Description) -> AccessControls {
    let controls: Vec<AccessControl> = controls.iter().cloned().map(record).collect();
    let page = AccessPage { access_controls: controls, parts: Vec::new() };
    let (mut reading, mut access) = (Reading::default(), AccessReading::default());
    access.take(&mut reading, &page, description, |_| true).expect("fits the description");
    access.keep(page);
    access.finish()
}

pub(crate) struct Case {
    pub(crate) desired: Vec<Desired>,
    pub(crate) actual: Vec<Value>,
    pub(crate) unread: Unread,
    pub(crate) drift: Drift,
    pub(crate) protected: Protected,
    pub(crate) description: Description,
}

impl Case {
    pub(crate) fn new(desired: Vec<Desired>, actual: &[&Value]) -> Self {
        let actual = actual.iter().map(|control| (*control).clone()).collect();
        Self {
            desired,
            actual,
            unread: Unread::nothing(),
            drift: Drift::Report,
            protected: Protected::default(),
            description: description(),
        }
    }

    pub(crate) fn decide(&self) -> Decision {
        let actual = read(&self.actual, &self.description);
        decide(&Situation {
            desired: &self.desired,
            actual: &actual,
            description: &self.description,
            unread: &self.unread,
            drift: self.drift,
            master: &master(),
            protected: &self.protected,
            names: &Names::default(),
        })
    }

    /// What is to be done, a line for each fact.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.decide().sets.iter().flat_map(|set| set.changes.iter().flat_map(Change::lines)).collect()
    }
}
