//! The sockets of a session and the task that serves them.

use std::{
    future::poll_fn,
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    net::UdpSocket,
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, Interval, MissedTickBehavior, interval, sleep},
};

use super::{
    event::MediaEvent,
    exchange::{Exchange, Onward},
    latch::Remote,
    ports::{Lease, Pair, Ports, PortsError},
    quality::{Quality, Summary},
    totals::Totals,
};
use crate::{Side, Tap};

/// No packet of a telephone is longer; a longer datagram is dropped.
const LONGEST_PACKET: usize = 2048;
/// So many packets of one socket are taken before another has its turn.
const AT_ONCE: usize = 16;
/// How often silence is looked for.
const TICK: Duration = Duration::from_millis(500);
/// How long a socket rests after an error, so that a lasting one takes no whole core.
const REST: Duration = Duration::from_millis(10);
/// "Expedited forwarding", the class of telephony (RFC 4594, 4.1).
const TRAFFIC_CLASS: u32 = 46 << 2;

/// How media is relayed.
#[derive(Clone, Debug)]
pub struct MediaConfig {
    /// The address that the sockets are bound to.
    pub host: IpAddr,
    /// The ports to choose from, shared by all calls.
    pub ports: Ports,
    /// How many packets may choose the source of a side behind address translation.
    pub latch_packets: u32,
    /// After how long a side that should send is silent.
    pub silence_after: Duration,
    /// Room for events that nobody has taken yet; when it is full they are dropped and counted.
    pub event_room: usize,
    /// Where packets are counted, for all calls.
    pub totals: Arc<Totals>,
}

impl MediaConfig {
    /// With usual values: 50 packets to choose, 30 s of silence, room for 64 events.
    pub fn new(host: IpAddr, ports: Ports) -> Self {
        Self {
            host,
            ports,
            latch_packets: 50,
            silence_after: Duration::from_secs(30),
            event_room: 64,
            totals: Arc::default(),
        }
    }
}

/// The media of one call. On drop the relay ends, and its ports are free as soon as its task is gone;
/// [`MediaSession::close`] waits for that.
#[derive(Debug)]
pub struct MediaSession {
    relay: Arc<Relay>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Relay {
    began: Instant,
    caller: Sockets,
    callee: Sockets,
    exchange: Mutex<Exchange>,
    unsent: AtomicU64,
    totals: Arc<Totals>,
}

#[derive(Debug)]
struct Sockets {
    rtp: UdpSocket,
    rtcp: UdpSocket,
    local: SocketAddr,
    /// Last, so that it is given back when the sockets are closed.
    _lease: Lease,
}

impl Sockets {
    fn open(config: &MediaConfig) -> Result<Self, PortsError> {
        let Pair { rtp, rtcp, local, lease } = config.ports.open(config.host)?;
        let (rtp, rtcp) = (UdpSocket::from_std(rtp)?, UdpSocket::from_std(rtcp)?);
        // A network that gives telephony no class loses nothing.
        let _ = match local {
            SocketAddr::V4(_) => rtp.set_tos_v4(TRAFFIC_CLASS),
            SocketAddr::V6(_) => rtp.set_tclass_v6(TRAFFIC_CLASS),
        };
        Ok(Self { rtp, rtcp, local, _lease: lease })
    }

    /// An address as these sockets write it: those of IPv6 reach IPv4 too.
    fn reachable(&self, to: SocketAddr) -> SocketAddr {
        match (self.local, to) {
            (SocketAddr::V6(_), SocketAddr::V4(to)) => (to.ip().to_ipv6_mapped(), to.port()).into(),
            (SocketAddr::V6(_) | SocketAddr::V4(_), _) => to,
        }
    }
}

impl MediaSession {
    /// Opens the sockets and starts to relay; nothing is taken from a side before it is connected. Events come from the
    /// receiver. Needs a tokio runtime.
    pub fn open(config: &MediaConfig) -> Result<(Self, mpsc::Receiver<MediaEvent>), PortsError> {
        let (events, receiver) = mpsc::channel(config.event_room.max(1));
        let relay = Arc::new(Relay {
            began: Instant::now(),
            caller: Sockets::open(config)?,
            callee: Sockets::open(config)?,
            exchange: Mutex::new(Exchange::new(
                config.latch_packets,
                config.silence_after,
                events,
                Arc::clone(&config.totals),
            )),
            totals: Arc::clone(&config.totals),
            unsent: AtomicU64::default(),
        });
        let task = tokio::spawn(serve(Arc::clone(&relay)));
        Ok((Self { relay, task }, receiver))
    }

    /// The address and port at which a side's RTP is taken; its RTCP is at the next port.
    pub fn local(&self, side: Side) -> SocketAddr {
        self.relay.sockets(side).local
    }

    /// The time since the session began: what `at` of its events counts.
    pub fn elapsed(&self) -> Duration {
        self.relay.began.elapsed()
    }

    /// Tells where a side is and what it sends, once it is known and whenever it changes.
    pub fn connect(&self, side: Side, remote: Remote) {
        self.relay.exchange().connect(side, remote, self.relay.nanos());
    }

    /// Gives a copy of every packet that is taken to a recording, or to none from now on.
    pub fn record(&self, tap: Option<Tap>) {
        self.relay.exchange().record(tap);
    }

    /// What was measured of a side so far.
    pub fn quality(&self, side: Side) -> Quality {
        self.relay.exchange().quality(side)
    }

    /// Ends the relay, frees its ports and tells what was measured.
    pub async fn close(mut self) -> Summary {
        self.task.abort();
        // It was ended on purpose.
        let _ = (&mut self.task).await;
        let unsent = self.relay.unsent.load(Ordering::Relaxed);
        let summary = {
            let mut exchange = self.relay.exchange();
            exchange.count();
            Summary { unsent, ..exchange.summary() }
        };
        self.relay.totals.end(&summary);
        summary
    }
}

impl Drop for MediaSession {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Relay {
    const fn sockets(&self, side: Side) -> &Sockets {
        match side {
            Side::Caller => &self.caller,
            Side::Callee => &self.callee,
        }
    }

    fn exchange(&self) -> MutexGuard<'_, Exchange> {
        self.exchange.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn nanos(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Sends a datagram of a side on as it is. Never waits: what the system does not take at once is dropped.
    fn pass_on(&self, side: Side, onward: Option<Onward>, bytes: &[u8]) {
        let other = self.sockets(side.other());
        let (socket, to) = match onward {
            Some(Onward::Rtp(to)) => (&other.rtp, to),
            Some(Onward::Rtcp(to)) => (&other.rtcp, to),
            None => return,
        };
        // The system is asked itself: whether a socket has room that was never waited for the runtime does not know.
        if socket2::SockRef::from(socket).send_to(bytes, &other.reachable(to).into()).is_err() {
            self.unsent.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes what has arrived at a socket. The room for it is the thread's, not the call's: thousands wait at a time.
    fn take(&self, own: &UdpSocket, mut each: impl FnMut(SocketAddr, &[u8])) -> io::Result<()> {
        let mut buffer = [0; LONGEST_PACKET + 1];
        for _ in 0..AT_ONCE {
            match own.try_recv_from(&mut buffer) {
                Ok((length, from)) if length <= LONGEST_PACKET => each(from, &buffer[..length]),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Takes what there is to take, until there is nothing more or a socket fails.
    fn poll(&self, ticks: &mut Interval, context: &mut Context<'_>) -> Poll<()> {
        loop {
            let mut is_idle = true;
            for side in Side::BOTH {
                let Sockets { rtp, rtcp, .. } = self.sockets(side);
                for (socket, is_rtcp) in [(rtp, false), (rtcp, true)] {
                    let Poll::Ready(ready) = socket.poll_recv_ready(context) else { continue };
                    is_idle = false;
                    let taken = ready.and_then(|()| {
                        self.take(socket, |from, bytes| match is_rtcp {
                            true => self.rtcp(side, from, bytes),
                            false => self.rtp(side, from, bytes),
                        })
                    });
                    if taken.is_err() {
                        return Poll::Ready(());
                    }
                }
            }
            if ticks.poll_tick(context).is_ready() {
                self.exchange().tick(self.nanos());
            } else if is_idle {
                return Poll::Pending;
            }
        }
    }

    fn rtp(&self, side: Side, from: SocketAddr, bytes: &[u8]) {
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        let onward = self.exchange().rtp(side, from, bytes, self.nanos());
        self.pass_on(side, onward, bytes);
    }

    fn rtcp(&self, side: Side, from: SocketAddr, bytes: &[u8]) {
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        let onward = self.exchange().rtcp(side, from, bytes, self.nanos());
        self.pass_on(side, onward, bytes);
    }
}

/// Serves all four sockets, and what comes with time. One task for all: most calls are silent on most of them.
async fn serve(relay: Arc<Relay>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        poll_fn(|context| relay.poll(&mut ticks, context)).await;
        sleep(REST).await;
    }
}
