//! A call whose two sides talk: offers on their way from one to the other, hold, keys, transfers, session timers.

use std::time::Duration;

use bytes::Bytes;

use super::{
    hunt::{Hunt, Purpose},
    keys::Keys,
    machine::{LegState, Machine},
    session::{Granted, Session, SessionAsk},
    words::{Action, Body, LegId, Outgoing, RequestId, Timer},
};
use crate::{Cause, Side, Target, What};

/// How often an offer that meets one from the other side is sent.
const TRIES: u32 = 3;
/// Transfers of one call.
const MOST_TRANSFERS: u32 = 8;

/// An offer on its way from one leg to the other, or one of ours.
#[derive(Debug)]
pub struct Relayed {
    /// The request it came with; none: it is ours.
    from: Option<(LegId, RequestId, Option<Granted>)>,
    to: LegId,
    /// The offer; none: a refresh of the session.
    offer: Option<Bytes>,
    update: bool,
    tries: u32,
    /// The number of the request that carries it.
    pub(super) exchange: u32,
}

/// Which sides hold the other.
#[derive(Debug, Default)]
pub struct Held([bool; 2]);

impl Held {
    pub(super) const fn any(&self) -> bool {
        self.0[0] || self.0[1]
    }

    const fn at(&mut self, side: Side) -> &mut bool {
        match side {
            Side::Caller => &mut self.0[0],
            Side::Callee => &mut self.0[1],
        }
    }
}

/// Whether an SDP puts its reader on hold: it sends only, or nothing, or has no address to send to.
pub fn holds(sdp: &[u8]) -> bool {
    sdp.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).any(|line| {
        matches!(line, b"a=sendonly" | b"a=inactive") || line == b"c=IN IP4 0.0.0.0" || line == b"c=IN IP6 ::"
    })
}

impl Machine {
    /// An offer within the call, or a refresh of the session.
    pub(super) fn offered(
        &mut self,
        leg: LegId,
        request: RequestId,
        body: Option<Bytes>,
        session: &SessionAsk,
        update: bool,
    ) {
        let wish = self.session_wish();
        let Ok(granted) = Session::respond(session, wish) else {
            return self.reply(request, 422);
        };
        let known = self.legs.get(&leg).is_some_and(|leg| body.is_none() || leg.said == body);
        if known {
            // A refresh, or a peer that wants to hear our SDP again.
            let body = if update && body.is_none() { Body::None } else { Body::Own };
            let session = self.grant(leg, granted);
            return self.act(Action::Reply { request, status: 200, body, session });
        }
        let other = self.legs.get(&leg).and_then(|leg| self.ready(leg.side.other()));
        match (other, &self.relayed, &self.hunt) {
            (Some(to), None, None) => {
                let granted = self.grant(leg, granted);
                self.relayed = Some(Relayed {
                    from: Some((leg, request, granted)),
                    to,
                    offer: body,
                    update,
                    tries: 0,
                    exchange: 0,
                });
                self.offer_again();
            }
            // Another offer is on its way, or nobody is there to take this one yet (RFC 3261, 14.2).
            _ => self.reply(request, 491),
        }
    }

    /// Tells the other side what a party that is new on one side said.
    pub(super) fn offer_to_other(&mut self, side: Side, offer: Bytes) {
        if let Some(to) = self.ready(side.other())
            && self.relayed.is_none()
        {
            self.relayed =
                Some(Relayed { from: None, to, offer: Some(offer), update: false, tries: 0, exchange: 0 });
            self.offer_again();
        }
    }

    /// Sends the offer that is on its way, for the first time or again.
    pub(super) fn offer_again(&mut self) {
        let Some(relayed) = &mut self.relayed else { return };
        relayed.tries += 1;
        let (to, update) = (relayed.to, relayed.update);
        let body = relayed.offer.clone().map(Body::Offer);
        let leg = self.legs.get(&to);
        let session = leg.and_then(|leg| leg.session).map(Session::refreshing);
        let update = update && leg.is_some_and(|leg| leg.updates);
        let request = if update {
            Outgoing::Update { body: body.unwrap_or(Body::None), session }
        } else {
            Outgoing::ReInvite { body: body.unwrap_or(Body::Own), session }
        };
        let exchange = self.send(to, request);
        if let Some(relayed) = &mut self.relayed {
            relayed.exchange = exchange;
        }
    }

    /// The final response to an offer or refresh.
    pub(super) fn replied(
        &mut self,
        leg: LegId,
        status: Option<u16>,
        body: Option<Bytes>,
        session: &SessionAsk,
    ) {
        let Some(relayed) = self.relayed.take_if(|relayed| relayed.to == leg) else { return };
        let Some(side) = self.legs.get(&leg).map(|leg| leg.side) else { return };
        match status {
            Some(200..=299) => self.offer_taken(leg, relayed, body, session),
            Some(491) if relayed.tries < TRIES => {
                // 2.1 to 4 s for who owns the Call-ID (RFC 3261, 14.1); 0 to 2 s for who does not.
                let step = self.now % 190;
                let after = if leg == LegId(0) { 10 * step } else { 2_100 + 10 * step };
                self.relayed = Some(relayed);
                self.start(Timer::Glare, Duration::from_millis(after));
            }
            // The peer knows no UPDATE after all.
            Some(405 | 501) if relayed.update => {
                if let Some(leg) = self.legs.get_mut(&leg) {
                    leg.updates = false;
                }
                self.relayed = Some(Relayed { update: false, ..relayed });
                self.offer_again();
            }
            // The peer knows nothing of the call any more (RFC 3261, 12.2.1.2; RFC 4028, 10).
            None | Some(408 | 481) => {
                self.answer_requester(&relayed, 500);
                self.end(Cause::Unreachable.into(), side.into());
            }
            Some(status) => {
                let told = if matches!(status, 403 | 415 | 488 | 491 | 603 | 606) { status } else { 488 };
                self.answer_requester(&relayed, told);
                self.watch_session(leg);
            }
        }
    }

    fn offer_taken(&mut self, leg: LegId, relayed: Relayed, body: Option<Bytes>, session: &SessionAsk) {
        if let Some(to) = self.legs.get_mut(&leg) {
            to.session = Session::granted(session).or(to.session);
            if body.is_some() {
                to.said.clone_from(&body);
            }
        }
        self.watch_session(leg);
        match (relayed.from, body) {
            (Some((from, request, session)), Some(answer)) => {
                let status = 200;
                self.act(Action::Reply { request, status, body: Body::Answer(answer), session });
                if let Some(offer) = relayed.offer {
                    self.holding(from, &offer);
                    if let Some(from) = self.legs.get_mut(&from) {
                        from.said = Some(offer);
                    }
                }
            }
            (Some((_, request, _)), None) => self.reply(request, 488),
            (None, Some(answer)) => self.act(Action::Take { leg, answer }),
            (None, None) => {}
        }
    }

    /// An answer without a codec of its offer (RFC 3264, 6.1): the requester is refused, and the talk goes on as before.
    /// The answering side took the offer, so it gets the previous offer again.
    pub(super) fn misanswered(&mut self, leg: LegId) {
        let Some(relayed) = self.relayed.take_if(|relayed| relayed.to == leg) else { return };
        self.answer_requester(&relayed, 488);
        self.watch_session(leg);
        if relayed.from.is_some() && self.state(leg) == Some(LegState::Up) {
            let again = Relayed { from: None, to: leg, offer: None, update: false, tries: 0, exchange: 0 };
            self.relayed = Some(again);
            self.offer_again();
        }
    }

    /// Notes who holds whom by an offer that was taken.
    fn holding(&mut self, leg: LegId, offer: &[u8]) {
        let Some(by) = self.legs.get(&leg).map(|leg| leg.side) else { return };
        let holds = holds(offer);
        if std::mem::replace(self.held.at(by), holds) != holds {
            self.report(if holds { What::Held { by } } else { What::Resumed { by } });
        }
        self.watch_silence();
    }

    fn answer_requester(&mut self, relayed: &Relayed, status: u16) {
        if let Some((_, request, _)) = relayed.from {
            self.reply(request, status);
        }
    }

    /// Gives up the offer on its way.
    pub(super) fn drop_relayed(&mut self, status: u16) {
        if let Some(relayed) = self.relayed.take() {
            self.stop(Timer::Glare);
            self.answer_requester(&relayed, status);
        }
    }

    /// Gives up the offer on its way when it is to or from a leg that is gone.
    pub(super) fn drop_relayed_of(&mut self, leg: LegId) {
        let concerned = self.relayed.as_ref().is_some_and(|relayed| {
            relayed.to == leg || relayed.from.as_ref().is_some_and(|(from, ..)| *from == leg)
        });
        if concerned {
            self.drop_relayed(487);
        }
    }

    /// An INFO: its keys are reported, and the other side gets it as it is.
    pub(super) fn informed(&mut self, leg: LegId, keys: &Keys, content_type: Option<String>, body: Bytes) {
        let Some(of) = self.legs.get_mut(&leg) else { return };
        let (side, held) = (of.side, of.pressed.take());
        if !keys.is_release {
            of.pressed = keys.pressed.last().copied();
        }
        // Its press was reported.
        let is_known = keys.is_release && keys.pressed.first() == held.as_ref();
        for digit in keys.pressed.iter().copied().filter(|_| !is_known) {
            self.report(What::Dtmf { side, digit });
        }
        if let Some(other) = self.ready(side.other()) {
            self.send(other, Outgoing::Info { content_type, body });
        }
    }

    /// A REFER: the party wants to be replaced by another.
    pub(super) fn referred(&mut self, leg: LegId, request: RequestId, to: String, target: Option<Target>) {
        let Some(by) = self.legs.get(&leg).map(|leg| leg.side) else { return };
        let offer = self.connected(by.other()).and_then(|other| self.legs.get(&other)?.said.clone());
        let free = self.hunt.is_none() && self.relayed.is_none() && self.answered_at.is_some();
        let (Some(target), Some(offer)) = (target, offer) else {
            return self.reply(request, 603);
        };
        if !free || self.transfers >= MOST_TRANSFERS || self.state(leg) != Some(LegState::Up) {
            return self.reply(request, 491);
        }
        self.transfers += 1;
        self.reply(request, 202);
        self.report(What::TransferAsked { by, target: to.clone() });
        self.send(leg, Outgoing::Notify { status: 100, last: false });
        self.hunt_on(Hunt::new(by, Some(offer), vec![target], Purpose::Replace { leg, to }));
    }

    /// Notes the session timer that a request set, and says how to respond.
    fn grant(&mut self, leg: LegId, granted: Option<(Session, Granted)>) -> Option<Granted> {
        let (session, granted) = granted?;
        if let Some(leg) = self.legs.get_mut(&leg) {
            leg.session = Some(session);
        }
        self.watch_session(leg);
        Some(granted)
    }

    /// Starts the timers of a leg's session anew.
    pub(super) fn watch_session(&mut self, leg: LegId) {
        self.stop(Timer::Refresh(leg));
        self.stop(Timer::Expiry(leg));
        let Some(session) = self.legs.get(&leg).filter(|leg| leg.state.lives()).and_then(|leg| leg.session)
        else {
            return;
        };
        if session.ours {
            self.start(Timer::Refresh(leg), session.refresh_after());
        } else {
            self.start(Timer::Expiry(leg), session.dead_after());
        }
    }

    /// Refreshes the session with a leg.
    pub(super) fn refresh(&mut self, leg: LegId) {
        if self.ending.is_some() || self.state(leg) != Some(LegState::Up) {
            return;
        }
        if self.relayed.is_some() {
            // An offer that is on its way to this leg refreshes it; another is soon through.
            return self.start(Timer::Refresh(leg), Duration::from_secs(5));
        }
        self.relayed =
            Some(Relayed { from: None, to: leg, offer: None, update: true, tries: 0, exchange: 0 });
        self.offer_again();
    }

    pub(super) fn media_is_established(&mut self, codec: String) {
        if !std::mem::replace(&mut self.established, true) {
            self.report(What::MediaEstablished { codec, latency_ms: 0 });
        }
    }
}
