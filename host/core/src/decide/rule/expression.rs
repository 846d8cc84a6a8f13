//! Expressions that a target keeps in its own words.

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, Ident, ObjectName, ObjectNamePart, VisitMut as _, VisitorMut};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

/// Whether a target that keeps expressions in its own form keeps this one as that: parentheses and the case of names that are
/// not quoted say nothing, and a type behind a literal says nothing where the wanted text has none.
pub(super) fn is_same_text(wanted: &str, kept: &str) -> bool {
    if wanted == kept {
        return true;
    }
    let (Some(wanted), Some(kept)) = (expression(wanted), expression(kept)) else { return false };
    let with_types = plain(wanted.clone(), false);
    let without = plain(wanted, true);
    with_types == plain(kept.clone(), false) || (with_types == without && without == plain(kept, true))
}

fn expression(text: &str) -> Option<Expr> {
    let mut parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(text).ok()?;
    let expression = parser.parse_expr().ok()?;
    (parser.peek_token().token == Token::EOF).then_some(expression)
}

/// An expression without what says nothing. What binds stronger is said by the tree, not by its parentheses.
fn plain(mut expression: Expr, without_types: bool) -> Expr {
    let _ = expression.visit(&mut Plain { without_types });
    expression
}

struct Plain {
    without_types: bool,
}

impl VisitorMut for Plain {
    type Break = ();

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        loop {
            let inner = match expression {
                Expr::Nested(inner) => inner,
                Expr::Cast { expr, .. } if self.without_types && matches!(**expr, Expr::Value(_)) => expr,
                _ => break,
            };
            *expression = (**inner).clone();
        }
        match expression {
            Expr::Identifier(ident) => fold(ident),
            Expr::CompoundIdentifier(path) => path.iter_mut().for_each(fold),
            Expr::Function(function) => fold_all(&mut function.name),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn post_visit_relation(&mut self, relation: &mut ObjectName) -> ControlFlow<()> {
        fold_all(relation);
        ControlFlow::Continue(())
    }
}

fn fold_all(name: &mut ObjectName) {
    for part in &mut name.0 {
        if let ObjectNamePart::Identifier(ident) = part {
            fold(ident);
        }
    }
}

/// A name that is not quoted is in lower case, and one that could do without quotes has none.
fn fold(ident: &mut Ident) {
    let is_plain =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if ident.quote_style.is_none() {
        ident.value = ident.value.to_lowercase();
    } else if is_plain(&ident.value) {
        ident.quote_style = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_writes_otherwise_says_the_same() {
        // As PostgreSQL 15 and 18 give them back.
        for (wanted, kept) in [
            ("region = 'eu'", "(region = 'eu'::text)"),
            ("owner = current_user", "(owner = CURRENT_USER)"),
            ("a = 1 and (b or not c)", "((a = 1) AND (b OR (NOT c)))"),
            ("Tenant = \"Mixed\"", "(tenant = \"Mixed\")"),
            ("\"tenant\" <> 2", "(tenant <> 2)"),
            ("tenant != 2", "(tenant <> 2)"),
            ("true", "true"),
        ] {
            assert!(is_same_text(wanted, kept), "{wanted} and {kept}");
        }
    }

    #[test]
    fn what_says_something_else_differs() {
        for (wanted, kept) in [
            ("region = 'eu'", "(region = 'us'::text)"),
            ("a = 1 or b", "((a = 1) AND b)"),
            ("a and b or c", "(a AND (b OR c))"),
            ("tenant = \"Mixed\"", "(tenant = mixed)"),
            ("region = 'eu'::bpchar", "(region = 'eu'::text)"),
            ("a = 1", "a = 1; drop table t"),
            ("a = (", "a = ("),
        ] {
            assert!(!is_same_text(wanted, kept) || wanted == kept, "{wanted} and {kept}");
        }
    }
}
