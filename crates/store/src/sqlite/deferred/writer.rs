//! The thread that writes the documents of long calls once they have ended.
//!
//! It folds and packs a call beside the connection that writes, which then only takes the finished document: and only if the
//! call is still as it was. Otherwise more has come, and the document is written after that.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rusqlite::Connection;
use zstd::bulk::Compressor;

use super::{Stamp, ended, stamp};
use crate::{
    CallKey, FoldReports, StoreError,
    sqlite::{
        calls, connect, documents,
        fault::{Result, unavailable},
        orders::Board,
        save,
        sealing::Sealing,
        transaction::{Writer, Writing},
    },
};

/// How long nothing may have come of a call before its document is written.
const QUIET: Duration = Duration::from_secs(1);
/// How long after its end a document is written at latest, however much more comes.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// How long to wait after a fault.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Orders {
    /// The calls whose document is to be written.
    due: BTreeMap<CallKey, Due>,
    /// Whether a document is being written.
    at_work: bool,
    stop: bool,
}

/// When the document of a call is to be written.
#[derive(Clone, Copy)]
struct Due {
    /// From then on, if nothing more comes.
    at: Instant,
    /// From then on in any case.
    latest: Instant,
}

/// Reports deferred calls that have ended to the thread that writes documents. It does not block.
#[derive(Clone)]
pub(in crate::sqlite) struct Endings(Arc<Board<Orders>>);

impl Endings {
    /// Deferred calls that have ended are on disk as they are now.
    pub(in crate::sqlite) fn committed(&self, calls: impl IntoIterator<Item = CallKey>) {
        let now = Instant::now();
        self.0.order(|orders| {
            for call in calls {
                let due = orders.due.entry(call).or_insert(Due { at: now, latest: now + LONGEST_WAIT });
                due.at = due.latest.min(now + QUIET);
            }
        });
    }
}

/// The thread, and the way to it.
pub(in crate::sqlite) struct DocumentWriter {
    board: Arc<Board<Orders>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl DocumentWriter {
    /// Nothing is written before [`Self::start`].
    pub(in crate::sqlite) fn new() -> Self {
        Self { board: Arc::default(), thread: Mutex::default() }
    }

    /// The way for the connection that writes calls.
    pub(in crate::sqlite) fn endings(&self) -> Endings {
        Endings(Arc::clone(&self.board))
    }

    /// What does the work, for the store at this path. What an earlier process left is written first.
    pub(in crate::sqlite) fn worker(
        &self,
        store: &Path,
        sealing: &Sealing,
        fold: FoldReports,
        writer: Arc<tokio::sync::Mutex<Writer>>,
    ) -> Result<Worker> {
        let calls = connect::open_unattached(store, sealing)?;
        self.endings().committed(ended(&calls)?);
        let compressor = Compressor::new(documents::LEVEL).map_err(unavailable)?;
        Ok(Worker { board: Arc::clone(&self.board), calls, compressor, fold, writer })
    }

    /// Starts the thread.
    pub(in crate::sqlite) fn start(&self, worker: Worker) -> Result<()> {
        let thread = std::thread::Builder::new()
            .name("pegcount-documents".into())
            .spawn(move || worker.run())
            .map_err(unavailable)?;
        *self.thread() = Some(thread);
        Ok(())
    }

    /// How many documents are still to be written.
    pub(in crate::sqlite) fn behind(&self) -> u64 {
        let orders = self.board.look();
        orders.due.len() as u64 + u64::from(orders.at_work)
    }

    /// Ends the thread, if it was not ended before.
    pub(in crate::sqlite) async fn close(&self) -> crate::Result<()> {
        self.board.order(|orders| orders.stop = true);
        let Some(thread) = self.thread().take() else { return Ok(()) };
        let ended = tokio::task::spawn_blocking(move || thread.join()).await.map_err(unavailable)?;
        Ok(ended.map_err(|_| unavailable("the thread of documents has failed"))?)
    }

    fn thread(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for DocumentWriter {
    fn drop(&mut self) {
        self.board.order(|orders| orders.stop = true);
    }
}

/// Folds, packs and writes.
pub(in crate::sqlite) struct Worker {
    board: Arc<Board<Orders>>,
    /// Reads the store.
    calls: Connection,
    compressor: Compressor<'static>,
    fold: FoldReports,
    writer: Arc<tokio::sync::Mutex<Writer>>,
}

impl Worker {
    fn run(mut self) {
        while let Some(key) = self.wait() {
            let again = self.attempt(key);
            self.board.order(|orders| {
                orders.at_work = false;
                if let Some(again) = again {
                    orders.due.entry(key).or_insert(Due { at: again, latest: again });
                }
            });
        }
    }

    /// Writes the document of every call that has ended, quiet or not.
    pub(in crate::sqlite) fn turn(&mut self) {
        let due = std::mem::take(&mut self.board.look().due);
        for key in due.into_keys() {
            if let Some(again) = self.attempt(key) {
                self.board.look().due.insert(key, Due { at: again, latest: again });
            }
        }
    }

    /// Writes a document; when to try again if that failed.
    fn attempt(&mut self, key: CallKey) -> Option<Instant> {
        match self.write(key) {
            Ok(()) => None,
            // The check of the store reports it. Another attempt would fail in the same way.
            Err(error @ StoreError::Unreadable { .. }) => {
                tracing::error!(%error, call = key.0, "the document of a damaged call is not written");
                None
            }
            Err(error) => {
                tracing::warn!(%error, call = key.0, "the document of a call cannot be written at the moment");
                Some(Instant::now() + AGAIN_AFTER)
            }
        }
    }

    /// Waits for a call that is quiet; `None` when the thread has to end.
    fn wait(&self) -> Option<CallKey> {
        let mut orders = self.board.look();
        while !orders.stop {
            let first = orders.due.iter().min_by_key(|(_, due)| due.at);
            let first = first.map(|(key, due)| (*key, due.at.saturating_duration_since(Instant::now())));
            match first {
                Some((key, Duration::ZERO)) => {
                    orders.due.remove(&key);
                    orders.at_work = true;
                    return Some(key);
                }
                first => orders = self.board.wait(orders, first.map(|(_, left)| left)),
            }
        }
        None
    }

    fn write(&mut self, key: CallKey) -> crate::Result<()> {
        let Some((stamp, body)) = self.pack(key)? else { return Ok(()) };
        let mut writing = Writing::begin(Arc::clone(&self.writer).blocking_lock_owned())?;
        writing.work(|writer| save::write_document(writer, key, stamp, &body))?;
        writing.finish()
    }

    /// The document of a call, and of which state it is; `None` where none is to be written.
    fn pack(&mut self, key: CallKey) -> Result<Option<(Stamp, Vec<u8>)>> {
        let snapshot = self.calls.unchecked_transaction()?;
        let Some(stamp) = stamp(&snapshot, key)? else { return Ok(None) };
        let filed = calls::filed(&snapshot, key, self.fold)?;
        drop(snapshot);
        let Some(filed) = filed.filter(|filed| filed.call.ending().is_some()) else { return Ok(None) };
        Ok(Some((stamp, documents::pack(&mut self.compressor, &filed.call.content, &filed.bill)?)))
    }
}
