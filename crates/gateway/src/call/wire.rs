//! Words of SIP messages as the state machine knows them, and back.

use std::net::SocketAddr;

use bytes::Bytes;
use rsipstack::sip::{Header, HeadersExt, Method, Request, Scheme, StatusCode, Uri};

use super::{
    door::Transport,
    session::{Granted, LEAST, Refresher, SessionAsk},
    words::Asked,
};
use crate::{Why, routes::Target};

/// The methods that we take.
pub const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO, REFER, NOTIFY";

/// A header that the stack has no type for.
pub fn header(name: &str, value: impl Into<String>) -> Header {
    Header::Other(name.into(), value.into())
}

/// The first value of a header, by its long or its one-letter name.
fn value(message: &impl HeadersExt, name: &str, short: Option<&str>) -> Option<String> {
    message.header_value(name).or_else(|| message.header_value(short?))
}

fn has_token(message: &impl HeadersExt, name: &str, short: Option<&str>, token: &str) -> bool {
    message.headers().iter().any(|header| {
        let named = header.name();
        (named.eq_ignore_ascii_case(name) || short.is_some_and(|short| named.eq_ignore_ascii_case(short)))
            && header.value().split(',').any(|item| item.trim().eq_ignore_ascii_case(token))
    })
}

/// What a message says of session timers.
pub fn session_ask(message: &impl HeadersExt) -> SessionAsk {
    let expires = value(message, "Session-Expires", Some("x"));
    let mut fields = expires.as_deref().unwrap_or_default().split(';');
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
        supported: has_token(message, "Supported", Some("k"), "timer"),
        updates: has_token(message, "Allow", None, "UPDATE"),
    }
}

/// The value of `Min-SE`, in seconds.
pub fn least_session(message: &impl HeadersExt) -> Option<u32> {
    message.header_value("Min-SE")?.split(';').next()?.trim().parse().ok()
}

/// The value of the `Reason` header.
pub fn reason(message: &impl HeadersExt) -> Option<String> {
    message.header_value("Reason")
}

/// A body that is there.
pub fn body(bytes: &[u8]) -> Option<Bytes> {
    (!bytes.is_empty()).then(|| Bytes::copy_from_slice(bytes))
}

/// The headers of a request of ours that has to do with the session.
pub fn session_request(session: Option<Granted>) -> Vec<Header> {
    let mut headers = vec![header("Supported", "timer"), header("Allow", ALLOW)];
    if let Some(session) = session {
        headers.push(header("Session-Expires", expires(session)));
        headers.push(header("Min-SE", LEAST.to_string()));
    }
    headers
}

/// The headers of a 2xx of ours to a request that has to do with the session.
pub fn session_response(session: Option<Granted>) -> Vec<Header> {
    let mut headers = vec![header("Supported", "timer"), header("Allow", ALLOW)];
    if let Some(session) = session {
        headers.push(header("Session-Expires", expires(session)));
        if session.required {
            headers.push(header("Require", "timer"));
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
    Header::ContentType("application/sdp".into())
}

/// A `Reason` header.
pub fn reason_header(why: &Why) -> Header {
    Header::Reason(why.reason().into())
}

/// A status as the stack writes it.
pub fn status(code: u16) -> StatusCode {
    StatusCode::from(code)
}

/// What a request within a dialog asks for; `transfer` says where a REFER leads.
pub fn asked(request: &Request, transfer: impl Fn(&str) -> Option<Target>) -> Asked {
    match request.method {
        Method::Invite => Asked::ReInvite { body: body(&request.body), session: session_ask(request) },
        Method::Update => Asked::Update { body: body(&request.body), session: session_ask(request) },
        Method::Info => {
            let content_type = value(request, "Content-Type", Some("c"));
            let digit = content_type.as_deref().and_then(|kind| digit(kind, &request.body));
            Asked::Info { digit, content_type, body: Bytes::copy_from_slice(&request.body) }
        }
        Method::Refer => {
            let to = value(request, "Refer-To", Some("r")).unwrap_or_default();
            let to = bare_uri(&to);
            // One that names a dialog to replace is beyond us.
            let target = if to.is_empty() || to.contains('?') { None } else { transfer(&to) };
            Asked::Refer { to, target }
        }
        Method::Options | Method::Notify => Asked::Ping,
        _ => Asked::Unknown,
    }
}

/// The URI of a name-addr or addr-spec.
fn bare_uri(value: &str) -> String {
    let uri = match (value.find('<'), value.find('>')) {
        (Some(open), Some(close)) if open < close => &value[open + 1..close],
        _ => value.split(';').next().unwrap_or_default(),
    };
    uri.trim().to_owned()
}

/// The key that an INFO says was pressed.
fn digit(content_type: &str, body: &[u8]) -> Option<char> {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let body = std::str::from_utf8(body).ok()?;
    let named = match kind.as_str() {
        "application/dtmf-relay" => body.lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            name.trim().eq_ignore_ascii_case("signal").then(|| value.trim())
        })?,
        "application/dtmf" => body.trim(),
        _ => return None,
    };
    match named {
        "10" => Some('*'),
        "11" => Some('#'),
        _ => {
            let mut chars = named.chars();
            let digit = chars.next()?.to_ascii_uppercase();
            (chars.next().is_none() && matches!(digit, '0'..='9' | '*' | '#' | 'A'..='D')).then_some(digit)
        }
    }
}

/// The user part of a URI, as far as it may be written into another one.
pub fn user(uri: &Uri) -> String {
    let user = uri.user().unwrap_or_default();
    user.chars().filter(|c| c.is_ascii_alphanumeric() || "-_.!~*'()&=+$,/%#".contains(*c)).take(128).collect()
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
    let uri = Uri::try_from(target.uri.as_str()).ok()?;
    let named = target.uri.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("transport").then(|| value.trim().to_ascii_lowercase())
    });
    let secure = uri.scheme == Some(Scheme::Sips);
    let transport = match (named.as_deref(), secure) {
        (Some("tls"), _) | (None | Some("tcp"), true) => Transport::Tls,
        (Some("tcp"), false) => Transport::Tcp,
        (None | Some("udp"), false) => Transport::Udp,
        (Some(_), _) => return None,
    };
    let host = uri.host_with_port.host.to_string();
    let host = host.trim_matches(['[', ']']).to_owned();
    let port = uri.host_with_port.port.map(|port| port.value());
    let usual = port.unwrap_or(transport.usual_port());
    let literal = host.parse().ok().map(|address| SocketAddr::new(address, usual));
    Some(UriWay { transport, host, port, address: target.destination.or(literal) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, headers: &str, body: &str) -> Request {
        let text = format!(
            "{method} sip:a@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\r\nFrom: <sip:b@c>;tag=1\r\n\
             To: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 {method}\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        Request::try_from(text.as_bytes()).unwrap()
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
    fn keys_are_read_from_both_kinds_of_info() {
        let pressed = |kind: &str, body: &str| digit(kind, body.as_bytes());
        assert_eq!(pressed("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n"), Some('5'));
        assert_eq!(pressed("Application/DTMF-Relay; x=y", "signal= *\nDuration=160"), Some('*'));
        assert_eq!(pressed("application/dtmf", "11"), Some('#'));
        assert_eq!(pressed("application/dtmf", "d"), Some('D'));
        assert_eq!(pressed("application/dtmf", "55"), None);
        assert_eq!(pressed("text/plain", "5"), None);
    }

    #[test]
    fn a_refer_leads_where_the_program_says_and_never_replaces_a_dialog() {
        let to = |headers: &str| match asked(&request("REFER", headers, ""), |to| Some(Target::at(to))) {
            Asked::Refer { to, target } => (to, target.is_some()),
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
