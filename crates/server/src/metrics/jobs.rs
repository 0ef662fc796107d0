//! What there is to count of jobs, as `GET /metrics` shows it.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError, atomic::AtomicU64},
};

use pegcount_store::{JobCount, JobState};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

/// Jobs of which kind, in which state.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct JobLabels {
    /// The kind.
    pub kind: String,
    /// `waiting`, `running` or `dead`.
    pub state: &'static str,
}

/// Runs of jobs of which kind.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct JobKind {
    /// The kind.
    pub kind: String,
}

impl JobKind {
    /// The labels of a kind.
    pub fn of(kind: &str) -> Self {
        Self { kind: kind.to_owned() }
    }
}

/// The part of the metrics that is about jobs.
#[derive(Debug, Default)]
pub struct JobMetrics {
    /// Jobs that are kept: the store counts them, here its counts are only shown.
    pub kept: Family<JobLabels, Gauge<u64, AtomicU64>>,
    /// Age of the oldest job that waits or runs; 0 without one.
    oldest: Gauge<u64, AtomicU64>,
    /// The kinds that are shown without a job, too.
    kinds: Mutex<BTreeSet<String>>,
    /// Jobs that were done.
    pub done: Family<JobKind, Counter>,
    /// Attempts that failed.
    pub failed: Family<JobKind, Counter>,
}

impl JobMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("jobs", "Jobs by kind and state", self.kept.clone());
        registry.register_with_unit(
            "jobs_oldest",
            "Time since the oldest job that waits or runs was asked for; 0 without one",
            Unit::Seconds,
            self.oldest.clone(),
        );
        registry.register("jobs_done", "Jobs that were done", self.done.clone());
        registry.register("jobs_failed", "Attempts at jobs that failed", self.failed.clone());
    }

    /// Shows a kind from the start, so that a first failure is seen as a rise.
    pub fn show_kind(&self, kind: &str) {
        let labels = JobKind::of(kind);
        drop((self.done.get_or_create(&labels), self.failed.get_or_create(&labels)));
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner).insert(labels.kind);
    }

    /// Shows these counts, and the age of the oldest job that is not done, in seconds.
    pub fn show(&self, counts: &[JobCount], oldest_seconds: Option<u64>) {
        self.oldest.set(oldest_seconds.unwrap_or_default());
        // What is not told any more is 0 and not what it was.
        self.kept.clear();
        for kind in self.kinds.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            for state in JobState::ALL {
                drop(self.kept.get_or_create(&JobLabels { kind: kind.clone(), state: state.name() }));
            }
        }
        for count in counts {
            let labels = JobLabels { kind: count.kind.clone(), state: count.state.name() };
            self.kept.get_or_create(&labels).set(count.count);
        }
    }
}
