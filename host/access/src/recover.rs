//! `apply-access`: a file that was sent to a target once, sent again without a cloud, when that is what is left.

use std::collections::BTreeSet;

use raito_core::catalogue::Catalogue;
use raito_core::marker::{Master, marker};
use raito_core::text::Name;
use regex_lite::Regex;

use crate::code::Code;

/// Which access providers of a file are wanted, by their names for people: those that one of the expressions takes whole.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    expressions: Vec<Regex>,
}

impl Filter {
    /// Reads expressions.
    ///
    /// # Errors
    /// Which one is none, and why.
    pub fn new(expressions: &[String]) -> Result<Self, String> {
        let one = |text: &String| {
            let text = text.trim();
            Regex::new(&format!("^(?:{text})$")).map_err(|error| format!("{text}: {error}"))
        };
        Ok(Self { expressions: expressions.iter().map(one).collect::<Result<_, _>>()? })
    }

    /// Whether a name is wanted. Without expressions all are.
    pub fn takes(&self, name: &str) -> bool {
        self.expressions.is_empty() || self.expressions.iter().any(|expression| expression.is_match(name))
    }
}

/// Lets the code speak for whoever is master of its access controls at the target, so that he knows them again afterwards.
///
/// # Errors
/// The masters, where there are several: one file cannot speak for them all.
pub fn speak_for(code: &mut Code, catalogue: &Catalogue) -> Result<(), BTreeSet<Master>> {
    let named = |name: &Name| catalogue.controls.kept().find(|control| control.actual_name == *name);
    let mut masters = BTreeSet::new();
    for entry in &mut code.entries {
        let Some(marker) = named(&entry.name).and_then(|control| marker(&control.description)) else { continue };
        if let Ok(id) = Name::new(marker.entry) {
            entry.id = id;
        }
        masters.insert(marker.master);
    }
    if masters.len() > 1 {
        return Err(masters);
    }
    code.repository = masters.pop_first().or(code.repository.take());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_takes_names_whole() {
        let filter = Filter::new(&["sales|hr".into(), " data.* ".into()]).expect("expressions");
        for (name, is_wanted) in
            [("sales", true), ("hr", true), ("sales2", false), ("data x", true), ("my data", false)]
        {
            assert_eq!(filter.takes(name), is_wanted, "{name}");
        }
        assert!(Filter::default().takes("anything"));
        assert!(Filter::new(&["(".into()]).is_err());
    }
}
