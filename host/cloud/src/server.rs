//! The server: an axum router over the store. One table of routes gives the router, the scopes and the OpenAPI page.

mod activity;
mod answer;
mod applied;
mod auth;
mod connections;
mod controls;
mod draft;
mod effective;
mod export;
mod held;
mod naming;
mod openapi;
mod paging;
mod patience;
mod people;
mod quotas;
mod removals;
mod route;
mod runs;
mod sources;
mod tokens;
mod usage;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header;
use bytes::Bytes;
use raito_core::digest::Digest;
use raito_core::limits;
use raito_core::ports::Clock;
use tokio::net::{TcpListener, TcpSocket, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::api::BASE;
use crate::store::Store;

use quotas::Quotas;

pub use tokens::new_token;

/// What all handlers share.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    /// The digest of the token that the host itself uses, which has every scope.
    pub(crate) own_token: Digest,
    quotas: Arc<Quotas>,
}

/// Where a server listens.
pub enum Listen {
    /// On a Unix socket.
    Socket(UnixListener),
    /// On a port.
    Port(TcpListener),
}

/// A server cannot be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {0}: {1}")]
pub struct ServeError(pub String, #[source] pub std::io::Error);

impl Listen {
    /// A socket that only its owner can connect to. One that a dead process left is replaced.
    ///
    /// # Errors
    /// `ServeError` where the socket cannot be made.
    pub fn socket(path: &Path) -> Result<Self, ServeError> {
        let error = |error| ServeError(path.display().to_string(), error);
        match std::fs::remove_file(path) {
            Err(gone) if gone.kind() == std::io::ErrorKind::NotFound => {}
            removed => removed.map_err(error)?,
        }
        // The folder is readable by its owner only, so nobody else reaches the socket in it.
        UnixListener::bind(path).map(Self::Socket).map_err(error)
    }

    /// A port of this address, and the address that the system gave it.
    ///
    /// # Errors
    /// `ServeError` where somebody has that port already, or the address is none of this machine.
    pub fn port(address: SocketAddr) -> Result<(Self, SocketAddr), ServeError> {
        let listen = || {
            let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            // One that ended a moment ago keeps its port from nobody (socket(7)).
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            let listener = socket.listen(limits::CLOUD_BACKLOG)?;
            let bound = listener.local_addr()?;
            Ok((Self::Port(listener), bound))
        };
        listen().map_err(|error| ServeError(address.to_string(), error))
    }
}

/// A server that is running.
pub struct Running {
    stop: watch::Sender<bool>,
    servers: JoinSet<()>,
    store: Store,
}

impl Running {
    /// Stops listening, lets requests that are worked on end within a bound, and closes the store.
    pub async fn stop(mut self) {
        // There is always a receiver: the servers are part of this.
        let _ = self.stop.send(true);
        while self.servers.join_next().await.is_some() {}
        self.store.close().await;
    }

    /// Waits until the server ends by itself, which it does not.
    pub async fn wait(&mut self) {
        self.servers.join_next().await;
    }
}

/// Serves a store. `own_token` is a token that is not kept anywhere and has every scope.
pub fn serve(store: Store, clock: Arc<dyn Clock>, own_token: &str, listen: Vec<Listen>) -> Running {
    let own_token = Digest::of(own_token.as_bytes());
    let app = App { store: store.clone(), clock, own_token, quotas: Arc::default() };
    let router = router(&app);
    let (stop, stopped) = watch::channel(false);
    let mut servers = JoinSet::new();
    for listen in listen {
        let (router, stopped) = (router.clone(), stopped.clone());
        match listen {
            Listen::Socket(listener) => {
                servers.spawn(connections::serve(listener, router, limits::CLOUD_CONNECTIONS_OF_HOST, stopped));
            }
            Listen::Port(listener) => {
                let most = connections::most_of_a_port();
                servers.spawn(connections::serve(listener, router, most, stopped));
            }
        }
    }
    Running { stop, servers, store }
}

/// All routes under their scopes.
fn router(app: &App) -> Router {
    let mut api = Router::new();
    for route in route::all() {
        let needs = (app.clone(), route.scope, route.work);
        let guarded = route.handler.route_layer(axum::middleware::from_fn_with_state(needs, auth::guard));
        api = api.route(route.path, guarded);
    }
    // It stands beside the API for whoever looks for it there, and in it for `raito cloud get`. Its
    // bytes are shared by all answers.
    let document = Bytes::from(openapi::document().to_string());
    let document = axum::routing::get(move || {
        let document = document.clone();
        async move { ([(header::CONTENT_TYPE, "application/json")], document) }
    });
    Router::new()
        .nest(BASE, api.route("/openapi.json", document.clone()))
        .route("/openapi.json", document)
        .route("/healthz", axum::routing::get(|| async { "ok\n" }))
        .fallback(answer::not_found)
        .layer(DefaultBodyLimit::max(limits::CLOUD_BODY_BYTES))
        .with_state::<()>(app.clone())
}
