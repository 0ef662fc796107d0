//! What the gateway counts.

use std::collections::BTreeMap;

use crate::{
    guard::Reason,
    media::{PacketCounts, Ports},
    recording,
};

/// What the gateway has done since its start, and what it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls that are not over.
    pub calls: usize,
    /// Those, and calls whose last reports the owner has not taken.
    pub admitted: usize,
    /// Reports that found no room and were dropped.
    pub lost_reports: u64,
    /// Of SIP.
    pub sip: SipCounts,
    /// Attempts that were refused.
    pub refused: RefusalCounts,
    /// Messages that the guard stopped, by reason; a reason that never came up is not in it.
    pub guard: Vec<GuardCount>,
    /// Of media.
    pub rtp: RtpCounts,
    /// Of recordings.
    pub recording: recording::Counts,
}

/// Of SIP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SipCounts {
    /// Messages that the guard let through.
    pub passed: u64,
    /// Dialogs that there are.
    pub dialogs: usize,
    /// Transactions that run.
    pub transactions: usize,
    /// Connections over TCP and TLS.
    pub connections: usize,
    /// Connections that were refused, since there were as many as may be.
    pub connections_refused: u64,
    /// Users that are registered.
    pub registered: usize,
}

/// Attempts to call or to register that were refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefusalCounts {
    /// How many, by reason. A reason that never came up is not in it.
    pub by_reason: BTreeMap<&'static str, u64>,
    /// How many of known peers were too many to be reported as calls.
    pub unrecorded: u64,
}

/// Messages that the guard stopped for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardCount {
    /// Why.
    pub reason: Reason,
    /// Answered by the guard itself.
    pub answered: u64,
    /// Dropped.
    pub dropped: u64,
}

/// Of media. Packets are counted as they come, those that are lost or unsent when their call ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RtpCounts {
    /// Packets of RTP that arrived.
    pub received: u64,
    /// Those that were passed on.
    pub relayed: u64,
    /// Packets that did not come.
    pub lost: u64,
    /// Packets refused for where they came from.
    pub refused: u64,
    /// Datagrams that are neither RTP nor RTCP.
    pub malformed: u64,
    /// Packets that the system would not send.
    pub unsent: u64,
    /// Pairs of ports in use.
    pub pairs_in_use: usize,
    /// Pairs of ports that there are: a call takes two.
    pub pairs: usize,
}

impl RtpCounts {
    pub(super) fn of(packets: PacketCounts, ports: &Ports) -> Self {
        let PacketCounts { received, relayed, refused, malformed, lost, unsent } = packets;
        let (pairs_in_use, pairs) = (ports.in_use(), ports.pairs());
        Self { received, relayed, lost, refused, malformed, unsent, pairs_in_use, pairs }
    }
}
