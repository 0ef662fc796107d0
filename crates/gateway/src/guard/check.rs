//! What a message must be to be handed on.

use std::borrow::Cow;

use super::{
    header::Kind,
    message::{Fault, Message, Start},
    policy::Policy,
    reason::Reason,
};
use crate::{
    quoting::blank,
    sip::{
        Method,
        address::{Address, UriFault, Via, check_uri, has_headers, is_contact},
    },
};

/// Above this a CSeq is none (RFC 3261, 8.1.1.5).
const LARGEST_CSEQ: u64 = 0x7fff_ffff;

/// Checks a request, and gives its body.
pub(super) fn request<'a>(
    message: &mut Message<'a>,
    framed: bool,
    policy: &Policy,
) -> Result<&'a [u8], Fault> {
    let Start::Request { method, uri, version } = &message.start else {
        return Err(Fault::bad(Reason::NotSip, "Not A Request"));
    };
    let (method, uri) = (*method, uri.clone());
    if !version.eq_ignore_ascii_case("SIP/2.0") {
        return Err(Fault::new(Reason::Version, 505, "Version Not Supported"));
    }
    if let Some(fault) = message.fault.take() {
        return Err(fault);
    }
    single(message)?;
    let body = body(message, framed)?;
    let parties = parties(message)?;
    let (number, cseq_method) = cseq(message)?;
    hops(message)?;
    if !message.all(Kind::Contact).all(is_contact) {
        return Err(Fault::bad(Reason::Malformed, "Malformed Contact"));
    }
    takes(method, policy)?;
    if cseq_method != method {
        return Err(Fault::bad(Reason::CSeq, "CSeq Of Another Method"));
    }
    match check_uri(&uri) {
        Ok(()) if has_headers(&uri) => {
            return Err(Fault::bad(Reason::Malformed, "Headers In Request-URI"));
        }
        Ok(()) => {}
        Err(UriFault::Malformed) => return Err(Fault::bad(Reason::Malformed, "Malformed Request-URI")),
        Err(UriFault::Scheme) => {
            return Err(Fault::new(Reason::UnknownScheme, 416, "Unsupported URI Scheme"));
        }
    }
    if method == "REGISTER" && check_uri(parties.to).is_err() {
        return Err(Fault::bad(Reason::Malformed, "No Address Of Record"));
    }
    extensions(message, method, policy)?;
    shorten_number(message, number);
    message.start = Start::Request { method, uri, version: "SIP/2.0" };
    Ok(body)
}

/// Checks a response, and gives its body.
pub(super) fn response<'a>(message: &mut Message<'a>, framed: bool) -> Result<&'a [u8], Reason> {
    let Start::Response { version, code, phrase } = &message.start else { return Err(Reason::NotSip) };
    if !version.eq_ignore_ascii_case("SIP/2.0") {
        return Err(Reason::Version);
    }
    if message.fault.is_some() || code.len() != 3 || !matches!(code.parse(), Ok(100..=699_u16)) {
        return Err(Reason::Malformed);
    }
    let start = Start::Response { version: "SIP/2.0", code, phrase };
    // Who asked as a user agent is the only one on the way back (RFC 3261, 8.1.3.3).
    if message.all(Kind::Via).count() > 1 {
        return Err(Reason::NotForUs);
    }
    let reason = |fault: Fault| fault.reason;
    single(message).map_err(reason)?;
    let body = body(message, framed).map_err(reason)?;
    parties(message).map_err(reason)?;
    let (number, method) = cseq(message).map_err(reason)?;
    if Method::named(method) == Method::Other {
        return Err(Reason::CSeq);
    }
    shorten_number(message, number);
    message.start = start;
    Ok(body)
}

/// Whether the request is inside a dialog: its To has a tag.
pub(super) fn is_in_dialog(message: &Message<'_>) -> bool {
    message.first(Kind::To).and_then(Address::read).is_some_and(|to| to.tag.is_some())
}

/// Writes the number of a CSeq without zeros before it.
fn shorten_number(message: &mut Message<'_>, number: u64) {
    if let Some(header) = message.headers.iter_mut().find(|header| header.kind == Kind::CSeq)
        && let Some((digits, method)) = header.value.split_once(' ')
        && digits.len() > 1
        && digits.starts_with('0')
    {
        header.value = Cow::Owned(format!("{number} {method}"));
    }
}

/// A header that says one thing says it once.
fn single(message: &Message<'_>) -> Result<(), Fault> {
    for (at, header) in message.headers.iter().enumerate() {
        if header.kind.is_single()
            && message.headers[at + 1..].iter().any(|other| other.name.eq_ignore_ascii_case(header.name))
        {
            let reason = match header.kind {
                Kind::ContentLength => Reason::ContentLength,
                _ => Reason::RepeatedHeader,
            };
            return Err(Fault::bad(reason, "Repeated Header"));
        }
    }
    Ok(())
}

/// So much of the rest as Content-Length says; all of it in a datagram that says nothing (RFC 3261, 18.3).
fn body<'a>(message: &Message<'a>, framed: bool) -> Result<&'a [u8], Fault> {
    const WRONG: Fault = Fault::bad(Reason::ContentLength, "Wrong Content-Length");
    let Some(value) = message.first(Kind::ContentLength) else {
        return if framed { Ok(message.rest) } else { Err(WRONG) };
    };
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(WRONG);
    }
    let length: usize = value.parse().map_err(|_| WRONG)?;
    message.rest.get(..length).ok_or(WRONG)
}

struct Parties<'a> {
    to: &'a str,
}

/// Via, From, To and Call-ID.
fn parties<'a>(message: &'a Message<'_>) -> Result<Parties<'a>, Fault> {
    const MISSING: Fault = Fault::bad(Reason::MissingHeader, "Missing Header");
    for via in message.all(Kind::Via).take(1) {
        if !Via::read(via).is_some_and(|via| via.is_sound()) {
            return Err(Fault::bad(Reason::Malformed, "Malformed Via"));
        }
    }
    let via = message.first(Kind::Via);
    let call = message.first(Kind::CallId).filter(|call| !call.is_empty());
    let (Some(_), Some(from), Some(to), Some(call)) =
        (via, message.first(Kind::From), message.first(Kind::To), call)
    else {
        return Err(MISSING);
    };
    if call.contains(blank) {
        return Err(Fault::bad(Reason::Malformed, "Malformed Call-ID"));
    }
    let from = Address::read(from).ok_or(Fault::bad(Reason::Malformed, "Malformed From"))?;
    let to = Address::read(to).ok_or(Fault::bad(Reason::Malformed, "Malformed To"))?;
    if from.tag.is_none() {
        return Err(Fault::bad(Reason::MissingHeader, "Missing From Tag"));
    }
    Ok(Parties { to: to.uri })
}

fn cseq<'a>(message: &'a Message<'_>) -> Result<(u64, &'a str), Fault> {
    const WRONG: Fault = Fault::bad(Reason::CSeq, "Malformed CSeq");
    let value = message.first(Kind::CSeq).ok_or(Fault::bad(Reason::MissingHeader, "Missing CSeq"))?;
    let (number, method) = value.split_once(' ').ok_or(WRONG)?;
    if !number.bytes().all(|byte| byte.is_ascii_digit()) || method.contains(blank) {
        return Err(WRONG);
    }
    match number.parse() {
        Ok(number @ 0..=LARGEST_CSEQ) => Ok((number, method)),
        _ => Err(WRONG),
    }
}

/// Max-Forwards is a number where it is there. Whether hops are left matters only to who sends a request on
/// (RFC 3261, 16.3).
fn hops(message: &Message<'_>) -> Result<(), Fault> {
    let is_number =
        |value: &str| value.parse::<u8>().is_ok() && value.bytes().all(|byte| byte.is_ascii_digit());
    match message.first(Kind::MaxForwards) {
        Some(value) if !is_number(value) => Err(Fault::bad(Reason::Malformed, "Malformed Max-Forwards")),
        Some(_) | None => Ok(()),
    }
}

fn takes(method: &str, policy: &Policy) -> Result<(), Fault> {
    if Method::named(method) == Method::Other {
        return Err(Fault::new(Reason::UnknownMethod, 501, "Not Implemented"));
    }
    if policy.methods.iter().any(|taken| taken == method) {
        return Ok(());
    }
    let mut fault = Fault::new(Reason::MethodNotAllowed, 405, "Method Not Allowed");
    fault.header = Some(format!("Allow: {}", policy.methods.join(", ")));
    Err(fault)
}

/// What must be understood is understood. ACK and CANCEL are never refused for it (RFC 3261, 8.2.2.3).
fn extensions(message: &Message<'_>, method: &str, policy: &Policy) -> Result<(), Fault> {
    if matches!(method, "ACK" | "CANCEL") {
        return Ok(());
    }
    let knows = |name: &str| policy.extensions.iter().any(|known| known.eq_ignore_ascii_case(name));
    let unknown: Vec<&str> = message
        .all(Kind::Require)
        .flat_map(|value| value.split(','))
        .map(|name| name.trim_matches(blank))
        .filter(|name| !name.is_empty() && !knows(name))
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let mut fault = Fault::new(Reason::UnknownExtension, 420, "Bad Extension");
    fault.header = Some(format!("Unsupported: {}", unknown.join(", ")));
    Err(fault)
}
