//! Changing a file item by item: what is meant is taken out of its list or added to one, and everything else stays, comments
//! too. The result is written as `fmt` writes it.

use std::collections::BTreeMap;

use raito_config::Place;
use rowan::{TextSize, TokenAtOffset};
use yaml_parser::{SyntaxKind, SyntaxNode};

use crate::format::{FormatError, format_text};

/// One change of a text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Edit {
    /// The item of a list in which this place stands goes, with the comment behind it and the lines of comments right above
    /// it; those above the first item stay, since they may speak of the whole list. A list of which nothing is left goes with
    /// its key.
    Remove(Place),
    /// An item comes to the end of a list of an entry. The list is made where there is none.
    Append {
        /// A place of the entry that stands in none of its lists, such as that of its name.
        entry: Place,
        /// The key of the list.
        list: &'static str,
        /// The item, as a value between braces.
        item: String,
    },
}

/// Why a text was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The place is in no list, or what is there is no list.
    #[error("line {0} cannot be changed on its own: write it in a plainer way")]
    Place(usize),
    /// It could not be read, or formatted.
    #[error(transparent)]
    Format(#[from] FormatError),
}

/// The text with these changes, formatted.
///
/// # Errors
/// `EditError` where a place is not in such a list, or the text is no YAML.
pub fn edited(text: &str, edits: &[Edit]) -> Result<String, EditError> {
    let mut removed: Vec<(usize, usize)> = Vec::new();
    let mut appended: BTreeMap<(Place, &'static str), Vec<&str>> = BTreeMap::new();
    for edit in edits {
        match edit {
            Edit::Remove(place) => removed.push((place.bytes(text).0, place.line)),
            Edit::Append { entry, list, item } => appended.entry((*entry, *list)).or_default().push(item),
        }
    }
    removed.sort_unstable();
    removed.dedup();
    let root = parse(text)?;
    let mut inserts = Vec::new();
    for ((entry, list), items) in appended {
        inserts.push(insertion(text, &root, entry, list, &items).ok_or(EditError::Place(entry.line))?);
    }
    // What comes moves what stands behind it.
    inserts.sort();
    let moved = |offset: usize| {
        let before = inserts.iter().filter(|(at, _)| *at <= offset);
        offset + before.map(|(_, text)| text.len()).sum::<usize>()
    };
    let places: Vec<(usize, usize)> = removed.iter().map(|(offset, line)| (moved(*offset), *line)).collect();
    let mut text = text.to_owned();
    for (at, new) in inserts.iter().rev() {
        text.insert_str(*at, new);
    }
    Ok(format_text(&without(&text, &places)?)?)
}

fn parse(text: &str) -> Result<SyntaxNode, EditError> {
    yaml_parser::parse(text).map_err(|error| EditError::Format(FormatError::NotYaml(error.to_string())))
}

const ITEMS: [SyntaxKind; 2] = [SyntaxKind::BLOCK_SEQ_ENTRY, SyntaxKind::FLOW_SEQ_ENTRY];
const PAIRS: [SyntaxKind; 2] = [SyntaxKind::BLOCK_MAP_ENTRY, SyntaxKind::FLOW_MAP_ENTRY];

/// The item of a list that begins here, or in which this stands.
fn item_at(root: &SyntaxNode, offset: usize) -> Option<SyntaxNode> {
    let offset = TextSize::try_from(offset).ok()?;
    if offset > root.text_range().end() {
        return None;
    }
    let token = match root.token_at_offset(offset) {
        TokenAtOffset::None => return None,
        TokenAtOffset::Single(token) => token,
        TokenAtOffset::Between(_, right) => right,
    };
    token.parent_ancestors().find(|node| ITEMS.contains(&node.kind()))
}

fn range(node: &SyntaxNode) -> (usize, usize) {
    (node.text_range().start().into(), node.text_range().end().into())
}

/// The text without the items at these places.
fn without(text: &str, places: &[(usize, usize)]) -> Result<String, EditError> {
    let root = parse(text)?;
    let mut gone: Vec<SyntaxNode> = Vec::new();
    for (offset, line) in places {
        let item = item_at(&root, *offset).ok_or(EditError::Place(*line))?;
        if !gone.contains(&item) {
            gone.push(item);
        }
    }
    // A list without items goes with its key; more than one step up, nothing becomes empty.
    let mut ranges = Vec::new();
    for item in &gone {
        let list = item.parent().ok_or(EditError::Place(0))?;
        let all_go = list.children().filter(|other| ITEMS.contains(&other.kind())).all(|other| gone.contains(&other));
        let pair = list.ancestors().find(|node| PAIRS.contains(&node.kind()));
        ranges.push(match (all_go, pair) {
            (true, Some(pair)) => cut(text, &pair),
            _ => cut(text, item),
        });
    }
    ranges.sort_unstable();
    ranges.dedup();
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for (begin, end) in ranges {
        // Cuts of neighbours can meet.
        out.push_str(text.get(from..begin).unwrap_or_default());
        from = from.max(end);
    }
    out.push_str(text.get(from..).unwrap_or_default());
    Ok(out)
}

/// What is cut out for a node: its lines where it has them for itself, otherwise itself and one comma.
fn cut(text: &str, node: &SyntaxNode) -> (usize, usize) {
    let (begin, end) = range(node);
    let end = begin + text[begin..end].trim_end().len();
    if matches!(node.kind(), SyntaxKind::FLOW_SEQ_ENTRY | SyntaxKind::FLOW_MAP_ENTRY) {
        let after = text[end..].trim_start();
        if after.starts_with(',') {
            let comma = text.len() - after.len() + 1;
            return (begin, comma + (text[comma..].len() - text[comma..].trim_start().len()));
        }
        let before = text[..begin].trim_end();
        return (before.strip_suffix(',').map_or(begin, str::len), end);
    }
    let line = text[..begin].rfind('\n').map_or(0, |at| at + 1);
    let next = line_end(text, end);
    if text[line..begin].trim().is_empty() {
        let is_first = node.prev_sibling().is_none_or(|other| other.kind() != node.kind());
        return (if is_first { line } else { comments_above(text, line) }, next);
    }
    // The first key of an item: the next one takes its place behind the dash.
    let sibling = node.next_sibling().filter(|other| other.kind() == node.kind());
    (begin, sibling.map_or(next, |sibling| range(&sibling).0))
}

/// Where the comments begin that stand right above a line.
fn comments_above(text: &str, line: usize) -> usize {
    let above = text[..line].split_inclusive('\n').rev().take_while(|above| above.trim_start().starts_with('#'));
    line - above.map(str::len).sum::<usize>()
}

/// Where the line ends in which this stands, behind its break.
fn line_end(text: &str, from: usize) -> usize {
    text[from..].find('\n').map_or(text.len(), |at| from + at + 1)
}

/// Where items of a list of an entry are put in, and what.
fn insertion(text: &str, root: &SyntaxNode, entry: Place, list: &str, items: &[&str]) -> Option<(usize, String)> {
    let item = item_at(root, entry.bytes(text).0)?;
    let is_map = |node: &SyntaxNode| matches!(node.kind(), SyntaxKind::BLOCK_MAP | SyntaxKind::FLOW_MAP);
    let map = item.descendants().find(is_map)?;
    let pairs: Vec<SyntaxNode> = map.descendants().filter(|node| PAIRS.contains(&node.kind())).collect();
    let of_map = |pair: &&SyntaxNode| pair.ancestors().skip(1).find(is_map).as_ref() == Some(&map);
    let of_map: Vec<&SyntaxNode> = pairs.iter().filter(of_map).collect();
    let called = |pair: &&&SyntaxNode| pair.first_child().is_some_and(|key| key.text().to_string().trim() == list);
    if let Some(pair) = of_map.iter().find(called) {
        return behind(text, pair, items);
    }
    if map.kind() == SyntaxKind::FLOW_MAP {
        let end = range(&map).1 - 1;
        return Some((text[..end].trim_end().len(), format!(", {list}: [{}]", items.join(", "))));
    }
    let (first, _) = range(of_map.first()?);
    let (begin, end) = range(of_map.last()?);
    let indent = " ".repeat(column(text, first));
    let lines: String = items.iter().map(|item| format!("{indent}  - {item}\n")).collect();
    Some(at_line(text, begin + text[begin..end].trim_end().len(), format!("{indent}{list}:\n{lines}")))
}

/// Items behind those that a list has.
fn behind(text: &str, pair: &SyntaxNode, items: &[&str]) -> Option<(usize, String)> {
    let is_list = |node: &SyntaxNode| matches!(node.kind(), SyntaxKind::BLOCK_SEQ | SyntaxKind::FLOW_SEQ);
    let list = pair.descendants().find(is_list)?;
    let last = list.descendants().filter(|node| ITEMS.contains(&node.kind()));
    let last = last.filter(|node| node.ancestors().skip(1).find(is_list).as_ref() == Some(&list)).last();
    if list.kind() == SyntaxKind::FLOW_SEQ {
        let end = range(&list).1 - 1;
        let at = text[..end].trim_end().len();
        let comma = if last.is_some() && !text[..at].ends_with(',') { ", " } else { "" };
        return Some((at, format!("{comma}{}", items.join(", "))));
    }
    let (begin, end) = range(&last?);
    let indent = " ".repeat(column(text, begin));
    let lines: String = items.iter().map(|item| format!("{indent}- {item}\n")).collect();
    Some(at_line(text, begin + text[begin..end].trim_end().len(), lines))
}

fn column(text: &str, offset: usize) -> usize {
    let line = text[..offset].rfind('\n').map_or(0, |at| at + 1);
    text[line..offset].chars().count()
}

/// Lines behind the line in which this stands.
fn at_line(text: &str, offset: usize, lines: String) -> (usize, String) {
    let at = line_end(text, offset);
    if text[..at].ends_with('\n') { (at, lines) } else { (at, format!("\n{lines}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
version: 1
grants:
  # who reads
  - name: R_A
    who:
      - { user: ann } # the first
      # the second
      - user: bob
        reason: why
    what: [{ object: a.b, permissions: [SELECT, INSERT] }]
  - { name: R_B, who: [{ user: ann }, { user: bob }] }
  - name: R_C
tests: []
";

    fn place(line: usize, column: usize) -> Place {
        Place { line, column, length: 1 }
    }

    #[track_caller]
    fn check(edits: &[Edit], from: &str, to: &str) {
        let expected = TEXT.replacen(from, to, 1);
        assert!(expected != TEXT);
        assert_eq!(edited(TEXT, edits).expect("it can be changed"), expected);
    }

    #[test]
    fn items_go_and_everything_else_stays() {
        let remove = |line, column| Edit::Remove(place(line, column));
        check(&[remove(6, 9)], "      - { user: ann } # the first\n", "");
        check(&[remove(8, 9)], "      # the second\n      - user: bob\n        reason: why\n", "");
        check(&[remove(10, 54)], "[SELECT, INSERT]", "[SELECT]");
        check(&[remove(10, 46)], "[SELECT, INSERT]", "[INSERT]");
        check(&[remove(11, 24)], "[{ user: ann }, { user: bob }]", "[{ user: bob }]");
        check(&[remove(11, 39)], "[{ user: ann }, { user: bob }]", "[{ user: ann }]");
        check(&[remove(11, 39), remove(11, 24)], ", who: [{ user: ann }, { user: bob }]", "");
        check(&[remove(10, 12)], "    what: [{ object: a.b, permissions: [SELECT, INSERT] }]\n", "");
        check(&[remove(12, 11)], "  - name: R_C\n", "");
    }

    #[test]
    fn items_come_to_the_end_of_their_list() {
        let append = |entry, list| Edit::Append { entry, list, item: "{ user: x }".into() };
        let why = "        reason: why\n";
        check(&[append(place(4, 11), "who")], why, &format!("{why}      - {{ user: x }}\n"));
        check(&[append(place(4, 11), "what")], "INSERT] }]", "INSERT] }, { user: x }]");
        check(&[append(place(11, 13), "what")], "{ user: bob }] }", "{ user: bob }], what: [{ user: x }] }");
        let new = "R_C\n    who:\n      - { user: x }\n";
        check(&[append(place(12, 11), "who")], "R_C\n", new);
    }

    #[test]
    fn the_whole_of_a_list_can_be_another_one() {
        let append = Edit::Append { entry: place(11, 13), list: "who", item: "{ user: x }".into() };
        let both = [Edit::Remove(place(11, 24)), append, Edit::Remove(place(11, 39))];
        check(&both, "[{ user: ann }, { user: bob }]", "[{ user: x }]");
    }

    #[test]
    fn what_stands_in_no_list_is_told() {
        assert_eq!(edited(TEXT, &[Edit::Remove(place(1, 1))]), Err(EditError::Place(1)));
        assert_eq!(edited(TEXT, &[Edit::Remove(place(99, 1))]), Err(EditError::Place(99)));
    }
}
