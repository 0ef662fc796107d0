//! Having what must not be kept go: every call of a number, and from the files what was in calls that are gone.

mod erasing;
mod scrubbing;

pub use erasing::{Erasing, erasing_of};
pub use scrubbing::{Scrubbing, scrubbing_of};

use pegcount_store::StoreError;

use crate::jobs::Setback;

/// It may be done another time.
fn later(reason: impl Into<String>) -> Setback {
    Setback::Later { reason: reason.into(), after: None }
}

/// A store that cannot be used: what is wrong with it is told where it is looked after.
fn unusable(error: &StoreError) -> Setback {
    later(format!("the ledger cannot be used: {error}"))
}
