//! A broker for one HTTP slot, as the program makes it, against servers that run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use raito_broker::{Brokerage, Material, SetupError, StateFile};
use raito_core::call::{Argument, Call, HttpReply, Reply, Request, Value};
use raito_core::capability::{Ask, decide};
use raito_core::digest::Digest;
use raito_core::event::Event;
use raito_core::fault::Fault;
use raito_core::grant::{Ceiling, Target};
use raito_core::manifest::{Manifest, SlotName};
use raito_core::ports::{Clock, Ledger, LedgerError, StepBroker, TargetBroker, Writes};
use raito_core::secret::Secret;
use raito_core::step::Step;

/// A time of day that tests move.
#[derive(Default)]
pub struct TestClock(AtomicU64);

impl TestClock {
    pub fn pass(&self, seconds: u64) {
        self.0.fetch_add(seconds * 1_000, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now_ms(&self) -> u64 {
        1_767_225_600_000 + self.0.load(Ordering::SeqCst)
    }
}

/// A record that is kept in memory.
#[derive(Default)]
pub struct Record(Mutex<Vec<serde_json::Value>>);

impl Record {
    /// The events of a kind.
    pub fn of(&self, kind: &str) -> Vec<serde_json::Value> {
        let events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        events.iter().filter(|event| event["kind"] == kind).cloned().collect()
    }

    pub fn text(&self) -> String {
        serde_json::to_string(&*self.0.lock().unwrap_or_else(PoisonError::into_inner)).expect("JSON")
    }
}

impl Ledger for Record {
    fn append(&self, event: &Event) -> Result<(), LedgerError> {
        let value = serde_json::to_value(event).map_err(|error| LedgerError(error.to_string()))?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(value);
        Ok(())
    }

    fn sync(&self) -> Result<(), LedgerError> {
        Ok(())
    }

    fn checkpoint(&self) -> Result<raito_core::checkpoint::SignedCheckpoint, LedgerError> {
        Err(LedgerError("nothing is signed here".into()))
    }

    fn pseudonym(&self, value: &[u8]) -> String {
        Digest::of(value).to_string()
    }
}

/// A broker with what it stands on.
pub struct Broker {
    pub step: Arc<dyn StepBroker>,
    brokerage: Brokerage,
    pub clock: Arc<TestClock>,
    pub record: Arc<Record>,
    _folder: tempfile::TempDir,
}

impl Broker {
    /// Ends the step, and begins another one that only reads.
    pub async fn next_step(&mut self, step: Step) {
        self.step.close().await;
        self.step = self.brokerage.open(step, Writes::Refused);
    }
}

/// The manifest of a slot `http.api` with one secret slot `token` of a scheme, and a few routes.
fn manifest(scheme: &str) -> String {
    format!(
        "[http.api]\n[http.api.secrets.token]\noptional = true\n{scheme}\n\
         [http.api.routes.list]\nmode = \"read\"\nrequest = \"GET /v1/list?q={{q:text}}\"\n\
         [http.api.routes.search]\nmode = \"read\"\nrequest = \"POST /v1/search\"\nbody = '{{\"q\":{{q:text}}}}'\n"
    )
}

/// What the broker of a step is made of.
pub struct Probe<'p> {
    /// The slot that secrets and files are for.
    pub slot: &'p str,
    /// The slots of the manifest.
    pub manifest: &'p str,
    /// The grant for the slot, in YAML.
    pub grant: &'p str,
    pub secrets: &'p [(&'p str, &'p str)],
    pub files: &'p [(&'p str, &'p str)],
    pub step: Step,
    pub writes: Writes,
}

impl Probe<'_> {
    pub fn open(self) -> Result<Broker, SetupError> {
        let grant: String = self.grant.lines().map(|line| format!("        {line}\n")).collect();
        let text = format!(
            "targets:\n  - name: probe\n    connector: {{ file: probe.wasm }}\n    grants:\n      {}:\n{grant}",
            self.slot
        );
        let configuration = raito_config::read_configuration(&text, &|_| None);
        let configuration = configuration.unwrap_or_else(|mistakes| panic!("{mistakes:?}\n{text}"));
        let target: &Target = &configuration.targets[0];
        let head = "name = \"probe\"\nversion = \"1.0.0\"\nsummary = \"Asks\"\n";
        let manifest = Manifest::parse(&format!("{head}{}", self.manifest));
        let manifest = manifest.unwrap_or_else(|errors| panic!("{errors:?}"));
        let exports = [format!("raito:connector/{}@0.1.0", self.step.name())];
        let ask = Ask { digest: Digest::of(b""), manifest: &manifest, imports: &[], exports: &exports };
        let effective = decide(&ask, target, &Ceiling::default()).unwrap_or_else(|refused| panic!("{refused:?}"));
        let slot = SlotName::parse(self.slot).expect("a slot");
        let mut material = Material::default();
        for (name, text) in self.secrets {
            let secret = Secret::new((*text).to_owned()).expect("a secret");
            material.watch.add(name, &secret);
            material.secrets.insert((slot.clone(), (*name).to_owned()), secret);
        }
        let named = |(name, text): &(&str, &str)| ((slot.clone(), (*name).to_owned()), text.as_bytes().to_vec());
        material.files = self.files.iter().map(named).collect::<BTreeMap<_, _>>();
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateFile::open(&folder.path().join("state")).expect("a state");
        let (clock, record) = (Arc::new(TestClock::default()), Arc::new(Record::default()));
        let brokerage = Brokerage::new(
            target,
            &manifest,
            &effective,
            material,
            state,
            Arc::clone(&record) as _,
            Arc::clone(&clock) as _,
        )?;
        Ok(Broker { step: brokerage.open(self.step, self.writes), brokerage, clock, record, _folder: folder })
    }
}

/// The broker of a target with these grants for `http.api`, in YAML, and these secrets and files.
pub fn try_broker(
    scheme: &str,
    grant: &str,
    secrets: &[(&str, &str)],
    files: &[(&str, &str)],
) -> Result<Broker, SetupError> {
    let (manifest, grant) = (manifest(scheme), format!("methods: [search]\n{grant}"));
    let (step, writes) = (Step::IdentityStore, Writes::Refused);
    Probe { slot: "http.api", manifest: &manifest, grant: &grant, secrets, files, step, writes }.open()
}

pub fn broker(scheme: &str, grant: &str, secrets: &[(&str, &str)], files: &[(&str, &str)]) -> Broker {
    try_broker(scheme, grant, secrets, files).unwrap_or_else(|error| panic!("{error}"))
}

impl Broker {
    /// Sends a call of an entry.
    pub async fn send(&self, entry: &str, q: &str) -> Result<HttpReply, Fault> {
        let call = call(entry, q);
        match self.step.call(Request::HttpSend(vec![call])).await {
            Reply::Sent(mut done) => done.remove(0).map(|done| done.reply.expect("it was sent")),
            Reply::Fault(fault) => Err(fault),
            other => panic!("{other:?}"),
        }
    }

    pub async fn list(&self) -> Result<HttpReply, Fault> {
        self.send("list", "x").await
    }
}

pub fn call(entry: &str, q: &str) -> Call {
    let argument = Argument { name: "q".into(), value: Value::Text(q.into()) };
    Call { slot: "http.api".into(), entry: entry.into(), at: None, arguments: vec![argument] }
}
