//! What a call asks about people: who sent a request, where a user is.

use std::net::SocketAddr;

use rsipstack::sip::{Header, Request};

use crate::{Target, Who};

/// Somebody who is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Who.
    pub who: Who,
    /// Whether its media may come from elsewhere than its SDP says.
    pub nat: bool,
}

/// An answer to who is not known, or to a request that is no call's.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Headers beside those that every answer has.
    pub headers: Vec<Header>,
}

impl Answer {
    /// A status that says it all.
    pub const fn plain(status: u16) -> Self {
        Self { status, headers: Vec::new() }
    }
}

/// Knows people. It is asked while a caller waits, and answers from memory.
pub trait Directory: Send + Sync + 'static {
    /// Who sent a request that belongs to no call yet.
    ///
    /// # Errors
    /// How to answer who is not known: to be asked for a proof, or not to be served.
    fn who(&self, request: &Request, source: SocketAddr) -> Result<Known, Answer>;

    /// The answer to a REGISTER.
    fn register(&self, request: &Request, source: SocketAddr) -> Answer;

    /// The places where a user can be reached, to be tried in order.
    fn places(&self, user: &str) -> Vec<Target>;
}
