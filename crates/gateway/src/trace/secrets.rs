//! What must not even be remembered of a message: with it somebody could pass for another, or listen in.

use std::ops::Range;

/// Headers whose whole value is a proof of who somebody is.
const HEADERS: [&str; 6] = [
    "authorization",
    "proxy-authorization",
    "authentication-info",
    "proxy-authentication-info",
    "cookie",
    "set-cookie",
];
/// What the name of a header or a parameter holds whose value is a secret.
const WORDS: [&str; 8] = ["token", "secret", "password", "passwd", "pwd", "apikey", "api-key", "api_key"];
/// Names of parameters in links that are signed.
const SIGNATURES: [&str; 3] = ["sig", "signature", "x-amz-signature"];
/// Lines of a session description that hold keys (RFC 4568, 4567, 8839, 4566), and the word before the key.
const LINES: [(&str, Option<&str>); 4] =
    [("a=crypto:", Some("inline:")), ("a=key-mgmt:", Some(" ")), ("a=ice-pwd:", None), ("k=", Some(":"))];
/// Schemes whose addresses may hold a password before the host.
const SCHEMES: [&str; 6] = ["sip", "sips", "http", "https", "ws", "wss"];
/// What stands in the place of a secret.
const REMOVED: &str = "(removed)";

/// The message without secrets; `None` where it has none.
pub(super) fn without_secrets(message: &[u8]) -> Option<Vec<u8>> {
    let found = find(message);
    if found.is_empty() {
        return None;
    }
    let mut out = Vec::with_capacity(message.len());
    let mut begin = 0;
    for secret in found {
        out.extend_from_slice(&message[begin..secret.start]);
        out.extend_from_slice(REMOVED.as_bytes());
        begin = secret.end;
    }
    out.extend_from_slice(&message[begin..]);
    Some(out)
}

/// Where secrets lie, first to last.
fn find(message: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let (mut begin, mut goes_on) = (0, false);
    while begin < message.len() {
        let end = memchr::memchr(b'\n', &message[begin..]).map_or(message.len(), |at| begin + at + 1);
        let line = message[begin..end].trim_ascii_end();
        // A line that begins with a blank goes on with the header before.
        let is_folded = line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t'));
        goes_on = match whole_value(line) {
            _ if is_folded && goes_on => {
                found.extend(trimmed(line, 0..line.len()).map(|range| shifted(&range, begin)));
                true
            }
            Some((value, is_header)) => {
                found.extend(trimmed(line, value).map(|range| shifted(&range, begin)));
                is_header
            }
            None => {
                parts(line, |range| found.push(shifted(&range, begin)));
                false
            }
        };
        begin = end;
    }
    found
}

fn shifted(range: &Range<usize>, by: usize) -> Range<usize> {
    range.start + by..range.end + by
}

/// A range without the blanks around it, unless nothing is left.
fn trimmed(line: &[u8], range: Range<usize>) -> Option<Range<usize>> {
    let text = &line[range.clone()];
    let start = range.start + (text.len() - text.trim_ascii_start().len());
    (start < range.end).then_some(start..range.end)
}

/// Where the value of a line lies that is a secret as a whole, and whether it is a header. Bodies hold headers too: of
/// parts, and of messages that are told of.
fn whole_value(line: &[u8]) -> Option<(Range<usize>, bool)> {
    for (prefix, word) in LINES {
        if starts_with(line, prefix) {
            let rest = &line[prefix.len()..];
            let key = match word {
                None => 0,
                // Without the word everything may be the key, but for a method that has none (`k=prompt`).
                Some(":") => memchr::memchr(b':', rest)? + 1,
                Some(word) => memchr::memmem::find(&rest.to_ascii_lowercase(), word.as_bytes())
                    .map_or(0, |at| at + word.len()),
            };
            return Some((prefix.len() + key..line.len(), false));
        }
    }
    let colon = memchr::memchr(b':', line)?;
    let name = line[..colon].trim_ascii_end();
    let is_name = !name.is_empty() && name.iter().all(|byte| is_word(*byte));
    let is_secret = is_name && (HEADERS.iter().any(|header| is(name, header)) || holds_word(name));
    is_secret.then_some((colon + 1..line.len(), true))
}

/// Finds secrets within a line: values of parameters, and passwords in addresses.
fn parts(line: &[u8], mut found: impl FnMut(Range<usize>)) {
    let mut done = 0;
    // No `@` ends an address before here: what ends one search ends each that begins within it, so none is made twice.
    let mut no_user_before = 0;
    for at in memchr::memchr2_iter(b'=', b':', line) {
        if at < done {
            continue;
        }
        let secret = match line[at] {
            b'=' => parameter(line, at),
            _ if at < no_user_before => None,
            _ => password(line, at, &mut no_user_before),
        };
        if let Some(secret) = secret {
            done = secret.end;
            found(secret);
        }
    }
}

/// The value of the parameter with this equals sign, if it is a secret.
fn parameter(line: &[u8], equals: usize) -> Option<Range<usize>> {
    let before = line[..equals].trim_ascii_end();
    let length = before.iter().rev().take_while(|byte| is_word(**byte)).count();
    let name = &before[before.len() - length..];
    let is_proof = HEADERS.iter().any(|header| is(name, header));
    if !is_proof && !holds_word(name) && !SIGNATURES.iter().any(|word| is(name, word)) {
        return None;
    }
    let after = &line[equals + 1..];
    let start = equals + 1 + (after.len() - after.trim_ascii_start().len());
    let value = &line[start..];
    let length = match value.first() {
        Some(b'"') => closing_quote(value),
        _ => value.iter().position(|byte| b"; \t,&>\"<".contains(byte)).unwrap_or(value.len()),
    };
    (length > 0).then_some(start..start + length)
}

/// How many bytes a quoted value has; all where it does not end.
fn closing_quote(value: &[u8]) -> usize {
    let mut escaped = false;
    let end = value.iter().skip(1).position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    end.map_or(value.len(), |at| at + 2)
}

/// The password in the address whose scheme ends with this colon. Where it has no user, notes how far it was searched.
fn password(line: &[u8], colon: usize, no_user_before: &mut usize) -> Option<Range<usize>> {
    let length = line[..colon].iter().rev().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let scheme = &line[colon - length..colon];
    if !SCHEMES.iter().any(|known| is(scheme, known)) {
        return None;
    }
    let slashes = if line[colon + 1..].starts_with(b"//") { 2 } else { 0 };
    let start = colon + 1 + slashes;
    let rest = &line[start..];
    let ends = |byte: &u8| b"@<>\" \t".contains(byte) || (slashes > 0 && *byte == b'/');
    let end = rest.iter().position(ends).unwrap_or(rest.len());
    if rest.get(end) != Some(&b'@') {
        // A slash ends only addresses with two of them in front.
        if slashes == 0 {
            *no_user_before = start + end;
        }
        return None;
    }
    let user = memchr::memchr(b':', &rest[..end])?;
    (user + 1 < end).then_some(start + user + 1..start + end)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

fn is(name: &[u8], known: &str) -> bool {
    name.eq_ignore_ascii_case(known.as_bytes())
}

fn starts_with(line: &[u8], prefix: &str) -> bool {
    line.get(..prefix.len()).is_some_and(|begin| is(begin, prefix))
}

fn holds_word(name: &[u8]) -> bool {
    WORDS.iter().any(|word| name.windows(word.len()).any(|part| is(part, word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(message: &str) -> String {
        let kept = without_secrets(message.as_bytes()).unwrap_or_else(|| message.as_bytes().to_vec());
        String::from_utf8(kept).unwrap()
    }

    #[test]
    fn proofs_and_tokens_in_headers_are_not_kept() {
        for (line, expected) in [
            ("Authorization: Digest response=\"s\"", "Authorization: (removed)"),
            ("authorization : Digest response=\"s\"", "authorization : (removed)"),
            (
                "Proxy-Authorization: Digest username=\"1\",\r\n response=\"s\"\r\nTo: <sip:1@h>",
                "Proxy-Authorization: (removed)\r\n (removed)\r\nTo: <sip:1@h>",
            ),
            ("Authentication-Info: rspauth=\"s\"", "Authentication-Info: (removed)"),
            ("X-Auth-Token:s", "X-Auth-Token:(removed)"),
            ("X-Api-Key: s t", "X-Api-Key: (removed)"),
            ("Contact: <sip:101@h;token=s;ob>", "Contact: <sip:101@h;token=(removed);ob>"),
            ("Contact: <sip:101@h>;pn-token=\"a\\\"s\";x=1", "Contact: <sip:101@h>;pn-token=(removed);x=1"),
            ("From: <sips:ann:s@h>;tag=1", "From: <sips:ann:(removed)@h>;tag=1"),
            (
                "Call-Info: <https://u:s@h/x?id=1&access_token=s&sig=s>;purpose=icon",
                "Call-Info: <https://u:(removed)@h/x?id=1&access_token=(removed)&sig=(removed)>;purpose=icon",
            ),
        ] {
            assert_eq!(
                kept(&format!("INVITE sip:1@h SIP/2.0\r\n{line}\r\n\r\n")),
                format!("INVITE sip:1@h SIP/2.0\r\n{expected}\r\n\r\n")
            );
        }
    }

    #[test]
    fn keys_of_media_are_not_kept() {
        let sdp = "v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nk=base64:c2VjcmV0\r\nm=audio 4000 RTP/SAVP 0\r\n\
                   a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0|2^20|1:4 FEC_ORDER=FEC_SRTP\r\n\
                   a=key-mgmt:mikey c2VjcmV0\r\na=ice-ufrag:8hhY\r\na=ice-pwd:c2VjcmV0\r\nk=prompt\r\na=sendrecv\r\n";
        let expected = "v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nk=base64:(removed)\r\nm=audio 4000 RTP/SAVP 0\r\n\
                        a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:(removed)\r\na=key-mgmt:mikey (removed)\r\n\
                        a=ice-ufrag:8hhY\r\na=ice-pwd:(removed)\r\nk=prompt\r\na=sendrecv\r\n";
        let message = |body: &str| format!("INVITE sip:1@h SIP/2.0\r\nTo: <sip:1@h>\r\n\r\n{body}");
        assert_eq!(kept(&message(sdp)), message(expected));
        let parts =
            |sdp: &str| message(&format!("--b\r\nContent-Type: application/sdp\r\n\r\n{sdp}--b--\r\n"));
        assert_eq!(kept(&parts(sdp)), parts(expected));
        assert_eq!(kept(&message(&sdp.replace("\r\n", "\n"))), message(&expected.replace("\r\n", "\n")));
        assert_eq!(kept(&message("a=crypto:c2VjcmV0\r\n")), message("a=crypto:(removed)\r\n"));
    }

    #[test]
    fn a_message_without_secrets_is_kept_as_it_is() {
        let message = "SIP/2.0 407 Proxy Authentication Required\r\nVia: SIP/2.0/UDP [::1]:5060;branch=z9hG4bK1\r\n\
                       From: <sip:ann@h:5060>;tag=1\r\nTo: <sip:h:5060>\r\nCall-ID: sip:1:2\r\n\
                       Contact: <sip:[2001:db8::1]:5060>\r\n\
                       Proxy-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n\r\nv=0\r\na=fingerprint:sha-256 4A:AD\r\n";
        assert_eq!(without_secrets(message.as_bytes()), None);
    }

    #[test]
    fn an_address_of_many_schemes_is_searched_once() {
        let schemes = "sip:".repeat(50_000);
        assert_eq!(kept(&format!("To: {schemes}")), format!("To: {schemes}"));
        assert_eq!(
            kept(&format!("To: {schemes} <sip:ann:s@h>")),
            format!("To: {schemes} <sip:ann:(removed)@h>")
        );
    }

    proptest::proptest! {
        #[test]
        fn no_message_brings_it_down(text in "([a-z0-9 \t:;=<>\"\\\\%@/.\u{e9}\r\n-]|\r\n|token=|k=|sip:|a=crypto:){0,60}") {
            let _ = without_secrets(text.as_bytes());
        }
    }
}
