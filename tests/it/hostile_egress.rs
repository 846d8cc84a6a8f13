//! The network and the secrets, attacked: one test a threat, named by what holds. The ids are those of
//! `host/docs/threat-model.md`. Wherever a connector or a target misbehaves, the other target of the same run completes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::server::{Authority, Keep, Server, answer, json};
use crate::support::{Outcome, Place, Postgres, connector};

pub(crate) const TOKEN: &str = "the canary/token+of this test";

/// A target for the connector that misbehaves. `grants` are those of `http.api`, line by line, or whole slots.
fn target(name: &str, scenario: &str, grants: &str) -> String {
    let grants = if grants.contains("http.") || grants.contains("sql.") || grants.is_empty() {
        grants.to_owned()
    } else {
        let lines: String = grants.lines().map(|line| format!("  {line}\n")).collect();
        format!("http.api:\n{lines}")
    };
    let grants: String = grants.lines().map(|line| format!("      {line}\n")).collect();
    let grants = if grants.is_empty() { "    grants: {}\n".to_owned() } else { format!("    grants:\n{grants}") };
    format!(
        "  - name: {name}\n    connector: {{ file: \"{}\" }}\n    settings: {{ scenario: {scenario} }}\n{grants}",
        connector("chaos").display()
    )
}

/// A folder with the hostile target and a quiet one.
pub(crate) fn place(scenario: &str, grants: &str) -> Place {
    let quiet = target("quiet", "quiet", "");
    let place = Place::new(&format!("cloud: embedded\ntargets:\n{}{quiet}", target("chaos", scenario, grants)));
    place.write("ca.pem", "");
    place
}

/// Runs both; whatever became of the hostile one, the other one must have completed and the record must verify.
fn run(place: &Place, environment: &[(&str, &str)]) -> Outcome {
    let mut command = place.command(&["run"]);
    command.env("TOKEN", TOKEN).envs(environment.iter().copied());
    let output = command.output().expect("starts");
    let outcome = Outcome {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    };
    assert_eq!(place.list("/sources/quiet/users").len(), 1, "the other target did not complete:\n{}", outcome.stderr);
    outcome
}

fn play(scenario: &str, grants: &str) -> (Place, Outcome) {
    let place = place(scenario, grants);
    let outcome = run(&place, &[]);
    (place, outcome)
}

/// The grant for a server of this machine without TLS.
pub(crate) fn plain(server: &Server) -> String {
    format!(
        "origin: \"http://127.0.0.1:{}\"\nplain-http: true\naddresses: [\"127.0.0.1/32\"]\nrate: 1000\ntoken: {{ env: TOKEN }}",
        server.port
    )
}

/// The manifest of the misbehaving connector with something put in behind a line.
fn manifest_with(behind: &str, more: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/guests/chaos/connector.toml");
    let text = fs::read_to_string(path).expect("a manifest");
    assert!(text.contains(behind), "{behind}");
    text.replacen(behind, &format!("{behind}{more}"), 1)
}

/// Tries to pack the misbehaving connector with a manifest.
fn pack(manifest: &str) -> Outcome {
    let place = Place::new("targets: []\n");
    place.write("connector.toml", manifest);
    place.write("empty.wasm", b"\0asm\x0d\0\x01\0");
    place.raito(&["connector", "pack", "empty.wasm", "connector.toml", "-o", "packed.wasm"])
}

#[test]
fn a1_a_manifest_brings_no_credentials_of_its_own() {
    pack(&manifest_with("", "")).exits(0);
    let route = "request = \"GET /v1/people?limit={limit:integer}\"\n";
    for field in
        ["Authorization", "Cookie", "X-Api-Key", "X-Auth-Token", "X-Amz-Security-Token", "Host", "X-Forwarded-For"]
    {
        let outcome = pack(&manifest_with(route, &format!("headers = {{ {field} = \"mine\" }}\n"))).exits(5);
        outcome.says(&["E-connector-invalid", &field.to_ascii_lowercase(), "set by the host or not at all"]);
    }
    let parameter = "[http.api.routes.mine]\nmode = \"read\"\nrequest = \"GET /v1/people?access_token={a:text}\"\n\n";
    pack(&manifest_with("", parameter).replacen(parameter, "", 1)).exits(0);
    let text = manifest_with("[http.api.routes.person]", "").replacen(
        "[http.api.routes.person]",
        &format!("{parameter}[http.api.routes.person]"),
        1,
    );
    pack(&text).exits(5).says(&["access_token", "ask for a secret instead"]);
}

#[test]
fn a2_what_reads_may_send_is_bounded_for_a_run() {
    let server = Server::plain(|_, out| json(out, "{}"));
    let bulk = format!(
        "http.bulk:\n  origin: \"http://127.0.0.1:{}\"\n  plain-http: true\n  addresses: [\"127.0.0.1/32\"]\n  methods: [upload]\n  rate: 10000",
        server.port
    );
    let (place, outcome) = play("http-upload", &bulk);
    outcome.exits(4).says(&["E-denied", "chaos", "step 1", "more than 64 MiB sent by read entries"]);
    let sent: usize = server.seen().iter().map(|request| request.body.len()).sum();
    assert!(sent > 60 << 20 && sent <= 64 << 20, "{sent} bytes left");
    assert!(place.events().iter().any(|event| event["kind"] == "denied"), "the refusal is on record");

    let (place, outcome) = play("http-long-url", &plain(&server));
    outcome.exits(4).says(&["E-denied", "person"]);
    assert!(!place.events().iter().any(|event| event["kind"] == "call"), "nothing was sent");
}

/// A component that imports an interface and has the manifest of nothing.
fn component_importing(interface: &str) -> Vec<u8> {
    let leb = |number: usize| u8::try_from(number).expect("a short section");
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    // An instance type without exports (section 7), and an import of it (section 10): Binary.md of the component model.
    bytes.extend([7, 3, 1, 0x42, 0]);
    let name = interface.as_bytes();
    let mut import = vec![1, 0, leb(name.len())];
    import.extend(name);
    import.extend([5, 0]);
    bytes.extend([10, leb(import.len())]);
    bytes.extend(import);
    bytes
}

#[test]
fn a3_a14_a_component_that_wants_names_or_sockets_is_refused_before_it_is_compiled() {
    for interface in [
        "wasi:sockets/ip-name-lookup@0.2.6",
        "wasi:sockets/tcp-create-socket@0.2.6",
        "wasi:sockets/udp@0.2.6",
        "wasi:http/outgoing-handler@0.2.6",
    ] {
        let text = format!(
            "targets:\n  - name: chaos\n    connector: {{ file: packed.wasm }}\n    grants: {{}}\n{}",
            target("quiet", "quiet", "")
        );
        let place = Place::new(&text);
        place.write("wants.wasm", component_importing(interface));
        place.write("connector.toml", "name = \"wants\"\nversion = \"1.0.0\"\nsummary = \"wants\"\n");
        place.raito(&["connector", "pack", "wants.wasm", "connector.toml", "-o", "packed.wasm"]).exits(0);
        run(&place, &[]).exits(4).says(&["E-not-grantable", interface]);
        assert!(!place.events().iter().any(|event| event["kind"] == "target-start" && event["target"] == "chaos"));
    }
}

/// A library that answers for one name differently each time, as a hostile name server does.
fn hostile_names(folder: &Path, answers: &[&str]) -> PathBuf {
    let list: String = answers.iter().map(|answer| format!("\"{answer}\", ")).collect();
    let source = format!(
        "#define _GNU_SOURCE\n#include <dlfcn.h>\n#include <netdb.h>\n#include <string.h>\n#include <stdatomic.h>\n\
         static _Atomic int asked;\nstatic const char *answers[] = {{ {list} }};\n\
         int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found) {{\n\
         int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **) = dlsym(RTLD_NEXT, \"getaddrinfo\");\n\
         if (!node || strcmp(node, \"rebound.test\")) return next(node, service, hints, found);\n\
         int last = sizeof answers / sizeof *answers - 1, at = atomic_fetch_add(&asked, 1);\n\
         return next(answers[at < last ? at : last], service, hints, found);\n}}\n"
    );
    let (file, library) = (folder.join("names.c"), folder.join("names.so"));
    fs::write(&file, source).expect("writable");
    let status = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&file).arg("-ldl").status();
    assert!(status.expect("a C compiler is installed").success());
    library
}

#[test]
fn a4_a_name_that_leads_elsewhere_later_is_not_followed() {
    for (second, says) in
        [("169.254.169.254", "hands out credentials of the machine"), ("127.0.0.2", "none of the granted")]
    {
        let server = Server::plain(|_, out| {
            answer(out, 200, &[("connection", "close")], b"{}")?;
            Ok(Keep::Closed)
        });
        let grants = plain(&server).replacen("127.0.0.1", "rebound.test", 1);
        let place = place("http-twice", &grants);
        let library = hostile_names(place.path(), &["127.0.0.1", second]);
        let outcome = run(&place, &[("LD_PRELOAD", library.to_str().expect("UTF-8"))]);
        let says = if second == "127.0.0.2" { "127.0.0.2 is a loopback address" } else { says };
        outcome.exits(4).says(&["E-denied", "chaos", "step 1", says]);
        assert_eq!(server.connections(), 1, "only the first answer was connected to");
    }
}

#[test]
fn a4_a_name_that_leads_to_a_private_address_needs_a_grant_for_http_and_sql() {
    let server = Server::plain(|_, out| json(out, "{}"));
    let grants = plain(&server).replacen("127.0.0.1", "localhost", 1).replace("addresses: [\"127.0.0.1/32\"]\n", "");
    let (_, outcome) = play("http-read", &grants);
    outcome.exits(4).says(&["E-denied", "loopback address, which needs a grant"]);
    assert_eq!(server.connections(), 0, "nobody connected");

    let database = Postgres::start();
    let grants = format!(
        "sql.main:\n  url: \"postgresql://raito_read@localhost:{}/\"\n  databases: [postgres]\n  password: {{ env: PG_PASSWORD }}\n  ca: \"{}\"",
        database.port,
        database.authority().display()
    );
    let (_, outcome) = play("sql-read", &grants);
    outcome.exits(4).says(&["E-denied", "loopback address, which needs a grant", "addresses:"]);
    let (_, outcome) = play("sql-read", &format!("{grants}\n  addresses: [\"127.0.0.1/32\", \"::1/128\"]"));
    outcome.exits(0);
}

#[test]
fn a5_an_address_in_any_form_needs_a_grant() {
    let server = Server::plain(|_, out| json(out, "{}"));
    for host in ["127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "[::ffff:127.0.0.1]", "[::1]", "127.0.0.1."] {
        let grants = format!("origin: \"http://{host}:{}\"\nplain-http: true", server.port);
        let (_, outcome) = play("http-read", &grants);
        assert_ne!(outcome.code, Some(0), "{host}");
        outcome.says(&["chaos", "loopback address, which needs a grant"]);
    }
    for host in ["good.test@127.0.0.1", "127.0.0.1\\\\@good.test", "%31%32%37.0.0.1"] {
        let place = place("http-read", &format!("origin: \"http://{host}:{}\"\nplain-http: true", server.port));
        place.raito(&["run"]).exits(2).says(&["E-configuration", "it is no origin"]);
    }
    assert_eq!(server.connections(), 0, "nobody connected");
}

#[test]
fn a6_a_redirect_is_not_followed_and_takes_no_credentials_along() {
    let elsewhere = Server::plain(|_, out| json(out, "{}"));
    let port = elsewhere.port;
    for to in [format!("http://127.0.0.1:{port}/"), "http://169.254.169.254/latest/meta-data/".to_owned()] {
        let server = Server::plain(move |_, out| answer(out, 302, &[("location", &to)], b""));
        let (place, outcome) = play("http-read", &plain(&server));
        assert_eq!(outcome.code, Some(5), "{}", outcome.stderr);
        outcome.says(&["chaos", "step 1", "302"]);
        assert_eq!(server.seen().len(), 1);
        let replies: Vec<_> = place.events().into_iter().filter(|event| event["kind"] == "reply").collect();
        assert!(replies.iter().all(|reply| reply["address"] == format!("127.0.0.1:{}", server.port)), "{replies:?}");
    }
    assert_eq!(elsewhere.connections(), 0, "the redirect was followed");
}

#[test]
fn a7_a_proxy_of_the_environment_is_not_used() {
    let (server, proxy) = (Server::plain(|_, out| json(out, "{}")), Server::plain(|_, out| json(out, "{}")));
    let place = place("http-read", &plain(&server));
    let url = format!("http://127.0.0.1:{}", proxy.port);
    let names = ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
    let environment: Vec<(&str, &str)> = names.iter().map(|name| (*name, url.as_str())).collect();
    run(&place, &environment).exits(0);
    assert_eq!(proxy.connections(), 0);
    assert!(!server.seen().is_empty());
}

#[test]
fn a7_a_proxy_never_sees_what_is_not_encrypted() {
    let server = Server::plain(|_, out| json(out, "{}"));
    let grants = format!("{}\nproxy: {{ url: \"http://127.0.0.1:1\", addresses: [\"127.0.0.1\"] }}", plain(&server));
    let (_, outcome) = play("http-read", &grants);
    outcome.exits(2).says(&["E-grant-unknown", "would read everything, secrets included"]);
    assert_eq!(server.connections(), 0);
}

#[test]
fn a8_a_value_stays_in_its_place() {
    let server = Server::plain(|_, out| json(out, "{}"));
    for (scenario, says) in [("http-header", "trace"), ("http-path", "id")] {
        let (place, outcome) = play(scenario, &plain(&server));
        outcome.exits(4).says(&["E-denied", "chaos", "step 1", says]);
        assert!(place.events().iter().any(|event| event["kind"] == "denied"), "{scenario}: it is on record");
    }
    assert!(server.seen().is_empty(), "something was sent");
    let (_, outcome) = play("http-path-encoded", &plain(&server));
    assert!(matches!(outcome.code, Some(4 | 0)), "{}", outcome.stderr);
    for request in server.seen() {
        assert_eq!(request.line, "GET /v1/people/%252e%252e%2Fadmin HTTP/1.1", "a percent sign is one");
    }
}

#[test]
fn a9_a15_a_server_is_spoken_to_with_http_1_1_over_tls_that_is_checked() {
    let (authority, other) = (Authority::new(), Authority::new());
    let grants = |port: u16| {
        format!(
            "origin: \"https://localhost:{port}\"\naddresses: [\"127.0.0.1/32\"]\nca: ca.pem\ntoken: {{ env: TOKEN }}"
        )
    };
    // It offers h2 first.
    let server = Server::tls(authority.server("localhost", false), |_, out| json(out, "{}"));
    let place_of = |port: u16| {
        let place = place("http-read", &grants(port));
        place.write("ca.pem", &authority.certificate);
        place
    };
    let place = place_of(server.port);
    run(&place, &[]).exits(0);
    let seen = &server.seen()[0];
    assert_ne!(seen.protocol.as_deref(), Some("h2"));
    assert!(seen.line.ends_with("HTTP/1.1"), "{}", seen.line);
    let replies: Vec<_> = place.events().into_iter().filter(|event| event["kind"] == "reply").collect();
    assert!(!replies.is_empty());
    let has_key = |reply: &serde_json::Value| reply["peer"].as_str().is_some_and(|key| key.len() == 64);
    assert!(replies.iter().all(has_key), "the server's public key is on record");

    for (tls, says) in [
        (authority.server("elsewhere.test", false), "for another name"),
        (other.server("localhost", false), "an authority that is not trusted"),
    ] {
        let server = Server::tls(tls, |_, out| json(out, "{}"));
        run(&place_of(server.port), &[]).exits(1).says(&["E-target-setting", "chaos", says]);
        assert!(server.seen().is_empty(), "something was asked");
    }
}

#[test]
fn a10_only_six_methods_are_known() {
    for method in ["CONNECT", "TRACE", "OPTIONS", "PROPFIND", "get"] {
        let route = format!(
            "[http.api.routes.mine]\nmode = \"read\"\nrequest = \"{method} /v1/x\"\n\n[http.api.routes.person]"
        );
        let text = manifest_with("[http.api.routes.person]", "").replacen("[http.api.routes.person]", &route, 1);
        pack(&text).exits(5).says(&["E-connector-invalid", "unknown method"]);
    }
}

#[test]
fn a11_targets_share_no_connections_and_no_cookies() {
    let server = Server::plain(|_, out| answer(out, 200, &[("set-cookie", "session=mine; Path=/")], b"{}"));
    let other = plain(&server).replace("{ env: TOKEN }", "{ env: OTHER }");
    let text = format!(
        "targets:\n{}{}{}",
        target("chaos", "http-twice", &plain(&server)),
        target("other", "http-twice", &other),
        target("quiet", "quiet", "")
    );
    let place = Place::new(&text);
    run(&place, &[("OTHER", "another token of this test")]).exits(0);
    let seen = server.seen();
    assert!(seen.iter().all(|request| request.field("cookie").is_empty()), "a cookie was kept");
    let of = |token: &str| -> BTreeSet<usize> {
        let mine = seen.iter().filter(|request| request.field("authorization") == format!("Bearer {token}"));
        mine.map(|request| request.connection).collect()
    };
    let (mine, others) = (of(TOKEN), of("another token of this test"));
    assert!(!mine.is_empty() && !others.is_empty() && mine.is_disjoint(&others), "{mine:?} {others:?}");
}

#[test]
fn a12_an_answer_that_never_ends_ends_the_step() {
    let endless = |slow: Option<Duration>, length: &'static str| {
        Server::plain(move |_, out| {
            out.write_all(format!("HTTP/1.1 200 ok\r\n{length}\r\n").as_bytes())?;
            let piece = if slow.is_some() { b"x".to_vec() } else { vec![b'x'; 64 * 1024] };
            loop {
                out.write_all(&piece)?;
                out.flush()?;
                slow.into_iter().for_each(std::thread::sleep);
            }
        })
    };
    let fast = endless(None, "connection: close\r\n");
    let (_, outcome) = play("http-read", &plain(&fast));
    outcome.exits(4).says(&["E-denied", "chaos", "step 1", "more than 16777216 bytes"]);

    let drip = endless(Some(Duration::from_millis(50)), "content-length: 100000000\r\n");
    let (_, outcome) = play("http-read", &format!("{}\ntimeout: 1", plain(&drip)));
    outcome.exits(1).says(&["E-target-unavailable", "chaos", "step 1", "comes too slowly"]);
    let (_, outcome) = play("http-pieces", &format!("{}\ntimeout: 1", plain(&drip)));
    outcome.exits(1).says(&["E-target-unavailable", "comes too slowly"]);

    let silent = Server::plain(|_, _| {
        std::thread::sleep(Duration::from_secs(60));
        Ok(Keep::Closed)
    });
    let (_, outcome) = play("http-read", &format!("{}\ntimeout: 1", plain(&silent)));
    outcome.exits(1).says(&["E-target-unavailable", "does not answer in time"]);

    let fields = Server::plain(|_, out| {
        out.write_all(b"HTTP/1.1 200 ok\r\n")?;
        for number in 0.. {
            out.write_all(format!("x-{number}: {}\r\n", "y".repeat(1_000)).as_bytes())?;
        }
        Ok(Keep::Closed)
    });
    let (_, outcome) = play("http-read", &format!("{}\ntimeout: 5", plain(&fields)));
    assert_ne!(outcome.code, Some(0), "header fields without end");
    outcome.says(&["chaos", "step 1"]);
}

#[test]
fn a13_a_compressed_answer_is_refused_and_none_is_asked_for() {
    // Ten kilobytes that would be ten megabytes, as gzip would write them.
    let server = Server::plain(|_, out| answer(out, 200, &[("content-encoding", "gzip")], &[0x1f; 10_000]));
    let (_, outcome) = play("http-read", &plain(&server));
    outcome.exits(4).says(&["E-denied", "chaos", "step 1", "compressed (gzip)"]);
    assert_eq!(server.seen()[0].field("accept-encoding"), "identity");
}

#[test]
fn a15_what_is_not_encrypted_needs_a_grant() {
    let server = Server::plain(|_, out| json(out, "{}"));
    let (_, outcome) = play("http-read", &plain(&server).replace("plain-http: true\n", ""));
    outcome.exits(4).says(&["E-grant-missing", "is not encrypted", "plain-http: true"]);
    assert_eq!(server.connections(), 0);
}

fn base64(bytes: &[u8], last: [u8; 2]) -> String {
    const DIGITS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let digits = [&DIGITS[..], &last].concat();
    let group = |group: &[u8]| {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        (0..=group.len()).map(|at| char::from(digits[(bits >> (18 - 6 * at)) as usize & 63])).collect::<String>()
    };
    bytes.chunks(3).map(group).collect()
}

/// The token in five encodings.
fn echoes() -> Vec<String> {
    vec![
        TOKEN.to_owned(),
        base64(format!("Authorization: Bearer {TOKEN} and more").as_bytes(), *b"+/"),
        TOKEN.bytes().map(|byte| format!("%{byte:02x}")).collect(),
        TOKEN.bytes().map(|byte| format!("{byte:02X}")).collect(),
        TOKEN.chars().map(|c| if c == '/' { "\\/".to_owned() } else { format!("\\u{:04x}", u32::from(c)) }).collect(),
    ]
}

/// What of the token stands in anything that holds it in one of these encodings, whatever stands before and behind it.
fn traces() -> Vec<String> {
    let in_address = |space: &str| TOKEN.replace('+', "%2B").replace('/', "%2F").replace(' ', space);
    let mut traces = vec![TOKEN.to_owned(), TOKEN.replace('/', "\\/")];
    for text in [in_address("%20"), in_address("+")] {
        traces.extend([text.replace("%2B", "%2b").replace("%2F", "%2f"), text]);
    }
    for last in [*b"+/", *b"-_"] {
        for before in 0..3 {
            // The digits that depend on the token alone: not on what is before it, nor on what follows.
            let text = base64(&[&[0; 2][..before], TOKEN.as_bytes()].concat(), last);
            let whole = (before + TOKEN.len()) * 8 / 6;
            traces.push(text[(before * 8).div_ceil(6)..whole].to_owned());
        }
    }
    for text in [
        TOKEN.bytes().map(|byte| format!("{byte:02x}")).collect::<String>(),
        TOKEN.bytes().map(|byte| format!("%{byte:02x}")).collect(),
        TOKEN.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect(),
        TOKEN.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect::<String>().replace("\\u002f", "\\/"),
    ] {
        traces.push(text.to_uppercase().replace("\\U", "\\u"));
        traces.push(text);
    }
    traces
}

/// Everything that a run left or said, which must hold the token in none of its forms.
pub(crate) fn holds_no_canary(place: &Place, outcome: &Outcome) {
    let mut captured = vec![("standard output", outcome.stdout.clone().into_bytes())];
    captured.push(("standard error", outcome.stderr.clone().into_bytes()));
    let mut folders = vec![place.path().join(".raito")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(bytes) = fs::read(&path) {
                captured.push(("a file", bytes));
            }
        }
    }
    let traces = traces();
    for (what, bytes) in captured {
        let text = String::from_utf8_lossy(&bytes);
        let found = traces.iter().find(|trace| text.contains(trace.as_str()));
        assert!(found.is_none(), "{what} holds {}", found.expect("it"));
    }
}

#[test]
fn c2_a_manifest_selects_no_part_and_no_form_of_an_answer() {
    let route = "request = \"GET /v1/people?limit={limit:integer}\"\n";
    for field in ["Range", "If-Range", "Accept-Charset", "TE", "Want-Digest", "A-IM", "Prefer", "X-Ms-Range"] {
        let text = manifest_with(route, &format!("headers = {{ {field} = \"bytes=0-4\" }}\n"));
        pack(&text).exits(5).says(&["E-connector-invalid", &format!("the header {}", field.to_ascii_lowercase())]);
    }
    pack(&manifest_with(route, "headers = { Accept = \"{form:text}\" }\n"))
        .exits(5)
        .says(&["accept", "no placeholder"]);
    pack(&manifest_with(route, "headers = { Accept = \"text/html; charset=utf-16\" }\n")).exits(5).says(&["charset"]);
    pack(&manifest_with(route, "headers = { Accept = \"application/vnd.github+json\" }\n")).exits(0);
    pack(&manifest_with(route, "headers = { X-HTTP-Method-Override = \"DELETE\" }\n"))
        .exits(5)
        .says(&["another request"]);
    let slot = "\n[http.api.secrets.other]\nscheme = \"header\"\nheader = \"Range: {secret}\"\n";
    pack(&manifest_with("scheme = \"bearer\"\noptional = true\n", slot)).exits(5).says(&["E-connector-invalid"]);
}

#[test]
fn a_token_is_found_in_whatever_it_was_left_in() {
    let traces = traces();
    let holds = |text: &str| traces.iter().any(|trace| text.contains(trace.as_str()));
    for echo in echoes() {
        assert!(holds(&format!("sent {echo} here")), "{echo}");
    }
    for before in ["", "a", "ab", "abc"] {
        for last in [*b"+/", *b"-_"] {
            let text = base64(format!("{before}{TOKEN}, {before}").as_bytes(), last);
            assert!(holds(&text), "{text}");
        }
    }
    assert!(holds(&TOKEN.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>()));
    assert!(!holds(&TOKEN[1..]) && !holds(&base64(&TOKEN.as_bytes()[1..], *b"+/")), "what is another text is none");
}

#[test]
fn c2_an_echo_of_a_secret_fails_the_step_in_five_encodings() {
    for scenario in ["http-read", "http-pieces", "http-swallow"] {
        let echoing =
            |echo: String| Server::plain(move |_, out| json(out, &format!("{{\"you\":\"sent {echo} here\"}}")));
        let servers: Vec<Server> = echoes().into_iter().map(echoing).collect();
        let targets: String = servers
            .iter()
            .enumerate()
            .map(|(at, server)| target(&format!("chaos{at}"), scenario, &plain(server)))
            .collect();
        let place = Place::new(&format!("targets:\n{targets}{}", target("quiet", "quiet", "")));
        let outcome = run(&place, &[("RAITO_LOG", "trace")]).exits(4);
        let (events, mut rest) = (place.events(), outcome.stderr.as_str());
        for at in 0..servers.len() {
            let name = format!("chaos{at}");
            // All of them have the token under the name of the first that fetched it.
            let said = format!("target {name}: step 1 (identities): an answer to http.api holds the secret chaos");
            assert!(outcome.stderr.contains(&said), "{scenario}: {}", outcome.stderr);
            assert!(place.list(&format!("/sources/{name}/users")).is_empty(), "{scenario}: the step left something");
            let leaks = events.iter().filter(|event| event["kind"] == "leak" && event["target"] == name.as_str());
            assert_eq!(leaks.count(), 1, "{scenario}: it is on record");
            rest = rest.split_once("error[E-secret-leak]").map_or("", |(_, rest)| rest);
            assert!(!rest.is_empty(), "{scenario}: one error for each target");
        }
        holds_no_canary(&place, &outcome);
    }
}

#[test]
fn c2_an_echo_in_a_header_field_or_from_a_database_fails_the_step() {
    let server = Server::plain(|_, out| answer(out, 200, &[("x-you-sent", TOKEN)], b"{}"));
    let place_of_http = place("http-read", &plain(&server));
    let outcome = run(&place_of_http, &[]).exits(4).says(&["E-secret-leak", "header"]);
    holds_no_canary(&place_of_http, &outcome);

    // The statement asks for the name of its database, which is the token of another slot.
    let database = Postgres::start();
    database.sql("postgres", &format!("create database \"{TOKEN}\""));
    let api: String = plain(&server).lines().map(|line| format!("  {line}\n")).collect();
    let grants = format!(
        "http.api:\n{api}sql.main:\n  url: \"postgresql://raito_read@localhost:{}/\"\n  databases: [\"{TOKEN}\"]\n  \
         password: {{ env: PG_PASSWORD }}\n  ca: \"{}\"\n  addresses: [\"127.0.0.1/32\"]",
        database.port,
        database.authority().display()
    );
    let (place, outcome) = play("sql-read", &grants);
    outcome.exits(4).says(&["E-secret-leak", "a row of an answer", "grants.http.api.token"]);
    assert!(place.events().iter().any(|event| event["kind"] == "leak" && event["what"] == "a row of an answer"));
}

#[test]
fn c3_no_output_holds_a_secret_whatever_is_logged() {
    let authority = Authority::new();
    let server = Server::tls(authority.server("localhost", false), |_, out| answer(out, 500, &[], b"{}"));
    let grants = format!(
        "origin: \"https://localhost:{}\"\naddresses: [\"127.0.0.1/32\"]\nca: ca.pem\ntoken: {{ env: TOKEN }}",
        server.port
    );
    let place = place("http-read", &grants);
    place.write("ca.pem", &authority.certificate);
    let outcome = run(&place, &[("RAITO_LOG", "trace")]);
    assert_ne!(outcome.code, Some(0));
    assert_eq!(server.seen()[0].field("authorization"), format!("Bearer {TOKEN}"), "the secret was in use");
    assert!(outcome.stderr.contains("TRACE"), "everything is logged");
    holds_no_canary(&place, &outcome);
}

#[test]
fn c4_a_secret_goes_to_its_own_origin_only() {
    let (mine, other) = (Server::plain(|_, out| json(out, "{}")), Server::plain(|_, out| json(out, "{}")));
    let bulk = format!(
        "http.bulk:\n  origin: \"http://127.0.0.1:{}\"\n  plain-http: true\n  addresses: [\"127.0.0.1/32\"]\n  methods: [upload]\n  rate: 10000\n",
        other.port
    );
    let api: String = plain(&mine).lines().map(|line| format!("  {line}\n")).collect();
    let text = format!(
        "targets:\n{}{}{}",
        target("chaos", "http-read", &format!("{bulk}http.api:\n{api}")),
        target("bulk", "http-upload-once", &format!("{bulk}http.api:\n{api}")),
        target("quiet", "quiet", "")
    );
    let place = Place::new(&text);
    run(&place, &[]).exits(0);
    assert_eq!(mine.seen()[0].field("authorization"), format!("Bearer {TOKEN}"));
    assert!(!other.seen().is_empty());
    for request in other.seen() {
        assert_eq!(request.field("authorization"), "", "the secret of another slot");
    }
}

#[test]
fn a_short_secret_is_warned_about_and_found_as_a_whole_value() {
    let server = Server::plain(|_, out| json(out, "{\"password\":\"hunter2\"}"));
    let place = place("http-read", &plain(&server));
    let output = place.command(&["validate"]).env("TOKEN", "hunter2").output().expect("starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("warning: target chaos: grants.http.api.token"), "{said}");
    assert!(said.contains("fewer than 12 bytes") && !said.contains("hunter2"), "{said}");
    run(&place, &[("TOKEN", "hunter2")]).exits(4).says(&["E-secret-leak"]);
    let other = Server::plain(|_, out| json(out, "{\"text\":\"hunter2 is a poor password\"}"));
    let place = self::place("http-read", &plain(&other));
    run(&place, &[("TOKEN", "hunter2")]).exits(0);
}

#[test]
fn a_keyring_that_nobody_offers_is_said_to_be_missing() {
    let server = Server::plain(|_, out| json(out, "{}"));
    let grants = plain(&server).replace("{ env: TOKEN }", "{ keyring: { service: raito, account: chaos } }");
    let place = place("http-read", &grants);
    let nowhere = format!("unix:path={}/no-bus", place.path().display());
    let outcome = run(&place, &[("DBUS_SESSION_BUS_ADDRESS", &nowhere)]).exits(2);
    outcome.says(&[
        "E-secret",
        "grants.http.api.token",
        "there is no session bus, and so no keyring",
        "{ file: PATH }",
    ]);
    assert_eq!(server.connections(), 0);
}

/// A session bus of its own with GNOME Keyring on it, a secret in it, and a run.
#[test]
fn a_secret_is_fetched_from_a_keyring_of_the_session() {
    let server = Server::plain(|_, out| json(out, "{}"));
    let grants = plain(&server).replace("{ env: TOKEN }", "{ keyring: { service: raito, account: chaos } }");
    let place = place("http-read", &grants);
    let session = "printf password | gnome-keyring-daemon --unlock --components=secrets >/dev/null && \
                   { [ -z \"$STORED\" ] || printf %s \"$STORED\" | secret-tool store --label raito service raito account chaos; } && \
                   exec \"$0\" run";
    let run = |stored: &str| {
        let mut command = Command::new("dbus-run-session");
        command.args(["--", "sh", "-c", session, env!("CARGO_BIN_EXE_raito")]).current_dir(place.path());
        for variable in ["HOME", "XDG_RUNTIME_DIR", "XDG_DATA_HOME"] {
            command.env(variable, place.path());
        }
        command.env("STORED", stored).env("NO_COLOR", "1").env_remove("DBUS_SESSION_BUS_ADDRESS");
        let output = command.output().expect("dbus-run-session is installed: run `make setup`");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = run("");
    assert!(code == Some(2) && said.contains("the keyring has no secret for account chaos"), "{said}");
    assert!(server.seen().is_empty());
    let (code, said) = run(TOKEN);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(server.seen()[0].field("authorization"), format!("Bearer {TOKEN}"));
}
