//! What stands between the sockets and all that makes something of a message.
//!
//! Every message is looked at here first. What is sound is handed on in one form, without folds, compact names, lists and
//! needless blanks, so that whoever reads it need not judge; what is not is answered here, without a transaction, or dropped;
//! both are counted by [`Reason`]. Only known sources are ever answered.
//!
//! # Where this differs from RFC 3261 and RFC 4475
//!
//! | what | here | the RFC |
//! | --- | --- | --- |
//! | no tag in From (INV2543) | 400: a dialog is known by its tags | to be served as RFC 2543 was |
//! | a branch of the cookie alone (BADBRANCH) | 400 | 400, or matched as in RFC 2543 |
//! | no From, To or Call-ID (INSUF) | 400 with what there is | "ideally" 400 |
//! | a From that cannot be read | dropped | 400 |
//! | blanks in or after the first line (LWSSTART, TRWS) | 400 | 400, or taken |
//! | headers in the Request-URI (ESCRURI) | 400 | 400, or left out |
//! | an unquoted comma in a display name (BADDN) | taken | 400, or taken |
//! | blanks inside angle brackets (BADASPEC) | taken, without them | 400, or taken |
//! | a Date of another zone (BADDATE) | taken: nobody reads it | 400, or taken |
//! | an unknown method and another in CSeq (MISMATCH02) | 501 | 400 or 501 |
//! | Content-Length twice (MCL01) | 400, also when both are equal | 400, or a guess |
//! | bytes that are not UTF-8 | a `?` each: Latin-1 in display names is heard often | 400 |
//! | a response with several Vias (BCAST) | dropped | dropped |
//! | unknown body, Accept or authentication (INVUT, SDP01, REGAUT01) | handed on: calls and the registrar answer | 415, 406, 401 |
//! | ends of line that are not CRLF | 400 | 400 |

mod answer;
mod check;
mod gate;
mod header;
mod limits;
mod message;
mod policy;
mod reason;
mod refusals;
mod socket;
#[cfg(test)]
mod tests;
mod weather;

use std::{net::SocketAddr, time::Instant};

pub use gate::{Expected, Gate};
pub use limits::Limits;
pub use policy::{Network, NotANetwork, Policy, Rate, Strangers};
pub use reason::{Counts, Reason};
pub use refusals::{RECORDED, Refusals};
pub use socket::{GuardedSocket, bind};
pub use weather::{Weather, WeatheredSocket};

use header::Kind;
use message::{Fault, Halves, Message, Start};

/// How a message came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// As one datagram; its end is the message's.
    Datagram,
    /// Cut from a stream: without Content-Length nobody knows where it ends.
    Stream,
    /// The head of a message in a stream that is larger than the policy takes; its body was skipped.
    StreamHead,
}

/// Where a message came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// The address on the wire, not the one in the message.
    pub address: SocketAddr,
    /// How it came.
    pub carrier: Carrier,
}

impl Source {
    /// A datagram from this address.
    pub const fn datagram(address: SocketAddr) -> Self {
        Self { address, carrier: Carrier::Datagram }
    }
}

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is handed on, in this form.
    Pass(Vec<u8>),
    /// It is answered from here.
    Answer {
        /// Why.
        reason: Reason,
        /// The answer.
        reply: Vec<u8>,
        /// Where it goes: the source's address, and the port that its Via asks for.
        to: SocketAddr,
        /// What is known of it, where it is an INVITE that would have begun a call.
        refused: Option<Box<RefusedInvite>>,
    },
    /// Nothing is done.
    Drop(Reason),
}

/// An INVITE that is answered by the guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedInvite {
    /// The INVITE, as far as it could be read: its first line, and headers that are no longer than usual.
    pub outline: Vec<u8>,
    /// Where it came from.
    pub source: SocketAddr,
    /// Why.
    pub reason: Reason,
    /// The status that it is answered with.
    pub status: u16,
    /// The phrase that it is answered with.
    pub phrase: &'static str,
}

impl RefusedInvite {
    fn of(message: &mut Message<'_>, fault: &Fault, source: SocketAddr) -> Option<Box<Self>> {
        let Start::Request { method: "INVITE", uri, .. } = &message.start else { return None };
        let uri = uri.clone();
        let has_call_id = message.first(Kind::CallId).is_some_and(|call| !call.is_empty());
        if !has_call_id || check::is_in_dialog(message) {
            return None;
        }
        message.start = Start::Request { method: "INVITE", uri, version: "SIP/2.0" };
        let Fault { reason, status, phrase, .. } = *fault;
        Some(Box::new(Self { outline: message.outlined(), source, reason, status, phrase }))
    }
}

/// Judges one message; `known` says whether its source is a peer. Work and memory are bounded by its size, and its size by
/// the policy.
pub fn inspect(
    bytes: &[u8],
    source: Source,
    known: bool,
    now: Instant,
    policy: &Policy,
    limits: &mut Limits,
) -> Verdict {
    if !known && policy.strangers == Strangers::Refused {
        return Verdict::Drop(Reason::UnknownSource);
    }
    let rate = if known { policy.peer_rate } else { policy.stranger_rate };
    if !limits.take(source.address.ip(), rate, now) {
        return Verdict::Drop(Reason::TooFast);
    }
    if bytes.iter().all(|byte| byte.is_ascii_whitespace() || *byte == 0) {
        return keep_alive(bytes, source, known);
    }
    // One that is too large is still read, so that its sender can be told.
    let too_large = source.carrier == Carrier::StreamHead || bytes.len() > policy.largest_message;
    let head = match source.carrier {
        Carrier::Datagram | Carrier::Stream => bytes.get(..policy.largest_message).unwrap_or(bytes),
        Carrier::StreamHead => bytes,
    };
    let halves = Halves::of(head);
    let Some(mut message) = halves.as_ref().and_then(Message::read) else {
        return Verdict::Drop(Reason::NotSip);
    };
    if message.first(Kind::UserAgent).is_some_and(|name| policy.is_scanner(name)) {
        return Verdict::Drop(Reason::Scanner);
    }
    let framed = source.carrier == Carrier::Datagram;
    let method = match &message.start {
        Start::Request { method, .. } => *method,
        Start::Response { .. } if too_large => return Verdict::Drop(Reason::TooLarge),
        Start::Response { .. } => {
            return match check::response(&mut message, framed) {
                Ok(body) => Verdict::Pass(message.written(body)),
                Err(reason) => Verdict::Drop(reason),
            };
        }
    };
    let outcome = if too_large {
        Err(Fault::new(Reason::TooLarge, 513, "Message Too Large"))
    } else {
        check::request(&mut message, framed, policy)
    };
    match outcome {
        Ok(_) if !known && !stranger_may(method, &message) => Verdict::Drop(Reason::UnknownSource),
        Ok(body) => Verdict::Pass(message.written(body)),
        // An ACK is never answered, and a stranger learns nothing.
        Err(fault) if !known || method == "ACK" => Verdict::Drop(fault.reason),
        Err(fault) => match answer::to_request(&message, &fault, source, bytes.len()) {
            Some((reply, to)) => {
                let refused = RefusedInvite::of(&mut message, &fault, source.address);
                Verdict::Answer { reason: fault.reason, reply, to, refused }
            }
            None => Verdict::Drop(fault.reason),
        },
    }
}

/// A known source's ping (two ends of line) gets its pong (one), as RFC 5626, 4.4.1, has it for streams.
fn keep_alive(bytes: &[u8], source: Source, known: bool) -> Verdict {
    if known && bytes == b"\r\n\r\n" {
        let reply = b"\r\n".to_vec();
        return Verdict::Answer { reason: Reason::KeepAlive, reply, to: source.address, refused: None };
    }
    Verdict::Drop(Reason::KeepAlive)
}

/// A stranger may ask to be authenticated, and go on with what came of it.
fn stranger_may(method: &str, message: &Message<'_>) -> bool {
    matches!(method, "REGISTER" | "INVITE" | "ACK" | "CANCEL") || check::is_in_dialog(message)
}
