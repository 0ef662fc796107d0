//! How much a batch takes in, and what it took of the writer's time.

use std::{collections::BTreeMap, time::Duration};

use pegcount_store::OrganizationNumber;
use tokio::time::Instant;

use super::fair::{Flow, Spent};

/// How long a batch takes more in, and how long its events may be expected to take. An organization waits for two batches
/// at most: the one that is being written, and its own.
pub(super) const LONGEST_BATCH: Duration = Duration::from_millis(20);
/// How many events a batch takes in.
pub(super) const MOST_EVENTS: usize = 1000;
/// How many bytes a batch takes in, those of long calls that it writes or reads whole included.
const MOST_BYTES: usize = 1024 * 1024;
/// Calls of fewer bytes are bounded by the number of events alone.
pub(super) const LONG_CALL_BYTES: usize = 64 * 1024;

/// The room of one batch.
pub(super) struct Room {
    begun: Instant,
    /// What its events are expected to take, from the first look to the last page.
    expected: Duration,
    events: usize,
    pub(super) bytes: usize,
    spent: BTreeMap<Flow, Spent>,
}

impl Room {
    pub(super) fn new() -> Self {
        let (begun, expected) = (Instant::now(), Duration::ZERO);
        Self { begun, expected, events: 0, bytes: 0, spent: BTreeMap::new() }
    }

    /// Whether there is some. For the first event there always is.
    pub(super) fn is_left(&self) -> bool {
        let is_short = self.begun.elapsed().max(self.expected) < LONGEST_BATCH;
        self.events == 0 || (is_short && self.events < MOST_EVENTS && self.bytes < MOST_BYTES)
    }

    /// Notes that so many events, or calls, were taken in, and what each is expected to take.
    pub(super) fn expect(&mut self, events: usize, event_cost: Duration) {
        self.events += events;
        let events = u32::try_from(events).unwrap_or(u32::MAX);
        self.expected = self.expected.saturating_add(event_cost.saturating_mul(events));
    }

    /// Notes what was spent on so many events of an organization since `begun`.
    pub(super) fn spend(&mut self, organization: OrganizationNumber, begun: Instant, events: usize) {
        let spent = self.spent.entry(Flow::Organization(organization)).or_default();
        spent.time += begun.elapsed();
        spent.events += events;
    }

    /// What was spent on whom, the commit included.
    pub(super) fn spent(mut self) -> BTreeMap<Flow, Spent> {
        share_commit(&mut self.spent, self.begun.elapsed());
        self.spent
    }
}

/// Divides what a batch took in all, and is not due to single events, by what these took: a commit writes their pages.
fn share_commit(spent: &mut BTreeMap<Flow, Spent>, all: Duration) {
    let events: Duration = spent.values().map(|spent| spent.time).sum();
    let commit = all.saturating_sub(events).as_secs_f64();
    for spent in spent.values_mut() {
        let part = spent.time.as_secs_f64() / events.as_secs_f64().max(f64::MIN_POSITIVE);
        spent.commit = Duration::try_from_secs_f64(commit * part).unwrap_or_default();
    }
}
