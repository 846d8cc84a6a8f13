//! A disk that is full, or takes no file as long as it should be: whatever is to be written, the
//! program says that the disk is at fault, and goes on where it was once there is room.
//!
//! The disk is a file system in memory of a size that the test chooses. Where nobody may mount one,
//! it is a bound for the length of files (setrlimit(2), `RLIMIT_FSIZE`), which is tried in any
//! case.

use std::process::Command;

use crate::support::{Outcome, Place, Warehouse, connector};

/// What makes a disk of a size small for the commands of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disk {
    /// A file system at `disk`, in a namespace of mounts that ends with the script.
    Mounted { as_user: bool },
    /// A bound for the length of each file.
    Bounded,
}

impl Disk {
    /// A file system where somebody may mount one, and a bound otherwise.
    fn of_this_machine(place: &Place) -> Self {
        let mounts = [Self::Mounted { as_user: false }, Self::Mounted { as_user: true }];
        let works = |disk: &Self| disk.script(place, 64, "df disk | grep -q tmpfs").code == Some(0);
        let disk = mounts.into_iter().find(works).unwrap_or(Self::Bounded);
        println!("a full disk is {disk:?} here");
        disk
    }

    /// Runs a script of the shell with a disk of so many KiB. `$RAITO` is the program.
    fn script(self, place: &Place, kib: u64, script: &str) -> Outcome {
        std::fs::create_dir_all(place.path().join("disk")).expect("writable");
        let small = match self {
            Self::Mounted { .. } => format!("mount -t tmpfs -o size={kib}k,mode=0700 tmpfs disk || exit 77; "),
            // Blocks of 512 bytes (POSIX, `ulimit`).
            Self::Bounded => format!("ulimit -S -f {} || exit 77; ", kib * 2),
        };
        let enlarge = match self {
            Self::Mounted { .. } => "enlarge() { mount -o remount,size=512m disk; }; ",
            Self::Bounded => "enlarge() { ulimit -S -f unlimited; }; ",
        };
        let mut command = match self {
            Self::Mounted { as_user } => {
                let mut command = Command::new("unshare");
                command.arg("--mount");
                if as_user {
                    command.args(["--user", "--map-root-user"]);
                }
                command.arg("sh");
                command
            }
            Self::Bounded => Command::new("sh"),
        };
        let around = place.command(&[]);
        for (name, value) in around.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.args(["-c", &format!("{small}{enlarge}{script}")]).env("RAITO", around.get_program());
        match command.current_dir(place.path()).output() {
            Ok(output) => Outcome {
                code: output.status.code(),
                stdout: String::from_utf8(output.stdout).expect("UTF-8"),
                stderr: String::from_utf8(output.stderr).expect("UTF-8"),
            },
            Err(_) => Outcome { code: None, stdout: String::new(), stderr: String::new() },
        }
    }
}

/// What a script said of each of its commands: a line `NAME CODE` on standard output.
fn codes(outcome: &Outcome) -> Vec<(String, i32)> {
    let line = |line: &str| {
        let (name, code) = line.split_once(' ')?;
        Some((name.to_owned(), code.parse().ok()?))
    };
    outcome.stdout.lines().filter_map(line).collect()
}

/// Runs the demo with its state on disks of all sizes. Gives how many runs failed, and how many did
/// not.
fn run_on(disk: Disk, place: &Place, sizes: &[u64]) -> [usize; 2] {
    let mut ended = [0, 0];
    for kib in sizes {
        let script = "rm -rf disk/state; \
                      said=$(\"$RAITO\" run --quiet --state-dir disk/state 2>&1 > /dev/null); echo \"run $?\"; \
                      enlarge; echo \"$said\" > first.txt; \
                      \"$RAITO\" run --quiet --state-dir disk/state > /dev/null 2> second.txt; echo \"again $?\"; \
                      \"$RAITO\" audit verify --state-dir disk/state > /dev/null 2> third.txt; echo \"verify $?\"";
        let outcome = disk.script(place, *kib, script);
        let text = |name: &str| std::fs::read_to_string(place.path().join(name)).unwrap_or_default();
        let said = text("first.txt");
        let [(_, first), (_, again), (_, verified)] = codes(&outcome).try_into().unwrap_or_else(|codes| {
            panic!("{kib} KiB: {codes:?} {} {}", outcome.stdout, outcome.stderr);
        });
        assert!(!said.contains("panicked"), "{kib} KiB: {said}");
        if first != 0 {
            assert_eq!(first, 1, "{kib} KiB: {said}");
            let errors: Vec<&str> = said.split("error[").skip(1).filter_map(|rest| rest.split(']').next()).collect();
            assert!(!errors.is_empty(), "{kib} KiB: {said}");
            assert!(errors.iter().all(|code| ["E-state", "E-audit"].contains(code)), "{kib} KiB: {said}");
        }
        assert_eq!(again, 0, "{kib} KiB, and more: {}\nbefore: {said}", text("second.txt"));
        assert_eq!(verified, 0, "{kib} KiB, and more: {}\nbefore: {said}", text("third.txt"));
        ended[usize::from(first == 0)] += 1;
    }
    ended
}

/// Sizes up to one that is enough, each twice the one before.
fn sizes(most: u64) -> Vec<u64> {
    std::iter::successors(Some(4), |kib| Some(kib * 2)).take_while(|kib| *kib < most).chain([most]).collect()
}

#[test]
fn b11_a_full_disk_ends_a_run_with_that_and_the_next_one_goes_on() {
    let warehouse = Warehouse::serve(&["--seed", "5", "--tables", "20"]);
    let place = warehouse.place("");
    let disk = Disk::of_this_machine(&place);
    let [failed, went_well] = run_on(disk, &place, &sizes(64 << 10));
    assert!(failed > 3 && went_well > 1, "{failed} runs failed, {went_well} did not");
}

#[test]
fn b11_a_bound_for_the_length_of_files_is_a_full_disk_and_ends_nothing_by_a_signal() {
    let warehouse = Warehouse::serve(&["--seed", "5", "--tables", "20"]);
    let place = warehouse.place("");
    let [failed, went_well] = run_on(Disk::Bounded, &place, &sizes(64 << 10));
    assert!(failed > 3 && went_well > 1, "{failed} runs failed, {went_well} did not");
}

#[test]
fn a_full_disk_is_nobodys_mistake_whatever_was_to_be_written() {
    let place = Place::new("targets: []\n");
    place.write("m.toml", "name = \"a\"\nversion = \"1.0.0\"\nsummary = \"\"\n");
    place.write("raw.wasm", b"\0asm\x0d\0\x01\0");
    place.write("long.yml", format!("version: 1\ngrants: [{}]\n", "{name: R_A, what: []}, ".repeat(2_000)));
    std::fs::copy(connector("demo"), place.path().join("demo.wasm")).expect("copies");
    let disk = Disk::of_this_machine(&place);
    // What there is of room is taken first; and a bound for files lets none have a byte.
    let fill = match disk {
        Disk::Mounted { .. } => "cp long.yml disk/; dd if=/dev/zero of=disk/filled bs=4k 2> /dev/null",
        Disk::Bounded => "ulimit -S -f unlimited; cp long.yml disk/; ulimit -S -f 0",
    };
    for command in [
        "init disk/new.yml --connector demo.wasm",
        "connector pack raw.wasm m.toml -o disk/packed.wasm",
        "access fmt disk/long.yml",
    ] {
        let script = format!("{fill}; said=$(\"$RAITO\" {command} 2>&1); echo \"code $?\"; enlarge; echo \"$said\"");
        let outcome = disk.script(&place, 128, &script);
        assert_eq!(codes(&outcome), [("code".to_owned(), 1)], "{command}: {} {}", outcome.stdout, outcome.stderr);
        assert!(outcome.stdout.contains("error[E-state]"), "{command}: {}", outcome.stdout);
    }
}

#[test]
fn b11_what_tokens_keep_leaves_room_to_take_them_away() {
    let place = Place::new("targets: []\n");
    place.write("state.json", format!("{{\"text\":\"{}\"}}", "x".repeat(3 << 20)));
    let disk = Disk::of_this_machine(&place);
    if disk == Disk::Bounded {
        return;
    }
    let put = "\"$RAITO\" cloud put \"/applied-states/t$i?repository=corp/access\" state.json --version 0 --state-dir disk/state";
    let script = format!(
        "\"$RAITO\" run --quiet --state-dir disk/state; \
         \"$RAITO\" cloud token old --scope state --state-dir disk/state > /dev/null; \
         i=0; while [ $i -lt 30 ]; do said=$({put} 2>&1) || break; i=$((i + 1)); done; echo \"states $i\"; echo \"$said\"; \
         id=$(\"$RAITO\" cloud get /tokens --state-dir disk/state | grep -o '\"id\": *\"[^\"]*\"' | head -1 | cut -d'\"' -f4); \
         \"$RAITO\" cloud delete /tokens/$id --state-dir disk/state; echo \"delete $?\"; \
         \"$RAITO\" run --quiet --state-dir disk/state > /dev/null 2> run.txt; echo \"run $?\""
    );
    let outcome = disk.script(&place, 40 << 10, &script);
    let codes = codes(&outcome);
    let code = |name: &str| codes.iter().find(|(known, _)| known == name).map(|(_, code)| *code);
    assert!(code("states").is_some_and(|kept| (3..14).contains(&kept)), "{outcome:?}");
    assert!(outcome.stdout.contains("are kept free"), "{outcome:?}");
    assert_eq!(code("delete"), Some(0), "{outcome:?}");
}
