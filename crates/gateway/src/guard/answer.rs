//! Answers without a transaction (RFC 3261, 8.2.7).

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    net::SocketAddr,
};

use super::{
    Carrier, Source,
    header::Kind,
    message::{Fault, Message, push_header},
};
use crate::sip::address::{Address, Via};

/// How many bytes an answer may have more than its question.
const MAY_GROW: usize = 256;

/// The answer to a request, and where it goes; nothing when nobody can be told.
pub(super) fn to_request(
    message: &Message<'_>,
    fault: &Fault,
    source: Source,
    question: usize,
) -> Option<(Vec<u8>, SocketAddr)> {
    let mut vias = message.all(Kind::Via);
    let via = Via::read(vias.next()?)?;
    let mut out = format!("SIP/2.0 {} {}\r\n", fault.status, fault.phrase).into_bytes();
    push_header(&mut out, "Via", &via.stamped(source.address));
    for via in vias {
        push_header(&mut out, "Via", via);
    }
    // Who did not say from whom it is cannot match an answer by it; who said it badly gets none.
    if let Some(from) = message.first(Kind::From) {
        Address::read(from)?;
        push_header(&mut out, "From", from);
    }
    if let Some(to) = message.first(Kind::To) {
        let tagged = Address::read(to).is_none_or(|to| to.tag.is_some());
        let to = if tagged { to.to_owned() } else { format!("{to};tag={}", tag(message)) };
        push_header(&mut out, "To", &to);
    }
    for (kind, name) in [(Kind::CallId, "Call-ID"), (Kind::CSeq, "CSeq")] {
        if let Some(value) = message.first(kind) {
            push_header(&mut out, name, value);
        }
    }
    if let Some(header) = &fault.header {
        out.extend_from_slice(header.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    push_header(&mut out, "Content-Length", "0");
    out.extend_from_slice(b"\r\n");
    let to = via.response_goes_to(source.address, source.carrier != Carrier::Datagram);
    (out.len() <= question + MAY_GROW).then_some((out, to))
}

/// The same for the same request, however often it comes.
fn tag(message: &Message<'_>) -> String {
    let mut hasher = DefaultHasher::new();
    for kind in [Kind::Via, Kind::From, Kind::CallId, Kind::CSeq] {
        message.first(kind).hash(&mut hasher);
    }
    format!("{:016x}", hasher.finish())
}
