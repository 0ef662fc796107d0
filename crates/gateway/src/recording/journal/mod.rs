//! The journal of a call: what its relay heard, on disk while the call goes on.
//!
//! A file a call, which only grows. It begins with eight bytes that say what it is, the last of them its version, and
//! goes on with records: length, CRC-32, body. A record that is cut off or damaged ends the journal; what stands before
//! it counts. So a power cut or a kill costs what was not written yet, and never the rest.
//!
//! Where there are keys, what is written at once is one record: a sealed piece with all those records in it.

pub(super) mod reader;
mod record;
pub(super) mod writer;

use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::Path,
};

pub use record::Ending;
pub(super) use record::{Beginning, MAGIC, Record, append, append_sealed};

/// What a journal's file name ends with.
pub(super) const SUFFIX: &str = "journal";

/// Writes the end into a journal that a crash left: what is not whole is cut off first.
pub(super) fn end(path: &Path, whole: u64, ending: Ending) -> io::Result<()> {
    let mut bytes = Vec::new();
    append(&Record::Ended { ending, dropped: 0, interrupted: true }, &mut bytes);
    let mut file = OpenOptions::new().append(true).open(path)?;
    file.set_len(whole)?;
    file.write_all(&bytes)?;
    file.sync_all()
}
