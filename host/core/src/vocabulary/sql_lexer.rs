//! The outer shape of PostgreSQL's lexical structure (PostgreSQL manual, section 4.1): which bytes are code and which
//! stand in a comment, a literal or a quoted identifier. That is all that is needed to know where a placeholder may stand
//! and where a statement ends.

/// A stretch of a statement that is no code: keywords, identifiers, operators and blanks are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stretch {
    /// `-- …` or `/* … */`.
    Comment,
    /// `'…'`, `E'…'`, `$tag$…$tag$`.
    Literal,
    /// `"…"`.
    QuotedName,
}

/// A stretch that is not closed, such as a literal without its quote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unclosed(pub(super) Stretch);

/// The comment, literal or quoted name that begins at byte `at` of `text`, which must not stand inside of one: its kind and
/// where it ends; none where code stands.
pub(super) fn opaque(text: &str, at: usize) -> Result<Option<(Stretch, usize)>, Unclosed> {
    let rest = &text[at..];
    let found = |stretch, length: Option<usize>| match length {
        Some(length) => Ok(Some((stretch, at + length))),
        None => Err(Unclosed(stretch)),
    };
    if rest.starts_with("--") {
        return found(Stretch::Comment, Some(rest.find('\n').unwrap_or(rest.len())));
    }
    if rest.starts_with("/*") {
        return found(Stretch::Comment, block_comment(rest));
    }
    if rest.starts_with('\'') {
        return found(Stretch::Literal, quoted(rest, b'\'', has_escape_prefix(&text[..at])));
    }
    if rest.starts_with('"') {
        return found(Stretch::QuotedName, quoted(rest, b'"', false));
    }
    if let Some(tag) = dollar_tag(text, at) {
        let inside = &rest[tag.len()..];
        return found(Stretch::Literal, inside.find(tag).map(|close| tag.len() + close + tag.len()));
    }
    Ok(None)
}

/// The text of a statement without its comments, literals and quoted names, each of which is replaced by a blank.
pub(super) fn code_of(text: &str) -> Result<String, Unclosed> {
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        if let Some((_, end)) = opaque(text, at)? {
            code.push(' ');
            at = end;
        } else {
            let character = text[at..].chars().next().expect("`at` is inside the text, at a character");
            code.push(character);
            at += character.len_utf8();
        }
    }
    Ok(code)
}

/// Block comments nest.
fn block_comment(rest: &str) -> Option<usize> {
    let bytes = rest.as_bytes();
    let mut depth = 0_u32;
    let mut at = 0;
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => {
                depth += 1;
                at += 2;
            }
            b"*/" => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => at += 1,
        }
    }
    None
}

/// The length of a quoted stretch, with its quotes; a doubled quote stands for one, and so does an escaped one in `E'…'`.
fn quoted(rest: &str, quote: u8, escapes: bool) -> Option<usize> {
    let bytes = rest.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        let is_pair = (escapes && bytes[at] == b'\\') || (bytes[at] == quote && bytes.get(at + 1) == Some(&quote));
        if is_pair {
            at += 2;
        } else if bytes[at] == quote {
            return Some(at + 1);
        } else {
            at += 1;
        }
    }
    None
}

/// Whether the code before a quote ends with the `E` that makes backslashes escape.
fn has_escape_prefix(before: &str) -> bool {
    let mut back = before.bytes().rev();
    matches!(back.next(), Some(b'e' | b'E')) && !back.next().is_some_and(is_name_byte)
}

/// The tag of a dollar quote that begins here, with its dollars.
fn dollar_tag(text: &str, at: usize) -> Option<&str> {
    let rest = text[at..].strip_prefix('$')?;
    if text[..at].bytes().next_back().is_some_and(is_name_byte) {
        return None;
    }
    let length = rest.bytes().take_while(|byte| is_name_byte(*byte)).count();
    let begins_like_name = !rest.starts_with(|first: char| first.is_ascii_digit());
    (begins_like_name && rest[length..].starts_with('$')).then(|| &text[at..at + length + 2])
}

/// Whether a byte can stand inside an unquoted identifier.
pub(super) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(text: &str) -> Vec<(Stretch, &str)> {
        let mut stretches = Vec::new();
        let mut at = 0;
        while at < text.len() {
            match opaque(text, at).expect("closed") {
                Some((stretch, end)) => {
                    stretches.push((stretch, &text[at..end]));
                    at = end;
                }
                None => at += 1,
            }
        }
        stretches
    }

    #[test]
    fn code_is_told_from_everything_else() {
        use Stretch::{Comment, Literal, QuotedName};
        let text = "select 'it''s', \"a\"\"b\" -- {x:text}\n, $t$ ' $$ $t$ /* a /* b */ c */ from t$a$a";
        let stretches = [
            (Literal, "'it''s'"),
            (QuotedName, "\"a\"\"b\""),
            (Comment, "-- {x:text}"),
            (Literal, "$t$ ' $$ $t$"),
            (Comment, "/* a /* b */ c */"),
        ];
        assert_eq!(shape(text), stretches);
        assert_eq!(code_of(text).expect("closed"), "select  ,    \n,     from t$a$a");
        assert_eq!(shape(r"E'a\'b' x"), [(Literal, r"'a\'b'")]);
        assert_eq!(shape(r"'a\' x"), [(Literal, r"'a\'")]);
    }

    #[test]
    fn what_is_not_closed_is_said() {
        assert_eq!(opaque("'abc", 0), Err(Unclosed(Stretch::Literal)));
        assert_eq!(opaque("/* /* */", 0), Err(Unclosed(Stretch::Comment)));
        assert_eq!(opaque("$a$ $b$", 0), Err(Unclosed(Stretch::Literal)));
    }
}
