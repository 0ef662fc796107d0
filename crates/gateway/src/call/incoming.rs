//! What comes in: to which call it goes, or how a call begins, or how it is answered.

use std::{
    borrow::Cow,
    net::SocketAddr,
    num::NonZeroUsize,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use lru::LruCache;
use tokio::sync::mpsc;

use super::{
    actor::{Actor, Beginning, Ears, Note},
    directory::Known,
    door::{Door, Ear, Sent, Waiting},
    identity::{identity, named_headers},
    index::Entry,
    legs::SipLeg,
    media::Party,
    registry::Refused,
    ringing::RELIABLE,
    session::{LEAST, Session, SessionAsk},
    switch::Shared,
    wire,
    words::{Input, Invited, LegId},
};
use crate::{
    Ask, Attempt, CallId, CallerIdentity, Cause, Denial, Denied, Plan, Report, Side, What, Who, Why,
    guard::{Reason, RefusedInvite},
    sip::{Answer, Event, Header, Message, Method, Received, Uri, uri_of},
    trace::TraceSeat,
};

/// How long the same INVITE may come again (64 times T1, RFC 3261, 17.1.1.2).
const REPEATED: Duration = Duration::from_secs(32);
/// INVITEs that are remembered for that.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4_095);

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
                Err(Turned { answer, is_recorded: true }) => {
                    // Remembered: the same INVITE again is no other attempt.
                    door.respond(&received, &answer);
                    return;
                }
                Err(Turned { answer, is_recorded: false }) => answer,
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
    fn invited(self: &Arc<Self>, door: &Arc<Door>, received: &Received) -> Result<(), Turned> {
        let Screened { invited, trunk, from, known, max_forwards } =
            screen(self, &received.message, received.source)?;
        let (place, commands) = self.admit(trunk.as_ref()).map_err(|refused| {
            let denial = match refused {
                Refused::Full => {
                    denied(Cause::Unreachable, "full", "there are as many calls as there may be")
                }
                Refused::Stopping => denied(Cause::Unreachable, "stopping", "the server stops"),
            };
            let denial = Denial { attempt: Some(Attempt::from(&invited.plan)), ..denial };
            let answer = Answer::with(503, Header::new("Retry-After", "5"));
            let (to, sip_call_id) = (&invited.to, &invited.sip_call_id);
            let wish = Wish { from: &from, to, sip_call_id, identity: &invited.identity };
            self.deny(&known.who, wish, &denial, answer)
        })?;
        let trace = self.settings.traces.begin(place.call());
        let (notes, note_ears) = mpsc::unbounded_channel();
        let entry = Entry {
            leg: LegId(0),
            side: Side::Caller,
            notes: notes.clone(),
            trace: trace.as_ref().map(TraceSeat::trace),
        };
        entry.remember(self.now(), false, received.source, received.message.bytes().clone());
        // Merged or looped (RFC 3261, 8.2.2.2).
        let seat = self.index.enter(&invited.sip_call_id, entry).ok_or(Turned::unrecorded(482))?;
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

/// An INVITE that became no call.
struct Turned {
    answer: Answer,
    /// Whether it is on record as a failed call.
    is_recorded: bool,
}

impl Turned {
    fn unrecorded(status: u16) -> Self {
        Answer::plain(status).into()
    }
}

impl From<Answer> for Turned {
    fn from(answer: Answer) -> Self {
        Self { answer, is_recorded: false }
    }
}

/// Who wants to call whom.
#[derive(Clone, Copy)]
struct Wish<'a> {
    from: &'a str,
    to: &'a str,
    sip_call_id: &'a str,
    identity: &'a Arc<CallerIdentity>,
}

/// Looks at an INVITE before it becomes a call: whether it can be understood, who sent it, where it leads.
fn screen(shared: &Shared, request: &Message, source: SocketAddr) -> Result<Screened, Turned> {
    let known = shared.settings.directory.who(request, source)?;
    let bad = || {
        shared.settings.gate.refusals().count("bad_request");
        Turned::unrecorded(400)
    };
    let max_forwards = request.header("Max-Forwards").map_or(Ok(70), str::parse::<u8>).map_err(|_| bad())?;
    let sip_call_id = request.header("Call-ID").ok_or_else(bad)?.to_owned();
    let session = wire::session_ask(request);
    let RoutedInvite { from, to, planned, attempt, identity } = route(shared, request, &known.who);
    let wish = Wish { from: &from, to: &to, sip_call_id: &sip_call_id, identity: &identity };
    let offer = understood(request, max_forwards, &session).map_err(|refused| {
        let (answer, denial) = *refused;
        shared.deny(&known.who, wish, &Denial { attempt, ..denial }, answer)
    })?;
    let plan = planned.map_err(|denial| {
        let answer = Answer::plain(denial.cause.status());
        shared.deny(&known.who, wish, &denial, answer)
    })?;
    let max_forwards = max_forwards.saturating_sub(1);
    let trunk = plan.trunk.clone();
    let invited = Invited { from: from.clone(), identity, to, sip_call_id, offer, session, plan };
    Ok(Screened { invited, trunk, from, known, max_forwards })
}

/// What an INVITE asks for, and what the program says to that.
struct RoutedInvite {
    from: String,
    to: String,
    planned: Result<Plan, Denial>,
    attempt: Option<Attempt>,
    identity: Arc<CallerIdentity>,
}

/// Asks the program about an INVITE. What cannot be read of it is left empty.
fn route(shared: &Shared, request: &Message, who: &Who) -> RoutedInvite {
    let from = request.header("From").and_then(|from| Uri::read(uri_of(from)));
    let from = from.map(|from| from.user_part().name.into_owned()).unwrap_or_default();
    let uri = request.uri().to_owned();
    let (to, to_context) = match Uri::read(&uri).map(|called| called.user_part()) {
        Some(called) => (called.name.to_string(), called.context().map(Into::into)),
        None => (uri.clone(), None),
    };
    let mut identity = identity(request, who, &to);
    let is_private = identity.is_private;
    let ask = Ask { who: who.clone(), from, to, to_context, uri, is_private };
    let planned = shared.settings.routes.route(&ask);
    let attempt = match &planned {
        Ok(plan) => Some(plan.into()),
        Err(denial) => denial.attempt.clone(),
    };
    if let Some(Attempt { headers, .. }) = &attempt {
        identity.headers = named_headers(request, who, headers);
    }
    let Ask { from, to, .. } = ask;
    RoutedInvite { from, to, planned, attempt, identity: Arc::new(identity) }
}

/// Records the INVITEs that the guard answers: of those who are known they are attempts to call like others.
pub(super) async fn record_refused(shared: Arc<Shared>, mut refused: mpsc::Receiver<Box<RefusedInvite>>) {
    // The guard remembers nothing, so the same INVITE again is found out here.
    let mut recorded = LruCache::new(REMEMBERED);
    loop {
        let refused = tokio::select! {
            () = shared.running.cancelled() => return,
            refused = refused.recv() => refused,
        };
        let Some(refused) = refused else { return };
        let Some(request) = Message::read(refused.outline.into()) else { continue };
        let call_id = request.call_id().to_owned();
        let attempt = (refused.source.ip(), call_id.clone(), request.header("CSeq").map(str::to_owned));
        let now = tokio::time::Instant::now();
        let again = |before: tokio::time::Instant| now.duration_since(before) < REPEATED;
        if recorded.put(attempt, now).is_some_and(again) {
            continue;
        }
        let Ok(known) = shared.settings.directory.who(&request, refused.source) else { continue };
        let RoutedInvite { from, to, attempt, identity, .. } = route(&shared, &request, &known.who);
        let denial = Denial {
            cause: Cause::of_status(refused.status),
            reason: refused.reason.name(),
            text: text_of(refused.reason, refused.phrase),
            attempt,
        };
        let wish = Wish { from: &from, to: &to, sip_call_id: &call_id, identity: &identity };
        shared.deny(&known.who, wish, &denial, Answer::plain(refused.status));
    }
}

/// Why the guard answered an INVITE, for who looks at the call.
fn text_of(reason: Reason, phrase: &str) -> Cow<'static, str> {
    match reason {
        Reason::TooLarge => "the INVITE is larger than sip.guard.largest_message_bytes".into(),
        Reason::UnknownExtension => "the INVITE requires an extension that is not supported".into(),
        Reason::UnknownScheme => "the INVITE calls a URI that is no SIP or telephone URI".into(),
        Reason::Version => "the INVITE is of another version of SIP than 2.0".into(),
        _ => format!("the INVITE is not as RFC 3261 writes it: {phrase}").into(),
    }
}

impl Shared {
    /// Counts an attempt of somebody known that is answered so, and reports it as long as that one has not been refused too
    /// often.
    fn deny(&self, who: &Who, wish: Wish<'_>, denial: &Denial, answer: Answer) -> Turned {
        let refusals = self.settings.gate.refusals();
        refusals.count(denial.reason);
        let (name, trunk) = match who {
            Who::Trunk(name) => (format!("trunk {name}"), Some(name.clone())),
            Who::User(name) => (format!("user {name}"), None),
        };
        if !refusals.records(&name, tokio::time::Instant::now().into_std()) {
            return answer.into();
        }
        let Some(attempt) = &denial.attempt else {
            tracing::warn!(peer = name, reason = denial.reason, "a call was refused: {}", denial.text);
            return answer.into();
        };
        let why = Why { status: Some(answer.status), ..denial.cause.into() };
        let denied = Denied {
            direction: attempt.direction,
            from: wish.from.to_owned(),
            to: wish.to.to_owned(),
            trunk,
            sip_call_id: wish.sip_call_id.to_owned(),
            identity: wish.identity.clone(),
            note: attempt.note.clone(),
            why: why.saying(Some(&denial.text)),
        };
        let (call, account) = (CallId::fresh(), attempt.account.clone());
        let report = Report { call, account, at: self.now(), what: What::Denied(denied) };
        let is_recorded = self.settings.owner.try_send(report).is_ok();
        self.lost.fetch_add(u64::from(!is_recorded), Ordering::Relaxed);
        Turned { answer, is_recorded }
    }
}

fn denied(cause: Cause, reason: &'static str, text: &'static str) -> Denial {
    Denial { cause, reason, text: text.into(), attempt: None }
}

/// The offer of an INVITE that can be served; else the answer, and why.
fn understood(
    request: &Message,
    max_forwards: u8,
    session: &SessionAsk,
) -> Result<Option<Bytes>, Box<(Answer, Denial)>> {
    let refused = |answer, denial| Err(Box::new((answer, denial)));
    if request.header("From").and_then(|from| Uri::read(uri_of(from))).is_none() {
        let text = "the From of the INVITE holds no SIP or telephone URI";
        return refused(Answer::plain(400), denied(Cause::Failure, "bad_request", text));
    }
    if max_forwards == 0 {
        let text = "the INVITE went through too many hops";
        return refused(Answer::plain(483), denied(Cause::Unreachable, "too_many_hops", text));
    }
    let known = |tag: &str| ["", "timer", RELIABLE].iter().any(|known| known.eq_ignore_ascii_case(tag));
    let mut required = request.headers("Require").flat_map(|value| value.split(',')).map(str::trim);
    if let Some(unknown) = required.find(|tag| !known(tag)) {
        let text = "the INVITE requires an extension that is not supported";
        let answer = Answer::with(420, Header::new("Unsupported", unknown));
        return refused(answer, denied(Cause::Failure, "extension", text));
    }
    if Session::respond(session, LEAST).is_err() {
        let text = "the INVITE asks for too short a session interval";
        let answer = Answer::with(422, Header::new("Min-SE", LEAST.to_string()));
        return refused(answer, denied(Cause::Failure, "session_interval", text));
    }
    wire::offer(request).map_err(|answer| {
        let text = "the body of the INVITE holds no session description that can be read";
        Box::new((answer, denied(Cause::MediaFailure, "content_type", text)))
    })
}
