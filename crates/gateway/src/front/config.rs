//! What the gateway is told when it starts.

use std::{
    net::{IpAddr, SocketAddr},
    num::NonZeroUsize,
    ops::RangeInclusive,
    path::PathBuf,
    time::Duration,
};

use pegcount_sealed::Keys;

use super::Registered;
use crate::{
    guard::{Network, Policy, Rate},
    recording::Layout,
    registrar::{Algorithm, Ha1},
};

/// Everything the gateway is told when it starts.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where SIP over UDP is taken. Port 0 takes any free one.
    pub udp: Vec<SocketAddr>,
    /// Where SIP over TCP is taken.
    pub tcp: Vec<SocketAddr>,
    /// Where SIP over TLS is taken, and how the gateway proves who it is; `None`: no TLS, not even to others.
    pub tls: Option<Tls>,
    /// What stands in Via, Contact and SDP in the place of a listening address of the same family: at most one for IPv4
    /// and one for IPv6. A family without one shows the listening address, or the host's where that is a wildcard.
    pub advertised: Vec<IpAddr>,
    /// What `User-Agent` says.
    pub user_agent: String,
    /// What the passwords of users and trunks are for; part of every [`Ha1`].
    pub realm: String,
    /// What users may prove themselves with, the first first: old phones look at no other.
    pub algorithms: Vec<Algorithm>,
    /// Who may speak to the gateway.
    pub peers: Peers,
    /// Users that were registered with an earlier run. Those that are no users any more, and contacts that have expired, are
    /// passed over.
    pub registered: Vec<Registered>,
    /// Who is asked for the SRV records of names; empty: whom the system asks.
    pub name_servers: Vec<SocketAddr>,
    /// How media is relayed.
    pub media: MediaSettings,
    /// How recordings are kept.
    pub recordings: Recordings,
    /// How many calls there may be at a time.
    pub most_calls: usize,
    /// Threads that serve SIP and media; at least one.
    pub threads: usize,
    /// What is remembered of the messages of a call.
    pub trace: TraceSettings,
    /// What the guard lets through.
    pub guard: GuardSettings,
}

impl Config {
    /// One with the usual settings, that listens on these addresses for UDP and keeps recordings in this folder.
    pub fn new(udp: Vec<SocketAddr>, recordings: impl Into<PathBuf>) -> Self {
        let host = match udp.as_slice() {
            [only] => only.ip(),
            _ => IpAddr::from([0_u16; 8]),
        };
        Self {
            udp,
            tcp: Vec::new(),
            tls: None,
            advertised: Vec::new(),
            user_agent: "Pegcount".to_owned(),
            realm: "pegcount".to_owned(),
            algorithms: vec![Algorithm::Md5, Algorithm::Sha256],
            peers: Peers::default(),
            registered: Vec::new(),
            name_servers: Vec::new(),
            media: MediaSettings::new(host),
            recordings: Recordings::in_folder(recordings),
            most_calls: 2_000,
            threads: 1,
            trace: TraceSettings::default(),
            guard: GuardSettings::default(),
        }
    }
}

/// SIP over TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Where it is taken; usually port 5061.
    pub listen: Vec<SocketAddr>,
    /// The certificate and what leads to its root, in PEM.
    pub certificate: PathBuf,
    /// Its key, in PEM: PKCS #8, PKCS #1 or SEC 1.
    pub key: PathBuf,
    /// The roots that the certificates of others must lead to, in PEM; `None`: the system's.
    pub roots: Option<PathBuf>,
}

/// Who may speak to the gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peers {
    /// Trunks: known by their address, or by a digest.
    pub trunks: Vec<TrunkPeer>,
    /// Users: known by a digest. They may register.
    pub users: Vec<UserPeer>,
}

/// A trunk as the gateway knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkPeer {
    /// Its name, as [`crate::Who::Trunk`] gives it.
    pub name: String,
    /// Where it sends from; the first trunk that an address fits is meant. Empty: it is known by its digest only.
    pub networks: Vec<Network>,
    /// What it proves itself with when it calls from elsewhere.
    pub digest: Option<Digest>,
    /// Whether its media may come from elsewhere than its SDP says.
    pub nat: bool,
}

/// A name and what is kept of its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    /// The name; no trunk or user has the same.
    pub user: String,
    /// One hash for each algorithm.
    pub secrets: Vec<Ha1>,
}

/// A user as the gateway knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserPeer {
    /// Its name: of its address of record, its digest, and as [`crate::Who::User`] gives it.
    pub name: String,
    /// One hash of its password for each algorithm.
    pub secrets: Vec<Ha1>,
    /// Whether its media may come from elsewhere than its SDP says.
    pub nat: bool,
}

/// How media is relayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaSettings {
    /// The address that media is taken on. `::` takes that of both IPv4 and IPv6.
    pub host: IpAddr,
    /// The ports to choose from: a call takes four, an even one and the next for each side.
    pub ports: RangeInclusive<u16>,
    /// After how long without a packet a side counts as silent. From then on [`crate::Limits::silence`] runs.
    pub silent_after: Duration,
    /// How often the quality of a call is reported while it lasts; `None`: at its end only.
    pub quality_every: Option<Duration>,
}

impl MediaSettings {
    /// The usual settings on an address.
    pub const fn new(host: IpAddr) -> Self {
        Self {
            host,
            ports: 10_000..=19_999,
            silent_after: Duration::from_secs(5),
            quality_every: Some(Duration::from_secs(30)),
        }
    }
}

/// How recordings are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recordings {
    /// Where: a recording is the file `{account}.{call}.mp3` (or `.wav`).
    pub folder: PathBuf,
    /// How the sides are put into a file.
    pub layout: Layout,
    /// The file of the LAME library; `None`: where the system keeps it. Without LAME recordings are WAV files.
    pub lame: Option<PathBuf>,
    /// How many are made at once, each by a thread.
    pub threads: usize,
    /// Whether both sides are kept apart as well: [`crate::recording::RecorderConfig::speech`].
    pub speech: bool,
    /// What they are sealed with; `None`: they are in the clear.
    pub keys: Option<Keys>,
}

impl Recordings {
    /// The usual settings in a folder.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        Self { folder, layout: Layout::default(), lame: None, threads: 1, speech: false, keys: None }
    }
}

/// What is remembered of the messages of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceSettings {
    /// Messages of a call, the last ones; 0 remembers nothing of any.
    pub messages: usize,
    /// Bytes of a call's messages.
    pub bytes: usize,
    /// Whether the user parts of URIs are masked: `+1415***1234`.
    pub masked: bool,
    /// Calls that are remembered after their end, the last ones.
    pub ended: usize,
}

impl Default for TraceSettings {
    fn default() -> Self {
        Self { messages: 64, bytes: 64 * 1024, masked: true, ended: 256 }
    }
}

/// What the guard lets through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardSettings {
    /// Messages of each address of a trunk.
    pub peer_rate: Rate,
    /// Messages of each other address.
    pub stranger_rate: Rate,
    /// How many addresses' rates are remembered.
    pub addresses: NonZeroUsize,
    /// The largest message that is taken, in bytes; at most [`Policy::MOST_BYTES`].
    pub largest_message: usize,
    /// Connections over TCP and TLS at a time.
    pub most_connections: usize,
    /// Those of one address.
    pub most_connections_each: usize,
    /// After how long without a byte a connection is closed.
    pub idle: Duration,
}

impl Default for GuardSettings {
    fn default() -> Self {
        let Policy { peer_rate, stranger_rate, largest_message, .. } = Policy::default();
        Self {
            peer_rate,
            stranger_rate,
            addresses: NonZeroUsize::MIN.saturating_add(65_535),
            largest_message,
            most_connections: 1_000,
            most_connections_each: 100,
            idle: Duration::from_secs(3_600),
        }
    }
}

impl GuardSettings {
    /// Has at most so many connections. Where that is fewer than were set, one address gets at most half of them, or the
    /// part that it was set if that is more: a proxy in front that may have all keeps all.
    pub fn bound_connections(&mut self, most: usize) {
        if most < self.most_connections {
            let (each, of) = (self.most_connections_each as u128, self.most_connections as u128);
            let part = usize::try_from((most as u128 * each).div_ceil(of)).unwrap_or(most);
            self.most_connections = most;
            self.most_connections_each = self.most_connections_each.min(part.max(most.div_ceil(2)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::GuardSettings;

    #[test]
    fn one_address_is_bounded_only_where_room_is_short() {
        let bounded = |set, room| {
            let mut guard = GuardSettings { most_connections: set, ..GuardSettings::default() };
            guard.bound_connections(room);
            (guard.most_connections, guard.most_connections_each)
        };
        assert_eq!(bounded(150, 150), (150, 100));
        assert_eq!(bounded(150, 1_000), (150, 100));
        assert_eq!(bounded(1_000, 600), (600, 100));
        assert_eq!(bounded(1_000, 51), (51, 26));
    }

    #[test]
    fn a_proxy_that_may_have_every_connection_keeps_all() {
        let each = |each, room| {
            let mut guard = GuardSettings { most_connections_each: each, ..GuardSettings::default() };
            guard.bound_connections(room);
            guard.most_connections_each.min(guard.most_connections)
        };
        assert_eq!((each(1_000, 1_000), each(1_000, 51), each(5_000, 51)), (1_000, 51, 51));
        assert_eq!((each(800, 50), each(10, 50)), (40, 10));
    }
}
