//! Errors for people.

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, Report, Severity};
use raito_config::Mistake;

use crate::args::Output;
use crate::env;
use crate::error::{CliError, Mistakes};

use super::window::Window;
use super::{data, is_printed, json, say};

/// Mistakes of a file that are shown with the lines around them; more are counted.
const SHOWN: usize = 50;

/// Prints an error that ends a command; for people also where the output does not take it.
pub(crate) fn print(error: &CliError, output: Output) {
    if output == Output::Json {
        let mut value = json::error(None, error);
        value["v"] = serde_json::json!(1);
        data(&value.to_string());
        if is_printed() {
            return;
        }
    }
    say(&human(error));
}

/// An error as people get it: the code, what happened, where, and what to do.
pub(crate) fn human(error: &CliError) -> String {
    let mut text = format!("{}: {}", paint("1;31", &format!("error[{}]", error.code.name)), error.message);
    if let Some(mistakes) = &error.mistakes {
        for one in mistakes.list.iter().take(SHOWN) {
            text.push('\n');
            text.push_str(mistake(mistakes, one).trim_end());
        }
        let more = mistakes.list.len().saturating_sub(SHOWN);
        if more > 0 {
            text.push_str(&format!("\n  and {more} more; --output json has them all"));
        }
    }
    for help in &error.help {
        let indented = help.replace('\n', "\n  ");
        text.push_str(&format!("\n{} {indented}", paint("1;36", "help:")));
    }
    text
}

/// One mistake with the lines around it.
fn mistake(mistakes: &Mistakes, mistake: &Mistake) -> String {
    let window = Window::new(&mistakes.file, &mistakes.excerpt.text, mistakes.excerpt.place(mistake.place));
    let (place, (begin, length)) = (window.place, window.label);
    let mut diagnostic = MietteDiagnostic::new(mistake.message.clone())
        .with_severity(Severity::Error)
        .with_label(LabeledSpan::new(Some("here".into()), begin, length));
    if let Some(help) = &mistake.help {
        diagnostic = diagnostic.with_help(help.clone());
    }
    let report = Report::new(diagnostic).with_source_code(window);
    let theme = if colours() { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let mut text = String::new();
    // Writing into a string does not fail; the message alone would do if it did.
    if GraphicalReportHandler::new_themed(theme).with_width(100).render_report(&mut text, report.as_ref()).is_err() {
        return format!("  {mistake}");
    }
    // What is hidden or cut moves the columns behind it; people look for those of the file.
    let (shown, of_file) =
        (format!(":{}:{}]", place.line, place.column), format!(":{}:{}]", place.line, mistake.place.column));
    text.replacen(&shown, &of_file, 1)
}

/// Whether standard error shows colours.
pub(crate) fn colours() -> bool {
    let dumb = env::variable(env::TERM).is_some_and(|term| term == "dumb");
    env::variable(env::NO_COLOR).is_none() && !dumb && std::io::IsTerminal::is_terminal(&std::io::stderr())
}

/// Text in a colour, where there are colours.
pub(super) fn paint(colour: &str, text: &str) -> String {
    if colours() { format!("\u{1b}[{colour}m{text}\u{1b}[0m") } else { text.to_owned() }
}
