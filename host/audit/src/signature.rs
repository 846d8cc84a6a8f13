//! Signing checkpoints and verifying them: Ed25519 (RFC 8032), in the form of [signed-note](https://c2sp.org/signed-note).

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use raito_core::checkpoint::{Checkpoint, Root, Signature, SignedCheckpoint, is_key_name};
use raito_core::digest::{Digest, Hasher};

use crate::keys::Key;

/// The byte that says Ed25519 (signed-note, "Signature types").
const ED25519: u8 = 1;

/// A text that is no public key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is no public key of a log: write NAME+ID+KEY, as `raito audit key` prints it")]
pub struct NotAKey;

/// Why a checkpoint is not what the owner of a key signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// It is of another log.
    #[error("it is of the log {found}, and the key is of {expected}")]
    Origin {
        /// The log that it is of.
        found: String,
        /// The log that the key is of.
        expected: String,
    },
    /// The key signed nothing here.
    #[error("no signature of the key {0} stands below it")]
    Missing(String),
    /// The signature is of another text, or made with another key.
    #[error("the signature of the key {0} is not right: the text was changed, or another key was used")]
    Wrong(String),
}

/// A public key, with the name of the log that it is of: what the owner of a log hands out once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    name: String,
    key: VerifyingKey,
}

impl PublicKey {
    /// The log that it is of.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first bytes of the digest of name and key, which signature lines carry.
    fn id(&self) -> [u8; 4] {
        let mut hasher = Hasher::default();
        hasher.update(self.name.as_bytes());
        hasher.update(&[b'\n', ED25519]);
        hasher.update(self.key.as_bytes());
        let [a, b, c, d, ..] = *hasher.finish().as_bytes();
        [a, b, c, d]
    }

    /// Says whether the owner of this key signed a checkpoint of the log of this name. Signatures of other keys, such as
    /// those of witnesses, are not looked at.
    ///
    /// # Errors
    /// `SignatureError` where that is not so.
    pub fn verify(&self, signed: &SignedCheckpoint) -> Result<(), SignatureError> {
        let origin = &signed.checkpoint().origin;
        if *origin != self.name {
            return Err(SignatureError::Origin { found: origin.clone(), expected: self.name.clone() });
        }
        let id = self.id();
        let mut ours =
            signed.signatures().filter(|signature| signature.name == self.name && signature.id == id).peekable();
        if ours.peek().is_none() {
            return Err(SignatureError::Missing(self.to_string()));
        }
        let right = |signature: Signature| {
            let bytes: [u8; 64] = signature.bytes.try_into().ok()?;
            let signature = ed25519_dalek::Signature::from_bytes(&bytes);
            self.key.verify_strict(signed.signed_text().as_bytes(), &signature).ok()
        };
        // signed-note: where one signature of a known key is wrong, the whole note is.
        if ours.all(|signature| right(signature).is_some()) {
            return Ok(());
        }
        Err(SignatureError::Wrong(self.to_string()))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[ED25519], self.key.as_bytes().as_slice()].concat();
        write!(out, "{}+", self.name)?;
        self.id().iter().try_for_each(|byte| write!(out, "{byte:02x}"))?;
        write!(out, "+{}", STANDARD.encode(key))
    }
}

impl FromStr for PublicKey {
    type Err = NotAKey;
    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let mut parts = text.splitn(3, '+');
        let name = parts.next().filter(|name| is_key_name(name)).ok_or(NotAKey)?;
        let _id = parts.next().ok_or(NotAKey)?;
        let key = STANDARD.decode(parts.next().ok_or(NotAKey)?).map_err(|_| NotAKey)?;
        let key: [u8; 33] = key.try_into().map_err(|_| NotAKey)?;
        let (ED25519, key) = (key[0], key[1..].try_into().map_err(|_| NotAKey)?) else { return Err(NotAKey) };
        let key = VerifyingKey::from_bytes(&key).map_err(|_| NotAKey)?;
        let key = Self { name: name.to_owned(), key };
        // The id in the middle must be that of name and key: somebody may have mixed two up.
        if key.to_string() == text { Ok(key) } else { Err(NotAKey) }
    }
}

/// What signs the checkpoints of one log.
pub(crate) struct Signer {
    key: SigningKey,
    public: PublicKey,
}

impl Signer {
    /// The signer with this key. The name of its log is made from the key, so that two logs never have the same.
    pub(crate) fn new(key: &Key) -> Self {
        let key = SigningKey::from_bytes(key);
        let digest = Digest::of(key.verifying_key().as_bytes()).to_string();
        let public = PublicKey { name: format!("raito/audit/{}", &digest[..16]), key: key.verifying_key() };
        Self { key, public }
    }

    pub(crate) fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs a root.
    pub(crate) fn sign(&self, root: Root) -> SignedCheckpoint {
        let checkpoint = Checkpoint { origin: self.public.name.clone(), root };
        let bytes = self.key.sign(checkpoint.to_string().as_bytes()).to_bytes().to_vec();
        let signature = Signature { name: self.public.name.clone(), id: self.public.id(), bytes };
        SignedCheckpoint::new(checkpoint, &signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of the second test vector of RFC 8032, section 7.1.
    fn signer() -> Signer {
        let key = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
        Signer::new(&zeroize::Zeroizing::new(*key.parse::<Digest>().expect("32 bytes").as_bytes()))
    }

    fn root(size: u64) -> Root {
        Root { size, hash: Digest::of(b"") }
    }

    #[test]
    fn the_public_key_is_the_published_one_and_reads_back() {
        let public = signer().public;
        let key = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
        assert_eq!(public.key.as_bytes(), key.parse::<Digest>().expect("32 bytes").as_bytes());
        assert_eq!(public.to_string().parse(), Ok(public.clone()));
        let text = public.to_string();
        for wrong in [text.replacen('+', "-", 1), text.replace("raito/", "raito2/"), text.replace("+A", "+B")] {
            assert_eq!(wrong.parse::<PublicKey>(), Err(NotAKey), "{wrong}");
        }
    }

    #[test]
    fn what_was_signed_verifies_and_nothing_else() {
        let (signer, other) = (signer(), Signer::new(&zeroize::Zeroizing::new([7; 32])));
        let signed = signer.sign(root(7));
        assert_eq!(signer.public.verify(&signed), Ok(()));
        assert!(matches!(other.public.verify(&signed), Err(SignatureError::Origin { .. })));
        let line = other.sign(root(7)).signatures().next().expect("one");
        let unsigned = SignedCheckpoint::new(signed.checkpoint().clone(), &line);
        assert!(matches!(signer.public.verify(&unsigned), Err(SignatureError::Missing(_))));
        let line = signed.signatures().next().expect("one");
        let changed = Checkpoint { root: root(8), ..signed.checkpoint().clone() };
        let changed = SignedCheckpoint::new(changed, &line);
        assert!(matches!(signer.public.verify(&changed), Err(SignatureError::Wrong(_))));
    }
}
