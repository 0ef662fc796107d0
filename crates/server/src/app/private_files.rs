//! Files that nobody but their owner may read.

use std::{fs, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path};

use super::LINK_KEY_FILE;

/// How files are made that nobody else may read.
pub(super) fn private() -> fs::OpenOptions {
    let mut options = fs::OpenOptions::new();
    options.mode(0o600);
    options
}

/// Makes the file of the store, so that nobody else may read it even in a folder that others may enter.
pub(super) fn make_private(path: &Path) -> Result<(), String> {
    let made = private().create(true).truncate(false).write(true).open(path);
    made.map(drop).map_err(|error| format!("{} cannot be written: {error}", path.display()))
}

pub(super) fn write_private(path: &Path, content: &[u8]) -> Result<(), String> {
    let written = private()
        .create(true)
        .truncate(true)
        .write(true)
        .open(path)
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()));
    written.map_err(|error| format!("{} cannot be written: {error}", path.display()))
}

/// The key of links to recordings; made, unless there is one.
pub(super) fn link_key(data: &Path) -> Result<[u8; 32], String> {
    let path = data.join(LINK_KEY_FILE);
    if let Ok(kept) = fs::read(&path)
        && let Ok(key) = kept.try_into()
    {
        return Ok(key);
    }
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| format!("no key can be made: {error}"))?;
    write_private(&path, &key)?;
    Ok(key)
}
