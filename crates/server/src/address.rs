//! Addresses: which ones a URL of somebody else's may lead to, and how those that are listened on are written.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::{Deserialize, Deserializer, de};

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
    let [first, second, third, _] = address.octets();
    let special = address.is_unspecified()
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_multicast()
        || address.is_documentation()
        || first == 0
        || first >= 240
        // Shared by carriers (RFC 6598), protocol assignments (RFC 6890), benchmarks (RFC 2544), 6to4 relays.
        || (first == 100 && second & 0xc0 == 64)
        || (first == 192 && second == 0 && third == 0)
        || (first == 198 && second & 0xfe == 18)
        || (first == 192 && second == 88 && third == 99);
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(mapped) = address.to_ipv4_mapped() {
        return is_public_v4(mapped);
    }
    let segments = address.segments();
    // Only 2000::/3 is given out; in it, documentation, 6to4 and Teredo lead elsewhere.
    let global = segments[0] & 0xe000 == 0x2000;
    let documentation = segments[0] == 0x2001 && segments[1] == 0x0db8;
    let tunnel = segments[0] == 0x2002 || (segments[0] == 0x2001 && segments[1] == 0);
    global && !documentation && !tunnel
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

    #[test]
    fn what_only_the_server_can_reach_is_not_public() {
        for text in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "::ffff:127.0.0.1",
            "2002:7f00:1::",
            "2001:db8::1",
            "ff02::1",
            "fd00:ec2::254",
            "64:ff9b::7f00:1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "192.0.2.1",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        for text in ["1.1.1.1", "100.128.0.1", "172.32.0.1", "2606:4700::1111"] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }
}
