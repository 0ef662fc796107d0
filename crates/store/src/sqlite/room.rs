//! Whether the disk has room again, once it was full.
//!
//! The next small write may find a last page and the one after it none. So whoever asks is told that the disk is full
//! until there is room for a good many writes. The writes themselves need no permission: they are always tried.

use std::{
    io::{self, Write},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{fault::unavailable, rows, transaction::Writing};
use crate::{Result, StoreError};

/// How much room is enough, in bytes.
const ENOUGH: usize = 2 * 1024 * 1024;

/// Writes one row and commits it, since a full disk shows at the commit.
pub(super) fn probe(mut writing: Writing) -> Result<()> {
    let sql = "INSERT INTO probe (id, count) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET count = count + 1";
    writing.work(|writer| rows::run(&writer.connection, sql, []))?;
    writing.finish()
}

/// The room beside the file.
#[derive(Clone)]
pub(super) struct Room {
    folder: Arc<Path>,
    missing: Arc<AtomicBool>,
}

impl Room {
    pub(super) fn beside(file: &Path) -> Self {
        let folder = file.parent().unwrap_or(Path::new("."));
        Self { folder: folder.into(), missing: Arc::default() }
    }

    /// A write has found none.
    pub(super) fn is_missing(&self) {
        self.missing.store(true, Ordering::Relaxed);
    }

    /// Whether a write has found none since there was enough.
    pub(super) fn was_missing(&self) -> bool {
        self.missing.load(Ordering::Relaxed)
    }

    /// Takes as much as is enough, and gives it back at once.
    pub(super) fn look(&self) -> Result<()> {
        match self.take() {
            Ok(()) => {
                self.missing.store(false, Ordering::Relaxed);
                Ok(())
            }
            Err(error)
                if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) =>
            {
                Err(StoreError::Full)
            }
            Err(error) => Err(unavailable(error).into()),
        }
    }

    fn take(&self) -> io::Result<()> {
        // It has no name: whatever happens, nothing of it is left.
        let mut file = tempfile::tempfile_in(&self.folder)?;
        let zeros = vec![0; 64 * 1024];
        for _ in 0..ENOUGH / zeros.len() {
            file.write_all(&zeros)?;
        }
        file.sync_data()
    }
}
