//! Answers of a target over HTTP: whatever a server sends, the broker gives an answer within its bounds, or a fault.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use raito_broker::{Brokerage, Material, StateFile};
use raito_config::read_configuration;
use raito_core::call::{Call, Reply, Request};
use raito_core::capability::{Ask, decide};
use raito_core::checkpoint::SignedCheckpoint;
use raito_core::digest::Digest;
use raito_core::event::Event;
use raito_core::grant::Ceiling;
use raito_core::limits;
use raito_core::manifest::Manifest;
use raito_core::ports::{Clock, Ledger, LedgerError, StepBroker, TargetBroker as _, Writes};
use raito_core::step::Step;
use tokio::runtime::Runtime;

const MANIFEST: &str = r#"
name = "t"
version = "1.0.0"
summary = ""
[http.api.routes.get]
mode = "read"
request = "POST /a"
"#;

/// A record that nobody reads.
struct Nowhere;

impl Ledger for Nowhere {
    fn append(&self, _: &Event) -> Result<(), LedgerError> {
        Ok(())
    }
    fn sync(&self) -> Result<(), LedgerError> {
        Ok(())
    }
    fn checkpoint(&self) -> Result<SignedCheckpoint, LedgerError> {
        Err(LedgerError("nothing is kept".into()))
    }
    fn pseudonym(&self, _: &[u8]) -> String {
        String::new()
    }
}

impl Clock for Nowhere {
    fn now_ms(&self) -> u64 {
        1_767_268_800_000
    }
}

/// A broker whose only slot leads to a server of this process, which answers each connection with the next bytes.
struct Target {
    runtime: Runtime,
    broker: Arc<dyn StepBroker>,
    answers: Sender<Vec<u8>>,
}

fn serve(listener: &TcpListener, answers: &Receiver<Vec<u8>>) {
    for connection in listener.incoming().flatten() {
        let Ok(answer) = answers.recv() else { return };
        // A client that hangs up early is as good as one that listens.
        let _ = exchange(connection, &answer);
    }
}

fn exchange(mut connection: TcpStream, answer: &[u8]) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut piece = [0; 4_096];
    while !request.windows(4).any(|four| four == b"\r\n\r\n") {
        match connection.read(&mut piece)? {
            0 => return Ok(()),
            read => request.extend_from_slice(&piece[..read]),
        }
    }
    connection.write_all(answer)?;
    connection.shutdown(Shutdown::Write)?;
    while connection.read(&mut piece)? > 0 {}
    Ok(())
}

fn target() -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let (answers, next) = channel();
    std::thread::spawn(move || serve(&listener, &next));
    let text = format!(
        "cloud: embedded\ntargets:\n  - name: t\n    connector: {{ file: t.wasm }}\n    grants:\n      http.api:\n        \
         origin: \"http://127.0.0.1:{port}\"\n        plain-http: true\n        addresses: [\"127.0.0.1/32\"]\n        \
         methods: [get]\n        rate: 10000\n"
    );
    let configuration = read_configuration(&text, &|_| None).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
    let target = &configuration.targets[0];
    let manifest = Manifest::parse(MANIFEST).expect("a manifest");
    let ask = Ask {
        digest: Digest::ZERO,
        manifest: &manifest,
        imports: &["raito:connector/http@0.1.0".into()],
        exports: &["raito:connector/identity-store@0.1.0".into()],
    };
    let effective = decide(&ask, target, &Ceiling::default()).unwrap_or_else(|refusals| panic!("{refusals:?}"));
    let state = StateFile::open(&std::env::temp_dir().join("raito-fuzz-has-no-state.json")).expect("none");
    let ledger = Arc::new(Nowhere);
    let material = Material::default();
    let brokerage = Brokerage::new(target, &manifest, &effective, material, state, Arc::clone(&ledger) as _, ledger)
        .expect("set up");
    let broker = brokerage.open(Step::IdentityStore, Writes::Refused);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    Target { runtime, broker, answers }
}

/// The bytes are what a server answers a request with that is not sent again. Answers that ask for patience (429, 503) are
/// left out: what follows is waiting.
pub fn answers(data: &[u8]) {
    static TARGET: LazyLock<Mutex<Target>> = LazyLock::new(|| Mutex::new(target()));
    if data.get(9..12).is_some_and(|status| status == b"429" || status == b"503") {
        return;
    }
    let target = TARGET.lock().unwrap_or_else(PoisonError::into_inner);
    target.answers.send(data.to_vec()).expect("served");
    let call = Call { slot: "http.api".into(), entry: "get".into(), at: None, arguments: Vec::new() };
    match target.runtime.block_on(target.broker.call(Request::HttpSend(vec![call]))) {
        Reply::Sent(done) => {
            let [done] = done.as_slice() else { panic!("{} answers to one call", done.len()) };
            if let Ok(done) = done {
                let reply = done.reply.as_ref().expect("it was sent");
                assert!((200..600).contains(&reply.status), "status {}", reply.status);
                assert!(reply.body.len() <= data.len().min(limits::HTTP_BODY_BYTES));
                let header_bytes: usize = reply.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
                assert!(header_bytes <= limits::HTTP_HEADER_BYTES);
                let withheld = ["set-cookie", "set-cookie2", "www-authenticate", "proxy-authenticate", "authorization"];
                assert!(reply.headers.iter().all(|(name, _)| !withheld.contains(&name.to_lowercase().as_str())));
            }
        }
        Reply::Fault(_) => {}
        other => panic!("another kind of answer: {other:?}"),
    }
}
