//! A copy of the store while it is used, and of its index of words.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rusqlite::{
    Connection, OpenFlags,
    backup::{Backup, StepResult},
};

use super::{
    connect,
    fault::{Result, unavailable},
    lineage,
    sealing::Sealing,
    words,
};
use crate::StoreError;

/// Copies the store at `from` to the file `to`, which must not be there: as it is at one moment, while others write. The
/// index of words is copied beside it; gives where, or nothing when it could not be copied: it can be made anew.
///
/// What is due in the index must not be forgotten meanwhile. The copies have other names until they are whole and on disk.
pub(super) fn backup(from: &Path, to: &Path) -> Result<Option<PathBuf>> {
    let words = words::path_beside(to);
    if [to, &words].iter().any(|path| path.symlink_metadata().is_ok()) {
        return Err(StoreError::Exists { what: "a file of the backup" }.into());
    }
    // The index first: what comes into it later is then due in the copy of the store.
    let copied_words = match copy(&words::path_beside(from), &words).map_err(StoreError::from) {
        Ok(copied) => Some(copied),
        Err(error) => {
            tracing::warn!(%error, "the index of words is not in the backup and will be made anew from it");
            None
        }
    };
    let copied = copy(from, to)?;
    lineage::part(&pegcount_pages::open(&copied.path, OpenFlags::default())?)?;
    let beside = copied_words.map(|copied| copied.finish(&words)).transpose()?.map(|()| words.clone());
    let finished = copied.finish(to);
    if finished.is_err() && beside.is_some() {
        let _ = std::fs::remove_file(&words);
    }
    finished?;
    Ok(beside)
}

/// Copies a file of the store to the place where it is to be, under another name.
fn copy(from: &Path, to: &Path) -> Result<Partial> {
    let (Some(folder), Some(name)) = (to.parent(), to.file_name()) else {
        return Err(unavailable(format!("{} is no name of a file", to.display())));
    };
    let mut beside = name.to_owned();
    beside.push(format!(".{}.partial", std::process::id()));
    let partial = Partial::make(folder.join(beside)).map_err(|error| told(to, &error))?;
    copy_pages(from, &partial.path)?;
    Ok(partial)
}

fn copy_pages(from: &Path, to: &Path) -> Result<()> {
    let source = connect::open_unattached(from, &Sealing::default())?;
    if pegcount_pages::has_checksums(from)? {
        match copy_raw(&source, to) {
            // A page that nothing lies in may be damaged too, and is not needed.
            Err(fault) if fault.is_of_file() => {}
            copied => return copied,
        }
    }
    File::create(to).map_err(|error| told(to, &error))?;
    let name = to.to_str().ok_or_else(|| unavailable(format!("{} is not UTF-8", to.display())))?;
    source.execute("VACUUM INTO ?1", [name])?;
    Ok(())
}

/// Copies page by page, which is faster.
fn copy_raw(source: &Connection, to: &Path) -> Result<()> {
    let mut copy = pegcount_pages::open(to, OpenFlags::default())?;
    // Nobody else sees the copy, and it is thrown away if anything fails.
    let _: String = copy.pragma_update_and_check(None, "journal_mode", "OFF", |row| row.get(0))?;
    copy.pragma_update(None, "synchronous", "OFF")?;
    // All in one step, so within one read: what is written meanwhile neither waits nor shows.
    match Backup::new(source, &mut copy)?.step(-1)? {
        StepResult::Done => {}
        other => return Err(unavailable(format!("the copy was not finished ({other:?})"))),
    }
    copy.close().map_err(|(_, error)| error.into())
}

/// What went wrong with the file of a backup.
fn told(path: &Path, error: &io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::AlreadyExists => StoreError::Exists { what: "a file of the backup" },
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full,
        _ => StoreError::Unavailable(format!("{} cannot be written: {error}", path.display()).into()),
    }
}

/// A file that is removed unless it is finished.
struct Partial {
    path: PathBuf,
}

impl Partial {
    /// Nobody but the owner may read it: calls are personal data.
    fn make(path: PathBuf) -> io::Result<Self> {
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self { path })
    }

    /// Brings it to disk and gives it its name, which nothing else may have.
    fn finish(self, name: &Path) -> Result<()> {
        let finished = || {
            File::open(&self.path)?.sync_all()?;
            std::fs::hard_link(&self.path, name)?;
            std::fs::remove_file(&self.path)?;
            name.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
        };
        Ok(finished().map_err(|error: io::Error| told(name, &error))?)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(path: &Path) -> i64 {
        let copy = pegcount_pages::open(path, OpenFlags::default()).unwrap();
        copy.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_copy_of_a_file_without_checksums_has_them() {
        let folder = tempfile::tempdir().unwrap();
        let [from, to] = ["from.db", "to.db"].map(|name| folder.path().join(name));
        let plain = Connection::open(&from).unwrap();
        plain.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1)").unwrap();
        assert!(!pegcount_pages::has_checksums(&from).unwrap());
        copy_pages(&from, &to).unwrap();
        assert!(pegcount_pages::has_checksums(&to).unwrap());
        assert_eq!(count(&to), 1);
    }

    #[test]
    fn a_damaged_page_is_not_copied_and_not_missed_where_nothing_lies_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let [from, to] = ["from.db", "to.db"].map(|name| folder.path().join(name));
        let made = pegcount_pages::open(&from, OpenFlags::default()).unwrap();
        made.execute_batch(
            "CREATE TABLE t (x); INSERT INTO t VALUES (1); CREATE TABLE more (x);
             INSERT INTO more VALUES (hex(zeroblob(40000))); DROP TABLE more",
        )
        .unwrap();
        drop(made);
        let sound = std::fs::read(&from).unwrap();
        let damage = |at: usize| {
            let mut bytes = sound.clone();
            bytes[at] ^= 1;
            std::fs::write(&from, bytes).unwrap();
        };
        damage(sound.len() - 100);
        copy_pages(&from, &to).unwrap();
        assert_eq!(count(&to), 1);
        damage(4_096 + 100);
        let error = StoreError::from(copy_pages(&from, &to).unwrap_err());
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    }
}
