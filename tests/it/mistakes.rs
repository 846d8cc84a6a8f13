//! Mistakes that people make: one clear message each, with the place and what to write instead.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use crate::api::Served;
use crate::raw::SOUND;
use crate::support::raito::postgresql_target;
use crate::support::{Place, Postgres, Warehouse, connector};

/// Runs with this configuration.
fn says(configuration: &str, code: i32, parts: &[&str]) {
    let place = Place::new(configuration);
    place.raito(&["run"]).exits(code).says(parts);
}

#[test]
fn a_wrong_password_is_said_to_be_wrong() {
    let server = Postgres::start();
    let place = Place::new(&postgresql_target(&server, "postgres", ""));
    let output = place.command(&["run"]).env("PG_PASSWORD", "a wrong password").output().expect("starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for part in ["E-target-unauthorized", "shop", "step 1", "raito_read", "password authentication failed"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    assert!(!said.contains("a wrong password"), "{said}");
}

#[test]
fn a_host_that_cannot_be_reached_is_named() {
    let server = Postgres::start();
    let text = postgresql_target(&server, "postgres", "");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    says(
        &text.replace(&format!("localhost:{}", server.port), &format!("localhost:{}", closed.port())),
        1,
        &["E-target-unavailable", "shop", "step 1", &format!("localhost:{}", closed.port())],
    );
    says(&text.replace("localhost:", "no-such-host.invalid:"), 1, &["E-target-unavailable", "no-such-host.invalid"]);
}

#[test]
fn a_certificate_for_somebody_else_or_of_an_unknown_authority_is_refused() {
    let server = Postgres::start();
    let text = postgresql_target(&server, "postgres", "");
    says(&text.replace("@localhost:", "@127.0.0.1:"), 1, &["E-target-setting", "certificate", "127.0.0.1"]);
    let ca = format!("        ca: \"{}\"\n", server.authority().display());
    says(&text.replace(&ca, ""), 1, &["E-target-setting", "certificate", "ca: FILE"]);
    let plain = Postgres::start_with("ssl = off", "host all all 127.0.0.1/32 scram-sha-256\n");
    says(&postgresql_target(&plain, "postgres", ""), 1, &["E-target-setting", "TLS"]);
}

/// An authority of clients, and somebody whom it has signed: certificate and key in PEM.
fn client() -> (String, String, String) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut parameters = rcgen::CertificateParams::new(Vec::<String>::new()).expect("no names");
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    // Who signs is found by name.
    parameters.distinguished_name.push(rcgen::DnType::CommonName, "authority of clients");
    let authority = parameters.self_signed(&key).expect("signed").pem();
    let own = rcgen::KeyPair::generate().expect("a key");
    let certificate = rcgen::CertificateParams::new(vec!["raito".to_owned()]).expect("a name");
    let signed = certificate.signed_by(&own, &rcgen::Issuer::new(parameters, key)).expect("signed");
    (authority, signed.pem(), own.serialize_pem())
}

#[test]
fn a_database_that_wants_a_certificate_is_shown_the_one_that_is_granted() {
    let (authority, certificate, key) = client();
    let folder = tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempdir().expect("a folder");
    let clients = folder.path().join("clients.pem");
    std::fs::write(&clients, authority).expect("writable");
    let access = "hostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\n";
    let server = Postgres::start_with(&format!("ssl_ca_file = '{}'", clients.display()), access);
    let granted = "client-certificate: { certificate: client.pem, key: { file: client.key } }";
    let place = Place::new(&postgresql_target(&server, "postgres", granted));
    place.write("client.pem", certificate);
    place.write("client.key", key);
    std::fs::set_permissions(place.path().join("client.key"), Permissions::from_mode(0o600)).expect("ours");
    place.run(&[]);
    let told = place.list("/sources/shop/users");
    assert!(told.iter().any(|user| user["user-name"] == "raito_read"), "{told:?}");

    place.configure(&postgresql_target(&server, "postgres", ""));
    place.raito(&["run"]).exits(1).says(&["E-target-unauthorized", "requires a valid client certificate"]);
}

#[test]
fn a_configuration_that_is_wrong_is_told_line_by_line() {
    says("targets:\n  - name: a\n    conector: { file: x.wasm }\n", 2, &["raito.yml", "3:", "conector", "connector"]);
    says("targets: 7\n", 2, &["raito.yml", "1:", "list"]);
    says("targets:\n  - name: A Name\n    connector: { file: x.wasm }\n", 2, &["raito.yml", "2:"]);
    let inline = "targets:\n  - name: a\n    connector: { file: x.wasm }\n    grants:\n      http.api:\n        \
                  origin: \"https://x.example\"\n        token: secret123\n";
    says(inline, 2, &["raito.yml", "7:", "env:"]);
    let twice =
        "targets:\n  - { name: a, connector: { file: x.wasm } }\n  - { name: a, connector: { file: x.wasm } }\n";
    says(twice, 2, &["raito.yml", "3:", "two targets a"]);
    says("targets:\n  - name: a\n    connector: { file: nowhere.wasm }\n", 2, &["E-connector-file", "nowhere.wasm"]);
}

#[test]
fn all_mistakes_of_a_file_are_told_at_once() {
    let text = "targts: []\ntargets:\n  - name: a\n    connector: { file: x.wasm }\n    steps: { data-usage: maybe }\n";
    says(text, 2, &["1:", "targts", "5:", "maybe"]);
}

#[test]
fn a_file_that_is_missing_is_named_with_what_to_do() {
    let place = Place::new("targets: []\n");
    std::fs::remove_file(place.path().join("raito.yml")).expect("there");
    place.raito(&["run"]).exits(2).says(&["raito.yml", "raito init"]);
    place.raito(&["run", "--config-file", "other.yml"]).exits(2).says(&["other.yml"]);
}

#[test]
fn a_setting_that_the_connector_does_not_know_is_named_with_the_nearest_that_it_does() {
    let warehouse = Warehouse::serve(&["--seed", "1", "--tables", "5"]);
    let place = warehouse.place("settings: { page-sise: 10 }");
    place.raito(&["run"]).exits(2).says(&["page-sise", "page-size"]);
    place.configure(&warehouse.target("settings: { page-size: many }"));
    place.raito(&["run"]).exits(2).says(&["page-size", "number"]);
}

#[test]
fn a_secret_that_is_not_there_is_named_and_a_file_that_others_can_read_is_refused() {
    let server = Postgres::start();
    let text = postgresql_target(&server, "postgres", "").replace("PG_PASSWORD", "NO_SUCH_VARIABLE");
    says(&text, 2, &["E-secret", "NO_SUCH_VARIABLE", "shop"]);
    let place = Place::new(&text.replace("{ env: NO_SUCH_VARIABLE }", "{ file: password }"));
    place.write("password", "x");
    place.raito(&["run"]).exits(2).says(&["E-secret", "password", "chmod 600"]);
}

#[test]
fn two_runs_at_once_are_one_too_many() {
    let warehouse = Warehouse::serve(&["--seed", "1", "--tables", "3000"]);
    let place = warehouse.place("settings: { page-size: 5 }");
    let mut first = place.spawn(&["run"]);
    let began = Instant::now();
    while !place.audit_log().exists() && began.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(1));
    }
    let second = place.raito(&["run"]).exits(1);
    second.says(&["E-state-busy", &first.id().to_string(), "--state-dir"]);
    std::process::Command::new("kill").args(["-INT", &first.id().to_string()]).status().expect("kill is there");
    first.wait().expect("ours");
}

#[test]
fn questions_to_the_embedded_cloud_that_come_at_once_are_all_answered() {
    let place = Place::new("targets: []\n");
    // What a process leaves that was killed while it served.
    place.write(".raito/cloud.token", "1\nraito_of-a-process-that-was-killed");
    for _ in 0..3 {
        let asked: Vec<_> = (0..4).map(|_| place.spawn(&["cloud", "get", "/sources"])).collect();
        for child in asked {
            let output = child.wait_with_output().expect("ends");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }
    let server = Served::of(&place);
    let busy = place.raito(&["cloud", "serve", "--listen", "127.0.0.1:0"]).exits(1);
    busy.says(&["E-state-busy", &server.process().to_string()]);
    place.get("/sources");
    drop(server);
    place.get("/sources");
}

#[test]
fn a_threshold_is_kept_until_the_exact_number_is_allowed() {
    let whole = Warehouse::serve(&["--seed", "1", "--tables", "300"]);
    let place = whole.place("");
    place.run(&[]);
    let smaller = Warehouse::serve(&["--seed", "1", "--tables", "30"]);
    place.configure(&smaller.target(""));
    place.write("warehouse.token", &smaller.token);
    let before = place.list("/sources/warehouse/objects?kind=table").len();
    let outcome = place.raito(&["run"]).exits(4);
    assert!(
        outcome.stderr.contains("E-over-threshold") && outcome.stderr.contains("--allow-removals"),
        "{}",
        outcome.stderr
    );
    assert_eq!(place.list("/sources/warehouse/objects?kind=table").len(), before, "nothing was removed");
}

#[test]
fn what_init_writes_can_be_validated() {
    let place = Place::new("targets: []\n");
    let demo = connector("demo");
    place.raito(&["init", "--connector", demo.to_str().expect("UTF-8"), "new.yml"]).exits(0);
    let text = std::fs::read_to_string(place.path().join("new.yml")).expect("written");
    assert!(text.contains("http.api") && text.contains("sha256"), "{text}");
    place.write(
        "new.yml",
        text.replace("https://…", "https://warehouse.example").replace("{ env: TOKEN }", "{ env: HOME }"),
    );
    place.raito(&["validate", "--config-file", "new.yml"]).exits(0);
    place.raito(&["init", "new.yml"]).exits(2).says(&["new.yml"]);

    let postgresql = connector("postgresql");
    let postgresql = postgresql.to_str().expect("UTF-8");
    place.raito(&["init", "--connector", postgresql, "cluster.yml"]).exits(0);
    let text = std::fs::read_to_string(place.path().join("cluster.yml")).expect("written");
    let filled = text
        .replace("//…@…:", "//raito@db.example:")
        .replace("[\"…\"]", "[shop]")
        .replace("{ env: PASSWORD }", "{ env: HOME }");
    assert!(filled.contains("# addresses: [") && filled.contains("# ca: "), "{filled}");
    place.write("cluster.yml", &filled);
    place.raito(&["validate", "--config-file", "cluster.yml"]).exits(0);
    // An optional slot is as the manifest wants it once its comment is taken away.
    let (head, grants) = filled.split_once("    grants:\n").expect("grants");
    let grants: String = grants
        .lines()
        .filter(|line| !line.contains("works without this one"))
        .map(|line| format!("{}\n", line.replacen("      # ", "      ", 1)))
        .collect();
    place.write("cluster.yml", format!("{head}    grants:\n{grants}"));
    let said = place.raito(&["validate", "--config-file", "cluster.yml"]).exits(0).stdout;
    assert!(said.contains("sql.log →") && said.contains("sql.counters →"), "{said}");

    place.raito(&["init", "example.yml"]).exits(0);
    let text = std::fs::read_to_string(place.path().join("example.yml")).expect("written");
    place.write("example.yml", text.replace("connectors/postgresql.wasm", postgresql).replace("SHOP_PASSWORD", "HOME"));
    place.raito(&["validate", "--config-file", "example.yml"]).exits(0);
}

#[test]
fn c7_a_manifest_cannot_write_lines_of_its_own_into_a_configuration() {
    let place = Place::new("targets: []\n");
    let manifest = r#"name = "lines"
version = "0.1.0"
summary = "Has defaults that look like YAML"

[settings.words]
type = "list"
default = ["]", "b: c", "d # e", "\"", "\\", "true", "\u202E\u0085"]
help = "More\n    grants: {}"

[settings.word]
type = "text"
default = "\", x: \"\\\n - y\u2028"
help = "Words"

[http.api.routes.r]
mode = "read"
request = "GET /x"
"#;
    place.write("sound.wasm", SOUND.component());
    place.write("lines.toml", manifest);
    place.raito(&["connector", "pack", "sound.wasm", "lines.toml", "-o", "a \"b\".wasm"]).exits(0);
    place.raito(&["init", "--connector", "a \"b\".wasm", "new.yml"]).exits(0);
    let text = std::fs::read_to_string(place.path().join("new.yml")).expect("written");
    assert!(!text.contains("\n - y") && !text.contains(['\u{202e}', '\u{85}', '\u{2028}']), "{text}");
    // Every setting as the manifest has it, once its comment is taken away.
    let (head, below) = text.split_once("    # settings:\n").expect("settings");
    let below = below.replace("      # ", "      ").replace("https://…", "https://warehouse.example");
    place.write("new.yml", format!("{head}    settings:\n{below}"));
    let said = place.raito(&["validate", "--config-file", "new.yml"]).exits(0).stdout;
    assert!(said.contains("http.api →"), "{said}");

    // A list with a line break in an item would be one of two items to the connector.
    place.write("broken.toml", manifest.replace("\"d # e\"", r#""d\n  - name: second\n""#));
    let packed = place.raito(&["connector", "pack", "sound.wasm", "broken.toml", "-o", "broken.wasm"]);
    packed.exits(5).says(&["E-connector-invalid", "settings.words", "an item with a line break"]);
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_file() {
    let place = Place::new("\u{feff}targets: []\n");
    place.raito(&["validate"]).exits(0);
    place.write("access.yml", "\u{feff}version: 1\n");
    place.raito(&["access", "validate"]).exits(0).says(&["1 file: 0 access controls on 0 targets"]);
}

#[test]
fn a_kind_of_event_that_there_is_none_of_is_refused_with_those_that_there_are() {
    let place = Place::new("targets: []\n");
    place.raito(&["audit", "show", "--kind", "nope"]).exits(2).says(&["nope", "token-request", "denied"]);
    place.raito(&["run", "--quiet"]).exits(0);
    assert!(place.raito(&["audit", "show", "--kind", "run-end"]).exits(0).stdout.contains("run-end"));
}

#[test]
fn c6_a_token_of_the_cloud_is_kept_and_compared_as_a_digest() {
    let place = Place::new("cloud: embedded\ntargets: []\n");
    let token = place.raito(&["cloud", "token", "reader"]).exits(0).stdout;
    let token = token.split_whitespace().find(|word| word.starts_with("raito_")).expect("a token").to_owned();
    // 256 random bits as base64 without padding: 43 digits.
    assert!(token.len() >= "raito_".len() + 43, "{token}");
    let mut kept = 0;
    for entry in std::fs::read_dir(place.path().join(".raito")).expect("a folder").flatten() {
        let Ok(bytes) = std::fs::read(entry.path()) else { continue };
        let holds = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
        assert!(!holds(token.as_bytes()), "the token stands in {}", entry.path().display());
        kept += usize::from(holds(raito_core::digest::Digest::of(token.as_bytes()).as_bytes()));
    }
    assert!(kept > 0, "its digest is what the cloud knows");
}

/// A warehouse that was read once, so that there is something to print, with commands that print it.
fn printing() -> (Warehouse, Place, Vec<Vec<&'static str>>) {
    let warehouse = Warehouse::serve(&["--seed", "1", "--tables", "5"]);
    let place = warehouse.place("");
    place.run(&[]);
    place.write(
        "permifrost.yml",
        "version: \"1.0\"\nroles:\n  - reader: { privileges: { tables: { read: [raw.a.*] } } }\n",
    );
    let commands = [
        "--help",
        "completions bash",
        "access schema",
        "access convert permifrost.yml --from permifrost --on warehouse",
        "access export warehouse --output json",
        "access export warehouse --output csv",
        "audit show",
        "audit checkpoint",
        "audit prove --seq 1",
        "cloud export",
        "cloud export --digest",
        "cloud get /sources",
        "cloud get /no-such-path --output json",
        "connector inspect demo.wasm --output json",
        "run --dry-run",
    ];
    std::fs::copy(connector("demo"), place.path().join("demo.wasm")).expect("writable");
    (warehouse, place, commands.iter().map(|command| command.split(' ').collect()).collect())
}

#[test]
fn what_cannot_be_printed_is_an_error_and_what_nobody_reads_is_none() {
    let (_warehouse, place, commands) = printing();
    let into = |command: &[&str], out: std::process::Stdio| {
        let output = place.command(command).stdout(out).output().expect("starts");
        (output.status.code(), String::from_utf8(output.stderr).expect("UTF-8"))
    };
    let full = || std::fs::File::options().write(true).open("/dev/full").expect("Linux has it").into();
    let closed = || std::io::pipe().expect("a pipe").1.into();
    for command in &commands {
        let (code, said) = into(command, full());
        assert_eq!(code, Some(2), "{command:?}: {said}");
        assert_eq!(said.matches("standard output does not take everything").count(), 1, "{command:?}: {said}");
        assert_eq!(said.matches("E-file").count(), 1, "{command:?}: {said}");
        let (code, said) = into(command, closed());
        let refused = command.contains(&"/no-such-path");
        assert_eq!(code, Some(if refused { 6 } else { 0 }), "{command:?}: {said}");
        assert!(refused == said.contains("error["), "{command:?}: {said}");
    }

    // A token is told once; one that nobody was told does not stay.
    for out in [full(), closed()] {
        assert!(into(&["cloud", "token", "lost"], out).1.contains("the token lost was taken away again"));
    }
    assert_eq!(place.list("/tokens"), Vec::<serde_json::Value>::new());
}

#[test]
fn c3_a_secret_in_the_configuration_is_printed_nowhere() {
    const SECRET: &str = "hunter2";
    let connector = connector("postgresql");
    let target = |grant: &str| {
        format!(
            "targets:\n  - name: shop\n    connector: {{ file: \"{}\" }}\n    grants:\n      sql.main:\n{grant}",
            connector.display()
        )
    };
    let server = "        url: \"postgresql://u@localhost:1/\"\n        databases: [d]\n";
    let wrong = [
        target("        url: postgresql://user:hunter2@host/\n        databases: [d]\n"),
        target(&format!("{server}        password: hunter2\n")),
        target(&format!("{server}        pasword: hunter2\n        # once it was hunter2\n")),
        target(&format!("{server}        password: {{ env: hunter2 }}\n")),
        target(&format!("{server}        password:\n          hunter2\n        tls: maybe\n")),
        target(&format!("{server}        password: [hunter2\n")),
        target(&format!("{server}        passwords: |\n          hunter2\n")),
        target("        url postgresql://user:hunter2@host/\n"),
        "cloud: { url: \"https://hunter2@cloud.example\", token: hunter2 }\ntargets: []\n".to_owned(),
    ];
    for text in &wrong {
        let place = Place::new(text);
        for arguments in [
            &["validate"][..],
            &["run"],
            &["run", "-vvv"],
            &["run", "--output", "json"],
            &["doctor"],
            &["doctor", "--output", "json"],
            &["who", "a", "--output", "json"],
            &["access", "import", "--on", "shop"],
        ] {
            let outcome = place.raito(arguments);
            let said = format!("{}{}", outcome.stdout, outcome.stderr);
            assert!(!said.contains(SECRET), "{arguments:?} of\n{text}\n{said}");
            assert!(outcome.code != Some(0) || arguments[0] != "run", "{arguments:?} of\n{text}\n{said}");
        }
        for folder in [".raito/audit", ".raito"] {
            for entry in std::fs::read_dir(place.path().join(folder)).into_iter().flatten().flatten() {
                let held = std::fs::read(entry.path()).unwrap_or_default();
                assert!(!held.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()), "{:?}", entry.path());
            }
        }
    }
    let place = Place::new("targets: []\n");
    place.write("ceiling.yml", "origins: [\"https://user:hunter2@host\"]\npassword: hunter2\n");
    let outcome = place.raito(&["validate", "--ceiling", "ceiling.yml"]).exits(2);
    assert!(!outcome.stderr.contains(SECRET), "{}", outcome.stderr);
    place.write("ldap2pg.yml", "ldap: { password: hunter2 }\npostgres: { dsn: postgres://u:hunter2@h/ }\nrules: 1\n");
    let convert = ["access", "convert", "ldap2pg.yml", "--from", "ldap2pg", "--on", "shop"];
    assert!(!place.raito(&convert).stderr.contains(SECRET), "{}", place.raito(&convert).stderr);
}
