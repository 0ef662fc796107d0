//! URIs, and the headers that hold one (RFC 3261, 19.1 and 20.10; RFC 3966).

use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
};

use super::address::host_and_port;
use crate::quoting::quoted_end;

/// A URI, as far as a message has to find its way by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uri<'a> {
    /// Whether it is of the scheme `sips`.
    pub is_secure: bool,
    /// The user part as it is written, without a password; of a `tel` URI its number. [`Uri::user_part`] reads it.
    pub user: &'a str,
    /// The host, without the brackets of an IPv6 address.
    pub host: &'a str,
    /// The port, where it names one.
    pub port: Option<u16>,
    parameters: &'a str,
    headers: &'a str,
}

impl<'a> Uri<'a> {
    /// Reads a `sip`, `sips` or `tel` URI without angle brackets; nothing for another, and for one with a port that is none.
    pub fn read(text: &'a str) -> Option<Self> {
        let (scheme, after) = text.trim().split_once(':')?;
        if scheme.eq_ignore_ascii_case("tel") {
            let (user, parameters) = after.split_once(';').unwrap_or((after, ""));
            return Some(Self { is_secure: false, user, host: "", port: None, parameters, headers: "" });
        }
        let is_secure = scheme.eq_ignore_ascii_case("sips");
        if !is_secure && !scheme.eq_ignore_ascii_case("sip") {
            return None;
        }
        let (user, place) = after.split_once('@').unwrap_or(("", after));
        let user = user.split_once(':').map_or(user, |(user, _)| user);
        let (place, headers) = place.split_once('?').unwrap_or((place, ""));
        let (place, parameters) = place.split_once(';').unwrap_or((place, ""));
        let (host, port) = host_and_port(place);
        let port = port.map(str::parse).transpose().ok()?;
        Some(Self { is_secure, user, host: host.trim_matches(['[', ']']), port, parameters, headers })
    }

    /// The party that it names: the user part without escapes, and its parameters.
    pub fn user_part(&self) -> UserPart<'a> {
        if self.host.is_empty() {
            return UserPart { name: readable(self.user), parameters: self.parameters };
        }
        let (name, parameters) = self.user.split_once(';').unwrap_or((self.user, ""));
        UserPart { name: readable(name), parameters }
    }

    /// The value of a header that it holds (RFC 3261, 19.1.1), without escapes.
    pub fn header(&self, name: &str) -> Option<Cow<'a, str>> {
        let mut headers = self.headers.split('&').filter_map(|header| header.split_once('='));
        headers.find_map(|(named, value)| named.eq_ignore_ascii_case(name).then(|| decoded(value)))
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

/// The user part of a URI, taken apart (RFC 3261, 19.1.4 and 19.1.6; RFC 3966, 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserPart<'a> {
    /// The name or number without escapes; of a global number its `+` and digits, without visual separators.
    pub name: Cow<'a, str>,
    parameters: &'a str,
}

/// Longest name that is read, in bytes.
const LONGEST_NAME: usize = 128;

impl<'a> UserPart<'a> {
    /// The value of a parameter, such as `verstat` or `cpc`; nothing where it is missing or has none.
    pub fn parameter(&self, name: &str) -> Option<&'a str> {
        parameter(self.parameters, name).filter(|value| !value.is_empty())
    }

    /// The prefix of the global numbers among which a local number is valid (RFC 3966, 5.1.5): `+1`.
    pub fn context(&self) -> Option<Cow<'a, str>> {
        let context = readable(self.parameter("phone-context")?);
        (context.starts_with('+') && !self.name.starts_with('+')).then_some(context)
    }
}

/// A user or number as it is read.
fn readable(text: &str) -> Cow<'_, str> {
    let name = decoded(text);
    let separator = |character: char| "-.()".contains(character);
    let is_global = name
        .strip_prefix('+')
        .is_some_and(|rest| rest.chars().all(|character| character.is_ascii_digit() || separator(character)));
    let is_plain = !is_global || !name.contains(separator);
    if is_plain && name.len() <= LONGEST_NAME {
        return name;
    }
    let mut short = name.into_owned();
    if is_global {
        short.retain(|character| !separator(character));
    }
    short.truncate(short.floor_char_boundary(LONGEST_NAME));
    Cow::Owned(short)
}

/// The text without escapes. It stays as it is where an escape cannot be read, or hides a control character.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let read = || {
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text.as_bytes();
        while let [first, after @ ..] = rest {
            match (first, after) {
                (b'%', [high, low, after @ ..]) => {
                    let digit =
                        |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                    bytes.push(digit(*high)? << 4 | digit(*low)?);
                    rest = after;
                }
                (b'%', _) => return None,
                _ => {
                    bytes.push(*first);
                    rest = after;
                }
            }
        }
        String::from_utf8(bytes).ok().filter(|text| !text.chars().any(char::is_control))
    };
    read().map_or(Cow::Borrowed(text), Cow::Owned)
}

/// A name or number as it may be written into the user part of a URI (RFC 3261, 25.1): what would mean something else
/// there is escaped.
pub fn escaped_user(name: &str) -> Cow<'_, str> {
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,/".contains(byte);
    if name.bytes().all(|byte| fits(&byte)) {
        return Cow::Borrowed(name);
    }
    let mut escaped = String::with_capacity(name.len() + 8);
    for byte in name.bytes() {
        if fits(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    Cow::Owned(escaped)
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

/// The display name of an address, without quotes; nothing where there is none.
pub fn display_name(value: &str) -> Option<String> {
    let value = value.trim();
    let name: String = if value.starts_with('"') {
        let quoted = value.get(1..quoted_end(value).saturating_sub(1)).unwrap_or_default();
        let mut escaped = false;
        let keeps = |character: &char| {
            escaped = *character == '\\' && !escaped;
            !escaped
        };
        quoted.chars().filter(keeps).collect()
    } else {
        value.split_once('<')?.0.to_owned()
    };
    let name: String = name.chars().filter(|character| !character.is_control()).collect();
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

/// The value of a parameter that stands after the URI of an address, without quotes.
pub fn parameter_of<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    parameter(parts(value).1, name).map(|value| value.trim_matches('"')).filter(|value| !value.is_empty())
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
        let held = Uri::read("sip:a@b;cause=302?Reason=SIP%3Bcause%3D302&x=y").unwrap();
        assert_eq!(
            (held.parameter("cause"), held.header("reason").as_deref()),
            (Some("302"), Some("SIP;cause=302"))
        );
        for wrong in ["", "sip", "http://a", "sip:a@b:99999", "sip:a@b:"] {
            assert_eq!(Uri::read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_user_part_gives_the_bare_name_or_number() {
        for (uri, name) in [
            ("sip:+15550100;npdi;rn=+15551999@h;user=phone", "+15550100"),
            ("sip:+15550100;cic=0001@h", "+15550100"),
            ("sip:+15550100;phone-context=+1@h", "+15550100"),
            ("sip:%2B15550100@h", "+15550100"),
            ("sip:%2b4930;phone-context=x@h", "+4930"),
            ("sip:+1-555-(0100);ext=12:secret@h", "+15550100"),
            ("tel:+1-555-0100;ext=5", "+15550100"),
            ("SIPS:ali%63e@h", "alice"),
            ("sip:j%40s%C3%B6n@h", "j@sön"),
            ("sip:a-b.c@h", "a-b.c"),
            ("sip:*21%23@h", "*21#"),
            // What cannot be read stays as it is written.
            ("sip:%zz@h", "%zz"),
            ("sip:%4@h", "%4"),
            ("sip:%E9@h", "%E9"),
            ("sip:null-%00-null@h", "null-%00-null"),
            ("sip:h", ""),
        ] {
            assert_eq!(Uri::read(uri).unwrap().user_part().name, name, "{uri}");
        }
        let long = format!("sip:{}@h", "ö".repeat(100));
        assert_eq!(Uri::read(&long).unwrap().user_part().name, "ö".repeat(64));
    }

    #[test]
    fn a_user_part_gives_its_parameters() {
        let uri =
            Uri::read("sip:+15559999;verstat=TN-Validation-Passed;cpc=ordinary;isup-oli=62@h;user=phone")
                .unwrap();
        let part = uri.user_part();
        assert_eq!(part.parameter("Verstat"), Some("TN-Validation-Passed"));
        assert_eq!((part.parameter("isup-oli"), part.parameter("user")), (Some("62"), None));
        let verified = Uri::read("tel:+15559999;verstat=No-TN-Validation").unwrap();
        assert_eq!(verified.user_part().parameter("verstat"), Some("No-TN-Validation"));
        let context = |uri| Uri::read(uri).unwrap().user_part().context();
        assert_eq!(context("sip:5550100;phone-context=+1@h").as_deref(), Some("+1"));
        assert_eq!(context("sip:5550100;phone-context=%2B1@h").as_deref(), Some("+1"));
        assert_eq!(context("sip:5550100;phone-context=example.com@h"), None);
        assert_eq!(context("tel:+15550100;phone-context=+1"), None);
    }

    #[test]
    fn a_written_name_is_read_again() {
        for (name, written) in
            [("+15550100", "+15550100"), ("a;b@c", "a%3Bb%40c"), ("*21#", "*21%23"), ("ö", "%C3%B6")]
        {
            assert_eq!(escaped_user(name), written);
            assert_eq!(Uri::read(&format!("sip:{written}@h")).unwrap().user_part().name, name);
        }
    }

    #[test]
    fn an_address_gives_its_display_name_and_parameters() {
        for (value, name) in [
            ("\"Ann \\\"B\\\" \\\\ C\" <sip:a@b>", Some("Ann \"B\" \\ C")),
            ("Ann B <sip:a@b>", Some("Ann B")),
            ("\"\" <sip:a@b>", None),
            ("<sip:a@b>", None),
            ("sip:a@b", None),
            ("\"open", Some("ope")),
        ] {
            assert_eq!(display_name(value).as_deref(), name, "{value}");
        }
        let diverted = "<sip:+1555@h;reason=no>;reason=\"user-busy\";counter=1";
        assert_eq!(parameter_of(diverted, "reason"), Some("user-busy"));
        assert_eq!(parameter_of(diverted, "privacy"), None);
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
