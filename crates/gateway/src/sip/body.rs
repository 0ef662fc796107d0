//! The session description in a body, which may have several parts (RFC 2046, 5.1; RFC 5621).

use super::message::Message;
use crate::quoting::split_outside;

/// Parts of a body that are looked at.
const MOST_PARTS: usize = 32;
/// How deep parts may hold parts.
const DEEPEST: u8 = 4;
/// The media type of a session description.
const SDP: &str = "application/sdp";

/// A body, or a part of it, has to be understood (RFC 3261, 20.11) and is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotUnderstood;

/// The session description of a request; nothing where it has none.
///
/// A part of another type is passed over when its Content-Disposition says that it may be, or when it has none: locations
/// (RFC 6442) are sent so.
pub(crate) fn session_of(request: &Message) -> Result<Option<&[u8]>, NotUnderstood> {
    let content = Content::of(request);
    if content.is_beyond_us { Err(NotUnderstood) } else { Ok(content.session) }
}

/// The session description of a message that cannot be refused: a response, or an ACK.
pub(crate) fn session_in(message: &Message) -> Option<&[u8]> {
    Content::of(message).session
}

/// What was found in a body.
#[derive(Default)]
struct Content<'a> {
    session: Option<&'a [u8]>,
    /// There is something that has to be understood and is not.
    is_beyond_us: bool,
}

/// What headers say of a body or of one of its parts.
#[derive(Clone, Copy, Default)]
struct Labels<'a> {
    kind: Option<&'a str>,
    disposition: Option<&'a str>,
    /// Content-Encoding, or Content-Transfer-Encoding.
    encoding: Option<&'a str>,
}

impl<'a> Content<'a> {
    fn of(message: &'a Message) -> Self {
        let mut content = Self::default();
        let labels = Labels {
            kind: message.header("Content-Type"),
            disposition: message.header("Content-Disposition"),
            encoding: message.header("Content-Encoding"),
        };
        if message.body().is_empty() {
            return content;
        }
        // A body that says nothing of itself can only be a session description.
        let kind = labels.kind.unwrap_or(SDP);
        content.take(Labels { kind: Some(kind), ..labels }, message.body(), 0);
        let is_whole = is_kind(kind, SDP) || essence(kind).starts_with("multipart/");
        content.is_beyond_us |= !is_whole && labels.disposition.is_none();
        content
    }

    fn take(&mut self, labels: Labels<'a>, body: &'a [u8], depth: u8) {
        let kind = labels.kind.unwrap_or("text/plain");
        let is_plain = labels.encoding.is_none_or(|encoding| {
            ["", "identity", "binary", "8bit", "7bit"]
                .iter()
                .any(|plain| plain.eq_ignore_ascii_case(encoding.trim()))
        });
        let purpose = labels.disposition.map(essence);
        let is_session = purpose.as_deref().is_none_or(|purpose| purpose == "session");
        if is_plain && is_kind(kind, SDP) && is_session {
            self.session.get_or_insert(body);
        } else if is_plain && depth < DEEPEST && essence(kind).starts_with("multipart/") {
            self.take_apart(kind, body, depth);
        } else {
            // What lies deeper could be what has to be understood.
            let is_too_deep = is_plain && essence(kind).starts_with("multipart/");
            let is_unread = is_kind(kind, SDP) && !is_plain;
            self.is_beyond_us |= is_too_deep || is_required(labels.disposition, is_unread);
        }
    }

    fn take_apart(&mut self, kind: &str, body: &'a [u8], depth: u8) {
        let Some(boundary) = parameter(kind, "boundary") else {
            self.is_beyond_us = true;
            return;
        };
        let parts = parts(body, boundary);
        if parts.len() > MOST_PARTS {
            self.is_beyond_us = true;
        }
        if !essence(kind).ends_with("/alternative") {
            for part in parts {
                let (labels, body) = labelled(part);
                self.take(labels, body, depth + 1);
            }
            return;
        }
        // The last one that is understood is meant (RFC 2046, 5.1.4).
        let read = parts.into_iter().map(|part| {
            let (mut one, (labels, body)) = (Self::default(), labelled(part));
            one.take(labels, body, depth + 1);
            one
        });
        match read.rev().find_map(|one| one.session.filter(|_| !one.is_beyond_us)) {
            Some(session) => {
                self.session.get_or_insert(session);
            }
            None => self.is_beyond_us = true,
        }
    }
}

/// Whether a part of an unknown type has to be understood. What a header refers to is for that header to say
/// (RFC 5621, 5).
fn is_required(disposition: Option<&str>, unless_said: bool) -> bool {
    let Some(disposition) = disposition else { return unless_said };
    match parameter(disposition, "handling") {
        Some(handling) => !handling.eq_ignore_ascii_case("optional"),
        None => essence(disposition) != "by-reference",
    }
}

/// The value of a header without its parameters, in lower case.
fn essence(value: &str) -> String {
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn is_kind(value: &str, kind: &str) -> bool {
    value.split(';').next().is_some_and(|named| named.trim().eq_ignore_ascii_case(kind))
}

fn parameter<'a>(value: &'a str, wanted: &str) -> Option<&'a str> {
    split_outside(value, ';')?.into_iter().skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim().trim_matches('"'))
    })
}

/// The parts between the lines of a boundary, each with its headers; one more than are looked at, where there are more.
fn parts<'a>(body: &'a [u8], boundary: &str) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    let (mut begin, mut at) = (None, 0);
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        let end = at;
        at += line.len();
        let after =
            line.trim_ascii_end().strip_prefix(b"--").and_then(|line| line.strip_prefix(boundary.as_bytes()));
        let Some(after) = after.filter(|after| after.is_empty() || *after == b"--") else { continue };
        // The end of the line before a boundary is the boundary's.
        parts.extend(begin.and_then(|begin| body.get(begin..end)).map(without_line_end));
        if after == b"--" || parts.len() > MOST_PARTS {
            return parts;
        }
        begin = Some(at);
    }
    // Some forget the last boundary.
    parts.extend(begin.and_then(|begin| body.get(begin..)));
    parts
}

fn without_line_end(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}

/// What the headers of a part say, and what it holds.
fn labelled(part: &[u8]) -> (Labels<'_>, &[u8]) {
    let (mut labels, mut at) = (Labels::default(), 0);
    for line in part.split_inclusive(|byte| *byte == b'\n') {
        at += line.len();
        let line = line.trim_ascii();
        if line.is_empty() {
            break;
        }
        let header = std::str::from_utf8(line).ok().and_then(|line| line.split_once(':'));
        let Some((name, value)) = header.map(|(name, value)| (name.trim(), value.trim())) else { continue };
        if name.eq_ignore_ascii_case("Content-Type") {
            labels.kind = Some(value);
        } else if name.eq_ignore_ascii_case("Content-Disposition") {
            labels.disposition = Some(value);
        } else if name.eq_ignore_ascii_case("Content-Transfer-Encoding") {
            labels.encoding = Some(value);
        }
    }
    (labels, part.get(at..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SESSION: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\n";

    fn message(headers: &str, body: &[u8]) -> Message {
        let mut text = format!("INVITE sip:a@b SIP/2.0\r\n{headers}\r\n").into_bytes();
        text.extend_from_slice(body);
        Message::read(text.into()).unwrap()
    }

    /// A body of parts, each of its headers and what it holds.
    fn mixed(kind: &str, parts: &[(&str, &str)]) -> Message {
        let mut body = "a preamble\r\n".to_owned();
        for (headers, content) in parts {
            body.push_str(&format!("--b 1\r\n{headers}\r\n{content}\r\n"));
        }
        body.push_str("--b 1--\r\nan epilogue");
        message(&format!("Content-Type: {kind};boundary=\"b 1\"\r\n"), body.as_bytes())
    }

    const SDP_PART: (&str, &str) = ("Content-Type: application/sdp\r\n", SESSION);
    const ISUP: &str = "Content-Type: application/ISUP;version=nxv3;base=etsi121\r\n";

    fn session(message: &Message) -> Result<Option<&str>, NotUnderstood> {
        session_of(message).map(|session| session.map(|session| std::str::from_utf8(session).unwrap()))
    }

    #[test]
    fn the_session_is_found_among_other_parts() {
        let optional = format!("{ISUP}Content-Disposition: signal;handling=optional\r\n");
        let location = "Content-Type: application/pidf+xml\r\nContent-ID: <alice@example.com>\r\n";
        let referred = format!("{location}Content-Disposition: by-reference\r\n");
        for other in [optional.as_str(), location, &referred] {
            for parts in [[SDP_PART, (other, "\u{1}\0\n--b\r\n")], [(other, "<x/>"), SDP_PART]] {
                assert_eq!(session(&mixed("multipart/mixed", &parts)), Ok(Some(SESSION)), "{other}");
            }
        }
    }

    #[test]
    fn a_required_part_refuses_requests_only() {
        let required = format!("{ISUP}Content-Disposition: signal;handling=required\r\n");
        let silent = format!("{ISUP}Content-Disposition: signal\r\n");
        for other in [&required, &silent] {
            let message = mixed("multipart/mixed", &[SDP_PART, (other, "x")]);
            assert_eq!(session(&message), Err(NotUnderstood), "{other}");
            assert_eq!(session_in(&message), Some(SESSION.as_bytes()));
        }
    }

    #[test]
    fn of_alternatives_the_last_that_is_understood_is_meant() {
        let other = ("Content-Type: application/sdp\r\n", "v=0\r\ns=first\r\n");
        let unknown = ("Content-Type: application/unknown\r\nContent-Disposition: session\r\n", "x");
        let message = mixed("multipart/alternative", &[other, SDP_PART, unknown]);
        assert_eq!(session(&message), Ok(Some(SESSION)));
        assert_eq!(session(&mixed("multipart/alternative", &[unknown])), Err(NotUnderstood));
    }

    #[test]
    fn nested_parts_are_read_and_early_sessions_not() {
        let inner = format!("--in\nContent-Type: application/sdp\n\n{SESSION}\n--in--");
        let nested = ("Content-Type: multipart/related;boundary=in\r\n", inner.as_str());
        assert_eq!(session(&mixed("multipart/mixed", &[nested])), Ok(Some(SESSION)));
        let early =
            "Content-Type: application/sdp\r\nContent-Disposition: early-session;handling=optional\r\n";
        assert_eq!(session(&mixed("multipart/mixed", &[(early, "v=0\r\n")])), Ok(None));
    }

    #[test]
    fn more_parts_or_levels_than_are_read_are_refused() {
        let nested = |levels: usize| {
            let mut part = (SDP_PART.0.to_owned(), SESSION.to_owned());
            for level in 1..levels {
                let (headers, content) = part;
                let body = format!("--l{level}\r\n{headers}\r\n{content}\r\n--l{level}--\r\n");
                part = (format!("Content-Type: multipart/mixed;boundary=l{level}\r\n"), body);
            }
            mixed("multipart/mixed", &[(&*part.0, &*part.1)])
        };
        assert_eq!(session(&nested(4)), Ok(Some(SESSION)));
        assert_eq!(session(&nested(5)), Err(NotUnderstood));
        let other = ("Content-Type: text/plain\r\n", "x");
        let wide = |parts: usize, last| {
            let mut all = vec![other; parts - 1];
            all.push(last);
            mixed("multipart/mixed", &all)
        };
        assert_eq!(session(&wide(32, SDP_PART)), Ok(Some(SESSION)));
        assert_eq!(session(&wide(33, SDP_PART)), Err(NotUnderstood));
        let required = "Content-Type: application/ISUP\r\nContent-Disposition: signal;handling=required\r\n";
        assert_eq!(session(&wide(40, (required, "x"))), Err(NotUnderstood));
    }

    #[test]
    fn a_single_body_is_judged_by_its_headers() {
        for (headers, found) in [
            ("", Ok(Some(SESSION))),
            ("c: Application/SDP ; x=y\r\n", Ok(Some(SESSION))),
            ("Content-Type: application/sdp\r\nContent-Encoding: identity\r\n", Ok(Some(SESSION))),
            ("Content-Type: application/sdp\r\nContent-Encoding: gzip\r\n", Err(NotUnderstood)),
            ("Content-Type: application/isup\r\n", Err(NotUnderstood)),
            ("Content-Type: application/isup\r\nContent-Disposition: signal;handling=optional\r\n", Ok(None)),
            ("Content-Type: multipart/mixed\r\n", Err(NotUnderstood)),
        ] {
            assert_eq!(session(&message(headers, SESSION.as_bytes())), found, "{headers}");
        }
        assert_eq!(session(&message("Content-Type: application/unknown\r\n", b"")), Ok(None));
    }

    proptest! {
        #[test]
        fn no_body_brings_it_down(body in "(--b|\r\n|\n|--|Content-Type: multipart/mixed;boundary=b|[a-z: ]){0,40}") {
            let message = message("Content-Type: multipart/mixed;boundary=b\r\n", body.as_bytes());
            let _ = session_of(&message);
        }
    }
}
