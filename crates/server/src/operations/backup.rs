//! Keeping a copy of everything that a restore needs.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use pegcount_store::StoreError;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde_json::json;

use super::{Done, Operator, sentence};
use crate::recordings::{self, on_disk};

/// The names of a backup: the file of the store, and what lies beside it.
struct Names {
    store: PathBuf,
    words: PathBuf,
    recordings: PathBuf,
}

impl Names {
    /// Those that go with this file.
    fn of(store: &Path) -> Self {
        let stem = store.file_stem().unwrap_or_default();
        let beside = |end: &str| {
            let mut name = OsString::from(stem);
            name.push(end);
            store.with_file_name(name)
        };
        let mut words = beside("-words");
        if let Some(extension) = store.extension() {
            words.add_extension(extension);
        }
        Self { store: store.to_owned(), words, recordings: beside("-recordings") }
    }

    /// In the order in which they get their names. The store is last, so that a backup with a store is whole.
    fn in_order(&self) -> [&Path; 3] {
        [&self.recordings, &self.words, &self.store]
    }
}

/// The folder in which a backup is made, beside where it is to lie. Once it was removed, its path is empty.
struct Staging(PathBuf);

impl Drop for Staging {
    fn drop(&mut self) {
        // Only where the backup was broken off: by a panic, or at the end of the program. It holds personal data.
        if !self.0.as_os_str().is_empty() {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

impl Staging {
    /// Nobody but the owner looks into it: calls are personal data.
    fn beside(store: &Path) -> io::Result<Self> {
        let path = Self::path(store);
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    fn path(store: &Path) -> PathBuf {
        let mut path = store.to_owned();
        path.add_extension(format!("{}.partial", std::process::id()));
        path
    }

    fn within(&self, names: &Names) -> Names {
        let inside = |path: &Path| self.0.join(path.file_name().unwrap_or_default());
        Names {
            store: inside(&names.store),
            words: inside(&names.words),
            recordings: inside(&names.recordings),
        }
    }

    /// Removes it with what was given no name. That may be many recordings, so no async worker waits for it.
    async fn remove(mut self) {
        let path = std::mem::take(&mut self.0);
        let removed = on_disk(move || {
            let removed = fs::remove_dir_all(&path);
            removed.map_err(|error| io::Error::other(format!("{}: {error}", path.display())))
        });
        if let Err(error) = removed.await {
            tracing::warn!("what a backup left cannot be removed: {error}");
        }
    }
}

impl Operator {
    /// Copies the store, and the recordings that it names unless they are to be left out, to files that must not be there.
    /// The answer lists what is not in the copy.
    pub(super) async fn backup(&self, path: &Path, without_recordings: bool) -> Done {
        let names = Names::of(path);
        let to = path.to_owned();
        let begun = on_disk(move || Ok(begin(&to))).await.map_err(|error| failed(&error.to_string()))?;
        let staging = begun?;
        let made = self.fill(&staging, &names, without_recordings).await;
        staging.remove().await;
        made
    }

    /// Makes the parts of a backup and gives them their names.
    async fn fill(&self, staging: &Staging, names: &Names, without_recordings: bool) -> Done {
        let path = &names.store;
        let staged = staging.within(names);
        // Before the store is copied: what it names is deleted no more until its recordings are.
        let shelf = self.shelf.clone();
        let pinned =
            match without_recordings {
                true => None,
                false => Some(on_disk(move || shelf.pin()).await.map_err(|error| {
                    failed(&format!("the folder of recordings cannot be written: {error}"))
                })?),
            };
        let has_words = match self.store.backup(&staged.store).await {
            Ok(words) => words.is_some(),
            Err(StoreError::Full) => {
                let path = path.display();
                return Err(failed(&format!(
                    "the disk of {path} is full: make room there, then run it again"
                )));
            }
            Err(error) => return Err(failed(&format!("{}: {}", path.display(), sentence(&error)))),
        };
        let copied = match pinned {
            None => None,
            Some(pinned) => {
                let (shelf, to) = (self.shelf.clone(), staged.recordings.clone());
                let copied = on_disk(move || {
                    let copied = shelf.copy_to(&to, &pinned)?;
                    drop(pinned);
                    Ok(copied)
                });
                Some(copied.await.map_err(|error| failed(&error.to_string()))?)
            }
        };
        let (staged, given) = (staged.in_order().map(Path::to_owned), names.in_order().map(Path::to_owned));
        let named = on_disk(move || {
            give_names(&staged, &given)?;
            Ok(given.map(|path| fs::metadata(path).map(|file| file.len()).unwrap_or_default()))
        });
        let [_, words_bytes, bytes] = named.await.map_err(|error| failed(&unwritable(path, &error)))?;
        let words = has_words.then(|| json!({ "path": names.words, "bytes": words_bytes }));
        let (mut left_out, mut recordings) = (self.left_out(without_recordings), None);
        if let Some(copied) = copied {
            let lost = recordings::lost(self.store.as_ref(), &self.shelf).await;
            left_out.extend(match &lost {
                Ok(lost) => lost.sentence(&self.shelf).map(|sentence| format!("lost recordings: {sentence}")),
                Err(error) => Some(format!("lost recordings, if any: {error}")),
            });
            recordings = Some(json!({
                "path": names.recordings,
                "files": copied.files,
                "bytes": copied.bytes,
                "linked": copied.linked,
                "lost": lost.ok().map(|lost| lost.count),
            }));
        }
        Ok(json!({
            "backup": path,
            "bytes": bytes,
            "words": words,
            "recordings": recordings,
            "left_out": left_out,
        }))
    }

    /// What a restore needs, or a listener may miss, and a backup does not hold.
    fn left_out(&self, without_recordings: bool) -> Vec<String> {
        let mut left_out = vec!["link-key: it signs links; copy it from the data folder".to_owned()];
        if without_recordings {
            left_out.push(format!("recordings: those in {}", self.shelf.folder().display()));
        }
        if let Some(bucket) = self.shelf.bucket() {
            left_out.push(format!("recordings: those that lie in {}", bucket.name()));
        }
        if self.shelf.keys().is_some() {
            left_out.push("encryption keys: without them nothing of it can be read".to_owned());
        }
        left_out
    }
}

/// Looks whether a backup may be made there, and makes the folder for its parts.
fn begin(path: &Path) -> Result<Staging, String> {
    if path.file_name().is_none() || path.is_dir() {
        let path = path.display();
        return Err(failed(&format!(
            "{path} is a folder: name the file to make, such as {path}/pegcount.db"
        )));
    }
    if let Some(taken) = Names::of(path).in_order().into_iter().find(|name| name.symlink_metadata().is_ok()) {
        return Err(format!("{} exists already: a backup replaces nothing", taken.display()));
    }
    Staging::beside(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => failed(&format!(
            "{} is there: another backup to this file runs, or one was cut off; then delete it",
            Staging::path(path).display()
        )),
        _ => failed(&unwritable(path, &error)),
    })
}

fn failed(why: &str) -> String {
    format!("no backup was made: {why}")
}

/// Moves the parts of a backup to where they are to be. If one cannot be, none is.
fn give_names(staged: &[PathBuf], given: &[PathBuf]) -> io::Result<()> {
    let mut moved: Vec<&Path> = Vec::new();
    for (from, to) in staged.iter().zip(given) {
        if from.symlink_metadata().is_err() {
            continue;
        }
        if let Err(error) = move_to(from, to) {
            for path in moved {
                let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
            }
            return Err(error);
        }
        moved.push(to);
    }
    given.first().and_then(|path| path.parent()).map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// Renames, and replaces nothing.
fn move_to(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE).map_err(io::Error::from) {
        // Not every file system can refuse by itself.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
            if to.symlink_metadata().is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            fs::rename(from, to)
        }
        renamed => renamed,
    }
}

fn unwritable(path: &Path, error: &io::Error) -> String {
    let path = path.display();
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => format!(
            ": the process that makes it (a running server, else this command; here user {}) must be allowed to write there",
            rustix::process::geteuid().as_raw()
        ),
        io::ErrorKind::NotFound => ": there is no such folder".to_owned(),
        _ => String::new(),
    };
    format!("{path} cannot be written: {error}{hint}")
}
