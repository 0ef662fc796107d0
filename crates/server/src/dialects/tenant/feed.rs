//! The live counts as messages, made once for everybody who watches.
//!
//! A change wakes one task here, not every connection: the writer that commits calls must not wait while ten thousand
//! sockets are told. That task writes each change as messages once and rings the bells of those it concerns. Changes
//! are numbered; a connection only remembers the number it has seen, and whoever is too far behind is told how things
//! stand now. So nothing is kept per connection, and a slow reader costs nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::extract::ws::Utf8Bytes;
use pegcount_store::OrganizationNumber;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, broadcast, broadcast::error::TryRecvError, watch},
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;

use super::{
    AccessMode, Config,
    guests::{Door, Guests},
    trail::Trail,
    wire,
};
use crate::{
    access::{Ledger, Watched},
    live::{Change, Counts, Live},
};

/// How the connections are kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    /// How often a ping is sent.
    pub(super) ping: Duration,
    /// How long nothing may be heard.
    pub(super) silence: Duration,
    /// How long a write may take.
    pub(super) write: Duration,
    /// How often the keys are looked at: a change of keys is honoured within 2 s (contract, cli.md).
    pub(super) keys: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            ping: Duration::from_secs(30),
            silence: Duration::from_secs(90),
            write: Duration::from_secs(30),
            keys: Duration::from_secs(1),
        }
    }
}

/// The live counts as messages, for every WebSocket there is.
pub struct Feed {
    live: Arc<Live>,
    pub(super) door: Arc<dyn Door>,
    pub(super) open: bool,
    pub(super) timing: Timing,
    pub(super) shutdown: CancellationToken,
    pub(super) guests: Guests,
    room: Arc<Semaphore>,
    places: usize,
    turns: AtomicU64,
    state: Mutex<State>,
}

struct State {
    changes: broadcast::Receiver<Arc<Change>>,
    version: u64,
    total: usize,
    everybody: Trail,
    tenants: BTreeMap<OrganizationNumber, Tenant>,
    /// Whose bells are still to be rung.
    touched: BTreeSet<OrganizationNumber>,
}

#[derive(Default)]
struct Tenant {
    count: usize,
    trail: Trail,
}

impl Feed {
    /// Begins to follow the ledger's live calls. Cancelling `shutdown` closes every connection.
    ///
    /// Must be called within a tokio runtime.
    pub fn start(config: &Config, ledger: &Arc<Ledger>, shutdown: CancellationToken) -> Arc<Self> {
        let door: Arc<dyn Door> = Arc::<Ledger>::clone(ledger);
        Self::follow(config, Arc::clone(ledger.live()), door, Timing::default(), shutdown)
    }

    pub(super) fn follow(
        config: &Config,
        live: Arc<Live>,
        door: Arc<dyn Door>,
        timing: Timing,
        shutdown: CancellationToken,
    ) -> Arc<Self> {
        let (counts, changes) = live.watch();
        let waker = changes.resubscribe();
        let places = config.max_connections.min(Semaphore::MAX_PERMITS);
        let feed = Arc::new(Self {
            live,
            door,
            open: config.access == AccessMode::Open,
            timing,
            shutdown,
            guests: Guests::default(),
            room: Arc::new(Semaphore::new(places)),
            places,
            turns: AtomicU64::new(0),
            state: Mutex::new(State::of(counts, changes)),
        });
        // A change between the two subscriptions wakes nobody, but is found by the first look.
        feed.catch_up();
        tokio::spawn(keep_up(Arc::downgrade(&feed), waker, feed.shutdown.clone(), timing.keys));
        feed
    }

    /// A place for one more connection, if there is one.
    pub(super) fn place(&self) -> Option<OwnedSemaphorePermit> {
        if self.shutdown.is_cancelled() {
            return None;
        }
        Arc::clone(&self.room).try_acquire_owned().ok()
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.places.saturating_sub(self.room.available_permits())
    }

    /// A number that no connection before had.
    pub(super) fn next_turn(&self) -> u64 {
        self.turns.fetch_add(1, Ordering::Relaxed)
    }

    /// Returns when no connection is left; after a shutdown that takes a second at most.
    pub async fn drained(&self) {
        let mut looks = tokio::time::interval(Duration::from_millis(10));
        while self.connections() > 0 {
            looks.tick().await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in every change there is, and rings for it.
    fn catch_up(&self) {
        let mut state = self.state();
        loop {
            match state.changes.try_recv() {
                Ok(change) => state.tell(&change),
                Err(TryRecvError::Lagged(_)) => {
                    let (counts, changes) = self.live.watch();
                    state.changes = changes;
                    state.correct(&counts);
                }
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        let bells = state.bells_to_ring();
        let version = state.version;
        drop(state);
        for bell in bells {
            // Two may ring at once; the bell never goes back.
            bell.send_if_modified(|rung| {
                let later = version > *rung;
                *rung = version.max(*rung);
                later
            });
        }
    }

    /// What a new connection is told first, and its view of what follows: the system-wide count, then one message for
    /// each tenant that has live calls.
    pub(super) fn open(self: &Arc<Self>, watched: Watched) -> (Vec<Utf8Bytes>, Watcher) {
        // What was acknowledged before the connection was made is already counted.
        self.catch_up();
        let mut state = self.state();
        let (messages, bell) = match watched {
            Watched::All => {
                let counts = state.tenants.iter().map(|(number, tenant)| (*number, tenant.count));
                (opening(state.total, counts), state.everybody.bell().subscribe())
            }
            Watched::One(number) => {
                let tenant = state.tenants.entry(number).or_default();
                (
                    opening(tenant.count, std::iter::once((number, tenant.count))),
                    tenant.trail.bell().subscribe(),
                )
            }
        };
        let seen = state.version;
        drop(state);
        (messages, Watcher { feed: Arc::clone(self), watched, seen, bell })
    }
}

fn opening(total: usize, counts: impl Iterator<Item = (OrganizationNumber, usize)>) -> Vec<Utf8Bytes> {
    let tenants =
        counts.filter(|(_, count)| *count > 0).map(|(number, count)| wire::tenant_message(number, count));
    std::iter::once(wire::total_message(total)).chain(tenants).collect()
}

async fn keep_up(
    feed: Weak<Feed>,
    mut waker: broadcast::Receiver<Arc<Change>>,
    shutdown: CancellationToken,
    keys: Duration,
) {
    let mut key_rounds = tokio::time::interval(keys);
    key_rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            woken = waker.recv() => {
                if matches!(woken, Err(broadcast::error::RecvError::Closed)) {
                    return;
                }
                // One look takes in all that woke us.
                waker = waker.resubscribe();
                let Some(feed) = feed.upgrade() else { return };
                feed.catch_up();
            }
            _ = key_rounds.tick() => {
                let Some(feed) = feed.upgrade() else { return };
                feed.guests.check(feed.door.as_ref());
            }
        }
    }
}

impl State {
    fn of(counts: Counts, changes: broadcast::Receiver<Arc<Change>>) -> Self {
        let tenants = counts.by_organization.into_iter();
        let tenants =
            tenants.map(|(number, count)| (number, Tenant { count, trail: Trail::default() })).collect();
        let touched = BTreeSet::new();
        Self { changes, version: 0, total: counts.total, everybody: Trail::default(), tenants, touched }
    }

    fn tell(&mut self, change: &Change) {
        self.version += 1;
        self.total = change.total;
        let message = wire::tenant_message(change.organization, change.count);
        let total = change.total_changed.then(|| wire::total_message(change.total));
        self.everybody.add(self.version, message.clone(), total);
        let tenant = self.tenants.entry(change.organization).or_default();
        let own_total = (tenant.count != change.count).then(|| wire::total_message(change.count));
        tenant.count = change.count;
        tenant.trail.add(self.version, message, own_total);
        self.touched.insert(change.organization);
    }

    /// Tells how things stand where that differs from what was told last.
    fn correct(&mut self, counts: &Counts) {
        let known = self.tenants.iter().map(|(number, tenant)| (*number, tenant.count));
        let gone = known.filter(|(number, count)| *count > 0 && !counts.by_organization.contains_key(number));
        let mut due: BTreeMap<OrganizationNumber, usize> = gone.map(|(number, _)| (number, 0)).collect();
        let there = counts.by_organization.iter().map(|(number, count)| (*number, *count));
        due.extend(
            there.filter(|(number, count)| self.tenants.get(number).is_none_or(|one| one.count != *count)),
        );
        let total_changed = self.total != counts.total;
        for (organization, count) in due {
            self.tell(&Change { organization, count, total: counts.total, total_changed });
        }
    }

    /// The bells of everything that changed since the last time, where anybody listens.
    fn bells_to_ring(&mut self) -> Vec<watch::Sender<u64>> {
        let touched = std::mem::take(&mut self.touched);
        let everybody = (!touched.is_empty()).then_some(self.everybody.bell());
        let tenants = touched.iter().filter_map(|number| Some(self.tenants.get(number)?.trail.bell()));
        tenants.chain(everybody).filter(|bell| bell.receiver_count() > 0).cloned().collect()
    }

    /// What is new to somebody who has seen everything up to this version.
    fn news(&self, watched: &Watched, seen: u64) -> Vec<Utf8Bytes> {
        match watched {
            Watched::One(number) => {
                let Some(Tenant { trail, .. }) = self.tenants.get(number) else { return Vec::new() };
                match trail.since(seen) {
                    Some(news) => news.flat_map(super::trail::News::messages).collect(),
                    None => trail.newest().into_iter().flat_map(super::trail::News::messages).collect(),
                }
            }
            Watched::All => match self.everybody.since(seen) {
                Some(news) => news.flat_map(super::trail::News::messages).collect(),
                None => {
                    let tenants = self.tenants.values().filter_map(|tenant| tenant.trail.newest_after(seen));
                    let total = std::iter::once(wire::total_message(self.total));
                    tenants.map(|news| news.tenant.clone()).chain(total).collect()
                }
            },
        }
    }
}

/// One connection's view of the feed.
pub(super) struct Watcher {
    feed: Arc<Feed>,
    watched: Watched,
    seen: u64,
    bell: watch::Receiver<u64>,
}

impl Watcher {
    /// Returns when there is something new. May be dropped and called again.
    pub(super) async fn ready(&mut self) {
        let seen = self.seen;
        if self.bell.wait_for(|version| *version > seen).await.is_err() {
            // The feed holds the other end and we hold the feed, so this never is.
            std::future::pending::<()>().await;
        }
    }

    /// The messages that are new: each change, or, after too many of them, how things stand now.
    pub(super) fn take(&mut self) -> Vec<Utf8Bytes> {
        let state = self.feed.state();
        let seen = std::mem::replace(&mut self.seen, state.version);
        state.news(&self.watched, seen)
    }
}
