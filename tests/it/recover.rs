//! `raito apply-access` on a real PostgreSQL: a saved file is sent again, and nothing else is touched.

use std::io::Write as _;
use std::process::Stdio;

use crate::changes::{Managed, managed};
use crate::support::raito::Outcome;

const SAVED: &str = "
lastCalculated: 1
accessProviders:
  - name: Readers
    actualName: readers
    who: { users: [ann] }
    what: [{ dataObject: { fullName: shop.sales.orders, type: table }, permissions: [SELECT] }]
  - name: Old ones
    actualName: old
    delete: true
  - name: Writers
    actualName: writers
    who: { users: [bob] }
    what: [{ dataObject: { fullName: shop.sales.orders, type: table }, permissions: [INSERT] }]
";

impl Managed {
    /// Applies the saved file, with this answer.
    fn again(&self, arguments: &[&str], answer: &str) -> Outcome {
        let mut command = self.place.command(&[&["apply-access", "shop", "saved.yml"], arguments].concat());
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
        // Nobody has to listen.
        let _ = child.stdin.take().expect("piped").write_all(answer.as_bytes());
        let output = child.wait_with_output().expect("ends");
        Outcome {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }
}

#[test]
fn a_saved_file_is_sent_again_and_nothing_else_is_touched() {
    let managed = managed("createrole");
    managed.place.write("saved.yml", SAVED);
    // A role that a cloud made, which has more by now, one that it deleted, and one that the file does not name.
    managed.server.sql(
        "shop",
        "create role readers; comment on role readers is '[raito cloud:one ap-1]'; grant readers to carl; create role old; create role other;
         comment on role other is '[raito cloud:one ap-9]'; grant other to carl",
    );
    managed.again(&["--filter-access", "none.*"], "yes\n").exits(0).says(&["nothing is done"]);
    let said = managed.again(&[], "no\n").exits(0);
    said.says(&[
        "ATTENTION",
        "saved.yml",
        "3 access providers:",
        "  Readers",
        "  Old ones (deleted)",
        "Are you sure",
        "cancelled",
    ]);
    managed.again(&[], "").exits(4).says(&["E-not-confirmed", "--yes"]);
    assert!(managed.written().is_empty(), "nothing was sent");
    managed.again(&["--filter-access", "Write,Read.*,Old ones"], "YES\n").exits(0);
    assert_eq!(managed.holds("readers"), ["member ann", "shop sales.orders SELECT"]);
    let left = managed.server.rows(
        "postgres",
        "select rolname from pg_roles where rolname in ('readers', 'old', 'other', 'writers') order by 1",
    );
    assert_eq!(left, ["other", "readers"], "the filter takes names whole");
    assert_eq!(managed.holds("other"), ["member carl"]);
    let comment = managed.server.sql("shop", "select shobj_description('readers'::regrole, 'pg_authid')");
    assert!(comment.ends_with("[raito cloud:one ap-1]"), "its master knows it again: {comment}");
    managed.again(&["--yes", "--filter-access", "Writers"], "").exits(0);
    assert_eq!(managed.holds("writers"), ["member bob", "shop sales.orders INSERT"]);
}
