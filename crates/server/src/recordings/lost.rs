//! Recordings that calls name and that lie nowhere: after a restore without the folder, say.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use pegcount_calls::CallName;
use pegcount_store::{CallHead, CallKey, Store, StoreError};

use super::{Fault, Object, Shelf, object::FORMATS, on_disk};
use crate::metrics::Metrics;

/// How many calls are looked at between two questions for more.
const CALLS_AT_A_TIME: u32 = 1_000;
/// How often the server looks, and how often while something is lost: somebody may be bringing it back.
const PERIOD: Duration = Duration::from_secs(6 * 3600);
const PERIOD_WHILE_LOST: Duration = Duration::from_secs(600);
/// Calls that are named.
pub const LOST_NAMED: usize = 5;

/// Recordings that are lost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// How many there are.
    pub count: u64,
    /// The first calls of which one is.
    pub calls: Vec<CallName>,
}

/// Why it is not known what is lost.
#[derive(Debug, thiserror::Error)]
pub enum LostUnknown {
    /// The store of calls.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The folder.
    #[error("the folder of recordings cannot be read: {0}")]
    Folder(#[from] std::io::Error),
    /// The object store.
    #[error("the object store of recordings cannot be looked through: {0}")]
    Bucket(#[from] Fault),
}

impl Lost {
    /// What is lost, where it was looked for, and what to do; `None` where nothing is.
    pub fn sentence(&self, shelf: &Shelf) -> Option<String> {
        let named: Vec<&str> = self.calls.iter().map(CallName::as_str).collect();
        let more = if self.count > named.len() as u64 { ", ..." } else { "" };
        let mut places = shelf.folder().display().to_string();
        if let Some(bucket) = shelf.bucket() {
            places = format!("{places} nor in {}", bucket.name());
        }
        (self.count > 0).then(|| {
            format!(
                "{} recordings that calls name are not in {places}: of the calls {}{more}. Bring the files back from a backup",
                self.count,
                named.join(", ")
            )
        })
    }
}

/// Looks for the recording of every call that names one of ours. It walks over all calls; the object store is listed only
/// if something is not in the folder.
///
/// # Errors
/// [`LostUnknown`].
pub async fn lost(store: &dyn Store, shelf: &Shelf) -> Result<Lost, LostUnknown> {
    let mut lost = Lost::default();
    let mut away: Option<HashSet<String>> = None;
    let mut after = Some(CallKey(0));
    while let Some(last) = after {
        let (heads, next) = store.recorded_after(last, CALLS_AT_A_TIME).await?;
        after = next;
        let mut heads = elsewhere(shelf, heads).await?;
        if let Some(bucket) = shelf.bucket().filter(|_| !heads.is_empty()) {
            if away.is_none() {
                away = Some(bucket.list().await?.into_iter().map(|(object, _)| object.to_string()).collect());
            }
            // Most are there: the store is asked of the others only.
            let listed: &HashSet<String> = away.get_or_insert_default();
            heads.retain(|head| !objects_of(head).any(|object| listed.contains(&object.to_string())));
        }
        for head in heads {
            let Some(object) = named(store, &head).await? else { continue };
            if !lies_somewhere(shelf, &object).await? && is_named_still(store, &head, &object).await? {
                lost.count += 1;
                if lost.calls.len() < LOST_NAMED {
                    lost.calls.push(head.name);
                }
            }
        }
    }
    Ok(lost)
}

/// Those of these calls of which the folder has no recording.
async fn elsewhere(shelf: &Shelf, heads: Vec<CallHead>) -> std::io::Result<Vec<CallHead>> {
    let shelf = shelf.clone();
    on_disk(move || {
        pegcount_store::stand_back();
        let is_here = |head: &CallHead| objects_of(head).any(|object| shelf.may_be_here(&object));
        Ok(heads.into_iter().filter(|head| !is_here(head)).collect())
    })
    .await
}

/// What the recording of a call may be called.
fn objects_of(head: &CallHead) -> impl Iterator<Item = Object> {
    FORMATS.iter().map(|format| Object::new(head.organization, head.name.clone(), *format))
}

/// The recording of our own that a call names.
async fn named(store: &dyn Store, head: &CallHead) -> Result<Option<Object>, StoreError> {
    let filed = match store.call(head.organization, head.name.as_str()).await {
        // A damaged call is named by others.
        Err(error) if error.is_damage() => None,
        filed => filed?,
    };
    Ok(filed.as_ref().and_then(Object::of))
}

/// Between the looks it may have been deleted, as it should.
async fn is_named_still(store: &dyn Store, head: &CallHead, object: &Object) -> Result<bool, StoreError> {
    Ok(named(store, head).await?.as_ref() == Some(object))
}

async fn lies_somewhere(shelf: &Shelf, object: &Object) -> Result<bool, LostUnknown> {
    let Some(bucket) = shelf.bucket() else { return Ok(shelf.file(object).await?.is_some()) };
    // It may have come there since it was listed, or not have gone yet.
    Ok(bucket.find(object).await?.is_some() || shelf.file(object).await?.is_some())
}

/// What the server's last look found.
#[derive(Clone, Default)]
pub struct LostRecordings(Arc<Mutex<Lost>>);

impl LostRecordings {
    /// What is lost, as far as is known.
    pub fn known(&self) -> Lost {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether every recording is there as far as is known, and what is to be known of them.
    pub fn health(&self, shelf: &Shelf) -> (bool, Option<String>) {
        let trouble = shelf.bucket().and_then(|bucket| {
            let trouble = bucket.trouble()?;
            Some(format!("{} cannot be used, new recordings wait here: {trouble}", bucket.name()))
        });
        let lost = self.known().sentence(shelf);
        let ok = lost.is_none();
        let notes: Vec<String> = trouble.into_iter().chain(lost).collect();
        (ok, (!notes.is_empty()).then(|| notes.join("; ")))
    }

    /// Looks at the start, and now and then.
    pub async fn watch(self, store: Arc<dyn Store>, shelf: Shelf, metrics: Arc<Metrics>) {
        loop {
            match lost(store.as_ref(), &shelf).await {
                Ok(found) => {
                    let before = self.known();
                    if let Some(sentence) = found.sentence(&shelf).filter(|_| before.count != found.count) {
                        tracing::error!("{sentence}");
                    }
                    metrics.recordings_lost.set(found.count);
                    *self.0.lock().unwrap_or_else(PoisonError::into_inner) = found;
                }
                Err(error) => tracing::warn!(%error, "it is not known whether recordings are lost"),
            }
            let pause = if self.known().count == 0 { PERIOD } else { PERIOD_WHILE_LOST };
            tokio::time::sleep(pause).await;
        }
    }
}
