//! URIs, and the headers that hold one (RFC 3261, 19.1 and 20.10).

use std::net::{IpAddr, SocketAddr};

use super::address::host_and_port;
use crate::quoting::quoted_end;

/// A URI, as far as a message has to find its way by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uri<'a> {
    /// Whether it is of the scheme `sips`.
    pub is_secure: bool,
    /// The user part without a password; of a `tel` URI its number.
    pub user: &'a str,
    /// The host, without the brackets of an IPv6 address.
    pub host: &'a str,
    /// The port, where it names one.
    pub port: Option<u16>,
    parameters: &'a str,
}

impl<'a> Uri<'a> {
    /// Reads a `sip`, `sips` or `tel` URI without angle brackets; nothing for another, and for one with a port that is none.
    pub fn read(text: &'a str) -> Option<Self> {
        let (scheme, after) = text.trim().split_once(':')?;
        if scheme.eq_ignore_ascii_case("tel") {
            let (user, parameters) = after.split_once(';').unwrap_or((after, ""));
            return Some(Self { is_secure: false, user, host: "", port: None, parameters });
        }
        let is_secure = scheme.eq_ignore_ascii_case("sips");
        if !is_secure && !scheme.eq_ignore_ascii_case("sip") {
            return None;
        }
        let (user, place) = after.split_once('@').unwrap_or(("", after));
        let user = user.split_once(':').map_or(user, |(user, _)| user);
        let place = place.split_once('?').map_or(place, |(place, _)| place);
        let (place, parameters) = place.split_once(';').unwrap_or((place, ""));
        let (host, port) = host_and_port(place);
        let port = port.map(str::parse).transpose().ok()?;
        Some(Self { is_secure, user, host: host.trim_matches(['[', ']']), port, parameters })
    }

    /// The value of a parameter; nothing where it is missing or has none.
    pub fn parameter(&self, name: &str) -> Option<&'a str> {
        parameter(self.parameters, name).filter(|value| !value.is_empty())
    }

    /// Whether it has a parameter, with a value or without.
    pub fn has_parameter(&self, name: &str) -> bool {
        parameter(self.parameters, name).is_some()
    }

    /// The address that it names; nothing for a name that has to be looked up.
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// The address with its port, or else with this one.
    pub fn address(&self, usual_port: u16) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.ip()?, self.port.unwrap_or(usual_port)))
    }
}

/// The value of a parameter in `a=b;c`; an empty one where it stands alone.
fn parameter<'a>(parameters: &'a str, wanted: &str) -> Option<&'a str> {
    parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim())
    })
}

/// `"Name" <uri>;parameters`, `Name <uri>` or `uri;parameters` in its parts: the URI, and the parameters after it.
fn parts(value: &str) -> (&str, &str) {
    let after_name = if value.starts_with('"') { quoted_end(value) } else { 0 };
    let rest = value.get(after_name..).unwrap_or_default();
    match rest.split_once('<').and_then(|(_, from)| from.split_once('>')) {
        Some((uri, parameters)) => (uri.trim(), parameters),
        None => {
            let (uri, parameters) = rest.split_once(';').unwrap_or((rest, ""));
            (uri.trim(), parameters)
        }
    }
}

/// The URI of an address, as text.
pub fn uri_of(value: &str) -> &str {
    parts(value).0
}

/// The tag of an address.
pub fn tag_of(value: &str) -> Option<&str> {
    parameter(parts(value).1, "tag").filter(|tag| !tag.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_is_read_in_its_parts() {
        let uri =
            Uri::read("sips:+1555;phone-context=a:secret@[2001:db8::1]:5071;transport=TCP;lr?x=y").unwrap();
        assert_eq!((uri.is_secure, uri.user, uri.port), (true, "+1555;phone-context=a", Some(5071)));
        assert_eq!(uri.address(5061), Some("[2001:db8::1]:5071".parse().unwrap()));
        assert_eq!((uri.parameter("transport"), uri.has_parameter("LR")), (Some("TCP"), true));
        let bare = Uri::read("sip:example.com").unwrap();
        assert_eq!((bare.user, bare.host, bare.port, bare.ip()), ("", "example.com", None, None));
        assert_eq!(Uri::read("tel:+4930123;ext=1").unwrap().user, "+4930123");
        for wrong in ["", "sip", "http://a", "sip:a@b:99999", "sip:a@b:"] {
            assert_eq!(Uri::read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_address_gives_its_uri_and_its_tag() {
        for (value, uri, tag) in [
            ("\"A \\\"<b>;tag=no\" <sip:a@b;tag=x>;tag=1", "sip:a@b;tag=x", Some("1")),
            ("A <sip:a@b>", "sip:a@b", None),
            ("sip:a@b;q=1;Tag = 2", "sip:a@b", Some("2")),
            ("\"", "", None),
            ("<sip:a", "<sip:a", None),
            ("", "", None),
        ] {
            assert_eq!((uri_of(value), tag_of(value)), (uri, tag), "{value}");
        }
    }
}
