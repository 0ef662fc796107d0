//! The state of one call: what happens next when something happened. No clock, no socket, no media inside.
//!
//! A call has legs: dialogs, or attempts at one. At most one leg stands on each side at a time; others are attempts that
//! failed or were cancelled and are not quite gone. A call that looks for somebody to stand on a side has a hunt. Once its
//! end is decided, nothing but letting the legs and the media go happens any more.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;

use super::{
    failure::OwnFailure,
    finish::Ending,
    hunt::{Hunt, Purpose},
    session::{Session, TooShort},
    talk::{Held, Relayed},
    words::{
        Action, Asked, Body, Dial, Failure, Input, Invited, LegId, MediaEvent, Outgoing, RequestId, Timer,
    },
};
use crate::{By, Cause, Limits, Side, What, Why};

/// One call.
#[derive(Debug, Default)]
pub struct Machine {
    pub(super) now: u64,
    pub(super) limits: Limits,
    pub(super) record: bool,
    pub(super) legs: BTreeMap<LegId, Leg>,
    pub(super) next_leg: u32,
    pub(super) attempts: u32,
    pub(super) transfers: u32,
    pub(super) hunt: Option<Hunt>,
    pub(super) relayed: Option<Relayed>,
    pub(super) held: Held,
    pub(super) silent: BTreeSet<Side>,
    pub(super) exchanges: u32,
    pub(super) rang: bool,
    pub(super) answered_at: Option<u64>,
    /// The codec of media that was heard from both sides before the answer.
    pub(super) early_codec: Option<String>,
    pub(super) established: bool,
    pub(super) ending: Option<Ending>,
    pub(super) timers: BTreeSet<Timer>,
    pub(super) actions: Vec<Action>,
    begun: bool,
}

/// One dialog, or an attempt at one.
#[derive(Debug)]
pub struct Leg {
    pub(super) side: Side,
    pub(super) state: LegState,
    pub(super) session: Option<Session>,
    /// What a peer's request for a session timer may be granted, computed when its INVITE came.
    pub(super) updates: bool,
    /// The last SDP it sent.
    pub(super) said: Option<Bytes>,
    /// The key that its last INFO reported as pressed and not yet let go.
    pub(super) pressed: Option<char>,
}

/// How far a leg is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegState {
    /// Its INVITE waits for our final response.
    Asked,
    /// Our INVITE waits for its final response.
    Calling {
        /// Whether it gave a sign of life.
        alive: bool,
    },
    /// We cancelled our INVITE; its final response is still to come.
    Cancelling,
    /// We sent our 2xx and wait for the ACK.
    Unacknowledged,
    /// The same, and hang up as soon as the ACK is here: a BYE may not go before it.
    Leaving,
    /// Connected.
    Up,
    /// We hung up; the confirmation is still to come.
    Closing,
}

impl LegState {
    /// Whether the dialog is confirmed and meant to last.
    pub(super) const fn lives(self) -> bool {
        matches!(self, Self::Unacknowledged | Self::Up)
    }
}

/// Until a leg that we cancelled or hung up must have confirmed it: a little over 64 × T1, the transaction's own limit.
pub(super) const RELEASE: std::time::Duration = std::time::Duration::from_secs(33);

impl Machine {
    /// A call to which nothing happened yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the call is over on all sides.
    pub fn finished(&self) -> bool {
        self.ending.as_ref().is_some_and(|ending| ending.finished)
    }

    /// Whether its end is reported.
    pub fn reported_end(&self) -> bool {
        self.ending.as_ref().is_some_and(|ending| ending.reported)
    }

    /// Takes in what happened at a time (milliseconds since 1970; one that goes back is taken for the latest so far)
    /// and says what to do, in order.
    pub fn step(&mut self, now: u64, input: Input) -> Vec<Action> {
        self.now = self.now.max(now);
        let begins = matches!(input, Input::Invited(_) | Input::Dial(_));
        if !self.finished() && self.begun != begins {
            self.take(input);
            self.settle();
        } else if let Input::Asked { request, .. } = input {
            self.reply(request, 481);
        }
        std::mem::take(&mut self.actions)
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Invited(invited) => self.invited(*invited),
            Input::Dial(dial) => self.dial(*dial),
            Input::Progress { leg, status, body } => self.progress(leg, status, body),
            Input::Accepted { leg, body, session } => self.accepted(leg, body, &session),
            Input::Failed { leg, failure } => self.failed(leg, failure),
            Input::Acknowledged { leg, body } => self.acknowledged(leg, body),
            Input::Cancelled { leg, reason } => self.cancelled(leg, reason.as_deref()),
            Input::Bye { leg, reason } => self.bye(leg, reason.as_deref()),
            Input::Closed { leg } => self.closed(leg),
            Input::Asked { leg, request, ask } => self.asked(leg, request, ask),
            Input::Replied { leg, exchange, status, body, session } => {
                if self.relayed.as_ref().is_some_and(|relayed| relayed.exchange == exchange) {
                    self.replied(leg, status, body, &session);
                }
            }
            Input::Misanswered { leg, exchange } => {
                if self.relayed.as_ref().is_some_and(|relayed| relayed.exchange == exchange) {
                    self.misanswered(leg);
                }
            }
            Input::MediaRefused { leg, reason } => self.media_refused(leg, &reason),
            Input::Located { ticket, targets } => self.located(ticket, targets),
            Input::Media(event) => self.media(event),
            Input::HangUp { reason } => {
                let why = Why::from(Cause::NormalClearing).saying(reason.as_deref());
                self.end(why, By::Api);
            }
            Input::Stop => self.end(Why::from(Cause::NormalClearing).saying(Some("shutdown")), By::System),
            Input::Fired(timer) => self.fired(timer),
        }
    }

    fn invited(&mut self, invited: Invited) {
        self.begun = true;
        let Invited { from, identity, to, sip_call_id, offer, session, plan } = invited;
        self.limits = plan.limits;
        self.record = plan.record;
        let leg = self.new_leg(Side::Caller, LegState::Asked);
        self.report(What::Invited {
            direction: plan.direction,
            from,
            to,
            trunk: plan.trunk.map(|trunk| trunk.name),
            sip_call_id: Some(sip_call_id),
            note: plan.note,
            identity,
        });
        if let Some(caller) = self.legs.get_mut(&leg) {
            caller.said.clone_from(&offer);
            caller.updates = session.updates;
        }
        let wish = self.session_wish();
        match Session::respond(&session, wish) {
            Ok(granted) => {
                let hunt = Hunt::new(Side::Callee, offer, plan.targets, Purpose::Answer { leg, granted });
                self.hunt_on(hunt);
            }
            Err(TooShort) => {
                let why = Why { status: Some(422), ..Cause::Timeout.into() };
                self.legs.remove(&leg);
                self.act(Action::Reject { leg, status: 422, why: why.clone() });
                self.end(why, By::System);
            }
        }
    }

    fn dial(&mut self, dial: Dial) {
        self.begun = true;
        let direction = dial.direction();
        let Dial { from, to, first, plan } = dial;
        self.limits = plan.limits;
        self.record = plan.record;
        let trunk = plan.trunk.map(|trunk| trunk.name);
        let note = plan.note;
        let (sip_call_id, identity) = (None, Arc::default());
        self.report(What::Invited { direction, from, to, trunk, sip_call_id, note, identity });
        let hunt = Hunt::new(Side::Caller, None, first, Purpose::First { then: plan.targets });
        self.hunt_on(hunt);
    }

    fn acknowledged(&mut self, leg: LegId, body: Option<Bytes>) {
        self.stop(Timer::Ack(leg));
        match self.state(leg) {
            Some(LegState::Leaving) => self.hang_up(leg, &self.why_ended()),
            Some(LegState::Unacknowledged) => {
                self.set(leg, LegState::Up);
                self.take_answer(leg, body);
            }
            Some(LegState::Up) => self.take_answer(leg, body),
            Some(LegState::Asked | LegState::Calling { .. } | LegState::Cancelling | LegState::Closing)
            | None => {}
        }
    }

    fn take_answer(&mut self, leg: LegId, answer: Option<Bytes>) {
        if let Some(answer) = answer {
            if let Some(leg) = self.legs.get_mut(&leg) {
                leg.said = Some(answer.clone());
            }
            self.act(Action::Take { leg, answer });
        }
    }

    fn cancelled(&mut self, leg: LegId, reason: Option<&str>) {
        // Our order to accept may have met the CANCEL on its way.
        if matches!(self.state(leg), Some(LegState::Asked | LegState::Unacknowledged | LegState::Leaving)) {
            self.gone(leg);
            let why = Why::of_request(Cause::Cancelled, reason);
            self.end(Why { cause: Cause::Cancelled, ..why }, By::Caller);
        }
    }

    /// A BYE of theirs. It ends the call, but for a party that asked to be replaced and does not wait for it.
    fn bye(&mut self, leg: LegId, reason: Option<&str>) {
        let Some((side, state)) = self.legs.get(&leg).map(|leg| (leg.side, leg.state)) else { return };
        match state {
            LegState::Asked | LegState::Unacknowledged | LegState::Up => {
                self.gone(leg);
                if !self.leaves_to_be_replaced(leg) {
                    self.end(Why::of_request(Cause::NormalClearing, reason), side.into());
                }
            }
            // Their BYE crossed ours, or our CANCEL.
            LegState::Cancelling | LegState::Leaving | LegState::Closing => self.gone(leg),
            // A peer that hangs up a call it has not answered says no.
            LegState::Calling { .. } => {
                self.failed(
                    leg,
                    Failure::Refused { status: 603, reason: reason.map(Into::into), min_session: None },
                );
            }
        }
    }

    fn closed(&mut self, leg: LegId) {
        let Some((side, state)) = self.legs.get(&leg).map(|leg| (leg.side, leg.state)) else { return };
        match state {
            LegState::Calling { .. } => self.failed(leg, Failure::Unreachable),
            LegState::Cancelling | LegState::Closing | LegState::Leaving => self.gone(leg),
            LegState::Asked | LegState::Unacknowledged | LegState::Up => {
                self.gone(leg);
                if !self.leaves_to_be_replaced(leg) {
                    let cause = if state == LegState::Up { Cause::Unreachable } else { Cause::Timeout };
                    self.end(cause.into(), side.into());
                }
            }
        }
    }

    fn asked(&mut self, leg: LegId, request: RequestId, ask: Asked) {
        if self.ending.is_some() || !self.state(leg).is_some_and(LegState::lives) {
            return self.reply(request, 481);
        }
        match ask {
            Asked::ReInvite { body, session } => self.offered(leg, request, body, &session, false),
            Asked::Update { body, session } => self.offered(leg, request, body, &session, true),
            Asked::Info { keys, content_type, body } => {
                self.reply(request, 200);
                self.informed(leg, &keys, content_type, body);
            }
            Asked::Refer { to, target } => self.referred(leg, request, to, target),
            Asked::Ping => self.reply(request, 200),
            Asked::Unknown => self.reply(request, 405),
        }
    }

    fn media_refused(&mut self, leg: LegId, reason: &str) {
        if matches!(self.state(leg), Some(LegState::Calling { .. } | LegState::Unacknowledged)) {
            self.gone(leg);
        }
        let failure = match self.answered_at {
            None => OwnFailure::NoSession(reason.to_owned()),
            Some(_) => OwnFailure::LostSession(reason.to_owned()),
        };
        self.end(failure.into(), By::System);
    }

    fn media(&mut self, event: MediaEvent) {
        match event {
            MediaEvent::Established { codec } => self.media_established(codec),
            MediaEvent::Quality { side, quality } => self.report_open(What::MediaQuality { side, quality }),
            MediaEvent::Dtmf { side, digit } => self.report_open(What::Dtmf { side, digit }),
            MediaEvent::Silent(side) => {
                self.silent.insert(side);
                self.watch_silence();
            }
            MediaEvent::Heard(side) => {
                self.silent.remove(&side);
                self.watch_silence();
            }
            MediaEvent::Refused { side, from, expected } => {
                self.report_open(What::MediaRefused { side, from, expected });
            }
            MediaEvent::RecordingBegun => self.report_open(What::RecordingBegun),
            MediaEvent::RecordingCut { dropped } => self.report_open(What::RecordingCut { dropped }),
            MediaEvent::Closed => self.media_closed(),
        }
    }

    /// Times the silence of a side that ought to be heard.
    pub(super) fn watch_silence(&mut self) {
        let talks = self.ending.is_none() && self.answered_at.is_some() && !self.held.any();
        for side in Side::BOTH {
            let timer = Timer::Silence(side);
            match (talks && self.silent.contains(&side), self.timers.contains(&timer)) {
                (true, false) => self.start(timer, self.limits.silence),
                (false, true) => self.stop(timer),
                (true, true) | (false, false) => {}
            }
        }
    }

    fn media_established(&mut self, codec: String) {
        match self.answered_at {
            Some(answered) if !self.established => {
                self.established = true;
                let latency_ms = self.now.saturating_sub(answered);
                self.report_open(What::MediaEstablished { codec, latency_ms });
            }
            Some(_) => {}
            None => self.early_codec = Some(codec),
        }
    }

    fn fired(&mut self, timer: Timer) {
        if !self.timers.remove(&timer) {
            return;
        }
        match timer {
            Timer::Locate => self.not_located(),
            Timer::Provisional(leg) => self.give_up_on(leg, Cause::Unreachable),
            Timer::Ring(leg) => self.give_up_on(leg, Cause::NoAnswer),
            Timer::Ack(leg) => self.never_acknowledged(leg),
            Timer::Release(leg) => {
                self.act(Action::Abandon { leg });
                self.gone(leg);
            }
            Timer::Refresh(leg) => self.refresh(leg),
            Timer::Expiry(leg) => {
                if self.legs.contains_key(&leg) {
                    self.end(OwnFailure::SessionExpired.into(), By::System);
                }
            }
            Timer::Glare => self.offer_again(),
            Timer::Talk => self.end(OwnFailure::LongestCall.into(), By::System),
            Timer::Silence(_) => {
                self.end(OwnFailure::NoMedia.into(), By::System);
            }
            Timer::Media => self.media_closed(),
        }
    }

    fn never_acknowledged(&mut self, leg: LegId) {
        if self.ending.is_none() {
            self.end(OwnFailure::NoAck.into(), By::System);
        }
        // `end` leaves a leg that owes its ACK alone; this one will not send it any more.
        self.hang_up(leg, &self.why_ended());
    }
}

/// The means of all the rest.
impl Machine {
    pub(super) fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    pub(super) fn report(&mut self, what: What) {
        self.act(Action::Report { at: self.now, what });
    }

    /// Reports, unless the end is reported already.
    pub(super) fn report_open(&mut self, what: What) {
        if self.begun && !self.ending.as_ref().is_some_and(|ending| ending.reported) {
            self.report(what);
        }
    }

    /// Sends a request within a dialog, and says by which number its response will be known.
    pub(super) fn send(&mut self, leg: LegId, request: Outgoing) -> u32 {
        self.exchanges += 1;
        let exchange = self.exchanges;
        self.act(Action::Send { leg, exchange, request });
        exchange
    }

    pub(super) fn reply(&mut self, request: RequestId, status: u16) {
        self.act(Action::Reply { request, status, body: Body::None, session: None });
    }

    pub(super) fn start(&mut self, timer: Timer, after: std::time::Duration) {
        self.timers.insert(timer);
        self.act(Action::Start { timer, after });
    }

    pub(super) fn stop(&mut self, timer: Timer) {
        if self.timers.remove(&timer) {
            self.act(Action::Stop { timer });
        }
    }

    pub(super) fn stop_leg_timers(&mut self, leg: LegId) {
        for timer in [
            Timer::Provisional(leg),
            Timer::Ring(leg),
            Timer::Ack(leg),
            Timer::Release(leg),
            Timer::Refresh(leg),
            Timer::Expiry(leg),
        ] {
            self.stop(timer);
        }
    }

    pub(super) fn state(&self, leg: LegId) -> Option<LegState> {
        self.legs.get(&leg).map(|leg| leg.state)
    }

    pub(super) fn set(&mut self, leg: LegId, state: LegState) {
        if let Some(leg) = self.legs.get_mut(&leg) {
            leg.state = state;
        }
    }

    pub(super) fn new_leg(&mut self, side: Side, state: LegState) -> LegId {
        let id = LegId(self.next_leg);
        self.next_leg += 1;
        self.legs.insert(id, Leg { side, state, session: None, updates: false, said: None, pressed: None });
        id
    }

    /// The leg that stands on a side and is connected.
    pub(super) fn connected(&self, side: Side) -> Option<LegId> {
        self.legs.iter().find(|(_, leg)| leg.side == side && leg.state.lives()).map(|(id, _)| *id)
    }

    /// The same, when it also takes requests of ours: its ACK is here.
    pub(super) fn ready(&self, side: Side) -> Option<LegId> {
        self.connected(side).filter(|leg| self.state(*leg) == Some(LegState::Up))
    }

    pub(super) fn session_wish(&self) -> u32 {
        u32::try_from(self.limits.session.as_secs()).unwrap_or(u32::MAX)
    }
}
