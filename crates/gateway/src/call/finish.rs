//! How a call ends: every leg is let go, the media is closed, and the end is reported once.

use std::time::Duration;

use super::{
    machine::{LegState, Machine, RELEASE},
    words::{Action, LegId, Timer},
};
use crate::{By, Cause, Ended, Side, What, Why};

/// How long the media may take to close.
const MEDIA: Duration = Duration::from_secs(2);

/// A decided end.
#[derive(Debug)]
pub struct Ending {
    why: Why,
    by: By,
    at: u64,
    media_closed: bool,
    pub(super) reported: bool,
    pub(super) finished: bool,
}

impl Machine {
    /// Decides the end. The first decision counts.
    pub(super) fn end(&mut self, why: Why, by: By) {
        if self.ending.is_some() {
            return;
        }
        let at = self.now;
        let told = why.clone();
        self.ending = Some(Ending { why, by, at, media_closed: false, reported: false, finished: false });
        let why = told;
        self.drop_relayed(487);
        self.drop_hunt(&why);
        for timer in [Timer::Talk, Timer::Glare, Timer::Silence(Side::Caller), Timer::Silence(Side::Callee)] {
            self.stop(timer);
        }
        let legs: Vec<LegId> = self.legs.keys().copied().collect();
        for leg in legs {
            self.release(leg, &why);
        }
        self.act(Action::CloseMedia);
        self.start(Timer::Media, MEDIA);
    }

    /// Lets go a leg, in the way its state asks for.
    pub(super) fn release(&mut self, leg: LegId, why: &Why) {
        match self.state(leg) {
            Some(LegState::Asked) => {
                let status = why.status_for_caller();
                self.gone(leg);
                self.act(Action::Reject { leg, status, why: why.clone() });
            }
            // A CANCEL may not go before a provisional response (RFC 3261, 9.1). Whoever gave no sign of life so far is left
            // alone, and cancelled or hung up when it answers after all: nobody waits for it.
            Some(LegState::Calling { alive: false }) => {
                self.gone(leg);
                self.act(Action::Abandon { leg });
            }
            Some(LegState::Calling { alive: true }) => {
                self.stop_leg_timers(leg);
                self.set(leg, LegState::Cancelling);
                self.act(Action::Cancel { leg });
                self.start(Timer::Release(leg), RELEASE);
            }
            // A BYE may not go before the ACK is here (RFC 3261, 15); its timer runs on.
            Some(LegState::Unacknowledged) => {
                self.stop(Timer::Refresh(leg));
                self.stop(Timer::Expiry(leg));
                self.set(leg, LegState::Leaving);
            }
            Some(LegState::Up) => self.hang_up(leg, why),
            Some(LegState::Cancelling | LegState::Leaving | LegState::Closing) | None => {}
        }
    }

    /// Sends the BYE of a leg that is confirmed.
    pub(super) fn hang_up(&mut self, leg: LegId, why: &Why) {
        if matches!(self.state(leg), None | Some(LegState::Closing)) {
            return;
        }
        self.stop_leg_timers(leg);
        self.set(leg, LegState::Closing);
        self.act(Action::Bye { leg, why: why.clone() });
        self.start(Timer::Release(leg), RELEASE);
    }

    /// A leg is over.
    pub(super) fn gone(&mut self, leg: LegId) {
        self.stop_leg_timers(leg);
        self.legs.remove(&leg);
        self.drop_relayed_of(leg);
    }

    pub(super) fn media_closed(&mut self) {
        if let Some(ending) = &mut self.ending {
            ending.media_closed = true;
            self.stop(Timer::Media);
        }
    }

    /// Why the call ended, for a leg that is let go after that.
    pub(super) fn why_ended(&self) -> Why {
        self.ending.as_ref().map_or_else(|| Cause::NormalClearing.into(), |ending| ending.why.clone())
    }

    /// Reports the end when the media said its last, and finishes when every leg is gone.
    pub(super) fn settle(&mut self) {
        let answered_at = self.answered_at;
        let Some(ending) = &mut self.ending else { return };
        if !ending.media_closed {
            return;
        }
        if !ending.reported {
            ending.reported = true;
            let ended = Ended {
                why: ending.why.clone(),
                by: ending.by,
                talked_ms: answered_at.map(|answered| ending.at.saturating_sub(answered)),
                dropped_reports: 0,
            };
            self.report(What::Ended(ended));
        }
        if let Some(ending) = &mut self.ending
            && self.legs.is_empty()
        {
            ending.finished = true;
            self.act(Action::Finish);
        }
    }
}
