//! Step 4 for row-security policies: a statement says all of a rule, with all of its members.

use raito_sdk::access::{AccessEntry, MemberKind, Policy};
use raito_sdk::access_to_target::{Change, ChangeSet};
use raito_sdk::types::Value;
use raito_sdk::{Call, Fault, FaultKind, fault};

use crate::keyset::MAIN;

/// The calls of one change, with the database that they are about. `name` is what the policy is called when it is its turn.
pub(crate) fn calls<'n>(
    set: &ChangeSet,
    name: &str,
    change: &Change,
    named: impl Fn(&str) -> Result<&'n String, Fault>,
) -> Result<Vec<(Option<String>, Call)>, Fault> {
    let path = set.object.as_ref().map(|object| object.path.as_slice()).unwrap_or_default();
    let [database, table @ ..] = path else { return Err(wrong("a policy is on a table")) };
    let of = |entry: &str, placeholder: &str| {
        Call::new(MAIN, entry).value(placeholder, word(name)).value("o", Value::Name(table.to_vec()))
    };
    let calls = match change {
        Change::Create(_) => {
            let policy = set.changes.iter().find_map(|change| match change {
                Change::SetPolicy(policy) => Some(policy),
                _ => None,
            });
            let policy = policy.ok_or_else(|| wrong("a policy is created with its rule"))?;
            let (form, members) = form(policy, set, named)?;
            let kind = if policy.restrictive { "RESTRICTIVE" } else { "PERMISSIVE" };
            let command = match policy.commands.as_slice() {
                [] => "ALL",
                [one] => one.as_str(),
                _ => return Err(wrong("a policy is for one command or for all")),
            };
            let call = of(&format!("create-policy{form}"), "n").value("v", keyword(kind)).value("c", keyword(command));
            vec![to(call, members), of("describe-created-policy", "n").text("d", set.description.as_str())]
        }
        // It was said when the policy was created.
        Change::SetPolicy(_) if set.changes.iter().any(|change| matches!(change, Change::Create(_))) => vec![],
        Change::SetPolicy(policy) => {
            let (form, members) = form(policy, set, named)?;
            vec![to(of(&format!("alter-policy{form}"), "n"), members)]
        }
        Change::Rename(to) => vec![of("rename-policy", "r").value("n", word(to))],
        Change::Describe(text) => vec![of("describe-policy", "n").text("d", text.as_str())],
        Change::Delete => vec![of("drop-policy", "n")],
        _ => return Err(wrong("a policy is changed as a whole")),
    };
    Ok(calls.into_iter().map(|call| (Some(database.clone()), call)).collect())
}

/// The names of members; none for everybody.
type Names = Option<Vec<Vec<String>>>;

/// The ending of the statement for what a rule has, and its members.
fn form<'n>(
    policy: &Policy,
    set: &ChangeSet,
    named: impl Fn(&str) -> Result<&'n String, Fault>,
) -> Result<(String, Names), Fault> {
    let parts = match (&policy.text, &policy.check) {
        (Some(_), None) => "",
        (Some(_), Some(_)) => "-checked",
        (None, Some(_)) => "-written",
        (None, None) => return Err(wrong("a policy has a condition for rows that are shown or written")),
    };
    let entries: &[AccessEntry] = set.entries.as_deref().unwrap_or_default();
    let is_everybody = |entry: &AccessEntry| matches!(entry.member.kind, MemberKind::Special);
    match entries {
        [one] if is_everybody(one) => Ok((format!("{parts}-for-everybody"), None)),
        _ if entries.iter().any(is_everybody) => Err(wrong("a policy that is for everybody takes no other members")),
        _ => {
            let names = entries.iter().map(|entry| named(&entry.member.id).map(|name| vec![name.clone()]));
            Ok((parts.to_owned(), Some(names.collect::<Result<_, _>>()?)))
        }
    }
}

fn to(call: Call, members: Names) -> Call {
    match members {
        Some(names) => call.value("m", Value::Names(names)),
        None => call,
    }
}

fn word(name: &str) -> Value {
    Value::Name(vec![name.to_owned()])
}

fn keyword(word: &str) -> Value {
    Value::Keywords(vec![word.to_owned()])
}

fn wrong(message: &str) -> Fault {
    fault(FaultKind::InvalidSetting, message)
}
