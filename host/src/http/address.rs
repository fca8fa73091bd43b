//! Which addresses requests of plugins may reach.
//!
//! Owns the list of what is no public address, after the special-purpose registries of IANA
//! (RFC 6890 and its successors), and how an operator makes an exception. What is not known to be
//! public is refused: new ranges are not reached by accident.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Networks that are not public although their registry does not say so: where clouds tell a
/// machine its credentials. (The others of these are link-local, unique-local or shared addresses.)
const METADATA: [&str; 1] = ["168.63.129.16/32"];

/// IPv4 that nobody reaches over the Internet, or that nobody should: this network, private, shared
/// (carriers), loopback, link-local, protocol assignments, documentation, 6to4 relays, benchmarks,
/// multicast, reserved and broadcast.
const NOT_PUBLIC_V4: [&str; 15] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
];

/// IPv6 inside of global unicast (2000::/3) that is none, or in which an IPv4 address is hidden:
/// protocol assignments with Teredo and ORCHID, documentation, 6to4.
const NOT_PUBLIC_V6: [&str; 4] = ["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"];

/// What may be reached beside public addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    allowed: Vec<IpNet>,
    refused: Vec<IpNet>,
}

impl Default for Reach {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl Reach {
    /// Public addresses and those of these networks. An IPv4 address that comes inside an IPv6 one
    /// (`::ffff:10.0.0.1`) is allowed by an IPv6 network only.
    #[must_use]
    pub fn new(allowed: Vec<IpNet>) -> Self {
        let ranges = NOT_PUBLIC_V4.iter().chain(&NOT_PUBLIC_V6).chain(&METADATA);
        let refused = ranges.map(|range| range.parse().expect("a network")).collect();
        Self { allowed, refused }
    }

    /// Whether an address may be reached.
    #[must_use]
    pub fn covers(&self, address: IpAddr) -> bool {
        self.allowed.iter().any(|network| network.contains(&address)) || self.is_public(address)
    }

    fn is_public(&self, address: IpAddr) -> bool {
        let may_be = match address {
            IpAddr::V4(_) => true,
            // Everything else is loopback, local, multicast, mapped, translated or not given out.
            IpAddr::V6(address) => address.segments()[0] & 0xe000 == 0x2000,
        };
        may_be && !self.refused.iter().any(|network| network.contains(&address))
    }
}

/// The address that a URL's host is, when it is one and no name.
#[must_use]
pub fn literal(host: &str) -> Option<IpAddr> {
    match host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
        Some(inner) => inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => host.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(reach: &Reach, address: &str) -> bool {
        reach.covers(address.parse().expect("an address"))
    }

    #[test]
    fn what_is_public_is_reached() {
        let reach = Reach::default();
        for address in ["1.1.1.1", "93.184.215.14", "172.32.0.1", "192.169.0.1", "2606:4700::1111", "2a00::1"]
        {
            assert!(covers(&reach, address), "{address}");
        }
    }

    #[test]
    fn what_is_not_public_is_refused() {
        let reach = Reach::default();
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.1.2.3",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "239.1.1.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::ffff:0:8.8.8.8",
            "64:ff9b::a00:1",
            "64:ff9b::808:808",
            "64:ff9b:1::1",
            "100::1",
            "2001:0:53aa:64c::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:808:808::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!covers(&reach, address), "{address}");
        }
    }

    #[test]
    fn an_exception_is_as_wide_as_it_says() {
        let reach = Reach::new(vec!["127.0.0.1/32".parse().expect("one"), "fd00::/8".parse().expect("one")]);
        for (address, may) in [
            ("127.0.0.1", true),
            ("127.0.0.2", false),
            ("::1", false),
            ("::ffff:127.0.0.1", false),
            ("fd12::1", true),
            ("fc00::1", false),
        ] {
            assert_eq!(covers(&reach, address), may, "{address}");
        }
    }
}
