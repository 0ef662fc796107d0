//! The addresses at which the gateway speaks SIP: each has transactions of its own, so that what leaves by it shows its
//! address.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use memchr::memmem;
use tokio::{
    runtime::Handle,
    sync::{Notify, mpsc},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    actor::Note,
    index::Index,
    switch::{Clock, Settings},
    words::LegId,
};
use crate::{
    sip::{
        Answer, ClientKey, Datagrams, Event, Identity, Message, Method, Outbox, Received, Table, response,
    },
    stream::Streams,
};

/// Room for the largest datagram there is.
const LARGEST_DATAGRAM: usize = 65_536;
/// How long nothing is received when the system fails to.
const REST: Duration = Duration::from_millis(50);

/// How messages travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// As datagrams.
    Udp,
    /// In a stream.
    Tcp,
    /// In an encrypted stream.
    Tls,
}

impl Transport {
    /// Its name in a Via.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }

    /// Its parameter in a URI; UDP needs none.
    pub const fn parameter(self) -> &'static str {
        match self {
            Self::Udp => "",
            Self::Tcp => ";transport=tcp",
            Self::Tls => ";transport=tls",
        }
    }

    /// The port where a URI names none.
    pub const fn usual_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
        }
    }
}

/// What a door is made of.
pub enum Opening {
    /// A socket of UDP.
    Socket(Arc<dyn Datagrams>),
    /// Connections over TCP or TLS, which are made and taken by these.
    Streams(Arc<Streams>),
}

/// Who waits for a response, and to what.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Its call's task.
    pub notes: mpsc::UnboundedSender<Note>,
    /// Its leg.
    pub leg: LegId,
    /// The request.
    pub request: Sent,
    /// Whether the request went before, without a proof of who sends it.
    pub is_proved: bool,
}

/// A request of ours whose response somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The INVITE that began the leg.
    Invite,
    /// A re-INVITE or UPDATE of this number.
    Offer(u32),
    /// A BYE.
    Bye,
    /// Another, whose response says nothing.
    Other,
}

/// One address at which the gateway speaks SIP.
pub struct Door {
    /// How messages travel by it.
    pub transport: Transport,
    /// What peers know it by: it stands in Via and Contact.
    pub advertised: SocketAddr,
    /// As whom messages leave by it.
    pub identity: Identity,
    /// Its connections.
    pub streams: Option<Arc<Streams>>,
    socket: Option<Arc<dyn Datagrams>>,
    table: Mutex<Table<Waiting>>,
    /// Something is due earlier than the door's task knows.
    earlier: Notify,
    index: Arc<Index>,
    clock: Clock,
    running: CancellationToken,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").field("transport", &self.transport).finish_non_exhaustive()
    }
}

/// What comes in by a door, as it is heard.
pub struct Ear {
    messages: Option<mpsc::Receiver<(Message, SocketAddr)>>,
    buffer: Vec<u8>,
}

impl Door {
    /// Opens a door, and gives what comes in by it.
    pub fn open(
        opening: Opening,
        advertised: SocketAddr,
        index: Arc<Index>,
        settings: &Settings,
        running: &CancellationToken,
    ) -> (Arc<Self>, Ear) {
        let (transport, socket, streams) = match opening {
            Opening::Socket(socket) => (Transport::Udp, Some(socket), None),
            Opening::Streams(streams) => (streams.transport(), None, Some(streams)),
        };
        let messages = streams.as_ref().map(|streams| streams.serve(running));
        let identity = Identity {
            via: format!("SIP/2.0/{} {advertised}", transport.name()),
            contact: format!("sip:{advertised}{}", transport.parameter()),
            agent: settings.user_agent.clone(),
        };
        let buffer = vec![0; if socket.is_some() { LARGEST_DATAGRAM } else { 0 }];
        let door = Self {
            transport,
            advertised,
            identity,
            streams,
            socket,
            table: Mutex::new(Table::new(settings.t1, transport != Transport::Udp)),
            earlier: Notify::new(),
            index,
            clock: settings.clock.clone(),
            running: running.clone(),
        };
        (Arc::new(door), Ear { messages, buffer })
    }

    /// Whether messages to an address can leave by it.
    pub fn leads_to(&self, transport: Transport, address: SocketAddr) -> bool {
        self.transport == transport && self.advertised.is_ipv4() == address.ip().to_canonical().is_ipv4()
    }

    /// How many transactions it runs.
    pub fn transactions(&self) -> usize {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).count()
    }

    /// Waits for what comes in by it next, or for what its time brings.
    pub async fn next(self: &Arc<Self>, ear: &mut Ear) -> Vec<Event<Waiting>> {
        let due = self.with(|table, _, _| table.next_due());
        let heard = async {
            match (&self.socket, &mut ear.messages) {
                (Some(socket), _) => {
                    let received = socket.recv_from(&mut ear.buffer).await;
                    let Ok((length, source)) = received else {
                        // Of no one peer's doing; it is not waited for in a circle.
                        tokio::time::sleep(REST).await;
                        return None;
                    };
                    let datagram = ear.buffer.get(..length).unwrap_or_default();
                    Some((Message::read(Bytes::copy_from_slice(datagram))?, source))
                }
                (None, Some(messages)) => messages.recv().await,
                (None, None) => std::future::pending().await,
            }
        };
        tokio::select! {
            heard = heard => match heard {
                Some((message, source)) => {
                    self.note(false, source, message.bytes());
                    let event = self.with(|table, now, outbox| table.received(message, source, now, outbox));
                    event.into_iter().collect()
                }
                None => Vec::new(),
            },
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                self.with(Table::fire)
            }
            () = self.earlier.notified() => Vec::new(),
        }
    }

    /// Does something with the transactions, and sends what comes of it.
    pub fn with<R>(self: &Arc<Self>, act: impl FnOnce(&mut Table<Waiting>, Instant, &mut Outbox) -> R) -> R {
        let mut outbox = Outbox::new();
        let (done, is_earlier) = {
            let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
            let due = table.next_due();
            let done = act(&mut table, Instant::now(), &mut outbox);
            let next = table.next_due();
            (done, next.is_some_and(|next| due.is_none_or(|due| next < due)))
        };
        if is_earlier {
            self.earlier.notify_one();
        }
        for (to, bytes) in outbox {
            self.send(to, bytes);
        }
        done
    }

    /// Sends a message, which belongs to no transaction or is in the care of one.
    pub fn send(self: &Arc<Self>, to: SocketAddr, bytes: Bytes) {
        self.note(true, to, &bytes);
        if let Some(socket) = &self.socket {
            // What is lost is sent again.
            if let Err(error) = socket.send_to(&bytes, to) {
                tracing::debug!(%to, %error, "a datagram was lost");
            }
        } else if let Some(streams) = &self.streams
            && let Err(bytes) = streams.send(to, bytes)
            // A leg may be dropped when the runtime is.
            && let Ok(runtime) = Handle::try_current()
        {
            let (streams, running) = (streams.clone(), self.running.clone());
            runtime.spawn(async move {
                let reached = streams.reach(to, &to.ip().to_string(), &running).await;
                if reached.is_err() || streams.send(to, bytes).is_err() {
                    tracing::debug!(%to, "no connection for a message");
                }
            });
        }
    }

    /// Responds to a request; says whether that was still possible.
    pub fn respond(self: &Arc<Self>, received: &Received, answer: &Answer) -> bool {
        let text = self.response(received, answer);
        self.with(|table, now, outbox| table.respond(&received.key, answer.status, text, now, outbox))
    }

    /// The same, provisionally and until that is acknowledged, to an INVITE.
    pub fn respond_reliably(self: &Arc<Self>, received: &Received, answer: &Answer) -> bool {
        let text = self.response(received, answer);
        self.with(|table, now, outbox| {
            table.respond_reliably(&received.key, answer.status, text, now, outbox)
        })
    }

    /// Responds to a request, and forgets it (RFC 3261, 8.2.7 and 26.3.2.4).
    pub fn dismiss(self: &Arc<Self>, received: &Received, answer: &Answer) {
        let text = self.response(received, answer);
        self.with(|table, _, outbox| table.dismiss(&received.key, text, outbox));
    }

    fn response(&self, received: &Received, answer: &Answer) -> Bytes {
        let tag = self.index.tag(&received.message);
        response(&received.message, received.source, answer, &tag, &self.identity.agent)
    }

    /// Sends a request of ours, which is written for its branch.
    pub fn request(
        self: &Arc<Self>,
        method: Method,
        to: SocketAddr,
        waiting: Option<Waiting>,
        write: impl FnOnce(&Identity, u64) -> Bytes,
    ) -> ClientKey {
        self.with(|table, now, outbox| {
            let branch = table.branch();
            let key = ClientKey::new(branch, method);
            table.request(key, to, write(&self.identity, branch), waiting, now, outbox);
            key
        })
    }

    /// Remembers a message in its call's trace.
    fn note(&self, sent: bool, peer: SocketAddr, bytes: &Bytes) {
        if let Some(entry) = call_id(bytes).and_then(|call_id| self.index.find(call_id)) {
            entry.remember((self.clock)(), sent, peer, bytes.clone());
        }
    }
}

/// The Call-ID of a message, as the guard and we write it.
fn call_id(bytes: &[u8]) -> Option<&str> {
    const BEGINS: &[u8] = b"\r\nCall-ID: ";
    let from = bytes.get(memmem::find(bytes, BEGINS)? + BEGINS.len()..)?;
    std::str::from_utf8(from.get(..memmem::find(from, b"\r\n")?)?).ok()
}
