//! Opening a gateway: its sockets, the addresses that it shows, and everything behind them.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::Arc,
    time::{Duration, SystemTime},
};

use pegcount_lame::Lame;
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::mpsc,
};

use super::{
    Addresses, Config, StartError,
    directory::{People, check_names, policy},
    gateway::Parts,
    media::Maker,
};
use crate::{
    Clock, Report, Routes,
    call::{Opening, Settings, Switch},
    guard::{Gate, GuardedSocket, Policy, bind},
    media::{MediaConfig, Ports},
    recording::{self, Format, Recorder, RecorderConfig},
    registrar::Terms,
    stream::{Means, Open, StreamSettings, Streams, Ways},
    trace::Traces,
};

/// Room for datagrams that nobody has read yet; the system may give less.
const RECEIVE_BUFFER: usize = 4 << 20;

/// Connections that wait to be taken; the system may give less.
const BACKLOG: u32 = 1024;

/// A gateway that has opened.
pub(super) struct Opened {
    pub(super) switch: Switch,
    pub(super) parts: Parts,
    /// What becomes of recordings.
    pub(super) recorded: mpsc::Receiver<recording::Report>,
}

/// The addresses to show, one for each family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    ipv4: Option<IpAddr>,
    ipv6: Option<IpAddr>,
}

impl Shown {
    fn of(advertised: &[IpAddr]) -> Result<Self, StartError> {
        let mut shown = Self { ipv4: None, ipv6: None };
        for address in advertised {
            let family = if address.is_ipv4() { &mut shown.ipv4 } else { &mut shown.ipv6 };
            if family.replace(*address).is_some() {
                return Err(StartError::Advertised(*address));
            }
        }
        Ok(shown)
    }

    /// What stands for a listening address.
    fn of_listener(self, listening: SocketAddr) -> SocketAddr {
        let named = if listening.is_ipv4() { self.ipv4 } else { self.ipv6 };
        let address = named.unwrap_or_else(|| match listening.ip() {
            wildcard if wildcard.is_unspecified() => host(wildcard.is_ipv4()),
            address => address,
        });
        SocketAddr::new(address, listening.port())
    }

    /// What IPv4 and IPv6 find media at.
    fn of_media(self, bound: IpAddr, listening: &[SocketAddr]) -> [IpAddr; 2] {
        [true, false].map(|ipv4| {
            let named = if ipv4 { self.ipv4 } else { self.ipv6 };
            let of_listener =
                || listening.iter().map(SocketAddr::ip).find(|address| address.is_ipv4() == ipv4);
            let own = Some(bound).filter(|bound| bound.is_ipv4() == ipv4 && !bound.is_unspecified());
            named.or(own).or_else(of_listener).unwrap_or_else(|| host(ipv4))
        })
    }
}

/// The address by which the host would reach others; the loopback where it reaches nobody. Nothing is sent.
fn host(ipv4: bool) -> IpAddr {
    let (any, other, loopback): (IpAddr, IpAddr, IpAddr) = if ipv4 {
        (Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::new(192, 0, 2, 1).into(), Ipv4Addr::LOCALHOST.into())
    } else {
        let documented = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
        (Ipv6Addr::UNSPECIFIED.into(), documented.into(), Ipv6Addr::LOCALHOST.into())
    };
    let found = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((other, 9))?;
        socket.local_addr()
    });
    found.map_or(loopback, |found| found.ip())
}

/// The doors as they are opened one by one.
struct Doors {
    opened: Vec<(Opening, SocketAddr)>,
    addresses: Addresses,
    shown: Shown,
    gate: Arc<Gate>,
    open: Arc<Open>,
    streams: StreamSettings,
}

/// Opens what listens on an address: on `[::]`, which is every address of the machine, a socket of IPv6 and one of IPv4 with
/// the same port, since each family has an address of its own to show.
fn each_family<S>(
    address: SocketAddr,
    transport: &'static str,
    open: impl Fn(SocketAddr) -> io::Result<(S, SocketAddr)>,
) -> Result<Vec<(S, SocketAddr)>, StartError> {
    let opened = |address| open(address).map_err(|error| StartError::Listen { address, transport, error });
    let mut all = vec![opened(address)?];
    if address.ip() == Ipv6Addr::UNSPECIFIED {
        all.push(opened(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), all[0].1.port()))?);
    }
    Ok(all)
}

/// Listens for connections of the family of the address.
fn listener(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if address.is_ipv6() {
        socket2::SockRef::from(&socket).set_only_v6(true)?;
    }
    // The address is free at once when the program before has ended.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener = socket.listen(BACKLOG)?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

impl Doors {
    fn udp(&mut self, address: SocketAddr) -> Result<(), StartError> {
        let open = |address| {
            let socket = bind(address, RECEIVE_BUFFER)?;
            let bound = socket.local_addr()?;
            Ok((socket, bound))
        };
        for (socket, bound) in each_family(address, "UDP", open)? {
            self.datagrams(socket, bound);
        }
        Ok(())
    }

    fn datagrams(&mut self, socket: tokio::net::UdpSocket, bound: SocketAddr) {
        let guarded = GuardedSocket::behind(self.gate.clone(), socket, self.streams.addresses);
        self.opened.push((Opening::Socket(Arc::new(guarded)), self.shown.of_listener(bound)));
        self.addresses.udp.push(bound);
    }

    fn streams(&mut self, listener: Option<TcpListener>, bound: SocketAddr, means: Option<Means>) {
        let ways = Ways { listener, means, from: bound.ip() };
        let streams = Streams::new(ways, self.streams, self.gate.clone(), self.open.clone());
        self.opened.push((Opening::Streams(streams), self.shown.of_listener(bound)));
    }

    /// Connections can also be made where none are taken; then the address is shown that datagrams are taken at.
    fn ways_out(&mut self, taken: &[SocketAddr], means: Option<&Means>) {
        let without = self.addresses.udp.clone();
        for udp in without {
            let is_there = taken.iter().any(|address| address.is_ipv4() == udp.is_ipv4());
            if !is_there {
                self.streams(None, udp, means.cloned());
            }
        }
    }
}

/// What a gateway needs beside sockets: found out before one is opened.
pub(super) struct Ground {
    shown: Shown,
    ports: Ports,
    means: Option<Means>,
    /// Why there is none, where none was named.
    lame: Result<Lame, String>,
}

impl Ground {
    /// Reads the files that the configuration names, and refuses what cannot be.
    pub(super) fn read(config: &Config) -> Result<Self, StartError> {
        check_names(&config.peers)?;
        let tls = config.tls.as_ref();
        let means = tls.map(|tls| Means::load(&tls.certificate, &tls.key, tls.roots.as_deref()));
        Ok(Self {
            shown: Shown::of(&config.advertised)?,
            ports: Ports::new(config.media.ports.clone())?,
            means: means.transpose()?,
            lame: lame(config)?,
        })
    }
}

/// The LAME library, or why there is none. One that was named must be there.
fn lame(config: &Config) -> Result<Result<Lame, String>, StartError> {
    match (Lame::load(config.recordings.lame.as_deref()), &config.recordings.lame) {
        (Ok(lame), _) => Ok(Ok(lame)),
        (Err(error), Some(file)) => Err(StartError::Lame { file: file.clone(), reason: error.to_string() }),
        (Err(error), None) => Ok(Err(error.to_string())),
    }
}

/// Starts the recorder: by a thread that may wait for the disk.
async fn recorder(
    config: &Config,
    lame: Option<Lame>,
) -> Result<(Recorder, mpsc::Receiver<recording::Report>), StartError> {
    let mut settings = RecorderConfig::new(&config.recordings.folder, lame);
    settings.layout = config.recordings.layout;
    settings.threads = config.recordings.threads;
    settings.speech = config.recordings.speech;
    settings.keys = config.recordings.keys.clone();
    let started = tokio::task::spawn_blocking(move || Recorder::start(&settings)).await;
    Ok(started.map_err(|error| StartError::System(io::Error::other(error)))??)
}

fn doors(
    config: &Config,
    gate: &Arc<Gate>,
    shown: Shown,
    means: Option<&Means>,
) -> Result<Doors, StartError> {
    let guard = &config.guard;
    let mut doors = Doors {
        opened: Vec::new(),
        addresses: Addresses::default(),
        shown,
        gate: gate.clone(),
        open: Open::with_room(guard.most_connections, guard.most_connections_each),
        streams: StreamSettings {
            largest_message: guard.largest_message.min(Policy::MOST_BYTES),
            idle: guard.idle.max(Duration::from_secs(1)),
            addresses: guard.addresses,
        },
    };
    for address in &config.udp {
        doors.udp(*address)?;
    }
    for address in &config.tcp {
        for (listener, bound) in each_family(*address, "TCP", listener)? {
            doors.streams(Some(listener), bound, None);
            doors.addresses.tcp.push(bound);
        }
    }
    if let (Some(tls), Some(means)) = (&config.tls, means) {
        for address in &tls.listen {
            for (listener, bound) in each_family(*address, "TLS", listener)? {
                doors.streams(Some(listener), bound, Some(means.clone()));
                doors.addresses.tls.push(bound);
            }
        }
        let taken = doors.addresses.tls.clone();
        doors.ways_out(&taken, Some(means));
    }
    let taken = doors.addresses.tcp.clone();
    doors.ways_out(&taken, None);
    if doors.opened.is_empty() {
        return Err(StartError::NoAddress);
    }
    Ok(doors)
}

/// Opens everything, in the order in which it can fail.
pub(super) async fn open(
    config: Config,
    routes: Arc<dyn Routes>,
    clock: Clock,
    owner: mpsc::Sender<Report>,
) -> Result<Opened, StartError> {
    let since = SystemTime::UNIX_EPOCH + Duration::from_millis(clock());
    let Ground { shown, ports, means, lame } = Ground::read(&config)?;
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| StartError::System(io::Error::other(error)))?;
    let gate = Gate::new(policy(&config.peers, &config.guard));
    let people = Arc::new(People::new(
        Terms { algorithms: config.algorithms.clone(), ..Terms::of(&config.realm) },
        key,
        gate.refusals().clone(),
        &clock,
    ));
    people.set(&config.peers)?;
    people.restore(&config.registered);
    let doors = doors(&config, &gate, shown, means.as_ref())?;
    let bound = [&doors.addresses.udp, &doors.addresses.tcp, &doors.addresses.tls].into_iter().flatten();
    people.set_own(bound.chain(doors.opened.iter().map(|(_, shown)| shown)).copied().collect());
    let lame = lame.inspect_err(|error| tracing::warn!(error, "recordings will be WAV files")).ok();
    let format = if lame.is_some() { Format::Mp3 } else { Format::Wav };
    let (recorder, recorded) = recorder(&config, lame).await?;
    let recorder = Arc::new(recorder);
    let listening: Vec<SocketAddr> = doors.opened.iter().map(|(_, shown)| *shown).collect();
    let mut media = MediaConfig::new(config.media.host, ports.clone());
    media.silence_after = config.media.silent_after;
    let totals = media.totals.clone();
    let maker = Maker {
        config: media,
        shown: shown.of_media(config.media.host, &listening),
        recorder: recorder.clone(),
        clock: clock.clone(),
        quality_every: config.media.quality_every,
    };
    let traces = Traces::new(config.trace);
    let settings = Settings {
        user_agent: config.user_agent,
        most_calls: config.most_calls,
        t1: Duration::from_millis(500),
        clock: clock.clone(),
        routes,
        directory: people.clone(),
        media: Arc::new(maker),
        owner,
        gate: gate.clone(),
        traces: traces.clone(),
        name_servers: config.name_servers,
    };
    let Doors { opened, addresses, open, .. } = doors;
    let switch = Switch::start(opened, settings);
    let guard = config.guard;
    let parts =
        Parts { addresses, people, gate, guard, traces, ports, totals, recorder, format, open, clock, since };
    Ok(Opened { switch, parts, recorded })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str) -> SocketAddr {
        address.parse().unwrap()
    }

    #[test]
    fn each_family_shows_one_address() {
        let [first, second, third] = ["192.0.2.1", "2001:db8::1", "192.0.2.2"].map(|at| at.parse().unwrap());
        let shown = Shown::of(&[first, second]).unwrap();
        assert_eq!(shown.of_listener(at("10.0.0.1:5060")), at("192.0.2.1:5060"));
        assert_eq!(shown.of_listener(at("[::]:5070")), at("[2001:db8::1]:5070"));
        assert!(matches!(Shown::of(&[first, third]), Err(StartError::Advertised(of)) if of == third));
    }

    #[tokio::test]
    async fn every_address_is_that_of_both_families() {
        let open = |address| listener(at(address)).map(|(_, bound)| bound);
        let bound = |address| -> Vec<SocketAddr> {
            let all = each_family(at(address), "TCP", listener).unwrap();
            all.into_iter().map(|(_, bound)| bound).collect()
        };
        let both = bound("[::]:0");
        assert_eq!(both.len(), 2);
        assert!(both[0].is_ipv6() && both[1].is_ipv4() && both[0].port() == both[1].port(), "{both:?}");
        for one in ["[::1]:0", "0.0.0.0:0", "127.0.0.1:0"] {
            assert_eq!(bound(one).len(), 1, "{one}");
        }
        assert!(open("[::1]:0").unwrap().is_ipv6());
    }

    #[test]
    fn a_listening_address_shows_itself_and_a_wildcard_the_hosts() {
        let shown = Shown::of(&[]).unwrap();
        assert_eq!(shown.of_listener(at("127.0.0.15:5060")), at("127.0.0.15:5060"));
        assert!(!shown.of_listener(at("0.0.0.0:5060")).ip().is_unspecified());
        assert!(!shown.of_listener(at("[::]:5060")).ip().is_unspecified());
        let media = shown.of_media(at("[::]:0").ip(), &[at("127.0.0.15:5060"), at("[::1]:5060")]);
        assert_eq!(media, [at("127.0.0.15:0").ip(), at("[::1]:0").ip()]);
    }
}
