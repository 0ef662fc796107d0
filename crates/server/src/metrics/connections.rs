//! What is counted of connections over HTTP.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// Which cap a connection was beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// That of all connections.
    Connections,
    /// That of one address.
    ConnectionsPerAddress,
}

/// Why a connection was closed before its client did so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// The TLS handshake took too long.
    Handshake,
    /// No request came.
    Silent,
    /// No further request came.
    Idle,
    /// The client did not take its answer.
    Unread,
    /// It was beyond a cap and took too long.
    Reserve,
}

impl Refused {
    const ALL: [Self; 2] = [Self::Connections, Self::ConnectionsPerAddress];

    fn labels(self) -> ReasonLabels {
        let reason = match self {
            Self::Connections => "connections",
            Self::ConnectionsPerAddress => "connections_per_address",
        };
        ReasonLabels { reason }
    }
}

impl Closed {
    const ALL: [Self; 5] = [Self::Handshake, Self::Silent, Self::Idle, Self::Unread, Self::Reserve];

    fn labels(self) -> ReasonLabels {
        let reason = match self {
            Self::Handshake => "handshake",
            Self::Silent => "silent",
            Self::Idle => "idle",
            Self::Unread => "unread",
            Self::Reserve => "reserve",
        };
        ReasonLabels { reason }
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

/// The part of the metrics that is about connections.
#[derive(Clone, Debug, Default)]
pub struct ConnectionMetrics {
    /// Connections that are open, WebSockets included.
    pub open: Gauge<u64, AtomicU64>,
    refused: Family<ReasonLabels, Counter>,
    closed: Family<ReasonLabels, Counter>,
}

impl ConnectionMetrics {
    /// Counts one that was beyond a cap.
    pub fn count_refused(&self, refused: Refused) {
        self.refused.get_or_create(&refused.labels()).inc();
    }

    /// Counts one that was closed because of a deadline.
    pub fn count_closed(&self, closed: Closed) {
        self.closed.get_or_create(&closed.labels()).inc();
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        // Shown from the start, so that a first one is seen as a rise.
        Refused::ALL.iter().for_each(|refused| drop(self.refused.get_or_create(&refused.labels())));
        Closed::ALL.iter().for_each(|closed| drop(self.closed.get_or_create(&closed.labels())));
        registry.register("connections", "Open HTTP and WebSocket connections", self.open.clone());
        let help = "HTTP connections beyond a cap, by the cap";
        registry.register("connections_refused", help, self.refused.clone());
        let help = "HTTP connections that were closed because of a deadline, by the phase";
        registry.register("connections_closed", help, self.closed.clone());
    }
}
