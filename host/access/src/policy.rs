//! Guardrails: rules that all files keep to, looked at in the files and in what would come of them.

use std::collections::BTreeMap;

use raito_core::expansion::Snapshot;
use raito_core::record::{AccessControl, Action, DataObject};
use raito_core::text::{ExternalId, Name};

use crate::document::{Entry, Guardrail, Purpose, Rule, Severity, Spot, WhoName};
use crate::evaluate::Question;
use crate::resolve::{Problem, is_own};

/// What a rule found.
struct Found {
    /// What it is about, as waivers name it.
    about: Vec<String>,
    /// Where it is said; none where no file says it, and the rule's own line stands for it.
    spot: Option<Spot>,
    message: String,
}

/// Says what breaks a rule. `controls` are the access controls as they will be, and `after` is what comes of them.
pub fn check(question: &Question<'_>, controls: &[AccessControl], after: &Snapshot) -> Vec<Problem> {
    let mut problems = Vec::new();
    for guardrail in &question.code.policy {
        let found = match &guardrail.rule {
            Rule::NoEveryone => no_everyone(question),
            Rule::NoDirectUsers => no_direct_users(question),
            Rule::OwnerRequired => owner_required(question),
            Rule::MaxExpiry(days) => max_expiry(question, *days),
            Rule::Separation(names) => separation(question, names, controls, after),
            Rule::TaggedNeedsMask(..) => tagged_needs_mask(question, &guardrail.rule, controls),
        };
        problems.extend(found.into_iter().map(|found| problem(question, guardrail, found)));
    }
    problems
}

/// What was found as a problem: one that is waived is said as a warning, with the end of the waiver.
fn problem(question: &Question<'_>, guardrail: &Guardrail, found: Found) -> Problem {
    let waiver = guardrail.waivers.iter().find(|waiver| found.about.contains(&waiver.about));
    let spot = found.spot.unwrap_or(guardrail.spot);
    let (severity, help) = match waiver {
        Some(waiver) if waiver.until_ms > question.now_ms => {
            let until = crate::time::last(waiver.until_ms);
            (Severity::Warning, Some(format!("waived until {until}: {}", waiver.reason)))
        }
        Some(waiver) => (guardrail.severity, Some(format!("its waiver ended {}", crate::time::last(waiver.until_ms)))),
        None => (guardrail.severity, None),
    };
    Problem { spot, severity, rule: guardrail.rule.word(), message: found.message, help }
}

fn entries<'q>(question: &'q Question<'_>) -> impl Iterator<Item = &'q Entry> {
    question.code.entries.iter().filter(|entry| entry.target == *question.target)
}

fn no_everyone(question: &Question<'_>) -> Vec<Found> {
    let of = |entry: &Entry| {
        let name = entry.name.clone();
        let special = |who: &&crate::document::Who| matches!(who.name, WhoName::Special(_));
        let found = move |who: &crate::document::Who| Found {
            about: vec![name.as_str().to_owned()],
            spot: Some(who.spot),
            message: format!("{name} is for {}, and nothing is to be given to everybody", who.name),
        };
        // A filter for everybody narrows, and a mask's exceptions are grants.
        let gives = !matches!(entry.purpose, Purpose::Filter(..));
        entry.who.iter().filter(special).filter(|_| gives).map(found).collect::<Vec<_>>()
    };
    entries(question).flat_map(of).collect()
}

fn no_direct_users(question: &Question<'_>) -> Vec<Found> {
    let description = &question.catalogue.description;
    let mut all = Vec::new();
    for entry in entries(question).filter(|entry| entry.purpose == Purpose::Grant && !entry.what.is_empty()) {
        let kind = entry.kind.as_ref().and_then(|kind| description.control_kind(kind));
        let is_list = kind.is_some_and(|kind| kind.identity.is_list());
        let mut on_name = question.catalogue.controls.kept().filter(|control| control.actual_name == entry.name);
        if on_name.any(is_own) {
            all.push(Found {
                about: vec![entry.name.as_str().to_owned()],
                spot: Some(entry.spot),
                message: format!("{} is a user's own, and permissions are to be given to access controls", entry.name),
            });
        }
        for who in entry.who.iter().filter(|_| is_list) {
            if let WhoName::User(name) = &who.name {
                all.push(Found {
                    about: vec![entry.name.as_str().to_owned(), name.as_str().to_owned()],
                    spot: Some(who.spot),
                    message: format!("user {name} gets permissions directly, and is to get them by way of a group"),
                });
            }
        }
    }
    all
}

fn owner_required(question: &Question<'_>) -> Vec<Found> {
    let without = entries(question).filter(|entry| entry.owner.is_none());
    let found = |entry: &Entry| Found {
        about: vec![entry.name.as_str().to_owned()],
        spot: Some(entry.spot),
        message: format!("{} has no owner", entry.name),
    };
    without.map(found).collect()
}

fn max_expiry(question: &Question<'_>, days: u32) -> Vec<Found> {
    // A day that is named counts to its end, so the last day counts whole.
    let latest = question.now_ms + (u64::from(days) + 1) * 24 * 60 * 60 * 1_000;
    let mut all = Vec::new();
    for entry in entries(question) {
        for who in &entry.who {
            let WhoName::User(name) = &who.name else { continue };
            let wrong = match who.expires_ms {
                None => Some("without an end".to_owned()),
                Some(end) if end > latest => Some(format!("until {}", crate::time::last(end))),
                Some(_) => None,
            };
            if let Some(wrong) = wrong {
                all.push(Found {
                    about: vec![entry.name.as_str().to_owned(), name.as_str().to_owned()],
                    spot: Some(who.spot),
                    message: format!("user {name} is a member {wrong}, and {days} days are allowed"),
                });
            }
        }
    }
    all
}

/// Users who have two of these access controls after the changes, by whatever way.
fn separation(question: &Question<'_>, names: &[Name], controls: &[AccessControl], after: &Snapshot) -> Vec<Found> {
    let mut held: BTreeMap<ExternalId, (Name, Vec<&Name>)> = BTreeMap::new();
    let mut unknown = Vec::new();
    for name in names {
        // A rule for rows may be called like a role, and has nobody.
        let named = |control: &&AccessControl| control.actual_name == *name && control.policy.is_none();
        let Some(control) = controls.iter().find(named) else {
            // Of several targets, another one may have it.
            if question.code.targets().len() <= 1 {
                let message = format!("there is no access control {name}, so nobody is kept from it");
                unknown.push(Found { about: vec![name.as_str().to_owned()], spot: None, message });
            }
            continue;
        };
        for user in after.users_of(&control.external_id) {
            let user = after.principal(user);
            // Whoever creates access controls for us can admit himself to all of them.
            if question.protected.users.contains(&user.external_id) {
                continue;
            }
            let of_user = held.entry(user.external_id.clone()).or_insert_with(|| (user.name.clone(), Vec::new()));
            of_user.1.push(name);
        }
    }
    let several = held.into_values().filter(|(_, names)| names.len() > 1);
    let found = |(user, names): (Name, Vec<&Name>)| {
        let shown: Vec<String> = names.iter().map(ToString::to_string).collect();
        let spot = entries(question).find(|entry| names.contains(&&entry.name)).map(|entry| entry.spot);
        Found {
            about: vec![user.as_str().to_owned()],
            spot,
            message: format!("user {user} would have {}, which are to be kept apart", shown.join(" and ")),
        }
    };
    unknown.into_iter().chain(several.map(found)).collect()
}

fn tagged_needs_mask(question: &Question<'_>, rule: &Rule, controls: &[AccessControl]) -> Vec<Found> {
    let Rule::TaggedNeedsMask(key, value) = rule else { return Vec::new() };
    let masked: std::collections::BTreeSet<_> = controls
        .iter()
        .filter(|control| {
            control.action == Action::Mask || control.policy.as_ref().is_some_and(|rule| rule.kind.is_some())
        })
        .flat_map(|control| control.what.iter().map(|what| &what.object))
        .collect();
    let is_tagged = |object: &&DataObject| {
        object.tags.iter().any(|tag| tag.key == *key && value.as_ref().is_none_or(|value| *value == tag.value))
    };
    let bare = question.catalogue.objects.iter().filter(is_tagged).filter(|object| !masked.contains(&object.object));
    let found = |object: &DataObject| Found {
        about: vec![
            object.object.to_string(),
            crate::document::ObjectName { kind: None, ..(&object.object).into() }.to_string(),
        ],
        spot: None,
        message: format!("{} is tagged {key}, and nothing masks it", object.object),
    };
    bare.map(found).collect()
}
