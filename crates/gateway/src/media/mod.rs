//! The media of a call: two sides, each with a socket pair of its own, and a relay between them.
//!
//! A [`MediaSession`] passes on RTP and RTCP unchanged and only looks at them: it counts and times packets
//! ([`Quality`]), hears keys and silence ([`MediaEvent`]), and gives a copy to a recording ([`crate::Tap`]). Nothing in
//! it waits for anybody. Sockets are in `session`; everything else is pure and is handed the time, as nanoseconds since
//! the session began.
//!
//! You will not find here: session descriptions' texts, decoding, files.

mod dtmf;
mod event;
mod exchange;
mod latch;
mod mos;
mod party;
mod ports;
mod quality;
mod rtcp;
mod rtp;
mod session;
mod stream;
#[cfg(test)]
mod tests;
mod totals;

pub use event::MediaEvent;
pub use latch::{Latching, Remote};
pub use mos::mos;
pub use ports::{Ports, PortsError};
pub use quality::{PeerReport, Quality, Summary};
pub use session::{MediaConfig, MediaSession};
pub use totals::{PacketCounts, Totals};
