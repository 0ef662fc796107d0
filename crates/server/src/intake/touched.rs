//! A call while events of one batch change it.

use pegcount_calls::{Call, Event, Fact, History};
use pegcount_store::{CallHead, Report};

use super::history::Kept;

/// A call that a batch touches.
pub(super) struct Touched {
    pub(super) head: CallHead,
    pub(super) kept: Kept,
    /// What is left of a call whose events are gone, once something else was deleted of it.
    pub(super) sealed: Option<Call>,
    pub(super) new: Vec<Report>,
    /// Whether it is to be folded and written: repetitions alone change nothing.
    pub(super) changed: bool,
    /// Whether a recording was reported, be it once more.
    pub(super) recorded: bool,
    /// Whether an end, an answer or a transcript was reported.
    pub(super) spoken: bool,
    /// Whether an end was reported, of a leg or of the call.
    pub(super) ended: bool,
    /// Recordings of our own that new events name.
    pub(super) objects: Vec<String>,
    /// Whether new events name a recording of somebody else's.
    pub(super) recorded_elsewhere: bool,
    /// Whether it was told that a recording is gone.
    pub(super) unrecorded: bool,
    /// Whether one of our own was named that must not be kept any more.
    pub(super) forgets_object: bool,
    /// Whether something that was on disk was blanked.
    pub(super) forgets_words: bool,
    /// Whether its events go, all but what is new.
    pub(super) forgets_events: bool,
}

impl Touched {
    pub(super) fn new(head: CallHead, kept: Kept) -> Self {
        Self {
            head,
            kept,
            sealed: None,
            new: Vec::new(),
            changed: false,
            recorded: false,
            spoken: false,
            ended: false,
            objects: Vec::new(),
            recorded_elsewhere: false,
            unrecorded: false,
            forgets_object: false,
            forgets_words: false,
            forgets_events: false,
        }
    }

    /// The call as it was last made.
    pub(super) fn call(&self) -> Option<&Call> {
        self.sealed.as_ref().or_else(|| self.kept.call())
    }

    /// Whether events name a recording of our own.
    pub(super) fn names_object(&self) -> bool {
        let of_ours = |event: &Event| matches!(&event.fact, Fact::RecordingReady(recording) if recording.object.is_some());
        self.kept.history().map(History::events).unwrap_or_default().iter().any(of_ours)
    }
}
