//! A recording that is open to be read, wherever it lies, sealed or not.

use std::{io, ops::Range, path::Path, sync::Arc};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use pegcount_calls::Timestamp;
use pegcount_sealed::{CHUNK, HEAD, Head, Keys, OpenError, Source};

use super::{Bucket, Fault, Object, Stored, on_disk};

/// How many chunks of a sealed recording are read at a time from an object store: 1 MiB.
const CHUNKS_AT_ONCE: u64 = 16;

/// A recording, open to be read. What is said of it is said of its sound, not of what lies on a disk.
pub struct Readable {
    length: u64,
    written_at: Timestamp,
    place: Place,
}

#[derive(Clone)]
enum Place {
    Here(Arc<Source>),
    Away(Arc<Bucket>, Object),
    Sealed(Arc<Sealed>),
}

/// One that lies sealed in an object store.
struct Sealed {
    bucket: Arc<Bucket>,
    object: Object,
    head: Head,
    keys: Keys,
    size: u64,
}

impl Readable {
    /// Opens one that lies in a file. Waits for the disk.
    pub(super) fn here(path: &Path, keys: Option<&Keys>) -> io::Result<Self> {
        let source = Source::open(path, keys)?;
        let written = source.file().metadata()?.modified()?.duration_since(std::time::UNIX_EPOCH);
        let millis = i64::try_from(written.unwrap_or_default().as_millis()).unwrap_or(i64::MAX);
        let (length, written_at) = (source.length(), Timestamp::from_millis(millis));
        Ok(Self { length, written_at, place: Place::Here(Arc::new(source)) })
    }

    /// Opens one that lies in an object store.
    pub(super) async fn away(
        bucket: Arc<Bucket>,
        object: &Object,
        stored: Stored,
        keys: Option<&Keys>,
    ) -> Result<Self, Fault> {
        let (written_at, object) = (stored.written_at, object.clone());
        if let Some(keys) = keys.filter(|_| stored.size >= HEAD as u64) {
            let first = bucket.range(&object, 0..HEAD as u64).await?;
            if let Some(head) = Head::parse(&first) {
                // Before anybody is answered.
                if !keys.ids().any(|id| id == head.key()) {
                    return Err(Fault::of(OpenError::Unknown(head.key()).to_string()));
                }
                let length = Head::clear_length(stored.size).map_err(|error| Fault::of(error.to_string()))?;
                let sealed = Sealed { bucket, object, head, keys: keys.clone(), size: stored.size };
                return Ok(Self { length, written_at, place: Place::Sealed(Arc::new(sealed)) });
            }
        }
        Ok(Self { length: stored.size, written_at, place: Place::Away(bucket, object) })
    }

    /// How many bytes it has.
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// When it was written where it lies.
    pub const fn written_at(&self) -> Timestamp {
        self.written_at
    }

    /// A part of it, as it is asked for.
    pub fn read(&self, range: Range<u64>) -> impl Stream<Item = Result<Bytes, Fault>> + Send + use<> {
        let range = range.start..range.end.min(self.length);
        match self.place.clone() {
            Place::Away(bucket, object) => bucket.read(&object, range).boxed(),
            Place::Here(source) => {
                let piece = move |at| {
                    let source = Arc::clone(&source);
                    async move {
                        let read = on_disk(move || source.piece(at)).await;
                        read.map_err(|error| Fault::of(format!("the recording cannot be read: {error}")))
                    }
                };
                pieces(range, piece).boxed()
            }
            Place::Sealed(sealed) => pieces(range.clone(), move |at| {
                let (sealed, end) = (Arc::clone(&sealed), range.end);
                async move { sealed.piece(at, end).await }
            })
            .boxed(),
        }
    }
}

impl Sealed {
    /// What stands from here on, up to there or not as far.
    async fn piece(&self, at: u64, end: u64) -> Result<Vec<u8>, Fault> {
        let mut chunks = Head::chunks(&(at..end));
        chunks.end = chunks.end.min(chunks.start + CHUNKS_AT_ONCE);
        let places: Vec<_> = chunks.map(|chunk| (chunk, Head::place(chunk, self.size))).collect();
        let (Some((_, first)), Some((_, last))) = (places.first(), places.last()) else {
            return Ok(Vec::new());
        };
        let sealed = self.bucket.range(&self.object, first.start..last.end).await?;
        let mut clear = Vec::new();
        for (chunk, place) in &places {
            let within = (place.start - first.start) as usize..(place.end - first.start) as usize;
            let bytes = sealed.get(within).ok_or_else(|| Fault::of("the recording was cut"))?;
            let opened = self.head.open(&self.keys, *chunk, self.size, bytes);
            clear
                .extend(opened.map_err(|error| Fault::of(format!("the recording cannot be read: {error}")))?);
        }
        clear.drain(..((at % CHUNK as u64) as usize).min(clear.len()));
        Ok(clear)
    }
}

/// What `piece` gives from each place on, to the end of the range.
fn pieces<F: Future<Output = Result<Vec<u8>, Fault>> + Send>(
    range: Range<u64>,
    piece: impl Fn(u64) -> F + Send,
) -> impl Stream<Item = Result<Bytes, Fault>> + Send {
    stream::try_unfold((range.start, piece), move |(at, piece)| async move {
        if at >= range.end {
            return Ok(None);
        }
        let mut read = piece(at).await?;
        if read.is_empty() {
            return Err(Fault::of("the recording ends before its end"));
        }
        read.truncate(usize::try_from(range.end - at).unwrap_or(usize::MAX));
        let next = at + read.len() as u64;
        Ok(Some((Bytes::from(read), (next, piece))))
    })
}
