//! Step 5 where the server does not record everything: what is missing is said, with what to set, and nothing is called unused.

use std::path::PathBuf;

use serde_json::Value;

use crate::support::Place;
use crate::usage::{Watched, covered, watched_with};

/// What the last run could not tell.
fn gaps(place: &Place) -> Vec<String> {
    let page = place.get("/sources/shop/usage");
    let gaps = page["coverage"]["gaps"].as_array().into_iter().flatten();
    gaps.map(|gap| gap.as_str().expect("a text").to_owned()).collect()
}

/// Uses of the tables of people, by anybody: the table, how often, and whether that is certain.
fn used(place: &Place) -> Vec<(String, u64, bool)> {
    let page = place.get("/sources/shop/usage?limit=1000");
    let mut used = std::collections::BTreeMap::<String, (u64, bool)>::new();
    for row in page["items"].as_array().expect("a list") {
        let path: Vec<&str> =
            row["object"]["path"].as_array().expect("a path").iter().filter_map(Value::as_str).collect();
        // Who reads the counters uses them too.
        if path.contains(&"public") {
            continue;
        }
        let known = used.entry(path.join(".")).or_insert((0, true));
        known.0 += row["calls"].as_u64().expect("a number");
        known.1 &= row["precise"].as_bool().expect("a flag");
    }
    used.into_iter().map(|(path, (calls, precise))| (path, calls, precise)).collect()
}

fn of(table: &str, calls: u64, precise: bool) -> (String, u64, bool) {
    (table.to_owned(), calls, precise)
}

impl Watched {
    /// Changes a setting of the server, which takes a moment.
    fn set(&self, setting: &str) {
        self.server.sql("postgres", &format!("alter system set {setting}"));
        self.server.sql("postgres", "select pg_reload_conf()");
        let (name, value) = setting.split_once(" = ").expect("a setting");
        while !self.server.sql("postgres", &format!("show {name}")).eq_ignore_ascii_case(value.trim_matches('\'')) {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    /// Runs step 5 when the log can be read up to now.
    fn read_log(&self) {
        std::thread::sleep(std::time::Duration::from_millis(2_200));
        self.log.run(&[]);
    }

    fn log_folder(&self) -> PathBuf {
        PathBuf::from(self.server.sql("postgres", "show data_directory")).join("log")
    }
}

#[test]
fn counters_cover_nothing_as_long_as_something_is_not_counted() {
    let watched = watched_with("jsonlog", "pg_stat_statements.track = top\n");
    let (server, place) = (&watched.server, &watched.counters);
    server.sql(
        "shop",
        "create function hr.headcount() returns bigint language plpgsql security definer as \
         'begin return (select count(*) from hr.people); end'; grant execute on function hr.headcount() to public",
    );
    server.sql("shop", "select pg_stat_statements_reset()");
    let work = "\\o /dev/null\nselect hr.headcount();\nselect count(*) from sales.orders;\n";
    server.sql_as("u1", "shop", work);
    place.run(&[]);
    assert_eq!(used(place), [of("shop.sales.orders", 1, false)], "what is counted is told all the same");
    assert_eq!(covered(place), []);
    let told = gaps(place);
    assert!(told.iter().any(|gap| gap.contains("track is top") && gap.contains("set it to all")), "{told:?}");

    // What was counted before the setting was changed is not covered, whatever the setting is now.
    watched.set("pg_stat_statements.track = 'all'");
    let changed: u64 = server
        .sql("shop", "select (extract(epoch from pg_conf_load_time()) * 1000)::bigint")
        .parse()
        .expect("a number");
    server.sql_as("u1", "shop", work);
    place.run(&[]);
    assert_eq!(used(place), [of("shop.hr.people", 1, false), of("shop.sales.orders", 2, false)]);
    let [(from_ms, to_ms)] = covered(place)[..] else { panic!("{:?}", covered(place)) };
    assert!(from_ms == changed && to_ms > changed, "{from_ms} to {to_ms}, and {changed}");
    assert_eq!(gaps(place), [""; 0]);

    for (setting, back, words) in [
        (
            "alter role u3 set pg_stat_statements.track = 'none'",
            "alter role u3 reset pg_stat_statements.track",
            "not all is counted for role \"u3\": pg_stat_statements.track=none",
        ),
        (
            "alter database crm set pg_stat_statements.track_utility = off",
            "alter database crm reset all",
            "not all is counted in database \"crm\": pg_stat_statements.track_utility=off",
        ),
        (
            "alter role u3 in database shop set pg_stat_statements.track = 'top'",
            "alter role u3 in database shop reset all",
            "not all is counted for role \"u3\" in database \"shop\": pg_stat_statements.track=top",
        ),
    ] {
        let before = covered(place);
        server.sql("postgres", setting);
        place.run(&[]);
        assert_eq!(covered(place), before, "{setting}");
        assert!(gaps(place).iter().any(|gap| gap.contains(words)), "{words} is not in {:?}", gaps(place));
        server.sql("postgres", back);
    }
    // A setting that counts all is no exception.
    server.sql("postgres", "alter role u3 set pg_stat_statements.track = 'all'");
    place.run(&[]);
    assert_eq!(gaps(place), [""; 0]);
    watched.set("pg_stat_statements.track_utility = off");
    place.run(&[]);
    assert!(gaps(place).iter().any(|gap| gap.contains("COPY") && gap.contains("set it to on")), "{:?}", gaps(place));
}

#[test]
fn a_log_without_relations_covers_nothing_and_is_certain_of_nothing() {
    let watched = watched_with("jsonlog", "pgaudit.log_relation = off\n");
    let place = &watched.log;
    watched.server.sql_as("u1", "shop", "\\o /dev/null\nselect count(*) from sales.orders;\n");
    watched.read_log();
    assert_eq!(used(place), [of("shop.sales.orders", 1, false)], "told from the text, and so not certain");
    assert_eq!(covered(place), []);
    let told = gaps(place);
    assert!(
        told.iter().any(|gap| gap.contains("pgaudit.log_relation is off") && gap.contains("set it to on")),
        "{told:?}"
    );

    watched.set("pgaudit.log_relation = on");
    watched.server.sql_as("u1", "shop", "\\o /dev/null\nselect count(*) from hr.people;\n");
    watched.read_log();
    assert_eq!(used(place), [of("shop.hr.people", 1, true), of("shop.sales.orders", 1, false)]);
    assert_eq!(covered(place).len(), 1, "from the change of the setting on");
    assert_eq!(gaps(place), [""; 0]);
}

#[test]
fn a_text_that_is_cut_is_told() {
    let watched = watched_with("jsonlog", "");
    watched.read_log();
    watched.counters.run(&[]);
    let (in_log, counted) = (covered(&watched.log), covered(&watched.counters));
    let long = format!("\\o /dev/null\nselect /* {} */ count(*) from sales.orders;\n", "long ".repeat(14_000));
    watched.server.sql_as("u1", "shop", &long);
    watched.read_log();
    watched.counters.run(&[]);
    for place in [&watched.log, &watched.counters] {
        let told = gaps(place);
        assert!(told.iter().any(|gap| gap.contains("texts of 1 statements are too long and were cut")), "{told:?}");
    }
    assert_eq!(used(&watched.log), [of("shop.sales.orders", 1, true)], "pgaudit tells what it used");
    assert!(covered(&watched.log)[0].1 > in_log[0].1);
    assert_eq!(covered(&watched.counters), counted, "the text tells what it used");
}

/// Files of a log that nobody cleans up.
const FILES: usize = 500;

#[test]
fn a_log_of_many_files_is_read_once_and_a_file_that_began_small_goes_on() {
    let watched = watched_with("jsonlog", "");
    let (place, folder) = (&watched.log, watched.log_folder());
    watched.server.sql_as("u1", "shop", "\\o /dev/null\nselect count(*) from sales.orders;\n");
    let files = std::fs::read_dir(&folder).expect("readable").flatten().map(|entry| entry.path());
    let real = files.filter(|path| path.extension().is_some_and(|end| end == "json")).max().expect("a log");
    // The collector takes a moment.
    let mut text = String::new();
    while !text.contains("sales.orders") {
        std::thread::sleep(std::time::Duration::from_millis(20));
        text = std::fs::read_to_string(&real).expect("readable");
    }
    let line =
        |word: &str| format!("{}\n", text.lines().find(|line| line.contains(word)).unwrap_or_else(|| panic!("{word}")));
    let old = line("listening on");
    for number in 0..FILES {
        std::fs::write(folder.join(format!("postgresql-2020-01-01_{number:06}.json")), &old).expect("writable");
    }
    watched.read_log();
    assert_eq!(used(place), [of("shop.sales.orders", 1, true)]);
    let asked = |place: &Place| place.events().iter().filter(|event| event["entry"] == "log-part").count();
    let first = asked(place);

    // A file that begins with less than it is known by later.
    let small = folder.join("postgresql-2099-01-01_000000.json");
    assert!(old.len() < 512, "{}", old.len());
    std::fs::write(&small, &old).expect("writable");
    watched.read_log();
    let audited = line("sales.orders").replace("\"session_id\":\"", "\"session_id\":\"f");
    assert_ne!(audited, line("sales.orders"));
    std::fs::write(&small, format!("{old}{audited}")).expect("writable");
    watched.read_log();
    assert_eq!(used(place), [of("shop.sales.orders", 2, true)], "the other session's");
    assert_eq!(covered(place).len(), 1, "{:?}", covered(place));
    assert_eq!(gaps(place), [""; 0]);
    assert!(first > FILES, "each file is read: {first}");
    let more = asked(place) - first;
    assert!(more < 20, "files that nobody has written to since are not looked into: {more}");
}

#[test]
fn counters_that_are_hidden_or_dropped_cover_nothing_and_a_name_of_several_is_told_as_unclear() {
    let watched = watched_with("jsonlog", "pg_stat_statements.max = 100\n");
    let (server, place) = (&watched.server, &watched.counters);
    let run = |text: &str| server.sql_as("u1", "shop", &format!("\\o /dev/null\n{text}"));
    let unclear = || place.get("/sources/shop/usage")["coverage"]["unclear"].as_u64();
    place.run(&[]);
    let clear = unclear();
    run("set search_path = hr; select count(*) from customers;\n");
    place.run(&[]);
    assert!(used(place).is_empty() && unclear() > clear, "sales has customers as well: {:?}", used(place));
    let before = covered(place);

    server.sql("shop", "revoke pg_read_all_stats from raito_counters");
    run("select count(*) from sales.orders;\n");
    place.run(&[]);
    assert_eq!((used(place), covered(place)), (vec![], before.clone()));
    assert!(gaps(place).iter().any(|gap| gap.contains("are hidden: grant pg_read_all_stats")), "{:?}", gaps(place));

    server.sql("shop", "grant pg_read_all_stats to raito_counters");
    let many: String =
        (1..150).map(|length| format!("select {} from sales.orders;\n", vec!["id"; length].join(" + "))).collect();
    run(&many);
    place.run(&[]);
    assert_eq!(covered(place), before);
    assert!(gaps(place).iter().any(|gap| gap.contains("raise pg_stat_statements.max")), "{:?}", gaps(place));
    // What the host asks takes places among the hundred, too: once they are kept, nothing is dropped between two runs.
    let mut runs = 0;
    while covered(place).len() < 2 && runs < 6 {
        run("select count(*) from hr.people;\n");
        place.run(&[]);
        runs += 1;
    }
    assert!(used(place).iter().any(|(object, ..)| object == "shop.hr.people"), "{:?}", used(place));
    let after = covered(place);
    assert!(after.len() == 2 && after[1].0 > before[0].1, "nothing between: {after:?}");
}
