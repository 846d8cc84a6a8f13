//! Everything that a connector may touch outside, under grants and on record.
//!
//! A call of a guest passes, in this order: the manifest and the effective grants (`session`), the encoding of its values
//! (core's vocabulary), the budgets (`budget`), the audit log (written before anything leaves), and only then the network
//! (`http`, `sql` over `egress`), where credentials are put in last. There is no other way out of this crate. On the way back,
//! everything is searched for secrets (`session/screen`) before the guest gets it.

mod budget;
mod credential;
mod egress;
mod http;
mod pacing;
mod session;
mod sql;
mod state;
mod survey;
mod target;
mod tls;
mod told;

pub use state::StateFile;
pub use survey::Surveyed;
pub use target::{Brokerage, Material, SetupError};

/// How many authorities the system trusts.
pub fn system_authorities() -> usize {
    rustls_native_certs::load_native_certs().certs.len()
}
