//! What the gateway tells its owner of its calls, in its own words.

use std::{
    collections::VecDeque,
    fmt,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::mpsc;

use crate::{
    CallerIdentity, Side, Why,
    recording::{Flaws, Format},
};

/// The name of a call, the same in every report of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(Arc<str>);

impl CallId {
    /// A call by the name its owner gave it.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// A name nobody has yet; later ones sort behind earlier ones.
    pub fn fresh() -> Self {
        Self(format!("call_{}", uuid::Uuid::now_v7().simple()).into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which way a call goes, seen from the owner of the endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From a trunk to an endpoint.
    Inbound,
    /// From an endpoint, or from the owner, to a trunk.
    Outbound,
}

/// Who ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Who began it.
    Caller,
    /// Who was called.
    Callee,
    /// The owner, by an order.
    Api,
    /// The gateway itself: a limit, or an error.
    System,
}

impl From<Side> for By {
    fn from(side: Side) -> Self {
        match side {
            Side::Caller => Self::Caller,
            Side::Callee => Self::Callee,
        }
    }
}

/// Something that happened to a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// To which.
    pub call: CallId,
    /// Whose that is: [`crate::Plan::account`].
    pub account: Arc<str>,
    /// When: milliseconds since 1970, never earlier than the report before it of the same call.
    pub at: u64,
    /// What.
    pub what: What,
}

/// What happened. A call's first report is [`What::Invited`], its last [`What::Ended`]; both come once. Only what becomes of
/// its recording comes later, at most once: [`What::Recorded`] or [`What::NotRecorded`]. A call that was refused before it
/// began has one report, [`What::Denied`].
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// Somebody known wanted to call, and was refused.
    Denied(Denied),
    /// A call began.
    Invited {
        /// Which way it goes.
        direction: Direction,
        /// The number or name of who calls.
        from: String,
        /// The number or name that is called.
        to: String,
        /// The trunk it came by or leaves by.
        trunk: Option<String>,
        /// The Call-ID of the caller's dialog; none for a call that the owner ordered.
        sip_call_id: Option<String>,
        /// What the plan noted: [`crate::Plan::note`].
        note: Arc<str>,
        /// What else is known of who calls; of a call that the owner ordered nothing.
        identity: Arc<CallerIdentity>,
    },
    /// An INVITE was sent.
    InviteSent {
        /// Whom.
        uri: String,
        /// The how manieth INVITE of this call it is, from 1.
        attempt: u32,
    },
    /// Who is called is being alerted. Once a call.
    Ringing,
    /// Who is called answered. Once a call.
    Answered,
    /// Media was heard from both sides after the answer. Once a call.
    MediaEstablished {
        /// The codec, as SDP names it.
        codec: String,
        /// From the answer to the first packet that made it complete.
        latency_ms: u64,
    },
    /// How well one side was heard.
    MediaQuality {
        /// Which.
        side: Side,
        /// Since the call's media began.
        quality: Quality,
    },
    /// All media of one side has been refused for a second, for where it comes from. At most once a side and call.
    MediaRefused {
        /// The side that it concerns.
        side: Side,
        /// Where it comes from.
        from: SocketAddr,
        /// Where it should come from, by its SDP.
        expected: SocketAddr,
    },
    /// A key was pressed.
    Dtmf {
        /// By whom.
        side: Side,
        /// `0`-`9`, `*`, `#`, `A`-`D`.
        digit: char,
    },
    /// One side put the other on hold.
    Held {
        /// Which.
        by: Side,
    },
    /// The side that held resumed.
    Resumed {
        /// Which.
        by: Side,
    },
    /// One side asked to be replaced by another party.
    TransferAsked {
        /// Which.
        by: Side,
        /// By whom.
        target: String,
    },
    /// How the transfer went.
    TransferEnded {
        /// Who asked for it.
        by: Side,
        /// By whom they were to be replaced.
        target: String,
        /// `Ok` when that party answered and took the place.
        result: Result<(), Why>,
    },
    /// A recording began.
    RecordingBegun,
    /// A recording ended before the call did, or lost frames.
    RecordingCut {
        /// Frames that found no room.
        dropped: u64,
    },
    /// The call ended.
    Ended(Ended),
    /// Its recording is a file that the disk keeps.
    Recorded(Recording),
    /// There is no recording.
    NotRecorded {
        /// Why, in words.
        reason: String,
        /// Nothing was heard: nothing is missing.
        is_empty: bool,
    },
}

/// A finished recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// The file.
    pub file: PathBuf,
    /// What kind of file it is.
    pub format: Format,
    /// 1, or 2 with the caller on the left and the callee on the right.
    pub channels: u8,
    /// How large it is.
    pub bytes: u64,
    /// How long it is.
    pub duration: Duration,
    /// The SHA-256 of the file.
    pub sha256: [u8; 32],
    /// The time of its first sample: milliseconds since 1970.
    pub begins_at: u64,
    /// What is missing from it, or was mended.
    pub flaws: Flaws,
}

impl What {
    /// Whether it must reach the owner whatever happens. Each such report comes at most once a call.
    const fn must_arrive(&self) -> bool {
        matches!(self, Self::Invited { .. } | Self::Answered | Self::Ended(_))
    }
}

/// An attempt to call that was refused before anybody was invited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// Which way the call would have gone.
    pub direction: Direction,
    /// The number or name of who calls.
    pub from: String,
    /// The number or name that is called.
    pub to: String,
    /// The trunk that it came by.
    pub trunk: Option<String>,
    /// The Call-ID of the caller's INVITE.
    pub sip_call_id: String,
    /// What else the INVITE says of who calls.
    pub identity: Arc<CallerIdentity>,
    /// What was noted: [`crate::Attempt::note`].
    pub note: Arc<str>,
    /// The reason.
    pub why: Why,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// Why.
    pub why: Why,
    /// By whom.
    pub by: By,
    /// From the answer to the end; `None` for a call that was not answered.
    pub talked_ms: Option<u64>,
    /// Reports of this call that found no room and were dropped.
    pub dropped_reports: u32,
}

/// How well a side was heard.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quality {
    /// The codec, as SDP names it.
    pub codec: Option<String>,
    /// Packets that arrived.
    pub packets: u64,
    /// Packets that did not.
    pub lost: u64,
    /// Packets that arrived behind a later one.
    pub reordered: u64,
    /// Interarrival jitter (RFC 3550, 6.4.1).
    pub jitter_ms: Option<f64>,
    /// Round trip, by RTCP.
    pub round_trip_ms: Option<f64>,
    /// Mean opinion score, estimated from loss and jitter.
    pub mos: Option<f64>,
}

/// Reports of one call that wait for room: more are dropped, and counted, but for those that must arrive.
const BACKLOG: usize = 256;

/// A call's way to tell its owner. It never waits while the call lives.
///
/// Reports keep their order. What finds the owner's channel full waits in a backlog of the call, and what finds the
/// backlog full is dropped and counted in [`Ended`], but for the beginning, the answer and the end. The call's task
/// stays until its backlog is empty, and counts as a call until then: an owner that takes no reports gets no more calls.
#[derive(Debug)]
pub struct Reporter {
    owner: mpsc::Sender<Report>,
    backlog: VecDeque<Report>,
    dropped: u32,
    lost: Arc<AtomicU64>,
}

impl Reporter {
    /// A way to the owner's channel; `lost` counts, over all calls, what was dropped.
    pub fn new(owner: mpsc::Sender<Report>, lost: Arc<AtomicU64>) -> Self {
        Self { owner, backlog: VecDeque::new(), dropped: 0, lost }
    }

    /// Tells the owner at once when there is room and nothing waits, else later.
    pub fn tell(&mut self, mut report: Report) {
        if let What::Ended(ended) = &mut report.what {
            ended.dropped_reports = self.dropped;
        }
        self.flush();
        if self.backlog.is_empty() {
            match self.owner.try_send(report) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(report)) => self.backlog.push_back(report),
                Err(mpsc::error::TrySendError::Closed(_)) => self.drop_one(),
            }
        } else if self.backlog.len() < BACKLOG || report.what.must_arrive() {
            self.backlog.push_back(report);
        } else {
            self.drop_one();
        }
    }

    fn drop_one(&mut self) {
        self.dropped = self.dropped.saturating_add(1);
        self.lost.fetch_add(1, Ordering::Relaxed);
    }

    /// Hands over what there is room for.
    fn flush(&mut self) {
        while let Some(report) = self.backlog.pop_front() {
            match self.owner.try_send(report) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(report)) => {
                    self.backlog.push_front(report);
                    return;
                }
                Err(mpsc::error::TrySendError::Closed(_)) => self.drop_one(),
            }
        }
    }

    /// Waits until one waiting report is handed over; for ever when none waits. May be dropped at any time.
    pub async fn next_room(&mut self) {
        if self.backlog.is_empty() {
            return std::future::pending().await;
        }
        let room = self.owner.reserve().await;
        if let Ok(room) = room {
            if let Some(report) = self.backlog.pop_front() {
                room.send(report);
            }
            return;
        }
        drop(room);
        while self.backlog.pop_front().is_some() {
            self.drop_one();
        }
    }

    /// Waits until everything so far is handed over, or the owner is gone.
    pub async fn drain(&mut self) {
        while !self.backlog.is_empty() {
            self.next_room().await;
        }
    }

    /// Whether everything so far is handed over.
    pub fn is_drained(&self) -> bool {
        self.backlog.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cause;

    fn report(what: What) -> Report {
        Report { call: CallId::new("call_1"), account: "1".into(), at: 0, what }
    }

    fn ended() -> What {
        What::Ended(Ended {
            why: Cause::NormalClearing.into(),
            by: By::Caller,
            talked_ms: None,
            dropped_reports: 0,
        })
    }

    #[tokio::test]
    async fn an_owner_that_does_not_read_gets_the_end_and_the_order_in_any_case() {
        let (owner, mut reports) = mpsc::channel(1);
        let lost = Arc::new(AtomicU64::new(0));
        let mut reporter = Reporter::new(owner, lost.clone());
        for n in 0..1_000_u32 {
            reporter
                .tell(report(What::Dtmf { side: Side::Caller, digit: char::from(b'0' + (n % 10) as u8) }));
        }
        reporter.tell(report(What::Answered));
        reporter.tell(report(ended()));
        let finishing = tokio::spawn(async move { reporter.drain().await });
        let mut seen = Vec::new();
        while let Some(report) = reports.recv().await {
            seen.push(report.what);
        }
        finishing.await.unwrap();
        let dropped = 1_000 - 1 - BACKLOG as u32;
        assert_eq!(seen.len(), 1 + BACKLOG + 2);
        assert!(matches!(seen[BACKLOG + 1], What::Answered));
        assert!(matches!(&seen[BACKLOG + 2], What::Ended(ended) if ended.dropped_reports == dropped));
        assert_eq!(lost.load(Ordering::Relaxed), u64::from(dropped));
    }

    #[tokio::test]
    async fn an_owner_that_is_gone_stops_nobody() {
        let (owner, reports) = mpsc::channel(1);
        let mut reporter = Reporter::new(owner, Arc::default());
        reporter.tell(report(What::Ringing));
        reporter.tell(report(What::Answered));
        drop(reports);
        reporter.tell(report(ended()));
        reporter.drain().await;
    }

    #[test]
    fn a_fresh_name_is_nobody_elses() {
        assert_ne!(CallId::fresh(), CallId::fresh());
        assert!(CallId::fresh().as_str().starts_with("call_"));
    }
}
