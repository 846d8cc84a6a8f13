//! The cloud's API as programs use it: lists page by page, tokens and their scopes, answers that say what was wrong.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Place, Warehouse};

/// A cloud that is served, until it is dropped.
pub(crate) struct Served {
    server: Child,
    pub(crate) address: SocketAddr,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// An answer: status, fields in lower case, body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) fields: String,
    pub(crate) body: Value,
}

impl Served {
    pub(crate) fn of(place: &Place) -> Self {
        Self::with(place, |command| command)
    }

    /// The same with at most so many descriptors.
    pub(crate) fn within(place: &Place, descriptors: u32) -> Self {
        Self::with(place, |command| {
            let mut shell = Command::new("sh");
            shell.args(["-c", &format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"")]);
            shell.arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
            for (name, value) in command.get_envs() {
                match value {
                    Some(value) => shell.env(name, value),
                    None => shell.env_remove(name),
                };
            }
            shell.current_dir(place.path());
            shell
        })
    }

    fn with(place: &Place, change: impl FnOnce(Command) -> Command) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
        let mut command = change(place.command(&["cloud", "serve", "--listen", &address.to_string()]));
        let served =
            Self { server: command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts"), address };
        let began = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(began.elapsed() < Duration::from_secs(30), "the cloud does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        // Who connects early waits; who is answered knows that everything is in place.
        assert_eq!(served.ask("GET", "/healthz", &[], "").status, 200);
        served
    }

    /// The id of the process that serves it.
    pub(crate) fn process(&self) -> u32 {
        self.server.id()
    }

    pub(crate) fn ask(&self, method: &str, path: &str, fields: &[(&str, &str)], body: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        let more: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {}\r\n{more}\r\n{body}",
            self.address,
            body.len()
        )
        .expect("it reads");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("it answers");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let (first, fields) = head.split_once("\r\n").expect("fields");
        let status = first.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        Answer { status, fields: fields.to_lowercase(), body: serde_json::from_str(body).unwrap_or(Value::Null) }
    }

    pub(crate) fn get(&self, path: &str, token: &str) -> Answer {
        self.ask("GET", path, &[("authorization", &format!("Bearer {token}"))], "")
    }

    /// All items of a list, so many at a time, and how many pages they were.
    fn pages(&self, path: &str, token: &str, limit: usize) -> (Vec<Value>, usize) {
        let (mut items, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
        let joint = if path.contains('?') { '&' } else { '?' };
        loop {
            let answer = self.get(&format!("{path}{joint}limit={limit}{cursor}"), token);
            assert_eq!(answer.status, 200, "{path}: {:#}", answer.body);
            items.extend(answer.body["items"].as_array().expect("a list").iter().cloned());
            pages += 1;
            match answer.body["next-cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return (items, pages),
            }
        }
    }
}

pub(crate) fn token(place: &Place, scopes: &[&str]) -> String {
    let scopes: Vec<&str> = scopes.iter().flat_map(|scope| ["--scope", scope]).collect();
    let made = place.raito(&[&["cloud", "token", "test"][..], &scopes].concat()).exits(0).stdout;
    made.split_whitespace().find(|word| word.starts_with("raito_")).expect("a token").to_owned()
}

fn draft(name: &str, user: &Value) -> Value {
    json!({ "name": name, "kind": "role", "who": [{ "kind": "user", "id": user, "inherits": true, "assumable": false }] })
}

#[test]
fn every_list_is_the_same_whole_and_page_by_page() {
    let warehouse = Warehouse::serve(&["--seed", "3", "--tables", "30"]);
    let place = warehouse.place("");
    place.run(&[]);
    place.run(&[]);
    let user = &place.list("/sources/warehouse/users")[0]["external-id"];
    for name in ["one", "two", "three", "four", "five"] {
        place.write("body.json", draft(name, user).to_string());
        place.raito(&["cloud", "post", "/sources/warehouse/internal-access-controls", "body.json"]).exits(0);
    }
    let controls = place.list("/sources/warehouse/access-controls");
    let most = controls.iter().max_by_key(|control| control["members"].as_u64()).expect("some");
    let control = most["external-id"].as_str().expect("an id");
    let (served, token) = (Served::of(&place), token(&place, &["read"]));
    let lists = [
        "/sources/warehouse/users".to_owned(),
        "/sources/warehouse/groups".to_owned(),
        "/sources/warehouse/objects".to_owned(),
        "/sources/warehouse/access-controls".to_owned(),
        format!("/sources/warehouse/members?control={control}"),
        format!("/sources/warehouse/facts?control={control}"),
        "/sources/warehouse/statements".to_owned(),
        "/sources/warehouse/usage".to_owned(),
        "/sources/warehouse/internal-access-controls".to_owned(),
        "/runs".to_owned(),
    ];
    for list in lists {
        let path = format!("/api/v1{list}");
        let (whole, _) = served.pages(&path, &token, 1_000);
        assert!(whole.len() > 1, "{list}: {} items", whole.len());
        let limit = whole.len().div_ceil(4);
        let (parts, pages) = served.pages(&path, &token, limit);
        assert_eq!((parts, pages), (whole.clone(), whole.len().div_ceil(limit)), "{list}");
    }
    // A cursor of one list is none of another.
    let first = served.get("/api/v1/sources/warehouse/users?limit=1", &token).body;
    let cursor = first["next-cursor"].as_str().expect("there are more");
    for list in ["/runs", "/sources/warehouse/usage"] {
        let answer = served.get(&format!("/api/v1{list}?cursor={cursor}"), &token);
        assert_eq!((answer.status, &answer.body["title"].is_string()), (400, &true), "{list}: {:#}", answer.body);
    }
}

#[test]
fn a_path_that_is_no_text_is_a_problem_like_any_other() {
    let place = Place::new("targets: []\n");
    let served = Served::of(&place);
    let token = place.raito(&["cloud", "token", "reader", "--scope", "read"]).exits(0).stdout.trim().to_owned();
    for path in ["/api/v1/runs/%ff", "/api/v1/sources/%c3%28/users"] {
        let answer = served.get(path, &token);
        assert_eq!((answer.status, &answer.body["type"]), (400, &"bad-request".into()), "{path}: {}", answer.body);
    }
}

#[test]
fn a_token_may_do_what_its_scopes_say_until_it_ends() {
    let warehouse = Warehouse::serve(&["--seed", "3", "--tables", "5"]);
    let place = warehouse.place("");
    place.run(&[]);
    let user = place.list("/sources/warehouse/users")[0]["external-id"].clone();
    let (reader, writer, admin) = (token(&place, &["read"]), token(&place, &["write"]), token(&place, &["admin"]));
    let served = Served::of(&place);
    const ALL: &str = "/api/v1/sources/warehouse/internal-access-controls";
    let bearer = |token: &str| format!("Bearer {token}");
    let body = draft("made", &user).to_string();
    let json = ("content-type", "application/json");
    let problem = |answer: &Answer, status: u16| {
        assert_eq!(answer.status, status, "{:#}", answer.body);
        assert!(answer.fields.contains("content-type: application/problem+json"), "{}", answer.fields);
        assert_eq!(answer.body["status"], status, "{:#}", answer.body);
    };

    let nobody = served.ask("GET", ALL, &[], "");
    problem(&nobody, 401);
    assert!(nobody.fields.contains("www-authenticate: bearer"), "{}", nobody.fields);
    problem(&served.get(ALL, "made up"), 401);
    problem(&served.get(ALL, &writer), 403);
    problem(&served.ask("POST", ALL, &[("authorization", &bearer(&reader)), json], &body), 403);
    assert_eq!(served.get(ALL, &reader).body["items"], json!([]), "nothing was made");

    let made = served.ask("POST", ALL, &[("authorization", &bearer(&writer)), json], &body);
    assert_eq!(made.status, 201, "{:#}", made.body);
    let one = format!("{ALL}/{}", made.body["id"].as_str().expect("an id"));
    let fields =
        |version| [("authorization", bearer(&writer)), ("content-type", json.1.to_owned()), ("if-match", version)];
    let put = |version: String| {
        let fields = fields(version);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        served.ask("PUT", &one, &fields, &draft("changed", &user).to_string())
    };
    assert_eq!(put("\"1\"".into()).status, 200);
    problem(&put("\"1\"".into()), 409);
    problem(&put("nonsense".into()), 400);
    problem(&served.ask("PUT", &one, &[("authorization", &bearer(&writer)), json], "{"), 400);

    // A token with an end, which is in the past.
    let request = json!({ "name": "ended", "scopes": ["read"], "expires-ms": 1_000 }).to_string();
    problem(&served.ask("POST", "/api/v1/tokens", &[("authorization", &bearer(&reader)), json], &request), 403);
    let ended = served.ask("POST", "/api/v1/tokens", &[("authorization", &bearer(&admin)), json], &request);
    assert_eq!(ended.status, 201, "{:#}", ended.body);
    let refused = served.get(ALL, ended.body["token"].as_str().expect("a token"));
    problem(&refused, 401);
    assert!(refused.body["detail"].as_str().is_some_and(|detail| detail.contains("expired")), "{:#}", refused.body);
}

#[test]
fn the_description_of_the_api_is_served_and_has_every_route_that_answers() {
    let place = Place::new("targets: []\n");
    let (served, token) = (Served::of(&place), token(&place, &["read"]));
    let document = served.ask("GET", "/openapi.json", &[], "").body;
    assert_eq!(served.ask("GET", "/api/v1/openapi.json", &[], "").body, document, "for whoever asks below the API");
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")), "{document:#}");
    let paths = document["paths"].as_object().expect("paths");
    assert!(paths.len() > 20, "{} paths", paths.len());
    for path in paths.iter().filter(|(_, methods)| methods.get("get").is_some()).map(|(path, _)| path) {
        let asked = path.replace("{source}", "none").replace("{run}", "018f4d2a-0000-7000-8000-000000000000");
        let asked = if asked.starts_with("/api/") { asked } else { format!("/api/v1{asked}") };
        let answer = served.get(&asked.replace("{id}", "1").replace("{one}", "1").replace("{other}", "2"), &token);
        // There is nothing to answer with, and what is wrong is told as it is everywhere.
        assert!([200, 400, 403, 404].contains(&answer.status), "{path}: {}", answer.status);
        let is_problem = answer.fields.contains("problem+json") && answer.body["type"] != "not-found-route";
        assert!(answer.status == 200 || is_problem, "{path}: {:#}", answer.body);
    }
    let nowhere = served.get("/api/v1/nowhere", &token);
    assert!(nowhere.status == 404 && nowhere.fields.contains("problem+json"), "{:#}", nowhere.body);
}
