//! The dialogs of a call: how orders are carried out on them, and what their peers say.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{
    actor::Note,
    door::{Door, Sent, Transport, Waiting},
    index::Seat,
    media::Party,
    ringing::Ringing,
    session::Granted,
    switch::Shared,
    wire,
    words::{Input, LegId},
};
use crate::{
    Credential, Side, Why,
    guard::Expected,
    registrar::proof,
    sip::{
        Answer, ClientKey, Dialog, Header, Message, Method, Received, ServerKey, target_of, written_again,
    },
};

/// One dialog of a call, or an attempt at one. Dropped, it is gone: an INVITE of ours is cancelled, one of theirs refused.
pub(super) struct SipLeg {
    pub(super) side: Side,
    /// What the media has to know of it.
    pub(super) party: Party,
    door: Arc<Door>,
    /// Where its messages come from, or went first.
    peer: SocketAddr,
    /// There is none before an INVITE of ours is accepted.
    dialog: Option<Dialog>,
    invite: Invite,
    /// What was said before the final response, to a caller that acknowledges that.
    ringing: Option<Ringing>,
    /// INVITEs of theirs that we accepted, by the number that their ACK will have.
    unacknowledged: Vec<(u32, Arc<Door>, ServerKey)>,
    /// Its place among those that messages are for.
    _seat: Seat,
    /// What it sends is let through.
    _expected: Expected,
}

/// The INVITE that began a leg.
enum Invite {
    /// Theirs; none when it has its final response.
    Theirs(Option<Box<Received>>),
    /// Ours.
    Ours {
        /// None when it has its final response.
        key: Option<ClientKey>,
        /// What a challenge is answered with.
        credential: Option<Arc<Credential>>,
        /// Our tag, by which they name us before there is a dialog.
        tag: String,
    },
}

/// A leg that we call.
pub(super) struct Called {
    pub(super) door: Arc<Door>,
    pub(super) peer: SocketAddr,
    pub(super) party: Party,
    pub(super) tag: String,
    pub(super) credential: Option<Arc<Credential>>,
    pub(super) seat: Seat,
    pub(super) expected: Expected,
}

/// What became of a request of ours.
pub(super) struct Outcome {
    pub(super) waiting: Waiting,
    pub(super) door: Arc<Door>,
    pub(super) key: ClientKey,
    /// The request, as long as it may have to go again.
    pub(super) request: Bytes,
}

impl SipLeg {
    /// One that an INVITE of theirs asks for.
    pub(super) fn asked(
        door: Arc<Door>,
        party: Party,
        received: Received,
        tag: &str,
        seat: Seat,
        expected: Expected,
    ) -> Self {
        let target = target_of(&received.message, received.source, door.transport.parameter(), party.nat);
        Self {
            side: Side::Caller,
            party,
            door,
            peer: received.source,
            dialog: Some(Dialog::taken(&received.message, tag, target)),
            ringing: Ringing::for_caller(&received.message),
            invite: Invite::Theirs(Some(Box::new(received))),
            unacknowledged: Vec::new(),
            _seat: seat,
            _expected: expected,
        }
    }

    /// One that an INVITE of ours, with this key, asks for.
    pub(super) fn called(side: Side, called: Called, key: ClientKey) -> Self {
        let Called { door, peer, party, tag, credential, seat, expected } = called;
        Self {
            side,
            party,
            door,
            peer,
            dialog: None,
            invite: Invite::Ours { key: Some(key), credential, tag },
            ringing: None,
            unacknowledged: Vec::new(),
            _seat: seat,
            _expected: expected,
        }
    }

    /// Responds to the INVITE that is theirs, now or in its turn; says whether that was still possible.
    fn answer(&mut self, answer: Answer) -> bool {
        match &mut self.ringing {
            Some(ringing) => ringing.say(answer).is_none_or(|answer| self.respond(&answer)),
            None => self.respond(&answer),
        }
    }

    fn respond(&mut self, answer: &Answer) -> bool {
        let Invite::Theirs(invite) = &mut self.invite else { return false };
        let Some(received) = invite else { return false };
        let responded = match &self.ringing {
            Some(_) if answer.status < 200 => self.door.respond_reliably(received, answer),
            Some(_) | None => self.door.respond(received, answer),
        };
        if answer.status >= 200
            && let Some(received) = invite.take()
            && answer.status < 300
            && responded
        {
            let number = received.message.cseq().map_or(0, |(number, _)| number);
            self.unacknowledged.push((number, self.door.clone(), received.key));
        }
        responded
    }

    /// A PRACK came; says whether it is for what was said last. What waited for it is to be said with [`SipLeg::go_on`].
    pub(super) fn heard(&mut self, prack: &Message) -> bool {
        let is_heard = self.ringing.as_mut().is_some_and(|ringing| ringing.acknowledged(prack));
        if is_heard && let Invite::Theirs(Some(received)) = &self.invite {
            self.door.with(|table, _, _| table.heard(&received.key));
        }
        is_heard
    }

    /// Says what waited for a PRACK.
    pub(super) fn go_on(&mut self) {
        while let Some(answer) = self.ringing.as_mut().and_then(Ringing::next) {
            self.respond(&answer);
        }
    }

    /// Rings, with early media when there is any.
    pub(super) fn ring(&mut self, body: Option<Vec<u8>>) {
        let mut headers = vec![self.contact(), Header::new("Allow", wire::ALLOW)];
        headers.extend(body.is_some().then(wire::sdp_type));
        let status = if body.is_some() { 183 } else { 180 };
        self.answer(Answer { status, headers, body: body.unwrap_or_default().into() });
    }

    /// Answers.
    pub(super) fn accept(&mut self, body: Option<Vec<u8>>, session: Option<Granted>) {
        let mut headers = wire::session_response(session);
        headers.push(self.contact());
        headers.extend(body.is_some().then(wire::sdp_type));
        self.answer(Answer { status: 200, headers, body: body.unwrap_or_default().into() });
    }

    /// Refuses.
    pub(super) fn reject(mut self, status: u16, why: &Why) {
        self.answer(Answer::with(status, wire::reason_header(why)));
    }

    fn contact(&self) -> Header {
        contact_of(&self.door)
    }

    /// A CANCEL for one of its INVITEs came: it is refused, if it still may be. What that means for the call.
    pub(super) fn cancelled(
        &mut self,
        leg: LegId,
        invite: &ServerKey,
        reason: Option<String>,
    ) -> Option<Input> {
        let Invite::Theirs(Some(received)) = &self.invite else { return None };
        let is_it = received.key == *invite;
        (is_it && self.answer(Answer::plain(487))).then_some(Input::Cancelled { leg, reason })
    }

    /// Whether a request of theirs is in its place; else how to answer it.
    pub(super) fn admits(&mut self, request: &Message) -> Result<(), Answer> {
        let is_ours = match (&self.dialog, &self.invite) {
            (Some(dialog), _) => dialog.is_of(request),
            (None, Invite::Ours { tag, .. }) => request.to_tag() == Some(tag),
            (None, Invite::Theirs(_)) => false,
        };
        if !is_ours {
            return Err(Answer::plain(481));
        }
        let (number, method) = request.cseq().ok_or(Answer::plain(400))?;
        if self.dialog.as_mut().is_some_and(|dialog| !dialog.hears(number)) {
            return Err(Answer::plain(500));
        }
        // There is nothing to agree on before the first answer (RFC 3261, 14.2; RFC 3311, 5.2). A 481 would end the dialog.
        let is_early = match &self.invite {
            Invite::Theirs(invite) => invite.is_some(),
            Invite::Ours { .. } => self.dialog.is_none(),
        };
        if is_early && !matches!(method, Method::Bye | Method::Prack) {
            return Err(Answer::with(500, Header::new("Retry-After", "1")));
        }
        Ok(())
    }

    /// A BYE came, and is answered. Theirs may come before our final response, which is still owed (RFC 3261, 15.1.2).
    pub(super) fn hung_up(&mut self) {
        self.answer(Answer::plain(487));
    }

    /// An ACK came; its SDP, where it is the first for a 2xx of ours.
    pub(super) fn acknowledged(&mut self, leg: LegId, ack: &Message) -> Option<Input> {
        if !self.dialog.as_ref()?.is_of(ack) {
            return None;
        }
        let (number, _) = ack.cseq()?;
        let at = self.unacknowledged.iter().position(|(waits, ..)| *waits == number)?;
        let (_, door, key) = self.unacknowledged.swap_remove(at);
        door.with(|table, _, _| table.settle(&key));
        Some(Input::Acknowledged { leg, body: wire::body(ack) })
    }

    /// A re-INVITE of theirs was accepted.
    pub(super) fn owes_ack(&mut self, door: &Arc<Door>, received: &Received) {
        if let Some((number, Method::Invite)) = received.message.cseq() {
            self.unacknowledged.push((number, door.clone(), received.key.clone()));
        }
    }

    /// They said by what they are reached from now on.
    pub(super) fn retarget(&mut self, message: &Message, source: SocketAddr) {
        let says_it = message.header("Contact").is_some();
        if self.party.nat {
            self.peer = source;
        }
        let target = target_of(message, source, self.door.transport.parameter(), self.party.nat);
        if let Some(dialog) = self.dialog.as_mut().filter(|_| says_it) {
            dialog.retarget(target);
        }
    }

    /// By which door and to which address the next request goes.
    fn way(&self, shared: &Shared) -> (Arc<Door>, SocketAddr) {
        let ours = || (self.door.clone(), self.peer);
        let Some(way) = self.dialog.as_ref().and_then(|dialog| wire::way_of(dialog.next_hop())) else {
            return ours();
        };
        // A name was looked up when the call began.
        let Some(address) = way.address else { return ours() };
        // There is a connection to whoever it is; and what began encrypted does not go on in the clear.
        let stays = self.door.transport != Transport::Udp && address.ip() == self.peer.ip();
        let bares = self.door.transport == Transport::Tls && way.transport != Transport::Tls;
        if stays || bares {
            return ours();
        }
        shared.door_to(way.transport, address).map_or_else(ours, |door| (door.clone(), address))
    }

    /// Sends a request within the dialog; without one there is nothing to say.
    pub(super) fn send(
        &mut self,
        shared: &Shared,
        method: Method,
        waiting: Waiting,
        (headers, body): (&[Header], &[u8]),
    ) -> Option<()> {
        let (door, to) = self.way(shared);
        let dialog = self.dialog.as_mut()?;
        door.request(method, to, Some(waiting), |us, branch| {
            dialog.request(method, us, branch, headers, body)
        });
        Some(())
    }

    /// An INVITE of ours was accepted: the dialog begins, or goes on, and the peer is told that we know.
    pub(super) fn accepted(
        &mut self,
        shared: &Shared,
        outcome: &Outcome,
        (response, source): &(Message, SocketAddr),
    ) {
        if outcome.waiting.request == Sent::Invite {
            let target = target_of(response, *source, outcome.door.transport.parameter(), self.party.nat);
            self.dialog = Some(Dialog::begun(response, target));
            self.set_invite(None);
        } else {
            self.retarget(response, *source);
        }
        let (door, to) = self.way(shared);
        if let Some(dialog) = &self.dialog {
            acknowledge(dialog, response, (&outcome.door, outcome.key), (&door, to));
        }
    }

    fn set_invite(&mut self, to: Option<ClientKey>) {
        if let Invite::Ours { key, .. } = &mut self.invite {
            *key = to;
        }
    }

    /// The INVITE that began the leg was refused.
    pub(super) fn refused(&mut self) {
        self.set_invite(None);
    }

    /// Sends a request again that was refused until it proves who sends it; says whether that could be done.
    pub(super) fn prove(&mut self, shared: &Shared, outcome: &Outcome, refusal: &Message) -> bool {
        let Invite::Ours { credential: Some(credential), .. } = &self.invite else { return false };
        let (asks, proves) = match refusal.status() {
            401 => ("WWW-Authenticate", "Authorization"),
            407 => ("Proxy-Authenticate", "Proxy-Authorization"),
            _ => return false,
        };
        if outcome.waiting.is_proved {
            return false;
        }
        let Some(request) = Message::read(outcome.request.clone()) else { return false };
        let nonce = uuid::Uuid::new_v4().simple().to_string();
        let target = (request.method_name(), request.uri());
        let mut challenges = refusal.headers(asks);
        let Some(value) = challenges.find_map(|asked| proof(asked, credential, target, &nonce)) else {
            return false;
        };
        let header = Header::new(proves, value);
        let method = request.method().unwrap_or(Method::Other);
        let waiting = Waiting { is_proved: true, ..outcome.waiting.clone() };
        let is_first = waiting.request == Sent::Invite;
        let (door, to) = if is_first { (self.door.clone(), self.peer) } else { self.way(shared) };
        let number = match &mut self.dialog {
            Some(dialog) => dialog.next_number(),
            None => request.cseq().map_or(0, |(number, _)| number).saturating_add(1),
        };
        let key = door.request(method, to, Some(waiting), |us, branch| {
            written_again(&request, number, (us, branch), &header)
        });
        if is_first {
            self.set_invite(Some(key));
        }
        true
    }

    /// Cancels the INVITE that is ours; it does not go again for a challenge that crosses the CANCEL.
    pub(super) fn cancel(&mut self) {
        if let Invite::Ours { key: Some(key), credential, .. } = &mut self.invite {
            *credential = None;
            self.door.with(|table, now, outbox| table.cancel(*key, now, outbox));
        }
    }
}

impl Drop for SipLeg {
    fn drop(&mut self) {
        // Only where nobody said why.
        self.answer(Answer::plain(500));
        if let Invite::Ours { key: Some(key), .. } = &self.invite {
            self.door.with(|table, now, outbox| table.abandon(*key, now, outbox));
        }
        for (_, door, key) in self.unacknowledged.drain(..) {
            door.with(|table, _, _| table.settle(&key));
        }
    }
}

/// A Contact by which we are reached.
pub(super) fn contact_of(door: &Door) -> Header {
    Header::new("Contact", format!("<{}>", door.identity.contact))
}

/// Acknowledges a 2xx to an INVITE that left by one door, by the way that the dialog's requests go.
fn acknowledge(
    dialog: &Dialog,
    response: &Message,
    (asked_by, key): (&Arc<Door>, ClientKey),
    (door, to): (&Arc<Door>, SocketAddr),
) {
    let number = response.cseq().map_or(0, |(number, _)| number);
    let branch = door.with(|table, _, _| table.branch());
    let ack = dialog.ack(number, &door.identity, branch);
    let tag = response.to_tag().unwrap_or_default();
    let own = Arc::ptr_eq(asked_by, door);
    asked_by.with(|table, _, outbox| table.acknowledge(key, tag, own.then(|| (to, ack.clone())), outbox));
    if !own {
        door.send(to, ack);
    }
}

impl Shared {
    /// Hangs up on whoever accepted an INVITE that nobody waits for any more: it was cancelled too late, or another accepted it
    /// first.
    pub(super) fn let_go(&self, door: &Arc<Door>, key: ClientKey, response: &Message, source: SocketAddr) {
        if !matches!(response.status(), 200..300) || response.cseq().map(|(_, of)| of) != Some(Method::Invite)
        {
            return;
        }
        let target = target_of(response, source, door.transport.parameter(), false);
        let mut dialog = Dialog::begun(response, target);
        acknowledge(&dialog, response, (door, key), (door, source));
        door.request(Method::Bye, source, None, |us, branch| {
            dialog.request(Method::Bye, us, branch, &[], &[])
        });
    }
}

/// Who waits for the response to a request of a leg.
pub(super) fn waiting(notes: &mpsc::UnboundedSender<Note>, leg: LegId, request: Sent) -> Waiting {
    Waiting { notes: notes.clone(), leg, request, is_proved: false }
}
