//! Checksums on the pages of SQLite files.
//!
//! SQLite keeps none in its main file: a flipped bit in a text is another text, and one in an index makes a row that is there not be
//! found. A file that is [opened](open) here has, at the end of each page of 4 KiB, a CRC-32 of the page and of its number. It is
//! written when a page goes to the file and verified when it comes from there; one that does not fit is an error
//! (`SQLITE_IOERR_DATA`), for a table as for an index. Pages in the write-ahead log have SQLite's own checksums.
//!
//! A file that was made without them is read and written as before; [`has_checksums`] tells. `VACUUM` adds them where the file
//! has a write-ahead log, once that is moved into it whole; with another journal it is refused.
//!
//! SQLite's own extension for this (`cksumvfs`) is not in the bundled source; this one does the same in another format, includes
//! the number of the page, and needs fewer instructions. This crate has `unsafe`: it stands between SQLite and its files.

mod shim;
mod trailer;

use std::{
    ffi::{c_int, c_void},
    path::{Path, PathBuf},
};

use rusqlite::{Connection, Error, OpenFlags, Result, ffi};

/// A page that does not fit its checksum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The file that it lies in.
    pub file: PathBuf,
    /// Its number; the first is 1.
    pub page: u64,
    /// Whether it has contents and no checksum at all: a program that knows nothing of checksums wrote it.
    pub is_foreign: bool,
}

/// Opens a connection whose files' pages are checked. A file that it makes has checksums.
///
/// # Errors
/// Whatever SQLite says.
pub fn open(path: impl AsRef<Path>, flags: OpenFlags) -> Result<Connection> {
    shim::register().map_err(|code| Error::SqliteFailure(ffi::Error::new(code), None))?;
    let connection = Connection::open_with_flags_and_vfs(path, flags, shim::NAME)?;
    reserve(&connection)?;
    Ok(connection)
}

/// Has a file that is empty, and one that a `VACUUM` makes, leave room for checksums.
fn reserve(connection: &Connection) -> Result<()> {
    control(connection, ffi::SQLITE_FCNTL_RESERVE_BYTES, trailer::RESERVED as c_int).map(drop)
}

/// An operation on the file of a connection that takes an `int` and gives one.
fn control(connection: &Connection, operation: c_int, mut number: c_int) -> Result<c_int> {
    let place: *mut c_void = (&raw mut number).cast();
    // SAFETY: the handle is used at once, and only for this.
    let handle = unsafe { connection.handle() };
    // SAFETY: the connection is open; these operations read and write one `int`.
    let code = unsafe { ffi::sqlite3_file_control(handle, c"main".as_ptr(), operation, place) };
    match code {
        ffi::SQLITE_OK => Ok(number),
        code => Err(Error::SqliteFailure(ffi::Error::new(code), None)),
    }
}

/// The page that the last read on this thread found damaged; asked again, nothing.
pub fn take_misfit() -> Option<Misfit> {
    shim::take_misfit()
}

/// Whether the pages of a file have checksums. An empty file has none.
///
/// SQLite reads it: the locks of a process on a file are gone as soon as it closes the file by any other way, and a stranger
/// (`sqlite3`) then takes itself for the last one there and removes the log.
///
/// # Errors
/// When it cannot be read.
pub fn has_checksums(path: &Path) -> Result<bool> {
    shim::register().map_err(|code| Error::SqliteFailure(ffi::Error::new(code), None))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    // To open it reads the header, without a lock.
    let connection = Connection::open_with_flags_and_vfs(path, flags, shim::NAME)?;
    Ok(control(&connection, shim::HAS_CHECKSUMS, 0)? != 0)
}

#[cfg(test)]
mod tests;
