//! Which addresses outbound requests may reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Decides which addresses may be reached: the public internet, and the ranges an operator allows.
#[derive(Clone, Debug, Default)]
pub struct AddressPolicy {
    allow: Vec<IpNet>,
}

/// An address that outbound requests may not reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address} is {kind}")]
pub struct ForbiddenAddress {
    /// The refused address, as it was given.
    pub address: IpAddr,
    /// What it is, with its article: "a private address".
    pub kind: &'static str,
}

impl AddressPolicy {
    /// Allows the public internet and the ranges given, however private they are.
    pub fn new(allow: Vec<IpNet>) -> Self {
        Self { allow }
    }

    /// Checks one address. An IPv4 address mapped into IPv6 (`::ffff:a.b.c.d`) is judged as the IPv4 address it is.
    pub fn check(&self, address: IpAddr) -> Result<(), ForbiddenAddress> {
        let meant = address.to_canonical();
        if self.allow.iter().any(|range| range.contains(&meant)) {
            return Ok(());
        }
        let kind = match meant {
            IpAddr::V4(v4) => special_v4(v4),
            IpAddr::V6(v6) => special_v6(v6),
        };
        kind.map_or(Ok(()), |kind| Err(ForbiddenAddress { address, kind }))
    }
}

/// Address, prefix length, kind. The first row that contains an address names it.
type Range<A> = (A, u32, &'static str);

/// Source: IANA's special-purpose address registry, and the metadata services of clouds.
const SPECIAL_V4: &[Range<Ipv4Addr>] = &[
    (Ipv4Addr::UNSPECIFIED, 32, "the unspecified address"),
    (Ipv4Addr::UNSPECIFIED, 8, "an address of this network"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "a private address"),
    (Ipv4Addr::new(100, 100, 100, 200), 32, CLOUD),
    (
        Ipv4Addr::new(100, 64, 0, 0),
        10,
        "a carrier's shared address",
    ),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "a loopback address"),
    (Ipv4Addr::new(168, 63, 129, 16), 32, CLOUD),
    (Ipv4Addr::new(169, 254, 169, 254), 32, CLOUD),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "a link-local address"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "a private address"),
    (Ipv4Addr::new(192, 0, 0, 192), 32, CLOUD),
    (Ipv4Addr::new(192, 0, 0, 0), 24, RESERVED),
    (Ipv4Addr::new(192, 0, 2, 0), 24, DOCUMENTATION),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "a 6to4 relay address"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "a private address"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "a benchmarking address"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, DOCUMENTATION),
    (Ipv4Addr::new(203, 0, 113, 0), 24, DOCUMENTATION),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "a multicast address"),
    (Ipv4Addr::BROADCAST, 32, "the broadcast address"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, RESERVED),
];

/// Everything outside `2000::/3` is no global unicast address; inside it, these are special.
const SPECIAL_V6: &[Range<Ipv6Addr>] = &[
    (Ipv6Addr::UNSPECIFIED, 128, "the unspecified address"),
    (Ipv6Addr::LOCALHOST, 128, "a loopback address"),
    (Ipv6Addr::UNSPECIFIED, 96, "an IPv4-compatible address"),
    (v6(0x64, 0xff9b, 0), 96, "an address translated to IPv4"),
    (v6(0x64, 0xff9b, 1), 48, "an address translated to IPv4"),
    (v6(0x100, 0, 0), 64, "a discard-only address"),
    (v6(0x2001, 0, 0), 32, "a Teredo address"),
    (v6(0x2001, 0, 0), 23, RESERVED),
    (v6(0x2001, 0xdb8, 0), 32, DOCUMENTATION),
    (v6(0x2002, 0, 0), 16, "a 6to4 address"),
    (v6(0x3fff, 0, 0), 20, DOCUMENTATION),
    (
        Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
        128,
        CLOUD,
    ),
    (v6(0xfc00, 0, 0), 7, "a unique local address"),
    (v6(0xfe80, 0, 0), 10, "a link-local address"),
    (v6(0xfec0, 0, 0), 10, "a site-local address"),
    (v6(0xff00, 0, 0), 8, "a multicast address"),
];

const CLOUD: &str = "a cloud's metadata address";
const DOCUMENTATION: &str = "a documentation address";
const RESERVED: &str = "a reserved address";

const fn v6(first: u16, second: u16, third: u16) -> Ipv6Addr {
    Ipv6Addr::new(first, second, third, 0, 0, 0, 0, 0)
}

fn special_v4(address: Ipv4Addr) -> Option<&'static str> {
    let bits = address.to_bits();
    SPECIAL_V4
        .iter()
        .find(|(net, length, _)| (bits ^ net.to_bits()).leading_zeros() >= *length)
        .map(|(_, _, kind)| *kind)
}

fn special_v6(address: Ipv6Addr) -> Option<&'static str> {
    let bits = address.to_bits();
    let global_unicast = bits >> 125 == 0b001;
    SPECIAL_V6
        .iter()
        .find(|(net, length, _)| (bits ^ net.to_bits()).leading_zeros() >= *length)
        .map(|(_, _, kind)| *kind)
        .or((!global_unicast).then_some(RESERVED))
}
