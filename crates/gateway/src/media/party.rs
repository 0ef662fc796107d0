//! One side of a session: what is known of it and what was heard of it.

use std::time::Duration;

use super::{
    dtmf::Keys,
    latch::{Latch, Remote},
    mos::mos,
    quality::{PeerReport, Quality},
    rtcp::Block,
    rtp::Packet,
    stream::{Counts, Stream},
};
use crate::sdp::{Codec, Direction, Payload, PayloadMap};

/// How many sender reports are remembered, to find the one that an answer is about.
const REPORTS: usize = 4;
/// For how long all media must be refused before that is reported.
const REFUSED_NANOS: u64 = 1_000_000_000;
/// Refused packets that are further apart belong to no stream.
const REFUSED_GAP_NANOS: u64 = 500_000_000;
/// A round trip that takes longer is a wrong sum.
const LONGEST_ROUND_TRIP_NANOS: u64 = 30_000_000_000;

#[derive(Clone, Debug)]
pub(super) struct Party {
    pub(super) latch: Latch,
    pub(super) direction: Direction,
    pub(super) payloads: PayloadMap,
    pub(super) keys: Keys,
    pub(super) began: bool,
    pub(super) silent: bool,
    /// When it was last heard.
    heard_nanos: Option<u64>,
    /// Since when it should send.
    awaited_nanos: Option<u64>,
    stream: Option<Stream>,
    /// Of its streams that are over.
    earlier: Counts,
    streams: u32,
    /// The codec and clock of the speech heard last.
    speech: Option<(Codec, u32)>,
    /// Its sender reports, by the middle of their NTP stamps, and when each was passed on.
    sent: [Option<(u32, u64)>; REPORTS],
    next_report: usize,
    peer: Option<PeerReport>,
    round_trip_nanos: Option<u64>,
    pub(super) relayed: u64,
    pub(super) refused: u64,
    pub(super) malformed: u64,
    /// The first and the latest of the refused packets since one was taken.
    refusing: Option<(u64, u64)>,
    reported_refused: bool,
}

impl Default for Party {
    fn default() -> Self {
        Self {
            latch: Latch::default(),
            // Nothing flows before a side is described.
            direction: Direction::Inactive,
            payloads: PayloadMap::default(),
            keys: Keys::default(),
            began: false,
            silent: false,
            heard_nanos: None,
            awaited_nanos: None,
            stream: None,
            earlier: Counts::default(),
            streams: 0,
            speech: None,
            sent: [None; REPORTS],
            next_report: 0,
            peer: None,
            round_trip_nanos: None,
            relayed: 0,
            refused: 0,
            malformed: 0,
            refusing: None,
            reported_refused: false,
        }
    }
}

impl Party {
    pub(super) fn connect(&mut self, remote: Remote, latch_packets: u32, silence_nanos: u64, now_nanos: u64) {
        let heard = self.heard_nanos.is_some_and(|heard| now_nanos.saturating_sub(heard) < silence_nanos);
        self.latch.signal(&remote, latch_packets, heard);
        self.awaited_nanos = match (remote.direction.sends(), self.direction.sends()) {
            (true, true) => self.awaited_nanos,
            (true, false) => Some(now_nanos),
            (false, _) => None,
        };
        self.silent &= remote.direction.sends();
        self.direction = remote.direction;
        self.payloads = remote.payloads;
    }

    /// Takes a packet of this side in. `payload` is what its type stands for.
    pub(super) fn heard(&mut self, packet: &Packet<'_>, payload: Option<(Codec, u32)>, now_nanos: u64) {
        self.heard_nanos = Some(now_nanos);
        self.refusing = None;
        if let Some((codec, _)) = payload
            && codec.is_speech()
        {
            self.speech = payload;
        }
        let clock_rate =
            payload.filter(|(codec, _)| *codec != Codec::TelephoneEvent).map(|(_, clock_rate)| clock_rate);
        if self.stream.as_ref().is_none_or(|stream| stream.ssrc != packet.ssrc) {
            let over = self.stream.replace(Stream::new(packet.ssrc, packet.sequence));
            self.earlier = over.map_or(self.earlier, |over| self.earlier.and(over.counts()));
            self.streams = self.streams.saturating_add(1);
            self.keys = Keys::default();
        }
        if let Some(stream) = &mut self.stream {
            stream.packet(packet, clock_rate, now_nanos);
        }
    }

    /// Counts a packet of RTP that is refused for where it comes from. Says, once, that nothing else has come for a second.
    pub(super) fn refuse(&mut self, now_nanos: u64) -> bool {
        self.refused += 1;
        let first = match self.refusing {
            Some((first, last)) if now_nanos.saturating_sub(last) < REFUSED_GAP_NANOS => first,
            Some(_) | None => now_nanos,
        };
        self.refusing = Some((first, now_nanos));
        let is_due = now_nanos.saturating_sub(first) >= REFUSED_NANOS && !self.reported_refused;
        self.reported_refused |= is_due;
        is_due
    }

    /// Packets that arrived, each once.
    pub(super) fn received(&self) -> u64 {
        self.stream.as_ref().map_or(self.earlier, |stream| self.earlier.and(stream.counts())).received
    }

    /// What a payload type of this side stands for.
    pub(super) fn payload(&self, payload_type: u8) -> Option<(Codec, u32)> {
        self.payloads.get(payload_type).map(|Payload { codec, clock_rate, .. }| (*codec, *clock_rate))
    }

    /// Since when this side has been silent that should send, if that is as long as `silence_nanos`.
    pub(super) fn silent_since(&self, silence_nanos: u64, now_nanos: u64) -> Option<u64> {
        let since = self.awaited_nanos?.max(self.heard_nanos.unwrap_or_default());
        (now_nanos.saturating_sub(since) >= silence_nanos).then_some(since)
    }

    /// Remembers that a sender report of this side was passed on.
    pub(super) fn reported(&mut self, stamp: u32, now_nanos: u64) {
        self.sent[self.next_report] = Some((stamp, now_nanos));
        self.next_report = (self.next_report + 1) % REPORTS;
    }

    /// Takes in what this side reports of the other's media.
    pub(super) fn hears(&mut self, block: &Block, other: &Self, now_nanos: u64) {
        if other.stream.as_ref().is_none_or(|stream| stream.ssrc != block.ssrc) {
            return;
        }
        let clock_rate = other.speech.map_or(0, |(_, clock_rate)| clock_rate);
        let jitter_ms =
            if clock_rate == 0 { 0.0 } else { f64::from(block.jitter) * 1000.0 / f64::from(clock_rate) };
        self.peer = Some(PeerReport {
            loss: f64::from(block.fraction_lost) / 256.0,
            lost: block.lost,
            jitter_ms,
            at: Duration::from_nanos(now_nanos),
        });
        // The report went out here and its answer came back here, so no other clock is needed (RFC 3550, 6.4.1).
        let sent = other.sent.iter().flatten().find(|(stamp, _)| *stamp == block.last_report);
        if let Some((_, sent_nanos)) = sent.filter(|_| block.last_report != 0) {
            let held = (u64::from(block.delay) * 1_000_000_000) >> 16;
            let round_trip = now_nanos.saturating_sub(*sent_nanos).checked_sub(held);
            self.round_trip_nanos =
                round_trip.filter(|nanos| *nanos < LONGEST_ROUND_TRIP_NANOS).or(self.round_trip_nanos);
        }
    }

    pub(super) fn quality(&self) -> Quality {
        let stream = self.stream.as_ref();
        let counts = stream.map_or(self.earlier, |stream| self.earlier.and(stream.counts()));
        let expected = counts.received + counts.lost;
        let loss = if expected == 0 { 0.0 } else { counts.lost as f64 / expected as f64 };
        let jitter_ms = stream.map_or(0.0, Stream::jitter_ms);
        let round_trip_ms =
            self.round_trip_nanos.map(|nanos| Duration::from_nanos(nanos).as_secs_f64() * 1000.0);
        Quality {
            codec: self.speech.map(|(codec, _)| codec),
            streams: self.streams,
            received: counts.received,
            lost: counts.lost,
            reordered: counts.reordered,
            duplicates: counts.duplicates,
            gaps: counts.gaps,
            loss,
            jitter_ms,
            worst_jitter_ms: stream.map_or(0.0, Stream::worst_jitter_ms),
            round_trip_ms,
            mos: self.speech.and_then(|(codec, _)| mos(codec, loss, jitter_ms, round_trip_ms)),
            peer: self.peer,
            relayed: self.relayed,
            refused: self.refused,
            malformed: self.malformed,
        }
    }
}
