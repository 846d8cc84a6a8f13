//! The program as a whole: how fast it starts, and what it takes to bring a PostgreSQL with 100,000 grants into the embedded
//! cloud. Prints one line for each; `host/docs/performance.md` has them.
#![allow(unreachable_pub, dead_code, unused_imports, reason = "what tests stand on is used by more than this")]

#[path = "../../../tests/support/mod.rs"]
mod support;

#[path = "program/changes.rs"]
mod changes;
#[path = "program/connections.rs"]
mod connections;
#[path = "program/ldap2pg.rs"]
mod ldap2pg;

use std::fmt::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use support::raito::postgresql_target;
use support::{Place, Postgres, Warehouse, connector};

/// What a run took: raito, and the workers in which its connectors are compiled and run.
struct Cost {
    wall: Duration,
    host: Part,
    workers: Part,
}

/// What of it was raito's, or its workers'.
#[derive(Default)]
struct Part {
    cpu: Duration,
    /// The most memory of one process.
    peak_kib: u64,
}

impl fmt::Display for Cost {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { wall, host, workers } = self;
        let (cpu, mib) = (host.cpu + workers.cpu, |part: &Part| part.peak_kib / 1024);
        write!(
            out,
            "{cpu:.2?} of processor time (raito {:.2?}, workers {:.2?}), {wall:.2?} wall, ",
            host.cpu, workers.cpu
        )?;
        write!(out, "peaks of {} MiB and {} MiB", mib(host), mib(workers))
    }
}

/// How often it is looked how much memory the processes have: seldom, since looking takes from the same processors.
const LOOKS: Duration = Duration::from_millis(20);

/// Runs a command, and looks at it and its workers until it ends.
fn measure(mut command: Command) -> Cost {
    let before = cpu_of("self", ENDED_CHILDREN).expect("Linux");
    let began = Instant::now();
    let mut child = command.stdout(Stdio::null()).process_group(0).spawn().expect("starts");
    let (id, host) = (Pid::from_child(&child), child.id().to_string());
    let ended = AtomicBool::new(false);
    let (wall, [host_kib, workers_kib]) = std::thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let mut peaks = [0, 0];
            while !ended.load(Ordering::Relaxed) {
                peaks[0] = peaks[0].max(peak_kib(&host));
                peaks[1] = children(&host).iter().map(|worker| peak_kib(worker)).fold(peaks[1], u64::max);
                std::thread::sleep(LOOKS);
            }
            peaks
        });
        // Until it has ended and is still known, so that the kernel can be asked what it took.
        waitid(WaitId::Pid(id), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).expect("a child");
        let wall = began.elapsed();
        ended.store(true, Ordering::Relaxed);
        (wall, looking.join().expect("looks"))
    });
    let host = Part { cpu: cpu_of(&host, OWN).expect("Linux"), peak_kib: host_kib };
    let status = child.wait().expect("a child");
    assert!(status.success(), "{command:?}: {status}");
    // The kernel adds up what everything took that was waited for.
    let all = cpu_of("self", ENDED_CHILDREN).expect("Linux") - before;
    let workers = Part { cpu: all.saturating_sub(host.cpu), peak_kib: workers_kib };
    Cost { wall, host, workers }
}

/// Fields of `/proc/PID/stat`, counted from the third (proc(5)): user and system time of the process, and of its children that
/// ended.
const OWN: usize = 11;
const ENDED_CHILDREN: usize = 13;

/// Processor time, which stands in ticks of a hundredth of a second; none where the process has ended.
fn cpu_of(process: &str, field: usize) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(field);
    let ticks: u64 = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 10))
}

fn peak_kib(process: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
}

/// The processes that any thread of a process started.
fn children(process: &str) -> Vec<String> {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let of = |thread: std::fs::DirEntry| std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
    threads.flat_map(|thread| of(thread).split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect()
}

fn start() {
    let place = Place::new("targets: []\n");
    let mut times: Vec<Duration> = (0..31)
        .map(|_| {
            let began = Instant::now();
            place.raito(&["--version"]).exits(0);
            began.elapsed()
        })
        .collect();
    times.sort();
    println!("raito --version: {:.1?} (median of {})", times[times.len() / 2], times.len());
}

/// 1,000 tables, 1,100 roles and 100,000 grants.
fn grants() -> String {
    let mut sql = String::from("begin;\n");
    for role in 0..1_100 {
        writeln!(sql, "create role r{role};").expect("a text");
    }
    for table in 0..1_000 {
        writeln!(sql, "create table t{table} (id bigint, name text);").expect("a text");
        let roles: Vec<String> = (0..50).map(|at| format!("r{}", (table * 7 + at * 11) % 1_100)).collect();
        writeln!(sql, "grant select, insert on t{table} to {};", roles.join(", ")).expect("a text");
    }
    sql.push_str("commit;\n");
    sql
}

fn postgresql() {
    let server = Postgres::start();
    server.sql("postgres", &grants());
    let place = Place::new(&postgresql_target(&server, "postgres", ""));
    for run in ["first", "second"] {
        let cost = measure(place.command(&["run", "--quiet"]));
        println!("100,000 grants of PostgreSQL into the embedded cloud, {run} run: {cost}");
    }
}

fn memory() {
    for objects in [100_000, 1_000_000] {
        let place = Place::new(&format!(
            "cloud: embedded\ntargets:\n  - name: many\n    connector: {{ file: \"{}\" }}\n    settings: {{ objects: {objects} }}\n    grants: {{}}\n",
            connector("chaos").display()
        ));
        let cost = measure(place.command(&["run", "--quiet"]));
        println!("{objects} objects into the embedded cloud: {cost}");
    }
}

/// Statements of an audit log. They are run by one statement of the server itself, so that only reading is measured.
fn usage() {
    for statements in [100_000, 1_000_000] {
        let settings = "shared_preload_libraries = 'pgaudit'\npgaudit.log = 'read, write'\npgaudit.log_relation = on\n\
                        logging_collector = on\nlog_destination = 'jsonlog'\nlog_rotation_size = 0\n";
        let server = Postgres::start_with(settings, support::postgres::ONLY_TLS);
        server.sql(
            "postgres",
            "create table t (id bigint); grant pg_monitor to raito_read;
            grant execute on function pg_read_binary_file(text, bigint, bigint, boolean) to raito_read",
        );
        server.sql(
            "postgres",
            &format!("do $$ begin for i in 1..{statements} loop execute 'select from t'; end loop; end $$"),
        );
        let target = postgresql_target(&server, "postgres", "");
        let slot = target.split_once("      sql.main:\n").map_or("", |(_, slot)| slot);
        let place =
            Place::new(&format!("{target}      sql.log:\n{slot}        calls: [pg_ls_logdir, pg_read_binary_file]\n"));
        std::thread::sleep(Duration::from_secs(3));
        let cost = measure(place.command(&["run", "--quiet"]));
        println!("{statements} statements of an audit log into the embedded cloud: {cost}");
    }
}

/// Calls a second of a connector that asks a warehouse on the same machine for two records at once, in raito's own process and in a
/// worker, in turns. Each call is on record before it is sent.
fn calls() {
    let warehouse = Warehouse::serve(&["--seed", "5", "--tables", "3000"]);
    let place = warehouse.place("settings: { page-size: 2 }");
    place.configure(&format!("{}        rate: 10000\n", warehouse.target("settings: { page-size: 2 }")));
    place.run(&[]);
    let mut rates = [Vec::new(), Vec::new()];
    for turn in 0..10 {
        let isolation = ["in-process", "process"][turn % 2];
        let report = place.run(&["--isolation", isolation]);
        let steps = report["targets"][0]["steps"].as_array().expect("steps").iter();
        let sum = |key: &str| steps.clone().filter_map(|step| step[key].as_f64()).sum::<f64>();
        rates[turn % 2].push(sum("calls") / sum("duration-ms") * 1_000.0);
    }
    let [inside, apart] = rates.map(|mut rates| {
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    });
    let share = apart / inside * 100.0;
    println!("calls to a warehouse: in-process {inside:.0} /s, process {apart:.0} /s: {share:.0} % (medians of 5)");
}

/// Runs all of them, or those that are named behind `--`.
fn main() {
    let parts: [(&str, fn()); 8] = [
        ("start", start),
        ("postgresql", postgresql),
        ("plan", ldap2pg::plan),
        ("memory", memory),
        ("changes", changes::changes),
        ("usage", usage),
        ("calls", calls),
        ("connections", connections::connections),
    ];
    let named: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    for (_, part) in parts.iter().filter(|(name, _)| named.is_empty() || named.iter().any(|named| named == name)) {
        part();
    }
}
