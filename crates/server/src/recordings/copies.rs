//! Copies of the folder of recordings, as backups need them.
//!
//! The file of a recording is never changed once it has its name: a new version is another file that takes the name. So a hard
//! link is a copy, for as long as the disk lasts.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use super::{Object, Shelf, shelf::SPEECH};

/// The folder of files that are deleted while a copy is made, in that of recordings.
const PINS: &str = "deleted-during-backup";
/// The folder of what is heard of calls that go on: the gateway's.
const JOURNALS: &str = "journals";

/// What a copy of the folder holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Recordings of calls.
    pub files: u64,
    /// The size of all files, those of calls in progress and of sound for recognisers too.
    pub bytes: u64,
    /// Files that are hard links: they take no room of their own.
    pub linked: u64,
}

/// Keeps what is deleted at hand while copies are made.
#[derive(Debug, Default)]
pub(super) struct Pins {
    copies: Mutex<u32>,
}

/// A guard: while it exists, deleted recordings are kept aside for a copy. Dropping the last one deletes them.
pub struct Pinned {
    pins: Arc<Pins>,
    folder: PathBuf,
}

impl Pins {
    /// Deletes a file; while a copy is made, it is moved aside instead.
    pub(super) fn delete(&self, folder: &Path, within: &Path) -> io::Result<()> {
        let copies = self.copies.lock().unwrap_or_else(PoisonError::into_inner);
        let path = folder.join(within);
        if *copies == 0 {
            return fs::remove_file(path);
        }
        let aside = folder.join(PINS).join(within);
        match fs::rename(&path, aside) {
            // A missing folder, say, keeps it from being moved but not from being deleted.
            Err(_) => fs::remove_file(path),
            Ok(()) => Ok(()),
        }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let mut copies = self.pins.copies.lock().unwrap_or_else(PoisonError::into_inner);
        *copies -= 1;
        if *copies == 0 {
            remove_pins(&self.folder);
        }
    }
}

fn remove_pins(folder: &Path) {
    let pins = folder.join(PINS);
    match fs::remove_dir_all(&pins) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            let folder = pins.display();
            tracing::error!(%error, %folder, "recordings that were deleted during a backup are still there: delete the folder");
        }
        _ => {}
    }
}

impl Shelf {
    /// Keeps what is deleted from now on at hand for copies. Waits for the disk.
    ///
    /// # Errors
    /// What the disk says.
    pub fn pin(&self) -> io::Result<Pinned> {
        let folder = self.folder().to_owned();
        let pins = Arc::clone(self.pins());
        let mut copies = pins.copies.lock().unwrap_or_else(PoisonError::into_inner);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder.join(PINS).join(SPEECH))?;
        *copies += 1;
        drop(copies);
        Ok(Pinned { pins, folder })
    }

    /// Deletes what a run of the program left pinned that was ended during a backup. No copy is made.
    pub(super) fn remove_old_pins(&self) {
        let copies = self.pins().copies.lock().unwrap_or_else(PoisonError::into_inner);
        if *copies == 0 {
            remove_pins(self.folder());
        }
    }

    /// Copies the folder to a new one: recordings, the sound that is kept for recognisers of speech, and what is heard of
    /// calls that go on. With what is pinned, it holds every recording that was there at any moment since. The copy is on
    /// disk when this returns. Waits for the disk.
    ///
    /// # Errors
    /// What the disk says, with the path.
    pub fn copy_to(&self, to: &Path, pinned: &Pinned) -> io::Result<Copied> {
        let mut copy = Copy::default();
        let (from, pins) = (self.folder(), pinned.folder.join(PINS));
        let is_recording = |name: &str| Object::parse(name).is_some();
        // Before recordings: one that ends meanwhile is copied as what was made of it.
        copy.folder(&from.join(JOURNALS), &to.join(JOURNALS), Means::Bytes, |_| true)?;
        for (from, to) in [(from.to_owned(), to.to_owned()), (from.join(SPEECH), to.join(SPEECH))] {
            copy.folder(&from, &to, Means::Link, is_recording)?;
        }
        for (from, to) in [(pins.clone(), to.to_owned()), (pins.join(SPEECH), to.join(SPEECH))] {
            copy.folder(&from, &to, Means::Link, is_recording)?;
        }
        let names = fs::read_dir(to)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        copy.done.files = names.filter(|name| is_recording(name)).count() as u64;
        Ok(copy.done)
    }
}

/// How a file is copied.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Means {
    /// By a hard link, where the file system has them and both are on one.
    Link,
    /// Byte by byte: it may be written on.
    Bytes,
}

#[derive(Default)]
struct Copy {
    done: Copied,
    /// Whether hard links were refused: then they are not asked for again.
    no_links: bool,
}

impl Copy {
    /// Copies the files of a folder whose names are wanted and not there yet. A folder that is not there has none.
    fn folder(
        &mut self,
        from: &Path,
        to: &Path,
        means: Means,
        wanted: impl Fn(&str) -> bool,
    ) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(to).map_err(|error| at(to, &error))?;
        let entries = match fs::read_dir(from) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(|error| at(from, &error))?,
        };
        for entry in entries {
            let entry = entry.map_err(|error| at(from, &error))?;
            let name = entry.file_name();
            if name.to_str().is_none_or(|name| !wanted(name)) {
                continue;
            }
            match self.file(&entry.path(), &to.join(&name), means) {
                // Deleted meanwhile: where it matters it is pinned. Copied already: another file has taken the name since.
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists) => {}
                copied => copied.map_err(|error| at(&to.join(&name), &error))?,
            }
        }
        File::open(to)?.sync_all().map_err(|error| at(to, &error))
    }

    fn file(&mut self, from: &Path, to: &Path, means: Means) -> io::Result<()> {
        let metadata = fs::metadata(from)?;
        if !metadata.is_file() {
            return Ok(());
        }
        if means == Means::Link && !self.no_links {
            match fs::hard_link(from, to) {
                Ok(()) => {
                    self.done.linked += 1;
                    self.done.bytes += metadata.len();
                    return Ok(());
                }
                Err(error) if is_refusal(&error) => self.no_links = true,
                Err(error) => return Err(error),
            }
        }
        let mut source = File::open(from)?;
        let mut copy = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
        self.done.bytes += io::copy(&mut source, &mut copy)?;
        // Recovery takes the time of a recording from it.
        copy.set_modified(metadata.modified()?)?;
        copy.sync_all()
    }
}

/// Whether a file system has no hard links, or none from one folder to the other.
fn is_refusal(error: &io::Error) -> bool {
    use io::ErrorKind::{CrossesDevices, InvalidInput, PermissionDenied, TooManyLinks, Unsupported};
    matches!(error.kind(), CrossesDevices | InvalidInput | PermissionDenied | TooManyLinks | Unsupported)
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{} cannot be written: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use pegcount_calls::CallName;
    use pegcount_store::OrganizationNumber;

    use super::*;

    fn shelf(files: &[&str]) -> (tempfile::TempDir, Shelf) {
        let folder = tempfile::tempdir().unwrap();
        for inner in ["recordings/speech", "recordings/journals"] {
            fs::create_dir_all(folder.path().join(inner)).unwrap();
        }
        for name in files {
            fs::write(folder.path().join("recordings").join(name), name).unwrap();
        }
        let shelf = Shelf::at(folder.path().join("recordings"));
        (folder, shelf)
    }

    fn names(folder: &Path) -> Vec<String> {
        let names =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    fn discard(shelf: &Shelf, call: &str) {
        shelf.discard(OrganizationNumber(1), &CallName::new(call).unwrap());
    }

    #[test]
    fn recordings_are_linked_and_journals_copied() {
        let files = ["1.a.mp3", "1.b.wav", "1.c.mp3.part", "speech/1.a.wav", "journals/1.d.journal"];
        let (folder, shelf) = shelf(&files);
        let to = folder.path().join("copy");
        let copied = shelf.copy_to(&to, &shelf.pin().unwrap()).unwrap();
        assert_eq!((copied.files, copied.linked), (2, 3));
        assert_eq!(names(&to), ["1.a.mp3", "1.b.wav", "journals", "speech"]);
        assert_eq!(names(&to.join("speech")), ["1.a.wav"]);
        assert_eq!(names(&to.join("journals")), ["1.d.journal"]);
        let inode = |path: &str| fs::metadata(folder.path().join(path)).unwrap().ino();
        assert_eq!(inode("recordings/1.a.mp3"), inode("copy/1.a.mp3"));
        assert_ne!(inode("recordings/journals/1.d.journal"), inode("copy/journals/1.d.journal"));
    }

    #[test]
    fn what_is_deleted_during_a_backup_is_in_it_and_gone_afterwards() {
        let (folder, shelf) = shelf(&["1.a.mp3", "speech/1.a.wav", "1.b.mp3"]);
        let pinned = shelf.pin().unwrap();
        discard(&shelf, "a");
        assert!(!shelf.may_be_here(&Object::parse("1.a.mp3").unwrap()));
        let to = folder.path().join("copy");
        assert_eq!(shelf.copy_to(&to, &pinned).unwrap().files, 2);
        assert_eq!(fs::read_to_string(to.join("1.a.mp3")).unwrap(), "1.a.mp3");
        assert!(to.join("speech/1.a.wav").exists());
        let other = shelf.pin().unwrap();
        drop(pinned);
        discard(&shelf, "b");
        assert!(folder.path().join("recordings").join(PINS).join("1.b.mp3").exists());
        drop(other);
        assert_eq!(names(&folder.path().join("recordings")), ["journals", "speech"]);
        discard(&shelf, "none");
    }

    #[test]
    fn a_deletion_needs_no_folder_of_pins() {
        let (folder, shelf) = shelf(&["1.a.mp3"]);
        let _pinned = shelf.pin().unwrap();
        fs::remove_dir_all(folder.path().join("recordings").join(PINS)).unwrap();
        discard(&shelf, "a");
        assert!(!folder.path().join("recordings/1.a.mp3").exists());
    }

    #[test]
    fn what_a_killed_backup_left_is_deleted_at_the_next_start() {
        let (folder, shelf) = shelf(&["1.a.mp3"]);
        std::mem::forget(shelf.pin().unwrap());
        discard(&shelf, "a");
        let next = Shelf::at(folder.path().join("recordings"));
        next.tidy();
        assert_eq!(names(&folder.path().join("recordings")), ["journals", "speech"]);
    }

    #[test]
    fn a_folder_that_is_not_there_is_copied_as_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::at(folder.path().join("recordings"));
        let to = folder.path().join("copy");
        let copied = shelf.copy_to(&to, &shelf.pin().unwrap()).unwrap();
        assert_eq!(copied, Copied::default());
        assert_eq!(names(&to), ["journals", "speech"]);
    }

    #[test]
    fn a_full_or_missing_target_is_named() {
        let (folder, shelf) = shelf(&["1.a.mp3"]);
        fs::write(folder.path().join("file"), "").unwrap();
        let error = shelf.copy_to(&folder.path().join("file"), &shelf.pin().unwrap()).unwrap_err();
        assert!(error.to_string().contains("file"), "{error}");
    }
}
