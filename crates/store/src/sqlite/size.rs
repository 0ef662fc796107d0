//! How much of a disk the files of a store take.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use super::words::path_beside;
use crate::Size;

/// The files of the store that lies here. One that is not there takes nothing.
pub(crate) fn of(store: &Path) -> io::Result<Size> {
    Ok(Size { bytes: of_file(store)?, log_bytes: of_file(&log_of(store))?, words_bytes: of_index(store)? })
}

fn of_index(store: &Path) -> io::Result<u64> {
    let index = path_beside(store);
    Ok(of_file(&index)? + of_file(&log_of(&index))?)
}

/// SQLite's write-ahead log of a database.
fn log_of(database: &Path) -> PathBuf {
    beside(database, "-wal")
}

/// The shared memory of the processes that have a database open.
pub(super) fn shared_memory_of(database: &Path) -> PathBuf {
    beside(database, "-shm")
}

fn beside(database: &Path, ending: &str) -> PathBuf {
    let mut name = database.file_name().unwrap_or_default().to_owned();
    name.push(OsStr::new(ending));
    database.with_file_name(name)
}

fn of_file(path: &Path) -> io::Result<u64> {
    match fs::metadata(path) {
        Ok(file) => Ok(file.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Store as _, sqlite::Sqlite};

    #[tokio::test]
    async fn a_store_takes_what_its_files_take() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls.db");
        assert_eq!(of(&path).unwrap(), Size::default());
        let store = Sqlite::open(&path, None).unwrap();
        let size = of(&path).unwrap();
        assert_eq!(size.bytes, fs::metadata(&path).unwrap().len());
        assert!(size.log_bytes > 0 && size.words_bytes > 0, "{size:?}");
        store.close().await.unwrap();
        assert_eq!(of(&path).unwrap().log_bytes, 0);
    }
}
