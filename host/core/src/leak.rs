//! Leaks: secrets where they must not stand, in any form that an honest mistake gives them.
//!
//! A target may echo what it was sent, and a library may print it. So everything that a connector or a person is to get is
//! held against all secrets of the run: as they are, in base64 (standard and URL alphabet, at each of the three ways in
//! which three bytes can lie around them) and in hexadecimal, each also percent-encoded, with `+`
//! for spaces as forms have it, escaped as JSON, or escaped as HTML and XML. The search goes on
//! over the borders of pieces, and over those between answers (`strand`). It finds no form beyond
//! these: a target and a connector that work together can agree on one.

mod form;
mod strand;
mod view;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use aho_corasick::automaton::{Automaton as _, StateID};
use aho_corasick::dfa::DFA;
use aho_corasick::{Anchored, Input, MatchKind};
use zeroize::Zeroizing;

use crate::limits;
use crate::secret::Secret;
use form::Pattern;
use view::View;

pub use form::Form;
pub use strand::Strand;

/// A secret that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leak {
    /// Its name, such as `shop grants.http.api.token`.
    pub secret: String,
    /// How it was written.
    pub form: Form,
}

impl fmt::Display for Leak {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "the secret {}, {}", self.secret, self.form)
    }
}

/// All secrets of a process. Tokens join them while it runs.
#[derive(Default)]
pub struct Watch {
    watched: RwLock<Watched>,
}

#[derive(Default)]
struct Watched {
    secrets: VecDeque<(String, Secret)>,
    net: Option<Arc<Net>>,
}

impl Watch {
    /// Looks for this secret from now on. Of secrets with one name, which are tokens that replaced each other, the last
    /// `WATCHED_TOKENS` are kept. Says whether it is long enough to be found inside of other text.
    pub fn add(&self, name: &str, secret: &Secret) -> bool {
        let long = secret.expose().len() >= limits::SHORT_SECRET_BYTES;
        let mut watched = self.watched.write().unwrap_or_else(PoisonError::into_inner);
        if watched.secrets.iter().any(|(known, held)| known == name && held.expose() == secret.expose()) {
            return long;
        }
        if watched.secrets.iter().filter(|(known, _)| known == name).count() >= limits::WATCHED_TOKENS
            && let Some(oldest) = watched.secrets.iter().position(|(known, _)| known == name)
        {
            watched.secrets.remove(oldest);
        }
        watched.secrets.push_back((name.to_owned(), secret.clone()));
        watched.net = Net::new(&watched.secrets).map(Arc::new);
        long
    }

    /// What is looked for now; none where there are no secrets.
    pub fn net(&self) -> Option<Arc<Net>> {
        self.watched.read().unwrap_or_else(PoisonError::into_inner).net.clone()
    }

    /// The first secret in a value.
    pub fn find(&self, value: &[u8]) -> Option<Leak> {
        self.net()?.find(value)
    }

    /// The text without secrets.
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.net().map_or(Cow::Borrowed(text), |net| net.redact(text))
    }

    /// Begins to look through something that comes in pieces.
    pub fn stream(&self) -> Stream {
        Stream::new(self.net())
    }

    /// Begins anew with a stream where secrets joined since it began. `rest` is what came and was not given on; what was
    /// given on before nobody can take back.
    pub fn refresh(&self, stream: &mut Stream, rest: &[u8]) -> Option<Leak> {
        let net = self.net();
        let is_same = match (&net, &stream.net) {
            (Some(now), Some(then)) => Arc::ptr_eq(now, then),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if is_same {
            return None;
        }
        let given = stream.total.saturating_sub(rest.len() as u64);
        *stream = Stream::new(net);
        let leak = stream.feed(rest);
        // A short secret counts only where it is all that there is.
        stream.total += given;
        leak
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Watch(…)")
    }
}

/// All forms of all secrets, as one automaton.
pub struct Net {
    /// None where it could not be built: then nothing is let through.
    automaton: Option<DFA>,
    patterns: Vec<Pattern>,
    names: Vec<String>,
    has_short: bool,
    /// Bytes that may still belong to a secret whose end has not come: the longest form, with each byte escaped.
    pub holdback: usize,
}

impl Net {
    fn new(secrets: &VecDeque<(String, Secret)>) -> Option<Self> {
        let mut patterns = Vec::new();
        let mut names = Vec::new();
        for (name, secret) in secrets {
            form::patterns(names.len(), secret.expose(), &mut patterns);
            names.push(name.clone());
        }
        let longest = patterns.iter().map(|pattern| pattern.bytes.len()).max()?;
        let texts = patterns.iter().map(|pattern| pattern.bytes.as_slice());
        // Building fails only for more states than a 32-bit number can count.
        // A prefilter would hold copies of them, and is of no use where the search goes byte by byte.
        let automaton = DFA::builder().match_kind(MatchKind::Standard).prefilter(false).build(texts).ok();
        let has_short = patterns.iter().any(|pattern| pattern.whole.is_some());
        Some(Self { automaton, patterns, names, has_short, holdback: longest * view::ESCAPED_BYTES_MAX })
    }

    /// The first secret in a value that is there as a whole.
    pub fn find(&self, value: &[u8]) -> Option<Leak> {
        let Some(automaton) = &self.automaton else { return Some(self.unsearched()) };
        let mut views = Views::new(self.start());
        let found = views.feed(automaton, value).or_else(|| views.end(automaton));
        found.map(|found| self.found(found)).or_else(|| self.whole(value))
    }

    /// The short secret that a value is.
    fn whole(&self, value: &[u8]) -> Option<Leak> {
        if !self.has_short || value.len() > form::WHOLE_BYTES_MAX {
            return None;
        }
        let value = value.trim_ascii();
        let is_it = |pattern: &&Pattern| pattern.whole.as_ref().is_some_and(|whole| **whole == *value);
        Some(self.leak(self.patterns.iter().find(is_it)?, None))
    }

    /// Where every search begins.
    fn start(&self) -> Option<StateID> {
        // A search without an anchor is what the automaton was built for.
        let start = |automaton: &DFA| automaton.start_state(Anchored::No).expect("it searches without an anchor");
        self.automaton.as_ref().map(start)
    }

    /// What everything counts as where nothing can be searched: what is not known to be free of secrets is withheld.
    fn unsearched(&self) -> Leak {
        Leak { secret: self.names.first().cloned().unwrap_or_default(), form: Form::Unsearched }
    }

    fn found(&self, (index, view): Found) -> Leak {
        self.leak(&self.patterns[index], view)
    }

    fn leak(&self, pattern: &Pattern, view: Option<Form>) -> Leak {
        let secret = self.names.get(pattern.secret).cloned().unwrap_or_default();
        Leak { secret, form: view.unwrap_or(pattern.form) }
    }

    /// The text with secrets replaced by their names. Where that would leave a part of one, nothing of the text is left.
    fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let Some(leak) = self.find(text.as_bytes()) else { return Cow::Borrowed(text) };
        let Some(automaton) = &self.automaton else { return Cow::Owned(format!("[withheld: it holds {leak}]")) };
        let mut shown = String::with_capacity(text.len());
        let mut from = 0;
        let finds = automaton.try_find_iter(Input::new(text)).into_iter().flatten();
        for found in finds {
            let pattern = &self.patterns[found.pattern().as_usize()];
            if found.end() <= from {
                continue;
            }
            let (begin, end) = around(text, found.start().max(from), found.end());
            if pattern.of_several_lines || begin < from {
                return Cow::Owned(format!("[withheld: it holds {leak}]"));
            }
            shown.push_str(&text[from..begin]);
            shown.push_str(&format!("[secret {}]", self.names[pattern.secret]));
            from = end;
        }
        shown.push_str(&text[from..]);
        // What was found only behind escapes is still there.
        if from == 0 || self.find(shown.as_bytes()).is_some() {
            return Cow::Owned(format!("[withheld: it holds {leak}]"));
        }
        Cow::Owned(shown)
    }
}

/// The word around a find: a form may begin or end in the middle of a character of base64, or be a part of a long token.
fn around(text: &str, begin: usize, end: usize) -> (usize, usize) {
    let is_border =
        |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | ',' | ';' | '(' | ')' | '[' | ']');
    let begin = text[..begin].rfind(is_border).map_or(0, |at| at + text[at..].chars().next().map_or(1, char::len_utf8));
    let end = text[end..].find(is_border).map_or(text.len(), |at| end + at);
    (begin, end)
}

/// The number of a pattern, and the form of the view that showed it where that is not the text
/// itself.
type Found = (usize, Option<Form>);

/// All ways to look at bytes that come in pieces.
struct Views {
    plain: View,
    undone: [(View, Form); 3],
}

impl Views {
    fn new(start: Option<StateID>) -> Self {
        let undone =
            [(view::Kind::Percent, Form::Percent), (view::Kind::Json, Form::Json), (view::Kind::Markup, Form::Markup)];
        let undone = undone.map(|(kind, form)| (View::new(kind, start), form));
        Self { plain: View::new(view::Kind::Plain, start), undone }
    }

    /// Looks through the next piece.
    fn feed(&mut self, automaton: &DFA, piece: &[u8]) -> Option<Found> {
        let before = self.plain.state();
        if let Some(index) = self.plain.feed(automaton, piece) {
            return Some((index, None));
        }
        for (view, form) in &mut self.undone {
            // Without an escape, this view sees what the plain one saw.
            if view.is_at(before) && !view.is_touched_by(piece) {
                view.follow(&self.plain);
            } else if let Some(index) = view.feed(automaton, piece) {
                return Some((index, Some(*form)));
            }
        }
        None
    }

    /// Looks at escapes that did not end.
    fn end(&mut self, automaton: &DFA) -> Option<Found> {
        self.undone.iter_mut().find_map(|(view, form)| Some((view.end(automaton)?, Some(*form))))
    }

    /// The pattern that would be complete if this were the end.
    fn would_end(&self, automaton: &DFA) -> Option<Found> {
        self.undone.iter().find_map(|(view, form)| Some((view.would_end(automaton)?, Some(*form))))
    }
}

/// A search through something that comes in pieces.
pub struct Stream {
    net: Option<Arc<Net>>,
    views: Views,
    /// The beginning, for short secrets, which count only where they are all that there is.
    head: Zeroizing<Vec<u8>>,
    total: u64,
}

impl fmt::Debug for Stream {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Stream({} bytes)", self.total)
    }
}

impl Stream {
    fn new(net: Option<Arc<Net>>) -> Self {
        let views = Views::new(net.as_ref().and_then(|net| net.start()));
        Self { net, views, head: Zeroizing::default(), total: 0 }
    }

    /// Bytes at the end of what came that must not be given on before more came, or the end.
    pub fn holdback(&self) -> usize {
        self.net.as_ref().map_or(0, |net| net.holdback)
    }

    /// Looks through the next piece.
    pub fn feed(&mut self, piece: &[u8]) -> Option<Leak> {
        self.total += piece.len() as u64;
        let net = self.net.as_deref()?;
        let Some(automaton) = &net.automaton else { return Some(net.unsearched()) };
        if net.has_short {
            let room = form::WHOLE_BYTES_MAX.saturating_sub(self.head.len()).min(piece.len());
            self.head.extend_from_slice(&piece[..room]);
        }
        self.views.feed(automaton, piece).map(|found| net.found(found))
    }

    /// Looks at what is known only at the end.
    pub fn end(&mut self) -> Option<Leak> {
        let net = self.net.as_deref()?;
        let Some(automaton) = &net.automaton else { return Some(net.unsearched()) };
        if let Some(found) = self.views.end(automaton) {
            return Some(net.found(found));
        }
        if self.total > self.head.len() as u64 { None } else { net.whole(&self.head) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "s3cr3t/Token+With\"Quotes & ümlaut";

    fn watch(secrets: &[&str]) -> Watch {
        let watch = Watch::default();
        for (index, secret) in secrets.iter().enumerate() {
            watch.add(&format!("s{index}"), &Secret::new((*secret).to_owned()).expect("a secret"));
        }
        watch
    }

    fn percent(text: &str, upper: bool) -> String {
        text.bytes().map(|byte| if upper { format!("%{byte:02X}") } else { format!("%{byte:02x}") }).collect()
    }

    /// The forms of a text, as somebody who echoes it would write them.
    fn echoes(text: &str) -> Vec<(String, Form)> {
        use crate::leak::form::{base64, hex};
        let mut echoes = vec![
            (text.to_owned(), Form::Plain),
            (hex(text.as_bytes(), false).to_string(), Form::Hex),
            (hex(text.as_bytes(), true).to_string(), Form::Hex),
            (percent(text, true), Form::Percent),
            (percent(text, false), Form::Percent),
            (serde_json::to_string(text).expect("JSON"), Form::Json),
            (text.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect(), Form::Json),
            (text.replace('/', "\\/").replace('"', "\\u0022"), Form::Json),
            (percent(text, true).replace("%20", "+"), Form::Percent),
            (text.replace('&', "&amp;").replace('"', "&quot;"), Form::Markup),
            (text.replace('&', "&#38;").replace('"', "&#x22;").replace('/', "&#x2F;"), Form::Markup),
            (text.chars().map(|c| format!("&#x{:06X};", u32::from(c))).collect(), Form::Markup),
        ];
        for before in ["", "x", "xy"] {
            let whole = format!("{before}{text} and more");
            echoes.push((base64(whole.as_bytes(), false).to_string(), Form::Base64));
            echoes.push((base64(whole.as_bytes(), true).to_string(), Form::Base64));
            echoes.push((base64(whole.as_bytes(), false).replace('/', "\\/").replace('+', "%2B"), Form::Base64));
        }
        echoes
    }

    #[test]
    fn a_secret_is_found_in_every_form_across_every_border() {
        let watch = watch(&["another secret altogether", TOKEN]);
        for (echo, form) in echoes(TOKEN) {
            let text = format!("{{\"you sent\": \"{echo}\"}}");
            let leak = watch.find(text.as_bytes()).unwrap_or_else(|| panic!("{form:?}: {text}"));
            assert_eq!(leak.secret, "s1");
            for border in 0..text.len() {
                let mut stream = watch.stream();
                let (a, b) = text.as_bytes().split_at(border);
                let found = stream.feed(a).or_else(|| stream.feed(b)).or_else(|| stream.end());
                assert!(found.is_some(), "{form:?} at {border}: {text}");
            }
        }
    }

    #[test]
    fn what_is_held_back_always_covers_a_secret_whose_end_has_not_come() {
        let watch = watch(&[TOKEN]);
        for (echo, form) in echoes(TOKEN) {
            let text = format!("some words before {echo}");
            let mut stream = watch.stream();
            let mut given = 0;
            for (at, byte) in text.bytes().enumerate() {
                if stream.feed(&[byte]).is_some() {
                    break;
                }
                given = (at + 1).saturating_sub(stream.holdback());
            }
            assert!(given <= "some words before ".len(), "{form:?}: {given} bytes were given on");
        }
    }

    #[test]
    fn what_only_looks_like_a_secret_is_not_one() {
        let watch = watch(&[
            TOKEN,
            "pw",
            "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQ\nc2VjcmV0IGxpbmUgaW4gdGhlIG1pZGRsZSBvZiBhIGtleQ\nbGFzdA==\n-----END PRIVATE KEY-----",
        ]);
        for text in [
            "",
            "pwd and password, pw in a sentence",
            "\"pw2\"",
            "s3cr3t/Token+With",
            "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQ",
            "100 % of \\ \\u12 %zz \\",
            "R&D &amp &#x; &#xZZ; &#99999999; &unknown; &",
        ] {
            assert_eq!(watch.find(text.as_bytes()), None, "{text}");
        }
        assert!(watch.find(b"xx c2VjcmV0IGxpbmUgaW4gdGhlIG1pZGRsZSBvZiBhIGtleQ xx").is_some(), "a line of a key");
    }

    #[test]
    fn a_short_secret_counts_only_as_a_whole_value() {
        let watch = watch(&["hunter2"]);
        for text in [
            "hunter2",
            " hunter2\n",
            "{\"password\":\"hunter2\"}",
            "<p>hunter2</p>",
            "\"aHVudGVyMg==\"",
            "68756e74657232",
        ] {
            assert!(watch.find(text.as_bytes()).is_some(), "{text}");
        }
        for text in ["hunter22", "my hunter2 is", "hunter2@example.org"] {
            assert_eq!(watch.find(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_message_keeps_what_is_no_secret() {
        let watch = watch(&[
            "correct horse battery",
            "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJyYWl0byIsImF1ZCI6Imh0dHBzIn0.c2lnbmF0dXJlLW9mLXRoZS10b2tlbi1pdHNlbGY",
        ]);
        assert_eq!(watch.redact("nothing here"), "nothing here");
        let said = watch.redact("sent \"correct horse battery\" to them");
        assert_eq!(said, "sent \"[secret s0]\" to them");
        let said = watch.redact("sent Bearer eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJyYWl0byIsImF1ZCI6Imh0dHBzIn0.c2lnbmF0dXJlLW9mLXRoZS10b2tlbi1pdHNlbGY to them");
        assert_eq!(said, "sent Bearer [secret s1] to them", "all of a long token goes");
        let said = watch.redact("a=correct%20horse%20battery");
        assert!(said.starts_with("[withheld") && !said.contains("horse"), "{said}");
    }

    #[test]
    fn a_secret_in_a_form_is_found_with_its_spaces() {
        let watch = watch(&["correct horse battery: 100%", "a+b+c with spaces"]);
        for (text, secret) in
            [("client_secret=correct+horse+battery%3A+100%25&scope=x", "s0"), ("q=a%2Bb%2Bc+with+spaces", "s1")]
        {
            let found = watch.find(text.as_bytes());
            assert_eq!(found.map(|leak| leak.secret).unwrap_or_default(), secret, "{text}");
        }
    }

    #[test]
    fn what_joins_while_a_body_comes_is_looked_for_in_what_was_not_given_on() {
        let watch = watch(&["another secret altogether"]);
        let mut stream = watch.stream();
        assert_eq!(stream.feed(b"given before, and then a token that"), None);
        assert_eq!(watch.refresh(&mut stream, b"and then a token that"), None, "nothing joined");
        watch.add("token", &Secret::new("a token that joined".into()).expect("a secret"));
        assert_eq!(watch.refresh(&mut stream, b"and then a token that"), None);
        assert_eq!(stream.feed(b" joined").map(|leak| leak.secret).as_deref(), Some("token"));
        let mut stream = watch.stream();
        assert_eq!(stream.feed(b"here is the third secret"), None);
        watch.add("third", &Secret::new("the third secret".into()).expect("a secret"));
        assert!(watch.refresh(&mut stream, b"here is the third secret").is_some());
    }

    #[test]
    fn where_nothing_can_be_searched_nothing_is_let_through() {
        let watch = watch(&[TOKEN]);
        let net =
            Net { automaton: None, ..Net::new(&watch.watched.read().expect("one thread").secrets).expect("a net") };
        assert!(net.find(b"anything").is_some_and(|leak| leak.form == Form::Unsearched));
        assert!(net.redact("anything at all").starts_with("[withheld"));
        let mut stream = Stream::new(Some(Arc::new(net)));
        assert!(stream.feed(b"x").is_some() && stream.end().is_some());
    }

    #[test]
    fn tokens_that_were_replaced_are_forgotten_in_the_end() {
        let watch = Watch::default();
        let token = |number: usize| format!("a token with the number {number:04}");
        for number in 0..20 {
            assert!(watch.add("t", &Secret::new(token(number)).expect("a secret")));
        }
        assert!(watch.find(token(19).as_bytes()).is_some() && watch.find(token(12).as_bytes()).is_some());
        assert!(watch.find(token(0).as_bytes()).is_none());
        assert!(!watch.add("short", &Secret::new("hunter2".into()).expect("a secret")));
    }
}
