//! Connections: the one that writes, and the few that read.

use std::{
    fs::OpenOptions,
    ops::Deref,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rusqlite::{Connection, MAIN_DB, OpenFlags, config::DbConfig};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use super::{
    blocks::{Block, Blocks},
    checkpoints::Moved,
    fault::{Result, unavailable},
    lineage, schema,
    sealing::Sealing,
    words,
};
use crate::{Losses, StoreError, rollups::Tally};

/// Counts only while the file is made; 4 KiB measured best for ingest.
pub(super) const PAGE_BYTES: i64 = 4096;
/// Negative: in KiB.
const WRITER_CACHE: i64 = -131_072;
/// Small, since what is in it is given up whenever somebody has written since the last read. Nor do readers map the file:
/// a mapping is given back as often, and a third of what mixed load cost was mapping it again, page by page, with the
/// memory of the whole process locked.
const READER_CACHE: i64 = -2_048;
/// Only where checkpoints are made within commits, which is after the store was closed.
const CHECKPOINT_AFTER_PAGES: i64 = 4_000;
/// How long to wait for another process (a command line beside the server) to finish writing.
const BUSY: Duration = Duration::from_secs(5);
const STATEMENTS_KEPT: usize = 128;

/// How many reads of a few rows run at a time, and how many that may take long.
const QUICK_READS: u32 = 8;
const SLOW_READS: u32 = 4;
/// How long new reads are held back for those under way to end, where that is not worth more.
const HELD_BACK_SOON: Duration = Duration::from_millis(25);
/// After this long a read is cut: a reader that goes on keeps the write-ahead log from shrinking.
pub(super) const READ_LIMIT: Duration = Duration::from_secs(20);
/// Steps of SQLite's machine between two looks at the clock, well under a millisecond.
const STEPS_BETWEEN_LOOKS: i32 = 20_000;

/// Makes the file of the store, unless it is there, so that nobody else may read it even in a folder that others may enter.
fn make_private(path: &Path) -> Result<()> {
    if path.exists() {
        return Ok(());
    }
    let made = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path);
    made.map(drop).map_err(|error| unavailable(format!("{} cannot be written: {error}", path.display())))
}

/// Opens the connection that writes; makes the file, or brings it to the newest schema.
///
/// # Errors
/// [`StoreError::Lost`] when it has lost something and that is not accepted; nothing is changed then.
pub(super) fn open_writer(path: &Path, sealing: &Sealing, losses: Losses) -> Result<Connection> {
    lineage::look_for_missing(path, losses)?;
    make_private(path)?;
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let in_file = lineage::Commits::of_file(path);
    let mut connection = pegcount_pages::open(path, flags)?;
    // Where anything is wrong, what is left of the log may still be of use, and it may be another store's.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.busy_timeout(BUSY)?;
    keep_plans(&connection)?;
    // SQLite is content with reading where it may not write.
    if connection.is_readonly(MAIN_DB)? {
        return Err(unavailable(format!("{} may only be read: it must be writable", path.display())));
    }
    // Before anything is changed: the file may be somebody else's.
    schema::version(&connection)?;
    lineage::look_for_lost(path, in_file, &connection, losses)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    if add_checksums(path, &connection)? {
        // Its connection read pages without them.
        drop(connection);
        return open_writer(path, sealing, losses);
    }
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    // Full, and more while there is no write-ahead log yet: the journal of the change to it is gone for good. If it came back
    // after a crash, it would undo all that was committed since.
    connection.pragma_update(None, "synchronous", "EXTRA")?;
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(unavailable(format!("the file system does not take a write-ahead log (mode {mode})")));
    }
    // What is deleted is overwritten, in rows and in pages that nothing lies in any more. Always, not in erasures alone:
    // whatever moves from one page to another leaves a copy behind, which no later erasure would find.
    connection.pragma_update(None, "secure_delete", "ON")?;
    connection.pragma_update(None, "cache_size", WRITER_CACHE)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    sealing.register(&connection)?;
    schema::migrate(&mut connection)?;
    sealing.settle(&connection)?;
    Ok(connection)
}

/// How large a file is, in bytes, to which checksums are added at the start: a few seconds. A larger one gets them by a backup
/// that is restored (check.rs says so).
const REWRITTEN_AT_START: u64 = 256 * 1024 * 1024;

/// Adds checksums to the pages of a file that an earlier version made; whether they are new.
///
/// # Errors
/// When somebody reads meanwhile: no page may be written before all of them are moved into the file.
fn add_checksums(path: &Path, connection: &Connection) -> Result<bool> {
    let bytes = std::fs::metadata(path).map_or(0, |file| file.len());
    if bytes == 0 || pegcount_pages::has_checksums(path).unwrap_or(true) {
        return Ok(false);
    }
    if bytes > REWRITTEN_AT_START {
        tracing::warn!("the pages of the store have no checksums: restore a backup of it to add them");
        return Ok(false);
    }
    // A copy that is one file has no log, and without a log they are not added.
    if let Err(error) = connection.execute_batch("PRAGMA journal_mode = WAL; VACUUM") {
        tracing::warn!(%error, "no checksums can be added to the pages of the store at the moment");
        return Ok(false);
    }
    if !Moved::by(connection, "TRUNCATE")?.all {
        let message = "its pages get checksums, and another program reads it: wait for that, and start again";
        return Err(unavailable(format!("{}: {message}", path.display())));
    }
    Ok(pegcount_pages::has_checksums(path).unwrap_or_default())
}

/// Opens one more connection that may write to a file that is there.
pub(super) fn open_existing(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = pegcount_pages::open(path, flags)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}

/// From now on this connection moves the log into the file itself, within its commits.
pub(super) fn checkpoint_within_commits(connection: &Connection) -> Result<()> {
    Ok(connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_AFTER_PAGES)?)
}

/// A statement keeps the plan it was prepared with. Without this SQLite looks at the values bound to it for a better one
/// and so compiles it anew for each call, which costs more than most reads.
pub(super) fn keep_plans(connection: &Connection) -> Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// Opens a connection that reads calls and what is said in them.
pub(super) fn open_reader(path: &Path, sealing: &Sealing) -> Result<Connection> {
    let connection = open_unattached(path, sealing)?;
    // Whoever searches is told. Everything else is read even so.
    if let Err(fault) = words::attach(&connection, path) {
        let error = StoreError::from(fault);
        tracing::warn!(%error, "the index of words cannot be opened");
    }
    Ok(connection)
}

/// Opens a connection that reads calls.
pub(super) fn open_unattached(path: &Path, sealing: &Sealing) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = pegcount_pages::open(path, flags)?;
    connection.busy_timeout(BUSY)?;
    keep_plans(&connection)?;
    connection.pragma_update(None, "cache_size", READER_CACHE)?;
    sealing.register(&connection)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    Ok(connection)
}

/// How far a thread of long reads stands back.
const NICENESS: i32 = 10;

/// Has this thread stand back, for good, behind the one that writes and behind those that answer short questions: a
/// machine whose cores are all busy with statistics still takes events in.
pub fn stand_back() {
    thread_local! {
        static STANDS_BACK: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
    }
    if !STANDS_BACK.replace(true) {
        // Refused: then it reads as fast as everybody.
        let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS);
    }
}

/// The connections that read. Those that may take long have places of their own, so that they never keep the quick
/// ones waiting.
pub(super) struct Readers {
    path: PathBuf,
    sealing: Sealing,
    limit: Duration,
    blocks: Arc<Blocks>,
    idle: Mutex<Vec<Limited>>,
    quick: Arc<Semaphore>,
    slow: Arc<Semaphore>,
}

/// A connection whose reads are cut at a deadline.
struct Limited {
    connection: Connection,
    opened_at: Instant,
    /// Milliseconds after `opened_at`.
    deadline: Arc<AtomicU64>,
}

/// The store as one read sees it. It is settled at the first statement.
pub(super) struct Snapshot<'a> {
    connection: &'a Connection,
    blocks: &'a Blocks,
    /// The commits that it sees for sure.
    seen: u64,
}

impl Snapshot<'_> {
    /// What a block adds up to: remembered, or added up.
    pub(super) fn sum(&self, block: Block, add_up: impl FnOnce() -> Result<Tally>) -> Result<Arc<Tally>> {
        self.blocks.sum(self.seen, block, add_up)
    }
}

impl Deref for Snapshot<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

/// A connection lent to one read.
pub(super) struct Reader {
    limited: Option<Limited>,
    readers: Arc<Readers>,
    _place: OwnedSemaphorePermit,
}

impl Readers {
    pub(super) fn new(path: PathBuf, sealing: Sealing, limit: Duration, blocks: Arc<Blocks>) -> Arc<Self> {
        Arc::new(Self {
            path,
            sealing,
            limit,
            blocks,
            idle: Mutex::default(),
            quick: Arc::new(Semaphore::new(QUICK_READS as usize)),
            slow: Arc::new(Semaphore::new(SLOW_READS as usize)),
        })
    }

    /// A connection for a read of a few rows.
    pub(super) async fn quick(self: &Arc<Self>) -> Result<Reader> {
        self.lend(&self.quick).await
    }

    /// A connection for a read that may take long.
    pub(super) async fn slow(self: &Arc<Self>) -> Result<Reader> {
        self.lend(&self.slow).await
    }

    /// Lets reads under way end, and no new one begin before what this gives is dropped.
    pub(super) async fn hold_back(&self) -> Result<HeldBack<'_>> {
        // Permits are given out in the order they were asked for in: who reads after this waits behind it.
        let places =
            tokio::try_join!(self.quick.acquire_many(QUICK_READS), self.slow.acquire_many(SLOW_READS));
        Ok(HeldBack(places.map_err(unavailable)?.into()))
    }

    /// The same, unless reads under way take longer than a moment.
    pub(super) async fn hold_back_soon(&self) -> Result<Option<HeldBack<'_>>> {
        tokio::time::timeout(HELD_BACK_SOON, self.hold_back()).await.ok().transpose()
    }

    /// Has connections that nobody uses opened anew when they are next needed: the files may be others now.
    pub(super) fn open_anew(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    async fn lend(self: &Arc<Self>, places: &Arc<Semaphore>) -> Result<Reader> {
        let place = Arc::clone(places).acquire_owned().await.map_err(unavailable)?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let limited = match idle {
            Some(limited) => limited,
            None => Limited::new(open_reader(&self.path, &self.sealing)?)?,
        };
        Ok(Reader { limited: Some(limited), readers: Arc::clone(self), _place: place })
    }
}

/// While it is there, nobody reads.
pub(super) struct HeldBack<'a>(
    #[expect(dead_code, reason = "held until it is dropped")] [SemaphorePermit<'a>; 2],
);

impl Limited {
    fn new(mut connection: Connection) -> Result<Self> {
        let opened_at = Instant::now();
        let deadline = Arc::new(AtomicU64::new(u64::MAX));
        let limit = Arc::clone(&deadline);
        let is_over = move || millis(opened_at.elapsed()) > limit.load(Ordering::Relaxed);
        connection.progress_handler(STEPS_BETWEEN_LOOKS, Some(is_over))?;
        Ok(Self { connection, opened_at, deadline })
    }
}

impl Reader {
    /// Does one read: everything in it sees the same state of the store.
    pub(super) fn read<T>(&self, work: impl FnOnce(&Snapshot<'_>) -> Result<T>) -> Result<T> {
        let Some(limited) = &self.limited else {
            return Err(unavailable("the connection is gone"));
        };
        let deadline = limited.opened_at.elapsed() + self.readers.limit;
        limited.deadline.store(millis(deadline), Ordering::Relaxed);
        let connection = &limited.connection;
        let blocks = &*self.readers.blocks;
        let snapshot = Snapshot { connection, blocks, seen: blocks.seen() };
        // Not rusqlite's transaction: that one compiles its statements anew each time, which a short read feels.
        connection.prepare_cached("BEGIN")?.execute([])?;
        let done = work(&snapshot);
        // A read that was cut may have ended its transaction by itself. What it says goes before what its end says.
        let ended = match connection.is_autocommit() {
            true => Ok(()),
            false => connection.prepare_cached("COMMIT").and_then(|mut end| end.execute([])).map(drop),
        };
        let done = done?;
        ended?;
        Ok(done)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // One whose read panicked is still within its transaction, and is closed.
        let limited = self.limited.take().filter(|limited| limited.connection.is_autocommit());
        let mut idle = self.readers.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.extend(limited);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_read_that_takes_too_long_is_cut_and_the_next_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls.db");
        open_writer(&path, &Sealing::default(), Losses::Refused).unwrap();
        let readers = Readers::new(path, Sealing::default(), Duration::from_millis(1), Arc::default());
        let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";

        let reader = readers.slow().await.unwrap();
        let cut =
            reader.read(|connection| Ok(connection.query_row(endless, [], |row| row.get::<_, i64>(0))?));

        assert!(matches!(cut.map_err(StoreError::from), Err(StoreError::TooLong)));
        drop(reader);
        let reader = readers.quick().await.unwrap();
        let one =
            reader.read(|connection| Ok(connection.query_row("SELECT 1", [], |row| row.get::<_, i64>(0))?));
        assert_eq!(one.unwrap(), 1);
    }
}
