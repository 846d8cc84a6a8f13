//! Effective access for people: a table with ways, or why.

use raito_core::text::escape;
use serde_json::Value;

/// Answers, and the first page of them with what it says besides.
#[derive(Default)]
pub(crate) struct Answers {
    pub(crate) source: String,
    pub(crate) first: Value,
    pub(crate) items: Vec<Value>,
    /// Whether there are more than were asked for.
    pub(crate) more: bool,
}

fn text<'v>(value: &'v Value, key: &str) -> std::borrow::Cow<'v, str> {
    escape(value[key].as_str().unwrap_or_default())
}

fn list<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    value[key].as_array().into_iter().flatten()
}

/// A time for people: RFC 3339 in UTC, to the second.
fn time(ms: &Value) -> String {
    let ms = ms.as_i64().unwrap_or_default();
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| "?".to_owned(), |time| format!("{time:.0}"))
}

/// An object as `kind path(signature)`.
pub(crate) fn object(value: &Value) -> String {
    let path: Vec<String> =
        list(value, "path").filter_map(Value::as_str).map(|part| escape(part).into_owned()).collect();
    let signature = value["signature"].as_str().map(|signature| format!("({})", escape(signature))).unwrap_or_default();
    format!("{} {}{signature}", text(value, "kind"), path.join("."))
}

/// What an answer rests on, and what is missing in it.
pub(crate) fn head(source: &str, answer: &Value) -> Vec<String> {
    let coverage = &answer["coverage"];
    let mut lines = Vec::new();
    let about = if answer["object"].is_object() { format!(", {}", object(&answer["object"])) } else { String::new() };
    lines.push(format!("{}{about}", escape(source)));
    for read in list(coverage, "reads").filter(|read| read["step"] != "data-usage") {
        let step = match read["step"].as_str() {
            Some("identity-store") => "identities",
            Some("data-source") => "objects",
            _ => "access controls",
        };
        let line = match (&read["complete-ms"], &read["newest-ms"]) {
            _ if read["clock-was-ahead"] == true => {
                format!(
                    "  {step}: read when the clock was ahead; nobody can tell when that was, and the next run corrects it"
                )
            }
            (Value::Null, newest) => format!("  {step}: never read whole; in part at {}", time(newest)),
            (complete, newest) if complete == newest => format!("  {step}: read whole at {}", time(complete)),
            (complete, newest) => {
                format!("  {step}: read whole at {}, and in part at {}", time(complete), time(newest))
            }
        };
        lines.push(line);
    }
    let said = |key: &str, what: &str| {
        let items: Vec<String> =
            list(coverage, key).filter_map(Value::as_str).map(|item| escape(item).into_owned()).collect();
        (!items.is_empty()).then(|| format!("  ! {what}: {}", items.join("; ")))
    };
    lines.extend(said("gaps", "not read"));
    lines.extend(said("not-granted", "left out"));
    lines.extend(said("not-known", "left out"));
    lines.extend(said("incomplete", "not told whole"));
    lines.extend(said("not-expanded", "rules that are not expanded"));
    lines.extend(said("undefined", "named, and defined by no record"));
    lines
}

fn rows(value: &Value) -> String {
    match value {
        Value::String(word) if word == "nothing" => "no rows".to_owned(),
        Value::String(_) => String::new(),
        filtered => {
            let by: Vec<String> =
                list(filtered, "filtered").filter_map(Value::as_str).map(|name| escape(name).into_owned()).collect();
            format!("rows filtered by {}", by.join(", "))
        }
    }
}

/// More rows that are seen by acting as something else.
fn wider(item: &Value) -> String {
    let wider = &item["wider"];
    let acting_as = text(wider, "acting-as");
    let way = match wider["how"].as_str() {
        None => return String::new(),
        Some("active") => format!("as {acting_as}"),
        Some("assumable") => format!("after switching to {acting_as}"),
        Some(_) => format!("if they admit themselves to {acting_as}"),
    };
    match rows(&wider["rows"]).as_str() {
        "" => format!("all rows {way}"),
        rows => format!("{rows} {way}"),
    }
}

/// On how many parts of its object a permission is held, where that is not the whole.
fn parts(item: &Value) -> String {
    let parts = &item["parts"];
    if !parts.is_object() {
        return String::new();
    }
    format!("{}s: {} of {}", text(parts, "kind"), parts["held"], parts["of"])
}

/// What qualifies an answer.
fn notes(item: &Value) -> String {
    let mut notes = Vec::new();
    notes.push(parts(item));
    if item["usable"] == false && item["how"] != "obtainable" {
        notes.push("not usable".to_owned());
    }
    if item["conditional"] == true {
        notes.push("under a condition".to_owned());
    }
    if item["user"]["undefined"] == true {
        notes.push("no such account was read".to_owned());
    }
    if item["user"]["enabled"] == false {
        notes.push("account disabled".to_owned());
    }
    notes.push(rows(&item["rows"]));
    notes.push(wider(item));
    let masks: Vec<&str> = list(item, "masked").filter_map(Value::as_str).collect();
    if !masks.is_empty() {
        notes.push(format!("masked by {}", escape(&masks.join(", "))));
    }
    notes.retain(|note| !note.is_empty());
    notes.join("; ")
}

/// The way, in one line.
fn way(item: &Value) -> String {
    let step = |step: &Value| match step["does"].as_str() {
        Some("is") => text(step, "name").into_owned(),
        Some("in") => format!("> {}", text(step, "name")),
        Some("switches-to") => format!("> switches to {}", text(step, "name")),
        Some("admits-himself-to") => format!("> admits himself to {}", text(step, "name")),
        _ => format!("> {} on {}", text(step, "kind"), text(step, "name")),
    };
    let mut way: Vec<String> = list(item, "path").map(step).collect();
    match item["others"].as_u64() {
        Some(0) | None => {}
        Some(others) => way.push(format!("(and {others} more)")),
    }
    way.join(" ")
}

/// What is known of use, where answers say it.
fn usage(answers: &Answers) -> Option<String> {
    let usage = answers.first.get("usage")?;
    let mut notes = Vec::new();
    let covered: Vec<String> =
        list(usage, "covered").map(|one| format!("{} to {}", time(&one["from-ms"]), time(&one["to-ms"]))).collect();
    let earlier = covered.len().saturating_sub(3);
    notes.push(match covered.len() {
        0 => "never told whole".to_owned(),
        1..=3 => format!("told whole from {}", covered.join(", ")),
        _ => format!("told whole from {earlier} earlier times, {}", covered[earlier..].join(", ")),
    });
    for (key, what) in [("unclear", "what they used"), ("without-person", "who ran them")] {
        let number = usage[key].as_u64().unwrap_or_default();
        if number > 0 {
            notes.push(format!("{number} statements of which nobody can tell {what}"));
        }
    }
    notes.extend(
        list(usage, "gaps").filter_map(Value::as_str).map(|gap| escape(gap).trim_start_matches("usage: ").to_owned()),
    );
    Some(format!("  usage: {}", notes.join("; ")))
}

/// When a permission was last used.
fn last_use(item: &Value) -> String {
    let last = &item["last-use"];
    match last["precise"].as_bool() {
        Some(true) => time(&last["at-ms"]),
        Some(false) => format!("by {}", time(&last["at-ms"])),
        None => String::new(),
    }
}

/// The table of answers.
pub(crate) fn table(answers: &Answers) -> Vec<String> {
    let by_user = !answers.first["object"].is_object();
    let mut rows = vec![
        [if by_user { "object" } else { "who" }, "permission", "how", "last used", "notes", "way"].map(str::to_owned),
    ];
    for item in &answers.items {
        let first = if by_user { object(&item["object"]) } else { text(&item["user"], "name").into_owned() };
        let (permission, how) = (text(item, "permission").into_owned(), text(item, "how").into_owned());
        rows.push([first, permission, how, last_use(item), notes(item), way(item)]);
    }
    let widths: Vec<usize> =
        (0..5).map(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0).min(60)).collect();
    let line = |row: &[String; 6]| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("  {}  {}", cells.join("  "), row[5]).trim_end().to_owned()
    };
    let mut lines: Vec<String> = rows.iter().map(line).collect();
    if answers.items.is_empty() {
        lines = vec!["  nobody".to_owned()];
        if by_user {
            lines = vec!["  nothing".to_owned()];
        }
    }
    lines.extend(usage(answers).filter(|_| !answers.items.is_empty()));
    if answers.more {
        lines.push("  and more: raise --limit, or narrow with --permission and --how".to_owned());
    }
    lines
}

/// Who reaches the data through other objects.
pub(crate) fn indirect(answer: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for (at, item) in list(answer, "indirect").enumerate() {
        if at == 0 {
            lines.push("through other objects".to_owned());
        }
        let through: Vec<String> = list(item, "through").map(object).collect();
        let usable = if item["usable"] == false { "  not usable" } else { "" };
        lines.push(format!(
            "  {}  {} on {}{usable}",
            text(&item["user"], "name"),
            text(item, "permission"),
            through.join(" > ")
        ));
    }
    for (at, item) in list(answer, "may-reach").enumerate() {
        if at == 0 {
            lines.push("may reach it, with the rights of an owner who can".to_owned());
        }
        lines.push(format!("  {} users through {}", item["users"], object(&item["through"])));
    }
    lines
}

/// Why, or why not.
pub(crate) fn explanation(answer: &Value) -> Vec<String> {
    let what = format!("{} on {}", text(answer, "permission"), object(&answer["object"]));
    let who = text(&answer["user"], "name");
    let names = |key: &str| -> Vec<String> {
        list(answer, key).filter_map(Value::as_str).map(|name| escape(name).into_owned()).collect()
    };
    let mut lines = Vec::new();
    match answer["how"].as_str() {
        Some(how) => {
            lines.push(format!("  yes, {how}: {who} holds {what}"));
            lines.push(format!("  {}", way(answer)));
        }
        None => {
            lines.push(format!("  no: {who} does not hold {what}"));
            let (denied, would) = (names("denied-by"), names("would-give"));
            if !denied.is_empty() {
                lines.push(format!("  it is denied by {}", denied.join(", ")));
            }
            lines.push(match would.as_slice() {
                [] => "  nothing gives it to anybody".to_owned(),
                would => format!("  it would come with {}", would.join(", ")),
            });
        }
    }
    for need in list(answer, "missing") {
        let place = need["object"].as_str().map_or("an object that was not read".into(), escape);
        lines.push(format!("  missing: {} on {place}", text(need, "permission")));
    }
    let seen = [rows(&answer["rows"]), wider(answer)].into_iter().filter(|seen| !seen.is_empty());
    if answer["how"].is_string() {
        lines.extend(seen.map(|seen| format!("  {seen}")));
    }
    lines
}

/// Answers as comma-separated values with a head (RFC 4180).
pub(crate) fn csv(all: &[Answers]) -> Vec<String> {
    let mut lines = vec![
        "source,user,user-id,object,permission,how,parts,usable,conditional,rows,wider-rows,path,others,last-used,last-used-precise"
            .to_owned(),
    ];
    for (source, item) in all.iter().flat_map(|answers| answers.items.iter().map(|item| (&answers.source, item))) {
        let cells = [
            escape(source).into_owned(),
            text(&item["user"], "name").into_owned(),
            text(&item["user"], "external-id").into_owned(),
            object(&item["object"]),
            text(item, "permission").into_owned(),
            text(item, "how").into_owned(),
            parts(item),
            item["usable"].to_string(),
            item["conditional"].to_string(),
            rows(&item["rows"]),
            wider(item),
            way(&serde_json::json!({ "path": item["path"] })),
            item["others"].to_string(),
            item["last-use"]["at-ms"].as_i64().map(|_| time(&item["last-use"]["at-ms"])).unwrap_or_default(),
            item["last-use"]["precise"].as_bool().map(|precise| precise.to_string()).unwrap_or_default(),
        ];
        lines.push(cells.map(|cell| quoted(&cell)).join(","));
    }
    lines
}

/// A cell. One that a spreadsheet would take for a formula gets an apostrophe before it (OWASP, "CSV Injection").
fn quoted(cell: &str) -> String {
    let cell = if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell.to_owned() };
    if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_keeps_to_itself() {
        assert_eq!(quoted("plain"), "plain");
        assert_eq!(quoted("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(quoted("=HYPERLINK()"), "'=HYPERLINK()");
    }

    #[test]
    fn a_way_is_one_line() {
        let item = serde_json::json!({ "others": 2, "path": [
            { "does": "is", "kind": "user", "name": "ann" },
            { "does": "in", "kind": "access-control", "name": "readers" },
            { "does": "holds", "kind": "SELECT", "name": "table shop.sales.orders" },
        ] });
        assert_eq!(way(&item), "ann > readers > SELECT on table shop.sales.orders (and 2 more)");
    }
}
