//! Reaching the cloud that a configuration names: the embedded one is served here unless another process serves it already.

use std::fs;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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

/// A way to the cloud, and the server behind it where it is served here.
pub(crate) struct Connected {
    pub(crate) client: Client,
    served: Option<Served>,
}

/// The embedded cloud, served by this process.
pub(crate) struct Served {
    pub(crate) running: Running,
    token_file: PathBuf,
    _lock: Lock,
    _socket: SocketPath,
}

impl Connected {
    /// Reaches the cloud.
    pub(crate) async fn open(choice: &CloudChoice, state: &StateDir, base: &Path) -> Result<Self, CliError> {
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
                let endpoint = Endpoint::Remote { url: url.clone(), authorities };
                Ok(Self { client: client(&endpoint, token)?, served: None })
            }
            CloudChoice::Embedded => Self::embedded(state).await,
        }
    }

    async fn embedded(state: &StateDir) -> Result<Self, CliError> {
        let socket = SocketPath::new(state.path())?;
        match state.lock_cloud()? {
            Some(lock) => {
                let (served, token) = start(state, lock, socket, Vec::new()).await?;
                let endpoint = Endpoint::Socket(served._socket.path.clone());
                Ok(Self { client: client(&endpoint, own_token(token)?)?, served: Some(served) })
            }
            None => {
                let bytes = files::read(&state.cloud_token(), 256, codes::CLOUD_UNREACHABLE)
                    .map_err(|error| error.at("the embedded cloud is served by another process"))?;
                let token = own_token(String::from_utf8_lossy(&bytes).into_owned())?;
                Ok(Self { client: client(&Endpoint::Socket(socket.leak()), token)?, served: None })
            }
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
    /// Stops serving.
    pub(crate) async fn stop(self) {
        self.running.stop().await;
        // Where it cannot be removed, the next server writes another one over it.
        let _ = fs::remove_file(self.token_file);
    }
}

/// Serves the embedded cloud on its socket, and on more where asked. Gives the token that this process uses.
pub(crate) async fn start(
    state: &StateDir,
    lock: Lock,
    socket: SocketPath,
    more: Vec<Listen>,
) -> Result<(Served, String), CliError> {
    let failed =
        |error: String| CliError::new(codes::CLOUD_FAILED, format!("the embedded cloud cannot be served: {error}"));
    let store = Store::open(&state.cloud_database()).await.map_err(|error| failed(error.to_string()))?;
    let token = new_token();
    let token_file = state.cloud_token();
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&token_file)
        .and_then(|mut file| file.write_all(token.as_bytes()));
    written.map_err(|error| failed(error.to_string()))?;
    let mut listen = vec![Listen::socket(&socket.path).map_err(|error| failed(error.to_string()))?];
    listen.extend(more);
    let running = serve(store, Arc::new(SystemClock), &token, listen);
    Ok((Served { running, token_file, _lock: lock, _socket: socket }, token))
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
