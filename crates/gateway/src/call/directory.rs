//! What a call asks about people: who sent a request, where a user is.

use std::net::SocketAddr;

use crate::{
    Target, Who,
    media::Latching,
    sip::{Answer, Message},
};

/// Somebody who is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Who.
    pub who: Who,
    /// Whether it may be behind address translation.
    pub nat: bool,
}

impl Known {
    /// Where its media may come from beside where its SDP says, when its request came from this address.
    pub fn latching(&self, source: SocketAddr) -> Latching {
        match (&self.who, self.nat) {
            (_, true) => Latching::Any,
            // A phone has as many addresses as its computer, and chooses one for its SDP by guesswork.
            (Who::User(_), false) => Latching::host(source.ip()),
            (Who::Trunk(_), false) => Latching::Off,
        }
    }
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
