//! Which addresses a granted name may lead to.
//!
//! A name is granted, an address is only what somebody's name server answers. So every address that a connection is about
//! to use is held against this policy, also after a name was resolved again. Special-purpose ranges are those of the IANA
//! registries (RFC 6890 and its updates; iana-ipv4-special-registry and iana-ipv6-special-registry as of 2025) and the
//! addresses at which clouds hand out credentials. An IPv6 address that only carries an IPv4 address is held against the
//! policy as both.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A range of addresses, such as `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AddressRange {
    base: IpAddr,
    prefix: u8,
}

/// A text that is no range of addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is no range of addresses: write it as 10.1.2.0/24 or fd00::/8")]
pub struct NotARange;

/// Why an address must not be connected to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressDenied {
    /// It lies in a special range that is not granted.
    #[error("{address} is {range}, which needs a grant: addresses: [\"{address}/{bits}\"]")]
    Special {
        /// The address.
        address: IpAddr,
        /// What the range is.
        range: &'static str,
        /// Bits of an address of this family.
        bits: u8,
    },
    /// Addresses are granted and it is none of them.
    #[error("{address} is none of the granted addresses")]
    NotGranted {
        /// The address.
        address: IpAddr,
    },
    /// It hands out the credentials of the machine.
    #[error("{address} hands out credentials of the machine and cannot be granted")]
    Metadata {
        /// The address.
        address: IpAddr,
    },
}

impl AddressRange {
    /// Whether the range holds the address. IPv4 addresses inside of IPv6 are compared as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, canonical(address)) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                same_prefix(base.to_bits().into(), address.to_bits().into(), self.prefix, 32)
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => same_prefix(base.to_bits(), address.to_bits(), self.prefix, 128),
            _ => false,
        }
    }
}

fn same_prefix(a: u128, b: u128, prefix: u8, bits: u8) -> bool {
    let shift = u32::from(bits - prefix.min(bits));
    shift >= 128 || a >> shift == b >> shift
}

impl FromStr for AddressRange {
    type Err = NotARange;
    fn from_str(text: &str) -> Result<Self, NotARange> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let base = canonical(address.parse().map_err(|_| NotARange)?);
        let bits = bits_of(base);
        let prefix = match prefix {
            None => bits,
            Some(prefix) if prefix.bytes().all(|byte| byte.is_ascii_digit()) => {
                prefix.parse().map_err(|_| NotARange)?
            }
            Some(_) => return Err(NotARange),
        };
        if prefix > bits {
            return Err(NotARange);
        }
        Ok(Self { base, prefix })
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.base, self.prefix)
    }
}

fn bits_of(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The address that is really meant: `::ffff:a.b.c.d` and `::a.b.c.d` are IPv4 addresses in other clothes.
fn canonical(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => {
            let compatible = v6.segments()[..6] == [0; 6] && v6 != Ipv6Addr::LOCALHOST && v6 != Ipv6Addr::UNSPECIFIED;
            match v6.to_ipv4_mapped() {
                Some(v4) => IpAddr::V4(v4),
                None if compatible => v6.to_ipv4().map_or(address, IpAddr::V4),
                None => address,
            }
        }
    }
}

/// Says whether a connection to this address may be made under these granted ranges.
///
/// # Errors
/// `AddressDenied` says why not. Without granted ranges, every address is allowed that lies in no special range; with
/// them, only those that they hold.
pub fn check_address(address: IpAddr, granted: &[AddressRange]) -> Result<(), AddressDenied> {
    let address = canonical(address);
    if METADATA.contains(&address) {
        return Err(AddressDenied::Metadata { address });
    }
    // Whoever grants a translator's range grants the way, not every place that it leads to: but for what he wrote himself.
    let rest: Vec<AddressRange> = granted.iter().copied().filter(|range| range.base.is_ipv4()).collect();
    let written = granted.iter().filter(|range| range.contains(address)).map(|range| range.prefix).max().unwrap_or(0);
    for Carried { end, address } in carried(address) {
        match check_address(IpAddr::V4(address), &rest) {
            Ok(()) | Err(AddressDenied::NotGranted { .. }) => {}
            Err(AddressDenied::Special { .. }) if end <= written => {}
            denied => return denied,
        }
    }
    if granted.iter().any(|range| range.contains(address)) {
        return Ok(());
    }
    match special_range(address) {
        Some(range) => Err(AddressDenied::Special { address, range, bits: bits_of(address) }),
        None if granted.is_empty() => Ok(()),
        None => Err(AddressDenied::NotGranted { address }),
    }
}

/// An IPv4 address that an IPv6 address may carry.
struct Carried {
    /// The bits up to its end, where it stands there only for some translators; more than there are where it is certain.
    end: u8,
    address: Ipv4Addr,
}

/// The IPv4 addresses that an IPv6 address may carry through a translator or a tunnel: NAT64 (RFC 6052), translated addresses
/// (RFC 2765), 6to4 (RFC 3056), and the client of Teredo (RFC 4380, where it stands inverted).
fn carried(address: IpAddr) -> Vec<Carried> {
    let IpAddr::V6(address) = address else { return Vec::new() };
    let joined = |high: u16, low: u16| {
        vec![Carried { end: u8::MAX, address: Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)) }]
    };
    match address.segments() {
        [0x64, 0xff9b, 1, ..] => translated(address),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => joined(high, low),
        [0x2002, high, low, ..] => joined(high, low),
        [0x2001, 0, _, _, _, _, high, low] => joined(!high, !low),
        _ => Vec::new(),
    }
}

/// What an address of the prefix for translators of one's own (RFC 8215) may carry. How long the translator's own prefix is within
/// it, only the grant can say: each length of RFC 6052, section 2.2, is another place. Where one of them has something, the zeros
/// that the others see are no address.
fn translated(address: Ipv6Addr) -> Vec<Carried> {
    let octets = address.octets();
    let places = [(88, [6, 7, 9, 10]), (96, [7, 9, 10, 11]), (104, [9, 10, 11, 12]), (u8::MAX, [12, 13, 14, 15])];
    let at = |(end, place): (u8, [usize; 4])| Carried { end, address: place.map(|at| octets[at]).into() };
    let (some, nothing): (Vec<Carried>, Vec<Carried>) =
        places.into_iter().map(at).partition(|carried| carried.address.octets()[0] != 0);
    if some.is_empty() { nothing } else { some }
}

/// Where clouds hand out credentials: AWS, Azure, Google, Oracle and others (the first), containers of AWS (ECS, EKS), AWS,
/// EKS and Google over IPv6, Alibaba, Azure's wire server, Oracle's classic one, OpenStack over IPv6, Tencent, Scaleway over both.
const METADATA: [IpAddr; 13] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0023)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 0, 23)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 42, 42)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0042, 0, 0, 0, 0, 0, 0x0042)),
];

const SPECIAL_V4: [([u8; 4], u8, &str); 17] = [
    ([0, 0, 0, 0], 8, "an address of this host"),
    ([10, 0, 0, 0], 8, "a private address"),
    ([100, 64, 0, 0], 10, "an address of a carrier's network"),
    ([127, 0, 0, 0], 8, "a loopback address"),
    ([169, 254, 0, 0], 16, "a link-local address"),
    ([172, 16, 0, 0], 12, "a private address"),
    ([192, 0, 0, 0], 24, "an address of a protocol"),
    ([192, 0, 2, 0], 24, "an address for documentation"),
    ([192, 31, 196, 0], 24, "an address of a name service"),
    ([192, 52, 193, 0], 24, "a relay address"),
    ([192, 88, 99, 0], 24, "a relay address"),
    ([192, 168, 0, 0], 16, "a private address"),
    ([192, 175, 48, 0], 24, "an address of a name service"),
    ([198, 18, 0, 0], 15, "an address for benchmarks"),
    ([198, 51, 100, 0], 24, "an address for documentation"),
    ([203, 0, 113, 0], 24, "an address for documentation"),
    ([224, 0, 0, 0], 3, "a multicast, reserved or broadcast address"),
];

const SPECIAL_V6: [([u16; 8], u8, &str); 16] = [
    ([0, 0, 0, 0, 0, 0, 0, 0], 128, "the unspecified address"),
    ([0, 0, 0, 0, 0, 0, 0, 1], 128, "the loopback address"),
    ([0, 0, 0, 0, 0xffff, 0, 0, 0], 96, "an address that leads to IPv4 (translated)"),
    ([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96, "an address that leads to IPv4 (NAT64)"),
    ([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48, "an address that leads to IPv4 (NAT64)"),
    ([0x100, 0, 0, 0, 0, 0, 0, 0], 64, "an address that discards"),
    ([0x100, 0, 0, 1, 0, 0, 0, 0], 64, "a dummy address"),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, "an address of a protocol (Teredo and others)"),
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, "an address for documentation"),
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, "an address that leads to IPv4 (6to4)"),
    ([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48, "an address of a name service"),
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, "an address for documentation"),
    ([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16, "an address of segment routing"),
    ([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, "a private address"),
    ([0xfe80, 0, 0, 0, 0, 0, 0, 0], 9, "a link-local or site-local address"),
    ([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, "a multicast address"),
];

/// What special range an address lies in.
fn special_range(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => {
            let holds = |(base, prefix, _): &&([u8; 4], u8, &str)| {
                same_prefix(u32::from_be_bytes(*base).into(), address.to_bits().into(), *prefix, 32)
            };
            SPECIAL_V4.iter().find(holds).map(|(_, _, name)| *name)
        }
        IpAddr::V6(address) => {
            let holds = |(base, prefix, _): &&([u16; 8], u8, &str)| {
                same_prefix(Ipv6Addr::from(*base).to_bits(), address.to_bits(), *prefix, 128)
            };
            let outside = || {
                let global = Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0);
                (!same_prefix(global.to_bits(), address.to_bits(), 3, 128))
                    .then_some("an address that nobody was given")
            };
            SPECIAL_V6.iter().find(holds).map(|(_, _, name)| *name).or_else(outside)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> AddressRange {
        text.parse().unwrap_or_else(|_| panic!("{text}"))
    }

    #[test]
    fn each_special_range_needs_a_grant_from_its_first_address_to_its_last() {
        let refused = |address: IpAddr| assert!(check_address(address, &[]).is_err(), "{address}");
        for (base, prefix, _) in SPECIAL_V4 {
            let first = u32::from_be_bytes(base);
            let last = first | u32::MAX.checked_shr(prefix.into()).unwrap_or_default();
            [first, last].iter().for_each(|bits| refused(Ipv4Addr::from_bits(*bits).into()));
        }
        for (base, prefix, _) in SPECIAL_V6 {
            let first = Ipv6Addr::from(base).to_bits();
            let last = first | u128::MAX.checked_shr(prefix.into()).unwrap_or_default();
            [first, last].iter().for_each(|bits| refused(Ipv6Addr::from_bits(*bits).into()));
        }
        // Just beside some of them there are addresses for everybody.
        for text in [
            "11.0.0.0",
            "9.255.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "192.169.0.0",
            "198.20.0.0",
            "2001:200::",
            "2620:4f:8001::",
        ] {
            assert_eq!(check_address(text.parse().expect("an address"), &[]), Ok(()), "{text}");
        }
    }

    #[test]
    fn special_addresses_need_a_grant_in_every_clothing() {
        for text in [
            "127.0.0.1",
            "10.1.2.3",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.1.1",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "::1",
            "::",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::1",
            "2001::1",
            "fe80::1",
            "fec0::1",
            "fd00::1",
            "ff02::1",
            "198.18.0.1",
            "192.175.48.1",
            "::ffff:0:127.0.0.1",
            "100:0:0:1::1",
            "4000::1",
        ] {
            let address = text.parse().expect("an address");
            assert!(check_address(address, &[]).is_err(), "{text}");
        }
        for text in ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "8.8.8.8", "172.32.0.1"] {
            assert_eq!(check_address(text.parse().expect("an address"), &[]), Ok(()), "{text}");
        }
    }

    #[test]
    fn a_grant_allows_its_range_and_nothing_else() {
        let granted = [range("10.1.0.0/16"), range("fd00::/8")];
        let check = |text: &str| check_address(text.parse().expect("an address"), &granted).is_ok();
        assert!(check("10.1.255.1") && check("fd12::1") && check("::ffff:10.1.0.1"));
        assert!(!check("10.2.0.1") && !check("8.8.8.8") && !check("127.0.0.1"));
    }

    #[test]
    fn machine_credentials_cannot_be_granted() {
        let all = [range("0.0.0.0/0"), range("::/0")];
        for text in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "::ffff:0:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::169.254.169.254",
            // At the other places of RFC 6052, with something harmless where the last one is.
            "64:ff9b:1:a9fe:a9:fe00:808:808",
            "64:ff9b:1:a9:fe:a9fe:808:808",
            "64:ff9b:1:0:a9:fea9:fe00:0",
            "2002:a9fe:a9fe::1",
            "2001::5601:5601",
            "fd00:ec2::254",
            "fd20:ce::254",
            "169.254.170.2",
        ] {
            let address = text.parse().expect("an address");
            assert!(matches!(check_address(address, &all), Err(AddressDenied::Metadata { .. })), "{text}");
        }
        for address in METADATA {
            assert!(matches!(check_address(address, &all), Err(AddressDenied::Metadata { .. })), "{address}");
        }
    }

    #[test]
    fn a_translator_of_ones_own_is_granted_with_what_is_public_behind_it() {
        let granted = [range("64:ff9b:1::/48")];
        let check = |text: &str| check_address(text.parse().expect("an address"), &granted).is_ok();
        // 8.8.8.8 at each of the four places, and 10.0.0.1 at the first and the last.
        assert!(check("64:ff9b:1:808:8:800::") && check("64:ff9b:1:8:8:808::") && check("64:ff9b:1:0:8:808:800:0"));
        assert!(check("64:ff9b:1::8.8.8.8"));
        assert!(!check("64:ff9b:1:a00:0:100::") && !check("64:ff9b:1::10.0.0.1") && !check("64:ff9b:1::1"));
        // The prefix of one translator, which looks like a reserved address at the first place, and leads to what it leads to.
        let one = [range("64:ff9b:1:fffe::/96")];
        let check = |text: &str| check_address(text.parse().expect("an address"), &one).is_ok();
        assert!(check("64:ff9b:1:fffe::8.8.8.8") && !check("64:ff9b:1:fffe::10.0.0.1"));
        // Half of a place is not all of it.
        let half = [range("64:ff9b:1::/50")];
        assert!(check_address("64:ff9b:1:a00:0:100::".parse().expect("an address"), &half).is_err());
    }

    #[test]
    fn a_granted_translator_leads_to_public_addresses_and_to_those_that_are_granted_too() {
        let way = [range("64:ff9b::/96")];
        let check = |text: &str, granted: &[AddressRange]| check_address(text.parse().expect("an address"), granted);
        assert_eq!(check("64:ff9b::8.8.8.8", &way), Ok(()));
        assert!(matches!(check("64:ff9b::10.0.0.1", &way), Err(AddressDenied::Special { .. })));
        assert_eq!(check("64:ff9b::10.0.0.1", &[way[0], range("10.0.0.0/8")]), Ok(()));
    }

    #[test]
    fn ranges_are_written_with_a_prefix_or_without() {
        assert_eq!(range("10.0.0.1").to_string(), "10.0.0.1/32");
        assert_eq!(range("::ffff:10.0.0.1").to_string(), "10.0.0.1/32");
        for wrong in ["10.0.0.0/33", "10.0.0/8", "x", "10.0.0.0/", "10.0.0.0/+8", "fd00::/129"] {
            assert!(wrong.parse::<AddressRange>().is_err(), "{wrong}");
        }
    }
}
