//! Resolving names under the address policy. It is asked for every new connection, so a name that suddenly leads somewhere
//! else is held against the policy again.

use std::io;
use std::net::{IpAddr, SocketAddr};

use raito_core::address::{AddressDenied, AddressRange, check_address};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// The policy of one client, which asks it for names only: an address in a URL is checked by `literal`.
pub(super) struct Policy {
    granted: Vec<AddressRange>,
}

impl Policy {
    pub(super) fn new(granted: Vec<AddressRange>) -> Self {
        Self { granted }
    }
}

impl Resolve for Policy {
    fn resolve(&self, name: Name) -> Resolving {
        let granted = self.granted.clone();
        Box::pin(async move {
            // Port 0 is replaced by the client with the origin's.
            let allowed = addresses(name.as_str(), 0, &granted).await??;
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Checks a host that is written as an address; nothing is asked of a resolver for it.
pub(super) fn literal(host: &str, granted: &[AddressRange]) -> Result<(), AddressDenied> {
    match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        Ok(address) => check_address(address, granted),
        Err(_) => Ok(()),
    }
}

/// The addresses of a host that may be connected to.
pub(super) async fn addresses(
    host: &str,
    port: u16,
    granted: &[AddressRange],
) -> io::Result<Result<Vec<SocketAddr>, NotAllowed>> {
    let found = tokio::net::lookup_host((host, port)).await?;
    Ok(allowed(found, granted))
}

/// The addresses that may be connected to; an error where there are none, with the reason of the last refusal.
fn allowed(found: impl Iterator<Item = SocketAddr>, granted: &[AddressRange]) -> Result<Vec<SocketAddr>, NotAllowed> {
    let mut allowed = Vec::new();
    let mut refused = None;
    for address in found {
        match check_address(address.ip(), granted) {
            Ok(()) => allowed.push(address),
            Err(denied) => refused = Some(denied),
        }
    }
    if allowed.is_empty() { Err(NotAllowed(refused)) } else { Ok(allowed) }
}

/// A name leads nowhere that may be connected to.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.as_ref().map_or_else(|| "the name has no address".to_owned(), ToString::to_string))]
pub(crate) struct NotAllowed(Option<AddressDenied>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leads_to_a_private_address_leads_nowhere() {
        let found = || ["127.0.0.1:0", "93.184.216.34:0"].map(|text| text.parse().expect("an address")).into_iter();
        let public = allowed(found(), &[]).expect("one is public");
        assert_eq!(public.len(), 1);
        let error = allowed(found().take(1), &[]).expect_err("loopback is not granted").to_string();
        assert!(error.contains("addresses: [\"127.0.0.1/32\"]"), "{error}");
        let granted = ["127.0.0.0/8".parse().expect("a range")];
        assert_eq!(allowed(found(), &granted).expect("only what is granted").len(), 1);
    }

    #[test]
    fn an_address_in_a_url_is_checked_in_every_form() {
        for host in ["127.0.0.1", "[::1]", "::1", "[::ffff:10.0.0.1]", "169.254.169.254"] {
            assert!(literal(host, &[]).is_err(), "{host}");
        }
        assert!(literal("example.org", &[]).is_ok() && literal("[2606:2800:220:1::1]", &[]).is_ok());
    }
}
