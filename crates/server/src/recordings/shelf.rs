//! Where our own recordings lie: in a folder, and once they have gone there in an object store; sealed, if there are keys.
//!
//! Nothing says where one is but the folder: what lies there is there, everything else is in the store if there is one.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use pegcount_calls::{CallName, Timestamp};
use pegcount_gateway::recording::Format;
use pegcount_sealed::Keys;
use pegcount_store::OrganizationNumber;

use super::{Bucket, Fault, Object, Readable, copies::Pins, object::FORMATS, on_disk};

/// The folder of sound for recognisers of speech, in that of recordings: the gateway's.
pub(super) const SPEECH: &str = "speech";

/// Where our own recordings lie. The folder need not be there: then it has none.
#[derive(Clone)]
pub struct Shelf {
    folder: Arc<Path>,
    bucket: Option<Arc<Bucket>>,
    keys: Option<Keys>,
    pins: Arc<Pins>,
}

/// Why it is not known where a recording is.
#[derive(Debug, thiserror::Error)]
pub enum Unfound {
    /// The folder cannot be read.
    #[error("the folder of recordings cannot be read")]
    Folder(#[source] io::Error),
    /// The object store does not say.
    #[error("the store of recordings cannot be used")]
    Bucket(#[source] Fault),
}

impl Shelf {
    /// The recordings in this folder.
    pub fn at(folder: PathBuf) -> Self {
        Self { folder: folder.into(), bucket: None, keys: None, pins: Arc::default() }
    }

    /// The same, and those that have gone to this store.
    #[must_use]
    pub fn with_bucket(self, bucket: Option<Arc<Bucket>>) -> Self {
        Self { bucket, ..self }
    }

    /// The same, sealed with these keys. What lies there in the clear is read on.
    #[must_use]
    pub fn sealed_with(self, keys: Option<Keys>) -> Self {
        Self { keys, ..self }
    }

    /// What recordings are sealed with.
    pub const fn keys(&self) -> Option<&Keys> {
        self.keys.as_ref()
    }

    /// The object store that recordings go to, if there is one.
    pub fn bucket(&self) -> Option<&Arc<Bucket>> {
        self.bucket.as_ref()
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What keeps deleted files at hand while a backup is made.
    pub(super) const fn pins(&self) -> &Arc<Pins> {
        &self.pins
    }

    /// Where a recording lies, if it is there.
    fn path(&self, object: &Object) -> PathBuf {
        self.folder.join(object.to_string())
    }

    /// The file of a recording; `None` where there is no such file.
    ///
    /// # Errors
    /// Any but that it is not there.
    pub(super) async fn file(&self, object: &Object) -> io::Result<Option<PathBuf>> {
        let path = self.path(object);
        match tokio::fs::metadata(&path).await {
            Ok(found) => Ok(found.is_file().then_some(path)),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether there may be a file of this recording here: one look at the disk.
    pub(super) fn may_be_here(&self, object: &Object) -> bool {
        match fs::metadata(self.path(object)) {
            Ok(found) => found.is_file(),
            Err(error) => !is_missing(&error),
        }
    }

    /// A recording, open to be read; `None` where there is none.
    ///
    /// # Errors
    /// [`Unfound`].
    pub async fn find(&self, object: &Object) -> Result<Option<Readable>, Unfound> {
        if let Some(path) = self.file(object).await.map_err(Unfound::Folder)? {
            let keys = self.keys.clone();
            match on_disk(move || Readable::here(&path, keys.as_ref())).await {
                // Between the look and the read it went to the object store, or away.
                Err(error) if is_missing(&error) => {}
                opened => return opened.map(Some).map_err(Unfound::Folder),
            }
        }
        let Some(bucket) = &self.bucket else { return Ok(None) };
        let Some(stored) = bucket.find(object).await.map_err(Unfound::Bucket)? else { return Ok(None) };
        let readable = Readable::away(Arc::clone(bucket), object, stored, self.keys.as_ref()).await;
        readable.map(Some).map_err(Unfound::Bucket)
    }

    /// A link to a recording in the object store, and until when it is good. `None` when it leads to this server instead:
    /// the recording has not gone there yet, or links are to lead here. It costs a look at the disk and no network.
    pub fn link_away(&self, object: &Object, now: Timestamp) -> Option<(String, Timestamp)> {
        let bucket = self.bucket.as_ref().filter(|_| self.leads_away(object))?;
        bucket.link(object, now)
    }

    /// The folder of the sound that is kept for recognisers of speech.
    pub fn speech_folder(&self) -> PathBuf {
        self.folder.join(SPEECH)
    }

    /// Where the sound of a recording lies that is kept for recognisers of speech, if it is there: a WAV file with the side
    /// that called on the left.
    pub fn speech(&self, object: &Object) -> PathBuf {
        self.speech_of(object.organization(), object.call())
    }

    fn speech_of(&self, organization: OrganizationNumber, call: &CallName) -> PathBuf {
        // As the recording would be called without LAME.
        self.speech_folder().join(Object::new(organization, call.clone(), Format::Wav).to_string())
    }

    /// Takes a file in as the sound of a recording that is kept for recognisers, durably. Blocks.
    ///
    /// # Errors
    /// When the disk refuses it.
    pub(super) fn keep_speech(&self, file: &Path, object: &Object) -> io::Result<()> {
        let folder = self.speech_folder();
        fs::create_dir_all(&folder)?;
        fs::rename(file, self.speech(object))?;
        fs::File::open(folder)?.sync_all()
    }

    /// Deletes the sound of a recording that was kept for recognisers, durably; what cannot be deleted is logged. Blocks.
    pub fn discard_speech(&self, organization: OrganizationNumber, call: &CallName) {
        let path = self.speech_of(organization, call);
        let within = Path::new(SPEECH).join(path.file_name().unwrap_or_default());
        match self.pins.delete(&self.folder, &within) {
            Ok(()) => sync(&self.speech_folder()),
            Err(error) if is_missing(&error) => {}
            Err(error) => undeletable(&path, &error),
        }
    }

    /// Whether links may lead to an object store at all. Sealed recordings can be heard here alone.
    pub fn may_link_away(&self) -> bool {
        self.keys.is_none() && self.bucket.as_ref().is_some_and(|bucket| bucket.makes_links())
    }

    /// Whether [`Shelf::link_away`] gives a link.
    pub fn leads_away(&self, object: &Object) -> bool {
        self.may_link_away() && !self.may_be_here(object)
    }

    /// Deletes whatever recordings a call has, durably. What cannot be deleted is logged, and is for the operator to
    /// delete. Blocks.
    pub fn discard(&self, organization: OrganizationNumber, call: &CallName) {
        self.remove(FORMATS.map(|format| Object::new(organization, call.clone(), format)));
        self.discard_speech(organization, call);
    }

    /// The same with these recordings.
    pub(super) fn remove(&self, objects: impl IntoIterator<Item = Object>) {
        let mut deleted = false;
        for object in objects {
            let path = self.path(&object);
            match self.pins.delete(&self.folder, Path::new(&object.to_string())) {
                Ok(()) => deleted = true,
                Err(error) if is_missing(&error) => {}
                Err(error) => undeletable(&path, &error),
            }
        }
        if deleted {
            sync(&self.folder);
        }
    }
}

fn undeletable(path: &Path, error: &io::Error) {
    tracing::error!(
        %error,
        file = %path.display(),
        "a recording that must not be kept cannot be deleted: delete the file"
    );
}

fn sync(folder: &Path) {
    let synced = fs::File::open(folder).and_then(|folder| folder.sync_all());
    if let Err(error) = synced {
        tracing::warn!(%error, "the folder of recordings cannot be synced");
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
        fs::create_dir(folder.path().join("speech")).unwrap();
        for name in [
            "1.a.mp3",
            "1.a.wav",
            "1.b.mp3",
            "2.a.mp3",
            "1.a.mp3.part",
            "notes.txt",
            "speech/1.a.wav",
            "speech/1.b.wav",
        ] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        let shelf = Shelf::at(folder.path().to_owned());
        let object = Object::parse("1.a.mp3").unwrap();
        assert_eq!(shelf.file(&object).await.unwrap(), Some(folder.path().join("1.a.mp3")));
        shelf.discard(ONE, &call("a"));
        shelf.discard(ONE, &call("a"));
        let names = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name());
        let mut left: Vec<_> = names.collect();
        left.sort();
        assert_eq!(left, ["1.a.mp3.part", "1.b.mp3", "2.a.mp3", "notes.txt", "speech"]);
        assert!(
            !folder.path().join("speech/1.a.wav").exists() && folder.path().join("speech/1.b.wav").exists()
        );
    }

    #[tokio::test]
    async fn a_folder_that_is_not_there_has_no_recordings() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::at(folder.path().join("none"));
        assert_eq!(shelf.file(&Object::parse("1.a.mp3").unwrap()).await.unwrap(), None);
        shelf.discard(ONE, &call("a"));
    }

    #[tokio::test]
    async fn a_folder_in_the_place_of_a_recording_is_none_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("1.a.mp3")).unwrap();
        let shelf = Shelf::at(folder.path().to_owned());
        assert_eq!(shelf.file(&Object::parse("1.a.mp3").unwrap()).await.unwrap(), None);
        shelf.discard(ONE, &call("a"));
        assert!(folder.path().join("1.a.mp3").exists());
    }
}
