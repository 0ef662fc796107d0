//! Which ports media may use.

use std::{
    hash::{BuildHasher, RandomState},
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket},
    ops::RangeInclusive,
    sync::{Arc, Mutex, PoisonError},
};

use socket2::{Domain, Protocol, Socket, Type};

/// How many pairs are tried that somebody else on this host has taken.
const MOST_TAKEN: usize = 64;

/// Why there are no sockets for a side of a call.
#[derive(Debug, thiserror::Error)]
pub enum PortsError {
    /// All pairs are in use: by our calls, or those that were tried by other programs.
    #[error("all media ports are in use: give a wider range, or let fewer calls in")]
    Exhausted,
    /// The range holds no pair of an even port and the next.
    #[error("the range of media ports holds no even port with the next one")]
    EmptyRange,
    /// The system refuses a socket.
    #[error("no socket for media: {0}")]
    Socket(#[from] io::Error),
}

/// The pairs of an even port for RTP and the next for RTCP (RFC 3550, 11) that the sides of all calls share. A clone
/// shares them too.
#[derive(Clone, Debug)]
pub struct Ports {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    first: u16,
    /// Which pairs are in use.
    used: Mutex<Vec<bool>>,
}

/// The pair's place, given back on drop.
#[derive(Debug)]
pub(super) struct Lease {
    shared: Arc<Shared>,
    index: usize,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.shared.used.lock().unwrap_or_else(PoisonError::into_inner)[self.index] = false;
    }
}

/// The two sockets of a side. The lease comes last: the ports are free once it is given back.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) rtp: UdpSocket,
    pub(super) rtcp: UdpSocket,
    /// Where RTP is taken.
    pub(super) local: SocketAddr,
    pub(super) lease: Lease,
}

impl Ports {
    /// The pairs within a range of ports.
    pub fn new(range: RangeInclusive<u16>) -> Result<Self, PortsError> {
        let (first, last) = (u32::from(*range.start()).next_multiple_of(2), u32::from(*range.end()));
        let pairs = (last + 1).saturating_sub(first) / 2;
        let first = u16::try_from(first).ok().filter(|first| pairs > 0 && *first > 0);
        let first = first.ok_or(PortsError::EmptyRange)?;
        let used = vec![false; usize::try_from(pairs).unwrap_or_default()];
        Ok(Self { shared: Arc::new(Shared { first, used: Mutex::new(used) }) })
    }

    /// How many pairs there are: two for each call.
    pub fn pairs(&self) -> usize {
        self.used(|used| used.len())
    }

    /// How many pairs are in use.
    pub fn in_use(&self) -> usize {
        self.used(|used| used.iter().filter(|used| **used).count())
    }

    fn used<T>(&self, read: impl FnOnce(&mut [bool]) -> T) -> T {
        read(&mut self.shared.used.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sockets on the first free pair from a random one on, so that the next ports cannot be guessed.
    pub(super) fn open(&self, host: IpAddr) -> Result<Pair, PortsError> {
        let random = usize::try_from(RandomState::new().hash_one(()) >> 32).unwrap_or_default();
        let mut begin = random % self.pairs();
        // A pair that somebody else has stays leased until a free one is found, so as not to be tried twice.
        let mut taken = Vec::new();
        while taken.len() < MOST_TAKEN {
            let lease = self.lease(begin).ok_or(PortsError::Exhausted)?;
            match self.bind(host, lease.index) {
                Ok((rtp, rtcp, local)) => return Ok(Pair { rtp, rtcp, local, lease }),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    begin = lease.index;
                    taken.push(lease);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(PortsError::Exhausted)
    }

    fn lease(&self, begin: usize) -> Option<Lease> {
        let index = self.used(|used| {
            let index = (begin..used.len()).chain(0..begin).find(|index| !used[*index])?;
            used[index] = true;
            Some(index)
        })?;
        Some(Lease { shared: Arc::clone(&self.shared), index })
    }

    fn bind(&self, host: IpAddr, index: usize) -> io::Result<(UdpSocket, UdpSocket, SocketAddr)> {
        let even = self.shared.first.saturating_add(u16::try_from(2 * index).unwrap_or(u16::MAX));
        let bind = |port| -> io::Result<UdpSocket> {
            let address = SocketAddr::new(host, port);
            let kind = Type::DGRAM.nonblocking();
            let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::UDP))?;
            if host == Ipv6Addr::UNSPECIFIED {
                // Whatever the system has as its default, it is every address of the machine.
                socket.set_only_v6(false)?;
            }
            socket.bind(&address.into())?;
            Ok(socket.into())
        };
        Ok((bind(even)?, bind(even.saturating_add(1))?, SocketAddr::new(host, even)))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 1, 1));

    fn port(pair: &Pair) -> u16 {
        pair.rtp.local_addr().expect("an address").port()
    }

    #[test]
    fn pairs_are_even_and_next_and_each_is_given_once() {
        let ports = Ports::new(21_001..=21_012).expect("ports");
        assert_eq!(ports.pairs(), 5);
        let pairs: Vec<Pair> = (0..5).map(|_| ports.open(HOST).expect("a pair")).collect();
        let mut given: Vec<u16> = pairs.iter().map(port).collect();
        given.sort_unstable();
        assert_eq!(given, [21_002, 21_004, 21_006, 21_008, 21_010]);
        for pair in &pairs {
            assert_eq!(pair.rtcp.local_addr().expect("an address").port(), port(pair) + 1);
        }
        assert!(matches!(ports.open(HOST), Err(PortsError::Exhausted)));
        drop(pairs);
        assert_eq!(ports.in_use(), 0);
        assert!(ports.open(HOST).is_ok());
    }

    #[test]
    fn a_pair_that_somebody_else_has_is_passed_over() {
        let ports = Ports::new(21_020..=21_023).expect("ports");
        let stranger = UdpSocket::bind(SocketAddr::new(HOST, 21_021)).expect("a socket");
        let pair = ports.open(HOST).expect("a pair");
        assert_eq!((port(&pair), ports.in_use()), (21_022, 1));
        drop(pair);
        let other = UdpSocket::bind(SocketAddr::new(HOST, 21_022)).expect("a socket");
        assert!(matches!(ports.open(HOST), Err(PortsError::Exhausted)));
        drop((stranger, other));
        assert_eq!(ports.in_use(), 0);
    }

    #[test]
    fn a_range_needs_an_even_port_and_the_next() {
        assert_eq!(Ports::new(65_534..=65_535).expect("ports").pairs(), 1);
        for range in [5..=6, 4..=4, 65_535..=65_535, RangeInclusive::new(9, 3), 0..=1] {
            assert!(matches!(Ports::new(range), Err(PortsError::EmptyRange)));
        }
    }

    #[test]
    fn a_refused_socket_is_not_exhaustion() {
        let ports = Ports::new(21_030..=21_033).expect("ports");
        let elsewhere = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        assert!(matches!(ports.open(elsewhere), Err(PortsError::Socket(_))));
        assert_eq!(ports.in_use(), 0);
    }
}
