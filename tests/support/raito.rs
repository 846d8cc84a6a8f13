//! The program, as people start it: in a folder with a configuration.

use std::fs::{self, DirBuilder};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::code;
use super::postgres::{PASSWORD, Postgres, READER};

/// A connector that `make connectors` built.
pub fn connector(name: &str) -> PathBuf {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/connectors").join(format!("{name}.wasm"));
    file.canonicalize().unwrap_or_else(|_| panic!("{} is missing: run `make connectors`", file.display()))
}

/// A folder with a configuration and its state.
pub struct Place {
    folder: TempDir,
}

/// What a command did.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    /// Expects this exit code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Expects that it went wrong.
    #[track_caller]
    pub fn fails(self) -> Self {
        assert!(self.code.is_some_and(|code| code != 0), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Expects that the errors say all of this.
    #[track_caller]
    pub fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stderr.contains(part), "{part:?} is not in:\n{}", self.stderr);
        }
        self
    }

    /// The lines of JSON that were printed.
    pub fn json(&self) -> Vec<Value> {
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        self.stdout.lines().map(parse).collect()
    }

    /// One JSON value that was printed over several lines.
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{}: {error}", self.stdout))
    }
}

impl Place {
    /// A folder with this configuration.
    pub fn new(configuration: &str) -> Self {
        let place = Self::without_code(configuration);
        let state = place.path().join(".raito");
        DirBuilder::new().mode(0o700).create(&state).expect("writable");
        code::take(&state);
        place
    }

    /// The same, without the code of connectors that others compiled.
    pub fn without_code(configuration: &str) -> Self {
        let place = Self { folder: tempfile::Builder::new().prefix("raito-it-").tempdir().expect("a folder") };
        place.configure(configuration);
        place
    }

    /// Writes another configuration.
    pub fn configure(&self, configuration: &str) {
        self.write("raito.yml", configuration);
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path().join(name), text).expect("writable");
    }

    pub fn audit_log(&self) -> PathBuf {
        self.path().join(".raito/audit/log.jsonl")
    }

    /// A command that has not been started.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_raito"));
        command.args(arguments).current_dir(self.path()).stdin(Stdio::null());
        command.env_remove("RAITO_STATE_DIR").env_remove("RAITO_CONFIG_FILE").env_remove("RAITO_CEILING");
        command.env("NO_COLOR", "1").env("PG_PASSWORD", PASSWORD).env("HOME", self.path());
        command
    }

    /// Runs a command to its end.
    pub fn raito(&self, arguments: &[&str]) -> Outcome {
        let output = self.command(arguments).output().expect("starts");
        Outcome {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    /// Starts a command and leaves it running.
    pub fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts")
    }

    /// Runs the synchronisation, which must go well, and gives its report.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Value {
        let all = [&["run", "--output", "json", "--quiet"], arguments].concat();
        let outcome = self.raito(&all).exits(0);
        code::give(&self.path().join(".raito"));
        outcome.json().into_iter().find(|line| line["event"] == "summary").expect("a report")
    }

    /// Asks the cloud's API.
    #[track_caller]
    pub fn get(&self, path: &str) -> Value {
        self.raito(&["cloud", "get", path]).exits(0).value()
    }

    /// All items of a list of the cloud's API.
    pub fn list(&self, path: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut cursor = String::new();
        let joint = if path.contains('?') { '&' } else { '?' };
        loop {
            let page = self.get(&format!("{path}{joint}limit=1000{cursor}"));
            items.extend(page["items"].as_array().expect("a list").iter().cloned());
            match page["next-cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
    }

    /// The digest of everything that the cloud holds.
    #[track_caller]
    pub fn digest(&self) -> String {
        self.raito(&["cloud", "export", "--digest"]).exits(0).stdout.trim().to_owned()
    }

    /// Everything that the cloud holds, line by line.
    #[track_caller]
    pub fn export(&self) -> Vec<Value> {
        self.raito(&["cloud", "export"]).exits(0).json()
    }

    /// The events of the audit log, which must verify.
    #[track_caller]
    pub fn events(&self) -> Vec<Value> {
        self.raito(&["audit", "verify"]).exits(0);
        let text = fs::read_to_string(self.audit_log()).expect("a log");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

/// A target for a PostgreSQL server; `grant` is more of its grant, line by line.
pub fn postgresql_target(server: &Postgres, databases: &str, grant: &str) -> String {
    let more: String = grant.lines().map(|line| format!("        {line}\n")).collect();
    format!(
        "cloud: embedded\ntargets:\n  - name: shop\n    connector: {{ file: \"{}\" }}\n    grants:\n      sql.main:\n        \
         url: \"postgresql://{READER}@localhost:{}/\"\n        databases: [{databases}]\n        \
         password: {{ env: PG_PASSWORD }}\n        addresses: [\"127.0.0.1/32\"]\n        ca: \"{}\"\n{more}",
        connector("postgresql").display(),
        server.port,
        server.authority().display()
    )
}

/// The demo warehouse, served by a process of its own.
pub struct Warehouse {
    server: Child,
    pub url: String,
    pub token: String,
}

impl Warehouse {
    /// Serves a warehouse; what it is made of depends on nothing but these arguments.
    pub fn serve(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_raito"));
        command.args(["demo", "--serve", "--now", "1767225600000"]).args(arguments);
        let mut server = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("starts");
        let mut line = String::new();
        BufReader::new(server.stdout.as_mut().expect("piped")).read_line(&mut line).expect("a line");
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
        let text = |key: &str| said[key].as_str().expect("a text").to_owned();
        Self { server, url: text("url"), token: text("token") }
    }

    /// A folder with a target for this warehouse; `more` are more lines of the target.
    pub fn place(&self, more: &str) -> Place {
        let place = Place::new("targets: []\n");
        self.give_token(&place);
        place.configure(&self.target(more));
        place
    }

    /// Puts the warehouse's token where its target looks for it, for its owner only.
    pub fn give_token(&self, place: &Place) {
        use std::os::unix::fs::PermissionsExt as _;
        place.write("warehouse.token", &self.token);
        let private = fs::Permissions::from_mode(0o600);
        fs::set_permissions(place.path().join("warehouse.token"), private).expect("ours");
    }

    /// A configuration with a target for this warehouse.
    pub fn target(&self, more: &str) -> String {
        let more: String = more.lines().map(|line| format!("    {line}\n")).collect();
        format!(
            "cloud: embedded\ntargets:\n  - name: warehouse\n    connector: {{ file: \"{}\" }}\n{more}    grants:\n      http.api:\n        \
             origin: \"{}\"\n        plain-http: true\n        addresses: [\"127.0.0.1/32\"]\n        \
             token: {{ file: warehouse.token }}\n        write: true\n",
            connector("demo").display(),
            self.url
        )
    }
}

impl Drop for Warehouse {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
