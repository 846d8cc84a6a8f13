//! `raito audit prove`, `checkpoint` and `key`: what is handed to somebody else.
//!
//! For people, and for other tools, proofs are printed in the forms of C2SP: that of a line as
//! [tlog-proof](https://c2sp.org/tlog-proof) with the line as its extra data, that of growth as the body of a request to a
//! witness ([tlog-witness](https://c2sp.org/tlog-witness)).

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use raito_audit::{NoteError, ProveError, checkpoints, prove_growth, prove_line, public_key};
use raito_core::checkpoint::{SignedCheckpoint, base64_of};
use raito_core::digest::Digest;
use serde_json::{Value, json};

use crate::args::{Output, Prove};
use crate::codes;
use crate::error::CliError;
use crate::exit::Exit;
use crate::render::data;

/// Prints a proof.
pub(super) fn prove(output: Output, folder: &Path, args: &Prove) -> Result<Exit, CliError> {
    let (text, value) = match (args.seq, args.since) {
        (Some(seq), _) => of_line(folder, seq, args.to)?,
        (None, Some(since)) => of_growth(folder, since, args.to)?,
        (None, None) => return Err(CliError::new(codes::USAGE, "say --seq or --since")),
    };
    data(&if output == Output::Json { value.to_string() } else { text });
    Ok(Exit::Done)
}

fn of_line(folder: &Path, seq: u64, to: Option<u64>) -> Result<(String, Value), CliError> {
    let proof = prove_line(folder, seq, to).map_err(no_proof)?;
    let (index, hashes) = (seq - 1, in_base64(&proof.hashes));
    let extra = STANDARD.encode(&proof.line);
    let text = format!("c2sp.org/tlog-proof@v1\nextra {extra}\nindex {index}\n{}", below(&hashes, &proof.checkpoint));
    let mut value = of_checkpoint(&proof.checkpoint);
    (value["seq"], value["line"], value["hashes"]) = (json!(seq), json!(proof.line), json!(hashes));
    Ok((text, value))
}

fn of_growth(folder: &Path, since: u64, to: Option<u64>) -> Result<(String, Value), CliError> {
    let proof = prove_growth(folder, since, to).map_err(no_proof)?;
    let hashes = in_base64(&proof.hashes);
    let text = format!("old {since}\n{}", below(&hashes, &proof.checkpoint));
    let mut value = of_checkpoint(&proof.checkpoint);
    (value["since"], value["hashes"]) = (json!(proof.since.to_string()), json!(hashes));
    Ok((text, value))
}

fn in_base64(hashes: &[Digest]) -> Vec<String> {
    hashes.iter().map(base64_of).collect()
}

/// The hashes of a proof, an empty line, and the checkpoint, without the last line break.
fn below(hashes: &[String], checkpoint: &SignedCheckpoint) -> String {
    let hashes: String = hashes.iter().map(|hash| format!("{hash}\n")).collect();
    format!("{hashes}\n{}", checkpoint.note().trim_end())
}

fn of_checkpoint(checkpoint: &SignedCheckpoint) -> Value {
    let root = checkpoint.checkpoint().root;
    json!({ "v": 1, "lines": root.size, "root": root.to_string(), "checkpoint": checkpoint })
}

fn no_proof(error: ProveError) -> CliError {
    let code = match &error {
        ProveError::Read(_) | ProveError::Notes(_) => codes::AUDIT,
        ProveError::NotThisLog(_) => codes::AUDIT_BROKEN,
        ProveError::NoCheckpoint | ProveError::NoSuchCheckpoint(_) | ProveError::NotCovered { .. } => codes::USAGE,
    };
    CliError::new(code, error.to_string())
}

/// Prints the newest checkpoint, or all.
pub(super) fn checkpoint(output: Output, folder: &Path, all: bool) -> Result<Exit, CliError> {
    let failed = |error: NoteError| CliError::new(codes::AUDIT, error.to_string());
    let print = |checkpoint: &SignedCheckpoint| {
        data(&if output == Output::Json {
            of_checkpoint(checkpoint).to_string()
        } else {
            // Several stand one below the other with an empty line behind each, as in the file.
            checkpoint.note().strip_suffix(if all { "" } else { "\n" }).unwrap_or_default().to_owned()
        });
    };
    let mut newest = None;
    for checkpoint in checkpoints(folder).map_err(failed)? {
        match checkpoint {
            Err(NoteError::Torn { .. }) => break,
            Err(error) => return Err(failed(error)),
            Ok(checkpoint) => {
                if all {
                    print(&checkpoint);
                }
                newest = Some(checkpoint);
            }
        }
    }
    let newest = newest.ok_or_else(|| no_proof(ProveError::NoCheckpoint))?;
    if !all {
        print(&newest);
    }
    Ok(Exit::Done)
}

/// Prints the public key.
pub(super) fn key(output: Output, folder: &Path) -> Result<Exit, CliError> {
    let failed = |error: raito_audit::VerifyError| CliError::new(codes::AUDIT, error.to_string());
    let key = public_key(folder).map_err(failed)?.ok_or_else(|| {
        CliError::new(codes::AUDIT, "no public key stands beside the log").help("the first run makes one")
    })?;
    data(&if output == Output::Json { json!({ "v": 1, "key": key.to_string() }).to_string() } else { key.to_string() });
    Ok(Exit::Done)
}
