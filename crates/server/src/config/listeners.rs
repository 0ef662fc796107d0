//! The addresses that a configuration listens on, and which of them overlap.

use std::{collections::BTreeSet, fmt, net::SocketAddr};

use super::Config;

/// What is listened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Connections: HTTP, WebSocket, SIP over TCP and TLS.
    Tcp,
    /// Datagrams: SIP over UDP.
    Udp,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        })
    }
}

/// One address of the configuration to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The key that names it.
    pub key: String,
    /// The address.
    pub address: SocketAddr,
    /// What is listened for.
    pub transport: Transport,
}

impl Listener {
    /// Whether the two cannot both listen.
    fn overlaps(&self, other: &Self) -> bool {
        let (one, two) = (self.address, other.address);
        let is_free = one.port() == 0 || one.port() != two.port() || self.transport != other.transport;
        // Every address of IPv6 is every one of IPv4 as well.
        let is_every = |this: SocketAddr, of: SocketAddr| {
            this.ip().is_unspecified() && (this.is_ipv6() || this.is_ipv4() == of.is_ipv4())
        };
        !is_free && (one.ip() == two.ip() || is_every(one, two) || is_every(two, one))
    }
}

impl Config {
    /// Every address that is listened on; none of SIP where its settings are wrong.
    pub fn listeners(&self) -> Vec<Listener> {
        let tcp = |key: &str, address| Listener { key: key.to_owned(), address, transport: Transport::Tcp };
        let mut all = vec![tcp("listen", self.listen), tcp("live_listen", self.live_listen)];
        let Ok(Some(sip)) = self.sip.settings(&self.data) else { return all };
        let gateway = sip.gateway;
        let key = |place: usize| match place {
            0 => "sip.listen".to_owned(),
            more => format!("sip.also_listen[{}]", more - 1),
        };
        for (transport, addresses) in [(Transport::Udp, &gateway.udp), (Transport::Tcp, &gateway.tcp)] {
            let listeners = addresses.iter().enumerate();
            all.extend(listeners.map(|(place, address)| Listener {
                key: key(place),
                address: *address,
                transport,
            }));
        }
        let tls = gateway.tls.iter().flat_map(|tls| &tls.listen).enumerate();
        all.extend(tls.map(|(place, address)| tcp(&format!("sip.tls.listen[{place}]"), *address)));
        all
    }

    /// Refuses addresses of which only one can be listened on.
    pub(super) fn check_listening(&self) -> Result<(), String> {
        let all = self.listeners();
        let mut named = BTreeSet::new();
        let mut problems = Vec::new();
        for (place, one) in all.iter().enumerate() {
            for other in all.iter().skip(place + 1).filter(|other| one.overlaps(other)) {
                // SIP listens twice at each of its addresses.
                if named.insert((&one.key, &other.key)) {
                    problems.push(overlap(one, other));
                }
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
    }
}

fn overlap(one: &Listener, other: &Listener) -> String {
    let advice = match other.key.as_str() {
        "live_listen" => " (clients of the main port find the WebSocket at /ws/live)",
        _ => "",
    };
    format!(
        "{}: {} overlaps {}, {}, over {}: take another address or port{advice}",
        other.key, other.address, one.key, one.address, one.transport
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(listen: &str, live: &str, sip: &[&str]) -> String {
        let (listen, live_listen) = (listen.parse().unwrap(), live.parse().unwrap());
        let mut config = Config { listen, live_listen, ..Config::default() };
        let (first, more) = sip.split_first().unwrap_or((&"off", &[]));
        config.sip.listen = (*first).to_owned();
        config.sip.also_listen = more.iter().map(|address| address.parse().unwrap()).collect();
        config.check_listening().err().unwrap_or_default()
    }

    #[test]
    fn listeners_that_overlap_are_refused() {
        for (listen, live, is_fine) in [
            ("0.0.0.0:8080", "127.0.0.1:8080", false),
            ("127.0.0.1:8080", "127.0.0.1:8080", false),
            ("[::]:8080", "127.0.0.1:8080", false),
            ("127.0.0.1:8080", "127.0.0.2:8080", true),
            ("127.0.0.1:0", "127.0.0.1:0", true),
            ("0.0.0.0:8080", "[::1]:8080", true),
            ("127.0.0.1:8080", "[::]:8080", false),
        ] {
            assert_eq!(checked(listen, live, &[]).is_empty(), is_fine, "{listen} {live}");
        }
        assert!(checked("127.0.0.1:1", "127.0.0.1:1", &[]).contains("/ws/live"));
    }

    #[test]
    fn sip_must_not_listen_where_others_do() {
        let (http, live) = ("127.0.0.1:8080", "127.0.0.1:8001");
        let said = |sip: &[&str]| checked(http, live, sip);
        assert!(said(&["127.0.0.1:8080"]).starts_with("sip.listen: 127.0.0.1:8080 overlaps listen"));
        assert!(said(&["0.0.0.0:8001"]).starts_with("sip.listen: 0.0.0.0:8001 overlaps live_listen"));
        let twice = said(&["127.0.0.1:5060", "127.0.0.1:5061", "127.0.0.1:5061"]);
        assert!(
            twice.starts_with("sip.also_listen[1]: 127.0.0.1:5061 overlaps sip.also_listen[0]"),
            "{twice}"
        );
        assert_eq!(twice.lines().count(), 1, "{twice}");
        assert_eq!(said(&["127.0.0.1:5060", "[::1]:5060", "127.0.0.2:5060"]), "");
        assert_eq!(said(&["127.0.0.1:0", "127.0.0.1:0"]), "");
    }
}
