//! References of relations to others, as a statement gives them: `r:sales.orders,v:"My, View"."a""b"`.

use raito_sdk::ObjectRef;

use crate::names::{object_ref, relation_kind};

/// Reads the list. What does not have its form is left out; the host quotes names in one way only.
pub(crate) fn references(database: &str, text: &str) -> Vec<ObjectRef> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((relkind, behind)) = rest.split_once(':') {
        let Some((schema, behind)) = identifier(behind) else { break };
        let Some((name, behind)) = behind.strip_prefix('.').and_then(identifier) else { break };
        found.push(object_ref(relation_kind(relkind), &[database, &schema, &name]));
        rest = behind.strip_prefix(',').unwrap_or_default();
    }
    found
}

/// The schema and the name of `schema.name`, each quoted where it has to be.
pub(crate) fn qualified(text: &str) -> Option<(String, String)> {
    let (schema, behind) = identifier(text)?;
    let (name, rest) = behind.strip_prefix('.').and_then(identifier)?;
    rest.is_empty().then_some((schema, name))
}

/// An identifier as `quote_ident` writes it, and what stands behind it.
fn identifier(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(['.', ',']).unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let mut name = String::new();
    let mut rest = quoted;
    loop {
        let (before, behind) = rest.split_once('"')?;
        name.push_str(before);
        match behind.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None => return Some((name, behind)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_names_may_hold_anything() {
        let found = references("shop", r#"r:sales.orders,v:"My, View"."a"".b",p:s.t"#);
        let paths: Vec<_> = found.iter().map(|object| (object.kind.as_str(), object.path.join("|"))).collect();
        assert_eq!(
            paths,
            [
                ("table", "shop|sales|orders".to_owned()),
                ("view", "shop|My, View|a\".b".to_owned()),
                ("table", "shop|s|t".to_owned())
            ]
        );
        assert!(references("shop", "").is_empty());
        assert!(references("shop", "r:\"open").is_empty());
    }
}
