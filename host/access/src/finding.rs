//! Findings: what is to be said of a line of a file, in the forms that people, code review and CI take.

use raito_config::Place;
use raito_core::digest::Digest;
use raito_core::text::escape;
use serde_json::{Value, json};

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// It is good to know.
    Note,
    /// It is said, and nothing stops.
    Warning,
    /// Nothing goes on.
    Error,
}

impl From<crate::document::Severity> for Level {
    fn from(severity: crate::document::Severity) -> Self {
        match severity {
            crate::document::Severity::Warning => Self::Warning,
            crate::document::Severity::Error => Self::Error,
        }
    }
}

/// Something to say of a line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file's path.
    pub path: String,
    /// The place in it.
    pub place: Place,
    /// How much it matters.
    pub level: Level,
    /// What kind of thing it is: a word such as `mistake` or `no-everyone`.
    pub rule: String,
    /// What is to be said.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl Finding {
    fn text(&self) -> String {
        match &self.help {
            Some(help) => format!("{} ({help})", self.message),
            None => self.message.clone(),
        }
    }

    fn level(&self) -> &'static str {
        match self.level {
            Level::Note => "note",
            Level::Warning => "warning",
            Level::Error => "error",
        }
    }
}

/// For people: `path:line:column: error[rule]: message (help)`.
pub fn human(findings: &[Finding]) -> Vec<String> {
    let line = |finding: &Finding| {
        let Place { line, column, .. } = finding.place;
        let (path, text) = (escape(&finding.path), finding.text());
        format!("{path}:{line}:{column}: {}[{}]: {text}", finding.level(), finding.rule)
    };
    findings.iter().map(line).collect()
}

/// As JSON, one value each.
pub fn json(findings: &[Finding]) -> Vec<Value> {
    let value = |finding: &Finding| {
        json!({
            "v": 1,
            "event": "finding",
            "path": finding.path,
            "line": finding.place.line,
            "column": finding.place.column,
            "level": finding.level(),
            "rule": finding.rule,
            "message": finding.message,
            "help": finding.help,
        })
    };
    findings.iter().map(value).collect()
}

/// As a table for a comment on a change.
pub fn markdown(findings: &[Finding]) -> Vec<String> {
    let mut lines = vec!["| where | | what |".to_owned(), "|---|---|---|".to_owned()];
    lines.extend(findings.iter().map(|finding| {
        let place = inert(&format!("{}:{}", finding.path, finding.place.line));
        format!("| {place} | {} | {} |", finding.level(), inert(&finding.text()))
    }));
    lines
}

/// A text as code in a cell of a table, where nothing of it means anything to GitHub or GitLab: no
/// Markdown, no HTML, no end of the cell, and no mention, reference or link, which both look for in
/// what is rendered and pass over in code. A code span would not do: in a table, `\\|` ends the
/// cell before the span is closed.
fn inert(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for character in escape(&text.replace(['\n', '\r'], " ")).chars() {
        match character {
            // Markdown makes a link of every word that begins with `www.`, also within HTML.
            '.' if out.as_bytes().last_chunk::<3>().is_some_and(|last| last.eq_ignore_ascii_case(b"www")) => {
                out.push_str("&#46;");
            }
            plain if plain.is_alphanumeric() || " -,./()'\"".contains(plain) => out.push(plain),
            other => out.push_str(&format!("&#{};", u32::from(other))),
        }
    }
    format!("<code>{out}</code>")
}

/// As workflow commands of GitHub, which it shows beside the lines (docs.github.com, "Workflow commands for GitHub Actions").
pub fn github(findings: &[Finding]) -> Vec<String> {
    let message = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| message(text).replace(':', "%3A").replace(',', "%2C");
    let line = |finding: &Finding| {
        let Place { line, column, .. } = finding.place;
        format!(
            "::{} file={},line={line},col={column},title={}::{}",
            if finding.level == Level::Note { "notice" } else { finding.level() },
            property(&finding.path),
            property(&finding.rule),
            message(&finding.text())
        )
    };
    findings.iter().map(line).collect()
}

/// As a report of GitLab's code quality, which it shows in a merge request (docs.gitlab.com, "Code Quality report format").
pub fn gitlab(findings: &[Finding]) -> Value {
    let value = |finding: &Finding| {
        let identity = format!("{}\0{}\0{}", finding.path, finding.rule, finding.message);
        json!({
            "description": finding.text(),
            "check_name": finding.rule,
            "fingerprint": Digest::of(identity.as_bytes()).to_string(),
            "severity": match finding.level {
                Level::Note => "info",
                Level::Warning => "minor",
                Level::Error => "critical",
            },
            "location": { "path": finding.path, "lines": { "begin": finding.place.line } },
        })
    };
    findings.iter().map(value).collect()
}

/// As a SARIF 2.1.0 log (OASIS standard of 27 March 2020).
pub fn sarif(findings: &[Finding], version: &str) -> Value {
    let mut rules: Vec<&str> = findings.iter().map(|finding| finding.rule.as_str()).collect();
    rules.sort_unstable();
    rules.dedup();
    let rules: Vec<Value> = rules.iter().map(|rule| json!({ "id": rule })).collect();
    let result = |finding: &Finding| {
        json!({
            "ruleId": finding.rule,
            "level": finding.level(),
            "message": { "text": without_links(&finding.text()) },
            "locations": [{ "physicalLocation": {
                "artifactLocation": { "uri": uri(&finding.path) },
                "region": { "startLine": finding.place.line, "startColumn": finding.place.column },
            } }],
        })
    };
    let results: Vec<Value> = findings.iter().map(result).collect();
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{ "tool": { "driver": { "name": "raito", "version": version, "rules": rules } }, "results": results }],
    })
}

/// A message in which square brackets make no link (section 3.11.6): there, they stand behind a
/// backslash.
fn without_links(text: &str) -> String {
    if text.contains("](") {
        text.replace('\\', "\\\\").replace('[', "\\[").replace(']', "\\]")
    } else {
        text.to_owned()
    }
}

/// A path as a relative reference (RFC 3986, section 3.3).
fn uri(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/');
    path.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding() -> Finding {
        Finding {
            path: "access/a b,c.yml".into(),
            place: Place { line: 3, column: 5, length: 4 },
            level: Level::Error,
            rule: "mistake".into(),
            message: "100 % | wrong\nhere".into(),
            help: Some("write x".into()),
        }
    }

    #[test]
    fn nothing_of_a_name_means_anything_in_a_comment() {
        let hostile = [
            "<img src=x onerror=alert(1)>",
            "@everyone @org/team",
            "[click](https://evil.example) ![x](https://evil.example/x.png)",
            "https://evil.example www.evil.example",
            "a | b \\| c ` \\` ``",
            "#1 !2 ~label %milestone &3 $4 org/repo#5 :tada: GH-6",
            "</code></td></table><h1>x",
            "*a* _b_ **c** ~~d~~ \\",
            "&lt;b&gt; &#60;b&#62;",
            "a\n\n# b\r\n- c",
            "\u{202e}\u{3164}",
        ];
        for text in hostile {
            let finding = Finding { message: text.into(), help: Some(text.into()), path: text.into(), ..finding() };
            let row = markdown(&[finding])[2].clone();
            let (cells, escaped) = (row.split(" | ").count(), row.replace("<code>", "").replace("</code>", ""));
            assert_eq!((cells, row.matches("<code>").count(), row.matches("</code>").count()), (3, 2, 2), "{row}");
            // Only letters, digits, spaces and numbers of characters are left, and nothing can be
            // built of these.
            let mut inside = escaped.trim_matches('|').replace(" | ", " ");
            while let Some((before, (code, behind))) =
                inside.split_once("&#").and_then(|(before, rest)| Some((before.to_owned(), rest.split_once(';')?)))
            {
                assert!(code.parse::<u32>().is_ok(), "{row}");
                inside = format!("{before}{behind}");
            }
            assert!(inside.chars().all(|c| c.is_alphanumeric() || " -,./()'\"".contains(c)), "{row}");
            assert!(!row.contains("://") && !row.contains("www."), "{row}");
        }
        let link = Finding { message: "[a](1)".into(), help: None, ..finding() };
        assert_eq!(sarif(&[link], "1")["runs"][0]["results"][0]["message"]["text"], "\\[a\\](1)");
    }

    #[test]
    fn what_has_a_meaning_in_a_form_is_written_so_that_it_has_none() {
        let all = [finding()];
        assert_eq!(human(&all), ["access/a b,c.yml:3:5: error[mistake]: 100 % | wrong\nhere (write x)"]);
        assert_eq!(
            github(&all),
            ["::error file=access/a b%2Cc.yml,line=3,col=5,title=mistake::100 %25 | wrong%0Ahere (write x)"]
        );
        assert_eq!(
            markdown(&all)[2],
            "| <code>access/a b,c.yml&#58;3</code> | error | <code>100 &#37; &#124; wrong here (write x)</code> |"
        );
        let log = sarif(&all, "1.2.3");
        let place = &log["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "access/a%20b%2Cc.yml");
        assert_eq!(log["runs"][0]["tool"]["driver"]["rules"][0]["id"], "mistake");
        assert_eq!(gitlab(&all)[0]["location"]["lines"]["begin"], 3);
    }
}
