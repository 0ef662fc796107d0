//! A SIP message as the parties here read it, and the parts of those that they write.

use std::net::SocketAddr;

/// A message.
#[derive(Clone, Debug)]
pub struct Message(String);

/// What a message begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    /// The method of a request.
    Request(&'a str),
    /// The status of a response.
    Response(u16),
}

impl Message {
    /// A datagram; `None` when it is no SIP.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let message = Self(String::from_utf8(bytes.to_vec()).ok()?);
        message.kind().is_some().then_some(message)
    }

    /// Request or response.
    pub fn kind(&self) -> Option<Kind<'_>> {
        let mut words = self.0.lines().next()?.split(' ');
        match (words.next()?, words.next()?, words.next()) {
            ("SIP/2.0", status, _) => Some(Kind::Response(status.parse().ok()?)),
            (method, _, Some("SIP/2.0")) => Some(Kind::Request(method)),
            _ => None,
        }
    }

    fn head(&self) -> &str {
        self.0.split("\r\n\r\n").next().unwrap_or_default()
    }

    /// The values of all headers of this name.
    pub fn headers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let headers = self.head().split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
        headers
            .filter(move |(known, _)| known.trim().eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }

    /// The value of a header; empty when there is none.
    pub fn header(&self, name: &str) -> &str {
        let found = self.head().split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
        let mut found = found.filter(|(known, _)| known.trim().eq_ignore_ascii_case(name));
        found.next().map_or("", |(_, value)| value.trim())
    }

    /// The method that its CSeq names.
    pub fn method(&self) -> &str {
        self.header("CSeq").split_ascii_whitespace().nth(1).unwrap_or_default()
    }

    /// The URI of its Contact.
    pub fn contact(&self) -> &str {
        within(self.header("Contact"))
    }

    /// Where its SDP wants media.
    pub fn media(&self) -> Option<SocketAddr> {
        let (_, body) = self.0.split_once("\r\n\r\n")?;
        let line = |begin: &str| body.lines().find_map(|line| line.strip_prefix(begin));
        let port = line("m=audio ")?.split(' ').next()?;
        format!("{}:{port}", line("c=IN IP4 ")?.trim()).parse().ok()
    }

    /// The user part of the URI in its From.
    pub fn caller(&self) -> &str {
        let uri = within(self.header("From"));
        uri.split_once(':').and_then(|(_, rest)| rest.split_once('@')).map_or("", |(user, _)| user)
    }

    /// A response to this request.
    pub fn answer(&self, status: &str, tag: &str, extra: &str, body: &str) -> String {
        let mut to = self.header("To").to_owned();
        if !to.contains(";tag=") {
            to = format!("{to};tag={tag}");
        }
        let vias: String = self.headers("Via").map(|via| format!("Via: {via}\r\n")).collect();
        let (from, call_id, cseq) = (self.header("From"), self.header("Call-ID"), self.header("CSeq"));
        format!(
            "SIP/2.0 {status}\r\n{vias}From: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq}\r\n{extra}{}",
            with_length(body)
        )
    }
}

/// What stands in angle brackets.
fn within(value: &str) -> &str {
    value.split_once('<').map_or(value, |(_, rest)| rest.split('>').next().unwrap_or_default())
}

/// The end of a message: what kind of body it has, its length, the body.
pub fn with_length(body: &str) -> String {
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!("{kind}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// The SDP of a party that hears there, in G.711.
pub fn sdp(media: SocketAddr) -> String {
    format!(
        "v=0\r\no=bench 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {} RTP/AVP 0\r\n\
         a=rtpmap:0 PCMU/8000\r\na=ptime:20\r\na=sendrecv\r\n",
        media.port(),
        ip = media.ip(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_by_its_parts() {
        let body = sdp("127.1.2.3:4000".parse().unwrap());
        let text = format!(
            "INVITE sip:a@b SIP/2.0\r\nVia: one\r\nvia: two\r\nFrom: \"A\" <sip:+1415@c>;tag=x\r\nTo: <sip:a@b>\r\n\
             Call-ID: 7\r\nCSeq: 3 INVITE\r\nContact: <sip:c@d:5>\r\n{}",
            with_length(&body)
        );
        let message = Message::read(text.as_bytes()).unwrap();
        assert_eq!(message.kind(), Some(Kind::Request("INVITE")));
        assert_eq!((message.caller(), message.contact(), message.method()), ("+1415", "sip:c@d:5", "INVITE"));
        assert_eq!(message.media(), Some("127.1.2.3:4000".parse().unwrap()));
        let answer = Message::read(message.answer("200 OK", "t", "", "").as_bytes()).unwrap();
        assert_eq!(answer.kind(), Some(Kind::Response(200)));
        assert_eq!(answer.headers("Via").collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!((answer.header("To"), answer.header("cseq")), ("<sip:a@b>;tag=t", "3 INVITE"));
        assert!(Message::read(b"hello").is_none());
    }
}
