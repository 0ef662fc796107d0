//! The messages of a call.

use std::net::SocketAddr;

use crate::Side;

/// A message of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traced {
    /// When: milliseconds since 1970.
    pub at_ms: u64,
    /// With which side it was exchanged.
    pub side: Side,
    /// Which dialog of the call it belongs to, by order, from 0.
    pub leg: u32,
    /// Whether we sent it; else it was received.
    pub sent: bool,
    /// Where it came from or went to.
    pub peer: Option<SocketAddr>,
    /// The message without its secrets (passwords, proofs, tokens, keys of media); names and numbers masked if so set.
    pub text: String,
}
