//! Looking for somebody to stand on a side: targets are invited in order, one at a time, until one answers.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;

use super::{
    failure::OwnFailure,
    machine::{LegState, Machine},
    session::{Granted, LEAST, Session, SessionAsk},
    wire,
    words::{Action, Body, Failure, Found, LegId, Outgoing, Timer},
};
use crate::{By, Cause, Plan, Side, Target, What, Why};

/// A call that looks for somebody.
#[derive(Debug)]
pub struct Hunt {
    pub(super) side: Side,
    /// What the other side offers; none: the media offers.
    offer: Option<Bytes>,
    waiting: VecDeque<Candidate>,
    /// The number of a question for a place that was not answered yet.
    locating: Option<u32>,
    current: Option<(LegId, Arc<Target>)>,
    /// Whether the current target was asked for a longer session already.
    lengthened: bool,
    /// The most telling failure so far.
    failed: Option<Why>,
    pub(super) purpose: Purpose,
}

/// Somebody to invite.
#[derive(Debug)]
struct Candidate {
    target: Target,
    /// Whether its place is known, so that it can be invited.
    located: bool,
    /// Whether it is another way to whom the one before it leads to.
    is_other_way: bool,
}

/// What for.
#[derive(Debug)]
pub enum Purpose {
    /// To answer a caller that waits.
    Answer {
        /// Its leg.
        leg: LegId,
        /// The session timer it will get.
        granted: Option<(Session, Granted)>,
    },
    /// To have a first party, for an order to connect two.
    First {
        /// Whom to call then.
        then: Vec<Target>,
    },
    /// To connect the first party, which is there, with a second.
    Second,
    /// To take the place of a party that asked for it.
    Replace {
        /// Its leg; it may be gone meanwhile.
        leg: LegId,
        /// The URI it named.
        to: String,
    },
}

impl Hunt {
    /// One that has not begun.
    pub(super) fn new(side: Side, offer: Option<Bytes>, targets: Vec<Target>, purpose: Purpose) -> Self {
        let waiting = targets.into_iter().take(Plan::MOST_TARGETS).map(|target| {
            let located = wire::way(&target).is_some_and(|way| way.is_plain());
            Candidate { target, located, is_other_way: false }
        });
        let waiting = waiting.collect();
        Self { side, offer, waiting, locating: None, current: None, lengthened: false, failed: None, purpose }
    }

    /// How telling a failure is: what a caller wants to hear of several targets.
    const fn weight(cause: Cause) -> u8 {
        match cause {
            Cause::Rejected | Cause::NotAllowed | Cause::InvalidNumber => 5,
            Cause::Busy => 4,
            Cause::NoAnswer => 3,
            Cause::MediaFailure | Cause::Timeout => 2,
            Cause::Unreachable | Cause::Failure => 1,
            Cause::NormalClearing | Cause::Cancelled => 0,
        }
    }

    fn remember(&mut self, why: Why) {
        if self.failed.as_ref().is_none_or(|failed| Self::weight(why.cause) > Self::weight(failed.cause)) {
            self.failed = Some(why);
        }
    }
}

impl Machine {
    /// Begins a hunt.
    pub(super) fn hunt_on(&mut self, hunt: Hunt) {
        self.hunt = Some(hunt);
        self.next_target();
    }

    /// Invites the next target, or gives up when there is none.
    fn next_target(&mut self) {
        let Some(hunt) = &mut self.hunt else { return };
        hunt.lengthened = false;
        match hunt.waiting.pop_front() {
            Some(Candidate { target, located: true, .. }) => {
                let wish = self.session_wish().max(LEAST);
                self.invite(Arc::new(target), wish);
            }
            Some(Candidate { target, located: false, .. }) => {
                self.exchanges += 1;
                let ticket = self.exchanges;
                hunt.locating = Some(ticket);
                self.start(Timer::Locate, self.limits.provisional);
                self.act(Action::Locate { ticket, target: Arc::new(target) });
            }
            None => {
                let why = hunt.failed.take().unwrap_or_else(|| Cause::InvalidNumber.into());
                self.hunt_failed(why);
            }
        }
    }

    /// The places of a target that was asked for; they go before the targets that still wait.
    pub(super) fn located(&mut self, ticket: u32, targets: Result<Vec<Found>, Why>) {
        let Some(hunt) = self.hunt.as_mut().filter(|hunt| hunt.locating == Some(ticket)) else { return };
        hunt.locating = None;
        match targets {
            Ok(targets) => {
                for Found { target, is_other_way } in targets.into_iter().take(Plan::MOST_TARGETS).rev() {
                    hunt.waiting.push_front(Candidate { target, located: true, is_other_way });
                }
            }
            Err(why) => hunt.remember(why),
        }
        self.stop(Timer::Locate);
        self.next_target();
    }

    /// Nobody found out in time where a target is.
    pub(super) fn not_located(&mut self) {
        if let Some(hunt) = &mut self.hunt
            && hunt.locating.take().is_some()
        {
            hunt.remember(Cause::Unreachable.into());
            self.next_target();
        }
    }

    fn invite(&mut self, target: Arc<Target>, session: u32) {
        let Some((side, offer)) = self.hunt.as_ref().map(|hunt| (hunt.side, hunt.offer.clone())) else {
            return;
        };
        let leg = self.new_leg(side, LegState::Calling { alive: false });
        if let Some(hunt) = &mut self.hunt {
            hunt.current = Some((leg, target.clone()));
        }
        self.attempts += 1;
        self.report(What::InviteSent { uri: target.uri.clone(), attempt: self.attempts });
        let body = offer.map_or(Body::Own, Body::Offer);
        self.start(Timer::Provisional(leg), self.limits.provisional);
        self.act(Action::Invite { leg, side, target, body, session });
    }

    pub(super) fn progress(&mut self, leg: LegId, status: u16, body: Option<Bytes>) {
        let Some(LegState::Calling { alive }) = self.state(leg) else { return };
        if !alive {
            self.stop(Timer::Provisional(leg));
            self.set(leg, LegState::Calling { alive: true });
            self.start(Timer::Ring(leg), self.limits.ring);
        }
        if !matches!(status, 180 | 183) {
            return;
        }
        let waiting = match self.hunt.as_ref().map(|hunt| &hunt.purpose) {
            Some(Purpose::Answer { leg, .. }) => Some(*leg),
            // Of an order to connect two, the one that is called first is whom the call is meant for.
            Some(Purpose::First { .. } | Purpose::Second) => None,
            Some(Purpose::Replace { .. }) | None => return,
        };
        let first = status == 180 && !std::mem::replace(&mut self.rang, true);
        if first {
            self.report(What::Ringing);
        }
        let Some(target) = self.legs.get_mut(&leg) else { return };
        let news = body.filter(|body| target.said.as_ref() != Some(body));
        if let Some(body) = &news {
            target.said = Some(body.clone());
        }
        if let Some(caller) = waiting.filter(|_| first || news.is_some()) {
            // An early answer only fits an offer; a caller without one gets it with the 200.
            let offered = self.legs.get(&caller).is_some_and(|leg| leg.said.is_some());
            let body = news.filter(|_| offered).map_or(Body::None, Body::Answer);
            self.act(Action::Ring { leg: caller, body });
        }
    }

    pub(super) fn accepted(&mut self, leg: LegId, body: Result<Bytes, OwnFailure>, session: &SessionAsk) {
        match self.state(leg) {
            Some(LegState::Calling { .. }) => {}
            // It answered while our CANCEL was on its way.
            Some(LegState::Cancelling) => {
                return self.hang_up(leg, &Cause::NormalClearing.into());
            }
            // A leg that was given up for good answers after all.
            None => return self.act(Action::Bye { leg, why: Cause::NormalClearing.into() }),
            Some(
                LegState::Asked
                | LegState::Unacknowledged
                | LegState::Leaving
                | LegState::Up
                | LegState::Closing,
            ) => return,
        }
        let body = match body {
            Ok(body) => body,
            Err(failure) => {
                let why = failure.into();
                self.hang_up(leg, &why);
                return self.attempt_failed(why);
            }
        };
        self.stop_leg_timers(leg);
        if let Some(leg) = self.legs.get_mut(&leg) {
            leg.state = LegState::Up;
            leg.said = Some(body.clone());
            leg.updates = session.updates;
            leg.session = Session::granted(session);
        }
        self.watch_session(leg);
        self.found(leg, body);
    }

    /// Somebody answered.
    fn found(&mut self, leg: LegId, answer: Bytes) {
        let Some(hunt) = self.hunt.take() else { return };
        match hunt.purpose {
            Purpose::Answer { leg: caller, granted } => self.answer(caller, answer, granted),
            Purpose::First { then } => {
                self.act(Action::Take { leg, answer: answer.clone() });
                self.hunt_on(Hunt::new(Side::Callee, Some(answer), then, Purpose::Second));
            }
            Purpose::Second => {
                self.act(Action::Take { leg, answer });
                self.talk();
            }
            Purpose::Replace { leg: old, to } => {
                let by = hunt.side;
                self.report(What::TransferEnded { by, target: to, result: Ok(()) });
                self.notify(old, 200, true);
                self.hang_up(old, &Cause::NormalClearing.into());
                self.act(Action::Take { leg, answer: answer.clone() });
                self.offer_to_other(by, answer);
            }
        }
    }

    /// Answers the caller that waits.
    fn answer(&mut self, caller: LegId, answer: Bytes, granted: Option<(Session, Granted)>) {
        let Some(leg) = self.legs.get_mut(&caller) else { return };
        let body = if leg.said.is_some() { Body::Answer(answer) } else { Body::Offer(answer) };
        leg.state = LegState::Unacknowledged;
        leg.session = granted.map(|(session, _)| session);
        let session = granted.map(|(_, granted)| granted);
        self.act(Action::Accept { leg: caller, body, session });
        self.start(Timer::Ack(caller), super::machine::RELEASE);
        self.watch_session(caller);
        self.talk();
    }

    /// Both sides are there.
    fn talk(&mut self) {
        self.answered_at = Some(self.now);
        self.report(What::Answered);
        self.start(Timer::Talk, self.limits.talk);
        self.watch_silence();
        if self.record {
            self.act(Action::Record);
        }
        if let Some(codec) = self.early_codec.take() {
            self.media_is_established(codec);
        }
    }

    pub(super) fn failed(&mut self, leg: LegId, failure: Failure) {
        let Some(state) = self.state(leg) else { return };
        match state {
            LegState::Calling { .. } => {}
            LegState::Cancelling => return self.gone(leg),
            LegState::Asked
            | LegState::Unacknowledged
            | LegState::Leaving
            | LegState::Up
            | LegState::Closing => return,
        }
        self.gone(leg);
        if let Failure::Refused { status: 422, min_session: Some(least), .. } = failure
            && let Some(hunt) = self.hunt.as_mut().filter(|hunt| !hunt.lengthened)
            && let Some((_, target)) = &hunt.current
        {
            let target = target.clone();
            hunt.lengthened = true;
            return self.invite(target, least.clamp(LEAST, 86_400));
        }
        self.attempt_failed(match failure {
            Failure::Refused { status, reason, .. } => Why::of_response(status, reason.as_deref()),
            Failure::Unreachable => Cause::Unreachable.into(),
        });
    }

    /// A target took too long.
    pub(super) fn give_up_on(&mut self, leg: LegId, cause: Cause) {
        if matches!(self.state(leg), Some(LegState::Calling { .. })) {
            self.release(leg, &cause.into());
            self.attempt_failed(cause.into());
        }
    }

    fn attempt_failed(&mut self, why: Why) {
        let Some(hunt) = &mut self.hunt else { return };
        // A 6xx speaks for every place the called party has.
        let last = !why.cause.moves_on() || why.status.is_some_and(|status| status >= 600);
        if last {
            hunt.waiting.clear();
            hunt.failed = Some(why);
        } else {
            // Whoever has answered would answer the same by another way; a server that is in trouble has not (RFC 3263,
            // section 4.3).
            if why.cause != Cause::Unreachable {
                while hunt.waiting.pop_front_if(|next| next.is_other_way).is_some() {}
            }
            hunt.remember(why);
        }
        self.next_target();
    }

    /// No target is left.
    fn hunt_failed(&mut self, why: Why) {
        let Some(hunt) = self.hunt.take() else { return };
        match hunt.purpose {
            Purpose::Answer { .. } | Purpose::Second => self.end(why, hunt.side.into()),
            Purpose::First { .. } => self.end(why, By::Caller),
            Purpose::Replace { leg, to } => {
                let status = why.status_for_caller();
                self.report(What::TransferEnded { by: hunt.side, target: to, result: Err(why.clone()) });
                self.notify(leg, status, true);
                // Whoever asked for it has left: nobody is there to go back to.
                if self.connected(hunt.side).is_none() {
                    self.end(why, hunt.side.into());
                }
            }
        }
    }

    /// Ends a hunt because the call ends.
    pub(super) fn drop_hunt(&mut self, why: &Why) {
        let Some(hunt) = self.hunt.take() else { return };
        self.stop(Timer::Locate);
        if let Purpose::Replace { to, .. } = hunt.purpose {
            self.report(What::TransferEnded { by: hunt.side, target: to, result: Err(why.clone()) });
        }
    }

    /// Whether a leg that is gone had asked to be replaced, so that the call goes on without it.
    pub(super) fn leaves_to_be_replaced(&self, leg: LegId) -> bool {
        matches!(&self.hunt, Some(Hunt { purpose: Purpose::Replace { leg: old, .. }, .. }) if *old == leg)
    }

    fn notify(&mut self, leg: LegId, status: u16, last: bool) {
        if self.state(leg) == Some(LegState::Up) {
            self.send(leg, Outgoing::Notify { status, last });
        }
    }
}
