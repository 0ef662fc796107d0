//! From the gateway to the ledger: what happened to calls is told in order, and again until the ledger has it.
//!
//! The gateway never waits for this. While the ledger takes nothing, reports wait here and in the gateway, which drops
//! what finds no room there, but never the beginning, the answer and the end of a call.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use indexmap::IndexMap;
use pegcount_calls::{CallName, Timestamp};
use pegcount_gateway::{Clock, Report};
use pegcount_store::OrganizationNumber;
use tokio::sync::{Notify, mpsc};

use super::{
    NAME,
    map::{Mapped, Mapper},
    routes::Decisions,
};
use crate::{
    intake::{CallReference, Incoming, Intake, IntakeError, Outcome},
    vocabulary::{source_name, tell},
};

/// Reports that are told at once.
const AT_ONCE: usize = 512;
/// How long reports are gathered before they are told: at many calls a second each would wake this task, and be a
/// commit, of its own.
const MOMENT: Duration = Duration::from_millis(2);
/// How long to wait before the ledger is told again.
const PATIENCE: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
];

/// How the way to the ledger is.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// Reports that the ledger has not taken yet.
    pub(super) waiting: AtomicUsize,
    /// Times that the ledger was told again.
    pub(super) retries: AtomicU64,
    /// Events that the ledger turned away.
    pub(super) refused: AtomicU64,
    /// Whether the ledger takes nothing at the moment.
    pub(super) is_behind: AtomicBool,
    /// Told whenever the ledger took something.
    pub(super) taken: Notify,
}

/// Tells the ledger all there is to tell. Ends when the gateway is gone, or the ledger is.
pub(super) async fn tell_all(
    mut reports: mpsc::Receiver<Report>,
    decisions: Arc<Decisions>,
    intake: Intake,
    clock: Clock,
    outbox: Arc<Outbox>,
) {
    let mut mapper = Mapper::new(decisions.rules().limits.talk);
    let mut batch = Vec::with_capacity(AT_ONCE);
    loop {
        if reports.recv_many(&mut batch, AT_ONCE).await == 0 {
            return;
        }
        tokio::time::sleep(MOMENT).await;
        while batch.len() < AT_ONCE
            && let Ok(report) = reports.try_recv()
        {
            batch.push(report);
        }
        outbox.waiting.store(batch.len() + reports.len(), Ordering::Relaxed);
        mapper.longest = decisions.rules().limits.talk;
        let now = now(&clock);
        let mapped = batch.drain(..).filter_map(|report| mapper.map(&report, now));
        let incoming = gathered(mapped, &outbox);
        if !incoming.is_empty() && !deliver(&intake, incoming, &outbox, || reports.len()).await {
            return;
        }
        outbox.waiting.store(reports.len(), Ordering::Relaxed);
        outbox.taken.notify_waiters();
    }
}

/// Now, by the gateway's clock.
pub(super) fn now(clock: &Clock) -> Timestamp {
    Timestamp::from_millis(i64::try_from(clock()).unwrap_or(i64::MAX))
}

/// The events call by call, each call's in order.
pub(super) fn gathered(mapped: impl Iterator<Item = Mapped>, outbox: &Outbox) -> Vec<Incoming> {
    let mut calls: IndexMap<(OrganizationNumber, CallName), Incoming> = IndexMap::new();
    for Mapped { organization, call, telling } in mapped {
        let kind = telling.kind.clone();
        match tell(telling) {
            Ok(told) => {
                let entry = calls.entry((organization, call.clone())).or_insert_with(|| Incoming {
                    organization,
                    source: source_name(NAME),
                    call: CallReference::Named(call),
                    told: Vec::new(),
                });
                entry.told.push(told);
            }
            Err(rejection) => {
                outbox.refused.fetch_add(1, Ordering::Relaxed);
                tracing::error!(%call, kind, %rejection, "an event of the gateway is no event");
            }
        }
    }
    calls.into_values().collect()
}

/// Tells the ledger until it has taken what is told; `false` when it never will.
pub(super) async fn deliver(
    intake: &Intake,
    incoming: Vec<Incoming>,
    outbox: &Outbox,
    behind: impl Fn() -> usize,
) -> bool {
    let told: usize = incoming.iter().map(|one| one.told.len()).sum();
    let mut patience = PATIENCE.iter().copied();
    loop {
        match intake.accept(incoming.clone()).await {
            Ok(outcomes) => {
                outbox.is_behind.store(false, Ordering::Relaxed);
                count_refused(&incoming, &outcomes, outbox);
                return true;
            }
            Err(IntakeError::ShuttingDown) => {
                tracing::error!(
                    events = told,
                    "the ledger ended before it was told all of the gateway's calls"
                );
                return false;
            }
            Err(error @ (IntakeError::Busy | IntakeError::Full | IntakeError::StoreFailed)) => {
                if !outbox.is_behind.swap(true, Ordering::Relaxed) {
                    tracing::warn!(%error, "events of SIP calls wait until the ledger takes them");
                }
                outbox.retries.fetch_add(1, Ordering::Relaxed);
                outbox.waiting.store(told + behind(), Ordering::Relaxed);
                let longest = PATIENCE[PATIENCE.len() - 1];
                tokio::time::sleep(patience.next().unwrap_or(longest)).await;
            }
        }
    }
}

fn count_refused(incoming: &[Incoming], outcomes: &[Vec<Outcome>], outbox: &Outbox) {
    for (one, outcomes) in incoming.iter().zip(outcomes) {
        for outcome in outcomes {
            if let Outcome::Rejected(rejection) = outcome {
                outbox.refused.fetch_add(1, Ordering::Relaxed);
                // An erased call, usually.
                tracing::warn!(call = ?one.call, code = rejection.code, "the ledger turned an event of a SIP call away");
            }
        }
    }
}
