//! What the SIP gateway counts, as `GET /metrics` shows it.

use std::sync::atomic::{AtomicU64, Ordering};

use pegcount_gateway::{Counts, guard::Reason};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// What there is to show of the gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SipFigures {
    /// What it counts itself.
    pub gateway: Counts,
    /// Reports that the ledger has not taken yet.
    pub waiting_reports: usize,
    /// Times that the ledger was told again.
    pub retries: u64,
    /// Events that the ledger turned away.
    pub refused_events: u64,
}

/// Why a message did not reach the gateway's stack, and what became of it.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct GuardLabels {
    /// Why.
    pub reason: &'static str,
    /// `answered` or `dropped`.
    pub outcome: &'static str,
}

/// Why an attempt to call or to register was refused.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct RefusalLabels {
    /// The reason.
    pub reason: &'static str,
}

/// The reasons for which attempts are refused, beside those of the guard.
const REFUSALS: [&str; 18] = [
    "unknown_number",
    "unassigned_number",
    "no_address",
    "not_callable",
    "no_trunk",
    "no_caller_number",
    "unknown_peer",
    "codec",
    "full",
    "stopping",
    "bad_request",
    "content_type",
    "extension",
    "session_interval",
    "too_many_hops",
    "wrong_password",
    "unknown_user",
    "other_user",
];

type Level = Gauge<u64, AtomicU64>;

/// The gateway's part of the metrics. The gateway counts; here its counts are only shown.
#[derive(Debug, Default)]
pub struct SipMetrics {
    calls: Level,
    registered: Level,
    dialogs: Level,
    transactions: Level,
    connections: Level,
    connections_refused: Counter,
    messages: Counter,
    /// Refused attempts to call or to register.
    pub refused: Family<RefusalLabels, Counter>,
    refused_unrecorded: Counter,
    /// Messages that the guard stopped.
    pub guard: Family<GuardLabels, Counter>,
    waiting_reports: Level,
    lost_reports: Counter,
    retries: Counter,
    refused_events: Counter,
    rtp_received: Counter,
    rtp_relayed: Counter,
    rtp_lost: Counter,
    rtp_refused: Counter,
    rtp_malformed: Counter,
    rtp_unsent: Counter,
    rtp_pairs_in_use: Level,
    rtp_pairs: Level,
    recordings: Counter,
    recordings_empty: Counter,
    recordings_failed: Counter,
    recording_bytes: Counter,
    recording_frames_dropped: Counter,
    recording_disk_errors: Counter,
    recordings_cut: Counter,
}

impl SipMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let levels: [(&str, &str, &Level); 8] = [
            ("sip_calls", "SIP calls that are not over", &self.calls),
            ("sip_registered", "Users that are registered", &self.registered),
            ("sip_dialogs", "SIP dialogs, those that are only begun too", &self.dialogs),
            ("sip_transactions", "SIP transactions that are running", &self.transactions),
            ("sip_connections", "Connections of SIP over TCP and TLS", &self.connections),
            (
                "sip_waiting_reports",
                "Reports of SIP calls that the ledger has not taken",
                &self.waiting_reports,
            ),
            (
                "rtp_port_pairs_in_use",
                "Pairs of media ports in use; a call takes two",
                &self.rtp_pairs_in_use,
            ),
            ("rtp_port_pairs", "Pairs of media ports", &self.rtp_pairs),
        ];
        for (name, help, level) in levels {
            registry.register(name, help, level.clone());
        }
        let counters: [(&str, &str, &Counter); 19] = [
            ("sip_connections_refused", "Connections beyond as many as may be", &self.connections_refused),
            (
                "sip_refused_unrecorded",
                "Refused attempts of trunks and users that were too many to become failed calls",
                &self.refused_unrecorded,
            ),
            ("sip_messages", "SIP messages that were let through", &self.messages),
            ("sip_lost_reports", "Reports of SIP calls that found no room", &self.lost_reports),
            ("sip_report_retries", "Times that the ledger was told reports again", &self.retries),
            ("sip_refused_events", "Events of SIP calls that the ledger turned away", &self.refused_events),
            ("rtp_received", "RTP packets that arrived", &self.rtp_received),
            ("rtp_relayed", "RTP packets that were passed on", &self.rtp_relayed),
            ("rtp_lost", "RTP packets that did not come", &self.rtp_lost),
            ("rtp_refused", "RTP packets refused for where they came from", &self.rtp_refused),
            ("rtp_malformed", "Datagrams that are neither RTP nor RTCP", &self.rtp_malformed),
            ("rtp_unsent", "RTP packets that the system would not send", &self.rtp_unsent),
            ("recordings", "Recordings made", &self.recordings),
            ("recordings_empty", "Recorded calls in which there was nothing to hear", &self.recordings_empty),
            ("recordings_failed", "Recordings that could not be made", &self.recordings_failed),
            ("recording_journal_bytes", "Bytes of media written to journals", &self.recording_bytes),
            (
                "recording_frames_dropped",
                "Frames that found no room on the way to a journal",
                &self.recording_frames_dropped,
            ),
            (
                "recording_disk_errors",
                "Times that the disk refused a part of a journal",
                &self.recording_disk_errors,
            ),
            ("recordings_cut", "Journals that reached their greatest size", &self.recordings_cut),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
        // Shown from the start, so that a first one is seen as a rise.
        for reason in REFUSALS.into_iter().chain(Reason::ALL.iter().map(|reason| reason.name())) {
            drop(self.refused.get_or_create(&RefusalLabels { reason }));
        }
        for reason in Reason::ALL.iter().map(|reason| reason.name()) {
            for outcome in ["answered", "dropped"] {
                drop(self.guard.get_or_create(&GuardLabels { reason, outcome }));
            }
        }
        registry.register(
            "sip_refused",
            "Attempts to call or to register that were refused",
            self.refused.clone(),
        );
        registry.register("sip_guard", "SIP messages that were not let through", self.guard.clone());
    }

    /// Shows these figures from now on.
    pub fn show(&self, figures: &SipFigures) {
        let SipFigures { gateway, waiting_reports, retries, refused_events } = figures;
        let Counts { calls, admitted: _, lost_reports, sip, refused, guard, rtp, recording } = gateway;
        for (level, value) in [
            (&self.calls, *calls),
            (&self.registered, sip.registered),
            (&self.dialogs, sip.dialogs),
            (&self.transactions, sip.transactions),
            (&self.connections, sip.connections),
            (&self.waiting_reports, *waiting_reports),
            (&self.rtp_pairs_in_use, rtp.pairs_in_use),
            (&self.rtp_pairs, rtp.pairs),
        ] {
            level.set(value as u64);
        }
        for (counter, value) in [
            (&self.connections_refused, sip.connections_refused),
            (&self.messages, sip.passed),
            (&self.lost_reports, *lost_reports),
            (&self.retries, *retries),
            (&self.refused_events, *refused_events),
            (&self.rtp_received, rtp.received),
            (&self.rtp_relayed, rtp.relayed),
            (&self.rtp_lost, rtp.lost),
            (&self.rtp_refused, rtp.refused),
            (&self.rtp_malformed, rtp.malformed),
            (&self.rtp_unsent, rtp.unsent),
            (&self.recordings, recording.recorded),
            (&self.recordings_empty, recording.empty),
            (&self.recordings_failed, recording.failed),
            (&self.recording_bytes, recording.journal_bytes),
            (&self.recording_frames_dropped, recording.frames_dropped),
            (&self.recording_disk_errors, recording.disk_errors),
            (&self.recordings_cut, recording.journals_cut),
        ] {
            set(counter, value);
        }
        for (reason, count) in &refused.by_reason {
            set(&self.refused.get_or_create(&RefusalLabels { reason }), *count);
        }
        set(&self.refused_unrecorded, refused.unrecorded);
        for count in guard {
            let reason = count.reason.name();
            for (outcome, value) in [("answered", count.answered), ("dropped", count.dropped)] {
                set(&self.guard.get_or_create(&GuardLabels { reason, outcome }), value);
            }
        }
    }
}

/// Brings a counter to what somebody else has counted.
fn set(counter: &Counter, value: u64) {
    counter.inner().store(value, Ordering::Relaxed);
}
