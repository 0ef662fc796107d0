//! Packets of all calls, counted while the calls go on.

use std::sync::atomic::{AtomicU64, Ordering};

use super::quality::Summary;
use crate::Side;

/// Packets of all sessions. What is lost or not sent is added when a session ends: a packet that is late is not lost.
#[derive(Debug, Default)]
pub struct Totals {
    received: AtomicU64,
    relayed: AtomicU64,
    refused: AtomicU64,
    malformed: AtomicU64,
    lost: AtomicU64,
    unsent: AtomicU64,
}

/// Packets by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PacketCounts {
    /// Packets of RTP that arrived, each once.
    pub received: u64,
    /// Those that were passed on.
    pub relayed: u64,
    /// Packets refused for where they came from.
    pub refused: u64,
    /// Datagrams that are neither RTP nor RTCP.
    pub malformed: u64,
    /// Packets that did not come.
    pub lost: u64,
    /// Packets that the system would not send.
    pub unsent: u64,
}

impl Totals {
    /// The sums so far.
    pub fn counts(&self) -> PacketCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        PacketCounts {
            received: read(&self.received),
            relayed: read(&self.relayed),
            refused: read(&self.refused),
            malformed: read(&self.malformed),
            lost: read(&self.lost),
            unsent: read(&self.unsent),
        }
    }

    /// Adds what a session counted between two looks at it.
    pub(super) fn add(&self, before: PacketCounts, now: PacketCounts) {
        for (counter, before, now) in [
            (&self.received, before.received, now.received),
            (&self.relayed, before.relayed, now.relayed),
            (&self.refused, before.refused, now.refused),
            (&self.malformed, before.malformed, now.malformed),
        ] {
            counter.fetch_add(now.saturating_sub(before), Ordering::Relaxed);
        }
    }

    /// Adds what is known when a session ends.
    pub(super) fn end(&self, summary: &Summary) {
        let lost = Side::BOTH.iter().map(|side| summary.of(*side).lost).sum();
        self.lost.fetch_add(lost, Ordering::Relaxed);
        self.unsent.fetch_add(summary.unsent, Ordering::Relaxed);
    }
}
