//! Predicates: the one free expression that is sent, the rule of a row-security policy.
//!
//! A policy can say anything that SQL can say, so its text is not parsed. It is proved to stay within
//! the parentheses that the host writes around it: every bracket in it is closed in it, and it has no
//! comment, no semicolon, no parameter and no lexeme without an end.

use super::scan::{Kind, Lexeme, scan};
use crate::limits;

/// Why a text cannot be the rule of a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PredicateError(String);

/// Proves that a text stays within parentheses around it.
///
/// # Errors
/// `PredicateError` says what would reach beyond them.
pub fn check_predicate(text: &str) -> Result<(), PredicateError> {
    let wrong = |reason: String| Err(PredicateError(reason));
    let lexemes = match scan(text) {
        Ok(lexemes) => lexemes,
        Err(error) => return wrong(error.to_string()),
    };
    if lexemes.is_empty() {
        return wrong("it is empty".into());
    }
    if let Some(shown) = made_by_a_user(text, &lexemes) {
        return wrong(format!(
            "{shown} would be made while the statement is read, by what the owner of its type wrote: compare with another value"
        ));
    }
    let mut open: Vec<&str> = Vec::new();
    for lexeme in lexemes {
        let shown = lexeme.of(text);
        match (lexeme.kind, shown) {
            (Kind::Mark, "(") => open.push(")"),
            (Kind::Mark, "[") => open.push("]"),
            (Kind::Mark, ")" | "]") => {
                if open.pop() != Some(shown) {
                    return wrong(format!("`{shown}` closes what it does not open"));
                }
            }
            (Kind::Mark, ";") => return wrong("it has a semicolon".into()),
            (Kind::Comment, _) => return wrong("it has a comment".into()),
            (Kind::Parameter, _) => return wrong(format!("it has the parameter {shown}")),
            (Kind::Other, _) => return wrong(format!("it has {}", crate::text::excerpt(shown, 8))),
            // Whether a literal goes on in the next line depends on what stands between the two.
            (Kind::Literal, literal) if goes_on(literal) => return wrong("a literal goes on in another line".into()),
            (Kind::Word | Kind::QuotedName | Kind::Literal | Kind::Number | Kind::Operator | Kind::Mark, _) => {}
        }
        if open.len() > limits::PREDICATE_DEPTH {
            return wrong(format!("more than {} brackets are open at once", limits::PREDICATE_DEPTH));
        }
    }
    if open.is_empty() { Ok(()) } else { wrong("a bracket is not closed".into()) }
}

/// A literal whose value the server makes when it reads the statement, with a function or a check of a user:
/// one of an array, a row or a range of a type that has a schema. The search path holds no schema of a user,
/// so a type without one is the server's own.
fn made_by_a_user(text: &str, lexemes: &[Lexeme]) -> Option<String> {
    let is = |at: usize, mark: &str| lexemes.get(at).is_some_and(|lexeme| lexeme.of(text) == mark);
    let is_name =
        |at: usize| lexemes.get(at).is_some_and(|lexeme| matches!(lexeme.kind, Kind::Word | Kind::QuotedName));
    // The lexeme behind a type that has a schema.
    let behind_type = |at: usize| (is_name(at) && is(at + 1, ".") && is_name(at + 2)).then_some(at + 3);
    for (at, lexeme) in lexemes.iter().enumerate() {
        let shown = lexeme.of(text);
        if lexeme.kind == Kind::Word && shown.eq_ignore_ascii_case("as") && behind_type(at + 1).is_some() {
            return Some("CAST to a type with a schema".to_owned());
        }
        if lexeme.kind != Kind::Literal {
            continue;
        }
        // `schema.type 'text'`, and the same with something in parentheses before the text.
        let before = at.checked_sub(1);
        let is_typed =
            before.is_some_and(|before| is(before, ")") || (before > 0 && is_name(before) && is(before - 1, ".")));
        let mut next = at + 1;
        while is(next, ")") {
            next += 1;
        }
        let cast = is(next, "::").then(|| behind_type(next + 1)).flatten();
        let is_plain = shown.strip_prefix('\'').is_some_and(|inside| !inside.trim_start().starts_with(['(', '[', '{']));
        let is_made = cast.is_some_and(|behind| is(behind, "[") || !is_plain);
        if is_typed || is_made {
            return Some(crate::text::excerpt(shown, 40));
        }
    }
    None
}

/// Whether a literal is more than one pair of quotes: its last quote stands behind a line feed and blanks
/// or comments, and an earlier one before it.
fn goes_on(literal: &str) -> bool {
    let Some((_, inside)) = literal.split_once('\'') else { return false };
    let escapes = literal.starts_with(['e', 'E']);
    // Within bits, two quotes are the end of one literal and the beginning of another.
    let doubles = !literal.starts_with(['b', 'B', 'x', 'X']);
    let bytes = inside.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if escapes => at += 2,
            b'\'' if doubles && bytes.get(at + 1) == Some(&b'\'') => at += 2,
            b'\'' => return at + 1 < bytes.len(),
            _ => at += 1,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_stay_within_their_parentheses() {
        for text in [
            "true",
            "region = 'eu' and (owner = current_user or a[1] > 2)",
            "exists (select 1 from m where m.o = e'a\\'b;' and \"a;(\" = $$)$$)",
            "name = 'ä''(' -1",
            "status = 'open'::sales.status or (status = any (array['open'::sales.status, 'new'::sales.status]))",
            "(tags && '{a,b}'::text[]) and span @> '[1,2)'::int4range and (x)::sales.kind[] is not null",
        ] {
            assert_eq!(check_predicate(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn rules_that_reach_beyond_them_are_refused() {
        for text in [
            "",
            " ",
            "true) or (true",
            "(true",
            "(true]",
            "a[1",
            "true; drop table t",
            "true -- x",
            "true /* x */",
            "a = 'x",
            "a = \"x",
            "a = $a$ x",
            "a = $1",
            "e'a\\'",
            "'a'\n'b'",
            "e'a'\n'b\\'",
            "'a' -- \\\n'b'",
            "a \\ b",
            "'{x}'::evil.dom[] is not null",
            "(('{x}'))::evil.dom[] is not null",
            "'x'::evil.dom[] is not null",
            "'(x)'::evil.comp is not null",
            "' [a,b)'::\"Evil\".range is not null",
            "e'\\\\x28x)'::evil.comp is not null",
            "$${x}$$::evil.dom is not null",
            "cast('{x}' as evil.dom[]) is not null",
            "evil.comp '(x)' is not null",
            "evil.comp(1) '(x)' is not null",
            "a = 1a",
        ] {
            assert!(check_predicate(text).is_err(), "{text}");
        }
        let deep = format!("{}1{}", "(".repeat(5_000), ")".repeat(5_000));
        assert!(check_predicate(&deep).is_err());
        let long = format!("{}b", "a or ".repeat(8_000));
        assert_eq!(check_predicate(&long), Ok(()), "a long rule is not a deep one for a lexer");
    }
}
