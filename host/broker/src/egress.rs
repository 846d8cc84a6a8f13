//! The one way out: nothing else of this crate resolves a name, opens a socket or has an HTTP client, and `tests/tidy.rs`
//! keeps it so.
//!
//! A name is resolved and held against the address policy for each new connection, and the connection is made to the
//! addresses that passed. Redirects are not followed, the environment's proxies are not used, nothing is unpacked, no
//! cookie is kept, HTTP is 1.1.

mod client;
mod resolve;

use raito_core::address::AddressRange;
use raito_core::limits;
use tokio::net::TcpStream;
use tokio::time::timeout;

pub(crate) use client::{Answered, Failure, HttpClient, Setup, ThroughProxy};
pub(crate) use resolve::NotAllowed;

/// Why a connection was not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    /// The policy does not allow any address of it.
    #[error("{0}")]
    NotAllowed(#[from] NotAllowed),
    /// The system says why.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// Nobody answers.
    #[error("it does not answer in time")]
    TimedOut,
}

/// Connects to a host under the address policy.
///
/// # Errors
/// `DialError` where no address is allowed, or none of them answers within `limits::CONNECT`.
pub(crate) async fn dial(host: &str, port: u16, granted: &[AddressRange]) -> Result<TcpStream, DialError> {
    let connect = async {
        let allowed = resolve::addresses(host, port, granted).await??;
        let stream = TcpStream::connect(allowed.as_slice()).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    };
    timeout(limits::CONNECT, connect).await.unwrap_or(Err(DialError::TimedOut))
}
