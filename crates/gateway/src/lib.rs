//! A SIP back-to-back user agent: it takes calls from trunks and registered users, bridges them to endpoints, relays and
//! records their media, measures it, and reports every step.
//!
//! It knows nothing of calls on file, HTTP or any other part of the program: it is told who may call where, and it emits
//! reports of its own.
#![deny(missing_docs)]

mod call;
mod cause;
mod frame;
pub mod guard;
pub mod media;
mod quoting;
pub mod recording;
pub mod registrar;
mod report;
mod routes;
pub mod sdp;
mod side;

pub use call::{
    Clock, Dial, HangUp, Media, MediaEvent, MediaMaker, MediaRefused, NotStarted, Refused, Settings, Stance,
    Switch,
};
pub use cause::{Cause, Why};
pub use frame::{Frame, Tap};
pub use report::{By, CallId, Direction, Ended, Quality, Report, Reporter, What};
pub use routes::{Ask, Credential, Knock, Limits, Plan, Routes, Target, Trunk, Who};
pub use side::Side;
