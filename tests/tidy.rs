//! The rules of the code base, as a test: what a reviewer would otherwise have to remember.
//!
//! It reads the sources and manifests of the workspace and knows nothing of their meaning. Each rule says what it found
//! and what to do about it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use raito_core::digest::Digest;

/// Longest function, in lines from its signature to its closing brace.
const FUNCTION_LINES: usize = 70;
/// Longest file.
const FILE_LINES: usize = 800;
/// Words that name no concept.
const FORBIDDEN_NAMES: [&str; 6] = ["util", "utils", "common", "helpers", "helper", "manager"];

/// Which package may use which others of the workspace. Everything else is an arrow in the wrong direction.
const ARROWS: [(&str, &[&str]); 16] = [
    ("raito-core", &[]),
    ("raito-file", &[]),
    ("raito-config", &["raito-core"]),
    ("raito-access", &["raito-config", "raito-core"]),
    ("raito-audit", &["raito-core", "raito-file"]),
    ("raito-broker", &["raito-core", "raito-file"]),
    ("raito-sandbox", &["raito-core"]),
    ("raito-worker", &["raito-core", "raito-sandbox"]),
    ("raito-cloud", &["raito-core"]),
    ("raito-warehouse", &[]),
    ("raito-conformance", &["raito-core"]),
    ("raito-run", &["raito-core"]),
    (
        "raito",
        &[
            "raito-access",
            "raito-audit",
            "raito-broker",
            "raito-cloud",
            "raito-config",
            "raito-conformance",
            "raito-core",
            "raito-file",
            "raito-warehouse",
            "raito-run",
            "raito-sandbox",
            "raito-worker",
        ],
    ),
    ("raito-sdk", &[]),
    ("demo", &["raito-sdk"]),
    ("postgresql", &["raito-sdk"]),
];

/// Packages that only some crates may use: they are what the boundary is about.
const RESERVED: [(&str, &[&str]); 8] = [
    ("wasmtime", &["raito-sandbox"]),
    ("wasmtime-wasi", &["raito-sandbox"]),
    ("wasmparser", &["raito-sandbox"]),
    ("tokio-postgres", &["raito-broker"]),
    ("reqwest", &["raito-broker", "raito-cloud"]),
    ("sqlx", &["raito-cloud"]),
    ("axum", &["raito-cloud", "raito-warehouse"]),
    ("clap", &["raito"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace exists")
}

/// All files below a folder with one of these endings, without build output.
fn files(folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() {
                if !matches!(name.as_str(), "target" | ".git" | "node_modules" | "corpus") {
                    folders.push(path);
                }
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// Source files of the product: without tests.
fn sources() -> Vec<PathBuf> {
    let root = root();
    let mut sources = files(&root.join("host"), &[".rs"]);
    sources.extend(files(&root.join("connectors"), &[".rs"]));
    sources
        .retain(|path| !path.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "benches"))));
    sources
}

fn fail_on(rule: &str, found: &[String]) {
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

#[test]
fn imports_go_along_the_arrows() {
    let root = root();
    let arrows: BTreeMap<_, _> = ARROWS.into_iter().collect();
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for manifest in files(&root, &["Cargo.toml"]) {
        let text = read(&manifest);
        let parsed: toml::Table = text.parse().unwrap_or_else(|error| panic!("{}: {error}", shown(&manifest)));
        let Some(name) = parsed.get("package").and_then(|package| package.get("name")).and_then(|name| name.as_str())
        else {
            continue;
        };
        if manifest.starts_with(root.join("tests")) {
            continue;
        }
        seen.insert(name.to_owned());
        let Some(allowed) = arrows.get(name) else {
            wrong.push(format!("{name} has no row in tests/tidy.rs: say what it may use"));
            continue;
        };
        let uses =
            parsed.get("dependencies").and_then(|list| list.as_table()).into_iter().flatten().map(|(key, _)| key);
        for used in uses {
            if arrows.contains_key(used.as_str()) && !allowed.contains(&used.as_str()) {
                wrong.push(format!("{name} uses {used}: turn the arrow round, or move what they share into core"));
            }
            if let Some((_, users)) = RESERVED.iter().find(|(package, _)| package == used)
                && !users.contains(&name)
            {
                wrong.push(format!("{name} uses {used}, which only {} may", users.join(", ")));
            }
        }
    }
    for (name, _) in ARROWS {
        if !seen.contains(name) {
            wrong.push(format!("tests/tidy.rs has a row for {name}, which does not exist"));
        }
    }
    fail_on("imports against the arrows", &wrong);
}

#[test]
fn core_does_no_io() {
    let forbidden = [
        "std::fs",
        "std::env",
        "std::net::Tcp",
        "std::net::Udp",
        "SystemTime::now",
        "Instant::now",
        "println!",
        "eprintln!",
    ];
    let mut wrong = Vec::new();
    for path in files(&root().join("host/core/src"), &[".rs"]) {
        for (number, line) in read(&path).lines().enumerate() {
            if let Some(word) = forbidden.iter().find(|word| line.contains(*word)) {
                wrong.push(format!("{}:{}: {word}", shown(&path), number + 1));
            }
        }
    }
    fail_on("core takes values and gives values; give it what it needs instead", &wrong);
}

/// Ways to start a thread whose stack has the size that the system gives it.
const THREADS: [&str; 3] = ["thread::spawn(", "scope.spawn(", "enable_all().build()"];

#[test]
fn threads_of_the_host_have_a_stack_of_one_size() {
    let mut wrong = Vec::new();
    for path in sources().into_iter().filter(|path| shown(path).starts_with("host/")) {
        let product = read(&path);
        let product = product.split("\n#[cfg(test)]\nmod tests").next().unwrap_or_default();
        wrong.extend(THREADS.iter().filter(|way| product.contains(*way)).map(|way| format!("{}: {way}", shown(&path))));
    }
    // What is for tests only reads what they wrote.
    wrong.retain(|found| {
        !found.starts_with("host/worker/src/fuzz") && !found.starts_with("host/sandbox/src/hostile.rs")
    });
    fail_on("how deep a file may nest is promised for limits::STACK_BYTES: use thread::Builder and stack_size", &wrong);
}

#[test]
fn only_the_command_line_prints_and_exits() {
    let forbidden = ["println!", "eprintln!", "print!(", "dbg!(", "process::exit", "todo!(", "unimplemented!("];
    let mut wrong = Vec::new();
    for path in sources() {
        let name = shown(&path);
        for (number, line) in read(&path).lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let found = forbidden.iter().find(|word| code.contains(*word));
            let allowed = name.starts_with("host/cli/")
                && found.is_some_and(|word| word.contains("print") || word.contains("exit"));
            if let Some(word) = found
                && !allowed
            {
                wrong.push(format!("{name}:{}: {word}", number + 1));
            }
        }
    }
    fail_on("printing and exiting belong to host/cli, and nothing stays unfinished", &wrong);
}

/// The files that may see a secret: those that put it into a request, or sign one, and those that look for it.
const SECRET_USERS: [&str; 10] = [
    "host/broker/src/credential.rs",
    "host/broker/src/credential/jwt.rs",
    "host/broker/src/credential/sigv4.rs",
    "host/broker/src/credential/token.rs",
    "host/broker/src/egress/client.rs",
    "host/broker/src/sql/connect.rs",
    "host/broker/src/tls.rs",
    "host/cloud/src/client.rs",
    "host/core/src/leak.rs",
    "host/core/src/secret.rs",
];

/// What opens a way out, and the files of the broker that may have it: everything else goes through them.
const WAYS_OUT: [&str; 6] =
    ["TcpStream::connect", "UdpSocket", "UnixStream", "lookup_host", "reqwest::Client", "to_socket_addrs"];

#[test]
fn the_broker_has_one_way_out() {
    let mut wrong = Vec::new();
    for path in files(&root().join("host/broker/src"), &[".rs"]) {
        let name = shown(&path);
        if name.starts_with("host/broker/src/egress") {
            continue;
        }
        let product = read(&path);
        let product = product.split("\n#[cfg(test)]\nmod tests").next().unwrap_or_default();
        wrong.extend(WAYS_OUT.iter().filter(|way| product.contains(*way)).map(|way| format!("{name}: {way}")));
    }
    fail_on("the address policy stands in host/broker/src/egress.rs: go through it", &wrong);
}

#[test]
fn only_what_builds_requests_sees_secrets() {
    let mut wrong = Vec::new();
    for path in sources() {
        let name = shown(&path);
        let product = read(&path);
        let product = product.split("\n#[cfg(test)]\nmod tests").next().unwrap_or_default();
        if product.contains(".expose()") && !SECRET_USERS.contains(&name.as_str()) {
            wrong.push(name);
        }
    }
    fail_on("secrets are opened where a request is built, and nowhere else", &wrong);
}

#[test]
fn files_and_functions_are_short() {
    let mut wrong = Vec::new();
    for path in sources() {
        let text = read(&path);
        let product = text.split("\n#[cfg(test)]\nmod tests").next().unwrap_or_default();
        let lines: Vec<&str> = product.lines().collect();
        if lines.len() > FILE_LINES {
            wrong.push(format!("{}: {} lines, at most {FILE_LINES}: split it by concept", shown(&path), lines.len()));
        }
        for (name, line, length) in functions(&lines) {
            if length > FUNCTION_LINES {
                wrong.push(format!("{}:{line}: fn {name} has {length} lines, at most {FUNCTION_LINES}", shown(&path)));
            }
        }
    }
    fail_on("too long", &wrong);
}

/// Functions by indentation, which rustfmt keeps: name, line and length of each.
fn functions(lines: &[&str]) -> Vec<(String, usize, usize)> {
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let trimmed = line.trim_start();
        let signature = trimmed
            .trim_start_matches("pub(crate) ")
            .trim_start_matches("pub(super) ")
            .trim_start_matches("pub ")
            .trim_start_matches("const ")
            .trim_start_matches("async ")
            .trim_start_matches("unsafe ");
        let Some(rest) = signature.strip_prefix("fn ") else { continue };
        // A declaration without a body ends its signature with a semicolon.
        let ends = |line: &&&str| line.ends_with('{') || line.ends_with(';') || line.ends_with('}');
        if !lines[start..].iter().find(ends).is_some_and(|line| line.ends_with('{')) {
            continue;
        }
        let indent = line.len() - trimmed.len();
        let close = format!("{}}}", " ".repeat(indent));
        let end = lines[start..].iter().position(|line| *line == close);
        if let Some(length) = end {
            let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            found.push((name, start + 1, length + 1));
        }
    }
    found
}

#[test]
fn files_are_named_for_a_concept_and_say_what_they_are_for() {
    let mut wrong = Vec::new();
    for path in sources() {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if FORBIDDEN_NAMES.contains(&stem) || stem == "mod" {
            wrong.push(format!("{}: name it for what it holds", shown(&path)));
        }
        if !read(&path).starts_with("//!") {
            wrong.push(format!("{}: begin with //! and what the file is for", shown(&path)));
        }
    }
    fail_on("names and heads", &wrong);
}

#[test]
fn the_code_map_names_every_crate_and_module() {
    let map = read(&root().join("host/docs/architecture.md"));
    let mut wrong = Vec::new();
    for manifest in files(&root().join("host"), &["Cargo.toml"])
        .into_iter()
        .chain(files(&root().join("connectors"), &["Cargo.toml"]))
    {
        let folder = manifest.parent().expect("a manifest stands in a folder");
        let name = shown(folder);
        if !map.contains(&format!("`{name}")) {
            wrong.push(format!("{name} is not in the code map"));
        }
        if !name.starts_with("host/") {
            continue;
        }
        for entry in fs::read_dir(folder.join("src")).expect("a crate has sources").flatten() {
            let module = entry.path();
            let stem = module.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
            let is_module =
                module.extension().is_some_and(|ending| ending == "rs") && !matches!(stem.as_str(), "lib" | "main");
            if is_module && !map.contains(&format!("`{stem}`")) {
                wrong.push(format!("{name}/src/{stem}.rs is not in the code map"));
            }
        }
    }
    fail_on("host/docs/architecture.md has a code map; add what is missing", &wrong);
}

#[test]
fn the_contract_is_the_one_that_was_digested() {
    let folder = root().join("wit/connector");
    let mut listing = String::new();
    for path in files(&folder, &[".wit"]) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        listing.push_str(&format!("{}  {name}\n", Digest::of(&fs::read(&path).expect("readable"))));
    }
    let kept = fs::read_to_string(folder.join("SHA256SUMS")).unwrap_or_default();
    assert!(
        kept == listing,
        "the contract changed. If that is meant, follow wit/connector/README.md and then:\n(cd wit/connector && sha256sum *.wit > SHA256SUMS)"
    );
}

#[test]
fn nothing_speaks_of_the_place_where_it_was_written() {
    let root = root();
    let words =
        [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("registry.npm", "js"), concat!("deb.deb", "ian.org")];
    let mut wrong = Vec::new();
    for path in
        files(&root, &[".rs", ".md", ".toml", ".wit", "Makefile", ".yml", ".json", ".py", ".html", ".js", ".css"])
    {
        if let Some(word) = words.iter().find(|word| read(&path).contains(**word)) {
            wrong.push(format!("{}: {word}", shown(&path)));
        }
    }
    fail_on("machine paths and registries do not belong here", &wrong);
}
