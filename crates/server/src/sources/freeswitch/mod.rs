//! IN: FreeSWITCH. Channel records as mod_json_cdr posts them, or writes them to a folder when it cannot.
//!
//! One record tells of one channel (a leg). The legs of a call come in any order, the dialled one usually first.

mod body;
mod ending;
mod http;
mod map;
mod wire;

#[cfg(test)]
mod tests;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use pegcount_calls::Timestamp;
use utoipa_axum::{router::OpenApiRouter, routes};

pub use body::json_text;
pub use map::map;
pub use wire::Cdr;

use super::Mapped;
use crate::{
    access::Ledger,
    web::{
        document::{self, Family},
        failure::FailureBody,
    },
};

/// The name that events of this source carry.
pub const SOURCE: &str = "freeswitch";

/// Its routes.
pub fn routes() -> OpenApiRouter<Arc<Ledger>> {
    let router = OpenApiRouter::new().routes(routes!(http::post_cdr));
    document::complete::<FailureBody, _>(router, &Family::native().for_sources())
}

/// Reads the body of a mod_json_cdr request, in whichever encoding it came.
///
/// # Errors
/// A sentence that says what is wrong with it.
pub fn read(content_type: Option<&str>, body: &[u8], received_at: Timestamp) -> Result<Mapped, String> {
    map(&Cdr::read(&json_text(content_type, body)?)?, received_at)
}

/// Reads a file that mod_json_cdr wrote (`log-dir`, `err-log-dir`): the same bytes as a request's body.
///
/// # Errors
/// A sentence that says what is wrong with it.
pub fn read_file(bytes: &[u8], received_at: Timestamp) -> Result<Mapped, String> {
    read(None, bytes, received_at)
}

/// The records in a folder of mod_json_cdr (`<uuid>.cdr.json`), by name; a file is taken as it is.
///
/// # Errors
/// What the file system says.
pub fn record_files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in path.read_dir()? {
        let entry = entry?.path();
        let is_json = entry.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
        if is_json && entry.is_file() {
            files.push(entry);
        }
    }
    files.sort();
    Ok(files)
}
