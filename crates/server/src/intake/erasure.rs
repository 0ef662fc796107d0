//! Erasing a call.

use pegcount_calls::CallName;
use pegcount_store::{CallHead, Hold, Store, StoreError};

use super::{Outside, outside::wanted};

/// What came of an order to erase a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Erased {
    /// It is gone, durably.
    Gone,
    /// There is no such call any more.
    Unknown,
    /// It is not over yet, and stays: its source would tell of it again.
    NotOver,
    /// It is on hold, and stays.
    Held(Hold),
}

/// Erases a call that is over, in a transaction of its own; what it was called, if it is gone.
pub(super) async fn erase(
    store: &dyn Store,
    head: &CallHead,
    outside: &[Box<dyn Outside>],
) -> Result<(Erased, Vec<CallName>), StoreError> {
    let mut transaction = store.begin().await?;
    let found = transaction.find_call(head.organization, &head.name).await?;
    // Meanwhile it may have become part of another.
    if found.is_none_or(|found| found.key != head.key) {
        return Ok((Erased::Unknown, Vec::new()));
    }
    if let Some(hold) = transaction.hold(head.key).await? {
        return Ok((Erased::Held(hold), Vec::new()));
    }
    match transaction.saved(head.key).await {
        Ok(Some(filed)) if !filed.call.status().is_ended() => return Ok((Erased::NotOver, Vec::new())),
        // What cannot be read can be erased.
        Ok(_) | Err(StoreError::Unreadable { .. }) => {}
        Err(error) => return Err(error),
    }
    // What became part of it may have left a recording under its own name.
    let names = transaction.names(head.key).await?;
    transaction.erase(head.key).await?;
    // After it: it takes the jobs of the call along.
    let forgotten =
        names.iter().flat_map(|name| wanted(outside, |one| one.forgotten(head.organization, name)));
    let jobs: Vec<_> = wanted(outside, |one| one.gone(head.organization)).chain(forgotten).collect();
    for job in &jobs {
        transaction.enqueue(job).await?;
    }
    transaction.commit().await?;
    Ok((Erased::Gone, names))
}
