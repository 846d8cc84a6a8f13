//! Access code, its guardrails, and files of other tools.

use raito_access::convert::{From, convert};
use raito_access::editor::{Known, Page, complete, definition, hover};
use raito_access::format::format_text;
use raito_access::read_document;
use raito_config::Mistake;
use raito_core::limits;
use raito_core::text::TargetName;

/// A file of access code, as each command takes it: read, formatted, converted, and half written in
/// an editor. Mistakes stand on lines that are there, a formatted file formats to itself, and a
/// place of an editor lies in the text.
pub fn code(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let lines = text.split('\n').count();
    let placed = |mistakes: &[Mistake]| {
        assert!(!mistakes.is_empty(), "refused, and nobody knows why");
        for mistake in mistakes {
            assert!(mistake.place.line <= lines + 1, "line {} of {lines}: {}", mistake.place.line, mistake.message);
        }
    };
    let _ = read_document(text, 0).map_err(|mistakes| placed(&mistakes));
    let target = TargetName::new("shop").expect("a name");
    for from in [From::Raito, From::Permifrost, From::Ldap2pg] {
        let _ = convert(text, from, &target).map_err(|mistakes| placed(&mistakes));
    }
    if let Ok(formatted) = format_text(text) {
        assert_eq!(format_text(&formatted).as_deref(), Ok(formatted.as_str()), "a second time changes it");
    }
    if text.len() <= limits::CONFIG_BYTES {
        edited(text);
    }
}

/// What an editor asks, with the cursor at the beginning, in the middle and at the end.
fn edited(text: &str) {
    let page = Page::read(text.to_owned());
    let known = Known { pages: &[&page], targets: &["shop".to_owned()], read: &|_| None };
    for offset in [0, text.floor_char_boundary(text.len() / 2), text.len()] {
        let proposals = complete(&page, offset, &known);
        assert!(text.get(proposals.replaced).is_some(), "what is replaced is no part of the text");
        let _ = definition(&page, offset, &known);
        if let Some((_, span)) = hover(&page, offset, &known) {
            assert!(text.get(span).is_some(), "what is shown is about no part of the text");
        }
    }
}
