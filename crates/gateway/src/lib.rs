//! A SIP back-to-back user agent: it takes calls from trunks and registered users, bridges them to endpoints, relays and
//! records their media, measures it, and reports every step.
//!
//! A program starts a [`Gateway`] with a [`Config`], answers where calls lead ([`Routes`]), and reads [`Report`]s. The gateway
//! has threads, sockets and a memory of its own, and waits for nobody: what the program does not read waits or is counted
//! as lost, and a call goes on. It knows nothing of calls on file, HTTP or any other part of the program.
//!
//! ```text
//! sockets -- guard --> door: transactions -- incoming --> call (state machine + task) --> Routes, Report
//!    ^                   ^                        |  asks: directory (trunks, users), registrar
//!    |                   +--------- legs ---------+  has: media (SDP, relay, recording), trace
//!    +-- stream: TCP, TLS
//! ```
//!
//! | room | is |
//! | --- | --- |
//! | `front` | all of it put together: what a program sees |
//! | `call` | one call, and which call a message belongs to |
//! | [`sip`] | messages, transactions and dialogs, without a network |
//! | [`guard`] | what is let through |
//! | `stream` | connections over TCP and TLS |
//! | [`registrar`] | digests and registrations |
//! | [`sdp`], [`media`] | session descriptions; the relay |
//! | [`recording`] | from packets to files |
//! | `trace` | the last messages of calls |
//!
//! # What it does not do
//!
//! It follows no redirection (3xx): a target that moved has failed, and the next is tried; who pays for a call is not for a
//! peer to say. It asks for no reliable provisional responses (100rel), transcodes nothing, and refuses media
//! that is offered encrypted only (488). A request within a call from a host that is neither a trunk's nor the one that was
//! called is not heard where nobody may be a stranger: a trunk has to list the networks of all its hosts.
#![deny(missing_docs)]

mod call;
mod caller;
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
pub mod sip;
mod stream;
mod trace;

pub use call::{Clock, Dial, HangUp, Refused};
pub use caller::{Attestation, AttestationLevel, CallerIdentity, Disclosure, Diversion};
pub use cause::{Cause, Why};
pub use frame::{Frame, Tap};
pub use front::{
    Addresses, Config, Contact, Counts, Digest, Finished, Gateway, GuardCount, GuardSettings, LeftOver,
    MediaSettings, Peers, Recordings, RefusalCounts, Registered, Registrations, RtpCounts, SipCounts,
    StartError, Tls, TraceSettings, Traced, TrunkPeer, UserPeer,
};
pub use report::{By, CallId, Denied, Direction, Ended, Quality, Recording, Report, What};
pub use routes::{Ask, Attempt, Credential, Denial, Limits, Plan, Routes, Target, TransferAsk, Trunk, Who};
pub use side::Side;
