//! The last applied state in the cloud: two places that share nothing else know who moved, and do not overwrite one another.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::api::{Answer, Served, token};
use crate::changes::{Managed, managed};
use crate::support::Place;
use crate::support::raito::Outcome;

const CODE: &str = "\
version: 1
repository: corp/access
on: shop
manages: [{ kind: role, names: R_* }]
grants:
  - name: R_READERS
    who: [{ user: ann }]
    what: [{ object: shop.sales.orders, permissions: [SELECT] }]
";

const STATE: &str = "/api/v1/applied-states/shop?repository=corp/access";

/// A place that reaches the same server as another one, with a cloud elsewhere.
fn ci(managed: &Managed, cloud: &Served, token: &str, code: &str) -> Place {
    let configuration = fs::read_to_string(managed.place.path().join("raito.yml")).expect("a text");
    let url = format!("cloud: {{ url: \"http://{}\", token: {{ file: token }} }}\n", cloud.address);
    let place = Place::new(&configuration.replacen("cloud: embedded\n", &url, 1));
    place.write("token", token);
    fs::set_permissions(place.path().join("token"), fs::Permissions::from_mode(0o600)).expect("ours");
    place.write("access.yml", code);
    place
}

fn access(place: &Place, arguments: &[&str]) -> Outcome {
    place.raito(&[&["access"], arguments].concat())
}

const APPLY: [&str; 4] = ["apply", "--yes", "--state", "cloud"];

/// Waits until something holds.
fn until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn ended(child: Child) -> Outcome {
    let output = child.wait_with_output().expect("ours");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Outcome { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// What the cloud has, as a token with the scope may see it.
fn kept(cloud: &Served, token: &str) -> (String, Value) {
    let Answer { status, fields, body } = cloud.get(STATE, token);
    assert_eq!(status, 200, "{body:#}");
    let tag = fields.lines().find_map(|line| line.strip_prefix("etag: ")).expect("an entity tag");
    (tag.to_owned(), body)
}

#[test]
fn the_embedded_cloud_keeps_the_state_beside_the_configuration() {
    let managed = managed("createrole");
    managed.code("sales.yml", CODE);
    managed.access(&["drift", "--state", "cloud"]).exits(3).says(&["nothing is known of the last apply"]);
    managed.access(&APPLY).exits(0);
    managed.access(&["drift", "--state", "cloud"]).exits(0);
    managed.server.sql("shop", "grant \"R_READERS\" to carl; revoke select on sales.orders from \"R_READERS\"");
    let drift = managed.access(&["drift", "--state", "cloud"]).exits(3).stdout;
    for line in [
        "  granted: ",
        "role R_READERS: member carl",
        "  revoked: ",
        "role R_READERS: SELECT on table shop.sales.orders",
    ] {
        assert!(drift.contains(line), "{line} is not in\n{drift}");
    }
    managed.access(&["drift", "--state", "cloud", "--fix", "--yes"]).exits(0);
    managed.access(&["drift", "--state", "cloud"]).exits(0);
    let listed = managed.place.list("/applied-states");
    assert_eq!((&listed[0]["repository"], &listed[0]["target"]), (&"git:corp/access".into(), &"shop".into()));
    // Each of them is on record with the digest of what was kept.
    let events = managed.place.events();
    let digests: Vec<bool> = events
        .iter()
        .filter(|event| event["kind"] == "applied-state")
        .map(|event| event["sha256"].is_string())
        .collect();
    assert_eq!(digests, [false, true, false, true], "taken out before anything is sent, and kept at the end");
}

#[test]
fn of_two_applies_at_once_one_sends_nothing_or_nobody_is_blamed() {
    let managed = managed("createrole");
    let state = token(&managed.place, &["state"]);
    let sync = token(&managed.place, &["sync"]);
    let cloud = Served::of(&managed.place);
    let one = ci(&managed, &cloud, &state, CODE);
    let other = ci(&managed, &cloud, &state, &CODE.replace("[SELECT]", "[SELECT, UPDATE]"));

    access(&ci(&managed, &cloud, &sync, CODE), &APPLY).exits(6).says(&["E-cloud-unauthorized", "scope state"]);
    access(&one, &APPLY).exits(0);
    let (tag, body) = kept(&cloud, &state);
    assert_eq!((tag.as_str(), &body["repository"]), ("\"2\"", &"git:corp/access".into()));
    access(&one, &["drift", "--state", "cloud"]).exits(0);
    let bearer = format!("Bearer {state}");
    let late = cloud.ask("PUT", STATE, &[("authorization", &bearer), ("if-match", "\"1\"")], "{}");
    assert_eq!((late.status, late.body["type"].as_str()), (409, Some("conflict")), "{:#}", late.body);
    assert_eq!(cloud.ask("PUT", STATE, &[("authorization", &bearer)], "{}").status, 400, "the version has to be named");
    assert_eq!(cloud.get("/api/v1/applied-states", &state).status, 403, "the scope is for its own state");

    // The other one reads which state there is, and then waits for a password until the first one has applied.
    let configuration = fs::read_to_string(other.path().join("raito.yml")).expect("a text");
    let script = "while [ ! -e go ]; do sleep 0.05; done; printenv PG_PASSWORD";
    let waiting = format!("password: {{ command: [sh, -c, \"touch waits; {script}\"] }}");
    other.configure(&configuration.replacen("password: { env: PG_PASSWORD }", &waiting, 1));
    let late = other.spawn(&[&["access"], &APPLY[..]].concat());
    until("the other one reads the state", || other.path().join("waits").exists());
    one.write("access.yml", CODE.replace("user: ann", "user: bob"));
    access(&one, &APPLY).exits(0);
    let before = managed.written().len();
    other.write("go", "");
    ended(late).exits(7).says(&[
        "E-stale-plan",
        "another apply of git:corp/access began meanwhile",
        "nothing was sent",
    ]);
    assert_eq!(managed.written().len(), before, "nothing was sent");
    access(&one, &["drift", "--state", "cloud"]).exits(0);

    // One is sending, and waits for a lock, while the other one applies from beginning to end.
    let mut holder = held(&managed);
    one.write("access.yml", CODE.replace("user: ann", "user: carl"));
    let sending = one.spawn(&[&["access"], &APPLY[..]].concat());
    until("the first one sends", || kept(&cloud, &state).1.is_null());
    other.write("access.yml", CODE.replace("user: ann", "user: bob").replace("[SELECT]", "[SELECT, UPDATE]"));
    access(&other, &APPLY).exits(0);
    assert!(kept(&cloud, &state).1.is_object());
    drop(holder.stdin.take());
    holder.wait().expect("ours");
    ended(sending).exits(1);
    assert!(kept(&cloud, &state).1.is_null(), "nobody can tell who moved");
    let blamed = access(&other, &["drift", "--state", "cloud"]).exits(3).stdout;
    assert!(blamed.contains("  differs: ") && !blamed.contains("  granted: "), "{blamed}");
}

/// A session that keeps others from changing memberships until its input ends.
fn held(managed: &Managed) -> Child {
    let mut session: Command = managed.server.psql("shop", crate::support::postgres::SUPERUSER);
    let mut session = session.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("psql");
    let input = session.stdin.as_mut().expect("piped");
    writeln!(input, "begin; lock table pg_catalog.pg_auth_members in share mode;").expect("it reads");
    let waits =
        "select count(*) from pg_locks where relation = 'pg_auth_members'::regclass and mode = 'ShareLock' and granted";
    until("the lock is held", || managed.server.sql("shop", waits) == "1");
    session
}
