//! Groups as members where a target takes their users: for any groups, whoever is in one has what it is to have, and whatever
//! was not read of them takes nothing from anybody.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use raito_core::decide::Decision;
use raito_core::exchange::Desired;
use raito_core::grant::Drift;
use raito_core::groups::Groups;
use raito_core::members::{resolve_groups, resolve_users};
use raito_core::record::{Change, Description, IdentityPage, MemberKind, User};
use serde_json::{Value, json};

use crate::case::{Case, description, held, on, record};

const USERS: usize = 5;
const GROUPS: usize = 5;
const NOW_MS: u64 = 1_000;

/// A step 1, as numbers: who is told, and who is in which group.
#[derive(Debug, Clone)]
struct Directory {
    /// Whether each user is told, and whether he can log in.
    users: Vec<(bool, bool)>,
    /// Whether each group is told, and whether all who are in it are.
    groups: Vec<(bool, bool)>,
    /// Users and groups in groups, each with the end of its time; numbers beyond the users are groups.
    members: Vec<(usize, usize, Option<u64>)>,
    has_gaps: bool,
}

fn directory() -> impl Strategy<Value = Directory> {
    let often = || prop::bool::weighted(0.93);
    let end = prop::sample::select(vec![None, None, None, Some(NOW_MS - 1), Some(NOW_MS), Some(NOW_MS + 1)]);
    (
        prop::collection::vec((often(), any::<bool>()), USERS),
        prop::collection::vec((often(), often()), GROUPS),
        prop::collection::vec((0..GROUPS, 0..USERS + GROUPS, end), 0..14),
        prop::bool::weighted(0.1),
    )
        .prop_map(|(users, groups, members, has_gaps)| Directory { users, groups, members, has_gaps })
}

impl Directory {
    /// As a connector tells it: memberships before the groups that they are of.
    fn groups(&self) -> Groups {
        let users = self.users.iter().enumerate().filter(|(_, (told, _))| *told).map(|(at, (_, enabled))| {
            json!({ "external-id": format!("u{at}"), "user-name": format!("n{at}"), "display-name": "", "enabled": enabled })
        });
        let told = self.groups.iter().enumerate().filter(|(_, (told, _))| *told).map(|(at, (_, whole))| {
            json!({ "external-id": format!("g{at}"), "name": "g", "display-name": "g", "description": "", "incomplete": !whole })
        });
        let membership = |(group, member, end): &(usize, usize, Option<u64>)| {
            let mut of = json!({ "group-external-id": format!("g{group}"), "member": member_of(*member) });
            end.iter().for_each(|end| of["member"]["expires-ms"] = (*end).into());
            of
        };
        let memberships: Vec<Value> = self.members.iter().map(membership).collect();
        let mut groups = Groups::default();
        let page = |users: Vec<Value>, told: Vec<Value>, memberships: Vec<Value>| IdentityPage {
            users: users.into_iter().map(record).collect(),
            groups: told.into_iter().map(record).collect(),
            memberships: memberships.into_iter().map(record).collect(),
        };
        groups.take(&page(vec![], vec![], memberships), NOW_MS);
        groups.take(&page(users.collect(), told.collect(), vec![]), NOW_MS);
        if self.has_gaps {
            groups.miss();
        }
        groups
    }

    /// Which groups can be reached from each, found by joining ways until there are no more.
    fn reached(&self) -> Vec<Vec<bool>> {
        let lasts = |end: &Option<u64>| end.is_none_or(|end| end > NOW_MS);
        let direct = |from: usize, to: usize| {
            let is_way = |(group, member, end): &(usize, usize, Option<u64>)| {
                *group == from && *member == USERS + to && lasts(end)
            };
            self.groups[from].0 && self.members.iter().any(is_way)
        };
        let mut reached: Vec<Vec<bool>> =
            (0..GROUPS).map(|from| (0..GROUPS).map(|to| from == to || direct(from, to)).collect()).collect();
        for by in 0..GROUPS {
            for from in 0..GROUPS {
                for to in 0..GROUPS {
                    reached[from][to] |= reached[from][by] && reached[by][to];
                }
            }
        }
        reached
    }

    /// Who is in a group, and whether these are all.
    fn within(&self, group: usize) -> (BTreeSet<usize>, bool) {
        let reached = &self.reached()[group];
        let lasts = |end: &Option<u64>| end.is_none_or(|end| end > NOW_MS);
        // Nobody knows who is in a group that was not told, even where some memberships of it were.
        let open = |group: &usize| reached[*group] && self.groups[*group].0;
        let inside: BTreeSet<usize> = self
            .members
            .iter()
            .filter(|(group, member, end)| open(group) && *member < USERS && lasts(end))
            .map(|(_, member, _)| *member)
            .collect();
        let all_told = inside.iter().all(|user| self.users[*user].0);
        let all_whole = (0..GROUPS).filter(|at| reached[*at]).all(|at| self.groups[at] == (true, true));
        let known = inside.into_iter().filter(|user| self.users[*user].0).collect();
        (known, !self.has_gaps && all_told && all_whole)
    }
}

fn member_of(number: usize) -> Value {
    let (kind, id) =
        if number < USERS { ("user", format!("u{number}")) } else { ("group", format!("g{}", number - USERS)) };
    json!({ "kind": kind, "id": id, "inherits": true })
}

/// A target whose kinds take users and no groups, though they may have some.
fn without_groups(admits: &[&str]) -> Description {
    let mut description = serde_json::to_value(description()).expect("JSON");
    for control in description["controls"].as_array_mut().expect("kinds") {
        control["admits"] = json!(admits);
        control["members"] = json!(["user", "group", "access-control"]);
    }
    record(description)
}

/// Something about an access control of a kind, as the target, the cloud, or the state after the last change has it.
fn control(kind: &str, who: &[usize]) -> Value {
    let who: Vec<Value> = who.iter().map(|number| member_of(*number)).collect();
    let mut control = held("1", "r", json!({ "kind": kind, "who": who }));
    if kind != "role" {
        control["what"] = json!([on("table", &["s", "t"], &["SELECT"])]);
        control["description"] = "".into();
    }
    control
}

/// The decision about it, where the user `u0` may be one who is never touched.
fn decided(kind: &str, directory: &Directory, untouched: bool, [now, last, wish]: [&[usize]; 3]) -> Decision {
    let held = control(kind, now);
    let mut desired: Desired = record(json!({ "id": "r", "external-id": (kind == "role").then_some("1"),
        "control": control(kind, wish), "applied": control(kind, last) }));
    desired.control.description = record("".into());
    let actual = if now.is_empty() && kind != "role" { vec![] } else { vec![&held] };
    let mut case = Case::new(vec![desired], &actual);
    case.description = without_groups(&["user"]);
    case.drift = Drift::Revert;
    let names = untouched.then(|| "n0".to_owned()).into_iter().collect();
    case.protected.users = untouched.then(|| record("u0".into())).into_iter().collect();
    case.unread.controls = resolve_groups(&mut case.desired, &directory.groups(), &case.description, &names);
    case.decide()
}

/// Who has it when the changes are carried out.
fn after(decision: &Decision, now: &[usize]) -> BTreeSet<usize> {
    let mut who: BTreeSet<usize> = now.iter().copied().collect();
    let number = |kind: MemberKind, id: &str| {
        assert_eq!(kind, MemberKind::User, "{id}");
        id[1..].parse::<usize>().expect("a number")
    };
    for change in decision.sets.iter().flat_map(|set| &set.changes) {
        match change {
            Change::AddMembers(list) => who.extend(list.iter().map(|member| number(member.kind, member.id.as_str()))),
            Change::RemoveMembers(list) => {
                let gone = list.iter().map(|member| number(member.kind, member.id.as_str()));
                gone.for_each(|user| assert!(who.remove(&user), "{user} was there"));
            }
            Change::AddEntries(list) => {
                who.extend(list.iter().map(|entry| number(entry.member.kind, entry.member.id.as_str())));
            }
            Change::RemoveEntries(list) => {
                let gone = list.iter().map(|entry| number(entry.member.kind, entry.member.id.as_str()));
                gone.for_each(|user| assert!(who.remove(&user), "{user} was there"));
            }
            other => panic!("nothing of it was wished: {other:?}"),
        }
    }
    who
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whoever_is_in_a_group_has_it_and_what_was_not_read_takes_nothing(
        directory in directory(),
        is_list in any::<bool>(),
        untouched in any::<bool>(),
        now in prop::collection::btree_set(0..USERS, 0..USERS),
        last in prop::collection::btree_set(0..USERS, 0..USERS),
        wish in prop::collection::btree_set(0..USERS + GROUPS, 1..4),
    ) {
        let [now, last, wish]: [Vec<usize>; 3] = [now, last, wish].map(|set| set.into_iter().collect());
        // That one who is never touched is not given anything himself is tested elsewhere.
        let is_untouched = |user: &usize| untouched && *user == 0;
        prop_assume!(!wish.iter().any(is_untouched));
        let kind = if is_list { "list" } else { "role" };
        let decision = decided(kind, &directory, untouched, [&now, &last, &wish]);
        let groups: Vec<usize> = wish.iter().filter(|number| **number >= USERS).map(|number| number - USERS).collect();
        let after = after(&decision, &now);
        let was: BTreeSet<usize> = now.iter().copied().collect();
        if groups.iter().any(|group| !directory.groups[*group].0) {
            prop_assert!(decision.refused.len() == 1 && decision.refused[0].1.contains("told of no such group"), "{decision:?}");
            prop_assert_eq!(after, was);
            return Ok(());
        }
        let found: Vec<(BTreeSet<usize>, bool)> = groups.iter().map(|group| directory.within(*group)).collect();
        let direct = wish.iter().copied().filter(|number| *number < USERS);
        let by_group = found.iter().flat_map(|(users, _)| users.iter().copied()).filter(|user| !is_untouched(user));
        let wanted: BTreeSet<usize> = direct.chain(by_group).collect();
        prop_assert!(decision.refused.is_empty(), "{decision:?}");
        if found.iter().all(|(_, is_whole)| *is_whole) {
            // On a list, a line of somebody else stays.
            let others = was.iter().copied().filter(|user| is_untouched(user) || (is_list && !last.contains(user)));
            prop_assert_eq!(after, wanted.iter().copied().chain(others).collect());
        } else {
            let new = wanted.iter().copied().filter(|user| !last.contains(user));
            prop_assert_eq!(after, was.iter().copied().chain(new).collect());
            prop_assert!(decision.in_sync.is_empty() && decision.drift.is_empty(), "{decision:?}");
        }
    }
}

/// `g0` has `g1`, which has `u0` and is in a circle with `g0`; of `g2` not everybody is told.
fn small() -> Directory {
    let mut groups = vec![(true, true); GROUPS];
    groups[2].1 = false;
    let members = vec![(0, USERS + 1, None), (1, USERS, None), (1, 0, None), (2, 1, None)];
    Directory { users: vec![(true, true); USERS], groups, members, has_gaps: false }
}

#[test]
fn a_user_of_a_group_is_admitted_by_way_of_his_own_role() {
    let description = without_groups(&["access-control"]);
    let own = held("r7", "own", json!({ "who": [member_of(0)] }));
    let mut desired: [Desired; 1] = [record(json!({ "id": "r", "control": control("role", &[USERS]) }))];
    let unread = resolve_groups(&mut desired, &small().groups(), &description, &BTreeSet::new());
    resolve_users(&mut desired, &crate::case::read(&[own], &description), &description);
    let who: Vec<String> =
        desired[0].control.who.iter().map(|member| format!("{} {}", member.kind.word(), member.id)).collect();
    assert_eq!((who, unread.len()), (vec!["access-control r7".to_owned()], 0));
}

#[test]
fn one_who_is_a_member_in_several_ways_has_what_any_of_them_gives() {
    let description = without_groups(&["user"]);
    let who = json!([
        { "kind": "group", "id": "g0", "inherits": false, "assumable": true, "may-pass-on": false, "expires-ms": 5_000, "granted-by": "9" },
        { "kind": "user", "id": "u0", "inherits": true, "expires-ms": 7_000 },
    ]);
    let mut wanted = control("role", &[]);
    wanted["who"] = who;
    let mut desired: [Desired; 1] = [record(json!({ "id": "r", "control": wanted }))];
    resolve_groups(&mut desired, &small().groups(), &description, &BTreeSet::new());
    let expected = json!([{ "kind": "user", "id": "u0", "inherits": true, "assumable": true, "expires-ms": 7_000 }]);
    assert_eq!(serde_json::to_value(&desired[0].control.who).expect("JSON"), expected);
}

#[test]
fn a_kind_that_admits_groups_gets_them() {
    let mut description = without_groups(&["user", "group"]);
    description.controls[0].admits.push(MemberKind::AccessControl);
    let mut desired: [Desired; 1] = [record(json!({ "id": "r", "control": control("role", &[USERS + 2]) }))];
    let unread = resolve_groups(&mut desired, &small().groups(), &description, &BTreeSet::new());
    assert_eq!((desired[0].control.who[0].kind, unread.len()), (MemberKind::Group, 0));
}

#[test]
fn a_rule_that_is_put_in_place_as_a_whole_stays_while_not_all_of_its_groups_were_read() {
    let rule = |who: &[usize], kind: &str| {
        let mut mask = control("mask", who);
        mask["action"] = "mask".into();
        mask["policy"] = json!({ "kind": kind, "enabled": true });
        mask
    };
    let decided = |now: Option<&Value>, wish: Value, group: &Directory| {
        let last = now.cloned();
        let desired: Desired = record(json!({ "id": "r", "control": wish, "applied": last }));
        let mut case = Case::new(vec![desired], &now.into_iter().collect::<Vec<_>>());
        case.description = without_groups(&["user"]);
        case.unread.controls = resolve_groups(&mut case.desired, &group.groups(), &case.description, &BTreeSet::new());
        case.decide()
    };
    let now = rule(&[3], "hide");
    let decision = decided(Some(&now), rule(&[USERS + 2], "hide"), &small());
    assert!(
        decision.sets.is_empty() && decision.refused[0].1.contains("not all of its groups were read"),
        "{decision:?}"
    );
    let who = |decision: &Decision| -> Vec<String> {
        let entries = decision.sets[0].entries.iter().flatten();
        entries.map(|entry| format!("{} {}", entry.member.kind.word(), entry.member.id)).collect()
    };
    // One that is not there yet takes nothing from anybody, and one whose groups are known is put in place.
    assert_eq!(who(&decided(None, rule(&[USERS + 2], "hide"), &small())), ["user u1"]);
    assert_eq!(who(&decided(Some(&now), rule(&[USERS], "hide"), &small())), ["user u0"]);
}

#[test]
fn more_than_is_kept_is_no_smaller_group() {
    let mut groups = Groups::default();
    let long = "x".repeat(1_000);
    let mut user: User = record(json!({ "external-id": "u", "user-name": "n", "display-name": "", "enabled": true }));
    let mut known: BTreeMap<bool, usize> = BTreeMap::new();
    for at in 0..140_000 {
        user.external_id = record(format!("{at}{long}").into());
        groups.take(&IdentityPage { users: vec![user.clone()], ..IdentityPage::default() }, NOW_MS);
        *known.entry(groups.too_many()).or_default() += 1;
    }
    assert!(known[&false] > 100_000 && known[&true] > 0, "{known:?}");
    let group = json!({ "external-id": "g0", "name": "g", "display-name": "g", "description": "" });
    groups.take(&IdentityPage { groups: vec![record(group)], ..IdentityPage::default() }, NOW_MS);
    assert_eq!(groups.within(&record("g0".into())), None);
}
