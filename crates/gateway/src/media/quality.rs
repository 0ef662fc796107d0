//! What was measured.

use std::time::Duration;

use crate::{Side, sdp::Codec};

/// The media that one side sends, as it arrives here, and what that side says of what it hears. Counts are of the whole
/// session, over all streams (SSRCs) of the side.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quality {
    /// The speech codec heard last.
    pub codec: Option<Codec>,
    /// How many streams there were.
    pub streams: u32,
    /// Packets, each once.
    pub received: u64,
    /// Packets that did not come.
    pub lost: u64,
    /// Packets that came after a later one.
    pub reordered: u64,
    /// Packets that came again.
    pub duplicates: u64,
    /// Times that the sequence jumped ahead; a reordered packet makes one, too.
    pub gaps: u64,
    /// Lost of all expected: 0 to 1.
    pub loss: f64,
    /// The jitter of the stream heard last (RFC 3550, A.8).
    pub jitter_ms: f64,
    /// The highest jitter of that stream.
    pub worst_jitter_ms: f64,
    /// From here to the side and back, by its RTCP reports.
    pub round_trip_ms: Option<f64>,
    /// How a listener would rate it: 1 to 4.5 ([`super::mos()`]).
    pub mos: Option<f64>,
    /// What the side last reported of the media that it gets.
    pub peer: Option<PeerReport>,
    /// Packets passed on to the other side.
    pub relayed: u64,
    /// Packets refused for where they came from.
    pub refused: u64,
    /// Datagrams that are neither RTP nor RTCP.
    pub malformed: u64,
}

/// An RTCP report block about the other side's media.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PeerReport {
    /// Lost since the report before: 0 to 1.
    pub loss: f64,
    /// Lost in all; below 0 when packets came twice.
    pub lost: i32,
    /// The jitter; 0 while the clock of what it hears is unknown.
    pub jitter_ms: f64,
    /// When the report came, since the session began.
    pub at: Duration,
}

/// What a session leaves behind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Of the caller's media.
    pub caller: Quality,
    /// Of the callee's media.
    pub callee: Quality,
    /// Events for which there was no room.
    pub events_dropped: u64,
    /// Packets that the system would not send.
    pub unsent: u64,
}

impl Summary {
    /// Of one side's media.
    pub const fn of(&self, side: Side) -> &Quality {
        match side {
            Side::Caller => &self.caller,
            Side::Callee => &self.callee,
        }
    }
}
