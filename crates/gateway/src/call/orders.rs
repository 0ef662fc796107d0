//! How the orders of a call's machine are carried out on its legs, and what comes back.

use std::net::SocketAddr;

use bytes::Bytes;

use super::{
    actor::{Actor, Beginning, Pending},
    door::{Door, Sent},
    failure::OwnFailure,
    identity::{shown, shown_to_carrier},
    index::Entry,
    legs::{Called, Outcome, SipLeg, contact_of, waiting},
    locate::Way,
    session::{Granted, LEAST, SessionAsk},
    wire,
    words::{Body, Failure, Input, LegId, Outgoing, RequestId},
};
use crate::{
    Side, Target, Why,
    sip::{Answer, Header, Invitation, Message, Method, Uri, phrase},
    trace::TraceSeat,
};

impl Actor {
    /// Sends an INVITE.
    pub(super) fn invite(
        &mut self,
        leg: LegId,
        side: Side,
        target: &Target,
        way: Way,
        (offer, session): (Option<Vec<u8>>, u32),
    ) -> Option<Input> {
        let failed = Some(Input::Failed { leg, failure: Failure::Unreachable });
        let Way { door, address, party } = way;
        let Some((caller, about_caller)) = self.caller(target, &door) else { return failed };
        let call_id = format!("{}@{}", uuid::Uuid::now_v7().simple(), door.advertised.ip());
        let trace = self.beginning.trace.as_ref().map(TraceSeat::trace);
        let entry = Entry { leg, side, notes: self.notes.clone(), trace };
        // What comes back may be here before this goes on.
        let Some(seat) = self.shared.index.enter(&call_id, entry) else { return failed };
        let mut headers = vec![
            Header::new("Supported", "timer"),
            Header::new("Allow", wire::ALLOW),
            Header::new("Session-Expires", session.to_string()),
            Header::new("Min-SE", LEAST.to_string()),
        ];
        headers.extend(about_caller);
        headers.extend(offer.is_some().then(wire::sdp_type));
        let tag = uuid::Uuid::new_v4().simple().to_string();
        let expected = self.shared.settings.gate.expect(address.ip());
        let waits = waiting(&self.notes, leg, Sent::Invite);
        let key = door.request(Method::Invite, address, Some(waits), |us, branch| {
            let invitation = Invitation {
                caller: &caller,
                callee: &target.uri,
                call_id: &call_id,
                tag: &tag,
                max_forwards: self.beginning.max_forwards,
                headers: &headers,
                body: offer.as_deref().unwrap_or_default(),
            };
            invitation.written(us, branch)
        });
        let credential = target.credential.clone();
        let called = Called { door, peer: address, party, tag, credential, seat, expected };
        self.legs.insert(leg, SipLeg::called(side, called, key));
        None
    }

    /// The address of who calls as a target is shown it, and further headers about it; nothing where the address is none.
    fn caller(&self, target: &Target, door: &Door) -> Option<(String, Vec<Header>)> {
        let Beginning { from, identity, .. } = &self.beginning;
        match &target.caller {
            Some(caller) => {
                Uri::read(caller).map(|_| shown_to_carrier(caller, target.hides_caller, target.disclosure))
            }
            None => Some(shown(identity, from, target.disclosure, door.advertised)),
        }
    }

    /// What the response to a request of ours means; without one there was none in time.
    pub(super) fn responded(
        &mut self,
        outcome: &Outcome,
        response: Option<&(Message, SocketAddr)>,
    ) -> Option<Input> {
        let leg = outcome.waiting.leg;
        let status = response.map_or(0, |(message, _)| message.status());
        let Some(sip) = self.legs.get_mut(&leg) else {
            if let (Some((message, source)), Sent::Invite) = (response, outcome.waiting.request) {
                self.shared.let_go(&outcome.door, outcome.key, message, *source);
            }
            return None;
        };
        if let Some((message, _)) = response
            && matches!(status, 401 | 407)
            && sip.prove(&self.shared, outcome, message)
        {
            return None;
        }
        let side = sip.side;
        match (outcome.waiting.request, response) {
            (Sent::Bye, Some(_)) if status < 200 => None,
            (Sent::Bye, _) => Some(Input::Closed { leg }),
            (Sent::Other, _) => None,
            (Sent::Offer(exchange), response) => {
                if let Some(accepted) = response.filter(|_| (200..300).contains(&status)) {
                    // An UPDATE has no ACK.
                    match accepted.0.cseq() {
                        Some((_, Method::Invite)) => sip.accepted(&self.shared, outcome, accepted),
                        _ => sip.retarget(&accepted.0, accepted.1),
                    }
                }
                if (100..200).contains(&status) {
                    return None;
                }
                let message = response.map(|(message, _)| message);
                let status = message.map(Message::status);
                let session = message.map(wire::session_ask).unwrap_or_default();
                let body = message.and_then(wire::body);
                let is_taken = status.is_some_and(|status| status < 300);
                if is_taken && body.as_ref().is_some_and(|answer| self.check(side, answer).is_err()) {
                    return Some(Input::Misanswered { leg, exchange });
                }
                Some(Input::Replied { leg, exchange, status, body, session })
            }
            (Sent::Invite, None) => {
                sip.refused();
                Some(Input::Failed { leg, failure: Failure::Unreachable })
            }
            (Sent::Invite, Some((message, _))) if status < 200 => {
                Some(Input::Progress { leg, status, body: wire::body(message) })
            }
            (Sent::Invite, Some(accepted)) if status < 300 => {
                sip.accepted(&self.shared, outcome, accepted);
                let session = wire::session_ask(&accepted.0);
                let body = wire::body(&accepted.0).ok_or(OwnFailure::NoAnswer).and_then(|answer| {
                    self.check(side, &answer).map_err(OwnFailure::UnusableAnswer)?;
                    Ok(answer)
                });
                Some(Input::Accepted { leg, body, session })
            }
            (Sent::Invite, Some((message, _))) => {
                sip.refused();
                let min_session = wire::least_session(message);
                let failure = Failure::Refused { status, reason: wire::reason(message), min_session };
                Some(Input::Failed { leg, failure })
            }
        }
    }

    /// Checks whether an answer of a side can be taken; else says why not.
    fn check(&self, from: Side, answer: &[u8]) -> Result<(), String> {
        let checked = self.media.check_answer(from, answer);
        checked.map_err(|refused| {
            tracing::info!(call = %self.place.call(), %refused, "an answer was refused");
            refused.to_string()
        })
    }

    pub(super) fn cancel(&mut self, leg: LegId) -> Option<Input> {
        let Some(sip) = self.legs.get_mut(&leg) else { return Some(Input::Closed { leg }) };
        sip.cancel();
        None
    }

    pub(super) fn bye(&mut self, leg: LegId, why: &Why) -> Option<Input> {
        let waits = waiting(&self.notes, leg, Sent::Bye);
        let headers = [wire::reason_header(why)];
        let sent = self
            .legs
            .get_mut(&leg)
            .and_then(|sip| sip.send(&self.shared, Method::Bye, waits, (&headers, &[])));
        sent.is_none().then_some(Input::Closed { leg })
    }

    pub(super) async fn send(&mut self, leg: LegId, exchange: u32, request: Outgoing) -> Option<Input> {
        let side = self.legs.get(&leg)?.side;
        let (method, body, session) = match request {
            Outgoing::ReInvite { body, session } => (Method::Invite, body, session),
            Outgoing::Update { body, session } => (Method::Update, body, session),
            Outgoing::Info { content_type, body } => {
                let kind = content_type.map(|kind| Header::new("Content-Type", kind));
                self.tell(leg, Method::Info, kind.as_slice(), &body);
                return None;
            }
            Outgoing::Notify { status, last } => {
                let (headers, body) = notify(status, last);
                self.tell(leg, Method::Notify, &headers, body.as_bytes());
                return None;
            }
        };
        let unsent = |status| {
            let session = SessionAsk::default();
            Some(Input::Replied { leg, exchange, status, body: None, session })
        };
        let Ok(body) = self.words(side, body).await else { return unsent(Some(488)) };
        let mut headers = wire::session_request(session);
        headers.extend(body.is_some().then(wire::sdp_type));
        let waits = waiting(&self.notes, leg, Sent::Offer(exchange));
        let body = body.unwrap_or_default();
        let sent = self.legs.get_mut(&leg)?.send(&self.shared, method, waits, (&headers, &body));
        if sent.is_none() { unsent(None) } else { None }
    }

    /// Sends a request whose response says nothing.
    fn tell(&mut self, leg: LegId, method: Method, headers: &[Header], body: &[u8]) {
        let waits = waiting(&self.notes, leg, Sent::Other);
        if let Some(sip) = self.legs.get_mut(&leg) {
            sip.send(&self.shared, method, waits, (headers, body));
        }
    }

    pub(super) async fn respond(
        &mut self,
        request: RequestId,
        status: u16,
        body: Body,
        session: Option<Granted>,
    ) -> Option<Input> {
        let Pending { leg, door, received } = self.requests.remove(&request)?;
        let side = self.legs.get(&leg).map(|leg| leg.side);
        let words = match side {
            Some(side) => self.words(side, body).await,
            None => Ok(None),
        };
        let words = match words {
            Ok(words) => words,
            Err(reason) => {
                door.respond(&received, &Answer::plain(488));
                return Some(Input::MediaRefused { leg, reason });
            }
        };
        let mut headers = Vec::new();
        if status < 300 {
            headers = wire::session_response(session);
            headers.push(contact_of(&door));
        }
        if status == 422 {
            headers.push(Header::new("Min-SE", LEAST.to_string()));
        }
        headers.extend(words.is_some().then(wire::sdp_type));
        let answer = Answer { status, headers, body: Bytes::from(words.unwrap_or_default()) };
        // One that was cancelled meanwhile has its answer.
        if door.respond(&received, &answer)
            && status < 300
            && let Some(sip) = self.legs.get_mut(&leg)
        {
            sip.owes_ack(&door, &received);
        }
        None
    }
}

/// The headers and body of a NOTIFY on how a REFER goes (RFC 3515, 2.4.5).
fn notify(status: u16, last: bool) -> ([Header; 3], String) {
    let state = if last { "terminated;reason=noresource" } else { "active;expires=120" };
    let headers = [
        Header::new("Event", "refer"),
        Header::new("Subscription-State", state),
        Header::new("Content-Type", "message/sipfrag;version=2.0"),
    ];
    (headers, format!("SIP/2.0 {status} {}\r\n", phrase(status)))
}
