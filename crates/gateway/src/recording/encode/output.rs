//! A file that comes to stand under its name only when it is whole and the disk keeps it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use pegcount_sealed::{Keys, Sink};
use sha2::{Digest, Sha256};

/// What the name of a file in the making ends with.
const PIECE: &str = ".part";

/// A file in the making. It is removed when it is dropped before it is kept.
#[derive(Debug)]
pub struct Output {
    piece: PathBuf,
    /// Until it is kept.
    sink: Option<Sink>,
}

impl Output {
    /// Begins a file in this folder, `{call}.part` until it is kept, sealed if there are keys. One that is left there is
    /// written over.
    ///
    /// # Errors
    /// What the disk says; as everywhere here.
    pub fn create(folder: &Path, call: &str, keys: Option<&Keys>) -> io::Result<Self> {
        let piece = folder.join(format!("{call}{PIECE}"));
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&piece)?;
        Ok(Self { piece, sink: Some(Sink::to(file, keys)?) })
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// What the disk says.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sink()?.write_all(bytes)
    }

    /// Writes over the first bytes, of which there are as many already.
    ///
    /// # Errors
    /// What the disk says.
    pub fn write_first(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sink()?.write_first(bytes)
    }

    /// Has the disk keep the file under this name, of the same file system, and gives its size and its SHA-256, both in the
    /// clear.
    ///
    /// # Errors
    /// What the disk says.
    pub fn keep_as(mut self, path: &Path) -> io::Result<(u64, [u8; 32])> {
        let source = self.sink.take().ok_or(io::ErrorKind::NotFound)?.finish();
        let kept = source.and_then(|source| {
            let sum = checksum_of(source.cursor())?;
            source.file().sync_all()?;
            fs::rename(&self.piece, path)?;
            Ok(sum)
        });
        let sum = kept.inspect_err(|_| discard(&self.piece))?;
        if let Some(folder) = path.parent() {
            keep_names_of(folder)?;
        }
        Ok(sum)
    }

    fn sink(&mut self) -> io::Result<&mut Sink> {
        self.sink.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// How many bytes there are, and their SHA-256.
pub(super) fn checksum_of(mut file: impl Read) -> io::Result<(u64, [u8; 32])> {
    let (mut hash, mut length) = (Sha256::new(), 0);
    let mut part = vec![0; 64 * 1024];
    loop {
        match file.read(&mut part)? {
            0 => return Ok((length, hash.finalize().into())),
            count => {
                hash.update(&part[..count]);
                length += count as u64;
            }
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if self.sink.is_some() {
            discard(&self.piece);
        }
    }
}

fn discard(piece: &Path) {
    let _ = fs::remove_file(piece);
}

/// Has the disk keep which files there are in a folder.
pub(super) fn keep_names_of(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Removes what was left in the making by a program that was killed.
pub(crate) fn remove_pieces(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().ends_with(PIECE) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
