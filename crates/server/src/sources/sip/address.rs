//! Numbers, names and proxies, as far as calls are routed by them. What a URI names is read by the gateway.

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
