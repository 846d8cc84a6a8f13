//! What a connector asks for and its target does not grant: refused before anything of it is compiled, with the line to add.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};

use crate::support::raito::postgresql_target;
use crate::support::{Place, Postgres, Warehouse, connector};

/// A run that is refused must not have compiled anything: what it took is on record.
fn compiled_nothing(place: &Place) {
    let events = place.events();
    assert!(events.iter().any(|event| event["kind"] == "target-refused"), "the refusal is on record");
    assert!(!events.iter().any(|event| event["kind"] == "target-start"), "the target began");
}

fn demo(grant: &str) -> String {
    let grant: String = grant.lines().map(|line| format!("        {line}\n")).collect();
    format!(
        "targets:\n  - name: warehouse\n    connector: {{ file: \"{}\" }}\n    grants:\n      http.api:\n{grant}",
        connector("demo").display()
    )
}

#[test]
fn a_slot_that_is_not_granted_is_refused_with_the_lines_to_add() {
    let text =
        format!("targets:\n  - name: warehouse\n    connector: {{ file: \"{}\" }}\n", connector("demo").display());
    let place = Place::new(&text);
    let outcome = place.raito(&["run"]).exits(4);
    outcome.says(&["E-grant-missing", "warehouse", "http.api:", "origin:"]);
    compiled_nothing(&place);
}

#[test]
fn a_secret_that_is_not_granted_is_refused_with_the_line_to_add() {
    let place = Place::new(&demo("origin: \"https://warehouse.example\"\nwrite: true"));
    place.raito(&["run"]).exits(4).says(&["E-grant-missing", "token:", "env:"]);
    compiled_nothing(&place);
}

#[test]
fn what_the_ceiling_forbids_is_refused_whatever_the_target_grants() {
    let server = Postgres::start();
    let place = Place::new(&postgresql_target(&server, "postgres", ""));
    place.write("ceiling.yml", "databases: [\"db.internal:5432/*\"]\n");
    let outcome = place.raito(&["run", "--ceiling", "ceiling.yml"]).exits(4);
    outcome.says(&["E-ceiling", "localhost"]);
    compiled_nothing(&place);
}

#[test]
fn a_grant_that_the_connector_does_not_know_is_a_mistake() {
    let warehouse = Warehouse::serve(&["--seed", "1", "--tables", "5"]);
    let text = warehouse.target("").replace("http.api:", "http.apy:");
    let place = Place::new(&text);
    place.write("warehouse.token", &warehouse.token);
    place.raito(&["run"]).exits(2).says(&["E-grant-unknown", "http.apy", "http.api"]);
}

#[test]
fn another_connector_than_the_one_that_was_approved_is_refused() {
    let warehouse = Warehouse::serve(&["--seed", "1", "--tables", "5"]);
    let place = warehouse.place("");
    let text = warehouse.target("").replace("demo.wasm\" }", &format!("demo.wasm\", sha256: {} }}", "0".repeat(64)));
    place.configure(&text);
    place.raito(&["run"]).exits(4).says(&["E-connector-digest", "raito connector inspect"]);
}

#[test]
fn a_file_that_is_no_component_is_refused() {
    let place = Place::new("targets:\n  - name: t\n    connector: { file: no.wasm }\n    grants: {}\n");
    place.write("no.wasm", b"\0asm\x01\0\0\0");
    place.raito(&["run"]).exits(5).says(&["E-connector-invalid", "no.wasm"]);
    place.write("no.wasm", "hello");
    place.raito(&["run"]).exits(5).says(&["E-connector-invalid", "no.wasm"]);
}

#[test]
fn a1_a_read_route_with_another_method_than_get_needs_a_grant_by_name() {
    let grants = "grants: { http.bulk: { origin: \"https://192.0.2.1\", addresses: [\"192.0.2.1/32\"] } }";
    let text = format!(
        "targets:\n  - name: t\n    connector: {{ file: \"{}\" }}\n    {grants}\n",
        connector("chaos").display()
    );
    let place = Place::new(&text);
    place.raito(&["run"]).exits(4).says(&["E-grant-missing", "upload", "methods"]);
    compiled_nothing(&place);
    place.write("ceiling.yml", "raw: false\n");
    place.configure(&text.replace("\"] }", "\"], methods: [upload] }"));
    place.raito(&["run", "--ceiling", "ceiling.yml"]).exits(4).says(&["E-ceiling", "upload"]);
    compiled_nothing(&place);
}

#[test]
fn c10_what_others_can_change_is_refused_or_warned_of() {
    let target = "cloud: embedded\ntargets:\n  - { name: t, connector: { file: FILE }, grants: {} }\n";
    let place = Place::new(target);
    let bytes = fs::read(connector("chaos")).expect("readable");
    place.write("here.wasm", &bytes);
    let here = place.path().join("here.wasm");
    fs::hard_link(&here, place.path().join("hard.wasm")).expect("links");
    symlink("here.wasm", place.path().join("soft.wasm")).expect("links");
    let validate = |file: &str| {
        place.configure(&target.replace("FILE", file));
        place.raito(&["validate"])
    };
    let mode = |mode: u32| fs::set_permissions(&here, Permissions::from_mode(mode)).expect("ours");
    // Whatever name leads to it, the file itself is looked at: the mode of a link says nothing.
    for name in ["here.wasm", "hard.wasm", "soft.wasm"] {
        mode(0o646);
        validate(name).exits(4).says(&["E-connector-writable", name, "can be changed by everybody", "sha256"]);
        mode(0o664);
        validate(name).exits(0).says(&["its group can change", name]);
        mode(0o644);
        let quiet = validate(name).exits(0);
        assert!(!quiet.stderr.contains("can change"), "{}", quiet.stderr);
    }
    // Only root can give files away.
    if std::os::unix::fs::chown(&here, Some(65_534), None).is_ok() {
        validate("soft.wasm").exits(0).says(&["its owner, who is another user, can change"]);
    }
    mode(0o666);
    let digest = raito_core::digest::Digest::of(&bytes).to_string();
    let pinned = validate(&format!("soft.wasm, sha256: {digest}")).exits(0);
    assert!(!pinned.stderr.contains("can change"), "{}", pinned.stderr);
    place.raito(&["run"]).exits(0);
    place.write("ceiling.yml", format!("connectors: [{digest}]\n"));
    symlink("ceiling.yml", place.path().join("named.yml")).expect("links");
    place.raito(&["validate", "--ceiling", "named.yml"]).exits(0);
    fs::set_permissions(place.path().join("ceiling.yml"), Permissions::from_mode(0o664)).expect("ours");
    place.raito(&["validate", "--ceiling", "named.yml"]).exits(4).says(&["E-ceiling", "others than its owner"]);
    fs::set_permissions(place.path().join("raito.yml"), Permissions::from_mode(0o664)).expect("ours");
    place.raito(&["validate"]).exits(0).says(&["its group can change raito.yml"]);
    fs::set_permissions(place.path().join("raito.yml"), Permissions::from_mode(0o666)).expect("ours");
    place.raito(&["validate"]).exits(2).says(&["E-file", "raito.yml can be changed by everybody"]);
}

#[test]
fn c10_a_state_directory_that_is_not_ours_alone_is_refused() {
    let place = Place::new("targets: []\n");
    let state = place.path().join(".raito");
    let mode = |mode: u32| fs::set_permissions(&state, Permissions::from_mode(mode)).expect("ours");
    place.raito(&["run"]).exits(0);
    for (bits, says) in [
        (0o750, "can be read by others"),
        (0o701, "can be read by others"),
        (0o770, "can be changed by others"),
        (0o707, "can be changed by others"),
        (0o722, "can be changed by others"),
        (0o1777, "can be changed by others"),
    ] {
        mode(bits);
        for command in [&["run"][..], &["cloud", "get", "/sources"], &["audit", "verify"], &["audit", "show"]] {
            place.raito(command).exits(1).says(&["E-state", ".raito", says, "chmod 700"]);
        }
        let doctor = place.raito(&["doctor"]);
        assert!(doctor.code != Some(0) && doctor.stdout.contains(says), "{}", doctor.stdout);
    }
    mode(0o700);
    place.raito(&["run"]).exits(0);
    fs::write(place.path().join("file"), "").expect("ours");
    place.raito(&["run", "--state-dir", "file"]).exits(1).says(&["E-state", "is no folder", "--state-dir"]);
    let lines = place.events().len();
    // Only root can give files away.
    if std::os::unix::fs::chown(&state, Some(65_534), None).is_ok() {
        for command in [&["run"][..], &["cloud", "get", "/sources"], &["audit", "verify"]] {
            place.raito(command).exits(1).says(&["E-state", "belongs to another user (uid 65534", "--state-dir"]);
        }
        std::os::unix::fs::chown(&state, Some(0), None).expect("root");
        assert_eq!(place.events().len(), lines, "and nothing was written");
        let key = state.join("audit/signing-key");
        std::os::unix::fs::chown(&key, Some(65_534), None).expect("root");
        place.raito(&["run"]).exits(1).says(&["E-audit", "signing-key belongs to another user"]);
        let secret = place.path().join("secret");
        fs::write(&secret, "a secret in a file").expect("ours");
        fs::set_permissions(&secret, Permissions::from_mode(0o600)).expect("ours");
        std::os::unix::fs::chown(&secret, Some(65_534), None).expect("root");
        place.configure("cloud: { url: \"https://localhost:1\", token: { file: secret } }\ntargets: []\n");
        place.raito(&["run", "--state-dir", "other"]).exits(2).says(&["E-secret", "belongs to another user"]);
    }
}

/// Between two openings, somebody may put another file there.
#[test]
fn c10_a_connector_is_read_once_and_what_was_looked_into_is_what_runs() {
    use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init};

    let place =
        Place::without_code("cloud: embedded\ntargets:\n  - { name: t, connector: { file: t.wasm }, grants: {} }\n");
    let file = place.path().join("t.wasm");
    fs::copy(connector("chaos"), &file).expect("copies");
    let watch = init(CreateFlags::NONBLOCK).expect("inotify");
    add_watch(&watch, &file, WatchFlags::OPEN).expect("a watch");
    place.raito(&["run"]).exits(0);
    let mut buffer = [std::mem::MaybeUninit::uninit(); 4_096];
    let mut events = Reader::new(watch, &mut buffer);
    let mut openings = 0;
    while let Ok(event) = events.next() {
        assert!(event.events().contains(ReadFlags::OPEN));
        openings += 1;
    }
    assert_eq!(openings, 1, "the file was opened more than once");
    let digest = raito_core::digest::Digest::of(&fs::read(&file).expect("readable")).to_string();
    let events = place.events();
    let began = events.iter().find(|event| event["kind"] == "target-start").expect("it began");
    assert!(began.to_string().contains(&digest), "{began:#}");
}
