//! Walking through the tokens of a statement.

use super::identifier::Identifier;
use super::keyword::is_keyword;
use super::position::{Position, SqlError};
use super::token::{Spanned, Token, tokens};

/// The tokens of a statement, and which one is next.
pub(super) struct Cursor<'t> {
    text: &'t str,
    tokens: Vec<Spanned>,
    next: usize,
}

impl<'t> Cursor<'t> {
    /// At the first token of `text`.
    pub(super) fn new(text: &'t str) -> Result<Self, SqlError> {
        Ok(Self { text, tokens: tokens(text)?, next: 0 })
    }

    /// The token that is `ahead` of the next one; `End` behind the last.
    pub(super) fn peek(&self, ahead: usize) -> &Token {
        let last = self.tokens.len() - 1;
        &self.tokens[(self.next + ahead).min(last)].token
    }

    /// The byte at which the next token begins.
    pub(super) fn at(&self) -> usize {
        self.tokens[self.next].at
    }

    /// Takes the next token.
    pub(super) fn take(&mut self) -> Token {
        let token = self.peek(0).clone();
        if token != Token::End {
            self.next += 1;
        }
        token
    }

    /// Whether the next token is this word.
    pub(super) fn is_word(&self, word: &str) -> bool {
        self.is_word_ahead(0, word)
    }

    /// Whether the token `ahead` of the next one is this word.
    pub(super) fn is_word_ahead(&self, ahead: usize, word: &str) -> bool {
        matches!(self.peek(ahead), Token::Word(other) if other == word)
    }

    /// Whether the next token is this mark.
    pub(super) fn is_mark(&self, mark: &str) -> bool {
        self.is_mark_ahead(0, mark)
    }

    /// Whether the token `ahead` of the next one is this mark.
    pub(super) fn is_mark_ahead(&self, ahead: usize, mark: &str) -> bool {
        matches!(self.peek(ahead), Token::Mark(other) if *other == mark)
    }

    /// Takes this word where it is next.
    pub(super) fn takes_word(&mut self, word: &str) -> bool {
        let is_next = self.is_word(word);
        self.next += usize::from(is_next);
        is_next
    }

    /// Takes these words where they are next, in this order.
    pub(super) fn takes_words(&mut self, words: &[&str]) -> bool {
        let are_next = words.iter().enumerate().all(|(ahead, word)| self.is_word_ahead(ahead, word));
        self.next += if are_next { words.len() } else { 0 };
        are_next
    }

    /// Takes this mark where it is next.
    pub(super) fn takes_mark(&mut self, mark: &str) -> bool {
        let is_next = self.is_mark(mark);
        self.next += usize::from(is_next);
        is_next
    }

    /// Takes this word.
    pub(super) fn word(&mut self, word: &str) -> Result<(), SqlError> {
        if self.takes_word(word) { Ok(()) } else { Err(self.expected(&format!("`{}`", word.to_ascii_uppercase()))) }
    }

    /// Takes this mark.
    pub(super) fn mark(&mut self, mark: &str) -> Result<(), SqlError> {
        if self.takes_mark(mark) { Ok(()) } else { Err(self.expected(&format!("`{mark}`"))) }
    }

    /// The identifier that is next; none where something else is.
    pub(super) fn peek_identifier(&self) -> Option<Identifier> {
        match self.peek(0) {
            Token::Word(word) if !is_keyword(word) => Some(Identifier::new(word)),
            Token::Quoted(name) => Some(Identifier::new(name)),
            _ => None,
        }
    }

    /// Takes an identifier.
    pub(super) fn identifier(&mut self, what: &str) -> Result<Identifier, SqlError> {
        let Some(identifier) = self.peek_identifier() else {
            let hint =
                if matches!(self.peek(0), Token::Word(_)) { "; a keyword as a name needs double quotes" } else { "" };
            return Err(self.expected(&format!("{what}{hint}")));
        };
        self.next += 1;
        Ok(identifier)
    }

    /// Says that something else than `what` is next.
    pub(super) fn expected(&self, what: &str) -> SqlError {
        self.error(self.at(), format!("expected {what} instead of {}", self.peek(0).shown()))
    }

    /// An error at a byte of the text.
    pub(super) fn error(&self, at: usize, message: impl Into<String>) -> SqlError {
        SqlError { at: Position::of(self.text, at), message: message.into() }
    }
}
