//! Decisions of step 4: what is changed, what is left, and what is refused.

use raito_core::decide::{Decision, DriftKind, Protected, Situation, decide};
use raito_core::difference::Unread;
use raito_core::exchange::Desired;
use raito_core::grant::Drift;
use raito_core::marker::{Master, marked};
use raito_core::record::{AccessControl, AccessPage, Change, Description};
use raito_core::text::{ExternalId, Remark};
use raito_core::unite::{AccessControls, AccessReading, Reading};
use serde_json::{Value, json};

fn record<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{error}: {value}"))
}

fn description() -> Description {
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
        "controls": [control("role", "named"), control("list", "per-object-permission"), control("mask", "per-object")],
    }))
}

fn master() -> Master {
    "cloud:here".parse().expect("a master")
}

/// A control as the target has it, marked as ours.
fn held(id: &str, name: &str, more: Value) -> Value {
    let mut control = json!({ "external-id": id, "name": name, "actual-name": name, "kind": "role", "action": "grant",
        "description": marked(&Remark::new("").expect("empty"), &master(), name).as_str(), "internalizable": true });
    more.as_object().expect("fields").iter().for_each(|(key, value)| control[key] = value.clone());
    control
}

/// What is wanted of the control with that id, which is at first as the target has it.
fn wanted(held: &Value, last: Option<&Value>, change: Value) -> Desired {
    let mut control = held.clone();
    control["description"] = "".into();
    change.as_object().expect("fields").iter().for_each(|(key, value)| control[key] = value.clone());
    record(json!({ "id": held["name"], "external-id": held["external-id"], "control": control, "applied": last }))
}

fn on(kind: &str, path: &[&str], names: &[&str]) -> Value {
    let used: Vec<Value> = names.iter().map(|name| json!({ "name": name })).collect();
    json!({ "object": { "kind": kind, "path": path }, "permissions": used })
}

struct Case {
    desired: Vec<Desired>,
    actual: Vec<Value>,
    unread: Unread,
    drift: Drift,
    protected: Protected,
}

impl Case {
    fn new(desired: Vec<Desired>, actual: &[&Value]) -> Self {
        let actual = actual.iter().map(|control| (*control).clone()).collect();
        Self { desired, actual, unread: Unread::nothing(), drift: Drift::Report, protected: Protected::default() }
    }

    fn decide(&self) -> Decision {
        let description = description();
        let controls: Vec<AccessControl> = self.actual.iter().cloned().map(record).collect();
        let page = AccessPage { access_controls: controls, parts: Vec::new() };
        let (mut reading, mut access) = (Reading::default(), AccessReading::default());
        access.take(&mut reading, &page, &description, |_| true).expect("fits the description");
        let actual: AccessControls = access.finish();
        decide(&Situation {
            desired: &self.desired,
            actual: &actual,
            description: &description,
            unread: &self.unread,
            drift: self.drift,
            master: &master(),
            protected: &self.protected,
        })
    }

    /// What is to be done, a line for each fact.
    fn lines(&self) -> Vec<String> {
        self.decide().sets.iter().flat_map(|set| set.changes.iter().flat_map(Change::lines)).collect()
    }
}

#[test]
fn what_is_wanted_newly_is_carried_out_and_what_somebody_else_did_is_left() {
    let last = held("1", "readers", json!({ "what": [on("table", &["s", "a"], &["SELECT"])] }));
    // Somebody took SELECT and gave INSERT; meanwhile USAGE is wanted.
    let now = held("1", "readers", json!({ "what": [on("table", &["s", "a"], &["INSERT"])] }));
    let wish = json!({ "what": [on("table", &["s", "a"], &["SELECT"]), on("schema", &["s"], &["USAGE"])] });
    let mut case = Case::new(vec![wanted(&now, Some(&last), wish)], &[&now]);
    assert_eq!(case.lines(), ["grant USAGE on schema s"]);
    let kinds: Vec<DriftKind> = case.decide().drift.iter().map(|(_, item)| item.kind).collect();
    assert_eq!(kinds, [DriftKind::Revoked, DriftKind::Granted]);
    case.drift = Drift::Revert;
    assert_eq!(case.lines(), ["revoke INSERT on table s.a", "grant USAGE on schema s", "grant SELECT on table s.a"]);
}

#[test]
fn what_a_revoke_takes_along_is_granted_again_behind_it() {
    let column = on("column", &["s", "a", "id"], &["SELECT"]);
    let now = held("1", "readers", json!({ "what": [on("table", &["s", "a"], &["SELECT"]), column.clone()] }));
    let case = Case::new(vec![wanted(&now, Some(&now), json!({ "what": [column] }))], &[&now]);
    assert_eq!(case.lines(), ["revoke SELECT on table s.a", "grant SELECT on column s.a.id"]);
}

#[test]
fn a_default_is_the_sibling_of_one_for_a_like_kind_only() {
    let later = |kind: &str| json!({ "under": { "kind": "schema", "path": ["s"] }, "kind": kind, "creator": "9", "permissions": [{ "name": "SELECT" }] });
    let now = held("1", "readers", json!({ "standing": [later("table"), later("view"), later("sequence")] }));
    let last = held("1", "readers", json!({ "standing": [later("table"), later("sequence")] }));
    let case = Case::new(vec![wanted(&now, Some(&last), json!({ "standing": [later("table")] }))], &[&now]);
    assert_eq!(case.lines(), ["revoke SELECT on later objects of kind sequence below schema s"]);
}

#[test]
fn what_is_not_ours_to_change_is_refused() {
    let reasons = |case: &Case| case.decide().refused.into_iter().map(|(_, reason)| reason).collect::<Vec<_>>();
    let mut now = held("1", "readers", json!({}));
    let add = json!({ "what": [on("schema", &["s"], &["USAGE"])] });
    let mut case = Case::new(vec![wanted(&now, Some(&now), add.clone())], &[&now]);
    case.protected.controls.insert(ExternalId::new("1").expect("an id"));
    assert!(reasons(&case)[0].contains("kept from changes"));
    now["description"] = "x [raito git:other readers]".into();
    assert!(reasons(&Case::new(vec![wanted(&now, None, add.clone())], &[&now]))[0].contains("belongs to git:other"));
    let mut unmanageable = held("1", "readers", json!({}));
    unmanageable["internalizable"] = false.into();
    assert!(
        reasons(&Case::new(vec![wanted(&unmanageable, None, add)], &[&unmanageable]))[0].contains("cannot be managed")
    );
    let owner = held("1", "readers", json!({ "what": [on("table", &["s", "a"], &["OWNERSHIP"])] }));
    let mut gone = wanted(&owner, Some(&owner), json!({}));
    gone.delete = true;
    assert!(reasons(&Case::new(vec![gone.clone()], &[&owner]))[0].contains("somebody else has to own it"));
    let mut unread = Case::new(vec![gone], &[&held("1", "readers", json!({}))]);
    unread.unread.anything = true;
    assert!(reasons(&unread)[0].contains("not everything was read"));
    let renamed = wanted(&held("1", "readers", json!({})), None, json!({ "actual-name": "writers" }));
    let taken = Case::new(vec![renamed], &[&held("1", "readers", json!({})), &held("2", "writers", json!({}))]);
    assert!(reasons(&taken)[0].contains("belongs to 2"));
}

#[test]
fn locked_sides_are_as_the_target_has_them() {
    let member = |id: &str| json!({ "kind": "user", "id": id, "inherits": true });
    let now = held("1", "readers", json!({ "who": [member("a")], "what": [on("schema", &["s"], &["USAGE"])] }));
    let lock = |facet: &str| json!({ "facet": facet, "reason": "" });
    let wish = |locks: Value| json!({ "who": [member("b")], "what": [], "locks": locks });
    let lines = |locks| Case::new(vec![wanted(&now, Some(&now), wish(locks))], &[&now]).lines();
    assert_eq!(lines(json!([])).len(), 3);
    assert_eq!(lines(json!([lock("who")])), ["revoke USAGE on schema s"]);
    assert_eq!(lines(json!([lock("what")])), ["admit user b", "remove user a"]);
}

#[test]
fn a_mask_of_somebody_else_stays_whoever_once_wanted_one_there() {
    let mask = |id: &str, column: &str| {
        held(
            id,
            "mask",
            json!({ "kind": "mask", "action": "mask", "policy": { "kind": "hide", "enabled": true },
            "what": [on("column", &["s", "a", column], &["SELECT"])] }),
        )
    };
    let theirs = mask("m1", "x");
    let mut draft: Desired = record(json!({ "id": "d", "control": theirs }));
    assert!(Case::new(vec![draft.clone()], &[&theirs]).decide().refused[0].1.contains("managed elsewhere"));
    draft.delete = true;
    let decision = Case::new(vec![draft.clone()], &[&theirs]).decide();
    assert!(decision.sets.is_empty() && decision.gone.len() == 1, "{decision:?}");
    // One that moves is cleared where it was.
    let ours = mask("m1", "x");
    let moved: Desired = record(json!({ "id": "d", "control": mask("d", "y"), "applied": ours }));
    let case = Case::new(vec![moved], &[&ours]);
    assert_eq!(case.lines(), ["clear its rule", "set its rule"]);
}
