//! `raito access lsp`: what `raito access` knows, told to an editor by the Language Server Protocol 3.17 over standard input and
//! output. Nothing is changed: neither files, nor the state directory, nor a target.
//!
//! Messages are answered one after the other. Mistakes are told when no message waits, so that typing is not held up.

mod answer;
mod folder;
mod frame;
mod reads;

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};

use lsp_server::{ErrorCode, Message, Notification, Request, RequestId, Response};
use lsp_types::notification::{
    DidChangeTextDocument, DidChangeWatchedFiles, DidCloseTextDocument, DidOpenTextDocument, DidSaveTextDocument,
    Exit as ExitNote, Initialized, LogMessage, Notification as _, PublishDiagnostics,
};
use lsp_types::request::{Initialize, RegisterCapability, Request as _, Shutdown};
use lsp_types::{
    Diagnostic, DidChangeTextDocumentParams, DidChangeWatchedFilesRegistrationOptions, DidCloseTextDocumentParams,
    DidOpenTextDocumentParams, FileSystemWatcher, GlobPattern, InitializeParams, LogMessageParams, MessageType,
    Registration, RegistrationParams,
};
use raito_access::editor::Units;
use raito_core::limits;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use self::folder::Folder;
use self::frame::Incoming;
use self::reads::Reads;
use crate::args::Global;
use crate::args::access::{LspArgs, Paths};
use crate::codes;
use crate::error::CliError;
use crate::exit::Exit;

/// Serves an editor until it says `exit`, or its end of the input is closed.
pub(super) fn run(global: &Global, args: &LspArgs) -> Result<Exit, CliError> {
    let messages = listen()?;
    let mut server = Server::new(global, args)?;
    let served = server.serve(&messages);
    // Nobody reads what is written any more: the editor is gone.
    Ok(served.unwrap_or(Exit::Failed))
}

/// Reads messages on a thread of its own, until the input ends.
fn listen() -> Result<Receiver<Incoming>, CliError> {
    let (sender, receiver) = sync_channel(limits::EDITOR_QUEUE);
    let read = move || {
        let mut input = io::stdin().lock();
        while let Ok(Some(incoming)) = frame::read(&mut input) {
            if sender.send(incoming).is_err() {
                return;
            }
        }
    };
    match std::thread::Builder::new().name("messages".into()).stack_size(limits::STACK_BYTES).spawn(read) {
        Ok(_) => Ok(receiver),
        Err(error) => Err(CliError::new(codes::HOST, format!("a thread cannot be started: {error}"))),
    }
}

/// How far the conversation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The editor has not introduced itself.
    Fresh,
    Running,
    /// The editor said that it is about to end.
    ShutDown,
}

struct Server {
    global: Global,
    args: LspArgs,
    phase: Phase,
    folder: Folder,
    reads: Reads,
    units: Units,
    /// Whether the editor tells of files that change on disk.
    watches: bool,
    /// Whether something came that may make other mistakes.
    changed: bool,
    /// The mistakes that the editor was told, by what it calls the file.
    told: BTreeMap<String, Vec<Diagnostic>>,
    notes: Vec<String>,
}

impl Server {
    fn new(global: &Global, args: &LspArgs) -> Result<Self, CliError> {
        let here = std::env::current_dir()
            .map_err(|error| CliError::new(codes::FILE, format!("this folder cannot be found: {error}")))?;
        // Paths that were typed are seen from here, whichever folder the editor names.
        let whole = |path: &PathBuf| here.join(path);
        let global = Global {
            config_file: global.config_file.as_ref().map(whole),
            state_dir: global.state_dir.as_ref().map(whole),
            ..global.clone()
        };
        let snapshot = args.snapshot.iter().map(|(name, path)| (name.clone(), whole(path))).collect();
        let args = LspArgs { paths: Paths { paths: args.paths.paths.iter().map(whole).collect() }, snapshot };
        Ok(Self {
            folder: Folder::new(here, global.clone(), args.paths.clone()),
            reads: Reads::new(global.clone(), args.snapshot.clone()),
            global,
            args,
            phase: Phase::Fresh,
            units: Units::Utf16,
            watches: false,
            changed: false,
            told: BTreeMap::new(),
            notes: Vec::new(),
        })
    }

    fn serve(&mut self, messages: &Receiver<Incoming>) -> io::Result<Exit> {
        loop {
            let incoming = match messages.try_recv() {
                Ok(incoming) => incoming,
                Err(TryRecvError::Disconnected) => break,
                Err(TryRecvError::Empty) => {
                    self.settle()?;
                    match messages.recv() {
                        Ok(incoming) => incoming,
                        Err(_) => break,
                    }
                }
            };
            match incoming {
                Incoming::Wrong(wrong) => frame::refuse(&mut io::stdout().lock(), &wrong)?,
                Incoming::Message(Message::Request(request)) => self.request(request)?,
                Incoming::Message(Message::Notification(note)) if note.method == ExitNote::METHOD => {
                    return Ok(if self.phase == Phase::ShutDown { Exit::Done } else { Exit::Failed });
                }
                Incoming::Message(Message::Notification(note)) => self.notification(note)?,
                // What the editor answers changes nothing.
                Incoming::Message(Message::Response(_)) => {}
            }
        }
        Ok(if self.phase == Phase::ShutDown { Exit::Done } else { Exit::Failed })
    }

    fn send(&self, message: impl Into<Message>) -> io::Result<()> {
        message.into().write(&mut io::stdout().lock())
    }

    fn notify(&self, method: &str, params: impl Serialize) -> io::Result<()> {
        self.send(Notification::new(method.to_owned(), params))
    }

    fn refuse(&self, id: RequestId, code: ErrorCode, reason: impl Into<String>) -> io::Result<()> {
        self.send(Response::new_err(id, code as i32, reason.into()))
    }

    fn request(&mut self, request: Request) -> io::Result<()> {
        let Request { id, method, params } = request;
        match (self.phase, method.as_str()) {
            (Phase::Fresh, Initialize::METHOD) => match serde_json::from_value(params) {
                Ok(params) => {
                    let answer = self.initialize(params);
                    self.send(Response::new_ok(id, answer))
                }
                Err(error) => self.refuse(id, ErrorCode::InvalidParams, error.to_string()),
            },
            (Phase::Fresh, _) => self.refuse(id, ErrorCode::ServerNotInitialized, "initialize comes first"),
            (Phase::ShutDown, _) => self.refuse(id, ErrorCode::InvalidRequest, "the server is shut down"),
            (Phase::Running, Initialize::METHOD) => {
                self.refuse(id, ErrorCode::InvalidRequest, "the server is initialized already")
            }
            (Phase::Running, Shutdown::METHOD) => {
                self.phase = Phase::ShutDown;
                self.send(Response::new_ok(id, Value::Null))
            }
            (Phase::Running, _) => {
                if self.changed {
                    self.look();
                }
                match answer::answer(&self.folder, &self.reads, self.units, &method, params) {
                    Ok(answer) => self.send(Response::new_ok(id, answer)),
                    Err((code, reason)) => self.refuse(id, code, reason),
                }
            }
        }
    }

    /// Takes in what the editor can do, and says what the server can.
    fn initialize(&mut self, params: InitializeParams) -> Value {
        self.phase = Phase::Running;
        if let Some(root) = root(&params) {
            // Everything is looked for as the commands look for it in that folder.
            match std::env::set_current_dir(&root) {
                Ok(()) => self.folder = Folder::new(root, self.global.clone(), self.args.paths.clone()),
                Err(error) => self.notes.push(format!("{} cannot be used: {error}", root.display())),
            }
        }
        let offered = params.capabilities.general.and_then(|general| general.position_encodings).unwrap_or_default();
        if offered.contains(&lsp_types::PositionEncodingKind::UTF8) {
            self.units = Units::Utf8;
        }
        let watched = params.capabilities.workspace.and_then(|workspace| workspace.did_change_watched_files);
        self.watches = watched.and_then(|watched| watched.dynamic_registration).unwrap_or_default();
        self.changed = true;
        json!({
            "capabilities": answer::capabilities(self.units),
            "serverInfo": { "name": "raito", "version": env!("CARGO_PKG_VERSION") },
        })
    }

    fn notification(&mut self, note: Notification) -> io::Result<()> {
        if self.phase != Phase::Running {
            return Ok(());
        }
        match note.method.as_str() {
            Initialized::METHOD => self.watch()?,
            DidOpenTextDocument::METHOD => {
                if let Some(DidOpenTextDocumentParams { text_document: opened }) = self.params(note) {
                    self.take(opened.uri.as_str(), opened.version, opened.text);
                }
            }
            DidChangeTextDocument::METHOD => {
                if let Some(params) = self.params::<DidChangeTextDocumentParams>(note) {
                    // The server asked for whole texts; of several, the last one counts.
                    match params.content_changes.into_iter().next_back() {
                        Some(change) if change.range.is_none() => {
                            self.take(params.text_document.uri.as_str(), params.text_document.version, change.text);
                        }
                        _ => self.notes.push("a change without the whole text is not taken".to_owned()),
                    }
                }
            }
            DidCloseTextDocument::METHOD => {
                if let Some(params) = self.params::<DidCloseTextDocumentParams>(note) {
                    let path = path_of(params.text_document.uri.as_str());
                    if let Some(closed) = path.and_then(|path| self.folder.close(&path)) {
                        self.told.entry(closed.uri).or_default();
                    }
                }
            }
            DidSaveTextDocument::METHOD | DidChangeWatchedFiles::METHOD => {}
            // What the server does not know is no matter for it (section "$ Notifications and Requests").
            _ => return Ok(()),
        }
        self.changed = true;
        Ok(())
    }

    /// The parameters of a notification; one that has others is told and gone over.
    fn params<P: DeserializeOwned>(&mut self, note: Notification) -> Option<P> {
        let read = serde_json::from_value(note.params);
        read.map_err(|error| self.notes.push(format!("{}: {error}", note.method))).ok()
    }

    fn take(&mut self, uri: &str, version: i32, text: String) {
        let Some(path) = path_of(uri) else { return };
        if let Err(reason) = self.folder.take(path, uri.to_owned(), version, text) {
            self.notes.push(format!("{uri}: {reason}"));
        }
    }

    /// Asks the editor to tell of files that change on disk, where it can.
    fn watch(&self) -> io::Result<()> {
        if !self.watches {
            return Ok(());
        }
        let watcher = |glob: &str| FileSystemWatcher { glob_pattern: GlobPattern::String(glob.to_owned()), kind: None };
        let options =
            DidChangeWatchedFilesRegistrationOptions { watchers: ["**/*.yml", "**/*.yaml"].map(watcher).to_vec() };
        let registration = Registration {
            id: "files".to_owned(),
            method: DidChangeWatchedFiles::METHOD.to_owned(),
            register_options: serde_json::to_value(options).ok(),
        };
        let params = RegistrationParams { registrations: vec![registration] };
        self.send(Request::new("watch".to_owned().into(), RegisterCapability::METHOD.to_owned(), params))
    }

    fn look(&mut self) {
        let notes = self.folder.refresh();
        self.notes.extend(notes);
    }

    /// Tells what is to be told now that no message waits: mistakes that are other ones than before, and notes.
    fn settle(&mut self) -> io::Result<()> {
        if self.changed {
            self.changed = false;
            self.look();
            self.tell()?;
        }
        self.notes.extend(self.reads.notes());
        for message in std::mem::take(&mut self.notes) {
            self.notify(LogMessage::METHOD, LogMessageParams { typ: MessageType::WARNING, message })?;
        }
        Ok(())
    }

    /// Tells the mistakes of every file that has others than the editor was told, and once of every document that is open.
    fn tell(&mut self) -> io::Result<()> {
        let mut now: BTreeMap<String, Vec<Diagnostic>> =
            self.folder.all_open().map(|open| (open.uri.clone(), Vec::new())).collect();
        for file in self.folder.mistakes() {
            let Some(held) = self.folder.files.get(file.file) else { continue };
            let Some(uri) = self.uri(&held.path) else { continue };
            now.insert(uri, answer::diagnostics(&held.page, &file.mistakes, self.units));
        }
        for uri in self.told.keys() {
            now.entry(uri.clone()).or_default();
        }
        for (uri, diagnostics) in &now {
            if self.told.get(uri) != Some(diagnostics) {
                let open = path_of(uri).and_then(|path| self.folder.open(&path).map(|open| open.version));
                let params = json!({ "uri": uri, "diagnostics": diagnostics, "version": open });
                self.notify(PublishDiagnostics::METHOD, params)?;
            }
        }
        // Files without mistakes that nobody has open need no telling again.
        let open: Vec<&str> = self.folder.all_open().map(|open| open.uri.as_str()).collect();
        now.retain(|uri, diagnostics| !diagnostics.is_empty() || open.contains(&uri.as_str()));
        self.told = now;
        io::stdout().flush()
    }

    /// What the editor calls a file.
    fn uri(&self, path: &Path) -> Option<String> {
        self.folder.open(path).map(|open| open.uri.clone()).or_else(|| uri_of(path))
    }
}

/// The folder that the editor works on: the first one, where it has several.
fn root(params: &InitializeParams) -> Option<PathBuf> {
    let folder = params.workspace_folders.as_ref().and_then(|folders| folders.first());
    #[expect(deprecated, reason = "editors that know no other way send it")]
    let root = folder.map(|folder| &folder.uri).or(params.root_uri.as_ref());
    root.and_then(|uri| path_of(uri.as_str()))
}

/// The path of a document; none where it is no file.
fn path_of(uri: &str) -> Option<PathBuf> {
    url::Url::parse(uri).ok().filter(|url| url.scheme() == "file")?.to_file_path().ok()
}

fn uri_of(path: &Path) -> Option<String> {
    url::Url::from_file_path(path).ok().map(String::from)
}
