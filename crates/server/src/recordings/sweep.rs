//! Recordings that lie in the folder although they could be in the object store: made before there was one, or left
//! behind by jobs that somebody forgot.

use std::{fs, io, sync::Arc};

use pegcount_store::{Store, StoreError};
use tokio::sync::mpsc;

use super::{
    Object, Shelf,
    desk::{DELETION, upload_of},
};
use crate::{clock::Clock, jobs::Jobs};

/// How many are asked for in one transaction, so that new events need not wait long.
const AT_ONCE: usize = 200;

/// Asks for every recording in the folder that it be taken to the object store, if there is one. Those that the ledger was
/// not told of stay: who tells it of them has to find them here. Asking again for what waits already changes nothing; what
/// is dead is tried again, and so are deletions.
pub async fn sweep(shelf: Shelf, store: Arc<dyn Store>, jobs: Arc<Jobs>, clock: Clock) {
    if shelf.bucket().is_none() {
        return;
    }
    // What must be deleted is not given up for good.
    match store.rerun_dead_jobs(Some(DELETION), clock.now()).await {
        Ok(0) => {}
        Ok(dead) => {
            tracing::warn!(
                calls = dead,
                "recordings could not be deleted from the object store; it is tried again"
            );
            jobs.nudge();
        }
        Err(error) => tracing::error!(%error, "jobs cannot be tried again"),
    }
    // The disk is waited for elsewhere, and no faster than the ledger is asked.
    let (found, mut objects) = mpsc::channel(AT_ONCE);
    let folder = shelf.folder().to_owned();
    let listing = tokio::task::spawn_blocking(move || -> io::Result<()> {
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let name = entry?.file_name();
            let Some(object) = name.to_str().and_then(Object::parse) else { continue };
            if found.blocking_send(object).is_err() {
                break;
            }
        }
        Ok(())
    });
    let mut some = Vec::new();
    while objects.recv_many(&mut some, AT_ONCE).await > 0 {
        if let Err(error) = ask_for(store.as_ref(), &some, &clock).await {
            tracing::error!(%error, "recordings are not taken to the object store; the next start tries again");
            return;
        }
        jobs.nudge();
        some.clear();
    }
    if let Ok(Err(error)) = listing.await {
        tracing::error!(%error, "the folder of recordings cannot be read");
    }
}

async fn ask_for(store: &dyn Store, objects: &[Object], clock: &Clock) -> Result<(), StoreError> {
    let mut transaction = store.begin().await?;
    for object in objects {
        let Some(head) = transaction.find_call(object.organization(), object.call()).await? else { continue };
        let filed = match transaction.saved(head.key).await {
            // What is damaged stays as it is.
            Err(StoreError::Unreadable { .. }) => None,
            saved => saved?,
        };
        let recording = filed.and_then(|filed| filed.call.content.recording);
        if recording.and_then(|recording| recording.object) == Some(object.to_string()) {
            transaction.enqueue(&upload_of(object, head.key, clock)).await?;
        }
    }
    transaction.commit().await
}
