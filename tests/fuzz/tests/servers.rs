//! The gate for read statements on real servers: what a server resolves in a statement that was let through
//! is its own and on the lists, and running it changes nothing.
#![allow(unreachable_pub, reason = "modules of a test are public to each other")]

#[path = "../../support/postgres.rs"]
#[allow(dead_code, reason = "not every test needs all of it")]
mod postgres;
#[path = "../../support/random.rs"]
#[allow(dead_code, reason = "not every test needs all of it")]
mod random;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;

use postgres::{ONLY_TLS, Postgres, READER, SYSTEM, Version};
use raito_core::sql::keyword::KEYWORDS;
use raito_core::sql::postgresql::{
    EXTENSION_FUNCTIONS, FIRST_USER_OID, RELATIONS, ROW_FUNCTIONS, SCALAR_FUNCTIONS, SETTINGS,
};
use raito_core::sql::read::ReadStatement;
use raito_fuzz::let_through;
use raito_fuzz::near::{manifests, near};
use random::Random;

const VERSIONS: [Version; 4] = [SYSTEM, Version(16), Version(17), Version(18)];

fn server(version: Version) -> Postgres {
    let settings = "shared_preload_libraries = 'pg_stat_statements'\npg_stat_statements.track = all\n";
    let server = Postgres::start_version(version, settings, ONLY_TLS);
    server.sql("postgres", "create extension pg_stat_statements");
    server
}

/// A statement as it can be run by hand: NULL for each parameter, the schema for each extension.
fn by_hand(statement: &ReadStatement) -> String {
    let text = statement.text.resolve(|_| Some("public")).expect("known");
    let without = |text: String, number: usize| text.replace(&format!("${number}::"), "null::");
    (1..=statement.binds.len()).rev().fold(text, without)
}

/// Numbers behind a field in a dump of a tree.
fn numbers<'d>(dump: &'d str, field: &'d str) -> impl Iterator<Item = u32> + 'd {
    dump.match_indices(field).filter_map(move |(at, _)| {
        let rest = dump[at + field.len()..].trim_start();
        rest[..rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len())].parse().ok()
    })
}

/// What a server said to the statements of a script, one after the other: standard error between marks.
fn run(server: &Postgres, statements: &[String]) -> Vec<String> {
    let mut script =
        String::from("set client_min_messages = log; set debug_print_parse = on; set debug_print_plan = on;\n");
    script.push_str("set default_transaction_read_only = on; set row_security = off; set statement_timeout = '3s';\n");
    script.push_str("set search_path = pg_catalog, pg_temp;\n\\o /dev/null\n");
    for (number, statement) in statements.iter().enumerate() {
        script.push_str(&format!("\\warn MARK{number}\n{statement};\n"));
    }
    let mut psql = server.psql("postgres", READER);
    psql.args(["-v", "ON_ERROR_STOP=0"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut psql = psql.spawn().expect("psql is installed with the server");
    let mut input = psql.stdin.take().expect("piped");
    let writer = std::thread::spawn(move || std::io::Write::write_all(&mut input, script.as_bytes()));
    let output = psql.wait_with_output().expect("psql ends");
    writer.join().expect("the writer ends").expect("psql reads");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let mut parts: Vec<String> = said.split("MARK").skip(1).map(str::to_owned).collect();
    parts
        .iter_mut()
        .for_each(|part| *part = part.split_once('\n').map(|(_, rest)| rest.to_owned()).unwrap_or_default());
    assert_eq!(parts.len(), statements.len(), "psql broke off: {}", said.chars().take(2_000).collect::<String>());
    parts
}

/// Everything of a server that a statement could leave behind, once the processes of clients that have gone
/// have ended, which takes the server a moment.
fn state(server: &Postgres) -> String {
    let others =
        "select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()";
    let began = std::time::Instant::now();
    while server.sql("postgres", others) != "0" && began.elapsed().as_secs() < 60 {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    server.sql(
        "postgres",
        "select (select count(*) from pg_class), (select count(*) from pg_proc), (select count(*) from pg_authid),
                (select count(*) from pg_largeobject_metadata), (select count(*) from pg_locks where locktype = 'advisory'),
                (select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()),
                (select md5(string_agg(name || coalesce(setting, ''), ',' order by name)) from pg_settings),
                (select md5(string_agg(f.name, ',' order by f.name)) from pg_ls_dir('.') f (name)),
                (select count(*) from pg_prepared_statements), (select count(*) from pg_replication_slots)",
    )
}

#[test]
fn what_servers_resolve_is_their_own_and_on_the_lists_and_nothing_changes() {
    let known = manifests();
    let mut random = Random::from_environment("what_servers_resolve_is_their_own");
    let wanted = std::env::var("RAITO_FUZZ_STATEMENTS").ok().and_then(|text| text.parse().ok()).unwrap_or(150);
    let mut texts: BTreeSet<String> =
        known.iter().filter_map(|text| let_through(text)).map(|read| by_hand(&read)).collect();
    assert!(texts.len() > 25, "the manifests' own statements");
    while texts.len() < wanted + 30 {
        let text = near(&known[random.below(known.len())], &known, |bound| random.below(bound));
        texts.extend(let_through(&text).map(|read| by_hand(&read)));
    }
    let texts: Vec<String> = texts.into_iter().collect();
    for version in VERSIONS {
        let server = server(version);
        let names: BTreeMap<u32, String> = server
            .rows("postgres", "select oid::text || ' ' || proname from pg_proc")
            .iter()
            .filter_map(|row| row.split_once(' ').and_then(|(oid, name)| Some((oid.parse().ok()?, name.to_owned()))))
            .collect();
        let before = state(&server);
        let mut resolved = 0;
        for (text, said) in texts.iter().zip(run(&server, &texts)) {
            assert!(!said.contains("PANIC") && !said.contains("server closed"), "{version:?}: {text}\n{said}");
            // The first tree is what the server made of the statement; the plan has what it puts in for SQL functions.
            for field in [":funcid", ":opfuncid", ":aggfnoid", ":relid", ":opno", ":winfnoid"] {
                for number in numbers(&said, field) {
                    resolved += 1;
                    let is_extension = names
                        .get(&number)
                        .is_some_and(|name| EXTENSION_FUNCTIONS.iter().any(|(_, function, _)| function == name));
                    assert!(number < FIRST_USER_OID || is_extension, "{version:?}: {field} {number} in {text}");
                }
            }
            let (tree, _) = said.split_once("plan:").unwrap_or((&said, ""));
            for number in numbers(tree, ":funcid").chain(numbers(tree, ":aggfnoid")) {
                let Some(name) = names.get(&number) else { continue };
                let is_listed = SCALAR_FUNCTIONS.binary_search(&name.as_str()).is_ok()
                    || ROW_FUNCTIONS.iter().any(|(known, _)| known == name)
                    || EXTENSION_FUNCTIONS.iter().any(|(_, known, _)| known == name)
                    || ["extract", "pg_ls_logdir", "pg_read_binary_file"].contains(&name.as_str())
                    || IMPLIED.contains(&name.as_str());
                assert!(is_listed, "{version:?}: the server calls {name} for {text}");
            }
        }
        assert!(resolved > 5_000, "{version:?}: the server told next to nothing: {resolved}");
        assert_eq!(state(&server), before, "{version:?}: something is left behind");
    }
}

/// Functions of casts between the types of the language, which the server calls where a statement has the
/// cast. All convert one value, and do nothing else.
const IMPLIED: &[&str] = &[
    "bool",
    "bpchar",
    "char",
    "date",
    "float4",
    "float8",
    "int2",
    "int4",
    "int8",
    "interval",
    "name",
    "numeric",
    "oid",
    "regclass",
    "text",
    "timestamp",
    "timestamptz",
    "varchar",
    "jsonb",
];

#[test]
fn the_lists_are_what_each_version_has() {
    for version in VERSIONS {
        let server = server(version);
        let keywords: BTreeSet<String> =
            server.rows("postgres", "select word from pg_get_keywords() where catcode <> 'U'").into_iter().collect();
        let missing: Vec<&String> = keywords.iter().filter(|word| !KEYWORDS.contains(&word.as_str())).collect();
        assert!(missing.is_empty(), "{version:?} has the keywords {missing:?}");
        columns_are_there(&server, version);
        functions_are_harmless(&server, version);
        let settings: BTreeSet<String> = server.rows("postgres", "select name from pg_settings").into_iter().collect();
        // Those of extensions that are not loaded, and those of a later version, are told as NULL.
        let later = |name: &str| name.contains('.') || name == "createrole_self_grant";
        for name in SETTINGS.iter().filter(|name| !later(name)) {
            assert!(settings.contains(*name), "{version:?} has no setting {name}");
        }
    }
}

/// Columns that PostgreSQL 16 added.
const SINCE_16: [&str; 3] = ["pg_auth_members.oid", "pg_auth_members.inherit_option", "pg_auth_members.set_option"];

fn columns_are_there(server: &Postgres, version: Version) {
    let columns: BTreeSet<String> = server
        .rows(
            "postgres",
            "select c.relname || '.' || a.attname from pg_class c join pg_attribute a on a.attrelid = c.oid
             where c.relnamespace = 'pg_catalog'::regnamespace and not a.attisdropped",
        )
        .into_iter()
        .collect();
    for (relation, names) in RELATIONS {
        for name in *names {
            let column = format!("{relation}.{name}");
            if columns.contains(&column) {
                continue;
            }
            assert!(version == SYSTEM && SINCE_16.contains(&column.as_str()), "{version:?} has no {column}");
            // A column that is not there is the call of a function with the row, where one takes it.
            let taken = server.sql(
                "postgres",
                &format!(
                    "select count(*) from pg_proc where proname = '{name}' and pronargs = 1 and proargtypes[0] in
                          ('record'::regtype, 'anyelement'::regtype, 'anycompatible'::regtype, '\"any\"'::regtype)"
                ),
            );
            assert_eq!(taken, "0", "{version:?}: {column} could be a function");
        }
    }
}

/// Each function of the lists is PostgreSQL's own, and none is volatile but for those that only tell the time or the state of
/// the server.
fn functions_are_harmless(server: &Postgres, version: Version) {
    let forms = ["coalesce", "greatest", "least", "nullif"];
    let volatile = ["clock_timestamp", "pg_is_in_recovery", "pg_control_system"];
    let rows = server.rows(
        "postgres",
        "select concat_ws(' ', p.proname, p.provolatile, p.proretset::text, p.prokind, l.lanname)
         from pg_proc p join pg_language l on l.oid = p.prolang where p.pronamespace = 'pg_catalog'::regnamespace",
    );
    let rows_of = |name: &str| -> Vec<Vec<String>> {
        let split = |row: &String| row.split(' ').map(str::to_owned).collect::<Vec<_>>();
        rows.iter().map(split).filter(|row: &Vec<String>| row[0] == name).collect()
    };
    let all = SCALAR_FUNCTIONS
        .iter()
        .map(|name| (*name, "false"))
        .chain(ROW_FUNCTIONS.iter().map(|(name, _)| (*name, "any")));
    for (name, gives_rows) in all.filter(|(name, _)| !forms.contains(name)) {
        let found = rows_of(name);
        assert!(!found.is_empty(), "{version:?} has no function {name}");
        for row in found {
            assert!(row[1] != "v" || volatile.contains(&name), "{version:?}: {name} is volatile");
            assert!(gives_rows == "any" || row[2] == gives_rows, "{version:?}: {name} gives rows");
            assert!(
                ["f", "a"].contains(&row[3].as_str()),
                "{version:?}: {name} is neither a function nor an aggregate"
            );
            assert!(["internal", "sql"].contains(&row[4].as_str()), "{version:?}: {name} is written in {}", row[4]);
        }
    }
}
