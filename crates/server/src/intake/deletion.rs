//! Deleting what is kept of calls because of its age.

use std::time::Duration;

use pegcount_calls::{Fact, Timestamp};
use pegcount_store::{CallHead, Keepsake, StoreError};

use tokio::time::Instant;

use super::batch::Batch;
use crate::vocabulary::{self, kinds};

/// What came of an order to delete something of calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Of how many it was deleted.
    pub calls: u32,
    /// How many are on hold, and keep it.
    pub held: u32,
}

/// Deletes this of calls that are over, of as many as there is room for in the batch, and tells how many it looked at. Each
/// is looked at anew: it may be on hold by now, or gone.
pub(super) async fn delete(
    batch: &mut Batch<'_>,
    heads: &[CallHead],
    keepsake: Keepsake,
    at: Timestamp,
    call_cost: Duration,
) -> Result<(Deleted, usize), StoreError> {
    let mut deleted = Deleted::default();
    let mut looked_at = 0;
    for head in heads {
        if !batch.has_room() {
            break;
        }
        looked_at += 1;
        batch.room.expect(1, call_cost);
        let begun = Instant::now();
        let verdict = delete_one(batch, head, keepsake, at).await;
        batch.room.spend(head.organization, begun, 1);
        match verdict {
            Ok(Verdict::Deleted) => deleted.calls += 1,
            Ok(Verdict::Held) => deleted.held += 1,
            Ok(Verdict::NotThere) => {}
            // It is named by a look at the store; the others go on.
            Err(error @ StoreError::Unreadable { .. }) => {
                tracing::warn!(%error, call = %head.uuid, "a damaged call is left as it is by retention");
            }
            Err(error) => return Err(error),
        }
    }
    Ok((deleted, looked_at))
}

enum Verdict {
    Deleted,
    Held,
    NotThere,
}

async fn delete_one(
    batch: &mut Batch<'_>,
    head: &CallHead,
    keepsake: Keepsake,
    at: Timestamp,
) -> Result<Verdict, StoreError> {
    let transaction = batch.transaction.as_mut();
    let found = transaction.find_call(head.organization, &head.name).await?;
    // Meanwhile it may have become part of another.
    if found.is_none_or(|found| found.key != head.key) {
        return Ok(Verdict::NotThere);
    }
    if transaction.hold(head.key).await?.is_some() {
        return Ok(Verdict::Held);
    }
    let Some(filed) = transaction.saved(head.key).await? else { return Ok(Verdict::NotThere) };
    if !filed.call.status().is_ended() {
        return Ok(Verdict::NotThere);
    }
    let content = &filed.call.content;
    let (is_there, kind) = match keepsake {
        Keepsake::Recording => (content.keeps_recording(), kinds::RECORDING_DELETED),
        Keepsake::Transcript => (content.has_words(), kinds::TRANSCRIPT_DELETED),
        Keepsake::Events => (content.sealed_at.is_none(), kinds::EVENTS_DELETED),
        Keepsake::Call => (false, ""),
    };
    let touched = batch.touch(head).await?;
    // Written in any case: an older program may not have noted that nothing of the kind is kept.
    touched.changed = true;
    if !is_there {
        return Ok(Verdict::NotThere);
    }
    let told = vocabulary::deleted(kind, at).map_err(|cause| StoreError::Unavailable(cause.into()))?;
    touched.unrecorded |= told.event.fact == Fact::RecordingDeleted;
    touched.forgets_events |= told.event.fact == Fact::EventsDeleted;
    touched.new.push(told.report.clone());
    touched.kept.add(&told);
    Ok(Verdict::Deleted)
}
