//! Ways to look at bytes: as they are, without percent-encoding, without escapes of JSON.

use aho_corasick::Anchored;
use aho_corasick::automaton::{Automaton as _, StateID};
use aho_corasick::dfa::DFA;

/// Bytes that one byte takes at most when it is escaped: `\u00XX`.
pub(super) const ESCAPED_BYTES_MAX: usize = 6;

/// What is undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    Percent,
    Json,
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
        let begins = match self.kind {
            Kind::Plain => return false,
            Kind::Percent => b'%',
            Kind::Json => b'\\',
        };
        memchr::memchr(begins, piece).is_some()
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

    fn run(&mut self, automaton: &DFA, bytes: &[u8]) -> Option<usize> {
        let mut state = self.state?;
        for byte in bytes {
            state = automaton.next_state(Anchored::No, state, *byte);
            if automaton.is_special(state) && automaton.is_match(state) {
                self.state = Some(state);
                return Some(automaton.match_pattern(state, 0).as_usize());
            }
        }
        self.state = Some(state);
        None
    }

    fn byte(&mut self, automaton: &DFA, byte: u8) -> Option<usize> {
        let begins = if self.kind == Kind::Percent { b'%' } else { b'\\' };
        if self.escaped == 0 && byte != begins {
            return self.run(automaton, &[byte]);
        }
        self.escape[self.escaped] = byte;
        self.escaped += 1;
        let held = &self.escape[..self.escaped];
        match if self.kind == Kind::Percent { percent(held) } else { json(held) } {
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
