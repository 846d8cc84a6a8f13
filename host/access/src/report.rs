//! Plans for people: as text for a terminal, and as Markdown for a comment on a change.

use raito_core::text::escape;

use crate::evaluate::{Retired, Unmanaged};
use crate::plan::{Entity, Plan, Refused, Sign, TargetPlan};

/// How many lines of one kind are shown before the rest is counted.
const SHOWN: usize = 40;

/// What is said beside a plan of a target.
#[derive(Debug, Clone, Default)]
pub struct Beside {
    /// What is left alone.
    pub unmanaged: Vec<Unmanaged>,
    /// What has no members and is kept for a time.
    pub retired: Vec<Retired>,
    /// Where each entity is said, as `path:line`, in the order of the plan's entities; empty where no file says it.
    pub places: Vec<String>,
}

fn counts(entities: &[Entity]) -> String {
    let count = |sign| entities.iter().filter(|entity| entity.sign == sign).count();
    format!("{} to create, {} to change, {} to delete", count(Sign::Add), count(Sign::Change), count(Sign::Remove))
}

fn some<T>(list: &[T], line: impl Fn(&T) -> String, indent: &str, lines: &mut Vec<String>) {
    lines.extend(list.iter().take(SHOWN).map(|item| format!("{indent}{}", line(item))));
    if list.len() > SHOWN {
        lines.push(format!("{indent}… and {} more", list.len() - SHOWN));
    }
}

/// A plan of one target, for a terminal.
pub fn human(plan: &TargetPlan, beside: &Beside) -> Vec<String> {
    let mut lines = Vec::new();
    if plan.sets.is_empty() && plan.refused.is_empty() {
        lines.push(format!("{}: nothing to do", plan.target));
    } else {
        let calls = if plan.calls.len() == 1 { "1 call".to_owned() } else { format!("{} calls", plan.calls.len()) };
        lines.push(format!("{}: {}; {calls}", plan.target, counts(&plan.entities)));
    }
    for (at, entity) in plan.entities.iter().enumerate() {
        let place = beside.places.get(at).filter(|place| !place.is_empty()).map(|place| format!("  {place}"));
        lines.push(format!("  {} {} {}{}", entity.sign.sign(), entity.kind, entity.name, place.unwrap_or_default()));
        some(&entity.lines, |line| format!("{} {}", line.sign.sign(), line.text), "      ", &mut lines);
    }
    if !plan.calls.is_empty() {
        lines.push("  calls, in order".to_owned());
        let several = plan.calls.iter().any(|call| call.at != plan.calls[0].at);
        let at = |call: &crate::plan::PlannedCall| match &call.at {
            Some(at) if several => format!("{at}: "),
            _ => String::new(),
        };
        lines.extend(plan.calls.iter().map(|call| format!("      {}{}", at(call), escape(&call.shown))));
    }
    let effects = plan.effects.lines();
    if !effects.is_empty() {
        lines.push("  effective access".to_owned());
        some(&effects, Clone::clone, "      ", &mut lines);
    }
    if !plan.refused.is_empty() {
        lines.push("  cannot be done".to_owned());
        some(&plan.refused, Refused::line, "      ", &mut lines);
    }
    if !plan.observed.is_empty() {
        lines.push(format!("  observed only: {}", counts(&plan.observed)));
        for entity in &plan.observed {
            lines.push(format!("    {} {} {}", entity.sign.sign(), entity.kind, entity.name));
            some(&entity.lines, |line| format!("{} {}", line.sign.sign(), line.text), "        ", &mut lines);
        }
    }
    if !beside.retired.is_empty() {
        lines.push("  retired: no entry names it, and it is kept without members".to_owned());
        some(&beside.retired, |one| format!("{} {} until {}", one.kind, one.name, one.until), "      ", &mut lines);
    }
    if !beside.unmanaged.is_empty() {
        lines.push(format!("  left alone: {} access controls that no file manages", beside.unmanaged.len()));
    }
    lines
}

/// A plan for a comment on a change. What comes from files and targets stands in code, where Markdown has no meaning.
pub fn markdown(plan: &Plan, beside: &[Beside]) -> Vec<String> {
    let mut lines = vec!["## Access plan".to_owned(), String::new()];
    if !plan.has_changes() && plan.targets.iter().all(|target| target.refused.is_empty()) {
        lines.extend(["Nothing to do.".to_owned(), String::new()]);
    }
    let none = Beside::default();
    for (at, target) in plan.targets.iter().enumerate() {
        if target.sets.is_empty() && target.refused.is_empty() {
            continue;
        }
        lines.push(format!("### `{}`: {}", target.target, counts(&target.entities)));
        if !target.refused.is_empty() {
            lines.extend([String::new(), "Cannot be done:".to_owned(), String::new()]);
            some(&target.refused, |refused| format!("- {}", span(&refused.line())), "", &mut lines);
        }
        let effects = target.effects.lines();
        if !effects.is_empty() {
            lines.push(String::new());
            some(&effects, |effect| format!("- {}", code(effect)), "", &mut lines);
        }
        let whole = human(target, beside.get(at).unwrap_or(&none));
        let longest = whole.iter().flat_map(|line| line.split(|c| c != '`')).map(str::len).max().unwrap_or(0);
        let fence = "`".repeat(longest.max(2) + 1);
        lines.extend([String::new(), "<details><summary>Changes and calls</summary>".into(), String::new()]);
        lines.push(format!("{fence}diff"));
        lines.extend(whole.iter().skip(1).map(|line| diff_line(line)));
        lines.extend([fence, String::new(), "</details>".to_owned(), String::new()]);
    }
    lines.push(format!("Plan `{}`", plan.digest()));
    lines
}

/// What stands in a comment in the place of a plan, where there is none, with the reasons.
pub fn no_plan(reasons: &[String]) -> Vec<String> {
    let mut lines = vec!["## Access plan".to_owned(), String::new(), "There is no plan.".to_owned(), String::new()];
    lines.extend(reasons.iter().map(|reason| format!("- {}", span(reason))));
    lines
}

/// A text of whatever lines as one code span.
fn span(text: &str) -> String {
    code(&text.replace(['\n', '\r'], " "))
}

/// A text as a code span: escaped, so that it is one line, with more backticks around than within
/// (CommonMark, section 6.1). Nothing in it is Markdown, a mention or a link.
pub(crate) fn code(text: &str) -> String {
    let text = &*escape(text);
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    if longest == 0 { format!("{fence}{text}{fence}") } else { format!("{fence} {text} {fence}") }
}

/// A line whose sign stands first, which is where a diff has it.
fn diff_line(line: &str) -> String {
    let rest = line.trim_start();
    let indent = &line[..line.len() - rest.len()];
    match rest.split_once(' ') {
        Some((sign @ ("+" | "-" | "~"), text)) => {
            let sign = if sign == "~" { "!" } else { sign };
            format!("{sign}{indent}{text}")
        }
        _ => format!(" {line}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_ends_no_code() {
        for text in ["a\n\n# b", "`` @x ``", "`", "a`b", "<img src=x>", "\u{202e}x", " `` "] {
            let span = code(text);
            let fence = span.chars().take_while(|c| *c == '`').count();
            let inner = &span[fence..span.len() - fence];
            assert!(span.ends_with(&"`".repeat(fence)) && !span.contains('\n'), "{span}");
            assert!(inner.split(|c| c != '`').all(|run| run.len() != fence), "{span}");
        }
        assert_eq!(code("a\nb"), "`a\\nb`");
    }
}
