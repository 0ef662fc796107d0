//! Erasing a call.

use pegcount_store::{CallHead, Store, StoreError};

use super::Outside;

/// What came of an order to erase a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Erased {
    /// It is gone, durably.
    Gone,
    /// There is no such call any more.
    Unknown,
    /// It is not over yet, and stays: its source would tell of it again.
    NotOver,
}

/// Erases a call that is over, in a transaction of its own.
pub(super) async fn erase(
    store: &dyn Store,
    head: &CallHead,
    outside: &dyn Outside,
) -> Result<Erased, StoreError> {
    let mut transaction = store.begin().await?;
    let found = transaction.find_call(head.organization, &head.name).await?;
    // Meanwhile it may have become part of another.
    if found.is_none_or(|found| found.key != head.key) {
        return Ok(Erased::Unknown);
    }
    match transaction.saved(head.key).await {
        Ok(Some(filed)) if !filed.call.status().is_ended() => return Ok(Erased::NotOver),
        // What cannot be read can be erased.
        Ok(_) | Err(StoreError::Unreadable { .. }) => {}
        Err(error) => return Err(error),
    }
    transaction.erase(head.key).await?;
    // After it: it takes the jobs of the call along.
    if let Some(job) = outside.forgotten(head.organization, &head.name) {
        transaction.enqueue(&job).await?;
    }
    transaction.commit().await?;
    Ok(Erased::Gone)
}
