//! What tests stand on: a real PostgreSQL for each, the program as people start it, and seeds that are printed.

pub mod code;
#[allow(dead_code, reason = "benches have none")]
pub mod pooler;
pub mod postgres;
pub mod raito;
pub mod random;
#[allow(dead_code, reason = "tests of the broker use the rest")]
pub mod server;
pub mod snapshot;

pub use postgres::Postgres;
pub use raito::{Outcome, Place, Warehouse, connector};
pub use random::Random;
