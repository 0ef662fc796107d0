//! Who we are in the descriptions that one side gets.

use std::net::IpAddr;

/// The `o=` line of all descriptions that one side gets during a call: one session, whose version rises when what is
/// described changes (RFC 8866, 5.2; RFC 3264, 8).
#[derive(Clone, Debug)]
pub struct Origin {
    session: u32,
    address: IpAddr,
    version: u64,
    last: String,
}

impl Origin {
    /// A session with this number, best a random one, described by this host.
    pub const fn new(session: u32, address: IpAddr) -> Self {
        Self { session, address, version: 0, last: String::new() }
    }

    /// Puts `v=` and `o=` before the rest of a description.
    pub(super) fn sign(&mut self, rest: String) -> String {
        if self.last != rest {
            self.version += 1;
            self.last = rest;
        }
        let Self { session, version, address, last } = self;
        format!("v=0\r\no=- {session} {version} IN {}\r\n{last}", host(*address))
    }
}

/// An address as `o=` and `c=` write it, without `IN`.
pub(super) fn host(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("IP4 {address}"),
        IpAddr::V6(address) => format!("IP6 {address}"),
    }
}
