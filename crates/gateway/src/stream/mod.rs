//! SIP over TCP and TLS.
//!
//! Connections are made and taken here: their bytes are cut into messages, those go through the guard, and what is sound
//! is handed to the door by a channel. How many there are, how large a message is and how long nothing may be heard is
//! bounded.

mod connection;
mod frame;
mod open;
mod tls;

pub(crate) use open::Open;
pub(crate) use tls::{Means, Unusable};

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::mpsc,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use self::connection::{Connection, Outgoing};
use crate::{
    call::Transport,
    guard::{Gate, Limits},
    sip::Message,
};

/// Until a connection is made, its handshake included.
const CONNECT: Duration = Duration::from_secs(3);
/// Until who connected has shaken hands.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long nothing is accepted when the system has no means for a connection.
const REST: Duration = Duration::from_millis(50);

/// Messages that wait to be heard; who sends more waits.
const MOST_HEARD: usize = 256;
/// Messages that wait to be written: a peer that takes so few is cut off.
const MOST_WRITTEN: usize = 1024;

/// A message that came by a connection, and whose it is.
pub(crate) type Heard = (Message, SocketAddr);

/// How connections are made and taken.
pub(crate) struct Ways {
    /// Where they are taken; nothing where they are only made.
    pub(crate) listener: Option<TcpListener>,
    /// What they are encrypted with.
    pub(crate) means: Option<Means>,
    /// The address that they are made from; the unspecified one: whichever the system chooses.
    pub(crate) from: IpAddr,
}

/// What is bounded of every connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamSettings {
    /// The largest message, in bytes.
    pub(crate) largest_message: usize,
    /// How long nothing may be heard.
    pub(crate) idle: Duration,
    /// How many addresses' rates are remembered.
    pub(crate) addresses: NonZeroUsize,
}

/// A connection that is open.
struct Live {
    closed: CancellationToken,
    /// The name that its peer proved; none for who connected to us: it can only be answered there.
    name: Option<String>,
    /// What is to be written.
    outgoing: mpsc::Sender<Bytes>,
}

/// The connections of one door.
pub(crate) struct Streams {
    transport: Transport,
    settings: StreamSettings,
    gate: Arc<Gate>,
    limits: Mutex<Limits>,
    open: Arc<Open>,
    means: Option<Means>,
    from: IpAddr,
    /// Taken when it is served.
    listener: Mutex<Option<TcpListener>>,
    live: Mutex<HashMap<SocketAddr, Live>>,
    /// Where messages go, once they are served.
    heard: OnceLock<mpsc::Sender<Heard>>,
}

impl Streams {
    /// Those that a listener takes, and those that are made; without a listener only these. TLS where there are means
    /// for it.
    pub(crate) fn new(
        Ways { listener, means, from }: Ways,
        settings: StreamSettings,
        gate: Arc<Gate>,
        open: Arc<Open>,
    ) -> Arc<Self> {
        Arc::new(Self {
            transport: if means.is_some() { Transport::Tls } else { Transport::Tcp },
            settings,
            gate,
            limits: Mutex::new(Limits::with_room(settings.addresses)),
            open,
            means,
            from,
            listener: Mutex::new(listener),
            live: Mutex::default(),
            heard: OnceLock::new(),
        })
    }

    /// What the connections speak.
    pub(crate) const fn transport(&self) -> Transport {
        self.transport
    }

    fn live(&self) -> MutexGuard<'_, HashMap<SocketAddr, Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection is over; a newer one to the same peer stays.
    fn forget(&self, remote: SocketAddr, closed: &CancellationToken) {
        closed.cancel();
        let mut live = self.live();
        if live.get(&remote).is_some_and(|live| live.closed.is_cancelled()) {
            live.remove(&remote);
        }
    }

    /// Takes connections until the gateway stops, and gives what comes by them.
    pub(crate) fn serve(self: &Arc<Self>, running: &CancellationToken) -> mpsc::Receiver<Heard> {
        let (heard, messages) = mpsc::channel(MOST_HEARD);
        // Nobody serves them twice.
        let _ = self.heard.set(heard);
        if let Some(listener) = self.listener.lock().unwrap_or_else(PoisonError::into_inner).take() {
            self.listen(listener, running);
        }
        messages
    }

    fn listen(self: &Arc<Self>, listener: TcpListener, running: &CancellationToken) {
        let (streams, running) = (self.clone(), running.clone());
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    () = running.cancelled() => return,
                    accepted = listener.accept() => accepted,
                };
                match accepted {
                    Ok((stream, remote)) => streams.accepted(stream, remote, &running),
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be taken");
                        tokio::time::sleep(REST).await;
                    }
                }
            }
        });
    }

    fn accepted(self: &Arc<Self>, stream: TcpStream, remote: SocketAddr, running: &CancellationToken) {
        let now = tokio::time::Instant::now().into_std();
        if !self.gate.admits(remote.ip(), now) {
            self.gate.counts().count_dropped(crate::guard::Reason::UnknownSource);
            return;
        }
        let Some(place) = self.open.enter(remote.ip()) else { return };
        prepare(&stream);
        let (streams, closed) = (self.clone(), running.child_token());
        tokio::spawn(async move {
            let connection = Connection { streams: streams.clone(), remote, place, closed, ours: false };
            let Some(means) = &streams.means else {
                let outgoing = streams.introduce(&connection, None);
                return connection.run(stream, outgoing).await;
            };
            match timeout(HANDSHAKE, means.acceptor.accept(stream)).await {
                Ok(Ok(stream)) => {
                    let outgoing = streams.introduce(&connection, None);
                    connection.run(stream, outgoing).await;
                }
                Ok(Err(error)) => tracing::debug!(%remote, %error, "no handshake"),
                Err(_) => tracing::debug!(%remote, "no handshake in time"),
            }
        });
    }

    /// Has a message written to a peer that there is a connection to; gives it back where there is none.
    pub(crate) fn send(&self, remote: SocketAddr, message: Bytes) -> Result<(), Bytes> {
        let live = self.live();
        let Some(Live { outgoing, closed, .. }) =
            live.get(&remote).filter(|live| !live.closed.is_cancelled())
        else {
            return Err(message);
        };
        match outgoing.try_send(message) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Closed(message)) => Err(message),
            Err(mpsc::error::TrySendError::Full(_)) => {
                tracing::info!(%remote, "a peer takes no more: its connection is cut");
                closed.cancel();
                Ok(())
            }
        }
    }

    /// Sees to it that there is a connection to a peer; `host` is the name that it has to prove.
    pub(crate) async fn reach(
        self: &Arc<Self>,
        remote: SocketAddr,
        host: &str,
        running: &CancellationToken,
    ) -> io::Result<()> {
        let fits = |live: &Live| {
            let proved = self.means.is_none() || live.name.as_deref().is_none_or(|name| name == host);
            proved && !live.closed.is_cancelled()
        };
        if self.live().get(&remote).is_some_and(fits) {
            return Ok(());
        }
        let full = || io::Error::new(io::ErrorKind::QuotaExceeded, "as many connections as may be");
        let place = self.open.enter(remote.ip()).ok_or_else(full)?;
        let late = |_| io::Error::from(io::ErrorKind::TimedOut);
        let closed = running.child_token();
        let connection = Connection { streams: self.clone(), remote, place, closed, ours: true };
        let stream = timeout(CONNECT, self.connect(remote)).await.map_err(late)??;
        prepare(&stream);
        let name = Some(host.to_owned());
        match &self.means {
            None => {
                let outgoing = self.introduce(&connection, name);
                tokio::spawn(connection.run(stream, outgoing));
            }
            Some(means) => {
                let shaking = means.connector.connect(tls::name_of(host, remote), stream);
                let stream = timeout(CONNECT, shaking).await.map_err(late)??;
                let outgoing = self.introduce(&connection, name);
                tokio::spawn(connection.run(stream, outgoing));
            }
        }
        Ok(())
    }

    /// Connects from the address that is listened on, as datagrams leave from it: a peer may know us by that alone.
    async fn connect(&self, remote: SocketAddr) -> io::Result<TcpStream> {
        let socket = if remote.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // From the loopback nothing leads out.
        let leads_there = !self.from.is_loopback() || remote.ip().is_loopback();
        if !self.from.is_unspecified() && self.from.is_ipv4() == remote.is_ipv4() && leads_there {
            socket.bind(SocketAddr::new(self.from, 0))?;
        }
        socket.connect(remote).await
    }

    /// Makes a connection known: messages to its peer go by it from then on, and come out of what this gives.
    fn introduce(&self, connection: &Connection, name: Option<String>) -> Outgoing {
        let Connection { remote, closed, .. } = connection;
        let (outgoing, messages) = mpsc::channel(MOST_WRITTEN);
        let answers = outgoing.clone();
        self.live().insert(*remote, Live { closed: closed.clone(), name, outgoing });
        Outgoing { messages, answers }
    }
}

/// Notices a peer that is gone without a word, and does not wait to fill a packet.
fn prepare(stream: &TcpStream) {
    let keep_alive = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(60))
        .with_interval(Duration::from_secs(15));
    // Without them it is only noticed later.
    let _ = socket2::SockRef::from(stream).set_tcp_keepalive(&keep_alive);
    let _ = stream.set_nodelay(true);
}
