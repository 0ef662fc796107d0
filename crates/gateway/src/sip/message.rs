//! A SIP message as it came, and where its parts are (RFC 3261, 7).

use bytes::Bytes;

use super::uri::tag_of;
use crate::quoting::{self, end_of_head};

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "they are called as in their RFCs")]
pub enum Method {
    Ack,
    Bye,
    Cancel,
    Info,
    Invite,
    Message,
    Notify,
    Options,
    Prack,
    Publish,
    Refer,
    Register,
    Subscribe,
    Update,
    /// One that nobody here knows.
    Other,
}

impl Method {
    const NAMES: [(Self, &'static str); 14] = [
        (Self::Ack, "ACK"),
        (Self::Bye, "BYE"),
        (Self::Cancel, "CANCEL"),
        (Self::Info, "INFO"),
        (Self::Invite, "INVITE"),
        (Self::Message, "MESSAGE"),
        (Self::Notify, "NOTIFY"),
        (Self::Options, "OPTIONS"),
        (Self::Prack, "PRACK"),
        (Self::Publish, "PUBLISH"),
        (Self::Refer, "REFER"),
        (Self::Register, "REGISTER"),
        (Self::Subscribe, "SUBSCRIBE"),
        (Self::Update, "UPDATE"),
    ];

    /// The one of this name; they are told apart by case.
    pub fn named(name: &str) -> Self {
        Self::NAMES.iter().find(|(_, known)| *known == name).map_or(Self::Other, |(method, _)| *method)
    }

    /// The names of those that are known.
    pub fn names() -> impl Iterator<Item = &'static str> {
        Self::NAMES.iter().map(|(_, name)| *name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(method, _)| *method == self).map_or("UNKNOWN", |(_, name)| name)
    }
}

/// Where a part of the message lies.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    at: u16,
    length: u16,
}

#[derive(Clone, Copy, Debug)]
struct Line {
    name: Span,
    value: Span,
}

#[derive(Clone, Copy, Debug)]
enum Start {
    Request { method: Method, name: Span, uri: Span },
    Response { status: u16 },
}

/// A request or a response, whole and as it came. Copies share its bytes.
#[derive(Clone, Debug)]
pub struct Message {
    bytes: Bytes,
    start: Start,
    lines: Box<[Line]>,
    body_at: u16,
}

/// Room for the headers of most messages.
const USUAL_HEADERS: usize = 16;

impl Message {
    /// Reads a message whose lines are not folded, as the guard writes it. Nothing when it has no first line of SIP, no end of
    /// its headers, or 64 KiB. What the headers say is not looked at.
    pub fn read(bytes: Bytes) -> Option<Self> {
        u16::try_from(bytes.len()).ok()?;
        let end = end_of_head(&bytes)?;
        let head = std::str::from_utf8(bytes.get(..end)?).ok()?;
        let mut at = 0;
        let mut start = None;
        let mut lines = Vec::with_capacity(USUAL_HEADERS);
        for line in quoting::lines(head) {
            match start {
                None => start = Some(start_of(line)?),
                Some(_) => lines.extend(header_of(line, at)),
            }
            at += line.len() + 2;
        }
        let body_at = u16::try_from(end + 4).ok()?;
        Some(Self { start: start?, lines: lines.into_boxed_slice(), body_at, bytes })
    }

    fn text(&self, span: Span) -> &str {
        let from = usize::from(span.at);
        let bytes = self.bytes.get(from..from + usize::from(span.length)).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    /// The whole of it.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The method of a request.
    pub const fn method(&self) -> Option<Method> {
        match self.start {
            Start::Request { method, .. } => Some(method),
            Start::Response { .. } => None,
        }
    }

    /// The method of a request by its name, known or not.
    pub fn method_name(&self) -> &str {
        match self.start {
            Start::Request { name, .. } => self.text(name),
            Start::Response { .. } => "",
        }
    }

    /// The Request-URI; of a response there is none.
    pub fn uri(&self) -> &str {
        match self.start {
            Start::Request { uri, .. } => self.text(uri),
            Start::Response { .. } => "",
        }
    }

    /// The status of a response; 0 for a request.
    pub const fn status(&self) -> u16 {
        match self.start {
            Start::Request { .. } => 0,
            Start::Response { status } => status,
        }
    }

    /// All headers in their order.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lines.iter().map(|line| (self.text(line.name), self.text(line.value)))
    }

    /// The values of a header, by its long name or its one-letter one.
    pub fn headers<'a>(&'a self, wanted: &'a str) -> impl Iterator<Item = &'a str> {
        self.lines.iter().filter(|line| self.is_named(line, wanted)).map(|line| self.text(line.value))
    }

    fn is_named(&self, line: &Line, wanted: &str) -> bool {
        let length = usize::from(line.name.length);
        (length == wanted.len() || length == 1)
            && long_name(self.text(line.name)).eq_ignore_ascii_case(wanted)
    }

    /// The first value of a header.
    pub fn header(&self, wanted: &str) -> Option<&str> {
        self.lines.iter().find(|line| self.is_named(line, wanted)).map(|line| self.text(line.value))
    }

    /// Whether a header that is a list has this word, in any case.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.headers(name)
            .flat_map(|value| value.split(','))
            .any(|item| item.trim().eq_ignore_ascii_case(token))
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        self.bytes.get(usize::from(self.body_at)..).unwrap_or_default()
    }

    /// The Call-ID; an empty one where there is none.
    pub fn call_id(&self) -> &str {
        self.header("Call-ID").unwrap_or_default()
    }

    /// The number of the CSeq, and its method.
    pub fn cseq(&self) -> Option<(u32, Method)> {
        let (number, method) = self.header("CSeq")?.split_once([' ', '\t'])?;
        Some((number.parse().ok()?, Method::named(method.trim())))
    }

    /// The tag of who sent the request.
    pub fn from_tag(&self) -> Option<&str> {
        tag_of(self.header("From")?)
    }

    /// The tag of whom the request went to; a request that begins a dialog has none.
    pub fn to_tag(&self) -> Option<&str> {
        tag_of(self.header("To")?)
    }

    /// The branch of the topmost Via.
    pub fn branch(&self) -> Option<&str> {
        let parameters = self.header("Via")?.split(';').skip(1);
        parameters
            .filter_map(|parameter| parameter.split_once('='))
            .find_map(|(name, value)| name.trim().eq_ignore_ascii_case("branch").then(|| value.trim()))
    }
}

fn span(at: usize, text: &str) -> Option<Span> {
    Some(Span { at: u16::try_from(at).ok()?, length: u16::try_from(text.len()).ok()? })
}

fn start_of(line: &str) -> Option<Start> {
    let mut words = line.splitn(3, ' ');
    let (first, second) = (words.next()?, words.next()?);
    if first == "SIP/2.0" {
        let status = second.parse().ok().filter(|status| (100..700).contains(status))?;
        return Some(Start::Response { status });
    }
    if words.next()? != "SIP/2.0" {
        return None;
    }
    let (name, uri) = (span(0, first)?, span(first.len() + 1, second)?);
    Some(Start::Request { method: Method::named(first), name, uri })
}

fn header_of(line: &str, at: usize) -> Option<Line> {
    let (name, value) = line.split_once(':')?;
    let begins = at + name.len() + 1 + (value.len() - value.trim_start().len());
    Some(Line { name: span(at, name.trim_end())?, value: span(begins, value.trim())? })
}

/// The long form of a compact name (the registry of RFC 3261, 7.3.3, and its extensions).
pub(crate) fn long_name(name: &str) -> &str {
    let &[letter] = name.as_bytes() else { return name };
    match letter.to_ascii_lowercase() {
        b'a' => "Accept-Contact",
        b'b' => "Referred-By",
        b'c' => "Content-Type",
        b'd' => "Request-Disposition",
        b'e' => "Content-Encoding",
        b'f' => "From",
        b'i' => "Call-ID",
        b'j' => "Reject-Contact",
        b'k' => "Supported",
        b'l' => "Content-Length",
        b'm' => "Contact",
        b'n' => "Identity-Info",
        b'o' => "Event",
        b'r' => "Refer-To",
        b's' => "Subject",
        b't' => "To",
        b'u' => "Allow-Events",
        b'v' => "Via",
        b'x' => "Session-Expires",
        b'y' => "Identity",
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_request_and_a_response_are_read() {
        let text = "INVITE sip:a@b SIP/2.0\r\nv: SIP/2.0/UDP h;rport;branch=z9hG4bK1\r\nFrom: <sip:c@d>;tag=1\r\nTo: <sip:a@b>\r\n\
                    i: x\r\nCSeq: 7 INVITE\r\nSupported: timer, 100rel\r\nContent-Length: 2\r\n\r\nhi";
        let invite = Message::read(text.into()).unwrap();
        assert_eq!((invite.method(), invite.uri(), invite.status()), (Some(Method::Invite), "sip:a@b", 0));
        assert_eq!((invite.call_id(), invite.cseq()), ("x", Some((7, Method::Invite))));
        assert_eq!(
            (invite.from_tag(), invite.to_tag(), invite.branch()),
            (Some("1"), None, Some("z9hG4bK1"))
        );
        assert!(invite.has_token("Supported", "100REL") && !invite.has_token("Supported", "100"));
        assert_eq!(invite.body(), b"hi");
        let response = Message::read("SIP/2.0 486 Busy Here\r\nCall-ID: x\r\n\r\n".into()).unwrap();
        assert_eq!((response.method(), response.status(), response.call_id()), (None, 486, "x"));
        for wrong in
            ["", "SIP/2.0 99 x\r\n\r\n", "INVITE sip:a SIP/1.0\r\n\r\n", "SIP/2.0 200 OK\r\nCall-ID: x\r\n"]
        {
            assert!(Message::read(wrong.into()).is_none(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_arrives_brings_it_down(text in "((INVITE sip:a|SIP/2.0 200) SIP/2.0\r\n)?([A-Za-z-]{0,4}:? ?[\u{0}-\u{ff};=<>\"]{0,12}(\r\n){0,2}){0,9}") {
            if let Some(message) = Message::read(text.into()) {
                let _ = (message.cseq(), message.branch(), message.from_tag(), message.to_tag(), message.body());
                prop_assert!(message.all().all(|(name, value)| name.len() + value.len() <= message.bytes().len()));
            }
        }
    }
}
