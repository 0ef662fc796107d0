//! A SIP back-to-back user agent: it takes calls from trunks and registered users, bridges them to endpoints, relays and
//! records their media, measures it, and reports every step.
//!
//! It knows nothing of calls on file, HTTP or any other part of the program: it is told who may call where, and it emits
//! reports of its own.
#![deny(missing_docs)]

mod call;
mod cause;
mod frame;
mod front;
pub mod guard;
pub mod media;
mod quoting;
pub mod recording;
pub mod registrar;
mod report;
mod routes;
pub mod sdp;
mod side;
mod stream;
mod trace;

pub use call::{Clock, Dial, HangUp, Refused};
pub use cause::{Cause, Why};
pub use frame::{Frame, Tap};
pub use front::{
    Addresses, Config, Counts, Digest, Gateway, GuardCount, GuardSettings, LeftOver, MediaSettings, Peers,
    Recordings, RtpCounts, SipCounts, StartError, Tls, TraceSettings, Traced, TrunkPeer, UserPeer,
};
pub use report::{By, CallId, Direction, Ended, Quality, Recording, Report, What};
pub use routes::{Ask, Credential, Limits, Plan, Routes, Target, TransferAsk, Trunk, Who};
pub use side::Side;
