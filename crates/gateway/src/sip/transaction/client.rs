//! Transactions of requests of ours (RFC 3261, 17.1; RFC 6026, 7.2).

use std::net::SocketAddr;

use bytes::Bytes;
use tokio::time::Instant;

use super::{Due, Event, Outbox, PATIENCE, Repetition, T2, Table, Text, earlier, is_invite};
use crate::sip::{
    compose::Draft,
    message::{Message, Method},
};

/// What every branch begins with (RFC 3261, 8.1.1.7).
const COOKIE: &str = "z9hG4bK";

/// By what a request of ours and its responses are known: the branch of its Via, and its method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientKey {
    branch: u64,
    method: Method,
}

impl ClientKey {
    /// The one of a request.
    pub const fn new(branch: u64, method: Method) -> Self {
        Self { branch, method }
    }

    /// The branch as it is written.
    pub fn branch(branch: u64) -> String {
        format!("{COOKIE}{branch:016x}")
    }

    /// The one that a response names; nothing where it is not of ours.
    fn of(response: &Message) -> Option<Self> {
        let digits = response.branch()?.strip_prefix(COOKIE)?;
        let branch = u64::from_str_radix(digits, 16).ok().filter(|_| digits.len() == 16)?;
        Some(Self { branch, method: response.cseq()?.1 })
    }
}

/// How far a transaction is.
#[derive(Debug)]
enum Phase {
    /// Nothing came back.
    Calling,
    /// A provisional response came.
    Proceeding,
    /// The INVITE was refused, and this acknowledged it.
    Refused(Bytes),
    /// The INVITE was accepted, by whoever has one of these tags.
    Accepted(Vec<Acceptance>),
}

/// Somebody who accepted an INVITE.
#[derive(Debug)]
struct Acceptance {
    tag: Text,
    /// What is sent again when the 2xx comes again; none while its user has not acknowledged it, or did so another way.
    ack: Option<(SocketAddr, Bytes)>,
}

impl Acceptance {
    /// Known from its first 2xx on: the next may be here before the acknowledgement is made.
    fn of(response: &Message) -> Self {
        Self { tag: response.to_tag().unwrap_or_default().into(), ack: None }
    }
}

/// Whether an INVITE is to be cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cancel {
    No,
    /// As soon as there is a provisional response (RFC 3261, 9.1).
    Wanted,
    Sent,
}

/// The transaction of one request.
#[derive(Debug)]
pub(super) struct Client<T> {
    to: SocketAddr,
    /// The request; empty when it is not sent any more.
    request: Bytes,
    waiting: Option<T>,
    phase: Phase,
    cancel: Cancel,
    repetition: Option<Repetition>,
    ends: Option<Instant>,
}

impl<T> Client<T> {
    fn next(&self) -> Option<Instant> {
        earlier(self.repetition.map(|repetition| repetition.at), self.ends)
    }
}

impl<T: Clone> Table<T> {
    /// Sends a request, whose branch and method the key says. Its responses are told to who waits for them.
    pub fn request(
        &mut self,
        key: ClientKey,
        to: SocketAddr,
        request: Bytes,
        waiting: Option<T>,
        now: Instant,
        outbox: &mut Outbox,
    ) {
        outbox.push((to, request.clone()));
        let repetition = (!self.is_reliable).then(|| Repetition::begin(now, self.t1));
        let ends = Some(now + self.patience());
        let client =
            Client { to, request, waiting, phase: Phase::Calling, cancel: Cancel::No, repetition, ends };
        if let Some(next) = client.next() {
            self.plan(next, Due::Client(key));
        }
        self.clients.insert(key, client);
    }

    /// Cancels an INVITE that got no final response, now or as soon as that may be.
    pub fn cancel(&mut self, key: ClientKey, now: Instant, outbox: &mut Outbox) {
        let Some(client) = self.clients.get_mut(&key).filter(|client| client.cancel == Cancel::No) else {
            return;
        };
        match client.phase {
            Phase::Calling => client.cancel = Cancel::Wanted,
            Phase::Proceeding => self.send_cancel(key, now, outbox),
            Phase::Refused(_) | Phase::Accepted(_) => {}
        }
    }

    /// The same for one that nobody waits for any more.
    pub fn abandon(&mut self, key: ClientKey, now: Instant, outbox: &mut Outbox) {
        if let Some(client) = self.clients.get_mut(&key) {
            client.waiting = None;
        }
        self.cancel(key, now, outbox);
    }

    fn send_cancel(&mut self, key: ClientKey, now: Instant, outbox: &mut Outbox) {
        let ends = now + self.patience();
        let Some(client) = self.clients.get_mut(&key) else { return };
        client.cancel = Cancel::Sent;
        // Whoever does not answer a cancelled INVITE is not waited for (RFC 3261, 9.1).
        client.ends = Some(ends);
        let to = client.to;
        let Some(cancel) =
            Message::read(client.request.clone()).map(|invite| follow_up(&invite, "CANCEL", None))
        else {
            return;
        };
        self.plan(ends, Due::Client(key));
        self.request(ClientKey::new(key.branch, Method::Cancel), to, cancel, None, now, outbox);
    }

    /// Acknowledges a 2xx from whoever has this tag; each repetition of it is acknowledged in the same way. Nothing to send: the
    /// acknowledgement went another way.
    pub fn acknowledge(
        &mut self,
        key: ClientKey,
        tag: &str,
        ack: Option<(SocketAddr, Bytes)>,
        outbox: &mut Outbox,
    ) {
        outbox.extend(ack.clone());
        if let Some(Client { phase: Phase::Accepted(all), .. }) = self.clients.get_mut(&key)
            && let Some(acceptance) = all.iter_mut().find(|acceptance| &*acceptance.tag == tag)
        {
            acceptance.ack = ack;
        }
    }

    /// Takes in a response.
    pub(super) fn responded(
        &mut self,
        response: Message,
        source: SocketAddr,
        now: Instant,
        outbox: &mut Outbox,
    ) -> Option<Event<T>> {
        let key = ClientKey::of(&response)?;
        let status = response.status();
        let client = self.clients.get_mut(&key)?;
        if !is_invite(key.method) {
            if status < 200 {
                client.phase = Phase::Proceeding;
                return None;
            }
            let Client { waiting, request, .. } = self.clients.remove(&key)?;
            return Some(Event::Response { waiting, key, request, response, source });
        }
        match (&mut client.phase, status) {
            (Phase::Calling | Phase::Proceeding, 100..200) => {
                self.progressed(key, now, outbox);
                let client = self.clients.get(&key)?;
                let (waiting, request) = (client.waiting.clone(), client.request.clone());
                Some(Event::Response { waiting, key, request, response, source })
            }
            (Phase::Calling | Phase::Proceeding, 200..300) => {
                let waiting = client.waiting.take();
                let request = std::mem::take(&mut client.request);
                client.phase = Phase::Accepted(vec![Acceptance::of(&response)]);
                self.linger(key, now);
                Some(Event::Response { waiting, key, request, response, source })
            }
            (Phase::Accepted(all), 200..300) => {
                let acceptance = Acceptance::of(&response);
                if let Some(known) = all.iter().find(|known| known.tag == acceptance.tag) {
                    outbox.extend(known.ack.clone());
                    return None;
                }
                all.push(acceptance);
                Some(Event::Response { waiting: None, key, request: Bytes::new(), response, source })
            }
            (Phase::Calling | Phase::Proceeding, 300..) => {
                let request = std::mem::take(&mut client.request);
                let to = response.header("To").map(str::to_owned);
                let ack = follow_up(&Message::read(request.clone())?, "ACK", to.as_deref());
                outbox.push((client.to, ack.clone()));
                let waiting = client.waiting.take();
                client.phase = Phase::Refused(ack);
                if self.is_reliable {
                    self.clients.remove(&key);
                } else {
                    self.linger(key, now);
                }
                Some(Event::Response { waiting, key, request, response, source })
            }
            (Phase::Refused(ack), 300..) => {
                outbox.push((client.to, ack.clone()));
                None
            }
            // Somebody accepts an INVITE that another refused.
            (Phase::Refused(_), 200..300) => {
                client.phase = Phase::Accepted(vec![Acceptance::of(&response)]);
                Some(Event::Response { waiting: None, key, request: Bytes::new(), response, source })
            }
            _ => None,
        }
    }

    /// An INVITE got a provisional response: it is not sent again, and has all the time that its caller gives it.
    fn progressed(&mut self, key: ClientKey, now: Instant, outbox: &mut Outbox) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        client.phase = Phase::Proceeding;
        client.repetition = None;
        match client.cancel {
            Cancel::No => client.ends = None,
            Cancel::Wanted => self.send_cancel(key, now, outbox),
            Cancel::Sent => {}
        }
    }

    /// An INVITE is through; repetitions of its final response are still to be acknowledged.
    fn linger(&mut self, key: ClientKey, now: Instant) {
        let ends = now + self.patience();
        if let Some(client) = self.clients.get_mut(&key) {
            client.repetition = None;
            client.ends = Some(ends);
            self.plan(ends, Due::Client(key));
        }
    }

    /// The time of a transaction came, unless it changed its plan meanwhile.
    pub(super) fn client_due(
        &mut self,
        key: ClientKey,
        at: Instant,
        now: Instant,
        outbox: &mut Outbox,
    ) -> Option<Event<T>> {
        let t1 = self.t1;
        let client = self.clients.get_mut(&key).filter(|client| client.next() == Some(at))?;
        if client.ends.is_some_and(|ends| ends <= now) {
            let client = self.clients.remove(&key)?;
            let timed_out = matches!(client.phase, Phase::Calling | Phase::Proceeding);
            return timed_out.then_some(Event::TimedOut { waiting: client.waiting, key });
        }
        outbox.push((client.to, client.request.clone()));
        // An INVITE is sent at ever longer intervals, but never for longer than patience lasts (timer A).
        let longest = if is_invite(key.method) { t1 * PATIENCE } else { t1 * T2 };
        client.repetition = client.repetition.and_then(|repetition| match client.phase {
            Phase::Proceeding => Some(Repetition { at: now + t1 * T2, after: t1 * T2, ends: None }),
            _ => repetition.next(now, Some(longest)),
        });
        let next = client.next();
        if let Some(next) = next {
            self.plan(next, Due::Client(key));
        }
        None
    }
}

/// The CANCEL of an INVITE (RFC 3261, 9.1), or the ACK of its refusal, whose To is the refusal's (17.1.1.3).
fn follow_up(invite: &Message, method: &'static str, to: Option<&str>) -> Bytes {
    let mut draft = Draft::request(method, invite.uri());
    let own = |name| invite.header(name).unwrap_or_default();
    draft.header("Via", own("Via"));
    draft.header("Max-Forwards", "70");
    for route in invite.headers("Route") {
        draft.header("Route", route);
    }
    draft.header("From", own("From"));
    draft.header("To", to.unwrap_or(own("To")));
    draft.header("Call-ID", invite.call_id());
    let number = invite.cseq().map_or(0, |(number, _)| number).to_string();
    draft.parts("CSeq", &[&number, " ", method]);
    draft.header("User-Agent", own("User-Agent"));
    draft.finish(&[])
}
