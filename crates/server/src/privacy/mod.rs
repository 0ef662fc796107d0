//! Having what must not be kept go: every call of a number, what is old, and from the files what was in calls that are gone.

mod erasing;
mod retention;
mod scrubbing;
mod sweeping;

pub use erasing::{Erasing, erasing_of};
pub use retention::{Config, Retention};
pub use scrubbing::{Asking, Scrubbing};
pub use sweeping::{Sweeping, SweepingParts, make_rounds, overdue};
