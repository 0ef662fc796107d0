//! What comes in: to which call it goes, or how a call begins, or how it is answered.

use std::{net::SocketAddr, sync::Arc};

use super::{
    actor::{Actor, Beginning, Ears, Note},
    directory::Known,
    door::{Door, Ear, Sent, Waiting},
    identity::{identity, named_headers},
    index::Entry,
    legs::SipLeg,
    media::Party,
    ringing::RELIABLE,
    session::{LEAST, Session},
    switch::Shared,
    wire,
    words::{Input, Invited, LegId},
};
use crate::{
    Ask, Side,
    sip::{Answer, Event, Header, Message, Method, Received, Uri, uri_of},
    trace::TraceSeat,
};

/// Hands out what comes in by one door.
pub(super) async fn listen(shared: Arc<Shared>, door: Arc<Door>, mut ear: Ear) {
    loop {
        let events = tokio::select! {
            () = shared.running.cancelled() => return,
            events = door.next(&mut ear) => events,
        };
        for event in events {
            shared.take(&door, event);
        }
    }
}

impl Shared {
    fn take(self: &Arc<Self>, door: &Arc<Door>, event: Event<Waiting>) {
        match event {
            Event::Request(received) => self.requested(door, received),
            Event::Cancel(received, invite) => {
                let Some(invite) = invite else { return door.dismiss(&received, &Answer::plain(481)) };
                door.respond(&received, &Answer::plain(200));
                let Some(entry) = self.index.find(received.message.call_id()) else { return };
                let reason = wire::reason(&received.message);
                // A call that is over was refused or has hung up.
                let _ = entry.notes.send(Note::Cancelled { leg: entry.leg, invite, reason });
            }
            Event::Ack(message) => {
                if let Some(entry) = self.index.find(message.call_id()) {
                    let _ = entry.notes.send(Note::Acknowledged { leg: entry.leg, ack: Box::new(message) });
                }
            }
            Event::Response { waiting: Some(waiting), key, request, response, source } => {
                let notes = waiting.notes.clone();
                let response = Some(Box::new((response, source)));
                let note = Note::Responded { waiting, door: door.clone(), key, request, response };
                if let Err(unheard) = notes.send(note) {
                    self.unheard(unheard.0);
                }
            }
            Event::Response { waiting: None, key, response, source, .. } => {
                self.let_go(door, key, &response, source);
            }
            Event::TimedOut { waiting, key } => {
                let Some(waiting) = waiting else { return };
                let notes = waiting.notes.clone();
                let request = bytes::Bytes::new();
                let _ =
                    notes.send(Note::Responded { waiting, door: door.clone(), key, request, response: None });
            }
        }
    }

    /// Deals with what no call hears any more.
    pub(super) fn unheard(self: &Arc<Self>, note: Note) {
        match note {
            Note::Requested { door, received, .. } => {
                door.respond(&received, &Answer::plain(481));
            }
            Note::Responded { waiting, door, key, response: Some(response), .. }
                if waiting.request == Sent::Invite =>
            {
                self.let_go(&door, key, &response.0, response.1);
            }
            _ => {}
        }
    }

    fn requested(self: &Arc<Self>, door: &Arc<Door>, received: Received) {
        let method = received.message.method();
        let answer = match (method, received.message.to_tag().is_some()) {
            (_, true) => match self.index.find(received.message.call_id()) {
                Some(entry) => {
                    let (leg, received) = (entry.leg, Box::new(received));
                    let note = Note::Requested { leg, door: door.clone(), received };
                    if let Err(unheard) = entry.notes.send(note) {
                        self.unheard(unheard.0);
                    }
                    return;
                }
                None => Answer::plain(481),
            },
            (Some(Method::Invite), false) => match self.invited(door, &received) {
                Ok(()) => return,
                Err(answer) => answer,
            },
            (Some(Method::Options), false) => wire::capabilities(),
            (Some(Method::Bye | Method::Update | Method::Info | Method::Refer | Method::Notify), false) => {
                Answer::plain(481)
            }
            (Some(Method::Register), false) => {
                self.settings.directory.register(&received.message, received.source)
            }
            (_, false) => Answer::with(405, Header::new("Allow", wire::ALLOW)),
        };
        // What costs nothing to say again is not remembered: a flood of it fills no table.
        if method == Some(Method::Options) || matches!(answer.status, 401 | 403 | 405 | 407 | 481) {
            door.dismiss(&received, &answer);
        } else {
            door.respond(&received, &answer);
        }
    }

    /// Begins a call, or says how to refuse it.
    fn invited(self: &Arc<Self>, door: &Arc<Door>, received: &Received) -> Result<(), Answer> {
        let Screened { invited, trunk, from, known, max_forwards } =
            screen(self, &received.message, received.source)?;
        let (place, commands) = self.admit(trunk.as_ref()).map_err(|refused| {
            tracing::info!(%refused, "a call was not taken");
            Answer::with(503, Header::new("Retry-After", "5"))
        })?;
        let trace = self.settings.traces.begin(place.call());
        let (notes, note_ears) = tokio::sync::mpsc::unbounded_channel();
        let entry = Entry {
            leg: LegId(0),
            side: Side::Caller,
            notes: notes.clone(),
            trace: trace.as_ref().map(TraceSeat::trace),
        };
        entry.remember(self.now(), false, received.source, received.message.bytes().clone());
        // Merged or looped (RFC 3261, 8.2.2.2).
        let seat = self.index.enter(&invited.sip_call_id, entry).ok_or(Answer::plain(482))?;
        door.respond(received, &Answer::plain(100));
        let (account, note) = (invited.plan.account.clone(), invited.plan.note.clone());
        let identity = invited.identity.clone();
        let beginning = Beginning { account, note, from, identity, max_forwards, trace };
        let latching = known.latching(received.source);
        let party = Party { nat: known.nat, latching, ipv4: door.advertised.is_ipv4() };
        let tag = self.index.tag(&received.message);
        let expected = self.settings.gate.expect(received.source.ip());
        let leg = SipLeg::asked(door.clone(), party, received.clone(), &tag, seat, expected);
        let shared = self.clone();
        self.spawn(async move {
            let mut media = shared.open_media(place.call(), &beginning.account).await;
            media.party(Side::Caller, party);
            let ears = Ears { commands, notes: note_ears };
            let mut actor = Actor::listening(shared.clone(), place, media, beginning, notes);
            actor.legs.insert(LegId(0), leg);
            actor.run(Input::Invited(Box::new(invited)), ears).await;
        });
        Ok(())
    }
}

struct Screened {
    invited: Invited,
    trunk: Option<crate::Trunk>,
    from: String,
    known: Known,
    max_forwards: u8,
}

/// Looks at an INVITE before it becomes a call: whether it can be understood, who sent it, where it leads.
fn screen(shared: &Shared, request: &Message, source: SocketAddr) -> Result<Screened, Answer> {
    let bad = || Answer::plain(400);
    let known = shared.settings.directory.who(request, source)?;
    let max_forwards = request.header("Max-Forwards").map_or(Ok(70), str::parse::<u8>).map_err(|_| bad())?;
    let max_forwards = max_forwards.checked_sub(1).ok_or(Answer::plain(483))?;
    if let Some(answer) = beyond_us(request) {
        return Err(answer);
    }
    let session = wire::session_ask(request);
    if Session::respond(&session, LEAST).is_err() {
        return Err(Answer::with(422, Header::new("Min-SE", LEAST.to_string())));
    }
    let offer = wire::offer(request)?;
    let from = request.header("From").and_then(|from| Uri::read(uri_of(from))).ok_or_else(bad)?;
    let from = from.user_part().name.into_owned();
    let called = Uri::read(request.uri()).ok_or_else(bad)?.user_part();
    let (to, to_context) = (called.name.to_string(), called.context().map(Into::into));
    let sip_call_id = request.header("Call-ID").ok_or_else(bad)?.to_owned();
    let uri = request.uri().to_owned();
    let ask = Ask { who: known.who.clone(), from: from.clone(), to: to.clone(), to_context, uri };
    let plan = shared.settings.routes.route(&ask).map_err(|cause| Answer::plain(cause.status()))?;
    let trunk = plan.trunk.clone();
    let mut identity = identity(request, &known.who, &to);
    identity.headers = named_headers(request, &plan.headers);
    let identity = Arc::new(identity);
    let invited = Invited { from: from.clone(), identity, to, sip_call_id, offer, session, plan };
    Ok(Screened { invited, trunk, from, known, max_forwards })
}

/// The answer to an INVITE that asks for what is not spoken here.
fn beyond_us(request: &Message) -> Option<Answer> {
    let known = |tag: &str| ["", "timer", RELIABLE].iter().any(|known| known.eq_ignore_ascii_case(tag));
    let mut required = request.headers("Require").flat_map(|value| value.split(',')).map(str::trim);
    required.find(|tag| !known(tag)).map(|unknown| Answer::with(420, Header::new("Unsupported", unknown)))
}
