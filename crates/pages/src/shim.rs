//! The layer between SQLite and the files of the system: it reads and writes pages, and passes everything else on.
//!
//! SQLite calls it by a table of functions for each open file (`sqlite3_io_methods`). A file that is opened here is opened by
//! the system's layer, in the memory that SQLite has reserved for it, and then gets a copy of that layer's table in which a few
//! functions are ours. So the others are the system's own and are given exactly what they expect. Our [`State`] lies behind what the
//! system's layer needs.

use std::{
    cell::Cell,
    ffi::{CStr, OsStr, c_char, c_int, c_void},
    mem::size_of,
    os::unix::ffi::OsStrExt,
    path::PathBuf,
    ptr,
    sync::OnceLock,
};

use rusqlite::ffi::{self, sqlite3_file, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs};

use crate::{
    Misfit,
    trailer::{self, PAGE, Page},
};

pub(crate) const NAME: &CStr = c"pegcount-pages";

/// Whether the pages of an open file have checksums.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Nothing was read or written yet, or the file is empty. What is written to it has checksums.
    Undecided,
    Checked,
    Plain,
}

/// The operation of `xFileControl` that asks whether the pages have checksums; the answer is a `c_int`. "Pegs".
pub(crate) const HAS_CHECKSUMS: c_int = 0x5065_6773;

/// What is known of an open file.
struct State {
    /// The functions that SQLite calls for this file.
    table: sqlite3_io_methods,
    /// Those of the system's layer.
    system: *const sqlite3_io_methods,
    /// SQLite keeps it as long as the file is open.
    name: *const c_char,
    mode: Mode,
    /// Pages come from the write-ahead log at the moment.
    in_checkpoint: bool,
}

impl State {
    fn file(&self) -> PathBuf {
        if self.name.is_null() {
            return PathBuf::new();
        }
        // SAFETY: it is a string of C, and the file is open.
        let name = unsafe { CStr::from_ptr(self.name) };
        OsStr::from_bytes(name.to_bytes()).into()
    }

    /// Looks at the first page as it is in the file; nothing is decided where that is empty or cannot be read.
    ///
    /// # Safety
    /// `file` is the open file that this is the state of.
    unsafe fn decide(&mut self, file: *mut sqlite3_file) {
        // SAFETY: the system's table lives for ever.
        let Some(system_read) = (unsafe { (*self.system).xRead }) else { return };
        let mut first: Page = [0; PAGE];
        // SAFETY: there is room for as much. What is not there is filled with zeros.
        let code = unsafe { system_read(file, first.as_mut_ptr().cast(), PAGE as c_int, 0) };
        let is_cut = code == ffi::SQLITE_IOERR_SHORT_READ;
        if trailer::is_claimed_by(&first) && (is_cut || code == ffi::SQLITE_OK) {
            self.mode = Mode::Checked;
        } else if code == ffi::SQLITE_OK || is_cut && trailer::begins_database(&first) {
            self.mode = Mode::Plain;
        }
    }

    /// Notes which page does not fit, for [`take_misfit`].
    fn refuse(&self, page: u64) -> c_int {
        self.refuse_page(page, false)
    }

    /// The same, of a page that another program may have written.
    fn refuse_page(&self, page: u64, is_foreign: bool) -> c_int {
        let misfit = Misfit { file: self.file(), page, is_foreign };
        // A thread that ends may have none any more; the error is given all the same.
        let _ = MISFIT.try_with(|last| last.set(Some(misfit)));
        ffi::SQLITE_IOERR_DATA
    }
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

thread_local! {
    static MISFIT: Cell<Option<Misfit>> = const { Cell::new(None) };
}

/// The page that the last read on this thread found damaged, once.
pub(crate) fn take_misfit() -> Option<Misfit> {
    MISFIT.take()
}

/// Has SQLite know this layer, by its name.
pub(crate) fn register() -> Result<(), c_int> {
    LAYER.get_or_init(register_once).as_ref().map(drop).map_err(|code| *code)
}

fn register_once() -> Result<Layer, c_int> {
    // SAFETY: may be called at any time, from any thread.
    let code = unsafe { ffi::sqlite3_initialize() };
    if code != ffi::SQLITE_OK {
        return Err(code);
    }
    // SAFETY: no name means the default layer.
    let system = unsafe { ffi::sqlite3_vfs_find(ptr::null()) };
    if system.is_null() {
        return Err(ffi::SQLITE_ERROR);
    }
    // SAFETY: it was found, so it is there, and SQLite writes to nothing but its `pNext`, while others are registered.
    let copy = unsafe { *system };
    let taken = usize::try_from(copy.szOsFile).map_err(|_| ffi::SQLITE_ERROR)?;
    let state_at = taken.next_multiple_of(align_of::<State>());
    let size = c_int::try_from(state_at + size_of::<State>()).map_err(|_| ffi::SQLITE_ERROR)?;
    // Whatever else it is asked for, the system's functions do, with the data that they know it by.
    let ours = sqlite3_vfs {
        szOsFile: size,
        pNext: ptr::null_mut(),
        zName: NAME.as_ptr(),
        xOpen: Some(open),
        ..copy
    };
    let ours = Box::leak(Box::new(ours));
    // SAFETY: it lives for ever. It does not become the default.
    let code = unsafe { ffi::sqlite3_vfs_register(ours, 0) };
    if code == ffi::SQLITE_OK { Ok(Layer { system, state_at }) } else { Err(code) }
}

/// Opens a file; that of a database gets our functions.
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
    // SAFETY: called as SQLite called us, with at least as much memory as it wants.
    let code = unsafe { open(layer.system, name, file, flags, out_flags) };
    if code != ffi::SQLITE_OK || flags & ffi::SQLITE_OPEN_MAIN_DB == 0 {
        return code;
    }
    // SAFETY: a file that was opened has its table.
    let system = unsafe { (*file).pMethods };
    // SAFETY: as above.
    let table = sqlite3_io_methods {
        xRead: Some(read),
        xWrite: Some(write),
        xFileControl: Some(control),
        xFetch: Some(fetch),
        xDeviceCharacteristics: Some(characteristics),
        ..unsafe { *system }
    };
    let state = state_of(file, layer);
    // SAFETY: SQLite has reserved `szOsFile` bytes, aligned to 8, of which the last are the state's.
    unsafe { state.write(State { table, system, name, mode: Mode::Undecided, in_checkpoint: false }) };
    // SAFETY: as above; the table lies in the file's own memory, and so lives as long as the file is open.
    let table = unsafe { &raw const (*state).table };
    // SAFETY: the file is open and nobody else uses it yet.
    unsafe { (*file).pMethods = table };
    ffi::SQLITE_OK
}

fn state_of(file: *mut sqlite3_file, layer: &Layer) -> *mut State {
    file.cast::<u8>().wrapping_add(layer.state_at).cast()
}

/// The state of a file that [`open`] has opened.
///
/// # Safety
/// `file` is such a file, it is still open, and nobody else uses it: SQLite uses a file from one thread at a time.
unsafe fn opened<'a>(file: *mut sqlite3_file) -> Option<&'a mut State> {
    let Some(Ok(layer)) = LAYER.get() else { return None };
    // SAFETY: `open` has written it.
    unsafe { state_of(file, layer).as_mut() }
}

/// Reads, and refuses a page that does not fit its checksum.
unsafe extern "C" fn read(
    file: *mut sqlite3_file,
    to: *mut c_void,
    amount: c_int,
    at: sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite calls this for files that `open` has opened.
    let Some(state) = (unsafe { opened(file) }) else { return ffi::SQLITE_IOERR };
    // SAFETY: the system's table lives for ever.
    let Some(system_read) = (unsafe { (*state.system).xRead }) else { return ffi::SQLITE_IOERR };
    // SAFETY: called as SQLite called us.
    let code = unsafe { system_read(file, to, amount, at) };
    let is_cut = code == ffi::SQLITE_IOERR_SHORT_READ;
    if code != ffi::SQLITE_OK && !is_cut {
        return code;
    }
    if at == 0 && state.mode == Mode::Undecided {
        // SAFETY: it is this file's state.
        unsafe { state.decide(file) };
    }
    let Some(number) = page_number(amount, at) else {
        // A header that says another size of pages than it did must not turn the checks off.
        let is_odd = state.mode == Mode::Checked && amount >= trailer::LEAST_PAGE;
        return if is_odd { state.refuse(page_at(at)) } else { code };
    };
    if is_cut {
        // SQLite takes what is missing at the end of a file for zeros. It asks for no page that was never written.
        return if state.mode == Mode::Checked { state.refuse(number) } else { code };
    }
    // SAFETY: SQLite gave room for `amount` bytes, which is a page, and the system has filled it.
    let Some(page) = (unsafe { to.cast::<Page>().as_ref() }) else { return ffi::SQLITE_OK };
    if number == 1 && state.mode == Mode::Plain && trailer::is_claimed_by(page) {
        state.mode = Mode::Checked;
    }
    if state.mode == Mode::Checked && !trailer::fits(page, number) {
        return state.refuse_page(number, trailer::is_foreign(page));
    }
    ffi::SQLITE_OK
}

/// Writes; a page gets its checksum.
unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    from: *const c_void,
    amount: c_int,
    at: sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite calls this for files that `open` has opened.
    let Some(state) = (unsafe { opened(file) }) else { return ffi::SQLITE_IOERR };
    // SAFETY: the system's table lives for ever.
    let Some(system_write) = (unsafe { (*state.system).xWrite }) else { return ffi::SQLITE_IOERR };
    let number = page_number(amount, at);
    // SAFETY: SQLite gave `amount` bytes, which is a page.
    let page = if number.is_some() { unsafe { from.cast::<Page>().as_ref() } } else { None };
    let (Some(number), Some(page)) = (number, page) else {
        if state.mode == Mode::Checked {
            return ffi::SQLITE_IOERR_DATA;
        }
        // SAFETY: called as SQLite called us.
        return unsafe { system_write(file, from, amount, at) };
    };
    if number == 1 {
        match (state.mode, trailer::is_claimed_by(page)) {
            // Without the log SQLite may have written other pages of the transaction first, as they were, and may have to
            // bring all back.
            (Mode::Plain, true) if !state.in_checkpoint => return ffi::SQLITE_IOERR_DATA,
            (_, true) => state.mode = Mode::Checked,
            (Mode::Undecided, false) => state.mode = Mode::Plain,
            (Mode::Plain, false) => {}
            // The rest of the file has checksums, which would not be looked at any more.
            (Mode::Checked, false) => return ffi::SQLITE_IOERR_DATA,
        }
    } else if state.mode == Mode::Undecided {
        // The first page must agree when it is written.
        state.mode = Mode::Checked;
    }
    if state.mode == Mode::Plain {
        // SAFETY: called as SQLite called us.
        return unsafe { system_write(file, from, amount, at) };
    }
    // A copy: the page itself is SQLite's.
    let mut stamped: Page = *page;
    trailer::stamp(&mut stamped, number);
    // SAFETY: as many bytes as SQLite gave.
    unsafe { system_write(file, stamped.as_ptr().cast(), amount, at) }
}

/// Tells whether pages have checksums, and hears of checkpoints; the rest is the system's.
unsafe extern "C" fn control(file: *mut sqlite3_file, operation: c_int, data: *mut c_void) -> c_int {
    // SAFETY: SQLite calls this for files that `open` has opened.
    let Some(state) = (unsafe { opened(file) }) else { return ffi::SQLITE_IOERR };
    match operation {
        HAS_CHECKSUMS => {
            // SAFETY: who asks gives the place of an `int`.
            let Some(answer) = (unsafe { data.cast::<c_int>().as_mut() }) else { return ffi::SQLITE_MISUSE };
            *answer = c_int::from(state.mode == Mode::Checked);
            return ffi::SQLITE_OK;
        }
        ffi::SQLITE_FCNTL_CKPT_START => {
            state.in_checkpoint = true;
            // Another connection may have added checksums since this one looked.
            if state.mode == Mode::Plain {
                // SAFETY: it is this file's state.
                unsafe { state.decide(file) };
            }
        }
        ffi::SQLITE_FCNTL_CKPT_DONE => state.in_checkpoint = false,
        _ => {}
    }
    // SAFETY: the system's table lives for ever.
    let Some(system) = (unsafe { (*state.system).xFileControl }) else { return ffi::SQLITE_NOTFOUND };
    // SAFETY: called as SQLite called us.
    unsafe { system(file, operation, data) }
}

/// The number of the page that is read or written; nothing where it is less or more than one.
fn page_number(amount: c_int, at: sqlite3_int64) -> Option<u64> {
    let begins_page = u64::try_from(at).ok()?.is_multiple_of(PAGE as u64);
    (usize::try_from(amount) == Ok(PAGE) && begins_page).then(|| page_at(at))
}

/// The number of the page that lies there.
fn page_at(at: sqlite3_int64) -> u64 {
    u64::try_from(at).unwrap_or_default() / PAGE as u64 + 1
}

/// Pages that are mapped into memory would be read by nobody.
unsafe extern "C" fn fetch(_: *mut sqlite3_file, _: sqlite3_int64, _: c_int, to: *mut *mut c_void) -> c_int {
    // SAFETY: SQLite gives the place where it wants the answer.
    unsafe { to.write(ptr::null_mut()) };
    ffi::SQLITE_OK
}

/// What the disk can do, but that parts of a page are not read: they have no checksum.
unsafe extern "C" fn characteristics(file: *mut sqlite3_file) -> c_int {
    // SAFETY: SQLite calls this for files that `open` has opened.
    let Some(state) = (unsafe { opened(file) }) else { return 0 };
    // SAFETY: the system's table lives for ever.
    let Some(system) = (unsafe { (*state.system).xDeviceCharacteristics }) else { return 0 };
    // SAFETY: called as SQLite called us.
    unsafe { system(file) & !ffi::SQLITE_IOCAP_SUBPAGE_READ }
}
