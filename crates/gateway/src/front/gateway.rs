//! The gateway as the program holds it.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{runtime::Runtime, sync::mpsc};

use super::{
    Config, Counts, GuardCount, GuardSettings, Peers, RefusalCounts, Registrations, RtpCounts, SipCounts,
    Traced,
    directory::{People, SameName, policy},
    opening::Opened,
    recordings::{Finished, owner_of, pass_on},
};
use crate::{
    CallId, Clock, Dial, HangUp, Refused, Report, Routes,
    call::Switch,
    guard::{Gate, Reason},
    media::{Ports, PortsError, Totals},
    recording::{self, Ending, Format, Recorder},
    stream::{Open, Unusable},
    trace::Traces,
};

/// Room for reports that the owner has not taken. A call keeps more of its own.
const REPORTS: usize = 8_192;
/// Threads of the gateway that look names up.
const LOOKUPS: usize = 8;

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

impl From<SameName> for StartError {
    fn from(SameName(name): SameName) -> Self {
        Self::SameName(name)
    }
}

impl From<Unusable> for StartError {
    fn from(Unusable { file, reason }: Unusable) -> Self {
        Self::Tls { file, reason }
    }
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
pub struct Gateway {
    switch: Switch,
    parts: Parts,
    threads: Threads,
}

/// What a gateway is made of, beside its calls.
pub(super) struct Parts {
    pub(super) addresses: Addresses,
    pub(super) people: Arc<People>,
    pub(super) gate: Arc<Gate>,
    pub(super) guard: GuardSettings,
    pub(super) traces: Arc<Traces>,
    pub(super) ports: Ports,
    pub(super) totals: Arc<Totals>,
    pub(super) recorder: Arc<Recorder>,
    pub(super) format: Format,
    pub(super) open: Arc<Open>,
    pub(super) clock: Clock,
    /// When it was opened.
    pub(super) since: SystemTime,
}

/// The gateway's own threads. A runtime may not be dropped where others run, so it is told to end and left alone.
struct Threads(Option<Runtime>);

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Gateway {
    /// Refuses a configuration that [`Gateway::start`] would refuse, but for addresses that are taken and folders that cannot
    /// be written. Reads the files that it names; opens nothing.
    ///
    /// # Errors
    /// As [`Gateway::start`].
    pub fn check(config: &Config) -> Result<(), StartError> {
        super::opening::Ground::read(config).map(drop)
    }

    /// Opens the sockets, and starts threads of its own for SIP and media: nothing that the program does makes a packet
    /// late. What happens to calls is told to the receiver, which has to be read.
    ///
    /// Reads what an earlier run left of recordings: may wait for the disk. Needs a tokio runtime.
    ///
    /// # Errors
    /// Says which address or file is at fault, and what to do.
    pub async fn start(
        config: Config,
        routes: Arc<dyn Routes>,
        clock: Clock,
    ) -> Result<(Self, mpsc::Receiver<Report>), StartError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(config.threads.max(1))
            .max_blocking_threads(LOOKUPS)
            .thread_name("sip")
            .enable_all()
            .build()
            .map_err(StartError::System)?;
        let threads = Threads(Some(runtime));
        let (owner, reports) = mpsc::channel(REPORTS);
        let opening = super::opening::open(config, routes, clock, owner.clone());
        let opening = threads.spawn(opening).await;
        let Opened { switch, parts, recorded } =
            opening.map_err(|error| StartError::System(io::Error::other(error)))??;
        // By the program's threads: it goes on when the gateway's have ended.
        tokio::spawn(pass_on(recorded, owner, parts.clock.clone()));
        Ok((Self { switch, parts, threads }, reports))
    }

    /// Where it listens.
    pub fn addresses(&self) -> Addresses {
        self.parts.addresses.clone()
    }

    /// Calls two parties and connects them.
    ///
    /// # Errors
    /// When there is no room for a call.
    pub async fn dial(&self, order: Dial) -> Result<CallId, Refused> {
        let _entered = self.threads.enter();
        self.switch.dial(order)
    }

    /// Ends a call, and waits up to a limit until it is over on all sides. An order that is given again changes nothing.
    pub async fn hang_up(&self, call: &CallId, reason: Option<String>, limit: Duration) -> HangUp {
        self.switch.hang_up(call, reason, limit).await
    }

    /// Whether a call is not over.
    pub fn is_live(&self, call: &CallId) -> bool {
        self.switch.is_live(call)
    }

    /// The last messages of a call, oldest first, while it lasts and for some time after; `None` when nothing is known of
    /// it.
    pub fn trace(&self, call: &CallId) -> Option<Vec<Traced>> {
        self.parts.traces.read(call)
    }

    /// What it has done since its start.
    pub fn counts(&self) -> Counts {
        let Parts { people, gate, ports, totals, recorder, open, .. } = &self.parts;
        let messages = gate.counts();
        let stopped = |reason: &Reason| GuardCount {
            reason: *reason,
            answered: messages.answered(*reason),
            dropped: messages.dropped(*reason),
        };
        let (connections, connections_refused) = open.counts();
        Counts {
            calls: self.switch.live(),
            admitted: self.switch.admitted(),
            lost_reports: self.switch.lost_reports(),
            sip: SipCounts {
                passed: messages.passed(),
                dialogs: self.switch.dialogs(),
                transactions: self.switch.transactions(),
                connections,
                connections_refused,
                registered: people.registered(),
            },
            refused: RefusalCounts {
                by_reason: gate.refusals().counts(),
                unrecorded: gate.refusals().unrecorded(),
            },
            guard: Reason::ALL
                .iter()
                .map(stopped)
                .filter(|count| count.answered + count.dropped > 0)
                .collect(),
            rtp: RtpCounts::of(totals.counts(), ports),
            recording: recorder.counts(),
        }
    }

    /// From now on these may speak to the gateway. Calls that go on are not touched; users that stay keep where they are
    /// registered.
    ///
    /// # Errors
    /// When two have the same name or digest; then all stays as it was.
    pub fn set_peers(&self, peers: &Peers) -> Result<(), StartError> {
        self.parts.people.set(peers)?;
        self.parts.gate.set_policy(policy(peers, &self.parts.guard));
        Ok(())
    }

    /// Where users are registered.
    pub fn registrations(&self) -> Registrations {
        Registrations(Arc::clone(&self.parts.people))
    }

    /// The recordings that a crash cut off. Each is to be given to [`Self::end_left_over`]; what is not is there again at
    /// the next start.
    pub fn left_over(&self) -> Vec<LeftOver> {
        let left = |journal: recording::LeftOver| {
            let (account, call) = owner_of(&journal.call);
            let (started_at, last_seen_at) = (journal.started_at, journal.last_seen_at);
            LeftOver { account, call, started_at, last_seen_at, journal }
        };
        self.parts.recorder.left_over().into_iter().map(left).collect()
    }

    /// Has the recording made of what a crash left of it. Its report follows. Waits for the disk.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn end_left_over(&self, left: &LeftOver) -> io::Result<()> {
        let ending = Ending { reason: "interrupted".to_owned(), ended_at: left.last_seen_at };
        self.parts.recorder.end_left_over(&left.journal, ending)
    }

    /// The recordings that earlier runs finished, one after the other as the disk gives them: each was reported when it
    /// was, unless the program was killed in between. Waits for the disk, at each too.
    ///
    /// # Errors
    /// When their folder cannot be read.
    pub fn finished(&self) -> io::Result<impl Iterator<Item = Finished> + Send + use<>> {
        let recorder = &self.parts.recorder;
        let keys = recorder.keys().cloned();
        let files = recorder.finished_before(self.parts.since)?;
        Ok(files.filter_map(move |file| Finished::of(file, keys.as_ref())))
    }

    /// What kind of files recordings are: WAV where there is no LAME.
    pub fn recording_format(&self) -> Format {
        self.parts.format
    }

    /// Takes no more calls, ends all, and waits up to a limit until they are over on all sides and their recordings are
    /// written down. Says how many were not over in time. Reports, of recordings above all, go on until the receiver says
    /// that there are no more.
    pub async fn stop(self, limit: Duration) -> usize {
        let Self { switch, parts, threads } = self;
        let left = switch.stop(limit).await;
        let stopping = tokio::task::spawn_blocking(move || parts.recorder.stop());
        // What is not written in time is left over at the next start.
        let _ = tokio::time::timeout(limit, stopping).await;
        drop(threads);
        left
    }
}

impl Threads {
    fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        match &self.0 {
            Some(runtime) => runtime.spawn(task),
            None => tokio::spawn(task),
        }
    }

    fn enter(&self) -> Option<tokio::runtime::EnterGuard<'_>> {
        self.0.as_ref().map(Runtime::enter)
    }
}
