//! The language server as editors drive it: messages over standard input and output of the program.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

use crate::changes::managed;
use crate::support::Place;

/// Longest that an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// An editor with a server of its own.
struct Editor {
    server: Child,
    input: Option<ChildStdin>,
    output: Receiver<Value>,
    /// Messages that came while another one was waited for.
    kept: VecDeque<Value>,
    root: String,
    requests: i32,
}

impl Drop for Editor {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Editor {
    /// Starts a server in a folder.
    fn start(place: &Place, arguments: &[&str]) -> Self {
        let all = [&["access", "lsp"], arguments].concat();
        let mut command = place.command(&all);
        let mut server = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("starts");
        let mut output = BufReader::new(server.stdout.take().expect("piped"));
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            loop {
                let mut length = 0;
                loop {
                    let mut line = String::new();
                    if output.read_line(&mut line).unwrap_or(0) == 0 {
                        return;
                    }
                    if line == "\r\n" {
                        break;
                    }
                    let (name, value) = line.trim_end().split_once(": ").expect("a head");
                    assert_eq!(name, "Content-Length");
                    length = value.parse().expect("a number");
                }
                let mut body = vec![0; length];
                output.read_exact(&mut body).expect("as long as it says");
                if sender.send(serde_json::from_slice(&body).expect("JSON")).is_err() {
                    return;
                }
            }
        });
        let input = server.stdin.take();
        let root = format!("file://{}", place.path().display());
        Self { server, input, output: receiver, kept: VecDeque::new(), root, requests: 0 }
    }

    /// Starts a server and introduces itself, with these encodings of positions.
    fn introduced(place: &Place, arguments: &[&str], encodings: &[&str]) -> Self {
        let mut editor = Self::start(place, arguments);
        let root = editor.root.clone();
        let capabilities = json!({
            "general": { "positionEncodings": encodings },
            "workspace": { "didChangeWatchedFiles": { "dynamicRegistration": true } },
        });
        let params = json!({ "processId": null, "rootUri": root, "capabilities": capabilities });
        let answer = editor.ask("initialize", params);
        let expected = if encodings.contains(&"utf-8") { "utf-8" } else { "utf-16" };
        assert_eq!(answer["result"]["capabilities"]["positionEncoding"], expected, "{answer}");
        editor.tell("initialized", json!({}));
        editor
    }

    fn send_text(&mut self, text: &str) {
        let input = self.input.as_mut().expect("open");
        write!(input, "Content-Length: {}\r\n\r\n{text}", text.len()).and_then(|()| input.flush()).expect("it listens");
    }

    fn tell(&mut self, method: &str, params: Value) {
        self.send_text(&json!({ "jsonrpc": "2.0", "method": method, "params": params }).to_string());
    }

    /// The next message that is meant.
    #[track_caller]
    fn wait(&mut self, is_meant: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.kept.iter().position(&is_meant) {
            return self.kept.remove(at).expect("it is there");
        }
        loop {
            let message = self.output.recv_timeout(PATIENCE).expect("an answer in time");
            if is_meant(&message) {
                return message;
            }
            self.kept.push_back(message);
        }
    }

    /// Asks, and gives the whole answer.
    #[track_caller]
    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.requests += 1;
        let id = self.requests;
        self.send_text(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string());
        self.wait(|message| message["id"] == id && message.get("method").is_none())
    }

    fn uri(&self, name: &str) -> String {
        format!("{}/{name}", self.root)
    }

    fn open(&mut self, name: &str, text: &str) {
        let document = json!({ "uri": self.uri(name), "languageId": "yaml", "version": 1, "text": text });
        self.tell("textDocument/didOpen", json!({ "textDocument": document }));
    }

    fn change(&mut self, name: &str, version: i32, text: &str) {
        let document = json!({ "uri": self.uri(name), "version": version });
        self.tell("textDocument/didChange", json!({ "textDocument": document, "contentChanges": [{ "text": text }] }));
    }

    /// The next mistakes that are told of a file: line and unit of where each begins and ends, and what it says.
    #[track_caller]
    fn mistakes(&mut self, name: &str) -> Vec<([u64; 4], String)> {
        let uri = self.uri(name);
        let told = self.wait(|message| {
            message["method"] == "textDocument/publishDiagnostics" && message["params"]["uri"] == uri.as_str()
        });
        let list = told["params"]["diagnostics"].as_array().expect("a list").clone();
        list.iter().map(|one| (range(&one["range"]), one["message"].as_str().expect("a text").to_owned())).collect()
    }

    /// Asks about the place in a text where `|` stands; the text itself is without it.
    #[track_caller]
    fn at(&mut self, method: &str, name: &str, text: &str) -> Value {
        let offset = text.find('|').expect("a place");
        let before = &text[..offset];
        let line = before.matches('\n').count();
        let unit = before.rsplit('\n').next().unwrap_or_default().encode_utf16().count();
        let whole = text.replacen('|', "", 1);
        self.requests += 1_000;
        self.change(name, self.requests, &whole);
        let position = json!({ "line": line, "character": unit });
        let answer = self.ask(method, json!({ "textDocument": { "uri": self.uri(name) }, "position": position }));
        assert!(answer.get("error").is_none(), "{answer}");
        answer["result"].clone()
    }

    /// What may come where `|` stands: labels, each with what is written.
    #[track_caller]
    fn proposals(&mut self, name: &str, text: &str) -> Vec<(String, String)> {
        let list = self.at("textDocument/completion", name, text);
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let items = list["items"].as_array().expect("items").iter();
        items.map(|item| (text(&item["label"]), text(&item["textEdit"]["newText"]))).collect()
    }

    #[track_caller]
    fn labels(&mut self, name: &str, text: &str) -> Vec<String> {
        self.proposals(name, text).into_iter().map(|(label, _)| label).collect()
    }

    #[track_caller]
    fn shown(&mut self, name: &str, text: &str) -> String {
        let shown = self.at("textDocument/hover", name, text);
        shown["contents"]["value"].as_str().unwrap_or_else(|| panic!("{shown}")).to_owned()
    }

    /// Ends the conversation, and gives the exit code of the server.
    fn ends(mut self) -> i32 {
        self.tell("exit", Value::Null);
        self.input = None;
        self.server.wait().expect("it ends").code().expect("a code")
    }
}

fn range(value: &Value) -> [u64; 4] {
    let number = |end: &str, part: &str| value[end][part].as_u64().expect("a number");
    [number("start", "line"), number("start", "character"), number("end", "line"), number("end", "character")]
}

/// A folder with access code and a configuration that names two targets and reaches nothing.
fn place() -> Place {
    let place = Place::new(
        "targets:\n  - name: shop\n    connector: { file: none.wasm }\n  - name: crm\n    connector: { file: none.wasm }\n",
    );
    fs::create_dir(place.path().join("access")).expect("ours");
    place
}

#[test]
fn mistakes_are_those_of_validate_and_follow_what_is_typed_and_saved() {
    let place = place();
    let wrong = "version: 1\non: shop\ngrants:\n  - name: \"Zoë 😀\"\n    owner: { 😀: x }\n    whoo: []\n";
    place.write("access/a.yml", wrong);
    place.write("access/b.yml", "version: 1\non: shop\ngrants:\n  - name: R_A\n");
    let mut editor = Editor::introduced(&place, &[], &["utf-16"]);
    assert_eq!(editor.wait(|message| message["method"] == "client/registerCapability")["id"], "watch");

    // A file that nobody opened is told of as well, in the words and at the places of `validate`.
    let told = editor.mistakes("access/a.yml");
    let validated = place.raito(&["access", "validate", "--output", "json"]).exits(2).json();
    assert_eq!(told.len(), validated.len());
    for ((place, said), finding) in told.iter().zip(&validated) {
        assert_eq!(place[0] + 1, finding["line"].as_u64().expect("a line"));
        assert!(said.starts_with(finding["message"].as_str().expect("a text")), "{said}");
    }
    assert!(told.iter().any(|(place, said)| *place == [5, 4, 5, 8] && said.contains("did you mean who?")), "{told:?}");

    // What is typed counts over what is saved, across files.
    editor.open("access/a.yml", "version: 1\non: shop\ngrants:\n  - name: R_A\n");
    let told = editor.mistakes("access/b.yml");
    assert_eq!(
        told,
        [([3, 10, 3, 13], "R_A of shop is defined in access/a.yml:4 already (keep one of them)".to_owned())]
    );
    assert!(editor.mistakes("access/a.yml").is_empty());
    editor.change("access/a.yml", 2, "version: 1\non: shop\ngrants:\n  - name: R_B\n");
    assert!(editor.mistakes("access/b.yml").is_empty());

    // A file that is not saved yet is one of the files already; one that is none of them has no mistakes.
    editor.open("access/new.yml", "version: 1\nowner: \"😀😀\"\nö😀x: 1\n");
    assert_eq!(editor.mistakes("access/new.yml")[0].0, [2, 0, 2, 4], "two units for one character beyond U+FFFF");
    editor.open("elsewhere.yml", "whatever: 1\n");
    assert!(editor.mistakes("elsewhere.yml").is_empty());

    // Closed without being saved, it is as it is on disk again; and what changes there is seen.
    editor.tell("textDocument/didClose", json!({ "textDocument": { "uri": editor.uri("access/new.yml") } }));
    assert!(editor.mistakes("access/new.yml").is_empty());
    place.write("access/b.yml", "version: 2\n");
    editor.tell(
        "workspace/didChangeWatchedFiles",
        json!({ "changes": [{ "uri": editor.uri("access/b.yml"), "type": 2 }] }),
    );
    assert!(editor.mistakes("access/b.yml")[0].1.contains("1 is expected here"));
    fs::remove_file(place.path().join("access/b.yml")).expect("ours");
    editor.tell("workspace/didChangeWatchedFiles", json!({ "changes": [] }));
    assert!(editor.mistakes("access/b.yml").is_empty());
    editor.ask("shutdown", Value::Null);
    assert_eq!(editor.ends(), 0);
}

#[test]
fn places_are_counted_in_bytes_where_the_editor_offers_it() {
    let place = place();
    let mut editor = Editor::introduced(&place, &[], &["utf-8", "utf-16"]);
    editor.open("access/a.yml", "version: 1\r\nö😀x: 1\r\n");
    assert_eq!(editor.mistakes("access/a.yml")[0].0, [1, 0, 1, 7]);
    editor.ask("shutdown", Value::Null);
    assert_eq!(editor.ends(), 0);
}

const HEAD: &str = "version: 1\non: shop\n";

#[test]
fn without_a_read_there_is_what_files_keys_and_configuration_know() {
    let place = place();
    place.write("access/b.yml", "version: 1\non: shop\ngrants:\n  - name: R_LEADS\n    who: [\n");
    place.write("access/c.yml", "version: 1\non: crm\ngrants:\n  - name: R_CRM\n");
    let mut editor = Editor::introduced(&place, &[], &[]);
    let name = "access/a.yml";
    editor.open(name, "");
    assert_eq!(editor.labels(name, "version: 1\non: |\n"), ["shop", "crm"]);
    assert_eq!(editor.labels(name, "version: 1\nmode: |\n"), ["observe", "additive", "enforced"]);
    assert_eq!(editor.proposals(name, "version: 1\nman|\n"), [("manages".to_owned(), "manages: ".to_owned())]);
    let keys = editor.labels(name, &format!("{HEAD}grants:\n  - name: R_A\n    |\n    what: []\n"));
    assert_eq!(keys, ["id", "on", "kind", "description", "owner", "who"], "what is there already is not proposed");
    // A file that cannot be read yet still says which entries it has; those of another target are none of ours.
    let controls = format!("{HEAD}grants:\n  - name: R_A\n    who:\n      - {{ control: |\n");
    assert_eq!(editor.labels(name, &controls), ["R_A", "R_LEADS"]);
    assert_eq!(editor.labels(name, &format!("{HEAD}grants:\n  - name: R_A\n    who: [{{ user: |")), [""; 0]);
    let permissions = format!("{HEAD}grants:\n  - name: R_A\n    what: [{{ object: a.b, permissions: [|");
    assert_eq!(editor.labels(name, &permissions), ["read", "write", "admin"]);
    assert!(editor.shown(name, &format!("{HEAD}man|ages: []\n")).contains("only source of"));
    assert!(editor.shown(name, "version: 1\nmode: add|itive\n").contains("`observe`, `additive`, `enforced`"));

    // Where it is said: an entry of another file, and a target of the configuration.
    let found = editor.at("textDocument/definition", name, &controls.replace('|', "R_LE|ADS }"));
    assert_eq!((&found[0]["uri"], range(&found[0]["range"])), (&json!(editor.uri("access/b.yml")), [3, 10, 3, 17]));
    let found = editor.at("textDocument/definition", name, "version: 1\non: cr|m\n");
    assert_eq!((&found[0]["uri"], range(&found[0]["range"])), (&json!(editor.uri("raito.yml")), [3, 10, 3, 13]));
    assert_eq!(editor.at("textDocument/definition", name, "version: 1\nowner: cr|m\n"), json!([]));

    let uri = editor.uri(name);
    editor.change(name, 90_000, "version:   1\n");
    let options = json!({ "tabSize": 2, "insertSpaces": true });
    let edits = editor.ask("textDocument/formatting", json!({ "textDocument": { "uri": uri }, "options": options }));
    assert_eq!(edits["result"][0]["newText"], "version: 1\n", "{edits}");
    editor.ask("shutdown", Value::Null);
    assert_eq!(editor.ends(), 0);
}

#[test]
fn names_and_effective_access_are_those_of_the_last_read() {
    let managed = managed("createrole");
    managed.server.sql(
        "shop",
        "create table sales.\"ördërs 😀\" (id bigint); comment on table sales.orders is 'what was ordered'",
    );
    managed.code("sales.yml", &format!("{HEAD}repository: corp/access\nmanages: [{{ names: R_* }}]\ngrants: []\n"));
    // The read that a plan makes is the one that editors are served from.
    managed.access(&["plan"]).exits(0);
    let kept = managed.place.path().join(".raito/reads/shop.jsonl");
    assert_eq!(mode(&kept), 0o600);
    let mut editor = Editor::introduced(&managed.place, &[], &[]);
    let name = "access/sales.yml";
    editor.open(name, "");
    let entry = format!("{HEAD}grants:\n  - name: R_A\n");
    let users = editor.labels(name, &format!("{entry}    who: [{{ user: |"));
    assert!(["ann", "bob", "carl"].iter().all(|user| users.iter().any(|label| label == user)), "{users:?}");
    assert_eq!(editor.labels(name, &format!("{entry}    who: [{{ user: an| }}]\n")), ["ann"]);
    assert_eq!(editor.labels(name, &format!("{entry}    who: [{{ control: unt| }}]\n")), ["untouched"]);
    let objects = editor.proposals(name, &format!("{entry}    what:\n      - object: sales.ö|\n"));
    // A name that YAML would take for something else is written in quotes.
    assert_eq!(
        objects,
        [
            ("shop.sales.\"ördërs 😀\"".to_owned(), "\"shop.sales.\\\"ördërs 😀\\\"\"".to_owned()),
            ("shop.sales.\"ördërs 😀\".id".to_owned(), "\"shop.sales.\\\"ördërs 😀\\\".id\"".to_owned())
        ]
    );
    // The two functions have one path, so that it takes their kind and signature to tell them.
    let functions = editor.labels(name, &format!("{entry}    what:\n      - object: \"shop.sales.total|\"\n"));
    assert!(functions.contains(&"function shop.sales.total(text)".to_owned()), "{functions:?}");
    let schemas =
        editor.labels(name, &format!("{entry}    what:\n      - select: {{ kind: table, under: shop.sa| }}\n"));
    assert!(
        schemas.contains(&"shop.sales".to_owned()) && schemas.contains(&"shop.sales.orders".to_owned()),
        "{schemas:?}"
    );
    let of_schema = format!("{entry}    what:\n      - {{ object: schema shop.sales, permissions: [|] }}\n");
    assert_eq!(editor.labels(name, &of_schema), ["USAGE", "CREATE", "read", "write", "admin"]);
    let kinds = editor.labels(name, &format!("{entry}    what: [{{ select: {{ kind: tab|"));
    assert_eq!(kinds, ["table", "database", "foreign-table"], "kinds of objects, with what begins so first");

    let shown = editor.shown(name, &format!("{HEAD}grants:\n  - name: unto|uched\n"));
    assert!(shown.starts_with("**role `untouched`**") && shown.contains("`carl`"), "{shown}");
    assert!(
        shown.contains("- `table shop.sales.orders`: `SELECT`") && shown.contains("As of the last read, 20"),
        "{shown}"
    );
    let shown = editor.shown(name, &format!("{entry}    what: [{{ object: shop.sales.ord|ers }}]\n"));
    assert!(
        shown.contains("`what was ordered`") && shown.contains("- `SELECT`: ") && shown.contains("`carl`"),
        "{shown}"
    );
    let shown = editor.shown(name, &format!("{entry}    who: [{{ user: car|l }}]\n"));
    assert!(shown.starts_with("**user `carl`**") && shown.contains("`table shop.sales.orders`: `SELECT`"), "{shown}");
    let shown = editor.shown(name, &format!("{HEAD}grants:\n  - name: R_|A\n"));
    assert!(shown.contains("it is not at the target"), "{shown}");
    let shown =
        editor.shown(name, &format!("{entry}    what: [{{ object: shop.sales.orders, permissions: [SEL|ECT] }}]\n"));
    assert!(shown.contains("it needs `USAGE` on the `schema`"), "{shown}");

    // A later read is the last one then; one that is not whole is told, and completes nothing.
    managed.server.sql("postgres", "create role dora login");
    let snapshot = managed.access(&["export", "shop", "--output", "json"]).exits(0).stdout;
    assert_eq!(editor.labels(name, &format!("{entry}    who: [{{ user: dor| }}]\n")), ["dora"]);
    let half: String = snapshot.split_inclusive('\n').take(5).collect();
    fs::write(&kept, half).expect("ours");
    assert_eq!(editor.labels(name, &format!("{entry}    who: [{{ user: dor| }}]\n")), [""; 0]);
    let note = editor.wait(|message| message["method"] == "window/logMessage");
    assert!(note["params"]["message"].as_str().is_some_and(|text| text.contains("shop.jsonl")), "{note}");

    // A snapshot that is named counts instead, and needs no state directory.
    managed.place.write("snapshot.jsonl", snapshot);
    let arguments = ["--snapshot", "shop=snapshot.jsonl", "--state-dir", "none"];
    let mut editor = Editor::introduced(&managed.place, &arguments, &[]);
    editor.open(name, "");
    assert_eq!(editor.labels(name, &format!("{entry}    who: [{{ user: dor| }}]\n")), ["dora"]);
    assert!(!managed.place.path().join("none").exists(), "nothing is made");
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

#[test]
fn nothing_that_an_editor_sends_or_opens_ends_the_server() {
    let place = place();
    let mut editor = Editor::introduced(&place, &[], &[]);
    let error = |editor: &mut Editor, code: i64| {
        let answer = editor.wait(|message| message["id"].is_null() && message.get("error").is_some());
        assert_eq!(answer["error"]["code"], code, "{answer}");
    };
    editor.send_text("{");
    error(&mut editor, -32_700);
    editor.send_text("[]");
    error(&mut editor, -32_600);
    let input = editor.input.as_mut().expect("open");
    input.write_all(b"Content-Length: x\r\n\r\nno head at all\r\n\r\n").expect("it listens");
    error(&mut editor, -32_600);
    error(&mut editor, -32_600);
    editor.send_text(&" ".repeat(17 * 1_024 * 1_024));
    error(&mut editor, -32_600);
    assert_eq!(editor.ask("textDocument/unheardOf", json!({}))["error"]["code"], -32_601);
    assert_eq!(editor.ask("textDocument/hover", json!({ "textDocument": 7 }))["error"]["code"], -32_602);
    assert_eq!(editor.ask("initialize", json!({ "capabilities": {} }))["error"]["code"], -32_600);
    editor.tell("textDocument/didOpen", json!({ "textDocument": null }));
    editor.tell(
        "textDocument/didChange",
        json!({ "textDocument": { "uri": "file:///", "version": 1 }, "contentChanges": [] }),
    );
    editor.tell("$/whatever", json!({}));
    let place = json!({ "line": 4_000_000_000_u32, "character": 4_000_000_000_u32 });
    for (number, text) in [
        format!("version: 1\ngrants:\n{}x\n", "- ".repeat(100_000)),
        format!("version: 1\ngrants: {}", "[{a: ".repeat(50_000)),
        "\u{feff}version: 1\n\0\u{e000}\u{2028}: \"".to_owned(),
        "x".repeat(5 * 1_024 * 1_024),
        "a: |\r\r\n  b\r c: ]]}}: - ? !x &y *z\n\t- q".to_owned(),
    ]
    .iter()
    .enumerate()
    {
        let name = format!("access/{number}.yml");
        editor.open(&name, text);
        assert!(!editor.mistakes(&name).is_empty(), "{number}");
        let at = json!({ "textDocument": { "uri": editor.uri(&name) }, "position": place });
        for method in ["completion", "hover", "definition"] {
            let answer = editor.ask(&format!("textDocument/{method}"), at.clone());
            assert!(answer.get("result").is_some(), "{answer}");
        }
    }
    editor.open("untitled", "x");
    editor.tell("textDocument/didClose", json!({ "textDocument": { "uri": "untitled:one" } }));
    assert!(editor.ask("shutdown", Value::Null)["result"].is_null());
    assert_eq!(editor.ask("textDocument/hover", json!({}))["error"]["code"], -32_600);
    assert_eq!(editor.ends(), 0);
}

#[test]
fn it_ends_as_the_protocol_says() {
    let place = place();
    let mut early = Editor::start(&place, &[]);
    assert_eq!(early.ask("textDocument/hover", json!({}))["error"]["code"], -32_002);
    assert_eq!(early.ends(), 1, "exit without shutdown");
    let mut gone = Editor::introduced(&place, &[], &[]);
    gone.input = None;
    assert_eq!(gone.server.wait().expect("it ends").code(), Some(1), "the editor is gone");
}
