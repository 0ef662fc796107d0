//! A file that comes to stand under its name only when it is whole and the disk keeps it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

/// What the name of a file in the making ends with.
const PIECE: &str = ".part";

/// A file in the making. It is removed when it is dropped before it is kept.
#[derive(Debug)]
pub struct Output {
    piece: PathBuf,
    file: File,
    waiting: Vec<u8>,
    kept: bool,
}

impl Output {
    /// Begins a file in this folder, `{call}.part` until it is kept. One that is left there is written over.
    ///
    /// # Errors
    /// What the disk says; as everywhere here.
    pub fn create(folder: &Path, call: &str) -> io::Result<Self> {
        let piece = folder.join(format!("{call}{PIECE}"));
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&piece)?;
        Ok(Self { piece, file, waiting: Vec::new(), kept: false })
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// What the disk says.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.waiting.extend(bytes);
        if self.waiting.len() < 64 * 1024 {
            return Ok(());
        }
        self.flush()
    }

    /// Writes over the first bytes.
    ///
    /// # Errors
    /// What the disk says.
    pub fn write_first(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.flush()?;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(bytes)?;
        self.file.seek(SeekFrom::End(0)).map(|_| ())
    }

    /// Has the disk keep the file under this name, of the same file system, and gives its size and its SHA-256.
    ///
    /// # Errors
    /// What the disk says.
    pub fn keep_as(mut self, path: &Path) -> io::Result<(u64, [u8; 32])> {
        self.flush()?;
        let sum = checksum_of(&mut self.file)?;
        self.file.sync_all()?;
        fs::rename(&self.piece, path)?;
        self.kept = true;
        if let Some(folder) = path.parent() {
            keep_names_of(folder)?;
        }
        Ok(sum)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_all(&self.waiting)?;
        self.waiting.clear();
        Ok(())
    }
}

/// The size of a file, and its SHA-256.
pub(super) fn checksum_of(file: &mut File) -> io::Result<(u64, [u8; 32])> {
    file.seek(SeekFrom::Start(0))?;
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
        if !self.kept {
            let _ = fs::remove_file(&self.piece);
        }
    }
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
