//! Step 4 at the size at which it still takes everything in one transaction.

use std::time::Instant;

use crate::measure;
use crate::support::postgres::PASSWORD;
use crate::support::raito::postgresql_target;
use crate::support::{Place, Postgres};

/// The login that changes.
const WRITER: &str = "raito_write";
/// Statements of one transaction, of which there are at most 10,000: what one role gets in one database.
const MOST: usize = 10_000;

/// Grants much to a role, then nothing more, and at last more than one transaction takes.
pub fn changes() {
    let server = Postgres::start();
    server.sql("postgres", &format!("create role {WRITER} login superuser password '{PASSWORD}'"));
    server
        .sql("postgres", &format!("select format('create table t%s ()', n) from generate_series(0, {MOST}) n \\gexec"));
    let grant = format!("write: {{ user: {WRITER}, password: {{ env: PG_PASSWORD }} }}");
    let target = postgresql_target(&server, "postgres", &grant);
    for tables in [1_000, MOST] {
        let place = wanting(&target, tables);
        let cost = measure(place.command(&["run", "--quiet", "--apply-first"]));
        println!("a role with {tables} new grants: {cost}");
        let cost = measure(place.command(&["run", "--quiet"]));
        println!("the same again, with nothing to change: {cost}");
    }
    let began = Instant::now();
    let place = wanting(&target, MOST + 1);
    place.raito(&["run", "--quiet", "--apply-first"]).exits(1).says(&["one transaction has at most"]);
    assert_eq!(server.rows("postgres", &format!("select 1 from pg_roles where rolname = 'r{}'", MOST + 1)), [""; 0]);
    println!("one with {} grants is refused after {:.1?}, with nothing sent", MOST + 1, began.elapsed());
}

/// A place whose cloud wants a role with a grant on so many tables.
fn wanting(target: &str, tables: usize) -> Place {
    let place = Place::new(target);
    place.raito(&["run", "--quiet"]).exits(0);
    let line = |at: usize| {
        let object = format!(r#"{{ "kind": "table", "path": ["postgres", "public", "t{at}"] }}"#);
        format!(r#"{{ "object": {object}, "permissions": [{{ "name": "SELECT" }}] }}"#)
    };
    let what: Vec<String> = (0..tables).map(line).collect();
    let draft = format!(r#"{{ "name": "r{tables}", "kind": "role", "what": [{}] }}"#, what.join(", "));
    place.write("body.json", draft);
    place.raito(&["cloud", "post", "/sources/shop/internal-access-controls", "body.json"]).exits(0);
    place
}
