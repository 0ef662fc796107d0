//! Transactions: what is sent again, until when, and which answer belongs to which request (RFC 3261, 17; RFC 6026).
//!
//! One table holds all transactions of one address. It has no clock, no socket and no task: it is told what came in and
//! what time it is, and gives what has to be sent ([`Outbox`]) and what its user has to know ([`Event`]).

mod client;
mod server;
#[cfg(test)]
mod tests;

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    hash::{BuildHasher, RandomState},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use tokio::time::Instant;

pub use client::ClientKey;
pub use server::ServerKey;

use super::message::{Message, Method};
use client::Client;
use server::Server;

/// T2: the longest time between two repetitions, times T1.
const T2: u32 = 8;
/// T4: how long a message stays in the network, times T1.
const T4: u32 = 10;
/// The end of most patience, times T1.
const PATIENCE: u32 = 64;
/// Requests that are remembered at once; beyond it none is heard.
const MOST_SERVERS: usize = 1 << 18;

/// What has to be sent, and where to.
pub type Outbox = Vec<(SocketAddr, Bytes)>;

/// A request that came in for the first time.
#[derive(Clone, Debug)]
pub struct Received {
    /// It.
    pub message: Message,
    /// Where it came from.
    pub source: SocketAddr,
    /// By what it is answered.
    pub key: ServerKey,
}

/// What the user of the table has to know.
#[derive(Debug)]
pub enum Event<T> {
    /// A request, which has to be answered.
    Request(Received),
    /// A CANCEL, which has to be answered, and the INVITE that it is for, where there is one.
    Cancel(Received, Option<ServerKey>),
    /// An ACK for a 2xx, or for nothing.
    Ack(Message),
    /// A response to a request.
    Response {
        /// Whose request it was; nobody's any more: it was abandoned, or this is a second 2xx to an INVITE that forked.
        waiting: Option<T>,
        /// The request.
        key: ClientKey,
        /// The request as it was sent last, unless this is a later 2xx.
        request: Bytes,
        /// The response.
        response: Message,
        /// Where it came from.
        source: SocketAddr,
    },
    /// A request got no final response.
    TimedOut {
        /// Whose it was.
        waiting: Option<T>,
        /// The request.
        key: ClientKey,
    },
}

/// Something whose time comes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Client(ClientKey),
    Server(ServerKey),
}

/// All transactions of one address. `T` says who waits for a response.
#[derive(Debug)]
pub struct Table<T> {
    t1: Duration,
    /// Whether messages arrive without being repeated.
    is_reliable: bool,
    clients: HashMap<ClientKey, Client<T>>,
    servers: HashMap<ServerKey, Server>,
    /// When something is due. An entry whose transaction has another plan by then means nothing.
    due: BinaryHeap<Reverse<(Instant, Due)>>,
    branches: RandomState,
    begun: u64,
}

impl<T: Clone> Table<T> {
    /// An empty one.
    pub fn new(t1: Duration, is_reliable: bool) -> Self {
        Self {
            t1,
            is_reliable,
            clients: HashMap::new(),
            servers: HashMap::new(),
            due: BinaryHeap::new(),
            branches: RandomState::new(),
            begun: 0,
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.clients.len() + self.servers.len()
    }

    /// A branch for a request, which nobody can guess.
    pub fn branch(&mut self) -> u64 {
        self.begun += 1;
        self.branches.hash_one(self.begun)
    }

    /// When [`Table::fire`] has something to do.
    pub fn next_due(&self) -> Option<Instant> {
        self.due.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes in a message that arrived.
    pub fn received(
        &mut self,
        message: Message,
        source: SocketAddr,
        now: Instant,
        outbox: &mut Outbox,
    ) -> Option<Event<T>> {
        match message.method() {
            None => self.responded(message, source, now, outbox),
            Some(method) => self.requested(method, message, source, now, outbox),
        }
    }

    /// Does what is due.
    pub fn fire(&mut self, now: Instant, outbox: &mut Outbox) -> Vec<Event<T>> {
        let mut events = Vec::new();
        while let Some(Reverse((at, _))) = self.due.peek()
            && *at <= now
        {
            let Some(Reverse((at, due))) = self.due.pop() else { break };
            match due {
                Due::Client(key) => events.extend(self.client_due(key, at, now, outbox)),
                Due::Server(key) => self.server_due(&key, at, now, outbox),
            }
        }
        events
    }

    fn plan(&mut self, at: Instant, due: Due) {
        self.due.push(Reverse((at, due)));
    }

    fn patience(&self) -> Duration {
        self.t1 * PATIENCE
    }
}

/// What is sent again and again, at longer and longer intervals.
#[derive(Clone, Copy, Debug)]
struct Repetition {
    at: Instant,
    after: Duration,
    /// Nothing is sent any more from then on.
    ends: Option<Instant>,
}

impl Repetition {
    fn begin(now: Instant, t1: Duration) -> Self {
        Self { at: now + t1, after: t1, ends: None }
    }

    /// The next one, where there is one; `longest` bounds the time until it.
    fn next(self, now: Instant, longest: Option<Duration>) -> Option<Self> {
        let after = self.after * 2;
        let after = longest.map_or(after, |longest| after.min(longest));
        let at = now + after;
        self.ends.is_none_or(|ends| at <= ends).then_some(Self { at, after, ..self })
    }
}

/// A text that many hold.
type Text = Arc<str>;

/// The earlier of two times.
fn earlier(first: Option<Instant>, second: Option<Instant>) -> Option<Instant> {
    match (first, second) {
        (Some(first), Some(second)) => Some(first.min(second)),
        (first, second) => first.or(second),
    }
}

/// Whether a method begins a transaction that ends with an ACK.
const fn is_invite(method: Method) -> bool {
    matches!(method, Method::Invite)
}
