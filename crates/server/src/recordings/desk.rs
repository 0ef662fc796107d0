//! What the work on recordings is done with.

use std::{io, sync::Arc};

use pegcount_calls::{CallName, Document};
use pegcount_store::{CallKey, Filed, NewJob, OrganizationNumber, Store, StoreError};

use super::{Bucket, Fault, Object, Shelf, busy::Busy};
use crate::{clock::Clock, jobs::Setback};

/// The word for the work that takes a recording to the object store. Its subject is the recording.
pub const UPLOAD: &str = "recording_upload";
/// The word for the work that deletes the recordings of a call there. Its subject is the call.
pub const DELETION: &str = "recording_delete";

/// What the work on recordings is done with. One for all of it: what one kind does, the other waits for.
pub struct Desk {
    pub(super) shelf: Shelf,
    pub(super) bucket: Arc<Bucket>,
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Clock,
    pub(super) busy: Busy,
}

/// What the ledger says of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Its call is there, and may keep it.
    Kept,
    /// Its call was erased, or has opted out.
    Forgotten,
    /// There is no such call, and never was.
    Stranger,
}

impl Desk {
    /// With the recordings on this shelf, which go to this object store.
    pub fn new(shelf: Shelf, bucket: Arc<Bucket>, store: Arc<dyn Store>, clock: Clock, busy: Busy) -> Self {
        Self { shelf, bucket, store, clock, busy }
    }

    pub(super) async fn standing(
        &self,
        organization: OrganizationNumber,
        call: &CallName,
    ) -> Result<Standing, StoreError> {
        let (standing, _) = standing(self.store.as_ref(), organization, call).await?;
        Ok(standing)
    }

    /// Deletes files here. The disk is waited for elsewhere.
    pub(super) async fn remove_here(&self, objects: Vec<Object>) {
        let shelf = self.shelf.clone();
        let _ = tokio::task::spawn_blocking(move || shelf.remove(objects)).await;
    }
}

/// What a ledger says of the recording of a call, with the call if it is there.
pub(super) async fn standing(
    store: &dyn Store,
    organization: OrganizationNumber,
    call: &CallName,
) -> Result<(Standing, Option<Filed>), StoreError> {
    let filed = store.call(organization, call.as_str()).await?;
    let standing = match &filed {
        Some(filed) if filed.call.opt_out => Standing::Forgotten,
        Some(_) => Standing::Kept,
        None if store.begin().await?.is_erased(organization, call).await? => Standing::Forgotten,
        None => Standing::Stranger,
    };
    Ok((standing, filed))
}

/// The job of taking a recording to the object store.
pub(super) fn upload_of(object: &Object, call: CallKey, clock: &Clock) -> NewJob {
    let now = clock.now();
    NewJob {
        organization: object.organization(),
        kind: UPLOAD.to_owned(),
        subject: object.to_string(),
        call: Some(call),
        data: Document::from_json_text("{}"),
        created_at: now,
        due: now,
    }
}

impl From<Fault> for Setback {
    fn from(fault: Fault) -> Self {
        Setback::later(fault.to_string())
    }
}

/// A disk that cannot be read.
pub(super) fn unreadable(error: &io::Error) -> Setback {
    Setback::later(format!("the folder of recordings cannot be read: {error}"))
}
