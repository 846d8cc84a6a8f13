//! `fmt`: one way to write a file. Comments stay where they are, and so does the order of keys; indentation, quotes, line
//! breaks and blanks are made the same everywhere. The result says what the text said before, or there is none.

use marked_yaml::{LoaderOptions, Node, parse_yaml_with_options};
use pretty_yaml::config::{FormatOptions, LanguageOptions, LayoutOptions, Quotes};
use raito_config::reader::fits;

/// Why a text is not formatted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// It is no YAML.
    #[error("it is not YAML: {0}")]
    NotYaml(String),
    /// What it says would not be the same.
    #[error("it cannot be formatted without changing what it says: write it in a plainer way")]
    Changed,
}

/// Formats a file. What is formatted already stays as it is, byte by byte.
///
/// # Errors
/// `FormatError` where it is no YAML, or would say something else.
pub fn format_text(text: &str) -> Result<String, FormatError> {
    let before = load(text)?;
    let options = FormatOptions {
        layout: LayoutOptions { print_width: 120, indent_width: 2, ..LayoutOptions::default() },
        language: LanguageOptions { quotes: Quotes::PreferDouble, ..LanguageOptions::default() },
    };
    let formatted =
        pretty_yaml::format_text(text, &options).map_err(|error| FormatError::NotYaml(error.to_string()))?;
    if load(&formatted).as_ref() == Ok(&before) { Ok(formatted) } else { Err(FormatError::Changed) }
}

/// What a text says, without where it says it: two nodes are equal whatever their places.
fn load(text: &str) -> Result<Node, FormatError> {
    fits(text).map_err(|mistake| FormatError::NotYaml(mistake.message))?;
    let options = LoaderOptions::default().error_on_duplicate_keys(true).prevent_coercion(true);
    parse_yaml_with_options(0, text, options).map_err(|error| FormatError::NotYaml(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_order_stay_and_blanks_become_the_same() {
        let text = "# who may do what\nversion:   1 # the format\ngrants:\n    - {name: 'R_A', what: []}\n\n\n    # the second\n    - name:  R_B\n";
        let formatted = format_text(text).expect("formats");
        assert_eq!(
            formatted,
            "# who may do what\nversion: 1 # the format\ngrants:\n  - { name: \"R_A\", what: [] }\n\n  # the second\n  - name: R_B\n"
        );
        assert_eq!(format_text(&formatted), Ok(formatted.clone()), "a second time changes nothing");
    }

    #[test]
    fn what_is_no_yaml_is_not_touched() {
        assert!(matches!(format_text("a: [1"), Err(FormatError::NotYaml(_))));
        assert!(matches!(format_text("a: 1\na: 2\n"), Err(FormatError::NotYaml(_))));
        let deep = format!("a:\n{}x\n", "- ".repeat(100_000));
        assert!(matches!(format_text(&deep), Err(FormatError::NotYaml(reason)) if reason.contains("column")));
        let just = format!("a:\n{}x\n", "- ".repeat(50));
        assert_eq!(format_text(&just), Err(FormatError::Changed), "one step more is too deep");
    }
}
