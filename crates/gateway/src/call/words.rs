//! What the state machine of a call is told, and what it orders.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;

use super::{
    failure::OwnFailure,
    keys::Keys,
    session::{Granted, SessionAsk},
};
use crate::{CallerIdentity, Direction, Plan, Quality, Side, Target, What, Why};

/// One dialog of a call, or an attempt at one; numbered in the order they came up, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LegId(pub u32);

/// A request that a peer made within a dialog; each is answered once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// What a timer is for. Each runs at most once at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// Nobody found out where a target is.
    Locate,
    /// A target gave no sign of life.
    Provisional(LegId),
    /// A target did not answer.
    Ring(LegId),
    /// No ACK came for our 2xx.
    Ack(LegId),
    /// A leg that we cancelled or hung up did not confirm it.
    Release(LegId),
    /// We have to refresh the session with this leg.
    Refresh(LegId),
    /// This leg did not refresh its session.
    Expiry(LegId),
    /// A re-INVITE that met another one is sent again.
    Glare,
    /// The call lasted as long as it may.
    Talk,
    /// A side was silent as long as it may be.
    Silence(Side),
    /// The media did not close.
    Media,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// A caller's INVITE; always the first, or else `Dial`.
    Invited(Box<Invited>),
    /// An order to call one party and connect it with another; always the first, or else `Invited`.
    Dial(Box<Dial>),
    /// A provisional response to our INVITE.
    Progress {
        /// Whose.
        leg: LegId,
        /// 100 to 199.
        status: u16,
        /// Its SDP.
        body: Option<Bytes>,
    },
    /// A 2xx to our INVITE. Its ACK is not our business.
    Accepted {
        /// Whose.
        leg: LegId,
        /// Its SDP, where that answers the offer.
        body: Result<Bytes, OwnFailure>,
        /// What it says of session timers.
        session: SessionAsk,
    },
    /// Our INVITE failed.
    Failed {
        /// Whose.
        leg: LegId,
        /// How.
        failure: Failure,
    },
    /// The ACK for our 2xx to an INVITE or re-INVITE.
    Acknowledged {
        /// Whose.
        leg: LegId,
        /// Its SDP: the answer, when our 2xx held the offer.
        body: Option<Bytes>,
    },
    /// The caller cancelled its INVITE; the 487 is sent.
    Cancelled {
        /// Which leg.
        leg: LegId,
        /// The value of the `Reason` header.
        reason: Option<String>,
    },
    /// A BYE; the 200 is sent.
    Bye {
        /// Whose.
        leg: LegId,
        /// The value of the `Reason` header.
        reason: Option<String>,
    },
    /// The dialog is over without a BYE of theirs: ours was confirmed or got no answer, or no ACK came.
    Closed {
        /// Whose.
        leg: LegId,
    },
    /// A request within the dialog that waits for our response.
    Asked {
        /// Whose.
        leg: LegId,
        /// Which.
        request: RequestId,
        /// What for.
        ask: Asked,
    },
    /// The final response to a request of ours within the dialog; no status: none came.
    Replied {
        /// Whose.
        leg: LegId,
        /// The number that the request had.
        exchange: u32,
        /// 200 to 699.
        status: Option<u16>,
        /// Its SDP.
        body: Option<Bytes>,
        /// What it says of session timers.
        session: SessionAsk,
    },
    /// A 2xx to an offer of ours within the dialog whose answer has no codec of that offer. Its ACK is not our business.
    Misanswered {
        /// The leg that it concerns.
        leg: LegId,
        /// The number that the request had.
        exchange: u32,
    },
    /// The SDP of a message to this leg could not be made. An INVITE to it was not sent, its own INVITE was refused.
    MediaRefused {
        /// Which leg's.
        leg: LegId,
        /// The reason.
        reason: String,
    },
    /// What the media says.
    Media(MediaEvent),
    /// Where a target is.
    Located {
        /// The number that the question had.
        ticket: u32,
        /// The places, to be tried in order; or why there is none.
        targets: Result<Vec<Found>, Why>,
    },
    /// An order to hang up.
    HangUp {
        /// The owner's words for it.
        reason: Option<String>,
    },
    /// The gateway stops.
    Stop,
    /// A timer ran out.
    Fired(Timer),
}

/// The INVITE that begins a call.
#[derive(Clone, Debug)]
pub struct Invited {
    /// The number or name of who calls.
    pub from: String,
    /// What else is known of who calls.
    pub identity: Arc<CallerIdentity>,
    /// The number or name that is called.
    pub to: String,
    /// Its Call-ID.
    pub sip_call_id: String,
    /// Its SDP; none: it wants our offer.
    pub offer: Option<Bytes>,
    /// What it says of session timers.
    pub session: SessionAsk,
    /// Where it leads.
    pub plan: Plan,
}

/// An order to call two parties.
#[derive(Clone, Debug)]
pub struct Dial {
    /// The number or name that calls.
    pub from: String,
    /// The number or name that is called.
    pub to: String,
    /// Whom to call first, in order: the caller's side.
    pub first: Vec<Target>,
    /// Whom to connect it with.
    pub plan: Plan,
}

impl Dial {
    /// A call that the owner orders goes out.
    pub(super) const fn direction(&self) -> Direction {
        self.plan.direction
    }
}

/// A place of a target that was looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The target, with its address.
    pub target: Target,
    /// Whether it is another way to whom the one before it leads to: tried only where that one does not lead there.
    pub is_other_way: bool,
}

impl From<Target> for Found {
    fn from(target: Target) -> Self {
        Self { target, is_other_way: false }
    }
}

/// How an INVITE of ours failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A final response that is not a 2xx.
    Refused {
        /// 300 to 699.
        status: u16,
        /// The value of its `Reason` header.
        reason: Option<String>,
        /// The value of its `Min-SE` header, in seconds.
        min_session: Option<u32>,
    },
    /// It could not be sent, or nothing came back.
    Unreachable,
}

/// A request within a dialog.
#[derive(Clone, Debug)]
pub enum Asked {
    /// A re-INVITE.
    ReInvite {
        /// The offer; none: it wants ours.
        body: Option<Bytes>,
        /// What it says of session timers.
        session: SessionAsk,
    },
    /// An UPDATE.
    Update {
        /// The offer, if any.
        body: Option<Bytes>,
        /// What it says of session timers.
        session: SessionAsk,
    },
    /// An INFO.
    Info {
        /// The keys it says were pressed.
        keys: Keys,
        /// Its content type.
        content_type: Option<String>,
        /// Its body.
        body: Bytes,
    },
    /// A REFER.
    Refer {
        /// The URI to refer to.
        to: String,
        /// Where that leads, when it may be called.
        target: Option<Target>,
    },
    /// An OPTIONS, or another that asks for nothing.
    Ping,
    /// Any other.
    Unknown,
}

/// What the media says.
#[derive(Clone, Debug, PartialEq)]
pub enum MediaEvent {
    /// Both sides were heard.
    Established {
        /// The codec, as SDP names it.
        codec: String,
    },
    /// How well a side is heard.
    Quality {
        /// Which.
        side: Side,
        /// Since the media began.
        quality: Quality,
    },
    /// A key was pressed.
    Dtmf {
        /// By whom.
        side: Side,
        /// Which.
        digit: char,
    },
    /// Nothing has been heard of a side for some seconds.
    Silent(Side),
    /// It is heard again.
    Heard(Side),
    /// All its media has been refused for a second, for where it comes from.
    Refused {
        /// The side that it concerns.
        side: Side,
        /// Where it comes from.
        from: SocketAddr,
        /// Where it should come from, by its SDP.
        expected: SocketAddr,
    },
    /// The recording began.
    RecordingBegun,
    /// The recording lost frames or broke off.
    RecordingCut {
        /// Frames lost.
        dropped: u64,
    },
    /// It is closed, and nothing more will come.
    Closed,
}

/// A message's SDP. An offer or answer is what the other side said, and is rewritten on its way through the media.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// No SDP.
    None,
    /// The other side's offer.
    Offer(Bytes),
    /// The other side's answer.
    Answer(Bytes),
    /// What the media itself has to say to this side: an offer of its own, or what it said before.
    Own,
}

/// Something to do.
#[derive(Clone, Debug)]
pub enum Action {
    /// Find out where a target is. `Located` follows.
    Locate {
        /// A number to give back with the places.
        ticket: u32,
        /// Whom.
        target: Arc<Target>,
    },
    /// Send an INVITE.
    Invite {
        /// The new leg's number.
        leg: LegId,
        /// The side it stands on.
        side: Side,
        /// Whom.
        target: Arc<Target>,
        /// The offer.
        body: Body,
        /// The session interval to ask for, in seconds.
        session: u32,
    },
    /// Cancel our INVITE. `Failed` or `Accepted` follows.
    Cancel {
        /// Which leg.
        leg: LegId,
    },
    /// Forget a leg that gave no sign of life, or never confirmed its end. Nothing follows; what still answers is cancelled or
    /// hung up.
    Abandon {
        /// Which leg.
        leg: LegId,
    },
    /// Send the caller a 180, or with SDP a 183.
    Ring {
        /// Which leg.
        leg: LegId,
        /// The early answer.
        body: Body,
    },
    /// Answer the caller.
    Accept {
        /// Which leg.
        leg: LegId,
        /// The answer, or an offer.
        body: Body,
        /// The session timer.
        session: Option<Granted>,
    },
    /// Refuse the caller. The leg is over.
    Reject {
        /// Which leg.
        leg: LegId,
        /// With which status.
        status: u16,
        /// Why.
        why: Why,
    },
    /// Hang up a leg. `Closed` follows.
    Bye {
        /// Which leg.
        leg: LegId,
        /// Why.
        why: Why,
    },
    /// Send a request within the dialog. `Replied` follows a re-INVITE and an UPDATE.
    Send {
        /// To which leg.
        leg: LegId,
        /// A number to give back with the response.
        exchange: u32,
        /// Which.
        request: Outgoing,
    },
    /// Respond to a request within the dialog.
    Reply {
        /// Which.
        request: RequestId,
        /// With which status.
        status: u16,
        /// The answer.
        body: Body,
        /// The session timer.
        session: Option<Granted>,
    },
    /// Tell the media what a side said whose message goes no further.
    Take {
        /// Which leg.
        leg: LegId,
        /// The answer.
        answer: Bytes,
    },
    /// Start a timer, anew if it runs.
    Start {
        /// Which.
        timer: Timer,
        /// How long.
        after: Duration,
    },
    /// Stop a timer that runs.
    Stop {
        /// Which.
        timer: Timer,
    },
    /// Begin to record.
    Record,
    /// Close the media. `Closed` follows its last words.
    CloseMedia,
    /// Tell the owner.
    Report {
        /// When it happened: milliseconds since 1970.
        at: u64,
        /// What.
        what: What,
    },
    /// The call is over on all sides. Always the last.
    Finish,
}

/// A request of ours within a dialog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// A re-INVITE.
    ReInvite {
        /// The offer.
        body: Body,
        /// The session interval, when one runs, and who refreshes it.
        session: Option<Granted>,
    },
    /// An UPDATE.
    Update {
        /// The offer, if any.
        body: Body,
        /// The session interval, when one runs, and who refreshes it.
        session: Option<Granted>,
    },
    /// An INFO.
    Info {
        /// Its content type.
        content_type: Option<String>,
        /// Its body.
        body: Bytes,
    },
    /// A NOTIFY on how a REFER goes.
    Notify {
        /// The status of the call referred to.
        status: u16,
        /// Whether it is the last.
        last: bool,
    },
}
