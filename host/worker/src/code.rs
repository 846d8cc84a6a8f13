//! The bytes of a component or of its compiled code, which are tens of megabytes and so are neither copied nor put together.

use bytes::Bytes;

/// Bytes in pieces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Code(Vec<Bytes>);

impl Code {
    /// The pieces, in order.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(Bytes::as_ref)
    }

    /// How many bytes these are.
    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }
}

impl From<Vec<Bytes>> for Code {
    fn from(pieces: Vec<Bytes>) -> Self {
        Self(pieces)
    }
}

impl From<Bytes> for Code {
    fn from(bytes: Bytes) -> Self {
        Self(vec![bytes])
    }
}
