//! Recordings that lie in the clear, or are sealed with another key than the one that seals, are sealed anew.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use futures_util::TryStreamExt;
use pegcount_gateway::recording::Recorder;
use pegcount_sealed::{HEAD, Head, KeyId, Keys, Sink, Source};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::{Bucket, Desk, Fault, Object, Readable, Shelf, Stored, desk::Standing, on_disk};
use crate::jobs::Setback;

/// What the name of a recording ends with while it is sealed anew. No recording is called so, and none of the gateway's files.
const PIECE: &str = "resealed";

/// How many recordings are sealed with which key; `None`: they are in the clear.
pub type Sealed = BTreeMap<Option<KeyId>, u64>;

impl Shelf {
    /// Seals a recording here with the key that seals, if there is one and it is not. It keeps its name and its time. Whether
    /// it had to be. Waits for the disk; nobody else may work on this recording.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn reseal(&self, object: &Object) -> io::Result<bool> {
        let Some(keys) = self.keys() else { return Ok(false) };
        reseal(&self.folder().join(object.to_string()), keys)
    }

    /// Deletes what runs of the program left behind that were ended during a backup, or while they sealed a recording anew: it
    /// may be in the clear. Nothing is being sealed. Waits for the disk.
    pub fn tidy(&self) {
        self.remove_old_pins();
        for folder in [self.folder().to_owned(), self.speech_folder()] {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.extension().is_none_or(|extension| extension != PIECE) {
                    continue;
                }
                if let Err(error) = fs::remove_file(&path) {
                    let file = path.display();
                    tracing::error!(%error, %file, "what is left of a recording that was sealed anew cannot be deleted");
                }
            }
        }
    }

    /// Every file of a recording here: those of calls, and those that are kept for recognisers of speech. Waits for the disk.
    ///
    /// # Errors
    /// When a folder cannot be read.
    fn files(&self) -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for folder in [self.folder().to_owned(), self.speech_folder()] {
            let entries = match fs::read_dir(&folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                entries => entries?,
            };
            for entry in entries {
                let path = entry?.path();
                let name = path.file_name().and_then(|name| name.to_str());
                if name.and_then(Object::parse).is_some() {
                    files.push(path);
                }
            }
        }
        files.sort();
        Ok(files)
    }

    /// Seals every recording here that is in the clear or sealed with another key; how many. Waits for the disk.
    ///
    /// # Errors
    /// What the disk says of the first that cannot be sealed; those before it are.
    pub fn reseal_all(&self) -> io::Result<u64> {
        let Some(keys) = self.keys() else { return Ok(0) };
        let mut sealed = 0;
        for path in self.files()? {
            match reseal(&path, keys) {
                Ok(was_needed) => sealed += u64::from(was_needed),
                // It went to the object store, or away.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    return Err(io::Error::new(error.kind(), format!("{}: {error}", path.display())));
                }
            }
        }
        Ok(sealed)
    }

    /// How many recordings here are sealed with which key, those of calls that go on too. Waits for the disk.
    ///
    /// # Errors
    /// What the disk says.
    pub fn sealed_here(&self) -> io::Result<Sealed> {
        let mut counts = Sealed::new();
        for key in Recorder::keys_of_journals(self.folder())? {
            *counts.entry(key).or_default() += 1;
        }
        for path in self.files()? {
            match Source::open(&path, self.keys()) {
                Ok(source) => *counts.entry(source.key()).or_default() += 1,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    return Err(io::Error::new(error.kind(), format!("{}: {error}", path.display())));
                }
            }
        }
        Ok(counts)
    }
}

fn reseal(path: &Path, keys: &Keys) -> io::Result<bool> {
    let source = Source::open(path, Some(keys))?;
    if source.key() == Some(keys.sealing()) {
        return Ok(false);
    }
    let piece = path.with_added_extension(PIECE);
    // The two change places: a recording that was deleted meanwhile does not come back.
    let sealed = copy(&source, &piece, keys)
        .and_then(|()| Ok(renameat_with(CWD, &piece, CWD, path, RenameFlags::EXCHANGE)?));
    let removed = fs::remove_file(&piece);
    sealed.and(removed)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())?;
    Ok(true)
}

impl Desk {
    /// Seals every recording in the object store that is in the clear or sealed with another key; how many. Each comes into
    /// the folder, and goes there again as any does: one that is erased meanwhile stays neither here nor there.
    ///
    /// # Errors
    /// A sentence about the first that cannot be sealed; those before it are.
    pub async fn reseal_away(&self) -> Result<u64, String> {
        let Some(keys) = self.shelf.keys() else { return Ok(0) };
        let mut sealed = 0;
        for (object, stored) in self.bucket.list().await.map_err(|fault| fault.to_string())? {
            let told = |error: &dyn std::fmt::Display| format!("{object}: {error}");
            let key = key_of(&self.bucket, &object, stored).await.map_err(|fault| told(&fault))?;
            // One that is gone meanwhile needs nothing.
            if key.is_none_or(|key| key == Some(keys.sealing())) {
                continue;
            }
            // One of a call that the ledger does not know is for whoever knows it.
            let standing = self.standing(object.organization(), object.call()).await;
            if standing.map_err(|error| told(&error))? != Standing::Kept {
                continue;
            }
            let readable = Readable::away(self.bucket.clone(), &object, stored, Some(keys)).await;
            let readable = readable.map_err(|fault| told(&fault))?;
            self.bring_here(&object, &readable, keys).await.map_err(|error| told(&error))?;
            match self.take_away(object.clone()).await {
                Ok(()) => sealed += 1,
                Err(Setback::Later { reason, .. } | Setback::Never { reason }) => return Err(told(&reason)),
            }
        }
        Ok(sealed)
    }

    async fn bring_here(&self, object: &Object, readable: &Readable, keys: &Keys) -> io::Result<()> {
        let path = self.shelf.folder().join(object.to_string());
        let piece = path.with_added_extension(PIECE);
        let mut sink = Sink::to(made(&piece)?, Some(keys))?;
        let mut sound = Box::pin(readable.read(0..readable.length()));
        let copied = async {
            while let Some(bytes) = sound.try_next().await.map_err(io::Error::other)? {
                sink = on_disk(move || sink.write_all(&bytes).map(|()| sink)).await?;
            }
            let (from, to) = (piece.clone(), path.clone());
            on_disk(move || {
                sink.finish()?.file().sync_all()?;
                fs::rename(from, to)
            })
            .await
        };
        copied.await.inspect_err(|_| {
            let _ = fs::remove_file(&piece);
        })
    }

    /// How many recordings in the object store are sealed with which key.
    ///
    /// # Errors
    /// What the store says.
    pub async fn sealed_away(&self) -> Result<Sealed, Fault> {
        let mut counts = Sealed::new();
        for (object, stored) in self.bucket.list().await? {
            if let Some(key) = key_of(&self.bucket, &object, stored).await? {
                *counts.entry(key).or_default() += 1;
            }
        }
        Ok(counts)
    }
}

/// With which key an object is sealed, `None` within where it is in the clear; `None` when it is gone.
async fn key_of(bucket: &Bucket, object: &Object, stored: Stored) -> Result<Option<Option<KeyId>>, Fault> {
    if stored.size < HEAD as u64 {
        return Ok(Some(None));
    }
    let first = bucket.range_if_there(object, 0..HEAD as u64).await?;
    Ok(first.map(|first| Head::parse(&first).map(|head| head.key())))
}

fn made(piece: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(true).open(piece)
}

fn copy(source: &Source, to: &Path, keys: &Keys) -> io::Result<()> {
    let mut sink = Sink::to(made(to)?, Some(keys))?;
    io::copy(&mut source.cursor(), &mut sink)?;
    let sealed = sink.finish()?;
    // What was recorded when is told by it.
    sealed.file().set_modified(source.file().metadata()?.modified()?)?;
    sealed.file().sync_all()
}
