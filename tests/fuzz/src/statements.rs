//! Read statements of manifests: whatever the gate lets through, PostgreSQL's own parser reads as the
//! same tree, in the author's text and in the text that is sent.

use raito_core::sql::read::{Declared, ReadStatement};
use raito_core::sql::scan::{Kind, scan};
use raito_core::sql::{ArgumentTypes, Bind, check_predicate};

use crate::postgres_parser::lowered;

/// A statement of any bytes.
pub fn statements(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        check_read(text);
    }
}

/// A text of any bytes, in the places where the host takes free text: the rule of a policy and the
/// argument types of a routine. Their lexer is PostgreSQL's.
pub fn texts(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        check_scan(text);
        check_predicate_text(text);
        check_signature(text);
    }
}

/// Functions and columns beyond the host's lists that a statement is tried with, where its text has their names: one that
/// it does not need is refused.
fn declared(text: &str) -> Declared {
    let calls = [
        "pg_ls_logdir",
        "pg_read_binary_file",
        "pg_stat_statements.pg_stat_statements",
        "pg_stat_statements.pg_stat_statements_info",
    ];
    let is_called = |name: &&&str| text.contains(&format!("{name}("));
    let mut declared = Declared {
        calls: calls.iter().filter(is_called).map(|name| (*name).to_owned()).collect(),
        ..Declared::default()
    };
    if text.contains("setconfig") {
        let columns = std::iter::once("setconfig".to_owned()).collect();
        declared.relations.insert("pg_catalog.pg_db_role_setting".to_owned(), columns);
    }
    declared
}

/// The statement that the gate lets through for a text.
pub fn let_through(text: &str) -> Option<ReadStatement> {
    ReadStatement::parse(text, &declared(text)).ok()
}

/// Whether the gate lets a text through. If it does, both texts are the tree that it judged.
///
/// # Panics
/// Where PostgreSQL reads another tree.
pub fn check_read(text: &str) -> bool {
    let Some(statement) = let_through(text) else { return false };
    let sent = statement.text.to_string();
    for (whose, text) in [("the author's", numbered(text, &statement.binds)), ("the sent", sent)] {
        match lowered(&text) {
            // What decodes the parser's answer goes a hundred levels deep. The servers themselves are asked elsewhere.
            Err(reason) if reason.contains("recursion limit reached") => {}
            Ok(tree) => assert_eq!(tree, statement.query, "PostgreSQL reads {whose} text otherwise: {text}"),
            Err(reason) => panic!("PostgreSQL reads {whose} text as no such statement ({reason}): {text}"),
        }
    }
    true
}

/// A statement with the numbers of its parameters in the place of their names.
fn numbered(text: &str, binds: &[Bind]) -> String {
    let mut numbered = String::new();
    let mut in_literal = false;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let name: &str = rest.strip_prefix('$').filter(|_| !in_literal).map_or("", |behind| {
            &behind[..behind.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count()]
        });
        match binds.iter().position(|bind| !name.is_empty() && bind.name == name) {
            Some(index) => {
                numbered.push_str(&format!("${}", index + 1));
                rest = &rest[1 + name.len()..];
            }
            None => {
                in_literal ^= first == '\'';
                numbered.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    numbered
}

/// Lexemes begin and end where PostgreSQL's scanner has them, and a text is refused where that fails.
fn check_scan(text: &str) {
    if text.contains('\0') {
        return;
    }
    let ours = scan(text);
    let theirs = pg_query::scan(text);
    let (Ok(ours), Ok(theirs)) = (&ours, &theirs) else {
        assert!(ours.is_err() || theirs.is_ok(), "PostgreSQL has no lexemes for {text:?}: {theirs:?}");
        return;
    };
    let theirs: Vec<(usize, usize)> =
        theirs.tokens.iter().map(|token| (token.start as usize, token.end as usize)).collect();
    let ours: Vec<(usize, usize)> = ours.iter().map(|lexeme| (lexeme.start, lexeme.end)).collect();
    assert_eq!(ours, theirs, "{text:?}");
}

/// A rule that is let through stays within its parentheses.
fn check_predicate_text(text: &str) {
    if check_predicate(text).is_err() {
        return;
    }
    let lexemes = scan(text).expect("a rule has lexemes");
    assert!(lexemes.iter().all(|lexeme| !matches!(lexeme.kind, Kind::Comment | Kind::Parameter | Kind::Other)));
    let around = format!("ALTER POLICY p ON t TO PUBLIC USING ({text}) WITH CHECK (true)");
    if let Ok(parsed) = pg_query::parse(&around, 0) {
        let shape = format!("{:?}", parsed.protobuf.stmts.first().and_then(|one| one.stmt.as_ref()));
        assert_eq!(parsed.protobuf.stmts.len(), 1, "{around}");
        assert!(shape.contains("AlterPolicyStmt") && shape.contains("boolval: true"), "{around}");
    }
}

/// A signature that is let through is a list of types, written so that it reads back as itself.
fn check_signature(text: &str) {
    let Ok(types) = ArgumentTypes::parse(text) else { return };
    let written = types.to_string();
    assert_eq!(ArgumentTypes::parse(&written).as_ref(), Ok(&types), "{written}");
    let around = format!("DROP FUNCTION f({written})");
    let parsed = pg_query::parse(&around, 0).unwrap_or_else(|error| panic!("{around}: {error}"));
    let shape = format!("{:?}", parsed.protobuf.stmts.first().and_then(|one| one.stmt.as_ref()));
    assert!(parsed.protobuf.stmts.len() == 1 && shape.contains("DropStmt"), "{around}");
}
