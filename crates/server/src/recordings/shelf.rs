//! The folder of our own recordings.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use pegcount_calls::CallName;
use pegcount_store::OrganizationNumber;

use super::{Object, object::FORMATS};

/// Where our own recordings lie. The folder need not be there: then there are none.
#[derive(Clone, Debug)]
pub struct Shelf {
    folder: Arc<Path>,
}

impl Shelf {
    /// The recordings in this folder.
    pub fn at(folder: PathBuf) -> Self {
        Self { folder: folder.into() }
    }

    /// Where a recording lies, if it is there.
    fn path(&self, object: &Object) -> PathBuf {
        self.folder.join(object.to_string())
    }

    /// Where a recording lies; `None` where there is no such file.
    ///
    /// # Errors
    /// Any but that it is not there.
    pub async fn find(&self, object: &Object) -> io::Result<Option<PathBuf>> {
        let path = self.path(object);
        match tokio::fs::metadata(&path).await {
            Ok(found) => Ok(found.is_file().then_some(path)),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Deletes whatever recordings a call has, durably. What cannot be deleted is logged, and is for the operator to
    /// delete. Blocks.
    pub fn discard(&self, organization: OrganizationNumber, call: &CallName) {
        let mut deleted = false;
        for format in FORMATS {
            let path = self.path(&Object::new(organization, call.clone(), format));
            match fs::remove_file(&path) {
                Ok(()) => deleted = true,
                Err(error) if is_missing(&error) => {}
                Err(error) => tracing::error!(
                    %error,
                    file = %path.display(),
                    "a recording that must not be kept cannot be deleted: delete the file"
                ),
            }
        }
        if deleted {
            let synced = fs::File::open(&self.folder).and_then(|folder| folder.sync_all());
            if let Err(error) = synced {
                tracing::warn!(%error, "the folder of recordings cannot be synced");
            }
        }
    }
}

/// Whether there is no such file; a name too long for the file system is one of no file.
fn is_missing(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidFilename, NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory | InvalidFilename)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: OrganizationNumber = OrganizationNumber(1);

    fn call(name: &str) -> CallName {
        CallName::new(name).unwrap()
    }

    #[tokio::test]
    async fn what_is_discarded_is_gone_in_every_format_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["1.a.mp3", "1.a.wav", "1.b.mp3", "2.a.mp3", "1.a.mp3.part", "notes.txt"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        let shelf = Shelf::at(folder.path().to_owned());
        let object = Object::parse("1.a.mp3").unwrap();
        assert_eq!(shelf.find(&object).await.unwrap(), Some(folder.path().join("1.a.mp3")));
        shelf.discard(ONE, &call("a"));
        shelf.discard(ONE, &call("a"));
        let names = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name());
        let mut left: Vec<_> = names.collect();
        left.sort();
        assert_eq!(left, ["1.a.mp3.part", "1.b.mp3", "2.a.mp3", "notes.txt"]);
    }

    #[tokio::test]
    async fn a_folder_that_is_not_there_has_no_recordings() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::at(folder.path().join("none"));
        assert_eq!(shelf.find(&Object::parse("1.a.mp3").unwrap()).await.unwrap(), None);
        shelf.discard(ONE, &call("a"));
    }

    #[tokio::test]
    async fn a_folder_in_the_place_of_a_recording_is_none_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("1.a.mp3")).unwrap();
        let shelf = Shelf::at(folder.path().to_owned());
        assert_eq!(shelf.find(&Object::parse("1.a.mp3").unwrap()).await.unwrap(), None);
        shelf.discard(ONE, &call("a"));
        assert!(folder.path().join("1.a.mp3").exists());
    }
}
