//! Messages of ours.

use std::{borrow::Cow, net::SocketAddr};

use bytes::Bytes;

use super::{address::Via, message::Message};

/// A header of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its name.
    pub name: Cow<'static, str>,
    /// Its value, without ends of line.
    pub value: String,
}

impl Header {
    /// One of this name and value.
    pub fn new(name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into() }
    }
}

/// A response of ours, but for what it repeats of its request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Headers beside those that every response has.
    pub headers: Vec<Header>,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// A status that says it all.
    pub const fn plain(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new() }
    }

    /// The same with a header.
    pub fn with(status: u16, header: Header) -> Self {
        Self { status, headers: vec![header], body: Bytes::new() }
    }
}

/// A message that is being written.
pub struct Draft(Vec<u8>);

/// Room for most messages.
const USUAL: usize = 640;

impl Draft {
    fn begin(first: [&str; 3]) -> Self {
        let mut draft = Self(Vec::with_capacity(USUAL));
        for (number, word) in first.into_iter().enumerate() {
            draft.push(if number > 0 { " " } else { "" });
            draft.push(word);
        }
        draft.end_line();
        draft
    }

    /// A request.
    pub fn request(method: &str, uri: &str) -> Self {
        Self::begin([method, uri, "SIP/2.0"])
    }

    /// A response.
    pub fn response(status: u16) -> Self {
        Self::begin(["SIP/2.0", &status.to_string(), phrase(status)])
    }

    /// Adds a piece of a line. What would end the line is left out: it may come from a peer, or a configuration.
    fn push(&mut self, text: &str) {
        if memchr::memchr2(b'\r', b'\n', text.as_bytes()).is_none() {
            self.0.extend_from_slice(text.as_bytes());
        } else {
            self.0.extend(text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')));
        }
    }

    fn end_line(&mut self) {
        self.0.extend_from_slice(b"\r\n");
    }

    /// Adds a header.
    pub fn header(&mut self, name: &str, value: &str) -> &mut Self {
        self.parts(name, &[value])
    }

    /// Adds a header whose value is in parts.
    pub fn parts(&mut self, name: &str, value: &[&str]) -> &mut Self {
        self.push(name);
        self.push(": ");
        for part in value {
            self.push(part);
        }
        self.end_line();
        self
    }

    /// Adds headers of ours.
    pub fn headers(&mut self, headers: &[Header]) -> &mut Self {
        for Header { name, value } in headers {
            self.header(name, value);
        }
        self
    }

    /// The message with its body.
    pub fn finish(mut self, body: &[u8]) -> Bytes {
        self.header("Content-Length", &body.len().to_string());
        self.end_line();
        self.0.extend_from_slice(body);
        // With no more room than it needs: it is kept until its transaction is over, and in the call's trace.
        Bytes::from(self.0.into_boxed_slice())
    }
}

/// The response to a request that came from an address; `tag` is the one of whoever answers, and `server` its name.
pub fn response(request: &Message, source: SocketAddr, answer: &Answer, tag: &str, server: &str) -> Bytes {
    let mut draft = Draft::response(answer.status);
    for (number, via) in request.headers("Via").enumerate() {
        match Via::read(via).filter(|_| number == 0) {
            Some(top) => draft.header("Via", &top.stamped(source)),
            None => draft.header("Via", via),
        };
    }
    draft.header("From", request.header("From").unwrap_or_default());
    let to = request.header("To").unwrap_or_default();
    match request.to_tag().is_some() || answer.status == 100 {
        true => draft.header("To", to),
        false => draft.parts("To", &[to, ";tag=", tag]),
    };
    draft.header("Call-ID", request.call_id());
    draft.header("CSeq", request.header("CSeq").unwrap_or_default());
    if (101..300).contains(&answer.status) {
        for route in request.headers("Record-Route") {
            draft.header("Record-Route", route);
        }
    }
    draft.headers(&answer.headers);
    draft.header("Server", server);
    draft.finish(&answer.body)
}

/// Where the response to a request goes, as its topmost Via says; back where it came from when that cannot be read.
pub fn response_goes_to(request: &Message, source: SocketAddr, by_stream: bool) -> SocketAddr {
    let via = request.header("Via").and_then(Via::read);
    via.map_or(source, |via| via.response_goes_to(source, by_stream))
}

/// What a status says in words (RFC 3261, 21, and the registry).
pub const fn phrase(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        181 => "Call Is Being Forwarded",
        182 => "Queued",
        183 => "Session Progress",
        200 => "OK",
        202 => "Accepted",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Moved Temporarily",
        305 => "Use Proxy",
        380 => "Alternative Service",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        410 => "Gone",
        413 => "Request Entity Too Large",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        420 => "Bad Extension",
        421 => "Extension Required",
        422 => "Session Interval Too Small",
        423 => "Interval Too Brief",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        484 => "Address Incomplete",
        485 => "Ambiguous",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        491 => "Request Pending",
        493 => "Undecipherable",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Server Time-out",
        505 => "Version Not Supported",
        513 => "Message Too Large",
        600 => "Busy Everywhere",
        603 => "Decline",
        604 => "Does Not Exist Anywhere",
        606 => "Not Acceptable",
        _ => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(via: &str) -> Message {
        let text = format!(
            "INVITE sip:a@b SIP/2.0\r\nVia: {via}\r\nVia: SIP/2.0/UDP far;branch=z9hG4bK2\r\nRecord-Route: <sip:p;lr>\r\n\
             From: <sip:c@d>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: x\r\nCSeq: 7 INVITE\r\n\r\n"
        );
        Message::read(text.into()).unwrap()
    }

    #[test]
    fn a_response_repeats_its_request_and_says_where_that_came_from() {
        let request = request("SIP/2.0/UDP h:5080;rport;branch=z9hG4bK1");
        let source = "192.0.2.9:1234".parse().unwrap();
        let answer = Answer::with(200, Header::new("Contact", "<sip:us>\r\nEvil: 1"));
        let text = response(&request, source, &answer, "ours", "pegcount");
        assert_eq!(
            std::str::from_utf8(&text).unwrap(),
            "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h:5080;rport=1234;branch=z9hG4bK1;received=192.0.2.9\r\n\
             Via: SIP/2.0/UDP far;branch=z9hG4bK2\r\nFrom: <sip:c@d>;tag=1\r\nTo: <sip:a@b>;tag=ours\r\nCall-ID: x\r\n\
             CSeq: 7 INVITE\r\nRecord-Route: <sip:p;lr>\r\nContact: <sip:us>Evil: 1\r\nServer: pegcount\r\n\
             Content-Length: 0\r\n\r\n"
        );
    }

    #[test]
    fn a_response_goes_to_the_address_that_asked() {
        let source = "192.0.2.9:1234".parse().unwrap();
        let goes = |via, by_stream| response_goes_to(&request(via), source, by_stream).to_string();
        assert_eq!(goes("SIP/2.0/UDP h:5080;branch=z9hG4bK1", false), "192.0.2.9:5080");
        assert_eq!(goes("SIP/2.0/UDP h;branch=z9hG4bK1", false), "192.0.2.9:5060");
        assert_eq!(goes("SIP/2.0/UDP h:5080;rport;branch=z9hG4bK1", false), "192.0.2.9:1234");
        assert_eq!(goes("SIP/2.0/TCP h:5080;branch=z9hG4bK1", true), "192.0.2.9:1234");
    }
}
