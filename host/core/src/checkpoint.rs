//! Checkpoints of an audit log: how many lines it has, the root of the Merkle tree over them, and who says so.
//!
//! The forms are those of C2SP: [tlog-checkpoint](https://c2sp.org/tlog-checkpoint) for what is said and
//! [signed-note](https://c2sp.org/signed-note) for the signatures below it. Here they are parsed and written; whether a
//! signature is right is checked by whoever has the key (`host/audit`).

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::digest::Digest;
use crate::limits;

/// What begins a signature line: an em dash and a space.
const SIGNATURE: &str = "\u{2014} ";

/// A text that is no checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is no signed checkpoint: {0}")]
pub struct NotACheckpoint(&'static str);

/// A text that is no root.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is no root: write the number of lines, a colon, and the hash in base64, as a run prints it")]
pub struct NotARoot;

/// How many lines a log has, and the root hash of the tree over them (RFC 6962, section 2.1). Two logs with the same root
/// have the same lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Root {
    /// Lines: the leaves of the tree.
    pub size: u64,
    /// The root hash.
    pub hash: Digest,
}

impl fmt::Display for Root {
    /// `SIZE:HASH`, the hash in base64 as in a checkpoint.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.size, base64_of(&self.hash))
    }
}

impl FromStr for Root {
    type Err = NotARoot;
    fn from_str(text: &str) -> Result<Self, NotARoot> {
        let (size, hash) = text.split_once(':').ok_or(NotARoot)?;
        Ok(Self { size: decimal(size).ok_or(NotARoot)?, hash: hash_in_base64(hash).ok_or(NotARoot)? })
    }
}

/// A digest in base64, as checkpoints and proofs have it.
pub fn base64_of(digest: &Digest) -> String {
    STANDARD.encode(digest.as_bytes())
}

/// A number without leading zeros or signs.
fn decimal(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

fn hash_in_base64(text: &str) -> Option<Digest> {
    let bytes: [u8; 32] = STANDARD.decode(text).ok()?.try_into().ok()?;
    Some(Digest::from_bytes(bytes))
}

/// What a log says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log: a name that no other log has.
    pub origin: String,
    /// Its lines.
    pub root: Root,
}

impl fmt::Display for Checkpoint {
    /// The text that is signed: three lines, each with its line break.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}\n{}\n{}\n", self.origin, self.root.size, base64_of(&self.root.hash))
    }
}

/// One signature below a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The name of the key.
    pub name: String,
    /// The first bytes of the key's digest, which tell keys of one name apart.
    pub id: [u8; 4],
    /// What the key made of the text.
    pub bytes: Vec<u8>,
}

impl fmt::Display for Signature {
    /// A signature line, with its line break.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.id[..], &self.bytes].concat();
        writeln!(out, "{SIGNATURE}{} {}", self.name, STANDARD.encode(bytes))
    }
}

/// A checkpoint with the signatures below it, as one text. Its form is right; that its signatures are is not said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    note: Box<str>,
    /// Bytes of the text that is signed.
    signed_bytes: usize,
    checkpoint: Checkpoint,
}

impl SignedCheckpoint {
    /// A checkpoint with one signature.
    pub fn new(checkpoint: Checkpoint, signature: &Signature) -> Self {
        let text = checkpoint.to_string();
        Self { note: format!("{text}\n{signature}").into(), signed_bytes: text.len(), checkpoint }
    }

    /// All of it: the text, an empty line, and a line for each signature.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// The text that is signed.
    pub fn signed_text(&self) -> &str {
        &self.note[..self.signed_bytes]
    }

    /// What it says.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The signatures, in order. There is at least one.
    pub fn signatures(&self) -> impl Iterator<Item = Signature> {
        self.note[self.signed_bytes + 1..].lines().filter_map(signature)
    }
}

/// A signature line without its line break.
fn signature(line: &str) -> Option<Signature> {
    let (name, bytes) = line.strip_prefix(SIGNATURE)?.split_once(' ')?;
    let bytes = STANDARD.decode(bytes).ok()?;
    let (id, bytes) = bytes.split_first_chunk::<4>()?;
    is_key_name(name).then(|| Signature { name: name.to_owned(), id: *id, bytes: bytes.to_vec() })
}

/// Whether something can be the name of a key: not empty, without spaces and plus signs.
pub fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
}

impl FromStr for SignedCheckpoint {
    type Err = NotACheckpoint;
    fn from_str(note: &str) -> Result<Self, NotACheckpoint> {
        if note.len() > limits::CHECKPOINT_BYTES {
            return Err(NotACheckpoint("it is too long"));
        }
        if note.chars().any(|c| c.is_ascii_control() && c != '\n') {
            return Err(NotACheckpoint("it has a control character"));
        }
        let (text, signatures) =
            note.split_once("\n\n").ok_or(NotACheckpoint("no empty line stands before the signatures"))?;
        let mut lines = text.split('\n');
        let origin = lines.next().filter(|origin| !origin.is_empty()).ok_or(NotACheckpoint("it names no log"))?;
        let size = lines.next().and_then(decimal).ok_or(NotACheckpoint("its second line is no number of lines"))?;
        let hash = lines.next().and_then(hash_in_base64).ok_or(NotACheckpoint("its third line is no root hash"))?;
        if lines.any(str::is_empty) {
            return Err(NotACheckpoint("an empty line stands in its text"));
        }
        let signatures = signatures.strip_suffix('\n').ok_or(NotACheckpoint("its last line has no line break"))?;
        if signatures.split('\n').any(|line| signature(line).is_none()) {
            return Err(NotACheckpoint("a line below the empty one is no signature"));
        }
        let checkpoint = Checkpoint { origin: origin.to_owned(), root: Root { size, hash } };
        Ok(Self { note: note.into(), signed_bytes: text.len() + 1, checkpoint })
    }
}

impl Serialize for SignedCheckpoint {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&self.note)
    }
}

impl<'de> Deserialize<'de> for SignedCheckpoint {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        Box::<str>::deserialize(input)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for SignedCheckpoint {
    fn schema_name() -> Cow<'static, str> {
        "SignedCheckpoint".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A signed checkpoint of the host's audit log, in the form of c2sp.org/tlog-checkpoint",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of c2sp.org/tlog-checkpoint.
    const EXAMPLE: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
        \u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";

    #[test]
    fn the_published_example_reads_and_writes_back() {
        let read: SignedCheckpoint = EXAMPLE.parse().expect("a checkpoint");
        assert_eq!(read.checkpoint().root.size, 20_852_163);
        assert_eq!(read.checkpoint().to_string(), read.signed_text());
        let signature = read.signatures().next().expect("one");
        assert_eq!((signature.id, signature.bytes.len()), ([3, 61, 224, 174], 64));
        assert_eq!(SignedCheckpoint::new(read.checkpoint().clone(), &signature), read);
        assert_eq!(serde_json::from_value(serde_json::to_value(&read).expect("JSON")).ok(), Some(read));
    }

    #[test]
    fn what_is_no_checkpoint_is_refused() {
        let broken = [
            ("20852163", "020852163"),
            ("20852163", "-1"),
            ("CsUY", "Cs"),
            ("\n\n", "\n"),
            ("\n\n", "\n\n\n"),
            ("example.com/behind-the-sofa\n2", "\n2"),
            ("\u{2014} ", "- "),
            ("Az3g", "Az3\u{e9}"),
            ("AYQ8=\n", "AYQ8="),
            ("AYQ8=\n", "AYQ8=\n\n"),
            ("behind-the-sofa\n2", "behind\tthe-sofa\n2"),
        ];
        for (from, to) in broken {
            let text = EXAMPLE.replacen(from, to, 1);
            assert!(text.parse::<SignedCheckpoint>().is_err(), "{text}");
        }
        assert!("x".repeat(limits::CHECKPOINT_BYTES + 1).parse::<SignedCheckpoint>().is_err());
    }

    #[test]
    fn an_extension_line_is_part_of_what_is_signed() {
        let text = EXAMPLE.replacen("\n\n", "\nmore\n\n", 1);
        let read: SignedCheckpoint = text.parse().expect("a checkpoint");
        assert!(read.signed_text().ends_with("\nmore\n"));
    }

    #[test]
    fn a_root_is_a_size_and_a_hash() {
        let root: Root = "7:CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=".parse().expect("a root");
        assert_eq!(root.to_string().parse(), Ok(root));
        for wrong in ["7", "7:", "07:CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=", "7:CsUY", ":CsUY", "+7:CsUY"] {
            assert_eq!(wrong.parse::<Root>(), Err(NotARoot), "{wrong}");
        }
    }
}
