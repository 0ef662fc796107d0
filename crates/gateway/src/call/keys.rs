//! Keys that an INFO says were pressed, in the ways in which that is said.

/// Keys that one message reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// `0`-`9`, `*`, `#`, `A`-`D`, in their order.
    pub pressed: Vec<char>,
    /// The message reports that the key was let go; an earlier one that reported it is of the same press.
    pub is_release: bool,
}

/// Keys of one message that are read.
const MOST_KEYS: usize = 32;

/// The keys that a body of this type reports.
pub fn read(content_type: &str, body: &[u8]) -> Keys {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let text = std::str::from_utf8(body).unwrap_or_default();
    match kind.as_str() {
        "application/dtmf-relay" => pressed(value_of(text, "signal").and_then(key)),
        "application/dtmf" => pressed(key(text.trim())),
        "application/vnd.nortelnetworks.digits" => pressed(nortel(text)),
        "audio/telephone-event" => telephone_event(body, text),
        _ => Keys::default(),
    }
}

fn pressed(keys: impl IntoIterator<Item = char>) -> Keys {
    Keys { pressed: keys.into_iter().take(MOST_KEYS).collect(), is_release: false }
}

/// The value of a line `name=value` or `name: value`.
fn value_of<'a>(text: &'a str, wanted: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(['=', ':'])?;
        name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim())
    })
}

/// The keys of `d=5` or `d=Digits=55`.
fn nortel(text: &str) -> Vec<char> {
    let value = value_of(text, "d").unwrap_or_default();
    let value = value.split_once('=').map_or(value, |(_, digits)| digits.trim());
    // One key by its number, else one after the other.
    if let Some(key) = key(value) {
        return vec![key];
    }
    let keys: Option<Vec<char>> = value.chars().map(|digit| key(digit.encode_utf8(&mut [0; 4]))).collect();
    keys.unwrap_or_default()
}

/// The key of a payload of RTP, which has four bytes and perhaps an end of line, or of what some write in its place.
fn telephone_event(body: &[u8], text: &str) -> Keys {
    let named = value_of(text, "signal").or_else(|| value_of(text, "event")).unwrap_or(text.trim());
    let written = || key(named).map(|key| pressed([key]));
    let read = match body.len() {
        4 => event(body).or_else(written),
        5 | 6 => written().or_else(|| event(body)),
        _ => written(),
    };
    read.unwrap_or_default()
}

/// The key of a payload as RTP has it (RFC 4733, 2.3).
fn event(body: &[u8]) -> Option<Keys> {
    let [event, flags, _, _] = *body.first_chunk::<4>()?;
    let key = b"0123456789*#ABCD".get(usize::from(event))?;
    Some(Keys { pressed: vec![char::from(*key)], is_release: flags & 0x80 != 0 })
}

/// A key by its sign, or `10` to `15` by its event (RFC 4733, 3.2).
fn key(named: &str) -> Option<char> {
    let mut chars = named.chars();
    let first = chars.next()?.to_ascii_uppercase();
    if chars.next().is_none() {
        return matches!(first, '0'..='9' | '*' | '#' | 'A'..='D').then_some(first);
    }
    let event = named.parse::<usize>().ok().filter(|event| (10..16).contains(event) && named.len() == 2)?;
    "*#ABCD".chars().nth(event - 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys_of(kind: &str, body: &[u8]) -> String {
        read(kind, body).pressed.into_iter().collect()
    }

    #[test]
    fn keys_are_read_from_every_kind_of_info() {
        for (kind, body, keys) in [
            ("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n", "5"),
            ("Application/DTMF-Relay; x=y", "signal= *\nDuration=160", "*"),
            ("application/dtmf", "11", "#"),
            ("application/dtmf", "15", "D"),
            ("application/dtmf", "d", "D"),
            ("application/dtmf", "55", ""),
            (
                "application/vnd.nortelnetworks.digits",
                "p=Digit-Collection\r\ny=Digits\r\nd=Digits=7\r\n",
                "7",
            ),
            ("application/vnd.nortelnetworks.digits", "p=Digit-Collection\r\nd=#\r\n", "#"),
            ("application/vnd.nortelnetworks.digits", "d=Digits=9951*", "9951*"),
            ("application/vnd.nortelnetworks.digits", "d=Digits=9x", ""),
            ("audio/telephone-event", "Signal=4\r\n", "4"),
            ("audio/telephone-event", "Event: 10", "*"),
            ("audio/telephone-event", "8", "8"),
            ("text/plain", "5", ""),
        ] {
            assert_eq!(keys_of(kind, body.as_bytes()), keys, "{kind}: {body}");
        }
    }

    #[test]
    fn a_payload_is_a_press_or_a_release() {
        let keys = |event, flags| read("audio/telephone-event", &[event, flags, 3, 0x20]);
        assert_eq!(keys(5, 0x0a), Keys { pressed: vec!['5'], is_release: false });
        assert_eq!(keys(11, 0x8a), Keys { pressed: vec!['#'], is_release: true });
        assert_eq!(keys_of("audio/telephone-event", b"\n\n5 "), "*", "an event, no text");
        assert_eq!(keys_of("audio/telephone-event", b"\x05\x0a\x01\x40\r\n"), "5");
        assert_eq!(keys_of("audio/telephone-event", b"\r\n5\r\n"), "5");
        assert!(keys(16, 0x80).pressed.is_empty());
    }

    #[test]
    fn a_body_of_many_keys_is_read_in_part() {
        let body = format!("d=Digits={}", "1".repeat(100));
        assert_eq!(keys_of("application/vnd.nortelnetworks.digits", body.as_bytes()).len(), MOST_KEYS);
    }
}
