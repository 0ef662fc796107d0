//! What a session does with a datagram, without sockets and without a clock.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{
    dtmf::Press,
    event::MediaEvent,
    latch::Remote,
    party::Party,
    quality::{Quality, Summary},
    rtcp::{self, Report},
    rtp::{self, Packet},
    totals::{PacketCounts, Totals},
};
use crate::{Frame, Side, Tap, sdp::Codec};

/// Through which socket of the other side a datagram goes on, and where to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Onward {
    Rtp(SocketAddr),
    Rtcp(SocketAddr),
}

/// Both sides of a session, and who listens.
#[derive(Debug)]
pub(super) struct Exchange {
    caller: Party,
    callee: Party,
    tap: Option<Tap>,
    events: mpsc::Sender<MediaEvent>,
    events_dropped: u64,
    /// How many packets may choose the source of a side behind address translation.
    latch_packets: u32,
    silence_nanos: u64,
    totals: Arc<Totals>,
    /// What the totals have of this session.
    counted: PacketCounts,
}

impl Exchange {
    pub(super) fn new(
        latch_packets: u32,
        silence_after: Duration,
        events: mpsc::Sender<MediaEvent>,
        totals: Arc<Totals>,
    ) -> Self {
        Self {
            caller: Party::default(),
            callee: Party::default(),
            tap: None,
            events,
            events_dropped: 0,
            latch_packets,
            silence_nanos: u64::try_from(silence_after.as_nanos()).unwrap_or(u64::MAX),
            totals,
            counted: PacketCounts::default(),
        }
    }

    /// A side, and the other.
    const fn both(&mut self, side: Side) -> (&mut Party, &mut Party) {
        match side {
            Side::Caller => (&mut self.caller, &mut self.callee),
            Side::Callee => (&mut self.callee, &mut self.caller),
        }
    }

    pub(super) fn connect(&mut self, side: Side, remote: Remote, now_nanos: u64) {
        let (latch_packets, silence_nanos) = (self.latch_packets, self.silence_nanos);
        self.both(side).0.connect(remote, latch_packets, silence_nanos, now_nanos);
    }

    pub(super) fn record(&mut self, tap: Option<Tap>) {
        self.tap = tap;
    }

    /// A datagram on the RTP socket of a side.
    pub(super) fn rtp(
        &mut self,
        side: Side,
        from: SocketAddr,
        bytes: &[u8],
        now_nanos: u64,
    ) -> Option<Onward> {
        if rtp::is_rtcp(bytes) {
            // A peer may use one port for both, although nobody agreed to it.
            return match self.both(side).0.latch.takes_rtp(from, false) {
                true => self.reports(side, bytes, now_nanos),
                false => self.refused(side),
            };
        }
        let (party, other) = self.both(side);
        let Some(packet) = Packet::parse(bytes) else {
            party.latch.takes_rtp(from, false);
            party.malformed += 1;
            return None;
        };
        let payload = party.payload(packet.payload_type);
        if !party.latch.takes_rtp(from, payload.is_some()) {
            // Before signalling says where a side is, its media is only early.
            let Some(expected) = party.latch.signalled().filter(|_| payload.is_some()) else {
                return self.refused(side);
            };
            if party.refuse(now_nanos) {
                let at = Duration::from_nanos(now_nanos);
                self.tell(MediaEvent::Refused { side, from, expected, at });
            }
            return None;
        }
        party.heard(&packet, payload, now_nanos);
        let onward =
            if party.direction.sends() && other.direction.receives() { other.latch.rtp() } else { None };
        party.relayed += u64::from(onward.is_some());
        let record = party.direction.sends();
        self.tell_of(side, &packet, payload, now_nanos);
        if record && let Some(tap) = &self.tap {
            tap.offer(Frame {
                side,
                arrived_nanos: now_nanos,
                sequence: packet.sequence,
                timestamp: packet.timestamp,
                payload_type: packet.payload_type,
                payload: Bytes::copy_from_slice(packet.payload),
            });
        }
        onward.map(Onward::Rtp)
    }

    /// A datagram on the RTCP socket of a side.
    pub(super) fn rtcp(
        &mut self,
        side: Side,
        from: SocketAddr,
        bytes: &[u8],
        now_nanos: u64,
    ) -> Option<Onward> {
        match self.both(side).0.latch.takes_rtcp(from) {
            true => self.reports(side, bytes, now_nanos),
            false => self.refused(side),
        }
    }

    fn reports(&mut self, side: Side, bytes: &[u8], now_nanos: u64) -> Option<Onward> {
        let (party, other) = self.both(side);
        if !rtcp::is_valid(bytes) {
            party.malformed += 1;
            return None;
        }
        for report in rtcp::reports(bytes) {
            match report {
                Report::Sent(stamp) => party.reported(stamp, now_nanos),
                Report::Heard(block) => party.hears(&block, other, now_nanos),
            }
        }
        other.latch.rtcp().map(Onward::Rtcp)
    }

    fn refused(&mut self, side: Side) -> Option<Onward> {
        self.both(side).0.refused += 1;
        None
    }

    fn tell_of(&mut self, side: Side, packet: &Packet<'_>, payload: Option<(Codec, u32)>, now_nanos: u64) {
        let at = Duration::from_nanos(now_nanos);
        let party = self.both(side).0;
        let first = !std::mem::replace(&mut party.began, true);
        let returned = std::mem::replace(&mut party.silent, false);
        let keys = match payload {
            Some((Codec::TelephoneEvent, clock_rate)) => {
                party.keys.packet(packet.timestamp, packet.payload, clock_rate, now_nanos)
            }
            _ => [None; 2],
        };
        if first {
            let codec = payload.map(|(codec, _)| codec);
            self.tell(MediaEvent::Began { side, payload_type: packet.payload_type, codec, at });
        }
        if returned {
            self.tell(MediaEvent::Returned { side, at });
        }
        for Press { digit, duration_ms } in keys.into_iter().flatten() {
            self.tell(MediaEvent::Digit { side, digit, duration_ms, at });
        }
    }

    /// Looks for what no packet tells: silence, keys whose end was lost. Brings the totals up to date.
    pub(super) fn tick(&mut self, now_nanos: u64) {
        self.count();
        let at = Duration::from_nanos(now_nanos);
        let silence_nanos = self.silence_nanos;
        for side in Side::BOTH {
            let party = self.both(side).0;
            let press = party.keys.idle(now_nanos);
            let since = party.silent_since(silence_nanos, now_nanos).filter(|_| !party.silent);
            party.silent |= since.is_some();
            if let Some(Press { digit, duration_ms }) = press {
                self.tell(MediaEvent::Digit { side, digit, duration_ms, at });
            }
            if let Some(since) = since {
                self.tell(MediaEvent::Silent { side, since: Duration::from_nanos(since), at });
            }
        }
    }

    /// Adds to the totals what came since the last time.
    pub(super) fn count(&mut self) {
        let mut now = PacketCounts::default();
        for party in [&self.caller, &self.callee] {
            now.received += party.received();
            now.relayed += party.relayed;
            now.refused += party.refused;
            now.malformed += party.malformed;
        }
        self.totals.add(self.counted, now);
        self.counted = now;
    }

    fn tell(&mut self, event: MediaEvent) {
        self.events_dropped += u64::from(self.events.try_send(event).is_err());
    }

    pub(super) fn quality(&self, side: Side) -> Quality {
        match side {
            Side::Caller => self.caller.quality(),
            Side::Callee => self.callee.quality(),
        }
    }

    /// What is left when all is over, but for what the sockets know.
    pub(super) fn summary(&self) -> Summary {
        Summary {
            caller: self.caller.quality(),
            callee: self.callee.quality(),
            events_dropped: self.events_dropped,
            unsent: 0,
        }
    }
}
