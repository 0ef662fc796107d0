//! Words of SIP messages as the state machine knows them, and back.

use std::net::SocketAddr;

use bytes::Bytes;

use super::{
    door::Transport,
    keys,
    session::{Granted, LEAST, Refresher, SessionAsk},
    words::Asked,
};
use crate::{
    Why,
    routes::Target,
    sip::{Answer, Header, Message, Method, NotUnderstood, Uri, session_in, session_of, uri_of},
};

/// The methods that we take.
pub const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO, REFER, NOTIFY, PRACK";

/// What a message says of session timers.
pub fn session_ask(message: &Message) -> SessionAsk {
    let mut fields = message.header("Session-Expires").unwrap_or_default().split(';');
    let seconds = fields.next().and_then(|seconds| seconds.trim().parse().ok());
    let refresher = fields.find_map(|field| {
        let (name, value) = field.split_once('=')?;
        if !name.trim().eq_ignore_ascii_case("refresher") {
            return None;
        }
        match value.trim().to_ascii_lowercase().as_str() {
            "uac" => Some(Refresher::Uac),
            "uas" => Some(Refresher::Uas),
            _ => None,
        }
    });
    SessionAsk {
        expires: seconds,
        refresher,
        least: least_session(message),
        supported: message.has_token("Supported", "timer"),
        updates: message.has_token("Allow", "UPDATE"),
    }
}

/// The value of `Min-SE`, in seconds.
pub fn least_session(message: &Message) -> Option<u32> {
    message.header("Min-SE")?.split(';').next()?.trim().parse().ok()
}

/// The value of the `Reason` header.
pub fn reason(message: &Message) -> Option<String> {
    message.header("Reason").map(str::to_owned)
}

/// The types of bodies that we take.
const ACCEPT: &str = "application/sdp, multipart/mixed, multipart/alternative, multipart/related";

/// The SDP of a message that cannot be refused. It outlives its message, so it does not hold that.
pub fn body(message: &Message) -> Option<Bytes> {
    session_in(message).map(Bytes::copy_from_slice)
}

/// The SDP of a request.
///
/// # Errors
/// How to refuse a request with a body that has to be understood and is not (RFC 3261, 8.2.3).
pub fn offer(request: &Message) -> Result<Option<Bytes>, Answer> {
    match session_of(request) {
        Ok(session) => Ok(session.map(Bytes::copy_from_slice)),
        Err(NotUnderstood) => Err(Answer {
            headers: vec![Header::new("Accept", ACCEPT), Header::new("Accept-Encoding", "identity")],
            ..Answer::plain(415)
        }),
    }
}

/// The answer to an OPTIONS that belongs to no call (RFC 3261, 11.2).
pub fn capabilities() -> Answer {
    let headers = vec![
        Header::new("Allow", ALLOW),
        Header::new("Accept", ACCEPT),
        Header::new("Accept-Encoding", "identity"),
        Header::new("Supported", "timer"),
    ];
    Answer { headers, ..Answer::plain(200) }
}

/// The headers of a request of ours that has to do with the session.
pub fn session_request(session: Option<Granted>) -> Vec<Header> {
    let mut headers = vec![Header::new("Supported", "timer"), Header::new("Allow", ALLOW)];
    if let Some(session) = session {
        headers.push(Header::new("Session-Expires", expires(session)));
        headers.push(Header::new("Min-SE", LEAST.to_string()));
    }
    headers
}

/// The headers of a 2xx of ours to a request that has to do with the session.
pub fn session_response(session: Option<Granted>) -> Vec<Header> {
    let mut headers = vec![Header::new("Supported", "timer"), Header::new("Allow", ALLOW)];
    if let Some(session) = session {
        headers.push(Header::new("Session-Expires", expires(session)));
        if session.required {
            headers.push(Header::new("Require", "timer"));
        }
    }
    headers
}

fn expires(session: Granted) -> String {
    let refresher = match session.refresher {
        Refresher::Uac => "uac",
        Refresher::Uas => "uas",
    };
    format!("{};refresher={refresher}", session.interval)
}

/// The header that names the type of an SDP.
pub fn sdp_type() -> Header {
    Header::new("Content-Type", "application/sdp")
}

/// A `Reason` header.
pub fn reason_header(why: &Why) -> Header {
    Header::new("Reason", why.reason())
}

/// What a request within a dialog asks for; `transfer` says where a REFER leads.
///
/// # Errors
/// How to refuse one whose body is not understood.
pub fn asked(request: &Message, transfer: impl Fn(&str) -> Option<Target>) -> Result<Asked, Answer> {
    Ok(match request.method() {
        Some(Method::Invite) => Asked::ReInvite { body: offer(request)?, session: session_ask(request) },
        Some(Method::Update) => Asked::Update { body: offer(request)?, session: session_ask(request) },
        Some(Method::Info) => {
            let content_type = request.header("Content-Type").map(str::to_owned);
            let keys =
                content_type.as_deref().map(|kind| keys::read(kind, request.body())).unwrap_or_default();
            Asked::Info { keys, content_type, body: Bytes::copy_from_slice(request.body()) }
        }
        Some(Method::Refer) => {
            let to = request.header("Refer-To").map(uri_of).unwrap_or_default().to_owned();
            // One that names a dialog to replace is beyond us.
            let target = if to.is_empty() || to.contains('?') { None } else { transfer(&to) };
            Asked::Refer { to, target }
        }
        Some(Method::Options | Method::Notify) => Asked::Ping,
        _ => Asked::Unknown,
    })
}

/// How a target is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UriWay {
    /// How messages travel to it.
    pub transport: Transport,
    /// The host of its URI.
    pub host: String,
    /// The port, where its URI names one.
    pub port: Option<u16>,
    /// Its address, where no name has to be looked up.
    pub address: Option<SocketAddr>,
}

impl UriWay {
    /// Whether it can be sent to at once: there is an address, and no connection is needed.
    pub const fn is_plain(&self) -> bool {
        self.address.is_some() && matches!(self.transport, Transport::Udp)
    }
}

/// How a target is reached, as far as it says so itself; `None` for a user and for a URI that leads nowhere.
pub fn way(target: &Target) -> Option<UriWay> {
    if target.user.is_some() {
        return None;
    }
    let way = way_of(&target.uri)?;
    Some(UriWay { address: target.destination.or(way.address), ..way })
}

/// How a URI is reached; `None` where it leads nowhere.
pub fn way_of(uri: &str) -> Option<UriWay> {
    let uri = Uri::read(uri).filter(|uri| !uri.host.is_empty())?;
    let named = uri.parameter("transport").map(str::to_ascii_lowercase);
    let transport = match (named.as_deref(), uri.is_secure) {
        (Some("tls"), _) | (None | Some("tcp"), true) => Transport::Tls,
        (Some("tcp"), false) => Transport::Tcp,
        (None | Some("udp"), false) => Transport::Udp,
        (Some(_), _) => return None,
    };
    let address = uri.address(transport.usual_port());
    Some(UriWay { transport, host: uri.host.to_owned(), port: uri.port, address })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, headers: &str, body: &str) -> Message {
        let text = format!(
            "{method} sip:a@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\r\nFrom: <sip:b@c>;tag=1\r\n\
             To: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 {method}\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        Message::read(text.into()).unwrap()
    }

    #[test]
    fn session_timers_are_read_in_their_long_and_short_forms() {
        for headers in [
            "Session-Expires: 600;refresher=UAS\r\nSupported: 100rel, timer\r\nAllow: INVITE, UPDATE\r\nMin-SE: 120\r\n",
            "x: 600 ; refresher=uas\r\nk: timer\r\nAllow: UPDATE\r\nmin-se: 120;a=b\r\n",
        ] {
            let ask = session_ask(&request("INVITE", headers, ""));
            let expected = SessionAsk {
                expires: Some(600),
                refresher: Some(Refresher::Uas),
                least: Some(120),
                supported: true,
                updates: true,
            };
            assert_eq!(ask, expected);
        }
        assert_eq!(session_ask(&request("INVITE", "", "")), SessionAsk::default());
    }

    #[test]
    fn a_refer_leads_where_the_program_says_and_never_replaces_a_dialog() {
        let to = |headers: &str| match asked(&request("REFER", headers, ""), |to| Some(Target::at(to))) {
            Ok(Asked::Refer { to, target }) => (to, target.is_some()),
            _ => unreachable!(),
        };
        assert_eq!(
            to("Refer-To: \"Desk\" <sip:d@e;transport=udp>;x=y\r\n"),
            ("sip:d@e;transport=udp".into(), true)
        );
        assert_eq!(to("r: sip:d@e;x=y\r\n"), ("sip:d@e".into(), true));
        assert!(!to("Refer-To: <sip:d@e?Replaces=1>\r\n").1);
        assert!(!to("").1);
    }
}
