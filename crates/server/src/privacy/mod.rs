//! Having what must not be kept go: every call of a number, and from the files what was in calls that are gone.

mod erasing;
mod scrubbing;

pub use erasing::{Erasing, erasing_of};
pub use scrubbing::{Asking, Scrubbing};
