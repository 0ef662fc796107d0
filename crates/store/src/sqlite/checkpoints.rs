//! Checkpoints: what moves pages from the write-ahead log into the file, on a thread of its own.
//!
//! The path of a commit only says how long the log has become. The thread moves pages while others write and read; the
//! log then begins anew by itself as soon as nobody does for a moment. With readers whose reads overlap, or a writer that
//! never rests, that moment never comes: once the log is long, the thread holds new reads back until those under way are
//! over, moves what is left, keeps writers out for the last few pages, and has the log begin anew. A read that goes on
//! for long keeps what it sees in the log; then it is tried again when the log has grown once more.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rusqlite::Connection;
use tokio::{sync::oneshot, time::timeout};

use super::{
    connect::{self, HeldBack, Readers},
    fault::{Result, unavailable},
    lineage::{Commits, InFile},
    orders::Board,
    transaction::Writer,
};

/// How long the log may become, in pages.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// After so many new pages it is moved into the file. Late, since a page is moved once however often it was written;
    /// but not so late that the sync at the end holds up the disk for long.
    pub(super) due_after: u32,
    /// From a quarter of this on, new reads are held back for a moment to have it begin anew; from here on it is emptied
    /// as soon as no read keeps it, even where that keeps writers out for as long as moving the last pages takes.
    pub(super) longest: u32,
}

impl Default for Bounds {
    /// 4 and 128 MiB. Measured: the 99th percentile of an acknowledgement is 6 ms with 4 MiB, 37 with 32, 102 with 128, at
    /// the same throughput (docs/performance.md).
    fn default() -> Self {
        Self { due_after: 1_024, longest: 32_768 }
    }
}

/// The smallest bound, in pages, however little room there is.
const LEAST: u64 = 64;
const PAGE_BYTES: u64 = 4_096;

impl Bounds {
    /// The same, or less where the disk is small or nearly full: moving the log takes as much room again as it has.
    fn within_room_of(self, path: &Path) -> Self {
        let Ok(disk) = rustix::fs::statvfs(path) else { return self };
        let free = disk.f_bavail.saturating_mul(disk.f_frsize) / PAGE_BYTES;
        let due_after = u64::from(self.due_after).min((free / 8).max(LEAST));
        let due_after = u32::try_from(due_after).unwrap_or(self.due_after);
        Self { due_after, longest: self.longest.min(due_after.saturating_mul(4)) }
    }
}

/// How long a commit under way is waited for, once reads are held back.
const COMMIT_WAIT: Duration = Duration::from_millis(25);

/// How long to wait before room is looked for in the log once more.
const ROOM_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What the path of a commit and the thread tell each other.
struct Shared {
    /// After how many new pages a checkpoint is due at the moment.
    due_after: AtomicU32,
    /// The length of the log after the last commit.
    length: AtomicU32,
    /// At which length the next checkpoint is due.
    due_at: AtomicU32,
    orders: Board<Orders>,
}

#[derive(Default)]
struct Orders {
    /// Move pages.
    checkpoint: bool,
    /// The disk is full: give back what the log takes.
    make_room: bool,
    /// Empty the log, since what was deleted lies in it; each wants to know whether it is.
    empty: Vec<oneshot::Sender<bool>>,
    stop: bool,
}

impl Shared {
    /// Waits for orders; none when the thread has to end.
    fn next(&self) -> Option<Orders> {
        let mut orders = self.orders.look();
        while !(orders.checkpoint || orders.make_room || orders.stop) && orders.empty.is_empty() {
            orders = self.orders.wait(orders, None);
        }
        if orders.stop {
            // Who waits for it hears that it was not done.
            orders.empty.clear();
            return None;
        }
        Some(std::mem::take(&mut *orders))
    }
}

/// What a connection that writes tells. It never waits.
#[derive(Clone)]
pub(super) struct Gauge(Arc<Shared>);

impl Gauge {
    /// The log has this length after a commit.
    fn commit(&self, pages: u32) {
        let before = self.0.length.swap(pages, Ordering::Relaxed);
        if pages < before {
            // It has begun anew.
            self.0.due_at.store(self.0.due_after.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        if pages >= self.0.due_at.load(Ordering::Relaxed) {
            self.0.orders.order(|orders| orders.checkpoint = true);
        }
    }

    /// There was no room for a commit.
    pub(super) fn disk_is_full(&self) {
        self.0.orders.order(|orders| orders.make_room = true);
    }
}

/// The thread, and the way to it.
pub(super) struct Checkpoints {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Checkpoints {
    /// Hears of every commit of this connection from now on.
    pub(super) fn watch(connection: &mut Connection) -> Result<(Self, Gauge)> {
        let shared = Arc::new(Shared {
            due_after: AtomicU32::new(u32::MAX),
            length: AtomicU32::default(),
            due_at: AtomicU32::new(u32::MAX),
            orders: Board::default(),
        });
        let gauge = Gauge(Arc::clone(&shared));
        let hears = gauge.clone();
        // This takes the place of SQLite's own checkpoints, which would be made within a commit.
        connection.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages| {
            hears.commit(u32::try_from(pages).unwrap_or(u32::MAX));
            Ok(())
        }))?;
        Ok((Self { shared, thread: Mutex::default() }, gauge))
    }

    /// What makes them, for the file at this path.
    pub(super) fn worker(
        &self,
        path: PathBuf,
        bounds: Bounds,
        readers: Arc<Readers>,
        writer: Arc<tokio::sync::Mutex<Writer>>,
        in_file: InFile,
    ) -> Result<Worker> {
        let shared = Arc::clone(&self.shared);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(unavailable)?;
        let (connection, sought_room_at) = (None, None);
        let worker =
            Worker { shared, path, bounds, readers, writer, in_file, runtime, connection, sought_room_at };
        worker.due_after(0);
        Ok(worker)
    }

    /// Has it work on a thread of its own.
    pub(super) fn start(&self, worker: Worker) -> Result<()> {
        let work = move || worker.run();
        let thread = std::thread::Builder::new().name("pegcount-checkpoints".into()).spawn(work);
        *self.thread() = Some(thread.map_err(unavailable)?);
        Ok(())
    }

    /// Has the log emptied; whether it was. It is not while a long read keeps it.
    pub(super) async fn empty(&self) -> bool {
        let (done, is_done) = oneshot::channel();
        self.shared.orders.order(|orders| {
            if !orders.stop {
                orders.empty.push(done);
            }
        });
        is_done.await.unwrap_or(false)
    }

    /// Ends the thread; what joins it, if it was not ended before.
    pub(super) fn stop(&self) -> Option<JoinHandle<()>> {
        self.shared.orders.order(|orders| orders.stop = true);
        self.thread().take()
    }

    fn thread(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        // Not joined: it may wait for a transaction that outlives the store.
        let _ = self.stop();
    }
}

/// What makes checkpoints.
pub(super) struct Worker {
    shared: Arc<Shared>,
    path: PathBuf,
    bounds: Bounds,
    readers: Arc<Readers>,
    writer: Arc<tokio::sync::Mutex<Writer>>,
    in_file: InFile,
    /// For waiting within limits.
    runtime: tokio::runtime::Runtime,
    /// Opened when first needed: most commands end before.
    connection: Option<Connection>,
    sought_room_at: Option<Instant>,
}

impl Worker {
    fn run(mut self) {
        while let Some(orders) = self.shared.next() {
            self.carry_out(orders);
        }
    }

    /// Does what was ordered so far, without a thread.
    pub(super) fn turn(&mut self) {
        let orders = std::mem::take(&mut *self.shared.orders.look());
        self.carry_out(orders);
    }

    fn carry_out(&mut self, orders: Orders) {
        let make_room = orders.make_room
            && self.sought_room_at.is_none_or(|sought_at| sought_at.elapsed() > ROOM_AGAIN_AFTER);
        let empty = !orders.empty.is_empty();
        if !(make_room || empty || orders.checkpoint) {
            return;
        }
        let emptied = self.checkpoint(make_room || empty).unwrap_or_else(|fault| {
            // Not before the log has grown again: it would fail again.
            let length = self.shared.length.load(Ordering::Relaxed);
            self.due_after(length);
            let error = crate::StoreError::from(fault);
            tracing::warn!(%error, "the write-ahead log could not be moved into the file");
            false
        });
        for asked in orders.empty {
            let _ = asked.send(emptied);
        }
        if make_room {
            self.sought_room_at = Some(Instant::now());
        }
    }

    /// The next checkpoint is due some pages after this length.
    fn due_after(&self, length: u32) {
        let bounds = self.bounds.within_room_of(&self.path);
        let due_at = length.saturating_add(bounds.due_after);
        self.shared.due_after.store(bounds.due_after, Ordering::Relaxed);
        self.shared.due_at.store(due_at, Ordering::Relaxed);
    }

    /// Moves pages; whether the log is empty now, which `empty` asks for.
    fn checkpoint(&mut self, empty: bool) -> Result<bool> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => open(&self.path)?,
        };
        let done = self.checkpoint_by(&connection, empty);
        self.connection = Some(connection);
        done
    }

    fn checkpoint_by(&self, connection: &Connection, empty: bool) -> Result<bool> {
        let moved = self.move_pages(connection, "PASSIVE")?;
        let longest = self.bounds.within_room_of(&self.path).longest;
        if !empty && moved.length < longest / 4 {
            self.due_after(moved.length);
            return Ok(false);
        }
        let far_too_long = empty || moved.length >= longest;
        let kept_out =
            if far_too_long { Some(self.keep_everybody_out()?) } else { self.catch_a_moment(connection)? };
        let Some(kept_out) = kept_out else {
            self.due_after(moved.length);
            return Ok(false);
        };
        // A file that stays as long as it is is cheaper to write to than one that grows again.
        let moved = self.move_pages(connection, if far_too_long { "TRUNCATE" } else { "RESTART" })?;
        if moved.all {
            self.shared.length.store(0, Ordering::Relaxed);
        }
        self.due_after(if moved.all { 0 } else { moved.length });
        drop(kept_out);
        if !moved.all {
            let pages = moved.length;
            tracing::info!(
                pages,
                "a read that goes on keeps the write-ahead log from being emptied; the next attempt follows"
            );
        }
        Ok(moved.all && far_too_long)
    }

    /// Moves pages, and notes which commits are in the file then.
    fn move_pages(&self, connection: &Connection, mode: &str) -> Result<Moved> {
        let known = Commits::of(connection)?;
        let moved = Moved::by(connection, mode)?;
        if let Some(known) = known.filter(|_| moved.all) {
            self.in_file.reached(known);
        }
        Ok(moved)
    }

    /// Holds reads back for a moment, and keeps writers out if none takes longer than that.
    fn catch_a_moment(&self, connection: &Connection) -> Result<Option<KeptOut<'_>>> {
        let Some(no_reads) = self.no_reads()? else { return Ok(None) };
        // What came meanwhile is moved while writers still write.
        self.move_pages(connection, "PASSIVE")?;
        // Not for ever: who writes may have to read first, and would wait for this.
        let no_writes = self.runtime.block_on(async { timeout(COMMIT_WAIT, self.writer.lock()).await.ok() });
        Ok(no_writes.map(|no_writes| KeptOut { _no_writes: no_writes, _no_reads: Some(no_reads) }))
    }

    /// Keeps writers out however long the one at work takes, as one follows the other when calls come in by the thousand;
    /// then holds reads back for a moment. In this order, since who writes may have to read first.
    fn keep_everybody_out(&self) -> Result<KeptOut<'_>> {
        let no_writes = self.writer.blocking_lock();
        Ok(KeptOut { _no_writes: no_writes, _no_reads: self.no_reads()? })
    }

    /// Holds reads back, unless those under way take longer than a moment.
    fn no_reads(&self) -> Result<Option<HeldBack<'_>>> {
        self.runtime.block_on(self.readers.hold_back_soon())
    }
}

/// While it is there, nobody writes and, mostly, nobody reads.
struct KeptOut<'a> {
    _no_writes: tokio::sync::MutexGuard<'a, Writer>,
    _no_reads: Option<HeldBack<'a>>,
}

fn open(path: &Path) -> Result<Connection> {
    let connection = connect::open_existing(path)?;
    // It never waits for readers: there is a next time.
    connection.busy_timeout(Duration::ZERO)?;
    Ok(connection)
}

/// What a checkpoint has done.
pub(super) struct Moved {
    /// Whether nothing kept it from doing all of it.
    pub(super) all: bool,
    /// The pages of the log, moved or not.
    length: u32,
}

impl Moved {
    pub(super) fn by(connection: &Connection, mode: &str) -> Result<Self> {
        let sql = format!("PRAGMA wal_checkpoint({mode})");
        let told = connection.query_row(&sql, [], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?]));
        let [busy, length, moved]: [i64; 3] = told?;
        Ok(Self { all: busy == 0 && length == moved, length: u32::try_from(length).unwrap_or_default() })
    }
}

#[cfg(test)]
mod tests {
    use std::{
        hash::{BuildHasher, RandomState},
        io::{BufRead, BufReader},
        process::{Command, Stdio},
    };

    use pegcount_calls::{EndpointName, PhoneNumberName};

    use super::*;
    use crate::{
        OrganizationNumber, Severity, Store,
        sqlite::{Sqlite, sealing::Sealing},
    };

    const OURS: OrganizationNumber = OrganizationNumber(1);
    const SMALL: Bounds = Bounds { due_after: 16, longest: 64 };
    const PAGE: u64 = 4_096;

    /// Commits one endpoint more; gives the length of the log in pages.
    async fn commit(store: &Sqlite, number: u64) -> u64 {
        let mut transaction = store.begin().await.unwrap();
        let id = EndpointName::new(format!("ep_{number}")).unwrap();
        transaction.note_endpoint(OURS, &id).await.unwrap();
        transaction.commit().await.unwrap();
        log_length(store)
    }

    fn log_length(store: &Sqlite) -> u64 {
        std::fs::metadata(store.path.with_extension("db-wal")).map_or(0, |file| file.len() / PAGE)
    }

    /// Reads of which some is always under way.
    fn always_reading(store: &Arc<Sqlite>) -> tokio::task::JoinSet<()> {
        let mut readers = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let store = Arc::clone(store);
            readers.spawn(async move {
                loop {
                    store.endpoints(OURS, 100, 0).await.unwrap();
                }
            });
        }
        readers
    }

    fn is_sound(findings: &[crate::Finding]) -> bool {
        findings.iter().all(|finding| finding.severity == Severity::Fine)
    }

    #[tokio::test]
    async fn the_log_stays_short_under_a_long_run_of_commits_with_readers() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open_with(&folder.path().join("calls.db"), Sealing::default(), SMALL).unwrap();
        let mut longest = 0;
        // Each writes two pages at least: without checkpoints the log would hold 3,000.
        for number in 0..1_500 {
            longest = longest.max(commit(&store, number).await);
            assert_eq!(store.endpoints(OURS, 1, 0).await.unwrap().1, number + 1);
        }
        assert!(longest < 1_000, "the log has grown to {longest} pages");
        assert!(is_sound(&store.check().await.unwrap()));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn the_log_stays_short_though_some_read_is_always_under_way() {
        let folder = tempfile::tempdir().unwrap();
        let store =
            Arc::new(Sqlite::open_with(&folder.path().join("calls.db"), Sealing::default(), SMALL).unwrap());
        commit(&store, 0).await;
        let mut readers = always_reading(&store);
        let mut longest = 0;
        for number in 1..1_500 {
            longest = longest.max(commit(&store, number).await);
        }
        readers.shutdown().await;
        assert!(longest < 1_000, "the log has grown to {longest} pages");
        assert!(is_sound(&store.check().await.unwrap()));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn who_reads_while_it_writes_is_not_waited_for_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open_with(&folder.path().join("calls.db"), Sealing::default(), SMALL).unwrap();
        let all = async {
            for number in 0..1_000 {
                commit(&store, number).await;
                let transaction = store.begin().await.unwrap();
                store.organizations().await.unwrap();
                transaction.commit().await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(60), all).await.expect("both wait for the other");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn the_log_stays_short_though_one_long_transaction_follows_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let store =
            Arc::new(Sqlite::open_with(&folder.path().join("calls.db"), Sealing::default(), SMALL).unwrap());
        commit(&store, 0).await;
        // Without them the log would begin anew by itself.
        let mut readers = always_reading(&store);
        // As long as one of a thousand calls; while one writes the other waits already.
        let writer = async |name: &str| {
            let mut longest = 0;
            for number in 0..20 {
                let mut transaction = store.begin().await.unwrap();
                let begun = Instant::now();
                for part in 0.. {
                    if begun.elapsed() > 2 * COMMIT_WAIT {
                        break;
                    }
                    let id = PhoneNumberName::new(format!("{name}_{number}_{part}")).unwrap();
                    transaction.note_phone_number(OURS, &id).await.unwrap();
                    tokio::task::yield_now().await;
                }
                transaction.commit().await.unwrap();
                longest = longest.max(log_length(&store));
            }
            longest
        };
        let (one, other) = tokio::join!(writer("a"), writer("b"));
        readers.shutdown().await;
        let longest = one.max(other);

        assert!(longest < 300, "the log has grown to {longest} pages");
        assert!(is_sound(&store.check().await.unwrap()));
    }

    #[tokio::test]
    async fn a_log_that_a_long_read_has_kept_is_emptied_once_it_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open_with(&folder.path().join("calls.db"), Sealing::default(), SMALL).unwrap();
        commit(&store, 0).await;
        let reader = connect::open_reader(&store.path, &store.sealing).unwrap();
        let count = |reader: &Connection| {
            super::super::rows::count(reader, "SELECT count(*) FROM endpoints", []).unwrap()
        };
        let reading = reader.unchecked_transaction().unwrap();
        assert_eq!(count(&reading), 1);
        let mut number = 1;
        while commit(&store, number).await < 1_000 {
            number += 1;
        }
        assert_eq!(count(&reading), 1, "the reader does not see what it saw");
        drop(reading);
        let begun = Instant::now();
        loop {
            number += 1;
            if commit(&store, number).await < 500 {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "the log is never emptied");
        }
        assert_eq!(count(&reader), store.endpoints(OURS, 1, 0).await.unwrap().1);
    }

    #[tokio::test]
    async fn a_closed_store_leaves_no_log() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open_with(&folder.path().join("calls.db"), Sealing::default(), SMALL).unwrap();
        for number in 0..100 {
            commit(&store, number).await;
        }
        store.endpoints(OURS, 1, 0).await.unwrap();
        store.close().await.unwrap();
        assert_eq!(log_length(&store), 0);
        // Whoever writes on all the same needs no thread.
        for number in 100..200 {
            commit(&store, number).await;
        }
        store.close().await.unwrap();
        assert_eq!(log_length(&store), 0);
        drop(store);
        let mut left: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["calls-words.db", "calls.db", "calls.db-commits"]);
    }

    /// In the process that is killed: says what is kept as soon as it is.
    async fn write_until_killed(path: &Path) {
        let always = Bounds { due_after: 4, longest: 12 };
        let store = Sqlite::open_with(path, Sealing::default(), always).unwrap();
        let mut number = store.endpoints(OURS, 1, 0).await.unwrap().1;
        loop {
            commit(&store, number).await;
            number += 1;
            println!("kept {number}");
        }
    }

    const CHILD: &str = "PEGCOUNT_TEST_STORE_TO_WRITE";

    #[tokio::test]
    async fn kill_minus_nine_during_checkpoints_loses_nothing() {
        if let Some(path) = std::env::var_os(CHILD) {
            return write_until_killed(Path::new(&path)).await;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls.db");
        let this = "sqlite::checkpoints::tests::kill_minus_nine_during_checkpoints_loses_nothing";
        for round in 0..8_u64 {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", this, "--nocapture"])
                .env(CHILD, &path)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            let kept = |line: std::io::Result<String>| line.unwrap().rsplit_once("kept ")?.1.parse().ok();
            let at_least = 20 + RandomState::new().hash_one(round) % 200;
            let mut last: u64 =
                lines.by_ref().filter_map(kept).nth(usize::try_from(at_least).unwrap()).unwrap();
            child.kill().unwrap();
            child.wait().unwrap();
            last = lines.filter_map(kept).last().unwrap_or(last);

            let store = Sqlite::open(&path, None).unwrap();
            let there = store.endpoints(OURS, 1, 0).await.unwrap().1;
            assert!(there == last || there == last + 1, "{last} were kept, {there} are there");
            assert!(is_sound(&store.check().await.unwrap()));
            store.close().await.unwrap();
        }
    }
}
