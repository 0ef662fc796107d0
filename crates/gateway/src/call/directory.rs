//! What a call asks about people: who sent a request, where a user is.

use std::net::SocketAddr;

use crate::{
    Target, Who,
    sip::{Answer, Message},
};

/// Somebody who is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Who.
    pub who: Who,
    /// Whether its media may come from elsewhere than its SDP says.
    pub nat: bool,
}

/// Knows people. It is asked while a caller waits, and answers from memory.
pub trait Directory: Send + Sync + 'static {
    /// Who sent a request that belongs to no call yet.
    ///
    /// # Errors
    /// How to answer who is not known: to be asked for a proof, or not to be served.
    fn who(&self, request: &Message, source: SocketAddr) -> Result<Known, Answer>;

    /// The answer to a REGISTER.
    fn register(&self, request: &Message, source: SocketAddr) -> Answer;

    /// The places where a user can be reached, to be tried in order.
    fn places(&self, user: &str) -> Vec<Target>;
}
