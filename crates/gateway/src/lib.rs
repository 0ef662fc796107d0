//! A SIP back-to-back user agent: it takes calls from trunks and registered users, bridges them to endpoints, relays and
//! records their media, measures it, and reports every step.
//!
//! It knows nothing of calls on file, HTTP or any other part of the program: it is told who may call where, and it emits
//! reports of its own.
#![deny(missing_docs)]

mod frame;
pub mod media;
pub mod sdp;
mod side;

pub use frame::{Frame, Tap};
pub use side::Side;
