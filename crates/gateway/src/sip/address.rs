//! Addresses: the URI of a request, and those in From, To, Contact (RFC 3261, 19.1 and 20.10).

use std::net::SocketAddr;

use crate::quoting::{blank, is_token, split_outside};

/// Schemes that a call can be made to.
const SCHEMES: [&str; 3] = ["sip", "sips", "tel"];

/// What is wrong with a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UriFault {
    /// It is not written as a URI.
    Malformed,
    /// It is, but nobody here knows its scheme.
    Scheme,
}

/// Whether this can be called, or registered.
pub(crate) fn check_uri(uri: &str) -> Result<(), UriFault> {
    let (scheme, after) = uri.split_once(':').ok_or(UriFault::Malformed)?;
    let written = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    if !written || !uri.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"".contains(&byte)) {
        return Err(UriFault::Malformed);
    }
    if !SCHEMES.iter().any(|known| known.eq_ignore_ascii_case(scheme)) {
        return Err(UriFault::Scheme);
    }
    let host_part = after.split_once('@').map_or(after, |(_, host_part)| host_part);
    let end = host_part.find([';', '?']).unwrap_or(host_part.len());
    let fine = if scheme.eq_ignore_ascii_case("tel") { end > 0 } else { is_host_port(&host_part[..end]) };
    if fine { Ok(()) } else { Err(UriFault::Malformed) }
}

/// Whether headers follow the URI; a Request-URI has none (RFC 3261, 19.1.1).
pub(crate) fn has_headers(uri: &str) -> bool {
    uri.split_once('@').map_or(uri, |(_, host_part)| host_part).contains('?')
}

/// A host name or address, and perhaps a port.
pub(crate) fn is_host_port(text: &str) -> bool {
    let (host, port) = host_and_port(text);
    let named =
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    let numbered = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok());
    (named || numbered) && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// Cuts the port off.
pub(crate) fn host_and_port(text: &str) -> (&str, Option<&str>) {
    let after_host = text.find(']').map_or(0, |end| end + 1);
    match text[after_host..].find(':') {
        Some(colon) => (&text[..after_host + colon], Some(&text[after_host + colon + 1..])),
        None => (text, None),
    }
}

/// An address as it stands in From or To.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address<'a> {
    pub(crate) uri: &'a str,
    pub(crate) tag: Option<&'a str>,
}

impl<'a> Address<'a> {
    /// Reads `"Name" <uri>;parameters`, `Name <uri>` or `uri;parameters`; nothing when it is none of them.
    pub(crate) fn read(value: &'a str) -> Option<Self> {
        let mut parts = split_outside(value, ';')?.into_iter();
        let first = parts.next()?;
        let uri = match first.strip_suffix('>') {
            Some(first) => {
                let (display, uri) = split_display(first)?;
                if !is_display_name(display.trim_matches(blank)) {
                    return None;
                }
                uri
            }
            // Without brackets, a comma or a question mark is not the URI's own (RFC 3261, 20.10).
            None if first.contains([',', '?', '<', '"']) => return None,
            None => first,
        };
        // A party may be of a scheme that cannot be called.
        if check_uri(uri) == Err(UriFault::Malformed) || uri.ends_with(':') {
            return None;
        }
        let mut tag = None;
        for parameter in parts {
            match parameter.split_once('=') {
                Some((name, value)) if name.eq_ignore_ascii_case("tag") => {
                    if tag.is_some() || !is_token(value) {
                        return None;
                    }
                    tag = Some(value);
                }
                // A semicolon in quotes is heard of nobody, and misread by many.
                Some((name, value)) if is_token(name) && !value.contains(';') => {}
                None if is_token(parameter) && !parameter.eq_ignore_ascii_case("tag") => {}
                _ => return None,
            }
        }
        Some(Self { uri, tag })
    }
}

/// The display name and the URI of `Name <uri`, whose closing bracket is cut off.
fn split_display(text: &str) -> Option<(&str, &str)> {
    let open = text.rfind('<')?;
    Some((&text[..open], &text[open + 1..]))
}

/// A quoted text, or words. A comma among them should be quoted, and often is not.
fn is_display_name(text: &str) -> bool {
    match text.strip_prefix('"') {
        Some(quoted) => quoted.ends_with('"'),
        None => !text.contains(['"', ';', '=', ':', '<', '>', '@']),
    }
}

/// Whether a Contact is a list of readable addresses, or the star.
pub(crate) fn is_contact(value: &str) -> bool {
    value == "*"
        || split_outside(value, ',').is_some_and(|addresses| {
            addresses.iter().all(|address| {
                split_outside(address, ';').and_then(|parts| parts.first().copied()).is_some_and(|first| {
                    first.strip_suffix('>').map_or_else(
                        || first.contains(':') && !first.contains(['?', '"', ' ']),
                        |first| split_display(first).is_some_and(|(_, uri)| uri.contains(':')),
                    )
                })
            })
        })
}

/// The topmost Via, as far as an answer needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Via<'a> {
    /// `SIP/2.0/UDP`.
    pub(crate) protocol: &'a str,
    /// Host and perhaps port.
    pub(crate) sent_by: &'a str,
    /// Everything after the first semicolon, unread.
    pub(crate) parameters: Vec<&'a str>,
}

impl<'a> Via<'a> {
    pub(crate) fn read(value: &'a str) -> Option<Self> {
        let mut parts = split_outside(value, ';')?.into_iter();
        let (protocol, sent_by) = parts.next()?.split_once(' ')?;
        let mut words = protocol.split('/');
        let names_sip = words.next()?.eq_ignore_ascii_case("SIP");
        let others = words.clone().count() == 2 && words.all(is_token);
        let read = Self { protocol, sent_by: sent_by.trim_matches(blank), parameters: parts.collect() };
        (names_sip && others && is_host_port(read.sent_by)).then_some(read)
    }

    /// The value of a parameter: `Some("")` when it is there without one.
    pub(crate) fn parameter(&self, wanted: &str) -> Option<&'a str> {
        self.parameters.iter().find_map(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            name.eq_ignore_ascii_case(wanted).then_some(value)
        })
    }

    /// The same with the address that it really came from (RFC 3261, 18.2.1; RFC 3581).
    pub(crate) fn stamped(&self, source: SocketAddr) -> String {
        let mut stamped = format!("{} {}", self.protocol, self.sent_by);
        for parameter in &self.parameters {
            let name = parameter.split_once('=').map_or(*parameter, |(name, _)| name);
            if name.eq_ignore_ascii_case("rport") {
                stamped.push_str(&format!(";rport={}", source.port()));
            } else if !name.eq_ignore_ascii_case("received") {
                stamped.push(';');
                stamped.push_str(parameter);
            }
        }
        stamped.push_str(&format!(";received={}", source.ip().to_canonical()));
        stamped
    }

    /// Where the response to a request with it goes (RFC 3261, 18.2.2; RFC 3581): always to the address that asked, to the port
    /// that it names, or the one asked from where it wants that, or came by a stream.
    pub(crate) fn response_goes_to(&self, source: SocketAddr, by_stream: bool) -> SocketAddr {
        if by_stream || self.parameter("rport").is_some() {
            return source;
        }
        let port = host_and_port(self.sent_by).1.and_then(|port| port.parse().ok()).unwrap_or(5060);
        SocketAddr::new(source.ip(), port)
    }

    /// Whether its parameters can be read, and its branch is one.
    pub(crate) fn is_sound(&self) -> bool {
        let cookie_only =
            |branch: &str| branch.is_empty() || branch.eq_ignore_ascii_case("z9hG4bK") || !is_token(branch);
        self.parameters
            .iter()
            .all(|parameter| is_token(parameter.split_once('=').map_or(parameter, |(name, _)| name)))
            && self.parameter("branch").is_none_or(|branch| !cookie_only(branch))
            // Each of them, and with something behind its equals sign (RFC 3581, section 3).
            && self.parameters.iter().filter_map(|parameter| parameter.split_once('=')).all(|(name, value)| {
                !name.eq_ignore_ascii_case("rport") || value.parse::<u16>().is_ok()
            })
            && ["UDP", "TCP", "TLS", "SCTP", "TLS-SCTP", "WS", "WSS"].iter().any(|known| {
                self.protocol.rsplit('/').next().is_some_and(|word| word.eq_ignore_ascii_case(known))
            })
    }
}
