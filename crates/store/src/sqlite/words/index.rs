//! The file of the index: what is in it, and how calls are taken in.

use std::{
    collections::BTreeSet,
    io,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, params};

use super::{Words, due};
use crate::{
    CallKey, OrganizationNumber, Scrub, StoreError,
    sqlite::{
        connect, documents,
        fault::{Fault, Result, unreadable},
        rows::{many, one, run},
        sealing::Sealing,
    },
};

/// What the file is called in the statements of a connection that it is attached to.
pub(super) const SCHEMA: &str = "words";

/// What is in the file. Words come folded, as `pegcount_calls::words` makes them: the index parts them at blanks and
/// changes nothing.
const TABLES: &str = "
    CREATE TABLE words_taken (
        only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
        store    BLOB NOT NULL,    -- whose words these are: words_store.id, and with which key they are blinded
        taken    INTEGER NOT NULL, -- everything up to this number of words_due is in
        filled   INTEGER           -- calls up to this place are in; NULL: all that were there when the file was made
    ) STRICT;
    CREATE VIRTUAL TABLE transcripts USING fts5 (
        transcript, summary,
        content = '', contentless_delete = 1, tokenize = 'ascii'
    );
    -- More parts than FTS5 would have by itself, and so less merging.
    INSERT INTO transcripts (transcripts, rank) VALUES ('automerge', 8);
    INSERT INTO transcripts (transcripts, rank) VALUES ('crisismerge', 64);";

/// Raised whenever [`TABLES`] or what is put into them changes: a file of another version is made anew.
const VERSION: i64 = 1;

/// Marks the file as ours ("Pegw"), so that nobody's other file is ever removed.
const APPLICATION: i32 = 0x5065_6777;

/// How long to wait for another process (a command line beside the server) to finish writing.
const BUSY: Duration = Duration::from_secs(5);
/// Negative: in KiB.
const CACHE: i64 = -32_768;

/// How many calls are taken in by one commit, and about how many bytes they may say. A commit of many calls is cheaper
/// than many of one, since words that they share are written once.
pub(super) const CALLS_AT_ONCE: usize = 64;
const BYTES_AT_ONCE: usize = 4 * 1024 * 1024;
/// How many calls are looked at by one commit while the index is made anew.
const FILLED_AT_ONCE: usize = 512;

/// The first place in the index that tells of deleted calls, whose words lie where they lay until their part is merged.
const FIRST_DELETED: i64 = 1 << 53;
/// How many pages are merged at once to have such words go.
const PAGES_A_STEP: i64 = 250;

/// How far the index has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// It has everything up to this number of what was due.
    pub(super) number: i64,
    /// While it is made anew: the last call that was looked at.
    pub(super) filling: Option<CallKey>,
}

impl Taken {
    /// What the index that is attached to this connection, or is its main file, says of itself.
    pub(super) fn of(connection: &Connection) -> Result<Self> {
        let sql = "SELECT taken, filled FROM words_taken";
        let taken = one(connection, sql, [], |row| {
            Ok(Self { number: row.get(0)?, filling: row.get::<_, Option<i64>>(1)?.map(CallKey) })
        })?;
        taken.ok_or_else(|| unreadable("how far the index of words has come", "it is missing"))
    }

    /// Whether everything up to this number can be found.
    pub(super) fn has(self, number: i64) -> bool {
        self.number >= number && self.filling.is_none()
    }

    fn write(self, connection: &Connection) -> Result<()> {
        let filled = self.filling.map(|key| key.0);
        run(connection, "UPDATE words_taken SET taken = ?1, filled = ?2", params![self.number, filled])?;
        Ok(())
    }
}

/// Where the index of the store in this file lies: `pegcount-words.db` beside `pegcount.db`.
pub(in crate::sqlite) fn path_beside(store: &Path) -> PathBuf {
    let mut name = store.file_stem().unwrap_or_default().to_owned();
    name.push("-words");
    if let Some(extension) = store.extension() {
        name.push(".");
        name.push(extension);
    }
    store.with_file_name(name)
}

/// Has a connection that reads the store read its index too.
pub(in crate::sqlite) fn attach(connection: &Connection, store: &Path) -> Result<()> {
    let path = path_beside(store);
    let path =
        path.to_str().ok_or_else(|| unreadable("the path of the index of words", "it is not UTF-8"))?;
    connection.execute(&format!("ATTACH DATABASE ?1 AS {SCHEMA}"), [path])?;
    Ok(())
}

/// Refuses to search in an index that is being made anew.
///
/// # Errors
/// [`StoreError::Indexing`].
pub(in crate::sqlite) fn whole(connection: &Connection) -> Result<()> {
    match Taken::of(connection)?.filling {
        None => Ok(()),
        Some(_) => Err(StoreError::Indexing.into()),
    }
}

/// By what an index is known to be of this store, as it is kept now: words in the clear are not found among blinded ones.
fn name_of(calls: &Connection, sealing: &Sealing) -> Result<Vec<u8>> {
    let mut name = due::store_id(calls)?;
    name.extend(sealing.mark_of_index());
    Ok(name)
}

/// Whether a call is in the index.
pub(super) fn has_entry(connection: &Connection, key: CallKey) -> Result<bool> {
    Ok(one(connection, "SELECT 1 FROM transcripts WHERE rowid = ?1", [key.0], |_| Ok(()))?.is_some())
}

/// What taking calls in went wrong with: a damaged index is made anew, a damaged store is not.
pub(super) enum Failure {
    OfStore(StoreError),
    OfIndex(StoreError),
}

/// The index, open to be written.
pub(super) struct Index {
    pub(super) connection: Connection,
    pub(super) sealing: Sealing,
}

impl Index {
    /// Opens the index of this store. One that is not there, is damaged, or lacks something of this store that nobody
    /// noted is made anew.
    pub(super) fn open(store: &Path, calls: &Connection, sealing: &Sealing) -> Result<Self> {
        let path = path_beside(store);
        if path.exists() {
            match Self::known(&path, calls, sealing).map_err(StoreError::from) {
                Ok(Some(index)) => return Ok(index),
                Ok(None) => tracing::warn!("the index of words is not that of the calls and is made anew"),
                Err(error) if error.is_damage() => {
                    tracing::warn!(%error, "the index of words is damaged and is made anew");
                }
                Err(error) => return Err(error.into()),
            }
        }
        Self::make(store, calls, sealing)
    }

    /// The index in this file; `None` when it is another's, or one that lacks something.
    fn known(path: &Path, calls: &Connection, sealing: &Sealing) -> Result<Option<Self>> {
        let connection = connected(path)?;
        let application: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
        let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if application != APPLICATION && tables > 0 {
            let cause = format!("{} is a database of another program: move it away", path.display());
            return Err(StoreError::Unavailable(cause.into()).into());
        }
        let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if version != VERSION || !pegcount_pages::has_checksums(path)? {
            return Ok(None);
        }
        let store: Option<Vec<u8>> =
            one(&connection, "SELECT store FROM words_taken", [], |row| Ok(row.get(0)?))?;
        if store != Some(name_of(calls, sealing)?) {
            return Ok(None);
        }
        // Another process may be taking calls in: what has gone from the store meanwhile is in the index when it is asked
        // again, and what was in the index before is in the store.
        let before = Taken::of(&connection)?.number;
        let last = due::span(calls)?.map_or(0, |[_, last]| last);
        let is_whole = before <= last && due::follows(calls, Taken::of(&connection)?.number)?;
        Ok(is_whole.then(|| Self { connection, sealing: sealing.clone() }))
    }

    /// Makes the index anew, empty, for whoever may read and write the store.
    pub(super) fn make(store: &Path, calls: &Connection, sealing: &Sealing) -> Result<Self> {
        let path = path_beside(store);
        remove(&path)?;
        let mode = std::fs::metadata(store).map_err(refused)?.permissions().mode() & 0o777;
        std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&path).map_err(refused)?;
        let mut connection = connected(&path)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(TABLES)?;
        // In this order: whoever changes after the number was read is noted under a later one.
        let taken = due::span(calls)?.map_or(0, |[_, last]| last);
        let any = one(calls, "SELECT 1 FROM calls LIMIT 1", [], |_| Ok(()))?.is_some();
        let sql = "INSERT INTO words_taken (only_one, store, taken, filled) VALUES (1, ?1, ?2, ?3)";
        run(&transaction, sql, params![name_of(calls, sealing)?, taken, any.then_some(i64::MIN)])?;
        transaction.pragma_update(None, "user_version", VERSION)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.commit()?;
        Ok(Self { connection, sealing: sealing.clone() })
    }

    /// What is damaged, if anything is.
    pub(super) fn damage(&self) -> Result<Option<String>> {
        let said: String = self.connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        Ok((said != "ok").then_some(said))
    }

    /// Takes in some of the calls that are due, or of those that were there before the index was; tells how far it has come.
    pub(super) fn take_in(&mut self, calls: &Connection) -> std::result::Result<Taken, Failure> {
        let of_index = |fault: Fault| Failure::OfIndex(fault.into());
        let of_store = |fault: Fault| Failure::OfStore(fault.into());
        let begun = self.connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = begun.map_err(|error| of_index(error.into()))?;
        let before = Taken::of(&transaction).map_err(of_index)?;
        let mut batch = Batch::default();
        batch.gather_due(calls, before).map_err(of_store)?;
        let taken = Taken { number: batch.last.unwrap_or(before.number), ..before };
        // Not only once nothing is due: that may never be.
        let taken = match before.filling.filter(|_| batch.calls.len() < CALLS_AT_ONCE) {
            Some(last) => Taken { filling: batch.gather_older(calls, last).map_err(of_store)?, ..taken },
            None => taken,
        };
        if taken != before {
            batch
                .put(&transaction, &self.sealing)
                .and_then(|()| taken.write(&transaction))
                .map_err(of_index)?;
            transaction.commit().map_err(|error| of_index(error.into()))?;
        }
        Ok(taken)
    }

    /// Merges parts of the index while words of deleted calls lie in it, a little at a time. The first of many calls has
    /// `begin`: it takes all parts there are.
    pub(super) fn scrub(&mut self, begin: bool) -> Result<Scrub> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let deleted = "SELECT 1 FROM transcripts_data WHERE id >= ?1 LIMIT 1";
        if one(&transaction, deleted, [FIRST_DELETED], |_| Ok(()))?.is_none() {
            return Ok(Scrub::Clean);
        }
        // FTS5 takes a negative number for all parts, whatever their sizes.
        let pages = if begin { -PAGES_A_STEP } else { PAGES_A_STEP };
        let before = transaction.total_changes();
        run(&transaction, "INSERT INTO transcripts (transcripts, rank) VALUES ('merge', ?1)", [pages])?;
        // The statement itself is one.
        let changes = transaction.total_changes() - before;
        transaction.commit()?;
        Ok(if changes < 2 { Scrub::Idle } else { Scrub::Moved })
    }
}

/// Calls that are put into the index by one commit: what each is to be found by from now on.
#[derive(Default)]
struct Batch {
    calls: Vec<(CallKey, Option<[String; 2]>)>,
    bytes: usize,
    /// The number of what was due that is in it.
    last: Option<i64>,
}

impl Batch {
    fn gather_due(&mut self, calls: &Connection, taken: Taken) -> Result<()> {
        let mut seen = BTreeSet::new();
        for (number, key) in due::after(calls, taken.number, CALLS_AT_ONCE)? {
            if self.bytes >= BYTES_AT_ONCE {
                break;
            }
            self.last = Some(number);
            if seen.insert(key) {
                self.gather(calls, key)?;
            }
        }
        Ok(())
    }

    /// The calls behind this one; gives the last of them, none behind the end.
    fn gather_older(&mut self, calls: &Connection, after: CallKey) -> Result<Option<CallKey>> {
        let sql = "SELECT pk FROM calls WHERE pk > ?1 ORDER BY pk LIMIT ?2";
        let limit = i64::try_from(FILLED_AT_ONCE).unwrap_or(i64::MAX);
        let keys = many(calls, sql, [after.0, limit], |row| Ok(CallKey(row.get(0)?)))?;
        let mut last = None;
        for key in keys {
            if self.bytes >= BYTES_AT_ONCE {
                break;
            }
            last = Some(key);
            self.gather(calls, key)?;
        }
        Ok(last)
    }

    /// Adds a call as it is now.
    fn gather(&mut self, calls: &Connection, key: CallKey) -> Result<()> {
        let words = match marked_words(calls, key).map_err(StoreError::from) {
            Ok(words) => words,
            // A look at the store names it. The others must be found even so.
            Err(error) if error.is_damage() => {
                tracing::error!(%error, call = key.0, "what is said in a damaged call cannot be searched for");
                None
            }
            Err(error) => return Err(error.into()),
        };
        self.bytes += words.iter().flatten().map(String::len).sum::<usize>();
        self.calls.push((key, words));
        Ok(())
    }

    fn put(&self, transaction: &Transaction<'_>, sealing: &Sealing) -> Result<()> {
        for (key, words) in &self.calls {
            run(transaction, "DELETE FROM transcripts WHERE rowid = ?1", [key.0])?;
            if let Some([transcript, summary]) = words {
                let sql = "INSERT INTO transcripts (rowid, transcript, summary) VALUES (?1, ?2, ?3)";
                let [transcript, summary] = [transcript, summary].map(|text| sealing.blinded(text));
                run(transaction, sql, params![key.0, transcript, summary])?;
            }
        }
        Ok(())
    }
}

/// By what a call is to be found; `None` of one that is gone, has not ended or says nothing.
fn marked_words(calls: &Connection, key: CallKey) -> Result<Option<[String; 2]>> {
    let sql = "SELECT c.org, opened(d.body, d.pk) FROM calls c JOIN call_documents d ON d.pk = c.pk
               WHERE c.pk = ?1 AND c.ended_ms IS NOT NULL";
    let found = one(calls, sql, [key.0], |row| {
        Ok((OrganizationNumber(row.get(0)?), documents::unpack(row.get_ref(1)?.as_blob().map_err(misfit)?)?))
    })?;
    Ok(found.and_then(|(organization, body)| Words::of(&body.content, true).marked(organization)))
}

fn misfit(cause: rusqlite::types::FromSqlError) -> Fault {
    unreadable("the document", cause)
}

/// A connection that writes the file, which is made if need be.
fn connected(path: &Path) -> Result<Connection> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = pegcount_pages::open(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connect::keep_plans(&connection)?;
    connection.pragma_update(None, "page_size", connect::PAGE_BYTES)?;
    let _: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    // A commit is durable at the next checkpoint. Until then the store keeps what is due: due.rs.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    // As in the store: what is deleted is overwritten.
    connection.pragma_update(None, "secure_delete", "ON")?;
    connection.pragma_update(None, "cache_size", CACHE)?;
    Ok(connection)
}

/// What the system says of the file.
fn refused(error: io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full,
        _ => StoreError::Unavailable(error.into()),
    }
}

/// Removes the file and what SQLite keeps beside it.
fn remove(path: &Path) -> Result<()> {
    for end in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        match std::fs::remove_file(PathBuf::from(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(refused(error).into()),
            _ => {}
        }
    }
    Ok(())
}
