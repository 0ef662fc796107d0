//! What is heard in the media of a call.

use std::{net::SocketAddr, time::Duration};

use crate::{Side, sdp::Codec};

/// Something heard; every `at` is the time since the session began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaEvent {
    /// The first packet of a side. Told once.
    Began {
        /// Who sent it.
        side: Side,
        /// Its payload type.
        payload_type: u8,
        /// What the payload type stands for; `None` for one that was not described.
        codec: Option<Codec>,
        /// When it came.
        at: Duration,
    },
    /// A key was pressed and let go (RFC 4733).
    Digit {
        /// Who pressed it.
        side: Side,
        /// `0` to `9`, `*`, `#`, `A` to `D`.
        digit: char,
        /// How long it was pressed, by the sender's count.
        duration_ms: u32,
        /// When it was let go, or, if that was lost, when this was noticed.
        at: Duration,
    },
    /// A side that should send has not been heard for the configured time. Told once a silence.
    Silent {
        /// Who is silent.
        side: Side,
        /// When it was last heard, or since when it should have been.
        since: Duration,
        /// When this was noticed.
        at: Duration,
    },
    /// All media of a side has been refused for a second, for where it comes from. Reported once a session.
    Refused {
        /// The side that it concerns.
        side: Side,
        /// Where it comes from.
        from: SocketAddr,
        /// Where it should come from, by its SDP.
        expected: SocketAddr,
        /// When this was noticed.
        at: Duration,
    },
    /// A silent side is heard again.
    Returned {
        /// Who is heard.
        side: Side,
        /// When its packet came.
        at: Duration,
    },
}
