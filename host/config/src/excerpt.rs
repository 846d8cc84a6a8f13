//! The text of a file as people may see it around a mistake: every value that may be a secret is
//! hidden.
//!
//! The text need not be YAML, since what is wrong with it may be just that. It is read as far as it
//! can be, and a value of which nobody knows what it is for is hidden.

use raito_core::limits;
use raito_core::manifest::SlotName;

use crate::hide::{HIDDEN, is_secret_name, is_variable, quotable};
use crate::keys::{CEILING, CONFIGURATION, HTTP_GRANT, KEYRING, Key, SCHEMES, SECRET, SQL_GRANT, Shape};
use crate::mistake::Place;

/// Whether a file has places for secrets, and so which of its values are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// The file says where secrets come from: only values of known keys are shown.
    Sources,
    /// The file has no place for secrets, as access code: values are shown unless their key says
    /// that they are secret.
    Nothing,
}

/// The text of a file with values hidden.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// The text, line by line as in the file.
    pub text: String,
    /// The hidden values, in their order.
    hidden: Vec<Hidden>,
}

impl Excerpt {
    /// Makes it of the text of a file.
    pub fn new(text: &str, holds: Holds) -> Self {
        let mut hiding = Hiding { holds, block: Vec::new(), flow: Vec::new(), scalar: None, quote: None };
        let mut excerpt = Self { text: String::with_capacity(text.len()), hidden: Vec::new() };
        for (index, line) in text.split_inclusive('\n').enumerate() {
            let content = line.trim_end_matches(['\n', '\r']);
            let mut out = Line { text: &mut excerpt.text, hidden: &mut excerpt.hidden, number: index + 1, column: 1 };
            hiding.line(content, &mut out);
            excerpt.text.push_str(&line[content.len()..]);
        }
        excerpt
    }

    /// The place in this text of a place in the file.
    pub fn place(&self, place: Place) -> Place {
        let mut shown = place;
        for hidden in self.hidden.iter().filter(|hidden| hidden.line == place.line) {
            let end = hidden.column + hidden.before;
            if place.column >= end {
                shown.column = (shown.column + hidden.after).saturating_sub(hidden.before);
            } else if place.column >= hidden.column {
                shown.column = (shown.column + hidden.column).saturating_sub(place.column);
                return Place { length: hidden.after, ..shown };
            }
        }
        shown
    }
}

/// Something that was hidden: where it was, and in how many characters it was and is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Hidden {
    line: usize,
    column: usize,
    before: usize,
    after: usize,
}

/// A line that is written.
struct Line<'l> {
    text: &'l mut String,
    hidden: &'l mut Vec<Hidden>,
    number: usize,
    /// The column in the file, from 1.
    column: usize,
}

impl Line<'_> {
    fn show(&mut self, text: &str) {
        self.instead(text, text);
    }

    fn hide(&mut self, text: &str) {
        self.instead(text, HIDDEN);
    }

    fn instead(&mut self, text: &str, shown: &str) {
        let (before, after) = (text.chars().count(), shown.chars().count());
        if text != shown {
            self.hidden.push(Hidden { line: self.number, column: self.column, before, after });
        }
        self.text.push_str(shown);
        self.column += before;
    }
}

/// The keys that the next values stand below.
struct Hiding {
    holds: Holds,
    /// Keys of mappings without brackets, with their columns.
    block: Vec<(usize, String)>,
    /// Keys of those within brackets, from the outermost.
    flow: Vec<Option<String>>,
    /// The column of the key whose text goes on over lines.
    scalar: Option<usize>,
    /// The quotation mark that was not closed.
    quote: Option<char>,
}

impl Hiding {
    fn line(&mut self, line: &str, out: &mut Line<'_>) {
        let indent = line.len() - line.trim_start().len();
        let mut rest = line;
        if let Some(column) = self.scalar {
            if line.trim().is_empty() || indent >= column {
                out.show(take(&mut rest, indent));
                return self.value(rest, usize::MAX, out);
            }
            self.scalar = None;
        }
        if let Some(quote) = self.quote.take() {
            let end = self.quoted_end(rest, quote);
            self.value(take(&mut rest, end), usize::MAX, out);
        }
        let mut begins = true;
        while !rest.is_empty() {
            let blanks = rest.len() - rest.trim_start().len();
            let is_apart = blanks > 0 || begins;
            out.show(take(&mut rest, blanks));
            let Some(first) = rest.chars().next() else { break };
            let is_item =
                begins && matches!(first, '-' | '?') && rest[1..].chars().next().is_none_or(char::is_whitespace);
            begins &= is_item && self.flow.is_empty();
            match first {
                '#' if is_apart => return out.instead(rest, "# …"),
                _ if is_item => out.show(take(&mut rest, 1)),
                '{' | '[' => {
                    self.flow.push(None);
                    out.show(take(&mut rest, 1));
                }
                '}' | ']' => {
                    self.flow.pop();
                    out.show(take(&mut rest, 1));
                }
                ',' => {
                    if let Some(key) = self.flow.last_mut() {
                        *key = None;
                    }
                    out.show(take(&mut rest, 1));
                }
                _ => rest = self.scalar(rest, first, out),
            }
        }
    }

    /// Writes a key or a value, and gives what stands behind it.
    fn scalar<'t>(&mut self, mut rest: &'t str, first: char, out: &mut Line<'_>) -> &'t str {
        let is_quoted = matches!(first, '"' | '\'');
        let end =
            if is_quoted { 1 + self.quoted_end(&rest[1..], first) } else { plain_end(rest, !self.flow.is_empty()) };
        let text = take(&mut rest, end);
        let behind = rest.trim_start();
        let after_colon = behind.strip_prefix(':').map(|after| after.chars().next());
        let is_key = self.quote.is_none()
            && after_colon.is_some_and(|next| {
                let in_flow = !self.flow.is_empty() && (is_quoted || next.is_some_and(|next| ",[]{}".contains(next)));
                next.is_none_or(char::is_whitespace) || in_flow
            });
        let column = out.column;
        if !is_key {
            self.value(text, column, out);
            return rest;
        }
        let key = text.trim_matches(['"', '\'']).to_owned();
        let is_below_secret = self.is_below_secret(column);
        match self.flow.last_mut() {
            Some(last) => *last = Some(key),
            None => {
                while self.block.last().is_some_and(|(known, _)| *known >= column) {
                    self.block.pop();
                }
                self.block.push((column, key));
            }
        }
        if is_below_secret && !is_of_secret(text.trim_matches(['"', '\''])) {
            // A value that looks like a key, as one with a colon in it does.
            out.hide(text);
        } else {
            out.instead(text, &quotable(text));
        }
        let colon = rest.len() - behind.len() + 1;
        out.show(take(&mut rest, colon));
        if self.flow.is_empty() && rest.trim_start().starts_with(['|', '>']) {
            self.scalar = Some(column);
            out.show(rest);
            return "";
        }
        rest
    }

    /// How long the text in quotation marks is, with the closing one; where there is none, it goes
    /// on in the next line.
    fn quoted_end(&mut self, text: &str, quote: char) -> usize {
        let mut characters = text.char_indices().peekable();
        while let Some((at, character)) = characters.next() {
            match character {
                '\\' if quote == '"' => {
                    characters.next();
                }
                '\'' if quote == '\'' && characters.peek().is_some_and(|(_, next)| *next == '\'') => {
                    characters.next();
                }
                other if other == quote => return at + 1,
                _ => {}
            }
        }
        self.quote = Some(quote);
        text.len()
    }

    /// Whether what begins in this column is a part of the value of a key that takes a secret.
    fn is_below_secret(&self, column: usize) -> bool {
        if self.block.len() + self.flow.len() > limits::YAML_COLUMNS {
            return true;
        }
        let in_flow = !self.flow.is_empty();
        let block = self.block.iter().filter(|(known, _)| in_flow || *known < column).map(|(_, key)| key.as_str());
        let mut path = block.chain(self.flow.iter().flatten().map(String::as_str));
        path.any(|key| is_secret_name(key) || shapes(key).iter().any(|shape| matches!(shape, Shape::Secret)))
    }

    /// Writes a value, or what stands for it.
    fn value(&self, text: &str, column: usize, out: &mut Line<'_>) {
        if self.block.len() + self.flow.len() > limits::YAML_COLUMNS {
            // Nothing that nests so deep is read, and so nobody knows what it is.
            return if text.trim().is_empty() { out.show(text) } else { out.hide(text) };
        }
        let in_flow = !self.flow.is_empty();
        let block = self.block.iter().filter(|(known, _)| in_flow || *known < column).map(|(_, key)| key.as_str());
        let path: Vec<&str> = block.chain(self.flow.iter().flatten().map(String::as_str)).collect();
        let is_shown = match self.holds {
            Holds::Nothing => !path.iter().any(|key| is_secret_name(key)),
            Holds::Sources => is_shown(&path, text.trim_matches(['"', '\''])),
        };
        match is_shown {
            _ if text.trim().is_empty() => out.show(text),
            true => out.instead(text, &quotable(text)),
            false => out.hide(text),
        }
    }
}

/// Takes so many bytes from the beginning.
fn take<'t>(rest: &mut &'t str, bytes: usize) -> &'t str {
    let (taken, behind) = rest.split_at(bytes);
    *rest = behind;
    taken
}

/// How long a value without quotation marks is.
fn plain_end(text: &str, in_flow: bool) -> usize {
    let ends = |(at, character): (usize, char)| {
        let next = text[at + character.len_utf8()..].chars().next();
        let is_end = match character {
            ':' => next.is_none_or(|next| next.is_whitespace() || (in_flow && ",[]{}".contains(next))),
            '#' => text[..at].ends_with(char::is_whitespace),
            other => in_flow && ",[]{}".contains(other),
        };
        (is_end && at > 0).then_some(at)
    };
    let end = text.char_indices().find_map(ends).unwrap_or(text.len());
    text[..end].trim_end().len().max(1)
}

/// Whether a value below these keys of a configuration is known not to be a secret.
fn is_shown(path: &[&str], value: &str) -> bool {
    let Some(inner) = path.last() else { return false };
    if path.contains(&"settings") {
        return false;
    }
    if *inner == "env" {
        return is_variable(value);
    }
    if SECRET.iter().any(|key| key.name == *inner && matches!(key.shape, Shape::Text))
        || KEYRING.iter().any(|key| key.name == *inner)
    {
        return true;
    }
    // A scheme stands below the name of a secret, which is anything; what stands below the scheme
    // is known.
    let scheme = path.iter().rposition(|key| SCHEMES.iter().any(|known| known.name == *key));
    let path = &path[scheme.unwrap_or_default()..];
    let is_known = |key: &&str| SlotName::parse(key).is_some() || !shapes(key).is_empty();
    let of_inner = shapes(inner);
    !of_inner.is_empty()
        && path.iter().all(|key| is_known(key) && !shapes(key).iter().any(|shape| matches!(shape, Shape::Secret)))
        && of_inner.iter().all(|shape| match shape {
            // A key that takes a flag or a login may have been given the password of that login.
            Shape::FlagOr(_) => matches!(value, "true" | "false"),
            Shape::Map(_) | Shape::Maps(_) | Shape::Settings | Shape::Grants | Shape::Secret | Shape::TextMap => false,
            _ => true,
        })
}

/// Whether a key says where a secret comes from, and how.
fn is_of_secret(key: &str) -> bool {
    let of_scheme = SCHEMES.iter().flat_map(|scheme| match scheme.shape {
        Shape::Map(inner) | Shape::Maps(inner) | Shape::TextOr(inner) | Shape::FlagOr(inner) => inner,
        _ => &[],
    });
    [SECRET, KEYRING, SCHEMES].into_iter().flatten().chain(of_scheme).any(|known| known.name == key)
}

/// The shapes of all keys of this name, wherever they stand.
fn shapes(name: &str) -> Vec<Shape> {
    let mut found = Vec::new();
    for keys in [CONFIGURATION, CEILING, HTTP_GRANT, SQL_GRANT, SCHEMES] {
        collect(keys, name, &mut found);
    }
    found
}

fn collect(keys: &[Key], name: &str, found: &mut Vec<Shape>) {
    for key in keys {
        if key.name == name {
            found.push(key.shape);
        }
        if let Shape::Map(inner)
        | Shape::Maps(inner)
        | Shape::EmbeddedOr(inner)
        | Shape::FlagOr(inner)
        | Shape::TextOr(inner) = key.shape
        {
            collect(inner, name, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET_TEXT: &str = "hunter2";

    fn shown(text: &str) -> String {
        Excerpt::new(text, Holds::Sources).text
    }

    #[test]
    fn a_secret_is_hidden_wherever_somebody_writes_it() {
        for text in [
            "url: postgresql://user:hunter2@host/",
            "url: \"postgresql://user:hunter2@host/\"",
            "url: postgresql://user:hunter2 and more@host/ # hunter2",
            "password: hunter2",
            "password: 'hunter2'",
            "password : \"hunter2",
            "pasword: hunter2",
            "password: { env: hunter2 }",
            "password: { text: hunter2 }",
            "password: [hunter2]",
            "password: |\n  hunter2\n  hunter2",
            "password:\n  hunter2",
            "password:\n  - hunter2",
            "password:\n  command: [echo, hunter2]",
            "password: \"a\n  hunter2\"",
            "password: >\n\n   hunter2\n   hunter2\nname: a",
            "hunter2: {\n hunter2",
            "settings:\n  api-token: hunter2\n  page: hunter2",
            "token: { oauth2-client-credentials: { client-secret: hunter2, client-id: a } }",
            "write: { user: a, password: hunter2 }",
            "write: hunter2",
            "grants: { sql.main: { pass: hunter2",
            "password=hunter2: a",
            "origin: https://hunter2@host",
            "origin: https://host?api_key=hunter2",
            "# password: hunter2",
            "- hunter2",
            "hunter2",
            "  url postgresql://user:hunter2@host/",
            "\tpassword:\thunter2",
            "password: hunter2: y",
            "password: hunter2, b: c",
            "password: \"abc\" hunter2: d",
            "password: { hunter2: 1 }",
            "password: \"hunter2\": b",
            "password:\n  - hunter2: b",
            "password:\n  abc\n  hunter2: b",
            "token: hunter2: b",
        ] {
            let text = text.replace("hunter2: {", "password: {");
            for before in
                ["", "targets:\n- name: shop\n  grants:\n    sql.main:\n", "targets: [{ grants: { sql.main: {\n"]
            {
                let lines: String = text.lines().map(|line| format!("      {line}\n")).collect();
                let seen = shown(&format!("{before}{lines}"));
                assert!(!seen.contains(SECRET_TEXT), "{text}:\n{seen}");
                assert_eq!(seen.lines().count(), format!("{before}{lines}").lines().count());
            }
        }
    }

    #[test]
    fn values_that_are_no_secret_can_be_read() {
        let text = "cloud: embedded\ntargets:\n  - name: shop # the shop\n    connector: { file: a.wasm }\n    grants:\n      sql.main:\n        \
                    url: \"postgresql://raito_read@db:5432/\"\n        databases: [shop, 'billing']\n        password: { env: SHOP_PASSWORD }\n        \
                    write: { user: w, password: { file: w.txt } }\n    drift: report\n    break-glass:\n      - postgres\n";
        assert_eq!(shown(text), text.replace("# the shop", "# …"));
        let access = "version: 1\ngrants:\n  - name: R # of ann\n    who: [{ user: ann }]\n    description: a=b\n";
        assert_eq!(Excerpt::new(access, Holds::Nothing).text, access.replace("# of ann", "# …"));
        let other = "ldap:\n  password: hunter2\npostgres: { dsn: 'postgres://a:hunter2@b/' }\nrules: [a]\n";
        let seen = Excerpt::new(other, Holds::Nothing).text;
        assert_eq!(seen, "ldap:\n  password: ***\npostgres: { dsn: 'postgres://a:***@b/' }\nrules: [a]\n");
    }

    #[test]
    fn a_place_behind_something_hidden_is_found() {
        let text = "a: b\nx: { password: a long secret, urll: c }\n";
        let excerpt = Excerpt::new(text, Holds::Sources);
        let place = |column, length| excerpt.place(Place { line: 2, column, length });
        let at = |place: Place| {
            let (begin, length) = place.bytes(&excerpt.text);
            excerpt.text[begin..begin + length].to_owned()
        };
        let column = |part: &str| text.lines().nth(1).and_then(|line| line.find(part)).expect("it is there") + 1;
        assert_eq!(at(place(column("password"), 8)), "password");
        assert_eq!(at(place(column("a long"), 13)), "***");
        assert_eq!(at(place(column("long"), 4)), "***");
        assert_eq!(at(place(column("urll"), 4)), "urll");
        let before = Place { line: 1, column: 1, length: 1 };
        assert_eq!(excerpt.place(before), before);
    }
}
