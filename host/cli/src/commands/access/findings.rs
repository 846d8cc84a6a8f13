//! Printing findings, and mistakes with the lines around them.

use raito_access::code::{FileMistakes, Source};
use raito_access::finding::{Finding, github, gitlab, human, json, markdown, sarif};
use raito_config::Holds;

use super::files;
use crate::args::Output;
use crate::error::CliError;
use crate::render::{data, error, say};

/// Prints findings in the form that was asked for.
pub(super) fn print(output: Output, findings: &[Finding]) {
    match output {
        Output::Human | Output::Csv => human(findings).iter().for_each(|line| say(line)),
        Output::Json => json(findings).iter().for_each(|value| data(&value.to_string())),
        Output::Markdown if findings.is_empty() => {}
        Output::Markdown => markdown(findings).iter().for_each(|line| data(line)),
        Output::Github => github(findings).iter().for_each(|line| data(line)),
        Output::Gitlab => data(&format!("{:#}", gitlab(findings))),
        Output::Sarif => data(&format!("{:#}", sarif(findings, env!("CARGO_PKG_VERSION")))),
    }
}

/// Prints findings, where there are any.
pub(super) fn print_some(output: Output, findings: &[Finding]) {
    if !findings.is_empty() {
        print(output, findings);
    }
}

/// Prints the mistakes of files: for people with the lines around them.
pub(super) fn mistakes(output: Output, sources: &[Source], wrong: &[FileMistakes]) {
    if output != Output::Human {
        return print(output, &files::findings(sources, wrong));
    }
    for file in wrong {
        if let Some(source) = sources.get(file.file) {
            let error = CliError::mistakes(source.path.clone(), &source.text, Holds::Nothing, file.mistakes.clone());
            say(&error::human(&error));
        }
    }
}
