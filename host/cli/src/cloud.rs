//! Reaching the cloud that a configuration names: the embedded one is served here unless another process serves it already.

mod token;

use std::fs;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use raito_cloud::{Client, Endpoint, Listen, Running, Store, new_token, serve};
use raito_config::CloudChoice;
use raito_core::limits;
use raito_core::secret::Secret;

use crate::clock::SystemClock;
use crate::codes;
use crate::error::CliError;
use crate::files;
use crate::leaks;
use crate::memory;
use crate::secrets;
use crate::state_dir::{Lock, StateDir};

use token::{AGAIN, InUse, TokenFile};

/// A way to the cloud, and the server behind it where it is served here.
pub(crate) struct Connected {
    pub(crate) client: Client,
    served: Option<Served>,
    /// Held while a cloud is asked that another process serves.
    _use: Option<InUse>,
}

/// Whether others may ask the embedded cloud that is served here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Serving {
    /// They may: it is served for long.
    Others,
    /// They wait until this process has ended, which is soon: one that asked would lose its cloud in the middle.
    Alone,
}

/// The embedded cloud, served by this process.
pub(crate) struct Served {
    pub(crate) running: Running,
    for_others: Option<TokenFile>,
    _lock: Lock,
    _socket: SocketPath,
}

impl Connected {
    /// Reaches the cloud.
    pub(crate) async fn open(
        choice: &CloudChoice,
        state: &StateDir,
        base: &Path,
        serving: Serving,
    ) -> Result<Self, CliError> {
        memory::keep_to_itself()?;
        match choice {
            CloudChoice::Remote { url, token, ca } => {
                let token = secrets::fetch(token, base).await.map_err(|error| error.at("cloud.token"))?;
                leaks::watch().add("cloud.token", &token);
                let authorities = match ca {
                    Some(ca) => Some(
                        files::read(&base.join(ca), limits::CONFIG_BYTES, codes::FILE)
                            .map_err(|error| error.at("cloud.ca"))?,
                    ),
                    None => None,
                };
                let endpoint = Endpoint::Remote { url: url.to_string(), authorities };
                Ok(Self { client: client(&endpoint, token)?, served: None, _use: None })
            }
            CloudChoice::Embedded => Self::embedded(state, serving).await,
        }
    }

    async fn embedded(state: &StateDir, serving: Serving) -> Result<Self, CliError> {
        let began = Instant::now();
        loop {
            let socket = SocketPath::new(state.path())?;
            let holder = match state.lock_cloud()? {
                Ok(lock) => {
                    let (served, token) = start(state, lock, socket, Vec::new(), serving).await?;
                    let endpoint = Endpoint::Socket(served._socket.path.clone());
                    return Ok(Self {
                        client: client(&endpoint, own_token(token)?)?,
                        served: Some(served),
                        _use: None,
                    });
                }
                Err(holder) => holder,
            };
            if let Some((token, used)) = TokenFile::of(state).of_server(&holder)? {
                let client = client(&Endpoint::Socket(socket.leak()), own_token(token)?)?;
                return Ok(Self { client, served: None, _use: Some(used) });
            }
            if began.elapsed() > limits::CLOUD_WAIT {
                let message = format!("process {holder} has the embedded cloud in {}", files::shown(state.path()));
                let waited = format!("it did not end within {} s", limits::CLOUD_WAIT.as_secs());
                return Err(CliError::new(codes::STATE_BUSY, format!("{message}, and {waited}"))
                    .help("wait until it has ended; `raito cloud serve` serves many at once"));
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Ends what was started here.
    pub(crate) async fn close(self) {
        if let Some(served) = self.served {
            served.stop().await;
        }
    }
}

impl Served {
    /// Stops serving, once those who ask have their answers or took too long.
    pub(crate) async fn stop(self) {
        if let Some(file) = self.for_others {
            file.end().await;
        }
        self.running.stop().await;
    }
}

/// Serves the embedded cloud on its socket, and on more where asked. Gives the token that this process uses.
pub(crate) async fn start(
    state: &StateDir,
    lock: Lock,
    socket: SocketPath,
    more: Vec<Listen>,
    serving: Serving,
) -> Result<(Served, String), CliError> {
    let failed = |error: &dyn std::fmt::Display, is_of_the_disk: bool| {
        let message = format!("the embedded cloud cannot be served: {error}");
        match is_of_the_disk {
            true => CliError::new(codes::STATE, message).help("make room on the disk, and run this again"),
            false => CliError::new(codes::CLOUD_FAILED, message),
        }
    };
    let file = TokenFile::of(state);
    file.remove()?;
    let store = Store::open(&state.cloud_database()).await;
    let store = store.map_err(|error| failed(&error, error.is_of_the_disk()))?;
    let token = new_token();
    let socket_made = Listen::socket(&socket.path);
    let mut listen = vec![socket_made.map_err(|error| failed(&error, files::is_full(&error.1)))?];
    listen.extend(more);
    let running = serve(store, Arc::new(SystemClock), &token, listen);
    if serving == Serving::Others {
        file.write(&token)?;
    }
    let for_others = (serving == Serving::Others).then_some(file);
    Ok((Served { running, for_others, _lock: lock, _socket: socket }, token))
}

fn client(endpoint: &Endpoint, token: Secret) -> Result<Client, CliError> {
    Client::new(endpoint, token).map_err(|error| CliError::new(codes::CLOUD_UNREACHABLE, error.to_string()))
}

fn own_token(text: String) -> Result<Secret, CliError> {
    Secret::new(text).map_err(|error| {
        CliError::new(codes::CLOUD_UNREACHABLE, format!("the token of the embedded cloud is none: {error}"))
    })
}

/// The path of the socket in a state directory. A socket's path is bounded by about a hundred bytes, so that of a folder
/// deep down is written as an open folder's.
pub(crate) struct SocketPath {
    pub(crate) path: PathBuf,
    folder: Option<fs::File>,
}

/// Bytes of a socket's path: 108 on Linux and 104 on BSD, with a NUL at its end (unix(7)).
const SOCKET_PATH_BYTES: usize = 100;

impl SocketPath {
    pub(crate) fn new(folder: &Path) -> Result<Self, CliError> {
        let path = folder.join("cloud.sock");
        if path.as_os_str().len() <= SOCKET_PATH_BYTES {
            return Ok(Self { path, folder: None });
        }
        let folder = fs::File::open(folder).map_err(|error| {
            CliError::new(codes::STATE, format!("cannot open {}: {}", files::shown(folder), files::reason(&error)))
        })?;
        let path = PathBuf::from(format!("/proc/self/fd/{}/cloud.sock", folder.as_raw_fd()));
        Ok(Self { path, folder: Some(folder) })
    }

    /// The path, with the folder behind it open as long as the process lives.
    fn leak(self) -> PathBuf {
        if let Some(folder) = self.folder {
            std::mem::forget(folder);
        }
        self.path
    }
}
