//! Step 4: change-sets as statements, one transaction for each place that they are about.

use std::collections::HashMap;

use raito_sdk::access::{Member, PermissionUse, Standing, What};
use raito_sdk::access_to_target::{Applied, Change, ChangeSet};
use raito_sdk::types::{self, Value};
use raito_sdk::{Call, Context, Fault, FaultKind, fault, sql};

use crate::cluster::{Cluster, places};
use crate::dependents::{Dependents, Taken};
use crate::keyset::{Keyset, Listing, MAIN};
use crate::rules;

/// The version from which a membership has options of its own, and a grantor that can be named (release notes of 16).
const WITH_OPTIONS: i64 = 160_000;

/// What all change-sets of a step share.
pub(crate) struct Carrier {
    /// The database that statements about the cluster are sent to; none where there is only one.
    cluster: Option<String>,
    /// Names of roles by oid.
    names: HashMap<String, String>,
    /// The granted databases; none where there is only one.
    places: Vec<String>,
    with_options: bool,
}

/// The statements of one place, in their order.
#[derive(Debug)]
struct Batch {
    /// The database; none for what is about the cluster.
    at: Option<String>,
    calls: Vec<types::Call>,
    /// The first change that these statements belong to.
    first: usize,
}

impl Carrier {
    /// Reads how roles are called. One that is only created by these changes has no oid yet, and members name it by its id at
    /// the host.
    pub(crate) fn new(context: &Context, changes: &[ChangeSet]) -> Result<Self, Fault> {
        let (database, scope) = Cluster::any(context)?;
        let mut list = Keyset::new(Listing::of_cluster("role-names"), database.at.clone(), &scope);
        let (mut names, mut version) = (HashMap::new(), 0);
        while let Some(mut row) = list.next_row()? {
            version = row.integer(2).unwrap_or_default();
            names.insert(row.text(0), row.text(1));
        }
        let creates = |set: &&ChangeSet| set.changes.iter().any(|change| matches!(change, Change::Create(_)));
        for set in changes.iter().filter(creates) {
            names.entry(set.id.clone()).or_insert_with(|| set.actual_name.clone());
        }
        let places = places(context).into_iter().flatten().collect();
        Ok(Self { cluster: database.at, names, places, with_options: version >= WITH_OPTIONS })
    }

    /// Carries out change-sets in their order.
    pub(crate) fn apply_all(&self, sets: &[ChangeSet]) -> Vec<Applied> {
        let mut all: Vec<Applied> = Vec::with_capacity(sets.len());
        let mut dependents =
            Dependents::new(sets.iter().filter_map(dropped).map(|(_, role)| role), &self.places, self.with_options);
        for set in sets {
            let went_well = sets.iter().zip(&all).filter(|(_, applied)| applied.fault.is_none()).map(|(set, _)| set);
            let can_go = match dropped(set) {
                Some((id, role)) => dependents.check(role, &Taken::by(set, id, went_well)),
                None => Ok(()),
            };
            let applied = self.apply(set, can_go);
            all.push(applied);
        }
        all
    }

    /// Carries out one change-set. Where a transaction fails, the ones before it stay, and the host learns how many changes
    /// they were. `can_go` says whether its role can be dropped in the end: where it cannot, nothing is begun.
    fn apply(&self, set: &ChangeSet, can_go: Result<(), Fault>) -> Applied {
        let mut applied = Applied {
            external_id: set.external_id.clone(),
            actual_name: renamed(set).unwrap_or_else(|| set.actual_name.clone()),
            done: 0,
            fault: None,
            warnings: vec![],
        };
        let batches = match can_go.and_then(|()| self.batches(set)) {
            Ok(batches) => batches,
            Err(fault) => return Applied { fault: Some(fault), ..applied },
        };
        let total = set.changes.len();
        for (at, batch) in batches.iter().enumerate() {
            if let Err(fault) = sql::execute(&batch.calls) {
                applied.fault = Some(fault);
                break;
            }
            // A change is done when all of its statements are, wherever they are sent.
            let done = batches[at + 1..].iter().map(|later| later.first).min().unwrap_or(total);
            applied.done = u32::try_from(done).unwrap_or(u32::MAX);
        }
        applied
    }

    /// What is about the cluster comes first, then each database. A role is dropped with the last statements about it, in one
    /// transaction: where it cannot be dropped after all, they do not take effect either.
    fn batches(&self, set: &ChangeSet) -> Result<Vec<Batch>, Fault> {
        let mut batches: Vec<Batch> = Vec::new();
        let mut name = set.actual_name.clone();
        for (at, change) in set.changes.iter().enumerate() {
            for (place, call) in self.calls(set, &name, change)? {
                let place = match (change, batches.last()) {
                    (Change::Delete, Some(last)) if place.is_none() => last.at.clone(),
                    _ => place,
                };
                let call = match place.as_ref().or(self.cluster.as_ref()) {
                    Some(at) => call.at(at).build(),
                    None => call.build(),
                };
                match batches.iter_mut().find(|batch| batch.at == place) {
                    Some(batch) => batch.calls.push(call),
                    None => batches.push(Batch { at: place, calls: vec![call], first: at }),
                }
            }
            if let Change::Rename(to) = change {
                name.clone_from(to);
            }
        }
        Ok(batches)
    }

    /// The calls of one change, each with the database that it is about.
    fn calls(&self, set: &ChangeSet, name: &str, change: &Change) -> Result<Vec<(Option<String>, Call)>, Fault> {
        if set.kind == "row-policy" {
            return rules::calls(set, name, change, |id| self.named(id));
        }
        let of = |entry: &str| Call::new(MAIN, entry).value("r", role(name));
        let one = |call: Call| Ok(vec![(None, call)]);
        match change {
            Change::Create(control) if control.kind == "role" => {
                Ok(vec![(None, of("create-role")), (None, of("describe-created").text("d", set.description.as_str()))])
            }
            Change::Rename(to) => one(of("rename-role").value("n", role(to))),
            Change::Describe(text) => one(of("describe-role").text("d", text.as_str())),
            Change::Delete => one(of("drop-role")),
            Change::AddMembers(members) => members.iter().map(|member| self.admit(of, member, "admit")).collect(),
            Change::SetMemberOptions(members) => {
                members.iter().map(|member| self.admit(of, member, "admit-otherwise")).collect()
            }
            Change::RemoveMembers(members) => members.iter().map(|member| self.remove(of, member)).collect(),
            Change::Grant(facts) => {
                facts.iter().map(|what| on_object(of, "grant", what)).collect::<Result<Vec<_>, _>>().map(flat)
            }
            Change::Revoke(facts) => {
                facts.iter().map(|what| on_object(of, "revoke", what)).collect::<Result<Vec<_>, _>>().map(flat)
            }
            Change::RevokePassOn(facts) => {
                facts.iter().map(|what| on_object(of, "keep", what)).collect::<Result<Vec<_>, _>>().map(flat)
            }
            Change::GrantStanding(list) => self.later(of, "grant-later", list),
            Change::RevokeStanding(list) => self.later(of, "revoke-later", list),
            _ => Err(fault(FaultKind::Internal, "PostgreSQL has no such change")),
        }
    }

    fn named(&self, id: &str) -> Result<&String, Fault> {
        self.names
            .get(id)
            .ok_or_else(|| fault(FaultKind::Conflict, format!("there is no role with the oid {id} any more")))
    }

    fn admit(&self, of: impl Fn(&str) -> Call, member: &Member, entry: &str) -> Result<(Option<String>, Call), Fault> {
        let name = role(self.named(&member.id)?);
        let flag = |set: bool| Value::Keywords(vec![if set { "TRUE" } else { "FALSE" }.to_owned()]);
        if self.with_options {
            let call = match member.granted_by.as_ref().filter(|_| entry == "admit-otherwise") {
                // What he has from somebody is changed in his name; without one, it would be another grant beside it.
                Some(grantor) => of(&format!("{entry}-granted-by")).value("g", role(self.named(grantor)?)),
                None => of(entry),
            };
            let call = call.value("m", name).value("a", flag(member.may_pass_on));
            return Ok((None, call.value("i", flag(member.inherits)).value("s", flag(member.assumable))));
        }
        if !member.inherits || !member.assumable {
            let message =
                "until PostgreSQL 15 every member can switch, and whether he inherits is his own role's property";
            return Err(fault(FaultKind::InvalidSetting, format!("{message}: want both inherits and assumable")));
        }
        let with = Value::Keywords(vec!["WITH ADMIN OPTION".to_owned()]);
        Ok((
            None,
            match (entry, member.may_pass_on) {
                ("admit", true) => of("admit-before-16").value("m", name).value("a", with),
                ("admit", false) => of("admit-before-16").value("m", name),
                (_, true) => of("let-admit-before-16").value("m", name).value("a", with),
                (_, false) => of("let-not-admit-before-16").value("m", name),
            },
        ))
    }

    fn remove(&self, of: impl Fn(&str) -> Call, member: &Member) -> Result<(Option<String>, Call), Fault> {
        let name = role(self.named(&member.id)?);
        Ok((
            None,
            match member.granted_by.as_ref().filter(|_| self.with_options) {
                Some(grantor) => of("remove-granted-by").value("m", name).value("g", role(self.named(grantor)?)),
                None => of("remove").value("m", name),
            },
        ))
    }

    /// Default privileges: one statement for each creator, place and kind.
    fn later(
        &self,
        of: impl Fn(&str) -> Call,
        verb: &str,
        list: &[Standing],
    ) -> Result<Vec<(Option<String>, Call)>, Fault> {
        let mut calls = Vec::new();
        for standing in list {
            // One statement is about all relations, so those that are no tables come with it.
            let kind = match standing.kind.as_str() {
                "table" => "TABLES",
                "sequence" => "SEQUENCES",
                "function" => "FUNCTIONS",
                "schema" => "SCHEMAS",
                _ => continue,
            };
            let creator = standing.creator.as_ref().ok_or_else(|| {
                fault(
                    FaultKind::InvalidSetting,
                    "default privileges are of one creator: name one in the standing grant",
                )
            })?;
            let (database, schema) = match standing.under.path.as_slice() {
                [database] => (database, None),
                [database, schema] => (database, Some(schema)),
                _ => {
                    return Err(fault(
                        FaultKind::InvalidSetting,
                        "default privileges stand below a database or a schema",
                    ));
                }
            };
            let place = if schema.is_some() { "in-schema" } else { "anywhere" };
            for (pass_on, words) in by_option(&standing.permissions) {
                let mut call = of(&format!("{verb}-{place}")).value("c", role(self.named(creator)?));
                if let Some(schema) = schema {
                    call = call.value("o", Value::Name(vec![schema.clone()]));
                }
                call = call.value("p", Value::Keywords(words)).value("k", Value::Keywords(vec![kind.to_owned()]));
                calls.push((Some(database.clone()), with_grant_option(call, verb == "grant-later" && pass_on)));
            }
        }
        Ok(calls)
    }
}

fn role(name: &str) -> Value {
    Value::Name(vec![name.to_owned()])
}

/// The role that a change-set drops, by its external id and oid. What a policy is called by is no oid, and nothing depends on it.
fn dropped(set: &ChangeSet) -> Option<(&str, i64)> {
    let id =
        set.external_id.as_deref().filter(|_| set.changes.iter().any(|change| matches!(change, Change::Delete)))?;
    Some((id, id.parse().ok()?))
}

fn renamed(set: &ChangeSet) -> Option<String> {
    set.changes.iter().find_map(|change| match change {
        Change::Rename(to) => Some(to.clone()),
        _ => None,
    })
}

fn flat(lists: Vec<Vec<(Option<String>, Call)>>) -> Vec<(Option<String>, Call)> {
    lists.into_iter().flatten().collect()
}

/// Permissions by whether they may be granted on, each list of words once.
fn by_option(permissions: &[PermissionUse]) -> Vec<(bool, Vec<String>)> {
    [false, true]
        .into_iter()
        .map(|option| {
            let mut words: Vec<String> =
                permissions.iter().filter(|used| used.may_pass_on == option).map(|used| used.name.clone()).collect();
            words.dedup();
            (option, words)
        })
        .filter(|(_, words)| !words.is_empty())
        .collect()
}

fn with_grant_option(call: Call, pass_on: bool) -> Call {
    if pass_on { call.value("on", Value::Keywords(vec!["WITH GRANT OPTION".to_owned()])) } else { call }
}

/// The statements about one object. What is taken is taken from one grantor at a time, in whose name the host acts.
fn on_object(of: impl Fn(&str) -> Call, verb: &str, what: &What) -> Result<Vec<(Option<String>, Call)>, Fault> {
    let path = what.object.path.as_slice();
    let (class, name): (&str, &[String]) = match (what.object.kind.as_str(), path) {
        ("database", [_]) => ("database", path),
        ("schema", [_, schema @ ..]) => ("schema", schema),
        ("table" | "view" | "materialized-view" | "foreign-table", [_, name @ ..]) => ("table", name),
        ("sequence", [_, name @ ..]) => ("sequence", name),
        ("function", [_, name @ ..]) => ("function", name),
        ("procedure", [_, name @ ..]) => ("procedure", name),
        ("column", [_, table @ .., _]) => ("column", table),
        (kind, _) => return Err(fault(FaultKind::InvalidSetting, format!("nothing can be granted on a {kind}"))),
    };
    let database = path.first().cloned();
    let mut calls = Vec::new();
    let mut grantors: Vec<Option<&String>> = what.permissions.iter().map(|used| used.granted_by.as_ref()).collect();
    grantors.sort();
    grantors.dedup();
    for grantor in grantors {
        let of_grantor: Vec<PermissionUse> =
            what.permissions.iter().filter(|used| used.granted_by.as_ref() == grantor).cloned().collect();
        for (pass_on, words) in by_option(&of_grantor) {
            let pass_on = verb == "grant" && pass_on;
            // A column's privileges are named one by one, each with its columns.
            let each: Vec<Vec<String>> =
                if class == "column" { words.into_iter().map(|word| vec![word]).collect() } else { vec![words] };
            for words in each {
                let mut call = of(&format!("{verb}-{class}")).value("p", Value::Keywords(words));
                call = call.value("o", Value::Name(name.to_vec()));
                if let (true, Some(column)) = (class == "column", path.last()) {
                    call = call.value("c", Value::Names(vec![vec![column.clone()]]));
                }
                calls.push((database.clone(), with_grant_option(call, pass_on)));
            }
        }
    }
    Ok(calls)
}

#[cfg(test)]
mod tests {
    use raito_sdk::ObjectRef;
    use raito_sdk::access::MemberKind;

    use super::*;
    use crate::names::object_ref;

    fn carrier(with_options: bool) -> Carrier {
        let names = [("7", "alice"), ("8", "owner")].map(|(oid, name)| (oid.to_owned(), name.to_owned()));
        Carrier { cluster: Some("shop".into()), names: names.into(), places: vec![], with_options }
    }

    fn used(name: &str, may_pass_on: bool) -> PermissionUse {
        PermissionUse { name: name.into(), may_pass_on, granted_by: None }
    }

    fn set(changes: Vec<Change>) -> ChangeSet {
        ChangeSet {
            id: "1".into(),
            external_id: Some("9".into()),
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

    fn what(object: ObjectRef, permissions: Vec<PermissionUse>) -> What {
        What { object, permissions, condition: None }
    }

    fn entries(batches: &[Batch]) -> Vec<(Option<&str>, Vec<&str>)> {
        batches
            .iter()
            .map(|batch| (batch.at.as_deref(), batch.calls.iter().map(|call| call.entry.as_str()).collect()))
            .collect()
    }

    #[test]
    fn each_place_has_one_transaction_and_a_role_is_dropped_with_the_last() {
        let table = what(object_ref("table", &["shop", "sales", "orders"]), vec![used("SELECT", false)]);
        let other = what(object_ref("schema", &["crm", "public"]), vec![used("USAGE", true)]);
        let set = set(vec![Change::Revoke(vec![table, other]), Change::Delete]);
        let batches = carrier(true).batches(&set).expect("statements");
        assert_eq!(
            entries(&batches),
            [(Some("shop"), vec!["revoke-table"]), (Some("crm"), vec!["revoke-schema", "drop-role"])]
        );
        assert_eq!(batches[1].calls[1].at.as_deref(), Some("crm"), "the cluster is reached through any database");
        assert_eq!(batches[1].first, 0, "nothing is revoked whole before the last transaction");
    }

    #[test]
    fn a_role_that_holds_nothing_is_dropped_alone() {
        let batches = carrier(true).batches(&set(vec![Change::Delete])).expect("statements");
        assert_eq!(entries(&batches), [(None, vec!["drop-role"])]);
        assert_eq!(batches[0].calls[0].at.as_deref(), Some("shop"));
    }

    #[test]
    fn a_membership_has_options_from_16_on() {
        let member = Member {
            kind: MemberKind::User,
            id: "7".into(),
            inherits: true,
            assumable: true,
            may_pass_on: false,
            granted_by: Some("8".into()),
            expires_ms: None,
        };
        let changes =
            || set(vec![Change::AddMembers(vec![member.clone()]), Change::RemoveMembers(vec![member.clone()])]);
        let now = carrier(true).batches(&changes()).expect("statements");
        assert_eq!(entries(&now), [(None, vec!["admit", "remove-granted-by"])]);
        let before = carrier(false).batches(&changes()).expect("statements");
        assert_eq!(entries(&before), [(None, vec!["admit-before-16", "remove"])]);
        let otherwise = |granted_by: Option<&str>| {
            let member = Member { granted_by: granted_by.map(str::to_owned), ..member.clone() };
            set(vec![Change::SetMemberOptions(vec![member])])
        };
        let by_whom = carrier(true).batches(&otherwise(Some("8"))).expect("statements");
        assert_eq!(entries(&by_whom), [(None, vec!["admit-otherwise-granted-by"])]);
        assert!(matches!(&by_whom[0].calls[0].arguments[1].value, Value::Name(path) if path == &["owner"]));
        assert_eq!(entries(&carrier(true).batches(&otherwise(None)).expect("statements"))[0].1, ["admit-otherwise"]);
        let before = carrier(false).batches(&otherwise(Some("8"))).expect("statements");
        assert_eq!(entries(&before), [(None, vec!["let-not-admit-before-16"])]);
        let gone = Member { id: "99".into(), ..member };
        assert!(carrier(true).batches(&set(vec![Change::AddMembers(vec![gone])])).is_err());
    }

    #[test]
    fn columns_are_granted_by_name_and_options_apart() {
        let column = object_ref("column", &["shop", "sales", "orders", "region"]);
        let set = set(vec![Change::Grant(vec![what(column, vec![used("SELECT", false), used("UPDATE", true)])])]);
        let batches = carrier(true).batches(&set).expect("statements");
        assert_eq!(entries(&batches), [(Some("shop"), vec!["grant-column", "grant-column"])]);
        let named: Vec<&str> = batches[0].calls[1].arguments.iter().map(|argument| argument.name.as_str()).collect();
        assert_eq!(named, ["r", "p", "o", "c", "on"]);
    }
}
