//! The expansion of core over what the cloud exports: so that an answer can be asked for with a rule taken away.

use std::collections::HashMap;

use raito_core::expansion::{Builder, Snapshot};
use raito_core::record::{
    AccessControl, Action, DataObject, Description, Member, ObjectRef, PermissionUse, Standing, User,
};
use raito_core::text::ExternalId;
use serde_json::{Value, json};

/// The lines of an export, as records.
pub struct Exported {
    lines: Vec<Value>,
    /// The description of the only source.
    pub description: Value,
}

fn parsed(text: &Value) -> Value {
    text.as_str().map_or(Value::Null, |text| serde_json::from_str(text).expect("JSON in a column"))
}

fn record<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{error}: {value}"))
}

fn flag(value: &Value) -> bool {
    value == 1
}

fn drop_nulls(mut value: Value) -> Value {
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, field| !field.is_null());
    }
    value
}

impl Exported {
    pub fn new(lines: Vec<Value>) -> Self {
        let source = lines.iter().find(|line| line[0] == "source").expect("a source");
        Self { description: source[3].clone(), lines }
    }

    fn of(&self, table: &str) -> impl Iterator<Item = &Value> {
        self.lines.iter().filter(move |line| line[0] == table)
    }

    /// The snapshot with this description, and without the lines that `leave_out` says.
    pub fn snapshot(&self, description: &Value, leave_out: impl Fn(&Value) -> bool) -> Snapshot {
        let description: Description = record(description.clone());
        let mut builder = Builder::new(&description, 0);
        for line in self.of("users").filter(|line| !leave_out(line)) {
            builder.user(&record::<User>(json!({
                "external-id": line[2], "user-name": line[3], "display-name": line[4], "enabled": flag(&line[6]),
            })));
        }
        let mut refs: HashMap<&str, ObjectRef> = HashMap::new();
        for line in self.of("objects").filter(|line| !leave_out(line)) {
            let reference = drop_nulls(json!({ "kind": line[4], "path": parsed(&line[5]), "signature": line[6] }));
            refs.insert(line[7].as_str().expect("a key"), record(reference.clone()));
            let object = drop_nulls(json!({
                "external-id": line[2], "name": line[3], "ref": reference, "description": "",
                "parent-external-id": line[10], "reads": parsed(&line[12]), "rights": line[13],
            }));
            builder.object(&record::<DataObject>(object)).expect("described");
        }
        let mut controls: HashMap<&str, (ExternalId, Action)> = HashMap::new();
        for line in self.of("access_controls").filter(|line| !leave_out(line)) {
            let control: AccessControl = record(drop_nulls(json!({
                "external-id": line[2], "name": line[3], "actual-name": line[4], "kind": line[5], "description": "",
                "action": line[7], "policy": parsed(&line[9]), "internalizable": false,
            })));
            builder.control(&control).expect("described");
            controls.insert(line[1].as_str().expect("a key"), (control.external_id, control.action));
        }
        self.held(&mut builder, &controls, &refs, leave_out);
        builder.finish()
    }

    fn held(
        &self,
        builder: &mut Builder,
        controls: &HashMap<&str, (ExternalId, Action)>,
        refs: &HashMap<&str, ObjectRef>,
        leave_out: impl Fn(&Value) -> bool,
    ) {
        for line in self.of("members").filter(|line| !leave_out(line)) {
            let Some((control, action)) = controls.get(line[1].as_str().expect("a key")) else { continue };
            let member: Member = record(drop_nulls(json!({
                "kind": line[3], "id": line[4], "inherits": flag(&line[5]), "assumable": flag(&line[6]),
                "may-pass-on": flag(&line[7]), "granted-by": line[8], "expires-ms": line[9],
            })));
            builder.held(control, *action, &[member], &[], &[]).expect("described");
        }
        for line in self.of("facts").filter(|line| !leave_out(line)) {
            let Some((control, action)) = controls.get(line[1].as_str().expect("a key")) else { continue };
            let Some(object) = refs.get(line[3].as_str().expect("a key")) else { continue };
            let used: PermissionUse = record(json!({ "name": line[4], "may-pass-on": flag(&line[5]) }));
            let id = builder.control_id(control);
            // A permission whose description was taken away is no fact any more.
            let _ = builder.fact(id, *action, object, &used.name, None, used.may_pass_on);
        }
        for line in self.of("standings").filter(|line| !leave_out(line)) {
            let Some((control, action)) = controls.get(line[1].as_str().expect("a key")) else { continue };
            let Some(under) = refs.get(line[3].as_str().expect("a key")) else { continue };
            let standing: Standing = record(drop_nulls(json!({
                "under": under, "kind": line[4], "creator": line[5],
                "permissions": [{ "name": line[6], "may-pass-on": flag(&line[7]) }],
            })));
            builder.held(control, *action, &[], &[], &[standing]).expect("described");
        }
    }
}
