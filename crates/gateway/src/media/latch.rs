//! Where a side's media comes from and goes to.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use crate::sdp::{Audio, Direction, PayloadMap};

/// Which sources of media are taken for a side's, beside the one that its SDP names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Latching {
    /// None.
    #[default]
    Off,
    /// Every port of the host that its signalling comes from. A phone with several addresses names one of them in its SDP
    /// and sends from another.
    Host {
        /// The address of the signalling.
        address: IpAddr,
        /// Whether that is an address of this machine: then the loopback is the same host.
        is_local: bool,
    },
    /// Any source: the side may be behind address translation.
    Any,
}

impl Latching {
    /// The host whose signalling comes from this address.
    pub fn host(address: IpAddr) -> Self {
        let address = address.to_canonical();
        // Only an address of this machine can be bound to.
        let is_local = address.is_loopback() || UdpSocket::bind((address, 0)).is_ok();
        Self::Host { address, is_local }
    }

    /// Whether a source may be latched on to.
    fn allows(self, from: SocketAddr) -> bool {
        match self {
            Self::Off => false,
            Self::Host { address, is_local } => from.ip() == address || (is_local && from.ip().is_loopback()),
            Self::Any => true,
        }
    }
}

/// A side as signalling knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Where it takes RTP and sends it from; `None` while it holds the old way: what was known before then still says
    /// where it sends from.
    pub rtp: Option<SocketAddr>,
    /// Where it takes RTCP and sends it from.
    pub rtcp: Option<SocketAddr>,
    /// Which other sources its media is taken from.
    pub latching: Latching,
    /// What the payload types of its packets stand for.
    pub payloads: PayloadMap,
    /// Which way media flows, as it sees it.
    pub direction: Direction,
}

impl Remote {
    /// A side that described itself so and that was sent this description.
    pub fn new(described: &Audio, sent: &Audio, latching: Latching) -> Self {
        Self {
            rtp: described.rtp,
            rtcp: described.rtcp,
            latching,
            payloads: sent.payloads.towards(&described.payloads),
            direction: described.direction,
        }
    }
}

/// How sure it is that a source of media is a side's; a surer one outdoes others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// It may be.
    Other,
    /// It has the port of the SDP, on this machine, where the phone is.
    SamePort,
    /// The SDP names it.
    Signalled,
}

/// The addresses of a side: the signalled ones, and with [`Latching`] the source of the first credible packet. Only the
/// first packets choose that source, so nobody can take a running call over by sending to its port.
#[derive(Clone, Debug, Default)]
pub(super) struct Latch {
    rtp: Option<SocketAddr>,
    rtcp: Option<SocketAddr>,
    latching: Latching,
    latched: Option<SocketAddr>,
    latched_rtcp: Option<SocketAddr>,
    /// Where to send while another source may be chosen: where the side was before.
    before: Option<SocketAddr>,
    /// Packets that may still choose.
    left: u32,
}

impl Latch {
    /// Takes what was signalled. What is latched on to stays when the same side is signalled again and is still `heard`:
    /// a hold must not open the door anew.
    pub(super) fn signal(&mut self, remote: &Remote, packets: u32, heard: bool) {
        let same = remote.rtp.is_none() || remote.rtp == self.rtp;
        let keeps = same && heard && remote.latching == self.latching && self.latched.is_some();
        self.rtp = remote.rtp.or(self.rtp);
        self.rtcp = remote.rtcp.or(self.rtcp);
        self.latching = remote.latching;
        if !keeps {
            let latches = remote.latching != Latching::Off;
            self.left = if latches { packets } else { 0 };
            self.before = self.latched.take().or(self.before).filter(|_| same && latches);
            self.latched_rtcp = None;
        }
    }

    /// How sure it is that a source is the side's.
    fn standing(&self, from: SocketAddr) -> Standing {
        let is_local = matches!(self.latching, Latching::Host { is_local: true, .. });
        match self.rtp {
            Some(rtp) if rtp == from => Standing::Signalled,
            // Nobody else on this machine can have the port of a phone there. Behind a translation somebody else can.
            Some(rtp) if is_local && rtp.port() == from.port() => Standing::SamePort,
            _ => Standing::Other,
        }
    }

    /// Whether a packet from this source is the side's. Only a `credible` one, RTP of a described type, may choose.
    pub(super) fn takes_rtp(&mut self, from: SocketAddr, credible: bool) -> bool {
        let standing = self.standing(from);
        let signalled = standing == Standing::Signalled;
        if self.latching == Latching::Off {
            return signalled;
        }
        // What may not choose takes no turn from what may.
        if !signalled && !self.latching.allows(from) {
            return false;
        }
        let outdoes = self.latched.is_none_or(|latched| standing > self.standing(latched));
        // A host may have others on it that were faster, or noisy: a source that is surer is believed at any time.
        let is_host = matches!(self.latching, Latching::Host { .. });
        let chooses = self.left > 0 || (is_host && standing > Standing::Other);
        self.left = self.left.saturating_sub(1);
        if self.latched == Some(from) {
            return true;
        }
        if chooses && credible && outdoes {
            // The signalled source is right beyond doubt: the choice is over.
            self.left = if signalled { 0 } else { self.left };
            self.latched = Some(from);
            self.latched_rtcp = None;
            return true;
        }
        signalled && self.latched.is_none()
    }

    /// Whether RTCP from this source is the side's: the signalled source, or one port of the host latched on to.
    pub(super) fn takes_rtcp(&mut self, from: SocketAddr) -> bool {
        let host = self.latched.map(|latched| latched.ip());
        if self.latching != Latching::Off && host.is_some_and(|host| host == from.ip()) {
            return *self.latched_rtcp.get_or_insert(from) == from;
        }
        host.is_none() && (self.rtcp == Some(from) || self.rtp == Some(from))
    }

    /// Where the SDP says that RTP comes from.
    pub(super) const fn signalled(&self) -> Option<SocketAddr> {
        self.rtp
    }

    /// Where RTP goes.
    pub(super) fn rtp(&self) -> Option<SocketAddr> {
        self.latched.or(self.before).or(self.rtp)
    }

    /// Where RTCP goes; `None` while its place behind an address translation is unknown.
    pub(super) fn rtcp(&self) -> Option<SocketAddr> {
        let host = self.rtp().map(|rtp| rtp.ip());
        let signalled = self.rtcp.filter(|rtcp| self.latching == Latching::Off || host == Some(rtcp.ip()));
        self.latched_rtcp.or(signalled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str) -> SocketAddr {
        address.parse().expect("an address")
    }

    fn latch(rtp: &str, latching: Latching) -> (Latch, Remote) {
        let rtp = at(rtp);
        let rtcp = SocketAddr::new(rtp.ip(), rtp.port() + 1);
        let remote = Remote {
            rtp: Some(rtp),
            rtcp: Some(rtcp),
            latching,
            payloads: PayloadMap::default(),
            direction: Direction::SendReceive,
        };
        let mut latch = Latch::default();
        latch.signal(&remote, 3, false);
        (latch, remote)
    }

    #[test]
    fn without_translation_only_the_signalled_source_is_taken() {
        let (mut latch, _) = latch("192.0.2.1:4000", Latching::Off);
        assert!(!latch.takes_rtp(at("192.0.2.2:4000"), true));
        assert!(!latch.takes_rtp(at("192.0.2.1:4002"), true));
        assert!(latch.takes_rtp(at("192.0.2.1:4000"), false));
        assert!(latch.takes_rtcp(at("192.0.2.1:4001")) && !latch.takes_rtcp(at("192.0.2.9:4001")));
        assert_eq!((latch.rtp(), latch.rtcp()), (Some(at("192.0.2.1:4000")), Some(at("192.0.2.1:4001"))));
        assert!(
            !Latch::default().takes_rtp(at("192.0.2.1:4000"), true),
            "nothing is taken before signalling"
        );
    }

    #[test]
    fn the_first_credible_source_is_latched_on_to_for_good() {
        let (mut latch, remote) = latch("10.0.0.1:4000", Latching::Any);
        assert!(!latch.takes_rtp(at("203.0.113.5:9"), false), "noise chooses nothing");
        assert!(latch.takes_rtp(at("203.0.113.1:7000"), true));
        for _ in 0..5 {
            assert!(!latch.takes_rtp(at("203.0.113.5:9"), true));
        }
        assert!(latch.takes_rtp(at("203.0.113.1:7000"), true));
        assert!(!latch.takes_rtp(at("10.0.0.1:4000"), true), "the choice is over");
        assert_eq!((latch.rtp(), latch.rtcp()), (Some(at("203.0.113.1:7000")), None));
        assert!(!latch.takes_rtcp(at("203.0.113.5:9")));
        assert!(latch.takes_rtcp(at("203.0.113.1:7777")) && !latch.takes_rtcp(at("203.0.113.1:7778")));
        assert_eq!(latch.rtcp(), Some(at("203.0.113.1:7777")));

        latch.signal(&Remote { direction: Direction::SendOnly, ..remote.clone() }, 3, true);
        assert!(!latch.takes_rtp(at("203.0.113.5:9"), true), "a hold opens no door");
        latch.signal(&Remote { rtp: Some(at("10.0.0.2:4000")), ..remote }, 3, true);
        assert!(latch.takes_rtp(at("203.0.113.5:9"), true), "another address does");
    }

    #[test]
    fn only_the_first_packets_choose() {
        let (mut latch, remote) = latch("10.0.0.1:4000", Latching::Any);
        for _ in 0..3 {
            assert!(!latch.takes_rtp(at("203.0.113.5:9"), false));
        }
        assert!(!latch.takes_rtp(at("203.0.113.1:7000"), true));
        assert!(latch.takes_rtp(at("10.0.0.1:4000"), true), "the signalled source is still right");
        latch.signal(&remote, 3, false);
        assert!(latch.takes_rtp(at("203.0.113.1:7000"), true), "a side that fell silent may have moved");
        latch.signal(&remote, 3, false);
        assert_eq!(latch.rtp(), Some(at("203.0.113.1:7000")), "until it is heard it is where it was");
        assert!(latch.takes_rtp(at("203.0.113.1:8000"), true));
        assert_eq!(latch.rtp(), Some(at("203.0.113.1:8000")));
    }

    #[test]
    fn the_signalled_source_outdoes_a_faster_stranger() {
        let (mut latch, _) = latch("198.51.100.1:4000", Latching::Any);
        assert!(latch.takes_rtp(at("203.0.113.5:9"), true));
        assert!(latch.takes_rtp(at("198.51.100.1:4000"), true));
        assert!(!latch.takes_rtp(at("203.0.113.5:9"), true));
        assert!(latch.takes_rtcp(at("198.51.100.1:4001")));
    }

    #[test]
    fn a_phone_sends_from_the_host_of_its_signalling_and_nobody_else_chooses() {
        let host = Latching::Host { address: at("127.0.0.1:0").ip(), is_local: true };
        let (mut latch, _) = latch("192.0.2.7:4000", host);
        for _ in 0..5 {
            assert!(!latch.takes_rtp(at("203.0.113.5:9"), true), "a third party");
        }
        assert!(!latch.takes_rtp(at("127.0.0.1:7000"), false), "noise chooses nothing");
        assert!(latch.takes_rtp(at("127.0.0.1:4000"), true));
        assert!(!latch.takes_rtp(at("127.0.0.1:4002"), true), "the choice is made");
        assert!(latch.takes_rtcp(at("127.0.0.1:4001")) && !latch.takes_rtcp(at("203.0.113.5:9")));
        assert_eq!((latch.rtp(), latch.rtcp()), (Some(at("127.0.0.1:4000")), Some(at("127.0.0.1:4001"))));
    }

    #[test]
    fn a_phone_on_the_port_of_its_sdp_outdoes_a_faster_stranger_on_its_host() {
        let host = Latching::Host { address: at("127.0.0.1:0").ip(), is_local: true };
        let (mut latch, _) = latch("192.0.2.7:4000", host);
        for _ in 0..9 {
            assert!(latch.takes_rtp(at("127.0.0.1:9000"), true), "a stranger was first");
        }
        assert!(!latch.takes_rtp(at("127.0.0.1:4000"), false), "noise chooses nothing");
        assert!(latch.takes_rtp(at("127.0.0.1:4000"), true));
        assert!(!latch.takes_rtp(at("127.0.0.1:9000"), true));
        assert_eq!(latch.rtp(), Some(at("127.0.0.1:4000")));
        assert!(latch.takes_rtp(at("192.0.2.7:4000"), true), "the signalled source is surer still");
        assert!(!latch.takes_rtp(at("127.0.0.1:4000"), true));
    }

    #[test]
    fn the_loopback_is_the_host_of_local_phones_only() {
        for (is_local, loopback) in [(true, true), (false, false)] {
            let host = Latching::Host { address: at("192.0.2.7:0").ip(), is_local };
            assert_eq!(host.allows(at("127.0.0.1:4000")), loopback);
            assert!(host.allows(at("192.0.2.7:9")) && !host.allows(at("192.0.2.8:4000")));
        }
        let is_local = |address: &str| match Latching::host(at(address).ip()) {
            Latching::Host { is_local, .. } => is_local,
            Latching::Off | Latching::Any => false,
        };
        assert!(is_local("127.0.0.31:0") && is_local("[::ffff:127.0.0.1]:0") && !is_local("203.0.113.9:0"));
    }

    #[test]
    fn a_phone_that_keeps_to_its_sdp_is_heard_there() {
        let (mut latch, _) = latch("192.0.2.7:4000", Latching::host(at("127.0.0.1:0").ip()));
        assert!(latch.takes_rtp(at("192.0.2.7:4000"), true));
        assert!(!latch.takes_rtp(at("127.0.0.1:4000"), true), "the signalled source is right beyond doubt");
        assert!(latch.takes_rtcp(at("192.0.2.7:4001")));
    }

    #[test]
    fn an_old_way_hold_keeps_the_source() {
        let (mut latch, remote) = latch("192.0.2.1:4000", Latching::Off);
        latch.signal(&Remote { rtp: None, rtcp: None, ..remote }, 3, true);
        assert!(latch.takes_rtp(at("192.0.2.1:4000"), true));
    }
}
