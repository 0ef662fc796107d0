//! When a call was answered, and how long the parties talked.

use crate::{End, Role, Speech, Timestamp};

/// A length and what the clocks make of it agree up to this: both are cut off to seconds often.
const TOLERANCE_MILLIS: i64 = 1000;

/// What the events of a call say of its answer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Answer {
    /// The earliest that an event tells.
    told: Option<Timestamp>,
    /// The earliest that a record knows about.
    about: Option<(Timestamp, usize)>,
    /// The earliest that the length of a record implies.
    by_length: Option<(Timestamp, usize)>,
    /// The earliest that a turn of the conversation implies.
    by_speech: Option<(Timestamp, usize)>,
    /// The outside party said something.
    user_spoke: bool,
    /// How long after the answer somebody still spoke.
    longest_speech_millis: i64,
}

fn keep_first(known: &mut Option<(Timestamp, usize)>, at: Timestamp, index: usize) {
    *known = Some(known.map_or((at, index), |known| known.min((at, index))));
}

impl Answer {
    /// Takes in an answer that an event tells.
    pub(super) fn tell(&mut self, at: Timestamp) {
        self.told = Some(self.told.map_or(at, |known| known.min(at)));
    }

    /// Takes in what an end implies.
    pub(super) fn imply(&mut self, index: usize, at: Timestamp, end: &End) {
        if let Some(about) = end.answered_about {
            keep_first(&mut self.about, about, index);
        }
        if let Some(talk) = end.talk_millis.filter(|&talk| talk > 0) {
            let begin = at.plus_millis(-talk);
            // Nobody answers a call before it starts, however long it is said to have taken.
            let begin = end.started_at.map_or(begin, |started_at| begin.max(started_at.min(at)));
            keep_first(&mut self.by_length, begin, index);
        }
    }

    /// Takes in that somebody spoke. A turn is reported when it was spoken or later, so this implies the latest possible
    /// answer.
    pub(super) fn hear(&mut self, index: usize, at: Timestamp, speech: Speech) {
        self.user_spoke |= speech.role == Role::User;
        let start = speech.start_millis.unwrap_or(0).max(0);
        keep_first(&mut self.by_speech, at.plus_millis(-start), index);
        let end = speech.end_millis.unwrap_or(0).max(start);
        self.longest_speech_millis = self.longest_speech_millis.max(end);
    }

    /// The answer that no event tells, and the event that implies it. Somebody who spoke was reached, so a turn of the
    /// outside party implies one too where the call was set up at all (`spoken`).
    pub(super) fn implied(
        &mut self,
        created_at: Timestamp,
        ended_at: Option<Timestamp>,
        spoken: bool,
    ) -> Option<(Timestamp, usize)> {
        if self.told.is_some() {
            return None;
        }
        let by_speech = || {
            let (at, index) = self.by_speech.filter(|_| self.user_spoke && spoken)?;
            // Turns that were told after the end say by their offsets how long the call went on at least.
            let latest = ended_at.map(|ended_at| ended_at.plus_millis(-self.longest_speech_millis));
            Some((latest.map_or(at, |latest| at.min(latest)).max(created_at), index))
        };
        let implied = self.about.or(self.by_length).or_else(by_speech)?;
        self.told = Some(implied.0);
        Some(implied)
    }

    /// The answer, never after the end: of two clocks that contradict each other the end's is believed.
    pub(super) fn at(
        &self,
        created_at: Timestamp,
        ended_at: Option<Timestamp>,
        stated: Option<i64>,
    ) -> Option<Timestamp> {
        let at = self.told?;
        Some(match ended_at {
            Some(ended_at) if at > ended_at => {
                ended_at.plus_millis(-stated.unwrap_or(0)).max(created_at).min(ended_at)
            }
            _ => at,
        })
    }
}

/// The length that goes before what the clocks say. `None` where they say the same: exactly, or a length in whole seconds
/// that they only refine.
pub(super) fn stated(stated: Option<i64>, answered_at: Timestamp, ended_at: Timestamp) -> Option<u64> {
    let stated = u64::try_from(stated?).ok()?;
    let by_clock = u64::try_from(ended_at.since(answered_at).as_millis()).unwrap_or(u64::MAX);
    let is_refined = stated % 1000 == 0 && by_clock / 1000 == stated / 1000;
    (stated != by_clock && !is_refined).then_some(stated)
}

/// Whether a length and what the clocks make of it contradict each other.
pub(crate) fn contradict(stated_millis: i64, clock_millis: i64) -> bool {
    stated_millis.abs_diff(clock_millis) > TOLERANCE_MILLIS.unsigned_abs()
}
