//! Numbers, names and URIs, as far as calls are routed by them.

/// Longest number in digits that is dialled (E.164 has 15; a prefix may stand in front).
const MOST_DIGITS: usize = 24;
/// Longest name of a user in bytes.
const LONGEST_NAME: usize = 64;

/// The digits that make a phone number the same however it is written: `+49 30 123`, `004930123` and `4930123` are one.
/// `None` for what is no phone number.
pub(super) fn plain_number(text: &str) -> Option<String> {
    let text = text.trim();
    let (international, rest) = match text.strip_prefix('+') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    if !rest.chars().all(|c| c.is_ascii_digit() || " -.()/".contains(c)) {
        return None;
    }
    let digits: String = rest.chars().filter(char::is_ascii_digit).collect();
    let digits = match digits.strip_prefix("00") {
        Some(after) if !international => after.to_owned(),
        _ => digits,
    };
    (1..=MOST_DIGITS).contains(&digits.len()).then_some(digits)
}

/// The number that somebody may be called by outside: with a `+` if it was written with one or with `00`, else as it is.
pub(super) fn dialled_number(text: &str) -> Option<String> {
    let digits = plain_number(text)?;
    let text = text.trim();
    Some(if text.starts_with('+') || text.starts_with("00") { format!("+{digits}") } else { digits })
}

/// Whether this may be the name of a user or trunk.
pub(super) fn is_user_name(text: &str) -> bool {
    (1..=LONGEST_NAME).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte))
}

/// The user part of a SIP URI, or the number of a `tel` URI, without escapes and parameters.
pub(super) fn user_of(uri: &str) -> Option<String> {
    let (scheme, rest) = uri.split_once(':')?;
    let user = if scheme.eq_ignore_ascii_case("tel") {
        rest
    } else if scheme.eq_ignore_ascii_case("sip") || scheme.eq_ignore_ascii_case("sips") {
        rest.split_once('@')?.0
    } else {
        return None;
    };
    let user = user.split([';', ':']).next().unwrap_or_default();
    let user = percent_decoded(user)?;
    (!user.is_empty()).then_some(user)
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).ok()?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = after;
            }
            (b'%', _) => return None,
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

/// A carrier's proxy: where calls go out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    scheme: &'static str,
    /// Host and perhaps port.
    host: String,
    /// `;transport=tcp` and the like.
    parameters: String,
}

impl Proxy {
    /// Reads its URI.
    ///
    /// # Errors
    /// The rest of a sentence that begins with the key.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no URI such as sip:sip.example.com:5060;transport=tcp");
        let (scheme, rest) = text.split_once(':').ok_or_else(wrong)?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "sip" => "sip",
            "sips" => "sips",
            _ => return Err(wrong()),
        };
        let (host, parameters) = rest.split_at(rest.find(';').unwrap_or(rest.len()));
        let bare = host.trim_start_matches('[');
        let readable =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"?,@".contains(&byte));
        if bare.is_empty() || bare.starts_with(':') || !readable(host) || !readable(parameters) {
            return Err(wrong());
        }
        Ok(Self { scheme, host: host.to_owned(), parameters: parameters.to_owned() })
    }

    /// The URI of a number there.
    pub(super) fn uri_of(&self, number: &str) -> String {
        format!("{}:{number}@{}{}", self.scheme, self.host, self.parameters)
    }

    /// The URI that a number of ours has there, for a `From`.
    pub(super) fn caller_uri(&self, number: &str) -> String {
        format!("{}:{number}@{}", self.scheme, self.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_the_same_however_it_is_written_and_a_name_is_none() {
        for text in ["+49 30 123-4", "0049301234", "49301234", "+49(30)1234", " +49.30/1234 "] {
            assert_eq!(plain_number(text).as_deref(), Some("49301234"), "{text}");
        }
        for text in ["", "+", "alice", "+49x", "1234567890123456789012345", "*21#", "00"] {
            assert_eq!(plain_number(text), None, "{text}");
        }
        assert_eq!(dialled_number("0049301234").as_deref(), Some("+49301234"));
        assert_eq!(dialled_number("0301234").as_deref(), Some("0301234"));
    }

    #[test]
    fn a_user_is_read_from_the_uris_that_there_are() {
        for (uri, user) in [
            ("sip:+4930@host:5060;transport=tcp", Some("+4930")),
            ("SIPS:alice@host", Some("alice")),
            ("sip:%2b4930;phone-context=x@host", Some("+4930")),
            ("tel:+4930;ext=5", Some("+4930")),
            ("sip:alice:secret@host", Some("alice")),
            ("sip:host", None),
            ("sip:%zz@host", None),
            ("sip:%4@host", None),
            ("mailto:x@y", None),
            ("alice", None),
        ] {
            assert_eq!(user_of(uri).as_deref(), user, "{uri}");
        }
    }

    #[test]
    fn a_proxy_keeps_its_scheme_port_and_parameters() {
        let proxy = Proxy::read("sip:[2001:db8::1]:5070;transport=tcp").unwrap();
        assert_eq!(proxy.uri_of("+4930"), "sip:+4930@[2001:db8::1]:5070;transport=tcp");
        assert_eq!(proxy.caller_uri("+4931"), "sip:+4931@[2001:db8::1]:5070");
        for text in
            ["", "sip:", "carrier.example.com", "http://x", "sip:a@b", "sip::5060", "sip:a b", "sip:a?x=y"]
        {
            assert!(Proxy::read(text).is_err(), "{text}");
        }
    }
}
