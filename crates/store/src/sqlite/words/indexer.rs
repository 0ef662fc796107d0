//! The thread that writes the index.
//!
//! It takes in what is due a little later, many calls at once, which is much cheaper than one by one; at once when
//! somebody searches. It stands back behind those who write calls and those who answer short questions.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU32, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rusqlite::Connection;
use tokio::{
    sync::{oneshot, watch},
    time::timeout,
};

use super::{
    due,
    index::{CALLS_AT_ONCE, Failure, Index, Taken},
};
use crate::{
    Scrub, StoreError,
    sqlite::{
        checkpoints::Moved,
        connect::{self, Readers},
        fault::{Result, unavailable},
        orders::Board,
        sealing::Sealing,
    },
};

/// How long calls are gathered for one commit.
const GATHER: Duration = Duration::from_millis(100);
/// How long to wait after a fault.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How long a search waits for what was due before it, and for an index that is made anew.
const PATIENCE: Duration = Duration::from_millis(500);
const PATIENCE_WITH_ALL: Duration = Duration::from_secs(2);

/// After so many new pages the log of the index is moved into its file; from so many on, reads are held back for a moment
/// to have it begin anew.
pub(in crate::sqlite) const LOG_DUE: u32 = 2_048;
const LOG_LONG: u32 = 32_768;
/// How long an index that was looked at because of a doubt is not looked at again.
const TRUSTED_FOR: Duration = Duration::from_secs(600);

/// What the thread and the others tell each other.
struct Shared {
    /// The number of what was noted last.
    due: AtomicI64,
    /// Everything up to this number is durable in the index.
    durable: AtomicI64,
    /// How many there are who need what was noted to stay.
    keepers: AtomicU32,
    progress: watch::Sender<Progress>,
    orders: Board<Orders>,
}

/// How far the index is, and what keeps it.
#[derive(Clone, Debug)]
struct Progress {
    taken: Taken,
    fault: Option<Arc<str>>,
}

#[derive(Default)]
struct Orders {
    /// Something is due.
    due: bool,
    /// Somebody waits for it.
    hurry: bool,
    /// To be answered when it is done.
    scrub: Vec<(bool, oneshot::Sender<crate::Result<Scrub>>)>,
    /// Empty the log; each wants to know whether it is.
    empty: Vec<oneshot::Sender<bool>>,
    /// Look whether it is damaged.
    doubt: bool,
    stop: bool,
}

/// What the connection that writes calls tells and asks. It never waits.
#[derive(Clone)]
pub(in crate::sqlite) struct Notes(Arc<Shared>);

impl Notes {
    /// What was noted under this number is on disk.
    pub(in crate::sqlite) fn committed(&self, number: i64) {
        self.0.due.fetch_max(number, Ordering::AcqRel);
        self.0.orders.order(|orders| orders.due = true);
    }

    /// Forgets the notes that are no longer needed.
    pub(in crate::sqlite) fn trim(&self, connection: &Connection) -> Result<()> {
        // In this order: what is durable only since somebody keeps notes must stay.
        let durable = self.0.durable.load(Ordering::Acquire);
        match self.0.keepers.load(Ordering::Acquire) {
            0 => due::trim(connection, durable),
            _ => Ok(()),
        }
    }
}

/// While it is there, the notes stay that are not durable in the index yet.
pub(in crate::sqlite) struct KeptNotes(Arc<Shared>);

impl Drop for KeptNotes {
    fn drop(&mut self) {
        self.0.keepers.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The thread, and the way to it.
pub(in crate::sqlite) struct Indexer {
    shared: Arc<Shared>,
    /// While the thread does not run. Once it has ended the index stays open: SQLite removes the log when the last
    /// connection that may write goes, and so those that read have to go before.
    index: Mutex<Option<Index>>,
    thread: Mutex<Option<JoinHandle<Index>>>,
}

impl Indexer {
    /// Opens the index of this store, or makes it. Nothing is taken in before [`Self::start`].
    pub(in crate::sqlite) fn open(store: &Path, calls: &Connection, sealing: &Sealing) -> Result<Self> {
        let index = Index::open(store, calls, sealing)?;
        let taken = Taken::of(&index.connection)?;
        let last = due::span(calls)?.map_or(0, |[_, last]| last);
        let shared = Arc::new(Shared {
            due: AtomicI64::new(last),
            // The next checkpoint tells.
            durable: AtomicI64::new(0),
            keepers: AtomicU32::new(0),
            progress: watch::Sender::new(Progress { taken, fault: None }),
            orders: Board::default(),
        });
        Ok(Self { shared, index: Mutex::new(Some(index)), thread: Mutex::default() })
    }

    /// The way for the connection that writes calls.
    pub(in crate::sqlite) fn notes(&self) -> Notes {
        Notes(Arc::clone(&self.shared))
    }

    /// Has notes kept, whatever is durable in the index.
    pub(in crate::sqlite) fn keep_notes(&self) -> KeptNotes {
        self.shared.keepers.fetch_add(1, Ordering::AcqRel);
        KeptNotes(Arc::clone(&self.shared))
    }

    /// What writes the index of the store at this path, and moves the log of the index once that has so many pages more.
    pub(in crate::sqlite) fn worker(
        &self,
        store: &Path,
        readers: Arc<Readers>,
        log_due: u32,
    ) -> Result<Worker> {
        let Some(index) = self.index().take() else {
            return Err(unavailable("the index of words is written already"));
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(unavailable)?;
        let calls = connect::open_unattached(store, &index.sealing)?;
        let (shared, length) = (Arc::clone(&self.shared), Arc::default());
        let (store, moved_at, sound_at) = (store.to_owned(), 0, None);
        let mut worker =
            Worker { shared, store, index, calls, readers, runtime, length, log_due, moved_at, sound_at };
        worker.watch_log();
        Ok(worker)
    }

    /// Has it work on a thread of its own.
    pub(in crate::sqlite) fn start(&self, worker: Worker) -> Result<()> {
        let thread = std::thread::Builder::new()
            .name("pegcount-words".into())
            .spawn(move || worker.run())
            .map_err(unavailable)?;
        *self.thread() = Some(thread);
        Ok(())
    }

    /// Waits, not for long, until the index has everything that was due when this was asked.
    ///
    /// # Errors
    /// [`StoreError::Indexing`] while the index is made anew; [`StoreError::Unavailable`] when it cannot be written.
    pub(in crate::sqlite) async fn caught_up(&self) -> crate::Result<()> {
        let due = self.shared.due.load(Ordering::Acquire);
        let Progress { taken, .. } = *self.shared.progress.borrow();
        if taken.has(due) {
            return Ok(());
        }
        self.shared.orders.order(|orders| orders.hurry = true);
        let mut progress = self.shared.progress.subscribe();
        let arrived = |progress: &Progress| progress.taken.has(due) || progress.fault.is_some();
        let patience = if taken.filling.is_some() { PATIENCE_WITH_ALL } else { PATIENCE };
        let _ = timeout(patience, progress.wait_for(arrived)).await;
        let Progress { taken, fault } = self.shared.progress.borrow().clone();
        match fault {
            _ if taken.has(due) => Ok(()),
            Some(fault) => {
                let cause = format!("the index of words cannot be written: {fault}");
                Err(StoreError::Unavailable(cause.into()))
            }
            None if taken.filling.is_some() => Err(StoreError::Indexing),
            // More comes in than is taken in: what was said last is not found yet.
            None => Ok(()),
        }
    }

    /// How many changes of words are not in the index yet, and whether it is being made anew.
    pub(in crate::sqlite) fn behind(&self) -> (u64, bool) {
        let due = self.shared.due.load(Ordering::Acquire);
        let taken = self.shared.progress.borrow().taken;
        (due.saturating_sub(taken.number).max(0).unsigned_abs(), taken.filling.is_some())
    }

    /// [`Index::scrub`], once everything is in that is due now.
    pub(in crate::sqlite) async fn scrub(&self, begin: bool) -> crate::Result<Scrub> {
        let (done, is_done) = oneshot::channel();
        self.shared.orders.order(|orders| {
            if !orders.stop {
                orders.scrub.push((begin, done));
            }
        });
        is_done.await.map_err(|_| StoreError::from(unavailable("the store is being closed")))?
    }

    /// Has the log of the index emptied; whether it was.
    pub(in crate::sqlite) async fn empty_log(&self) -> bool {
        let (done, is_done) = oneshot::channel();
        self.shared.orders.order(|orders| {
            if !orders.stop {
                orders.empty.push(done);
            }
        });
        is_done.await.unwrap_or(false)
    }

    /// Something could not be read in a search: if the index is damaged, it is made anew.
    pub(in crate::sqlite) fn doubt(&self) {
        self.shared.orders.order(|orders| orders.doubt = true);
    }

    /// Ends the thread, if it was not ended before, and leaves no log.
    pub(in crate::sqlite) async fn close(&self) -> crate::Result<()> {
        self.shared.orders.order(|orders| orders.stop = true);
        let Some(thread) = self.thread().take() else { return Ok(()) };
        let ended = tokio::task::spawn_blocking(move || thread.join()).await.map_err(unavailable)?;
        let index = ended.map_err(|_| unavailable("the thread of the index of words has failed"))?;
        *self.index() = Some(index);
        Ok(())
    }

    fn index(&self) -> MutexGuard<'_, Option<Index>> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn thread(&self) -> MutexGuard<'_, Option<JoinHandle<Index>>> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Indexer {
    fn drop(&mut self) {
        self.shared.orders.order(|orders| orders.stop = true);
    }
}

/// What writes the index.
pub(in crate::sqlite) struct Worker {
    shared: Arc<Shared>,
    store: PathBuf,
    index: Index,
    /// Reads the store.
    calls: Connection,
    readers: Arc<Readers>,
    /// For waiting within limits.
    runtime: tokio::runtime::Runtime,
    /// Of the log of the index, in pages; and how long it was when it was last moved into the file.
    length: Arc<AtomicU32>,
    log_due: u32,
    moved_at: u32,
    /// When it was last looked at because of a doubt, and was sound.
    sound_at: Option<Instant>,
}

/// When the next calls are taken in.
#[derive(Clone, Copy)]
enum Next {
    /// As soon as something is due.
    WhenDue,
    /// Then, or sooner if somebody waits.
    Gathered(Instant),
    /// Not before, whoever waits.
    After(Instant),
    Now,
}

impl Worker {
    fn run(mut self) -> Index {
        connect::stand_back();
        let mut next = Next::Now;
        while let Some(orders) = self.wait(next) {
            next = self.carry_out(orders, next);
        }
        self.move_log("TRUNCATE");
        self.index
    }

    /// Takes some calls in, and does what was ordered so far, without a thread and without waiting.
    pub(in crate::sqlite) fn turn(&mut self) {
        let orders = std::mem::take(&mut *self.shared.orders.look());
        self.carry_out(orders, Next::Now);
    }

    fn carry_out(&mut self, orders: Orders, mut next: Next) -> Next {
        for (begin, done) in orders.scrub {
            let _ = done.send(self.scrub(begin));
        }
        for asked in orders.empty {
            let _ = asked.send(self.empty_log());
        }
        if orders.doubt {
            next = self.look_for_damage().unwrap_or(next);
        }
        match next {
            Next::After(then) if then > Instant::now() => next,
            _ => self.take_in(),
        }
    }

    /// Hears of the length of the log after each commit. This takes the place of SQLite's own checkpoints.
    fn watch_log(&mut self) {
        let length = Arc::clone(&self.length);
        let hook = move |_: &mut rusqlite::hooks::Wal, pages| {
            length.store(u32::try_from(pages).unwrap_or(u32::MAX), Ordering::Relaxed);
            Ok(())
        };
        if let Err(error) = self.index.connection.wal_hook(Some(hook)) {
            tracing::error!(%error, "the log of the index of words will be moved within commits");
        }
        self.moved_at = 0;
    }

    /// Waits for something to do; `None` when the thread has to end.
    fn wait(&self, next: Next) -> Option<Orders> {
        let mut orders = self.shared.orders.look();
        loop {
            let asked = orders.stop || orders.doubt || !orders.scrub.is_empty() || !orders.empty.is_empty();
            let left = match next {
                _ if asked => break,
                Next::Now => break,
                Next::WhenDue if orders.due || orders.hurry => break,
                Next::WhenDue => None,
                Next::Gathered(_) if orders.hurry => break,
                Next::Gathered(then) | Next::After(then) => {
                    Some(then.saturating_duration_since(Instant::now()))
                }
            };
            if left == Some(Duration::ZERO) {
                break;
            }
            orders = self.shared.orders.wait(orders, left);
        }
        if orders.stop {
            // Who waits for it hears that it was not done.
            orders.scrub.clear();
            orders.empty.clear();
            return None;
        }
        Some(std::mem::take(&mut *orders))
    }

    fn scrub(&mut self, begin: bool) -> crate::Result<Scrub> {
        // Words that are to go may not have been taken out yet.
        let due = self.shared.due.load(Ordering::Acquire);
        loop {
            let Progress { taken, fault } = self.shared.progress.borrow().clone();
            if let Some(fault) = fault {
                return Err(StoreError::Unavailable(fault.to_string().into()));
            }
            if taken.number >= due {
                break;
            }
            self.take_in();
        }
        Ok(self.index.scrub(begin)?)
    }

    /// Takes some calls in; when the next ones are to be.
    fn take_in(&mut self) -> Next {
        let before = self.shared.progress.borrow().taken;
        let taken = match self.index.take_in(&self.calls) {
            Ok(taken) => taken,
            Err(failure) => return self.failed(failure),
        };
        self.shared.progress.send_replace(Progress { taken, fault: None });
        self.shorten_log(taken);
        let left = self.shared.due.load(Ordering::Acquire).saturating_sub(taken.number);
        if taken.filling.is_some() || left >= CALLS_AT_ONCE as i64 {
            Next::Now
        } else if left <= 0 && taken == before {
            Next::WhenDue
        } else {
            Next::Gathered(Instant::now() + GATHER)
        }
    }

    fn failed(&mut self, failure: Failure) -> Next {
        let error = match failure {
            Failure::OfIndex(error) if error.is_damage() => match self.make_anew(&error) {
                Ok(()) => return Next::Now,
                Err(fault) => fault.into(),
            },
            Failure::OfStore(error) | Failure::OfIndex(error) => error,
        };
        let fault: Arc<str> = error.to_string().into();
        if self.shared.progress.borrow().fault.as_ref() != Some(&fault) {
            tracing::warn!(%fault, "no words are taken into their index at the moment");
        }
        self.shared.progress.send_modify(|progress| progress.fault = Some(fault));
        Next::After(Instant::now() + AGAIN_AFTER)
    }

    /// What comes next if the index was found to be damaged.
    fn look_for_damage(&mut self) -> Option<Next> {
        if self.sound_at.is_some_and(|at| at.elapsed() < TRUSTED_FOR) {
            return None;
        }
        match self.index.damage().map_err(StoreError::from) {
            Ok(None) => {
                self.sound_at = Some(Instant::now());
                None
            }
            Ok(Some(said)) => {
                let what = "the index of words".to_owned();
                Some(self.failed(Failure::OfIndex(StoreError::Unreadable { what, cause: said.into() })))
            }
            Err(error) => Some(self.failed(Failure::OfIndex(error))),
        }
    }

    /// Makes a damaged index anew, for everybody who reads.
    fn make_anew(&mut self, error: &StoreError) -> Result<()> {
        tracing::error!(%error, "the index of words is damaged and is made anew");
        let readers = Arc::clone(&self.readers);
        let no_reads = self.runtime.block_on(readers.hold_back())?;
        readers.open_anew();
        self.index = Index::make(&self.store, &self.calls, &self.index.sealing)?;
        // Before anybody reads it: whoever waits for it now has to wait for all of it.
        self.watch_log();
        let taken = Taken::of(&self.index.connection)?;
        self.shared.progress.send_replace(Progress { taken, fault: None });
        drop(no_reads);
        Ok(())
    }

    /// Moves the log into the file if it has grown. What was taken in by then is durable.
    fn shorten_log(&mut self, taken: Taken) {
        let length = self.length.load(Ordering::Relaxed);
        if length < self.moved_at {
            // It has begun anew.
            self.moved_at = 0;
        }
        if length - self.moved_at < self.log_due {
            return;
        }
        self.moved_at = length;
        let is_moved = if length >= LOG_LONG { self.empty_log() } else { self.move_log("PASSIVE") };
        if is_moved {
            self.shared.durable.fetch_max(taken.number, Ordering::AcqRel);
        }
    }

    fn empty_log(&self) -> bool {
        // The most of it while others read.
        self.move_log("PASSIVE");
        let _no_reads = self.runtime.block_on(self.readers.hold_back_soon());
        self.move_log("TRUNCATE")
    }

    /// Whether all of it was moved.
    fn move_log(&self, mode: &str) -> bool {
        match Moved::by(&self.index.connection, mode).map_err(StoreError::from) {
            Ok(moved) => moved.all,
            Err(error) => {
                tracing::warn!(%error, "the log of the index of words could not be moved into its file");
                false
            }
        }
    }
}
