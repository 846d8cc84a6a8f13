//! `raito demo`: a warehouse on loopback, a run, a change that the cloud wants, a run that carries it out, and the proof.

use std::fs;
use std::path::{Path, PathBuf};

use indicatif::MultiProgress;
use raito_config::CloudChoice;
use raito_core::ports::Clock as _;
use raito_warehouse::{Options, Served, Size, serve};
use serde_json::json;
use tokio::net::TcpListener;

use super::{audit, configuration, run};
use crate::args::{Audit, Demo, Global, Run, Verify};
use crate::clock::SystemClock;
use crate::cloud::{Connected, Serving};
use crate::codes;
use crate::error::CliError;
use crate::exit::Exit;
use crate::files;
use crate::render::{data, say};

/// The target of the demo.
const TARGET: &str = "warehouse";

/// Serves the warehouse and shows a run on it.
pub(super) async fn run(global: &Global, args: &Demo, bars: &MultiProgress) -> Result<Exit, CliError> {
    let token = raito_cloud::new_token();
    let served = start(args, &token).await?;
    if args.serve {
        data(&json!({ "v": 1, "url": format!("http://{}", served.address), "token": token }).to_string());
        super::cloud::interrupted().await;
        served.stop().await;
        return Ok(Exit::Done);
    }
    let folder = Folder::new(args.dir.as_deref())?;
    let result = show(global, args, bars, &folder.path, &served, &token).await;
    served.stop().await;
    if args.dir.is_some() {
        say(&format!("everything is in {}", files::shown(&folder.path)));
    }
    result
}

async fn start(args: &Demo, token: &str) -> Result<Served, CliError> {
    let failed = |error: std::io::Error| CliError::new(codes::HOST, format!("the warehouse cannot be served: {error}"));
    let listener = TcpListener::bind(("127.0.0.1", args.port)).await.map_err(failed)?;
    let options = Options {
        seed: args.seed,
        size: Size { tables: args.tables, ..Size::default() },
        token: token.to_owned(),
        faults: args.fault.clone(),
        now_ms: args.now.unwrap_or_else(|| SystemClock.now_ms()),
    };
    serve(listener, &options).map_err(failed)
}

/// A folder that goes with the demo unless somebody named it. The cloud of an earlier demo would miss what that one's
/// warehouse had, so it is empty at first.
struct Folder {
    path: PathBuf,
    temporary: bool,
}

impl Folder {
    fn new(named: Option<&Path>) -> Result<Self, CliError> {
        let path = match named {
            Some(path) => path.to_path_buf(),
            None => std::env::temp_dir().join(format!("raito-demo-{}", std::process::id())),
        };
        if fs::read_dir(&path).is_ok_and(|mut entries| entries.next().is_some()) {
            let message =
                format!("{} is not empty, and the warehouse of the demo begins anew each time", files::shown(&path));
            return Err(
                CliError::new(codes::USAGE, message).help("take it away, or name a folder that is not there yet")
            );
        }
        files::make_private_folder(&path)?;
        Ok(Self { path, temporary: named.is_none() })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.temporary {
            // What stays is a folder among temporary ones.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

async fn show(
    global: &Global,
    args: &Demo,
    bars: &MultiProgress,
    folder: &Path,
    served: &Served,
    token: &str,
) -> Result<Exit, CliError> {
    let connector = args.connector.canonicalize().map_err(|error| {
        CliError::new(
            codes::CONNECTOR_FILE,
            format!("cannot read {}: {}", files::shown(&args.connector), files::reason(&error)),
        )
        .help("run `make connectors`, or name the file with --connector")
    })?;
    let file = write_configuration(folder, &connector, served, token)?;
    let global = Global { config_file: Some(file), state_dir: None, ceiling: None, ..global.clone() };
    say(&format!(
        "1. A warehouse on http://{}, and a connector that may reach nothing else: the first run reads it.",
        served.address
    ));
    let first = run::run(&global, &Run { parallel: 1, ..Run::default() }, bars).await?;
    if first != Exit::Done {
        return Ok(first);
    }
    say(
        "\n2. In the cloud, somebody gives a new role to a group: the next run carries it out, and finds the rest unchanged.",
    );
    want_role(&global).await?;
    let second = run::run(&global, &Run { parallel: 1, apply_first: true, ..Run::default() }, bars).await?;
    if second != Exit::Done {
        return Ok(second);
    }
    say("\n3. Every call that left is on record, and the record proves itself.");
    audit::run(&global, &Audit::Verify(Verify::default()))
}

/// Writes the demo's configuration and the file with the token.
fn write_configuration(folder: &Path, connector: &Path, served: &Served, token: &str) -> Result<PathBuf, CliError> {
    files::replace_private(&folder.join("warehouse.token"), token.as_bytes())?;
    let text = format!(
        "cloud: embedded\ntargets:\n  - name: {TARGET}\n    connector: {{ file: \"{}\" }}\n    grants:\n      http.api:\n        \
         origin: \"http://{}\"\n        plain-http: true\n        addresses: [\"127.0.0.1/32\"]\n        \
         token: {{ file: warehouse.token }}\n        write: true\n",
        connector.display(),
        served.address
    );
    let file = folder.join("raito.yml");
    files::replace(&file, text.as_bytes())?;
    Ok(file)
}

/// Creates one internal access control through the API, about whatever the first run found.
async fn want_role(global: &Global) -> Result<(), CliError> {
    let loaded = configuration::load(global)?;
    let state = configuration::state(global, &loaded.base)?;
    let cloud = Connected::open(&CloudChoice::Embedded, &state, &loaded.base, Serving::Alone).await?;
    let failed = |error: raito_core::exchange::CloudError| CliError::from(&error);
    let existing = cloud.client.get(&format!("/sources/{TARGET}/internal-access-controls")).await.map_err(failed)?;
    if existing["items"].as_array().is_some_and(Vec::is_empty) {
        let tables =
            cloud.client.get(&format!("/sources/{TARGET}/objects?kind=table&limit=2")).await.map_err(failed)?;
        let groups = cloud.client.get(&format!("/sources/{TARGET}/groups?limit=1")).await.map_err(failed)?;
        let what: Vec<_> = tables["items"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|table| json!({ "object": { "kind": "table", "path": table["path"] }, "permissions": [{ "name": "select" }] }))
            .collect();
        let who = json!([{ "kind": "group", "id": groups["items"][0]["external-id"], "inherits": true }]);
        let role = json!({ "name": "quarterly_report", "kind": "role", "description": "Reads for the quarterly report", "who": who, "what": what });
        cloud
            .client
            .post(&format!("/sources/{TARGET}/internal-access-controls"), Some(&role), None)
            .await
            .map_err(failed)?;
    }
    cloud.close().await;
    Ok(())
}
