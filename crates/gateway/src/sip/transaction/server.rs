//! Transactions of requests of others (RFC 3261, 17.2; RFC 6026, 7.1).

use std::net::SocketAddr;

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    Due, Event, MOST_SERVERS, Outbox, Received, Repetition, T2, T4, Table, Text, earlier, is_invite,
};
use crate::sip::{
    compose::response_goes_to,
    message::{Message, Method},
};

/// By what a request of somebody and what belongs to it are known (RFC 3261, 17.2.3).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerKey {
    method: Method,
    request: Text,
}

impl ServerKey {
    /// The one of a request, or of what it belongs to: `method` is INVITE for an ACK, and for the INVITE that a CANCEL is for.
    fn of(request: &Message, method: Method) -> Self {
        let via = request.header("Via").unwrap_or_default();
        let text = match request.branch().filter(|branch| branch.starts_with("z9hG4bK")) {
            Some(branch) => {
                let sent_by = via.split(';').next().and_then(|first| first.rsplit(' ').next());
                [branch, sent_by.unwrap_or_default()].join(" ")
            }
            // One of RFC 2543, whose Via alone says little.
            None => {
                let number = request.cseq().map_or(0, |(number, _)| number).to_string();
                let from = request.from_tag().unwrap_or_default();
                [via, request.call_id(), from, &number, request.uri()].join(" ")
            }
        };
        Self { method, request: text.into() }
    }

    /// Whether it is an INVITE's.
    pub const fn is_invite(&self) -> bool {
        is_invite(self.method)
    }
}

/// How far a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It has no final response.
    Proceeding,
    /// It has one, and is only remembered in case it is asked again.
    Completed,
    /// The INVITE is refused; its ACK is still to come.
    Refused,
    /// The INVITE is accepted; its ACK is still to come.
    Accepted,
}

/// The transaction of one request.
#[derive(Debug)]
pub(super) struct Server {
    to: SocketAddr,
    /// The last response.
    response: Option<Bytes>,
    phase: Phase,
    repetition: Option<Repetition>,
    ends: Option<Instant>,
}

impl Server {
    fn next(&self) -> Option<Instant> {
        earlier(self.repetition.map(|repetition| repetition.at), self.ends)
    }
}

impl<T: Clone> Table<T> {
    /// Takes in a request.
    pub(super) fn requested(
        &mut self,
        method: Method,
        message: Message,
        source: SocketAddr,
        now: Instant,
        outbox: &mut Outbox,
    ) -> Option<Event<T>> {
        if method == Method::Ack {
            return self.acknowledged_by(message, now);
        }
        let key = ServerKey::of(&message, method);
        if let Some(known) = self.servers.get(&key) {
            // It comes again: so does its response. What waits for an ACK is sent by its own time.
            outbox.extend(known.response.clone().map(|response| (known.to, response)));
            return None;
        }
        if self.servers.len() >= MOST_SERVERS {
            return None;
        }
        // It has no end of its own: whoever is told of it answers.
        let to = response_goes_to(&message, source, self.is_reliable);
        let server = Server { to, response: None, phase: Phase::Proceeding, repetition: None, ends: None };
        self.servers.insert(key.clone(), server);
        if method == Method::Cancel {
            let invite = ServerKey { method: Method::Invite, request: key.request.clone() };
            let invite = self.servers.contains_key(&invite).then_some(invite);
            return Some(Event::Cancel(Received { message, source, key }, invite));
        }
        Some(Event::Request(Received { message, source, key }))
    }

    /// An ACK: for a refusal it ends the transaction, for a 2xx it goes to the dialog.
    fn acknowledged_by(&mut self, ack: Message, now: Instant) -> Option<Event<T>> {
        let key = ServerKey::of(&ack, Method::Invite);
        match self.servers.get_mut(&key) {
            Some(server) if server.phase == Phase::Refused => {
                server.phase = Phase::Completed;
                server.repetition = None;
                let lasts = if self.is_reliable { now } else { now + self.t1 * T4 };
                server.ends = Some(lasts);
                self.plan(lasts, Due::Server(key));
                None
            }
            Some(server) if server.phase == Phase::Completed => None,
            Some(_) | None => Some(Event::Ack(ack)),
        }
    }

    /// Responds to a request; says whether that was still possible.
    pub fn respond(
        &mut self,
        key: &ServerKey,
        status: u16,
        response: Bytes,
        now: Instant,
        outbox: &mut Outbox,
    ) -> bool {
        let patience = self.patience();
        let Some(server) = self.servers.get_mut(key).filter(|server| server.phase == Phase::Proceeding)
        else {
            return false;
        };
        outbox.push((server.to, response.clone()));
        server.response = Some(response);
        server.repetition = None;
        if status < 200 {
            return true;
        }
        server.ends = Some(now + patience);
        server.phase = match (key.is_invite(), status) {
            (false, _) => Phase::Completed,
            (true, ..300) => Phase::Accepted,
            (true, _) => Phase::Refused,
        };
        // A 2xx is repeated even where nothing is lost on the way: a proxy may have gone over to datagrams (13.3.1.4).
        let repeats =
            server.phase == Phase::Accepted || (server.phase == Phase::Refused && !self.is_reliable);
        server.repetition = repeats.then(|| Repetition::begin(now, self.t1));
        if server.phase == Phase::Completed && self.is_reliable {
            self.servers.remove(key);
            return true;
        }
        if let Some(next) = server.next() {
            self.plan(next, Due::Server(key.clone()));
        }
        true
    }

    /// Responds to an INVITE provisionally, and again until that is acknowledged by [`Table::heard`] or for as long as patience
    /// lasts (RFC 3262, section 3); says whether that was still possible.
    pub fn respond_reliably(
        &mut self,
        key: &ServerKey,
        status: u16,
        response: Bytes,
        now: Instant,
        outbox: &mut Outbox,
    ) -> bool {
        let ends = now + self.patience();
        if !self.respond(key, status, response, now, outbox) {
            return false;
        }
        let repetition = Repetition::begin(now, self.t1);
        if let Some(server) = self.servers.get_mut(key) {
            server.repetition = Some(Repetition { ends: Some(ends), ..repetition });
            self.plan(repetition.at, Due::Server(key.clone()));
        }
        true
    }

    /// A provisional response was acknowledged: it is not sent again.
    pub fn heard(&mut self, key: &ServerKey) {
        if let Some(server) = self.servers.get_mut(key).filter(|server| server.phase == Phase::Proceeding) {
            server.repetition = None;
        }
    }

    /// Responds to a request once, and forgets it: who only pretends to ask from an address gets nobody sent more than one
    /// response there. Who did ask, and did not hear it, asks again.
    pub fn dismiss(&mut self, key: &ServerKey, response: Bytes, outbox: &mut Outbox) {
        if let Some(server) = self.servers.remove(key) {
            outbox.push((server.to, response));
        }
    }

    /// The ACK for a 2xx is here, or nobody waits for it: the 2xx is not sent any more.
    pub fn settle(&mut self, key: &ServerKey) {
        if let Some(server) = self.servers.get_mut(key).filter(|server| server.phase == Phase::Accepted) {
            server.phase = Phase::Completed;
            server.repetition = None;
            server.response = None;
            if let Some(ends) = server.ends {
                self.plan(ends, Due::Server(key.clone()));
            }
        }
    }

    /// The time of a transaction came, unless it changed its plan meanwhile.
    pub(super) fn server_due(&mut self, key: &ServerKey, at: Instant, now: Instant, outbox: &mut Outbox) {
        let Some(server) = self.servers.get_mut(key).filter(|server| server.next() == Some(at)) else {
            return;
        };
        if server.ends.is_some_and(|ends| ends <= now) {
            self.servers.remove(key);
            return;
        }
        outbox.extend(server.response.clone().map(|response| (server.to, response)));
        server.repetition = server.repetition.and_then(|repetition| repetition.next(now, Some(self.t1 * T2)));
        if let Some(next) = server.next() {
            self.plan(next, Due::Server(key.clone()));
        }
    }
}
