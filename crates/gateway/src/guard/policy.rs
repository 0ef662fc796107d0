//! Who may speak to the gateway, how much, and of what.

use std::net::{IpAddr, Ipv6Addr};

/// A network in the form of a prefix: `192.0.2.0/24`, `2001:db8::/32`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// The network of this address and prefix length; nothing when the length is longer than the address.
    pub fn new(address: IpAddr, bits: u8) -> Option<Self> {
        let longest = if address.is_ipv4() { 32 } else { 128 };
        (bits <= longest).then_some(Self { address: address.to_canonical(), bits })
    }

    /// Its address, as it was written.
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// Whether it is one address only.
    pub const fn is_host(&self) -> bool {
        self.bits == if self.address.is_ipv4() { 32 } else { 128 }
    }

    /// Whether the address is in it. An IPv4 address mapped into IPv6 is the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let beyond = 32_u32.saturating_sub(u32::from(self.bits));
                (u64::from(u32::from(own)) >> beyond) == (u64::from(u32::from(other)) >> beyond)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let beyond = 128_u32.saturating_sub(u32::from(self.bits));
                shifted(own, beyond) == shifted(other, beyond)
            }
            _ => false,
        }
    }
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self { address, bits: if address.is_ipv4() { 32 } else { 128 } }
    }
}

impl std::str::FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((address, bits)) = text.split_once('/') else {
            return text.parse::<IpAddr>().map(Self::from).map_err(|_| NotANetwork);
        };
        let address = address.parse().map_err(|_| NotANetwork)?;
        let bits = bits.parse().map_err(|_| NotANetwork)?;
        Self::new(address, bits).ok_or(NotANetwork)
    }
}

/// The text is neither an address nor an address with a prefix length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotANetwork;

impl std::fmt::Display for NotANetwork {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("write an address, or an address and its prefix length: 192.0.2.0/24")
    }
}

impl std::error::Error for NotANetwork {}

fn shifted(address: Ipv6Addr, bits: u32) -> u128 {
    u128::from(address).checked_shr(bits).unwrap_or(0)
}

/// How many messages an address may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// In the long run, each second. Zero lets nothing through.
    pub per_second: u32,
    /// At once, after silence.
    pub burst: u32,
}

/// What is done with addresses that are not in [`Policy::peers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strangers {
    /// They are not heard.
    Refused,
    /// Phones may be anywhere: REGISTER, INVITE and what belongs to a call passes, to be authenticated behind the
    /// guard. Whatever of theirs is broken gets no answer.
    Phones,
}

/// What the guard lets through.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Trunks and other known sources.
    pub peers: Vec<Network>,
    /// Everybody else.
    pub strangers: Strangers,
    /// For each address of a peer.
    pub peer_rate: Rate,
    /// For each address of a stranger (each /64 of IPv6).
    pub stranger_rate: Rate,
    /// The largest message taken, in bytes; at most [`Policy::MOST_BYTES`]. What is handed on may be some thousand bytes
    /// larger.
    pub largest_message: usize,
    /// Methods that are taken; a known one that is not is answered 405.
    pub methods: Vec<String>,
    /// Extensions that a request may require (RFC 3261, 20.32), in lower case.
    pub extensions: Vec<String>,
    /// Parts of the User-Agent of programs that are not heard, in lower case.
    pub scanners: Vec<String>,
}

impl Default for Policy {
    /// Nobody is known, and everybody else refused; the methods and extensions of telephone calls.
    fn default() -> Self {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Self {
            peers: Vec::new(),
            strangers: Strangers::Refused,
            peer_rate: Rate { per_second: 20_000, burst: 20_000 },
            stranger_rate: Rate { per_second: 20, burst: 60 },
            largest_message: 7168,
            methods: owned(&[
                "INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER", "INFO", "UPDATE", "PRACK", "REFER",
                "NOTIFY",
            ]),
            extensions: owned(&["timer", "100rel", "replaces", "norefersub"]),
            scanners: owned(&[
                "friendly-scanner",
                "sipvicious",
                "sip-scan",
                "sipcli",
                "sundayddr",
                "iwar",
                "pplsip",
                "vaxsipuseragent",
            ]),
        }
    }
}

impl Policy {
    /// The most that [`Policy::largest_message`] may say: a message that is handed on has less than 64 KiB.
    pub const MOST_BYTES: usize = 57_344;

    /// Whether this is the address of a peer.
    pub fn knows(&self, address: IpAddr) -> bool {
        self.peers.iter().any(|network| network.contains(address))
    }

    pub(super) fn is_scanner(&self, user_agent: &str) -> bool {
        let user_agent = user_agent.to_ascii_lowercase();
        self.scanners.iter().any(|scanner| !scanner.is_empty() && user_agent.contains(scanner.as_str()))
    }
}
