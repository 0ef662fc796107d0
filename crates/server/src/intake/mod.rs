//! The one way in: append, fold, save, commit, publish.
//!
//! Every source hands its events to [`Intake::accept`]. One thread takes as much of what has queued as fits a batch, writes it
//! in one transaction, and only when that is on disk does it update the live set and answer. So whoever got an answer
//! finds its events in the next read, and after a power cut. Nothing else takes events in; only the document of a long
//! call is written elsewhere, in the store.

mod basis;
mod batch;
mod deletion;
mod entrance;
mod erasure;
mod fair;
mod history;
mod outside;
mod queue;
mod redacting;
mod refold;
mod room;
#[cfg(test)]
mod tests;
mod touched;
mod writer;

use pegcount_calls::{CallName, SourceName};
use pegcount_store::{LegSpan, OrganizationNumber};

use crate::vocabulary::{Rejection, Told};

pub use basis::{Renewal, TariffsHandle};
pub use deletion::Deleted;
pub use entrance::{Intake, IntakeError, IntakeParts};
pub use erasure::Erased;
pub use history::Thresholds;
pub use outside::Outside;
pub use refold::{Differing, Reason, Refold, Refolded};

/// Events of one call from one source. Each stands by itself: one that is turned away does not take the others along.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Whose call it is.
    pub organization: OrganizationNumber,
    /// The source they came through.
    pub source: SourceName,
    /// Which call it is.
    pub call: CallReference,
    /// The events.
    pub told: Vec<Told>,
}

/// How a source says which call it speaks of.
#[derive(Clone, Debug)]
pub enum CallReference {
    /// By the call's own name.
    Named(CallName),
    /// By legs that are known to belong to one call. Where two calls turn out to be one, they are merged.
    Legs {
        /// The legs.
        legs: Vec<LegSpan>,
        /// What ties it to other calls in one direction only.
        ties: Ties,
        /// What the call is called if none of the legs is known yet.
        name: CallName,
    },
}

/// Marks that calls leave and look for: they meet only where one looks for what the other has left. So two records that
/// dialled the same name do not meet, while the one that dialled it meets the one that was dialled.
#[derive(Clone, Debug, Default)]
pub struct Ties {
    /// What others may find the call by.
    pub left: Vec<LegSpan>,
    /// What the call is looked for by.
    pub sought: Vec<LegSpan>,
}

/// What became of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is new, and on disk.
    Accepted,
    /// It was known already, word for word.
    Duplicate,
    /// It was turned away.
    Rejected(Rejection),
}
