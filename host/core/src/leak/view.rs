//! Ways to look at bytes: as they are, without percent-encoding, without escapes of JSON, without
//! those of HTML and XML.

use aho_corasick::Anchored;
use aho_corasick::automaton::{Automaton as _, StateID};
use aho_corasick::dfa::DFA;

/// Bytes that one character takes at most when it is escaped: `&#x10FFFF;`. An escape with more
/// zeros in front is not undone.
pub(super) const ESCAPED_BYTES_MAX: usize = 10;

/// What is undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    Percent,
    Json,
    Markup,
}

impl Kind {
    /// The byte that an escape begins with.
    fn begins(self) -> Option<u8> {
        match self {
            Self::Plain => None,
            Self::Percent => Some(b'%'),
            Self::Json => Some(b'\\'),
            Self::Markup => Some(b'&'),
        }
    }

    /// The escape that these bytes are so far.
    fn escape(self, held: &[u8]) -> Escape {
        match self {
            Self::Plain => Escape::None,
            Self::Percent => percent(held),
            Self::Json => json(held),
            Self::Markup => markup(held),
        }
    }
}

/// A way to look at bytes that come in pieces, and how far the search in it has come.
pub(super) struct View {
    kind: Kind,
    state: Option<StateID>,
    /// An escape whose end has not come.
    escape: [u8; ESCAPED_BYTES_MAX],
    escaped: usize,
}

/// What the bytes of an escape are so far.
enum Escape {
    /// More must come.
    Open,
    /// This character.
    Is(char),
    /// This byte.
    Byte(u8),
    /// No escape at all.
    None,
}

impl View {
    pub(super) fn new(kind: Kind, state: Option<StateID>) -> Self {
        Self { kind, state, escape: [0; ESCAPED_BYTES_MAX], escaped: 0 }
    }

    pub(super) fn state(&self) -> Option<StateID> {
        self.state
    }

    /// Whether the search stands where another one stands, and no escape is open.
    pub(super) fn is_at(&self, state: Option<StateID>) -> bool {
        self.escaped == 0 && self.state == state
    }

    /// Whether this way of looking at it sees something else than the bytes.
    pub(super) fn is_touched_by(&self, piece: &[u8]) -> bool {
        self.kind.begins().is_some_and(|begins| memchr::memchr(begins, piece).is_some())
    }

    /// Goes where another view is.
    pub(super) fn follow(&mut self, other: &Self) {
        self.state = other.state;
    }

    /// Looks at a piece; gives the number of the first pattern.
    pub(super) fn feed(&mut self, automaton: &DFA, piece: &[u8]) -> Option<usize> {
        if self.kind == Kind::Plain {
            return self.run(automaton, piece);
        }
        piece.iter().find_map(|byte| self.byte(automaton, *byte))
    }

    /// Looks at an escape that did not end.
    pub(super) fn end(&mut self, automaton: &DFA) -> Option<usize> {
        let (escape, escaped) = (self.escape, std::mem::take(&mut self.escaped));
        self.run(automaton, &escape[..escaped])
    }

    /// The pattern that an escape which has no end so far would complete, taken as it is. More may
    /// still come.
    pub(super) fn would_end(&self, automaton: &DFA) -> Option<usize> {
        walk(automaton, self.state?, &self.escape[..self.escaped]).1
    }

    fn run(&mut self, automaton: &DFA, bytes: &[u8]) -> Option<usize> {
        let (state, found) = walk(automaton, self.state?, bytes);
        self.state = Some(state);
        found
    }

    fn byte(&mut self, automaton: &DFA, byte: u8) -> Option<usize> {
        if self.escaped == 0 && Some(byte) != self.kind.begins() {
            return self.run(automaton, &[byte]);
        }
        self.escape[self.escaped] = byte;
        self.escaped += 1;
        match self.kind.escape(&self.escape[..self.escaped]) {
            Escape::Open => None,
            Escape::Byte(byte) => {
                self.escaped = 0;
                self.run(automaton, &[byte])
            }
            Escape::Is(character) => {
                self.escaped = 0;
                self.run(automaton, character.encode_utf8(&mut [0; 4]).as_bytes())
            }
            Escape::None => {
                let (escape, escaped) = (self.escape, std::mem::take(&mut self.escaped));
                let first = self.run(automaton, &escape[..1]);
                // What follows may begin another escape.
                first.or_else(|| escape[1..escaped].iter().find_map(|byte| self.byte(automaton, *byte)))
            }
        }
    }
}

/// The state of the search after these bytes, and the first pattern that it found.
fn walk(automaton: &DFA, mut state: StateID, bytes: &[u8]) -> (StateID, Option<usize>) {
    for byte in bytes {
        state = automaton.next_state(Anchored::No, state, *byte);
        if automaton.is_special(state) && automaton.is_match(state) {
            return (state, Some(automaton.match_pattern(state, 0).as_usize()));
        }
    }
    (state, None)
}

fn digit(byte: u8) -> Option<u32> {
    char::from(byte).to_digit(16)
}

fn percent(held: &[u8]) -> Escape {
    match held {
        [_] => Escape::Open,
        [_, high] if digit(*high).is_some() => Escape::Open,
        [_, high, low] => match (digit(*high), digit(*low)) {
            (Some(high), Some(low)) => u8::try_from(high * 16 + low).map_or(Escape::None, Escape::Byte),
            _ => Escape::None,
        },
        _ => Escape::None,
    }
}

fn json(held: &[u8]) -> Escape {
    match held {
        [_] => Escape::Open,
        [_, b'n'] => Escape::Byte(b'\n'),
        [_, b'r'] => Escape::Byte(b'\r'),
        [_, b't'] => Escape::Byte(b'\t'),
        [_, byte @ (b'"' | b'\\' | b'/')] => Escape::Byte(*byte),
        [_, b'u', digits @ ..] if digits.iter().all(|byte| digit(*byte).is_some()) => {
            if digits.len() < 4 {
                return Escape::Open;
            }
            let code = digits.iter().fold(0, |code, byte| code * 16 + digit(*byte).unwrap_or_default());
            // Halves of pairs stand for characters beyond the first 65,536; they match nothing, as no pattern has them.
            char::from_u32(code).map_or(Escape::None, Escape::Is)
        }
        _ => Escape::None,
    }
}

/// References to characters (HTML standard, section 13.2.5.72; XML 1.0, section 4.1): by number,
/// and those names that every escaping function writes.
fn markup(held: &[u8]) -> Escape {
    const NAMES: [(&[u8], u8); 5] = [(b"amp", b'&'), (b"lt", b'<'), (b"gt", b'>'), (b"quot", b'"'), (b"apos", b'\'')];
    let open = |is_open: bool| if is_open && held.len() < ESCAPED_BYTES_MAX { Escape::Open } else { Escape::None };
    let Some((b';', inner)) = held[1..].split_last() else {
        return match &held[1..] {
            [] | [b'#'] | [b'#', b'x' | b'X'] => Escape::Open,
            [b'#', b'x' | b'X', digits @ ..] => open(digits.iter().all(|byte| digit(*byte).is_some())),
            [b'#', digits @ ..] => open(digits.iter().all(u8::is_ascii_digit)),
            name => open(NAMES.iter().any(|(known, _)| known.starts_with(name))),
        };
    };
    let number =
        |digits: &[u8], radix| std::str::from_utf8(digits).ok().and_then(|text| u32::from_str_radix(text, radix).ok());
    let code = match inner {
        [b'#', b'x' | b'X', digits @ ..] => number(digits, 16),
        [b'#', digits @ ..] => number(digits, 10),
        name => {
            return NAMES
                .iter()
                .find(|(known, _)| *known == name)
                .map_or(Escape::None, |(_, byte)| Escape::Byte(*byte));
        }
    };
    code.and_then(char::from_u32).map_or(Escape::None, Escape::Is)
}
