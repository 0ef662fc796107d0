//! Media on its way from the relay to a recording.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::Side;

/// The payload of one RTP packet, as it was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Who sent it.
    pub side: Side,
    /// When it arrived: nanoseconds since the call's media began, by a clock that never goes back.
    pub arrived_nanos: u64,
    /// The packet's sequence number (RFC 3550, 5.1).
    pub sequence: u16,
    /// The packet's media time stamp, in ticks of its payload type's clock.
    pub timestamp: u32,
    /// The payload type; 7 bits.
    pub payload_type: u8,
    /// The payload without header and padding.
    pub payload: Bytes,
}

/// The end of a recording that the relay writes to. It never waits: what finds no room is dropped and counted.
#[derive(Clone, Debug)]
pub struct Tap {
    frames: mpsc::Sender<Frame>,
    dropped: Arc<AtomicU64>,
}

impl Tap {
    /// A tap with room for so many frames, and the end that is recorded from.
    pub fn with_room(frames: usize) -> (Self, mpsc::Receiver<Frame>) {
        let (sender, receiver) = mpsc::channel(frames.max(1));
        (Self { frames: sender, dropped: Arc::default() }, receiver)
    }

    /// Hands a frame over, or drops it when there is no room.
    pub fn offer(&self, frame: Frame) {
        if self.frames.try_send(frame).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many frames were dropped so far.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}
