//! The object store that recordings go to.

use std::{
    num::NonZeroUsize,
    ops::Range,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt, Stream, TryStreamExt, stream};
use lru::LruCache;
use object_store::{
    Attribute, Attributes, ObjectMeta, ObjectStore, ObjectStoreExt, buffered::BufWriter, path::Path as Key,
    signer::Signer,
};
use pegcount_calls::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Fault, Object};

/// What is written at a time: a smaller recording goes up in one request, a larger one in parts of this size.
const PART: usize = 8 * 1024 * 1024;
/// What is read at a time for a listener: each piece is a request of its own, so none stays open while somebody pauses.
const PIECE: u64 = 1024 * 1024;
/// How long a signed link is good: an hour after the end of the minute it was made in.
const GOOD_FOR: Duration = Duration::from_secs(3660);
/// Links that are remembered for the minute in which they were made: two pages of the longest list, many times over.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);
/// How often somebody looks whether the store is there.
const LOOKS_EVERY: Duration = Duration::from_secs(30);
/// What a store is asked for to see whether it is there, and written to see whether it can be.
const PROBE: &str = "pegcount-probe";

/// A recording in the object store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    /// Bytes.
    pub(super) size: u64,
    /// When it was written.
    pub(super) written_at: Timestamp,
}

impl Stored {
    fn of(found: &ObjectMeta) -> Self {
        let written_at = Timestamp::from_millis(found.last_modified.timestamp_millis());
        Self { size: found.size, written_at }
    }
}

/// The object store that recordings go to: one bucket, or the part of it under a prefix.
pub struct Bucket {
    name: String,
    store: Arc<dyn ObjectStore>,
    /// Makes links to the store; `None` where links are to lead here.
    signer: Option<Arc<dyn Signer>>,
    prefix: Key,
    /// What was wrong the last time that something was asked of it.
    trouble: Mutex<Option<Fault>>,
    /// Links by their objects, with the minute they were made in.
    links: Mutex<LruCache<String, (i64, String)>>,
}

impl Bucket {
    /// What lies under this prefix of a store. The name is for people.
    pub fn new(
        name: String,
        store: Arc<dyn ObjectStore>,
        signer: Option<Arc<dyn Signer>>,
        prefix: Key,
    ) -> Self {
        let links = Mutex::new(LruCache::new(REMEMBERED));
        Self { name, store, signer, prefix, trouble: Mutex::default(), links }
    }

    /// What the configuration calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What was wrong the last time that something was asked of it; `None` when nothing was.
    pub fn trouble(&self) -> Option<Fault> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether links are to lead to the store.
    pub(super) fn makes_links(&self) -> bool {
        self.signer.is_some()
    }

    fn key(&self, name: &str) -> Key {
        self.prefix.clone().join(name)
    }

    /// Remembers how it went. That there is no such object is an answer like any other, unless it had to be there. Being
    /// let read does not take back that something was not allowed.
    fn noted<T>(&self, result: Result<T, object_store::Error>) -> Result<Option<T>, Fault> {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Err(error) if !matches!(error, object_store::Error::NotFound { .. }) => {
                let fault = Fault::from(&error);
                *trouble = Some(fault.clone());
                Err(fault)
            }
            answer => {
                trouble.take_if(|fault| !fault.is_denial());
                Ok(answer.ok())
            }
        }
    }

    /// Every recording there, and how it lies there.
    pub(super) async fn list(&self) -> Result<Vec<(Object, Stored)>, Fault> {
        let under = (!self.prefix.as_ref().is_empty()).then_some(&self.prefix);
        let listed: Result<Vec<_>, _> = self.store.list(under).try_collect().await;
        let listed = self.noted(listed)?.unwrap_or_default();
        let own = |one: &ObjectMeta| {
            let name = one.location.filename()?;
            let object = Object::parse(name).filter(|_| one.location == self.key(name))?;
            Some((object, Stored::of(one)))
        };
        Ok(listed.iter().filter_map(own).collect())
    }

    /// Some bytes of an object; `None` when it is gone.
    pub(super) async fn range_if_there(
        &self,
        object: &Object,
        range: Range<u64>,
    ) -> Result<Option<Bytes>, Fault> {
        self.noted(self.store.get_range(&self.key(&object.to_string()), range).await)
    }

    /// The same of an object that has to be there.
    pub(super) async fn range(&self, object: &Object, range: Range<u64>) -> Result<Bytes, Fault> {
        self.range_if_there(object, range).await?.ok_or_else(|| Fault::of("the recording is gone"))
    }

    /// Writes a file there, and says how many bytes that were. In S3 each request is signed with the digest of its bytes,
    /// so a store takes no others.
    pub(super) async fn put(&self, object: &Object, file: &Path, is_sealed: bool) -> Result<u64, Fault> {
        let unreadable = |error: std::io::Error| Fault::of(format!("the recording cannot be read: {error}"));
        let mut from = tokio::fs::File::open(file).await.map_err(unreadable)?;
        let size = from.metadata().await.map_err(unreadable)?.len();
        let mut attributes = Attributes::new();
        let media_type = if is_sealed { "application/octet-stream" } else { object.media_type() };
        attributes.insert(Attribute::ContentType, media_type.into());
        // A call's name holds nothing that would end the quotes.
        attributes.insert(Attribute::ContentDisposition, format!("inline; filename=\"{object}\"").into());
        let mut to = BufWriter::with_capacity(Arc::clone(&self.store), self.key(&object.to_string()), PART)
            .with_max_concurrency(1)
            .with_attributes(attributes);
        let mut bytes = 0;
        loop {
            let mut read = Vec::with_capacity(256 * 1024);
            let more = match from.read_buf(&mut read).await {
                Ok(0) => break,
                Ok(more) => more,
                Err(error) => {
                    self.abandon(to).await;
                    return Err(unreadable(error));
                }
            };
            if let Err(error) = to.put(Bytes::from(read)).await {
                self.abandon(to).await;
                return self.has_to(Err(error));
            }
            bytes += more as u64;
        }
        if bytes != size {
            self.abandon(to).await;
            return Err(Fault::of(format!("{bytes} bytes of the recording could be read, of {size}")));
        }
        let ended = to.shutdown().await.map_err(|error| match error.downcast::<object_store::Error>() {
            Ok(error) => error,
            Err(error) => object_store::Error::Generic { store: "recordings", source: error.into() },
        });
        self.has_to(ended.map(|()| bytes))
    }

    /// Takes back what was written of an object that is not to be.
    async fn abandon(&self, mut written: BufWriter) {
        if let Err(error) = written.abort().await {
            // The store keeps the parts until its own rules delete them; nobody can read them.
            tracing::debug!(error = %Fault::from(&error), "parts of a recording cannot be taken back");
        }
    }

    /// The same of a write, whose answer is never that something is missing, but for the bucket.
    fn has_to<T>(&self, result: Result<T, object_store::Error>) -> Result<T, Fault> {
        let answer = self.noted(result)?.ok_or_else(|| Fault::denial("the store has no such bucket"));
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = answer.as_ref().err().cloned();
        answer
    }

    /// How a recording lies there; `None` when it does not.
    pub(super) async fn find(&self, object: &Object) -> Result<Option<Stored>, Fault> {
        let found = self.noted(self.store.head(&self.key(&object.to_string())).await)?;
        Ok(found.as_ref().map(Stored::of))
    }

    /// Deletes a recording, if it is there.
    pub(super) async fn delete(&self, object: &Object) -> Result<(), Fault> {
        self.noted(self.store.delete(&self.key(&object.to_string())).await).map(drop)
    }

    /// The bytes of a part of a recording, as they are asked for.
    pub(super) fn read(
        self: &Arc<Self>,
        object: &Object,
        range: Range<u64>,
    ) -> impl Stream<Item = Result<Bytes, Fault>> + Send + use<> {
        let (bucket, object) = (Arc::clone(self), object.clone());
        stream::try_unfold(range.start, move |at| {
            let (bucket, object) = (Arc::clone(&bucket), object.clone());
            let upto = range.end.min(at.saturating_add(PIECE));
            async move {
                if at >= upto {
                    return Ok(None);
                }
                Ok(Some((bucket.range(&object, at..upto).await?, upto)))
            }
        })
    }

    /// A link to a recording in the store, and until when it is good. `None` where links are to lead here, and where the
    /// store's credentials are not at hand: nobody who asks for a link waits for the network.
    pub(super) fn link(&self, object: &Object, now: Timestamp) -> Option<(String, Timestamp)> {
        let signer = self.signer.as_ref()?;
        let (name, minute) = (object.to_string(), now.millis().div_euclid(60_000));
        let expires_at = Timestamp::from_millis((minute + 61) * 60_000);
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((made_in, url)) = links.get(&name)
            && *made_in == minute
        {
            return Some((url.clone(), expires_at));
        }
        let signed = signer.signed_url(reqwest::Method::GET, &self.key(&name), GOOD_FOR).now_or_never();
        let url = String::from(signed?.ok()?);
        links.put(name, (minute, url.clone()));
        Some((url, expires_at))
    }

    /// Looks every now and then whether the store is there, and keeps the credentials at hand that sign links.
    pub async fn watch(self: Arc<Self>) {
        loop {
            let found = self.store.head(&self.key(PROBE)).await;
            let found = match found {
                // Without the right to list a bucket, what is not there is forbidden: somebody has answered.
                Err(object_store::Error::PermissionDenied { .. }) => Ok(None),
                found => found.map(Some),
            };
            let before = self.trouble();
            if let (None, Err(fault)) = (before, self.noted(found)) {
                tracing::warn!(store = self.name, %fault, "the store of recordings cannot be used; they wait here");
            }
            if let Some(signer) = &self.signer {
                let _ = signer.signed_url(reqwest::Method::GET, &self.key(PROBE), GOOD_FOR).await;
            }
            tokio::time::sleep(LOOKS_EVERY).await;
        }
    }

    /// Writes something, reads it and deletes it again.
    ///
    /// # Errors
    /// What cannot be done, and why.
    pub async fn probe(&self) -> Result<(), String> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| format!("no name can be made: {error}"))?;
        let key = self.key(&format!("{PROBE}-{:016x}", u64::from_ne_bytes(random)));
        let content = Bytes::from_static(b"Written by pegcount doctor; it can be deleted.\n");
        let cannot = |what: &str, fault: &Fault| format!("{} cannot be {what}: {fault}", self.name);
        self.has_to(self.store.put(&key, content.clone().into()).await)
            .map_err(|fault| cannot("written to", &fault))?;
        let read = async { self.store.get(&key).await?.bytes().await };
        let read = self.noted(read.await).map_err(|fault| cannot("read from", &fault));
        let deleted =
            self.noted(self.store.delete(&key).await).map_err(|fault| cannot("deleted from", &fault));
        if read?.is_none_or(|read| read != content) {
            return Err(format!("{} gives back other bytes than were written", self.name));
        }
        deleted.map(drop)
    }
}
