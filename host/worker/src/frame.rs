//! Frames: messages with their length before them, and the meter that bounds what decoding one may take.
//!
//! A frame is four bytes, the length of the message (little-endian), and the message in the form of postcard. The length is
//! held against a bound before anything is allocated for it. Decoding allocates by what the message says of itself, such as
//! lists of many empty texts, so its texts and values are metered: what comes out takes at most the meter. And no list is longer
//! than any may be: one that grows is in memory twice for a moment.

use std::cell::Cell;

use bytes::{Buf as _, BytesMut};
use postcard::de_flavors::Flavor;
use postcard::ser_flavors;
use raito_core::limits;
use serde::{Deserialize, Serialize};

/// Bytes of the length.
pub(crate) const HEAD: usize = 4;
/// Bytes that are asked of the system at once.
const PIECE: usize = 256 * 1024;
/// What each value of a message counts on the meter: no value of the protocol, empty list, absent record or flag, takes more
/// bytes of memory than this on average of the record that it stands in. The largest is an access control with 28.
const VALUE_BYTES: usize = 32;
/// What one message may come to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Meter {
    /// Bytes of texts, and of values as they count above.
    bytes: usize,
    /// Items of one list.
    items: usize,
}

/// The meter of one message of a worker: a page that takes as much as one call may hand over, where each of its values counts as
/// above. The dearest honest page, statements of step 5 without text, counts three times what it takes.
pub(crate) const METER: Meter = Meter { bytes: 4 * limits::HOSTCALL_BYTES, items: limits::WORKER_LIST_ITEMS };
/// The meter of messages from somebody who is trusted.
pub(crate) const UNMETERED: Meter = Meter { bytes: usize::MAX, items: usize::MAX };

/// What is wrong with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    /// It is longer than any may be here.
    #[error("a message of {0} bytes")]
    TooLong(usize),
    /// It is none.
    #[error("a message that is none")]
    Malformed,
}

/// Writes a message as a frame in place of what `frame` held.
///
/// # Errors
/// `TooLong` where it does not fit into `max` bytes.
pub(crate) fn encode(message: &impl Serialize, max: usize, frame: &mut Vec<u8>) -> Result<(), FrameError> {
    frame.clear();
    frame.extend_from_slice(&[0; HEAD]);
    let written = postcard::serialize_with_flavor(message, Frame(std::mem::take(frame)));
    *frame = written.map_err(|_| FrameError::Malformed)?;
    if frame.len() - HEAD > max {
        return Err(FrameError::TooLong(frame.len() - HEAD));
    }
    let head = head(frame.len() - HEAD)?;
    frame[..HEAD].copy_from_slice(&head);
    Ok(())
}

/// What stands before this many bytes in a frame.
///
/// # Errors
/// `TooLong` where no frame is that long.
pub(crate) fn head(length: usize) -> Result<[u8; HEAD], FrameError> {
    Ok(u32::try_from(length).map_err(|_| FrameError::TooLong(length))?.to_le_bytes())
}

/// A frame that is being written. The library's own takes texts byte by byte.
struct Frame(Vec<u8>);

impl ser_flavors::Flavor for Frame {
    type Output = Vec<u8>;

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<Vec<u8>> {
        Ok(self.0)
    }
}

/// Reads a message that is all of `bytes`, with a meter.
///
/// # Errors
/// `Malformed` where it is none, has something behind it, takes more memory than a message may, or has a list that is too long.
pub(crate) fn decode<'de, T: Deserialize<'de>>(bytes: &'de [u8], meter: Meter) -> Result<T, FrameError> {
    let metered =
        Metered { bytes, left: meter.bytes, items: meter.items, number: 0, shift: 0, is_over: Cell::new(false) };
    let mut decoder = postcard::Deserializer::from_flavor(metered);
    let message = T::deserialize(&mut decoder).map_err(|_| FrameError::Malformed)?;
    match decoder.finalize() {
        Ok([]) => Ok(message),
        _ => Err(FrameError::Malformed),
    }
}

/// Bytes that arrived and were not taken yet.
#[derive(Default)]
pub(crate) struct Inbox(BytesMut);

impl Inbox {
    /// The next message, as soon as it is there.
    ///
    /// # Errors
    /// `TooLong` where it says that it has more than `max` bytes.
    pub(crate) fn take(&mut self, max: usize) -> Result<Option<BytesMut>, FrameError> {
        match self.announced(max)? {
            Some(length) if self.0.len() >= HEAD + length => {
                self.0.advance(HEAD);
                Ok(Some(self.0.split_to(length)))
            }
            _ => Ok(None),
        }
    }

    /// The length of the next message, as soon as it is known.
    fn announced(&self, max: usize) -> Result<Option<usize>, FrameError> {
        let Some(head) = self.0.first_chunk::<HEAD>() else { return Ok(None) };
        match usize::try_from(u32::from_le_bytes(*head)).unwrap_or(usize::MAX) {
            length if length > max => Err(FrameError::TooLong(length)),
            length => Ok(Some(length)),
        }
    }

    /// The length of the next message alone, as soon as it is known. What follows are its bytes.
    ///
    /// # Errors
    /// `TooLong` where it says that it has more than `max` bytes.
    pub(crate) fn take_head(&mut self, max: usize) -> Result<Option<usize>, FrameError> {
        let length = self.announced(max)?;
        if length.is_some() {
            self.0.advance(HEAD);
        }
        Ok(length)
    }

    /// As much as there is of a message, and at most this many bytes.
    pub(crate) fn take_some(&mut self, most: usize) -> BytesMut {
        self.0.split_to(most.min(self.0.len()))
    }

    /// Makes room for all of a message that was announced by somebody who is trusted.
    pub(crate) fn believe(&mut self) {
        if let Ok(Some(length)) = self.announced(usize::MAX) {
            self.0.reserve((HEAD + length).saturating_sub(self.0.len()));
        }
    }

    /// Room for what arrives next. It grows with what has arrived, not with what was announced.
    pub(crate) fn room(&mut self) -> &mut BytesMut {
        self.0.reserve(PIECE);
        &mut self.0
    }

    /// Whether nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The bytes of a message, and what may still come out of them.
struct Metered<'de> {
    bytes: &'de [u8],
    left: usize,
    /// Items of one list.
    items: usize,
    /// The number that was read last, or is being read, and how many bits of it there are so far.
    number: u64,
    shift: u32,
    /// Whether a list is too long: nothing more is read.
    is_over: Cell<bool>,
}

impl Metered<'_> {
    fn spend(&mut self, bytes: usize) -> postcard::Result<()> {
        if self.is_over.get() {
            return Err(postcard::Error::CollectStrError);
        }
        self.left = self.left.checked_sub(bytes).ok_or(postcard::Error::CollectStrError)?;
        Ok(())
    }

    /// Follows numbers, which have seven bits in each byte, the lowest first.
    fn follow(&mut self, byte: u8) {
        if self.shift == 0 {
            self.number = 0;
        }
        self.number |= u64::from(byte & 0x7f).checked_shl(self.shift).unwrap_or(0);
        self.shift = if byte & 0x80 == 0 { 0 } else { self.shift + 7 };
    }
}

impl<'de> Flavor<'de> for Metered<'de> {
    type Remainder = &'de [u8];
    type Source = &'de [u8];

    fn pop(&mut self) -> postcard::Result<u8> {
        let (first, rest) = self.bytes.split_first().ok_or(postcard::Error::DeserializeUnexpectedEnd)?;
        self.bytes = rest;
        // A number goes on after a byte with its highest bit set; what ends without it is a value of its own.
        self.spend(if first & 0x80 == 0 { VALUE_BYTES } else { 1 })?;
        self.follow(*first);
        Ok(*first)
    }

    /// Lists ask for it when their length was read, and before anything else of them is. Nothing else asks.
    fn size_hint(&self) -> Option<usize> {
        if usize::try_from(self.number).unwrap_or(usize::MAX) > self.items {
            self.is_over.set(true);
        }
        Some(self.bytes.len())
    }

    fn try_take_n(&mut self, count: usize) -> postcard::Result<&'de [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or(postcard::Error::DeserializeUnexpectedEnd)?;
        self.bytes = rest;
        self.spend(count)?;
        Ok(taken)
    }

    fn finalize(self) -> postcard::Result<&'de [u8]> {
        Ok(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(message: &impl Serialize) -> Vec<u8> {
        let mut frame = Vec::new();
        encode(message, usize::MAX, &mut frame).expect("short");
        frame
    }

    #[test]
    fn messages_come_out_as_they_went_in_however_they_are_cut() {
        let texts = vec!["one".to_owned(), "twö".to_owned(), String::new()];
        let bytes = [frame(&texts), frame(&7_u64)].concat();
        let mut inbox = Inbox::default();
        let mut taken = Vec::new();
        for byte in bytes {
            inbox.room().extend_from_slice(&[byte]);
            taken.extend(inbox.take(100).expect("short"));
        }
        assert_eq!(decode::<Vec<String>>(&taken[0], METER), Ok(texts));
        assert_eq!(decode::<u64>(&taken[1], METER), Ok(7));
        assert!(inbox.is_empty());
    }

    #[test]
    fn a_length_beyond_the_bound_is_refused_before_anything_of_it_arrived() {
        let mut inbox = Inbox::default();
        inbox.room().extend_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(inbox.take(1_000), Err(FrameError::TooLong(u32::MAX as usize)));
        assert_eq!(encode(&"x".repeat(100), 50, &mut Vec::new()), Err(FrameError::TooLong(101)));
    }

    #[test]
    fn what_has_something_behind_it_or_too_little_is_none() {
        assert_eq!(decode::<u64>(&[7, 0], METER), Err(FrameError::Malformed));
        assert_eq!(decode::<String>(&[3, b'a'], METER), Err(FrameError::Malformed));
        assert_eq!(decode::<String>(&[1, 0xff], METER), Err(FrameError::Malformed));
    }

    #[test]
    fn many_values_in_few_bytes_are_stopped_by_the_meter() {
        let count = METER.bytes / VALUE_BYTES / 64;
        let of = |count: usize| frame(&vec![vec![String::new(); count]; 64]);
        let (most, more) = (of(count - 2), of(count));
        assert!(decode::<Vec<Vec<String>>>(&most[HEAD..], METER).is_ok());
        assert_eq!(decode::<Vec<Vec<String>>>(&more[HEAD..], METER), Err(FrameError::Malformed));
        assert!(decode::<Vec<Vec<String>>>(&more[HEAD..], UNMETERED).is_ok());
        // A count of which nothing follows allocates no more than serde's first step.
        assert_eq!(decode::<Vec<u64>>(&[0xff, 0xff, 0xff, 0xff, 0x0f], METER), Err(FrameError::Malformed));
    }

    #[test]
    fn text_counts_as_well() {
        let texts = |bytes: usize| frame(&vec!["x".repeat(bytes); 2]);
        let most = METER.bytes / 2 - 2 * VALUE_BYTES;
        assert!(decode::<Vec<String>>(&texts(most)[HEAD..], METER).is_ok());
        assert_eq!(decode::<Vec<String>>(&texts(most + 2 * VALUE_BYTES)[HEAD..], METER), Err(FrameError::Malformed));
    }

    #[test]
    fn a_list_that_is_longer_than_any_may_be_is_none_wherever_it_stands() {
        // Nothing of it that was read before looks like a length: numbers, flags and texts.
        let message =
            |items: usize| frame(&(u64::MAX, true, "x".repeat(300), Some(vec![7_u64; items]), 500_000_u32, 1_u8));
        type Message = (u64, bool, String, Option<Vec<u64>>, u32, u8);
        let most = message(limits::WORKER_LIST_ITEMS);
        assert!(decode::<Message>(&most[HEAD..], METER).is_ok());
        let more = message(limits::WORKER_LIST_ITEMS + 1);
        assert_eq!(decode::<Message>(&more[HEAD..], METER), Err(FrameError::Malformed));
        assert!(decode::<Message>(&more[HEAD..], UNMETERED).is_ok());
    }
}
