//! SIP over TCP and TLS.
//!
//! The stack's own connections would hand on whatever arrives. So connections are made and taken here: their bytes are cut
//! into messages, those go through the guard, and what is sound is handed to the stack by a channel. How many there are,
//! how large a message is and how long nothing may be heard is bounded.

mod connection;
mod frame;
mod open;
mod tls;

pub(crate) use open::Open;
pub(crate) use tls::{Means, Unusable};

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rsipstack::{
    transaction::endpoint::EndpointInnerRef,
    transport::{SipAddr, SipConnection, channel::ChannelConnection},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use self::connection::{Connection, Ways};
use crate::{
    call::Transport,
    guard::{Gate, Limits},
};

/// Until a connection is made, its handshake included.
const CONNECT: Duration = Duration::from_secs(3);
/// Until who connected has shaken hands.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long nothing is accepted when the system has no means for a connection.
const REST: Duration = Duration::from_millis(50);

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
}

/// The connections of one door.
pub(crate) struct Streams {
    transport: Transport,
    settings: StreamSettings,
    gate: Arc<Gate>,
    limits: Mutex<Limits>,
    open: Arc<Open>,
    means: Option<Means>,
    /// Taken when it is served.
    listener: Mutex<Option<TcpListener>>,
    live: Mutex<HashMap<SocketAddr, Live>>,
}

impl Streams {
    /// Those that a listener takes, and those that are made; without a listener only these. TLS where there are means
    /// for it.
    pub(crate) fn new(
        listener: Option<TcpListener>,
        means: Option<Means>,
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
            listener: Mutex::new(listener),
            live: Mutex::default(),
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

    /// Takes connections until the gateway stops.
    pub(crate) fn serve(self: &Arc<Self>, endpoint: EndpointInnerRef, running: &CancellationToken) {
        let Some(listener) = self.listener.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return;
        };
        let (streams, running) = (self.clone(), running.clone());
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    () = running.cancelled() => return,
                    accepted = listener.accept() => accepted,
                };
                match accepted {
                    Ok((stream, remote)) => streams.accepted(stream, remote, &endpoint, &running),
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be taken");
                        tokio::time::sleep(REST).await;
                    }
                }
            }
        });
    }

    fn accepted(
        self: &Arc<Self>,
        stream: TcpStream,
        remote: SocketAddr,
        endpoint: &EndpointInnerRef,
        running: &CancellationToken,
    ) {
        let now = tokio::time::Instant::now().into_std();
        if !self.gate.admits(remote.ip(), now) {
            self.gate.counts().count_dropped(crate::guard::Reason::UnknownSource);
            return;
        }
        let Some(place) = self.open.enter(remote.ip()) else { return };
        prepare(&stream);
        let (streams, endpoint, closed) = (self.clone(), endpoint.clone(), running.child_token());
        tokio::spawn(async move {
            let connection = Connection { streams: streams.clone(), remote, place, closed, ours: false };
            let Some(means) = &streams.means else {
                let Some(ways) = streams.introduce(&connection, None, &endpoint).await else { return };
                return connection.run(stream, ways).await;
            };
            match timeout(HANDSHAKE, means.acceptor.accept(stream)).await {
                Ok(Ok(stream)) => {
                    let Some(ways) = streams.introduce(&connection, None, &endpoint).await else { return };
                    connection.run(stream, ways).await;
                }
                Ok(Err(error)) => tracing::debug!(%remote, %error, "no handshake"),
                Err(_) => tracing::debug!(%remote, "no handshake in time"),
            }
        });
    }

    /// Sees to it that there is a connection to a peer; `host` is the name that it has to prove.
    pub(crate) async fn reach(
        self: &Arc<Self>,
        remote: SocketAddr,
        host: &str,
        endpoint: &EndpointInnerRef,
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
        let stopping = || io::Error::from(io::ErrorKind::NotConnected);
        let closed = running.child_token();
        let connection = Connection { streams: self.clone(), remote, place, closed, ours: true };
        let stream = timeout(CONNECT, TcpStream::connect(remote)).await.map_err(late)??;
        prepare(&stream);
        let name = Some(host.to_owned());
        match &self.means {
            None => {
                let ways = self.introduce(&connection, name, endpoint).await.ok_or_else(stopping)?;
                tokio::spawn(connection.run(stream, ways));
            }
            Some(means) => {
                let shaking = means.connector.connect(tls::name_of(host, remote), stream);
                let stream = timeout(CONNECT, shaking).await.map_err(late)??;
                let ways = self.introduce(&connection, name, endpoint).await.ok_or_else(stopping)?;
                tokio::spawn(connection.run(stream, ways));
            }
        }
        Ok(())
    }

    /// Makes a connection known to the stack, which sends by it from then on.
    async fn introduce(
        &self,
        connection: &Connection,
        name: Option<String>,
        endpoint: &EndpointInnerRef,
    ) -> Option<Ways> {
        let Connection { remote, closed, .. } = connection;
        let address = SipAddr { r#type: Some(self.transport.of_stack()), addr: (*remote).into() };
        let (to_stack, incoming) = mpsc::unbounded_channel();
        let (outgoing, from_stack) = mpsc::unbounded_channel();
        let made =
            ChannelConnection::create_connection(incoming, outgoing, address.clone(), Some(closed.clone()));
        let channel = made.await.ok()?;
        endpoint.transport_layer.add_connection(SipConnection::Channel(channel.clone()));
        self.live().insert(*remote, Live { closed: closed.clone(), name });
        Some(Ways { channel, address, to_stack, from_stack })
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
