//! What nobody needs to see of a message.

/// Headers whose values let somebody pass for another.
const SECRET: [&str; 2] = ["authorization", "proxy-authorization"];
/// Digits that make a number of somebody outside; fewer are an extension.
const NUMBER: usize = 7;

/// A message without secrets, and if so wanted without whole numbers and keys pressed.
pub(super) fn masked(message: &str, numbers: bool) -> String {
    let (head, body) = message.split_once("\r\n\r\n").unwrap_or((message, ""));
    let mut out = String::with_capacity(message.len());
    let mut secret = false;
    for (number, line) in head.split("\r\n").enumerate() {
        if number > 0 {
            out.push_str("\r\n");
        }
        // A line that begins with a blank goes on with the one before.
        let goes_on = line.starts_with([' ', '\t']);
        let name = line.split_once(':').map(|(name, _)| name);
        if !goes_on {
            secret = name.is_some_and(|name| SECRET.contains(&name.trim().to_ascii_lowercase().as_str()));
        }
        match (secret, goes_on) {
            (true, true) => out.push_str(" (removed)"),
            (true, false) => {
                out.push_str(name.unwrap_or_default());
                out.push_str(": (removed)");
            }
            (false, _) if numbers && is_of_people(line) => hide_numbers(line, &mut out),
            (false, _) => out.push_str(line),
        }
    }
    out.push_str("\r\n\r\n");
    if numbers && !body.starts_with("v=0") {
        out.push_str(&hide_keys(body));
    } else {
        out.push_str(body);
    }
    out
}

/// Whether a line may name people: the first, and headers but for those whose digits are the message's own.
fn is_of_people(line: &str) -> bool {
    const OWN: [&str; 9] = [
        "via",
        "v",
        "call-id",
        "i",
        "cseq",
        "content-length",
        "max-forwards",
        "session-expires",
        "user-agent",
    ];
    let name = line.split_once(':').map_or("", |(name, _)| name.trim());
    !OWN.contains(&name.to_ascii_lowercase().as_str())
}

/// Hides the middle of every number, but in parameters and hosts.
fn hide_numbers(line: &str, out: &mut String) {
    let is_of_number = |c: char| c.is_ascii_digit() || "+-.()".contains(c);
    let mut rest = line;
    while let Some(begin) = rest.find(|c: char| c.is_ascii_digit() || "+%".contains(c)) {
        let (before, from) = rest.split_at(begin);
        out.push_str(before);
        // An escape may stand before a number: `%2B1415...`.
        if from.starts_with('%') {
            let (escape, after) = from.split_at_checked(3).unwrap_or((from, ""));
            out.push_str(escape);
            rest = after;
            continue;
        }
        let end = from.find(|c| !is_of_number(c)).unwrap_or(from.len());
        let (run, after) = from.split_at(end);
        let digits = run.bytes().filter(u8::is_ascii_digit).count();
        // A part of a word (a tag), an address, a port.
        let of_word = before.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
            || after.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        let of_parameter = before.ends_with("tag=") || before.ends_with("branch=");
        let of_host = run.parse::<std::net::IpAddr>().is_ok();
        if digits < NUMBER || of_word || of_parameter || of_host {
            out.push_str(run);
        } else {
            out.push_str(&hidden(run));
        }
        rest = after;
    }
    out.push_str(rest);
}

/// `+14155551234` as `+1415***1234`.
fn hidden(number: &str) -> String {
    let kept = usize::from(number.starts_with('+'));
    let digits = number.len() - kept;
    let (front, back) = if digits >= 10 { (kept + 4, 4) } else { (kept + 2, 2) };
    format!("{}***{}", &number[..front], &number[number.len() - back..])
}

/// A body that is no session description may say which key was pressed, in words or in bytes.
fn hide_keys(body: &str) -> String {
    let is_key =
        |name: &str| ["signal", "event", "d"].iter().any(|key| key.eq_ignore_ascii_case(name.trim()));
    let hide = |line: &str| match line.split_once(['=', ':']) {
        _ if line.contains(|c: char| c.is_control() && c != '\t') => "(removed)".to_owned(),
        Some((name, _)) if is_key(name) => format!("{name}=*"),
        None if !line.is_empty() && line.len() <= 2 => "*".to_owned(),
        _ => line.to_owned(),
    };
    body.split("\r\n").map(hide).collect::<Vec<_>>().join("\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &str = "INVITE sip:+4930901820@192.0.2.100:5060;user=phone SIP/2.0\r\n\
        Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK12345678\r\n\
        From: \"+1 (415) 555-1234\" <sip:+14155551234@192.0.2.1>;tag=1234567890\r\n\
        To: <sip:101@192.0.2.100>\r\n\
        Call-ID: 14155551234@192.0.2.1\r\n\
        P-Asserted-Identity: <tel:+14155551234>\r\n\
        Proxy-Authorization: Digest username=\"14155551234\",\r\n response=\"secret\"\r\n\
        authorization : Digest response=\"secret\"\r\n\r\nv=0\r\no=- 12345678901 1 IN IP4 192.0.2.1\r\n";

    #[test]
    fn secrets_are_removed_in_any_case() {
        for numbers in [true, false] {
            let masked = masked(INVITE, numbers);
            assert!(!masked.contains("secret"), "{masked}");
            assert!(masked.contains("Proxy-Authorization: (removed)\r\n (removed)\r\n"), "{masked}");
        }
        assert!(masked(INVITE, false).contains("<sip:+14155551234@192.0.2.1>"));
    }

    #[test]
    fn numbers_are_masked_and_what_belongs_to_the_message_is_not() {
        let masked = masked(INVITE, true);
        for kept in [
            "INVITE sip:+4930***1820@192.0.2.100:5060;user=phone SIP/2.0\r\n",
            "branch=z9hG4bK12345678\r\n",
            "<sip:+1415***1234@192.0.2.1>;tag=1234567890\r\n",
            "To: <sip:101@192.0.2.100>\r\n",
            "Call-ID: 14155551234@192.0.2.1\r\n",
            "<tel:+1415***1234>\r\n",
            "o=- 12345678901 1 IN IP4 192.0.2.1\r\n",
        ] {
            assert!(masked.contains(kept), "{kept} in {masked}");
        }
        assert!(!masked.contains("555-1234"), "{masked}");
    }

    #[test]
    fn keys_pressed_are_masked() {
        let info = |body: &str| format!("INFO sip:a@b SIP/2.0\r\nContent-Length: 1\r\n\r\n{body}");
        assert!(
            masked(&info("Signal=5\r\nDuration=160\r\n"), true).ends_with("Signal=*\r\nDuration=160\r\n")
        );
        assert!(masked(&info("5"), true).ends_with("\r\n\r\n*"));
        assert!(masked(&info("y=Digits\r\nd=Digits=5"), true).ends_with("y=Digits\r\nd=*"));
        assert!(masked(&info("\u{5}\u{a}\u{3} "), true).ends_with("\r\n\r\n(removed)"));
    }

    #[test]
    fn an_escaped_number_is_masked() {
        let line = "INVITE sip:%2B14155551234;rn=%2b14155551999@192.0.2.1 SIP/2.0";
        let masked = masked(&format!("{line}\r\n\r\n"), true);
        assert!(masked.starts_with("INVITE sip:%2B1415***1234;rn=%2b1415***1999@192.0.2.1 "), "{masked}");
    }
}
