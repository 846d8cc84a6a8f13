//! The log proves itself: held against another implementation of RFC 6962 and C2SP, and against everything that somebody
//! could do to its files.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use raito_audit::{
    Anchors, CHECKPOINTS_FILE, HEAD_FILE, LOG_FILE, Log, OpenError, Source, VerifyError, checkpoints, prove_growth,
    prove_line, public_key, verify,
};
use raito_core::checkpoint::SignedCheckpoint;
use raito_core::digest::Digest;
use raito_core::event::Event;
use raito_core::ports::{Clock, Ledger as _};
use raito_core::text::RunId;
use signed_note::{Note, StandardVerifier, VerifierList};
use tempfile::TempDir;
use tlog_tiles::tlog::{self, Hash, HashReader, RecordProof, TreeProof};

struct Noon;
impl Clock for Noon {
    fn now_ms(&self) -> u64 {
        1_767_268_800_000
    }
}

fn open(folder: &Path) -> Result<Log, OpenError> {
    let run = RunId::new("01890000-0000-7000-8000-000000000000").expect("a UUID");
    Log::open(folder, run, Arc::new(Noon))
}

fn append(log: &Log, number: usize) {
    let event = Event::TargetEnd { target: format!("t{number}"), outcome: "completed".into() };
    log.append(&event).expect("written");
}

/// A log of so many lines with a checkpoint after each.
fn written(lines: usize) -> (TempDir, Vec<SignedCheckpoint>) {
    let folder = tempfile::tempdir().expect("a folder");
    let log = open(folder.path()).expect("opens");
    let signed = (0..lines).map(|number| {
        append(&log, number);
        log.checkpoint().expect("signed")
    });
    let signed = signed.collect();
    (folder, signed)
}

fn log_lines(folder: &Path) -> Vec<String> {
    fs::read_to_string(folder.join(LOG_FILE)).expect("a log").lines().map(str::to_owned).collect()
}

/// Writes lines as a log whose chain holds.
fn chain(folder: &Path, lines: &[String]) {
    let (mut text, mut prev) = (String::new(), Digest::ZERO.to_string());
    for line in lines {
        let at = line.find("\"prev\":\"").expect("a chain") + 8;
        let line = format!("{}{prev}{}", &line[..at], &line[at + 64..]);
        prev = Digest::of(line.as_bytes()).to_string();
        text.push_str(&line);
        text.push('\n');
    }
    fs::write(folder.join(LOG_FILE), text).expect("writable");
}

fn check(folder: &Path, anchors: &[&str]) -> Result<raito_audit::Report, VerifyError> {
    let mut all = Anchors::default();
    anchors.iter().for_each(|text| all.add(text).expect("an anchor"));
    verify(folder, None, &all)
}

/// The hashes that another implementation keeps.
#[derive(Default)]
struct Stored(Vec<Hash>);

impl HashReader for Stored {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog::Error> {
        Ok(indexes.iter().map(|index| self.0[usize::try_from(*index).expect("small")]).collect())
    }
}

fn hashes(all: &[Digest]) -> Vec<Hash> {
    all.iter().map(|digest| Hash(*digest.as_bytes())).collect()
}

#[test]
fn roots_notes_and_proofs_are_those_of_another_implementation() {
    const LINES: usize = 21;
    let (folder, signed) = written(LINES);
    let key = public_key(folder.path()).expect("readable").expect("a key").to_string();
    let mut stored = Stored::default();
    let mut roots = Vec::new();
    for (index, line) in log_lines(folder.path()).iter().enumerate() {
        let more = tlog::stored_hashes(index as u64, line.as_bytes(), &stored).expect("hashes");
        stored.0.extend(more);
        let root = tlog::tree_hash(index as u64 + 1, &stored).expect("a root");
        assert_eq!(Hash(*signed[index].checkpoint().root.hash.as_bytes()), root, "{} lines", index + 1);
        roots.push(root);

        let note = Note::from_bytes(signed[index].note().as_bytes()).expect("a note");
        let verifier = VerifierList::new(vec![Box::new(StandardVerifier::new(&key).expect("a key"))]);
        let (verified, _) = note.verify(&verifier).expect("the signature is right");
        assert_eq!(verified.len(), 1);
        let read = tlog_tiles::Checkpoint::from_bytes(note.text()).expect("a checkpoint");
        assert_eq!((read.size(), *read.hash(), read.extension()), (index as u64 + 1, root, ""));
        assert!(key.starts_with(&format!("{}+", read.origin())));
    }
    for size in 1..=LINES as u64 {
        let root = roots[size as usize - 1];
        for seq in 1..=size {
            let proof = prove_line(folder.path(), seq, Some(size)).expect("a proof");
            let expected: RecordProof = tlog::prove_record(size, seq - 1, &stored).expect("a proof");
            assert_eq!(hashes(&proof.hashes), expected, "line {seq} of {size}");
            assert!(proof.line.contains(&format!("\"seq\":{seq},")));
            tlog::check_record(&expected, size, root, seq - 1, tlog::record_hash(proof.line.as_bytes()))
                .expect("right");

            let proof = prove_growth(folder.path(), seq, Some(size)).expect("a proof");
            let expected: TreeProof = tlog::prove_tree(size, seq, &stored).expect("a proof");
            assert_eq!(hashes(&proof.hashes), expected, "{seq} to {size}");
            assert_eq!(Hash(*proof.since.hash.as_bytes()), roots[seq as usize - 1]);
            tlog::check_tree(&expected, size, root, seq, roots[seq as usize - 1]).expect("right");
        }
    }
}

#[test]
fn what_is_not_covered_has_no_proof() {
    let (folder, _) = written(5);
    for (seq, to) in [(0, None), (6, None), (4, Some(3)), (1, Some(6))] {
        assert!(prove_line(folder.path(), seq, to).is_err(), "{seq} {to:?}");
        assert!(prove_growth(folder.path(), seq, to).is_err(), "{seq} {to:?}");
    }
}

#[test]
fn a_log_goes_on_with_the_same_tree_whatever_a_crash_left() {
    let (whole, signed) = written(7);
    let lines = log_lines(whole.path());
    for ended_at in 0..=7 {
        for synced_at in 0..=ended_at {
            let folder = tempfile::tempdir().expect("a folder");
            let log = open(folder.path()).expect("opens");
            for number in 0..ended_at {
                if number == synced_at {
                    log.sync().expect("synced");
                }
                append(&log, number);
            }
            drop(log);
            if synced_at == ended_at {
                let _ = fs::remove_file(folder.path().join(HEAD_FILE));
            }
            let log = open(folder.path()).expect("opens again");
            (ended_at..7).for_each(|number| append(&log, number));
            assert_eq!(log_lines(folder.path()), lines);
            let root = log.checkpoint().expect("signed").checkpoint().root;
            assert_eq!(root, signed[6].checkpoint().root, "ended at {ended_at}, synced at {synced_at}");
        }
    }
}

/// A clock that is set by hand.
struct At(u64);
impl Clock for At {
    fn now_ms(&self) -> u64 {
        self.0
    }
}

#[test]
fn a_clock_that_went_back_is_on_record_once() {
    const NOON: u64 = 1_767_268_800_000;
    let folder = tempfile::tempdir().expect("a folder");
    let open_at = |now: u64| {
        let run = RunId::new("01890000-0000-7000-8000-000000000000").expect("a UUID");
        let log = Log::open(folder.path(), run, Arc::new(At(now))).expect("opens");
        append(&log, 1);
        log.checkpoint().expect("signed");
        log.went_back().map(|back| back.as_secs())
    };
    assert_eq!(open_at(NOON), None, "the first");
    assert_eq!(open_at(NOON + 3_600_000), None);
    assert_eq!(open_at(NOON + 3_599_000), None, "clocks are set by so much");
    assert_eq!(open_at(NOON), Some(3_599));
    assert_eq!(open_at(NOON), None, "once");
    assert_eq!(open_at(NOON + 60_000), None);
    let told: Vec<String> =
        log_lines(folder.path()).into_iter().filter(|line| line.contains("\"kind\":\"clock-back\"")).collect();
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("\"before\":\"2026-01-01T12:59:59.000Z\",\"by-ms\":3599000"), "{told:?}");
    check(folder.path(), &[]).expect("verifies");
}

#[test]
fn the_same_lines_are_signed_once() {
    let (folder, signed) = written(3);
    let log = open(folder.path()).expect("opens");
    assert_eq!(log.checkpoint().expect("the same"), signed[2]);
    assert_eq!(checkpoints(folder.path()).expect("readable").count(), 3);
}

#[test]
fn a_log_that_is_not_the_one_that_was_signed_is_not_gone_on_with() {
    let (folder, signed) = written(6);
    let (path, lines) = (folder.path(), log_lines(folder.path()));
    let refused = || match open(path) {
        Err(OpenError::Another { what, .. }) => what,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it goes on"),
    };
    chain(path, &lines[..4]);
    assert!(refused().contains("line 6 is not the one that was synced"));
    let mut changed = lines.clone();
    changed[2] = changed[2].replace("t2", "tX");
    chain(path, &changed);
    assert!(refused().contains("line 6 is not the one that was synced"));
    fs::remove_file(path.join(HEAD_FILE)).expect("there");
    assert!(refused().contains("its first 6 lines are not those that were signed"));
    chain(path, &lines[..4]);
    assert!(refused().contains("it has 4 lines, and 6 were signed"));
    fs::remove_file(path.join(LOG_FILE)).expect("there");
    assert!(refused().contains("it has 0 lines, and 6 were signed"));
    chain(path, &lines);
    assert_eq!(open(path).expect("it is the same again").checkpoint(), Ok(signed[5].clone()));
}

#[test]
fn a_log_with_lines_that_were_swapped_or_changed_is_not_gone_on_with() {
    let refused = |folder: &Path| {
        let before = fs::read(folder.join(LOG_FILE)).expect("a log");
        let error = open(folder).err().unwrap_or_else(|| panic!("it was gone on with"));
        assert!(matches!(error, OpenError::Another { .. }), "{error}");
        assert_eq!(fs::read(folder.join(LOG_FILE)).expect("a log"), before, "and nothing was added");
    };
    for first in 0..7 {
        let (folder, _) = written(8);
        let mut lines = log_lines(folder.path());
        lines.swap(first, first + 1);
        fs::write(folder.path().join(LOG_FILE), lines.join("\n") + "\n").expect("writable");
        refused(folder.path());
        let (folder, _) = written(8);
        let mut lines = log_lines(folder.path());
        lines[first] = lines[first].replace(&format!("t{first}"), &format!("u{first}"));
        fs::write(folder.path().join(LOG_FILE), lines.join("\n") + "\n").expect("writable");
        refused(folder.path());
    }
    // The chain and the head written anew, and a checkpoint from before: as of somebody who has no
    // key to sign with.
    let (real, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    for (folder, begins) in [(&real, 0), (&other, 10)] {
        let log = open(folder.path()).expect("opens");
        append(&log, begins);
        log.checkpoint().expect("signed");
        append(&log, 1);
        log.sync().expect("on the disk");
    }
    drop(open(real.path()).expect("as it was written"));
    for file in [LOG_FILE, HEAD_FILE] {
        fs::copy(other.path().join(file), real.path().join(file)).expect("writable");
    }
    refused(real.path());
}

#[test]
fn what_was_cut_off_or_written_anew_is_found_by_the_checkpoints_beside_it() {
    let (folder, _) = written(9);
    let (path, lines) = (folder.path(), log_lines(folder.path()));
    let report = check(path, &[]).expect("verifies");
    assert_eq!((report.checkpoints, report.signed, report.anchored), (9, 9, None));
    fs::remove_file(path.join(HEAD_FILE)).expect("there");
    for kept in 0..9 {
        chain(path, &lines[..kept]);
        let cut_off = check(path, &[]);
        assert!(
            matches!(cut_off, Err(VerifyError::CutOff { found, said_by: Source::Checkpoint, .. }) if found == kept as u64),
            "{kept}: {cut_off:?}"
        );
        let mut changed = lines.clone();
        changed[kept] = changed[kept].replace("completed", "failed");
        chain(path, &changed);
        let rewritten = check(path, &[]);
        let at = kept as u64 + 1;
        assert!(
            matches!(rewritten, Err(VerifyError::Rewritten { from, to, said_by: Source::Checkpoint }) if from == at && to == at),
            "{kept}: {rewritten:?}"
        );
    }
}

/// Whoever owns the machine can write everything anew, and sign it with the key that lies there.
fn forge(folder: &Path, lines: &[String]) {
    chain(folder, lines);
    fs::remove_file(folder.join(HEAD_FILE)).expect("there");
    fs::remove_file(folder.join(CHECKPOINTS_FILE)).expect("there");
    open(folder).expect("opens").checkpoint().expect("signed");
}

#[test]
fn what_was_forged_with_the_key_is_found_by_an_anchor_and_by_nothing_else() {
    let (folder, signed) = written(9);
    let (path, lines) = (folder.path(), log_lines(folder.path()));
    let anchors: Vec<&str> = signed.iter().map(SignedCheckpoint::note).collect();
    assert_eq!(check(path, &anchors).expect("verifies").anchored, Some(9));
    forge(path, &lines[..5]);
    check(path, &[]).expect("nothing here says that it was longer");
    let found = check(path, &[anchors[3], anchors[6]]);
    assert!(matches!(found, Err(VerifyError::CutOff { found: 5, expected: 7, said_by: Source::Anchor })), "{found:?}");
    check(path, &[anchors[3]]).expect("these lines are still there");
    let mut changed = lines.clone();
    changed[4] = changed[4].replace("t4", "t5");
    forge(path, &changed);
    check(path, &[]).expect("nothing here says that it was another");
    let found = check(path, &[anchors[2], anchors[7]]);
    assert!(matches!(found, Err(VerifyError::Rewritten { from: 4, to: 8, said_by: Source::Anchor })), "{found:?}");
    let root = signed[7].checkpoint().root.to_string();
    assert!(matches!(check(path, &[&root]), Err(VerifyError::Rewritten { from: 1, to: 8, .. })));
}

#[test]
fn an_anchor_of_another_log_or_without_a_right_signature_is_refused() {
    let ((folder, signed), (other, others)) = (written(3), written(3));
    let size = |found| match found {
        Err(VerifyError::UnsignedAnchor { size, .. }) => size,
        other => panic!("{other:?}"),
    };
    assert_eq!(size(check(folder.path(), &[others[1].note()])), 2);
    let changed = signed[2].note().replacen("\n3\n", "\n2\n", 1);
    assert_eq!(size(check(folder.path(), &[&changed])), 2);
    let key = public_key(other.path()).expect("readable");
    let found = verify(folder.path(), key, &Anchors::default());
    assert!(matches!(found, Err(VerifyError::Unsigned { size: 1, .. })), "{found:?}");
    for text in ["", "\n", "7", "hello", &signed[0].note()[..20]] {
        assert!(Anchors::default().add(text).is_err(), "{text:?}");
    }
}

#[test]
fn a_checkpoint_that_a_crash_cut_short_is_taken_off() {
    let (folder, signed) = written(3);
    let path = folder.path().join(CHECKPOINTS_FILE);
    let text = fs::read(&path).expect("checkpoints");
    let third = text.len() - signed[2].note().len() - 1;
    for cut in third..text.len() {
        fs::write(&path, &text[..cut]).expect("writable");
        check(folder.path(), &[]).unwrap_or_else(|error| panic!("cut at {cut}: {error}"));
        let log = open(folder.path()).unwrap_or_else(|error| panic!("cut at {cut}: {error}"));
        assert_eq!(log.checkpoint().expect("signed again"), signed[2]);
        assert_eq!(fs::read(&path).expect("checkpoints"), text, "cut at {cut}");
    }
    fs::write(&path, &text[..10]).expect("writable");
    drop(open(folder.path()).expect("only the first was begun"));
    assert_eq!(fs::read(&path).expect("checkpoints").len(), 0);
}

#[test]
fn a_changed_byte_among_the_checkpoints_is_found_unless_the_last_looks_cut_short() {
    let (folder, signed) = written(3);
    let path = folder.path().join(CHECKPOINTS_FILE);
    let text = fs::read(&path).expect("checkpoints");
    let third = text.len() - signed[2].note().len() - 1;
    for at in 0..text.len() {
        let mut changed = text.clone();
        changed[at] ^= 1 << (at % 8);
        fs::write(&path, &changed).expect("writable");
        match check(folder.path(), &[]) {
            Err(_) => {}
            Ok(report) => assert!(at >= third && report.checkpoints == 2, "byte {at}"),
        }
    }
}

#[test]
fn a_key_that_others_can_read_signs_nothing() {
    use std::os::unix::fs::PermissionsExt as _;
    let (folder, _) = written(1);
    let path = folder.path().join(raito_audit::SIGNING_KEY_FILE);
    assert_eq!(fs::metadata(&path).expect("a key").permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("allowed");
    assert!(matches!(open(folder.path()), Err(OpenError::KeyMode(found)) if found == path));
}
