//! The open file: one connection that writes, and those that read.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

#[cfg(test)]
use pegcount_sealed::Keys;
use rusqlite::Connection;
use tokio::sync::Mutex;
use zstd::bulk::Compressor;

use super::{
    blocks::Blocks,
    checkpoints::{Bounds, Checkpoints},
    chores::Chores,
    connect::{self, Readers, Snapshot},
    deferred::{self, DocumentWriter},
    documents,
    fault::{self, unavailable},
    lineage,
    room::Room,
    sealing::Sealing,
    transaction::{Writer, Writing},
    words::{Indexer, LOG_DUE},
};
use crate::{FoldReports, Losses, Opening, Result, StoreError, rollups::Changes};

/// A store in one SQLite file, with the index of words beside it.
pub(crate) struct Sqlite {
    pub(super) path: PathBuf,
    pub(super) sealing: Sealing,
    pub(super) checkpoints: Checkpoints,
    pub(super) room: Room,
    pub(super) readers: Arc<Readers>,
    pub(super) indexer: Indexer,
    pub(super) documents: DocumentWriter,
    /// Reads calls whose document is deferred.
    pub(super) fold: FoldReports,
    /// Whether nothing is done on another thread.
    by_hand: bool,
    /// It and the index are the last to be dropped: SQLite removes the log when the last connection that may write goes.
    pub(super) writer: Arc<Mutex<Writer>>,
}

impl Sqlite {
    /// Opens the file, or makes it.
    #[cfg(test)]
    pub(crate) fn open(path: &Path, keys: Option<&Keys>) -> Result<Self> {
        Self::open_as(path, Opening { keys, ..Opening::default() })
    }

    /// Opens the file, or makes it.
    pub(crate) fn open_as(path: &Path, Opening { keys, losses, fold }: Opening<'_>) -> Result<Self> {
        Self::open_here(path, Sealing::with(keys), Bounds::default(), (losses, fold))
    }

    #[cfg(test)]
    pub(super) fn open_with(path: &Path, sealing: Sealing, bounds: Bounds) -> Result<Self> {
        Self::open_here(path, sealing, bounds, (Losses::Refused, None))
    }

    /// Opens it on a thread of its own. What was begun before a failure has runtimes, which may not be dropped within the
    /// caller's.
    fn open_here(
        path: &Path,
        sealing: Sealing,
        bounds: Bounds,
        accepting: (Losses, Option<FoldReports>),
    ) -> Result<Self> {
        let open = || Self::open_and_start(path, sealing, bounds, accepting);
        std::thread::scope(|scope| {
            let thread =
                std::thread::Builder::new().name("pegcount-opening".into()).spawn_scoped(scope, open);
            let opened = thread.map_err(unavailable)?.join();
            opened.map_err(|_| unavailable("the thread that opens the store has failed"))?
        })
    }

    fn open_and_start(
        path: &Path,
        sealing: Sealing,
        bounds: Bounds,
        accepting: (Losses, Option<FoldReports>),
    ) -> Result<Self> {
        let (store, chores) = Self::prepare(path, sealing, (bounds, LOG_DUE), accepting)?;
        store.checkpoints.start(chores.checkpoints)?;
        store.indexer.start(chores.words)?;
        if let Some(documents) = chores.documents {
            store.documents.start(documents)?;
        }
        Ok(store)
    }

    /// Opens the file without a thread, and has each log moved once it has so many pages more.
    pub(crate) fn open_by_hand(path: &Path, log_pages: u32, fold: FoldReports) -> Result<(Self, Chores)> {
        let bounds = Bounds { due_after: log_pages, longest: log_pages.saturating_mul(8) };
        let (store, chores) =
            Self::prepare(path, Sealing::default(), (bounds, log_pages), (Losses::Refused, Some(fold)))?;
        Ok((Self { by_hand: true, ..store }, chores))
    }

    fn prepare(
        path: &Path,
        sealing: Sealing,
        (bounds, words_due): (Bounds, u32),
        (losses, fold): (Losses, Option<FoldReports>),
    ) -> Result<(Self, Chores)> {
        // Absolute, because SQLite reads `:memory:`, `file:...` and the empty path as something else than a file.
        let path = std::path::absolute(path).map_err(unavailable)?;
        let mut connection = connect::open_writer(&path, &sealing, losses)?;
        let note = lineage::Note::open(&path, &connection)?;
        let in_file = note.in_file();
        let compressor = Compressor::new(documents::LEVEL).map_err(unavailable)?;
        let indexer = Indexer::open(&path, &connection, &sealing)?;
        let (checkpoints, gauge) = Checkpoints::watch(&mut connection)?;
        let room = Room::beside(&path);
        let blocks = Arc::new(Blocks::default());
        let documents = DocumentWriter::new();
        let writer = Arc::new(Mutex::new(Writer {
            connection,
            compressor,
            changes: Changes::default(),
            recounted: false,
            blocks: Arc::clone(&blocks),
            commits: note,
            notes: indexer.notes(),
            noted: None,
            fold,
            endings: documents.endings(),
            ended: BTreeSet::new(),
            gauge,
            room: room.clone(),
        }));
        let readers = Readers::new(path.clone(), sealing.clone(), connect::READ_LIMIT, blocks);
        let chores = Chores {
            checkpoints: checkpoints.worker(
                path.clone(),
                bounds,
                Arc::clone(&readers),
                Arc::clone(&writer),
                in_file,
            )?,
            words: indexer.worker(&path, Arc::clone(&readers), words_due)?,
            documents: match fold {
                Some(fold) => Some(documents.worker(&path, &sealing, fold, Arc::clone(&writer))?),
                None => None,
            },
        };
        let fold = fold.unwrap_or(deferred::no_fold);
        let by_hand = false;
        let store =
            Self { path, sealing, checkpoints, room, readers, indexer, documents, fold, by_hand, writer };
        Ok((store, chores))
    }

    /// Does what may take long on a thread that may block.
    pub(super) async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        if self.by_hand {
            return Ok(work());
        }
        Ok(tokio::task::spawn_blocking(work).await.map_err(unavailable)?)
    }

    /// Reads a few rows, right here: handing it to another thread costs more than reading.
    pub(super) async fn quick<T>(
        &self,
        work: impl FnOnce(&Snapshot<'_>) -> fault::Result<T> + Send,
    ) -> Result<T> {
        Ok(self.readers.quick().await?.read(work)?)
    }

    /// Reads what may be many rows, on a thread that may block.
    pub(super) async fn slow<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Snapshot<'_>) -> fault::Result<T> + Send + 'static,
    ) -> Result<T> {
        let reader = self.readers.slow().await?;
        let stands_back = !self.by_hand;
        let read = move || {
            if stands_back {
                connect::stand_back();
            }
            reader.read(work)
        };
        Ok(self.aside(read).await??)
    }

    /// Reads on a connection of its own, since a look at everything may take longer than any other read.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> fault::Result<T> + Send + 'static,
    ) -> Result<T> {
        let (path, sealing) = (self.path.clone(), self.sealing.clone());
        let look = move || work(&connect::open_reader(&path, &sealing)?);
        Ok(self.aside(look).await??)
    }

    pub(super) async fn begin_writing(&self) -> Result<Writing> {
        Ok(Writing::begin(Arc::clone(&self.writer).lock_owned().await)?)
    }

    /// Writes in a transaction of its own.
    pub(super) async fn write<T>(
        &self,
        work: impl FnOnce(&Connection) -> fault::Result<T> + Send,
    ) -> Result<T> {
        let mut writing = self.begin_writing().await?;
        let done = writing.work(|writer| work(&writer.connection))?;
        writing.finish()?;
        Ok(done)
    }

    /// The same of what may be many rows, on a thread that may block.
    pub(super) async fn write_slowly<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Writer) -> fault::Result<T> + Send + 'static,
    ) -> Result<T> {
        let mut writing = self.begin_writing().await?;
        let write = move || {
            let done = writing.work(work)?;
            writing.finish().map(|()| done)
        };
        self.aside(write).await?
    }

    /// Brings what is in the log to its resting place; no thread of ours runs any more.
    pub(super) async fn shut(&self) -> Result<()> {
        self.documents.close().await?;
        self.indexer.close().await?;
        if let Some(thread) = self.checkpoints.stop() {
            let ended = tokio::task::spawn_blocking(move || thread.join()).await.map_err(unavailable)?;
            ended.map_err(|_| unavailable("the thread of checkpoints has failed"))?;
        }
        let writer = self.writer.lock().await;
        let moved: rusqlite::Result<i64> =
            writer.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
        match moved.map_err(|error| StoreError::from(fault::Fault::from(error))) {
            // What is in the log is as durable as what is in the file; the next start takes it up.
            Err(StoreError::Full) => {
                tracing::warn!("the write-ahead log stays where it is: the disk is full");
            }
            moved => drop(moved?),
        }
        // Who writes on all the same does without the thread.
        Ok(connect::checkpoint_within_commits(&writer.connection)?)
    }
}
