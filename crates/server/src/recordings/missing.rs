//! Recordings that should be there and are not.

use std::{sync::Arc, time::Duration};

use pegcount_calls::{Call, Timestamp};
use pegcount_store::{CallHead, Store, StoreError};

use crate::{clock::Clock, metrics::Metrics};

/// How far back is looked.
const WITHIN_MILLIS: i64 = 24 * 3_600_000;
/// How often they are counted.
const PERIOD: Duration = Duration::from_secs(60);

/// After how long a recording that has not come is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    millis: i64,
}

impl Patience {
    /// So many minutes after the end of its call.
    pub fn minutes(minutes: u32) -> Self {
        Self { millis: i64::from(minutes) * 60_000 }
    }

    /// Whether the recording of this call is missing by now.
    pub fn is_over(self, call: &Call, now: Timestamp) -> bool {
        let due = call.ended_at().map(|ended_at| ended_at.plus_millis(self.millis));
        call.content.lacks_recording() && due.is_some_and(|due| due <= now)
    }
}

/// The newest calls of the last 24 hours whose recordings are missing, of every organization, and how many there are.
///
/// # Errors
/// [`StoreError`].
pub async fn missing(
    store: &dyn Store,
    patience: Patience,
    now: Timestamp,
    limit: u32,
) -> Result<(Vec<CallHead>, u64), StoreError> {
    let ended = [now.plus_millis(-WITHIN_MILLIS), now.plus_millis(1 - patience.millis)];
    store.lacking_recording(ended, limit).await
}

/// Counts them, now and then.
pub async fn count_missing(store: Arc<dyn Store>, metrics: Arc<Metrics>, patience: Patience, clock: Clock) {
    let mut rounds = tokio::time::interval(PERIOD);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        rounds.tick().await;
        match missing(store.as_ref(), patience, clock.now(), 0).await {
            Ok((_, count)) => {
                metrics.recordings_missing.set(count);
            }
            Err(error) => tracing::warn!(%error, "missing recordings cannot be counted"),
        }
    }
}
