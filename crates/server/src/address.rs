//! Addresses: which ones a URL of somebody else's may lead to, and how those that are listened on are written.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::{Deserialize, Deserializer, de};

/// A network: its address, and how many bits of it count.
type Network<A> = (A, u32);

/// Networks that are not reached through the public internet: those that the IANA IPv4 Special-Purpose Address Registry
/// has as not globally reachable or as deprecated, and multicast. 192.0.0.0/24 is here whole: its two addresses that are
/// reachable (RFC 7723, RFC 8155) are the nearest server's of a protocol, and serve no URL.
const NOT_PUBLIC_V4: [Network<Ipv4Addr>; 15] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// The only IPv6 network that global unicast addresses are given out of (IANA IPv6 Address Space).
const GLOBAL_UNICAST: Network<Ipv6Addr> = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Networks in [`GLOBAL_UNICAST`] that are not reached through the public internet (IANA IPv6 Special-Purpose Address
/// Registry), and 6to4, which leads on to an IPv4 address. 2001::/23, of protocols (Teredo, benchmarks, ORCHID), is here
/// whole, as 192.0.0.0/24 is.
const NOT_PUBLIC_V6: [Network<Ipv6Addr>; 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// What a NAT64 translates to the IPv4 address in its last 32 bits (RFC 6052).
const NAT64: Network<Ipv6Addr> = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

/// Whether an address belongs to the public internet: not to this machine, a private network, or a special purpose
/// (RFC 6890). What the server is told to fetch or post to must be public, or a client could reach through it what
/// only the server can reach.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let is_in =
        |(network, bits): &Network<Ipv4Addr>| (address.to_bits() ^ network.to_bits()) >> (32 - bits) == 0;
    !NOT_PUBLIC_V4.iter().any(is_in)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let is_in =
        |(network, bits): &Network<Ipv6Addr>| (address.to_bits() ^ network.to_bits()) >> (128 - bits) == 0;
    if let Some(mapped) = address.to_ipv4_mapped() {
        return is_public_v4(mapped);
    }
    if is_in(&NAT64) {
        let [.., a, b, c, d] = address.octets();
        return is_public_v4(Ipv4Addr::new(a, b, c, d));
    }
    is_in(&GLOBAL_UNICAST) && !NOT_PUBLIC_V6.iter().any(is_in)
}

/// Reads an address to listen on: an IP address and a port. `localhost` is 127.0.0.1; no other name is looked up, since it
/// may mean several addresses, or another one tomorrow.
///
/// # Errors
/// A sentence that says what it takes.
pub fn listening(text: &str) -> Result<SocketAddr, String> {
    let wrong = || {
        format!(
            "{text:?} is no address to listen on: give an IP address and a port, such as 127.0.0.1:8080, or \
             0.0.0.0:8080 for every address of this machine"
        )
    };
    match text.rsplit_once(':') {
        Some((host, port)) if host.eq_ignore_ascii_case("localhost") => {
            port.parse().map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))).map_err(|_| wrong())
        }
        _ => text.parse().map_err(|_| wrong()),
    }
}

/// Where a client on this machine reaches who listens there: every address means the loopback address too.
pub fn reachable(listening: SocketAddr) -> SocketAddr {
    let host = match listening.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        host => host,
    };
    SocketAddr::new(host, listening.port())
}

/// An address to listen on, as the configuration has it.
#[derive(Deserialize)]
struct Listening(#[serde(deserialize_with = "deserialize")] SocketAddr);

/// Reads an address to listen on from the configuration.
///
/// # Errors
/// As [`listening`].
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    struct Text;
    impl de::Visitor<'_> for Text {
        type Value = SocketAddr;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an IP address and a port, such as \"127.0.0.1:8080\"")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<SocketAddr, E> {
            listening(text).map_err(E::custom)
        }
    }
    deserializer.deserialize_any(Text)
}

/// Reads a list of addresses to listen on from the configuration.
///
/// # Errors
/// As [`listening`].
pub fn deserialize_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<SocketAddr>, D::Error> {
    let listed = Vec::<Listening>::deserialize(deserializer)?;
    Ok(listed.into_iter().map(|Listening(address)| address).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_to_listen_on_is_written_in_numbers_or_as_localhost() {
        for (text, address) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("localhost:8080", "127.0.0.1:8080"),
            ("LocalHost:0", "127.0.0.1:0"),
            ("[::1]:8080", "[::1]:8080"),
        ] {
            assert_eq!(listening(text), Ok(address.parse().unwrap()), "{text}");
        }
        for text in ["", "8080", ":8080", "*:8080", "localhost", "localhost:x", "127.0.0.1", "example.com:80"]
        {
            let refused = listening(text).unwrap_err();
            assert!(refused.contains(&format!("{text:?}")) && refused.contains("0.0.0.0:8080"), "{refused}");
        }
    }

    #[test]
    fn every_address_is_reached_by_the_loopback_address() {
        let reached = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!(reached("0.0.0.0:8080"), "127.0.0.1:8080");
        assert_eq!(reached("[::]:8080"), "[::1]:8080");
        assert_eq!(reached("192.0.2.1:8080"), "192.0.2.1:8080");
    }

    /// First and last address of each network of the IANA special-purpose registries (2025-10), and of multicast, and whether
    /// it is public here.
    const SPECIAL: [(&str, &str, bool); 45] = [
        ("0.0.0.0", "0.255.255.255", false),
        ("10.0.0.0", "10.255.255.255", false),
        ("100.64.0.0", "100.127.255.255", false),
        ("127.0.0.0", "127.255.255.255", false),
        ("169.254.0.0", "169.254.255.255", false),
        ("172.16.0.0", "172.31.255.255", false),
        ("192.0.0.0", "192.0.0.255", false),
        ("192.0.2.0", "192.0.2.255", false),
        ("192.31.196.0", "192.31.196.255", true),
        ("192.52.193.0", "192.52.193.255", true),
        ("192.88.99.0", "192.88.99.255", false),
        ("192.168.0.0", "192.168.255.255", false),
        ("192.175.48.0", "192.175.48.255", true),
        ("198.18.0.0", "198.19.255.255", false),
        ("198.51.100.0", "198.51.100.255", false),
        ("203.0.113.0", "203.0.113.255", false),
        ("224.0.0.0", "239.255.255.255", false),
        ("240.0.0.0", "255.255.255.255", false),
        ("::", "::1", false),
        ("::2", "::fffe:ffff:ffff", false),
        ("::ffff:0.0.0.0", "::ffff:0.255.255.255", false),
        ("::ffff:10.0.0.0", "::ffff:10.255.255.255", false),
        ("::ffff:127.0.0.0", "::ffff:127.255.255.255", false),
        ("64:ff9b::127.0.0.0", "64:ff9b::127.255.255.255", false),
        ("64:ff9b::192.168.0.0", "64:ff9b::192.168.255.255", false),
        ("64:ff9b::1.1.1.1", "64:ff9b::8.8.8.8", true),
        ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", false),
        ("100::", "100::ffff:ffff:ffff:ffff", false),
        ("100:0:0:1::", "100:0:0:1:ffff:ffff:ffff:ffff", false),
        ("2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", false),
        ("2001:1::1", "2001:1::3", false),
        ("2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff", false),
        ("2001:3::", "2001:3:ffff:ffff:ffff:ffff:ffff:ffff", false),
        ("2001:4:112::", "2001:4:112:ffff:ffff:ffff:ffff:ffff", false),
        ("2001:10::", "2001:1f:ffff:ffff:ffff:ffff:ffff:ffff", false),
        ("2001:20::", "2001:3f:ffff:ffff:ffff:ffff:ffff:ffff", false),
        ("2001:40::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", false),
        ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", false),
        ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false),
        ("2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff", true),
        ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", false),
        ("5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false),
        ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false),
        ("fe80::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false),
        ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false),
    ];

    #[test]
    fn networks_of_a_special_purpose_are_not_public() {
        for (first, last, expected) in SPECIAL {
            for text in [first, last] {
                assert_eq!(is_public(text.parse().unwrap()), expected, "{text}");
            }
        }
        for text in ["169.254.169.254", "fd00:ec2::254", "64:ff9b::7f00:1", "::127.0.0.1", "4000::1"] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn the_neighbours_of_special_networks_are_public() {
        for text in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.88.98.255",
            "192.88.100.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "198.51.99.255",
            "203.0.114.0",
            "223.255.255.255",
            "::ffff:1.1.1.1",
            "2000::",
            "2001:200::",
            "2001:db7:ffff::",
            "2001:db9::",
            "2003::",
            "2606:4700::1111",
            "3fff:1000::",
        ] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }
}
