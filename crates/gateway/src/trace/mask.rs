//! What nobody needs to see of a message.

use crate::quoting::{is_token, quoted_end};

/// Headers whose numbers are the message's own: they identify it, or count something.
const TECHNICAL: [&str; 17] = [
    "via",
    "v",
    "call-id",
    "i",
    "cseq",
    "content-length",
    "date",
    "expires",
    "max-forwards",
    "min-expires",
    "min-se",
    "rack",
    "retry-after",
    "rseq",
    "session-expires",
    "timestamp",
    "user-agent",
];
/// Headers whose whole value names people, in words or in an encoding: Identity (RFC 8224) holds both numbers in base64.
const PERSONAL: [&str; 5] = ["geolocation", "identity", "organization", "subject", "s"];
/// Lines of a session description in which people or what they talk about are named (RFC 8866, 5.3 to 5.6).
const PERSONAL_LINES: [&str; 5] = ["s", "i", "u", "e", "p"];
/// Digits that make a number of somebody outside; fewer are an extension.
const NUMBER: usize = 7;
/// Separators in a row that a number may hold: `) - `.
const SEPARATORS: usize = 4;
/// What stands in the place of a name or a text.
const HIDDEN: &str = "***";
/// Schemes of addresses that name a user before the host.
const SCHEMES: [&str; 6] = ["sip:", "sips:", "im:", "pres:", "mailto:", "xmpp:"];
/// Users who are nobody (RFC 3323, 4.1.1.3; 3GPP TS 23.003).
const NOBODY: [&str; 4] = ["anonymous", "restricted", "unavailable", "unknown"];

/// A message without names, whole numbers and keys pressed.
pub(super) fn masked(message: &str) -> String {
    let (head, body) = message.split_once("\r\n\r\n").unwrap_or((message, ""));
    let mut out = String::with_capacity(message.len());
    let mut header = "";
    for (number, line) in head.split("\r\n").enumerate() {
        if number > 0 {
            out.push_str("\r\n");
        }
        // A line that begins with a blank goes on with the header before.
        let goes_on = line.starts_with([' ', '\t']);
        let (name, value) = match line.split_once(':') {
            Some((name, value)) if number > 0 && !goes_on => (name, value),
            _ => ("", line),
        };
        if !goes_on {
            header = name.trim();
        }
        if !name.is_empty() {
            out.push_str(name);
            out.push(':');
        }
        let is_one_of = |names: &[&str]| names.iter().any(|known| known.eq_ignore_ascii_case(header));
        if is_one_of(&TECHNICAL) {
            out.push_str(value);
        } else if is_one_of(&PERSONAL) {
            out.push(' ');
            out.push_str(HIDDEN);
        } else if number == 0 {
            hide_numbers(value, &mut out);
        } else {
            hide_names(value, &mut out);
        }
    }
    out.push_str("\r\n\r\n");
    hide_in_body(body, &mut out);
    out
}

/// Hides the names before addresses in angle brackets, and numbers anywhere.
fn hide_names(value: &str, out: &mut String) {
    let (mut begin, mut at, mut in_address) = (0, 0, false);
    while let Some(rest) = value.get(at..).filter(|rest| !rest.is_empty()) {
        match rest.as_bytes()[0] {
            b'"' => {
                let quoted = &rest[..quoted_end(rest)];
                if quoted.len() < 2 || !quoted.ends_with('"') {
                    // Nobody can say where the name ends.
                    out.push_str(if value.starts_with(' ') { " " } else { "" });
                    return out.push_str(HIDDEN);
                }
                at += quoted.len();
            }
            // An unquoted name may hold commas, so only one behind an address ends that.
            b',' if in_address => {
                hide_numbers(&value[begin..=at], out);
                (begin, at, in_address) = (at + 1, at + 1, false);
            }
            b'<' => {
                let name = &value[begin..at];
                if in_address || name.trim().is_empty() {
                    hide_numbers(name, out);
                } else {
                    out.push_str(if name.starts_with([' ', '\t']) { " " } else { "" });
                    out.push_str(&format!("\"{HIDDEN}\" "));
                }
                let end = rest.find('>').map_or(value.len(), |end| at + end + 1);
                hide_numbers(&value[at..end], out);
                (begin, at, in_address) = (end, end, true);
            }
            _ => at += rest.chars().next().map_or(1, char::len_utf8),
        }
    }
    hide_numbers(value.get(begin..).unwrap_or_default(), out);
}

/// One character of a number, as it is written or escaped (`%2B`), and how many bytes it takes.
fn character(text: &str) -> Option<(char, usize)> {
    let first = text.chars().next()?;
    if first == '%'
        && let Some(code) = text.get(1..3).and_then(|code| u8::from_str_radix(code, 16).ok())
        && code.is_ascii()
    {
        return Some((char::from(code), 3));
    }
    Some((first, first.len_utf8()))
}

/// What looks like a number at the begin of a text.
struct Run {
    digits: String,
    /// Bytes of its `+`, as it is written.
    plus: usize,
    /// Bytes up to its last digit.
    end: usize,
    /// Bytes up to the end of its first group of digits.
    group: usize,
}

impl Run {
    /// Reads digits with the separators that people write between them.
    fn read(text: &str) -> Option<Self> {
        let mut run = Self { digits: String::new(), plus: 0, end: 0, group: 0 };
        let (mut at, mut separators, mut is_split) = (0, 0, false);
        while let Some((character, length)) = character(&text[at..]) {
            at += length;
            match character {
                '+' if run.plus == 0 && run.digits.is_empty() => run.plus = at,
                '0'..='9' => {
                    run.digits.push(character);
                    (run.end, separators) = (at, 0);
                    run.group = if is_split { run.group } else { at };
                }
                ' ' | '-' | '.' | '/' | '(' | ')' if separators < SEPARATORS => {
                    separators += 1;
                    is_split |= !run.digits.is_empty();
                }
                _ => break,
            }
            if run.digits.is_empty() && run.plus == 0 {
                return None;
            }
        }
        (!run.digits.is_empty()).then_some(run)
    }

    /// How many bytes of the text belong to no number: an address, a tag, a part of a word, or too few digits. `None`: it is
    /// the number of somebody outside.
    fn harmless(&self, before: &str, text: &str) -> Option<usize> {
        let (run, after) = text.split_at(self.end);
        let of_parameter = before.ends_with("tag=") || before.ends_with("branch=");
        if of_parameter || run.parse::<std::net::IpAddr>().is_ok() {
            return Some(self.end);
        }
        let continues = |text: &str| text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        let is_extension = after
            .strip_prefix(['x', 'X'])
            .is_some_and(|after| after.starts_with(|c: char| c.is_ascii_digit()));
        let is_word = continues(after) && !is_extension;
        (is_word || self.digits.len() < NUMBER).then_some(self.group)
    }
}

/// How many bytes the scheme and the name have of the user whom an address at the begin of a text names in letters; the
/// scheme alone first. Numbers are hidden as such.
fn named_user(text: &str) -> Option<(usize, usize)> {
    let begins =
        |scheme: &&&str| text.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme));
    let scheme = SCHEMES.iter().find(begins)?.len();
    let rest = &text[scheme..];
    let ends = |c: char| matches!(c, '@' | '<' | '>' | '"') || c.is_ascii_whitespace();
    let user = &rest[..rest.find(ends).filter(|end| rest[*end..].starts_with('@'))?];
    // Behind the name there may be parameters of a number, or a password.
    let name = &user[..user.find([';', ':', '?']).unwrap_or(user.len())];
    let is_nobody = NOBODY.iter().any(|nobody| nobody.eq_ignore_ascii_case(name));
    let is_number = {
        let (mut at, mut is_number) = (0, true);
        while let Some((character, length)) = character(&name[at..]) {
            is_number &= character.is_ascii_digit() || "+-.()*#/ ".contains(character);
            at += length;
        }
        is_number
    };
    (!is_nobody && !is_number).then_some((scheme, scheme + name.len()))
}

/// Hides the middle of every number, `+1415***1234`, and users in addresses but for how they begin: `sip:a***@`.
fn hide_numbers(line: &str, out: &mut String) {
    let mut at = 0;
    while let Some((_, length)) = character(&line[at..]) {
        let (before, text) = line.split_at(at);
        let of_word = before.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        if !of_word && let Some((scheme, end)) = named_user(text) {
            let initial = text[scheme..].chars().next().filter(char::is_ascii_alphabetic);
            out.push_str(&text[..scheme]);
            out.extend(initial);
            out.push_str(HIDDEN);
            at += end;
            continue;
        }
        let is_escaped = before.len() >= 3 && before.as_bytes()[before.len() - 3] == b'%';
        let run = Run::read(text);
        let harmless = match &run {
            Some(run) if of_word && !is_escaped => Some(run.group),
            Some(run) => run.harmless(before, text),
            None => Some(length),
        };
        match (harmless, run) {
            (None, Some(run)) => {
                let shown = if run.digits.len() >= 10 { 4 } else { 2 };
                out.push_str(&text[..run.plus]);
                out.push_str(&run.digits[..shown]);
                out.push_str(HIDDEN);
                out.push_str(&run.digits[run.digits.len() - shown..]);
                at += run.end;
            }
            (harmless, _) => {
                let bytes = harmless.unwrap_or(length);
                out.push_str(&text[..bytes]);
                at += bytes;
            }
        }
    }
}

/// Hides what a body says of people. One that is no session description, or has other parts, may say which key was pressed,
/// in words or in bytes.
fn hide_in_body(body: &str, out: &mut String) {
    let is_session = body.starts_with("v=0");
    let is_binary = || body.contains(|c: char| c.is_control() && c != '\t');
    if !is_session && !body.contains("\r\n") && is_binary() {
        return out.push_str("(removed)");
    }
    for whole in body.split_inclusive('\n') {
        let line = whole.trim_end_matches(['\r', '\n']);
        let end = &whole[line.len()..];
        match line.split_once('=') {
            Some((name, value)) if PERSONAL_LINES.contains(&name) => {
                let says_nothing = matches!(value.trim(), "" | "-");
                out.push_str(&format!("{name}={}", if says_nothing { value } else { HIDDEN }));
            }
            Some(("o", value)) => {
                let (user, rest) = value.split_once(' ').unwrap_or((value, ""));
                let user = if user == "-" { user } else { HIDDEN };
                let blank = if rest.is_empty() { "" } else { " " };
                out.push_str(&format!("o={user}{blank}{rest}"));
            }
            // Who offers, vouched for by a provider (RFC 8827), and who streams (RFC 5576), in words.
            Some(("a", value)) if value.starts_with("identity:") => {
                out.push_str(&format!("a=identity:{HIDDEN}"));
            }
            Some(("a", value)) if value.starts_with("ssrc:") && value.contains(" cname:") => {
                let (stream, _) = value.split_once(" cname:").unwrap_or_default();
                out.push_str(&format!("a={stream} cname:{HIDDEN}"));
            }
            Some((name, _)) if is_session && name.len() == 1 => out.push_str(line),
            // Of a session description among other parts.
            Some(("v" | "c" | "b" | "t" | "r" | "z" | "k" | "a" | "m", _)) => out.push_str(line),
            _ => hide_key(line, out),
        }
        out.push_str(end);
    }
}

/// Hides a pressed key, or numbers, in a line of a body that is no session description.
fn hide_key(line: &str, out: &mut String) {
    let is_key =
        |name: &str| ["signal", "event", "d"].iter().any(|key| key.eq_ignore_ascii_case(name.trim()));
    match line.split_once(['=', ':']) {
        _ if line.contains(|c: char| c.is_control() && c != '\t') => out.push_str("(removed)"),
        Some((name, _)) if is_key(name) => out.push_str(&format!("{name}=*")),
        None if !line.is_empty() && line.len() <= 2 => out.push('*'),
        // Parts of a body have headers of their own.
        Some((name, value)) if is_token(name) => {
            let (named, _) = line.split_at(line.len() - value.len());
            out.push_str(named);
            hide_names(value, out);
        }
        _ => hide_names(line, out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &str = "INVITE sip:+4930901820@192.0.2.100:5060;user=phone SIP/2.0\r\n\
        Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK12345678\r\n\
        From: \"+1 (415) 555-1234\" <sip:+14155551234@192.0.2.1>;tag=1234567890\r\n\
        To: <sip:101@192.0.2.100>\r\n\
        Call-ID: 14155551234@192.0.2.1\r\n\
        P-Asserted-Identity: <tel:+14155551234>\r\n\r\nv=0\r\no=- 12345678901 1 IN IP4 192.0.2.1\r\n";

    #[test]
    fn numbers_are_masked_and_what_belongs_to_the_message_is_not() {
        let masked = masked(INVITE);
        for kept in [
            "INVITE sip:+4930***1820@192.0.2.100:5060;user=phone SIP/2.0\r\n",
            "branch=z9hG4bK12345678\r\n",
            "<sip:+1415***1234@192.0.2.1>;tag=1234567890\r\n",
            "To: <sip:101@192.0.2.100>\r\n",
            "Call-ID: 14155551234@192.0.2.1\r\n",
            "<tel:+1415***1234>\r\n",
            "o=- 12345678901 1 IN IP4 192.0.2.1\r\n",
            "From: \"***\" <sip:",
        ] {
            assert!(masked.contains(kept), "{kept} in {masked}");
        }
        assert!(!masked.contains("555-1234"), "{masked}");
    }

    #[test]
    fn keys_pressed_are_masked() {
        let info = |body: &str| format!("INFO sip:a@b SIP/2.0\r\nContent-Length: 1\r\n\r\n{body}");
        assert!(masked(&info("Signal=5\r\nDuration=160\r\n")).ends_with("Signal=*\r\nDuration=160\r\n"));
        assert!(masked(&info("5")).ends_with("\r\n\r\n*"));
        assert!(masked(&info("y=Digits\r\nd=Digits=5")).ends_with("y=Digits\r\nd=*"));
        assert!(masked(&info("\u{5}\u{a}\u{3} ")).ends_with("\r\n\r\n(removed)"));
    }

    #[test]
    fn an_escaped_number_is_masked() {
        let line = "INVITE sip:%2B14155551234;rn=%2b14155551999@192.0.2.1 SIP/2.0";
        let masked = masked(&format!("{line}\r\n\r\n"));
        assert!(masked.starts_with("INVITE sip:%2B1415***1234;rn=%2b1415***1999@192.0.2.1 "), "{masked}");
    }

    /// One header or body of a message, masked.
    fn header(line: &str) -> String {
        let masked = masked(&format!("INVITE sip:1@h SIP/2.0\r\n{line}\r\n\r\n"));
        masked.split("\r\n").nth(1).unwrap().to_owned()
    }

    fn body(text: &str) -> String {
        let masked = masked(&format!("INVITE sip:1@h SIP/2.0\r\n\r\n{text}"));
        masked.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    #[test]
    fn display_names_are_masked_in_every_header() {
        for (line, expected) in [
            ("From: \"Ann \\\"A\\\" Bell\" <sip:101@h>;tag=1", "From: \"***\" <sip:101@h>;tag=1"),
            ("f: Bell, Ann <sip:101@h>", "f: \"***\" <sip:101@h>"),
            ("To:<sip:101@h>", "To:<sip:101@h>"),
            (
                "P-Asserted-Identity: \"Ann\" <sip:101@h>;x=1, Bob <tel:+14155551234>",
                "P-Asserted-Identity: \"***\" <sip:101@h>;x=1, \"***\" <tel:+1415***1234>",
            ),
            ("X-Who: \"Ann\" <sip:101@h", "X-Who: \"***\" <sip:101@h"),
            ("Subject: Ann is ill", "Subject: ***"),
            ("Identity: eyJhbGciOi.eyJ0biI6;info=<https://h>", "Identity: ***"),
        ] {
            assert_eq!(header(line), expected);
        }
    }

    #[test]
    fn users_in_addresses_are_masked_but_for_how_they_begin() {
        for (line, expected) in [
            ("From: \"Ann\" <sip:ann.bell@h>;tag=1", "From: \"***\" <sip:a***@h>;tag=1"),
            (
                "Contact: <SIPS:Ann@192.0.2.1:5061;transport=tcp>",
                "Contact: <SIPS:A***@192.0.2.1:5061;transport=tcp>",
            ),
            ("To: sip:%41nn@h", "To: sip:***@h"),
            ("X-Mail: mailto:ann@example.com", "X-Mail: mailto:a***@example.com"),
            ("Refer-To: <sip:bob@h?Replaces=1%40h>", "Refer-To: <sip:b***@h?Replaces=1%40h>"),
            ("Route: <sip:ann;x=1@h;lr>, <sip:h;lr>", "Route: <sip:a***;x=1@h;lr>, <sip:h;lr>"),
            ("From: <sip:anonymous@anonymous.invalid>", "From: <sip:anonymous@anonymous.invalid>"),
            ("To: <sip:101@h>", "To: <sip:101@h>"),
            ("To: <sip:*98@h>", "To: <sip:*98@h>"),
            ("To: <sip:h:5060>, <sip:ann@h>", "To: <sip:h:5060>, <sip:a***@h>"),
            ("To: <sip:%2B14155551234;npdi@h>", "To: <sip:%2B1415***1234;npdi@h>"),
        ] {
            assert_eq!(header(line), expected);
        }
        let request = masked("BYE sip:ann@192.0.2.1;ob SIP/2.0\r\n\r\n<dialog entity=\"sip:bob@h\"/>");
        assert_eq!(request, "BYE sip:a***@192.0.2.1;ob SIP/2.0\r\n\r\n<dialog entity=\"sip:b***@h\"/>");
        let sdp = "v=0\r\na=ssrc:1 cname:ann@h\r\na=identity:eyJ\r\na=mid:0\r\n";
        assert_eq!(body(sdp), "v=0\r\na=ssrc:1 cname:***\r\na=identity:***\r\na=mid:0\r\n");
    }

    #[test]
    fn numbers_are_masked_however_they_are_written() {
        for (written, expected) in [
            ("+1 (415) 555-1234", "+1415***1234"),
            ("(415) 555 1234", "(4155***1234"),
            ("030/901820", "03***20"),
            ("030 - 90 18 20", "03***20"),
            ("%2B1%20415%20555%201234", "%2B1415***1234"),
            ("4155551234x99", "4155***1234x99"),
            ("u=4155551234;v=1", "u=4155***1234;v=1"),
        ] {
            assert_eq!(header(&format!("X-Number: {written}")), format!("X-Number: {expected}"));
        }
        for kept in [
            "192.0.2.100:5060",
            "x1234567890",
            "1234567890ab",
            "101 202",
            "2026-01",
            "IP4 192.0.2.100",
            "%3B%41",
        ] {
            assert_eq!(header(&format!("X-Number: {kept}")), format!("X-Number: {kept}"));
        }
        assert_eq!(header("RAck: 1234567 1 INVITE"), "RAck: 1234567 1 INVITE");
    }

    #[test]
    fn a_session_description_names_nobody() {
        let sdp = "v=0\r\no=4155551234 1 2 IN IP4 192.0.2.1\r\ns=Ann\r\ni=about Bob\r\ne=ann@h (Ann)\r\n\
                   p=+1 415 555 1234\r\nc=IN IP4 192.0.2.1\r\nt=3034423619 3042462419\r\nm=audio 49170 RTP/AVP 0 8 18 101\r\n";
        let expected = "v=0\r\no=*** 1 2 IN IP4 192.0.2.1\r\ns=***\r\ni=***\r\ne=***\r\n\
                        p=***\r\nc=IN IP4 192.0.2.1\r\nt=3034423619 3042462419\r\nm=audio 49170 RTP/AVP 0 8 18 101\r\n";
        assert_eq!(body(sdp), expected);
        assert_eq!(body(&sdp.replace("\r\n", "\n")), expected.replace("\r\n", "\n"));
        let parts = |sdp: &str| format!("--b\r\nContent-Type: application/sdp\r\n\r\n{sdp}--b--\r\n");
        assert_eq!(body(&parts(sdp)), parts(expected));
        assert_eq!(body("v=0\r\no=- 1 2 IN IP4 h\r\ns=-\r\n"), "v=0\r\no=- 1 2 IN IP4 h\r\ns=-\r\n");
    }

    #[test]
    fn the_texts_of_other_bodies_name_nobody() {
        let sent = "SIP/2.0 200 OK\r\nTo: \"Ann\" <sip:+14155551234@h>\r\n";
        assert_eq!(body(sent), "SIP/2.0 200 OK\r\nTo: \"***\" <sip:+1415***1234@h>\r\n");
        assert_eq!(body("<gml:pos>52.5200 13.4050</gml:pos>"), "<gml:pos>5252***4050</gml:pos>");
    }

    proptest::proptest! {
        #[test]
        fn no_message_brings_it_down(text in "([a-zA-Z0-9 \t:;=<>\"\\\\%+(),/.\u{e9}\r\n-]|\r\n){0,80}") {
            let _ = masked(&text);
        }
    }
}
