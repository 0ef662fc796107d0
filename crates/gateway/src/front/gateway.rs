//! The gateway as the program holds it.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::sync::mpsc;

use super::{Config, Counts, Peers, Traced};
use crate::{
    CallId, Clock, Dial, HangUp, Refused, Report, Routes,
    media::PortsError,
    recording::{self, Format},
};

/// Why the gateway did not start, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is nowhere to listen.
    #[error("the gateway has no address to listen on: name one for UDP, TCP or TLS")]
    NoAddress,
    /// An address cannot be listened on.
    #[error("cannot listen on {address} for SIP over {transport}: {error}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// `UDP`, `TCP` or `TLS`.
        transport: &'static str,
        /// What the system says.
        #[source]
        error: io::Error,
    },
    /// More than one address is to be shown for IPv4 or IPv6.
    #[error("the address {0} is advertised beside another of its family: name one for each of IPv4 and IPv6")]
    Advertised(IpAddr),
    /// A file of TLS cannot be read or used.
    #[error("the file {} of TLS cannot be used: {reason}", file.display())]
    Tls {
        /// Which.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Two peers have the same name or digest.
    #[error("two trunks or users have the name {0:?}: give each a name and digest of its own")]
    SameName(String),
    /// The range of media ports is of no use.
    #[error(transparent)]
    Ports(#[from] PortsError),
    /// Recordings cannot be kept.
    #[error(transparent)]
    Recordings(#[from] recording::StartError),
    /// LAME is where it was said to be, but is of no use.
    #[error("the LAME library {} cannot be used: {reason}", file.display())]
    Lame {
        /// Where.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The system gave no threads, or no random bytes.
    #[error("the system has no means for the gateway: {0}")]
    System(#[source] io::Error),
}

/// Where the gateway listens, as bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// For UDP.
    pub udp: Vec<SocketAddr>,
    /// For TCP.
    pub tcp: Vec<SocketAddr>,
    /// For TLS.
    pub tls: Vec<SocketAddr>,
}

/// The recording of a call that a crash cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOver {
    /// Whose the call was.
    pub account: Arc<str>,
    /// Which.
    pub call: CallId,
    /// When its media began.
    pub started_at: SystemTime,
    /// The last time at which it is known to have gone on.
    pub last_seen_at: SystemTime,
    journal: recording::LeftOver,
}

/// A running gateway. Dropped, it is deaf, and its calls are left as they are: [`Gateway::stop`] ends them.
pub struct Gateway {}

impl Gateway {
    /// Opens the sockets, and starts threads of its own for SIP and media: nothing that the program does makes a packet
    /// late. What happens to calls is told to the receiver, which has to be read.
    ///
    /// Reads what an earlier run left of recordings: may wait for the disk.
    ///
    /// # Errors
    /// Says which address or file is at fault, and what to do.
    pub async fn start(
        config: Config,
        routes: Arc<dyn Routes>,
        clock: Clock,
    ) -> Result<(Self, mpsc::Receiver<Report>), StartError> {
        let _ = (config, routes, clock);
        Err(StartError::NoAddress)
    }

    /// Where it listens.
    pub fn addresses(&self) -> Addresses {
        Addresses::default()
    }

    /// Calls two parties and connects them.
    ///
    /// # Errors
    /// When there is no room for a call.
    pub async fn dial(&self, order: Dial) -> Result<CallId, Refused> {
        let _ = order;
        Err(Refused::Stopping)
    }

    /// Ends a call, and waits up to a limit until it is over on all sides. An order that is given again changes nothing.
    pub async fn hang_up(&self, call: &CallId, reason: Option<String>, limit: Duration) -> HangUp {
        let _ = (call, reason, limit);
        HangUp::NoSuchCall
    }

    /// Whether a call is not over.
    pub fn is_live(&self, call: &CallId) -> bool {
        let _ = call;
        false
    }

    /// The last messages of a call, oldest first, while it lasts and for some time after; `None` when nothing is known of it.
    pub fn trace(&self, call: &CallId) -> Option<Vec<Traced>> {
        let _ = call;
        None
    }

    /// What it has done since its start.
    pub fn counts(&self) -> Counts {
        Counts::default()
    }

    /// From now on these may speak to the gateway. Calls that go on are not touched; users that stay keep where they are
    /// registered.
    ///
    /// # Errors
    /// When two have the same name or digest; then all stays as it was.
    pub fn set_peers(&self, peers: Peers) -> Result<(), StartError> {
        let _ = peers;
        Ok(())
    }

    /// The recordings that a crash cut off. Each is to be given to [`Self::end_left_over`]; what is not is there again at
    /// the next start.
    pub fn left_over(&self) -> Vec<LeftOver> {
        Vec::new()
    }

    /// Has the recording made of what a crash left of it. Its report follows. Waits for the disk.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn end_left_over(&self, left: &LeftOver) -> io::Result<()> {
        let _ = &left.journal;
        Ok(())
    }

    /// What kind of files recordings are: WAV where there is no LAME.
    pub fn recording_format(&self) -> Format {
        Format::Wav
    }

    /// Takes no more calls, ends all, and waits up to a limit until they are over on all sides and their recordings are
    /// written. Says how many were not over in time. Reports go on until the receiver says that there are no more.
    pub async fn stop(self, limit: Duration) -> usize {
        let _ = limit;
        0
    }
}
