//! The shapes of what keeps calls from going, and of what has them go.

use pegcount_calls::Timestamp;
use uuid::Uuid;

use crate::{CallHead, CallKey, OrganizationNumber};

/// That a call must not go for the time being.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Why, in somebody's words.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
}

/// What is kept of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Keepsake {
    /// A recording.
    Recording,
    /// What was said.
    Transcript,
    /// The events that it is folded from.
    Events,
    /// The call itself.
    Call,
}

impl Keepsake {
    /// Each of them.
    pub const ALL: [Self; 4] = [Self::Recording, Self::Transcript, Self::Events, Self::Call];
}

/// Where a call lies in the order of the ends.
pub type EndPlace = (Timestamp, CallKey);

/// Which calls are old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OldCalls {
    /// Whose.
    pub organization: OrganizationNumber,
    /// Of which this is kept.
    pub keepsake: Keepsake,
    /// That ended before then.
    pub ended_before: Timestamp,
    /// After this place; `None`: from the beginning.
    pub after: Option<EndPlace>,
    /// How many are looked at.
    pub limit: u32,
}

/// Old calls, as far as was looked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OldPage {
    /// The calls.
    pub calls: Vec<CallHead>,
    /// Where the look ended; `None` when there are no more.
    pub next: Option<EndPlace>,
}

/// An order to erase every call from and to a number.
#[derive(Clone, PartialEq, Eq)]
pub struct Erasure {
    /// Its id.
    pub id: Uuid,
    /// Whose calls.
    pub organization: OrganizationNumber,
    /// The digits of the number; `None` once its calls are gone.
    pub digits: Option<String>,
    /// When it was ordered.
    pub created_at: Timestamp,
    /// When nothing was left to do.
    pub finished_at: Option<Timestamp>,
    /// How far it has come.
    pub progress: ErasureProgress,
}

impl std::fmt::Debug for Erasure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Erasure({})", self.id)
    }
}

/// How far the erasure of a number's calls has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErasureProgress {
    /// Calls that are gone. After a crash a few may be missing from it.
    pub erased: u64,
    /// Calls that stay since they are on hold.
    pub held: u64,
    /// Calls that were not over when all were looked at the last time.
    pub live: u64,
}

/// How the words of deleted calls stand in the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scrub {
    /// None are left.
    Clean,
    /// Some went.
    Moved,
    /// There are some, and what was begun is through: it has to begin again.
    Idle,
}
