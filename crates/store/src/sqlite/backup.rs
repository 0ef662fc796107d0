//! A copy of the store while it is used.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rusqlite::{
    Connection,
    backup::{Backup, StepResult},
};

use super::{
    connect,
    fault::{Result, unavailable},
};
use crate::StoreError;

/// Copies the store at `from` to the file `to`, which must not be there: as it is at one moment, while others write.
///
/// The copy has another name until it is whole and on disk.
pub(super) fn backup(from: &Path, to: &Path) -> Result<()> {
    if to.symlink_metadata().is_ok() {
        return Err(StoreError::Exists { what: "the file of the backup" }.into());
    }
    let (Some(folder), Some(name)) = (to.parent(), to.file_name()) else {
        return Err(unavailable(format!("{} is no name of a file", to.display())));
    };
    let mut beside = name.to_owned();
    beside.push(format!(".{}.partial", std::process::id()));
    let partial = Partial::make(folder.join(beside)).map_err(|error| told(to, &error))?;
    copy(from, &partial.path)?;
    Ok(partial.finish(to, folder).map_err(|error| told(to, &error))?)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let source = connect::open_reader(from)?;
    let mut copy = Connection::open(to)?;
    // Nobody else sees the copy, and it is thrown away if anything fails.
    let _: String = copy.pragma_update_and_check(None, "journal_mode", "OFF", |row| row.get(0))?;
    copy.pragma_update(None, "synchronous", "OFF")?;
    // All in one step, so within one read: what is written meanwhile neither waits nor shows.
    match Backup::new(&source, &mut copy)?.step(-1)? {
        StepResult::Done => {}
        other => return Err(unavailable(format!("the copy was not finished ({other:?})"))),
    }
    copy.close().map_err(|(_, error)| error.into())
}

/// What went wrong with the file of a backup.
fn told(path: &Path, error: &io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::AlreadyExists => StoreError::Exists { what: "the file of the backup" },
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
    fn finish(self, name: &Path, folder: &Path) -> io::Result<()> {
        File::open(&self.path)?.sync_all()?;
        std::fs::hard_link(&self.path, name)?;
        std::fs::remove_file(&self.path)?;
        File::open(folder)?.sync_all()
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
