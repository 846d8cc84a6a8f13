//! A small data warehouse behind HTTP: people, nested groups, datasets with tables, roles, grants, access lists, masks
//! and a usage log. It is what `raito demo` serves, what the `demo` connector reads and changes, and what tests break on
//! purpose. It knows nothing of the rest of the workspace, as a real target would.
//!
//! Everything is made from a seed and kept in memory. `faults` are the ways in which real services misbehave.

mod faults;
mod model;
mod routes;
mod seed;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::oneshot;

pub use faults::Fault;
pub use model::{Model, Size};

/// What a warehouse is made from.
#[derive(Debug, Clone)]
pub struct Options {
    /// The seed of everything in it.
    pub seed: u64,
    /// How much there is.
    pub size: Size,
    /// The bearer token that every request needs.
    pub token: String,
    /// How it misbehaves.
    pub faults: Vec<Fault>,
    /// The end of the usage log, in milliseconds since 1970.
    pub now_ms: u64,
}

/// A warehouse that is being served.
pub struct Served {
    /// Where.
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    ended: tokio::task::JoinHandle<()>,
}

impl Served {
    /// Stops serving and waits until every open request was answered.
    pub async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            // The receiver is gone only where the server has ended already.
            let _ = stop.send(());
        }
        let _ = (&mut self.ended).await;
    }
}

/// Serves a warehouse on a listener until it is stopped.
pub fn serve(listener: TcpListener, options: &Options) -> std::io::Result<Served> {
    let address = listener.local_addr()?;
    let app = routes::router(Arc::new(routes::Warehouse::new(options)));
    let (stop, stopped) = oneshot::channel();
    let ended = tokio::spawn(async move {
        let server = axum::serve(listener, app).with_graceful_shutdown(async {
            let _ = stopped.await;
        });
        // A server on an open listener ends only when it is told to.
        let _ = server.await;
    });
    Ok(Served { address, stop: Some(stop), ended })
}
