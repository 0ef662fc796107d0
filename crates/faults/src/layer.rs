//! The layer between SQLite and the system: files on a disk that is mounted here ask that disk before anything is done to them.
//!
//! It becomes the layer that is used where none is named, so everything that is built on that one, such as the checksums of
//! `pegcount-pages`, stands on it. It is made as that one is (see its `shim.rs`): a copy of the system's functions, in which a few are
//! ours, and a [`State`] behind the memory that the system's layer wants for an open file.

use std::{
    ffi::{CStr, OsStr, c_char, c_int, c_void},
    mem::size_of,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    slice,
    sync::{Arc, OnceLock},
};

use rusqlite::ffi::{self, sqlite3_file, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs};

use crate::disk::{self, Disk, Failure};

const NAME: &CStr = c"pegcount-faults";

/// What is known of an open file.
struct State {
    /// The functions that SQLite calls for this file.
    table: sqlite3_io_methods,
    /// Those of the system's layer.
    system: *const sqlite3_io_methods,
    disk: Arc<Disk>,
    name: String,
}

struct Layer {
    system: *mut sqlite3_vfs,
    /// Where the state lies, from the beginning of a file's memory.
    state_at: usize,
}

// SAFETY: the system's layer lives as long as the process, and SQLite lets every thread use it.
unsafe impl Send for Layer {}
// SAFETY: as above; the rest is numbers.
unsafe impl Sync for Layer {}

static LAYER: OnceLock<Result<Layer, c_int>> = OnceLock::new();

/// Has SQLite use this layer from now on, for whoever names none. Before anything else is opened.
///
/// # Errors
/// The code of SQLite's error.
pub fn install() -> Result<(), c_int> {
    LAYER.get_or_init(install_once).as_ref().map(drop).map_err(|code| *code)
}

fn install_once() -> Result<Layer, c_int> {
    // SAFETY: may be called at any time, from any thread.
    let code = unsafe { ffi::sqlite3_initialize() };
    if code != ffi::SQLITE_OK {
        return Err(code);
    }
    // SAFETY: no name means the default layer.
    let system = unsafe { ffi::sqlite3_vfs_find(std::ptr::null()) };
    if system.is_null() {
        return Err(ffi::SQLITE_ERROR);
    }
    // SAFETY: it was found, so it is there, and SQLite writes to nothing but its `pNext`, while others are registered.
    let copy = unsafe { *system };
    let taken = usize::try_from(copy.szOsFile).map_err(|_| ffi::SQLITE_ERROR)?;
    let state_at = taken.next_multiple_of(align_of::<State>());
    let size = c_int::try_from(state_at + size_of::<State>()).map_err(|_| ffi::SQLITE_ERROR)?;
    let ours = sqlite3_vfs {
        szOsFile: size,
        pNext: std::ptr::null_mut(),
        zName: NAME.as_ptr(),
        xOpen: Some(open),
        xDelete: Some(delete),
        ..copy
    };
    let ours = Box::leak(Box::new(ours));
    // SAFETY: it lives for ever.
    let code = unsafe { ffi::sqlite3_vfs_register(ours, 1) };
    if code == ffi::SQLITE_OK { Ok(Layer { system, state_at }) } else { Err(code) }
}

/// The disk that a file lies on, and what it is called there.
///
/// # Safety
/// `name` is a string of C, or nothing.
unsafe fn on_disk(name: *const c_char) -> Option<(Arc<Disk>, String, PathBuf)> {
    if name.is_null() {
        return None;
    }
    // SAFETY: it is a string of C.
    let text = unsafe { CStr::from_ptr(name) };
    let path = Path::new(OsStr::from_bytes(text.to_bytes()));
    Some((disk::of_file(path)?, path.file_name()?.to_str()?.to_owned(), path.to_owned()))
}

/// Opens a file; one on a disk that is mounted gets our functions.
unsafe extern "C" fn open(
    _: *mut sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    let Some(Ok(layer)) = LAYER.get() else { return ffi::SQLITE_ERROR };
    // SAFETY: the system's layer lives for ever.
    let Some(open) = (unsafe { (*layer.system).xOpen }) else { return ffi::SQLITE_ERROR };
    // SAFETY: SQLite names a file by a string of C, or not at all.
    let on_disk = unsafe { on_disk(name) };
    if on_disk.as_ref().is_some_and(|(disk, ..)| disk.is_down()) {
        // SAFETY: SQLite gave the place; without functions it closes nothing.
        unsafe { (*file).pMethods = std::ptr::null() };
        return ffi::SQLITE_IOERR;
    }
    // SAFETY: called as SQLite called us, with at least as much memory as it wants.
    let code = unsafe { open(layer.system, name, file, flags, out_flags) };
    let Some((disk, name, path)) = on_disk.filter(|_| code == ffi::SQLITE_OK) else { return code };
    disk.opened(&name, std::fs::metadata(path).map_or(0, |file| file.len()));
    // SAFETY: a file that was opened has its table.
    let system = unsafe { (*file).pMethods };
    // SAFETY: as above.
    let table = sqlite3_io_methods {
        xClose: Some(close),
        xRead: Some(read),
        xWrite: Some(write),
        xTruncate: Some(cut),
        xSync: Some(sync),
        ..unsafe { *system }
    };
    let state = state_of(file, layer);
    // SAFETY: SQLite, or the layer above, has reserved `szOsFile` bytes, aligned to 8, of which the last are the state's.
    unsafe { state.write(State { table, system, disk, name }) };
    // SAFETY: as above; the table lies in the file's own memory, and so lives as long as the file is open.
    let table = unsafe { &raw const (*state).table };
    // SAFETY: the file is open and nobody else uses it yet.
    unsafe { (*file).pMethods = table };
    ffi::SQLITE_OK
}

fn state_of(file: *mut sqlite3_file, layer: &Layer) -> *mut State {
    file.cast::<u8>().wrapping_add(layer.state_at).cast()
}

/// The state of a file that [`open`] has opened on a disk.
///
/// # Safety
/// `file` is such a file, and it is still open.
unsafe fn opened<'a>(file: *mut sqlite3_file) -> Option<&'a State> {
    let Some(Ok(layer)) = LAYER.get() else { return None };
    // SAFETY: `open` has written it.
    unsafe { state_of(file, layer).as_ref() }
}

const fn code_of(failure: Failure, otherwise: c_int) -> c_int {
    match failure {
        Failure::Full => ffi::SQLITE_FULL,
        Failure::Down | Failure::Device => otherwise,
    }
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: SQLite calls this for files that `open` has opened.
    let Some(state) = (unsafe { opened(file) }) else { return ffi::SQLITE_IOERR_CLOSE };
    let system = state.system;
    let place: *const State = state;
    // SAFETY: nobody uses the file any more; the memory goes with it, but not what the state holds.
    drop(unsafe { place.read() });
    // SAFETY: the system's table lives for ever.
    let Some(system_close) = (unsafe { (*system).xClose }) else { return ffi::SQLITE_IOERR_CLOSE };
    // SAFETY: called as SQLite called us.
    unsafe { system_close(file) }
}

unsafe extern "C" fn read(
    file: *mut sqlite3_file,
    to: *mut c_void,
    amount: c_int,
    at: sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite calls this for files that `open` has opened.
    let Some(state) = (unsafe { opened(file) }) else { return ffi::SQLITE_IOERR_READ };
    if let Err(failure) = state.disk.read() {
        return code_of(failure, ffi::SQLITE_IOERR_READ);
    }
    // SAFETY: the system's table lives for ever.
    let Some(system_read) = (unsafe { (*state.system).xRead }) else { return ffi::SQLITE_IOERR_READ };
    // SAFETY: called as SQLite called us.
    unsafe { system_read(file, to, amount, at) }
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    from: *const c_void,
    amount: c_int,
    at: sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite calls this for files that `open` has opened.
    let Some(state) = (unsafe { opened(file) }) else { return ffi::SQLITE_IOERR_WRITE };
    let (Ok(length), Ok(begins)) = (usize::try_from(amount), u64::try_from(at)) else {
        return ffi::SQLITE_IOERR_WRITE;
    };
    // SAFETY: SQLite gave so many bytes.
    let bytes = unsafe { slice::from_raw_parts(from.cast::<u8>(), length) };
    if let Err(failure) = state.disk.write(&state.name, begins, bytes) {
        return code_of(failure, ffi::SQLITE_IOERR_WRITE);
    }
    // SAFETY: the system's table lives for ever.
    let Some(system_write) = (unsafe { (*state.system).xWrite }) else { return ffi::SQLITE_IOERR_WRITE };
    // SAFETY: called as SQLite called us.
    unsafe { system_write(file, from, amount, at) }
}

unsafe extern "C" fn cut(file: *mut sqlite3_file, length: sqlite3_int64) -> c_int {
    // SAFETY: SQLite calls this for files that `open` has opened.
    let Some(state) = (unsafe { opened(file) }) else { return ffi::SQLITE_IOERR_TRUNCATE };
    if let Err(failure) = state.disk.cut(&state.name, u64::try_from(length).unwrap_or_default()) {
        return code_of(failure, ffi::SQLITE_IOERR_TRUNCATE);
    }
    // SAFETY: the system's table lives for ever.
    let Some(system_cut) = (unsafe { (*state.system).xTruncate }) else { return ffi::SQLITE_IOERR_TRUNCATE };
    // SAFETY: called as SQLite called us.
    unsafe { system_cut(file, length) }
}

/// What is synced is durable as far as the mounted disk goes; the real one is spared.
unsafe extern "C" fn sync(file: *mut sqlite3_file, _: c_int) -> c_int {
    // SAFETY: SQLite calls this for files that `open` has opened.
    let Some(state) = (unsafe { opened(file) }) else { return ffi::SQLITE_IOERR_FSYNC };
    match state.disk.sync(&state.name) {
        Ok(()) => ffi::SQLITE_OK,
        Err(failure) => code_of(failure, ffi::SQLITE_IOERR_FSYNC),
    }
}

unsafe extern "C" fn delete(_: *mut sqlite3_vfs, name: *const c_char, sync_folder: c_int) -> c_int {
    let Some(Ok(layer)) = LAYER.get() else { return ffi::SQLITE_ERROR };
    // SAFETY: SQLite names a file by a string of C.
    if let Some((disk, name, _)) = unsafe { on_disk(name) }
        && let Err(failure) = disk.delete(&name, sync_folder != 0)
    {
        return code_of(failure, ffi::SQLITE_IOERR_DELETE);
    }
    // SAFETY: the system's layer lives for ever.
    let Some(system_delete) = (unsafe { (*layer.system).xDelete }) else { return ffi::SQLITE_ERROR };
    // SAFETY: called as SQLite called us.
    unsafe { system_delete(layer.system, name, sync_folder) }
}
