//! What the program counts of itself, for `GET /metrics`.

mod connections;
mod jobs;
mod room;
mod sip;
mod text;

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

pub use connections::{Closed, ConnectionMetrics, Refused};
pub use jobs::{JobKind, JobLabels, JobMetrics};
pub use room::RoomMetrics;
pub use sip::{GuardLabels, RefusalLabels, SipFigures, SipMetrics};
pub use text::TextFormat;

/// What became of events.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct EventLabels {
    /// The source they came through.
    pub source: String,
    /// `accepted`, `duplicate` or `rejected`.
    pub outcome: &'static str,
}

/// Why events wait before they are written.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct WaitLabels {
    reason: &'static str,
}

impl WaitLabels {
    /// As many requests of the organization wait as may.
    pub const PLACE: Self = Self { reason: "place" };
    /// The writer is busy with what came before, and with other organizations.
    pub const TURN: Self = Self { reason: "turn" };
}

/// Which requests.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct RequestLabels {
    /// The route, with its placeholders.
    pub route: String,
    /// The method; `other` for one that no route takes.
    pub method: &'static str,
    /// The status.
    pub status: u16,
}

/// What was deleted.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct KeepsakeLabels {
    /// `recording`, `transcript`, `events` or `call`.
    pub kind: &'static str,
}

/// Everything that is counted.
pub struct Metrics {
    registry: Registry,
    /// Events by source and outcome.
    pub events: Family<EventLabels, Counter>,
    /// Events in one commit.
    pub commit_events: Histogram,
    /// How long one commit took, begin to durable.
    pub commit_seconds: Histogram,
    /// Requests that wait for the writer.
    pub queued_requests: Gauge,
    /// Requests that the writer has taken up.
    pub taken_requests: Counter,
    /// How long requests waited for the writer, and why.
    pub waits: Family<WaitLabels, Histogram, fn() -> Histogram>,
    /// Requests that were turned away since too many of their organization wait.
    pub busy_requests: Counter,
    /// Batches that the store refused.
    pub failed_commits: Counter,
    /// Requests by route, method and status.
    pub requests: Family<RequestLabels, Counter>,
    /// How long requests took.
    pub request_seconds: Histogram,
    /// Calls that are live.
    pub live_calls: Gauge<u64, AtomicU64>,
    /// Watchers of the live counts.
    pub watchers: Gauge<u64, AtomicU64>,
    /// What was deleted of calls because of its age.
    pub deleted: Family<KeepsakeLabels, Counter>,
    /// Calls of the last 24 hours whose recordings are missing: the store counts them.
    pub recordings_missing: Gauge<u64, AtomicU64>,
    /// Recordings that calls name and that are neither in the folder nor in the object store.
    pub recordings_lost: Gauge<u64, AtomicU64>,
    /// Changes of what is said in calls that a search does not find yet: the store counts them.
    pub words_due: Gauge<u64, AtomicU64>,
    /// 1 while the index of words is being made anew.
    pub words_made_anew: Gauge<u64, AtomicU64>,
    /// The SIP gateway.
    pub sip: SipMetrics,
    /// Jobs.
    pub jobs: JobMetrics,
    /// What the store and its disk take and have left.
    pub room: RoomMetrics,
    /// Connections over HTTP.
    pub connections: ConnectionMetrics,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("pegcount");
        let seconds: fn() -> Histogram = || Histogram::new(exponential_buckets(0.000_1, 2.0, 18));
        let this = Self {
            events: Family::default(),
            commit_events: Histogram::new(exponential_buckets(1.0, 2.0, 12)),
            commit_seconds: seconds(),
            queued_requests: Gauge::default(),
            taken_requests: Counter::default(),
            waits: Family::new_with_constructor(seconds),
            busy_requests: Counter::default(),
            failed_commits: Counter::default(),
            requests: Family::default(),
            request_seconds: seconds(),
            live_calls: Gauge::default(),
            watchers: Gauge::default(),
            deleted: Family::default(),
            recordings_missing: Gauge::default(),
            recordings_lost: Gauge::default(),
            words_due: Gauge::default(),
            words_made_anew: Gauge::default(),
            sip: SipMetrics::default(),
            jobs: JobMetrics::default(),
            room: RoomMetrics::default(),
            connections: ConnectionMetrics::default(),
            registry: Registry::default(),
        };
        registry.register("events", "Events by source and outcome", this.events.clone());
        registry.register("commit_events", "Events in one commit", this.commit_events.clone());
        registry.register_with_unit(
            "commit",
            "Duration of a commit",
            Unit::Seconds,
            this.commit_seconds.clone(),
        );
        registry.register(
            "queued_requests",
            "Requests that wait for the writer",
            this.queued_requests.clone(),
        );
        registry.register(
            "taken_requests",
            "Requests that the writer has taken up",
            this.taken_requests.clone(),
        );
        // A graph shows what has not happened yet as nothing, and not as a gap.
        [WaitLabels::PLACE, WaitLabels::TURN]
            .iter()
            .for_each(|reason| drop(this.waits.get_or_create(reason)));
        registry.register(
            "intake_wait_seconds",
            "How long requests waited for the writer, and why",
            this.waits.clone(),
        );
        registry.register(
            "busy_requests",
            "Requests that were turned away since too many of their organization wait",
            this.busy_requests.clone(),
        );
        registry.register("failed_commits", "Batches that the store refused", this.failed_commits.clone());
        registry.register("requests", "HTTP requests", this.requests.clone());
        registry.register_with_unit(
            "request",
            "Duration of a request",
            Unit::Seconds,
            this.request_seconds.clone(),
        );
        this.register_levels(&mut registry);
        let help = "What was deleted of calls because of its age";
        registry.register("retention_deleted", help, this.deleted.clone());
        this.sip.register(&mut registry);
        this.jobs.register(&mut registry);
        this.room.register(&mut registry);
        this.connections.register(&mut registry);
        Self { registry, ..this }
    }
}

impl Metrics {
    /// Shows the events of these sources from the start, so that a first one is seen as a rise.
    pub fn of_sources(sources: impl IntoIterator<Item = &'static str>) -> Self {
        let this = Self::default();
        for source in sources {
            for outcome in ["accepted", "duplicate", "rejected"] {
                drop(this.events.get_or_create(&EventLabels { source: source.to_owned(), outcome }));
            }
        }
        this
    }

    /// Registers the gauges of the program itself.
    fn register_levels(&self, registry: &mut Registry) {
        for (name, help, level) in [
            ("live_calls", "Calls that are live", &self.live_calls),
            ("watchers", "Watchers of the live counts", &self.watchers),
            (
                "recordings_missing",
                "Calls of the last 24 hours whose recordings should be there and are not",
                &self.recordings_missing,
            ),
            (
                "recordings_lost",
                "Recordings that calls name and that are gone, as of the last look",
                &self.recordings_lost,
            ),
            (
                "words_due",
                "Changes of what is said in calls that a search does not find yet",
                &self.words_due,
            ),
            (
                "words_made_anew",
                "1 while the index of words is rebuilt and nothing can be searched for",
                &self.words_made_anew,
            ),
        ] {
            registry.register(name, help, level.clone());
        }
    }

    /// The metrics in a text form.
    pub fn render(&self, format: TextFormat) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        match format {
            TextFormat::OpenMetrics => text,
            TextFormat::Prometheus => text::to_prometheus(&text),
        }
    }
}
